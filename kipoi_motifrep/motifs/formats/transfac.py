"""TRANSFAC files: two-letter line codes, as TRANSFAC and JASPAR write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.motifs.formats.number_lines import motif_of
from kipoi_motifrep.motifs.formats.text import MotifText, decimal, is_number, plain, word
from kipoi_motifrep.motifs.motif import Motif

_NAMES = ("AC", "ID", "NA", "DE")  # behind a matrix they begin the next motif
_COMMENT = re.compile(r"(tf_class|tf_family|nsites)\s*:\s*(.*)")


@dataclass
class _Block:
    """Lines of one motif, up to ``//``."""

    start: int
    codes: dict[str, str] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    header: int | None = None
    first: int = 1  # number of the matrix's first position
    rows: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    closed: bool = False  # the matrix was followed by another line code


def parse_transfac(text: MotifText) -> list[tuple[int, Motif]]:
    """Read a TRANSFAC file: counts, or probabilities where every position sums to 1.

    Parameters
    ----------
    text : MotifText
        The file. Relatives are read, too: without the ``P0`` line (STAMP), and without
        ``//`` between motifs.

    Returns
    -------
    list of (row, Motif)
        With the first row of the motif. The name is ``AC``, else ``ID``, ``NA`` or the
        first word of ``DE``; ``alt_name`` is ``NA`` or ``ID``; class, family and nsites
        come from ``CC`` lines, as JASPAR writes them.

    Raises
    ------
    InputError
        Names the row and what is wrong there.

    Examples
    --------
    >>> from pathlib import Path
    >>> parse_transfac(MotifText(Path("m"), ["AC  M1", "P0  A C G T", "01  9 0 1 0  A", "02  0 5 0 5  Y", "//"]))
    [(1, <Motif M1, width 2, AY>)]
    """
    motifs: list[tuple[int, Motif]] = []
    block = _Block(0)
    for row, line in text.filled():
        code, _, rest = line.replace("\t", " ").partition(" ")
        if line.startswith("//") or (code in _NAMES and block.closed):
            block.closed = True
            motifs += _finished(text, block)
            block = _Block(0)
        if not line.startswith(("//", "#")):
            block.start = block.start or row
            _add_line(text, block, code, rest.strip(), row)
    return motifs + _finished(text, block)


def _add_line(text: MotifText, block: _Block, code: str, rest: str, row: int) -> None:
    if code in ("P0", "PO"):
        if block.header is not None:
            raise text.error("a second matrix in one motif; is a // line missing?", row)
        text.note_letters(rest.split()[:4], row)
        block.header = row
    elif not block.closed and (code.isdecimal() or block.header is not None) and not re.fullmatch("[A-Z]{2}", code):
        block.header = block.header or row
        words = rest.split()
        # Behind the numbers: a consensus letter, and in SwissRegulon's files the information content.
        block.values.append(text.four(words[: 4 + any(map(is_number, words[4:5]))], row))
        position, first = int(text.number(code, row)), block.first + len(block.rows)
        if not block.rows and position in (0, 1):
            block.first = position
        elif position != first:
            raise text.error(
                f"position {position} is out of order"
                if block.rows
                else f"the matrix starts at position {position}, not 1",
                row,
            )
        block.rows.append(row)
    else:
        block.closed = block.header is not None
        if code != "CC":
            block.codes.setdefault(code, rest)
        elif found := _COMMENT.match(rest):
            block.comments.setdefault(found[1], []).extend(
                part.strip() for part in re.split(r"::|;\s", found[2]) if part.strip()
            )


def _finished(text: MotifText, block: _Block) -> list[tuple[int, Motif]]:
    codes = block.codes
    described = codes.get("DE", "").split()[:1]
    names = [name for name in (codes.get("AC"), codes.get("ID"), codes.get("NA"), *described) if name]
    if block.header is None:
        if names:
            raise text.error(f"motif {names[0]} has no matrix; is the file cut off?", block.start)
        return []  # the version block at the top of a file
    name = names[0] if names else text.stem
    if not block.values:
        raise text.error(f"the matrix of motif {name} has no rows; is the file cut off?", block.header)
    if not block.closed:
        raise text.error(f"motif {name} does not end with XX or //; is the file cut off?", block.rows[-1])
    others = [other for other in (codes.get("NA"), codes.get("ID")) if other and other != name]
    nsites = block.comments.get("nsites")
    return [
        (
            block.start,
            motif_of(
                text,
                np.array(block.values),
                block.rows,
                name=name,
                alt_name=others[0] if others else "",
                nsites=text.number(nsites[0], block.start) if nsites else None,
                tf_class=tuple(block.comments.get("tf_class", ())),
                tf_family=tuple(block.comments.get("tf_family", ())),
            ),
        )
    ]


def format_transfac(motifs: Iterable[Motif], background: np.ndarray) -> Iterator[str]:
    """Give the lines of a TRANSFAC file; class, family and nsites as JASPAR comments.

    Parameters
    ----------
    motifs : iterable of Motif
        What to write: counts where known, else probabilities.
    background : numpy.ndarray, shape (4,)
        Not part of this format.

    Yields
    ------
    str
        Lines without line ends.

    Examples
    --------
    >>> [line for line in format_transfac([Motif("m1", [[1, 0, 0, 0]])], np.full(4, 0.25)) if line.startswith("01")]
    ['01  1.000000  0.000000  0.000000  0.000000  A']
    """
    for motif in motifs:
        name, alt = word(motif.name), " ".join(motif.alt_name.split())
        # Two spaces after each code: strict readers ask for them.
        yield from (f"AC  {name}", "XX", f"ID  {alt or name}", "XX", f"DE  {name} {alt}".rstrip(), "XX")
        yield "P0      A      C      G      T"
        matrix, spell = (motif.pwm, decimal) if motif.counts is None else (motif.counts, plain)
        for position, (row, letter) in enumerate(zip(matrix, motif.consensus, strict=True), start=1):
            yield "  ".join([f"{position:02d}", *(f"{spell(value):>5}" for value in row), letter])
        yield "XX"
        comments = [f"CC  tf_class:{name}" for name in motif.tf_class]
        comments += [f"CC  tf_family:{name}" for name in motif.tf_family]
        if motif.nsites is not None:
            comments.append(f"CC  nsites:{plain(motif.nsites)}")
        yield from (*comments, *(["XX"] if comments else []), "//")
