"""Following a convolution to its non-linearity, however that is written."""

import numpy as np
import pytest
from oracles.filters_reference import scores
from support.tiny_networks import (
    CODES,
    LENGTH,
    MANY,
    RNG,
    Torch,
    assert_reads_as_described,
    conv1d,
    keras,
    layers,
    nn,
    nn1d,
    sequential,
    torch,
)

from kipoi_motifrep import InputError
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.loading import open_network


def batch_normed(*after):
    model = sequential(
        (LENGTH, 4), layers.Conv1D(3, 5, padding="same", use_bias=False), layers.BatchNormalization(name="bn"), *after
    )
    for one, values in zip(model.get_layer("bn").weights, RNG.uniform(0.5, 1.5, (4, 3)), strict=True):
        one.assign(values)
    return model


@pytest.mark.parametrize("activation", ["relu", "exponential", "gelu", "elu", "softplus", "tanh"])
def test_keras_activation_after_batch_norm(activation):
    model = batch_normed(layers.Activation(activation, name="act"), layers.MaxPooling1D(2))
    network = open_network(model)
    x = network.layout.encode(CODES)
    expected = keras.Model(model.inputs, model.get_layer("act").output).predict_on_batch(x)
    np.testing.assert_allclose(network.activations(x)[0], expected, atol=1e-5)
    assert network.banks[0].activation == f"bn (BatchNormalization), act ({activation})"


@pytest.mark.parametrize("filters", [1, 2])
def test_one_position_is_enough(filters):
    model = sequential((LENGTH, 4), layers.Conv1D(filters, LENGTH, use_bias=False), layers.ReLU(name="act"))
    assert open_network(model).banks[0].activation == "act (ReLU)"


def test_activation_before_batch_norm_ends_there():
    model = sequential((LENGTH, 4), conv1d(), layers.BatchNormalization(), layers.ReLU())
    assert open_network(model).banks[0].activation == "relu (fused)"


def test_no_activation_is_said():
    network = open_network(sequential((LENGTH, 4), layers.Conv1D(3, 5, use_bias=False), layers.MaxPooling1D(2)))
    assert "no non-linearity" in network.describe()


def test_of_a_separable_convolution_the_half_that_joins_is_named():
    """Written as two layers, its first half looks at one base at a time."""
    halves = nn.Conv1d(4, 8, 7, groups=4), nn.Conv1d(8, 5, 1)
    model = nn.Sequential(*halves, nn.ReLU()).eval()
    assert "layer 1 joins its filters, see --layer; the convolution's own output" in open_network(model).describe()
    (whole,) = open_network(model, layer="1").banks
    assert (whole.layer, whole.n_filters, whole.field.width, whole.activation) == ("1", 5, 7, "2 (relu)")


def test_custom_nonlinearity_is_found_without_its_name():
    class Squared(layers.Layer):
        def call(self, x):
            return keras.ops.square(keras.ops.maximum(x, 0.0))

    model = sequential((LENGTH, 4), layers.Conv1D(3, 5, use_bias=False), Squared(name="mine"))
    network = open_network(model)
    bank = network.banks[0]
    assert bank.activation == "mine (Squared)"
    given = network.activations(network.layout.encode(CODES))[0]
    expected = scores(CODES, bank.kernels, bank.field.start, 1, bank.n_positions)
    np.testing.assert_allclose(given, np.maximum(expected, 0) ** 2, atol=1e-5)


