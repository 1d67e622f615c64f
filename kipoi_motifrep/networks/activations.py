"""Where a convolution's activations are: made-up feature maps are followed through the layers behind it.

Random numbers take the place of the feature map. Which later values are made from it element by element, and whether in
a straight line, says where the non-linearity is and how its array is laid out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from kipoi_motifrep.networks.measuring import BATCH_VALUES, Arrangement, FeatureMap, differ
from kipoi_motifrep.networks.source import PROBE, OtherWay, Tap, Unreadable

SHORT = 32  # positions of a feature map that is made up, to follow it to its non-linearity
NEAR = (48, 12, 3)  # values behind a convolution that are looked at; fewer if those far off take no short maps
PICKING = ("slice", "gather", "index", "select", "split")  # operations that take a part of an array


@dataclass(frozen=True, eq=False)
class Chain:
    """The way from a convolution to its activations.

    Parameters
    ----------
    place : int
        Tap of the activations; the convolution itself if there is no non-linearity.
    arrangement : Arrangement
        Of that tap.
    name : str
        Layers on the way.
    skipped : tuple of (int, int)
        Poolings on the way, each with the tap that it is given, which takes its place.
    """

    place: int
    arrangement: Arrangement
    name: str
    skipped: tuple[tuple[int, int], ...] = ()


def find_activations(feature_map: FeatureMap, named: str | None = None) -> list[Chain]:
    """Follow a convolution's output to its non-linearity.

    1. Random numbers take the place of the feature map, and a later value is one of its images if it is made from it
       element by element.
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
    picked = None
    for short, near in sizes:
        steps: tuple[_Step, ...] = ()
        for _ in range(NEAR[0]):
            try:
                images = _images(feature_map, short, near, steps)
            except OtherWay:  # the layers do not take a feature map of this size
                break
            found = _nonlinearity(taps, place, images, named)
            if found is not None:
                axes, name = images.axes[found], _way(taps, place, found, {one.place for one in steps if one.pooling})
                skipped = tuple((one.place, one.before) for one in steps if one.pooling)
                return [
                    Chain(found, feature_map.arrangement(copy, *axes), name, skipped)
                    for copy in range(feature_map.copies)
                ]
            further = _step_over(taps, images, steps)
            if further is None:
                picked = picked or _picked(taps, images)
                break
            steps = (*steps, further)
    if named is not None:
        names = dict.fromkeys(one.name for one in taps[place + 1 :])
        raise Unreadable(f"no activation {named!r} follows it; these follow: {', '.join(names)}")
    if picked is not None:
        raise Unreadable(f"some of its filters or positions are picked ({picked}) before its non-linearity")
    following = _next_convolution(taps, place)
    # Such as the two halves of a separable convolution: what they see together is a filter.
    whole = f"layer {following} joins its filters, see --layer; " if following else ""
    none = "no non-linearity (none follows before its positions, filters or sequences are taken apart or mixed; "
    return [
        Chain(place, feature_map.arrangement(copy), f"{none}{whole}the convolution's own output)")
        for copy in range(feature_map.copies)
    ]


def _next_convolution(taps: Sequence[Tap], place: int) -> str:
    """Name the first convolution that a value of another goes into."""
    after = {place}
    for number in range(place + 1, len(taps)):
        if after & set(taps[number].inputs):
            after.add(number)
            if taps[number].convolution is not None:
                return taps[number].name
    return ""


@dataclass(frozen=True)
class _Step:
    """A value that mixes positions, as ``before`` was: a pooling, which is left out, or a normalisation."""

    place: int
    before: int
    pooling: bool


