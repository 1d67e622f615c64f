"""Activation PWMs in two passes over batches, in memory bounded by the batch.

The PWM of a filter is the gradient of a convolution with respect to its kernel, when the activations of the filter's
sites, and no others, are what flows back: every window under a site, weighted by the activation, summed.

1. First pass: the largest and the smallest activation of each filter over the whole set (for the best k sites, these
   sites as well). Batches also leave the sites that may pass the threshold, while these fit into memory: a running
   maximum only grows, so what does not pass a fraction of it now never will. For a quantile, the first sequences say
   which sites may; that is a guess on the safe side.
2. The level that a site must exceed: a fraction of the maximum; or a quantile, which is among the sites that were kept
   unless the guess was wrong or they do not fit into memory: then two more passes of counting give it, as exactly (see
   `Histogram`); or that of the k-th best site.
3. Last pass: windows under the sites are cut from the sequences and summed, each base by itself. Where all sites are
   in memory, neither the network nor the data is gone through again.
4. Each column is divided by its sum.

Maxima, counts and sums of parts of the data add up to those of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kipoi_motifrep.core.ahead import ahead
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.filters.batches import ArrayBatches, Batch, ids_of, ranges_of
from kipoi_motifrep.filters.evidence import Heights, SiteSample
from kipoi_motifrep.filters.result import FilterPWMs, filter_names, normalised
from kipoi_motifrep.filters.selection import (
    Histogram,
    Maxima,
    Sites,
    TopSites,
    kth_level,
    kth_values,
    quantile_floor,
    sites_above,
)
from kipoi_motifrep.filters.sums import SiteSums
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.types import ReceptiveField

THRESHOLD = 0.5  # of the filter's maximum; Koo & Eddy 2019, methods
LARGEST_BATCH = 1024  # sequences
BATCH_VALUES = 8 << 20  # activations of one batch, 32 MiB
SHARD_BATCHES = 16  # of a shard, whose sums are added up first: whoever does it, the sums of all are the same
MEMORY = 256 << 20  # bytes of sites kept from the first pass, so that the second need not run the network
SITE_BYTES = 28  # three int64 and a float32

OnSites = Callable[[int, Batch, Sites, int], None]
Found = tuple[np.ndarray, list[Sites], Mapping]  # codes of a batch, the sites of each bank in it, names of sequences


@dataclass(frozen=True)
class PWMRule:
    """How PWMs are made: which positions count as sites, and what is cut there.

    Parameters
    ----------
    window : int, optional
        Width of the windows in bases, around the same centre; the receptive field by default.
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

    Raises
    ------
    InputError
        If one is out of range.

    Examples
    --------
    >>> PWMRule(top=100).threshold
    0.5
    >>> PWMRule(threshold=1)
    Traceback (most recent call last):
        ...
    kipoi_motifrep.core.errors.InputError: threshold must be a fraction of the maximum from 0 to below 1, not 1
    """

    window: int | None = None
    threshold: float = THRESHOLD
    quantile: float | None = None
    top: int | None = None
    weighted: bool = True
    best_per_sequence: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise InputError(f"window must be at least 1 base wide, not {self.window}")
        if self.quantile is not None and self.top is not None:
            raise InputError("give quantile or top, not both")
        if not 0 <= self.threshold < 1:
            raise InputError(f"threshold must be a fraction of the maximum from 0 to below 1, not {self.threshold:g}")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise InputError(f"quantile must be between 0 and 1, not {self.quantile:g}")
        if self.top is not None and self.top < 1:
            raise InputError(f"top must be at least 1, not {self.top}")


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

    Raises
    ------
    InputError
        If the shard is empty.
    """
    total: tuple[Maxima, ...] | None = None
    for batch in batches:
        part = tuple(Maxima.of(activations) for activations in network.activations(batch.inputs))
        total = part if total is None else tuple(a + b for a, b in zip(total, part, strict=True))
    if total is None:
        raise InputError("there are no sequences")
    return total


def site_sums(
    network: Network,
    batches: Iterable[Batch],
    levels: Sequence[np.ndarray],
    *,
    weighted: bool = True,
    best_per_sequence: bool = False,
    window: int | None = None,
) -> tuple[SiteSums, ...]:
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
    rule = PWMRule(window, weighted=weighted, best_per_sequence=best_per_sequence)
    return tuple(window_sums(network, fresh_sites(network, batches, rule, levels, ()), rule, None)[0])


