"""Integer scores of query columns against target columns.

Scores follow one order of arithmetic in double precision (`exact_distances`,
`integers`), so that they do not depend on how the work is cut up. Doing that for
every pair of columns is slow; so distances are first computed in single precision
and three dimensions, with a known bound on their error. Whatever that leaves in
doubt (which distance is the median, which scores lie within the error of a bin's
edge) is then computed exactly. The result is the same, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_BINS = 100  # Tomtom's score bins, less one
# Columns sum to one, so three of the four coordinates in this orthonormal (Hadamard) basis hold all distances.
_BASIS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 2
# Single-precision rounding of coordinates below 1/2, of the sum of three squares and of its root adds up to less.
_FLOAT32_ERROR = 5e-7
# The same for 101 - scale * distance.
_SCORE_ERROR = 2e-5
# Fraction of doubtful scores (twice this) from which computing all of them exactly is cheaper.
_MAX_DOUBT = 0.01
# Distances computed at a time, so that they stay in the processor's cache.
_CACHE_SIZE = 200_000
_SAMPLE = 512  # distances of a row from which its median is guessed


@dataclass(frozen=True)
class Scores:
    """Scores of some queries of one width.

    Parameters
    ----------
    values : numpy.ndarray, shape (Q, w, W), int16
        Score of each query column against each target column, 0 to 100.
    unaligned : numpy.ndarray, shape (Q,), int
        Score of a query column that has no counterpart (0 in incomplete scores).
    counts : numpy.ndarray, shape (Q, w, 101), int
        How many target columns give a query column each score.
    """

    values: np.ndarray
    unaligned: np.ndarray
    counts: np.ndarray


class Scorer:
    """Scores queries against one set of target columns.

    Parameters
    ----------
    columns : numpy.ndarray, shape (W, 4), float64
        Target columns of both strands, pseudocounts included.
    complete : bool
        Subtract each query column's median, so that unaligned columns count as average.
    """

    def __init__(self, columns: np.ndarray, complete: bool = True):
        self.columns = columns
        self.complete = complete
        self._coordinates = np.ascontiguousarray((columns @ _BASIS).T, np.float32)
        self._excess = np.abs(columns.sum(axis=1) - 1).max()

    def __call__(self, queries: np.ndarray) -> Scores:
        """Score queries of one width.

        Parameters
        ----------
        queries : numpy.ndarray, shape (Q, w, 4), float64
            Pseudocounts included.

        Returns
        -------
        Scores
        """
        n, width, _ = queries.shape
        values = np.empty((n, width, len(self.columns)), np.int16)
        unaligned = np.empty(n, int)
        counts = np.empty((n, width, N_BINS + 1), int)
        step = max(1, _CACHE_SIZE // values[0].size)
        distances = np.empty((step * width, len(self.columns)), np.float32)
        buffers = _Buffers.of(max(1, _CACHE_SIZE // len(self.columns)), len(self.columns))
        for start in range(0, n, step):
            part = slice(start, start + step)
            self._score(queries[part], values[part], unaligned[part], distances, buffers)
            counts[part] = np.array([[np.bincount(row, minlength=N_BINS + 1) for row in rows] for rows in values[part]])
        return Scores(values, unaligned, counts)

    def _score(self, queries: np.ndarray, values: np.ndarray, unaligned: np.ndarray, distances: np.ndarray,
               buffers: _Buffers) -> None:
        n, width, _ = queries.shape
        rows = queries.reshape(-1, 4)
        distances = distances[:len(rows)]
        medians = np.zeros(len(rows))
        # A sum that misses one adds a fourth coordinate, of half the difference of the sums.
        error = _FLOAT32_ERROR + (self._excess + np.abs(rows.sum(axis=1) - 1).max()) / 2
        for block in buffers.blocks(len(rows)):
            self._approximate_distances(rows[block], distances[block], buffers)
            if self.complete:
                medians[block] = self._medians(rows[block], distances[block], error)
        lowest = (medians - distances.max(axis=1)).reshape(n, width).min(axis=1)
        highest = (medians - distances.min(axis=1)).reshape(n, width).max(axis=1)
        offset, scale, sure = _binning_within(lowest, highest, error)
        doubt = scale * error + _SCORE_ERROR
        sure &= doubt < _MAX_DOUBT
        unaligned[:] = np.where(sure & self.complete, -offset * scale, 0)
        offset, scale, doubt = (np.where(sure, x, 0.0).repeat(width)[:, None] for x in (offset, scale, doubt))
        for block in buffers.blocks(len(rows)):
            self._round(rows[block], medians[block, None], offset[block], scale[block], doubt[block],
                        distances[block], values.reshape(len(rows), -1)[block], buffers)
        for i in np.flatnonzero(~sure):
            exact = exact_distances(queries[i][:, None], self.columns)
            values[i], unaligned[i] = integers(exact, self.complete)

    def _approximate_distances(self, rows: np.ndarray, distances: np.ndarray, buffers: _Buffers) -> None:
        targets = self._coordinates
        points = (rows @ _BASIS).astype(np.float32)
        square = buffers.floats[:len(rows)]
        for axis in range(3):
            out = square if axis else distances
            np.subtract(targets[axis], points[:, axis:axis + 1], out=out)
            np.multiply(out, out, out=out)
            if axis:
                distances += square
        np.sqrt(distances, out=distances)

    def _medians(self, rows: np.ndarray, distances: np.ndarray, error: float) -> np.ndarray:
        """Exact distance of rank W / 2, from 0, of each row: the lower median of the scores."""
        n, n_columns = distances.shape
        rank = n_columns // 2
        low, high = _around_rank(distances, rank)
        # Everything below `low` is below the median for sure, and the median is among those inside.
        below = distances < (low - 2 * error).astype(np.float32)
        inside = (distances <= (high + 2 * error).astype(np.float32)) > below
        n_below = _count(below)
        row, column = np.divmod(np.flatnonzero(inside), n_columns)
        starts = np.searchsorted(row, np.arange(n + 1))
        exact = exact_distances(rows[row], self.columns[column])
        order = np.lexsort((exact, row))
        place = starts[:-1] + rank - n_below
        found = (starts[:-1] <= place) & (place < starts[1:])
        medians = np.empty(n)
        medians[found] = exact[order[place[found]]]
        for i in np.flatnonzero(~found):
            medians[i] = np.partition(exact_distances(rows[i], self.columns), rank)[rank]
        return medians

    def _round(self, rows: np.ndarray, medians: np.ndarray, offset: np.ndarray, scale: np.ndarray, doubt: np.ndarray,
               distances: np.ndarray, values: np.ndarray, buffers: _Buffers) -> None:
        """Fill `values` from approximate distances, which are overwritten."""
        top = (medians - offset) * scale + 0.5
        distances *= -scale.astype(np.float32)
        distances += (top - doubt).astype(np.float32)
        np.copyto(values, distances, casting="unsafe")
        distances += (2 * doubt).astype(np.float32)
        upper = buffers.shorts[:len(rows)]
        np.copyto(upper, distances, casting="unsafe")
        row, column = np.divmod(np.flatnonzero(upper != values), values.shape[1])
        exact = exact_distances(rows[row], self.columns[column])
        values[row, column] = _bin(medians[row, 0] - exact, offset[row, 0], scale[row, 0])


@dataclass(frozen=True)
class _Buffers:
    """Memory that is used again: getting it anew costs more than the arithmetic."""

    floats: np.ndarray
    shorts: np.ndarray

    @classmethod
    def of(cls, n_rows: int, n_columns: int) -> _Buffers:
        return cls(*(np.empty((n_rows, n_columns), kind) for kind in (np.float32, np.int16)))

    def blocks(self, n_rows: int) -> list[slice]:
        """Cut rows into as many at a time as there is room for."""
        step = len(self.floats)
        return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _around_rank(distances: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds that enclose the value of a rank in each row, nearly always, and little else."""
    n_columns = distances.shape[1]
    step = max(1, n_columns // _SAMPLE)
    sample = np.sort(distances[:, ::step], axis=1)
    middle, reach = min(rank // step, sample.shape[1] - 1), sample.shape[1] // 10
    upper, lower = min(middle + reach, sample.shape[1] - 1), max(middle - reach, 0)
    # Newton's method on the number of smaller distances, whose slope the sample gives.
    slope = (sample[:, upper] - sample[:, lower])[:, None] / max(1, (upper - lower) * step)
    guess = sample[:, middle, None]
    for _ in range(3 if step > 1 else 0):
        guess = guess + (rank - _count(distances < guess))[:, None].astype(np.float32) * slope
    margin = slope * (n_columns / 500 + 1)
    return guess - margin, guess + margin


def _count(mask: np.ndarray) -> np.ndarray:
    return np.array([np.count_nonzero(row) for row in mask])


def exact_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances between columns, squares added in the order A, C, G, T.

    Parameters
    ----------
    a, b : numpy.ndarray, shapes (..., 4), float64
        Columns; their leading shapes are broadcast.

    Returns
    -------
    numpy.ndarray, float64
    """
    square = (a[..., 0] - b[..., 0]) ** 2
    for letter in range(1, 4):
        square = square + (a[..., letter] - b[..., letter]) ** 2
    return np.sqrt(square)


def integers(distances: np.ndarray, complete: bool) -> tuple[np.ndarray, int]:
    """Integer scores of one query from its exact distances (TOMTOM steps 5 and 6).

    Parameters
    ----------
    distances : numpy.ndarray, shape (w, W), float64
        From `exact_distances`.
    complete : bool
        Subtract each row's median.

    Returns
    -------
    values : numpy.ndarray, shape (w, W), int
        Scores from 0 to 100.
    unaligned : int
        Score of an unaligned column (0 in incomplete scores).
    """
    shifted = -distances
    if complete:
        # Both strands make the number of columns even, so the two middle elements of the method are one.
        middle = distances.shape[1] // 2
        shifted = np.partition(distances, middle, axis=1)[:, middle:middle + 1] - distances
    lowest, highest = shifted.min(), shifted.max()
    if lowest == highest:
        lowest = highest - 1
    offset = np.floor(lowest)
    scale = np.floor(N_BINS / (highest - offset))
    return _bin(shifted, offset, scale).astype(int), int(-offset * scale) if complete else 0


def _bin(shifted: np.ndarray, offset: float | np.ndarray, scale: float | np.ndarray) -> np.ndarray:
    return np.floor((shifted - offset) * scale + 0.5)


def _binning_within(lowest: np.ndarray, highest: np.ndarray, error: float) -> tuple[np.ndarray, ...]:
    """Offsets and scales of queries from extremes known within `error`, and whether they are sure."""
    offset = np.floor(lowest - error)
    with np.errstate(divide="ignore"):
        scale = np.floor(N_BINS / (highest + error - offset))
        sure = (offset == np.floor(lowest + error)) & (scale == np.floor(N_BINS / (highest - error - offset)))
    return offset, scale, sure & (highest - lowest > 2 * error) & (highest - error > offset)
