"""Which format a motif file has, from its content."""

from __future__ import annotations

import re

import numpy as np

from kipoi_motifrep.motifs.formats import cisbp, uniprobe
from kipoi_motifrep.motifs.formats import pfm as jaspar_format
from kipoi_motifrep.motifs.formats.meme import looks_like_meme
from kipoi_motifrep.motifs.formats.pfm import header_blocks
from kipoi_motifrep.motifs.formats.source import Source, is_number
from kipoi_motifrep.motifs.motif import ROW_SUM_TOLERANCE

KNOWN = "MEME, JASPAR, TRANSFAC, HOMER, CIS-BP, UniPROBE"
_TRANSFAC_START = re.compile(r"(VV|AC|ID|NA|DE|XX|P0|PO)(\s|$)")


def detect_format(source: Source) -> str:
    """Tell the format of a motif file.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    str
        ``meme``, ``jaspar``, ``pfm``, ``transfac``, ``homer``, ``cisbp`` or ``uniprobe``.

    Raises
    ------
    InputError
        If the file is empty or of none of these formats.
    """
    filled = [(row, line) for row, line in enumerate(source.lines, start=1) if line.strip()]
    if not filled:
        raise source.error(f"empty, or not text; a motif file is needed ({KNOWN})")
    row, first = filled[0]
    first = first.strip()
    if first.startswith("<"):
        raise source.error("an XML or HTML page; give the text file of motifs instead (MEME's is meme.txt)", row)
    if looks_like_meme(source.lines):
        return "meme"
    if any(cisbp.HEADER.match(line) for _, line in filled):
        return "cisbp"
    if _TRANSFAC_START.match(first) or any(re.match(r"P[0O]\s+[ACGTU]\b", line) for _, line in filled):
        return "transfac"
    if first.startswith(">") or is_number(first.split()[0]) or jaspar_format.LETTER_ROW.match(first) or "[" in first:
        if not first.startswith(">") and uniprobe.LETTER_ROW.match(first):
            return "uniprobe"
        return _with_headers(source)
    if any(uniprobe.LETTER_ROW.match(line) for _, line in filled):
        return "uniprobe"
    raise source.error(f"not a motif file of a known format ({KNOWN})", row)


def _with_headers(source: Source) -> str:
    """Tell apart what starts with ``>``: JASPAR's four rows and HOMER's rows of four."""
    blocks = header_blocks(source)
    lines = [(row, line) for _, _, rows in blocks for row, line in rows]
    if lines and re.fullmatch(r"[A-Za-z*.-]+", lines[0][1]):
        raise source.error("sequences (FASTA), not motifs", lines[0][0])
    if any("[" in line for _, line in lines):
        return "jaspar"
    if any(jaspar_format.LETTER_ROW.match(line) for _, line in lines):
        return "pfm"
    headers = [header.split("\t") for _, header, _ in blocks]
    if any(len(fields) > 2 and is_number(fields[2].strip()) for fields in headers):
        return "homer"
    shapes = {(len(rows), len(rows[0][1].split())) for _, _, rows in blocks if rows}
    if any(n_rows != 4 for n_rows, _ in shapes) and all(n_columns == 4 for _, n_columns in shapes):
        return "homer"
    if shapes == {(4, 4)} and _rows_are_positions(lines):
        return "homer"
    return "pfm"


def _rows_are_positions(lines: list[tuple[int, str]]) -> bool:
    """Tell whether 4 x 4 matrices hold probabilities by row and not by column."""
    words = [line.split() for _, line in lines]
    if not all(len(row) == 4 and all(is_number(word) for word in row) for row in words):
        return False
    values = np.array(words, float).reshape(-1, 4, 4)

    def sums_to_one(axis: int) -> bool:
        return bool(np.all(np.abs(values.sum(axis=axis) - 1) <= ROW_SUM_TOLERANCE))

    return sums_to_one(2) and not sums_to_one(1)
