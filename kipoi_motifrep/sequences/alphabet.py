"""DNA letters as small integers and as one-hot rows, by table look-up.

Codes 0 to 3 are A, C, G, T and 4 is N, as in our dataset files; 5 to 14 are the
other IUPAC letters, ``OUTSIDE`` stands for a position beyond a sequence's end.
"""

from __future__ import annotations

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES, IUPAC

LETTERS = "".join(IUPAC)
OUTSIDE = len(LETTERS)
INVALID = 255


def _code_table() -> bytes:
    table = bytearray([INVALID] * 256)
    for code, letter in enumerate(LETTERS):
        table[ord(letter)] = table[ord(letter.lower())] = code
    table[ord("U")] = table[ord("u")] = BASES.index("T")  # RNA
    return bytes(table)


CODE_OF_BYTE = _code_table()  # for bytes.translate
_CODE_OF_BYTE = np.frombuffer(CODE_OF_BYTE, np.uint8)
_COMPLEMENT = np.array(
    [*map(LETTERS.index, LETTERS.translate(str.maketrans("ACGTRYKMBDHV", "TGCAYRMKVHDB"))), OUTSIDE], np.uint8
)


def one_hot_table(
    dtype: np.dtype | type | str = np.float32, *, alphabet: str = BASES, outside: float = 0.25
) -> np.ndarray:
    """Make the table whose row ``code`` is the one-hot row of that letter.

    Parameters
    ----------
    dtype : dtype, default float32
        Integer types hold the four bases exactly and zeros for all else.
    alphabet : str, default "ACGT"
        Order of the columns.
    outside : float, default 0.25
        Value of all four columns for positions beyond a sequence's end.

    Returns
    -------
    numpy.ndarray, shape (16, 4)
        N and the other IUPAC letters are the average of their bases.

    Raises
    ------
    InputError
        If `alphabet` is not an order of A, C, G, T.

    Examples
    --------
    >>> one_hot_table()[:5]
    array([[1.  , 0.  , 0.  , 0.  ],
           [0.  , 1.  , 0.  , 0.  ],
           [0.  , 0.  , 1.  , 0.  ],
           [0.  , 0.  , 0.  , 1.  ],
           [0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    alphabet = "".join(alphabet).upper()
    if sorted(alphabet) != sorted(BASES):
        raise InputError(f"alphabet is {alphabet!r}; it must be the letters A, C, G, T in some order")
    table = np.zeros((OUTSIDE + 1, 4))
    for code, letter in enumerate(LETTERS):
        bases = IUPAC[letter]
        table[code, [alphabet.index(base) for base in bases]] = 1 / len(bases)
    table[OUTSIDE] = outside
    return table.astype(dtype)


def encode(letters: np.ndarray) -> np.ndarray:
    """Turn letters into codes.

    Parameters
    ----------
    letters : numpy.ndarray of uint8
        ASCII, either case.

    Returns
    -------
    numpy.ndarray of uint8, same shape
        Codes; ``INVALID`` where a character is no nucleotide letter.

    Examples
    --------
    >>> encode(np.frombuffer(b"ACgtN", np.uint8))
    array([0, 1, 2, 3, 4], dtype=uint8)
    """
    return _CODE_OF_BYTE[letters]


def decode(codes: np.ndarray) -> str:
    """Turn one sequence of codes back into letters.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (L,)
        Codes; positions outside the sequence become N.

    Returns
    -------
    str
        Upper-case letters.

    Examples
    --------
    >>> decode(np.array([0, 1, 2, 3, 4], np.uint8))
    'ACGTN'
    """
    return np.frombuffer((LETTERS + "N").encode(), np.uint8)[codes].tobytes().decode()


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Reverse and complement along the last axis.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (..., L)
        Codes, not one-hot.

    Returns
    -------
    numpy.ndarray of uint8, shape (..., L)
        The opposite strand, 5' to 3'.

    Examples
    --------
    >>> decode(reverse_complement(encode(np.frombuffer(b"AACR", np.uint8))))
    'YGTT'
    """
    return _COMPLEMENT[codes[..., ::-1]]


def one_hot(codes: np.ndarray, table: np.ndarray | None = None) -> np.ndarray:
    """Look up the one-hot rows of an array of codes.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (...,)
        Codes.
    table : numpy.ndarray, shape (16, 4), optional
        From :func:`one_hot_table`; float32 in ACGT order by default.

    Returns
    -------
    numpy.ndarray, shape (..., 4)
        In the dtype of `table`.

    Examples
    --------
    >>> one_hot(np.array([[2, 4]], np.uint8))
    array([[[0.  , 0.  , 1.  , 0.  ],
            [0.25, 0.25, 0.25, 0.25]]], dtype=float32)
    """
    table = _FLOAT32 if table is None else table
    # Rows taken as single items of four columns' bytes: several times faster than rows of four.
    rows = np.ascontiguousarray(table).view(np.dtype((np.void, 4 * table.itemsize)))[:, 0]
    return rows.take(codes).view(table.dtype).reshape(*codes.shape, 4)


_FLOAT32 = one_hot_table()


def arrange(batch: np.ndarray, *, alphabet_axis: int | None = 1, dummy_axis: int | None = None) -> np.ndarray:
    """Put a batch of one-hot sequences into another axis order.

    The two arguments are those of kipoiseq's loaders; axes are counted without
    the batch axis.

    Parameters
    ----------
    batch : numpy.ndarray, shape (n, L, 4)
        One-hot sequences.
    alphabet_axis : int, default 1
        Axis of the four letters in the result.
    dummy_axis : int, optional
        Where to insert an axis of length 1.

    Returns
    -------
    numpy.ndarray
        (n, L, 4) by default; ``alphabet_axis=0`` gives (n, 4, L), with
        ``dummy_axis=1`` (n, 4, 1, L).

    Raises
    ------
    InputError
        If the axes do not exist or coincide.

    Examples
    --------
    >>> arrange(np.zeros((2, 200, 4)), alphabet_axis=0, dummy_axis=1).shape
    (2, 4, 1, 200)
    """
    _check_axes(alphabet_axis, dummy_axis)
    letters_first = alphabet_axis == 0 or (alphabet_axis == 1 and dummy_axis == 0)
    if letters_first:
        batch = batch.swapaxes(1, 2)
    if dummy_axis is not None:
        batch = np.expand_dims(batch, dummy_axis + 1)
    return np.ascontiguousarray(batch)


def _check_axes(alphabet_axis: int | None, dummy_axis: int | None) -> None:
    last = 1 if dummy_axis is None else 2
    if alphabet_axis is None or not 0 <= alphabet_axis <= last:
        raise InputError(f"alphabet_axis is {alphabet_axis}; it must be from 0 to {last}")
    if dummy_axis is not None and (dummy_axis == alphabet_axis or not 0 <= dummy_axis <= 2):
        raise InputError(f"dummy_axis is {dummy_axis}; it must be 0, 1 or 2 and not the alphabet_axis")
