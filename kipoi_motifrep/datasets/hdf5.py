"""The one HDF5 layout of our datasets.

Groups ``train``, ``valid`` and ``test``, each with

=============  =============  ==================================================
``sequences``  (n, L) uint8   0 to 3 = A, C, G, T; 4 = N
``labels``     (n, T) int8    1, 0, or -1 where nothing is known (masked)
``names``      (n,) text      where there are any
=============  =============  ==================================================

and file attributes ``label_names`` (T texts) and ``provenance`` (JSON: command,
seed, versions, sources). More than 4,000 label names do not fit into an HDF5
attribute, and lie in a data set ``label_names`` beside the groups instead.

A file may be of anybody's making: links, and data sets whose values lie in
other files, are refused, so that reading one never reads another.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import h5py
import numpy as np

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.core.hdf5_members import check_texts, stored
from kipoi_motifrep.core.letters import N_CODE
from kipoi_motifrep.core.outputs import check_output_file, replacing, versions
from kipoi_motifrep.core.unpacked import DNA_RATIO, check_unpacked

SPLITS = ("train", "valid", "test")
CHUNK_ROWS, CHUNK_BYTES = 256, 1 << 26
WRITTEN_AT_ONCE = 4096
VALUES = {"sequences": (0, N_CODE), "labels": (-1, 1)}
# An object header of HDF5 holds 64 kB, and a text in an attribute takes 16 bytes of it.
MOST_NAMES_IN_ATTRIBUTE = 4000
UNSTORABLE = {"sequence": re.compile(r"[\0\ud800-\udfff]"), "label": re.compile(r"[\0-\x1f\x7f-\x9f\ud800-\udfff]")}
DAMAGE = (OSError, RuntimeError)  # what h5py raises where a file's structure or a chunk is broken


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
        If two labels have one name, or one holds a control character.
    """

    def __init__(self, file: h5py.File, length: int, label_names: Sequence[str], check: Callable[[], None]):
        self.label_names = [str(name) for name in label_names]
        self._file, self._check = file, check
        check_label_names(self.label_names)
        if len(self.label_names) > MOST_NAMES_IN_ATTRIBUTE:
            file.create_dataset("label_names", data=self.label_names, dtype=h5py.string_dtype())
        else:
            file.attrs["label_names"] = self.label_names
        for split in SPLITS:
            group = file.create_group(split)
            for key, width, dtype in (("sequences", length, np.uint8), ("labels", len(self.label_names), np.int8)):
                rows = max(1, min(CHUNK_ROWS, CHUNK_BYTES // width))
                group.create_dataset(
                    key,
                    (0, width),
                    dtype,
                    maxshape=(None, width),
                    chunks=(rows, width),
                    compression="gzip",
                    compression_opts=1,
                )

    def append(
        self, split: str, sequences: np.ndarray, labels: np.ndarray, names: Sequence[str] | np.ndarray | None = None
    ) -> None:
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
        added = {"sequences": np.asarray(sequences), "labels": np.asarray(labels)}
        if names is not None:
            _check_texts(names, "sequence", None)
            added["names"] = np.asarray(names, object)
            if "names" not in group:
                group.create_dataset("names", (0,), h5py.string_dtype(), maxshape=(None,), chunks=(4096,))
        for begin in range(0, len(labels), WRITTEN_AT_ONCE):
            for key, values in added.items():
                rows, end = values[begin : begin + WRITTEN_AT_ONCE], len(group[key])
                group[key].resize(end + len(rows), axis=0)
                group[key][end:] = np.minimum(rows, N_CODE) if key == "sequences" else rows
            self._check()

    def deal(
        self, split: np.ndarray, sequences: np.ndarray, labels: np.ndarray, names: Sequence[str] | np.ndarray
    ) -> None:
        """Add each sequence to a split of its own.

        Parameters
        ----------
        split : numpy.ndarray of int, shape (n,)
            Places in ``SPLITS``; sequences with other numbers are left out.
        sequences, labels, names
            As :meth:`append` takes them.

        Raises
        ------
        InputError
            If a name holds a NUL character, which HDF5 cannot store.
        """
        for number, name in enumerate(SPLITS):
            rows = np.flatnonzero(split == number)
            if len(rows):
                self.append(name, sequences[rows], labels[rows], [names[row] for row in rows])


def check_label_names(names: Sequence[str], path: str | os.PathLike | None = None) -> None:
    """Check the names of labels.

    Parameters
    ----------
    names : sequence of str
        One a label.
    path : str or path-like, optional
        Where they are from, for errors.

    Raises
    ------
    InputError
        If two are the same, or one holds a control character or is no UTF-8.
    """
    _check_texts(names, "label", path)
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise InputError(f"two labels are called {twice!r}; give them different names", path=path)


def _check_texts(texts: Sequence[str] | np.ndarray, of: str, path: str | os.PathLike | None) -> None:
    wrong = next((text for text in texts if UNSTORABLE[of].search(text)), None)
    if wrong is not None:
        raise InputError(
            f"the name {wrong!r} of a {of} holds a control character such as NUL, or is no UTF-8; take it out",
            path=path,
        )


class _Disk(io.FileIO):
    """The file below HDF5. It keeps a write error to itself, because HDF5 crashes the process on a full disk."""

    error: OSError | None = None

    def write(self, data) -> int:
        left = memoryview(data).cast("B")
        while left and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self, path: str | os.PathLike) -> None:
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror, str(path))


