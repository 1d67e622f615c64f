"""Which known motif each filter is assigned to by its matches, and the metrics that follow from that alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.representation.coverage import PARTIAL, WHOLE, WHOLE_FROM, information_coverage, localist_index
from kipoi_motifrep.representation.known_motifs import KnownTargets


@dataclass(frozen=True, eq=False)
class Assignment:
    """The match, the label and the coverage of each query; -1 and None where there is none.

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

    @cached_property
    def extent(self) -> tuple[str | None, ...]:
        """``whole`` or ``partial`` motif; None without a match."""
        return tuple(
            None if best < 0 else WHOLE if covered >= WHOLE_FROM else PARTIAL
            for best, covered in zip(self.best, self.coverage, strict=True)
        )

    def metrics(self, known: KnownTargets | None) -> dict[str, float]:
        """Compute the metrics that follow from the matches alone, by the keys of `metrics.METRICS`."""
        n, matched = len(self.best), self.best >= 0
        whole = matched & (self.coverage >= WHOLE_FROM)
        found = {
            "index": localist_index(self.coverage),
            "matched": matched.mean(),
            "whole": whole.mean(),
            "partial": (matched & ~whole).mean(),
        }
        if known is not None:
            families = {} if self.family_labels is None else {"_family": self.family_labels}
            for name, labels in {"": self.labels, "_best": self.best_labels, **families}.items():
                found[f"true{name}"] = sum(label is not None for label in labels) / n
            for name, labels in {"": self.labels, **families}.items():
                found[f"labels{name}"] = len(set(labels) - {None})
        if matched.any():
            found["coverage"] = self.coverage[matched].mean()
        return {key: float(value) for key, value in found.items()}


def assign(
    hits: np.ndarray, queries: Sequence[Motif], targets: Sequence[Motif], known: KnownTargets | None
) -> Assignment:
    """Assign each query its match, its label and its coverage.

    Parameters
    ----------
    hits : numpy.ndarray of records
        From Tomtom, each query's best first.
    queries, targets : sequence of Motif
        What was compared.
    known : KnownTargets, optional
        Labels of the targets.

    Returns
    -------
    Assignment
        One entry a query.
    """
    # Hits come each query's best first: its first hit is the best match, its first with a label the best true one.
    # Coverage is taken of that one where there is one: a filter that is MAX may be a little more like Mitf.
    n = len(queries)
    best, decisive = np.full(n, -1), np.full(n, -1)
    none: list[str | None] = [None] * n
    labels, best_labels, families = none.copy(), none.copy(), none.copy()
    for place, (query, target) in enumerate(zip(hits["query"].tolist(), hits["target"].tolist(), strict=True)):
        label = known.of_target[target] if known else None
        if best[query] < 0:
            best[query] = decisive[query] = place
            best_labels[query] = label
        if label is not None and labels[query] is None:
            labels[query], decisive[query] = label, place
        if known and known.by_family and families[query] is None:
            families[query] = known.by_family[target]
    covered = np.zeros(n)
    for query in np.flatnonzero(decisive >= 0):
        hit = hits[decisive[query]]
        covered[query] = information_coverage(
            queries[query].information(),
            targets[hit["target"]].information(),
            int(hit["offset"]),
            str(hit["orientation"]),
        )
    return Assignment(
        best,
        decisive,
        covered,
        tuple(labels),
        tuple(best_labels),
        tuple(families) if known and known.by_family else None,
    )
