"""Tables of sequences and labels, or FASTA and a table of labels, to a dataset file."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress, say
from kipoi_motifrep.datasets.hdf5 import SPLITS, create_dataset
from kipoi_motifrep.datasets.sources import describe_sources
from kipoi_motifrep.datasets.splits import NONE, Splitter, check_seed, deal_by_key
from kipoi_motifrep.datasets.table_columns import (
    LOOKED_AT,
    Columns,
    Finder,
    LabelCodes,
    Layout,
    is_header,
    parse_region,
)
from kipoi_motifrep.sequences.alphabet import CODE_OF_BYTE, INVALID, reverse_complement
from kipoi_motifrep.sequences.fasta import read_fasta, resize
from kipoi_motifrep.sequences.intervals import WIDEST
from kipoi_motifrep.sequences.spool import Spool, TextSpool
from kipoi_motifrep.sequences.textfile import open_text

ROWS_AT_ONCE = 4096
LONGEST_FIELD = 1 << 27
SPLIT_NAMES = {"train": 0, "training": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2, "testing": 2}


class Entry(NamedTuple):
    """One row of a table.

    Attributes
    ----------
    row : int
        Line of the file, from 1.
    sequence, name : str
        Texts; empty where there is no such column.
    labels : list of int
        1, 0 or -1.
    region : tuple of (str, int, int), or None
        Chromosome, start, end.
    split : int
        0 to 2, or -1 without such a column.
    """

    row: int
    sequence: str
    name: str
    labels: list[int]
    region: tuple[str, int, int] | None
    split: int


def _read_rows(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Go through the rows of a TSV or CSV file with their line numbers, blank lines and ``##`` comments left out."""
    csv.field_size_limit(LONGEST_FIELD)
    with open_text(path) as file:
        lines = io.TextIOWrapper(file, "utf-8-sig", "replace", newline="")
        number, first = 0, ""
        while not first.strip() or first.startswith("##"):
            first = lines.readline()
            number += 1
            if not first:
                raise InputError("the file is empty" if number == 1 else "holds no rows", path=path)
        delimiter = next((mark for mark in "\t,;" if mark in first), " ")
        first = first.rstrip("\r\n")
        yield number, next(csv.reader([first.removeprefix("#").lstrip()], delimiter=delimiter))
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for begin, fields in enumerate(reader, 1):
                if reader.line_num != begin:
                    raise InputError(f"a field that begins with a quotation mark goes on to row "
                                     f"{number + reader.line_num}; take the mark out, or the line break in the field",
                                     path=path, row=number + begin)
                if fields:
                    yield number + begin, fields
        except csv.Error as error:
            raise InputError(f"cannot be read as a table ({error})", path=path, row=number + reader.line_num) from error


def open_table(path: str | os.PathLike, columns: Columns, masked: Sequence[str],
               with_fasta: bool) -> tuple[Layout, Iterator[Entry]]:
    """Find the columns of a table and begin to read it.

    Parameters
    ----------
    path : str or path-like
        TSV or CSV, plain or gzip, with or without a header; ``-`` for standard input.
    columns : Columns
        What the user says of the columns.
    masked : sequence of str
        Label codes that mean "unknown".
    with_fasta : bool
        Whether the sequences come from elsewhere.

    Returns
    -------
    layout : Layout
        What was found.
    entries : iterator of Entry
        All rows.

    Raises
    ------
    InputError
        If the table is empty or a column is missing; from the iterator, with
        the row, if a row is wrong.
    """
    rows = _read_rows(path)
    first_number, first = next(rows)
    with_header = is_header(first)
    header = [field.strip() for field in first] if with_header else [str(i) for i in range(1, len(first) + 1)]
    looked_at = [] if with_header else [(first_number, first)]
    looked_at += islice(rows, LOOKED_AT)
    if not looked_at:
        raise InputError("has a header and no rows", path=path)
    for number, fields in looked_at:
        _check_width(path, number, fields, header)
    layout = Finder(path, header, [fields for _, fields in looked_at]).layout(columns, with_fasta)
    return layout, _entries(path, looked_at, rows, header, layout, LabelCodes(masked))


def _check_width(path, number, fields, header):
    if len(fields) != len(header):
        raise InputError(f"has {len(fields)} columns, and the first row has {len(header)}; add or take out separators, "
                         "or a quotation mark that hides some", path=path, row=number)