@contextmanager
def create_dataset(
    path: str | os.PathLike, length: int, label_names: Sequence[str], provenance: Mapping[str, object]
) -> Iterator[DatasetWriter]:
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
    InputError
        If the file is one of the sources, or cannot be written there.
    OSError
        If the disk is full.
    """
    check_output_file(path, provenance.get("sources", ()))
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
                if key not in group:
                    return np.array([f"{self.name}_{i}" for i in rows])
                texts = [text.decode("utf-8", "replace") for text in self._read_rows(group[key], rows, key)]
                return np.array(texts, str)  # not objects: kipoi's writers fail on them
            values = self._read_rows(group[key], rows, key)
        lowest, highest = VALUES[key]
        wrong = (values < lowest) | (values > highest)
        if wrong.any():
            raise InputError(
                f"{self.name}/{key} holds {values[wrong][0]}; values are from {lowest} to {highest}", path=self.path
            )
        return values

    def _read_rows(self, values: h5py.Dataset, rows: range, key: str) -> np.ndarray:
        try:
            return values[rows.start : rows.stop]
        except DAMAGE:
            # Once more, a stored chunk at a time, to name the rows that cannot be read.
            step = values.chunks[0] if values.chunks else self.n
            for begin in range(rows.start // step * step, rows.stop, step):
                end = min(begin + step, self.n)
                try:
                    values[begin:end]
                except DAMAGE as error:
                    raise InputError(
                        f"rows {begin} to {end - 1} of {self.name}/{key}, counted from 0, cannot be read "
                        f"({flattened(error)}); the file is damaged: make it again",
                        path=self.path,
                    ) from error
            raise

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
        If the file is missing, is not HDF5, is damaged or has another layout.

    Examples
    --------
    >>> with create_dataset("data.h5", 4, ["MAX"], {}) as writer:
    ...     writer.append("train", np.array([[0, 1, 2, 3]], np.uint8), np.array([[1]], np.int8), ["a site"])
    >>> dataset = open_dataset("data.h5")
    >>> dataset.length, dataset.label_names, dataset["train"].read("names").tolist()
    (4, ('MAX',), ['a site'])
    """
    path = str(path)
    if not os.path.exists(path):
        raise InputError("there is no such file", path=path)
    if not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "no regular file"
        raise InputError(f"is {what}; name the dataset file (HDF5)", path=path)
    try:
        with h5py.File(path, "r") as file:
            # Shapes first: a damaged one has HDF5 read texts for hours.
            n_labels = _number_of_labels(file, path)
            sizes = {split: _check_split(path, file, split, n_labels) for split in SPLITS}
            check_unpacked(path, sum(n * (length + n_labels) for n, length in sizes.values()), DNA_RATIO)
            names, provenance = _label_names(file, path), _provenance(file)
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"not a dataset file ({flattened(error)}); make one with 'kipoi-motifrep simulate' or "
            "'kipoi-motifrep dataset'",
            path=path,
        ) from error
    except DAMAGE as error:
        raise InputError("not a readable HDF5 file; was its writing cut off? Make it again", path=path) from error
    lengths = {length for _, length in sizes.values()}
    if len(lengths) > 1:
        raise InputError(
            f"its splits have sequences of different lengths, {' and '.join(map(str, sorted(lengths)))} bp", path=path
        )
    # Absolute: Kipoi makes loaders in another folder than it uses them in.
    splits = {split: Split(os.path.abspath(path), split, *size, names) for split, size in sizes.items()}
    return Dataset(path, splits, names, provenance)


