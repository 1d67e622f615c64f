"""The 17 networks: as large and as shaped as the paper's table says."""

import random

import keras
import numpy as np
import pytest

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.training.architectures import ARCHITECTURES, build, select

# name: trainable parameters at 200 bp and 12 outputs; conv1 filters and width, pool1 (width, stride); conv2 filters and
# width, pool2; hidden units (Koo & Eddy 2019; the filters of cnn_25_60/90/120 are those of their names).
PAPER = {
    "cnn_1": (160_048, (30, 19), None, (128, 5), (100, 100), 512),
    "cnn_2": (160_048, (30, 19), (2, 2), (128, 5), (50, 50), 512),
    "cnn_4": (160_048, (30, 19), (4, 4), (128, 5), (25, 25), 512),
    "cnn_10": (160_048, (30, 19), (10, 10), (128, 5), (10, 10), 512),
    "cnn_25": (160_048, (30, 19), (25, 25), (128, 5), (4, 4), 512),
    "cnn_50": (160_048, (30, 19), (50, 50), (128, 5), (2, 2), 512),
    "cnn_100": (160_048, (30, 19), (100, 100), (128, 5), None, 512),
    "cnn_50_2": (25_712, (30, 19), (50, 2), (64, 5), (50, 50), 96),
    "cnn9_4": (158_848, (30, 9), (4, 4), (128, 5), (25, 25), 512),
    "cnn9_25": (158_848, (30, 9), (25, 25), (128, 5), (4, 4), 512),
    "cnn3_2": (158_128, (30, 3), (2, 2), (128, 5), (50, 50), 512),
    "cnn3_50": (158_128, (30, 3), (50, 50), (128, 5), (2, 2), 512),
    "cnn_2_1": (144_688, (30, 19), (2, 2), (128, 1), (50, 50), 512),
    "cnn_25_60": (181_588, (60, 19), (25, 25), (128, 5), (4, 4), 512),
    "cnn_25_90": (203_128, (90, 19), (25, 25), (128, 5), (4, 4), 512),
    "cnn_25_120": (224_668, (120, 19), (25, 25), (128, 5), (4, 4), 512),
    "cnn_1_3": (242_224, (30, 19), None, (128, 5), None, 512),
}


@pytest.fixture(scope="module", params=PAPER)
def network(request):
    return build(request.param)


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_the_table_is_the_papers():
    assert list(ARCHITECTURES) == list(PAPER)


def test_trainable_parameters(network):
    assert count(network.trainable_weights) == PAPER[network.name][0]


def convolution(layer):
    return layer.filters, layer.kernel_size[0]


def pooling(network, name):
    layer = next((layer for layer in network.layers if layer.name == name), None)
    return None if layer is None else (layer.pool_size[0], layer.strides[0])


def test_architecture(network):
    _, conv1, pool1, conv2, pool2, dense = PAPER[network.name]
    assert convolution(network.get_layer("conv1")) == conv1 and convolution(network.get_layer("conv2")) == conv2
    assert pooling(network, "conv1_pool") == pool1 and pooling(network, "conv2_pool") == pool2
    assert pooling(network, "conv3_pool") == ((100, 100) if network.name == "cnn_1_3" else None)
    assert network.get_layer("dense").units == dense
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv1D):
            expected = "valid" if (network.name, layer.name) == ("cnn_2_1", "conv2") else "same"
            assert not layer.use_bias and layer.padding == expected
        if isinstance(layer, keras.layers.MaxPooling1D):
            assert layer.padding == "same"
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.epsilon == 1e-8 and layer.momentum == 0.99
    assert not network.get_layer("dense").use_bias and network.get_layer("logits").use_bias
    drops = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert drops == [0.1] * (len(drops) - 1) + [0.5]


def test_order_and_names_of_layers(network):
    names = [layer.name for layer in network.layers]
    blocks = 3 if network.name == "cnn_1_3" else 2
    expected = ["sequence"]
    for i in range(1, blocks + 1):
        expected += [f"conv{i}", f"conv{i}_norm", f"conv{i}_activation", f"conv{i}_pool", f"conv{i}_dropout"]
    expected += ["flatten", "dense", "dense_norm", "dense_activation", "dense_dropout", "logits", "output"]
    assert [name for name in expected if name in names or not name.endswith("_pool")] == names


