"""What is known about a convolution that reads DNA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.networks.layout import Layout

Inputs = np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]
"""A batch of a model's inputs, as a Kipoi dataloader gives them: one array, several in order, or several by name."""


@dataclass(frozen=True)
class ReceptiveField:
    """Bases that a position of a feature map sees.

    Position ``i`` sees bases ``start + step * i`` to ``start + step * i +
    width - 1`` of the sequence; bases beyond its ends are padding.

    Parameters
    ----------
    start : int
        First base seen by position 0; negative with padding on the left.
    width : int
        Number of bases seen.
    step : int
        Bases between neighbouring positions; negative when the sequence is
        read backwards.
    """

    start: int
    width: int
    step: int

    def through(self, kernel: int, stride: int, dilation: int, left: int) -> ReceptiveField:
        """ReceptiveField after one more convolution or pooling over positions of this one.

        Parameters
        ----------
        kernel, stride, dilation : int
            Geometry along the sequence.
        left : int
            Positions of padding before the first.

        Returns
        -------
        ReceptiveField
            In bases of the sequence, like this one.
        """
        span = (kernel - 1) * dilation
        first = -left if self.step > 0 else span - left
        return ReceptiveField(self.start + self.step * first, self.width + abs(self.step) * span, self.step * stride)

    def at(self, positions: Sequence[int]) -> ReceptiveField:
        """ReceptiveField of some of the positions only.

        Parameters
        ----------
        positions : sequence of int
            Evenly spaced.

        Returns
        -------
        ReceptiveField
            Its position ``i`` is ``positions[i]`` of this one.
        """
        apart = int(positions[1] - positions[0]) if len(positions) > 1 else 1
        return ReceptiveField(self.start + self.step * int(positions[0]), self.width, self.step * apart)

    def joined(self, other: ReceptiveField) -> ReceptiveField:
        """Smallest field that covers two parallel branches.

        Parameters
        ----------
        other : ReceptiveField
            ReceptiveField of the other branch, with the same step.

        Returns
        -------
        ReceptiveField
            Their union.
        """
        start = min(self.start, other.start)
        end = max(self.start + self.width, other.start + other.width)
        return ReceptiveField(start, end - start, self.step)

    def resized(self, width: int) -> ReceptiveField:
        """Window of another width around the same centre.

        The centre is the base with ``width // 2`` bases on its left (paper,
        methods), for the old width and the new one.

        Parameters
        ----------
        width : int
            Width of the window.

        Returns
        -------
        ReceptiveField
            The window.
        """
        return ReceptiveField(self.start + self.width // 2 - width // 2, width, self.step)


@dataclass(frozen=True, eq=False)
class FilterBank:
    """One convolution that reads DNA, and how it reads it.

    Parameters
    ----------
    layer : str
        Name of the convolution; ``outer/inner`` inside nested models.
    n_filters : int
        Number of filters.
    n_positions : int
        Positions of its feature map along the sequence.
    field : ReceptiveField
        What a position of the feature map sees, padding, stride, dilation,
        and layers in between counted in.
    layout : Layout
        Axis order and alphabet of the network's DNA input.
    kernels : numpy.ndarray, shape (n_filters, width, 4), float32, optional
        Weights in sequence direction (cross-correlation) and ACGT order, with
        zeros where a dilated kernel skips bases. None for deeper layers.
    activation : str
        What follows the convolution up to the non-linearity.
    geometry : str
        Kernel, padding, stride, dilation and groups, in words.
    notes : tuple of str
        What is unusual and was dealt with.
    """

    layer: str
    n_filters: int
    n_positions: int
    field: ReceptiveField
    layout: Layout
    kernels: np.ndarray | None
    activation: str
    geometry: str
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say in one line what was found.

        Returns
        -------
        str
            Layer, filters, axis order, alphabet, geometry, activation.
        """
        verb = "reads" if self.kernels is not None else f"sees {self.field.width} bases of"
        reads = f"{verb} {self.layout}{', assumed' if self.layout.assumed else ''}"
        text = (
            f"layer {self.layer}: {self.n_filters} filters, {reads}, {self.geometry}; "
            f"activations after {self.activation}"
        )
        return "; ".join((text, *self.notes))