def _provenance(file: h5py.File) -> dict[str, object]:
    if "provenance" not in file.attrs:
        return {}
    check_texts(file.attrs.get_id("provenance"), "provenance")
    found = json.loads(file.attrs["provenance"])
    if not isinstance(found, dict):
        raise ValueError("its provenance is no JSON object")
    return found


def _number_of_labels(file: h5py.File, path: str) -> int:
    in_attribute = "label_names" in file.attrs
    found = file.attrs.get_id("label_names") if in_attribute else stored(file, "label_names", h5py.Dataset, path)
    if len(found.shape or ()) != 1:
        raise ValueError("its label_names are no list of texts")
    check_texts(found, "label_names")
    return found.shape[0]


def _label_names(file: h5py.File, path: str) -> tuple[str, ...]:
    found = file.attrs["label_names"] if "label_names" in file.attrs else file["label_names"][()]
    names = tuple(name.decode() if isinstance(name, bytes) else name for name in found)
    check_label_names(names, path)
    return names


def _check_split(path: str, file: h5py.File, split: str, n_labels: int) -> tuple[int, int]:
    """Check the layout of a split; give its number of sequences and their length."""
    group = stored(file, split, h5py.Group, path)
    found = {key: stored(group, key, h5py.Dataset, path) for key in list(group) if key in ("names", *VALUES)}
    for key in VALUES:
        if key not in found:
            raise ValueError(f"it has no {key!r} in {split}")
    sequences, labels = found["sequences"], found["labels"]
    if len(sequences.shape) != 2 or labels.shape != (len(sequences), n_labels):
        raise InputError(
            f"{split}: sequences {sequences.shape} and labels {labels.shape} do not fit together "
            f"with {n_labels} label names",
            path=path,
        )
    if sequences.dtype.kind not in "iu" or labels.dtype.kind != "i":
        raise InputError(
            f"{split}: sequences are {sequences.dtype} and labels {labels.dtype}; they must be uint8 and int8",
            path=path,
        )
    if "names" in found:
        texts = found["names"]
        if h5py.check_string_dtype(texts.dtype) is None or texts.shape != (len(sequences),):
            raise InputError(
                f"{split}: names are {texts.dtype} {texts.shape}; they must be {len(sequences)} texts, one a sequence",
                path=path,
            )
    for key, values in found.items():
        # A row is read with the whole chunk that it lies in, which may be far larger than the file.
        check_unpacked(path, prod(values.chunks or ()) * values.dtype.itemsize)
        if not _is_whole(values):
            raise InputError(
                f"{split}/{key} lacks some of its {len(values)} rows; the file is damaged: make it again", path=path
            )
    return sequences.shape


def _is_whole(values: h5py.Dataset) -> bool:
    """Whether all values are in the file; HDF5 reads zeros for others, however many a damaged shape says there are."""
    if not values.chunks:
        # More for texts: the file holds a longer reference to each than memory does.
        return values.id.get_storage_size() >= values.size * values.id.get_type().get_size()
    n_chunks = prod(-(-size // chunk) for size, chunk in zip(values.shape, values.chunks, strict=True))
    return values.id.get_num_chunks() == n_chunks
