"""Lines of a motif file, and the checks that every format shares."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs.motif import ROW_SUM_TOLERANCE, Motif

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


@dataclass(frozen=True)
class Source:
    """A motif file as lines of text; rows count from 1.

    Parameters
    ----------
    path : pathlib.Path
        Where it was read.
    lines : list of str
        Its lines without line ends.
    digest : str
        SHA-256 of the file's bytes, hexadecimal.
    """

    path: Path
    lines: list[str]
    digest: str = ""

    @classmethod
    def read(cls, path: str | Path) -> Source:
        """Read a text file, gzip-compressed or not, with any line ends."""
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read this motif file ({(error.strerror or str(error)).lower()})",
                             path=path) from None
        text = _decode(_expand(data, path))
        return cls(path, text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), hashlib.sha256(data).hexdigest())

    @property
    def stem(self) -> str:
        """File name without folder and suffixes: the name of a motif that has none."""
        name = self.path.name.removesuffix(".gz")
        return Path(name).stem or name

    def error(self, message: str, row: int | None = None) -> InputError:
        """Make the error that names this file and a row."""
        return InputError(message, path=self.path, row=row)

    def number(self, token: str, row: int) -> float:
        """Read one non-negative, finite number."""
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

    def check_rows(self, matrix: np.ndarray, rows: Sequence[int]) -> None:
        """Refuse rows of probabilities that do not sum to 1; `rows` are their line numbers."""
        for total, row in zip(matrix.sum(axis=1), rows, strict=True):
            if abs(total - 1) > ROW_SUM_TOLERANCE:
                raise self.error(f"probabilities sum to {total:g}, not 1", row)

    def matrix_of_letters(self, letter_rows: Sequence[tuple[int, Sequence[str]]]) -> np.ndarray:
        """Turn four rows (A, C, G, T), one number a position, into (width, 4)."""
        first = letter_rows[0][0]
        if len(letter_rows) != 4:
            raise self.error(f"the matrix has {len(letter_rows)} rows instead of 4 (A, C, G, T); is the file cut off?",
                             letter_rows[-1][0])
        width = len(letter_rows[0][1])
        if width == 0:
            raise self.error("the matrix has no positions", first)
        for row, tokens in letter_rows[1:]:
            if len(tokens) != width:
                raise self.error(f"this row has {len(tokens)} numbers, the first of its matrix has {width}", row)
        return np.array([[self.number(token, row) for token in tokens] for row, tokens in letter_rows]).T

    def motif_of(self, matrix: np.ndarray, rows: Sequence[int], **fields) -> Motif:
        """Make a motif of a matrix that holds probabilities (every row sums to 1) or else counts."""
        total = matrix.sum(axis=1)
        if np.all(np.abs(total - 1) <= ROW_SUM_TOLERANCE):
            return Motif(pwm=matrix, **fields)
        empty = np.flatnonzero(total == 0)
        if len(empty):
            raise self.error(f"position {empty[0] + 1} of motif {fields['name']} has no counts", rows[empty[0]])
        nsites = fields.pop("nsites", None)
        return Motif(pwm=matrix / total[:, None], counts=matrix,
                     nsites=round(float(total[0]), 6) if nsites is None else nsites, **fields)


def is_number(token: str) -> bool:
    """Tell whether a word of a motif file is a number."""
    return bool(_NUMBER.match(token))


def is_acgt(letters: Sequence[str]) -> bool:
    """Tell whether column titles are A C G T, or U for T."""
    return "".join(letters).upper().replace("U", "T") == BASES


def _expand(data: bytes, path: Path) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"this gzip file is damaged or cut off ({error})", path=path) from None


def _decode(data: bytes) -> str:
    if b"\0" in data:
        # Neither UTF-8 nor Latin-1 text has zero bytes; detection will say that it is no motif file.
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # older TRANSFAC files
