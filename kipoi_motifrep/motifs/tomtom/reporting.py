"""From the p-values of all target strands to Tomtom's records: E-values, q-values, and the best strand of each target.

Each takes the p-values of some queries at once, shape (n, 2 N), and gives what Tomtom prints: in single precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kipoi_motifrep.motifs.tomtom.targets import Targets

HIT = np.dtype(
    [
        ("query", np.int64),
        ("target", np.int64),
        ("offset", np.int64),
        ("p_value", np.float64),
        ("e_value", np.float64),
        ("q_value", np.float64),
        ("overlap", np.int64),
        ("orientation", "U1"),
    ]
)


class ReportRule(NamedTuple):
    """What is reported.

    Parameters
    ----------
    threshold : float
        Highest value.
    by_q : bool
        Whether the threshold is on q-values; else it is on E-values.
    with_q : bool
        Whether q-values are computed.
    """

    threshold: float
    by_q: bool
    with_q: bool

    def highest_p(self, n_targets: int) -> float:
        """P-value that an E-value of the threshold has; a little more, since E-values are rounded."""
        return 1.001 * self.threshold / n_targets


def report(
    widths: np.ndarray, targets: Targets, rule: ReportRule, p_values: np.ndarray, chosen: np.ndarray, state: np.ndarray
) -> np.ndarray:
    """Select the records of some queries.

    1. E-values, p x N; they or q-values decide which strands may be reported.
    2. These by query, then p-value, then larger overlap, then "+" before "-", then the order of the targets: the first
       strand of a target is its record.

    Parameters
    ----------
    widths : numpy.ndarray, shape (n,), int64
        Of the queries.
    targets : Targets
        What they were compared with.
    rule : ReportRule
        What is reported.
    p_values, chosen : numpy.ndarray, shape (n, 2 N), float32 and int32
        Of each strand: the p-value, and the best alignment.
    state : numpy.ndarray, shape (625,), uint32
        Random number generator as the first query finds it; it is moved on.

    Returns
    -------
    numpy.ndarray of records
        Of type `HIT`; queries by their place among these.
    """
    n_targets = targets.n_targets
    query, strand = np.nonzero(p_values <= rule.highest_p(n_targets))
    e_values = single(p_values[query, strand] * np.float32(n_targets))
    passing = e_values <= rule.threshold
    query, strand = query[passing], strand[passing]
    if rule.with_q:
        from kipoi_motifrep.motifs.tomtom.statistics import null_fractions  # here: numba takes long to load

        wanted = np.full(len(widths), rule.by_q)  # the others have nothing to report
        wanted[query] = True
        row_of = np.cumsum(wanted) - 1
        ordered = np.sort(p_values[wanted], axis=1)
        rates = q_values(ordered, null_fractions(ordered, wanted, state))
        if rule.by_q:
            # Rates rise with p-values: so many of the sorted ones pass, and with them all that are as low.
            n_passing = (rates <= rule.threshold).sum(axis=1)
            last = np.take_along_axis(ordered, np.maximum(n_passing - 1, 0)[:, None], axis=1)
            query, strand = np.nonzero((p_values <= last) & (n_passing > 0)[:, None])
    p, k, w, n = p_values[query, strand], chosen[query, strand], widths[query], targets.width_of[strand]
    overlap = np.minimum(np.minimum(k + 1, w + n - 1 - k), np.minimum(w, n))
    target, minus = targets.target[strand], targets.minus[strand]
    order = np.lexsort((target, minus, -overlap, p, query))
    _, first = np.unique(query[order] * n_targets + target[order], return_index=True)
    kept = order[np.sort(first)]
    hits = np.empty(len(kept), HIT)
    hits["query"], hits["target"], hits["overlap"] = query[kept], target[kept], overlap[kept]
    hits["offset"], hits["orientation"] = (k + 1 - w)[kept], np.where(minus[kept], "-", "+")
    hits["p_value"], hits["e_value"], hits["q_value"] = p[kept], single(p[kept] * np.float32(n_targets)), np.nan
    if rule.with_q:
        for i in np.unique(hits["query"]):
            own, row = hits["query"] == i, row_of[i]
            hits["q_value"][own] = rates[row, np.searchsorted(ordered[row], p[kept][own], side="right") - 1]
    return hits


def single(values: np.ndarray) -> np.ndarray:
    """Round to single precision, as Tomtom prints; in double, since thresholds are."""
    return values.astype(np.float32).astype(np.float64)


def q_values(ordered: np.ndarray, pi0: np.ndarray) -> np.ndarray:
    """Compute the smallest false discovery rate at which each p-value is called significant, query by query.

    Parameters
    ----------
    ordered : numpy.ndarray, shape (n, m), float32
        Sorted p-values.
    pi0 : numpy.ndarray, shape (n,), float64
        Fraction of them that are those of chance.

    Returns
    -------
    numpy.ndarray, shape (n, m), float64
        In single precision.

    Examples
    --------
    >>> q_values(np.array([[0.125, 0.5, 0.5, 1.0]], np.float32), np.ones(1))
    array([[0.5       , 0.66666669, 0.66666669, 1.        ]])
    """
    m = ordered.shape[1]
    raw = pi0[:, None] * ordered.astype(np.float64) * m / np.arange(1, m + 1)
    # From the last one on, no rate is higher than those behind it.
    return single(np.minimum(np.minimum.accumulate(raw[:, ::-1], axis=1)[:, ::-1], 1.0))
