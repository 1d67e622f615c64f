"""Tables of motifs: a row a position, with columns for the letters and for the motif's name or the position."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from kipoi_motifrep.core.letters import BASES, IUPAC
from kipoi_motifrep.motifs.formats.number_lines import motif_of
from kipoi_motifrep.motifs.formats.text import MotifText, is_number
from kipoi_motifrep.motifs.motif import Motif

MOST_COLUMNS = 8  # letters, the motif's name and another one, position, consensus
_POSITION = ("pos", "position", "index", "i", "column")


def parse_table(text: MotifText) -> list[tuple[int, Motif]] | None:
    """Read a table of which the header names columns A, C, G and T, in any order and among others.

    1. Find the letters in the header, between tabs, semicolons, commas or blanks.
    2. The motif's name is in the first other column of words that are no letters of a consensus; where there is
       none, a position that is not above the one before begins the next motif.
    3. Read the numbers; 0,5 is one where commas do not separate.

    Parameters
    ----------
    text : MotifText
        The file.

    Returns
    -------
    list of (row, Motif), or None
        None if it is no such table, or one of ``Pos A C G T`` alone, which stands among titles as well.

    Raises
    ------
    InputError
        Names the row and what is wrong there.

    Examples
    --------
    >>> from pathlib import Path
    >>> parse_table(MotifText(Path("m.csv"), ["motif,pos,A,C,G,T", "m1,1,.9,0,.1,0", "m1,2,0,.5,0,.5", "m2,1,0,1,0,0"]))
    [(2, <Motif m1, width 2, AY>), (4, <Motif m2, width 1, C>)]
    """
    lines = ((row, line) for row, line in text.filled() if not line.startswith("#"))
    row, first = next(lines, (0, ""))
    separator = next((mark for mark in "\t;," if mark in first), " ")

    def cells(line: str) -> list[str]:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]

    header = cells(first)
    names = [name.upper().replace("U", "T") for name in header]
    # Tables of sequences' properties have such columns, too, among many more.
    if any(names.count(base) != 1 for base in BASES) or len(names) > MOST_COLUMNS:
        return None
    rows = [(row, cells(line)) for row, line in lines]
    if {*names[-4:]} == {*BASES} and len(names) < 6 and separator != ";" and not (rows and rows[0][1][0][:1].isalpha()):
        return None
    if not rows:
        raise text.error("the table has no rows; is the file cut off?", row)
    for row, one in rows:
        if len(one) != len(header):
            raise text.error(f"has {len(one)} columns, and the header has {len(header)}", row)
    text.rna |= "U" in map(str.upper, header)
    places = [names.index(base) for base in BASES]
    found = []
    for name, part in _motifs(text, header, places, rows):
        numbers = [
            [text.number(one[i] if separator == "," else one[i].replace(",", "."), at) for i in places]
            for at, one in part
        ]
        found.append((part[0][0], motif_of(text, np.array(numbers), [at for at, _ in part], name=name)))
    return found


def _motifs(
    text: MotifText, header: Sequence[str], places: Sequence[int], rows: list[tuple[int, list[str]]]
) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """Split the rows of a table into motifs with their names."""
    others = [i for i in range(len(header)) if i not in places]
    named = next((i for i in others if any(c[i].upper() not in IUPAC and not is_number(c[i]) for _, c in rows)), None)
    if named is not None:
        for name, part in groupby(rows, key=lambda row: row[1][named]):
            yield name or text.stem, list(part)
        return
    counting = next((i for i in others if re.sub(r"\W", "", header[i]).lower() in _POSITION or not header[i]), None)
    at = [float(cells[counting]) if counting is not None else i for i, (_, cells) in enumerate(rows)]
    starts = [i for i in range(len(rows)) if i == 0 or at[i] <= at[i - 1]]
    for n, (start, stop) in enumerate(zip(starts, [*starts[1:], len(rows)], strict=True), 1):
        yield text.stem if len(starts) == 1 else f"{text.stem}_{n}", rows[start:stop]
