"""The metrics of a network, and the same metrics by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kipoi_motifrep.core.statuses import MATCHED, NO_MATCH
from kipoi_motifrep.motifs.chance import Chance
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.motifs.notebook import html_table
from kipoi_motifrep.representation.assignment import Assignment, assign
from kipoi_motifrep.representation.coverage import kind_of
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


METRICS = {
    kind.key: kind
    for kind in (
        MetricKind(
            "index",
            "Localist index",
            "How much of a known motif a filter holds, on average over all filters; those without a match count 0. "
            "From 50 % on the layer is localist (whole motifs), below it is distributed (parts).",
            of="",
        ),
        MetricKind("matched", "Filters with a match", "Filters that resemble any motif of the database."),
        MetricKind(
            "called",
            "Called filters",
            "Filters with a match that their own shuffles do not get: of all that are called, the false discovery rate "
            "is as low as was asked for.",
        ),
        MetricKind("whole", "Whole motifs", "Filters that hold two thirds or more of the information of their match."),
        MetricKind("partial", "Partial motifs", "Filters with a match of which they hold less than two thirds."),
        MetricKind(
            "true", "Filters with a true match", "Filters with a motif that is in the data among their matches."
        ),
        MetricKind("true_best", "Best match is true", "The same, judged by the best match alone."),
        MetricKind(
            "true_family",
            "Match in a true family",
            "Filters with a match to any factor of the same TF family as a motif that is in the data.",
        ),
        MetricKind(
            "labels", "Known motifs found", "Motifs in the data that at least one filter matches.", "count", "labels"
        ),
        MetricKind(
            "labels_family",
            "Known families found",
            "The same, when any factor of the TF family counts.",
            "count",
            "labels",
        ),
        MetricKind(
            "coverage",
            "Coverage of a match",
            "How much of its match a filter holds, on average over the filters that have one.",
            of="",
        ),
        MetricKind(
            "groups",
            "Distinct motifs",
            "Groups of filters that are alike, on either strand; a filter like no other is a group.",
            "count",
        ),
        MetricKind(
            "own_output",
            "Speaks for its own factor",
            "Filters with a true match that speak for the output of that very factor.",
        ),
        MetricKind("dead", "Dead filters", "Filters that were never active.", "count"),
    )
}


_HEADER = ("figure", "value", "shuffled filters", "untrained network", "meaning")


@dataclass(frozen=True, eq=False)
class Representation:
    """Metrics of one network.

    Parameters
    ----------
    names, statuses : tuple of str
        Of the filters, as in `Matches`.
    assignment : Assignment
        The match, label and coverage of each filter.
    metrics : mapping of str to float
        By the keys of `METRICS`; those that could not be computed are left out.
    known : KnownTargets, optional
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
    chance : Chance, optional
        How each filter fares against its own shuffles.
    called : tuple of bool, optional
        Which filters are called.

    Examples
    --------
    >>> from kipoi_motifrep import Motif, match, write_motifs
    >>> write_motifs([Motif("filter0", [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]] * 3)], "filters.meme")
    >>> found = represent(match("filters.meme", "filters.meme"), shuffle=False)
    >>> found.metrics["groups"], found.of("groups")
    (1.0, 1)
    """

    names: tuple[str, ...]
    statuses: tuple[str, ...]
    assignment: Assignment
    metrics: Mapping[str, float]
    known: KnownTargets | None
    shuffled: Shuffled | None
    untrained: Mapping[str, float] | None
    similar: Similar
    importance: Importance | None
    notes: tuple[str, ...] = ()
    chance: Chance | None = None
    called: tuple[bool, ...] | None = None

    def __repr__(self) -> str:
        values = ", ".join(f"{key} {value:.3g}" for key, value in self.metrics.items())
        return f"<Representation of {len(self.names)} filters, {self.kind}: {values}>"

    def _repr_html_(self) -> str:
        shuffled, untrained = self.shuffled.mean if self.shuffled else {}, self.untrained or {}
        rows = [
            (METRICS[key].name, float(value), shuffled.get(key), untrained.get(key), METRICS[key].explanation)
            for key, value in self.metrics.items()
        ]
        return html_table(f"{self.kind}, {len(self.names)} filters", _HEADER, rows)

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
        return self.assignment.extent

    def of(self, key: str) -> int | None:
        """Count what a metric is taken of: filters, labels of the known motifs, or None."""
        return {"filters": len(self.names), "labels": len(self.known.labels) if self.known else 0}.get(METRICS[key].of)


def represent(
    found: Matches,
    truth: KnownTargets | None = None,
    *,
    untrained: Matches | None = None,
    importance: Importance | None = None,
    shuffle: bool = True,
    shuffled: Shuffled | None = None,
    seed: int = 0,
    threads: int | None = None,
    notes: Sequence[str] = (),
) -> Representation:
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
        Also compute the metrics for filters with shuffled columns, unless `shuffled` has them.
    shuffled : Shuffled, optional
        Those metrics, where they are known.
    seed : int, default 0
        Of the shuffles.
    threads : int, optional
        For Tomtom; by default all that the machine has.
    notes : sequence of str
        Kept.

    Returns
    -------
    Representation

    Examples
    --------
    One filter, against itself as the only known motif:

    >>> from kipoi_motifrep import Motif, match, write_motifs
    >>> pwm = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]] * 3
    >>> write_motifs([Motif("filter0", pwm)], "filters.meme")
    >>> found = represent(match("filters.meme", "filters.meme"), shuffle=False)
    >>> found.kind, found.extent, found.metrics["matched"]
    ('localist', ('whole',), 1.0)
    """
    assignment, similar, metrics = _measure(found, truth, threads)
    if found.called is not None:
        metrics["called"] = sum(found.called) / len(found.called)
    if importance is not None and truth is not None and set(truth.labels) & set(importance.outputs):
        metrics["own_output"] = sum(
            label in outputs for label, outputs in zip(assignment.labels, importance.outputs_for(), strict=True)
        ) / len(found.queries)
    if shuffle and shuffled is None:
        shuffled = shuffled_metrics(found, truth, seed, threads)
    base = None if untrained is None else _measure(untrained, truth, threads)[2]
    # Two standard deviations of the draws: above, chance alone would hardly match as many.
    if shuffled is not None and metrics["matched"] <= shuffled.mean["matched"] + 2 * shuffled.sd["matched"]:
        notes = [
            *notes,
            "No more filters match than would by chance (filters with shuffled columns): that a filter "
            "has a match says little here. Coverage says more.",
        ]
    # In the order of the table, which is that of the page.
    ordered = {key: metrics[key] for key in METRICS if key in metrics}
    return Representation(
        tuple(motif.name for motif in found.queries),
        found.statuses,
        assignment,
        ordered,
        truth,
        shuffled,
        base,
        similar,
        importance,
        tuple(notes),
        found.chance,
        found.called,
    )


def _measure(
    found: Matches, known: KnownTargets | None, threads: int | None
) -> tuple[Assignment, Similar, dict[str, float]]:
    """Compute the metrics of one network but for those that need more than its matches."""
    assignment = assign(found.hits, found.queries, found.database.motifs, known)
    compared = [i for i, status in enumerate(found.statuses) if status in (MATCHED, NO_MATCH)]
    similar = similar_filters(found.queries, compared, threads)
    return (
        assignment,
        similar,
        {
            **assignment.metrics(known),
            "groups": float(len(similar)),
            "dead": float(len(found.statuses) - len(compared)),
        },
    )
