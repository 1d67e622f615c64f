"""How a convolution reads DNA: found by sending numbered elements through what comes before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.graph import (
    ACTIVATION,
    CUT,
    MASK,
    OTHER,
    POINTWISE,
    PROBE,
    REARRANGEMENT,
    Graph,
    OtherWay,
    Step,
    Unreadable,
)
from kipoi_motifrep.networks.layout import FLAT, Layout
from kipoi_motifrep.networks.types import FilterBank, ReceptiveField


@dataclass(frozen=True, eq=False)
class Found:
    """A filter bank and where it lies in the graph.

    ``axis`` and ``channels`` are axes of the convolution's output without the
    batch axis; ``weights`` are its kernel as the layer holds it; ``positions``
    are those of the convolution's output that reach the activations;
    ``others`` are further uses of the same convolution.
    """

    bank: FilterBank
    chain: Chain
    step: Step
    axis: int
    channels: int
    weights: np.ndarray
    positions: np.ndarray
    others: tuple[Found, ...] = ()


@dataclass(frozen=True, eq=False)
class Chain:
    """Steps from a convolution to its non-linearity.

    ``steps`` run in this order; poolings in between are left out, ``skipped``
    names them. ``output`` is the value that holds the activations; ``origin``
    numbers the elements of the convolution's output in the layout of the
    activations, one sequence's. Along their axis ``batch_axis`` every sequence
    has ``entries`` entries.
    """

    steps: tuple[Step, ...]
    output: int
    activation: str
    origin: np.ndarray
    skipped: tuple[Step, ...] = ()
    inputs: dict[int, int] = field(default_factory=dict)
    batch_axis: int = 0
    entries: int = 1

    def notes(self) -> tuple[str, ...]:
        """Say what is unusual about it."""
        return tuple(f"{step.name} between convolution and non-linearity is left out" for step in self.skipped)

    def rows(self, values: np.ndarray, n: int) -> np.ndarray:
        """Give the activations of n sequences, a row each in the order of ``origin``.

        Parameters
        ----------
        values : numpy.ndarray
            As the network computes them.
        n : int
            Number of sequences.

        Returns
        -------
        numpy.ndarray, shape (n, origin.size)
            A view where possible.

        Raises
        ------
        OtherWay
            If these are not the activations of n sequences.
        """
        if values.ndim <= self.batch_axis or values.shape[self.batch_axis] != n * self.entries \
                or values.size != n * self.origin.size:
            raise OtherWay(f"activations of shape {values.shape} come from {n} sequences")
        return np.moveaxis(values, self.batch_axis, 0).reshape(n, -1)


def numbered(layout: Layout, length: int) -> np.ndarray:
    """Probe input: 1 + 4 * position + base in the place of every base (batch of 2).

    Parameters
    ----------
    layout : Layout
        The network's layout.
    length : int
        Sequence length in bases.

    Returns
    -------
    numpy.ndarray, shape (2, *layout.shape(length)), float32
        Exact for sequences up to 4 million bases.
    """
    numbers = np.arange(1, 4 * length + 1, dtype=np.float32).reshape(1, length, 4)
    return np.repeat(layout.from_one_hot(numbers), PROBE, axis=0)


def read_bank(graph: Graph, step: Step, layout: Layout, length: int) -> Found:
    """Describe a first convolution.

    Parameters
    ----------
    graph : Graph
        Its probe input is :func:`numbered`.
    step : Step
        One of ``graph.first_convolutions``.
    layout : Layout
        Layout of the DNA input.
    length : int
        Sequence length in bases.

    Returns
    -------
    Found
        What it is, and how to get its activations.

    Raises
    ------
    Unreadable
        If it does not read the four bases of consecutive positions.
    """
    convolution, window = step.convolution, step.convolution.window
    _check_batch(graph, step)
    numbers, rescaling = _numbers_read(graph, step.inputs[0], length)
    along, across = _axes_read(step, numbers)
    weights = np.asarray(convolution.kernel(), np.float32)  # (*kernel, channels, filters)
    kernel = _reduced_kernel(weights, step, along, across)  # (width, 4, filters)
    picture = _reduced_numbers(numbers, along, across)  # (positions, 4)
    start, direction, bases = _affine(picture)

    axis = window.axes.index(along)
    seen = ReceptiveField(start, 1, direction).through(
        window.kernel[axis], window.stride[axis], window.dilation[axis], window.left[axis])
    kernels = np.zeros((kernel.shape[-1], seen.width, 4), np.float32)
    letters = ["ACGT".index(layout.alphabet[base]) for base in bases]
    kernels[:, ::window.dilation[axis], letters] = kernel.transpose(2, 0, 1)
    if direction < 0:
        kernels = kernels[:, ::-1]
    _check_map(graph, step, along)
    if graph.shapes[step.outputs[0]][1 + convolution.channels] != kernel.shape[-1]:
        raise Unreadable(f"a {step.label} layer does more than its kernel says")
    chain = activation_chain(graph, step)
    positions = _positions(graph, step, chain, along)
    bank = FilterBank(step.name, kernel.shape[-1], len(positions), seen.at(positions), layout,
                      np.ascontiguousarray(kernels), chain.activation, geometry(step, axis),
                      (*rescaling, *_strand_notes(direction, bases, layout.alphabet), *chain.notes()))
    return Found(bank, chain, step, along, convolution.channels, weights, positions)


def deeper_bank(graph: Graph, step: Step, layout: Layout) -> Found:
    """Describe a deeper convolution by its receptive field.

    Parameters
    ----------
    graph : Graph
        The network.
    step : Step
        The convolution.
    layout : Layout
        Layout of the DNA input.

    Returns
    -------
    Found
        What it is, and how to get its activations.

    Raises
    ------
    InputError
        If it sees the whole sequence.
    """
    _check_batch(graph, step)
    track = deeper_field(graph, step, layout)
    convolution = step.convolution
    _check_map(graph, step, track.axis)
    chain = activation_chain(graph, step)
    positions = _positions(graph, step, chain, track.axis)
    weights = np.asarray(convolution.kernel(), np.float32)
    bank = FilterBank(step.name, weights.shape[-1], len(positions), track.field.at(positions), layout, None,
                      chain.activation, geometry(step, convolution.window.axes.index(track.axis)), chain.notes())
    return Found(bank, chain, step, track.axis, convolution.channels, weights, positions)


def _check_batch(graph: Graph, step: Step) -> None:
    """Refuse a convolution that is not run on whole batches."""
    shape = graph.shapes[step.inputs[0]]
    if len(shape) != 2 + len(step.convolution.window.axes):
        raise Unreadable(f"it is given an array of shape {shape}, without an axis of sequences")
    if shape[0] != PROBE:
        raise Unreadable(f"the forward pass runs it on {shape[0]} sequences where {PROBE} are given, so activations "
                         "cannot be told apart; a forward pass that takes all sequences of a batch at once is needed")


def _check_map(graph: Graph, step: Step, along: int) -> None:
    """Refuse a feature map with two axes of positions."""
    shape = graph.shapes[step.outputs[0]][1:]
    if any(size != 1 for axis, size in enumerate(shape) if axis not in (along, step.convolution.channels)):
        raise Unreadable(f"its feature map {shape} has a second axis of positions")


def _positions(graph: Graph, step: Step, chain: Chain, along: int) -> np.ndarray:
    """Positions of a convolution's output that its activations keep: evenly spaced, and those of all filters."""
    shape, channels = graph.shapes[step.outputs[0]][1:], step.convolution.channels
    places = np.unravel_index(chain.origin.ravel(), shape)
    positions = np.unique(places[along])
    if len(np.unique(np.diff(positions))) > 1 or chain.origin.size != len(positions) * shape[channels]:
        raise Unreadable(f"layers between it and its non-linearity ({chain.activation}) pick some of its filters, or "
                         "positions that are not evenly spaced")
    return positions


