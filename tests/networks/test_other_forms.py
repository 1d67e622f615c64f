"""Networks in forms of their own: strands in one batch, signals beside the DNA, long ones, scripts, Keras 2."""

import os

import numpy as np
import pytest
from oracles.filters_reference import scores
from support.tiny_networks import (
    CODES,
    LENGTH,
    MANY,
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
from kipoi_motifrep.networks.layout import Layout
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.measuring import CROPPED
from kipoi_motifrep.networks.types import ReceptiveField
from kipoi_motifrep.networks.untrained import untrained_copy


class BothStrands(Torch):
    """As DeepSEA's predict: the strands one behind the other in the batch, or side by side."""

    def __init__(self, together):
        super().__init__(nn1d)
        self.together = together

    def forward(self, x):
        n, other = len(x), x.flip([1, 2])
        both = torch.stack([x, other], 1).flatten(0, 1) if self.together else torch.cat([x, other])
        h = torch.relu(self.conv(both)).amax(dim=2)
        return h.unflatten(0, (n, 2)).mean(1) if self.together else (h[:n] + h[n:]) / 2


@pytest.mark.parametrize("together", [False, True])
def test_two_strands_in_one_batch(together):
    model = BothStrands(together)
    network = open_network(model, length=LENGTH)
    assert len(network.banks) == 1
    assert "applied 2 times, to both strands" in network.describe()
    assert network.banks[0].field == ReceptiveField(0, 5, 1)
    for codes in (MANY, MANY[:1]):
        assert_reads_as_described(network, codes=codes)
    # A filter is replaced on both strands; its largest activation is that on either.
    ablation, x = Ablation(network), network.layout.encode(MANY)
    ablation.begin(x)
    with torch.no_grad():
        maps = [torch.relu(model.conv(torch.as_tensor(one))) for one in (x, x[:, ::-1, ::-1].copy())]
        np.testing.assert_allclose(ablation.maxima(), np.maximum(*(one.amax(2).numpy() for one in maps)), atol=1e-5)
        for one in maps:
            one[:, 1] = 0.25
        np.testing.assert_allclose(ablation.replaced(1, 0.25), sum(one.amax(2).numpy() for one in maps) / 2, atol=1e-5)


@pytest.mark.parametrize(("axes", "channels"), [("L4", "0:4"), ("4L", "2:6")])
def test_signals_beside_the_dna(axes, channels):
    first = int(channels[0])
    before = [layers.Permute((2, 1))] if axes == "4L" else []
    model = sequential((LENGTH, 6) if axes == "L4" else (6, LENGTH), *before, conv1d())
    with pytest.raises(InputError, match="dna_channels=A:B with the four that are, like 0:4"):
        open_network(model)
    network = open_network(model, dna_channels=channels)
    assert "".join(network.layout.axes) == axes
    assert_reads_as_described(network)
    kernel = model.get_layer("first").get_weights()[0]
    np.testing.assert_array_equal(network.banks[0].kernels, kernel[:, first : first + 4].transpose(2, 0, 1))
    # Signals that are given reach the network; without, they are zero, and that is said.
    x = network.layout.encode(CODES)
    signals = x.copy()
    beside = (first + 4) % 6
    signals[(slice(None), slice(None), beside) if axes == "L4" else (slice(None), beside)] = 0.5
    assert (network.activations(signals)[0] != network.activations(x)[0]).any()
    assert not network.not_given(signals)
    assert "signals beside the DNA" in network.not_given(Layout.parse("L,4").encode(CODES))[0]
    np.testing.assert_array_equal(network.codes(signals), CODES)
    # A loader's own batch shows which channels are one-hot.
    assert open_network(model, example=signals).layout == network.layout
    # One in which none is does not.
    signals[...] = 1
    with pytest.raises(InputError, match="dna_channels=A:B"):
        open_network(model, example=signals)


@pytest.mark.parametrize("channels", ["0:3", "4", "a:b"])
def test_channels_that_are_none(channels):
    with pytest.raises(InputError, match="four channels in a row"):
        open_network(sequential((LENGTH, 6), conv1d()), dna_channels=channels)


def test_order_of_bases_that_nothing_states_is_assumed():
    model = sequential((LENGTH, 4), conv1d())
    assert "(L, 4) ACGT, assumed," in open_network(model).describe()
    assert "(L, 4) ACGT, kernel" in open_network(model, alphabet="ACGT").describe()


def test_the_activation_can_be_named():
    model = sequential(
        (LENGTH, 4),
        layers.Conv1D(3, 5, use_bias=False),
        layers.ReLU(name="one"),
        layers.Rescaling(2.0, name="two"),
        layers.Activation("tanh", name="three"),
    )
    given = open_network(model, activation="two").activations(Layout.parse("L,4").encode(CODES))[0]
    expected = open_network(model).activations(Layout.parse("L,4").encode(CODES))[0]
    np.testing.assert_allclose(given, 2 * expected, atol=1e-6)
    with pytest.raises(InputError, match=r"no activation 'four' follows it; these follow: .*one, two, three"):
        open_network(model, activation="four")


LONG = {
    "valid, stride 3": {"strides": 3},
    "same": {"padding": "same"},
    "dilated": {"padding": "same", "dilation_rate": 4},
    "even, stride 2": {"padding": "same", "strides": 2},
}


@pytest.mark.parametrize("framework", ["Keras", "PyTorch"])
@pytest.mark.parametrize("name", LONG)
def test_parts_of_long_sequences_say_what_the_whole_does(name, framework):
    length, filters = 2001, 1 + CROPPED // 500
    options = LONG[name]
    if framework == "Keras":
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [
                keras.Input((length, 4)),
                layers.Conv1D(filters, 6, activation="relu", **options),
                layers.GlobalMaxPooling1D(),
            ]
        )
    else:
        padding = 7 if options.get("padding") else 0
        torch.manual_seed(5)
        model = nn.Sequential(
            nn.Conv1d(
                4,
                filters,
                6,
                padding=padding,
                stride=options.get("strides", 1),
                dilation=options.get("dilation_rate", 1),
            ),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(1),
        )
    network = open_network(model, length=length)
    codes = np.random.default_rng(0).integers(0, 4, (1, length)).astype(np.uint8)
    given = network.activations(network.layout.encode(codes))[0]
    bank = network.banks[0]
    bias = model.layers[0].get_weights()[1] if framework == "Keras" else model[0].bias.numpy(force=True)
    expected = scores(codes, bank.kernels[:3], bank.field.start, bank.field.step, bank.n_positions)
    np.testing.assert_allclose(given[:, :, :3], np.maximum(expected + bias[:3], 0), atol=1e-5)


