"""The DeepSEA training bundle, cut to a few labels, to a dataset file.

The bundle (Zhou & Troyanskaya 2015, Nature Methods 12:931-934) has three files:
``train.mat`` (MATLAB 7.3, which is HDF5, with 4.4 million samples on the last
axis), ``valid.mat`` and ``test.mat`` (MATLAB 5, samples on the first axis). All
are streamed. Channels are in the order A, G, C, T.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.hdf5_members import stored
from kipoi_motifrep.core.letters import N_CODE
from kipoi_motifrep.core.outputs import check_output_file
from kipoi_motifrep.core.progress import progress, say
from kipoi_motifrep.core.scratch import scratch
from kipoi_motifrep.core.textfile import GZIP_MAGIC
from kipoi_motifrep.datasets.hdf5 import DAMAGE, SPLITS, create_dataset
from kipoi_motifrep.datasets.matlab5 import open_matlab5
from kipoi_motifrep.datasets.sources import describe_sources

# The labels of Koo & Eddy (2019), counted from 0. Positives in train.mat: 27652, 85354, 19724, 34194, 43528, 87290,
# 9792, 22758, 17450, 7528, 4516, 31146.
PAPER_COLUMNS = {
    "Arid3a": 592,
    "CEBPB": 602,
    "FOSL1": 344,
    "Gabpa": 345,
    "MAFK": 635,
    "MAX": 636,
    "MEF2A": 349,
    "NFYB": 642,
    "SP1": 359,
    "SRF": 361,
    "STAT1": 661,
    "YY1": 369,
}
CODES_OF_CHANNELS = np.array([0, 2, 1, 3], np.uint8)  # A, G, C, T
SLAB_BYTES = 64_000_000
SAMPLES_AT_ONCE = 1 << 16
COPIED_AT_ONCE = 1 << 20
_COLUMNS = re.compile(r"(?:(.+)=)?(\d{1,6})(?:-(\d{1,6}))?")


def parse_columns(texts: Sequence[str] | None) -> dict[str, int]:
    """Read the label columns that a user wants.

    Parameters
    ----------
    texts : sequence of str, optional
        ``NUMBER``, ``NAME=NUMBER`` or ``FIRST-LAST``, counted from 0.

    Returns
    -------
    dict of str to int
        The paper's 12 by default.

    Raises
    ------
    InputError
        If one is of another form or comes twice.

    Examples
    --------
    >>> parse_columns(["CEBPB=602", "3-5"])
    {'CEBPB': 602, 'column_3': 3, 'column_4': 4, 'column_5': 5}
    """
    if not texts:
        return dict(PAPER_COLUMNS)
    columns: dict[str, int] = {}
    for text in texts:
        found = _COLUMNS.fullmatch(text)
        name, first, last = found.groups() if found else ("", "0", "")
        if not found or (last and (name or int(last) < int(first))):
            raise InputError(f"columns={text!r}: write NUMBER, NAME=NUMBER or FIRST-LAST, counted from 0")
        for number in range(int(first), int(last or first) + 1):
            if (name or f"column_{number}") in columns:
                raise InputError(f"columns: {name or number} is there twice")
            columns[name or f"column_{number}"] = number
    return columns


def to_codes(channels: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """Turn the bundle's one-hot channels into codes.

    Parameters
    ----------
    channels : numpy.ndarray, shape (..., 4, n)
        A, G, C, T; all 0 stands for N.
    path : str or path-like
        The file, for errors.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., n)
        0 to 3 = A, C, G, T; 4 = N.

    Raises
    ------
    InputError
        If a position has several bases.
    """
    channels = channels.astype(np.uint8, copy=False)
    if channels.max(initial=0) > 1 or channels.sum(axis=-2, dtype=np.uint8).max(initial=0) > 1:
        raise InputError(
            "the sequences are not one-hot: a position has several bases, or a number other than 0 and 1", path=path
        )
    # From N, each channel that is set takes away what makes its own code.
    codes = np.full((*channels.shape[:-2], channels.shape[-1]), N_CODE, np.uint8)
    for channel, code in enumerate(CODES_OF_CHANNELS):
        codes -= channels[..., channel, :] * (N_CODE - code)
    return codes


class _Part(ABC):
    """One file of the bundle; subclasses read the two formats."""

    def __init__(self, path: Path, split: str):
        self.path, self.split = path, split
        sequences, labels = self._shape(f"{split}xdata"), self._shape(f"{split}data")
        if (
            len(sequences) != 3
            or sequences[1] != 4
            or len(labels) != 2
            or labels[0] != sequences[0]
            or (min(*sequences, *labels) < 1)
        ):
            raise InputError(
                f"{split}xdata and {split}data are {sequences} and {labels}, in MATLAB's order of axes; "
                "they must be (samples, 4, length) and (samples, labels)",
                path=path,
            )
        self.n, _, self.length = sequences
        self.n_columns = labels[1]

    @abstractmethod
    def _shape(self, name: str) -> tuple[int, ...]:
        """Give the shape of a variable, in MATLAB's order of axes."""

    @abstractmethod
    def labels(self, columns: Sequence[int]) -> np.ndarray:
        """Read the labels (n, len(columns)) int8 of all samples: 1 or 0."""

    @abstractmethod
    def codes(self, kept: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give places (k,) of some samples to keep and their sequences (length, k) uint8, until all are given."""


class _Matlab5(_Part):
    """Numbers come in column-major order: all samples of one label, or of one channel at one position, together."""

    def _shape(self, name):
        with open_matlab5(self.path, name) as array:
            return array.shape

    def labels(self, columns):
        labels = np.zeros((self.n, len(columns)), np.int8)
        with open_matlab5(self.path, f"{self.split}data") as array:
            for number, column in enumerate(array.columns()):
                labels[:, np.equal(columns, number)] = column[:, None] > 0
        return labels

    def codes(self, kept):
        codes = np.empty((self.length, len(kept)), np.uint8)
        with open_matlab5(self.path, f"{self.split}xdata") as array:
            channels = array.columns()
            positions = zip(channels, channels, channels, channels, strict=True)  # four columns a position
            for i, four in enumerate(progress(positions, self.path.name, total=self.length, unit="position")):
                codes[i] = to_codes(np.stack([channel[kept] for channel in four]), self.path)
        yield kept, codes


class _Hdf5(_Part):
    """Axes are reversed; read in slabs of whole stored chunks, so that each is unpacked once."""

    @contextmanager
    def _open(self, name):
        try:
            with h5py.File(self.path, "r") as file:
                if name not in list(file):
                    raise InputError(f"has no variable {name!r}; it has {', '.join(file) or 'none'}", path=self.path)
                array = stored(file, name, h5py.Dataset, self.path)
                if array.dtype.kind not in "biuf":
                    raise InputError(f"variable {name!r} holds no numbers", path=self.path)
                yield array
        except InputError:
            raise
        except (*DAMAGE, ValueError) as error:
            raise InputError("the file is damaged or cut off; fetch it again", path=self.path) from error

    def _shape(self, name):
        with self._open(name) as array:
            return array.shape[::-1]

    def labels(self, columns):
        labels = np.zeros((self.n, len(columns)), np.int8)
        with self._open(f"{self.split}data") as array:
            _, step = _steps(array)
            for start in progress(range(0, self.n, step), f"labels of {self.path.name}", unit="block"):
                labels[start : start + step] = (array[:, start : start + step][columns] > 0).T
        return labels

    def codes(self, kept):
        with self._open(f"{self.split}xdata") as array:
            height, step = _steps(array)
            for start in progress(range(0, self.n, step), self.path.name, unit="block"):
                samples = kept[slice(*np.searchsorted(kept, [start, start + step]))]
                if not len(samples):
                    continue
                codes = np.empty((self.length, len(samples)), np.uint8)
                for top in range(0, self.length, height):
                    slab = array[top : top + height, :, start : start + step]
                    codes[top : top + height] = to_codes(slab[..., samples - start], self.path)
                yield samples, codes


def _steps(array: h5py.Dataset) -> tuple[int, int]:
    """Choose how many rows and samples to read at once, so that each stored chunk is unpacked once."""
    # As many chunks of samples as the budget allows at one chunk of rows; then as many chunks of rows as still fit.
    chunk_rows, chunk_samples = (array.chunks[0], array.chunks[-1]) if array.chunks else (1, 1)
    row_bytes = int(np.prod(array.shape[1:-1], dtype=int)) * array.dtype.itemsize
    if array.ndim == 2:  # labels: all rows together
        chunk_rows = array.shape[0]
    samples = min(SAMPLES_AT_ONCE, SLAB_BYTES // (chunk_rows * row_bytes))
    samples = max(chunk_samples, samples // chunk_samples * chunk_samples, 1)
    rows = max(1, SLAB_BYTES // (samples * row_bytes) // chunk_rows) * chunk_rows
    return min(rows, array.shape[0]), samples


def _open_part(folder: Path, split: str) -> _Part:
    path = folder / f"{split}.mat"
    if not path.is_file():
        raise InputError(f"there is no {path.name}; the bundle has train.mat, valid.mat and test.mat", path=folder)
    return (_Hdf5 if h5py.is_hdf5(path) else _Matlab5)(path, split)


@contextmanager
def _unpacked(bundle: Path, near: Path) -> Iterator[Path]:
    """Give the bundle's folder; unpack an archive into a temporary one."""
    if bundle.is_dir():
        inner = bundle / "deepsea_train"
        yield inner if inner.is_dir() else bundle
        return
    if not bundle.exists():
        raise InputError("there is no such file or folder; fetch it by download=True", path=bundle)
    near.mkdir(parents=True, exist_ok=True)
    with scratch(near) as folder:
        _unpack(bundle, folder)
        yield folder


def _unpack(bundle: Path, folder: Path) -> None:
    wanted = {f"{split}.mat" for split in SPLITS}
    with open(bundle, "rb") as raw, gzip.open(raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                for member in archive:
                    name = Path(member.name).name
                    source = archive.extractfile(member) if name in wanted and member.isfile() else None
                    if source is None:
                        continue
                    if member.size > shutil.disk_usage(folder).free:
                        raise InputError(
                            f"unpacking {name} needs {member.size / 1e9:.1f} GB, more than is free in "
                            f"{folder.parent}; choose another folder for the output",
                            path=bundle,
                        )
                    with open(folder / name, "wb") as file:
                        for _ in progress(range(0, member.size, COPIED_AT_ONCE), f"unpacking {name}", unit="MB"):
                            file.write(source.read(COPIED_AT_ONCE))
                    wanted.remove(name)
            while stream.read(COPIED_AT_ONCE):  # to the end: gzip compares its checksum there, and tarfile does not
                pass
        except (EOFError, OSError, zlib.error, tarfile.TarError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk, not of the archive
            raise InputError(
                "is no tar archive, or one that is damaged or cut off; remove it and fetch it again by download=True",
                path=bundle,
            ) from error
    if wanted:
        raise InputError(f"the archive holds no {' and no '.join(sorted(wanted))}", path=bundle)


def build_from_bundle(
    output: str | os.PathLike,
    bundle: str | os.PathLike,
    columns: Mapping[str, int] | None = None,
    *,
    options: Mapping[str, object] | None = None,
) -> None:
    """Make a dataset file from the bundle: samples with at least one of the labels.

    Parameters
    ----------
    output : str or path-like
        The HDF5 file.
    bundle : str or path-like
        Folder with the three files, or the archive; it is unpacked beside
        `output` for the time being.
    columns : mapping of str to int, optional
        Label names and columns, counted from 0; the paper's 12 by default.
    options : mapping, optional
        For the provenance.

    Raises
    ------
    InputError
        If the bundle is incomplete or damaged, has no such column, or no
        sample has one of the labels.

    Examples
    --------
    >>> from kipoi_motifrep import build_from_bundle, open_dataset
    >>> for split in SPLITS:
    ...     with h5py.File(f"{split}.mat", "w") as file:  # axes are reversed; A, G, C, T
    ...         file[f"{split}xdata"] = np.eye(4, dtype=np.uint8)[:, :, None]
    ...         file[f"{split}data"] = np.ones((1, 1), np.uint8)
    >>> build_from_bundle("deepsea.h5", ".", {"CEBPB": 0})
    >>> open_dataset("deepsea.h5")["test"].read("sequences").tolist()
    [[0, 2, 1, 3]]
    """
    columns = dict(columns or PAPER_COLUMNS)
    check_output_file(output, bundle)
    with _unpacked(Path(bundle), Path(output).parent) as folder:
        parts = [_open_part(folder, split) for split in SPLITS]
        for part in parts:
            for name, column in columns.items():
                if column >= part.n_columns:
                    raise InputError(
                        f"there is no label column {column} ({name}); there are {part.n_columns}, counted from 0",
                        path=part.path,
                    )
            if part.length != parts[0].length:
                raise InputError(
                    f"has sequences of {part.length} bp, and {parts[0].path.name} of {parts[0].length}", path=part.path
                )
        whole = [part.path for part in parts] if Path(bundle).is_dir() else [bundle]
        provenance = {
            "command": "dataset deepsea",
            "options": dict(options or {}),
            "columns": columns,
            "sources": describe_sources(whole),
        }
        with create_dataset(output, parts[0].length, list(columns), provenance) as writer:
            for part in parts:
                labels = part.labels(list(columns.values()))
                kept = np.flatnonzero(labels.any(axis=1))
                if not len(kept):
                    raise InputError("no sample has one of these labels", path=part.path)
                for samples, codes in part.codes(kept):
                    writer.append(part.split, codes.T, labels[samples], [f"{part.split}_{row}" for row in samples])
                say(f"{part.path.name}: {len(kept)} of {part.n} samples have one of the labels")
