"""Tables of sequences and labels, or FASTA and a table of labels, to a dataset file."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import counted, progress, say
from kipoi_motifrep.core.textfile import open_text
from kipoi_motifrep.datasets.hdf5 import create_dataset
from kipoi_motifrep.datasets.sources import describe_sources
from kipoi_motifrep.datasets.splits import NONE, Splitter, check_seed, deal_by_key
from kipoi_motifrep.datasets.table_columns import (
    LOOKED_AT,
    ColumnChoice,
    find_columns,
    is_header,
    label_code,
    parse_region,
)
from kipoi_motifrep.sequences.alphabet import CODE_OF_BYTE, INVALID, reverse_complement
from kipoi_motifrep.sequences.fasta import read_fasta, resize
from kipoi_motifrep.sequences.intervals import WIDEST
from kipoi_motifrep.sequences.spool import Spool, TextSpool

ROWS_AT_ONCE = 4096
LONGEST_FIELD = 1 << 27
SPLIT_NAMES = {"train": 0, "training": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2, "testing": 2}


class _Entry(NamedTuple):
    """One row of a table: its line from 1; texts, empty where there is no such column; labels 1, 0 or -1."""

    row: int
    sequence: str
    name: str
    labels: list[int]
    region: tuple[str, int, int] | None
    split: int


class _Table:
    """The rows of a TSV or CSV file, to be gone through once.

    Attributes
    ----------
    columns : TableColumns
        Found by what the user says, else by header and content.
    """

    def __init__(self, path: str | os.PathLike, choice: ColumnChoice, masked: Sequence[str], with_fasta: bool):
        self._path = path
        self._codes: dict[str, int | None] = dict.fromkeys([*masked, *map(str.lower, masked)], -1)
        rows = self._read()
        number, first = next(rows)
        with_header = is_header(first)
        header = [field.strip() for field in first] if with_header else [str(i) for i in range(1, len(first) + 1)]
        looked_at = [*([] if with_header else [(number, first)]), *islice(rows, LOOKED_AT)]
        if not looked_at:
            raise InputError("has a header and no rows", path=path)
        if with_header and {len(fields) - len(header) for _, fields in looked_at} == {1}:
            # R gives its numbers of rows no header; others end each row with a separator.
            at_end = not any(fields[-1].strip() for _, fields in looked_at)
            header.insert(len(header) if at_end else 0, "")
        self._n_columns, self._rows = len(header), chain(looked_at, rows)
        for number, fields in looked_at:
            self._check_width(number, fields)
        self.columns = find_columns(path, header, [fields for _, fields in looked_at], choice, with_fasta, masked)

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        """Go through the rows with their line numbers, blank lines and comments at the top left out."""
        csv.field_size_limit(LONGEST_FIELD)
        with open_text(self._path) as file:
            lines = io.TextIOWrapper(file, "utf-8-sig", "replace", newline="")
            number, above, first = 0, "", ""
            while not first.strip() or first.startswith(("#", "sep=")):  # sep=; is Excel's
                above, first = first, lines.readline()
                number += 1
                if not first:
                    raise InputError("the file is empty" if number == 1 else "holds no rows", path=self._path)
            # The first row decides what stands between columns. A comment right above it is its header if it has as
            # many.
            delimiter = next((mark for mark in "\t,;" if mark in first), " ")
            for row, line in ((number - 1, above), (number, first)):
                fields = next(csv.reader([line.rstrip("\r\n").lstrip("# ")], delimiter=delimiter), [])
                if row == number or (
                    line[:1] == "#" and len(fields) == first.count(delimiter) + 1 and is_header(fields)
                ):
                    yield row, fields
            reader = csv.reader(lines, delimiter=delimiter)
            try:
                for begin, fields in enumerate(reader, 1):
                    if reader.line_num != begin:
                        raise InputError(
                            f"a field that begins with a quotation mark goes on to row "
                            f"{number + reader.line_num}; take the mark out, or the line break in the "
                            "field",
                            path=self._path,
                            row=number + begin,
                        )
                    if fields:
                        yield number + begin, fields
            except csv.Error as error:
                raise InputError(
                    f"cannot be read as a table ({error})", path=self._path, row=number + reader.line_num
                ) from error

    def _check_width(self, number: int, fields: list[str]) -> None:
        if len(fields) != self._n_columns:
            raise InputError(
                f"has {len(fields)} columns, and the first row has {self._n_columns}; add or take out "
                "separators, or a quotation mark that hides some",
                path=self._path,
                row=number,
            )

    def __iter__(self) -> Iterator[_Entry]:
        columns = self.columns
        for number, fields in self._rows:
            self._check_width(number, fields)
            texts = fields[columns.labels[0]].strip() if columns.digits else [fields[i] for i in columns.labels]
            labels = self._labels(number, texts)
            region = self._region(number, [fields[i] for i in columns.region])
            name = "" if columns.name is None else fields[columns.name].strip()
            _check_name(self._path, number, name)
            if not name and region:
                name = f"{region[0]}:{region[1]}-{region[2]}"
            split = NONE
            if columns.split is not None:
                split = SPLIT_NAMES.get(fields[columns.split].strip().lower(), NONE)
                if split == NONE:
                    raise InputError(
                        f"split is {fields[columns.split]!r}; it must be train, valid or test",
                        path=self._path,
                        row=number,
                    )
            sequence = "" if columns.sequence is None else fields[columns.sequence].strip()
            yield _Entry(number, sequence, name, labels, region, split)

    def _labels(self, number: int, texts: Sequence[str]) -> list[int]:
        names = self.columns.label_names
        if len(texts) != len(names):
            raise InputError(
                f"has {len(texts)} label digits, and there are {len(names)} labels", path=self._path, row=number
            )
        labels = []
        for name, text in zip(names, texts, strict=True):
            if text not in self._codes:  # there are few texts in millions of cells
                self._codes[text] = self._codes.get(text.strip().lower(), label_code(text))
            code = self._codes[text]
            if code is None:
                raise InputError(
                    f"label {name} is {text!r}, neither 0 nor 1; if it means 'unknown', give masked="
                    f"{text.strip()}, or choose other columns by labels=COLUMN",
                    path=self._path,
                    row=number,
                )
            labels.append(code)
        return labels

    def _region(self, number: int, texts: list[str]) -> tuple[str, int, int] | None:
        if not texts:
            return None
        region = parse_region("{}:{}-{}".format(*map(str.strip, texts)) if len(texts) == 3 else texts[0])
        if region is None or region[1] >= region[2]:
            raise InputError(
                f"{' '.join(texts)!r} is no region; write it as chr1:100-300, or choose another by region=COLUMN",
                path=self._path,
                row=number,
            )
        return region


def _check_name(path: str | os.PathLike, number: int, name: str) -> None:
    if "\0" in name:
        raise InputError(f"the name {name!r} holds a NUL character; take it out", path=path, row=number)


class _Collected:
    """Rows read so far: sequences of one length and names in temporary files, the rest in memory.

    Parameters
    ----------
    path : str or path-like
        Where the sequences are from, for errors.
    length : int or None
        Cut or pad them; by default all must be as long as the first.
    seed : int
        Of the keys, by which sequences are dealt at random.
    """

    def __init__(self, path: str | os.PathLike, length: int | None, seed: int):
        self._path, self.length, self._resized, self._first_row = path, length or 0, length is not None, 0
        self._seed = str(seed).encode()
        self._waiting: list[tuple[np.ndarray, str, list[int]]] = []
        self._sequences, self._names, self._labels = Spool(np.uint8), TextSpool(), list[np.ndarray]()
        self._keys, self._splits = list[int](), list[int]()
        self._regions, self._chromosomes = list[tuple[int, int, int]](), dict[str, int]()

    def add(self, row: int, codes: np.ndarray, entry: _Entry) -> None:
        """Take one entry, and its sequence's codes and row; InputError where it has another length."""
        if not self.length:
            self.length, self._first_row = len(codes), row
        if self._resized:
            codes = resize(codes, self.length)
        elif len(codes) != self.length:
            raise InputError(
                f"the sequence is {len(codes)} bp, and that of row {self._first_row} is {self.length}; "
                f"give length={self.length} to cut or pad all about their centre",
                path=self._path,
                row=row,
            )
        # The key is one for both strands, so that a sequence and its reverse complement go to the same split.
        either_strand = min(codes.tobytes(), reverse_complement(codes).tobytes())
        self._keys.append(int.from_bytes(hashlib.blake2b(either_strand, digest_size=8, key=self._seed).digest()))
        self._splits.append(entry.split)
        if entry.region is not None:
            chromosome, start, end = entry.region
            self._regions.append((self._chromosomes.setdefault(chromosome, len(self._chromosomes)), start, end))
        self._waiting.append((codes, entry.name or f"row_{entry.row}", entry.labels))
        if len(self._waiting) == ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        codes, names, labels = zip(*self._waiting, strict=True)
        self._sequences.append(np.concatenate(codes))
        self._names.append(names)
        self._labels.append(np.array(labels, np.int8))
        self._waiting.clear()

    def labels(self) -> np.ndarray:
        """Give the labels (n, T) int8 of all rows."""
        self._flush()
        return np.concatenate(self._labels)

    def batches(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Give rows, their sequences' codes (rows, L) and their names, some thousand at a time."""
        self._flush()
        for start in range(0, len(self._keys), ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, len(self._keys)))
            codes = self._sequences.read(rows.start * self.length, rows.stop * self.length)
            yield rows, codes.reshape(-1, self.length), self._names.read(rows.start, rows.stop)

    def deal(self, splitter: Splitter, kept: np.ndarray, table: str | os.PathLike) -> np.ndarray:
        """Give the split of each row, ``NONE`` where it is not kept: by column, else by region, else at random.

        InputError where chromosomes are to be held out and there are no regions.
        """
        split = np.full(len(kept), NONE, np.int8)
        if NONE not in self._splits:
            split[kept] = np.array(self._splits, np.int8)[kept]
        elif len(self._regions) == len(kept):
            regions = np.array(self._regions, np.int64)
            for name, number in self._chromosomes.items():
                rows = np.flatnonzero(kept & (regions[:, 0] == number))
                if len(rows):
                    split[rows] = splitter.assign(name, *regions[rows, 1:].T)
            splitter.check_all_seen()
        elif splitter.by_region:
            raise InputError(
                "has no regions, so no chromosomes can be held out; give region=COLUMN, or fractions as "
                "valid=0.1 test=0.2",
                path=table,
            )
        else:
            split[kept] = deal_by_key(np.array(self._keys, np.uint64)[kept], splitter.fractions)
        return split


