"""Peak files of several TFs and a genome to labelled windows, by DeepSEA's rule.

The genome is cut into bins of 200 bp. A bin is positive for a TF when a peak of
that TF covers more than half of it; the input is the 1,000-bp window centred on
the bin (Zhou & Troyanskaya 2015, Nature Methods 12:931-934). One chromosome is
worked on at a time.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.errors import InputError, a_few
from kipoi_motifrep.core.progress import progress, say
from kipoi_motifrep.core.textfile import text_lines
from kipoi_motifrep.datasets.gc_matching import count_letters, draw_matched
from kipoi_motifrep.datasets.hdf5 import SPLITS, create_dataset
from kipoi_motifrep.datasets.overlaps import merge, shared_bases, touched
from kipoi_motifrep.datasets.sources import describe_sources
from kipoi_motifrep.datasets.splits import NONE, Splitter, check_seed
from kipoi_motifrep.sequences.genome import Genome, bare
from kipoi_motifrep.sequences.interval_files import BedRows, read_rows
from kipoi_motifrep.sequences.intervals import WIDEST, as_int64
from kipoi_motifrep.sequences.problems import Problems

WINDOWS_AT_ONCE = 4096
ALL = "all"
MOST_NEGATIVES = 10**6  # a positive
# Intervals of a file that may reach past the ends of their chromosomes, as peak callers extend them; more of them, or
# any that lies past an end altogether, and the file is for another genome build.
CLIPPED_AT_MOST, CLIPPED_PART = 10, 0.01
_LISTING_HEADERS = [[name, file] for name in ("name", "tf", "label", "target") for file in ("file", "path", "peaks")]


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

    Raises
    ------
    InputError
        If a number makes no sense.
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
            raise InputError(f"fraction is {self.fraction}; it must be at least 0 and below 1")
        if self.negatives != ALL and not (
            isinstance(self.negatives, (int, float)) and 0 <= self.negatives <= MOST_NEGATIVES
        ):
            raise InputError(f"negatives is {self.negatives}; it must be a number from 0 to {MOST_NEGATIVES}, or all")
        check_seed(self.seed)


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

    Examples
    --------
    >>> parse_tracks(["MAX=a.bed", "CEBPB=b.bed", "MAX=c.bed"])
    {'MAX': ['a.bed', 'c.bed'], 'CEBPB': ['b.bed']}
    """
    tracks: dict[str, list[str]] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path):
            raise InputError(
                f"{text!r}: name the TF of each peak file, as in CEBPB={Path(text).name or 'peaks.bed'}, "
                "or list names and files in a table, list=FILE"
            )
        tracks.setdefault(name, []).append(path)
    if listing is not None:
        listed = 0
        for row, line in enumerate(text_lines(listing), 1):
            text = line.strip()
            fields = text.split("\t") if "\t" in text else text.split(maxsplit=1)
            if not text or text.startswith("#") or [field.lower() for field in fields] in _LISTING_HEADERS:
                continue
            if len(fields) < 2:
                raise InputError("needs two columns: the TF's name and its peak file", path=listing, row=row)
            beside = Path(listing).parent / fields[1].strip()
            if not beside.is_file():
                raise InputError(f"there is no peak file {beside}", path=listing, row=row)
            tracks.setdefault(fields[0].strip(), []).append(str(beside))
            listed += 1
        if not listed:
            raise InputError("names no peak file; it needs two columns: the TF's name and its peak file", path=listing)
    if not tracks:
        raise InputError("no peak files; give NAME=FILE, for example CEBPB=peaks.bed, or list=FILE")
    return tracks


def read_intervals(path: str | os.PathLike, genome: Genome, only: set[int] | None = None) -> np.ndarray:
    """Read a table of intervals of any width and check them against the genome.

    Intervals that reach past the end of their chromosome are cut there, and
    their number is said.

    Parameters
    ----------
    path : str or path-like
        BED, narrowPeak, MACS's table, GFF, ...; plain or packed.
    genome : Genome
        Chromosomes match with or without ``chr``.
    only : set of int, optional
        Chromosomes to keep; rows on others are skipped unchecked.

    Returns
    -------
    numpy.ndarray of int64, shape (3, n)
        Place of the chromosome in the genome, start and end, in the order of
        the file; n is 0 where all rows were skipped.

    Raises
    ------
    InputError
        With the row: if the file is empty, an interval is not in the genome, or
        many reach past an end.
    """
    problems, clipped, find = Problems(path), Problems(path), cache(genome.find)
    kept, n_rows = [np.zeros((3, 0), np.int64)], 0
    for rows in read_rows(path, genome, problems):
        number = np.array([find(name) for name in rows.chromosome], np.int64)
        start, end = as_int64(rows.start), as_int64(rows.end)
        size = np.where(number < 0, np.iinfo(np.int64).max, genome.lengths[number])
        keep = np.ones(len(number), bool) if only is None else np.isin(number, list(only))
        wrong = keep & ((number < 0) | (start < 0) | (end <= start) | (start >= size))
        for of_kind, where in ((problems, wrong), (clipped, keep & ~wrong & (end > size))):
            for i in np.flatnonzero(where):
                of_kind.add(rows.row[i], _what_is_wrong(rows, i, genome, number[i]))
        kept.append(np.array([number, start, np.minimum(end, size)])[:, keep])
        n_rows += len(number)
    problems.raise_first()
    if not n_rows:
        raise InputError("holds no intervals", path=path)
    if clipped.count > max(CLIPPED_AT_MOST, CLIPPED_PART * n_rows):
        clipped.raise_first()
    if clipped.count:
        say(f"{path}: {clipped.count} of {n_rows} intervals cut off: they reach past the end of their chromosome")
    return np.concatenate(kept, axis=1)


