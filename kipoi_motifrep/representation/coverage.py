"""Whole motifs or parts: how much of its target's information each filter holds."""

from __future__ import annotations

import numpy as np

from kipoi_motifrep.motifs import information_content

# Both borders rest on the networks of Koo & Eddy (2019), trained anew; docs/method.md has the numbers.
WHOLE_FROM = 2 / 3
"""Coverage from which a filter counts as a whole motif."""
LOCALIST_FROM = 0.5
"""Index from which a network counts as localist."""
LOCALIST, DISTRIBUTED = "localist", "distributed"
WHOLE, PARTIAL = "whole", "partial"


def coverage(query: np.ndarray, target: np.ndarray, offset: int, orientation: str) -> float:
    """Compute how much of a target's information an aligned query holds.

    The sum over aligned columns of the smaller of the two information contents,
    divided by the target's whole: uninformative columns of the query hold nothing.

    Parameters
    ----------
    query : numpy.ndarray, shape (w, 4)
        The trimmed filter, probabilities.
    target : numpy.ndarray, shape (n, 4)
        The database motif.
    offset : int
        Position of the query's first column in the target as oriented (Tomtom's).
    orientation : {"+", "-"}
        ``-`` if the target's reverse complement was aligned.

    Returns
    -------
    float
        0 to 1; 0 for a target without information.

    Examples
    --------
    The first column of a motif of two informative columns holds half of it:

    >>> coverage(np.array([[1.0, 0, 0, 0]]), np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]), 0, "+")
    0.5
    """
    return information_coverage(information_content(query), information_content(target), offset, orientation)


def information_coverage(query: np.ndarray, target: np.ndarray, offset: int, orientation: str) -> float:
    """Compute `coverage` from information contents, shapes (w,) and (n,), in bits."""
    if orientation == "-":
        target = target[::-1]
    total = target.sum()
    start, stop = max(0, offset), min(len(target), offset + len(query))
    if not total > 0 or stop <= start:
        return 0.0
    return float(np.minimum(query[start - offset : stop - offset], target[start:stop]).sum() / total)


def localist_index(coverages: np.ndarray) -> float:
    """Sum up in one number whether a layer's filters are whole motifs or parts.

    Mean coverage over all filters; those without a match and dead ones count 0. 1:
    every filter is a whole known motif; 0: none holds anything of one.

    Parameters
    ----------
    coverages : numpy.ndarray, shape (n_filters,)
        From `coverage`; 0 where there is no match.

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    >>> localist_index(np.array([1.0, 0.5, 0.0, 0.0]))
    0.375
    """
    return float(np.mean(coverages)) if len(coverages) else 0.0


def kind_of(index: float) -> str:
    """Name the representation of a layer with this index."""
    return LOCALIST if index >= LOCALIST_FROM else DISTRIBUTED
