"""Where a convolution's activations are: made-up feature maps are followed through the layers behind it.

Random numbers take the place of the feature map. Which later values change with which of its rows, filters and
positions, and whether they do so in a straight line, says where the non-linearity is and how its array is laid out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.networks.measuring import BATCH_VALUES, Arrangement, FeatureMap, differ, one_hot
from kipoi_motifrep.networks.source import PROBE, OtherWay, Tap, Unreadable

SHORT = 32  # positions of a feature map that is made up, to follow it to its non-linearity
NEAR = (48, 12, 3)  # values behind a convolution that are looked at; fewer if those far off take no short maps
SEEDS = 3  # made-up feature maps: a rectifier hides what is negative in all of them ...
MANY = 32  # ... but not everything that a row, position or filter holds, if it holds as much


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
        names = dict.fromkeys(one.name for one in taps[place + 1 :])
        raise Unreadable(f"no activation {named!r} follows it; these follow: {', '.join(names)}")
    return [
        Chain(
            place,
            feature_map.arrangement(copy),
            0,
            1,
            most,
            "no non-linearity (none follows before its "
            "positions, filters or sequences are taken apart or mixed; the convolution's own output)",
        )
        for copy in range(feature_map.copies)
    ]


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
                (given[step.place],) = forward.run(inputs, [step.before], given)
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
                        touched[number, kind, bit, side] = touched.get((number, kind, bit, side), False) | differ(
                            first[number], values
                        )
    sizes = {kind: shape[axis] for kind, axis in axes.items()}
    images: dict[int, dict[str, tuple[int | None, np.ndarray]]] = {place: {}}
    constant: set[int] = set()
    mixed: list[int] = []
    broken: list[int] = []
    for number in cone:
        answers = {key[1:]: values for key, values in touched.items() if key[0] == number}
        if not any(values.any() for values in answers.values()):
            constant.add(number)
        elif (
            all(
                one in images or one in broken or one in constant or len(forward.taps[one].shape) < 2
                for one in forward.taps[number].inputs
            )
            or number in [step.place for step in steps]
            or "cat" in forward.taps[number].operation
        ):  # side by side with what other layers give
            found = _axes(answers, sizes)
            if found is None:
                mixed.append(number)
            elif (
                len(set(found["filters"][1]) - {-1}) < sizes["filters"]
                or len(np.unique(np.diff(found["positions"][1]))) > 1
            ):
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
        elif (
            len(cone) <= near
            and tap.convolution is None
            and set(tap.inputs) & set(cone)
            and (len(tap.shape) > 2 or (len(tap.shape) == 2 and filters in tap.shape))
        ):
            cone.append(number)
    return cone[1:]


def _axes(
    answers: Mapping[tuple[str, int, int], np.ndarray], sizes: Mapping[str, int]
) -> dict[str, tuple[int | None, np.ndarray]] | None:
    """Axis of each kind, with the number in the feature map of each of its entries; None if there is no such axis."""
    shape = next(iter(answers.values())).shape
    found: dict[str, tuple[int | None, np.ndarray]] = {"positions": (None, np.zeros(1, int))}
    for kind, size in sizes.items():
        fitting = []
        for axis in range(len(shape)):
            other = tuple(one for one in range(len(shape)) if one != axis)
            sides = np.array(
                [
                    [answers[kind, bit, side].any(axis=other) for side in (0, 1)]
                    for bit in range((size - 1).bit_length())
                ],
                bool,
            ).reshape(-1, 2, shape[axis])
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
        names = {
            one: (taps[one].name, taps[one].name.replace(".", "/").split("/")[-1], taps[one].label)
            for one in images.axes
            if one != place
        }
        return max((one for one, own in names.items() if named in own), default=None)
    numbers = sorted(images.axes)
    compared = ""
    for first in numbers:
        used_by = {number for number, tap in enumerate(taps) if first in tap.inputs}
        if images.affine[first] or (used_by and used_by <= images.constant):  # as in a search for NaN
            continue
        after, last = {first}, first
        for number in numbers[numbers.index(first) + 1 :]:
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
        raise Unreadable(
            f"its output is compared with something ({compared}), and what becomes of that is no "
            "non-linearity that is understood"
        )
    if any(not images.affine[one] for one in images.broken):
        raise Unreadable(
            "layers between it and its non-linearity pick some of its filters, or positions that are not evenly spaced"
        )
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
        last = not any(tap.leaf == taps[number].leaf is not None for tap in taps[number + 1 :])
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
            raise Unreadable(
                f"something cuts what {taps[poolings[-1].place].name} has pooled, before the "
                "non-linearity; the positions of its activations are not those of the convolution"
            )
    n_positions: int | None = 1
    if axis is not None:
        n_positions = taps[counted].shape[axis]
        if n_positions is None:  # a framework that cannot work it out
            sequences = feature_map.lay(one_hot(0, PROBE, feature_map.length))
            n_positions = feature_map.forward.run(sequences, [counted])[0].shape[axis]
    assert n_positions is not None
    step = int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
    start = int(numbers[0]) if step > 0 else int(numbers[0]) + step * (n_positions - 1)
    if filters is None:  # a lone filter: an axis that is left over is its own
        filters = next((one for one in range(len(taps[place].shape)) if one not in (rows, positions)), None)
    arrangement = Arrangement(
        rows,
        filters,
        positions,
        feature_map.copies,
        copy,
        feature_map.together,
        np.array([np.flatnonzero(order == one)[0] for one in range(feature_map.n_filters)]),
        step < 0,
    )
    return Chain(
        place,
        arrangement,
        start,
        abs(step),
        n_positions,
        _way(taps, feature_map.place, place, {step.place for step in poolings}),
        tuple((step.place, step.before) for step in poolings),
    )


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
    return ", ".join(
        name if name in labels else f"{name} ({', '.join(reversed(labels))})"
        for name, labels in reversed(names.items())
    )
