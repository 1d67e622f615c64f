"""TRANSFAC files: two-letter line codes, as TRANSFAC and JASPAR write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.motifs.formats.source import Source, is_acgt
from kipoi_motifrep.motifs.formats.spelling import decimal, plain, word
from kipoi_motifrep.motifs.motif import Motif

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


def parse_transfac(source: Source) -> tuple[list[tuple[int, Motif]], None]:
    """Read a TRANSFAC file: counts, or probabilities where every position sums to 1.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    motifs : list of (row, Motif)
        With the first row of the motif. The name is ``AC``, else ``ID``, ``NA`` or the
        first word of ``DE``; ``alt_name`` is ``NA`` or ``ID``; class, family and nsites
        come from ``CC`` lines, as JASPAR writes them.
    background : None
        TRANSFAC files state none.
    """
    motifs, block = [], None
    for row, line in enumerate(source.lines, start=1):
        line = line.strip()
        if line.startswith("//"):
            if block is not None:
                block.closed = True
                _finish(source, block, motifs)
            block = None
        elif line:
            block = block or _Block(row)
            _add_line(source, block, line, row)
    if block is not None:
        _finish(source, block, motifs)
    return motifs, None


def _add_line(source: Source, block: _Block, line: str, row: int) -> None:
    code, _, text = line.replace("\t", " ").partition(" ")
    text = text.strip()
    if block.header is not None and not block.closed and not re.fullmatch("[A-Z]{2}", code):
        _add_position(source, block, line.split(), row)
    elif code in ("P0", "PO"):
        if block.header is not None:
            raise source.error("a second matrix in one motif; is a // line missing?", row)
        if not is_acgt(text.split()[:4]):
            raise source.error(f"the columns are {text}, not A C G T", row)
        block.header = row
    else:
        block.closed = block.header is not None
        if code == "CC":
            if found := _COMMENT.match(text):
                block.comments.setdefault(found.group(1), []).extend(
                    part.strip() for part in re.split(r"::|;\s", found.group(2)) if part.strip())
        else:
            block.codes.setdefault(code, text)


def _add_position(source: Source, block: _Block, words: list[str], row: int) -> None:
    # The sixth word, if any, is the consensus letter.
    block.values.append(source.four(words[1:-1] if len(words) > 5 else words[1:], row))
    position = int(source.number(words[0], row))
    if len(block.rows) == 0:
        if position not in (0, 1):
            raise source.error(f"the matrix starts at position {position}, not 1", row)
        block.first = position
    elif position != block.first + len(block.rows):
        raise source.error(f"position {position} is out of order", row)
    block.rows.append(row)


def _finish(source: Source, block: _Block, motifs: list[tuple[int, Motif]]) -> None:
    codes = block.codes
    described = codes.get("DE", "").split()[:1]
    names = [name for name in (codes.get("AC"), codes.get("ID"), codes.get("NA"), *described) if name]
    if block.header is None:
        if names:
            raise source.error(f"motif {names[0]} has no matrix; is the file cut off?", block.start)
        return  # the version block at the top of a file
    name = names[0] if names else source.stem
    if not block.values:
        raise source.error(f"the matrix of motif {name} has no rows; is the file cut off?", block.header)
    if not block.closed:
        raise source.error(f"motif {name} does not end with XX or //; is the file cut off?", block.rows[-1])
    others = [other for other in (codes.get("NA"), codes.get("ID")) if other and other != name]
    nsites = block.comments.get("nsites")
    motif = source.motif_of(
        np.array(block.values), block.rows, name=name, alt_name=others[0] if others else "",
        nsites=source.number(nsites[0], block.start) if nsites else None,
        tf_class=tuple(block.comments.get("tf_class", ())), tf_family=tuple(block.comments.get("tf_family", ())))
    motifs.append((block.start, motif))


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
