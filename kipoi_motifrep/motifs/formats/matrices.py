"""Formats that are no more than titles and matrices: JASPAR, HOMER, UniPROBE, CIS-BP and their many relatives."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES, IUPAC
from kipoi_motifrep.motifs.formats.number_lines import Line, is_line, motif_of_lines, read_line, rows_are_positions
from kipoi_motifrep.motifs.formats.text import MotifText, decimal, is_number, plain, word
from kipoi_motifrep.motifs.motif import Motif

KNOWN = "MEME, JASPAR, TRANSFAC, HOMER, HOCOMOCO, CIS-BP, UniPROBE, universalmotif, logomaker"
EMPTY = "left out {motifs} with empty tables (licensed, not in CIS-BP's files)"
_KEY = re.compile(
    r"\W*(motif|tf name|altname|name|protein|tf|gene|family|nsites|alphabet|type|id|matrix)(?:\s*[:=]|\t| (?=\d))"
    r"\s*([^\t]*)",
    re.IGNORECASE,
)
_NAMING_KEYS = ("motif", "name", "protein", "tf", "gene", "id", "matrix")  # the first that is there
_WANTED = re.compile(r"\W*probability matrix", re.IGNORECASE)
_TARGETS = re.compile(r"\bT:([\d.]+)")
_GUESS = ",BestGuess:"
# HOMER needs a score above which a site is called; known motifs' lie at about 0.6 to 0.8 of the best score.
_THRESHOLD = 0.7
_FLOOR = 0.001  # HOMER's own smallest probability


class NoMotifsError(InputError):
    """The file may be in order, but holds no motif: a licensed one that CIS-BP leaves out."""


@dataclass
class _Titled:
    """One matrix and what stands above it."""

    row: int
    titles: list[str] = field(default_factory=list)
    header: str | None = None  # a line with ">"
    columns: int = 0  # how many names of columns there are
    lines: list[Line] = field(default_factory=list)


def parse_plain(text: MotifText) -> tuple[list[tuple[int, Motif]], str]:
    """Read a file of titles and matrices.

    1. Split the file: ``>`` starts a motif, and all lines up to the next are its matrix.
       Without ``>``, lines of numbers are a matrix, names of its columns begin one, and the
       text above is its title.
    2. Where matrices are labelled ``Probability matrix``, as UniPROBE does, leave out all
       others; leave out empty tables, too.
    3. Tell whether a row is a position or a letter; see `rows_are_positions`.
    4. Read names from the titles, and numbers.

    Parameters
    ----------
    text : MotifText
        The file.

    Returns
    -------
    motifs : list of (row, Motif)
        With the first row of each. A motif without a name has the file's.
    kind : str
        ``jaspar``, ``pfm``, ``homer``, ``cisbp``, ``uniprobe`` or ``universalmotif``.

    Raises
    ------
    NoMotifsError
        If the only or last table is empty.
    InputError
        Names the row and what else is wrong.

    Examples
    --------
    >>> from pathlib import Path
    >>> parse_plain(MotifText(Path("m.txt"), [">m1 X", "9 0 1 0", "0 5 0 5", "7 1 1 1"]))
    ([(1, <Motif m1 X, width 3, AYA>)], 'homer')
    """
    blocks, behind = _blocks(text)
    blocks = [part for block in blocks for part in _separated(block)]
    if labels := [row for row, line in text.filled() if _WANTED.match(line)]:
        blocks = _wanted(blocks)
        if not blocks:
            raise text.error("no rows under 'Probability matrix'; is the file cut off?", labels[-1])
    elif not blocks:
        row, _ = next(text.filled())
        raise text.error(f"not a motif file of a known format ({KNOWN})", row)
    elif behind and not _is_whole(blocks[-1]):
        raise text.error(
            f"{behind[0][1][:40]!r} where a row of the matrix was expected: expected a position and 4 "
            "numbers, or it is a title without a Pos A C G T table below; is the file cut off?",
            behind[0][0],
        )
    empty = [block for block in blocks if block.columns and not block.lines]
    if empty and empty[-1] is blocks[-1]:
        raise NoMotifsError(
            "the table has no rows: a licensed motif that CIS-BP leaves out, or a file cut off",
            path=text.path,
            row=blocks[-1].row,
        )
    text.remarks[EMPTY] += len(empty)
    blocks = [block for block in blocks if block.lines or not block.columns]
    for block in blocks:
        if [line.letter.replace("U", "T") for line in block.lines] == ["", *BASES]:
            del block.lines[0]  # numbers of the positions
        if block.header is not None and not block.lines:
            name = _header(text, block, None)["name"]
            raise text.error(f"motif {name} has no matrix (no rows of numbers); is the file cut off?", block.row)
        if block.columns == 5 or (block.columns and all(len(line.words) == 5 for line in block.lines)):
            block.lines = _without_positions(text, block.lines)
    # Programs that count positions or score write nothing but probabilities that sum to 1.
    exact = [bool(block.columns) or _is_homer(block.header) for block in blocks]
    positions = rows_are_positions([block.lines for block in blocks], [one or None for one in exact])
    motifs = [
        (
            block.row,
            motif_of_lines(
                text,
                block.lines,
                by_position,
                exact=one or block.lines[0].mark == ":",
                **(_titles(text, block) if block.header is None else _header(text, block, by_position)),
            ),
        )
        for block, by_position, one in zip(blocks, positions, exact, strict=True)
    ]
    return motifs, _kind(blocks[0], positions[0])


def _blocks(text: MotifText) -> tuple[list[_Titled], list[tuple[int, str]]]:
    """Split a file into matrices with what stands above each, and the text behind the last with its rows."""
    blocks: list[_Titled] = []
    block: _Titled | None = None  # the one that lines are added to
    titles: list[tuple[int, str]] = []

    def begin(row: int, header: str | None = None) -> _Titled:
        blocks.append(_Titled(row, [title for _, title in titles], header))
        titles.clear()
        return blocks[-1]

    for row, line in text.filled():
        headed = block is not None and block.header is not None
        if line.startswith(">"):
            block = begin(row, line[1:].strip())
        elif line == "<" or (line.startswith("#") and (headed or not _KEY.match(line))):
            pass
        elif names := _columns(line):
            text.note_letters(names[-4:], row)
            block = block if block is not None and headed else begin(row)
            block.columns = len(names)
        elif block is not None and headed:
            if not block.lines and re.fullmatch(r"[A-Za-z*.-]+", line):
                raise text.error("sequences (FASTA), not motifs", row)
            read = read_line(line, row)
            if read.mark or any(map(is_number, read.words)) or not block.lines:
                # A title that numbers follow is none: reading the matrix will refuse it.
                block.lines += [read_line(title, at) for at, title in titles] + [read]
                titles.clear()
            else:
                titles.append((row, line))  # of the next motif
        elif is_line(read := read_line(line, row)) or (block and block.columns and is_number((read.words or [""])[0])):
            # Four rows of letters are whole, also where no title stands before the next.
            block = begin(row) if block is None or (read.letter == "A" and _is_whole(block)) else block
            block.lines.append(read)
        else:
            block = None
            if any(map(str.isalnum, line)):
                titles.append((row, line))
    return blocks, titles


def _is_whole(block: _Titled) -> bool:
    """Tell whether a matrix has a row for each letter, so that no other row belongs to it."""
    return "".join(line.letter for line in block.lines[-4:]) in (BASES, BASES.replace("T", "U"))


def _separated(block: _Titled) -> list[_Titled]:
    """Split matrices that have no titles at blank lines and comments, unless these stand behind every row."""
    lines = block.lines
    if block.header is not None or block.columns or any(line.letter for line in lines):
        return [block]
    starts = [i for i, line in enumerate(lines) if i == 0 or line.row - lines[i - 1].row > 1]
    if len(starts) in (1, len(lines)):
        return [block]
    return [
        _Titled(lines[start].row, block.titles, lines=lines[start:stop])
        for start, stop in itertools.pairwise([*starts, len(lines)])
    ]


def _columns(line: str) -> list[str]:
    """Names of the columns, if a line is no more than these: four letters, perhaps with a name before them."""
    names = [name.strip("\"'") for name in re.split(r"\s*,\s*|\s+", line)]
    is_names = len(names) in (4, 5) and all(len(name) == 1 and name.isalpha() for name in names[-4:])
    return names if is_names and not is_number(names[0]) else []


def _wanted(blocks: list[_Titled]) -> list[_Titled]:
    """Keep UniPROBE's probabilities; names stand above the other matrices of a motif."""
    kept, above = [], []
    for block in blocks:
        above += block.titles
        if block.titles and _WANTED.match(block.titles[-1]):
            block.titles, above = [title for title in above if _KEY.match(title)] or above[:1], []
            kept.append(block)
    return kept


