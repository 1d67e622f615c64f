"""Numeric arrays of MATLAB version 5 files, a column at a time: scipy holds a whole array, 1.8 GB in the bundle.

The format is that of "MAT-File Format" (The MathWorks, R2023a), level 5:
elements of a type, a length and data, each array an element of its own, mostly
compressed with zlib; numbers in column-major order.
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
READ_AT_ONCE = 1 << 16  # packed; zlib unpacks it to 64 MB at most
LONGEST_DESCRIPTION = 1 << 16  # bytes of an array's name or shape


class _CutOff(Exception):
    pass


def _pieces(file: BinaryIO, n_bytes: int, compressed: bool) -> Iterator[bytes]:
    """Go through one element's bytes; at the end of compressed ones, their checksum has been compared."""
    unpack = zlib.decompressobj()
    while n_bytes:
        read = file.read(min(READ_AT_ONCE, n_bytes))
        n_bytes -= len(read)
        if not read:
            raise _CutOff
        yield unpack.decompress(read) if compressed else read
    if compressed and not unpack.eof:
        raise _CutOff


class MatlabArray:
    """A numeric array of which the data are still to be read.

    Attributes
    ----------
    name : str
        Of the variable.
    shape : tuple of int
        As MATLAB has it.
    """

    def __init__(self, pieces: Iterator[bytes], order: str, path: str | os.PathLike, nested: bool):
        self._pieces, self._left, self._order, self._path = pieces, b"", order, path
        if nested:  # a compressed element holds another with a tag of its own
            self._read(8)
        self._description()  # flags
        self.shape = tuple(np.frombuffer(self._description(), f"{order}i4").tolist())
        self.name = self._description().decode("latin-1")

    def _read(self, n: int) -> bytes:
        parts, have = [self._left], len(self._left)
        while have < n:
            piece = next(self._pieces, None)
            if piece is None:
                raise _CutOff
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._left = data[n:]
        return data[:n]

    def _tag(self) -> tuple[int, int, bytes | None]:
        first, second = np.frombuffer(self._read(8), f"{self._order}u4")
        if first >> 16:  # up to four bytes of data lie in the tag itself
            n_bytes = int(first >> 16)
            return int(first & 0xFFFF), n_bytes, second.tobytes()[:n_bytes]
        return int(first), int(second), None

    def _description(self) -> bytes:
        _, n_bytes, data = self._tag()
        if n_bytes > LONGEST_DESCRIPTION:
            raise _CutOff
        return self._read(n_bytes + -n_bytes % 8)[:n_bytes] if data is None else data

    def columns(self) -> Iterator[np.ndarray]:
        """Go once through the array, the first axis at a time.

        Yields
        ------
        numpy.ndarray, shape (shape[0],)
            ``array[:, 0, 0]``, ``array[:, 1, 0]``, ... of an array with three axes.

        Raises
        ------
        InputError
            If the variable holds no numbers, or another number of them than its shape says.
        """
        kind, n_bytes, data = self._tag()
        if kind not in DTYPES:
            raise InputError(f"variable {self.name!r} holds no numbers", path=self._path)
        dtype = np.dtype(self._order + DTYPES[kind])
        if n_bytes != prod(self.shape) * dtype.itemsize:
            raise InputError(
                f"variable {self.name!r} has {n_bytes} bytes, which do not fit its shape {self.shape}", path=self._path
            )
        height = self.shape[0] * dtype.itemsize
        for i in range(prod(self.shape[1:])):
            yield np.frombuffer(self._read(height) if data is None else data[i * height : (i + 1) * height], dtype)
        for _ in self._pieces:  # to the end
            pass


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
            size = os.fstat(file.fileno()).st_size
            order = {b"IM": "<", b"MI": ">"}.get(file.read(HEADER_BYTES)[126:])
            if order is None:
                raise InputError("is no MATLAB file (neither version 5 nor 7.3), or cut off", path=path)
            names: list[str] = []
            while tag := file.read(8):
                if len(tag) < 8:
                    raise _CutOff
                kind, n_bytes = np.frombuffer(tag, f"{order}u4").tolist()
                behind = file.tell() + n_bytes
                if behind > size:
                    raise _CutOff
                if kind in (MATRIX, COMPRESSED):
                    array = MatlabArray(_pieces(file, n_bytes, kind == COMPRESSED), order, path, kind == COMPRESSED)
                    if array.name == name:
                        yield array
                        return
                    names.append(array.name)
                file.seek(behind)
            raise InputError(f"has no variable {name!r}; it has {', '.join(names) or 'none'}", path=path)
    except (_CutOff, zlib.error) as error:
        raise InputError("the file is damaged or cut off; fetch it again", path=path) from error
