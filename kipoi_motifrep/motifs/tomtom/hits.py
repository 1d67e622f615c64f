"""Records of hits: how they are ordered, and which are reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs.tomtom import qvalues
from kipoi_motifrep.motifs.tomtom.targets import Targets

HIT = np.dtype([("query", np.int64), ("target", np.int64), ("offset", np.int64), ("p_value", np.float64),
                ("e_value", np.float64), ("q_value", np.float64), ("overlap", np.int64), ("orientation", "U1")])


@dataclass(frozen=True)
class Keys:
    """Sort keys: p-value, overlap, strand and target of a comparison in one number.

    Sorting them is sorting by p-value, then larger overlap, then "+" before "-",
    then the order of the targets (TOMTOM step 10).
    """

    overlap_bits: int
    target_bits: int

    @classmethod
    def of(cls, targets: Targets, query_width: int) -> Keys:
        """Make room for the numbers of these targets and of queries up to a width."""
        keys = cls(int(min(query_width, targets.widths.max())).bit_length(), max(1, (len(targets) - 1).bit_length()))
        if keys.overlap_bits + keys.target_bits > 31:
            raise InputError(f"too many targets ({len(targets)}); search them in parts")
        return keys

    def pack(self, p: np.ndarray, overlap: np.ndarray, minus: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Keys (uint64) from p-values (float32, so that their bits sort as they do) and integers."""
        order = (2**self.overlap_bits - 1 - overlap) << 1 | minus
        low = order << self.target_bits | target
        return p.view(np.uint32).astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)

    @staticmethod
    def p_values(keys: np.ndarray) -> np.ndarray:
        """P-values of keys, float64."""
        return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32).astype(float)

    def unpack(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Overlaps, strands (True is "-") and targets of keys."""
        low = (keys & np.uint64(2**32 - 1)).astype(np.int64)
        order = low >> self.target_bits
        return 2**self.overlap_bits - 1 - (order >> 1), (order & 1).astype(bool), low & (2**self.target_bits - 1)


class Selection:
    """The records to report for one query after another, in their order."""

    def __init__(self, targets: Targets, keys: Keys, evalue: float, qvalue: float | None,
                 draws: qvalues.Draws | None):
        self.n_targets = len(targets)
        self.keys, self.evalue, self.qvalue, self.draws = keys, evalue, qvalue, draws
        # Place of each target's two strands among the entries.
        self.places = np.empty((2, self.n_targets), np.intp)
        self.places[targets.minus.astype(int), targets.target] = np.arange(len(targets.target))

    def __call__(self, query: int, keys: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Select.

        Parameters
        ----------
        query : int
            Its place.
        keys, offsets : numpy.ndarray, shape (2 N,)
            From `Comparison`.

        Returns
        -------
        numpy.ndarray of records
        """
        # The better strand of each target is its record.
        rows = np.minimum(*keys[self.places])
        if self.qvalue is None:
            rows = rows[self.keys.p_values(rows) * self.n_targets <= self.evalue]
        rows.sort()
        q = self._q_values(keys, rows)
        if self.qvalue is not None:
            rows, q = rows[q <= self.qvalue], q[q <= self.qvalue]
        hits = np.empty(len(rows), HIT)
        overlap, minus, target = self.keys.unpack(rows)
        hits["query"], hits["target"], hits["overlap"], hits["q_value"] = query, target, overlap, q
        hits["p_value"] = self.keys.p_values(rows)
        hits["e_value"] = hits["p_value"] * self.n_targets
        hits["offset"] = offsets[self.places[minus.astype(int), target]]
        hits["orientation"] = np.where(minus, "-", "+")
        return hits

    def _q_values(self, keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self.draws is None:
            return np.full(len(rows), np.nan)
        if not len(rows):
            if len(keys) > qvalues.MAX_WITHOUT_BOOTSTRAP:
                self.draws.skip()
            return np.empty(0)
        ordered = np.sort(keys)
        p = self.keys.p_values(ordered)
        return qvalues.q_values(p, qvalues.null_fraction(p, self.draws))[np.searchsorted(ordered, rows)]
