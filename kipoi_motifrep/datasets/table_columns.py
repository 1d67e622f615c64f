"""Which column of a table of sequences is what: as the user says, else by header and content."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from kipoi_motifrep.core.errors import InputError, a_few
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.datasets.hdf5 import check_label_names

SEQUENCE_HEADERS = {"seq", "sequence", "sequences", "dna"}
NAME_HEADERS = {"name", "id", "seq_id", "sequence_id"}
RANGE_HEADERS = (
    {"chrom", "chr", "chromosome", "seqnames"},
    {"start", "chromstart", "chrom_start"},
    {"end", "stop", "chromend", "chrom_end"},
)
_CODES = {"1": 1, "true": 1, "0": 0, "false": 0} | dict.fromkeys(
    ["", "-1", "na", "nan", "n/a", "<na>", "#n/a", "none", "null", ".", "?"], -1
)
LOOKED_AT = 100  # rows, for finding columns
SHOWN_COLUMNS = 20
_DNA = re.compile(r"[ACGTN]{8,}", re.IGNORECASE)
_REGION = re.compile(r"(?:.*::)?(\S+?):(\d{1,15})-(\d{1,15})(?:\([-+.]\))?")  # longer numbers are no positions
_BETWEEN_NAMES = re.compile(r"[_,;|\s]+")


@dataclass(frozen=True)
class ColumnChoice:
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

    Raises
    ------
    InputError
        If labels are in columns of their own and in one of digits.
    """

    sequence: str | None = None
    region: str | None = None
    name: str | None = None
    labels: Sequence[str] | None = None
    digits: str | None = None
    label_names: Sequence[str] | None = None
    split: str | None = None

    def __post_init__(self):
        if self.labels and self.digits:
            raise InputError("labels and digits exclude each other")