def filter_pwms(
    model: object,
    sequences: object,
    *,
    threshold: float = THRESHOLD,
    quantile: float | None = None,
    top: int | None = None,
    weighted: bool = True,
    best_per_sequence: bool = False,
    window: int | None = None,
    layer: str | None = None,
    axes: str | None = None,
    batch_size: int | None = None,
    on_sites: OnSites | None = None,
    memory: int = MEMORY,
) -> tuple[FilterPWMs, ...]:
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

    Examples
    --------
    A filter that fires where an A is followed by a C, on one sequence that has both twice:

    >>> import keras
    >>> convolution = keras.layers.Conv1D(1, 2, use_bias=False)
    >>> network = keras.Sequential([keras.Input((6, 4)), convolution, keras.layers.ReLU()])
    >>> network.set_weights([np.eye(4)[[0, 1]].reshape(2, 4, 1)])
    >>> [bank] = filter_pwms(network, np.eye(4)[None, [0, 1, 3, 3, 0, 1]])
    >>> bank.n_sites
    array([2])
    >>> bank.pwms[0]
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]])
    """
    rule = PWMRule(window, threshold, quantile, top, weighted, best_per_sequence)
    if hasattr(sequences, "__array__"):
        sequences = np.asarray(sequences)  # tensors
    network = model if isinstance(model, Network) else _open(model, sequences, layer, axes)
    if isinstance(sequences, (np.ndarray, list, dict)):
        sequences = ArrayBatches(sequences, batch_size or fitting_batch_size(network))
    if not isinstance(sequences, Iterable):
        raise InputError(f"sequences must be an array or batches, not {type(sequences).__name__}")
    return network_pwms(network, sequences, rule, on_sites=on_sites, memory=memory)


def network_pwms(
    network: Network,
    batches: Iterable[Batch],
    rule: PWMRule,
    *,
    on_sites: OnSites | None = None,
    memory: int = MEMORY,
    evidence: bool = True,
) -> tuple[FilterPWMs, ...]:
    """Compute the activation PWMs of an open network; see :func:`filter_pwms`.

    Parameters
    ----------
    network : Network
        From ``open_network``.
    batches : iterable of Batch
        The data, gone through more than once.
    rule : PWMRule
        How PWMs are made.
    on_sites, memory
        As for :func:`filter_pwms`.
    evidence : bool, default True
        Collect heights and samples of sites, which take time where sites are many.

    Returns
    -------
    tuple of FilterPWMs
        One a bank of filters.

    Raises
    ------
    InputError
        If there are no sequences, activations are not finite, or sites hold no bases.
    """
    maxima, heights, kept, floors, best = first_pass(network, batches, rule, memory, evidence)
    levels = None if rule.quantile is None else _kept_quantiles(rule.quantile, maxima, kept, floors)
    if levels is None:
        kept = kept if rule.quantile is None else []  # they may lack some
        levels = _levels(network, batches, rule, maxima, best)
    parts: Iterator[tuple[Batch | None, Found]]
    saved = [one for one in kept if one is not None]
    if saved and len(saved) == len(kept) and on_sites is None:
        parts = ((None, (codes, _passing(sites, levels), names)) for codes, sites, names in saved)
    else:
        again = progress(batches, "PWMs", unit="batch")
        parts = fresh_sites(network, again, rule, levels, kept) if best is None else best_sites(network, again, best)
    sums, samples = window_sums(network, parts, rule, on_sites, evidence=evidence)
    return filter_pwms_of(network, rule, maxima, heights, levels, sums, samples)


def filter_pwms_of(
    network: Network,
    rule: PWMRule,
    maxima: Sequence[Maxima],
    heights: Sequence[Heights],
    levels: Sequence[np.ndarray],
    sums: Sequence[SiteSums],
    samples: Sequence[SiteSample],
) -> tuple[FilterPWMs, ...]:
    """Put together what the passes over all sequences have left, a bank each.

    Parameters
    ----------
    network : Network
        The network.
    rule : PWMRule
        How PWMs are made.
    maxima, heights, levels, sums, samples : sequence
        Of all sequences; heights and samples may be empty.

    Returns
    -------
    tuple of FilterPWMs
        One a bank.

    Raises
    ------
    InputError
        If sites hold no bases.
    """
    if any(one.n_sites.any() for one in sums) and not any(one.counts.any() for one in sums):
        raise InputError("the sites hold no bases, only N; give sequences that hold some")
    names, windows = filter_names(network.banks), bank_windows(network, rule.window)
    return tuple(
        FilterPWMs(
            bank,
            names[i],
            normalised(sums[i].counts),
            sums[i].counts,
            sums[i].n_sites,
            sums[i].n_firing,
            sums[i].n_sequences,
            maxima[i].maximum,
            levels[i],
            windows[i],
            heights[i] if heights else None,
            samples[i] if samples else None,
        )
        for i, bank in enumerate(network.banks)
    )


def _open(model: object, sequences: object, layer: str | None, axes: str | None) -> Network:
    one_hot = isinstance(sequences, np.ndarray) and sequences.ndim == 3 and sequences.shape[2] == 4
    if isinstance(sequences, (list, dict)) or (isinstance(sequences, np.ndarray) and not one_hot):
        return open_network(model, layer=layer, axes=axes, example=sequences)
    length = sequences.shape[1] if isinstance(sequences, np.ndarray) else None
    return open_network(model, layer=layer, axes=axes, length=length)


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
    return [bank.field if width is None else bank.field.resized(width) for bank in network.banks]


class FirstPass(NamedTuple):
    """What the first pass leaves, a bank each; ``kept`` are batches with their sites above ``floors``, or None."""

    maxima: list[Maxima]
    heights: list[Heights]
    kept: list[Found | None]
    floors: list[np.ndarray]
    best: list[TopSites] | None


def first_pass(
    network: Network, batches: Iterable[Batch], rule: PWMRule, memory: int, evidence: bool = True
) -> FirstPass:
    """Find maxima; also the sites that may pass, batch by batch; for the best k these.

    Parameters
    ----------
    network : Network
        The network.
    batches : iterable of Batch
        All sequences, or a shard of them.
    rule : PWMRule
        How PWMs are made.
    memory : int
        Bytes of sites to keep.
    evidence : bool, default True
        Collect heights.

    Returns
    -------
    FirstPass
        Of these sequences.

    Raises
    ------
    InputError
        If there are no sequences, or activations are not finite.
    """
    maxima: list[Maxima] = []
    heights: list[Heights] = []
    kept: list[Found | None] = []
    best = [TopSites.nothing(rule.top) for _ in network.banks] if rule.top else None
    floors: list[np.ndarray] = []  # for quantiles
    # The network runs on the next batch while this one is looked through, which takes as long.
    watched = progress(batches, "activations", unit="batch")
    for batch, maps in ahead(lambda one: (one, network.activations(one.inputs)), watched):
        highest = [one.max(axis=1) for one in maps]  # read once for both: feature maps are far larger than the caches
        parts = [Maxima.of(one, high) for one, high in zip(maps, highest, strict=True)]
        first = maxima[0].n_sequences if maxima else 0
        maxima = [a + b for a, b in zip(maxima, parts, strict=True)] if maxima else parts
        if evidence:
            counted = [Heights.of(one) for one in highest]
            heights = [a + b for a, b in zip(heights, counted, strict=True)] if heights else counted
        if best is not None:
            best = [_better(one, activations, rule, first) for one, activations in zip(best, maps, strict=True)]
        elif rule.quantile is None or not rule.best_per_sequence:  # a quantile is that of all sites
            found = None
            if rule.quantile is None:
                floors = [one.lower_bounds(rule.threshold) for one in maxima]
            elif not floors:
                floors = [quantile_floor(one, rule.quantile) for one in maps]
            if memory > 0:
                found = (
                    network.codes(batch.inputs),
                    [sites_above(one, floor, rule.best_per_sequence) for one, floor in zip(maps, floors, strict=True)],
                    _names_in(batch),
                )
                memory -= found[0].nbytes + sum(SITE_BYTES * len(sites) for sites in found[1])
            kept.append(found if memory > 0 else None)
    if not maxima:
        raise InputError("there are no sequences")
    for bank, one in zip(network.banks, maxima, strict=True):
        if not (np.isfinite(one.maximum) & np.isfinite(one.minimum)).all():
            raise InputError(
                f"activations of layer {bank.layer} are not finite: its weights are broken, or the inputs "
                "are no one-hot DNA"
            )
    return FirstPass(maxima, heights, kept, floors, best)


def _better(best: TopSites, activations: np.ndarray, rule: PWMRule, first: int) -> TopSites:
    """Choose the best k of the sites so far and those of a batch whose first sequence has number `first`."""
    # A later site must be higher than the k-th so far: ties go to the earlier one.
    levels = best.levels(activations.shape[2])
    if not rule.best_per_sequence and not levels.all():
        # Of a part of them, which is as true: what is above it is sorted soon enough.
        levels = np.maximum(levels, kth_level(activations[: -(-len(activations) // 4)], best.k))
    return best + TopSites(sites_above(activations, levels, rule.best_per_sequence).moved(first), best.k)


def _kept_quantiles(
    quantile: float, maxima: Sequence[Maxima], kept: Sequence[Found | None], floors: Sequence[np.ndarray]
) -> list[np.ndarray] | None:
    """Find the quantiles among the sites that were kept; None if there are too few, or not all batches left some."""
    saved = [one for one in kept if one is not None]
    if len(saved) < len(kept) or not kept:
        return None
    levels = []
    for i, (one, floor) in enumerate(zip(maxima, floors, strict=True)):
        n = one.n_sequences * one.n_positions
        k = n + 1 - max(1, int(np.ceil(quantile * n)))  # the quantile's rank, from the highest down
        chosen, values = (np.concatenate([getattr(each[1][i], name) for each in saved]) for name in ("filter", "value"))
        level = kth_values(chosen, values, k, len(floor))
        # All sites above 0 are there, so what is missing is 0.
        level[np.isnan(level) & (floor <= 0)] = 0
        if np.isnan(level).any():
            return None
        levels.append(level)
    return levels


def _levels(
    network: Network, batches: Iterable[Batch], rule: PWMRule, maxima: Sequence[Maxima], best: Sequence[TopSites] | None
) -> list[np.ndarray]:
    """Give what the sites of each bank must exceed (of the best k sites: reach), shape (n_filters,) each."""
    if best is not None:
        return [one.lowest(bank.n_filters) for one, bank in zip(best, network.banks, strict=True)]
    if rule.quantile is None:
        return [one.thresholds(rule.threshold) for one in maxima]
    return quantile_levels(
        rule.quantile, maxima, lambda upper: count_values(network, progress(batches, "quantiles", unit="batch"), upper)
    )


def quantile_levels(
    quantile: float, maxima: Sequence[Maxima], count: Callable[[Sequence[np.ndarray] | None], Sequence[Histogram]]
) -> list[np.ndarray]:
    """Find quantiles by two counts.

    First the upper 16 bits of the value at the quantile's rank, then the lower ones of those that share them.

    Parameters
    ----------
    quantile : float
        From 0 to 1.
    maxima : sequence of Maxima
        One a bank.
    count : callable
        Counts all values, see :func:`count_values`.

    Returns
    -------
    list of numpy.ndarray, shape (n_filters,)
        One a bank.
    """
    ranks = [
        np.full(len(one.maximum), max(1, int(np.ceil(quantile * one.n_sequences * one.n_positions)))) for one in maxima
    ]
    halves: list[list[np.ndarray]] = []
    for _ in range(2):
        counted = count(halves[0] if halves else None)
        located = [one.locate(rank) for one, rank in zip(counted, ranks, strict=True)]
        halves.append([key for key, _ in located])
        ranks = [rank for _, rank in located]
    return [Histogram.value(high, low) for high, low in zip(*halves, strict=True)]


def count_values(network: Network, batches: Iterable[Batch], upper: Sequence[np.ndarray] | None) -> list[Histogram]:
    """Count activations by their upper bits, or by the lower ones of those with certain upper bits.

    Parameters
    ----------
    network : Network
        The network.
    batches : iterable of Batch
        All sequences, or a shard of them.
    upper : sequence of numpy.ndarray, shape (n_filters,), optional
        The upper bits, one a bank.

    Returns
    -------
    list of Histogram
        One a bank.
    """
    counted: list[Histogram] = []
    for batch in batches:
        parts = [
            Histogram.of(one, None if upper is None else upper[i])
            for i, one in enumerate(network.activations(batch.inputs))
        ]
        counted = [a + b for a, b in zip(counted, parts, strict=True)] if counted else parts
    return counted


def fresh_sites(
    network: Network,
    batches: Iterable[Batch],
    rule: PWMRule,
    levels: Sequence[np.ndarray],
    kept: Sequence[Found | None],
) -> Iterator[tuple[Batch, Found]]:
    """Find the sites of each batch, by the network where they were not kept.

    Parameters
    ----------
    network : Network
        The network.
    batches : iterable of Batch
        All sequences, or a shard of them.
    rule : PWMRule
        How PWMs are made.
    levels : sequence of numpy.ndarray, shape (n_filters,)
        What sites of each bank must exceed.
    kept : sequence
        What `first_pass` has kept of the same batches.

    Yields
    ------
    batch : Batch
        The batch.
    found : Found
        Its codes, its sites, and the names of its sequences.
    """
    for number, batch in enumerate(batches):
        saved = kept[number] if number < len(kept) else None
        if saved is not None:
            yield batch, (saved[0], _passing(saved[1], levels), saved[2])
        else:
            yield (
                batch,
                (
                    network.codes(batch.inputs),
                    [
                        sites_above(one, level, rule.best_per_sequence)
                        for one, level in zip(network.activations(batch.inputs), levels, strict=True)
                    ],
                    _names_in(batch),
                ),
            )


def best_sites(network: Network, batches: Iterable[Batch], best: Sequence[TopSites]) -> Iterator[tuple[Batch, Found]]:
    """Share the best k sites out to their batches.

    Parameters
    ----------
    network : Network
        The network.
    batches : iterable of Batch
        All sequences, or a shard of them.
    best : sequence of TopSites
        One a bank; sequences are counted from the first of `batches`.

    Yields
    ------
    batch : Batch
        The batch.
    found : Found
        As from `fresh_sites`.
    """
    start = 0
    for batch in batches:
        codes = network.codes(batch.inputs)
        inside = [(one.sites.sequence >= start) & (one.sites.sequence < start + len(codes)) for one in best]
        found = [one.sites.where(own).moved(-start) for one, own in zip(best, inside, strict=True)]
        yield batch, (codes, found, _names_in(batch))
        start += len(codes)


def _passing(kept: Sequence[Sites], levels: Sequence[np.ndarray]) -> list[Sites]:
    return [sites.where(sites.value > level[sites.filter]) for sites, level in zip(kept, levels, strict=True)]


def window_sums(
    network: Network,
    parts: Iterable[tuple[Batch | None, Found]],
    rule: PWMRule,
    on_sites: OnSites | None = None,
    before: int = 0,
    evidence: bool = True,
) -> tuple[list[SiteSums], list[SiteSample]]:
    """Add up the windows under the sites of all batches, shard by shard, and keep a sample of them.

    Parameters
    ----------
    network : Network
        The network.
    parts : iterable of (Batch or None, Found)
        Batches and their sites.
    rule : PWMRule
        How PWMs are made.
    on_sites : callable, optional
        As for :func:`filter_pwms`.
    before : int, default 0
        Sequences before the first batch.
    evidence : bool, default True
        Keep the sample.

    Returns
    -------
    sums : list of SiteSums
        One a bank.
    samples : list of SiteSample
        One a bank, where asked for.
    """
    windows = bank_windows(network, rule.window)
    nothing = [SiteSums.nothing(bank.n_filters, one.width) for bank, one in zip(network.banks, windows, strict=True)]
    total, shard = nothing, list(nothing)
    samples: list[SiteSample] = []
    for number, (batch, (codes, found, names)) in enumerate(parts):
        if number % SHARD_BATCHES == 0:
            total, shard = [a + b for a, b in zip(total, shard, strict=True)], list(nothing)
        for i, sites in enumerate(found):
            n_filters = network.banks[i].n_filters
            shard[i] += SiteSums.of(codes, sites, windows[i], n_filters, rule.weighted)
            if on_sites is not None and batch is not None:
                on_sites(i, batch, sites, before)
            if not evidence:
                continue
            levels = samples[i].levels() if i < len(samples) else np.zeros(n_filters, np.float32)
            part = SiteSample.of(codes, sites, windows[i], n_filters, names, before, levels)
            samples[i : i + 1] = [samples[i] + part if i < len(samples) else part]
        before += len(codes)
    return [a + b for a, b in zip(total, shard, strict=True)], samples


def _names_in(batch: Batch) -> Mapping:
    """Names of a batch's sequences, without what else a loader says of them: this is kept."""
    return {"ranges": ranges_of(batch.metadata), "id": ids_of(batch.metadata)}