def _without_positions(text: MotifText, lines: list[Line]) -> list[Line]:
    """Take the first column off, which counts positions from any number."""
    found = [line.words[0] if line.words else "" for line in lines]
    first = int(found[0]) if re.fullmatch(r"-?\d{1,9}", found[0]) else 1
    for i, (position, line) in enumerate(zip(found, lines, strict=True), first):
        if not is_number(position) or float(position) != i:
            raise text.error(f"position {position[:20]} where {i} was expected", line.row)
    return [line._replace(words=line.words[1:]) for line in lines]


def _is_homer(header: str | None) -> bool:
    """Tell HOMER's header, of which the third field is a score."""
    fields = (header or "").split("\t")
    return len(fields) > 2 and is_number(fields[2].strip())


def _header(text: MotifText, block: _Titled, by_position: bool | None) -> dict:
    """Names in a header: those of JASPAR (``>MA0004.1 Arnt``), or HOMER's, which come behind a consensus."""
    header = block.header or ""
    fields = [one.strip() for one in header.split("\t")]
    nsites = None
    if by_position and len(fields) > 1 and fields[1] and (_is_homer(header) or not fields[0].strip("".join(IUPAC))):
        name, _, alt = fields[1].partition(_GUESS)
        if targets := _TARGETS.search("\t".join(fields[2:])):
            nsites = text.number(targets[1].rstrip("."), block.row)
    else:
        name, _, alt = header.partition("\t") if "\t" in header else header.partition(" ")
    if not name.strip():
        raise text.error("a header without a name", block.row)
    return {"name": name.strip(), "alt_name": alt.strip(), "nsites": nsites}


