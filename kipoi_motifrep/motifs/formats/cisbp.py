"""CIS-BP files: a ``Pos A C G T`` table, one motif a file or many with descriptions between them."""

from __future__ import annotations

import re

import numpy as np

from kipoi_motifrep.core.progress import say
from kipoi_motifrep.motifs.formats.source import Source, is_acgt, is_number
from kipoi_motifrep.motifs.motif import Motif

HEADER = re.compile(r"\s*Pos\s+\S+\s+\S+\s+\S+\s+\S+\s*$", re.IGNORECASE)
_FIELDS = ("Motif", "TF Name", "Family", "TF", "Gene", "Species")


def parse_cisbp(source: Source) -> tuple[list[tuple[int, Motif]], None]:
    """Read a CIS-BP file.

    Parameters
    ----------
    source : Source
        The file. CIS-BP leaves the tables of licensed motifs empty; where other
        motifs follow, such a motif is left out.

    Returns
    -------
    motifs : list of (row, Motif)
        With the row of the table's head. The name is the ``Motif`` line, else ``TF``, else the file's.
    background : None
        CIS-BP files state none.
    """
    heads = [i for i, line in enumerate(source.lines) if HEADER.match(line)]
    motifs, after, n_empty = [], 0, 0
    for n, head in enumerate(heads):
        fields = _described(source.lines[after:head])
        rows, values = [], []
        after = head + 1
        while after < len(source.lines):
            words = source.lines[after].split()
            if words and not is_number(words[0]):
                break
            after += 1
            if words:
                _check_position(source, words[0], len(rows), after)
                rows.append(after)
                values.append(source.four(words[1:], after))
        if not is_acgt(source.lines[head].split()[1:]):
            raise source.error("the columns are not A C G T", head + 1)
        if values:
            matrix = np.array(values)
            source.check_rows(matrix, rows)
            motifs.append((head + 1, Motif(name=fields.get("Motif") or fields.get("TF") or source.stem, pwm=matrix,
                                           alt_name=fields.get("TF Name", ""),
                                           tf_family=tuple(fields.get("Family", "").split(",")) if "Family" in fields
                                           else ())))
        elif n < len(heads) - 1:
            n_empty += 1
        else:
            raise source.error("the table has no rows: a licensed motif that CIS-BP leaves out, or a file cut off",
                               head + 1)
    _check_rest(source, after)
    if n_empty:
        say(f"{source.path}: left out {n_empty} motifs with empty tables (licensed, not in CIS-BP's files)")
    return motifs, None


def _check_position(source: Source, text: str, n_before: int, row: int) -> None:
    if text != str(n_before + 1):
        raise source.error(f"position {text[:20]} where {n_before + 1} was expected", row)


def _check_rest(source: Source, start: int) -> None:
    for row in range(start, len(source.lines)):
        words = source.lines[row].split("\t")
        if words[0].strip() in _FIELDS:
            raise source.error("a motif without a Pos A C G T table; is the file cut off?", row + 1)
        if words[0].strip():
            raise source.error(f"expected a position and 4 numbers, found {source.lines[row].strip()[:40]!r}", row + 1)


def _described(lines: list[str]) -> dict[str, str]:
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {key.strip(): value.strip() for key, value in pairs if key.strip() in _FIELDS and value.strip()}
