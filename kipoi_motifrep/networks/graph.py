"""A network as a list of steps, whichever framework it comes from.

``from_keras`` and ``from_torch`` write this form; everything that finds and
measures convolutions reads it, and asks a step what it does by running it on
small probe arrays, so custom layers and functional code need no list of names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

POINTWISE, ACTIVATION, REARRANGEMENT, CUT, OTHER = "pointwise", "activation", "rearrangement", "cut", "other"
MASK, CHECK = "mask", "check"
PROBE = 2  # sequences


class Unreadable(Exception):
    """The network does not read DNA in the layout tried; the message says why."""


class OtherWay(Exception):
    """The network does something else with a batch than with the two sequences of the probe."""


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution or pooling, one entry a spatial axis.

    ``axes`` are axes of its input without the batch axis; the output has the
    same axes. ``left`` is the padding before the first position.
    """

    axes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    left: tuple[int, ...]
    padding: str


@dataclass(frozen=True, eq=False)
class Convolution:
    """What a convolution adds to its window.

    ``channels`` is the channel axis (without the batch axis) of input and
    output; ``kernel()`` gives (*kernel, input channels, filters), groups
    expanded; ``activation`` is the name of a fused non-linearity, or None.
    """

    window: Window
    channels: int
    groups: int
    kernel: Callable[[], np.ndarray]
    activation: str | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One operation between values, which are numbered.

    ``call`` takes the values of ``inputs`` as backend tensors or numpy arrays
    and gives the values of ``outputs``, as backend tensors. ``parts`` are the
    steps that were put together to this one, if any.
    """

    name: str
    label: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    call: Callable[[Sequence], Sequence] = field(repr=False)
    convolution: Convolution | None = None
    pooling: Window | None = None
    parts: tuple[Step, ...] = ()


@dataclass(eq=False)
class Graph:
    """Steps in the order they run, and shapes of all values with the batch axis.

    ``dna`` is the number of the DNA input's value; ``values`` holds probe
    values (batch of 2), filled on demand by :meth:`value`. ``failure`` ended
    the probe's run early; ``keep_alive`` is for values numbered by identity.
    With ``own_code``, the number of the probe's sequences may be a constant in
    the steps, made by a model's own Python code.
    """

    steps: list[Step]
    shapes: dict[int, tuple[int, ...]]
    dna: int
    values: dict[int, np.ndarray]
    to_numpy: Callable
    failure: Exception | None = None
    keep_alive: object = None
    outputs: tuple[int, ...] = ()
    own_code: bool = False
    _roles: dict[tuple[Step, int], str] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def producers(self) -> dict[int, Step]:
        """Step that makes each value."""
        return {output: step for step in self.steps for output in step.outputs}

    @cached_property
    def consumers(self) -> dict[int, list[Step]]:
        """Steps that use each value."""
        found: dict[int, list[Step]] = {}
        for step in self.steps:
            for value in dict.fromkeys(step.inputs):
                found.setdefault(value, []).append(step)
        return found

    @cached_property
    def from_dna(self) -> frozenset[int]:
        """Values that depend on the DNA input."""
        return self.downstream(self.dna)

    @property
    def convolutions(self) -> list[Step]:
        """Convolutions that the DNA reaches, in the order they run."""
        return [step for step in self.steps if step.convolution and step.inputs[0] in self.from_dna]

    @cached_property
    def first_convolutions(self) -> list[Step]:
        """Convolutions with no other convolution between them and the DNA."""
        behind: set[int] = set()
        for step in self.steps:
            if any(value in behind for value in step.inputs) or (step.convolution and step.inputs[0] in self.from_dna):
                behind.update(step.outputs)
        return [step for step in self.convolutions if not any(value in behind for value in step.inputs)]

    def downstream(self, value: int) -> frozenset[int]:
        """Values that depend on a value, itself included."""
        found = {value}
        for step in self.steps:
            if any(one in found for one in step.inputs):
                found.update(step.outputs)
        return frozenset(found)

    def upstream(self, values: Sequence[int]) -> list[Step]:
        """Collect the steps needed to compute some values, in the order they run."""
        needed, steps = set(values), []
        for step in reversed(self.steps):
            if any(output in needed for output in step.outputs):
                steps.append(step)
                needed.update(step.inputs)
        return steps[::-1]

    def value(self, number: int) -> np.ndarray:
        """Value on the probe input (batch of 2)."""
        if number not in self.values:
            for step in self.upstream([number]):
                if step.outputs[0] not in self.values:
                    results = step.call([self.values[one] for one in step.inputs])
                    self.values.update(zip(step.outputs, map(self.to_numpy, results), strict=True))
        return self.values[number]

    def run(self, step: Step, *arrays: np.ndarray) -> np.ndarray:
        """Run one step on float32 arrays; its first output."""
        return self.to_numpy(step.call([array.astype(np.float32) for array in arrays])[0])

    def role(self, step: Step, given: int) -> str:
        """Find by probing what a step does to one of its input values.

        Parameters
        ----------
        step : Step
            Neither convolution nor pooling.
        given : int
            The value; other inputs of the step make it ``other``.

        Returns
        -------
        str
            ``pointwise`` (affine element by element, or a normalisation),
            ``activation`` (non-linear element by element), ``mask`` (a
            comparison element by element), ``check`` (a comparison that
            ordinary numbers all pass or all fail, as in a search for NaN),
            ``rearrangement``, ``cut`` (the same of some of the elements),
            or ``other``.
        """
        if (step, given) not in self._roles:
            self._roles[step, given] = self._probed(step, given)
        return self._roles[step, given]

    def _probed(self, step: Step, given: int) -> str:
        if step.convolution or step.pooling or set(step.inputs) != {given} or len(step.outputs) != 1:
            return OTHER
        shape = self.shapes[given]
        random = np.random.default_rng(0)
        one, two = (random.normal(size=shape).astype(np.float32) for _ in range(2))
        try:
            f_one = self.run(step, *[one] * len(step.inputs))
            if f_one.shape != shape:
                return self._moves(step, shape) or OTHER
            if f_one.dtype == bool:
                return CHECK if f_one.all() or not f_one.any() else MASK
            if np.array_equal(f_one, one):
                return POINTWISE
            if not self._elementwise(step, one, f_one):
                return self._moves(step, shape) or (
                    POINTWISE if "norm" in f"{step.name} {step.label}".lower() else OTHER)
            f_two, f_both, f_none = (self.run(step, *[x] * len(step.inputs)) for x in (two, one + two, one * 0))
            scale = 1e-4 * (1 + np.abs(f_one) + np.abs(f_two) + np.abs(f_none))
            affine = np.all(np.abs(f_one + f_two - f_both - f_none) <= scale)
        except Exception:  # a step that cannot run on other values is nothing we know
            return OTHER
        return POINTWISE if affine else ACTIVATION

    def joined(self, value: int) -> list[Step]:
        """Find where a value is joined with what was made from it: gates, masks, ``x * sigmoid(x)``.

        Parameters
        ----------
        value : int
            The value.

        Returns
        -------
        list of Step
            Each with all that it needs put together to one step on the value
            alone, the longest first.
        """
        parts, known = [], {value}
        linear, compared, found = {value}, set(), []
        for step in self.steps:
            inputs = set(step.inputs)
            if not inputs or not inputs <= known or step.convolution or step.pooling or len(step.outputs) != 1 \
                    or self.shapes[step.outputs[0]] != self.shapes[value]:
                continue
            role = self.role(step, step.inputs[0])
            if inputs <= compared or role in (MASK, CHECK):
                compared.update(step.outputs)
            elif role == POINTWISE and inputs <= linear:
                linear.update(step.outputs)
            elif len(inputs) == 1 and role not in (POINTWISE, ACTIVATION):
                continue
            parts.append(step)
            known.update(step.outputs)
            if len(inputs) > 1 and inputs & (linear | compared):
                found.append(self._together(value, step, parts))
        return found[::-1]

    def _together(self, value: int, last: Step, parts: Sequence[Step]) -> Step:
        needed, steps = set(last.inputs), [last]
        for part in reversed(parts[:-1]):
            if part.outputs[0] in needed:
                needed.update(part.inputs)
                steps.insert(0, part)

        def call(values: Sequence) -> list:
            held = {value: values[0]}
            for part in steps:
                held.update(zip(part.outputs, part.call([held[one] for one in part.inputs]), strict=True))
            return [held[last.outputs[0]]]

        return Step("joined", "joined", (value,), last.outputs, call, parts=tuple(steps))

    def _elementwise(self, step: Step, values: np.ndarray, results: np.ndarray) -> bool:
        # Other values in half of the places must leave the results in the other half alone.
        random = np.random.default_rng(1)
        changed = random.random(values.shape) < 0.5
        other = np.where(changed, random.normal(size=values.shape), values)
        return np.array_equal(self.run(step, *[other] * len(step.inputs))[~changed], results[~changed])

    def _moves(self, step: Step, shape: tuple[int, ...]) -> str | None:
        """Role of a step that hands its elements on in other places, all or some of them; None for others."""
        numbers = np.arange(int(np.prod(shape)))
        moved = self.run(step, *[numbers.reshape(shape)] * len(step.inputs)).ravel()
        if not moved.size or not np.array_equal(np.rint(moved), moved) or moved.min() < 0 or moved.max() > numbers[-1]:
            return None
        places = moved.astype(np.int64)
        # Sorting and pooling move elements as well, but others when the values are others.
        shuffled = np.random.default_rng(3).permutation(numbers)
        again = self.run(step, *[shuffled.reshape(shape)] * len(step.inputs)).ravel()
        if len(np.unique(places)) < places.size or not np.array_equal(shuffled[places], again):
            return None
        return REARRANGEMENT if places.size == numbers.size else CUT


def ungrouped(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Write a grouped convolution's kernel as that of a full one.

    Parameters
    ----------
    kernel : numpy.ndarray, shape (*size, channels / groups, filters)
        Weights.
    channels : int
        Channels of the input.

    Returns
    -------
    numpy.ndarray, shape (*size, channels, filters)
        Zeros where a group does not look.
    """
    *size, inner, filters = kernel.shape
    groups = channels // inner
    full = np.zeros((*size, channels, filters), np.float32)
    for group in range(groups):
        rows = slice(group * inner, (group + 1) * inner)
        columns = slice(group * filters // groups, (group + 1) * filters // groups)
        full[..., rows, columns] = kernel[..., columns]
    return full
