"""JASPAR files: ``jaspar`` (letters and brackets) and ``pfm`` (four bare rows, with or without a header)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs.formats.source import Source
from kipoi_motifrep.motifs.formats.spelling import plain, word
from kipoi_motifrep.motifs.motif import Motif

LETTER_ROW = re.compile(r"\s*([ACGTU])\s*(?:[\[|:]|\s(?=\s*[-+.\d]))", re.IGNORECASE)


def parse_jaspar(source: Source) -> tuple[list[tuple[int, Motif]], None]:
    """Read a JASPAR file: counts, or probabilities where every position sums to 1.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    motifs : list of (row, Motif)
        With the row of the header. A matrix without a header is named after the file.
    background : None
        JASPAR files state none.
    """
    motifs = []
    for row, header, rows in header_blocks(source):
        # ">MA0004.1<tab>Arnt" or ">MA0004.1 Arnt"
        name, _, alt = header.partition("\t") if "\t" in header else header.partition(" ")
        if not name.strip():
            raise source.error("a header without a name", row)
        if not rows:
            raise source.error(f"motif {name.strip()} has no matrix; is the file cut off?", row)
        if len(rows) > 4:
            raise source.error(f"motif {name.strip()} has more than 4 rows (A, C, G, T)", rows[4][0])
        letter_rows = [(at, _numbers(source, line, letter, at))
                       for (at, line), letter in zip(rows, BASES, strict=False)]
        matrix = source.matrix_of_letters(letter_rows)
        motifs.append((row, source.motif_of(matrix, [row] * len(matrix), name=name, alt_name=alt.strip())))
    return motifs, None


def header_blocks(source: Source) -> list[tuple[int, str, list[tuple[int, str]]]]:
    """Split a file at its ``>`` lines.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    list of (row, header, list of (row, line))
        Without blank lines and ``#`` comments. Lines before the first header make
        a block named after the file.
    """
    blocks: list[tuple[int, str, list[tuple[int, str]]]] = []
    for row, line in enumerate(source.lines, start=1):
        line = line.strip()
        if line.startswith(">"):
            blocks.append((row, line[1:].strip(), []))
        elif line and not line.startswith("#"):
            if not blocks:
                blocks.append((row, source.stem.replace(" ", "_"), []))
            blocks[-1][2].append((row, line))
    return blocks


def _numbers(source: Source, line: str, letter: str, row: int) -> list[str]:
    found = LETTER_ROW.match(line)
    if found:
        if found.group(1).upper().replace("U", "T") != letter:
            raise source.error(f"expected the row of {letter}, found {found.group(1)}", row)
        line = line[found.end(1):].lstrip(" \t:|")
    if line.startswith("["):
        if not line.endswith("]"):
            raise source.error("no closing bracket; is the file cut off?", row)
        line = line[1:-1]
    return line.split()


def format_jaspar(motifs: Iterable[Motif], background: np.ndarray) -> Iterator[str]:
    """Give the lines of a JASPAR file.

    Counts are written as they are; without counts, probabilities times nsites; without
    either, probabilities.

    Parameters
    ----------
    motifs : iterable of Motif
        What to write.
    background : numpy.ndarray, shape (4,)
        Not part of this format.

    Yields
    ------
    str
        Lines without line ends.
    """
    for motif in motifs:
        yield f">{word(motif.name)}\t{' '.join(motif.alt_name.split())}".rstrip()
        matrix = motif.pwm * (motif.nsites or 1) if motif.counts is None else motif.counts
        for letter, values in zip(BASES, matrix.T, strict=True):
            yield f"{letter}  [ {' '.join(plain(value) for value in values)} ]"
