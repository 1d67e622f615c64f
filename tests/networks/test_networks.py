"""Finding the convolution that reads DNA: axis orders, frameworks, padding, wrappers, refusals."""

import json
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.filters_reference import scores

from kipoi_motifrep import InputError
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.layout import Layout
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.types import ReceptiveField

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers = keras.layers
nn = torch.nn

LENGTH = 23
RNG = np.random.default_rng(5)
CODES = RNG.integers(0, 5, (4, LENGTH)).astype(np.uint8)  # 4 is N
MANY = np.random.default_rng(6).integers(0, 5, (21, LENGTH)).astype(np.uint8)


def sequential(shape, *stack):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input(shape), *stack, layers.Flatten(), layers.Dense(2)])


def conv1d(width=5, **options):
    return layers.Conv1D(3, width, use_bias=False, activation="relu", name="first", **options)


def conv2d(size, **options):
    return layers.Conv2D(3, size, use_bias=False, activation="relu", name="first", **options)


def assert_reads_as_described(network, bank=0, codes=CODES):
    """Kernels laid at the field, in plain loops, must give the network's own activations."""
    found = network.banks[bank]
    given = network.activations(network.layout.encode(codes))[bank]
    assert given.shape == (len(codes), found.n_positions, found.n_filters)
    expected = scores(codes, found.kernels, found.field.start, found.field.step, found.n_positions)
    np.testing.assert_allclose(given, np.maximum(expected, 0), atol=1e-5)
    assert given.max() > 0


KERAS = {
    "same": lambda: sequential((LENGTH, 4), conv1d(padding="same")),
    "same, even width": lambda: sequential((LENGTH, 4), conv1d(6, padding="same")),
    "same, stride 3": lambda: sequential((LENGTH, 4), conv1d(6, padding="same", strides=3)),
    "valid": lambda: sequential((LENGTH, 4), conv1d(padding="valid")),
    "causal, dilated": lambda: sequential((LENGTH, 4), conv1d(4, padding="causal", dilation_rate=2)),
    "same, dilated": lambda: sequential((LENGTH, 4), conv1d(4, padding="same", dilation_rate=3)),
    "groups": lambda: sequential((LENGTH, 4), layers.Conv1D(6, 5, groups=2, use_bias=False, activation="relu")),
    "depthwise": lambda: sequential((LENGTH, 4), layers.DepthwiseConv1D(5, depth_multiplier=2, use_bias=False,
                                                                        activation="relu")),
    "separable": lambda: sequential((LENGTH, 4), layers.SeparableConv1D(3, 5, use_bias=False, activation="relu")),
    "L,1,4": lambda: sequential((LENGTH, 1, 4), conv2d((5, 1))),
    "L,1,4 same, wide kernel": lambda: sequential((LENGTH, 1, 4), conv2d((5, 3), padding="same")),
    "1,L,4": lambda: sequential((1, LENGTH, 4), conv2d((1, 6), padding="same")),
    "L,4,1": lambda: sequential((LENGTH, 4, 1), conv2d((5, 4))),
    "4,L,1": lambda: sequential((4, LENGTH, 1), conv2d((4, 5))),
    "permuted": lambda: sequential((4, LENGTH), layers.Permute((2, 1)), conv1d(padding="same")),
    "reshaped": lambda: sequential((LENGTH, 4), layers.Reshape((LENGTH, 1, 4)), conv2d((5, 1))),
    "flat": lambda: sequential((LENGTH * 4,), layers.Reshape((LENGTH, 4)), conv1d()),
    "flat, bases first": lambda: sequential((LENGTH * 4,), layers.Reshape((4, LENGTH)), layers.Permute((2, 1)),
                                            conv1d()),
    "padded by hand": lambda: sequential((LENGTH, 4), layers.ZeroPadding1D((2, 4)), conv1d()),
    "cropped": lambda: sequential((LENGTH, 4), layers.Cropping1D((3, 1)), conv1d()),
    "dropout before": lambda: sequential((LENGTH, 4), layers.Dropout(0.5), conv1d()),
    "channels first": lambda: sequential((4, LENGTH), conv1d(data_format="channels_first")),
    "channels first, 2D": lambda: sequential((4, 1, LENGTH), conv2d((1, 5), data_format="channels_first")),
}


@pytest.mark.parametrize("name", KERAS)
def test_keras_layouts_and_geometry(name):
    assert_reads_as_described(open_network(KERAS[name]()))


@pytest.mark.parametrize(("name", "axes"), [("L,1,4", "L14"), ("1,L,4", "1L4"), ("L,4,1", "L41"), ("4,L,1", "4L1"),
                                            ("permuted", "4L"), ("channels first, 2D", "41L")])