def geometry(step: Step, axis: int) -> str:
    """Say a convolution's geometry along the sequence in words.

    Parameters
    ----------
    step : Step
        The convolution.
    axis : int
        Which of its spatial axes.

    Returns
    -------
    str
        Kernel, padding, stride, dilation, groups.
    """
    window = step.convolution.window
    return (f"kernel {window.kernel[axis]}, padding {window.padding} ({window.left[axis]} on the left), "
            f"stride {window.stride[axis]}, dilation {window.dilation[axis]}, groups {step.convolution.groups}, "
            "cross-correlation")


def _numbers_read(graph: Graph, value: int, length: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers 4 * position + base at a convolution's input, -1 for padding; notes on layers before it."""
    try:
        values = graph.value(value)[0]
    except Exception as error:  # of the framework, such as an Embedding's for numbers that it has no row for
        raise Unreadable("layers before it do not take one-hot sequences") from error
    numbers, notes = np.rint(values).astype(np.int64), ()
    if not _are_numbers(values, length):
        values, rescaling = _unscaled(graph, value)
        numbers, notes = np.rint(values).astype(np.int64), (f"{', '.join(rescaling)} before it is not in the kernels",)
        if not _are_numbers(values, length):
            raise Unreadable("layers before it change the sequence by more than moving, cutting, padding or rescaling")
    return numbers - 1, notes


def _are_numbers(values: np.ndarray, length: int) -> bool:
    return np.array_equal(np.rint(values), values) and values.min() >= 0 and values.max() <= 4 * length


def _unscaled(graph: Graph, value: int) -> tuple[np.ndarray, list[str]]:
    """Probe value with steps that only rescale (batch norm of the input, say) left out, and their names."""
    values, names = {graph.dna: graph.values[graph.dna]}, []
    for step in graph.upstream([value]):
        if graph.role(step, step.inputs[0]) == POINTWISE and step.inputs[0] in values:
            values[step.outputs[0]] = values[step.inputs[0]]
            names.append(step.name)
        else:
            given = [values[one] if one in values else graph.value(one) for one in step.inputs]
            values.update(zip(step.outputs, map(graph.to_numpy, step.call(given)), strict=True))
    return values[value][0], names


def _axes_read(step: Step, numbers: np.ndarray) -> tuple[int, int]:
    """Axes of the convolution's input along the sequence and across the bases."""
    window, channels = step.convolution.window, step.convolution.channels
    varying = [axis for axis in window.axes if numbers.shape[axis] > 1]
    if numbers.shape[channels] == 4 and len(varying) == 1:
        others = [width for axis, width in zip(window.axes, window.kernel, strict=True) if axis != varying[0]]
        if window.kernel[window.axes.index(varying[0])] == 1 and max(others, default=1) > 1:
            raise Unreadable("its kernel is one base wide along the sequence and wider along a dummy axis")
    if numbers.shape[channels] == 4 and len(varying) <= 1:
        return (varying or [max(window.axes, key=lambda axis: window.kernel[window.axes.index(axis)])])[0], channels
    if numbers.shape[channels] == 1 and len(varying) == 2:
        for across in varying:
            if numbers.shape[across] == 4 and window.kernel[window.axes.index(across)] == 4:
                if step.convolution.window.left[window.axes.index(across)]:
                    raise Unreadable("it slides along the bases as well as along the sequence")
                return next(axis for axis in varying if axis != across), across
    raise Unreadable(f"its input of shape {numbers.shape} has no axis of size 4 that it reads whole")


def _reduced_kernel(kernel: np.ndarray, step: Step, along: int, across: int) -> np.ndarray:
    """Kernel as (width, 4, filters): dummy axes taken where their only element falls."""
    window, channels = step.convolution.window, step.convolution.channels
    index = [slice(None) if axis in (along, across) else left // hole
             for axis, left, hole in zip(window.axes, window.left, window.dilation, strict=True)]
    if across == channels:
        return kernel[tuple(index)]
    kernel = kernel[(*index, 0)]  # one input channel
    return kernel.swapaxes(0, 1) if across < along else kernel


def _reduced_numbers(numbers: np.ndarray, along: int, across: int) -> np.ndarray:
    moved = np.moveaxis(numbers, (along, across), (0, 1))
    return moved.reshape(moved.shape[0], moved.shape[1])


def _affine(picture: np.ndarray) -> tuple[int, int, list[int]]:
    """Sequence position at row 0, direction, and base of each channel of a (positions, 4) picture."""
    rows = np.flatnonzero((picture >= 0).all(axis=1))
    if not len(rows):
        raise Unreadable("none of the sequence reaches it")
    positions, bases = picture // 4, picture % 4
    if (positions[rows] != positions[rows, :1]).any() or (bases[rows] != bases[rows[0]]).any() \
            or sorted(bases[rows[0]]) != [0, 1, 2, 3]:
        raise Unreadable("its four channels are not the four bases of one position")
    steps = np.diff(positions[rows, 0])
    direction = -1 if len(steps) and np.median(steps) < 0 else 1
    starts = positions[rows, 0] - direction * rows
    start = int(np.median(starts))
    if np.mean(starts == start) < 0.5:  # the rest is circular or mirrored padding
        raise Unreadable("it does not read consecutive positions")
    return start, direction, [int(base) for base in bases[rows[0]]]


def _strand_notes(direction: int, bases: list[int], alphabet: str) -> tuple[str, ...]:
    if direction > 0:
        return ()
    letters = [alphabet[base] for base in bases]
    complement = [dict(zip("ACGT", "TGCA", strict=True))[letter] for letter in letters]
    strand = "reverse complement" if complement == list(alphabet) else "sequence backwards"
    return (f"it reads the {strand}; kernels and PWMs are given on the forward strand",)


def activation_chain(graph: Graph, step: Step) -> Chain:
    """Find the way from a convolution to its non-linearity.

    Parameters
    ----------
    graph : Graph
        The network.
    step : Step
        The convolution.

    Returns
    -------
    Chain
        Batch norm and the like are part of it; without a non-linearity it
        ends at the convolution.
    """
    output = step.outputs[0]
    size = graph.shapes[output][1:]
    origin = np.arange(int(np.prod(size))).reshape(size)
    if step.convolution.activation:
        return Chain((), output, f"{step.convolution.activation} (fused)", origin)
    compared: dict[int, list[str]] = {}
    path = _search(graph, output, (), compared)
    if path is None and any(compared.values()):
        names = ", ".join(name for found in compared.values() for name in found)
        raise Unreadable(f"its output is compared with something ({names}), and what becomes of that is no "
                         "non-linearity that is understood")
    if path is None:
        return Chain((), output, "no non-linearity (none follows before its positions, filters or sequences are taken "
                     "apart or mixed; the convolution's own output)", origin)
    kept: list[Step] = []
    # A pooling between convolution and non-linearity is left out: positions stay those of the convolution.
    renamed: dict[int, int] = {}
    current = output
    for taken, role in path:
        if taken.inputs[0] != current:
            renamed[taken.inputs[0]] = current
        if role != OTHER:
            current = taken.outputs[0]
            kept.extend(taken.parts or (taken,))
    names = ", ".join(f"{taken.name} ({taken.label})" if taken.label != taken.name else taken.name for taken in kept)
    skipped = tuple(taken for taken, role in path if role == OTHER)
    batch = np.stack([origin + number * origin.size for number in range(PROBE)])
    origin, axis, entries = _first_sequence(_moved_along(graph, path, batch), origin.size)
    return Chain(tuple(kept), current, names, origin, skipped, renamed, axis, entries)


def _moved_along(graph: Graph, path: Sequence[tuple[Step, str]], numbers: np.ndarray) -> np.ndarray:
    """Numbered elements of a convolution's output as they lie at the end of a path."""
    pooled = ""
    for step, role in path:
        if role == OTHER:
            pooled = step.name
        if role == CUT and pooled:
            raise Unreadable(f"{step.name} cuts what {pooled} has pooled, before the non-linearity; the positions "
                             "of its activations are not those of the convolution")
        if role in (REARRANGEMENT, CUT):
            try:
                numbers = graph.run(step, *[numbers] * len(step.inputs)).astype(np.int64)
            except Exception as error:  # of the framework: the step fits the pooled shape alone
                raise Unreadable(f"{step.name} does not work without {pooled} before it") from error
    return numbers


def _first_sequence(batch: np.ndarray, size: int) -> tuple[np.ndarray, int, int]:
    """Numbers of the first sequence, the axis that tells sequences apart, and a sequence's entries along it."""
    for axis in range(batch.ndim):
        rows = np.moveaxis(batch, axis, 0)
        half, rest = divmod(len(rows), PROBE)
        if not rest and rows[:half].max() < size and np.array_equal(rows[:half] + size, rows[half:]):
            return rows[0] if half == 1 else rows[:half], axis, half
    raise Unreadable("layers between it and its non-linearity mix the sequences of a batch")


def _search(graph: Graph, value: int, path: tuple, compared: dict[int, list[str]]) -> list[tuple[Step, str]] | None:
    """Shortest-first walk over steps that keep positions and filters apart, to the first non-linearity.

    `compared` gets every value that was looked at, with the names of comparisons that use it.
    """
    if value in compared:
        return None
    joined = [(step, graph.role(step, value)) for step in graph.joined(value)]
    alone = [(step, OTHER if step.pooling else graph.role(step, value)) for step in graph.consumers.get(value, [])]
    compared[value] = [step.name for step, role in alone if role == MASK]
    for step, role in (*joined, *alone):
        if role == ACTIVATION:
            return [*path, (step, role)]
    followed = [(step, role) for step, role in (*joined, *alone) if role in (POINTWISE, REARRANGEMENT) or step.pooling]
    cuts = [(step, role) for step, role in alone if role == CUT]
    for step, role in (*followed, *(cuts if len(cuts) == 1 else ())):  # several cuts are parts, such as of a gate
        found = _search(graph, step.outputs[0], (*path, (step, role)), compared)
        if found:
            return found
    return None


@dataclass(frozen=True)
class Track:
    """A value whose positions along ``axis`` (without the batch axis) see ``field``."""

    field: ReceptiveField
    axis: int


def deeper_field(graph: Graph, target: Step, layout: Layout) -> Track:
    """Compute the receptive field of a deeper convolution's output.

    Parameters
    ----------
    graph : Graph
        The network.
    target : Step
        The convolution.
    layout : Layout
        Layout of the DNA input.

    Returns
    -------
    Track
        ReceptiveField and sequence axis of its output.

    Raises
    ------
    InputError
        If it sees the whole sequence, or layers on the way are not understood.
    """
    if layout.axes in FLAT:
        raise InputError("receptive fields of deeper layers need an input with separate position and base axes")
    tracks: dict[int, Track | str] = {graph.dna: Track(ReceptiveField(0, 1, 1), layout.axes.index("L"))}
    for step in graph.upstream([target.outputs[0]]):
        inputs = [value for value in dict.fromkeys(step.inputs) if value in graph.from_dna]
        if not inputs:
            continue
        track = _next_track(graph, step, [tracks[value] for value in inputs], inputs)
        tracks.update(dict.fromkeys(step.outputs, track))
    track = tracks[target.outputs[0]]
    if isinstance(track, str):
        raise InputError(f"layer {target.name} has no receptive field smaller than the sequence: layer {track} mixes "
                         "distant positions; choose an earlier convolution with --layer")
    return track


def _next_track(graph: Graph, step: Step, tracks: list[Track | str], inputs: list[int]) -> Track | str:
    for track in tracks:
        if isinstance(track, str):
            return track
    track = tracks[0]
    window = step.convolution.window if step.convolution else step.pooling
    if window is not None:
        if track.axis not in window.axes:
            return step.name
        axis = window.axes.index(track.axis)
        return Track(track.field.through(window.kernel[axis], window.stride[axis], window.dilation[axis],
                                         window.left[axis]), track.axis)
    if len(inputs) > 1:
        return _merged(graph, step, tracks, inputs)
    moved = _moved(graph, step, track, inputs[0])
    if moved is not None:
        return moved
    return track if _local(graph, step, track, inputs[0]) else step.name


def _merged(graph: Graph, step: Step, tracks: list[Track], inputs: list[int]) -> Track | str:
    track = tracks[0]
    size = graph.shapes[inputs[0]][1 + track.axis]
    shape = graph.shapes[step.outputs[0]]
    alike = all(other.axis == track.axis and other.field.step == track.field.step
                and graph.shapes[value][1 + track.axis] == size for other, value in zip(tracks, inputs, strict=True))
    if not alike or len(shape) <= 1 + track.axis or shape[1 + track.axis] != size:
        return step.name
    field = track.field
    for other in tracks[1:]:
        field = field.joined(other.field)
    return Track(field, track.axis)


def _moved(graph: Graph, step: Step, track: Track, value: int) -> Track | None:
    """Track after a step that only moves, cuts, or pads; None for other steps."""
    shape = graph.shapes[value]
    if len(set(step.inputs)) != 1 or len(step.outputs) != 1:
        return None
    places = np.arange(1, shape[1 + track.axis] + 1)
    probe = np.broadcast_to(places.reshape([-1 if axis == 1 + track.axis else 1 for axis in range(len(shape))]), shape)
    try:
        seen = graph.run(step, *[probe] * len(step.inputs))
        again = graph.run(step, *[probe * 2] * len(step.inputs))
    except Exception:  # a step that cannot run on other values is nothing we know
        return None
    if seen.shape[0] != shape[0] or not np.array_equal(again, 2 * seen) or not np.array_equal(seen, np.rint(seen)):
        return None
    seen = seen[0].astype(np.int64)
    for axis in range(seen.ndim):
        line = np.moveaxis(seen, axis, 0).reshape(seen.shape[axis], -1)
        if (line != line[:, :1]).any() or (seen.shape[axis] == 1 and seen.size > 1):
            continue
        inside = np.flatnonzero(line[:, 0] > 0)
        offsets = line[inside, 0] - 1 - inside
        if len(inside) and (offsets == offsets[0]).all() and (len(inside) > 1 or seen.ndim == 1):
            return Track(ReceptiveField(track.field.start + track.field.step * int(offsets[0]), track.field.width,
                               track.field.step), axis)
    return None


def _local(graph: Graph, step: Step, track: Track, value: int) -> bool:
    """Whether changing one position of a step's input changes only that position of its output."""
    shape, axis = graph.shapes[value], 1 + track.axis
    result_shape = graph.shapes[step.outputs[0]]
    if len(result_shape) <= axis or result_shape[axis] != shape[axis] or len(step.outputs) != 1:
        return False
    random = np.random.default_rng(2)
    fixed = [graph.value(one) if one != value else None for one in step.inputs]
    values = random.normal(size=shape)
    changed = random.random(shape[axis]) < 0.5
    where = np.expand_dims(changed, [other for other in range(len(shape)) if other != axis])
    other = np.where(where, random.normal(size=shape), values)
    try:
        first = graph.run(step, *[values if one is None else one for one in fixed])
        second = graph.run(step, *[other if one is None else one for one in fixed])
    except Exception:  # a step that cannot run on other values is nothing we know
        return False
    return np.array_equal(np.compress(~changed, first, axis), np.compress(~changed, second, axis))