@dataclass(frozen=True)
class TableColumns:
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

    Examples
    --------
    >>> parse_region("peak_7::chr1:100-300(+)")
    ('chr1', 100, 300)
    """
    found = _REGION.fullmatch(text.strip())
    return (found[1], int(found[2]), int(found[3])) if found else None


def label_code(text: str) -> int | None:
    """Read a label.

    Parameters
    ----------
    text : str
        A cell of a table.

    Returns
    -------
    int or None
        1, 0, or -1 where nothing is known; None if it is no label.

    Examples
    --------
    >>> [label_code(text) for text in ("1", "0.000", "TRUE", "NA", "-1", "1,0", "0.5", "A")]
    [1, 0, 1, -1, -1, 1, None, None]
    """
    text = text.strip().lower()
    if text in _CODES:
        return _CODES[text]
    try:
        value = float(text.replace(",", "."))  # 1,0 in tables with semicolons
    except ValueError:
        return None
    return int(value) if value in (-1, 0, 1) else None


def is_header(fields: Sequence[str]) -> bool:
    """Say whether a table's first row is its header: no sequence, region or label is in it.

    Parameters
    ----------
    fields : sequence of str
        The row.

    Returns
    -------
    bool
        False for a row of data.

    Examples
    --------
    >>> is_header(["name", "sequence", "CEBPB"]), is_header(["site_1", "ACGTACGTAC", "1"])
    (True, False)
    """
    return not any(_DNA.fullmatch(field) or parse_region(field) or field in ("0", "1") for field in fields)


def find_columns(
    path: str | os.PathLike,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    choice: ColumnChoice,
    with_fasta: bool,
    masked: Sequence[str] = (),
) -> TableColumns:
    """Find the columns of one table.

    Parameters
    ----------
    path : str or path-like
        The table, for errors.
    header : sequence of str
        Names of all columns.
    rows : sequence of sequences of str
        Its first rows; at least one, all as long as the header.
    choice : ColumnChoice
        What the user says.
    with_fasta : bool
        Whether the sequences come from elsewhere.
    masked : sequence of str
        Label codes that mean "unknown", beside the usual ones.

    Returns
    -------
    TableColumns
        Where everything is.

    Raises
    ------
    InputError
        If a column is not there, or none holds sequences or labels.

    Examples
    --------
    >>> found = find_columns("t.tsv", ["site", "dna", "MAX"], [["s1", "ACGTACGT", "1"]], ColumnChoice(), False)
    >>> found.sequence, found.labels, found.label_names
    (1, (2,), ('MAX',))
    """
    # For each kind of column: what the user says; else a header that says so; else the first row, where a cell looks
    # like one. Labels come last: all columns that are still free and hold nothing but label codes, unless one header
    # is cut into as many names as its cells have digits.
    lower, finder = [text.lower() for text in header], _Finder(path, header, rows, masked)
    name = finder.place(choice.name, "name")
    if name is None:
        name = _first(lower, NAME_HEADERS)
    split = finder.place(choice.split, "split_column")
    sequence = None if with_fasta else finder.sequence(choice.sequence, lower)
    region = finder.region(choice.region, lower)
    labels, digits, label_names = finder.labels(choice, {sequence, name, split, *region})
    if choice.label_names and len(choice.label_names) != len(label_names):
        raise InputError(f"label_names gives {len(choice.label_names)} names for {len(label_names)} labels", path=path)
    label_names = tuple(choice.label_names or label_names)
    if len(set(label_names)) < len(label_names):
        raise InputError("two labels have one name; give other ones by label_names", path=path)
    check_label_names(label_names, path)
    if with_fasta and name is None:
        name = next((i for i in range(len(header)) if i not in {split, *labels}), None)
    unused = [text for i, text in enumerate(header) if text and i not in {sequence, name, split, *region, *labels}]
    if unused and not choice.labels and not digits:
        say(f"{path}: labels are {a_few(label_names)}; not used: {a_few(unused)}")
    return TableColumns(sequence, region, name, labels, digits, label_names, split)


def _first(texts: Sequence[str], wanted: Set[str]) -> int | None:
    return next((i for i, text in enumerate(texts) if text in wanted), None)


class _Finder:
    """One table's header and first rows."""

    def __init__(
        self, path: str | os.PathLike, header: Sequence[str], rows: Sequence[Sequence[str]], masked: Sequence[str]
    ):
        self._path, self._header, self._rows = path, list(header), rows
        self._masked = {*masked, *map(str.lower, masked)}

    def place(self, column: str | None, option: str) -> int | None:
        return None if column is None else self._place(column, option)

    def _place(self, column: str, option: str) -> int:
        if column in self._header:
            return self._header.index(column)
        if column.isdecimal() and 1 <= int(column) <= len(self._header):
            return int(column) - 1
        raise InputError(
            f"{option}: there is no column {column!r}; there are {a_few(self._header, SHOWN_COLUMNS)}", path=self._path
        )

    def sequence(self, column: str | None, lower: Sequence[str]) -> int:
        if column is not None:
            return self._place(column, "sequence")
        named = _first(lower, SEQUENCE_HEADERS)
        if named is not None:
            return named
        dna = [i for i, field in enumerate(self._rows[0]) if _DNA.fullmatch(field)]
        if not dna:
            raise InputError(
                "no column holds sequences; say which by sequence=COLUMN, or give fasta=FILE", path=self._path
            )
        return max(dna, key=lambda i: len(self._rows[0][i]))

    def region(self, column: str | None, lower: Sequence[str]) -> tuple[int, ...]:
        if column is not None:
            return (self._place(column, "region"),)
        for i, field in enumerate(self._rows[0]):
            if parse_region(field):
                return (i,)
        three = [place for names in RANGE_HEADERS if (place := _first(lower, names)) is not None]
        return tuple(three) if len(three) == 3 else ()

    def labels(self, choice: ColumnChoice, taken: Set[int | None]) -> tuple[tuple[int, ...], bool, tuple[str, ...]]:
        free = [i for i in range(len(self._header)) if i not in taken]
        if choice.digits is not None:
            place = self._place(choice.digits, "digits")
            names = self._names_of_digits(place) or tuple(choice.label_names or ())
            return (place,), True, names or tuple(f"label_{k}" for k in range(1, len(self._rows[0][place]) + 1))
        if not choice.labels:
            for i in free:
                if names := self._names_of_digits(i):
                    return (i,), True, names
        places = tuple(self._place(column, "labels") for column in choice.labels or ()) or tuple(
            i for i in free if self._looks_like_label(i)
        )
        if not places:
            raise InputError("no column holds labels; say which by labels=COLUMN ... or digits=COLUMN", path=self._path)
        return places, False, tuple(self._header[i] for i in places)

    def _names_of_digits(self, i: int) -> tuple[str, ...]:
        """Cut a header into as many names as the column has digits, with or without a word in front."""
        digits = self._rows[0][i]
        if len(digits) < 2 or not digits.isdecimal():
            return ()
        if len({*"".join(row[i] for row in self._rows)} - {*"01"}) > 1:  # numbers: a digit for "unknown" is one
            return ()
        names = tuple(name for name in _BETWEEN_NAMES.split(self._header[i]) if name)
        return names[len(names) - len(digits) :] if len(digits) <= len(names) <= len(digits) + 1 else ()

    def _looks_like_label(self, i: int) -> bool:
        if not self._header[i] or self._header[i].startswith("Unnamed:"):  # an index, as pandas and R write it
            return False
        values = {row[i].strip() for row in self._rows}
        values = {value for value in values if value not in self._masked and value.lower() not in self._masked}
        return any(label_code(value) in (0, 1) for value in values) and all(
            label_code(value) is not None or (len(value) == 1 and value.isdecimal()) for value in values
        )
