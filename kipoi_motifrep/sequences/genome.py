"""Random access to an indexed FASTA file, a whole batch of intervals at a time."""

from __future__ import annotations

import hashlib
import mmap
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from kipoi_motifrep.cache import cache_folder
from kipoi_motifrep.errors import InputError
from kipoi_motifrep.outputs import replacing
from kipoi_motifrep.progress import say
from kipoi_motifrep.sequences.alphabet import CODE_OF_BYTE, INVALID, OUTSIDE, encode
from kipoi_motifrep.sequences.textfile import GZIP_MAGIC, open_text

LINE_ENDS = b"\r\n"
PADDING = bytes([OUTSIDE])
# bgzip only: intervals closer than this are read as one stretch, so that blocks are unpacked once.
NEARBY = 1 << 16
STRETCH = 1 << 22
TOUCHED_AT_MOST = 1 << 26  # bytes of the file that may add up in memory
LARGE_FILE = 200_000_000
LONGEST_HEADER = 1 << 16
# The empty block that ends every bgzip file (SAM/BAM format specification, section 4.1.2).
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class Genome:
    """A FASTA file, plain or bgzip, with its index.

    The index is the usual ``.fai``. A missing or outdated one is made beside the
    file, or in the user's cache where the folder cannot be written.

    Parameters
    ----------
    path : str or path-like
        The FASTA file.

    Attributes
    ----------
    path : str
        The FASTA file.
    names : list of str
        Names of its sequences.
    lengths : numpy.ndarray of int64, shape (n_sequences,)
        Their lengths in bases.

    Raises
    ------
    InputError
        If the file is missing, is no FASTA, is gzip but not bgzip, has lines of
        uneven length, or is shorter than its index says.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = str(path)
        bgzip = _check_kind(self.path)
        fai, gzi = _index_files(Path(self.path), bgzip)
        index = _read_index(self.path, fai)
        if not bgzip:
            _check_index(self.path, fai, index[-1])
        self.names = [name for name, *_ in index]
        self.lengths, self._offsets, self._bases, self._bytes = np.array(
            [numbers for _, *numbers in index], np.int64).T
        self._number = {name: i for i, name in enumerate(self.names)}
        self._number_of_bare = {bare(name): i for name, i in reversed(self._number.items())}
        self._reader = _BgzipReader(self.path, fai, gzi, self.names) if bgzip else _PlainReader(self)

    def find(self, name: str) -> int:
        """Find a sequence by name, with or without ``chr`` in front.

        Parameters
        ----------
        name : str
            For example "chr1", "Chr1" or "1"; "chrM", "M" and "MT" are the same.
            An exact match comes first.

        Returns
        -------
        int
            Its place in :attr:`names`, or -1.
        """
        return self._number.get(name, self._number_of_bare.get(bare(name), -1))

    def fetch(self, number: np.ndarray, start: np.ndarray, width: int) -> np.ndarray:
        """Read intervals of one width.

        Parameters
        ----------
        number : numpy.ndarray of int, shape (n,)
            Place of each interval's sequence in :attr:`names`.
        start : numpy.ndarray of int64, shape (n,)
            First base, from 0; may lie before the sequence.
        width : int
            Bases of each interval; it may end past the sequence.

        Returns
        -------
        numpy.ndarray of uint8, shape (n, width)
            Codes; ``OUTSIDE`` before the start and past the end.

        Raises
        ------
        InputError
            If the file holds a character that is no nucleotide.
        """
        number, start = np.asarray(number, np.intp), np.asarray(start, np.int64)
        codes = self._reader.codes(number, start, width)
        if codes.size and codes.max() == INVALID:
            i, j = np.argwhere(codes == INVALID)[0]
            raise InputError(f"{self.names[number[i]]}, base {start[i] + j + 1} is no DNA letter", path=self.path)
        return codes


def bare(name: str) -> str:
    """Spell a chromosome without ``chr``: "1" for "chr1", "MT" for "chrM"."""
    short = name[3:] if name[:3].lower() == "chr" else name
    return "MT" if short == "M" else short


class _PlainReader:
    """Codes from an uncompressed file, by arithmetic on its line lengths."""

    def __init__(self, genome: Genome):
        self._path, self._lengths, self._offsets = genome.path, genome.lengths, genome._offsets
        self._bases, self._extra = genome._bases.clip(1), genome._bytes - genome._bases
        with open(genome.path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._touched = 0

    def codes(self, number: np.ndarray, start: np.ndarray, width: int) -> np.ndarray:
        length = self._lengths[number]
        first, stop = start.clip(0, length), (start + width).clip(0, length)
        begin, end = (self._offsets[number] + at + at // self._bases[number] * self._extra[number]
                      for at in (first, stop))
        pieces = [self._map[a:b].translate(CODE_OF_BYTE, LINE_ENDS)
                  for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
        for i in np.flatnonzero(stop - first < width):
            before = PADDING * min(int(first[i] - start[i]), width)
            pieces[i] = (before + pieces[i]).ljust(width, PADDING)
        self._forget(len(start) * (width + 2 * mmap.PAGESIZE))
        codes = np.frombuffer(bytearray().join(pieces), np.uint8)
        if len(codes) != len(start) * width:
            raise InputError("its lines do not fit its index: remove blanks from its lines, or an index of another "
                             "file", path=self._path)
        return codes.reshape(len(start), width)

    def _forget(self, touched: int) -> None:
        """Let go of pages: they stay in the system's cache, but do not add up in this process."""
        self._touched += touched
        if self._touched > TOUCHED_AT_MOST and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0


