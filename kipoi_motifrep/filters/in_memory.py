"""Sequences that a caller holds: one-hot arrays, texts, or a batch of all inputs of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.filters.batches import over_arrays
from kipoi_motifrep.networks.types import Inputs
from kipoi_motifrep.sequences.alphabet import INVALID, encode, one_hot
from kipoi_motifrep.sequences.fasta import resize

WANTED = "wanted is a one-hot array (n, L, 4), bases in the order ACGT, or a list of texts such as 'ACGT'"


class SequencesInMemory:
    """Sequences that a caller holds, batch by batch as a loader gives them.

    Parameters
    ----------
    given : array, list of str, list or dict of arrays
        One-hot (n, L, 4) in ACGT order, or a list of (L, 4); texts of one length, also a data frame's column of
        them; or all inputs of a network of
        several, which are taken as they are.
    auto_resize_len : int, optional
        Cut or pad texts to so many bases about their centre.

    Raises
    ------
    InputError
        If it is something else, with a word on what was given and what is wanted.

    Examples
    --------
    >>> loader = SequencesInMemory(["ACGT", "TTGA"])
    >>> loader.n, loader.length, str(loader)
    (2, 4, '2 sequences of 4 bp in memory')
    >>> SequencesInMemory(np.zeros((2, 4, 100)))
    Traceback (most recent call last):
    ...
    kipoi_motifrep.core.errors.InputError: the sequences have shape (2, 4, 100); ... give them as x.transpose(0, 2, 1)
    """

    def __init__(self, given: object, auto_resize_len: int | None = None):
        self._inputs: Inputs | None = None
        self.length: int | None = None
        column = _array(given)
        if isinstance(column, np.ndarray) and all(isinstance(one, str | bytes) for one in column.ravel()[:1]):
            given = column.ravel().tolist()  # of a data frame, or numpy's own texts
        kept = [_array(one) for one in given] if isinstance(given, list | tuple) else given
        if isinstance(kept, list) and all(isinstance(one, str) for one in kept):
            self._codes = _encoded(kept, auto_resize_len)
            self.n, self.length = self._codes.shape
            return
        if auto_resize_len is not None:
            raise InputError("auto_resize_len goes with texts; an array's sequences have one length already")
        if isinstance(kept, list) and {np.shape(one)[1:] for one in kept if isinstance(one, np.ndarray)} == {(4,)}:
            kept = np.stack(kept) if len({np.shape(one) for one in kept}) == 1 else kept  # one array a sequence
        several: Any = kept if isinstance(kept, list) else []
        if isinstance(given, Mapping):
            several = {str(name): _array(one) for name, one in given.items()}
        arrays = list(several.values()) if isinstance(several, dict) else several
        # Several arrays are all inputs of a network: of what shape they must be is known when it is opened.
        if arrays and all(isinstance(one, np.ndarray) and one.ndim > 1 for one in arrays):
            sizes = sorted({len(one) for one in arrays})
            if len(sizes) > 1:
                raise InputError(f"the inputs have {', '.join(map(str, sizes))} rows; give each as many sequences")
            self._inputs, self.n = several, sizes[0]
        else:
            array = _one_hot(kept)
            self._inputs, (self.n, self.length) = array, array.shape[:2]

    def __str__(self) -> str:
        width = "" if self.length is None else f" of {self.length:,} bp"
        return f"{self.n:,} sequences{width} in memory"

    def batch_iter(self, batch_size: int = 32, **_: object) -> Iterator[dict[str, Any]]:
        """Go through all batches.

        Parameters
        ----------
        batch_size : int, default 32
            Sequences a batch.

        Yields
        ------
        dict
            ``inputs``.
        """
        for start in range(0, self.n, batch_size):
            rows = slice(start, start + batch_size)
            if self._inputs is None:
                yield {"inputs": one_hot(self._codes[rows])}
            else:
                yield {"inputs": over_arrays(lambda one, rows=rows: one[rows], self._inputs)}


def _array(value: Any) -> Any:
    """Make an array of what holds one, such as a tensor, and a text of bytes; anything else stays."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    if isinstance(value, str) or not hasattr(value, "__array__"):
        return value
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _one_hot(value: object) -> np.ndarray:
    array = _array(value)
    if isinstance(array, str):
        raise InputError(f"the sequences are one text ({array[:20]!r}); {WANTED}; a FASTA file is given as fasta=")
    if not isinstance(array, np.ndarray):
        raise InputError(f"the sequences are of type {type(value).__name__}; {WANTED}")
    shape = f"the sequences have shape {array.shape}; {WANTED}"
    if array.dtype.kind not in "fiub":
        raise InputError(f"the sequences are an array of type {array.dtype}; {WANTED}")
    if array.ndim == 2 and array.shape[1] == 4:
        raise InputError(f"{shape}: give a single one as x[None]")
    if array.ndim == 3 and array.shape[2] != 4 and array.shape[1] == 4:
        raise InputError(f"{shape}: give them as x.transpose(0, 2, 1)")
    if array.ndim != 3 or array.shape[2] != 4:
        raise InputError(shape)
    if not len(array):
        raise InputError("there are no sequences")
    return array


def _encoded(texts: list[str], length: int | None) -> np.ndarray:
    """Codes of texts, shape (n, L)."""
    if not texts:
        raise InputError("there are no sequences")
    codes = []
    for number, text in enumerate(texts, 1):
        one = encode(np.frombuffer(text.encode("ascii", "replace"), np.uint8))
        if (wrong := np.flatnonzero(one == INVALID)).size:
            raise InputError(
                f"{text[wrong[0]]!r} in sequence {number} is no DNA letter; replace it, for example with N"
            )
        codes.append(one if length is None else resize(one, length))
    for number, one in enumerate(codes, 1):
        if len(one) != len(codes[0]):
            raise InputError(
                f"sequence {number} is {len(one)} bp, and the first {len(codes[0])}; give texts of one length, or "
                "auto_resize_len to cut or pad all"
            )
    return np.stack(codes)
