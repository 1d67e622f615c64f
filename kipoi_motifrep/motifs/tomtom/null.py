"""Null distributions: how high chance alignments score.

A span is a run of query columns that some alignment covers. The score of a span
under the null is a sum of independent draws, one per column, from that column's
scores against all target columns. Only tails are kept, counted downwards from the
highest score that a span can reach, because small probabilities keep their digits
that way and because scores below the lowest one observed are then never computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.motifs.tomtom.alignment import Alignments
from kipoi_motifrep.motifs.tomtom.scores import N_BINS, Scores

_BLOCK = 32  # outputs of a convolution computed by one row of a matrix product


@dataclass(frozen=True)
class ScoreDistributions:
    """Distribution of each query column's scores over all target columns (TOMTOM step 8).

    Parameters
    ----------
    falling : numpy.ndarray, shape (Q, w, K), float64
        Probability of the column's highest score, of one less, and so on.
    highest : numpy.ndarray, shape (Q, w), int
        The column's highest score.
    """

    falling: np.ndarray
    highest: np.ndarray

    @classmethod
    def of(cls, scores: Scores) -> ScoreDistributions:
        """Turn counts of scores into probabilities."""
        n, width, n_columns = scores.values.shape
        counts = scores.counts.reshape(n * width, -1)
        present = counts > 0
        highest = N_BINS - present[:, ::-1].argmax(axis=1)
        n_scores = (highest - present.argmax(axis=1)).max() + 1
        index = highest[:, None] - np.arange(n_scores)
        falling = np.where(index >= 0, np.take_along_axis(counts, np.maximum(index, 0), axis=1), 0) / n_columns
        return cls(falling.reshape(n, width, n_scores), highest.reshape(n, width))


class SpanTails:
    """Tails of the scores of all spans of one length, for growing lengths.

    Parameters
    ----------
    distributions : ScoreDistributions
        Of queries of one width.
    depth : int
        Tails are known for the `depth` highest scores of each span.
    """

    def __init__(self, distributions: ScoreDistributions, depth: int):
        falling = distributions.falling
        n, self.width, self._n_scores = falling.shape
        self._n_blocks = -(-depth // _BLOCK)
        # Left of the tails lie zeros: no score is above the highest. The empty span has score 0 for sure.
        self._tails = np.ones((n, self.width, self._n_scores + self._n_blocks * _BLOCK))
        self._tails[:, :, :self._n_scores] = 0
        self._kernels = _convolution_matrices(falling)

    def lengths(self) -> Iterator[int]:
        """Grow the spans column by column; yields their length, 1 to w."""
        for length in range(1, self.width + 1):
            self._extend(length)
            yield length

    def _extend(self, length: int) -> None:
        # Tails of spans [a, a + length - 1) become those of [a, a + length).
        n, _, size = self._tails.shape
        n_spans = self.width - length + 1
        # Beyond the lowest score that a span can have, tails are one and stay so.
        n_blocks = min(self._n_blocks, -(-(length * (self._n_scores - 1) + 1) // _BLOCK))
        stride = self._tails.itemsize
        windows = np.lib.stride_tricks.as_strided(
            self._tails[:, :, 1:], (n, n_spans, n_blocks, self._n_scores + _BLOCK - 1),
            (self.width * size * stride, size * stride, _BLOCK * stride, stride))
        tails = np.matmul(np.ascontiguousarray(windows), self._kernels[:, length - 1:])
        self._tails[:, :n_spans, self._n_scores:self._n_scores + n_blocks * _BLOCK] = tails.reshape(n, n_spans, -1)

    def at(self, start: int, below: np.ndarray) -> np.ndarray:
        """Tail probabilities of one span of each query.

        Parameters
        ----------
        start : int
            First column of the span.
        below : numpy.ndarray, shape (Q, ...), int
            How far the score is below the span's highest; negative where it is above it.

        Returns
        -------
        numpy.ndarray, same shape, float64
        """
        n, width, size = self._tails.shape
        index = np.maximum(below, -1)
        index += (self._n_scores + (np.arange(n) * width + start) * size).reshape(-1, *[1] * (below.ndim - 1))
        return self._tails.reshape(-1).take(index)


def _convolution_matrices(falling: np.ndarray) -> np.ndarray:
    """Matrices that convolve: windows of K + B - 1 inputs times matrix gives B outputs."""
    n, width, n_scores = falling.shape
    padded = np.zeros((n, width, n_scores + 2 * (_BLOCK - 1)))
    padded[:, :, _BLOCK - 1:_BLOCK - 1 + n_scores] = falling
    step = padded.itemsize
    first = padded[:, :, n_scores + _BLOCK - 2:]
    matrices = np.lib.stride_tricks.as_strided(first, (n, width, n_scores + _BLOCK - 1, _BLOCK),
                                               (*padded.strides[:2], -step, step))
    return np.ascontiguousarray(matrices)


def either(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Probability that at least one of two independent events happens; small values keep their digits."""
    return a + b - a * b