def test_axes_are_named(name, axes):
    assert "".join(open_network(KERAS[name]()).layout.axes) == axes


class Torch(nn.Module):
    def __init__(self, conv, before=lambda x: x, after=torch.relu):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.before, self.after = conv(), before, after

    def forward(self, x):
        return self.after(self.conv(self.before(x))).flatten(1).sum(dim=1)


def nn1d(width=5, **options):
    return nn.Conv1d(4, 3, width, bias=False, **options)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.weight = nn.Parameter(torch.randn(3, 4, 5))

    def forward(self, x):
        return nn.functional.relu(nn.functional.conv1d(x, self.weight, padding=2)).mean(dim=(1, 2))


TORCH = {
    "4,L": (lambda: Torch(nn1d), "4L"),
    "same, even": (lambda: Torch(lambda: nn1d(6, padding="same")), "4L"),
    "padding 3, stride 2": (lambda: Torch(lambda: nn1d(padding=3, stride=2)), "4L"),
    "dilated, grouped": (lambda: Torch(lambda: nn.Conv1d(4, 6, 3, dilation=2, groups=2, bias=False)), "4L"),
    "4,1,L": (lambda: Torch(lambda: nn.Conv2d(4, 3, (1, 5), padding=(0, 2), bias=False)), "41L"),
    "1,4,L": (lambda: Torch(lambda: nn.Conv2d(1, 3, (4, 5), bias=False)), "14L"),
    "1,L,4": (lambda: Torch(lambda: nn.Conv2d(1, 3, (5, 4), bias=False)), "1L4"),
    "L,4": (lambda: Torch(nn1d, before=lambda x: x.permute(0, 2, 1)), "L4"),
    "in place": (lambda: Torch(nn1d, after=lambda x: nn.functional.relu_(x)), "4L"),
    "clamped": (lambda: Torch(nn1d, after=lambda x: x.clamp(min=0)), "4L"),
    "squeezed": (lambda: Torch(lambda: nn.Conv2d(4, 3, (1, 5), bias=False),
                               after=lambda x: torch.relu(x.squeeze(2).transpose(1, 2))), "41L"),
    "nested": (lambda: nn.Sequential(nn.Sequential(nn1d(), nn.ReLU()), nn.MaxPool1d(2), nn.Flatten()), "4L"),
    "functional": (Functional, "4L"),
    "pooled first": (lambda: Torch(nn1d, after=lambda x: torch.relu(nn.functional.max_pool1d(x, 3))), "4L"),
}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_torch_layouts_and_geometry(name):
    make, axes = TORCH[name]
    network = open_network(make(), length=LENGTH)
    assert "".join(network.layout.axes) == axes
    assert_reads_as_described(network)


def test_module_is_left_as_it_was():
    module = nn.Sequential(nn1d(), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5))
    module[3].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = open_network(module, length=LENGTH)
    network.activations(network.layout.encode(CODES))
    assert [one.training for one in module] == [True, True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def batch_normed(*after):
    model = sequential((LENGTH, 4), layers.Conv1D(3, 5, padding="same", use_bias=False),
                       layers.BatchNormalization(name="bn"), *after)
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


def test_activation_before_batch_norm_ends_there():
    model = sequential((LENGTH, 4), conv1d(), layers.BatchNormalization(), layers.ReLU())
    assert open_network(model).banks[0].activation == "relu (fused)"


def test_no_activation_is_said():
    network = open_network(sequential((LENGTH, 4), layers.Conv1D(3, 5, use_bias=False), layers.MaxPooling1D(2)))
    assert "no non-linearity" in network.describe()


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


def test_torch_convolution_of_something_else_runs_first():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.track = nn.Parameter(torch.randn(1, 4, LENGTH))
            self.conv_of_track, self.conv = nn1d(padding=2), nn1d(padding=2)

        def forward(self, x):
            track = self.conv_of_track(self.track)
            return torch.relu(self.conv(x)).mean(dim=2) + track.mean(dim=2)

    network = open_network(Positions(), length=LENGTH)
    assert network.banks[0].layer == "conv"
    assert_reads_as_described(network)


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
    "batch and positions on one axis":
        lambda h: torch.relu(h.transpose(1, 2).reshape(-1, 3)).view(h.size(0), -1, 3).transpose(1, 2),
    "pooled, then viewed": lambda h: torch.relu(nn.functional.max_pool1d(h, 2).view(h.size(0), h.size(1), -1)),
    "cropped": lambda h: torch.relu(h[:, :, 3:-2]),
    "cut to the right": lambda h: torch.relu(h[:, :, :-4]),
    "every third": lambda h: torch.relu(h[:, :, 1::3]),
    "in parts": lambda h: torch.cat([torch.relu(part) for part in h.split(4)]),
}


