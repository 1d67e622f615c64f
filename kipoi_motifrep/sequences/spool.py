"""Arrays kept in a temporary file, so that memory does not grow with their length."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from kipoi_motifrep.core.disks import on_temporary_disk, temporaries
from kipoi_motifrep.core.errors import InputError


class Spool:
    """Rows of one dtype, appended once and read back by position.

    The file has no name and vanishes with the object. Reads do not move a file
    position, so forked worker processes can share it.

    Parameters
    ----------
    dtype : dtype
        Of one item.
    shape : tuple of int, default ()
        Of one row.

    Examples
    --------
    >>> spool = Spool(np.int8, (2,))
    >>> spool.append([[1, 2], [3, 4], [5, 6]])
    >>> spool.read(1, 3).tolist()
    [[3, 4], [5, 6]]
    """

    def __init__(self, dtype: np.dtype | type | str, shape: tuple[int, ...] = ()):
        self._dtype, self._shape = np.dtype(dtype), shape
        self._row_bytes = self._dtype.itemsize * int(np.prod(shape, dtype=int))
        with on_temporary_disk():
            self._file = tempfile.TemporaryFile(prefix="kipoi_motifrep_")
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end.

        Parameters
        ----------
        rows : numpy.ndarray, shape (n, *shape)
            Converted to the spool's dtype.
        """
        with on_temporary_disk():
            self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._n += len(rows)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read rows.

        Parameters
        ----------
        start, stop : int
            Within the spool's length.

        Returns
        -------
        numpy.ndarray, shape (stop - start, *shape)
            The rows, read-only.

        Raises
        ------
        InputError
            If the temporary file was cut off.
        """
        with on_temporary_disk():
            self._file.flush()
        place, end, pieces = start * self._row_bytes, stop * self._row_bytes, []
        while place < end:  # the system gives at most 2 GB at once
            pieces.append(os.pread(self._file.fileno(), end - place, place))
            if not pieces[-1]:
                raise InputError(f"{temporaries()}: a temporary file was cut off; is the disk full?")
            place += len(pieces[-1])
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return np.frombuffer(data, self._dtype).reshape(-1, *self._shape)


class TextSpool:
    """Texts, appended once and read back by position.

    Examples
    --------
    >>> spool = TextSpool()
    >>> spool.append(["one", "", "three"])
    >>> spool.read(1, 3).tolist()
    ['', 'three']
    """

    def __init__(self):
        self._ends, self._bytes = Spool(np.int64), Spool(np.uint8)

    def append(self, texts: Sequence[str]) -> None:
        """Add texts at the end.

        Parameters
        ----------
        texts : sequence of str
            Any number.
        """
        encoded = [text.encode() for text in texts]
        self._ends.append(np.cumsum([len(text) for text in encoded], dtype=np.int64) + len(self._bytes))
        self._bytes.append(np.frombuffer(b"".join(encoded), np.uint8))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read texts.

        Parameters
        ----------
        start, stop : int
            Within the spool's length.

        Returns
        -------
        numpy.ndarray of str, shape (stop - start,)
            The texts.
        """
        first = int(self._ends.read(start - 1, start)[0]) if start else 0
        bounds = [first, *self._ends.read(start, stop).tolist()]
        data = self._bytes.read(bounds[0], bounds[-1]).tobytes()
        return np.array([data[a - first : b - first].decode() for a, b in pairwise(bounds)], str)