def _encode(path: str | os.PathLike, entry: _Entry) -> np.ndarray:
    codes = np.frombuffer(entry.sequence.encode("ascii", "replace").translate(CODE_OF_BYTE), np.uint8)
    if not len(codes):
        raise InputError("the sequence is empty", path=path, row=entry.row)
    if codes.max() >= INVALID:
        wrong = entry.sequence[int((codes == INVALID).argmax())]
        raise InputError(
            f"{wrong!r} in the sequence is no DNA letter; replace it, for example with N, or choose "
            "another column by sequence=COLUMN",
            path=path,
            row=entry.row,
        )
    return codes


def _collect_with_fasta(path, fasta, table: _Table, by_name: bool, length: int | None, seed: int) -> _Collected:
    """Pair the rows of a table with the records of a FASTA file: by name where any name agrees, else by order."""
    # Records come one at a time, and only the last may show that names agree. So pairs are made by order until a name
    # is found that is in the table; then they are dropped, and all from there on are made by name.
    entries = list(progress(table, "reading the labels", unit="row"))
    entry_of = {entry.name: entry for entry in entries}
    found, used, n = _Collected(fasta, length, seed), set[str](), 0
    for n, record in enumerate(progress(read_fasta(fasta), "reading the sequences", unit="sequence"), 1):
        _check_name(fasta, record.row, record.name)
        if not by_name and record.name in entry_of:
            by_name = True  # so those before have no labels: the pairs made by order are dropped
            found = _Collected(fasta, length, seed)
        entry = entry_of.get(record.name) if by_name else entries[n - 1] if n <= len(entries) else None
        if entry is None:
            continue
        if by_name and record.name in used:
            raise InputError(f"sequence {record.name!r} is there twice", path=fasta, row=record.row)
        used.add(record.name)
        found.add(
            record.row, record.codes, entry._replace(name=record.name, region=entry.region or parse_region(record.name))
        )
    for entry in entries if by_name else ():
        if entry.name not in used:
            raise InputError(
                f"there is no sequence {entry.name!r} in {fasta}, where {len(used & entry_of.keys())} of "
                f"{len(entry_of)} names are; add it, take the row out, or take the names out to pair by "
                "order",
                path=path,
                row=entry.row,
            )
        if entry_of[entry.name] is not entry:
            raise InputError(f"{entry.name!r} has labels twice", path=path, row=entry_of[entry.name].row)
    if by_name and n > len(entries):
        say(f"{counted(n - len(entries), 'sequence')} left out: the table has no labels for it")
    if not by_name and n != len(entries):
        raise InputError(
            f"{path} has labels for {len(entries)} sequences, and there are {n}; they are paired by "
            "order, as no name agrees (name=COLUMN pairs them by name)",
            path=fasta,
        )
    if not by_name and table.columns.name is not None:
        say(f"{fasta} and {path} are paired by order: no name is in both")
    return found