def _what_is_wrong(rows: BedRows, i: int, genome: Genome, number: int) -> str:
    where = f"{rows.chromosome[i]}:{rows.start[i]}-{rows.end[i]}"
    if number < 0:
        return (
            f"chromosome {rows.chromosome[i]!r} is not in {genome.path} (which has {a_few(genome.names)}); is "
            "the file for another genome build? To use some chromosomes only, give chromosomes=NAME"
        )
    if rows.start[i] < 0:
        return f"{where} starts before the chromosome; BED counts positions from 0"
    if rows.end[i] <= rows.start[i]:
        return f"{where} has no bases; its end must be greater than its start"
    return (
        f"{where} ends past the chromosome's end ({genome.lengths[number]} bp in {genome.path}); is the file for "
        "another genome build?"
    )


def read_peaks(
    tracks: Mapping[str, Sequence[str]], genome: Genome, only: set[int] | None = None, *, merged: bool = False
) -> dict[int, np.ndarray]:
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
    dict of int to numpy.ndarray of int64, shape (3, n)
        Start, end and place of the TF of the peaks on each chromosome that has any.

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
    of_chromosome = _by_chromosome(np.concatenate(found, axis=1))
    if not of_chromosome:
        raise InputError(
            f"no peak of any file lies on {a_few([genome.names[i] for i in only or ()])}",
            path=next(iter(tracks.values()))[0],
        )
    return of_chromosome


def _by_chromosome(intervals: np.ndarray) -> dict[int, np.ndarray]:
    intervals = intervals[:, np.argsort(intervals[0], kind="stable")]
    numbers, first = np.unique(intervals[0], return_index=True)
    return dict(zip(numbers.tolist(), np.split(intervals[1:], first[1:], axis=1), strict=False))


