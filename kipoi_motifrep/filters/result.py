"""PWMs of filters, and how to see them as motifs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.statuses import ACTIVE, DEAD
from kipoi_motifrep.filters.evidence import Heights, SiteSample
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.logos import information_logo
from kipoi_motifrep.motifs.notebook import html_table
from kipoi_motifrep.networks.types import FilterBank, ReceptiveField

WEIGHT_SCALE = 3.0  # of the weight PWM; Koo & Eddy 2019


@dataclass(frozen=True, eq=False)
class FilterPWMs:
    """What the filters of one convolution learned.

    Parameters
    ----------
    bank : FilterBank
        The convolution.
    names : tuple of str
        ``filter0`` and so on; with several banks the layer's name comes first.
    pwms : numpy.ndarray, shape (n_filters, width, 4), float64
        Activation PWMs, probabilities in ACGT order. A column that no base
        ever fell on, and all of a dead filter, is 0.25 each.
    counts : numpy.ndarray, shape (n_filters, width, 4), float64
        Summed weight of the sites with that base there.
    n_sites : numpy.ndarray, shape (n_filters,), int64
        Number of sites.
    n_firing : numpy.ndarray, shape (n_filters,), int64
        Number of sequences with a site.
    n_sequences : int
        Number of sequences.
    maximum : numpy.ndarray, shape (n_filters,), float32
        Largest activation over the whole set.
    level : numpy.ndarray, shape (n_filters,), float32
        A site is above it (at least at it, for the best k sites).
    window : ReceptiveField
        Bases under a position of the feature map.
    heights : Heights, optional
        Number of sequences by the largest activation in them.
    sample : SiteSample, optional
        Where sites lie, and the highest of them.

    Examples
    --------
    >>> import keras
    >>> from kipoi_motifrep import filter_pwms
    >>> convolution = keras.layers.Conv1D(1, 2, use_bias=False)
    >>> network = keras.Sequential([keras.Input((6, 4)), convolution, keras.layers.ReLU()])
    >>> network.set_weights([np.eye(4)[[0, 1]].reshape(2, 4, 1)])
    >>> [bank] = filter_pwms(network, np.eye(4)[None, [0, 1, 3, 3, 0, 1]])
    >>> bank.names, bank.status, bank.motifs()[0].consensus
    (('filter0',), ('active',), 'AC')
    """

    bank: FilterBank
    names: tuple[str, ...]
    pwms: np.ndarray
    counts: np.ndarray
    n_sites: np.ndarray
    n_firing: np.ndarray
    n_sequences: int
    maximum: np.ndarray
    level: np.ndarray
    window: ReceptiveField
    heights: Heights | None = None
    sample: SiteSample | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"<FilterPWMs of layer {self.bank.layer}: {len(self)} filters of width {self.width}, "
            f"{self.status.count(ACTIVE)} active, from {self.n_sequences:,} sequences>"
        )

    def _repr_html_(self) -> str:
        rows = zip(
            self.names,
            map(information_logo, self.pwms),
            self.status,
            self.n_sites.tolist(),
            self.fraction_firing.tolist(),
            self.maximum.tolist(),
            strict=True,
        )
        header = ("filter", "logo", "status", "sites", "fraction of sequences", "maximum")
        return html_table(repr(self)[1:-1], header, rows)

    @property
    def width(self) -> int:
        """Width of the PWMs in bases."""
        return self.pwms.shape[1]

    @property
    def kernels(self) -> np.ndarray | None:
        """Weights (n_filters, field width, 4), ACGT; None for deeper layers."""
        return self.bank.kernels

    @property
    def status(self) -> tuple[str, ...]:
        """``active``, or ``dead`` for a filter that never exceeds 0 or is the same everywhere."""
        # An infinite level is that of a filter that is the same everywhere, or has none of the best k sites.
        never = ~(self.maximum > 0) | np.isinf(self.level)
        return tuple(DEAD if dead else ACTIVE for dead in never)

    @property
    def fraction_firing(self) -> np.ndarray:
        """Fraction of the sequences with a site, shape (n_filters,)."""
        return self.n_firing / max(self.n_sequences, 1)

    @property
    def weight_pwms(self) -> np.ndarray | None:
        """Weight PWMs (n_filters, field width, 4); None for deeper layers."""
        return None if self.kernels is None else weight_pwms(self.kernels)

    def motifs(self, trimmed: bool = False, include_dead: bool = True) -> list[Motif]:
        """See the PWMs as motifs.

        Parameters
        ----------
        trimmed : bool, default False
            Cut uninformative ends off (paper's rule).
        include_dead : bool, default True
            Keep the uniform motifs of dead filters.

        Returns
        -------
        list of Motif
            ``nsites`` is the motif's width, as in the paper's matching (it
            scales Tomtom's pseudocount), not the number of sites.
        """
        kept = [
            Motif(name, pwm, alt_name="" if status == ACTIVE else status, nsites=len(pwm))
            for name, pwm, status in zip(self.names, self.pwms, self.status, strict=True)
            if include_dead or status == ACTIVE
        ]
        if not trimmed:
            return kept
        # The number of sites follows the width that is matched, since it scales the pseudocount.
        short = [motif.trimmed() for motif in kept]
        return [replace(motif, nsites=motif.width) for motif in short]


def weight_pwms(kernels: np.ndarray) -> np.ndarray:
    """Turn kernels into PWMs: exp(3 W / max|W|), normalised per position.

    Parameters
    ----------
    kernels : numpy.ndarray, shape (n_filters, width, 4)
        Weights in ACGT order.

    Returns
    -------
    numpy.ndarray, shape (n_filters, width, 4), float64
        Probabilities; uniform for a kernel of zeros. The maximum is each filter's own.

    Raises
    ------
    InputError
        If the shape is another.

    Examples
    --------
    >>> weight_pwms(np.array([[[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])).round(2)
    array([[[0.87, 0.04, 0.04, 0.04],
            [0.25, 0.25, 0.25, 0.25]]])
    """
    kernels = np.asarray(kernels, np.float64)
    if kernels.ndim != 3 or kernels.shape[2] != 4:
        raise InputError(f"kernels must have shape (n_filters, width, 4), not {kernels.shape}")
    largest = np.abs(kernels).max(axis=(1, 2), keepdims=True)
    scaled = np.exp(WEIGHT_SCALE * kernels / np.where(largest > 0, largest, 1))
    return scaled / scaled.sum(axis=2, keepdims=True)


def normalised(counts: np.ndarray) -> np.ndarray:
    """Divide each column by its summed weight.

    Parameters
    ----------
    counts : numpy.ndarray, shape (n_filters, width, 4), float64
        Summed weights.

    Returns
    -------
    numpy.ndarray, shape (n_filters, width, 4), float64
        Probabilities; 0.25 each where nothing was counted.

    Examples
    --------
    >>> normalised(np.array([[[3.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]))
    array([[[0.75, 0.25, 0.  , 0.  ],
            [0.25, 0.25, 0.25, 0.25]]])
    """
    total = counts.sum(axis=2, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), 0.25)


def filter_names(banks: Sequence[FilterBank]) -> list[tuple[str, ...]]:
    """Name the filters of all banks.

    Parameters
    ----------
    banks : sequence of FilterBank
        In the network's order.

    Returns
    -------
    list of tuple of str
        ``filter0``, ``filter1``; with several banks ``layer_filter0``.
    """
    return [
        tuple((f"{bank.layer}_" if len(banks) > 1 else "") + f"filter{i}" for i in range(bank.n_filters))
        for bank in banks
    ]
