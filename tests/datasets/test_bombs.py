"""Small dataset files that would fill the memory: refused by their headers, before anything is unpacked."""

import h5py
import numpy as np
import pytest

from kipoi_motifrep import InputError
from kipoi_motifrep.core import unpacked
from kipoi_motifrep.datasets.hdf5 import create_dataset, open_dataset


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.h5"
    with create_dataset(path, 50, ["a", "b"], {}) as writer:
        writer.append("train", np.random.default_rng(0).integers(0, 4, (300, 50)), np.zeros((300, 2), np.int8))
    return path


def replaced(path, name, values, **stored):
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, data=values, compression="gzip", compression_opts=9, **stored)


def test_millions_of_rows_in_a_small_file(path, monkeypatch):
    n = 200_000
    replaced(path, "train/sequences", np.zeros((n, 50), np.uint8), chunks=(4096, 50))
    replaced(path, "train/labels", np.zeros((n, 2), np.int8), chunks=(4096, 2))
    size = path.stat().st_size
    assert size * unpacked.DNA_RATIO < n * 52
    assert len(open_dataset(path)["train"]) == n  # 10 MB are few
    monkeypatch.setattr(unpacked, "DEFAULT_LIMIT", 0.005)
    with pytest.raises(
        InputError, match=rf"data\.h5: its {size / 1e6:.3g} MB unpack to 0.0104 GB, more than the limit"
    ):
        open_dataset(path)
    monkeypatch.setenv(unpacked.LIMIT, "0.1")
    assert len(open_dataset(path)["train"]) == n


def test_a_chunk_that_is_far_larger_than_the_data(path, monkeypatch):
    """To read a single row, HDF5 makes room for all of its chunk."""
    with h5py.File(path) as file:
        values = file["train/sequences"][:]
    replaced(path, "train/sequences", values, chunks=(500_000, 50), maxshape=(None, 50))
    monkeypatch.setattr(unpacked, "DEFAULT_LIMIT", 0.005)
    with pytest.raises(InputError, match=r"unpack to 0\.025 GB, more than the limit of 0\.005 GB"):
        open_dataset(path)
    monkeypatch.setattr(unpacked, "DEFAULT_LIMIT", 1)
    np.testing.assert_array_equal(open_dataset(path)["train"].read("sequences"), values)