@pytest.mark.parametrize("name", RELUS)
def test_torch_ways_to_write_relu(name):
    """Whatever the code between convolution and activations, and for any number of sequences."""
    module = Torch(nn1d, after=RELUS[name])
    network = open_network(module, length=LENGTH)
    assert "no non-linearity" not in network.describe()
    for codes in (MANY, MANY[:1]):
        assert_reads_as_described(network, codes=codes)


@pytest.mark.parametrize(("after", "start", "step"), [
    (lambda h: torch.relu(h[:, :, 3:-2]), 3, 1), (lambda h: torch.relu(h[:, :, 1::3]), 1, 3)])
def test_field_begins_where_a_cut_does(after, start, step):
    assert open_network(Torch(nn1d, after=after), length=LENGTH).banks[0].field == ReceptiveField(start, 5, step)


@pytest.mark.parametrize("after", [
    lambda h: h * 0.5 * (1 + torch.erf(h / 2**0.5)),
    lambda h: 0.5 * h * (1 + torch.tanh(0.7979 * (h + 0.0447 * h**3))),
    lambda h: h * torch.tanh(nn.functional.softplus(h)),
])
def test_torch_activations_written_by_hand(after):
    module = Torch(nn1d, after=after)
    network = open_network(module, length=LENGTH)
    x = network.layout.encode(MANY)
    expected = after(module.conv(torch.from_numpy(x))).detach().numpy().transpose(0, 2, 1)
    np.testing.assert_allclose(network.activations(x)[0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4])
def test_torch_batches_taken_apart(size):
    class Parts(Torch):
        def forward(self, x):
            return torch.relu(torch.cat([self.conv(part) for part in x.split(size)])).amax(dim=2)

    if size > 1:
        network = open_network(Parts(nn1d), length=LENGTH)
        assert_reads_as_described(network, codes=MANY)
        ablation = Ablation(network)
        with pytest.raises(InputError, match="importance cannot be measured: its forward pass does not take the same"):
            ablation.begin(network.layout.encode(MANY))
        return
    with pytest.raises(InputError, match="layer conv: the forward pass runs it on 1 sequences where 2 are given"):
        open_network(Parts(nn1d), length=LENGTH)


def test_torch_way_that_depends_on_the_sequences():
    class Either(Torch):
        def forward(self, x):
            return (torch.relu(self.conv(x)) if x[:, 0].sum() > 40 else self.conv(x.flip(2)).abs()).amax(dim=2)

    network = open_network(Either(nn1d), length=LENGTH)
    only_a = np.zeros_like(MANY)
    with pytest.raises(InputError, match="does not take the same way for all sequences"):
        network.activations(network.layout.encode(only_a))


def test_torch_failure_on_a_batch_is_told():
    module = Torch(nn1d, after=lambda h: torch.relu(h + torch.zeros(2, 1, 1)))
    network = open_network(module, length=LENGTH)
    with pytest.raises(InputError, match="fails on a batch of 21 sequences") as error:
        network.activations(network.layout.encode(MANY))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("after", "reason"), [
    (lambda h: (h > 0).float(), "its output is compared with something"),
    (lambda h: torch.relu(h[:, :, [0, 1, 5]]), "positions that are not evenly spaced"),
    (lambda h: torch.relu(h[:, :2]), "pick some of its filters"),
    (lambda h: torch.relu(nn.functional.max_pool1d(h, 2)[:, :, 1:]), "cuts what max_pool2d has pooled"),
])
def test_what_follows_is_not_understood(after, reason):
    with pytest.raises(InputError, match=f"layer conv: .*{reason}"):
        open_network(Torch(nn1d, after=after), length=LENGTH)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_torch_half_precision(dtype):
    module = Torch(nn1d).to(dtype)
    network = open_network(module, length=LENGTH)
    assert_reads_as_described(network)
    assert module.conv.weight.dtype == dtype
    np.testing.assert_array_equal(network.banks[0].kernels, module.conv.weight.detach().float().numpy().swapaxes(1, 2))


def test_torch_compiled_module():
    network = open_network(torch.compile(Torch(nn1d)), length=LENGTH)
    assert network.banks[0].layer == "conv"
    assert_reads_as_described(network)


