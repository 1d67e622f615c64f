"""What a convolution reads: measured from outside, by the network's answers.

A first convolution is affine in the one-hot sequence, so its kernels, receptive field, stride, dilation, padding,
direction (strand) and order of bases are its response to single bases:

1. With random kernels, change the bases of random sequences from one end on: the first and last base that a position
   answers to are the ends of its receptive field; neighbouring positions give the stride and the direction.
2. With the network's own kernels, put one base at a time into an empty sequence: the answers are the kernels.
3. Predict the answers to random sequences from both. Where they differ, something before it is not affine, or moves.

The receptive field of a deeper convolution is step 1 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.networks.layout import Layout
from kipoi_motifrep.networks.source import PROBE, ForwardPass, OtherWay, Unreadable
from kipoi_motifrep.networks.types import ReceptiveField

BATCH_VALUES = 4 << 20  # numbers of a feature map at a time, 16 MiB
CROPPED = 20_000  # numbers of a feature map from which on a part of the sequence is asked
TRIALS = 3  # random sequences by which a position is asked what it sees
DEEP_TRIALS = 24  # pooling and rectifiers in between hide most changes from most sequences
SAME = 1e-6  # of the largest number: what is closer is the same but for rounding

Lay = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Brings sequences (n, L, 4), in ACGT order, into the form that the network takes, with its other inputs."""


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Where in an array the sequences, positions and filters of a feature map are.

    Parameters
    ----------
    rows : int
        Axis of the sequences.
    filters, positions : int or None
        Axes of the filters and of the positions; None where there is one only, and no axis for it.
    copies : int
        Rows of each sequence, such as its two strands.
    copy : int
        Which of these is meant.
    together : bool
        Whether the rows of one sequence lie side by side, not batch by batch.
    order : numpy.ndarray of int, shape (n_filters,)
        Entry of each filter along its axis, which may hold those of other layers, too.
    """

    rows: int
    filters: int | None
    positions: int | None
    copies: int
    copy: int
    together: bool
    order: np.ndarray

    def arranged(self, values: np.ndarray, n: int) -> np.ndarray:
        """Bring a feature map into (n, n_positions, n_filters).

        Parameters
        ----------
        values : numpy.ndarray
            As the network computes it for n sequences.
        n : int
            Number of sequences.

        Returns
        -------
        numpy.ndarray, shape (n, n_positions, n_filters)
            A view where possible.

        Raises
        ------
        OtherWay
            If these are not the activations of n sequences.
        """
        if values.ndim <= self.rows or values.shape[self.rows] != n * self.copies:
            raise OtherWay(f"activations of shape {values.shape} come from {n} sequences")
        axes = [one for one in (self.rows, self.positions, self.filters) if one is not None]
        size = 1 if self.filters is None else values.shape[self.filters]
        values = np.moveaxis(values, axes, range(len(axes)))  # axes of size 1 are last
        values = values.reshape(len(values), -1, size)
        values = values[self.copy :: self.copies] if self.together else values[self.copy * n : (self.copy + 1) * n]
        straight = np.array_equal(self.order, np.arange(values.shape[2]))
        return values if straight else values[:, :, self.order]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a position of a feature map sees.

    Parameters
    ----------
    field : ReceptiveField
        Where.
    n_positions : int
        How many positions there are.
    kernels : numpy.ndarray, shape (n_filters, width, 4), optional
        In sequence direction and ACGT order; None for a deeper convolution.
    holes : int
        Dilation: bases from one that is looked at to the next.
    strand : str
        Where it reads backwards, what it reads: the ``reverse complement`` or the ``sequence backwards``.
    """

    field: ReceptiveField
    n_positions: int
    kernels: np.ndarray | None = None
    holes: int = 1
    strand: str = ""


