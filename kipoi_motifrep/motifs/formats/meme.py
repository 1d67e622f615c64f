"""MEME motif files: the minimal format in all its shapes, and MEME's own text output."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

import numpy as np

from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs.formats.source import Source, is_number
from kipoi_motifrep.motifs.formats.spelling import decimal, plain, word
from kipoi_motifrep.motifs.motif import Motif

_MATRIX = "letter-probability matrix"
_FIELD = re.compile(r"(\w+)\s*=\s*([^\s=]+)")
# What may follow a matrix whose header does not state its width.
_AFTER_MATRIX = re.compile(r"MOTIF\b|URL\b|[-*#]|letter-probability|log-odds|Motif\b|Time\b|SUMMARY\b")
# MEME writes "MOTIF name alt width = 8 sites = 20 ..." above its sections.
_SUMMARY = re.compile(r"\s+width\s*=\s*\d+.*$")


def looks_like_meme(lines: list[str]) -> bool:
    """Tell whether lines are a MEME file."""
    return any(line.lstrip().startswith(("MEME version", _MATRIX)) for line in lines)


def parse_meme(source: Source) -> tuple[list[tuple[int, Motif]], np.ndarray | None]:
    """Read a MEME file.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    motifs : list of (row, Motif)
        With the row of the ``MOTIF`` line.
    background : numpy.ndarray, shape (4,), or None
        Letter frequencies, if the file states them.
    """
    lines = source.lines
    starts = [i for i, line in enumerate(lines) if re.match(r"\s*MOTIF\b", line)]
    header_stop = starts[0] if starts else len(lines)
    _check_alphabet(source, header_stop)
    background = _background(source, header_stop)
    motifs = []
    for start, stop in itertools.pairwise([*starts, len(lines)]):
        motifs.append((start + 1, _section(source, start, stop)))
    stray = next((i for i in range(header_stop) if lines[i].lstrip().startswith(_MATRIX)), None)
    if stray is not None:
        raise source.error("a matrix without a MOTIF line before it", stray + 1)
    return motifs, background


def _check_alphabet(source: Source, stop: int) -> None:
    for i in range(stop):
        line = source.lines[i].strip()
        if not line.upper().startswith("ALPHABET"):
            continue
        plain = re.match(r"ALPHABET\s*=\s*(\S+)\s*$", line, re.IGNORECASE)
        letters = plain.group(1) if plain else _defined_letters(source, i + 1, stop)
        if letters.upper().replace("U", "T") != BASES:
            raise source.error(f"alphabet {letters} is not DNA; only motifs over ACGT (or ACGU) can be used", i + 1)
        return


def _defined_letters(source: Source, start: int, stop: int) -> str:
    """Core letters of an ``ALPHABET ... END ALPHABET`` block; the others are defined by ``=``."""
    core = set()
    for i in range(start, stop):
        line = source.lines[i].strip()
        if line.upper().startswith("END ALPHABET"):
            return "".join(sorted(core))
        if line and "=" not in re.sub(r'"[^"]*"', "", line):
            core.update(line[0] + (re.search(r"~\s*(\S)", line) or ["", ""])[1])
    raise source.error("the ALPHABET block has no END ALPHABET; is the file cut off?", start)


def _background(source: Source, stop: int) -> np.ndarray | None:
    title = next((i for i in range(stop) if source.lines[i].lstrip().startswith("Background letter frequencies")), None)
    if title is None:
        return None
    found: dict[str, float] = {}
    row = title + 1
    for i in range(title + 1, stop):
        tokens = source.lines[i].split()
        if not tokens:
            continue
        if len(tokens[0]) > 1:
            break
        row = i + 1
        if len(tokens) % 2:
            raise source.error("expected letters and frequencies, such as A 0.25 C 0.25 G 0.25 T 0.25", row)
        for letter, value in zip(tokens[::2], tokens[1::2], strict=True):
            found[letter.upper().replace("U", "T")] = source.number(value, row)
        if len(found) >= 4:
            break
    if not found:
        return None
    if set(found) != set(BASES):
        raise source.error(f"the background is for letters {' '.join(found)}, not A C G T", row)
    values = np.array([found[letter] for letter in BASES])
    if abs(values.sum() - 1) > 0.02 or values.min() <= 0:
        raise source.error(f"background frequencies must be positive and sum to 1; they sum to {values.sum():g}", row)
    return values


def _section(source: Source, start: int, stop: int) -> Motif:
    words = _SUMMARY.sub("", source.lines[start].strip()).split()[1:]
    if not words:
        raise source.error("MOTIF without a name", start + 1)
    header = next((i for i in range(start + 1, stop) if source.lines[i].lstrip().startswith(_MATRIX)), None)
    if header is None:
        raise source.error(f"motif {words[0]} has no letter-probability matrix; is the file cut off?", start + 1)
    fields = dict(_FIELD.findall(source.lines[header]))
    if fields.get("alength", "4") != "4":
        raise source.error(f"alength= {fields['alength']}: only DNA motifs (4 letters) can be used", header + 1)
    width = _whole_number(source, fields, "w", header + 1)
    nsites = source.number(fields["nsites"], header + 1) if "nsites" in fields else None
    matrix = _matrix(source, words[0], header, stop, width)
    return Motif(name=words[0], pwm=matrix, alt_name=" ".join(words[1:]), nsites=nsites)


def _whole_number(source: Source, fields: dict[str, str], name: str, row: int) -> int | None:
    if name not in fields:
        return None
    if not fields[name].isdecimal() or int(fields[name]) == 0:
        raise source.error(f"{name}= {fields[name]} is not a whole number above 0", row)
    return int(fields[name])


def _matrix(source: Source, name: str, header: int, stop: int, width: int | None) -> np.ndarray:
    rows, values = [], []
    for i in range(header + 1, stop):
        line = source.lines[i].strip()
        if not line:
            continue
        if _AFTER_MATRIX.match(line) and not is_number(line.split()[0]):
            break
        if width is not None and len(values) == width:
            if is_number(line.split()[0]) and len(line.split()) == 4:
                raise source.error(f"motif {name} has more rows than w= {width}", i + 1)
            break
        rows.append(i + 1)
        values.append(source.four(line.split(), i + 1))
    if not values:
        raise source.error(f"the matrix of motif {name} has no rows; is the file cut off?", header + 1)
    if width is not None and len(values) < width:
        raise source.error(f"the matrix of motif {name} ends after {len(values)} rows of w= {width}; "
                           "is the file cut off?", rows[-1])
    matrix = np.array(values)
    source.check_rows(matrix, rows)
    return matrix


def format_meme(motifs: Iterable[Motif], background: np.ndarray) -> Iterator[str]:
    """Give the lines of a minimal MEME file.

    Probabilities have at least 6 decimals and as many as it takes to read the same
    number back, so that a search gives the same digits from the file.

    Parameters
    ----------
    motifs : iterable of Motif
        What to write.
    background : numpy.ndarray, shape (4,)
        Letter frequencies.

    Yields
    ------
    str
        Lines without line ends.
    """
    yield from ("MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", "", "Background letter frequencies")
    yield " ".join(f"{letter} {decimal(p)}" for letter, p in zip(BASES, background, strict=True))
    for motif in motifs:
        alt = f" {word(motif.alt_name)}" if motif.alt_name.strip() else ""
        nsites = "" if motif.nsites is None else f" nsites= {plain(motif.nsites)} E= 0"
        yield ""
        yield f"MOTIF {word(motif.name)}{alt}"
        yield f"{_MATRIX}: alength= 4 w= {motif.width}{nsites}"
        for row in motif.pwm:
            yield " " + "  ".join(decimal(p) for p in row)