def test_torch_gate_is_one_activation():
    module = Torch(nn1d, after=lambda x: x * torch.sigmoid(1.702 * x))
    network = open_network(module, length=LENGTH)
    x = network.layout.encode(CODES)
    raw = module.conv(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(network.activations(x)[0], (raw * torch.sigmoid(1.702 * raw)).transpose(1, 2), atol=1e-5)


def zeroed(h):
    h = h.clone()
    h[h < 0] = 0
    return h


def checked(h):
    if torch.isnan(h).any():
        raise ValueError("not a number")
    return torch.relu(torch.where(torch.isfinite(h), h, torch.zeros_like(h)))


RELUS = {
    "a mask": lambda h: h * (h > 0),
    "no mask": lambda h: h * (~(h <= 0)).float(),
    "where": lambda h: torch.where(h > 0, h, torch.zeros_like(h)),
    "maximum of zeros": lambda h: torch.maximum(h, torch.zeros_like(h)),
    "filled": lambda h: h.masked_fill(h < 0, 0),
    "assigned": zeroed,
    "checked": checked,
    "a mask for statistics": lambda h: torch.relu(1.0 * h) + 0 * (h > 0).float().mean(),
    "view": lambda h: torch.relu(h.view(h.size(0), h.size(1), 1, -1)).squeeze(2),
    "expanded": lambda h: torch.relu(h + torch.zeros(1, 3, 1).expand(h.size(0), -1, h.size(2))),
    "zeros of its shape": lambda h: torch.max(h, torch.zeros(h.shape)),
    "squeezed": lambda h: torch.relu(h.squeeze()),
    "batch in the middle": lambda h: torch.relu(h.permute(2, 0, 1)).permute(1, 2, 0),
    "batch last": lambda h: torch.relu(h.permute(1, 2, 0)).permute(2, 0, 1),
    "batch and positions on one axis": lambda h: (
        torch.relu(h.transpose(1, 2).reshape(-1, 3)).view(h.size(0), -1, 3).transpose(1, 2)
    ),
    "pooled, then viewed": lambda h: torch.relu(nn.functional.max_pool1d(h, 2).view(h.size(0), h.size(1), -1)),
}


@pytest.mark.parametrize("name", RELUS)
def test_torch_ways_to_write_relu(name):
    """Whatever the code between convolution and activations, and for any number of sequences."""
    module = Torch(nn1d, after=RELUS[name])
    network = open_network(module, length=LENGTH)
    assert "no non-linearity" not in network.describe()
    for codes in (MANY, MANY[:1]):
        assert_reads_as_described(network, codes=codes)


@pytest.mark.parametrize(
    "after",
    [
        lambda h: h * 0.5 * (1 + torch.erf(h / 2**0.5)),
        lambda h: 0.5 * h * (1 + torch.tanh(0.7979 * (h + 0.0447 * h**3))),
        lambda h: h * torch.tanh(nn.functional.softplus(h)),
    ],
)
def test_torch_activations_written_by_hand(after):
    module = Torch(nn1d, after=after)
    network = open_network(module, length=LENGTH)
    x = network.layout.encode(MANY)
    expected = after(module.conv(torch.from_numpy(x))).detach().numpy().transpose(0, 2, 1)
    np.testing.assert_allclose(network.activations(x)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "reason"), [(1, "layer conv: the forward pass runs it on 1 sequences"), (4, "does not take the same way")]
)
def test_torch_batches_taken_apart(size, reason):
    class Parts(Torch):
        def forward(self, x):
            return torch.relu(torch.cat([self.conv(part) for part in x.split(size)])).amax(dim=2)

    with pytest.raises(InputError, match=reason):
        open_network(Parts(nn1d), length=LENGTH)


def test_torch_way_that_depends_on_the_sequences():
    class Either(Torch):
        def forward(self, x):
            return (torch.relu(self.conv(x)) if x[:, 0].sum() > 400 else self.conv(x.flip(2)).abs()).amax(dim=2)

    network = open_network(Either(nn1d), length=LENGTH)
    only_a = np.zeros_like(MANY)
    with pytest.raises(InputError, match="the same way for all sequences, so activations of 21 cannot be told apart"):
        network.activations(network.layout.encode(only_a))
    with pytest.raises(InputError, match=r"importance cannot be measured: .* runs in the place of flip"):
        Ablation(network).begin(network.layout.encode(only_a))


