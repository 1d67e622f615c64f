"""Best sites of known motifs in sequences, as `kipoi-motifrep baseline` seeks them, against lightmotif and memelite.

    python benchmarks/scan.py

5,000 random sequences of 200 bp, and 100 motifs of JASPAR 2026 CORE vertebrates, on both strands. lightmotif is given
the same log-odds, less the lowest of each position, and N rules a window out: its maximum is also over windows beyond
the sequence's end and over zeros. So it has no N of which nothing is known, and no sequences shorter than a motif.
memelite's FIMO gives the sites with p below 1e-4 instead of the best ones. The note is the largest
difference of lightmotif's scores from ours.
"""

from __future__ import annotations

import numpy as np
from timing import OURS, compare, installed, parser

from kipoi_motifrep.motifs import Motif, jaspar
from kipoi_motifrep.training.baseline import PSEUDOCOUNT, UNKNOWN_SITES, best_sites


def with_lightmotif(codes: np.ndarray, motifs: list[Motif]) -> np.ndarray:
    import lightmotif

    letters = np.frombuffer(b"ACGTN", np.uint8)[codes]
    sequences = [lightmotif.stripe(row.tobytes().decode()) for row in letters]
    scores = np.empty((len(codes), len(motifs)))
    for j, motif in enumerate(motifs):
        n, matrices = motif.nsites or UNKNOWN_SITES, []
        for strand in (motif, motif.reverse_complement()):
            odds = np.log2((n * strand.pwm + PSEUDOCOUNT / 4) / (n + PSEUDOCOUNT) / 0.25)
            lowest = odds.min(axis=1)
            values = {letter: column.tolist() for letter, column in zip("ACGT", odds.T - lowest, strict=True)}
            matrices.append((lightmotif.ScoringMatrix({**values, "N": [-1000.0] * len(odds)}), lowest.sum()))
        for i, sequence in enumerate(sequences):
            scores[i, j] = max(matrix.calculate(sequence).max() + lowest for matrix, lowest in matrices)
    return scores


def main() -> None:
    args = parser(__doc__).parse_args()
    codes = np.random.default_rng(0).integers(0, 4, (5000, 200)).astype(np.uint8)
    motifs = list(jaspar.load("JASPAR2026").motifs[:100])
    runs, note = {OURS: lambda: best_sites(codes, motifs)}, ""
    if installed("lightmotif"):
        runs["lightmotif"] = lambda: with_lightmotif(codes, motifs)
        difference = np.abs(best_sites(codes[:100], motifs) - with_lightmotif(codes[:100], motifs)).max()
        note = f"largest difference {difference:.1e} bit"
    if installed("memelite"):
        from memelite import fimo

        x = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
        named = {f"{i} {motif.name}": motif.pwm.T for i, motif in enumerate(motifs)}
        runs["memelite's FIMO"] = lambda: fimo(named, x)
    compare("scan", "5,000 x 200 bp, 100 motifs, both strands", runs, args, threads="default", note=note)


if __name__ == "__main__":
    main()
