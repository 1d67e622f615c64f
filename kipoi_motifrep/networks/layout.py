"""Axis order and alphabet of a network's DNA input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES, N_CODE
from kipoi_motifrep.sequences.alphabet import one_hot, one_hot_table

_MARKS = np.sqrt([2, 3, 5, 7]).astype(np.float32)  # rows that are not one-hot do not sum to one of these
FLAT = (("L4",), ("4L",))
MOST_CHANNELS = 32  # that bases and signals beside them may have


@dataclass(frozen=True)
class Layout:
    """How one sequence is laid out in an array.

    Parameters
    ----------
    axes : tuple of str
        One entry an axis, without the batch axis: ``"L"`` positions, ``"4"``
        bases, ``"1"`` dummy. A flat input has one axis, ``"L4"`` (base fastest)
        or ``"4L"`` (position fastest).
    alphabet : str
        Order of the bases, a permutation of ACGT.
    first, channels : int
        Of an input that holds signals beside the DNA, the first channel that is a base, and how many there are.
    assumed : bool
        Whether nothing says the order of the bases.
    """

    axes: tuple[str, ...]
    alphabet: str = BASES
    first: int = 0
    channels: int = 4
    assumed: bool = field(default=False, compare=False)

    def __post_init__(self):
        if self.axes not in FLAT and sorted(axis for axis in self.axes if axis != "1") != ["4", "L"]:
            raise InputError(f"axes {','.join(self.axes)!r} must name L and 4 once, the rest 1, like L,4 or 4,1,L")
        if sorted(self.alphabet) != list(BASES):
            raise InputError(f"alphabet {self.alphabet!r} must be a permutation of ACGT")

    def __str__(self) -> str:
        if self.channels == 4:
            return f"({', '.join(self.axes)}) {self.alphabet}"
        axes = ", ".join(str(self.channels) if axis == "4" else axis for axis in self.axes)
        return f"({axes}) {self.alphabet} in channels {self.first} to {self.first + 3}"

    def shape(self, length: int) -> tuple[int, ...]:
        """Shape of one sequence of `length` bases.

        Parameters
        ----------
        length : int
            Number of bases.

        Returns
        -------
        tuple of int
            Without the batch axis.
        """
        sizes = {"L": length, "4": self.channels, "1": 1, "L4": 4 * length, "4L": 4 * length}
        return tuple(sizes[axis] for axis in self.axes)

    def length(self, shape: Sequence[int | None]) -> int | None:
        """Read the number of bases off the shape of one sequence.

        Parameters
        ----------
        shape : sequence of int or None
            Without the batch axis.

        Returns
        -------
        int or None
            None where the shape leaves it open.
        """
        if self.axes in FLAT:
            return None if shape[0] is None else shape[0] // 4
        return shape[self.axes.index("L")]

    def fits(self, shape: Sequence[int | None]) -> bool:
        """Tell whether one sequence can have this shape.

        Parameters
        ----------
        shape : sequence of int or None
            Without the batch axis; None fits anything.

        Returns
        -------
        bool
            Whether it can.
        """
        if len(shape) != len(self.axes):
            return False
        if self.axes in FLAT:
            return shape[0] is None or shape[0] % 4 == 0
        return all(
            axis == "L" or size is None or size == (self.channels if axis == "4" else 1)
            for axis, size in zip(self.axes, shape, strict=True)
        )

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """One-hot encode base codes into this layout.

        Parameters
        ----------
        codes : numpy.ndarray, shape (n, L), uint8
            0 to 3 for A, C, G, T; 4 for no base, which becomes zeros.

        Returns
        -------
        numpy.ndarray, shape (n, *shape(L)), float32
            The network's input.
        """
        table = np.zeros((5, 4), np.float32)
        for column, base in enumerate(self.alphabet):
            table[BASES.index(base), column] = 1
        return self.from_one_hot(table[codes])

    def encode_averaged(self, codes: np.ndarray) -> np.ndarray:
        """One-hot encode sequences as they are read from files into this layout.

        Parameters
        ----------
        codes : numpy.ndarray, shape (n, L), uint8
            Of :mod:`kipoi_motifrep.sequences.alphabet`: N and the other IUPAC letters become
            the average of their bases.

        Returns
        -------
        numpy.ndarray, shape (n, *shape(L)), float32
            The network's input.
        """
        return self.from_one_hot(one_hot(codes, one_hot_table(alphabet=self.alphabet)))

    def from_one_hot(self, one_hot: np.ndarray) -> np.ndarray:
        """Put (n, L, 4) arrays, bases in this alphabet, into this axis order.

        Parameters
        ----------
        one_hot : numpy.ndarray, shape (n, L, 4)
            Sequences or anything else of that shape.

        Returns
        -------
        numpy.ndarray, shape (n, *shape(L))
            The same values.
        """
        length = one_hot.shape[1]
        if self.channels != 4:  # signals beside the DNA are zero
            after = self.channels - 4 - self.first
            one_hot = np.pad(one_hot, ((0, 0), (0, 0), (self.first, after)))
        if self._base_first():
            one_hot = one_hot.transpose(0, 2, 1)
        return np.ascontiguousarray(one_hot).reshape(len(one_hot), *self.shape(length))

    def to_one_hot(self, inputs: np.ndarray) -> np.ndarray:
        """Undo :meth:`from_one_hot`.

        Parameters
        ----------
        inputs : numpy.ndarray, shape (n, *shape(L))
            The network's input.

        Returns
        -------
        numpy.ndarray, shape (n, L, 4)
            A view where possible.
        """
        n, length = len(inputs), self.length(inputs.shape[1:]) or 0
        if self._base_first():
            one_hot = inputs.reshape(n, self.channels, length).transpose(0, 2, 1)
        else:
            one_hot = inputs.reshape(n, length, self.channels)
        return one_hot[:, :, self.first : self.first + 4]

    def decode(self, inputs: np.ndarray) -> np.ndarray:
        """Read base codes from a network's input.

        A position carries the base whose channel is larger than the other
        three; without such a channel (N as zeros or as 0.25 each) it carries none.

        Parameters
        ----------
        inputs : numpy.ndarray, shape (n, *shape(L))
            The network's input.

        Returns
        -------
        numpy.ndarray, shape (n, L), uint8
            0 to 3 for A, C, G, T; 4 for no base.
        """
        one_hot = self.to_one_hot(inputs)
        # One sum a position tells one-hot rows apart; only the others are looked at more closely.
        sums = (
            one_hot @ _MARKS
            if one_hot.flags.c_contiguous
            else sum(mark * one_hot[:, :, column].astype(np.float32, copy=False) for column, mark in enumerate(_MARKS))
        )
        codes = np.full(sums.shape, N_CODE, np.uint8)
        for column, mark in enumerate(_MARKS):
            code = BASES.index(self.alphabet[column])
            codes -= (sums == mark).view(np.uint8) * np.uint8(N_CODE - code)
        soft = np.nonzero((codes == N_CODE) & (sums != 0))
        if len(soft[0]):
            codes[soft] = self._largest(one_hot[soft])
        return codes

    def _largest(self, rows: np.ndarray) -> np.ndarray:
        """Codes of the largest entries of (m, 4) rows; no base in a tie."""
        letters = np.array([BASES.index(base) for base in self.alphabet], np.uint8)
        ordered = np.sort(rows, axis=1)
        return np.where(ordered[:, 3] > ordered[:, 2], letters[rows.argmax(axis=1)], N_CODE).astype(np.uint8)

    def _base_first(self) -> bool:
        if self.axes in FLAT:
            return self.axes == ("4L",)
        return self.axes.index("4") < self.axes.index("L")

    @classmethod
    def parse(cls, axes: str | Sequence[str | int], alphabet: str = BASES) -> Layout:
        """Read an axis order as a person writes it.

        Parameters
        ----------
        axes : str or sequence
            ``"L,4"``, ``"(4, 1, L)"``, ``"41L"``, ``("L", 4)``; ``"flat"`` is ``L*4``.
        alphabet : str, default "ACGT"
            Order of the bases.

        Returns
        -------
        Layout
            The layout.

        Raises
        ------
        InputError
            If it does not name L and 4 once each.
        """
        text = ",".join(map(str, axes)) if not isinstance(axes, str) else axes
        compact = text.upper().replace(" ", "").strip("()[]")
        flat = {"FLAT": ("L4",), "L*4": ("L4",), "4*L": ("4L",)}
        if compact in flat:
            return cls(flat[compact], alphabet.upper())
        found = tuple(re.findall(r"[L41]", compact))
        if "".join(found) != re.sub(r"[,X]", "", compact):
            raise InputError(f"axes {text!r} must be made of L, 4 and 1, like L,4 or 4,1,L")
        return cls(found, alphabet.upper())


def first_channel(channels: str | None) -> int | None:
    """Read which channels are the bases.

    Parameters
    ----------
    channels : str, optional
        Like ``"0:4"``.

    Returns
    -------
    int or None
        The first.

    Raises
    ------
    InputError
        If it does not name four in a row.

    Examples
    --------
    >>> first_channel("2:6")
    2
    """
    if channels is None:
        return None
    found = re.fullmatch(r"(\d+):(\d+)", channels.strip())
    if not found or int(found[2]) - int(found[1]) != 4:
        raise InputError(f"dna_channels {channels!r} must name four channels in a row, like 0:4")
    return int(found[1])


def bases_among(array: np.ndarray) -> int | None:
    """Find the bases among the channels of a batch that holds signals, too.

    Parameters
    ----------
    array : numpy.ndarray, shape (n, L, channels) or (n, channels, L)
        As a loader gives it.

    Returns
    -------
    int or None
        The first of the four channels in a row that are one-hot or N throughout, one-hot at most positions; None if
        there are none such, or as many elsewhere.

    Examples
    --------
    >>> signal, dna = np.full((2, 3, 1), 0.7), np.eye(4)[[[0, 2, 1], [3, 3, 0]]]
    >>> bases_among(np.concatenate([signal, dna], axis=2))
    1
    """
    found = [(0, -1)]
    for values in (array, array.swapaxes(1, 2)) if array.ndim == 3 else ():
        for first in range(values.shape[2] - 3 if 4 < values.shape[2] <= MOST_CHANNELS else 0):
            four = values[:, :, first : first + 4]
            single = (four.max(axis=2) == 1) & (np.abs(four).sum(axis=2) == 1)
            if single.any() and (single | (np.ptp(four, axis=2) == 0)).all():
                found.append((int(single.sum()), first))
    # N is four equal numbers, which three bases and an empty signal can be, too; they are one-hot at fewer positions.
    (most, first), *_ = found = sorted(found, reverse=True)
    return first if [one for one, _ in found].count(most) == 1 and most else None


def layouts(shape: Sequence[int | None], alphabet: str = BASES, first: int | None = None) -> list[Layout]:
    """Ways to read one input's shape as DNA, the likeliest first.

    Parameters
    ----------
    shape : sequence of int or None
        Without the batch axis.
    alphabet : str, default "ACGT"
        Order of the bases.
    first : int, optional
        First channel that is a base, where there may be others beside the four.

    Returns
    -------
    list of Layout
        Empty when the shape cannot be DNA.
    """
    found = []
    for base in range(len(shape) - 1, -1, -1):
        channels = shape[base]
        if channels is None or (channels != 4 if first is None else channels < first + 4):
            continue
        rest = [axis for axis in range(len(shape)) if axis != base]
        positions = [axis for axis in rest if shape[axis] != 1] or rest[:1]
        if len(positions) == 1:
            axes = ["1"] * len(shape)
            axes[base], axes[positions[0]] = "4", "L"
            found.append(Layout(tuple(axes), alphabet, first or 0, channels))
    if first is None and len(shape) == 1 and shape[0] is not None and shape[0] % 4 == 0 and shape[0] > 4:
        found = [Layout(axes, alphabet) for axes in FLAT]
    return sorted(found, key=lambda one: one.channels)  # there are fewer channels than positions
