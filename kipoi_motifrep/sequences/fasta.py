"""Reading FASTA files of sequences, record by record."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.textfile import BYTE_ORDER_MARK, CR_ALONE, open_text
from kipoi_motifrep.sequences.alphabet import CODE_OF_BYTE, INVALID, OUTSIDE

# Where a sequence lies, as bedtools getfasta (chr20:99-150(-), name::chr20:99-150) and samtools faidx (chr20:100-150,
# chr20:100-150/rc) say in the first word, and UCSC (range=chr20:100-150 ... strand=-) behind it.
_REGION = re.compile(r">\s*(?:\S*::)?(\S+):(\d+)-(\d+)(?:\(([+-])\)|/(rc))?(?:\s|$)")
_UCSC = re.compile(r"\brange=(\S+):(\d+)-(\d+)(?:.*\bstrand=([+-]))?")
# Beginnings of other files of sequences, and the cure.
_OTHERS = {
    b"@": "FASTQ; make it FASTA: seqtk seq -A FILE",
    b"LOCUS": "GenBank; make it FASTA, for example with Biopython's SeqIO.convert",
    b"ID   ": "EMBL; make it FASTA, for example with Biopython's SeqIO.convert",
    b"CLUSTAL": "an alignment; give its sequences as FASTA, without gaps",
    b"# STOCKHOLM": "an alignment; give its sequences as FASTA, without gaps",
    b"#NEXUS": "an alignment; give its sequences as FASTA, without gaps",
}


class Record(NamedTuple):
    """One sequence of a FASTA file.

    Attributes
    ----------
    row : int
        Line of its header, from 1.
    name : str
        The header's first word.
    codes : numpy.ndarray of uint8, shape (L,)
        The sequence.
    header : str
        The whole line.
    """

    row: int
    name: str
    codes: np.ndarray
    header: str

    def region(self) -> tuple[str, int, int, str] | None:
        r"""Read from the header where the sequence lies in a genome.

        bedtools counts from 0 and samtools and UCSC from 1; the sequence's length tells which it is.

        Returns
        -------
        chromosome : str
            As it is spelled there.
        start : int
            From 0.
        first : int
            What the first base of a chromosome is called, 0 or 1.
        strand : str
            ``+``, ``-``, or ``*`` where none is given.

        None if the header says nothing of it, or of another length.

        Examples
        --------
        >>> Record(1, "", np.zeros(9, np.uint8), ">chr20:10-19(-)").region()
        ('chr20', 10, 0, '-')
        >>> Record(1, "", np.zeros(10, np.uint8), ">chr20:10-19").region()
        ('chr20', 9, 1, '*')
        """
        found = _REGION.match(self.header) or _UCSC.search(self.header)
        if found is None:
            return None
        chromosome, start, end, strand, *reverse = found.groups()
        first = int(start) - int(end) + len(self.codes)
        if first not in (0, 1):
            return None
        return chromosome, int(start) - first, first, "-" if any(reverse) else strand or "*"


def read_fasta(path: str | os.PathLike) -> Iterator[Record]:
    r"""Go through a FASTA file.

    Parameters
    ----------
    path : str or path-like
        Plain or gzip; ``-`` for standard input. Either case, IUPAC letters, U as T;
        any line ends.

    Yields
    ------
    Record
        In the order of the file.

    Raises
    ------
    InputError
        With the row: if the file is empty or no FASTA, or a sequence is empty
        or has characters that are no nucleotides.

    Examples
    --------
    >>> from kipoi_motifrep.sequences.alphabet import decode
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile(suffix=".fa") as file:
    ...     _, _ = file.write(b">one\nACG\nT\n>two x\nuu\n"), file.flush()
    ...     [(record.row, record.name, decode(record.codes)) for record in read_fasta(file.name)]
    [(1, 'one', 'ACGT'), (4, 'two', 'TT')]
    """
    header: bytes | None = None
    parts: list[tuple[int, bytes]] = []
    row = number = 0
    with open_text(path) as file:
        for number, line in enumerate(_lines(file), 1):
            line = line.strip()
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if line.startswith(b">"):
                if header is not None:
                    yield _record(path, row, header, parts)
                header, row, parts = line, number, []
            elif header is None and line:
                raise InputError(no_fasta(line), path=path, row=number)
            elif line:
                parts.append((number, line))
    if header is None:
        raise InputError("holds no sequences" if number else "the file is empty", path=path)
    yield _record(path, row, header, parts)


def no_fasta(line: bytes) -> str:
    """Say what a file is instead of FASTA.

    Parameters
    ----------
    line : bytes
        Its first.

    Returns
    -------
    str
        A message with the cure.

    Examples
    --------
    >>> no_fasta(b"@read1"), no_fasta(b"chr1")[:22]
    ('this is no FASTA file, but FASTQ; make it FASTA: seqtk seq -A FILE', 'this is no FASTA file:')
    """
    what = next((f", but {what}" for begin, what in _OTHERS.items() if line.startswith(begin)), None)
    return "this is no FASTA file" + (what or ": its first line must start with '>'")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Go through lines, also those that end in carriage returns alone."""
    first = file.readline()
    # To readline(), such a file is one line; where the first line is none of these, none is.
    if b"\r" in first.rstrip():
        return (part for line in chain([first], file) for part in line.splitlines())
    return chain([first] if first else [], file)


def _record(path: str | os.PathLike, row: int, header: bytes, parts: list[tuple[int, bytes]]) -> Record:
    words = header[1:].split()
    name = words[0].decode(errors="replace") if words else f"row_{row}"
    # One translation of the whole sequence; only where it finds a wrong letter are the rows looked at.
    codes = np.frombuffer(b"".join(part for _, part in parts).translate(CODE_OF_BYTE), np.uint8)
    if not len(codes):
        if b"\r" in header:
            raise InputError(CR_ALONE, path=path, row=row)
        raise InputError(f"sequence {name!r} is empty", path=path, row=row)
    if codes.max() == INVALID:
        for number, part in parts:
            wrong = np.frombuffer(part.translate(CODE_OF_BYTE), np.uint8) == INVALID
            if wrong.any():
                letter = chr(part[int(wrong.argmax())])
                raise InputError(
                    f"{letter!r} in sequence {name!r} is no DNA letter; "
                    + ("take the gaps of an alignment out" if letter == "-" else "replace it, for example with N"),
                    path=path,
                    row=number,
                )
    return Record(row, name, codes, header.decode(errors="replace"))


def resize(codes: np.ndarray, length: int) -> np.ndarray:
    """Cut or pad a sequence on both sides about its centre.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (L,)
        A sequence.
    length : int
        The length wanted.

    Returns
    -------
    numpy.ndarray of uint8, shape (length,)
        Same centre as kipoiseq's resizing of an interval; what is added is ``OUTSIDE``.

    Examples
    --------
    >>> resize(np.array([0, 1, 2, 3], np.uint8), 2), resize(np.array([0], np.uint8), 3)
    (array([1, 2], dtype=uint8), array([15,  0, 15], dtype=uint8))
    """
    # Halves are rounded as kipoiseq rounds them, so that both loaders give the same bases.
    start = len(codes) // 2 - length // 2
    before, after = max(-start, 0), max(start + length - len(codes), 0)
    kept = codes[max(start, 0) : start + length]
    return np.concatenate([np.full(before, OUTSIDE, np.uint8), kept, np.full(after, OUTSIDE, np.uint8)])