@dataclass(frozen=True)
class WindowChooser:
    """Choose the windows of one chromosome after the other.

    Attributes
    ----------
    genome : Genome
        The sequences.
    peaks : dict of int to numpy.ndarray of int64, shape (3, n)
        Start, end and TF of the peaks on each chromosome.
    n_tracks : int
        Number of TFs.
    rule : Rule
        How windows are cut and labelled.
    splitter : Splitter
        Which are held out.
    blacklist : dict of int to numpy.ndarray of int64, shape (2, n)
        Start and end of the regions on each chromosome that no window may touch.
    left_out : collections.Counter
        How many windows are left out or wanting so far, by the reason.
    """

    genome: Genome
    peaks: Mapping[int, np.ndarray]
    n_tracks: int
    rule: Rule
    splitter: Splitter
    blacklist: Mapping[int, np.ndarray]
    left_out: Counter[str] = field(default_factory=Counter)

    def windows(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose the windows of one chromosome.

        Parameters
        ----------
        number : int
            Its place in the genome.

        Returns
        -------
        start : numpy.ndarray of int64, shape (n,)
            First bases, in order.
        labels : numpy.ndarray of int8, shape (n, n_tracks)
            1 or 0.
        split : numpy.ndarray of int8, shape (n,)
            As :mod:`~kipoi_motifrep.datasets.splits` numbers them.
        """
        # 1. Label the bins. 2. Centre a window on each, and leave out those that reach past an end or touch the
        # blacklist. 3. Deal them to the splits. 4. Draw negatives, a split at a time, so that those of each have the
        # GC content of its own positives.
        rule, name, size = self.rule, self.genome.names[number], int(self.genome.lengths[number])
        bins, labels = self._label_bins(number, size)
        start = bins * rule.bin + rule.bin // 2 - rule.window // 2
        positive = labels.any(axis=1)
        inside = (start >= 0) & (start + rule.window <= size) & ((bins + 1) * rule.bin <= size)
        bad = touched(start, start + rule.window, *self.blacklist.get(number, np.zeros((2, 0), np.int64)))
        for why, where in (("past the end of a chromosome", ~inside), ("on the blacklist", inside & bad)):
            self.left_out[f"positive windows left out: {why}"] += np.count_nonzero(positive & where)
        start, labels, positive = (values[inside & ~bad] for values in (start, labels, positive))
        split = self.splitter.assign(name, start, start + rule.window, positive)
        chosen = split != NONE
        if rule.negatives and rule.negatives != ALL:
            chosen &= positive | self._draw_negatives(number, start, positive, split, float(rule.negatives))
        return start[chosen], labels[chosen], split[chosen]

    def _label_bins(self, number: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the bins that may be used, in order, and their labels: the positive ones, or all for negatives."""
        start, end, track = self.peaks[number]
        place, peak, bases = shared_bases(start, end, self.rule.bin)
        covered = bases > self.rule.fraction * self.rule.bin
        bins = np.union1d(np.arange(size // self.rule.bin if self.rule.negatives else 0), place[covered])
        labels = np.zeros((len(bins), self.n_tracks), np.int8)
        labels[np.searchsorted(bins, place[covered]), track[peak[covered]]] = 1
        return bins, labels

    def _draw_negatives(
        self, number: int, start: np.ndarray, positive: np.ndarray, split: np.ndarray, ratio: float
    ) -> np.ndarray:
        """Say which windows are negatives: they touch no peak and hold no N."""
        gc, unknown = count_letters(self.genome, number, start, self.rule.window)
        gc = gc / self.rule.window
        free = ~touched(start, start + self.rule.window, *self.peaks[number][:2]) & (unknown == 0)
        # The chromosome's name, not its place: what is drawn does not depend on the other chromosomes of the genome.
        random = np.random.default_rng([self.rule.seed, zlib.crc32(bare(self.genome.names[number]).encode())])
        drawn = np.zeros(len(start), bool)
        for part in range(len(SPLITS)):
            wanted, available = gc[positive & (split == part)], np.flatnonzero(free & (split == part))
            n = round(len(wanted) * ratio)
            if n:
                places = draw_matched(wanted, gc[available], n, random)
                drawn[available[places]] = True
                self.left_out["negatives wanting: not enough windows without peaks in a split"] += n - len(places)
        return drawn


def build_from_peaks(
    output: str | os.PathLike,
    tracks: Mapping[str, Sequence[str]],
    fasta: str | os.PathLike,
    *,
    rule: Rule | None = None,
    chromosomes: Sequence[str] | None = None,
    blacklist: str | os.PathLike | None = None,
    splitter: Splitter | None = None,
    options: Mapping[str, object] | None = None,
) -> None:
    r"""Make a dataset file from peaks and a genome.

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

    Examples
    --------
    >>> from kipoi_motifrep import build_from_peaks, open_dataset
    >>> with open("genome.fa", "w") as fasta, open("peaks.bed", "w") as bed:
    ...     _ = fasta.write(">chr1\n" + 500 * "AC" + "\n"), bed.write("chr1\t380\t620\n")
    >>> build_from_peaks("peaks.h5", {"MAX": ["peaks.bed"]}, "genome.fa", rule=Rule(bin=100, window=200),
    ...                  splitter=Splitter("none", "none"))
    >>> open_dataset("peaks.h5")["train"].read("names").tolist()
    ['chr1:350-550', 'chr1:450-650']
    """
    rule, splitter, genome = rule or Rule(), splitter or Splitter(), Genome(fasta)
    for name in chromosomes or ():
        if genome.find(name) < 0:
            raise InputError(
                f"chromosomes={name}: there is none of that name; the genome has {a_few(genome.names)}",
                path=genome.path,
            )
    only = None if chromosomes is None else {genome.find(name) for name in chromosomes}
    peaks = read_peaks(tracks, genome, only, merged=rule.merge)
    # Blacklists cover the whole genome; what lies on chromosomes without peaks does not matter.
    avoided = {} if blacklist is None else _by_chromosome(read_intervals(blacklist, genome, set(peaks)))
    chooser = WindowChooser(genome, peaks, len(tracks), rule, splitter, avoided)
    paths = [path for files in tracks.values() for path in files]
    provenance = {
        "command": "dataset peaks",
        "options": dict(options or {}),
        "rule": asdict(rule),
        "sources": describe_sources([*paths, fasta, *([blacklist] if blacklist else [])]),
    }
    n = 0
    with create_dataset(output, rule.window, list(tracks), provenance) as writer:
        for number in progress(peaks, "chromosomes", unit="chromosome"):
            start, labels, split = chooser.windows(number)
            n += len(start)
            for begin in range(0, len(start), WINDOWS_AT_ONCE):
                rows = slice(begin, begin + WINDOWS_AT_ONCE)
                codes = genome.fetch(np.full(len(start[rows]), number), start[rows], rule.window)
                writer.deal(
                    split[rows],
                    codes,
                    labels[rows],
                    [f"{genome.names[number]}:{first}-{first + rule.window}" for first in start[rows]],
                )
        if not n:
            raise InputError(
                f"no bin of {rule.bin} bp has more than {rule.fraction:.0%} in a peak and a window "
                f"of {rule.window} bp on the chromosome; try other values of bin, fraction, window"
            )
        splitter.check_all_seen()
    for why, count in [
        *chooser.left_out.items(),
        ("windows left out: across the border of two splits", splitter.n_between),
    ]:
        if count:
            say(f"{count} {why if count > 1 else why.replace('windows', 'window', 1)}")
