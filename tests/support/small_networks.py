"""A small network of one convolution, and sequences for it."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
layers = keras.layers

LENGTH = 30
N = 60


def codes_of(n=N, length=LENGTH, seed=0, with_n=True):
    return np.random.default_rng(seed).integers(0, 5 if with_n else 4, (n, length)).astype(np.uint8)


CODES = codes_of()


def network_of(width=5, filters=4, **options):
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((LENGTH, 4)),
            layers.Conv1D(filters, width, use_bias=True, bias_initializer="random_normal", name="first", **options),
            layers.BatchNormalization(),
            layers.ReLU(name="act"),
            layers.MaxPooling1D(2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
