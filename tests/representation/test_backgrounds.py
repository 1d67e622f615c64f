"""Backgrounds are made of the data, and the network's other inputs come along."""

import numpy as np
import pytest

from kipoi_motifrep import open_network
from kipoi_motifrep.filters.batches import ArrayBatches
from kipoi_motifrep.representation.backgrounds import given_backgrounds, shuffled_backgrounds
from kipoi_motifrep.sequences.shuffling import random_sequences

torch = pytest.importorskip("torch")
LENGTH = 40
NETWORK = open_network(torch.nn.Sequential(torch.nn.Conv1d(4, 2, 3), torch.nn.ReLU()), length=LENGTH)


def test_shuffled_backgrounds_are_of_the_data():
    codes = random_sequences(10, LENGTH, np.random.default_rng(3), [0.7, 0.1, 0.1, 0.1])
    batches = ArrayBatches(np.eye(4, dtype=np.float32)[codes], 4)
    few = shuffled_backgrounds(NETWORK, batches, 10, 5)
    many = shuffled_backgrounds(NETWORK, batches, 10, 25)
    for made, rows in ((few, [0, 2, 4, 6, 8]), (many, np.arange(25) % 10)):
        assert made.n == len(rows) and (made.codes != codes[rows]).any()
        for one, other in zip(made.codes, codes[rows], strict=True):
            np.testing.assert_array_equal(np.bincount(one, minlength=4), np.bincount(other, minlength=4))
    assert "5 of the data" in few.description and "10 of the data" in many.description
    assert (many.codes[0] != many.codes[10]).any()


def test_other_inputs_come_along():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 2, 3)

        def forward(self, dna, tissue):
            return torch.relu(self.conv(dna)).sum(dim=2) + tissue

    x = np.eye(4, dtype=np.float32)[random_sequences(6, LENGTH, np.random.default_rng(0))].transpose(0, 2, 1)
    tissue = np.arange(12, dtype=np.float32).reshape(6, 2)
    network = open_network(Two(), length=LENGTH, example=[x, tissue])
    given = given_backgrounds(network, ArrayBatches([x, tissue], 4), 6, 3, "given")
    np.testing.assert_array_equal(given.codes, x[::2].argmax(axis=1))
    assert given.others.keys() == {"1"} and given.others["1"].tolist() == tissue[::2].tolist()
    shuffled = shuffled_backgrounds(network, ArrayBatches([x, tissue], 4), 6, 8)
    assert shuffled.others["1"].tolist() == tissue[np.arange(8) % 6].tolist()