def _titles(text: MotifText, block: _Titled) -> dict:
    """Names in the lines above a matrix: what keys such as ``Motif`` or ``Protein:`` say, or else the last line."""
    keys: dict[str, str] = {}
    names = [text.stem]
    for title in block.titles:
        if found := _KEY.match(title):
            keys.setdefault(found[1].lower(), found[2].strip("\"' "))
        elif len(title.replace(",", " ").split()) <= max(3, len(block.lines[0].words) - 1):  # else names of columns
            names.append(title.split("\t")[0].strip("#\"' "))
    letters, values = keys.get("alphabet", "DNA").upper(), keys.get("type", "PPM").upper()
    if letters not in ("DNA", "RNA", BASES, BASES.replace("T", "U")):
        raise text.error(f"alphabet {letters} is not DNA; only motifs over ACGT (or ACGU) can be used", block.row)
    if values in ("PWM", "ICM"):
        raise text.error(f"the matrix is of type {values}; give probabilities (PPM) or counts (PCM)", block.row)
    text.rna |= "U" in letters or letters == "RNA"
    nsites = keys.get("nsites", "")
    return {
        "name": next((keys[key] for key in _NAMING_KEYS if keys.get(key)), names[-1]) or text.stem,
        "alt_name": keys.get("tf name") or keys.get("altname", ""),
        "tf_family": tuple(filter(None, keys.get("family", "").split(","))),
        "nsites": text.number(nsites, block.row) if is_number(nsites) else None,
    }


def _kind(block: _Titled, by_position: bool | None) -> str:
    marked = {"[": "jaspar", ":": "uniprobe"}.get(block.lines[0].mark)
    if "motif:" in block.titles:
        return "universalmotif"
    return marked or ("cisbp" if block.columns else "homer" if by_position else "pfm")


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

    Examples
    --------
    >>> list(format_jaspar([Motif("m1", [[1, 0, 0, 0]], nsites=5)], np.full(4, 0.25)))
    ['>m1', 'A  [ 5 ]', 'C  [ 0 ]', 'G  [ 0 ]', 'T  [ 0 ]']
    """
    for motif in motifs:
        yield f">{word(motif.name)}\t{' '.join(motif.alt_name.split())}".rstrip()
        matrix = motif.pwm * (motif.nsites or 1) if motif.counts is None else motif.counts
        for letter, values in zip(BASES, matrix.T, strict=True):
            yield f"{letter}  [ {' '.join(plain(value) for value in values)} ]"


def format_homer(motifs: Iterable[Motif], background: np.ndarray) -> Iterator[str]:
    r"""Give the lines of a HOMER file.

    The detection threshold is 0.7 of the best log-odds score (natural log); HOMER's
    p-value is not known and written as log p = 0.

    Parameters
    ----------
    motifs : iterable of Motif
        What to write.
    background : numpy.ndarray, shape (4,)
        Letter frequencies for the threshold.

    Yields
    ------
    str
        Lines without line ends.

    Examples
    --------
    >>> list(format_homer([Motif("m1", [[1, 0, 0, 0]])], np.full(4, 0.25)))[0].split("\t")
    ['>A', 'm1', '0.970406']
    """
    for motif in motifs:
        guess = f"{_GUESS}{' '.join(motif.alt_name.split())}" if motif.alt_name.strip() else ""
        best = np.log(np.maximum(motif.pwm, _FLOOR) / background).max(axis=1).sum()
        targets = "" if motif.nsites is None else f"\t0\t0\tT:{plain(motif.nsites)}(0%)"
        yield f">{motif.consensus}\t{' '.join(motif.name.split())}{guess}\t{max(0.0, _THRESHOLD * best):.6f}{targets}"
        for row in motif.pwm:
            yield "\t".join(decimal(p) for p in row)
