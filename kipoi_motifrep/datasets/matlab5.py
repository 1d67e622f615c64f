"""Arrays of MATLAB version 5 files, read as a stream.

``scipy.io.loadmat`` gives a whole array at once, and needs 2 GB for the
bundle's test sequences. The format is that of "MAT-File Format" (The MathWorks,
R2023a), level 5: elements of a type, a length and data, each array an element
of its own, mostly compressed with zlib; numbers in column-major order.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import BinaryIO

import numpy as np

from kipoi_motifrep.core.errors import InputError

HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
READ_AT_ONCE = 1 << 20


class _CutOff(Exception):
    pass


class _Plain:
    def __init__(self, file: BinaryIO, n_bytes: int):
        self._file = file

    def read(self, n: int) -> bytes:
        data = self._file.read(n)
        if len(data) < n:
            raise _CutOff
        return data


class _Inflated:
    def __init__(self, file: BinaryIO, n_bytes: int):
        self._file, self._left, self._zlib = file, n_bytes, zlib.decompressobj()

    def read(self, n: int) -> bytes:
        found = bytearray()
        while len(found) < n:
            packed = self._zlib.unconsumed_tail
            if not packed:
                packed = self._file.read(min(READ_AT_ONCE, self._left))
                self._left -= len(packed)
            piece = self._zlib.decompress(packed, n - len(found))
            if not packed and not piece:
                raise _CutOff
            found += piece
        return bytes(found)


class MatlabArray:
    """A numeric array of which the data are still to be read.

    Attributes
    ----------
    name : str
        Of the variable.
    shape : tuple of int
        As MATLAB has it.
    """

    def __init__(self, stream: _Plain | _Inflated, order: str, path: str | os.PathLike):
        self._stream, self._order, self._path = stream, order, path
        self._element()  # flags
        self.shape = tuple(np.frombuffer(self._element()[1], f"{order}i4").tolist())
        self.name = self._element()[1].decode("latin-1")

    def _tag(self) -> tuple[int, int, bytes | None]:
        first, second = np.frombuffer(self._stream.read(8), f"{self._order}u4")
        if first >> 16:  # up to four bytes of data lie in the tag itself
            n_bytes = int(first >> 16)
            return int(first & 0xFFFF), n_bytes, second.tobytes()[:n_bytes]
        return int(first), int(second), None

    def _element(self) -> tuple[int, bytes]:
        kind, n_bytes, data = self._tag()
        if data is None:
            data = self._stream.read(n_bytes + -n_bytes % 8)[:n_bytes]
        return kind, data

    def columns(self) -> Iterator[np.ndarray]:
        """Go once through the array, the first axis at a time.

        Yields
        ------
        numpy.ndarray, shape (shape[0],)
            ``array[:, 0, 0]``, ``array[:, 1, 0]``, ... of an array with three axes.
        """
        kind, n_bytes, data = self._tag()
        if kind not in DTYPES:
            raise InputError(f"variable {self.name!r} holds no numbers", path=self._path)
        dtype = np.dtype(self._order + DTYPES[kind])
        if n_bytes != prod(self.shape) * dtype.itemsize:
            raise InputError(f"variable {self.name!r} has {n_bytes} bytes, which do not fit its shape {self.shape}",
                             path=self._path)
        if data is not None:
            yield from np.frombuffer(data, dtype).reshape(-1, self.shape[0])
            return
        for _ in range(prod(self.shape[1:])):
            yield np.frombuffer(self._stream.read(self.shape[0] * dtype.itemsize), dtype)


@contextmanager
def open_matlab5(path: str | os.PathLike, name: str) -> Iterator[MatlabArray]:
    """Find an array in a MATLAB version 5 file.

    Parameters
    ----------
    path : str or path-like
        The file.
    name : str
        Of the variable.

    Yields
    ------
    MatlabArray
        To be read within the block.

    Raises
    ------
    InputError
        If the file is no MATLAB file, is cut off, or has no such variable.
    """
    try:
        with open(path, "rb") as file:
            yield _find(file, name, path)
    except (_CutOff, zlib.error) as error:
        raise InputError("the file is damaged or cut off; fetch it again", path=path) from error


def _find(file: BinaryIO, name: str, path: str | os.PathLike) -> MatlabArray:
    size = os.fstat(file.fileno()).st_size
    header = file.read(HEADER_BYTES)
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None:
        raise InputError("is no MATLAB file (neither version 5 nor 7.3), or cut off", path=path)
    names = []
    while tag := file.read(8):
        if len(tag) < 8:
            raise _CutOff
        kind, n_bytes = np.frombuffer(tag, f"{order}u4").tolist()
        behind = file.tell() + n_bytes
        if behind > size:
            raise _CutOff
        if kind in (MATRIX, COMPRESSED):
            stream = (_Inflated if kind == COMPRESSED else _Plain)(file, n_bytes)
            if kind == COMPRESSED:
                stream.read(8)  # the tag of the array inside
            array = MatlabArray(stream, order, path)
            if array.name == name:
                return array
            names.append(array.name)
        file.seek(behind)
    raise InputError(f"has no variable {name!r}; it has {', '.join(names) or 'none'}", path=path)
