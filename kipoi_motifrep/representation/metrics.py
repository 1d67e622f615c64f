"""The metrics of a network, and the same metrics by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.statuses import MATCHED, NO_MATCH
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.representation.coverage import WHOLE_FROM, information_coverage, kind_of, localist_index
from kipoi_motifrep.representation.importance import Importance
from kipoi_motifrep.representation.known_motifs import KnownTargets
from kipoi_motifrep.representation.redundancy import Similar, similar_filters
from kipoi_motifrep.representation.shuffled import Shuffled, shuffled_metrics


@dataclass(frozen=True)
class MetricKind:
    """What a metric counts.

    Parameters
    ----------
    key, name, explanation : str
        For tables; in words; in a sentence.
    style : {"fraction", "count"}
        A fraction (0 to 1) of the filters or of nothing, or a count.
    of : {"filters", "labels", ""}
        What it is taken of.
    """

    key: str
    name: str
    explanation: str
    style: str = "fraction"
    of: str = "filters"


METRICS = {kind.key: kind for kind in (
    MetricKind("index", "Localist index",
               "How much of a known motif a filter holds, on average over all filters; those without a match count 0. "
               "From 50 % on the layer is localist (whole motifs), below it is distributed (parts).", of=""),
    MetricKind("matched", "Filters with a match", "Filters that resemble any motif of the database."),
    MetricKind("whole", "Whole motifs", "Filters that hold two thirds or more of the information of their match."),
    MetricKind("partial", "Partial motifs", "Filters with a match of which they hold less than two thirds."),
    MetricKind("true", "Filters with a true match", "Filters with a motif that is in the data among their matches."),
    MetricKind("true_best", "Best match is true", "The same, judged by the best match alone."),
    MetricKind("true_family", "Match in a true family",
               "Filters with a match to any factor of the same TF family as a motif that is in the data."),
    MetricKind("labels", "Known motifs found", "Motifs in the data that at least one filter matches.", "count",
               "labels"),
    MetricKind("labels_family", "Known families found", "The same, when any factor of the TF family counts.", "count",
               "labels"),
    MetricKind("coverage", "Coverage of a match",
               "How much of its match a filter holds, on average over the filters that have one.", of=""),
    MetricKind("groups", "Distinct motifs",
               "Groups of filters that are alike, on either strand; a filter like no other is a group.", "count"),
    MetricKind("own_output", "Speaks for its own factor",
               "Filters with a true match that speak for the output of that very factor."),
    MetricKind("dead", "Dead filters", "Filters that were never active.", "count"),
)}


@dataclass(frozen=True, eq=False)
class Assignment:
    """What each query's matches say; -1 and None where there is nothing to say.

    Parameters
    ----------
    best, decisive : numpy.ndarray, shape (n,), int
        Place among the hits of the best match, and of the one that coverage is taken
        of: the best true match where there is one, else the best.
    coverage : numpy.ndarray, shape (n,)
        Of the decisive match; 0 without.
    labels, best_labels, family_labels : tuple of str or None
        Label by any match (the one with the lowest p-value that is true), by the best
        match alone, by TF family.
    """

    best: np.ndarray
    decisive: np.ndarray
    coverage: np.ndarray
    labels: tuple[str | None, ...]
    best_labels: tuple[str | None, ...]
    family_labels: tuple[str | None, ...] | None

    def metrics(self, truth: KnownTargets | None) -> dict[str, float]:
        """Metrics that follow from the matches."""
        n = len(self.best)
        matched = self.best >= 0
        whole = matched & (self.coverage >= WHOLE_FROM)
        found = {"index": localist_index(self.coverage), "matched": matched.mean(), "whole": whole.mean(),
                 "partial": (matched & ~whole).mean()}
        if truth is not None:
            found.update(true=_known(self.labels) / n, true_best=_known(self.best_labels) / n,
                         labels=_distinct(self.labels))
            if self.family_labels is not None:
                found.update(true_family=_known(self.family_labels) / n, labels_family=_distinct(self.family_labels))
        if matched.any():
            found["coverage"] = self.coverage[matched].mean()
        return {key: float(found[key]) for key in METRICS if key in found}


@dataclass(frozen=True, eq=False)
class Representation:
    """Metrics of one network.

    Parameters
    ----------
    names, statuses : tuple of str
        Of the filters, as in `Matches`.
    assignment : Assignment
        What each filter's matches say.
    metrics : mapping of str to float
        By the keys of `METRICS`; those that could not be computed are left out.
    truth : KnownTargets, optional
        Where the motifs in the data are known.
    shuffled : Shuffled, optional
        The metrics for filters with shuffled columns.
    untrained : mapping of str to float, optional
        The metrics for the untrained network.
    similar : Similar
        Groups of filters that are alike.
    importance : Importance, optional
        What each filter does to the outputs.
    notes : tuple of str
        What is missing, and why.
    """

    names: tuple[str, ...]
    statuses: tuple[str, ...]
    assignment: Assignment
    metrics: Mapping[str, float]
    truth: KnownTargets | None
    shuffled: Shuffled | None
    untrained: Mapping[str, float] | None
    similar: Similar
    importance: Importance | None
    notes: tuple[str, ...] = ()

    @property
    def figures(self) -> Mapping[str, float]:
        """The metrics, by the name that they have in files."""
        return self.metrics

    @property
    def kind(self) -> str:
        """``localist`` or ``distributed``, by the index."""
        return kind_of(self.metrics["index"])

    @property
    def extent(self) -> tuple[str | None, ...]:
        """``whole`` or ``partial`` motif; None without a match."""
        return tuple(None if best < 0 else "whole" if covered >= WHOLE_FROM else "partial"
                     for best, covered in zip(self.assignment.best, self.assignment.coverage, strict=True))

    def of(self, key: str) -> int | None:
        """Count what a metric is taken of: filters, labels, or None."""
        whole = METRICS[key].of
        if whole == "labels":
            return len(self.truth.labels)
        return len(self.names) if whole else None


def assign(hits: np.ndarray, queries: Sequence[Motif], targets: Sequence[Motif],
           truth: KnownTargets | None) -> Assignment:
    """Assign each query its match, its label and its coverage.

    Parameters
    ----------
    hits : numpy.ndarray of records
        From Tomtom, each query's best first.
    queries, targets : sequence of Motif
        What was compared.
    truth : KnownTargets, optional
        Labels of the targets.

    Returns
    -------
    Assignment
        One entry a query.
    """
    n = len(queries)
    best, decisive = np.full(n, -1), np.full(n, -1)
    labels, best_labels, families = [None] * n, [None] * n, [None] * n
    for place, (query, target) in enumerate(zip(hits["query"].tolist(), hits["target"].tolist(), strict=True)):
        label = truth.of_target[target] if truth else None
        if best[query] < 0:
            best[query] = decisive[query] = place
            best_labels[query] = label
        if label is not None and labels[query] is None:
            labels[query], decisive[query] = label, place
        if truth is not None and truth.by_family is not None and families[query] is None:
            families[query] = truth.by_family[target]
    covered = np.zeros(n)
    for query in np.flatnonzero(decisive >= 0):
        hit = hits[decisive[query]]
        covered[query] = information_coverage(queries[query].information(), targets[hit["target"]].information(),
                                              int(hit["offset"]), str(hit["orientation"]))
    by_family = tuple(families) if truth is not None and truth.by_family is not None else None
    return Assignment(best, decisive, covered, tuple(labels), tuple(best_labels), by_family)


def represent(found: Matches, truth: KnownTargets | None = None, *, untrained: Matches | None = None,
              importance: Importance | None = None, shuffle: bool = True, shuffled: Shuffled | None = None,
              seed: int = 0, threads: int = 1, notes: Sequence[str] = ()) -> Representation:
    """Compute all metrics of a network.

    Parameters
    ----------
    found : Matches
        Of its trimmed filters.
    truth : KnownTargets, optional
        The motifs in the data, against the same database.
    untrained : Matches, optional
        Of the untrained network's trimmed filters, found in the same way.
    importance : Importance, optional
        From `measure_importance`.
    shuffle : bool, default True
        Also compute the metrics for filters with shuffled columns.
    shuffled : Shuffled, optional
        Those metrics, where they are known.
    seed : int, default 0
        Of the shuffles.
    threads : int, default 1
        For Tomtom.
    notes : sequence of str
        Kept.

    Returns
    -------
    Representation
    """
    compared = _compared(found)
    assignment, similar, metrics = _measure(found, compared, truth, threads)
    if importance is not None and truth is not None and set(truth.labels) & set(importance.outputs):
        metrics["own_output"] = sum(label is not None and label in spoken for label, spoken in
                                    zip(assignment.labels, importance.outputs_for(), strict=True)) / len(found.queries)
    if shuffle:
        shuffled = shuffled_metrics(found, compared, lambda hits, queries: {
            **assign(hits, queries, found.database.motifs, truth).metrics(truth),
            "groups": float(len(similar_filters(queries, compared, threads)))}, seed, threads)
    base = None if untrained is None else _measure(untrained, _compared(untrained), truth, threads)[2]
    notes = [*notes, *_warnings(metrics, shuffled)]
    ordered = {key: metrics[key] for key in METRICS if key in metrics}
    return Representation(tuple(motif.name for motif in found.queries), found.statuses, assignment, ordered, truth,
                          shuffled, base, similar, importance, tuple(notes))


def _compared(found: Matches) -> list[int]:
    return [i for i, status in enumerate(found.statuses) if status in (MATCHED, NO_MATCH)]


def _measure(found: Matches, compared: Sequence[int], truth: KnownTargets | None,
             threads: int) -> tuple[Assignment, Similar, dict[str, float]]:
    """Judge the filters of one network; its metrics, but for those that need more than its matches."""
    assignment = assign(found.hits, found.queries, found.database.motifs, truth)
    similar = similar_filters(found.queries, compared, threads)
    return assignment, similar, {**assignment.metrics(truth), "groups": float(len(similar)),
                               "dead": float(len(found.statuses) - len(compared))}


def _warnings(metrics: Mapping[str, float], shuffled: Shuffled | None) -> list[str]:
    if shuffled is None or metrics["matched"] > shuffled.mean["matched"] + 2 * shuffled.sd["matched"]:
        return []
    return ["No more filters match than would by chance (filters with shuffled columns): that a filter has a match "
            "says little here. Coverage says more."]


def _known(labels: Sequence[str | None]) -> int:
    return sum(label is not None for label in labels)


def _distinct(labels: Sequence[str | None]) -> int:
    return len(set(labels) - {None})
