"""Measuring the convolution that reads DNA: axis orders, frameworks, padding, wrappers, inputs."""

import numpy as np
import pytest
from support.tiny_networks import (
    CODES,
    KERAS,
    LENGTH,
    Torch,
    assert_reads_as_described,
    conv1d,
    conv2d,
    keras,
    layers,
    nn,
    nn1d,
    sequential,
    torch,
)

from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.layout import Layout
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.types import ReceptiveField


@pytest.mark.parametrize("name", KERAS)
def test_keras_layouts_and_geometry(name):
    assert_reads_as_described(open_network(KERAS[name]()))


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
    "squeezed": (
        lambda: Torch(
            lambda: nn.Conv2d(4, 3, (1, 5), bias=False), after=lambda x: torch.relu(x.squeeze(2).transpose(1, 2))
        ),
        "41L",
    ),
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
    np.testing.assert_allclose(ablation.predictions(), model.predict_on_batch([given["tissue"], x]), atol=1e-5)


@pytest.mark.parametrize(
    ("first", "scale"),
    [(layers.BatchNormalization, 1 / np.sqrt(1 + 1e-3)), (lambda: layers.Rescaling(2.0, offset=-0.5), 2.0)],
)
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
            np.eye(4, dtype=np.float32)[np.arange(LENGTH) % 4][None]
        )[0, :4]
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


def functional_nested():
    keras.utils.set_random_seed(2)
    inner_input = keras.Input((LENGTH, 4))
    inner = keras.Model(
        inner_input, layers.ReLU()(layers.Conv1D(3, 5, name="conv", use_bias=False)(inner_input)), name="encoder"
    )
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
    model = keras.Sequential(
        [keras.Input((None, 4)), conv1d(6, padding="same", strides=2), layers.GlobalMaxPooling1D()]
    )
    network = open_network(model, length=LENGTH)
    assert network.length == LENGTH
    assert_reads_as_described(network)


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x[:, :, None],
        lambda x: [x[:, :, None]],
        lambda x: {"dna": x[:, :, None]},
        lambda x: x,
        lambda x: x.transpose(0, 2, 1),
        lambda x: {"any": x},
    ],
)
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
    branches = [
        layers.Conv1D(3, width, padding="same", activation="relu", use_bias=False, name=f"conv{width}")(dna)
        for width in (3, 7)
    ]
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