class _BgzipReader:
    """Codes from a bgzip file; nearby intervals are unpacked together."""

    def __init__(self, path: str, fai: Path, gzi: Path, names: list[str]):
        # Absolute: Kipoi makes loaders in another folder than it uses them in.
        self._files, self._names = [os.path.abspath(file) for file in (path, fai, gzi)], names
        self._open: dict[int, object] = {}

    def _fasta(self):
        # One handle a process: a forked worker must not share the file position.
        import pysam

        if os.getpid() not in self._open:
            path, fai, gzi = self._files
            self._open = {os.getpid(): pysam.FastaFile(path, filepath_index=fai, filepath_index_compressed=gzi)}
        return self._open[os.getpid()]

    def codes(self, number: np.ndarray, start: np.ndarray, width: int) -> np.ndarray:
        fasta = self._fasta()
        codes = np.full((len(start), width), OUTSIDE, np.uint8)
        order = np.lexsort((start, number))
        begin = 0
        while begin < len(order):
            end = begin + 1
            first = max(0, int(start[order[begin]]))
            chromosome = number[order[begin]]
            while (end < len(order) and number[order[end]] == chromosome
                   and start[order[end]] - start[order[end - 1]] - width < NEARBY
                   and start[order[end]] + width - first < STRETCH):
                end += 1
            stop = max(first, int(start[order[end - 1]]) + width)
            stretch = self._stretch(fasta, self._names[chromosome], first, stop)
            for i in order[begin:end]:
                piece = stretch[max(0, start[i] - first):max(0, start[i] + width - first)]
                skip = max(0, -int(start[i]))
                codes[i, skip:skip + len(piece)] = encode(piece)
            begin = end
        return codes

    def _stretch(self, fasta, name: str, first: int, stop: int) -> np.ndarray:
        try:
            return np.frombuffer(fasta.fetch(name, first, stop).encode(), np.uint8)
        except (ValueError, OSError) as error:
            raise InputError(f"{name}:{first}-{stop} cannot be read; the file is damaged: fetch it again",
                             path=self._files[0]) from error


def _check_kind(path: str) -> bool:
    """Say whether the file is bgzip; refuse what is no FASTA."""
    try:
        with open(path, "rb") as file:
            head = file.read(18)
            file.seek(max(0, file.seek(0, os.SEEK_END) - len(BGZIP_END)))
            tail = file.read()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror.lower()
        raise InputError(f"{reason} (the genome's FASTA)", path=path) from error
    if head[:2] == GZIP_MAGIC:
        if head[12:14] != b"BC":
            raise InputError("is gzip, which cannot be read at random; unpack it (gunzip), or pack it with bgzip: "
                             f"gunzip -c {path} | bgzip > genome.fa.bgz", path=path)
        if tail != BGZIP_END:
            raise InputError("is cut off (bgzip's end mark is missing); fetch it again", path=path)
        return True
    if not head.strip():
        raise InputError("the file is empty", path=path)
    if not head.startswith(b">"):
        raise InputError("this is no FASTA file: its first line must start with '>'", path=path, row=1)
    return False


