"""Receptive fields of deeper convolutions, and what is refused."""

import numpy as np
import pytest
from support.tiny_networks import LENGTH, conv1d, keras, layers, nn, sequential

from kipoi_motifrep import InputError
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.types import ReceptiveField


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
    assert (reach.min(), reach.max()) == (
        field.start + field.step * middle,
        field.start + field.step * middle + field.width - 1,
    )


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


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: sequential((LENGTH, 5), conv1d()), "no axis of size 4"),
        (lambda: sequential((LENGTH, 4), layers.Dense(3)), "no convolution uses this input"),
        (lambda: sequential((LENGTH, 4), layers.LSTM(4, return_sequences=True), conv1d()), "change the sequence"),
        (lambda: sequential((28, 28, 3), layers.Conv2D(3, 3)), "no axis of size 4"),
        (lambda: sequential((24,), layers.Embedding(5, 4), conv1d()), "do not take one-hot sequences"),
        (lambda: nn.Sequential(nn.Conv1d(5, 3, 3)), "no convolution of this model reads DNA"),
        (lambda: nn.Sequential(nn.Linear(4, 3)), "no convolution"),
        (lambda: object(), "shows no layers"),
    ],
)
def test_refusals(make, reason):
    with pytest.raises(InputError, match=reason) as error:
        open_network(make())
    assert "\n" not in str(error.value)