def test_torch_failure_on_a_batch_is_told():
    module = Torch(nn1d, after=lambda h: torch.relu(h + torch.zeros(2, 1, 1)))
    network = open_network(module, length=LENGTH)
    with pytest.raises(InputError, match="fails on a batch of 21 sequences") as error:
        network.activations(network.layout.encode(MANY))
    assert "\n" not in str(error.value)


PICKED = {
    "positions": lambda h: torch.relu(h[:, :, [0, 1, 5]]),
    "cropped": lambda h: torch.relu(h[:, :, 3:-2]),
    "every third": lambda h: torch.relu(h[:, :, 1::3]),
    "filters": lambda h: torch.relu(h[:, :2]),
    "pooled and cropped": lambda h: torch.relu(nn.functional.max_pool1d(h, 2)[:, :, 1:]),
}


@pytest.mark.parametrize("name", PICKED)
def test_filters_and_positions_are_not_picked(name):
    with pytest.raises(InputError, match="layer conv: some of its filters or positions are picked"):
        open_network(Torch(nn1d, after=PICKED[name]), length=LENGTH)


@pytest.mark.parametrize("after", [lambda h: h[:, 3:-2], layers.Cropping1D((3, 2), name="crop")])
def test_keras_crop_before_the_activation(after):
    dna = keras.Input((LENGTH, 4))
    cropped = layers.BatchNormalization()(after(layers.Conv1D(3, 5, use_bias=False)(dna)))
    model = keras.Model(dna, layers.Dense(1)(layers.Flatten()(layers.ReLU(name="act")(cropped))))
    with pytest.raises(InputError, match=r"are picked \((crop|stridedslice)\) before its non-linearity"):
        open_network(model)


KERAS_RELUS = {
    "a mask": lambda h: h * keras.ops.cast(h > 0, "float32"),
    "where": lambda h: keras.ops.where(h > 0, h, 0.0),
    "reshaped": lambda h: keras.ops.relu(keras.ops.reshape(h, (keras.ops.shape(h)[0], -1, 3))),
    "batch in the middle": lambda h: keras.ops.transpose(keras.ops.relu(keras.ops.transpose(h, (1, 0, 2))), (1, 0, 2)),
}


@pytest.mark.parametrize("name", KERAS_RELUS)
def test_keras_ways_to_write_relu(name):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = layers.Conv1D(3, 5, use_bias=False), layers.Dense(1)

        def call(self, x):
            return self.dense(keras.ops.max(KERAS_RELUS[name](self.conv(x)), axis=1))

    keras.utils.set_random_seed(2)
    model = Model()
    model(np.zeros((1, LENGTH, 4), np.float32))
    network = open_network(model, length=LENGTH)
    assert "no non-linearity" not in network.describe()
    for codes in (MANY, MANY[:7], MANY):
        assert_reads_as_described(network, codes=codes)


def test_branches_that_are_joined_before_their_activation():
    keras.utils.set_random_seed(2)
    dna = keras.Input((LENGTH, 4))
    branches = [
        layers.Conv1D(n, width, padding="same", use_bias=False, name=f"conv{width}")(dna)
        for n, width in ((3, 3), (4, 7))
    ]
    joined = layers.ReLU(name="act")(layers.Concatenate(name="joined")(branches))
    model = keras.Model(dna, layers.Dense(2)(layers.GlobalMaxPooling1D()(joined)))
    network = open_network(model)
    assert [bank.activation for bank in network.banks] == ["joined (Concatenate), act (ReLU)"] * 2
    for bank in range(2):
        assert_reads_as_described(network, bank)
    ablation, x = Ablation(network), network.layout.encode(CODES)
    ablation.begin(x)
    values = keras.Model(dna, joined).predict_on_batch(x)
    np.testing.assert_allclose(ablation.maxima(), values.max(axis=1), atol=1e-5)
    values[:, :, 5] = 0.25
    expected = model.layers[-1](values.max(axis=1)).numpy()
    np.testing.assert_allclose(ablation.replaced(5, 0.25), expected, atol=1e-5)
