"""Peak files of several TFs and a genome to labelled windows, by DeepSEA's rule.

The genome is cut into bins of 200 bp. A bin is positive for a TF when a peak of
that TF covers more than half of it; the input is the 1,000-bp window centred on
the bin (Zhou & Troyanskaya 2015, Nature Methods 12:931-934). One chromosome is
worked on at a time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress, say
from kipoi_motifrep.datasets.gc_matching import count_letters, draw_matched
from kipoi_motifrep.datasets.hdf5 import SPLITS, DatasetWriter, create_dataset
from kipoi_motifrep.datasets.overlaps import merge, shared_bases, touched
from kipoi_motifrep.datasets.sources import describe_sources
from kipoi_motifrep.datasets.splits import NONE, Splitter, check_seed
from kipoi_motifrep.sequences.genome import Genome, bare
from kipoi_motifrep.sequences.intervals import WIDEST, as_int64, few, read_rows
from kipoi_motifrep.sequences.problems import Problems
from kipoi_motifrep.sequences.textfile import open_text

WRITTEN_AT_ONCE = 4096
ALL = "all"
MOST_NEGATIVES = 10**6  # a positive


@dataclass(frozen=True)
class Rule:
    """How windows are cut and labelled.

    Attributes
    ----------
    bin : int
        Bases of a bin.
    fraction : float
        A bin is positive when a peak covers more than this part of it.
    window : int
        Bases of a sequence, centred on its bin.
    negatives : float or "all"
        Windows free of all peaks, as a multiple of the positive ones and matched
        to their GC content; "all" keeps every bin instead.
    seed : int
        Of the choice of negatives.
    merge : bool
        Join peaks of a TF that overlap or touch, before they are compared with bins.
    """

    bin: int = 200
    fraction: float = 0.5
    window: int = 1000
    negatives: float | str = 0.0
    seed: int = 0
    merge: bool = False

    def __post_init__(self):
        for name in ("bin", "window"):
            if not 1 <= getattr(self, name) <= WIDEST:
                raise InputError(f"--{name} is {getattr(self, name)}; it must be from 1 to {WIDEST}")
        if not 0 <= self.fraction < 1:
            raise InputError(f"--fraction is {self.fraction}; it must be at least 0 and below 1")
        if self.negatives != ALL and not 0 <= self.negatives <= MOST_NEGATIVES:
            raise InputError(f"--negatives is {self.negatives}; it must be a number from 0 to {MOST_NEGATIVES}, or all")
        check_seed(self.seed)


@dataclass(frozen=True)
class Peaks:
    """Peaks of all TFs, by chromosome and start.

    Attributes
    ----------
    number, start, end, track : numpy.ndarray of int, shape (n,)
        Place of the chromosome in the genome, range, place of the TF.
    """

    number: np.ndarray
    start: np.ndarray
    end: np.ndarray
    track: np.ndarray

    def on(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give start, end and track of one chromosome's peaks."""
        here = slice(*np.searchsorted(self.number, [number, number + 1]))
        return self.start[here], self.end[here], self.track[here]


@dataclass(frozen=True)
class Windows:
    """Windows of one chromosome.

    Attributes
    ----------
    number : int
        Place of the chromosome in the genome.
    start : numpy.ndarray of int64, shape (n,)
        First bases, in order.
    labels : numpy.ndarray of int8, shape (n, T)
        1 or 0.
    split : numpy.ndarray of int8, shape (n,)
        As :mod:`~kipoi_motifrep.datasets.splits` numbers them.
    """

    number: int
    start: np.ndarray
    labels: np.ndarray
    split: np.ndarray


def parse_tracks(texts: Sequence[str], listing: str | os.PathLike | None = None) -> dict[str, list[str]]:
    """Collect peak files by TF.

    Parameters
    ----------
    texts : sequence of str
        ``NAME=FILE``; files of one name are merged.
    listing : str or path-like, optional
        A table of name and file, tab-separated, files relative to its folder;
        ``#`` starts a comment.

    Returns
    -------
    dict of str to list of str
        Files of each TF, in the order of their first mention.

    Raises
    ------
    InputError
        If there are none, or one is not of that form.
    """
    tracks: dict[str, list[str]] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise InputError(f"{text!r}: name the TF of each peak file, as in CEBPB={Path(text).name or 'peaks.bed'}, "
                             "or list names and files in a table with --list")
        tracks.setdefault(name, []).append(path)
    if listing is not None:
        for name, path in _read_listing(listing):
            tracks.setdefault(name, []).append(path)
    if not tracks:
        raise InputError("no peak files; give NAME=FILE, for example CEBPB=peaks.bed, or --list FILE")
    return tracks


