"""Opening text files, compressed or not, with errors a person can read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, cast

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.unpacked import DNA_RATIO, LIMIT, unpacked_limit

GZIP_MAGIC = b"\x1f\x8b"
# A bgzip file is many gzip files in a row, so that one cut off between two of them unpacks without an error; the empty
# one that it must end with tells (SAM/BAM format specification, section 4.1.2).
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16 = "is UTF-16 text; convert it, for example with: iconv -f UTF-16 -t UTF-8 old > new"
CR_ALONE = (
    "its lines end in carriage returns alone; make them line feeds, for example with: tr '\\r' '\\n' < old.fa > new.fa"
)
LONGEST_ROW = 1 << 20  # of a table or a motif file: a longer one is no row, and its words would fill the memory
SUSPICIOUS_GB = 0.25
BEGIN = 512  # bytes that are looked at to tell what a file is
CONTROLS = bytes({*range(32)} - set(b"\t\n\v\f\r\x1b"))
_PACKERS: dict[bytes, tuple[str, Callable]] = {
    GZIP_MAGIC: ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
_NOT_TEXT = {
    b"\xff\xfe": UTF16,
    b"\xfe\xff": UTF16,
    b"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it: zstd -d FILE",
    b"PK\x03\x04": "is a zip archive or an Excel workbook; unpack it (unzip), or save the sheet as text with tabs",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save the sheet as text with tabs",
    b"\x6c\x1b\x01": "is a PLINK .bed file of genotypes, not a BED file of intervals",
    b"\xeb\xf2\x89\x87": "is bigBed; make it BED with UCSC's bigBedToBed",
    b"\x87\x89\xf2\xeb": "is bigBed; make it BED with UCSC's bigBedToBed",
    b"\x26\xfc\x8f\x88": "is bigWig, which holds a signal and no intervals; give a file of peaks",
    b"\x88\x8f\xfc\x26": "is bigWig, which holds a signal and no intervals; give a file of peaks",
    b"BAM\x01": "is BAM, which holds reads; call peaks first, or convert it: bedtools bamtobed -i FILE",
    b"CRAM\x03": "is CRAM, which holds reads; call peaks first",
    b"BCF\x02": "is BCF; make it text: bcftools view FILE",
    b"\x89HDF": "is HDF5, not text",
    b"%PDF": "is PDF, not text",
    b"PAR1": "is Parquet, not text; write the table as text with tabs",
    b"ARROW1": "is Arrow or Feather, not text; write the table as text with tabs",
    b"\x93NUMPY": "holds an array of numpy, not text; in Python, give the array itself",
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "is a Python pickle, which is never opened"),
    b"\x43\x27\x41\x1a": "is 2bit; make it FASTA with UCSC's twoBitToFa",
    b"\x1a\x41\x27\x43": "is 2bit; make it FASTA with UCSC's twoBitToFa",
    GZIP_MAGIC: "is packed twice; unpack it once: gunzip FILE",  # seen behind the first unpacking only
}


@contextmanager
def open_text(path: str | os.PathLike) -> Iterator[BinaryIO]:
    r"""Open a text file for reading bytes, unpacking gzip, bzip2 and xz whatever its name.

    Parameters
    ----------
    path : str or path-like
        The file; ``-`` for standard input.

    Yields
    ------
    binary file
        Its uncompressed bytes.

    Raises
    ------
    InputError
        If the file is missing, unreadable, a folder, damaged, no text (which names what it
        is and the cure), or unpacks to more than a hundred times its size.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "peaks.bed.xz")
    ...     _ = open(path, "wb").write(lzma.compress(b"chr1\t0\t9\n"))
    ...     with open_text(path) as file:
    ...         file.read()
    b'chr1\t0\t9\n'
    """
    try:
        with _open(path) as raw:
            begin = raw.peek(8)[:BEGIN]
            _, unpack = packed_with(begin)
            if unpack is None:
                refuse_what_is_no_text(begin, path)
                yield raw
                return
            if raw.seekable() and is_whole_bgzip(raw) is False:
                raise EOFError
            with io.BufferedReader(_Unpacked(unpack(raw), path), 1 << 16) as file:
                refuse_what_is_no_text(file.peek(8)[:BEGIN], path)
                yield cast(BinaryIO, file)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise InputError("the compressed file is damaged or cut off; fetch it again", path=path) from error
    except FileNotFoundError as error:
        raise InputError("there is no such file", path=path) from error
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"cannot be read ({(error.strerror or str(error)).lower()})", path=path) from error
    except OSError as error:
        if error.errno is None:  # bz2 has no error of its own
            raise InputError("the compressed file is damaged or cut off; fetch it again", path=path) from error
        raise


def packed_with(begin: bytes) -> tuple[str, Callable | None]:
    """Tell a packed file by its first bytes.

    Parameters
    ----------
    begin : bytes
        At least six bytes, where the file has so many.

    Returns
    -------
    name : str
        ``gzip``, ``bzip2``, ``xz``, or nothing.
    unpack : callable, optional
        What opens such a file.

    Examples
    --------
    >>> packed_with(b"BZh91AY&SY")[0], packed_with(b"chr1")
    ('bzip2', ('', None))
    """
    return next((packer for magic, packer in _PACKERS.items() if begin.startswith(magic)), ("", None))


def is_whole_bgzip(file: BinaryIO) -> bool | None:
    """Tell whether a file is bgzip and ends as it must.

    Parameters
    ----------
    file : binary file
        Seekable; it is at its beginning afterwards.

    Returns
    -------
    bool or None
        None if it is no bgzip file.

    Examples
    --------
    >>> is_whole_bgzip(io.BytesIO(b"chr1")), is_whole_bgzip(io.BytesIO(BGZIP_END)), is_whole_bgzip(
    ...     io.BytesIO(BGZIP_END[:20])
    ... )
    (None, True, False)
    """
    file.seek(0)
    head = file.read(14)
    file.seek(max(0, file.seek(0, os.SEEK_END) - len(BGZIP_END)))
    tail = file.read()
    file.seek(0)
    return tail == BGZIP_END if head.startswith(GZIP_MAGIC) and head[12:] == b"BC" else None


def refuse_what_is_no_text(begin: bytes, path: str | os.PathLike) -> None:
    r"""Name a file that is no text by its first bytes.

    Parameters
    ----------
    begin : bytes
        At least four bytes, where the file has so many; of more, many control characters tell that they are no text.
    path : str or path-like
        The file.

    Raises
    ------
    InputError
        It says what the file is and the cure.

    Examples
    --------
    >>> refuse_what_is_no_text(b"chr1\t0", "x.bed")
    >>> refuse_what_is_no_text(b"%PDF-1.7", "x.bed")
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: x.bed: is PDF, not text
    """
    for magic, what in _NOT_TEXT.items():
        if begin.startswith(magic):
            raise InputError(what.replace("FILE", str(path)), path=path)
    # One by accident, or a few, are a reader's to name with their row.
    if len(begin) - len(begin.translate(None, CONTROLS)) > max(4, len(begin) / 20):
        raise InputError("is a binary file, not text; is it the one that you meant?", path=path)


def text_lines(path: str | os.PathLike) -> Iterator[str]:
    """Go through the lines of a table.

    Parameters
    ----------
    path : str or path-like
        As for :func:`open_text`; UTF-8, any line ends.

    Yields
    ------
    str
        Lines with their ends, without a byte-order mark.

    Raises
    ------
    InputError
        As :func:`open_text` does, or if a line has more than a million characters.

    Examples
    --------
    >>> import os
    >>> list(text_lines(os.devnull))
    []
    """
    with open_text(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", "replace")
        for row, line in enumerate(iter(partial(text.readline, LONGEST_ROW), ""), 1):
            if len(line) == LONGEST_ROW:
                raise InputError(
                    "is longer than a row of a table can be; does the file have line ends?", path=path, row=row
                )
            yield line


def parse_json(text: str | bytes, **options: Any) -> Any:
    """Read JSON of others, where brackets in brackets by the thousand are a ``ValueError`` like other faults.

    Parameters
    ----------
    text : str or bytes
        The JSON.
    **options
        As of :func:`json.loads`.

    Returns
    -------
    object
        What it holds.

    Raises
    ------
    ValueError
        If it is no JSON, or nested too deeply.

    Examples
    --------
    >>> parse_json('{"a": [1]}')
    {'a': [1]}
    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_labels(text: str) -> list[str]:
    """Read the names of outputs from a command line.

    Parameters
    ----------
    text : str
        ``A,B,...``, or a file with one name a line.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    InputError
        If the file is no text.

    Examples
    --------
    >>> read_labels("CTCF, GATA1")
    ['CTCF', 'GATA1']
    """
    lines = text.split(",")
    if os.path.isfile(text):
        try:
            with open(text, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except UnicodeDecodeError as error:
            raise InputError("is no UTF-8 text with one name a line", path=text) from error
    return [line.strip() for line in lines if line.strip()]


@contextmanager
def _open(path: str | os.PathLike) -> Iterator[io.BufferedReader]:
    if str(path) == "-":
        yield cast(io.BufferedReader, sys.stdin.buffer)
        return
    with open(path, "rb") as file:
        yield file


class _Unpacked(io.RawIOBase):
    """The contents of a packed file, as long as they are not suspiciously many."""

    def __init__(self, file: BinaryIO, path: str | os.PathLike):
        # Of standard input the size is not known.
        self._file, self._path, packed = file, path, 0 if str(path) == "-" else os.path.getsize(path)
        self._left = max(int(unpacked_limit(SUSPICIOUS_GB) * 1e9), DNA_RATIO * packed) if packed else sys.maxsize

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                f"unpacks to over {DNA_RATIO} times its size, which no DNA or table of it does; if it "
                f"is meant to, unpack it first, or set the environment variable {LIMIT} to its gigabytes",
                path=self._path,
            )
        return len(data)