def _entries(path, looked_at, rows, header, layout, codes):
    for part in (looked_at, rows):
        for number, fields in part:
            _check_width(path, number, fields, header)
            texts = fields[layout.labels[0]].strip() if layout.digits else [fields[i] for i in layout.labels]
            labels = codes.read(texts, layout.label_names, path, number)
            region = _region(path, number, [fields[i] for i in layout.region])
            name = "" if layout.name is None else fields[layout.name].strip()
            _check_name(path, number, name)
            if not name and region:
                name = f"{region[0]}:{region[1]}-{region[2]}"
            split = -1 if layout.split is None else _split(path, number, fields[layout.split])
            sequence = "" if layout.sequence is None else fields[layout.sequence].strip()
            yield Entry(number, sequence, name, labels, region, split)


def _check_name(path, number, name):
    if "\0" in name:
        raise InputError(f"the name {name!r} holds a NUL character; take it out", path=path, row=number)


def _region(path, number, texts):
    if not texts:
        return None
    try:
        region = parse_region(texts[0]) if len(texts) == 1 else (texts[0].strip(), int(texts[1]), int(texts[2]))
    except ValueError:
        region = None
    if region is None or region[1] >= region[2]:
        raise InputError(f"{' '.join(texts)!r} is no region; write it as chr1:100-300, or choose another column with "
                         "--region", path=path, row=number)
    return region


def _split(path, number, text):
    try:
        return SPLIT_NAMES[text.strip().lower()]
    except KeyError as error:
        raise InputError(f"split is {text!r}; it must be train, valid or test", path=path, row=number) from error


class _Sequences:
    """Sequences of one length in a temporary file, with a key that equal ones share."""

    def __init__(self, path: str | os.PathLike, length: int | None, seed: int):
        self.path, self.length = path, length
        self._resized, self._row = length is not None, 0
        self._seed = str(seed).encode()
        self._waiting: list[np.ndarray] = []
        self._spool: Spool | None = None
        self._keys: list[int] = []

    def add_text(self, row: int, text: str) -> None:
        codes = np.frombuffer(text.encode("ascii", "replace").translate(CODE_OF_BYTE), np.uint8)
        if not len(codes):
            raise InputError("the sequence is empty", path=self.path, row=row)
        if codes.max() >= INVALID:
            wrong = text[int((codes == INVALID).argmax())]
            raise InputError(f"{wrong!r} in the sequence is no DNA letter; replace it, for example with N, or choose "
                             "another column with --sequence", path=self.path, row=row)
        self.add(row, codes)

    def add(self, row: int, codes: np.ndarray) -> None:
        if self.length is None:
            self.length, self._row = len(codes), row
        if self._resized:
            codes = resize(codes, self.length)
        elif len(codes) != self.length:
            raise InputError(f"the sequence is {len(codes)} bp, and that of row {self._row} is {self.length}; give "
                             f"--length {self.length} to cut or pad all about their centre", path=self.path, row=row)
        either_strand = min(codes.tobytes(), reverse_complement(codes).tobytes())
        self._keys.append(int.from_bytes(hashlib.blake2b(either_strand, digest_size=8, key=self._seed).digest()))
        self._waiting.append(codes)
        if len(self._waiting) == ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._spool is None:
            self._spool = Spool(np.uint8, (self.length,))
        self._spool.append(np.stack(self._waiting))
        self._waiting.clear()

    def keys(self) -> np.ndarray:
        return np.array(self._keys, np.uint64)

    def read(self, start: int, stop: int) -> np.ndarray:
        if self._waiting:
            self._flush()
        return self._spool.read(start, stop)