def test_layers_do_not_run_where_an_input_alone_is_wanted():
    calls = []

    def counted(x):
        calls.append(x)
        return x

    network = open_network(Torch(nn1d, before=counted), length=LENGTH)
    before, x = len(calls), network.layout.encode(CODES)
    (found,) = network.forward.run({network.input_name: x}, [0])
    np.testing.assert_array_equal(found, x)
    assert len(calls) == before


def test_torchscript():
    module = Torch(nn1d)
    module.before, module.after = nn.Identity(), nn.ReLU()
    for script in (torch.jit.script(module), torch.jit.trace(module, torch.zeros(2, 4, LENGTH))):
        network = open_network(script, length=LENGTH)
        assert network.banks[0].layer == "conv"
        assert_reads_as_described(network, codes=MANY)
        ablation = Ablation(network)
        ablation.begin(network.layout.encode(MANY))
        expected = module(torch.as_tensor(network.layout.encode(MANY))).detach().numpy()
        np.testing.assert_allclose(ablation.predictions()[:, 0], expected, atol=1e-5)


def test_model_of_keras_2():
    keras_2 = pytest.importorskip("tf_keras")
    model = keras_2.Sequential(
        [
            keras_2.Input((LENGTH, 4)),
            keras_2.layers.Conv1D(3, 5, use_bias=False, padding="same", name="first"),
            keras_2.layers.BatchNormalization(name="norm"),
            keras_2.layers.Activation("relu", name="act"),
            keras_2.layers.Bidirectional(keras_2.layers.LSTM(2)),
            keras_2.layers.Dense(2),
        ]
    )
    network = open_network(model)
    bank = network.banks[0]
    assert (bank.layer, bank.activation) == ("first", "norm (BatchNormalization), act (relu)")
    x = network.layout.encode(MANY)
    expected = keras_2.Model(model.inputs, model.get_layer("act").output).predict_on_batch(x)
    np.testing.assert_allclose(network.activations(x)[0], expected, atol=1e-5)
    np.testing.assert_array_equal(bank.kernels, model.get_layer("first").get_weights()[0].transpose(2, 0, 1))
    ablation = Ablation(network)
    ablation.begin(x)
    np.testing.assert_allclose(ablation.predictions(), model.predict_on_batch(x), atol=1e-5)
    fresh = untrained_copy(model)
    assert (fresh.get_weights()[0] != model.get_weights()[0]).any()


KERAS_ON_TORCH = """
import keras, numpy as np
from keras import layers
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.loading import open_network
model = keras.Sequential([keras.Input((50, 4)), layers.Conv1D(5, 7, padding="same", name="first"),
                          layers.BatchNormalization(), layers.Activation("relu"), layers.Flatten(), layers.Dense(2)])
network = open_network(model)
bank, ablation = network.banks[0], Ablation(network)
x = network.layout.encode(np.random.default_rng(0).integers(0, 4, (3, 50)).astype(np.uint8))
ablation.begin(x)
np.testing.assert_allclose(ablation.predictions(), model.predict_on_batch(x), atol=1e-5)
np.testing.assert_array_equal(bank.kernels, model.layers[0].get_weights()[0].transpose(2, 0, 1))
print(bank.layer, bank.field.start, network.length)
"""


def test_keras_on_pytorch(run_python):
    done = run_python("-c", KERAS_ON_TORCH, env={**os.environ, "KERAS_BACKEND": "torch"})
    assert done.stdout.split() == ["first", "-3", "50"], done.stderr
