"""Which column of a table of sequences is what: as the user says, else by header and content."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kipoi_motifrep.core.errors import InputError, a_few

SEQUENCE_HEADERS = {"seq", "sequence", "sequences", "dna"}
NAME_HEADERS = {"name", "id", "seq_id", "sequence_id"}
RANGE_HEADERS = ({"chrom", "chr", "chromosome", "seqnames"}, {"start", "chromstart", "chrom_start"},
                 {"end", "stop", "chromend", "chrom_end"})
POSITIVE, NEGATIVE = {"1", "1.0", "true"}, {"0", "0.0", "false"}
MASKED = {"", "-1", "-1.0", "na", "nan", "n/a", ".", "?"}
LOOKED_AT = 100  # rows, for finding columns
SHOWN_COLUMNS = 20
_DNA = re.compile(r"[ACGTN]{8,}", re.IGNORECASE)
_REGION = re.compile(r"(?:.*::)?([^\s:]+):(\d+)-(\d+)(?:\([-+.]\))?")
_BETWEEN_NAMES = re.compile(r"[_,;|\s]+")


@dataclass(frozen=True)
class Columns:
    """What the user says of a table's columns; headers, or numbers from 1.

    Attributes
    ----------
    sequence, region, name : str, optional
        One column each.
    labels : sequence of str, optional
        One column a label.
    digits : str, optional
        One column with a digit a label.
    label_names : sequence of str, optional
        Instead of the headers.
    split : str, optional
        Column with train, valid or test.
    """

    sequence: str | None = None
    region: str | None = None
    name: str | None = None
    labels: Sequence[str] | None = None
    digits: str | None = None
    label_names: Sequence[str] | None = None
    split: str | None = None


@dataclass(frozen=True)
class Layout:
    """Places of the columns in a row; None where there is none.

    Attributes
    ----------
    sequence, name, split : int or None
        One column each.
    region : tuple of int
        One column with chromosome and range, or three, or none.
    labels : tuple of int
        One column a label, or the one of digits.
    digits : bool
        Whether that one column holds all labels.
    label_names : tuple of str
        One name a label.
    """

    sequence: int | None
    region: tuple[int, ...]
    name: int | None
    labels: tuple[int, ...]
    digits: bool
    label_names: tuple[str, ...]
    split: int | None


def parse_region(text: str) -> tuple[str, int, int] | None:
    """Read a region written as ``chr1:100-300``.

    Parameters
    ----------
    text : str
        Also with a strand behind it, or a name and ``::`` in front.

    Returns
    -------
    tuple of (str, int, int), or None
        Chromosome, start and end as written; None if the text is no region.
    """
    found = _REGION.fullmatch(text.strip())
    return (found[1], int(found[2]), int(found[3])) if found else None


def is_header(fields: Sequence[str]) -> bool:
    """Say whether a table's first row is its header: no sequence, region or label is in it."""
    return not any(_DNA.fullmatch(field) or parse_region(field) or field in ("0", "1") for field in fields)


