"""A small data set and a finished run on it."""

import numpy as np
import pytest
from support.training import LABELS, QUICK, RUN

from kipoi_motifrep.datasets.hdf5 import create_dataset, open_dataset
from kipoi_motifrep.training.train import train_run


@pytest.fixture(scope="package")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "tiny.h5"
    random = np.random.default_rng(0)
    with create_dataset(path, 60, LABELS, {}) as writer:
        for split, n in (("train", 70), ("valid", 20), ("test", 31)):
            sequences = random.integers(0, 5, (n, 60)).astype(np.uint8)
            labels = random.integers(-1, 2, (n, 3)).astype(np.int8)
            labels[:, 2] = 0 if split == "test" else labels[:, 2]
            writer.append(split, sequences, labels)
    return open_dataset(path)


@pytest.fixture(scope="package")
def finished(dataset, tmp_path_factory):
    """An uninterrupted run: its folder, result and the history as told."""
    out, told = tmp_path_factory.mktemp("runs"), []
    result = train_run(RUN, dataset, out, QUICK, told.append)
    return RUN.folder(out), result, told