def p_values(distributions: ScoreDistributions, unaligned: np.ndarray, scores: dict[int, np.ndarray]) -> dict:
    """P-values of the best of all alignments, complete scores (TOMTOM step 8).

    Parameters
    ----------
    distributions : ScoreDistributions
        Of Q queries of one width.
    unaligned : numpy.ndarray, shape (Q,), int
        Score of an unaligned column.
    scores : dict of int to numpy.ndarray, shape (Q, S)
        Target width to best scores above neutral.

    Returns
    -------
    dict of int to numpy.ndarray, shape (Q, S), float64
        Target width to p-values.
    """
    # What each column can add to a neutral score; a span's highest score is a difference of two of these sums.
    gains = (distributions.highest - unaligned[:, None]).cumsum(axis=1)
    gains = np.concatenate([np.zeros((len(gains), 1), int), gains], axis=1)
    # Scores are counted downwards from the highest of the whole query.
    below = {n: gains[:, -1:] - array for n, array in scores.items()}
    depth = int(max(array.max() for array in below.values())) + 1
    tails = SpanTails(distributions, depth)
    width = tails.width
    everywhere = np.broadcast_to(np.arange(depth), (len(gains), depth))

    def span(start: int, length: int, points: np.ndarray = everywhere) -> np.ndarray:
        missing = gains[:, -1] - (gains[:, start + length] - gains[:, start])
        return tails.at(start, points - missing[:, None])

    found = {}
    partial = np.zeros((len(gains), depth))  # alignments that leave a part of the query over on one side
    for length in tails.lengths():
        if length < width:
            if length in scores:
                points = below[length]
                chance = np.take_along_axis(partial, points, axis=1)
                for start in range(width - length + 1):
                    chance = either(chance, span(start, length, points))
                found[length] = either(chance, chance)  # both strands
            partial = either(either(partial, span(0, length)), span(width - length, length))
    whole = span(0, width)
    for target_width in range(width, max(scores) + 1):
        partial = either(partial, whole)
        if target_width in scores:
            chance = np.take_along_axis(partial, below[target_width], axis=1)
            found[target_width] = either(chance, chance)
    return found


def incomplete_p_values(distributions: ScoreDistributions, sums: dict[int, np.ndarray],
                        min_overlap: int) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Alignments of the smallest tail, and their p-values: incomplete scores (TOMTOM step 12).

    Tails are compared as float32, as which p-values are reported: two that differ
    by rounding alone are a tie. Ties go to the larger overlap, then the smaller offset.

    Parameters
    ----------
    distributions : ScoreDistributions
        Of Q queries of one width.
    sums : dict of int to numpy.ndarray, shape (Q, w + n - 1, S)
        Target width n to scores of all alignments, from `Alignments.sums`.
    min_overlap : int
        See `Alignments.allowed`.

    Returns
    -------
    p_values, alignments : dict of int to numpy.ndarray, shape (Q, S)
        Target width to p-values (float64), and to the numbers k of the alignments.
    """
    _, width, n_scores = distributions.falling.shape
    tails = SpanTails(distributions, width * (n_scores - 1) + 1)
    best = {n: np.full(array[:, 0].shape, np.inf) for n, array in sums.items()}
    alignments = {n: np.zeros(array[:, 0].shape, np.int32) for n, array in sums.items()}
    for length in tails.lengths():
        for n, array in sums.items():
            layout = Alignments(width, n)
            allowed = range(len(layout))[layout.allowed(min_overlap)]
            of_this_length = [k for k in allowed if layout.overlaps[k] == length]
            for k in of_this_length:
                start = layout.starts[k]
                highest = distributions.highest[:, start:start + length].sum(axis=1)
                tail = np.minimum(tails.at(start, highest[:, None] - array[:, k]), 1.0)
                rounded, least = tail.astype(np.float32), best[n].astype(np.float32)
                # Lengths grow, so in a tie an alignment of this length beats any but its equals.
                better = (rounded < least) | ((rounded == least) & (layout.overlaps[alignments[n]] < length))
                best[n][better] = tail[better]
                alignments[n][better] = k
    return {n: _of_the_best_of(2 * (width + n - 1), tail) for n, tail in best.items()}, alignments


def _of_the_best_of(n: int, tail: np.ndarray) -> np.ndarray:
    return np.where(tail * n < 1e-3, tail * n, 1 - (1 - tail) ** n)
