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
        # Even widths have one base more on the left, as the paper's have.
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
        # Without kernels it is a deeper convolution, which reads another feature map.
        verb = "reads" if self.kernels is not None else f"sees {self.field.width} bases of"
        reads = f"{verb} {self.layout}{', assumed' if self.layout.assumed else ''}"
        text = (
            f"layer {self.layer}: {self.n_filters} filters, {reads}, {self.geometry}; "
            f"activations after {self.activation}"
        )
        return "; ".join((text, *self.notes))
