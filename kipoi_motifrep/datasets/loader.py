"""Kipoi dataloader for our HDF5 dataset files, with labels as targets."""

from __future__ import annotations

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.sequences.loaders import OneHotBatches, described, number


@described("dataset")
class DatasetDl(OneHotBatches):
    """Dataset file to one-hot and labels; arguments in ``descriptions/dataset.yaml``."""

    def __init__(self, dataset_file, split="test", alphabet_axis=1, dummy_axis=None, alphabet=BASES, dtype=None):
        self._split = open_dataset(dataset_file)[split]
        self.n = len(self._split)
        if not self.n:
            raise InputError(f"split {split!r} is empty", path=dataset_file)
        super().__init__(self._split.length, number(alphabet_axis, "alphabet_axis"),
                         number(dummy_axis, "dummy_axis"), alphabet, dtype, outside="average")

    def _rows(self, start, stop):
        return self._split.read("sequences", start, stop), {
            "targets": self._split.read("labels", start, stop),
            "metadata": {"id": self._split.read("names", start, stop)},
        }