@pytest.mark.parametrize("after", [lambda h: h[:, 3:-2], layers.Cropping1D((3, 2))])
def test_keras_crop_before_the_activation(after):
    keras.utils.set_random_seed(2)
    dna, norm = keras.Input((LENGTH, 4)), layers.BatchNormalization(name="bn")
    cropped = norm(after(layers.Conv1D(3, 5, use_bias=False)(dna)))
    model = keras.Model(dna, layers.Dense(1)(layers.Flatten()(layers.ReLU(name="act")(cropped))))
    for one, values in zip(norm.weights, RNG.uniform(0.5, 1.5, (4, 3)), strict=True):
        one.assign(values)
    network = open_network(model)
    assert network.banks[0].field == ReceptiveField(3, 5, 1)
    x = network.layout.encode(MANY)
    expected = keras.Model(dna, model.get_layer("act").output).predict_on_batch(x)
    np.testing.assert_allclose(network.activations(x)[0], expected, atol=1e-5)
    ablation = Ablation(network)
    ablation.begin(x)
    np.testing.assert_allclose(ablation.maxima(), expected.max(axis=1), atol=1e-5)


KERAS_RELUS = {
    "a mask": lambda h: h * keras.ops.cast(h > 0, "float32"),
    "where": lambda h: keras.ops.where(h > 0, h, 0.0),
    "reshaped": lambda h: keras.ops.relu(keras.ops.reshape(h, (keras.ops.shape(h)[0], -1, 3))),
    "batch in the middle": lambda h: keras.ops.transpose(keras.ops.relu(keras.ops.transpose(h, (1, 0, 2))), (1, 0, 2)),
    "cropped": lambda h: keras.ops.relu(h[:, 3:-2]),
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


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float16", "float64"])
@pytest.mark.parametrize("make", [KERAS["valid"], lambda: Torch(nn1d)])
def test_one_hot_of_any_type(make, dtype):
    network = open_network(make(), length=LENGTH)
    x = network.layout.encode(CODES)
    np.testing.assert_array_equal(network.activations(x.astype(dtype))[0], network.activations(x)[0])
    np.testing.assert_array_equal(network.codes(x.astype(dtype)), CODES)


def test_other_inputs_keep_the_type_that_the_model_declares():
    tissue, dna = keras.Input((1,), name="tissue", dtype="int32"), keras.Input((LENGTH, 4), name="dna")
    joined = layers.Concatenate()([layers.Flatten()(conv1d()(dna)), layers.Flatten()(layers.Embedding(3, 2)(tissue))])
    model = keras.Model([tissue, dna], layers.Dense(1)(joined))
    network = open_network(model)
    x = network.layout.encode(CODES)
    given = {"dna": x.astype(bool), "tissue": np.ones((4, 1), np.int64)}
    for inputs in (given, x):
        arrays = network.arrays(inputs)
        assert (arrays["tissue"].dtype, arrays["dna"].dtype) == (np.int32, np.float32)
    ablation = Ablation(network)
    ablation.begin(given)
    np.testing.assert_allclose(ablation.predictions(), model.predict_on_batch(
        [given["tissue"], x]), atol=1e-5)


@pytest.mark.parametrize(("first", "scale"), [
    (layers.BatchNormalization, 1 / np.sqrt(1 + 1e-3)), (lambda: layers.Rescaling(2.0, offset=-0.5), 2.0)])
def test_rescaled_input(first, scale):
    """Activations are the network's own; kernels are what a base does, the rescaling counted in."""
    model = sequential((LENGTH, 4), first(), conv1d(padding="same"))
    network = open_network(model)
    x = network.layout.encode(CODES)
    expected = keras.Model(model.inputs, model.get_layer("first").output).predict_on_batch(x)
    np.testing.assert_allclose(network.activations(x)[0], expected, atol=1e-6)
    assert network.banks[0].field == ReceptiveField(-2, 5, 1)
    np.testing.assert_allclose(network.banks[0].kernels, scale * weights_of(model.get_layer("first")), atol=1e-5)


def weights_of(conv):
    return conv.get_weights()[0].transpose(2, 0, 1)


def test_an_embedding_of_the_bases_is_part_of_the_kernels():
    """A dense layer at each base, which need not be affine: on one-hot sequences the two are one convolution."""
    for activation in ("linear", "relu"):
        model = sequential((LENGTH, 4), layers.Dense(6, activation=activation, name="embedded"), conv1d())
        network = open_network(model)
        letters = keras.Model(model.inputs, model.get_layer("embedded").output).predict_on_batch(
            np.eye(4, dtype=np.float32)[np.arange(LENGTH) % 4][None])[0, :4]
        none = letters * 0 if activation == "linear" else np.maximum(model.get_layer("embedded").bias.numpy(), 0)
        expected = np.einsum("fwc,bc->fwb", weights_of(model.get_layer("first")), letters - none)
        np.testing.assert_allclose(network.banks[0].kernels, expected, atol=1e-5)
        assert_reads_as_described(network)


def test_a_layer_that_reads_both_strands():
    class BothStrands(layers.Conv1D):
        def call(self, x):
            return keras.ops.concatenate([super().call(x), super().call(keras.ops.flip(x, (1, 2)))], axis=-1)

        def compute_output_shape(self, shape):
            return (*super().compute_output_shape(shape)[:-1], 2 * self.filters)

    network = open_network(sequential((LENGTH, 4), BothStrands(3, 5), layers.ReLU(name="act")))
    assert "both strands" in network.describe()
    assert "act (ReLU)" in network.banks[0].activation
    assert_reads_as_described(network)


def test_branches_that_are_joined_before_their_activation():
    keras.utils.set_random_seed(2)
    dna = keras.Input((LENGTH, 4))
    branches = [layers.Conv1D(n, width, padding="same", use_bias=False, name=f"conv{width}")(dna)
                for n, width in ((3, 3), (4, 7))]
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


def test_axes_overrule_a_schema_of_a_torch_model():
    module = Torch(nn1d, before=lambda x: x.permute(0, 2, 1))
    assert open_network(module, axes="L,4", length=LENGTH).layout.axes == ("L", "4")


def test_kernel_along_the_dummy_axis_is_not_taken_for_a_layout():
    module = Torch(lambda: nn.Conv2d(4, 3, (5, 1), padding="same", bias=False))
    network = open_network(module, length=LENGTH)
    assert network.layout.axes in (("4", "L", "1"),)
    assert_reads_as_described(network)


def functional_nested():
    keras.utils.set_random_seed(2)
    inner_input = keras.Input((LENGTH, 4))
    inner = keras.Model(inner_input, layers.ReLU()(layers.Conv1D(3, 5, name="conv", use_bias=False)(inner_input)),
                        name="encoder")
    outer = keras.Input((LENGTH, 4), name="dna")
    pooled = keras.Sequential([inner, layers.MaxPooling1D(2)])(outer)
    return keras.Model(outer, layers.Dense(1)(layers.Flatten()(pooled)))


def test_nested_models_are_opened():
    network = open_network(functional_nested())
    assert network.banks[0].layer.endswith("encoder/conv")
    assert_reads_as_described(network)


def test_subclassed_model():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = conv1d(), layers.Dense(1)

        def call(self, x):
            return self.dense(keras.ops.max(self.conv(x), axis=1))

    model = Model()
    model(np.zeros((1, LENGTH, 4), np.float32))
    assert_reads_as_described(open_network(model, length=LENGTH))


def test_open_length_follows_the_data():
    model = keras.Sequential([keras.Input((None, 4)), conv1d(6, padding="same", strides=2),
                              layers.GlobalMaxPooling1D()])
    network = open_network(model, length=LENGTH)
    assert network.length == LENGTH
    assert_reads_as_described(network)


@pytest.mark.parametrize("given", [
    lambda x: x[:, :, None], lambda x: [x[:, :, None]], lambda x: {"dna": x[:, :, None]}, lambda x: x,
    lambda x: x.transpose(0, 2, 1), lambda x: {"any": x}])
def test_open_length_follows_an_example(given):
    model = keras.Sequential([keras.Input((None, 1, 4), name="dna"), conv2d((5, 1)), layers.GlobalMaxPooling2D()])
    example = given(Layout.parse("L,4").encode(CODES))
    network = open_network(model, example=example)
    assert network.length == LENGTH
    np.testing.assert_array_equal(network.codes(example), CODES)
    assert_reads_as_described(network)
    assert open_network(model, example=example, length=40).length == 40


def test_parallel_convolutions_are_banks():
    keras.utils.set_random_seed(2)
    dna = keras.Input((LENGTH, 4))
    branches = [layers.Conv1D(3, width, padding="same", activation="relu", use_bias=False, name=f"conv{width}")(dna)
                for width in (3, 7)]
    network = open_network(keras.Model(dna, layers.Dense(1)(layers.Flatten()(layers.Concatenate()(branches)))))
    assert [bank.layer for bank in network.banks] == ["conv3", "conv7"]
    assert [bank.field.width for bank in network.banks] == [3, 7]
    for bank in range(2):
        assert_reads_as_described(network, bank)
    assert open_network(keras.Model(dna, layers.Concatenate()(branches)), layer="conv7").banks[0].layer == "conv7"


def test_other_inputs_pass_and_dna_is_chosen_by_shape():
    keras.utils.set_random_seed(2)
    extra, dna = keras.Input((7,), name="expression"), keras.Input((LENGTH, 4), name="dna")
    joined = layers.Concatenate()([layers.Flatten()(conv1d()(dna)), extra])
    network = open_network(keras.Model([extra, dna], layers.Dense(1)(joined)))
    assert network.input_name == "dna"
    assert_reads_as_described(network)
    x = network.layout.encode(CODES)
    alone = network.activations(x)[0]
    for inputs in ([np.ones((4, 7)), x], {"dna": x, "expression": np.ones((4, 7))}):
        np.testing.assert_array_equal(network.activations(inputs)[0], alone)


def test_torch_other_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = nn1d(), nn.Linear(3 + 7, 1)

        def forward(self, extra, dna):
            return self.dense(torch.cat([torch.relu(self.conv(dna)).amax(dim=2), extra], dim=1))

    dna = Layout.parse("4,L").encode(CODES)
    extra = np.ones((4, 7), np.float32)
    for example in ([extra, dna], {"extra": extra, "dna": dna}):
        network = open_network(Two(), example=example)
        assert network.activations(example)[0].shape == (4, LENGTH - 4, 3)
        assert_reads_as_described(network)


def test_both_strands_with_one_convolution():
    keras.utils.set_random_seed(2)
    dna, conv = keras.Input((LENGTH, 4)), conv1d()
    backwards = keras.ops.flip(keras.ops.flip(dna, 1), 2)
    out = layers.Maximum()([conv(backwards), keras.ops.flip(conv(dna), 1)])
    network = open_network(keras.Model(dna, layers.GlobalMaxPooling1D()(out)))
    assert len(network.banks) == 1
    assert "both strands" in network.describe()
    assert network.banks[0].field == ReceptiveField(0, 5, 1)
    assert_reads_as_described(network)


def test_reverse_complement_alone_is_given_on_the_forward_strand():
    dna = keras.Input((LENGTH, 4))
    out = conv1d()(keras.ops.flip(keras.ops.flip(dna, 1), 2))
    network = open_network(keras.Model(dna, layers.GlobalMaxPooling1D()(out)))
    assert "reverse complement" in network.describe()
    assert network.banks[0].field.step == -1
    assert_reads_as_described(network)


def test_alphabet_and_axes_can_be_set():
    network = open_network(KERAS["same"](), alphabet="AGCT", axes="(L, 4)")
    assert network.layout == Layout(("L", "4"), "AGCT")
    assert_reads_as_described(network)


@pytest.mark.parametrize("axes", ["L,4", "4,L", "4,1,L", "1,4,L", "L,1,4", "1,L,4", "flat", "4*L"])
def test_layout_round_trip(axes):
    layout = Layout.parse(axes, "TGCA")
    encoded = layout.encode(CODES)
    assert encoded.shape[1:] == layout.shape(LENGTH)
    np.testing.assert_array_equal(layout.decode(encoded), CODES)


def test_quarters_and_ties_are_no_base():
    rows = np.array([[[0.25] * 4, [0, 0.5, 0.5, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]]])
    assert Layout.parse("L,4").decode(rows).tolist() == [[4, 4, 4, 2, 3]]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), axes=st.sampled_from(["L,4", "4,L", "1,4,L", "4*L"]),
       dtype=st.sampled_from([np.float32, np.float64, np.float16, np.int8, bool]), shift=st.sampled_from([0, -0.25]),
       alphabet=st.permutations("ACGT").map("".join))
