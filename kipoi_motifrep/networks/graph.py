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

POINTWISE, ACTIVATION, REARRANGEMENT, OTHER = "pointwise", "activation", "rearrangement", "other"


class Unreadable(Exception):
    """The network does not read DNA in the layout tried; the message says why."""


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
    and gives the values of ``outputs``, as backend tensors. ``place`` counts
    the calls of the run that was recorded, where it was.
    """

    name: str
    label: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    call: Callable[[Sequence], Sequence] = field(repr=False)
    convolution: Convolution | None = None
    pooling: Window | None = None
    place: int = -1


@dataclass(eq=False)
class Graph:
    """Steps in the order they run, and shapes of all values with the batch axis.

    ``dna`` is the number of the DNA input's value; ``values`` holds probe
    values (batch of 2), filled on demand by :meth:`value`. ``failure`` ended
    the probe's run early; ``keep_alive`` is for values numbered by identity.
    """

    steps: list[Step]
    shapes: dict[int, tuple[int, ...]]
    dna: int
    values: dict[int, np.ndarray]
    to_numpy: Callable
    failure: Exception | None = None
    keep_alive: object = None
    outputs: tuple[int, ...] = ()

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
            ``activation`` (non-linear element by element), ``rearrangement``,
            or ``other``.
        """
        if step.convolution or step.pooling or set(step.inputs) != {given} or len(step.outputs) != 1:
            return OTHER
        shape = self.shapes[given]
        random = np.random.default_rng(0)
        one, two = (random.normal(size=shape).astype(np.float32) for _ in range(2))
        try:
            f_one = self.run(step, *[one] * len(step.inputs))
            if f_one.shape != shape:
                return REARRANGEMENT if self._rearranges(step, shape) else OTHER
            if np.array_equal(f_one, one):
                return POINTWISE
            if not self._elementwise(step, one, f_one):
                if self._rearranges(step, shape):
                    return REARRANGEMENT
                return POINTWISE if "norm" in f"{step.name} {step.label}".lower() else OTHER
            f_two, f_both, f_none = (self.run(step, *[x] * len(step.inputs)) for x in (two, one + two, one * 0))
        except Exception:  # a step that cannot run on other values is nothing we know
            return OTHER
        scale = 1e-4 * (1 + np.abs(f_one) + np.abs(f_two) + np.abs(f_none))
        affine = np.all(np.abs(f_one + f_two - f_both - f_none) <= scale)
        return POINTWISE if affine else ACTIVATION

    def _elementwise(self, step: Step, values: np.ndarray, results: np.ndarray) -> bool:
        # Other values in half of the places must leave the results in the other half alone.
        random = np.random.default_rng(1)
        changed = random.random(values.shape) < 0.5
        other = np.where(changed, random.normal(size=values.shape), values)
        return np.array_equal(self.run(step, *[other] * len(step.inputs))[~changed], results[~changed])

    def _rearranges(self, step: Step, shape: tuple[int, ...]) -> bool:
        numbers = np.arange(np.prod(shape)).reshape(shape)
        moved = self.run(step, *[numbers] * len(step.inputs))
        return moved.size == numbers.size and np.array_equal(np.sort(moved.ravel()), numbers.ravel())


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
