"""What a network's outputs are before their sigmoid or softmax."""

import numpy as np
import pytest

from kipoi_motifrep import InputError, open_network
from kipoi_motifrep.networks.logits import Logits, log_odds

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
nn = torch.nn
layers = keras.layers

LENGTH = 20
ONE_HOT = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (9, LENGTH))]


class Torch(nn.Module):
    """A convolution, a dense layer, and an end; the end's input is remembered."""

    def __init__(self, end, n=3):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.dense, self.end = nn.Conv1d(4, 6, 5), nn.Linear(6, n), end

    def forward(self, x):
        self.before = self.dense(torch.relu(self.conv(x)).amax(dim=2))
        return self.end(self.before)


def logit(p):
    return np.log(p / (1 - p))


ENDS = {
    "sigmoid": (torch.sigmoid, "logit", lambda z: z),
    "sigmoid as a module, reshaped": (
        lambda z: nn.Sigmoid()(z).reshape(len(z), 1, 3).squeeze(1), "logit", lambda z: z,
    ),
    "in place": (lambda z: (z + 0).sigmoid_(), "logit", lambda z: z),
    "two heads": (
        lambda z: (torch.sigmoid(z), z + 1), ("logit",) * 3 + ("output",) * 3, lambda z: np.hstack([z, z + 1]),
    ),
    "softmax": (lambda z: torch.softmax(z, 1), "logit", lambda z: logit(np.exp(z) / np.exp(z).sum(1, keepdims=True))),
    "log softmax": (
        lambda z: torch.log_softmax(z, 1), "logit", lambda z: logit(np.exp(z) / np.exp(z).sum(1, keepdims=True)),
    ),
    "by hand": (lambda z: 1 / (1 + torch.exp(-z)), "logit of the prediction", lambda z: z),
    "mean of two": (
        lambda z: (torch.sigmoid(z) + torch.sigmoid(2 * z)) / 2,
        "logit of the prediction",
        lambda z: logit((1 / (1 + np.exp(-z)) + 1 / (1 + np.exp(-2 * z))) / 2),
    ),
    "regression": (lambda z: z, "output", lambda z: z),
    "counts": (lambda z: torch.exp(z / 9), "output", lambda z: np.exp(z / 9)),
    "one, without an axis": (lambda z: torch.sigmoid(z[:, 0]), ("logit",), lambda z: z[:, :1]),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_what_is_before_the_end(name):
    end, units, expected = ENDS[name]
    module = Torch(end)
    logits = Logits(open_network(module, length=LENGTH))
    assert logits.units == ((units,) * 3 if isinstance(units, str) else units)
    found = logits(ONE_HOT)
    module(torch.from_numpy(ONE_HOT.transpose(0, 2, 1)))
    np.testing.assert_allclose(found, expected(module.before.detach().numpy().astype(float)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits(ONE_HOT[:1]), found[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_keras(activation):
    keras.utils.set_random_seed(2)
    body = keras.Sequential(
        [keras.Input((LENGTH, 4)), layers.Conv1D(3, 5, activation="relu"), layers.GlobalMaxPooling1D(), layers.Dense(2)]
    )
    model = keras.Sequential([keras.Input((LENGTH, 4)), body, layers.Activation(activation)])
    logits = Logits(open_network(model))
    assert logits.units == ("logit", "logit")
    z = np.asarray(body(ONE_HOT))
    expected = z if activation == "sigmoid" else (z[:, :1] - z[:, 1:]) * [1, -1]
    np.testing.assert_allclose(logits(ONE_HOT), expected, rtol=1e-4, atol=1e-5)


def test_outputs_with_positions_are_averaged():
    module = nn.Sequential(nn.Conv1d(4, 2, 5), nn.ReLU(), nn.Conv1d(2, 3, 3), nn.Sigmoid())
    found = Logits(open_network(module, length=LENGTH))(ONE_HOT)
    z = module[:3](torch.from_numpy(ONE_HOT.transpose(0, 2, 1))).detach().numpy()
    np.testing.assert_allclose(found, z.mean(axis=2), rtol=1e-4, atol=1e-5)


def test_a_network_without_outputs():
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 2, 3)

        def forward(self, x):
            torch.relu(self.conv(x))
            return ()

    with pytest.raises(InputError, match="no outputs"):
        Logits(open_network(Silent(), length=LENGTH))


def test_a_network_that_was_opened_in_part():
    model = keras.Sequential([keras.Input((LENGTH, 4)), layers.Conv1D(3, 5, activation="relu")])
    model.left_out = "layer 'own' and what follows it are left out, since it is code"
    with pytest.raises(InputError, match="no predictions: layer 'own'"):
        Logits(open_network(model))


def test_log_odds_do_not_saturate():
    np.testing.assert_allclose(log_odds(np.array([[25.0, 0.0, 0.0]]), 1)[0, 0], 25 - np.log(2), rtol=1e-4)
    assert np.isfinite(log_odds(np.array([[2000.0, -2000.0], [0.0, 0.0]]), 1)).all()