def test_decoding_takes_the_one_largest(seed, axes, dtype, shift, alphabet):
    """Any rows of zeros, ones, halves and quarters, in any order of bases, and centred ones."""
    random = np.random.default_rng(seed)
    rows = random.choice([0, 0, 0, 0.25, 0.5, 1], (3, 6, 4)).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        rows = rows + dtype(shift)
    expected = [[letter_of(row, alphabet) for row in sequence] for sequence in rows]
    layout = Layout.parse(axes, alphabet)
    assert layout.decode(layout.from_one_hot(rows)).tolist() == expected


def letter_of(row, alphabet):
    best = [base for base, value in zip(alphabet, row, strict=True) if value == max(row)]
    return "ACGT".index(best[0]) if len(best) == 1 else 4


@pytest.mark.parametrize("axes", ["L", "L,L,4", "L,5", "4,4"])
def test_wrong_axes(axes):
    with pytest.raises(InputError, match="axes"):
        Layout.parse(axes)


def stacked():
    keras.utils.set_random_seed(4)
    dna = keras.Input((40, 4))
    x = layers.Conv1D(4, 5, padding="same", activation="relu", name="one")(dna)
    x = layers.MaxPooling1D(2)(x)
    y = layers.Conv1D(4, 3, padding="same", activation="relu", name="two")(x)
    x = layers.Add()([x, y])
    x = layers.Conv1D(3, 3, dilation_rate=2, name="three")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    out = layers.Conv1D(2, 3, name="late")(layers.RepeatVector(5)(layers.Dense(6)(layers.Flatten()(x))))
    return keras.Model(dna, layers.Flatten()(out))