# Axes of the sequences, filters and positions, and the entries of the filters along theirs.
_Axes = tuple[int | None, int | None, int | None, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Images:
    """Values that are made from a feature map.

    ``axes`` are those of the images; ``affine`` says whether values are affine. ``mixed`` are values that are no
    images, ``constant`` are the same for any feature map.
    """

    axes: dict[int, _Axes]
    affine: dict[int, bool]
    mixed: list[int]
    constant: set[int]


def _images(feature_map: FeatureMap, short: int, near: int, steps: Sequence[_Step]) -> _Images:
    """Put made-up feature maps in the place of a convolution's output, and see which values answer in what way.

    Of two random maps, a third takes each element from the one or the other, at random. An image of it does so, too.
    """
    forward, place = feature_map.forward, feature_map.place
    cone = _cone(forward.taps, place, near)
    inputs = feature_map.lay(np.zeros((PROBE, feature_map.length, 4), np.float32))
    scale, sizes = feature_map.scale, (PROBE * feature_map.copies, feature_map.n_filters, short)

    def run(values: np.ndarray) -> list[np.ndarray]:
        given = {place: feature_map.made_up(values.astype(np.float32))}
        try:
            for step in steps:
                (given[step.place],) = forward.run(inputs, [step.before], given)
            return forward.run(inputs, cone, given)
        except Exception as error:  # a stranger's layers can fail in any way
            raise OtherWay("they take no feature map of another size") from error

    random = np.random.default_rng(0)
    one, two = random.normal(0, scale, (2, *sizes))
    two = -np.sign(one) * np.abs(two)  # of each element one is positive, so that no rectifier hides both or neither
    chosen = random.integers(0, 2, sizes).astype(bool)
    answers = zip(cone, *map(run, (one, two, np.where(chosen, two, one), one + two, np.zeros(sizes))), strict=True)
    images = _Images({place: (0, *feature_map.axes, np.arange(sizes[1]))}, {place: True}, [], set())
    for number, first, second, mixed, both, nothing in answers:
        a, b, c, d = (np.asarray(each, np.float64) for each in (first, second, both, nothing))
        images.affine[number] = bool(
            (np.abs(a + b - c - d) <= 1e-4 * (np.abs(a) + np.abs(b) + np.abs(d) + scale)).all()
        )
        if not differ(first, second).any():
            images.constant.add(number)
        elif (axes := _axes(first, second, mixed, chosen)) is not None:
            images.axes[number] = axes
        else:
            images.mixed.append(number)
    return images


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


def _axes(first: np.ndarray, second: np.ndarray, mixed: np.ndarray, chosen: np.ndarray) -> _Axes | None:
    """Find the axes along which a value is made element by element; None if there are none."""
    kinds = [kind for kind in range(3) if chosen.shape[kind] > 1]
    for axes in permutations(range(first.ndim), len(kinds)):
        others = [axis for axis in range(first.ndim) if axis not in axes]
        of = dict(zip(kinds, axes, strict=True))
        # Filters may lie beside those of other layers.
        if any(first.shape[axis] != 1 for axis in others) or any(
            first.shape[axis] != chosen.shape[kind] for kind, axis in of.items() if kind != 1
        ):
            continue
        if 1 not in of and others:  # a lone filter: an axis that is left over is its own
            of[1] = others[-1]
        entries = np.arange(chosen.shape[1])
        if 1 in of and first.shape[of[1]] != len(entries):
            entries = np.flatnonzero(
                differ(first, second).any(axis=tuple(axis for axis in range(first.ndim) if axis != of[1]))
            )
            if len(entries) != chosen.shape[1]:
                continue
        one, two, three = (
            np.moveaxis(value, axes, range(len(axes))).reshape([value.shape[axis] for axis in axes])
            for value in (first, second, mixed)
        )
        if 1 in kinds:
            one, two, three = (value.take(entries, axis=kinds.index(1)) for value in (one, two, three))
        if not differ(three, np.where(chosen.reshape(one.shape), two, one)).any():
            return of.get(0), of.get(1), of.get(2), entries
    return None


def _nonlinearity(taps: Sequence[Tap], place: int, images: _Images, named: str | None) -> int | None:
    """Choose the image that is the activations; None if nothing follows that is not affine."""
    numbers = sorted(set(images.axes) - {place})
    if named is not None:
        own = {
            one: (taps[one].name, taps[one].name.replace(".", "/").split("/")[-1], taps[one].label) for one in numbers
        }
        return max((one for one in numbers if named in own[one]), default=None)
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
        return last
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


def _picked(taps: Sequence[Tap], images: _Images) -> str | None:
    """Name what takes a part of an image that goes on to a non-linearity, if anything does."""
    for number in images.mixed:
        if set(taps[number].inputs) & set(images.axes) and any(one in taps[number].operation for one in PICKING):
            after = {number}
            for later in images.mixed:
                if after & set(taps[later].inputs):
                    if not images.affine[later]:
                        return taps[number].name
                    after.add(later)
    return None


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
