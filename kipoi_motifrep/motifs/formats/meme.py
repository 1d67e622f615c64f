"""MEME motif files: the minimal format in all its shapes, and MEME's own text output."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

import numpy as np

from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs.formats.number_lines import motif_of
from kipoi_motifrep.motifs.formats.text import MotifText, decimal, is_number, plain, word
from kipoi_motifrep.motifs.motif import Motif

_MATRIX = "letter-probability matrix"
_FIELD = re.compile(r"(\w+)\s*=\s*([^\s=]+)")
# What may follow a matrix whose header does not state its width.
_AFTER_MATRIX = re.compile(
    r"MOTIF\b|URL\b|[-*#]|letter-probability|log-odds|Motif\b|Time\b|SUMMARY\b|MEME\b|ALPHABET\b|strands\b|Background\b"
)
# A letter of an ALPHABET block: its name, colour and complement, or the letters that it stands for.
_LETTER = re.compile(r'\S\s*(=|~|$|"|[0-9A-Fa-f]{6}\b)')
# MEME writes "MOTIF name alt width = 8 sites = 20 ..." above its sections.
_SUMMARY = re.compile(r"\s+width\s*=\s*\d+.*$")


def parse_meme(text: MotifText) -> tuple[list[tuple[int, Motif]], np.ndarray | None]:
    """Read a MEME file.

    Parameters
    ----------
    text : MotifText
        The file.

    Returns
    -------
    motifs : list of (row, Motif)
        With the row of the ``MOTIF`` line.
    background : numpy.ndarray, shape (4,), or None
        Letter frequencies, if the file states them.

    Raises
    ------
    InputError
        Names the row and what is wrong there.

    Examples
    --------
    >>> from pathlib import Path
    >>> lines = ["MEME version 4", "ALPHABET= ACGT", "MOTIF m1 X", "letter-probability matrix: w= 1", "1 0 0 0"]
    >>> parse_meme(MotifText(Path("m.meme"), lines))
    ([(3, <Motif m1 X, width 1, A>)], None)
    """
    lines = text.lines
    starts = [i for i, line in enumerate(lines) if re.match(r"\s*MOTIF\b", line)]
    header_stop = starts[0] if starts else len(lines)
    _check_alphabet(text, header_stop)
    background = _background(text, header_stop)
    motifs = []
    for start, stop in itertools.pairwise([*starts, len(lines)]):
        motifs.append((start + 1, _section(text, start, stop)))
    stray = next((i for i in range(header_stop) if lines[i].lstrip().startswith(_MATRIX)), None)
    if stray is not None:
        raise text.error("a matrix without a MOTIF line before it", stray + 1)
    return motifs, background


def _check_alphabet(text: MotifText, stop: int) -> None:
    """See that the letters are A C G T or A C G U, by name (``ALPHABET= ACGT``) or one by one in a block."""
    start = next((i for i in range(stop) if text.lines[i].strip().upper().startswith("ALPHABET")), None)
    if start is None:
        return
    named = re.match(r"ALPHABET\s*=\s*(\S+)\s*$", text.lines[start].strip(), re.IGNORECASE)
    letters, ended, core = named[1] if named else "", True, set[str]()
    if not named:
        # Core letters stand alone or in pairs; the others are defined by "=". The block ends with END ALPHABET, or,
        # in MEME's own output, with a line of asterisks.
        for line in map(str.strip, text.lines[start + 1 : stop]):
            ended = line.upper().startswith("END ALPHABET") or (line.startswith("**") and bool(core))
            if ended or (line and not line.startswith("**") and not _LETTER.match(line)):
                break
            if line and not line.startswith("**") and "=" not in re.sub(r'"[^"]*"', "", line):
                core.update(line[0] + (re.search(r"~\s*(\S)", line) or ["", ""])[1])
        letters = "".join(sorted(core))
    if letters.upper().replace("U", "T") != BASES:
        if not ended and core < {*BASES}:
            raise text.error("the ALPHABET block has no END ALPHABET; is the file cut off?", start + 1)
        raise text.error(f"alphabet {letters} is not DNA; only motifs over ACGT (or ACGU) can be used", start + 1)
    text.rna = "U" in letters.upper()


def _background(text: MotifText, stop: int) -> np.ndarray | None:
    title = next((i for i in range(stop) if text.lines[i].lstrip().startswith("Background letter frequencies")), None)
    if title is None:
        return None
    found: dict[str, float] = {}
    row = title + 1
    for i in range(title + 1, stop):
        tokens = text.lines[i].split()
        if not tokens:
            continue
        if len(tokens[0]) > 1:
            break
        row = i + 1
        if len(tokens) % 2:
            raise text.error("expected letters and frequencies, such as A 0.25 C 0.25 G 0.25 T 0.25", row)
        for letter, value in zip(tokens[::2], tokens[1::2], strict=True):
            found[letter.upper().replace("U", "T")] = text.number(value, row)
        if len(found) >= 4:
            break
    if not found:
        return None
    if set(found) != set(BASES):
        raise text.error(f"the background is for letters {' '.join(found)}, not A C G T", row)
    values = np.array([found[letter] for letter in BASES])
    if abs(values.sum() - 1) > 0.02 or values.min() <= 0:
        raise text.error(f"background frequencies must be positive and sum to 1; they sum to {values.sum():g}", row)
    return values


def _section(text: MotifText, start: int, stop: int) -> Motif:
    words = _SUMMARY.sub("", text.lines[start].strip()).split()[1:]
    if not words:
        raise text.error("MOTIF without a name", start + 1)
    header = next((i for i in range(start + 1, stop) if text.lines[i].lstrip().startswith(_MATRIX)), None)
    if header is None:
        raise text.error(f"motif {words[0]} has no letter-probability matrix; is the file cut off?", start + 1)
    fields = dict(_FIELD.findall(text.lines[header]))
    if fields.get("alength", "4") != "4":
        raise text.error(f"alength= {fields['alength']}: only DNA motifs (4 letters) can be used", header + 1)
    width = _whole_number(text, fields, "w", header + 1)
    nsites = text.number(fields["nsites"], header + 1) if "nsites" in fields else None
    rows, matrix = _matrix(text, words[0], header, stop, width)
    return motif_of(text, matrix, rows, exact=True, name=words[0], alt_name=" ".join(words[1:]), nsites=nsites)


def _whole_number(text: MotifText, fields: dict[str, str], name: str, row: int) -> int | None:
    if name not in fields:
        return None
    if not fields[name].isdecimal() or int(fields[name]) == 0:
        raise text.error(f"{name}= {fields[name]} is not a whole number above 0", row)
    return int(fields[name])


def _matrix(text: MotifText, name: str, header: int, stop: int, width: int | None) -> tuple[list[int], np.ndarray]:
    rows: list[int] = []
    values: list[list[float]] = []
    for i in range(header + 1, stop):
        line = text.lines[i].strip()
        if not line:
            continue
        if _AFTER_MATRIX.match(line) and not is_number(line.split()[0]):
            break
        if width is not None and len(values) == width:
            if is_number(line.split()[0]) and len(line.split()) == 4:
                raise text.error(f"motif {name} has more rows than w= {width}", i + 1)
            break
        rows.append(i + 1)
        values.append(text.four(line.split(), i + 1))
    if not values:
        raise text.error(f"the matrix of motif {name} has no rows; is the file cut off?", header + 1)
    if width is not None and len(values) < width:
        raise text.error(
            f"the matrix of motif {name} ends after {len(values)} rows of w= {width}; is the file cut off?", rows[-1]
        )
    return rows, np.array(values)


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

    Examples
    --------
    >>> list(format_meme([Motif("m1", [[1, 0, 0, 0]])], np.full(4, 0.25)))[-3:]
    ['MOTIF m1', 'letter-probability matrix: alength= 4 w= 1', ' 1.000000  0.000000  0.000000  0.000000']
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