def changed_positions(network, model_input, position):
    """Positions of the feature map that change when one base does."""
    one = network.activations(model_input)[0]
    other = model_input.copy()
    other[:, position] = np.roll(other[:, position], 1, axis=-1)
    return np.flatnonzero((network.activations(other)[0] != one).any(axis=(0, 2)))


@pytest.mark.parametrize(("layer", "field"), [("two", ReceptiveField(-4, 10, 2)), ("three", ReceptiveField(-4, 18, 2))])
def test_deeper_receptive_field(layer, field):
    network = open_network(stacked(), layer=layer)
    bank = network.banks[0]
    assert bank.field == field
    assert bank.kernels is None
    codes = np.random.default_rng(0).integers(0, 4, (64, 40)).astype(np.uint8)
    x = network.layout.encode(codes)
    seen = np.zeros((40, bank.n_positions), bool)
    for position in range(40):
        seen[position, changed_positions(network, x, position)] = True
    for i in range(bank.n_positions):
        reach = np.flatnonzero(seen[:, i])
        start = field.start + field.step * i
        assert reach.min() >= max(start, 0)
        assert reach.max() <= min(start + field.width, 40) - 1
    middle = bank.n_positions // 2
    reach = np.flatnonzero(seen[:, middle])
    assert (reach.min(), reach.max()) == (field.start + field.step * middle,
                                          field.start + field.step * middle + field.width - 1)


