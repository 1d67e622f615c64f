"""Filters of many sequences, worked out by many workers.

1. A shard is some batches, the same whoever does the work. Every worker opens the model and the sequences itself.
2. First pass: maxima, counts and the best sites of each shard; sites that may pass the threshold stay with the worker.
3. Last pass, with the levels known: sums of each shard, done where its sites were kept, if that worker is still there;
   and the lines of its sites, if they are to be written.
4. Results are added up, and lines written, in the order of the shards, as one process does it too: the same to the
   last digit.
"""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.workers import Workers, in_order, opened_once, this_worker
from kipoi_motifrep.filters.batches import Batch, LoaderBatches
from kipoi_motifrep.filters.evidence import Heights, SiteSample
from kipoi_motifrep.filters.extract import ModelSource, NetworkChoice, Opened, SequenceSource, open_inputs
from kipoi_motifrep.filters.result import FilterPWMs
from kipoi_motifrep.filters.selection import Histogram, Maxima, TopSites
from kipoi_motifrep.filters.streaming import (
    MEMORY,
    SHARD_BATCHES,
    SITE_BYTES,
    Found,
    PWMRule,
    best_sites,
    count_values,
    filter_pwms_of,
    first_pass,
    fresh_sites,
    network_pwms,
    quantile_levels,
    window_sums,
)
from kipoi_motifrep.filters.sums import SiteSums
from kipoi_motifrep.filters.writing import SiteLines
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.untrained import untrained_copy

T = TypeVar("T")

_kept: dict[bytes, dict[tuple[int, int], list[Found | None]]] = {}  # in a worker: sites of shards, between the passes


@dataclass(frozen=True, eq=False)
class SharedInputs:
    """What a worker needs to open the model and the sequences that the program has opened.

    Parameters
    ----------
    source : ModelSource
        The model.
    sequences : SequenceSource
        The sequences.
    choice : NetworkChoice
        How the model is read.
    batch_size : int
        Sequences a batch.
    seed : int, optional
        Of the untrained network, where that is wanted.
    """

    source: ModelSource
    sequences: SequenceSource
    choice: NetworkChoice
    batch_size: int
    seed: int | None = None

    @classmethod
    def of(cls, opened: Opened, choice: NetworkChoice, seed: int | None = None) -> SharedInputs:
        """Describe what is open.

        Parameters
        ----------
        opened : Opened
            Model and sequences.
        choice : NetworkChoice
            As it was asked for; the order of the bases is the one that was found.
        seed : int, optional
            Of the untrained network.

        Returns
        -------
        SharedInputs
            With full paths.

        Raises
        ------
        InputError
            If the model is one in memory, or the loader gives no sequences by their place.
        """
        if opened.batches.n is None:
            raise InputError(
                "the model's own loader can only be gone through in order, so that its sequences cannot be shared "
                "out; leave out jobs and scheduler"
            )
        (source, _), (sequences, _) = opened.source.portable(), opened.sequences.portable()
        return cls(
            source, sequences, replace(choice, alphabet=opened.network.layout.alphabet), opened.batches.batch_size, seed
        )

    def open(self) -> tuple[Network, LoaderBatches]:
        """Open both, in a worker."""
        opened = open_inputs(self.source, self.sequences, self.choice, self.batch_size)
        return (
            opened.network if self.seed is None else untrained_network(opened, self.choice, self.seed),
            opened.batches,
        )


