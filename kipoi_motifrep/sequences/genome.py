"""Random access to an indexed FASTA file, a whole batch of intervals at a time."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences.alphabet import CODE_OF_BYTE, INVALID, OUTSIDE, encode
from kipoi_motifrep.sequences.fasta_index import open_index

LINE_ENDS = b"\r\n"
PADDING = bytes([OUTSIDE])
# bgzip only: intervals closer than this are read as one stretch, so that blocks are unpacked once.
NEARBY = 1 << 16
STRETCH = 1 << 22
TOUCHED_AT_MOST = 1 << 26  # bytes of the file that may add up in memory


class LetterError(InputError):
    """A fetched sequence holds a character that is no nucleotide.

    Parameters
    ----------
    message : str
        What is wrong and the cure.
    path : str
        The FASTA file.
    place : int
        Which of the fetched intervals it is in.
    """

    def __init__(self, message: str, *, path: str, place: int):
        super().__init__(message, path=path)
        self.place = place


class Genome:
    r"""A FASTA file, plain or bgzip, with its index.

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
        uneven length, two sequences of one name or one without, or does not fit
        its index.

    Examples
    --------
    >>> from kipoi_motifrep.sequences.alphabet import decode
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "genome.fa").write_text(">chr1\nACGTACGT\n")
    ...     genome = Genome(Path(folder, "genome.fa"))
    >>> genome.find("1"), genome.find("chr9"), decode(genome.fetch([0], [2], 4)[0])
    (0, -1, 'GTAC')
    """

    def __init__(self, path: str | os.PathLike):
        self.path = str(path)
        self.names, self.lengths, self._offsets, self._bases, self._bytes, fai, gzi = open_index(self.path)
        self._number = {name: i for i, name in enumerate(self.names)}
        self._number_of_bare = {bare(name): i for name, i in reversed(self._number.items())}
        self._reader = _PlainReader(self) if gzi is None else _BgzipReader(self, fai, gzi)

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
        LetterError
            If the file holds a character that is no nucleotide.
        """
        number, start = np.asarray(number, np.intp), np.asarray(start, np.int64)
        codes = self._reader.codes(number, start, width)
        if codes.size and codes.max() == INVALID:
            i, j = np.argwhere(codes == INVALID)[0]
            raise LetterError(
                f"{self.names[number[i]]}, base {start[i] + j + 1} is no DNA letter; replace it, for example with N",
                path=self.path,
                place=int(i),
            )
        return codes


def bare(name: str) -> str:
    """Spell a chromosome without ``chr``, and the mitochondrion in one way.

    Parameters
    ----------
    name : str
        A chromosome, as any genome or table calls it.

    Returns
    -------
    str
        What two spellings of one chromosome have in common. Random draws of a chromosome
        depend on it.

    Examples
    --------
    >>> bare("chr1"), bare("1"), bare("chrM"), bare("MT")
    ('1', '1', 'M', 'M')
    """
    short = name[3:] if name[:3].lower() == "chr" else name
    return "M" if short == "MT" else short


class _PlainReader:
    """Codes from an uncompressed file, by arithmetic on its line lengths.

    1. The place of a base in the file: that of the sequence, plus its number, plus the line
       ends before it.
    2. Cut the bytes out of the mapped file; one translation makes codes of letters and drops
       line ends.
    3. Pad pieces that reach beyond an end, and join all into one array.
    """

    def __init__(self, genome: Genome):
        self._path, self._lengths, self._offsets = genome.path, genome.lengths, genome._offsets
        self._bases, self._extra = genome._bases.clip(1), genome._bytes - genome._bases
        with open(genome.path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._touched = 0

    def codes(self, number: np.ndarray, start: np.ndarray, width: int) -> np.ndarray:
        length = self._lengths[number]
        first, stop = start.clip(0, length), (start + width).clip(0, length)
        begin, end = (
            self._offsets[number] + at + at // self._bases[number] * self._extra[number] for at in (first, stop)
        )
        pieces = [
            self._map[a:b].translate(CODE_OF_BYTE, LINE_ENDS) for a, b in zip(begin.tolist(), end.tolist(), strict=True)
        ]
        for i in np.flatnonzero(stop - first < width):
            before = PADDING * min(int(first[i] - start[i]), width)
            pieces[i] = (before + pieces[i]).ljust(width, PADDING)
        self._forget(len(start) * (width + 2 * mmap.PAGESIZE))
        codes = np.frombuffer(bytearray().join(pieces), np.uint8)
        if len(codes) != len(start) * width:
            raise InputError(
                "its lines do not fit its index: remove blanks from its lines, or an index of another file",
                path=self._path,
            )
        return codes.reshape(len(start), width)

    def _forget(self, touched: int) -> None:
        """Let go of pages: they stay in the system's cache, but do not add up in this process."""
        self._touched += touched
        if self._touched > TOUCHED_AT_MOST and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0


class _BgzipReader:
    """Codes from a bgzip file.

    Intervals are sorted, and those within a short distance of each other are read as one
    stretch, so that a block is not unpacked once an interval; each then takes its part of
    the stretch.
    """

    def __init__(self, genome: Genome, fai: Path, gzi: Path):
        # Absolute: Kipoi makes loaders in another folder than it uses them in.
        self._files = [os.path.abspath(file) for file in (genome.path, fai, gzi)]
        self._names, self._lengths = genome.names, genome.lengths
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
            while (
                end < len(order)
                and number[order[end]] == chromosome
                and start[order[end]] - start[order[end - 1]] - width < NEARBY
                and start[order[end]] + width - first < STRETCH
            ):
                end += 1
            stop = max(first, int(start[order[end - 1]]) + width)
            stretch = self._stretch(fasta, int(chromosome), first, min(stop, int(self._lengths[chromosome])))
            for i in order[begin:end]:
                piece = stretch[max(0, start[i] - first) : max(0, start[i] + width - first)]
                skip = max(0, -int(start[i]))
                codes[i, skip : skip + len(piece)] = encode(piece)
            begin = end
        return codes

    def _stretch(self, fasta, chromosome: int, first: int, stop: int) -> np.ndarray:
        import pysam

        name, verbosity = self._names[chromosome], pysam.set_verbosity(0)  # htslib's own lines on standard error
        try:
            found = fasta.fetch(name, first, max(first, stop)).encode()
            if len(found) != max(0, stop - first):  # as from a block that unpacks to less than it should
                raise ValueError(f"{len(found)} bases")
        except (ValueError, OSError) as error:
            raise InputError(
                f"{name}:{first}-{stop} cannot be read; the file is damaged: fetch it again", path=self._files[0]
            ) from error
        finally:
            pysam.set_verbosity(verbosity)
        return np.frombuffer(found, np.uint8)