def _read_listing(listing: str | os.PathLike) -> Iterator[tuple[str, str]]:
    with open_text(listing) as file:
        for row, line in enumerate(file, 1):
            text = line.decode("utf-8-sig", "replace").strip()
            fields = text.split("\t") if "\t" in text else text.split(maxsplit=1)
            if not text or text.startswith("#") or [field.lower() for field in fields] in _LISTING_HEADERS:
                continue
            if len(fields) < 2:
                raise InputError("needs two columns: the TF's name and its peak file", path=listing, row=row)
            path = Path(listing).parent / fields[1].strip()
            if not path.is_file():
                raise InputError(f"there is no peak file {path}", path=listing, row=row)
            yield fields[0].strip(), str(path)


_LISTING_HEADERS = [[name, file] for name in ("name", "tf", "label", "target") for file in ("file", "path", "peaks")]


def read_intervals(path: str | os.PathLike, genome: Genome,
                   only: set[int] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read a BED-like file of intervals of any width and check them against the genome.

    Parameters
    ----------
    path : str or path-like
        BED, narrowPeak or broadPeak, plain or gzip.
    genome : Genome
        Chromosomes match with or without ``chr``.
    only : set of int, optional
        Chromosomes to keep; rows on others are skipped unchecked.

    Returns
    -------
    number, start, end : numpy.ndarray of int64, shape (n,)
        In the order of the file; empty where all rows were skipped.

    Raises
    ------
    InputError
        With the row: if the file is empty or an interval is not in the genome.
    """
    problems = Problems(path)
    number_of: dict[str, int] = {}
    kept, n_rows = [np.zeros((3, 0), np.int64)], 0
    for rows in read_rows(path, genome, problems):
        for name in rows.chromosome:
            if name not in number_of:
                number_of[name] = genome.find(name)
        number = np.array([number_of[name] for name in rows.chromosome], np.int64)
        start, end = as_int64(rows.start), as_int64(rows.end)
        n_rows += len(number)
        keep = np.ones(len(number), bool) if only is None else np.isin(number, list(only))
        _check(genome, problems, rows, np.flatnonzero(keep), number, start, end)
        kept.append(np.array([number, start, end])[:, keep])
    problems.raise_first()
    if not n_rows:
        raise InputError("holds no intervals", path=path)
    return tuple(np.concatenate(kept, axis=1))


def _check(genome, problems, rows, places, number, start, end):
    size = np.where(number < 0, np.iinfo(np.int64).max, genome.lengths[number])
    for i in places[(number < 0)[places] | (start < 0)[places] | (end <= start)[places] | (end > size)[places]]:
        where = f"{rows.chromosome[i]}:{rows.start[i]}-{rows.end[i]}"
        if number[i] < 0:
            message = (f"chromosome {rows.chromosome[i]!r} is not in {genome.path} (which has {few(genome.names)}); is "
                       "the file for another genome build? To use some chromosomes only, give --chromosomes")
        elif start[i] < 0:
            message = f"{where} starts before the chromosome; BED counts positions from 0"
        elif end[i] <= start[i]:
            message = f"{where} has no bases; its end must be greater than its start"
        else:
            message = (f"{where} ends past the chromosome's end ({size[i]} bp in {genome.path}); is the file for "
                       "another genome build?")
        problems.add(rows.row[i], message)


def read_peaks(tracks: Mapping[str, Sequence[str]], genome: Genome, only: set[int] | None = None, *,
               merged: bool = False) -> Peaks:
    """Read the peak files of all TFs.

    Parameters
    ----------
    tracks : mapping of str to sequence of path-like
        Files of each TF.
    genome : Genome
        To check against.
    only : set of int, optional
        Chromosomes to keep.
    merged : bool, default False
        Join peaks of a TF that overlap or touch.

    Returns
    -------
    Peaks
        At least one.

    Raises
    ------
    InputError
        If a file is wrong, or none has a peak on these chromosomes.
    """
    found = []
    for track, (name, paths) in enumerate(progress(tracks.items(), "reading peaks", total=len(tracks), unit="TF")):
        peaks = np.concatenate([read_intervals(path, genome, only) for path in paths], axis=1)
        number, start, end = merge(*peaks) if merged else peaks
        if not len(number):
            say(f"{name}: no peak lies on the chosen chromosomes, so it has no positives")
        found.append(np.array([number, start, end, np.full(len(number), track)]))
    every = np.concatenate(found, axis=1)
    if not every.shape[1]:
        raise InputError(f"no peak of any file lies on {few([genome.names[i] for i in only or ()])}",
                         path=next(iter(tracks.values()))[0])
    return Peaks(*every[:, np.lexsort((every[1], every[0]))])


def positive_bins(peaks: Peaks, number: int, n_tracks: int, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Label the bins of one chromosome.

    Parameters
    ----------
    peaks : Peaks
        Of all TFs.
    number : int
        The chromosome.
    n_tracks : int
        Number of TFs.
    rule : Rule
        Bin width and fraction.

    Returns
    -------
    bin : numpy.ndarray of int64, shape (n,)
        Bins that are positive for at least one TF, in order; the chromosome's first is 0.
    labels : numpy.ndarray of int8, shape (n, n_tracks)
        1 or 0.
    """
    start, end, track = peaks.on(number)
    place, peak, bases = shared_bases(start, end, rule.bin)
    positive = bases > rule.fraction * rule.bin
    bins, row = np.unique(place[positive], return_inverse=True)
    labels = np.zeros((len(bins), n_tracks), np.int8)
    labels[row, track[peak[positive]]] = 1
    return bins, labels


class Builder:
    """Choose the windows of one chromosome after the other.

    Parameters
    ----------
    genome : Genome
        The sequences.
    peaks : Peaks
        Of all TFs.
    n_tracks : int
        Number of TFs.
    rule : Rule
        How windows are cut and labelled.
    splitter : Splitter
        Which are held out.
    blacklist : tuple of numpy.ndarray, optional
        Chromosome, start and end of regions that no window may touch.

    Attributes
    ----------
    n_over, n_blacklisted, n_wanting : int
        Positive windows left out because they reach past an end of the
        chromosome, or touch the blacklist; negatives that could not be found.
    """

    def __init__(self, genome: Genome, peaks: Peaks, n_tracks: int, rule: Rule, splitter: Splitter,
                 blacklist: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None):
        self._genome, self._peaks, self._n_tracks = genome, peaks, n_tracks
        self._rule, self._splitter = rule, splitter
        self._blacklist = blacklist if blacklist is not None else tuple(np.zeros((3, 0), np.int64))
        self.n_over = self.n_blacklisted = self.n_wanting = 0

    def windows(self, number: int) -> Windows:
        """Choose the windows of one chromosome.

        Parameters
        ----------
        number : int
            Its place in the genome.

        Returns
        -------
        Windows
            In order of position.
        """
        rule, size = self._rule, int(self._genome.lengths[number])
        positive, labels = positive_bins(self._peaks, number, self._n_tracks, rule)
        if rule.negatives:
            bins = np.arange(size // rule.bin)
            bins, every = np.union1d(bins, positive), labels
            labels = np.zeros((len(bins), self._n_tracks), np.int8)
            labels[np.searchsorted(bins, positive)] = every
        else:
            bins = positive
        start = bins * rule.bin + rule.bin // 2 - rule.window // 2
        keep = self._usable(number, start, bins, labels.any(axis=1), size)
        start, labels = start[keep], labels[keep]
        split = self._splitter.assign(self._genome.names[number], start, start + rule.window, labels.any(axis=1))
        chosen = split != NONE
        if rule.negatives and rule.negatives != ALL:
            chosen &= labels.any(axis=1) | self._draw_negatives(number, start, labels.any(axis=1), split)
        return Windows(number, start[chosen], labels[chosen], split[chosen])

    def _usable(self, number, start, bins, positive, size):
        end = start + self._rule.window
        inside = (start >= 0) & (end <= size) & ((bins + 1) * self._rule.bin <= size)
        self.n_over += int(np.count_nonzero(positive & ~inside))
        here = self._blacklist[0] == number
        bad = np.zeros(len(start), bool)
        bad[inside] = touched(start[inside], end[inside], self._blacklist[1][here], self._blacklist[2][here])
        self.n_blacklisted += int(np.count_nonzero(positive & bad))
        return inside & ~bad

    def _draw_negatives(self, number, start, positive, split):
        """Say which windows are negatives; they and the positives of a split have the same spread of GC content."""
        rule = self._rule
        peak_start, peak_end, _ = self._peaks.on(number)
        free = ~touched(start, start + rule.window, peak_start, peak_end)
        gc, unknown = count_letters(self._genome, number, start, rule.window)
        gc = gc / rule.window
        free &= unknown == 0
        random = np.random.default_rng([rule.seed, zlib.crc32(bare(self._genome.names[number]).encode())])
        drawn = np.zeros(len(start), bool)
        for part in range(len(SPLITS)):
            wanted, available = gc[positive & (split == part)], np.flatnonzero(free & (split == part))
            n = round(len(wanted) * rule.negatives)
            if n:
                places = draw_matched(wanted, gc[available], n, random)
                drawn[available[places]] = True
                self.n_wanting += n - len(places)
        return drawn


def write_windows(writer: DatasetWriter, genome: Genome, windows: Windows, width: int) -> None:
    """Read the windows' sequences and write them.

    Parameters
    ----------
    writer : DatasetWriter
        Where to.
    genome : Genome
        The sequences.
    windows : Windows
        Of one chromosome.
    width : int
        Bases of a window.
    """
    for part, name in enumerate(SPLITS):
        places = np.flatnonzero(windows.split == part)
        for begin in range(0, len(places), WRITTEN_AT_ONCE):
            rows = places[begin:begin + WRITTEN_AT_ONCE]
            start = windows.start[rows]
            chromosome = genome.names[windows.number]
            writer.append(name, genome.fetch(np.full(len(rows), windows.number), start, width), windows.labels[rows],
                          [f"{chromosome}:{first}-{first + width}" for first in start])


def build_from_peaks(output: str | os.PathLike, tracks: Mapping[str, Sequence[str]], fasta: str | os.PathLike, *,
                     rule: Rule | None = None, chromosomes: Sequence[str] | None = None,
                     blacklist: str | os.PathLike | None = None, splitter: Splitter | None = None,
                     options: Mapping[str, object] | None = None) -> None:
    """Make a dataset file from peaks and a genome.

    Parameters
    ----------
    output : str or path-like
        The HDF5 file.
    tracks : mapping of str to sequence of path-like
        Peak files of each TF; the label names in their order.
    fasta : str or path-like
        The genome.
    rule : Rule, optional
        How windows are cut and labelled; DeepSEA's by default.
    chromosomes : sequence of str, optional
        Use these only; all of the genome by default.
    blacklist : str or path-like, optional
        BED file of regions that no window may touch.
    splitter : Splitter, optional
        Which windows are held out.
    options : mapping, optional
        For the provenance.

    Raises
    ------
    InputError
        If a file is wrong, or no bin is positive.
    """
    rule, splitter = rule or Rule(), splitter or Splitter()
    genome = Genome(fasta)
    only = _find_chromosomes(genome, chromosomes)
    peaks = read_peaks(tracks, genome, only, merged=rule.merge)
    avoided = None
    if blacklist is not None:
        avoided = _read_blacklist(blacklist, genome, np.unique(peaks.number))
    builder = Builder(genome, peaks, len(tracks), rule, splitter, avoided)
    paths = [path for files in tracks.values() for path in files]
    provenance = {"command": "dataset peaks", "options": dict(options or {}), "rule": asdict(rule),
                  "sources": describe_sources([*paths, fasta, *([blacklist] if blacklist else [])])}
    n = 0
    with create_dataset(output, rule.window, list(tracks), provenance) as writer:
        for number in progress(np.unique(peaks.number).tolist(), "chromosomes", unit="chromosome"):
            windows = builder.windows(number)
            n += len(windows.start)
            write_windows(writer, genome, windows, rule.window)
        if not n:
            raise InputError(f"no bin of {rule.bin} bp has more than {rule.fraction:.0%} in a peak and a window "
                             f"of {rule.window} bp on the chromosome; try other --bin, --fraction, --window")
        splitter.check_all_seen()
    _say_left_out(builder, splitter)


def _find_chromosomes(genome: Genome, names: Sequence[str] | None) -> set[int] | None:
    if names is None:
        return None
    numbers = [genome.find(name) for name in names]
    if -1 in numbers:
        raise InputError(f"--chromosomes {names[numbers.index(-1)]}: there is none of that name; the genome has "
                         f"{few(genome.names)}", path=genome.path)
    return set(numbers)


def _read_blacklist(path, genome, numbers):
    # Blacklists cover the whole genome; what lies on chromosomes without peaks does not matter.
    return read_intervals(path, genome, set(numbers.tolist()))


def _say_left_out(builder: Builder, splitter: Splitter) -> None:
    for count, why in ((builder.n_over, "positive windows left out: they reach past the end of a chromosome"),
                       (builder.n_blacklisted, "positive windows left out: they touch the blacklist"),
                       (splitter.n_between, "windows left out: they reach into two splits"),
                       (builder.n_wanting, "negatives wanting: not enough windows without peaks in a split")):
        if count:
            say(f"{count} {why}")
