"""What Tomtom itself printed: recorded by others, see recorded/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kipoi_motifrep.motifs import Motif, jaspar, read_motifs
from kipoi_motifrep.motifs.tomtom import tomtom
from kipoi_motifrep.motifs.tomtom.tsv import tomtom_table

RECORDED = Path(__file__).parent / "recorded"


def rows(text: str) -> list[dict[str, str]]:
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return [dict(zip(lines[0], row, strict=True)) for row in lines[1:]]


def test_every_digit_is_that_of_tomtom():
    queries = read_motifs(RECORDED / "filters.meme")
    # With six decimals, as in JASPAR's file for the MEME Suite.
    targets = [Motif(one.name, np.round(one.pwm, 6), nsites=one.nsites) for one in jaspar.load("JASPAR2020")]
    found = rows(tomtom_table(tomtom(queries, targets, qvalue=0.5), queries, targets, "tomtom"))
    recorded = rows((RECORDED / "tomtom.tsv").read_text())
    assert len(recorded) == 157
    assert sorted(map(tuple, map(dict.values, found))) == sorted(map(tuple, map(dict.values, recorded)))