def test_torch_deeper_receptive_field():
    module = nn.Sequential(nn.Conv1d(4, 5, 7, padding=3), nn.ReLU(), nn.MaxPool1d(3), nn.Conv1d(5, 2, 4), nn.ELU())
    network = open_network(module, length=60, layer="3")
    assert network.banks[0].field == ReceptiveField(-3, 7 + 2 + 3 * 3, 3)


def test_layer_that_sees_everything_is_refused():
    with pytest.raises(InputError, match=r"late .* mixes distant positions"):
        open_network(stacked(), layer="late")


def test_unknown_layer_lists_the_convolutions():
    with pytest.raises(InputError, match=r"the convolutions are: one, two, three, late"):
        open_network(stacked(), layer="four")


@pytest.mark.parametrize(("make", "reason"), [
    (lambda: sequential((LENGTH, 5), conv1d()), "no axis of size 4"),
    (lambda: sequential((LENGTH, 4), layers.Dense(3)), "no convolution uses this input"),
    (lambda: sequential((LENGTH, 4), layers.LSTM(4, return_sequences=True), conv1d()), "change the sequence"),
    (lambda: sequential((28, 28, 3), layers.Conv2D(3, 3)), "no axis of size 4"),
    (lambda: sequential((24,), layers.Embedding(5, 4), conv1d()), "do not take one-hot sequences"),
    (lambda: nn.Sequential(nn.Conv1d(5, 3, 3)), "no convolution of this model reads DNA"),
    (lambda: nn.Sequential(nn.Linear(4, 3)), "no convolution"),
    (lambda: object(), "shows no layers"),
])
def test_refusals(make, reason):
    with pytest.raises(InputError, match=reason) as error:
        open_network(make())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_bare_files(tmp_path, suffix):
    path = tmp_path / f"network{suffix}"
    model = KERAS["same"]()
    model.save(path)
    network = open_network(path)
    assert_reads_as_described(network)
    np.testing.assert_array_equal(network.banks[0].kernels, open_network(model).banks[0].kernels)


def test_keras_2_file(tmp_path):
    """A file as Keras 2 wrote it: the input's shape inside the first layer, old class names."""
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    conv = {"class_name": "Conv1D", "config": {
        "name": "conv1d_1", "trainable": True, "batch_input_shape": [None, LENGTH, 4], "dtype": "float32",
        "filters": 3, "kernel_size": [5], "strides": [1], "padding": "valid", "data_format": "channels_last",
        "dilation_rate": [1], "activation": "relu", "use_bias": False,
        "kernel_initializer": {"class_name": "VarianceScaling", "config": {
            "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
        "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None}}
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [conv]}}).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"conv1d_1"]
        weights.attrs["keras_version"], weights.attrs["backend"] = b"2.2.4", b"tensorflow"
        group = weights.create_group("conv1d_1")
        group.attrs["weight_names"] = [b"conv1d_1/kernel:0"]
        group.create_dataset("conv1d_1/kernel:0", data=kernel)
    network = open_network(path)
    np.testing.assert_array_equal(network.banks[0].kernels, kernel.transpose(2, 0, 1))
    assert_reads_as_described(network)