class FeatureMap:
    """A convolution's output, asked with sequences.

    Parameters
    ----------
    forward : ForwardPass
        The network.
    place : int
        The convolution.
    lay : callable
        See `Lay`.
    length : int
        Of the sequences, in bases.

    Raises
    ------
    Unreadable
        If its rows are not the sequences, or it has two axes of positions.
    """

    def __init__(self, forward: ForwardPass, place: int, lay: Lay, length: int):
        self.forward, self.place, self.lay, self.length = forward, place, lay, length
        tap = forward.taps[place]
        if tap.convolution is None:
            raise ValueError(f"{tap.name} is no convolution")
        self.name, self._entry = tap.name, tap.convolution.entry
        shape = tuple(one for one in tap.shape[1:] if one is not None)
        if not tap.shape or len(shape) < len(tap.shape) - 1:  # a framework that cannot work it out
            shape = forward.run(lay(one_hot(0, PROBE, length)), [place])[0].shape[1:]
        shape = (0, *shape)
        filters = tap.convolution.channels % len(shape)
        spread = [axis for axis in range(1, len(shape)) if axis != filters and shape[axis] != 1]
        if not filters:
            raise Unreadable(
                f"it is given an array of shape {forward.taps[self._entry].shape}, without an axis of sequences"
            )
        if len(spread) > 1:
            raise Unreadable(f"its feature map {shape[1:]} has a second axis of positions")
        self.n_filters = shape[filters]
        self.n_positions = shape[spread[0]] if spread else 1
        if not self.n_positions:
            raise Unreadable("none of the sequence reaches it")
        self._n_axes = len(shape)
        self.axes = (filters, spread[0] if spread else None)
        middle = max(self.n_positions // 2 - 1, 0)
        self.middle = list(range(middle, min(middle + 2, self.n_positions)))
        self._crop: tuple[int, slice, int] | None = None
        if self.n_positions * self.n_filters > CROPPED:
            self._crop = self._cropped()
        self.copies, self.together = self._rows()
        try:
            self._values(np.random.default_rng(0).normal(0, 9, (PROBE, length, 4)).astype(np.float32))
        except Exception as error:  # of the framework, such as an Embedding's for numbers that it has no row for
            raise Unreadable("layers before it do not take one-hot sequences") from error

    @property
    def positions(self) -> list[int]:
        """Positions that can be asked: neighbours in the middle, and at both ends where all can be asked."""
        ends = [] if self._crop else [0, 1, self.n_positions - 2, self.n_positions - 1]
        return sorted({one for one in (*ends, *self.middle) if 0 <= one < self.n_positions})

    def ask_all(self) -> None:
        """Ask with whole sequences from now on, so that all positions can be asked."""
        self._crop = None

    def arrangement(
        self,
        copy: int,
        rows: int | None = None,
        filters: int | None = None,
        positions: int | None = None,
        order: np.ndarray | None = None,
    ) -> Arrangement:
        """Say where one copy of the sequences is in the convolution's output, or in what is made from it.

        Parameters
        ----------
        copy : int
            Which.
        rows, filters, positions, order
            Of what is made from it; see `Arrangement`.

        Returns
        -------
        Arrangement
            Without `order` that of the convolution's own output.
        """
        if order is None:
            (filters, positions), order = self.axes, np.arange(self.n_filters)
        return Arrangement(rows or 0, filters, positions, self.copies, copy, self.together, order)

    def ask(self, sequences: np.ndarray, copy: int, positions: Sequence[int], fresh: Sequence[int] = ()) -> np.ndarray:
        """Give the feature map of some sequences at some positions.

        Parameters
        ----------
        sequences : numpy.ndarray, shape (n, L, 4)
            In ACGT order.
        copy : int
            Which of the rows of each sequence.
        positions : sequence of int
            Of the feature map.
        fresh : sequence of int
            Convolutions with random kernels.

        Returns
        -------
        numpy.ndarray, shape (n, positions, n_filters)
            The answers.
        """
        arrangement, answers = self.arrangement(copy), []
        here = [one - self._crop[2] if self._crop else one for one in positions]
        size = 4 * self.length + (0 if self._crop else self.n_positions * self.n_filters)
        batch = max(PROBE, BATCH_VALUES // size)
        for start in range(0, len(sequences), batch):
            part = sequences[start : start + batch]
            values = self._values(part if len(part) >= PROBE else np.repeat(part, PROBE, axis=0), fresh)
            answers.append(arrangement.arranged(values, max(len(part), PROBE))[: len(part), here])
        return np.concatenate(answers)

    def _values(self, sequences: np.ndarray, fresh: Sequence[int] = ()) -> np.ndarray:
        inputs, given = self.lay(sequences), {}
        if self._crop:
            axis, cut, _ = self._crop
            (entry,) = self.forward.run(inputs, [self._entry], fresh=fresh)
            given = {self._entry: entry[(slice(None),) * axis + (cut,)]}
        return self.forward.run(inputs, [self.place], given, fresh)[0]

    def _cropped(self) -> tuple[int, slice, int] | None:
        """Find a part of a long sequence that gives the positions in the middle as the whole does.

        The convolution is run on parts of what it slides along, the shortest first, until the two filter vectors that
        the whole sequence gives in the middle are found among those of the part. Axis, part, and what to subtract
        from positions.
        """
        rows = PROBE if self.n_positions * self.n_filters < BATCH_VALUES else 1
        inputs = self.lay(one_hot(0, rows, self.length))
        entry, whole = self.forward.run(inputs, [self._entry, self.place])
        axis = int(np.argmax(entry.shape[1:])) + 1
        wanted = self._first_row(whole)[self.middle]
        stride = max(round(entry.shape[axis] / self.n_positions), 1)
        center = self.middle[0] * stride
        for width in (64, 512, 4096, 32768):
            first = max(center - width // 2 // stride * stride, 0)
            cut = slice(first, first + width)
            try:
                (part,) = self.forward.run(inputs, [self.place], {self._entry: entry[(slice(None),) * axis + (cut,)]})
            except Exception:  # such as of one that takes whole sequences apart to see bases far apart
                return None
            row = self._first_row(part)
            near = np.isclose(row[:, None], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max()).all(axis=2)
            places = np.flatnonzero(near[:-1, 0] & near[1:, -1])
            if len(places) == 1:
                return axis, cut, self.middle[0] - int(places[0])
        return None

    def _first_row(self, values: np.ndarray) -> np.ndarray:
        return Arrangement(0, *self.axes, 1, 0, False, np.arange(self.n_filters)).arranged(values[:1], 1)[0]

    @property
    def scale(self) -> float:
        """Largest number that random sequences give; 1 if there is none."""
        largest = float(np.abs(self.ask(one_hot(5, PROBE, self.length), 0, self.middle)).max())
        return largest if np.isfinite(largest) and largest > 0 else 1.0

    def made_up(self, values: np.ndarray) -> np.ndarray:
        """Lay numbers (rows, n_filters, positions), however many positions there are, out as a feature map."""
        shape = [1] * self._n_axes
        filters, along = self.axes
        shape[0], shape[filters] = values.shape[:2]
        if along is not None:
            shape[along] = values.shape[2]
            values = values if filters < along else values.swapaxes(1, 2)
        return values.reshape(shape)

    def _rows(self) -> tuple[int, bool]:
        """Find out which rows belong to which of two sequences: how many each, and whether side by side."""
        one, mixed = (one_hot(seed, PROBE, self.length) for seed in (0, 1))
        mixed[0] = one[0]  # so that the second sequence alone is another
        before, after = (self._values(x, [self.place]) for x in (one, mixed))
        if len(before) < PROBE:
            raise Unreadable(
                f"the forward pass runs it on {len(before)} sequences where {PROBE} are given, so activations cannot "
                "be told apart; a forward pass that takes all sequences of a batch at once is needed"
            )
        changed, copies = differ(before, after).reshape(len(before), -1).any(axis=1), len(before) // PROBE
        for together in (False, True):
            owner = np.repeat(np.arange(PROBE), copies) if together else np.tile(np.arange(PROBE), copies)
            if np.array_equal(owner == 1, changed):
                return copies, together
        raise Unreadable("layers before it mix the sequences of a batch, or none of the sequence reaches it")


def one_hot(seed: int, n: int, length: int) -> np.ndarray:
    """Make random sequences.

    Parameters
    ----------
    seed, n, length : int
        Of the random numbers; how many sequences; bases of each.

    Returns
    -------
    numpy.ndarray, shape (n, length, 4), float32
        Columns are A, C, G, T.

    Examples
    --------
    >>> one_hot(0, 2, 3).sum(axis=2).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return np.eye(4, dtype=np.float32)[np.random.default_rng(seed).integers(0, 4, (n, length))]


def differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Tell which numbers differ by more than rounding, which depends on the batch that they are computed in.

    Parameters
    ----------
    one, other : numpy.ndarray
        Of one shape.

    Returns
    -------
    numpy.ndarray of bool
        One an entry.

    Examples
    --------
    >>> differ(np.array([1.0, 2.0]), np.array([1.0 + 1e-9, 2.1])).tolist()
    [False, True]
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return ~(np.abs(one - other) <= SAME * np.abs(one).max(initial=0))


def read_first(feature_map: FeatureMap, copy: int, layout: Layout) -> Reading:
    """Measure a first convolution.

    Parameters
    ----------
    feature_map : FeatureMap
        Of a convolution with no other between it and the sequence.
    copy : int
        Which of the rows of each sequence.
    layout : Layout
        Of the DNA input.

    Returns
    -------
    Reading
        Field and kernels; the framework's own numbers where they are the kernels.

    Raises
    ------
    Unreadable
        If it is not a convolution over the sequence.
    """
    place = feature_map.place
    field = _field(feature_map, copy, [place], TRIALS)
    seen = [field.start + field.step * one for one in feature_map.middle]
    if min(seen) <= 0 or max(seen) + field.width >= feature_map.length:  # it may see more than there is in the middle
        feature_map.ask_all()
        field = _field(feature_map, copy, [place], TRIALS)
    looked_at = _kernels(feature_map, copy, field, [place])
    columns = np.flatnonzero(np.abs(looked_at).max(axis=(0, 2)) > 0)
    holes = int(np.gcd.reduce(np.diff(columns))) if len(columns) > 1 else 1
    kernels = np.zeros_like(looked_at)
    kernels[:, columns] = _kernels(feature_map, copy, field, [])[:, columns]
    weights = feature_map.forward.weights(place)
    if "1" in layout.axes and len(columns) == 1 and weights and weights[0].size > kernels[:, columns].size:
        raise Unreadable("its kernel is one base wide along the sequence and wider along a dummy axis")
    _check(feature_map, copy, field, kernels)
    exact, turned = _own_numbers(kernels[:, columns], weights, layout)
    if exact is not None:
        kernels[:, columns] = exact
    strand = "" if field.step > 0 else "reverse complement" if turned else "sequence backwards"
    return Reading(field, feature_map.n_positions, kernels, holes, strand)


def read_deeper(feature_map: FeatureMap, before: Sequence[int]) -> Reading:
    """Measure the receptive field of a deeper convolution.

    Parameters
    ----------
    feature_map : FeatureMap
        Of the convolution.
    before : sequence of int
        The convolutions between it and the sequence.

    Returns
    -------
    Reading
        Without kernels.

    Raises
    ------
    InputError
        If it sees the whole sequence.
    """
    place = feature_map.place
    fields = [_field(feature_map, 0, fresh, DEEP_TRIALS) for fresh in ([place, *before], [place])]
    start = min(one.start for one in fields)
    end = max(one.start + one.width for one in fields)
    step = max((one.step for one in fields), key=abs)
    if all(start + step * one <= 0 and end + step * one >= feature_map.length for one in feature_map.positions):
        raise InputError(
            f"layer {feature_map.name} has no receptive field smaller than the sequence: something "
            "before it mixes distant positions; choose an earlier convolution by layer=NAME"
        )
    return Reading(ReceptiveField(start, end - start, step), feature_map.n_positions)


def _field(feature_map: FeatureMap, copy: int, fresh: Sequence[int], trials: int) -> ReceptiveField:
    """Measure a receptive field by changing the sequence from one end on.

    The first base that a position answers to is found by halving: its answers change if and only if the bases changed
    reach that far. So is the last, from the other end.
    """
    length, positions = feature_map.length, feature_map.positions
    one = one_hot(2, trials, length)
    other = np.roll(one, 1, axis=2)  # every base is another
    before = feature_map.ask(one, copy, positions, fresh)
    ends = []
    for backwards in (False, True):
        # Bases changed that leave a position alone, and that do not; L + 1 for a position that sees nothing.
        few, many = np.zeros(len(positions), int), np.full(len(positions), length + 1)
        while (many - few > 1).any():
            tried = (few + many) // 2
            sequences = np.concatenate([_changed(one, other, number, backwards) for number in tried])
            after = feature_map.ask(sequences, copy, positions, fresh).reshape(len(positions), *before.shape)
            answers = np.array([differ(before[:, i], after[i, :, i]).any() for i in range(len(positions))])
            few, many = np.where(answers, few, tried), np.where(answers, tried, many)
        ends.append(length - many if backwards else many - 1)
    first, last = ends
    field = _agreed(np.array(positions), first, last, length)
    if field is None:  # the ends may be padded with what is at the other end, or with a mirror image
        middle = np.isin(positions, feature_map.middle)
        field = _agreed(np.array(positions)[middle], first[middle], last[middle], length)
    if field is None:
        raise Unreadable("it does not read consecutive positions")
    return field


def _changed(one: np.ndarray, other: np.ndarray, number: int, backwards: bool) -> np.ndarray:
    mixed = one.copy()
    part = slice(len(one[0]) - min(number, len(one[0])), None) if backwards else slice(0, number)
    mixed[:, part] = other[:, part]
    return mixed


def _agreed(positions: np.ndarray, first: np.ndarray, last: np.ndarray, length: int) -> ReceptiveField | None:
    """Find the field that explains what some positions see, cut off at the ends of the sequence; None if none does."""
    seen = (first < length) & (last >= 0)
    if not seen.any():
        raise Unreadable("none of the sequence reaches it")
    positions, first, last = positions[seen], first[seen], last[seen]
    near = np.flatnonzero(np.diff(positions) == 1)
    steps = np.concatenate([np.diff(first)[near], np.diff(last)[near]])
    step = int(steps[np.argmax(np.abs(steps))]) if len(steps) and steps.any() else 1
    start, end = int((first - step * positions).min()), int((last - step * positions).max())
    expected = np.clip(start + step * positions, 0, None), np.clip(end + step * positions, None, length - 1)
    agree = np.array_equal(expected[0], first) and np.array_equal(expected[1], last)
    return ReceptiveField(start, end - start + 1, step) if agree else None


def _kernels(feature_map: FeatureMap, copy: int, field: ReceptiveField, fresh: Sequence[int]) -> np.ndarray:
    """Answers to single bases in an empty sequence: (n_filters, width, 4), zeros where no position can be asked."""
    kernels = np.zeros((feature_map.n_filters, field.width, 4), np.float32)
    missing = np.ones(field.width, bool)
    empty = np.zeros((1, feature_map.length, 4), np.float32)
    middle = feature_map.middle[-1]
    for position in sorted(feature_map.positions, key=lambda one: abs(one - middle)):
        bases = field.start + field.step * position + np.arange(field.width)
        columns = np.flatnonzero(missing & (bases >= 0) & (bases < feature_map.length))
        if not len(columns):
            continue
        nothing = feature_map.ask(empty, copy, [position], fresh)[0, 0]
        most = max(1, BATCH_VALUES // empty.size)
        for some in np.split(columns, range(most, len(columns), most)):
            single = np.zeros((len(some), 4, feature_map.length, 4), np.float32)
            for letter in range(4):
                single[range(len(some)), letter, bases[some], letter] = 1
            answers = feature_map.ask(single.reshape(-1, *empty.shape[1:]), copy, [position], fresh)[:, 0] - nothing
            kernels[:, some] = answers.reshape(len(some), 4, -1).transpose(2, 0, 1)
        missing[columns] = False
    return kernels


def _check(feature_map: FeatureMap, copy: int, field: ReceptiveField, kernels: np.ndarray) -> None:
    """Predict the answers to random sequences by the kernels, at positions that see no padding."""
    starts = {one: field.start + field.step * one for one in feature_map.positions}
    inside = [one for one, start in starts.items() if 0 <= start <= feature_map.length - field.width] or list(starts)
    sequences = one_hot(4, TRIALS, feature_map.length)
    nothing = feature_map.ask(np.zeros_like(sequences[:1]), copy, inside)
    padded = np.pad(sequences, ((0, 0), (field.width, field.width), (0, 0)))
    windows = np.stack([padded[:, max(starts[one] + field.width, 0) :][:, : field.width] for one in inside], axis=1)
    expected = nothing + np.einsum("npwb,fwb->npf", windows, kernels)
    given = feature_map.ask(sequences, copy, inside)
    size = max(float(np.abs(given).max()), 1e-6)
    if np.isfinite(size) and not np.allclose(given, expected, rtol=1e-3, atol=1e-3 * size):
        raise Unreadable("layers before it change the sequence by more than moving, cutting, padding or rescaling")


def _own_numbers(kernels: np.ndarray, weights: Sequence[np.ndarray], layout: Layout) -> tuple[np.ndarray | None, bool]:
    """Find the kernels among the weights that the framework holds, which have no rounding errors.

    Weights may lie in any order of axes, and, for a network that turns the sequence round, backwards or complemented.
    Also whether they are complemented.
    """
    if len(weights) != 1 or weights[0].size != kernels.size:
        return None, False
    columns = [BASES.index(base) for base in layout.alphabet]
    complement = [layout.alphabet.index("TGCA"[BASES.index(base)]) for base in layout.alphabet]
    sizes = [size for size in kernels.shape if size > 1]
    for axes in permutations(range(weights[0].ndim)):
        moved = weights[0].transpose(axes)
        if [size for size in moved.shape if size > 1] != sizes:
            continue
        moved = moved.reshape(kernels.shape)
        for direction in (1, -1):
            for bases in (list(range(4)), complement):
                own = np.zeros_like(kernels)
                own[:, :, columns] = moved[:, ::direction, bases]
                if np.allclose(own, kernels, rtol=1e-5, atol=1e-5 * np.abs(kernels).max()):
                    return own, bases != list(range(4))
    return None, False
