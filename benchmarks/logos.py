"""Sequence logos as SVG against logomaker's.

    python benchmarks/logos.py

30 motifs of JASPAR 2026 CORE vertebrates, by information content, each in a file of its own.
"""

from __future__ import annotations

import io

from timing import OURS, compare, installed, parser

from kipoi_motifrep.motifs import Motif, jaspar
from kipoi_motifrep.motifs.logos import information_logos


def with_logomaker(motifs: list[Motif]) -> None:
    import logomaker
    import matplotlib
    import pandas as pd

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for motif in motifs:
        frame = pd.DataFrame(motif.pwm, columns=list("ACGT"))
        heights = logomaker.transform_matrix(frame, from_type="probability", to_type="information")
        logomaker.Logo(heights).fig.savefig(io.StringIO(), format="svg")
        plt.close()


def main() -> None:
    args = parser(__doc__).parse_args()
    motifs = list(jaspar.load("JASPAR2026").motifs[:30])
    titles = [motif.name for motif in motifs]
    runs = {OURS: lambda: [logo.file() for logo in information_logos([one.pwm for one in motifs], titles)]}
    if installed("logomaker"):
        runs["logomaker"] = lambda: with_logomaker(motifs)
    compare("logos", "30 logos as SVG", runs, args)


if __name__ == "__main__":
    main()