class _Rows:
    """All of a table but its sequences."""

    def __init__(self, path: str | os.PathLike, layout: Layout):
        self.path, self.layout, self.names = path, layout, TextSpool()
        self._labels: list[np.ndarray] = []
        self._waiting: list[Entry] = []
        self._number: dict[str, int] = {}
        self._regions: list[tuple[int, int, int]] = []
        self._splits: list[int] = []

    def add(self, entry: Entry) -> None:
        self._waiting.append(entry)
        if entry.region is not None:
            chromosome, start, end = entry.region
            self._regions.append((self._number.setdefault(chromosome, len(self._number)), start, end))
        self._splits.append(entry.split)
        if len(self._waiting) == ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._labels.append(np.array([entry.labels for entry in self._waiting], np.int8))
            self.names.append([entry.name or f"row_{entry.row}" for entry in self._waiting])
        self._waiting.clear()

    def labels(self) -> np.ndarray:
        self._flush()
        return np.concatenate(self._labels)

    def deal(self, splitter: Splitter, kept: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Give the split of each row, ``NONE`` where it is not kept."""
        split = np.full(len(kept), NONE, np.int8)
        if self.layout.split is not None:
            split[kept] = np.array(self._splits, np.int8)[kept]
        elif len(self._regions) == len(kept):
            regions = np.array(self._regions, np.int64)
            for name, number in self._number.items():
                rows = np.flatnonzero(kept & (regions[:, 0] == number))
                if len(rows):
                    split[rows] = splitter.assign(name, *regions[rows, 1:].T)
            splitter.check_all_seen()
        elif splitter.by_region:
            raise InputError("has no regions, so no chromosomes can be held out; give --region COLUMN, or fractions as "
                             "--valid 0.1 --test 0.2", path=self.path)
        else:
            split[kept] = deal_by_key(keys[kept], splitter.fractions)
        return split


def _read_table(path, columns, masked, length, seed) -> tuple[_Rows, _Sequences]:
    layout, entries = open_table(path, columns, masked, with_fasta=False)
    rows, sequences = _Rows(path, layout), _Sequences(path, length, seed)
    for entry in progress(entries, "reading the table", unit="row"):
        sequences.add_text(entry.row, entry.sequence)
        rows.add(entry)
    return rows, sequences


def _read_with_fasta(path, fasta, columns, masked, length, seed) -> tuple[_Rows, _Sequences]:
    """Pair the rows of a table with the records of a FASTA file: by name where any name agrees, else by order."""
    layout, read = open_table(path, columns, masked, with_fasta=True)
    entries = list(progress(read, "reading the labels", unit="row"))
    entry_of = {entry.name: entry for entry in entries}
    by_name = columns.name is not None
    rows, sequences = _Rows(path, layout), _Sequences(fasta, length, seed)
    n, used = 0, set()
    for n, record in enumerate(progress(read_fasta(fasta), "reading the sequences", unit="sequence"), 1):
        _check_name(fasta, record.row, record.name)
        if not by_name and record.name in entry_of:
            by_name = True  # so those before have no labels: the pairs made by order are dropped
            rows, sequences = _Rows(path, layout), _Sequences(fasta, length, seed)
        entry = entry_of.get(record.name) if by_name else entries[n - 1] if n <= len(entries) else None
        if entry is None:
            continue
        if by_name and record.name in used:
            raise InputError(f"sequence {record.name!r} is there twice", path=fasta, row=record.row)
        used.add(record.name)
        rows.add(entry._replace(name=record.name, region=entry.region or parse_region(record.name)))
        sequences.add(record.row, record.codes)
    if by_name:
        _check_all_used(path, fasta, entries, entry_of, used)
        if n > len(entries):
            say(f"{n - len(entries)} sequences left out: the table has no labels for them")
    elif n != len(entries):
        raise InputError(f"{path} has labels for {len(entries)} sequences, and there are {n}; they are paired by "
                         "order, as no name agrees (--name COLUMN pairs them by name)", path=fasta)
    elif layout.name is not None:
        say(f"{fasta} and {path} are paired by order: no name is in both")
    return rows, sequences


def _check_all_used(path, fasta, entries: list[Entry], entry_of: dict[str, Entry], used: set[str]) -> None:
    for entry in entries:
        if entry.name not in used:
            raise InputError(f"there is no sequence {entry.name!r} in {fasta}, where {len(used & entry_of.keys())} of "
                             f"{len(entry_of)} names are; add it, take the row out, or take the names out to pair by "
                             "order", path=path, row=entry.row)
        if entry_of[entry.name] is not entry:
            raise InputError(f"{entry.name!r} has labels twice", path=path, row=entry_of[entry.name].row)


def choose_labels(labels: np.ndarray, names: Sequence[str], leave_out: Sequence[str], min_positives: int,
                  path: str | os.PathLike) -> np.ndarray:
    """Say which labels are kept.

    Parameters
    ----------
    labels : numpy.ndarray of int8, shape (n, T)
        1, 0 or -1.
    names : sequence of str
        One a label.
    leave_out : sequence of str
        Labels that the user does not want.
    min_positives : int
        Labels with fewer are left out.
    path : str or path-like
        The table, for errors.

    Returns
    -------
    numpy.ndarray of int
        Places of the labels that are kept.

    Raises
    ------
    InputError
        If one to leave out is not there, or none is left.
    """
    for name in leave_out:
        if name not in names:
            raise InputError(f"--leave-out: there is no label {name!r}; there are {', '.join(names)}", path=path)
    n_positive = (labels == 1).sum(axis=0)
    few = [f"{name} ({n})" for name, n in zip(names, n_positive, strict=True)
           if n < min_positives and name not in leave_out]
    if few:
        say(f"labels left out, with fewer than {min_positives} positives: {', '.join(few)}")
    kept = [i for i, name in enumerate(names) if name not in leave_out and n_positive[i] >= min_positives]
    if not kept:
        raise InputError("no label is left", path=path)
    return np.array(kept)


def choose_rows(labels: np.ndarray, positive_only: bool, path: str | os.PathLike) -> np.ndarray:
    """Say which rows are kept.

    Parameters
    ----------
    labels : numpy.ndarray of int8, shape (n, T)
        1, 0 or -1.
    positive_only : bool
        Leave out rows without a positive.
    path : str or path-like
        The table, for errors.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        False too where all labels are masked.

    Raises
    ------
    InputError
        If no row is left.
    """
    known = (labels >= 0).any(axis=1)
    if not known.any():
        raise InputError("every label of every row is masked; nothing is left to learn", path=path)
    if not known.all():
        say(f"{np.count_nonzero(~known)} rows left out: all of their labels are masked")
    kept = (labels == 1).any(axis=1) if positive_only else known
    if not kept.any():
        raise InputError("no row has a positive label", path=path)
    if positive_only:
        say(f"{np.count_nonzero(known & ~kept)} rows left out: none of their labels is positive")
    return kept


def build_from_table(output: str | os.PathLike, table: str | os.PathLike, fasta: str | os.PathLike | None = None, *,
                     columns: Columns | None = None, masked: Sequence[str] = (), leave_out: Sequence[str] = (),
                     min_positives: int = 0, positive_only: bool = False, length: int | None = None,
                     splitter: Splitter | None = None, seed: int = 0,
                     options: Mapping[str, object] | None = None) -> None:
    """Make a dataset file from a table of sequences and labels.

    Rows are dealt by a column that says so, else by their regions, else at
    random, equal sequences (of either strand) to the same split.

    Parameters
    ----------
    output : str or path-like
        The HDF5 file.
    table : str or path-like
        TSV or CSV.
    fasta : str or path-like, optional
        The sequences, where the table holds only labels.
    columns : Columns, optional
        What the user says of the columns; found by themselves otherwise.
    masked : sequence of str
        Label codes that mean "unknown".
    leave_out : sequence of str
        Labels to leave out.
    min_positives : int, default 0
        Labels with fewer positives are left out.
    positive_only : bool, default False
        Leave out rows without a positive label.
    length : int, optional
        Cut or pad all sequences about their centre.
    splitter : Splitter, optional
        Which rows are held out.
    seed : int, default 0
        Of the random split.
    options : mapping, optional
        For the provenance.

    Raises
    ------
    InputError
        If a file or a number is wrong, or nothing is left.
    """
    columns, splitter = columns or Columns(), splitter or Splitter()
    if length is not None and not 1 <= length <= WIDEST:
        raise InputError(f"--length is {length}; it must be from 1 to {WIDEST}")
    if min_positives < 0:
        raise InputError(f"--min-positives is {min_positives}; it must not be negative")
    check_seed(seed)
    sources = describe_sources([table, *([fasta] if fasta else [])])
    if fasta is None:
        rows, sequences = _read_table(table, columns, masked, length, seed)
    else:
        rows, sequences = _read_with_fasta(table, fasta, columns, masked, length, seed)
    labels, names = rows.labels(), rows.layout.label_names
    places = choose_labels(labels, names, leave_out, min_positives, table)
    labels = labels[:, places]
    split = rows.deal(splitter, choose_rows(labels, positive_only, table), sequences.keys())
    if splitter.n_between:
        say(f"{splitter.n_between} rows left out: they reach into two splits")
    provenance = {"command": "dataset table", "options": dict(options or {}), "sources": sources}
    with create_dataset(output, sequences.length, [names[i] for i in places], provenance) as writer:
        for start in progress(range(0, len(split), ROWS_AT_ONCE), "writing", unit="batch"):
            stop = min(start + ROWS_AT_ONCE, len(split))
            codes, texts = sequences.read(start, stop), rows.names.read(start, stop)
            for number, name in enumerate(SPLITS):
                here = split[start:stop] == number
                if here.any():
                    writer.append(name, codes[here], labels[start:stop][here], texts[here])