class Finder:
    """Find the columns of one table.

    Parameters
    ----------
    path : str or path-like
        The table, for errors.
    header : sequence of str
        Names of all columns.
    rows : sequence of sequences of str
        Its first rows; at least one, all as long as the header.
    """

    def __init__(self, path: str | os.PathLike, header: Sequence[str], rows: Sequence[Sequence[str]]):
        self._path, self._header, self._rows = path, list(header), rows

    def layout(self, columns: Columns, with_fasta: bool) -> Layout:
        """Find all columns.

        Parameters
        ----------
        columns : Columns
            What the user says.
        with_fasta : bool
            Whether the sequences come from elsewhere.

        Returns
        -------
        Layout
            Where everything is.

        Raises
        ------
        InputError
            If a column is not there, or none holds sequences or labels.
        """
        sequence = None if with_fasta else self._sequence(columns.sequence)
        region = self._region(columns.region)
        split = self._place(columns.split, "--split-column")
        name = self._place(columns.name, "--name")
        if name is None:
            name = next((i for i, text in enumerate(self._header) if text.lower() in NAME_HEADERS), None)
        taken = {sequence, name, split, *region}
        labels, digits, names = self._labels(columns, taken)
        if columns.label_names and len(columns.label_names) != len(names):
            raise InputError(f"--label-names gives {len(columns.label_names)} names for {len(names)} labels",
                             path=self._path)
        names = tuple(columns.label_names or names)
        if len(set(names)) < len(names):
            raise InputError("two labels have one name; give other ones with --label-names", path=self._path)
        if with_fasta and name is None:
            name = next((i for i in range(len(self._header)) if i not in {split, *labels}), None)
        return Layout(sequence, region, name, labels, digits, names, split)

    def _place(self, column: str | None, option: str) -> int | None:
        if column is None:
            return None
        if column in self._header:
            return self._header.index(column)
        if column.isdecimal() and 1 <= int(column) <= len(self._header):
            return int(column) - 1
        raise InputError(f"{option}: there is no column {column!r}; there are {a_few(self._header, SHOWN_COLUMNS)}",
                         path=self._path)

    def _sequence(self, column: str | None) -> int:
        if column is not None:
            return self._place(column, "--sequence")
        for i, text in enumerate(self._header):
            if text.lower() in SEQUENCE_HEADERS:
                return i
        dna = [i for i, field in enumerate(self._rows[0]) if _DNA.fullmatch(field)]
        if not dna:
            raise InputError("no column holds sequences; say which with --sequence COLUMN, or give --fasta FILE",
                             path=self._path)
        return max(dna, key=lambda i: len(self._rows[0][i]))

    def _region(self, column: str | None) -> tuple[int, ...]:
        if column is not None:
            return (self._place(column, "--region"),)
        for i, field in enumerate(self._rows[0]):
            if parse_region(field):
                return (i,)
        lower = [text.lower() for text in self._header]
        three = [next((i for i, text in enumerate(lower) if text in names), None) for names in RANGE_HEADERS]
        return () if None in three else tuple(three)

    def _labels(self, columns: Columns, taken: set[int | None]) -> tuple[tuple[int, ...], bool, tuple[str, ...]]:
        if columns.labels and columns.digits:
            raise InputError("--labels and --digits exclude each other")
        if columns.labels:
            places = tuple(self._place(column, "--labels") for column in columns.labels)
            return places, False, tuple(self._header[i] for i in places)
        if columns.digits is not None:
            place = self._place(columns.digits, "--digits")
            return (place,), True, self._digit_names(place, columns.label_names)
        for i in range(len(self._header)):
            if i not in taken and self._names_in_header(i):
                return (i,), True, self._names_in_header(i)
        places = tuple(i for i in range(len(self._header)) if i not in taken and self._looks_like_label(i))
        if not places:
            raise InputError("no column holds labels; say which with --labels COLUMN ... or --digits COLUMN",
                             path=self._path)
        return places, False, tuple(self._header[i] for i in places)

    def _names_in_header(self, i: int) -> tuple[str, ...]:
        """Cut a header into as many names as the column has digits, with or without a word in front."""
        digits = self._rows[0][i]
        if len(digits) < 2 or not digits.isdecimal():
            return ()
        names = tuple(name for name in _BETWEEN_NAMES.split(self._header[i]) if name)
        return names[len(names) - len(digits):] if len(digits) <= len(names) <= len(digits) + 1 else ()

    def _digit_names(self, i: int, given: Sequence[str] | None) -> tuple[str, ...]:
        names = self._names_in_header(i)
        if names or given:
            return names or tuple(given)
        return tuple(f"label_{k}" for k in range(1, len(self._rows[0][i]) + 1))

    def _looks_like_label(self, i: int) -> bool:
        values = {row[i].strip().lower() for row in self._rows}
        codes = POSITIVE | NEGATIVE
        return bool(values & codes) and all(value in codes | MASKED or (len(value) == 1 and value.isdecimal())
                                            for value in values)


class LabelCodes:
    """Turn the texts of labels into 1, 0 and -1.

    Parameters
    ----------
    masked : sequence of str
        Codes that mean "unknown", beside the usual ones.
    """

    def __init__(self, masked: Sequence[str] = ()):
        self._codes = {**dict.fromkeys(POSITIVE, 1), **dict.fromkeys(NEGATIVE, 0), **dict.fromkeys(MASKED, -1),
                       **dict.fromkeys((code.lower() for code in masked), -1)}

    def read(self, texts: Sequence[str], names: Sequence[str], path: str | os.PathLike, row: int) -> list[int]:
        """Read the labels of one row.

        Parameters
        ----------
        texts, names : sequence of str
            Codes, and the labels they are of.
        path : str or path-like
            The table, for errors.
        row : int
            Line of it.

        Returns
        -------
        list of int
            1, 0 or -1 each.

        Raises
        ------
        InputError
            If there are too few or too many, or one is unknown.
        """
        if len(texts) != len(names):
            raise InputError(f"has {len(texts)} label digits, and there are {len(names)} labels", path=path, row=row)
        try:
            return [self._codes[text] for text in texts]
        except KeyError:
            pass
        found = [self._codes.get(text.strip().lower()) for text in texts]
        if None in found:
            i = found.index(None)
            raise InputError(f"label {names[i]} is {texts[i]!r}, neither 0 nor 1; if it means 'unknown', give --masked "
                             f"{texts[i].strip()}, or choose other columns with --labels", path=path, row=row)
        return found
