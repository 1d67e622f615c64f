"""Activation PWMs in two passes over batches, in memory bounded by the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.filters.batches import ArrayBatches, Batch
from kipoi_motifrep.filters.result import FilterPWMs, filter_names, normalised
from kipoi_motifrep.filters.selection import (
    Histogram,
    Maxima,
    Sites,
    TopSites,
    kth_level,
    sites_above,
    value_of_key,
)
from kipoi_motifrep.filters.sums import SiteSums
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.types import ReceptiveField

THRESHOLD = 0.5  # of the filter's maximum; Koo & Eddy 2019, methods
LARGEST_BATCH = 1024  # sequences
BATCH_VALUES = 8 << 20  # activations of one batch, 32 MiB
MEMORY = 256 << 20  # bytes of sites kept from the first pass, so that the second need not run the network

OnSites = Callable[[int, Batch, Sites, int], None]


@dataclass(frozen=True)
class SiteRule:
    """Which positions count as sites, and how.

    Parameters
    ----------
    threshold : float, default 0.5
        Sites are above this fraction of the filter's maximum over the whole set.
    quantile : float, optional
        Instead: sites are above this quantile of all the filter's activations.
    top : int, optional
        Instead: the filter's best `top` sites; ties go to the earlier one.
    weighted : bool, default True
        Weight windows by their activation.
    best_per_sequence : bool, default False
        At most one site a filter and sequence, the highest.
    """

    threshold: float = THRESHOLD
    quantile: float | None = None
    top: int | None = None
    weighted: bool = True
    best_per_sequence: bool = False

    def __post_init__(self):
        if self.quantile is not None and self.top is not None:
            raise InputError("give quantile or top, not both")
        if not 0 <= self.threshold < 1:
            raise InputError(f"threshold must be a fraction of the maximum from 0 to below 1, not {self.threshold:g}")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise InputError(f"quantile must be between 0 and 1, not {self.quantile:g}")
        if self.top is not None and self.top < 1:
            raise InputError(f"top must be at least 1, not {self.top}")


@dataclass
class _Kept:
    """Sites of the first pass that can pass the final threshold, while they fit into memory."""

    budget: int
    batches: list[tuple[np.ndarray, list[Sites]] | None] = field(default_factory=list)

    def add(self, codes: np.ndarray, sites: Sequence[Sites]) -> None:
        self.budget -= codes.nbytes + sum(28 * len(one) for one in sites)
        self.batches.append((codes, list(sites)) if self.budget > 0 else None)


def filter_maxima(network: Network, batches: Iterable[Batch]) -> tuple[Maxima, ...]:
    """First pass over a shard of the data.

    Parameters
    ----------
    network : Network
        From :func:`kipoi_motifrep.networks.open_network`.
    batches : iterable of Batch
        The shard.

    Returns
    -------
    tuple of Maxima
        One a bank; those of several shards add up.
    """
    total: tuple[Maxima, ...] | None = None
    for batch in batches:
        part = tuple(Maxima.of(activations) for activations in network.activations(batch.inputs))
        total = part if total is None else tuple(a + b for a, b in zip(total, part, strict=True))
    if total is None:
        raise InputError("there are no sequences")
    return total


def site_sums(network: Network, batches: Iterable[Batch], levels: Sequence[np.ndarray], *, weighted: bool = True,
              best_per_sequence: bool = False, window: int | None = None) -> tuple[SiteSums, ...]:
    """Second pass over a shard of the data.

    Parameters
    ----------
    network : Network
        From :func:`kipoi_motifrep.networks.open_network`.
    batches : iterable of Batch
        The shard.
    levels : sequence of numpy.ndarray, shape (n_filters,)
        What sites of each bank must exceed: ``Maxima.thresholds`` of the whole set.
    weighted, best_per_sequence, window
        As for :func:`filter_pwms`.

    Returns
    -------
    tuple of SiteSums
        One a bank; those of several shards add up.
    """
    windows = bank_windows(network, window)
    total = [SiteSums.nothing(bank.n_filters, one.width) for bank, one in zip(network.banks, windows, strict=True)]
    for batch in batches:
        codes = network.codes(batch.inputs)
        for i, activations in enumerate(network.activations(batch.inputs)):
            sites = sites_above(activations, levels[i], best_per_sequence)
            total[i] += SiteSums.of(codes, sites, windows[i], network.banks[i].n_filters, weighted)
    return tuple(total)


def filter_pwms(model: object, sequences: object, *, threshold: float = THRESHOLD, quantile: float | None = None,
                top: int | None = None, weighted: bool = True, best_per_sequence: bool = False,
                window: int | None = None, layer: str | None = None, axes: str | None = None,
                batch_size: int | None = None, on_sites: OnSites | None = None,
                memory: int = MEMORY) -> tuple[FilterPWMs, ...]:
    """Compute the activation PWMs of a network's filters.

    Koo & Eddy (2019), methods: windows under the positions of the feature map
    above half of the filter's maximum, weighted by activation, each column
    divided by the weight of the windows with a base there. A window is what
    the position truly sees (its receptive field); for odd widths and 'same'
    padding that is the paper's centred window.

    Parameters
    ----------
    model : Network, str, path-like or object
        Anything :func:`kipoi_motifrep.networks.open_network` takes.
    sequences : numpy.ndarray or iterable of Batch
        The model's inputs, or one-hot DNA (n, L, 4) ACGT; an iterable is gone
        through more than once.
    threshold : float, default 0.5
        Sites are above this fraction of the filter's maximum over the whole set.
    quantile : float, optional
        Instead: sites are above this quantile of the filter's activations.
    top : int, optional
        Instead: the filter's best `top` sites.
    weighted : bool, default True
        Weight windows by their activation.
    best_per_sequence : bool, default False
        At most one site a filter and sequence.
    window : int, optional
        Width of the windows, around the same centre; the receptive field by default.
    layer, axes : str, optional
        As for ``open_network``.
    batch_size : int, optional
        For sequences in memory; chosen by the size of the feature map by
        default. It does not change the result.
    on_sites : callable, optional
        Called in the last pass for every bank and batch with the bank's index, the batch, its sites, and the
        number of sequences before it.
    memory : int, default 256 MiB
        Bytes of sites to keep between passes; with 0 every pass runs the network.

    Returns
    -------
    tuple of FilterPWMs
        One a bank of filters (one for most networks).

    Raises
    ------
    InputError
        If the model shows no convolution that reads the sequences, or an argument is out of range.
    """
    rule = SiteRule(threshold, quantile, top, weighted, best_per_sequence)
    if hasattr(sequences, "__array__"):
        sequences = np.asarray(sequences)  # tensors
    network = model if isinstance(model, Network) else _open(model, sequences, layer, axes)
    batches = sequences
    if isinstance(sequences, (np.ndarray, list, dict)):
        batches = ArrayBatches(sequences, batch_size or fitting_batch_size(network))
    windows = bank_windows(network, window)
    maxima, kept, top_sites = _first_pass(network, batches, rule, memory)
    levels = _levels(network, batches, rule, maxima, top_sites)
    sums = _last_pass(network, batches, rule, windows, levels, kept, top_sites, on_sites)
    if any(one.n_sites.any() for one in sums) and not any(one.counts.any() for one in sums):
        raise InputError("the sites hold no bases, only N; give sequences that hold some")
    names = filter_names(network.banks)
    return tuple(
        FilterPWMs(bank, names[i], normalised(sums[i].counts), sums[i].counts, sums[i].n_sites, sums[i].n_firing,
                   sums[i].n_sequences, maxima[i].maximum, levels[i], windows[i])
        for i, bank in enumerate(network.banks))


def _open(model: object, sequences: object, layer: str | None, axes: str | None) -> Network:
    one_hot = isinstance(sequences, np.ndarray) and sequences.ndim == 3 and sequences.shape[2] == 4
    if isinstance(sequences, (list, dict)) or (isinstance(sequences, np.ndarray) and not one_hot):
        return open_network(model, layer=layer, axes=axes, example=sequences)
    return open_network(model, layer=layer, axes=axes, length=sequences.shape[1] if one_hot else None)


def fitting_batch_size(network: Network) -> int:
    """Choose a batch size by the size of the feature maps.

    Parameters
    ----------
    network : Network
        From ``open_network``.

    Returns
    -------
    int
        1 to 1024 sequences, of at most 8 million activations where possible.
    """
    size = sum(bank.n_positions * bank.n_filters for bank in network.banks)
    return max(1, min(LARGEST_BATCH, BATCH_VALUES // size))


def bank_windows(network: Network, width: int | None = None) -> list[ReceptiveField]:
    """Give the window of every bank.

    Parameters
    ----------
    network : Network
        From ``open_network``.
    width : int, optional
        Width of the windows, around the same centre; the receptive field by default.

    Returns
    -------
    list of ReceptiveField
        One a bank.
    """
    if width is not None and width < 1:
        raise InputError(f"window must be at least 1 base wide, not {width}")
    return [bank.field if width is None else bank.field.resized(width) for bank in network.banks]


def _first_pass(network: Network, batches: Iterable[Batch], rule: SiteRule, memory: int):
    """Maxima; for thresholds by fraction also candidate sites, for the best k these."""
    maxima: list[Maxima] | None = None
    kept = _Kept(memory)
    top = [TopSites.nothing(rule.top) for _ in network.banks] if rule.top else None
    for batch in progress(batches, "activations", unit="batch"):
        maps = network.activations(batch.inputs)
        parts = [Maxima.of(one) for one in maps]
        maxima = parts if maxima is None else [a + b for a, b in zip(maxima, parts, strict=True)]
        first = maxima[0].n_sequences - parts[0].n_sequences
        if top is not None:
            top = [best + _numbered_on(one, best, rule, first) for best, one in zip(top, maps, strict=True)]
        elif rule.quantile is None and kept.budget <= 0:
            kept.batches.append(None)
        elif rule.quantile is None:
            # The running maximum only grows, so these hold all sites that the final threshold lets pass.
            kept.add(network.codes(batch.inputs), [
                sites_above(one, so_far.lower_bounds(rule.threshold), rule.best_per_sequence)
                for one, so_far in zip(maps, maxima, strict=True)])
    if maxima is None:
        raise InputError("there are no sequences")
    for bank, one in zip(network.banks, maxima, strict=True):
        if not (np.isfinite(one.maximum) & np.isfinite(one.minimum)).all():
            raise InputError(f"activations of layer {bank.layer} are not finite: its weights are broken, or the inputs "
                             "are no one-hot DNA")
    return maxima, kept, top


def _numbered_on(activations: np.ndarray, best: TopSites, rule: SiteRule, first: int) -> TopSites:
    # A later site must be higher than the k-th so far: ties go to the earlier one.
    levels = best.levels(activations.shape[2])
    if not rule.best_per_sequence and not levels.all():
        levels = np.maximum(levels, kth_level(activations, rule.top))
    found = sites_above(activations, levels, rule.best_per_sequence)
    return TopSites(Sites(found.sequence + first, found.position, found.filter, found.value), rule.top)


def _levels(network: Network, batches: Iterable[Batch], rule: SiteRule, maxima: Sequence[Maxima],
            top: Sequence[TopSites] | None) -> list[np.ndarray]:
    if top is not None:
        lowest = [np.full(bank.n_filters, np.inf, np.float32) for bank in network.banks]
        for values, best in zip(lowest, top, strict=True):
            np.minimum.at(values, best.sites.filter, best.sites.value)
        return lowest
    if rule.quantile is None:
        return [one.thresholds(rule.threshold) for one in maxima]
    ranks = [np.full(len(one.maximum), max(1, int(np.ceil(rule.quantile * one.n_sequences * one.n_positions))))
             for one in maxima]
    upper = [one.locate(rank) for one, rank in zip(_histograms(network, batches, None), ranks, strict=True)]
    lower = [one.locate(rank) for one, (_, rank)
             in zip(_histograms(network, batches, [key for key, _ in upper]), upper, strict=True)]
    return [value_of_key(high, low) for (high, _), (low, _) in zip(upper, lower, strict=True)]


def _histograms(network: Network, batches: Iterable[Batch], upper: Sequence[np.ndarray] | None) -> list[Histogram]:
    total: list[Histogram] | None = None
    for batch in progress(batches, "quantiles", unit="batch"):
        parts = [Histogram.of(one, None if upper is None else upper[i])
                 for i, one in enumerate(network.activations(batch.inputs))]
        total = parts if total is None else [a + b for a, b in zip(total, parts, strict=True)]
    return total


def _last_pass(network: Network, batches: Iterable[Batch], rule: SiteRule, windows: Sequence[ReceptiveField],
               levels: Sequence[np.ndarray], kept: _Kept, top: Sequence[TopSites] | None,
               on_sites: OnSites | None) -> list[SiteSums]:
    total = [SiteSums.nothing(bank.n_filters, one.width) for bank, one in zip(network.banks, windows, strict=True)]
    held = kept.batches if all(kept.batches) and kept.batches and on_sites is None else None
    start = 0
    for number, batch in enumerate(held if held is not None else progress(batches, "PWMs", unit="batch")):
        saved = batch if held is not None else (kept.batches[number] if number < len(kept.batches) else None)
        codes = saved[0] if saved else network.codes(batch.inputs)
        if top is not None:
            found = [_of_batch(best.sites, start, len(codes)) for best in top]
        elif saved:
            found = [sites.where(sites.value > level[sites.filter]) for sites, level
                     in zip(saved[1], levels, strict=True)]
        else:
            found = [sites_above(one, level, rule.best_per_sequence) for one, level
                     in zip(network.activations(batch.inputs), levels, strict=True)]
        for i, sites in enumerate(found):
            total[i] += SiteSums.of(codes, sites, windows[i], network.banks[i].n_filters, rule.weighted)
            if on_sites is not None:
                on_sites(i, batch, sites, start)
        start += len(codes)
    return total


def _of_batch(sites: Sites, start: int, n: int) -> Sites:
    inside = sites.where((sites.sequence >= start) & (sites.sequence < start + n))
    return Sites(inside.sequence - start, inside.position, inside.filter, inside.value)
