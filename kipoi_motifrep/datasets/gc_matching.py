"""Negative windows with the GC content of the positive ones."""

from __future__ import annotations

import numpy as np

from kipoi_motifrep.core.letters import N_CODE
from kipoi_motifrep.sequences.genome import Genome

STRATA = 50  # of 2 % GC each
TILE, TILES_AT_ONCE = 4096, 256


def count_letters(genome: Genome, number: int, start: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Count G and C, and letters that are no base, in windows of one chromosome.

    The chromosome is read once, a megabase at a time.

    Parameters
    ----------
    genome : Genome
        The sequences.
    number : int
        Place of the chromosome in the genome.
    start : numpy.ndarray of int, shape (n,)
        First bases of the windows, all within the chromosome.
    width : int
        Bases of a window.

    Returns
    -------
    gc, unknown : numpy.ndarray of int64, shape (n,)
        Bases of each window.
    """
    # The letters in a window are those before its end less those before its start. So: 1. list all starts and ends;
    # 2. count along the chromosome, carrying the sums on from piece to piece; 3. subtract.
    edges, place = np.unique(np.concatenate([start, start + width]), return_inverse=True)
    before = np.zeros((2, len(edges)), np.int64)
    carried = np.zeros((2, 1), np.int64)
    length, piece = int(genome.lengths[number]), TILE * TILES_AT_ONCE
    for begin in range(0, length, piece):
        tiles = np.arange(begin, min(begin + piece, length), TILE)
        codes = genome.fetch(np.full(len(tiles), number), tiles, TILE).ravel()
        counts = np.cumsum([(codes == 1) | (codes == 2), codes >= N_CODE], axis=1)
        first, last = np.searchsorted(edges, [begin + 1, begin + piece + 1])
        before[:, first:last] = carried + counts[:, edges[first:last] - begin - 1]
        carried = carried + counts[:, -1:]
    gc, unknown = before[:, place[len(start) :]] - before[:, place[: len(start)]]
    return gc, unknown


def draw_matched(wanted: np.ndarray, available: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Draw windows whose GC contents are spread as those of others.

    GC content is cut into strata of 2 %. Each stratum gets its share of `n`,
    by largest remainder, and that many of its windows are drawn without
    replacement. Where a stratum has too few, the rest is drawn from the nearest
    strata that have any left, the lower first.

    Parameters
    ----------
    wanted : numpy.ndarray, shape (m,)
        GC fractions to match.
    available : numpy.ndarray, shape (k,)
        GC fractions to draw from.
    n : int
        How many to draw; all are taken if there are fewer.
    random : numpy.random.Generator
        Decides which.

    Returns
    -------
    numpy.ndarray of int, shape (min(n, k),)
        Places in `available`, in order.

    Examples
    --------
    >>> draw_matched(np.array([0.41, 0.63]), np.array([0.3, 0.41, 0.5, 0.62]), 2, np.random.default_rng(0))
    array([1, 3])
    """
    # 1. Put the windows that are there, shuffled, into strata. 2. Give each stratum of the wanted ones its share, and
    # the rest of n to those whose shares lost most in rounding. 3. Draw, at growing distances between the strata.
    strata = np.minimum((available * STRATA).astype(int), STRATA - 1)
    shuffled = random.permutation(len(available))
    left = [list(shuffled[strata[shuffled] == stratum]) for stratum in range(STRATA)]
    share = np.bincount(np.minimum((wanted * STRATA).astype(int), STRATA - 1), minlength=STRATA) * (n / len(wanted))
    need = share.astype(int)
    need[np.argsort(need - share, kind="stable")[: n - need.sum()]] += 1
    drawn = []
    # First all exact matches, so that no stratum loses its windows to a neighbour's shortage.
    for distance in range(STRATA):
        for stratum in np.flatnonzero(need):
            for near in dict.fromkeys((stratum - distance, stratum + distance)):
                if 0 <= near < STRATA and need[stratum]:
                    taken, left[near] = left[near][: need[stratum]], left[near][need[stratum] :]
                    drawn += taken
                    need[stratum] -= len(taken)
    return np.sort(np.array(drawn, np.intp))
