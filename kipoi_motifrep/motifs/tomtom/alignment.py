"""The best alignment of each query to each target strand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.motifs.tomtom.scores import N_BINS


@dataclass(frozen=True)
class Alignments:
    """All alignments of queries of one width with targets of one width.

    Alignment k, from 0, puts the first query column at position ``k + 1 - w`` of
    the target, which is the offset that Tomtom prints.

    Parameters
    ----------
    query_width, target_width : int
        Widths w and n.
    """

    query_width: int
    target_width: int

    def __len__(self) -> int:
        return self.query_width + self.target_width - 1

    @property
    def offsets(self) -> np.ndarray:
        """Position of the first query column in the target, for each alignment."""
        return np.arange(len(self)) + 1 - self.query_width

    @property
    def starts(self) -> np.ndarray:
        """First query column that has a counterpart, for each alignment."""
        return np.maximum(0, -self.offsets)

    @property
    def overlaps(self) -> np.ndarray:
        """Number of aligned columns of each alignment."""
        return np.minimum(self.query_width, self.target_width - self.offsets) - self.starts

    def allowed(self, min_overlap: int) -> slice:
        """Alignments that overlap by `min_overlap`, or by as much as the widths let them."""
        least = min(min_overlap, self.query_width, self.target_width)
        return slice(least - 1, len(self) - (least - 1))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of integer scores over the aligned columns.

        Parameters
        ----------
        values : numpy.ndarray, shape (Q, w, n, S), int16
            Scores of query columns against the columns of S target strands.

        Returns
        -------
        numpy.ndarray, shape (Q, w + n - 1, S), int16, or int32 for very wide motifs
        """
        n_queries, width, n, strands = values.shape
        kind = np.int16 if N_BINS * min(width, n) < 2**15 else np.int32
        sums = np.zeros((n_queries, len(self), strands), kind)
        for column in range(width):
            first = width - 1 - column
            sums[:, first:first + n] += values[:, column]
        return sums

    def best(self, sums: np.ndarray, unaligned: np.ndarray, min_overlap: int) -> tuple[np.ndarray, np.ndarray]:
        """Alignment of the highest score; ties go to the larger overlap, then the smaller offset.

        Parameters
        ----------
        sums : numpy.ndarray, shape (Q, w + n - 1, S)
            From `sums`.
        unaligned : numpy.ndarray, shape (Q,), int
            Score of an unaligned column: the neutral score of each aligned one.
        min_overlap : int
            See `allowed`.

        Returns
        -------
        score : numpy.ndarray, shape (Q, S), int32
            Score above neutral.
        alignment : numpy.ndarray, shape (Q, S), int32
            Its number k.
        """
        order = np.lexsort((np.arange(len(self)), -self.overlaps))  # the preferred one first
        preference = np.empty(len(self), np.int32)
        preference[order] = np.arange(len(self), 0, -1) - 1
        # One number holds the score and, below it, the preference.
        base = len(self)
        allowed = self.allowed(min_overlap)
        keys = sums[:, allowed] * np.int32(base)
        keys += (preference - base * np.outer(unaligned, self.overlaps)).astype(np.int32)[:, allowed, None]
        score, preferred = np.divmod(keys.max(axis=1), np.int32(base))
        return score, order[base - 1 - preferred].astype(np.int32)
