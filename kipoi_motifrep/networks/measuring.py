"""What a convolution reads, and where its activations are: measured from outside, by the network's answers.

A first convolution is affine in the one-hot sequence, so its kernels, receptive field, stride, dilation, padding,
direction (strand) and order of bases are its response to single bases:

1. With random kernels, change the bases of random sequences from one end on: the first and last base that a position
   answers to are the ends of its receptive field; neighbouring positions give the stride and the direction.
2. With the network's own kernels, put one base at a time into an empty sequence: the answers are the kernels.
3. Predict the answers to random sequences from both. Where they differ, something before it is not affine, or moves.

The receptive field of a deeper convolution is step 1 alone. Its activations are found in the same way: put random
numbers in the place of its feature map, and see which later values change in one place only, and how.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.layout import Layout
from kipoi_motifrep.networks.source import PROBE, ForwardPass, OtherWay, Tap, Unreadable
from kipoi_motifrep.networks.types import ReceptiveField

BATCH_VALUES = 4 << 20  # numbers of a feature map at a time, 16 MiB
CROPPED = 20_000  # numbers of a feature map from which on a part of the sequence is asked
TRIALS = 3  # random sequences by which a position is asked what it sees
DEEP_TRIALS = 24  # pooling and rectifiers in between hide most changes from most sequences
SAME = 1e-6  # of the largest number: what is closer is the same but for rounding
SHORT = 32  # positions of a feature map that is made up, to follow it to its non-linearity
NEAR = (48, 12, 3)  # values behind a convolution that are looked at; fewer if those far off take no short maps
SEEDS = 3  # made-up feature maps: a rectifier hides what is negative in all of them ...
MANY = 32  # ... but not everything that a row, position or filter holds, if it holds as much

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
    backwards : bool
        Whether the positions run from the last to the first.
    """

    rows: int
    filters: int | None
    positions: int | None
    copies: int
    copy: int
    together: bool
    order: np.ndarray
    backwards: bool = False

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
        values = values[self.copy::self.copies] if self.together else values[self.copy * n:(self.copy + 1) * n]
        values = values[:, ::-1] if self.backwards else values
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
        if len(shape) < len(tap.shape) - 1:  # a framework that cannot work it out
            shape = forward.run(lay(_one_hot(0, PROBE, length)), [place])[0].shape[1:]
        shape = (0, *shape)
        filters = tap.convolution.channels % len(shape)
        spread = [axis for axis in range(1, len(shape)) if axis != filters and shape[axis] != 1]
        if not filters:
            raise Unreadable(f"it is given an array of shape {forward.taps[self._entry].shape}, without an axis of "
                             "sequences")
        if len(spread) > 1:
            raise Unreadable(f"its feature map {shape[1:]} has a second axis of positions")
        self.n_filters = shape[filters]
        self.n_positions = shape[spread[0]] if spread else 1
        if not self.n_positions:
            raise Unreadable("none of the sequence reaches it")
        self._n_axes = len(shape)
        self._axes = (filters, spread[0] if spread else None)
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

    def arrangement(self, copy: int) -> Arrangement:
        """Say where one copy of the sequences is in the convolution's output.

        Parameters
        ----------
        copy : int
            Which.

        Returns
        -------
        Arrangement
            Of the convolution's own output.
        """
        return Arrangement(0, *self._axes, self.copies, copy, self.together, np.arange(self.n_filters))

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
            part = sequences[start:start + batch]
            n = len(part)
            try:
                values = self._values(part if n >= PROBE else np.repeat(part, PROBE, axis=0), fresh)
                answers.append(arrangement.arranged(values, max(n, PROBE))[:n][:, here])
            except (OtherWay, InputError):
                if n <= PROBE:
                    raise
                answers += [self.ask(half, copy, positions, fresh) for half in (part[:n // 2], part[n // 2:])]
        return np.concatenate(answers)

    def _values(self, sequences: np.ndarray, fresh: Sequence[int] = ()) -> np.ndarray:
        inputs, given = self.lay(sequences), {}
        if self._crop:
            axis, cut, _ = self._crop
            entry, = self.forward.run(inputs, [self._entry], fresh=fresh)
            given = {self._entry: entry[(slice(None),) * axis + (cut,)]}
        return self.forward.run(inputs, [self.place], given, fresh)[0]

    def _cropped(self) -> tuple[int, slice, int] | None:
        """Find a part of a long sequence that gives the positions in the middle as the whole does.

        The convolution is run on parts of what it slides along, the shortest first, until the two filter vectors that
        the whole sequence gives in the middle are found among those of the part. Axis, part, and what to subtract
        from positions.
        """
        rows = PROBE if self.n_positions * self.n_filters < BATCH_VALUES else 1
        inputs = self.lay(_one_hot(0, rows, self.length))
        entry, whole = self.forward.run(inputs, [self._entry, self.place])
        axis = int(np.argmax(entry.shape[1:])) + 1
        wanted = self._first_row(whole)[self.middle]
        stride = max(round(entry.shape[axis] / self.n_positions), 1)
        center = self.middle[0] * stride
        for width in (64, 512, 4096, 32768):
            first = max(center - width // 2 // stride * stride, 0)
            cut = slice(first, first + width)
            try:
                part, = self.forward.run(inputs, [self.place], {self._entry: entry[(slice(None),) * axis + (cut,)]})
            except Exception:  # such as of one that takes whole sequences apart to see bases far apart
                return None
            row = self._first_row(part)
            near = np.isclose(row[:, None], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max()).all(axis=2)
            places = np.flatnonzero(near[:-1, 0] & near[1:, -1])
            if len(places) == 1:
                return axis, cut, self.middle[0] - int(places[0])
        return None

    def _first_row(self, values: np.ndarray) -> np.ndarray:
        return Arrangement(0, *self._axes, 1, 0, False, np.arange(self.n_filters)).arranged(values[:1], 1)[0]

    @property
    def scale(self) -> float:
        """Largest number that random sequences give; 1 if there is none."""
        largest = float(np.abs(self.ask(_one_hot(5, PROBE, self.length), 0, self.middle)).max())
        return largest if np.isfinite(largest) and largest > 0 else 1.0

    def made_up(self, positions: int) -> tuple[list[int], dict[str, int]]:
        """Shape of a feature map of two sequences with some positions, and its axes by what lies along them."""
        shape = [1] * self._n_axes
        filters, along = self._axes
        shape[0], shape[filters] = PROBE * self.copies, self.n_filters
        axes = {"rows": 0, "filters": filters}
        if along is not None:
            shape[along], axes["positions"] = positions, along
        return shape, axes

    def _rows(self) -> tuple[int, bool]:
        """Find out which rows belong to which of two sequences: how many each, and whether side by side."""
        one, other = (_one_hot(seed, PROBE, self.length) for seed in (0, 1))
        changed = []
        for row in range(PROBE):
            mixed = one.copy()
            mixed[row] = other[row]
            before, after = (self._values(x, [self.place]) for x in (one, mixed))
            changed.append(_differ(before, after).reshape(len(before), -1).any(axis=1))
        rows = len(changed[0])
        if rows < PROBE:
            raise Unreadable(f"the forward pass runs it on {rows} sequences where {PROBE} are given, so activations "
                             "cannot be told apart; a forward pass that takes all sequences of a batch at once is "
                             "needed")
        if not np.array_equal(changed[0], ~changed[1]):
            raise Unreadable("layers before it mix the sequences of a batch, or none of the sequence reaches it")
        copies = rows // PROBE
        for together in (False, True):
            owner = np.repeat(np.arange(PROBE), copies) if together else np.tile(np.arange(PROBE), copies)
            if np.array_equal(owner == 1, changed[1]):
                return copies, together
        raise Unreadable("layers before it put the rows of a batch into an order that is not understood")


def _one_hot(seed: int, n: int, length: int) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[np.random.default_rng(seed).integers(0, 4, (n, length))]


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether numbers differ by more than rounding, which depends on the batch that they are computed in."""
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
        raise InputError(f"layer {feature_map.name} has no receptive field smaller than the sequence: something "
                         "before it mixes distant positions; choose an earlier convolution with --layer")
    return Reading(ReceptiveField(start, end - start, step), feature_map.n_positions)


def _field(feature_map: FeatureMap, copy: int, fresh: Sequence[int], trials: int) -> ReceptiveField:
    """Measure a receptive field by changing the sequence from one end on.

    The first base that a position answers to is found by halving: its answers change if and only if the bases changed
    reach that far. So is the last, from the other end.
    """
    length, positions = feature_map.length, feature_map.positions
    one = _one_hot(2, trials, length)
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
            answers = np.array([_differ(before[:, i], after[i, :, i]).any() for i in range(len(positions))])
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
    sequences = _one_hot(4, TRIALS, feature_map.length)
    nothing = feature_map.ask(np.zeros_like(sequences[:1]), copy, inside)
    padded = np.pad(sequences, ((0, 0), (field.width, field.width), (0, 0)))
    windows = np.stack([padded[:, max(starts[one] + field.width, 0):][:, :field.width] for one in inside], axis=1)
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
    columns = ["ACGT".index(base) for base in layout.alphabet]
    complement = [layout.alphabet.index("TGCA"["ACGT".index(base)]) for base in layout.alphabet]
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


@dataclass(frozen=True, eq=False)
class Chain:
    """The way from a convolution to its activations.

    Parameters
    ----------
    place : int
        Tap of the activations; the convolution itself if there is no non-linearity.
    arrangement : Arrangement
        Of that tap.
    start, step : int
        Position of the convolution under the first of the activations, and from one to the next.
    n_positions : int
        Of the activations.
    name : str
        Layers on the way.
    skipped : tuple of (int, int)
        Poolings on the way, each with the tap that it is given, which takes its place.
    """

    place: int
    arrangement: Arrangement
    start: int
    step: int
    n_positions: int
    name: str
    skipped: tuple[tuple[int, int], ...] = ()


def find_activations(feature_map: FeatureMap, named: str | None = None) -> list[Chain]:
    """Follow a convolution's output to its non-linearity.

    1. Random numbers take the place of the feature map, and a later value is one of its images if each of its elements
       answers to one sequence, one position and one filter alone.
    2. The non-linearity is the first image that is not affine. It goes on to where it is joined with the feature map
       again (``x * sigmoid(x)``, masks), and to the end of its layer.
    3. A pooling before it is stepped over: the feature map as it was takes its place.

    Parameters
    ----------
    feature_map : FeatureMap
        Of the convolution.
    named : str, optional
        Layer or operation to take for the non-linearity.

    Returns
    -------
    list of Chain
        One for each of the rows of a sequence. Batch norm and the like are part of it; without a non-linearity it
        ends at the convolution.

    Raises
    ------
    Unreadable
        If what follows is not understood.
    """
    taps, place = feature_map.forward.taps, feature_map.place
    most = feature_map.n_positions
    sizes = [(min(SHORT, most), near) for near in NEAR]
    sizes += [(most, NEAR[0])] if most * feature_map.n_filters <= BATCH_VALUES else []
    for short, near in sizes:
        steps: tuple[_Step, ...] = ()
        for _ in range(NEAR[0]):
            try:
                images = _images(feature_map, short, near, steps)
            except OtherWay:  # the layers do not take a feature map of this size
                break
            found = _nonlinearity(taps, place, images, named)
            if found is not None:
                return [_chain(feature_map, copy, images, found, steps) for copy in range(feature_map.copies)]
            further = _step_over(taps, images, steps)
            if further is None:
                break
            steps = (*steps, further)
    if named is not None:
        names = dict.fromkeys(one.name for one in taps[place + 1:])
        raise Unreadable(f"no activation {named!r} follows it; these follow: {', '.join(names)}")
    return [Chain(place, feature_map.arrangement(copy), 0, 1, most, "no non-linearity (none follows before its "
                  "positions, filters or sequences are taken apart or mixed; the convolution's own output)")
            for copy in range(feature_map.copies)]


@dataclass(frozen=True)
class _Step:
    """A value that mixes positions, as ``before`` was: a pooling, which is left out, or a normalisation."""

    place: int
    before: int
    pooling: bool


@dataclass(frozen=True, eq=False)
class _Images:
    """Values that are made from a feature map element by element.

    ``axes`` are their axes of rows, filters and positions, each with the number that every entry has in the feature
    map; ``affine`` and ``levels`` say whether they are affine and how many different numbers they hold. ``mixed`` are
    values made from these that are not of the kind, ``broken`` lack filters or some of evenly spaced positions,
    ``constant`` are the same for any feature map.
    """

    axes: dict[int, dict[str, tuple[int | None, np.ndarray]]]
    affine: dict[int, bool]
    levels: dict[int, int]
    mixed: list[int]
    broken: list[int]
    constant: set[int]


def _images(feature_map: FeatureMap, short: int, near: int, steps: Sequence[_Step]) -> _Images:
    """Put made-up feature maps in the place of a convolution's output, and see which values answer in what way.

    Bit by bit of its number, every row, filter and position of the map is exchanged for another. An element that is an
    image answers to the exchange of those with the bit or to that of those without, never to both.
    """
    forward, place = feature_map.forward, feature_map.place
    shape, axes = feature_map.made_up(short)
    cone = _cone(forward.taps, place, near)
    inputs = feature_map.lay(np.zeros((PROBE, feature_map.length, 4), np.float32))
    scale = feature_map.scale

    def run(values: np.ndarray) -> dict[int, np.ndarray]:
        given = {place: values}
        try:
            for step in steps:
                given[step.place], = forward.run(inputs, [step.before], given)
            return dict(zip(cone, forward.run(inputs, cone, given), strict=True))
        except Exception as error:  # a stranger's layers can fail in any way
            raise OtherWay("they take no feature map of another size") from error

    nothing = run(np.zeros(shape, np.float32))
    touched: dict[tuple[int, str, int, int], np.ndarray] = {}
    affine, levels = dict.fromkeys(cone, True), dict.fromkeys(cone, 0)
    for seed in range(1 if min(np.prod(shape) // np.array(shape)) >= MANY else SEEDS):
        one, two = np.random.default_rng(seed).normal(0, scale, (2, *shape)).astype(np.float32)
        first, second, both = run(one), run(two), run(one + two)
        for number in cone:
            a, b, c, d = (np.asarray(each[number], np.float64) for each in (first, second, both, nothing))
            affine[number] &= bool((np.abs(a + b - c - d) <= 1e-4 * (np.abs(a) + np.abs(b) + np.abs(d) + scale)).all())
            levels[number] = max(levels[number], len(np.unique(a)))
        for kind, axis in axes.items():
            other = tuple(one for one in range(len(shape)) if one != axis)
            for bit in range((shape[axis] - 1).bit_length()):
                for side in (0, 1):
                    chosen = np.expand_dims((np.arange(shape[axis]) >> bit & 1) == side, other)
                    for number, values in run(np.where(chosen, two, one)).items():
                        touched[number, kind, bit, side] = \
                            touched.get((number, kind, bit, side), False) | _differ(first[number], values)
    sizes = {kind: shape[axis] for kind, axis in axes.items()}
    images: dict[int, dict[str, tuple[int | None, np.ndarray]]] = {place: {}}
    constant: set[int] = set()
    mixed: list[int] = []
    broken: list[int] = []
    for number in cone:
        answers = {key[1:]: values for key, values in touched.items() if key[0] == number}
        if not any(values.any() for values in answers.values()):
            constant.add(number)
        elif all(one in images or one in broken or one in constant or len(forward.taps[one].shape) < 2
                 for one in forward.taps[number].inputs) or number in [step.place for step in steps] \
                or "cat" in forward.taps[number].operation:  # side by side with what other layers give
            found = _axes(answers, sizes)
            if found is None:
                mixed.append(number)
            elif len(set(found["filters"][1]) - {-1}) < sizes["filters"] or \
                    len(np.unique(np.diff(found["positions"][1]))) > 1:
                broken.append(number)
            else:
                images[number] = found
    return _Images(images, {**affine, place: True}, levels, mixed, broken, constant)


def _cone(taps: Sequence[Tap], place: int, near: int) -> list[int]:
    """Collect what is made from a convolution before the next one, and may be its feature map in another form."""
    convolution = taps[place].convolution
    filters = taps[place].shape[convolution.channels] if convolution else None
    cone, behind = [place], {number for number, tap in enumerate(taps) if tap.convolution is not None} - {place}
    for number in range(place + 1, len(taps)):
        tap = taps[number]
        if behind & set(tap.inputs) and "cat" not in tap.operation:
            behind.add(number)
        elif len(cone) <= near and tap.convolution is None and set(tap.inputs) & set(cone) and (
                len(tap.shape) > 2 or (len(tap.shape) == 2 and filters in tap.shape)):
            cone.append(number)
    return cone[1:]


def _axes(answers: Mapping[tuple[str, int, int], np.ndarray],
          sizes: Mapping[str, int]) -> dict[str, tuple[int | None, np.ndarray]] | None:
    """Axis of each kind, with the number in the feature map of each of its entries; None if there is no such axis."""
    shape = next(iter(answers.values())).shape
    found: dict[str, tuple[int | None, np.ndarray]] = {"positions": (None, np.zeros(1, int))}
    for kind, size in sizes.items():
        fitting = []
        for axis in range(len(shape)):
            other = tuple(one for one in range(len(shape)) if one != axis)
            sides = np.array([[answers[kind, bit, side].any(axis=other) for side in (0, 1)]
                              for bit in range((size - 1).bit_length())], bool).reshape(-1, 2, shape[axis])
            alone = ~sides.any(axis=(0, 1)) & (kind == "filters")
            if (sides[:, 0] ^ sides[:, 1] | alone).all() and not alone.all():
                fitting.append((axis, np.where(alone, -1, (sides[:, 1] << np.arange(len(sides))[:, None]).sum(axis=0))))
        if size == 1:
            found[kind] = None, np.zeros(1, int)
        elif len(fitting) == 1:
            found[kind] = fitting[0]
        else:
            return None
    used = {axis for axis, _ in found.values()}
    if any(size != 1 for axis, size in enumerate(shape) if axis not in used):
        return None
    return found


def _nonlinearity(taps: Sequence[Tap], place: int, images: _Images, named: str | None) -> int | None:
    """Choose the image that is the activations; None if nothing follows that is not affine."""
    if named is not None:
        names = {one: (taps[one].name, taps[one].name.replace(".", "/").split("/")[-1], taps[one].label)
                 for one in images.axes if one != place}
        return max((one for one, own in names.items() if named in own), default=None)
    numbers = sorted(images.axes)
    compared = ""
    for first in numbers:
        used_by = {number for number, tap in enumerate(taps) if first in tap.inputs}
        if images.affine[first] or (used_by and used_by <= images.constant):  # as in a search for NaN
            continue
        after, last = {first}, first
        for number in numbers[numbers.index(first) + 1:]:
            inputs = set(taps[number].inputs) & set(images.axes)
            if not inputs & after:
                continue
            after.add(number)
            joined = any(images.affine[one] for one in inputs) and not images.affine[number]
            if joined or (taps[number].leaf is not None and taps[number].leaf == taps[last].leaf):
                last = number
        if images.levels[last] > 2:
            return last
        compared = compared or taps[first].label
    if compared:
        raise Unreadable(f"its output is compared with something ({compared}), and what becomes of that is no "
                         "non-linearity that is understood")
    if any(not images.affine[one] for one in images.broken):
        raise Unreadable("layers between it and its non-linearity pick some of its filters, or positions that are not "
                         "evenly spaced")
    return None


def _step_over(taps: Sequence[Tap], images: _Images, steps: Sequence[_Step]) -> _Step | None:
    """Choose the next pooling or normalisation to step over."""
    done = {step.place for step in steps}
    for number in images.mixed:
        label = f"{taps[number].label} {taps[number].operation}".lower()
        before = max((one for one in images.axes if one < number and images.affine[one]), default=None)
        if number in done or before is None:
            continue
        if "pool" in label and taps[number].inputs[0] in images.axes:
            return _Step(number, taps[number].inputs[0], True)
        last = not any(tap.leaf == taps[number].leaf is not None for tap in taps[number + 1:])
        if "norm" in label and last and taps[number].shape == taps[before].shape:
            return _Step(number, before, False)
    return None


def _chain(feature_map: FeatureMap, copy: int, images: _Images, place: int, steps: Sequence[_Step]) -> Chain:
    """Describe the way to an image."""
    taps, axes = feature_map.forward.taps, images.axes[place]
    rows, row_numbers = axes["rows"][0] or 0, axes["rows"][1]
    filters, order = axes["filters"]
    positions, numbers = axes["positions"]
    if not np.array_equal(row_numbers, np.arange(len(row_numbers))):
        raise Unreadable("layers between it and its non-linearity put the sequences of a batch into another order")
    poolings = [step for step in steps if step.pooling]
    counted, axis = place, positions
    if poolings:
        counted = poolings[-1].before
        axis = images.axes[counted]["positions"][0] if counted in images.axes else axis
        if numbers[0] or len(numbers) != len(images.axes[counted]["positions"][1]):
            raise Unreadable(f"something cuts what {taps[poolings[-1].place].name} has pooled, before the "
                             "non-linearity; the positions of its activations are not those of the convolution")
    n_positions: int | None = 1
    if axis is not None:
        n_positions = taps[counted].shape[axis]
        if n_positions is None:  # a framework that cannot work it out
            sequences = feature_map.lay(_one_hot(0, PROBE, feature_map.length))
            n_positions = feature_map.forward.run(sequences, [counted])[0].shape[axis]
    assert n_positions is not None
    step = int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
    start = int(numbers[0]) if step > 0 else int(numbers[0]) + step * (n_positions - 1)
    if filters is None:  # a lone filter: an axis that is left over is its own
        filters = next((one for one in range(len(taps[place].shape)) if one not in (rows, positions)), None)
    arrangement = Arrangement(rows, filters, positions, feature_map.copies, copy, feature_map.together,
                              np.array([np.flatnonzero(order == one)[0] for one in range(feature_map.n_filters)]),
                              step < 0)
    return Chain(place, arrangement, start, abs(step), n_positions,
                 _way(taps, feature_map.place, place, {step.place for step in poolings}),
                 tuple((step.place, step.before) for step in poolings))


def _way(taps: Sequence[Tap], first: int, last: int, left_out: Collection[int]) -> str:
    """Name the layers between a convolution and its activations."""
    after, back = {first}, {last}
    names: dict[str, dict[str, None]] = {}
    for number in range(first + 1, last + 1):
        if after & set(taps[number].inputs):
            after.add(number)
    for number in range(last, first, -1):
        if number in back & after:
            back.update(taps[number].inputs)
            if number not in left_out and (taps[number].leaf is None or taps[number].leaf != taps[first].leaf):
                names.setdefault(taps[number].name, {})[taps[number].label] = None
    if taps[last].leaf is not None and taps[last].leaf == taps[first].leaf:
        return f"{taps[last].label} (fused)"
    return ", ".join(name if name in labels else f"{name} ({', '.join(reversed(labels))})"
                     for name, labels in reversed(names.items()))