@dataclass(frozen=True, eq=False)
class SharedNetwork:
    """What a worker needs to open a network without sequences.

    Parameters
    ----------
    source : ModelSource
        The model.
    choice : NetworkChoice
        How it is read.
    length : int
        Bases of a sequence.
    """

    source: ModelSource
    choice: NetworkChoice
    length: int

    @classmethod
    def of(cls, source: ModelSource, choice: NetworkChoice, network: Network) -> SharedNetwork:
        """Describe an open network.

        Parameters
        ----------
        source : ModelSource
            The model.
        choice : NetworkChoice
            As it was asked for; axes and bases are those that were found.
        network : Network
            As it was opened.

        Returns
        -------
        SharedNetwork
            With full paths.

        Raises
        ------
        InputError
            If the model is one in memory.
        """
        layout = network.layout
        found = replace(choice, axes=",".join(layout.axes), alphabet=layout.alphabet)
        return cls(source.portable()[0], found, network.length)

    def open(self) -> Network:
        """Open it, in a worker."""
        return open_network(self.source.model, source=self.source.source, length=self.length, **vars(self.choice))


def untrained_network(opened: Opened, choice: NetworkChoice, seed: int) -> Network:
    """Open a network as it was before training.

    Parameters
    ----------
    opened : Opened
        The trained one.
    choice : NetworkChoice
        How that was read.
    seed : int
        Of the random weights.

    Returns
    -------
    Network
        Read in the same way.

    Raises
    ------
    Unreadable
        If no fresh weights can be drawn.
    """
    layout = opened.network.layout
    return open_network(
        untrained_copy(opened.model, seed),
        length=opened.network.length,
        layer=choice.layer,
        axes=",".join(layout.axes),
        alphabet=layout.alphabet,
        activation=choice.activation,
        dna_channels=None if layout.channels == 4 else f"{layout.first}:{layout.first + 4}",
    )


