"""Intervals of a file, checked against a genome in one pass."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError, a_few
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.sequences.genome import Genome, LetterError
from kipoi_motifrep.sequences.interval_files import NARROW_PEAK, NO_SUMMIT, BedRows, kind_by_suffix, read_rows
from kipoi_motifrep.sequences.problems import Problems
from kipoi_motifrep.sequences.spool import Spool, TextSpool

WIDEST = 10_000_000  # a wider interval is a slip, and a batch of them would not fit into memory
STRANDS = {"+": 0, "-": 1, ".": 2, "*": 2}
STRAND_NAMES = np.array(["+", "-", "*"])
OUTSIDE_CHOICES = ("average", "zeros", "refuse")
CENTRE_CHOICES = ("middle", "summit")


def check_resizing(length: int | None, outside: str) -> None:
    """Check the loaders' arguments ``auto_resize_len`` and ``outside``.

    Parameters
    ----------
    length : int or None
        The length to resize to.
    outside : str
        What becomes of positions beyond an end.

    Raises
    ------
    InputError
        If one of them makes no sense.

    Examples
    --------
    >>> check_resizing(200, "average")
    >>> check_resizing(0, "average")
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: the length to resize to is 0; it must be at least 1 and at most 10000000
    """
    if length is not None and not 1 <= length <= WIDEST:
        raise InputError(f"the length to resize to is {length}; it must be at least 1 and at most {WIDEST}")
    if outside not in OUTSIDE_CHOICES:
        raise InputError(f"outside is {outside!r}; it must be one of {', '.join(OUTSIDE_CHOICES)}")


_RECORD = np.dtype(
    [
        ("chromosome", np.int32),
        ("number", np.int32),
        ("start", np.int64),
        ("end", np.int64),
        ("row", np.uint32),
        ("strand", np.int8),
    ]
)


@dataclass(frozen=True)
class IntervalBatch:
    """Some consecutive intervals.

    Attributes
    ----------
    chromosome : numpy.ndarray of str, shape (n,)
        As spelled in the BED file.
    number : numpy.ndarray of int, shape (n,)
        Place of the chromosome in the genome.
    row : numpy.ndarray of int, shape (n,)
        Line of the BED file, from 1.
    start, end : numpy.ndarray of int64, shape (n,)
        After resizing, from 0, end excluded.
    reverse : numpy.ndarray of bool, shape (n,)
        Whether the reverse strand is to be read.
    name : numpy.ndarray of str, shape (n,)
        The BED file's fourth column, or the interval's number from 0.
    strand : numpy.ndarray of str, shape (n,)
        "+", "-", or "*" where the interval has none or strands are not used.
    """

    chromosome: np.ndarray
    number: np.ndarray
    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    reverse: np.ndarray
    name: np.ndarray
    strand: np.ndarray


class Intervals:
    r"""The intervals of a file, checked against a genome.

    The file is read once, here, some thousand rows at a time:

    1. Find each chromosome in the genome, and note positions that it does not have.
    2. Resize about the middle or the summit, and note widths that differ.
    3. Note or count intervals that reach beyond an end.
    4. Keep number, start and end, row, name and strand in a temporary file, so that memory
       does not grow with the number of intervals.

    Parameters
    ----------
    path : str or path-like
        BED and its relatives, plain or packed; see
        :func:`~kipoi_motifrep.sequences.interval_files.read_rows`.
    genome : Genome
        To check against. Chromosomes match with or without ``chr``.
    length : int, optional
        Resize every interval to so many bases about its centre. Without it, all
        must have one width.
    use_strand : bool, default False
        Read intervals with ``-`` in column 6 from the reverse strand.
    outside : str, default "average"
        What to do with bases beyond a chromosome's ends: "average" and "zeros"
        keep the interval, "refuse" makes it a problem.
    centre : {"middle", "summit"}, optional
        What `length` is about. By default the summit in files named narrowPeak, where an
        interval has one, and the middle in all others.

    Attributes
    ----------
    problems : Problems
        Everything wrong with the file.
    width : int
        Bases of each interval.
    n_padded : int
        Intervals that reach beyond an end of their chromosome.

    Raises
    ------
    InputError
        If the file cannot be read, holds no intervals, or an argument is wrong.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     genome, peaks = Path(folder, "genome.fa"), Path(folder, "peaks.bed")
    ...     _, _ = genome.write_text(">chr1\nACGTACGTAC\n"), peaks.write_text("chr1\t2\t6\nchr1\t4\t8\n")
    ...     intervals = Intervals(peaks, Genome(genome))
    >>> len(intervals), intervals.width, intervals.read(0, 2).start
    (2, 4, array([2, 4]))
    """

    def __init__(
        self,
        path: str | os.PathLike,
        genome: Genome,
        *,
        length: int | None = None,
        use_strand: bool = False,
        outside: str = "average",
        centre: str | None = None,
    ):
        check_resizing(length, outside)
        if centre not in (None, *CENTRE_CHOICES):
            raise InputError(f"centre is {centre!r}; it must be one of {', '.join(CENTRE_CHOICES)}")
        if centre is not None and length is None:
            raise InputError("centre says what to resize about; give auto_resize_len, too")
        self.path, self.genome, self.problems = str(path), genome, Problems(path)
        self.width, self._width_row, self.n_padded = length or 0, 0, 0
        self._length, self._use_strand, self._outside = length, use_strand, outside
        self._summit_needed, self._n_summits = centre == "summit", 0
        self._about_summit = self._summit_needed or (centre is None and kind_by_suffix(path) is NARROW_PEAK)
        self._records, self._names = Spool(_RECORD), TextSpool()
        self._spelling: dict[str, int] = {}
        self._found: list[int] = []
        for rows in read_rows(path, genome, self.problems):
            self._append(rows)
        if not len(self._records) and not self.problems.count:
            raise InputError("holds no intervals", path=path)
        if self._n_summits:
            say(f"{path}: {self._n_summits} of {len(self)} intervals are centred at their summits")

    def __len__(self) -> int:
        return len(self._records)

    def _append(self, rows: BedRows) -> None:
        if not rows.row:
            return
        # Chromosomes are few and rows many: names are kept once, rows hold their number.
        for name in dict.fromkeys(rows.chromosome):
            if name not in self._spelling:
                self._spelling[name] = len(self._spelling)
                self._found.append(self.genome.find(name))
        spelling = np.array([self._spelling[name] for name in rows.chromosome], np.int32)
        records = np.zeros(len(rows.row), _RECORD)
        records["chromosome"] = spelling
        records["number"] = np.array(self._found, np.int32)[spelling]
        records["row"] = row = np.array(rows.row)
        start, end = as_int64(rows.start), as_int64(rows.end)
        good = self._check_positions(rows, row, records["number"], start, end)
        if self._use_strand:
            good &= self._check_strand(rows, row)
            records["strand"] = [STRANDS.get(strand, 0) for strand in rows.strand]
        if self._length is not None:
            centre = (start + end) // 2
            if self._about_summit:
                summit = as_int64(rows.summit or [NO_SUMMIT] * len(row))
                summit = np.where((summit == end) & (start < end), end - 1, summit)  # by programs that count it from 1
                good &= self._check_summit(row, start, end, summit, good)
                self._n_summits += int((summit != NO_SUMMIT).sum())
                centre = np.where(summit == NO_SUMMIT, centre, summit)
            start = centre - self._length // 2
            end = start + self._length
        good &= self._check_width(row, start, end, good)
        records["start"], records["end"] = start, end
        self._check_ends(rows, row, records, good)
        first = len(self._records)
        self._records.append(records)
        self._names.append([name or str(first + i) for i, name in enumerate(rows.name)])

    def _check_positions(
        self, rows: BedRows, row: np.ndarray, number: np.ndarray, start: np.ndarray, end: np.ndarray
    ) -> np.ndarray:
        """Note positions that no BED file can have, or that this genome does not have."""
        # An unknown chromosome is the row's one problem: nothing lies past its end.
        size = np.where(number < 0, np.iinfo(np.int64).max, self.genome.lengths[number])
        first = rows.kind.first  # messages count as the file does
        wrong = [
            (
                number < 0,
                lambda i: (
                    f"chromosome {rows.chromosome[i]!r} is not in {self.genome.path} (which has "
                    f"{a_few(self.genome.names)}); is the file for another genome build?"
                ),
            ),
            (
                start < 0,
                lambda i: (
                    f"start {rows.start[i] + first} is {'below 1' if first else 'negative'}; "
                    f"{rows.kind.what} counts positions from {first}"
                ),
            ),
            (end < start, lambda i: f"start {rows.start[i] + first} lies after end {rows.end[i]}; swap the columns"),
            (
                start >= size,
                lambda i: (
                    f"{rows.chromosome[i]}:{rows.start[i] + first}-{rows.end[i]} starts past the end of the "
                    f"chromosome ({size[i]} bp); is the file for another genome build?"
                ),
            ),
            (
                end == start,
                lambda i: (
                    f"start and end are both {start[i]}: the interval is empty; a BED file's end is "
                    "not part of the interval"
                ),
            ),
        ]
        if self._length is None:
            wrong.append(
                (
                    end - start > WIDEST,
                    lambda i: (
                        f"is {rows.end[i] - rows.start[i]} bp wide; it can be at most {WIDEST}, or give auto_resize_len"
                    ),
                )
            )
        good = np.ones(len(row), bool)
        for found, message in wrong:
            for i in np.flatnonzero(found & good):
                self.problems.add(row[i], message(i))
            good &= ~found
        return good

    def _check_strand(self, rows: BedRows, row: np.ndarray) -> np.ndarray:
        good = np.array([strand in STRANDS for strand in rows.strand])
        for i in np.flatnonzero(~good):
            found = f"strand {rows.strand[i]!r} must be + or -" if rows.strand[i] else "has no strand in column 6"
            self.problems.add(row[i], f"{found}; correct it, or do not ask for use_strand")
        return good

    def _check_summit(
        self, row: np.ndarray, start: np.ndarray, end: np.ndarray, summit: np.ndarray, good: np.ndarray
    ) -> np.ndarray:
        none, outside = summit == NO_SUMMIT, (summit != NO_SUMMIT) & ((summit < start) | (summit >= end))
        for i in np.flatnonzero(good & (outside | none if self._summit_needed else outside)):
            self.problems.add(
                row[i],
                "its summit lies outside of the interval; correct it, or give centre=middle"
                if outside[i]
                else "has no summit (column 10 of narrowPeak, abs_summit of MACS); give centre=middle",
            )
        return ~(outside | none) if self._summit_needed else ~outside

    def _check_width(self, row: np.ndarray, start: np.ndarray, end: np.ndarray, good: np.ndarray) -> np.ndarray:
        width = end - start
        # The first row without a problem sets the width: a broken one must not make all others wrong.
        if not self.width and good.any():
            first = int(good.argmax())
            self.width, self._width_row = int(width[first]), int(row[first])
        same = width == self.width
        for i in np.flatnonzero(good & ~same):
            self.problems.add(
                row[i], f"is {width[i]} bp wide, and row {self._width_row} is {self.width}", uneven=self.width
            )
        return same

    def _check_ends(self, rows: BedRows, row: np.ndarray, records: np.ndarray, good: np.ndarray) -> None:
        size = self.genome.lengths[records["number"]]
        start, end = records["start"], records["end"]
        # Without any base it is a slip, also where padding is allowed.
        off = good & (start >= size)
        over = good & ~off & ((start < 0) | (end > size))
        self.n_padded += int(over.sum())
        for i in np.flatnonzero(off | over if self._outside == "refuse" else off):
            where, chromosome = f"{rows.chromosome[i]}:{start[i]}-{end[i]}", f"the chromosome (0-{size[i]})"
            self.problems.add(
                row[i],
                (
                    f"resized to {where}, it has no base of {chromosome}; correct its end"
                    if off[i]
                    else f"{where} reaches beyond {chromosome}; move it, or allow padding with outside='average'"
                ),
            )

    def read(self, start: int, stop: int) -> IntervalBatch:
        """Read consecutive intervals.

        Parameters
        ----------
        start, stop : int
            Within the number of intervals.

        Returns
        -------
        IntervalBatch
            The intervals in the order of the file.
        """
        records = self._records.read(start, stop)
        strand = STRAND_NAMES[records["strand"]] if self._use_strand else np.full(len(records), "*")
        return IntervalBatch(
            np.array(list(self._spelling))[records["chromosome"]],
            records["number"],
            records["row"],
            records["start"],
            records["end"],
            strand == "-",
            self._names.read(start, stop),
            strand,
        )

    def fetch(self, batch: IntervalBatch) -> np.ndarray:
        """Read the sequences of some intervals.

        Parameters
        ----------
        batch : IntervalBatch
            As :meth:`read` gives it.

        Returns
        -------
        numpy.ndarray of uint8, shape (n, width)
            Codes of the forward strand.

        Raises
        ------
        InputError
            With the row: if the genome has a character there that is no nucleotide.
        """
        try:
            return self.genome.fetch(batch.number, batch.start, self.width)
        except LetterError as error:
            raise InputError(str(error), path=self.path, row=int(batch.row[error.place])) from error


def as_int64(numbers: list[int]) -> np.ndarray:
    """Turn whole numbers of any size into an array; too large ones into a very large one.

    Examples
    --------
    >>> as_int64([5, 10**30]).tolist()
    [5, 2305843009213693951]
    """
    # Python reads integers of any size; what does not fit is past every chromosome's end.
    limit = np.iinfo(np.int64).max // 4
    try:
        return np.clip(np.array(numbers, np.int64), -limit, limit)
    except OverflowError:
        return np.array([max(-limit, min(limit, number)) for number in numbers], np.int64)
