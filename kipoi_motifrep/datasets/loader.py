"""Kipoi dataloader for our HDF5 dataset files, with labels as targets."""

from __future__ import annotations

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.sequences.loaders import OneHotBatches, described, number


@described("dataset")
class DatasetDl(OneHotBatches):
    """Dataset file to one-hot and labels; arguments in ``descriptions/dataset.yaml``.

    Examples
    --------
    >>> from kipoi_motifrep.datasets.hdf5 import create_dataset
    >>> with create_dataset("data.h5", 4, ["MAX"], {}) as writer:
    ...     writer.append("test", [[0, 1, 2, 3]], [[1]], ["a site"])
    >>> batch = DatasetDl("data.h5").load_all()
    >>> batch["inputs"].shape, batch["targets"].tolist(), batch["metadata"]["id"].tolist()
    ((1, 4, 4), [[1]], ['a site'])
    """

    def __init__(self, dataset_file, split="test", alphabet_axis=1, dummy_axis=None, alphabet=BASES, dtype=None):
        self._split = open_dataset(dataset_file)[split]
        self.n = len(self._split)
        if not self.n:
            raise InputError(f"split {split!r} is empty", path=dataset_file)
        super().__init__(
            self._split.length,
            number(alphabet_axis, "alphabet_axis"),
            number(dummy_axis, "dummy_axis"),
            alphabet,
            dtype,
            outside="average",
        )

    def _rows(self, start, stop):
        return self._split.read("sequences", start, stop), {
            "targets": self._split.read("labels", start, stop),
            "metadata": {"id": self._split.read("names", start, stop)},
        }
