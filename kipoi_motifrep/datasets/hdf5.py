"""The one HDF5 layout of our datasets.

Groups ``train``, ``valid`` and ``test``, each with

=============  =============  ==================================================
``sequences``  (n, L) uint8   0 to 3 = A, C, G, T; 4 = N
``labels``     (n, T) int8    1, 0, or -1 where nothing is known (masked)
``names``      (n,) text      where there are any
=============  =============  ==================================================

and file attributes ``label_names`` (T texts) and ``provenance`` (JSON: command,
seed, versions, sources).
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import N_CODE
from kipoi_motifrep.core.outputs import replacing, versions

SPLITS = ("train", "valid", "test")
CHUNK_ROWS = 256
VALUES = {"sequences": (0, N_CODE), "labels": (-1, 1)}


class DatasetWriter:
    """Append sequences to the splits of an open dataset file.

    Parameters
    ----------
    file : h5py.File
        Open for writing.
    length : int
        Bases per sequence.
    label_names : sequence of str
        One name a label column.
    check : callable
        Called after each addition; raises if it did not reach the disk.

    Raises
    ------
    InputError
        If a label name holds a NUL character, which HDF5 cannot store.
    """

    def __init__(self, file: h5py.File, length: int, label_names: Sequence[str], check: Callable[[], None]):
        self.label_names = [str(name) for name in label_names]
        self._file, self._check = file, check
        _check_texts(self.label_names, "label")
        file.attrs["label_names"] = self.label_names
        for split in SPLITS:
            group = file.create_group(split)
            for key, width, dtype in (("sequences", length, np.uint8), ("labels", len(self.label_names), np.int8)):
                group.create_dataset(key, (0, width), dtype, maxshape=(None, width), chunks=(CHUNK_ROWS, width),
                                     compression="gzip", compression_opts=1)

    def append(self, split: str, sequences: np.ndarray, labels: np.ndarray,
               names: Sequence[str] | None = None) -> None:
        """Add sequences to a split.

        Parameters
        ----------
        split : str
            "train", "valid" or "test".
        sequences : numpy.ndarray of uint8, shape (n, L)
            Codes; ambiguous letters other than N are stored as N.
        labels : numpy.ndarray of int8, shape (n, T)
            1, 0 or -1.
        names : sequence of str, optional
            One a sequence; given for all of a split or for none.

        Raises
        ------
        InputError
            If a name holds a NUL character, which HDF5 cannot store.
        """
        group = self._file[split]
        start = len(group["sequences"])
        _check_texts(() if names is None else names, "sequence")
        if names is not None and "names" not in group:
            group.create_dataset("names", (0,), h5py.string_dtype(), maxshape=(None,), chunks=(4096,))
        added = {"sequences": np.minimum(sequences, N_CODE), "labels": labels}
        if names is not None:
            added["names"] = np.asarray(names, object)
        for key, values in added.items():
            group[key].resize(start + len(values), axis=0)
            group[key][start:] = values
        self._check()


def _check_texts(texts: Sequence[str], of: str) -> None:
    wrong = next((text for text in texts if "\0" in text), None)
    if wrong is not None:
        raise InputError(f"the name {wrong!r} of a {of} holds a NUL character; take it out")


class _Disk(io.FileIO):
    """The file below HDF5. It keeps a write error to itself, because HDF5 crashes the process on a full disk."""

    error: OSError | None = None

    def write(self, data) -> int:
        left = memoryview(data).cast("B")
        while left and self.error is None:
            try:
                left = left[super().write(left):]
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def check(self, path: str | os.PathLike) -> None:
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror, str(path))


@contextmanager
def create_dataset(path: str | os.PathLike, length: int, label_names: Sequence[str],
                   provenance: Mapping[str, object]) -> Iterator[DatasetWriter]:
    """Write a dataset file, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The HDF5 file.
    length : int
        Bases per sequence.
    label_names : sequence of str
        One name a label column.
    provenance : mapping
        Command, seed, sources; versions are added.

    Yields
    ------
    DatasetWriter
        The file appears under its name when the block ends without error.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with replacing(path) as temporary, _Disk(temporary, "w+") as disk:
        try:
            with h5py.File(disk, "w") as file:
                file.attrs["provenance"] = json.dumps({**provenance, "versions": versions()}, default=str)
                yield DatasetWriter(file, length, label_names, check=lambda: disk.check(path))
        finally:
            disk.check(path)