def with_lambda():
    return sequential((LENGTH, 4), layers.Lambda(lambda x: x * 2), conv1d())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_is_not_run(tmp_path, suffix):
    path = tmp_path / f"lambda{suffix}"
    with_lambda().save(path)
    with pytest.raises(InputError, match="Lambda") as error:
        open_network(path)
    assert "\n" not in str(error.value)


@keras.saving.register_keras_serializable("strangers")
class Foreign(layers.Layer):
    pass


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_custom_objects_are_named(tmp_path, suffix):
    path = tmp_path / f"custom{suffix}"
    sequential((LENGTH, 4), Foreign(), conv1d()).save(path)
    registered = keras.saving.get_custom_objects().pop("strangers>Foreign")
    try:
        if suffix == ".keras":  # or Keras would find the class where the file says it lies
            move_module(path)
        with pytest.raises(InputError, match="Foreign"):
            open_network(path)
    finally:
        keras.saving.get_custom_objects()["strangers>Foreign"] = registered


def move_module(path):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(__name__.encode(), b"elsewhere")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_broken_files(tmp_path):
    whole = tmp_path / "whole.keras"
    KERAS["same"]().save(whole)
    for name in ("cut.keras", "cut.h5"):
        path = tmp_path / name
        path.write_bytes(whole.read_bytes()[:500])
        with pytest.raises(InputError, match="cut off"):
            open_network(path)
    weights = tmp_path / "only.weights.h5"
    KERAS["same"]().save_weights(weights)
    with pytest.raises(InputError, match="weights without a network"):
        open_network(weights)
    torch.save(nn1d().state_dict(), tmp_path / "module.pt")
    with pytest.raises(InputError, match="without a network"):
        open_network(tmp_path / "module.pt")
    with pytest.raises(InputError, match="no such file"):
        open_network(tmp_path / "none.keras")


MODEL_YAML = """\
defined_as: {defined_as}
args: {args}
default_dataloader: .
info: {{authors: [{{name: A}}], doc: test}}
schema:
  inputs: {{name: seq, shape: "{shape}", doc: DNA, special_type: DNASeq}}
  targets: {{name: y, shape: "(1, )", doc: y}}
"""
LOADER_YAML = """\
type: Dataset
defined_as: loader.Loader
args: {}
info: {authors: [{name: A}], doc: test}
output_schema:
  inputs: {name: seq, shape: "(4, 23)", doc: DNA}
"""


def kipoi_model(folder, **fields):
    folder.mkdir()
    (folder / "model.yaml").write_text(MODEL_YAML.format(**fields))
    (folder / "dataloader.yaml").write_text(LOADER_YAML)
    (folder / "loader.py").write_text("from kipoi.data import Dataset\nclass Loader(Dataset):\n    pass\n")
    return folder


def test_kipoi_pytorch_model(tmp_path):
    folder = kipoi_model(tmp_path / "torch", defined_as="kipoi.model.PyTorchModel", shape="(4, 23)",
                         args="{weights: weights.pt, module_file: module.py, module_class: Net}")
    (folder / "module.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv1d(4, 3, 5, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(57, 1))\n")
    torch.manual_seed(0)
    module = nn.Sequential(nn1d(), nn.ReLU(), nn.Flatten(), nn.Linear(57, 1))
    torch.save(module.state_dict(), folder / "weights.pt")
    network = open_network(str(folder))
    assert (network.framework, network.length) == ("PyTorch", 23)
    np.testing.assert_array_equal(network.banks[0].kernels, module[0].weight.detach().numpy().transpose(0, 2, 1))
    assert_reads_as_described(network)


def test_pickled_models_are_refused_before_they_are_opened(tmp_path):
    folder = kipoi_model(tmp_path / "sklearn", defined_as="kipoi.model.SklearnModel", shape="(4, 23)",
                         args="{pkl_file: model.pkl}")
    (folder / "model.pkl").write_bytes(b"not even a pickle")
    with pytest.raises(InputError, match="scikit-learn"):
        open_network(str(folder))


def test_unknown_kipoi_model(tmp_path):
    with pytest.raises(InputError, match="no Kipoi model"):
        open_network(str(tmp_path / "nothing"), source="dir")


def test_axes_that_fit_no_input():
    with pytest.raises(InputError, match=r"axes '4,L' fit no input of this model \(.*\(23, 4\)\)"):
        open_network(KERAS["valid"](), axes="4,L")


def test_kipoi_model_with_a_broken_description(tmp_path):
    folder = kipoi_model(tmp_path / "broken", defined_as="kipoi.model.PyTorchModel", shape="[4, 23]", args="{}")
    with pytest.raises(InputError, match=r"broken/model\.yaml: Kipoi cannot read it"):
        open_network(str(folder))