def shared_pwms(
    workers: Workers,
    opened: Opened,
    choice: NetworkChoice,
    rule: PWMRule,
    *,
    network: Network | None = None,
    batches: Iterable[Batch] | None = None,
    seed: int | None = None,
    lines: SiteLines | None = None,
) -> tuple[FilterPWMs, ...]:
    """Compute the PWMs of a network's filters, by whoever is there.

    Parameters
    ----------
    workers : Workers
        Who does the work.
    opened : Opened
        Model and sequences.
    choice : NetworkChoice
        How the model is read.
    rule : PWMRule
        How PWMs are made.
    network : Network, optional
        Another one than the opened: the untrained, of `seed`.
    batches : iterable of Batch, optional
        The same sequences, watched over; gone through in this process alone.
    seed : int, optional
        Of the untrained network.
    lines : SiteLines, optional
        Where every site goes, in the order of the sequences.

    Returns
    -------
    tuple of FilterPWMs
        One a bank of filters; the same whoever did the work, as are the lines.

    Raises
    ------
    InputError
        As :func:`~kipoi_motifrep.filters.streaming.network_pwms`, and if the sequences cannot be shared out.
    """
    network = network or opened.network
    if workers.here:
        # Nobody asks what the filters of an untrained network rest on.
        given = opened.batches if batches is None else batches
        return network_pwms(network, given, rule, on_sites=lines, evidence=seed is None)
    inputs = SharedInputs.of(opened, choice, seed)
    n_batches = -(-(opened.batches.n or 0) // inputs.batch_size)
    shards = [(first, min(first + SHARD_BATCHES, n_batches)) for first in range(0, n_batches, SHARD_BATCHES)]
    where: list[str] = []
    maxima: list[Maxima] = []
    heights: list[Heights] = []
    best: list[TopSites] = []
    for part in _gone_through(workers, partial(_first_there, inputs, rule), shards, "activations"):
        where.append(part.worker)
        maxima, heights, best = _added(maxima, part.maxima), _added(heights, part.heights), _added(best, part.best)
    if best:
        levels = [one.lowest(bank.n_filters) for one, bank in zip(best, network.banks, strict=True)]
    elif rule.quantile is None:
        levels = [one.thresholds(rule.threshold) for one in maxima]
    else:

        def count(upper: Sequence[np.ndarray] | None) -> list[Histogram]:
            counted: list[Histogram] = []
            for part in _gone_through(workers, partial(_count_there, inputs, upper), shards, "quantiles"):
                counted = _added(counted, part)
            return counted

        levels = quantile_levels(rule.quantile, maxima, count)
    items = [(shard, [_between(one, shard, inputs.batch_size) for one in best]) for shard in shards]
    sums: list[SiteSums] = []
    samples: list[SiteSample] = []
    task = partial(_sums_there, inputs, rule, levels, None if lines is None else lines.bed)
    for some, sample, text in _gone_through(workers, task, items, "PWMs", where):
        sums, samples = _added(sums, some), _added(samples, sample)
        if lines is not None:
            lines.add(zlib.decompress(text).decode())
    return filter_pwms_of(network, rule, maxima, heights, levels, sums, samples)


def _gone_through(
    workers: Workers, task: Callable, items: Sequence, what: str, where: Sequence[str] | None = None
) -> Iterable[Any]:
    results = in_order(workers.results(task, items, where=where))
    return progress(results, what, total=len(items), unit="shard")


def _added(total: list, part: Sequence) -> list:
    """Add up, bank by bank."""
    return [a + b for a, b in zip(total, part, strict=True)] if total else list(part)


def _between(best: TopSites, shard: tuple[int, int], batch_size: int) -> TopSites:
    """Choose the sites of a shard, whose sequences are then counted from its own first."""
    first, stop = (batch_size * one for one in shard)
    inside = (best.sites.sequence >= first) & (best.sites.sequence < stop)
    return TopSites(best.sites.where(inside).moved(-first), best.k)


class _First(NamedTuple):
    """What a shard's first pass gives, a bank each."""

    worker: str
    maxima: list[Maxima]
    heights: list[Heights]
    best: list[TopSites]


def _first_there(inputs: SharedInputs, rule: PWMRule, shard: tuple[int, int]) -> _First:
    network, batches = opened_once(SharedInputs.open, inputs)
    kept = _kept_for(inputs, rule)
    found = first_pass(network, batches.between(*shard), rule, MEMORY - sum(map(_bytes, kept.values())))
    if rule.quantile is None and not rule.top:  # a quantile's guess may lack some
        kept[shard] = found.kept
    before = shard[0] * inputs.batch_size
    best = [TopSites(one.sites.moved(before), one.k) for one in found.best or ()]
    return _First(this_worker(), found.maxima, found.heights, best)


def _count_there(inputs: SharedInputs, upper: Sequence[np.ndarray] | None, shard: tuple[int, int]) -> list[Histogram]:
    network, batches = opened_once(SharedInputs.open, inputs)
    return count_values(network, batches.between(*shard), upper)


def _sums_there(
    inputs: SharedInputs,
    rule: PWMRule,
    levels: Sequence[np.ndarray],
    bed: bool | None,
    item: tuple[tuple[int, int], list[TopSites]],
) -> tuple[list[SiteSums], list[SiteSample], bytes]:
    """Add up a shard; unless `bed` is None, write the lines of its sites, too: compressed, to a fifth."""
    shard, best = item
    network, batches = opened_once(SharedInputs.open, inputs)
    kept = _kept_for(inputs, rule).pop(shard, [])
    some = batches.between(*shard)
    parts = best_sites(network, some, best) if best else fresh_sites(network, some, rule, levels, kept)
    text = io.StringIO()
    lines = None if bed is None else SiteLines(text, bed, network, rule.window)
    sums, samples = window_sums(network, parts, rule, lines, shard[0] * inputs.batch_size)
    return sums, samples, zlib.compress(text.getvalue().encode(), 1)


def _kept_for(inputs: SharedInputs, rule: PWMRule) -> dict[tuple[int, int], list[Found | None]]:
    key = pickle.dumps((inputs, rule))
    if key not in _kept:
        _kept.clear()  # of another program, or of an earlier one
    return _kept.setdefault(key, {})


def _bytes(kept: Sequence[Found | None]) -> int:
    return sum(one[0].nbytes + sum(SITE_BYTES * len(sites) for sites in one[1]) for one in kept if one is not None)
