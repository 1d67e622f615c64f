"""UniPROBE files: rows ``A:`` ``C:`` ``G:`` ``T:`` of probabilities under a title."""

from __future__ import annotations

import re

import numpy as np

from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs.formats.source import Source
from kipoi_motifrep.motifs.motif import Motif

LETTER_ROW = re.compile(r"\s*([ACGTU])\s*:", re.IGNORECASE)
_PROBABILITIES = re.compile(r"\s*Probability matrix", re.IGNORECASE)
_KEY = re.compile(r"(Protein|Gene|Motif|TF)\s*:\s*", re.IGNORECASE)


def parse_uniprobe(source: Source) -> tuple[list[tuple[int, Motif]], None]:
    """Read a UniPROBE file.

    Parameters
    ----------
    source : Source
        The file. Where it has energy and enrichment matrices besides, only those
        under ``Probability matrix`` are read.

    Returns
    -------
    motifs : list of (row, Motif)
        With the row of ``A:``. The name is the title above, or the file's name.
    background : None
        UniPROBE files state none.
    """
    labels = [row for row, line in enumerate(source.lines, start=1) if _PROBABILITIES.match(line)]
    labelled = bool(labels)
    wanted, title, motifs, i = not labelled, "", [], 0
    while i < len(source.lines):
        line = source.lines[i]
        if not LETTER_ROW.match(line):
            if _PROBABILITIES.match(line):
                wanted = True
            elif line.strip() and (not labelled or not title or _KEY.match(line.strip("# \t"))):
                title = line.strip("#\"\t ")
            i += 1
            continue
        first = i
        while i < len(source.lines) and LETTER_ROW.match(source.lines[i]) and i - first < 4:
            i += 1
        if wanted:
            motifs.append((first + 1, _motif(source, title, first, i)))
            wanted, title = not labelled, ""
    if labelled and not motifs:
        raise source.error("no rows under 'Probability matrix'; is the file cut off?", labels[-1])
    return motifs, None


def _motif(source: Source, title: str, start: int, stop: int) -> Motif:
    rows = []
    for i, letter in zip(range(start, stop), BASES, strict=False):
        found = LETTER_ROW.match(source.lines[i])
        if found.group(1).upper().replace("U", "T") != letter:
            raise source.error(f"expected the row of {letter}, found {found.group(1)}", i + 1)
        rows.append((i + 1, source.lines[i][found.end():].split()))
    matrix = source.matrix_of_letters(rows)
    source.check_rows(np.asarray(matrix), [start + 1] * len(matrix))
    return Motif(name=_name(title) or source.stem, pwm=matrix)


def _name(title: str) -> str:
    """Give X of ``Protein: X<tab>Seed k-mer: ...``, or the first field of another title."""
    return _KEY.sub("", title.split("\t")[0], count=1).strip()
