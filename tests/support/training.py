"""A small network to train and what it leaves."""

import csv

import keras
import numpy as np

from kipoi_motifrep.training.runs import Protocol, Run

QUICK = Protocol(batch_size=16, epochs=3)
RUN = Run("cnn_50_2", 0, 0)
LABELS = ("left", "right", "rare")


def contents(folder):
    """Losses of all epochs and weights of a finished run."""
    network = keras.models.load_model(folder / "network.keras")
    with open(folder / "history.csv", newline="") as file:
        history = [[row["epoch"], row["loss"], row["val_loss"]] for row in csv.DictReader(file)]
    return history, network.get_weights()


def assert_same(folder, other):
    """See that two finished runs are equal, bit by bit."""
    (history, weights), (expected_history, expected_weights) = contents(folder), contents(other)
    assert history == expected_history
    for one, another in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(one, another)
