"""Opening text files, compressed or not, with errors a person can read."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from kipoi_motifrep.core.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF16 = "is UTF-16 text; convert it, for example with: iconv -f UTF-16 -t UTF-8 old > new"
CR_ALONE = ("its lines end in carriage returns alone; make them line feeds, for example with: "
            "tr '\\r' '\\n' < old.fa > new.fa")


@contextmanager
def open_text(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, unpacking gzip whatever its name.

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
        If the file is missing, unreadable, a folder, UTF-16 text, or a damaged
        gzip file.
    """
    try:
        with _open(path) as raw:
            begin = raw.peek(2)[:2]
            if begin in UTF16_MARKS:
                raise InputError(UTF16, path=path)
            packed = begin == GZIP_MAGIC
            with (gzip.open(raw) if packed else raw) as file:
                yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError("the compressed file is damaged or cut off; fetch it again", path=path) from error
    except FileNotFoundError as error:
        raise InputError("there is no such file", path=path) from error
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"cannot be read ({error.strerror.lower()})", path=path) from error


@contextmanager
def _open(path: str | os.PathLike) -> Iterator[io.BufferedReader]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with open(path, "rb") as file:
        yield file
