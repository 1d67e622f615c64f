"""Tables with tabs between the columns and a header."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import replacing

LONGEST_ROW = 1 << 17  # characters; csv's own limit is the whole program's, and others raise it


def read_table(path: str | os.PathLike) -> list[dict[str, str]]:
    """Read a table.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    list of dict of str to str
        Header to text, row by row.

    Raises
    ------
    InputError
        If it is no text, or a row is far too long for a table.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(_of_a_tables_length(file), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"is no table with tabs between its columns ({error})", path=path) from error


def _of_a_tables_length(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if len(line) > LONGEST_ROW:
            raise csv.Error(f"a row of {len(line)} characters")
        yield line


def write_table(path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequences
        As long as the header; None is empty. Texts with tabs, line ends or quotes in them are quoted.

    Examples
    --------
    >>> write_table("filters.tsv", ["filter", "sites"], [("filter0", 12), ("filter1", None)])
    >>> read_table("filters.tsv")
    [{'filter': 'filter0', 'sites': '12'}, {'filter': 'filter1', 'sites': ''}]
    """
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