def test_weight_decay_on_kernels_dense_weights_and_output_bias_only(network):
    decayed = {}
    for layer in network.layers:
        for kind in ("kernel", "bias", "gamma", "beta"):
            regularizer = getattr(layer, f"{kind}_regularizer", None)
            if regularizer is not None:
                decayed.setdefault(layer.name, set()).add(kind)
                assert float(regularizer.l2) == pytest.approx(1e-6)
    blocks = [name for name in ("conv1", "conv2", "conv3") if name in {layer.name for layer in network.layers}]
    assert decayed == {**{name: {"kernel"} for name in [*blocks, "dense"]}, "logits": {"kernel", "bias"}}


@pytest.mark.parametrize(
    "name, length, n_outputs",
    [
        *((name, 200, 12) for name in PAPER),
        *((name, 1000, 3) for name in ("cnn_1", "cnn_25", "cnn_50_2", "cnn_100", "cnn_2_1", "cnn_1_3")),
    ],
)
def test_outputs_are_probabilities_of_every_label(name, length, n_outputs):
    network = build(name, length, n_outputs)
    assert network.input_shape == (None, length, 4) and network.output_shape == (None, n_outputs)
    predictions = np.asarray(network(np.eye(4, dtype=np.float32)[np.zeros((2, length), int)], training=False))
    assert predictions.shape == (2, n_outputs) and ((predictions > 0) & (predictions < 1)).all()


def test_flatten_is_position_major():
    network = build("cnn_25")
    outputs = [network.get_layer(name).output for name in ("conv2_dropout", "flatten")]
    flat = keras.Model(network.inputs[0], outputs)
    maps, flattened = map(np.asarray, flat(np.random.default_rng(0).random((2, 200, 4), np.float32)))
    np.testing.assert_array_equal(flattened, maps.reshape(2, -1))


@pytest.mark.parametrize("first, function", [("relu", lambda x: np.maximum(x, 0)), ("exponential", np.exp)])
def test_the_first_activation_can_be_chosen(first, function):
    network = build("cnn_2", first_activation=first)
    names = ("conv1_norm", "conv1_activation", "conv2_norm", "conv2_activation")
    inner = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names])
    before, after, before2, after2 = map(np.asarray, inner(np.random.default_rng(0).random((2, 200, 4), np.float32)))
    np.testing.assert_allclose(after, function(before), rtol=1e-5)
    np.testing.assert_allclose(after2, np.maximum(before2, 0))


def test_a_seed_gives_what_it_gives_keras_and_nothing_else_does():
    keras.utils.set_random_seed(5)
    expected = build("cnn_1_3")
    random.seed(6)
    one = build("cnn_1_3", seed=5)
    for found, weights in zip(one.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(found, weights)
    x = np.random.default_rng(0).random((2, 200, 4), np.float32)
    np.testing.assert_array_equal(one(x, training=True), expected(x, training=True))  # the same dropout
    other = build("cnn_1_3", seed=6)
    assert (other.get_layer("conv1").get_weights()[0] != one.get_layer("conv1").get_weights()[0]).any()
    assert build("cnn_1_3").get_layer("conv1").get_config()["kernel_initializer"]["config"]["seed"] is None


def test_weights_are_fresh_and_glorot_uniform():
    keras.utils.set_random_seed(1)
    one, other = build("cnn_2"), build("cnn_2")
    kernel = one.get_layer("dense").get_weights()[0]
    assert (kernel != other.get_layer("dense").get_weights()[0]).any()
    limit = (6 / sum(kernel.shape)) ** 0.5
    assert abs(kernel).max() <= limit and abs(kernel).max() > 0.99 * limit and abs(kernel.mean()) < 0.01 * limit


def test_names_are_checked():
    assert select(["all"]) == list(PAPER) and select(["cnn_4", "cnn_2"]) == ["cnn_4", "cnn_2"]
    assert select(["cnn_4", "cnn_2", "cnn_4"]) == ["cnn_4", "cnn_2"]
    for names in (["cnn_3"], ["cnn_2", "CNN-4"], ["all", "cnn_2"]):
        with pytest.raises(InputError, match=r"there is no architecture .*choose from cnn_1, cnn_2, .* or all"):
            select(names)
    for name in ("cnn", "all"):
        with pytest.raises(InputError, match=f"there is no architecture '{name}'"):
            build(name)
