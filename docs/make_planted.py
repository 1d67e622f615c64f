"""Plant each factor's motif in the shipped networks: ``python docs/make_planted.py`` writes results/*/planted.tsv.

Backgrounds are sequences with their dinucleotides kept: simulated ones for the synthetic networks, stretches of human
chromosome 20 that come with the package for those of ChIP-seq data.
"""

import os
from pathlib import Path

import numpy as np

import kipoi_motifrep as km
from kipoi_motifrep.core.tables import read_table, write_table
from kipoi_motifrep.datasets.simulate import MOTIFS, simulate
from kipoi_motifrep.motifs import jaspar
from kipoi_motifrep.representation.planting import WAYS

DOCS = Path(__file__).parent
MODELS = DOCS.parent / "models"
EXAMPLES = DOCS.parent / "kipoi_motifrep/sequences/examples"
COLUMNS = ("model", "factor", "matrix", "change", "error", "reversed", "copies_4", "rank")
COLUMNS += ("other", "other_change", "other_error")


def rows(group: str, matrices: dict[str, str], sequences: dict) -> list[tuple]:
    """Plant every factor's matrix in every network of a group: its own output's logit, and the largest other one."""
    database = jaspar.load("JASPAR2026", versions="all")
    motifs = {label: database[matrix] for label, matrix in matrices.items()}
    found = []
    for model in read_table(MODELS / group / "models.tsv"):
        folder = os.path.relpath(MODELS / group / model["model"])
        planted = km.plant(
            folder, motifs=[km.Motif(name, one.pwm) for name, one in motifs.items()], partners=0, **sequences
        )
        four = [way.copies for way in WAYS].index(4)
        for i, label in enumerate(matrices):
            own, change, error = planted.outputs.index(label), planted.change[i], planted.error[i]
            other = int(np.argmax(np.where(np.arange(len(change[0])) == own, -np.inf, change[0])))
            numbers = change[0, own], error[0, own], change[1, own], change[four, own]
            rank = 1 + int((change[0] > change[0, own]).sum())
            found.append(
                (
                    model["model"],
                    label,
                    matrices[label],
                    *(f"{one:.3f}" for one in numbers),
                    rank,
                    planted.outputs[other],
                    f"{change[0, other]:.3f}",
                    f"{error[0, other]:.3f}",
                )
            )
    return found


if __name__ == "__main__":
    simulated = np.eye(4, dtype=np.float32)[simulate(200, seed=1).sequences]
    write_table(DOCS / "results/synthetic/planted.tsv", COLUMNS, rows("synthetic", MOTIFS, {"sequences": simulated}))
    best = {row["label"]: row["matrix"] for row in read_table(MODELS / "invivo/baseline.tsv") if row["matrix"]}
    windows = {"intervals": EXAMPLES / "windows.bed", "genome": EXAMPLES / "hg19_chr20_200kb.fa"}
    write_table(DOCS / "results/k562/planted.tsv", COLUMNS, rows("invivo", best, windows))