@dataclass(frozen=True)
class Split:
    """One split of a dataset file; rows are read when asked for.

    Attributes
    ----------
    path : str
        The file.
    name : str
        "train", "valid" or "test".
    n, length : int
        Number of sequences and bases in each.
    label_names : tuple of str
        One name a label column.
    """

    path: str
    name: str
    n: int
    length: int
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return self.n

    def read(self, key: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read rows of ``sequences``, ``labels`` or ``names``.

        Parameters
        ----------
        key : str
            Which of the three; ``names`` are made up from row numbers where the file has none.
        start, stop : int
            Rows; all by default.

        Returns
        -------
        numpy.ndarray
            (rows, L) uint8, (rows, T) int8 or (rows,) str.

        Raises
        ------
        InputError
            If the file holds other values than the layout allows.
        """
        rows = range(self.n)[start:stop]
        with h5py.File(self.path, "r") as file:
            group = file[self.name]
            if key == "names":
                if key in group:
                    return group[key].asstr()[rows.start:rows.stop].astype(str)  # kipoi's writers fail on objects
                return np.array([f"{self.name}_{i}" for i in rows])
            values = group[key][rows.start:rows.stop]
        lowest, highest = VALUES[key]
        wrong = (values < lowest) | (values > highest)
        if wrong.any():
            raise InputError(f"{self.name}/{key} holds {values[wrong][0]}; values are from {lowest} to {highest}",
                             path=self.path)
        return values

    def batches(self, batch_size: int = 1024) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through the split in order.

        Parameters
        ----------
        batch_size : int, default 1024
            Rows at a time.

        Yields
        ------
        sequences : numpy.ndarray of uint8, shape (rows, L)
            Codes.
        labels : numpy.ndarray of int8, shape (rows, T)
            1, 0 or -1.
        """
        for start in range(0, self.n, batch_size):
            yield self.read("sequences", start, start + batch_size), self.read("labels", start, start + batch_size)


@dataclass(frozen=True)
class Dataset:
    """A checked dataset file.

    Attributes
    ----------
    path : str
        The file.
    splits : mapping of str to Split
        "train", "valid", "test".
    label_names : tuple of str
        One name a label column.
    provenance : mapping
        What the file says of its making.
    """

    path: str
    splits: Mapping[str, Split]
    label_names: tuple[str, ...]
    provenance: Mapping[str, object]

    def __getitem__(self, split: str) -> Split:
        if split not in self.splits:
            raise InputError(f"there is no split {split!r}; choose one of {', '.join(self.splits)}", path=self.path)
        return self.splits[split]

    @property
    def length(self) -> int:
        """Bases per sequence."""
        return next(iter(self.splits.values())).length


def open_dataset(path: str | os.PathLike) -> Dataset:
    """Check a dataset file's layout and describe it.

    Parameters
    ----------
    path : str or path-like
        A file as ``kipoi-motifrep simulate`` and ``dataset`` write it.

    Returns
    -------
    Dataset
        No sequences are read yet.

    Raises
    ------
    InputError
        If the file is missing, is not HDF5 or has another layout.
    """
    path = str(path)
    if not Path(path).is_file():
        raise InputError("there is no such file", path=path)
    try:
        with h5py.File(path, "r") as file:
            names = tuple(str(name) for name in file.attrs["label_names"])
            splits = {split: _describe(path, file, split, names) for split in SPLITS}
            provenance = json.loads(file.attrs.get("provenance", "{}"))
    except OSError as error:
        raise InputError("not a readable HDF5 file; was its writing cut off?", path=path) from error
    except InputError:
        raise
    except (KeyError, ValueError, AttributeError) as error:
        raise InputError(f"not a dataset file ({error.args[0]}); make one with 'kipoi-motifrep simulate' or "
                         "'kipoi-motifrep dataset'", path=path) from error
    lengths = {split.length for split in splits.values()}
    if len(lengths) > 1:
        raise InputError("its splits have sequences of different lengths, "
                         f"{' and '.join(map(str, sorted(lengths)))} bp", path=path)
    return Dataset(path, splits, names, provenance)


def _describe(path: str, file: h5py.File, split: str, names: tuple[str, ...]) -> Split:
    sequences, labels = file[split]["sequences"], file[split]["labels"]
    if sequences.ndim != 2 or labels.shape != (len(sequences), len(names)):
        raise InputError(f"{split}: sequences {sequences.shape} and labels {labels.shape} do not fit together "
                         f"with {len(names)} label names", path=path)
    if sequences.dtype.kind not in "iu" or labels.dtype.kind != "i":
        raise InputError(f"{split}: sequences are {sequences.dtype} and labels {labels.dtype}; they must be uint8 and "
                         "int8", path=path)
    # Absolute: Kipoi makes loaders in another folder than it uses them in.
    return Split(os.path.abspath(path), split, len(sequences), sequences.shape[1], names)
