"""Tiny networks in both frameworks, and the test that one is read as it computes."""

import numpy as np
import pytest
from oracles.filters_reference import scores

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
    "depthwise": lambda: sequential(
        (LENGTH, 4), layers.DepthwiseConv1D(5, depth_multiplier=2, use_bias=False, activation="relu")
    ),
    "separable": lambda: sequential((LENGTH, 4), layers.SeparableConv1D(3, 5, use_bias=False, activation="relu")),
    "L,1,4": lambda: sequential((LENGTH, 1, 4), conv2d((5, 1))),
    "L,1,4 same, wide kernel": lambda: sequential((LENGTH, 1, 4), conv2d((5, 3), padding="same")),
    "1,L,4": lambda: sequential((1, LENGTH, 4), conv2d((1, 6), padding="same")),
    "L,4,1": lambda: sequential((LENGTH, 4, 1), conv2d((5, 4))),
    "4,L,1": lambda: sequential((4, LENGTH, 1), conv2d((4, 5))),
    "permuted": lambda: sequential((4, LENGTH), layers.Permute((2, 1)), conv1d(padding="same")),
    "reshaped": lambda: sequential((LENGTH, 4), layers.Reshape((LENGTH, 1, 4)), conv2d((5, 1))),
    "flat": lambda: sequential((LENGTH * 4,), layers.Reshape((LENGTH, 4)), conv1d()),
    "flat, bases first": lambda: sequential(
        (LENGTH * 4,), layers.Reshape((4, LENGTH)), layers.Permute((2, 1)), conv1d()
    ),
    "padded by hand": lambda: sequential((LENGTH, 4), layers.ZeroPadding1D((2, 4)), conv1d()),
    "cropped": lambda: sequential((LENGTH, 4), layers.Cropping1D((3, 1)), conv1d()),
    "dropout before": lambda: sequential((LENGTH, 4), layers.Dropout(0.5), conv1d()),
    "channels first": lambda: sequential((4, LENGTH), conv1d(data_format="channels_first")),
    "channels first, 2D": lambda: sequential((4, 1, LENGTH), conv2d((1, 5), data_format="channels_first")),
}


class Torch(nn.Module):
    def __init__(self, conv, before=lambda x: x, after=torch.relu):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.before, self.after = conv(), before, after

    def forward(self, x):
        return self.after(self.conv(self.before(x))).flatten(1).sum(dim=1)


def nn1d(width=5, **options):
    return nn.Conv1d(4, 3, width, bias=False, **options)
