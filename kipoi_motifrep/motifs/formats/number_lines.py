"""Lines of numbers with optional labels: the matrix that all motif formats have in common.

A matrix is written with a row a position or a row a letter, as counts or as
probabilities. Labels say which where there are any; else the sums do, for the numbers
of one position add up to the same total in all positions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kipoi_motifrep.core.letters import BASES, IUPAC
from kipoi_motifrep.motifs.formats.text import MotifText, is_number, words_of
from kipoi_motifrep.motifs.motif import ROW_SUM_TOLERANCE, Motif

FLAT = "positions without counts in {motifs}, taken as flat"
SCALED = "probabilities that do not sum to 1 in {motifs}, divided by their sums"
UNEVEN = "numbers in {motifs} that are not whole and have another sum at each position, taken as counts"
UNDECIDED = "4 x 4 numbers of {motifs} could be read in two ways; a row is taken as a letter, as JASPAR writes them"
# Sums of a position that differ by less are the same total, rounded.
_SAME_TOTAL = 0.02
_LABEL = re.compile(rf"([{''.join(IUPAC)}U])\s*([\[|:])|([{''.join(IUPAC)}U])[\s,]+(?=[-+.\d\[])", re.IGNORECASE)


class Line(NamedTuple):
    """One line of a matrix.

    Attributes
    ----------
    row : int
        Its place in the file, from 1.
    letter : str
        The letter in front, in capitals, if there is one: a base, or the consensus at a position.
    mark : str
        What stands behind that letter: ``[``, ``|`` or ``:``, which only the rows of bases have.
    words : list of str
        The numbers.
    closed : bool
        False if an opening bracket has no closing one.
    """

    row: int
    letter: str
    mark: str
    words: list[str]
    closed: bool = True


def read_line(line: str, row: int) -> Line:
    """Split a line of a matrix; whether its words are numbers is for later.

    Parameters
    ----------
    line : str
        Without white space around it.
    row : int
        Its place in the file.

    Returns
    -------
    Line

    Examples
    --------
    >>> read_line("A  [ 3 1 ]", 1)
    Line(row=1, letter='A', mark='[', words=['3', '1'], closed=True)
    >>> read_line("R 0.45 0.07 0.35 0.13", 7).letter, read_line("- 1 0 0 0", 8).words
    ('R', ['1', '0', '0', '0'])
    """
    line = line.removeprefix("- ").strip()  # an item of a list in YAML
    line = line.replace('"', "") if line.startswith('"') else line  # as R writes letters
    found = _LABEL.match(line)
    letter, mark = ((found[1] or found[3]).upper(), found[2] or "") if found else ("", "")
    rest = line[found.end(1 if found[1] else 3) :].lstrip(" \t:|,") if found else line
    if rest.startswith("["):
        return Line(row, letter, "[", words_of(rest[1:].removesuffix("]")), rest.endswith("]"))
    return Line(row, letter, mark, words_of(rest))


def is_line(line: Line) -> bool:
    """Tell whether a line is of a matrix by itself, without a header above that says so.

    Parameters
    ----------
    line : Line
        Any line of text, read by :func:`read_line`.

    Returns
    -------
    bool
        A letter with one number (``A: 0.25``) is a background or a key, not a row.

    Examples
    --------
    >>> [is_line(read_line(text, 1)) for text in ("0.1 0.2 0.3 0.4", "A: 0.25", "A: 1 2 3", "MOTIF 1")]
    [True, False, True, False]
    """
    if line.mark == "[":
        return bool(line.letter) or all(map(is_number, line.words))
    if line.mark:
        return line.letter in BASES + "U" and len(line.words) != 1
    return all(map(is_number, line.words)) and len(line.words) > bool(line.letter)


def rows_are_positions(matrices: Sequence[Sequence[Line]], known: Sequence[bool | None]) -> list[bool | None]:
    """Tell of each matrix of a file whether its rows are positions, or else letters.

    What labels and shapes say comes first, then what they say of the other matrices of
    the file, then the sums: the direction in which all sums of a matrix are the same.

    Parameters
    ----------
    matrices : sequence of sequences of Line
        The file's matrices, each with at least one line.
    known : sequence of bool or None
        What is known by other means, for example from a header.

    Returns
    -------
    list of bool or None
        None where nothing decides.

    Examples
    --------
    >>> by_position = [read_line(text, 1) for text in ("9 0 1 0", "0 0 2 8", "7 1 1 1", "5 5 0 0")]
    >>> rows_are_positions([by_position], [None])
    [True]
    """
    found = [_by_shape(lines) if one is None else one for lines, one in zip(matrices, known, strict=True)]
    said = [one for one in found if one is not None]
    if said:
        return [2 * sum(said) > len(said) if one is None else one for one in found]
    try:
        values = np.array([[line.words for line in lines] for lines in matrices], float)
    except ValueError:  # no numbers, which reading them will say
        return [None] * len(found)

    def same(axis: int) -> bool:
        total = values.sum(axis=axis)
        return bool(np.all(np.ptp(total, axis=1) <= _SAME_TOTAL * np.abs(total).max(axis=1)))

    by_row, by_column = same(2), same(1)
    return [by_row if by_row != by_column else None] * len(found)


def _by_shape(lines: Sequence[Line]) -> bool | None:
    if any(line.mark for line in lines):
        return False
    letters = "".join(line.letter for line in lines).replace("U", "T")
    in_fours = 2 * sum(len(line.words) == 4 for line in lines) > len(lines)
    square = in_fours and len(lines) == 4
    if letters:
        # Four positions may happen to have the consensus ACGT.
        return (None if square else False) if BASES.startswith(letters) else in_fours
    return None if square else in_fours


def motif_of_lines(text: MotifText, lines: Sequence[Line], positions: bool | None, *, exact: bool, **fields) -> Motif:
    """Make a motif of the lines of its matrix.

    Parameters
    ----------
    text : MotifText
        The file.
    lines : sequence of Line
        At least one.
    positions : bool or None
        Whether a line is a position. None: not known.
    exact : bool
        Whether all positions must sum to 1 where most do.
    **fields
        Of the motif: its name and what else is known.

    Returns
    -------
    Motif

    Raises
    ------
    InputError
        Names the row and what is wrong there.

    Examples
    --------
    >>> from pathlib import Path
    >>> lines = [read_line(text, row) for row, text in enumerate(("A [9 0]", "C [0 5]", "G [1 0]", "T [0 5]"), 2)]
    >>> motif_of_lines(MotifText(Path("m"), []), lines, False, exact=False, name="m")
    <Motif m, width 2, AY>
    """
    if positions:
        return motif_of(
            text,
            np.array([text.four(line.words, line.row) for line in lines]),
            [line.row for line in lines],
            exact=exact,
            **fields,
        )
    if positions is None:
        text.remarks[UNDECIDED] += 1
    if len(lines) > 4:
        raise text.error(f"motif {fields['name']} has more than 4 rows (A, C, G, T)", lines[4].row)
    for line, letter in zip(lines, BASES, strict=False):
        if line.letter and line.letter.replace("U", "T") != letter:
            raise text.error(f"expected the row of {letter}, found {line.letter}", line.row)
        if not line.closed:
            raise text.error("no closing bracket; is the file cut off?", line.row)
        text.rna |= line.letter == "U"
    if len(lines) < 4:
        raise text.error(
            f"the matrix has {len(lines)} rows instead of 4 (A, C, G, T); is the file cut off?", lines[-1].row
        )
    width = len(lines[0].words)
    if width == 0:
        raise text.error("the matrix has no positions", lines[0].row)
    for line in lines[1:]:
        if len(line.words) != width:
            raise text.error(f"this row has {len(line.words)} numbers, the first of its matrix has {width}", line.row)
    matrix = np.array([[text.number(one, line.row) for one in line.words] for line in lines]).T
    return motif_of(text, matrix, [lines[0].row] * width, exact=exact, **fields)


def motif_of(text: MotifText, matrix: np.ndarray, rows: Sequence[int], *, exact: bool = False, **fields) -> Motif:
    """Make a motif of a matrix that holds probabilities or counts.

    Probabilities are meant where most positions sum to about 1; whole numbers, and numbers
    with larger sums, are counts, and positions may have different totals. A position whose
    numbers are all 0 says nothing and is flat.

    Parameters
    ----------
    text : MotifText
        The file.
    matrix : numpy.ndarray, shape (width, 4)
        Not negative.
    rows : sequence of int
        Row of each position, for errors.
    exact : bool, default False
        Refuse single positions of probabilities that do not sum to 1; by default they are
        divided by their sum, for collections have one such motif in thousands.
    **fields
        Of the motif: its name and what else is known.

    Returns
    -------
    Motif
        With counts, if they are counts, and their number at the first position that has
        any as ``nsites``, unless it is among `fields`.

    Raises
    ------
    InputError
        If `exact` probabilities do not sum to 1.

    Examples
    --------
    >>> from pathlib import Path
    >>> motif_of(MotifText(Path("m"), []), np.array([[9, 0, 1, 0], [0, 0, 0, 0]]), [1, 2], name="m").pwm
    array([[0.9 , 0.  , 0.1 , 0.  ],
           [0.25, 0.25, 0.25, 0.25]])
    """
    total = matrix.sum(axis=1)
    empty = total == 0
    if empty.any():
        text.remarks[FLAT] += 1
    off = ~empty & (np.abs(total - 1) > ROW_SUM_TOLERANCE)
    pwm = np.where(empty[:, None], 0.25, matrix)
    if not off.any():
        return Motif(pwm=pwm, **fields)
    scaled = pwm / pwm.sum(axis=1, keepdims=True)
    if np.median(total[~empty]) < 1.5 and (matrix % 1).any():
        if exact:
            at = int(off.argmax())
            raise text.error(f"probabilities sum to {total[at]:g}, not 1", rows[at])
        text.remarks[SCALED] += 1
        return Motif(pwm=np.where(off[:, None], scaled, pwm), **fields)
    # Weighted counts have one total; scores of a network or relative affinities do not.
    if (matrix % 1).any() and np.ptp(total[~empty]) > _SAME_TOTAL * total.max():
        text.remarks[UNEVEN] += 1
    if fields.get("nsites") is None:
        fields["nsites"] = round(float(total[~empty][0]), 6)
    return Motif(pwm=scaled, counts=matrix, **fields)
