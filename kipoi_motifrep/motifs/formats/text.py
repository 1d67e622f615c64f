"""A motif file as lines of text, and how its words and numbers are spelt."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.core.progress import counted, say
from kipoi_motifrep.core.textfile import LONGEST_ROW, open_text

LARGEST_FILE = 1 << 28  # unpacked; the largest collections of motifs have 40 MB
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")
_BETWEEN = re.compile(r"[\s,]+")
_COMMA_WITHIN, _SHARE = re.compile(r"\d+(,\d+)?"), re.compile(r"0,\d+|1,00?|1,0000+")


@dataclass
class MotifText:
    """A motif file as lines of text; rows count from 1.

    Parameters
    ----------
    path : pathlib.Path
        Where it was read.
    lines : list of str
        Its lines without line ends.
    digest : str
        SHA-256 of the file's bytes, hexadecimal.
    rna : bool
        Set by a parser that finds U among the letters.
    remarks : Counter of str
        What a parser had to decide, with ``{motifs}`` for how many motifs.
    """

    path: Path
    lines: list[str]
    digest: str = ""
    rna: bool = False
    remarks: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: str | os.PathLike) -> MotifText:
        """Read a text file, packed or not, with any line ends, in UTF-8 or Latin-1.

        Raises
        ------
        InputError
            If it cannot be read, is no text, or is too large to be a motif file.
        """
        path = Path(path)
        with open_text(path) as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise InputError(
                f"is larger than {LARGEST_FILE >> 20} MB, and no motif file; split it if it is one", path=path
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # older TRANSFAC files
        # Neither has zero bytes: what has them is found to be of no format.
        lines = [] if "\0" in text else text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for row, line in enumerate(lines, 1):
            if len(line) > LONGEST_ROW:
                raise InputError("is longer than a line of a motif file can be", path=path, row=row)
        return cls(path, lines, file_digest(path))

    @property
    def stem(self) -> str:
        """File name without folder and suffixes, as one word: the name of a motif that has none."""
        name = self.path.name
        for suffix in (".gz", ".bz2", ".xz"):
            name = name.removesuffix(suffix)
        return word(Path(name).stem or name)

    def filled(self) -> Iterator[tuple[int, str]]:
        """Go through rows and lines that are not blank, without white space around them."""
        return ((row, line.strip()) for row, line in enumerate(self.lines, 1) if line.strip())

    def error(self, message: str, row: int | None = None) -> InputError:
        """Make the error that names this file and a row."""
        return InputError(message, path=self.path, row=row)

    def say_remarks(self) -> None:
        """Tell the user what was decided, in one line each."""
        for remark, n in self.remarks.items():
            if n:
                say(f"{self.path}: " + remark.format(motifs=counted(n, "motif")))

    def number(self, token: str, row: int) -> float:
        """Read one number that is finite and not negative."""
        if not _NUMBER.match(token):
            raise self.error(f"{token[:40]!r} is not a number", row)
        value = float(token)
        if value < 0:
            raise self.error(f"{token} is negative; a matrix of probabilities or counts is needed, not log-odds", row)
        if value == float("inf"):
            raise self.error(f"{token} is too large", row)
        return value

    def four(self, tokens: Sequence[str], row: int) -> list[float]:
        """Read the four numbers A C G T of one position."""
        if len(tokens) != 4:
            raise self.error(f"expected 4 numbers (A C G T), found {len(tokens)}", row)
        return [self.number(token, row) for token in tokens]

    def note_letters(self, letters: Sequence[str], row: int) -> None:
        """See that the names of four columns are A C G T, or U for T."""
        found = "".join(letters).upper()
        if found.replace("U", "T") != BASES:
            raise self.error(f"the columns are {' '.join(letters)}, not A C G T", row)
        self.rna |= "U" in found


def words_of(line: str) -> list[str]:
    """Split a line at white space and commas; quotes around words are taken off.

    Between words a comma has a blank behind it, or no blanks stand between any. In a number it is a decimal
    point where it can be no other: ``0,25`` of probabilities. ``1,200`` is left as it is, and refused as no number.

    Examples
    --------
    >>> words_of('"1", 0.5 .5'), words_of(" "), words_of("0,25 0,75"), words_of("1,2")
    (['1', '0.5', '.5'], [], ['0.25', '0.75'], ['1', '2'])
    """
    words = line.split()
    if len(words) > 1 and all(map(_COMMA_WITHIN.fullmatch, words)) and "," in line:
        return [one.replace(",", ".") if _SHARE.fullmatch(one) else one for one in words]
    return [one.strip("\"'") for one in _BETWEEN.split(line.strip()) if one]


def is_number(token: str) -> bool:
    """Tell whether a word of a motif file is a number.

    Examples
    --------
    >>> is_number("1e-3"), is_number("nan"), is_number("A")
    (True, False, False)
    """
    return bool(_NUMBER.match(token))


def word(name: str) -> str:
    """Name as one word: white space becomes ``_``.

    Examples
    --------
    >>> word("my  motif")
    'my_motif'
    """
    return "_".join(name.split())


def decimal(value: float) -> str:
    """Probability with 6 decimals, or as many more as it takes to read the same number back.

    Examples
    --------
    >>> decimal(0.25), decimal(1 / 3)
    ('0.250000', '0.3333333333333333')
    """
    return np.format_float_positional(value, unique=True, min_digits=6, trim="k")


def plain(value: float) -> str:
    """Count without a needless fraction; reads back as the same number.

    Examples
    --------
    >>> plain(20.0), plain(2.5)
    ('20', '2.5')
    """
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