def _choose(
    labels: np.ndarray,
    names: Sequence[str],
    leave_out: Sequence[str],
    min_positives: int,
    positive_only: bool,
    path: str | os.PathLike,
) -> tuple[np.ndarray, np.ndarray]:
    """Give places of the labels that are kept, and whether each row is."""
    for name in leave_out:
        if name not in names:
            raise InputError(f"leave_out: there is no label {name!r}; there are {', '.join(names)}", path=path)
    n_positive = (labels == 1).sum(axis=0)
    wanted = [i for i, name in enumerate(names) if name not in leave_out]
    places = np.array([i for i in wanted if n_positive[i] >= min_positives], int)
    if len(places) < len(wanted):
        too_few = ", ".join(f"{names[i]} ({n_positive[i]})" for i in wanted if i not in places)
        say(f"labels left out, with fewer than {min_positives} positives: {too_few}")
    if not len(places):
        raise InputError("no label is left", path=path)
    known, positive = (labels[:, places] >= 0).any(axis=1), (labels[:, places] == 1).any(axis=1)
    if not known.any():
        raise InputError("every label of every row is masked; nothing is left to learn", path=path)
    if not known.all():
        say(f"{counted(np.count_nonzero(~known), 'row')} left out: all labels are masked")
    if not positive_only:
        return places, known
    if not positive.any():
        raise InputError("no row has a positive label", path=path)
    say(f"{counted(np.count_nonzero(known & ~positive), 'row')} left out: no label is positive")
    return places, positive