def _index_files(path: Path, bgzip: bool) -> tuple[Path, Path]:
    """Find the index beside the file or in the cache, or make it."""
    status = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:16]
    beside, cached = path.parent, cache_folder("fasta_index") / key
    for folder in (beside, cached):
        fai, gzi = folder / f"{path.name}.fai", folder / f"{path.name}.gzi"
        files = [fai, gzi] if bgzip else [fai]
        if all(file.exists() and file.stat().st_mtime >= status.st_mtime for file in files):
            return fai, gzi
    if status.st_size > LARGE_FILE:
        say(f"{path}: making its index, once")
    folder = beside if os.access(beside, os.W_OK) else cached
    return _make_index(path, folder / f"{path.name}.fai", folder / f"{path.name}.gzi", bgzip)


def _make_index(path: Path, fai: Path, gzi: Path, bgzip: bool) -> tuple[Path, Path]:
    import pysam

    with ExitStack() as stack:
        options = ["--fai-idx", str(stack.enter_context(replacing(fai)))]
        if bgzip:
            options += ["--gzi-idx", str(stack.enter_context(replacing(gzi)))]
        verbosity = pysam.set_verbosity(0)  # htslib's own lines on standard error
        try:
            pysam.faidx(*options, str(path))
        except pysam.SamtoolsError as error:
            raise _why_no_index(path) from error
        finally:
            pysam.set_verbosity(verbosity)
    return fai, gzi


def _why_no_index(path: Path) -> InputError:
    """Find the row at which samtools gave up."""
    name, line_bytes, ended = None, 0, False
    with open_text(path) as file:
        for row, line in enumerate(file, 1):
            if line.startswith(b">"):
                name, line_bytes, ended = line[1:].split()[:1], 0, False
                continue
            if name is None:
                return InputError("this is no FASTA file: its first line must start with '>'", path=path, row=row)
            line_bytes = line_bytes or len(line)
            if line.strip() and (ended or len(line) > line_bytes):
                return InputError(f"lines of different lengths in sequence {b''.join(name).decode()!r}; rewrap it, for "
                                  "example with 'seqtk seq -l 60'", path=path, row=row)
            ended = len(line) < line_bytes
    return InputError("cannot be indexed by 'samtools faidx'", path=path)


def _read_index(path: str, fai: Path) -> list[tuple[str, int, int, int, int]]:
    entries = []
    for row, line in enumerate(fai.read_text().splitlines(), 1):
        fields = line.split("\t")
        try:
            name, length, offset, bases, line_bytes = fields[0], *map(int, fields[1:5])
        except ValueError as error:
            raise InputError("the index is damaged; remove it, and it will be made anew", path=fai, row=row) from error
        entries.append((name, length, offset, bases, line_bytes))
    if not entries:
        raise InputError("holds no sequences", path=path)
    return entries


def _check_index(path: str, fai: Path, last: tuple[str, int, int, int, int]) -> None:
    name, length, offset, bases, line_bytes = last
    end = offset + length + max(length - 1, 0) // max(bases, 1) * (line_bytes - bases)
    if end > os.path.getsize(path):
        raise InputError(f"is shorter than its index {fai} says; if the file is complete, remove the index", path=path)
    with open(path, "rb") as file:
        file.seek(max(0, offset - LONGEST_HEADER))
        before = file.read(min(offset, LONGEST_HEADER))
    header = before.splitlines()[-1] if before else b""
    if header.split()[:1] != [b">" + name.encode()]:
        raise InputError(f"does not fit its index {fai}, which seems to be of another file; remove the index, and it "
                         "will be made anew", path=path)
