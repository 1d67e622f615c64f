"""Interval arithmetic on arrays: merging intervals, cutting them into bins, finding windows that touch any."""

from __future__ import annotations

import numpy as np


def merge(chromosome: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge intervals that overlap or touch.

    Parameters
    ----------
    chromosome, start, end : numpy.ndarray of int, shape (n,)
        Intervals in any order, each of at least one base; chromosomes by number.

    Returns
    -------
    chromosome, start, end : numpy.ndarray of int64, shape (m,)
        By chromosome and start.

    Examples
    --------
    >>> merge(np.array([0, 0, 0, 1]), np.array([30, 0, 10, 0]), np.array([40, 10, 20, 5]))
    (array([0, 0, 1]), array([ 0, 30,  0]), array([20, 40,  5]))
    """
    # 1. Sort by chromosome and start. 2. The reach of an interval is the largest end so far on its chromosome.
    # 3. An interval that starts past the reach of those before it begins a merged one; the last of each has its end.
    order = np.lexsort((start, chromosome))
    chromosome, start, end = chromosome[order], start[order], end[order]
    rank = np.cumsum(np.diff(chromosome, prepend=chromosome[:1]) != 0)
    shift = rank * (end.max(initial=0) + 1)  # so that one running maximum serves all chromosomes
    reach = np.maximum.accumulate(end + shift) - shift
    first = np.ones(len(start), bool)
    first[1:] = (rank[1:] != rank[:-1]) | (start[1:] > reach[:-1])
    last = np.append(first[1:], True)[: len(first)]
    return chromosome[first], start[first], reach[last]


def shared_bases(start: np.ndarray, end: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut intervals at the bounds of bins.

    Parameters
    ----------
    start, end : numpy.ndarray of int, shape (n,)
        Intervals of one chromosome, in any order, each of at least one base.
    width : int
        Bases of a bin; the first begins at 0.

    Returns
    -------
    bin, interval, bases : numpy.ndarray of int64, shape (m,)
        Every pair of a bin and an interval that share bases, and how many, in
        the order of the intervals.

    Examples
    --------
    >>> shared_bases(np.array([150, 20]), np.array([420, 30]), width=200)
    (array([0, 1, 2, 0]), array([0, 0, 0, 1]), array([ 50, 200,  20,  10]))
    """
    first, last = start // width, (end - 1) // width
    n_bins = last - first + 1
    interval = np.repeat(np.arange(len(start)), n_bins)
    # Within each interval's run of pairs the bins count up from its first.
    bins = np.arange(len(interval)) + np.repeat(first - (n_bins.cumsum() - n_bins), n_bins)
    bases = np.minimum(end[interval], (bins + 1) * width) - np.maximum(start[interval], bins * width)
    return bins, interval, bases


def touched(start: np.ndarray, end: np.ndarray, region_start: np.ndarray, region_end: np.ndarray) -> np.ndarray:
    """Find windows that share a base with any region.

    Parameters
    ----------
    start, end : numpy.ndarray of int, shape (n,)
        Windows of one chromosome, in any order.
    region_start, region_end : numpy.ndarray of int, shape (m,)
        Regions of it in any order, each of at least one base.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        True where a window does.

    Examples
    --------
    >>> touched(np.array([0, 10]), np.array([10, 20]), np.array([15]), np.array([30]))
    array([False,  True])
    """
    # Of the regions that begin before a window ends, those that end at or before its start do not touch it: the
    # others do. Each count is a binary search among sorted ends, whatever regions overlap each other.
    begun = np.searchsorted(np.sort(region_start), end, "left")
    over = np.searchsorted(np.sort(region_end), start, "right")
    return begun > over