def build_from_table(
    output: str | os.PathLike,
    table: str | os.PathLike,
    fasta: str | os.PathLike | None = None,
    *,
    columns: ColumnChoice | None = None,
    masked: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    min_positives: int = 0,
    positive_only: bool = False,
    length: int | None = None,
    splitter: Splitter | None = None,
    seed: int = 0,
    options: Mapping[str, object] | None = None,
) -> None:
    r"""Make a dataset file from a table of sequences and labels.

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
    columns : ColumnChoice, optional
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

    Examples
    --------
    >>> from kipoi_motifrep import build_from_table, open_dataset
    >>> with open("sites.tsv", "w") as file:
    ...     _ = file.write("sequence\tMAX\nACGTACGT\t1\nCCGTACGT\t0\n")
    >>> build_from_table("sites.h5", "sites.tsv", splitter=Splitter("none", "none"))
    >>> open_dataset("sites.h5")["train"].read("labels").tolist()
    [[1], [0]]
    """
    columns, splitter = columns or ColumnChoice(), splitter or Splitter()
    if length is not None and not 1 <= length <= WIDEST:
        raise InputError(f"length is {length}; it must be from 1 to {WIDEST}")
    if min_positives < 0:
        raise InputError(f"min_positives is {min_positives}; it must not be negative")
    check_seed(seed)
    # 1. Read all rows, sequences and names to temporary files. 2. Choose labels and rows. 3. Deal the rows, which takes
    # all of them: fractions are of their number. 4. Write, a batch at a time.
    sources = describe_sources([table, *([fasta] if fasta else [])])
    entries = _Table(table, columns, masked, with_fasta=fasta is not None)
    if fasta is not None:
        found = _collect_with_fasta(table, fasta, entries, columns.name is not None, length, seed)
    else:
        found = _Collected(table, length, seed)
        for entry in progress(entries, "reading the table", unit="row"):
            found.add(entry.row, _encode(table, entry), entry)
    labels, names = found.labels(), entries.columns.label_names
    places, kept = _choose(labels, names, leave_out, min_positives, positive_only, table)
    if (labels == -1).any() and not (labels == 0).any():
        raise InputError(
            "no label is 0, and some are -1 or NA, which mean 'unknown'; write 0 for negatives", path=table
        )
    split = found.deal(splitter, kept, table)
    if splitter.n_between:
        say(f"{counted(splitter.n_between, 'row')} left out: across the border of two splits")
    provenance = {"command": "dataset table", "options": dict(options or {}), "sources": sources}
    with create_dataset(output, found.length, [names[i] for i in places], provenance) as writer:
        for rows, codes, texts in progress(
            found.batches(), "writing", total=-(-len(split) // ROWS_AT_ONCE), unit="batch"
        ):
            writer.deal(split[rows], codes, labels[rows][:, places], texts)
