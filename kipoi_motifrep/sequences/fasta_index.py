"""The index of a FASTA file: found or made, and checked against the file."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import zlib
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kipoi_motifrep.core.cache import cache_folder
from kipoi_motifrep.core.disks import full_disk
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import replacing
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.textfile import (
    BYTE_ORDER_MARK,
    CR_ALONE,
    is_whole_bgzip,
    open_text,
    packed_with,
    refuse_what_is_no_text,
)
from kipoi_motifrep.sequences.fasta import no_fasta

LARGE_FILE = 200_000_000
LONGEST_HEADER = 1 << 16
ROOM = 1 << 16  # bytes that a disk which is not full takes
LARGEST = 1 << 48  # of an index's numbers
# Where a sequence was left out of the index, the gap between two others is wider than a header.
WIDEST_GAPS = 100


class Index(NamedTuple):
    """The index of one FASTA file.

    Attributes
    ----------
    names : list of str
        Its sequences, at least one; unique and not empty.
    length, offset, bases, line_bytes : numpy.ndarray of int64, shape (n_sequences,)
        Bases of a sequence, place of the first in the unpacked file, and bases and
        bytes of its lines.
    fai : pathlib.Path
        The file it was read from.
    gzi : pathlib.Path, or None
        Index of the blocks of a bgzip file; None for a plain one.
    """

    names: list[str]
    length: np.ndarray
    offset: np.ndarray
    bases: np.ndarray
    line_bytes: np.ndarray
    fai: Path
    gzi: Path | None

    @property
    def end(self) -> np.ndarray:
        """Places behind the last bases."""
        full_lines = (self.length - 1).clip(0) // self.bases.clip(1)
        return self.offset + self.length + full_lines * (self.line_bytes - self.bases)


def open_index(path: str) -> Index:
    """Read the index of a FASTA file; make one where it is missing, outdated or empty.

    An index that does not fit would give wrong bases without a word. So:

    1. The file must be plain or whole bgzip, and begin as FASTA does.
    2. The index beside it or in the cache must be no older than the file.
    3. Names must be unique and not empty, and the last sequence must lie where the index
       says, under that name.
    4. Between sequences there must be no second one of the same name: samtools leaves it out.

    Parameters
    ----------
    path : str
        The FASTA file, plain or bgzip.

    Returns
    -------
    Index
        Checked against the file.

    Raises
    ------
    InputError
        If the file is no FASTA that can be read at random, or does not fit its index.
    """
    bgzip = _check_kind(path)
    fai, gzi = _index_files(Path(path), bgzip)
    index = _read_index(path, fai, gzi if bgzip else None)
    _check_names(path, index)
    _check_last(path, index)
    _check_gaps(path, index)
    return index


def _check_kind(path: str) -> bool:
    """Say whether the file is bgzip; refuse what is no FASTA."""
    try:
        kind = os.stat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise InputError(
                "is a pipe or a device, and a genome is read at random; write it to a file first, for "
                "example with: gunzip -c genome.fa.gz > genome.fa",
                path=path,
            )
        with open(path, "rb") as file:
            head, whole = file.read(18), is_whole_bgzip(file)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else _reason(error)
        raise InputError(f"{reason} (the genome's FASTA)", path=path) from error
    packer, _ = packed_with(head)
    if packer:
        if whole is None:
            tool = {"gzip": "gunzip", "bzip2": "bunzip2", "xz": "unxz"}[packer]
            raise InputError(
                f"is {packer}, which cannot be read at random; unpack it ({tool}), or pack it with bgzip: "
                f"{tool} -c {path} | bgzip > genome.fa.bgz",
                path=path,
            )
        if not whole:
            raise InputError("is cut off (bgzip's end mark is missing); fetch it again", path=path)
        return True
    if not head.strip():
        raise InputError("the file is empty", path=path)
    if not head.startswith(b">"):
        raise _no_fasta(path, 1, head)
    return False


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _no_fasta(path: str | os.PathLike, row: int, line: bytes) -> InputError:
    if line.startswith(BYTE_ORDER_MARK):
        return InputError(
            "starts with a byte-order mark, which an index does not allow; remove it, for example with: "
            f"tail -c +4 {path} > genome.fa",
            path=path,
            row=row,
        )
    refuse_what_is_no_text(line, path)
    return InputError(no_fasta(line), path=path, row=row)


def _index_files(path: Path, bgzip: bool) -> tuple[Path, Path]:
    """Find the index beside the file or in the cache, or make it."""
    status = path.stat()
    key = hashlib.sha256(os.fsencode(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}")).hexdigest()[:16]
    beside, cached = path.parent, cache_folder("fasta_index") / key
    for folder in (beside, cached):
        fai, gzi = folder / f"{path.name}.fai", folder / f"{path.name}.gzi"
        if all(_is_of(file, status) for file in ([fai, gzi] if bgzip else [fai])):
            return fai, gzi
    if status.st_size > LARGE_FILE:
        say(f"{path}: making its index, once")
    if os.access(beside, os.W_OK):
        try:
            return _make_index(path, beside / f"{path.name}.fai", beside / f"{path.name}.gzi", bgzip)
        except OSError as error:
            if full_disk(error) is None:
                raise
    return _make_index(path, cached / f"{path.name}.fai", cached / f"{path.name}.gzi", bgzip)


def _is_of(index: Path, status: os.stat_result) -> bool:
    """Say whether an index is no older than its file; an interrupted program leaves an empty one."""
    if not index.exists():
        return False
    own = index.stat()
    return own.st_mtime >= status.st_mtime and own.st_size > 0


def _make_index(path: Path, fai: Path, gzi: Path, bgzip: bool) -> tuple[Path, Path]:
    import pysam

    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(replacing(fai))
            options = ["--fai-idx", str(temporary)]
            if bgzip:
                options += ["--gzi-idx", str(stack.enter_context(replacing(gzi)))]
        except InputError as error:
            if not isinstance(error.__cause__, OSError):  # a folder or a device has the index's name
                raise
            raise InputError(
                f"its index cannot be written to {fai.parent} ({_reason(error.__cause__)}); make the "
                "genome's folder writable, or set XDG_CACHE_HOME to one that is",
                path=path,
            ) from error
        verbosity = pysam.set_verbosity(0)  # htslib's own lines on standard error
        try:
            words: Any = [os.fsencode(word) for word in (*options, str(path))]  # texts must be UTF-8, names need not
            pysam.faidx(*words)
        except pysam.SamtoolsError as error:
            with open(temporary, "ab") as file:  # samtools does not say whether the disk is full
                file.write(bytes(ROOM))
            raise _why_no_index(path) from error
        finally:
            pysam.set_verbosity(verbosity)
    return fai, gzi


def _why_no_index(path: Path) -> InputError:
    """Find the row at which samtools gave up."""
    name, header_row, line_bytes, ended, last_bases = None, 0, 0, False, 0
    with open_text(path) as file:
        for row, line in enumerate(file, 1):
            if line.startswith(b">"):
                if b"\r" in line.rstrip():
                    return InputError(CR_ALONE, path=path, row=row)
                name, header_row, line_bytes, ended = _name(line), row, 0, False
                continue
            if name is None:
                return _no_fasta(path, row, line)
            last_bases = row if line.strip() else last_bases
            line_bytes = line_bytes or len(line)
            if line.strip() and (ended or len(line) > line_bytes):
                return InputError(
                    f"lines of different lengths in sequence {name!r}; rewrap it, for example with 'seqtk seq -l 60'",
                    path=path,
                    row=row,
                )
            ended = len(line) < line_bytes
    if not last_bases:
        return InputError("holds no sequences", path=path)
    if last_bases < header_row:
        return InputError(f"sequence {name!r} is empty, and the last; take its header out", path=path, row=header_row)
    return InputError("cannot be indexed by 'samtools faidx'", path=path)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")  # as BED files are read, so that equal names stay equal


def _read_index(path: str, fai: Path, gzi: Path | None) -> Index:
    try:
        lines = fai.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"the index cannot be read ({_reason(error)})", path=fai) from error
    names, numbers = [], []
    for row, line in enumerate(lines, 1):
        name, *fields = line.split(b"\t")[:5]
        try:
            length, offset, bases, line_bytes = map(int, fields)
        except ValueError as error:
            raise _damaged(fai, row) from error
        if not (0 <= length < LARGEST and 0 <= offset < LARGEST and 0 <= bases <= line_bytes < LARGEST):
            raise _damaged(fai, row)
        names.append(_text(name))
        numbers.append((length, offset, bases, line_bytes))
    if not names:
        raise InputError("holds no sequences", path=path)
    length, offset, bases, line_bytes = np.array(numbers, np.int64).T
    return Index(names, length, offset, bases, line_bytes, fai, gzi)


def _damaged(fai: Path, row: int) -> InputError:
    return InputError("the index is damaged; remove it, and it will be made anew", path=fai, row=row)


def _check_names(path: str, index: Index) -> None:
    names = set(index.names)
    if "" in names:
        raise InputError(
            "the header has no name right behind '>'; put one there, or take the blanks away, for example "
            "with: sed 's/^>  */>/'",
            path=path,
            row=_nameless_row(path),
        )
    if len(names) < len(index.names):
        raise _twice(path, Counter(index.names).most_common(1)[0][0])
    strange = next((name for name in index.names if "\ufffd" in name), None)
    if index.gzi is not None and strange is not None:
        raise InputError(
            f"the name {strange!r} is not UTF-8 text, which a bgzip file needs; rename the sequence, or "
            "unpack the file",
            path=path,
        )


def _nameless_row(path: str) -> int | None:
    with open_text(path) as file:
        return next((row for row, line in enumerate(file, 1) if line.startswith(b">") and not line[1:2].strip()), None)


def _check_last(path: str, index: Index) -> None:
    """Compare the last sequence with the index."""
    if index.gzi is None and index.end[-1] > os.path.getsize(path):
        raise InputError(
            f"is shorter than its index {index.fai} says; if the file is complete, remove the index", path=path
        )
    offset = int(index.offset[-1])
    with open(path, "rb") as file:
        before = _read_at(file, index.gzi, max(0, offset - LONGEST_HEADER), min(offset, LONGEST_HEADER))
    if index.gzi is not None and not before:
        raise InputError(
            f"does not fit its index {index.gzi}, or is damaged; remove the index, and it will be made anew", path=path
        )
    header = before.splitlines()[-1] if before else b""
    if not header.startswith(b">") or _name(header) != index.names[-1]:
        raise InputError(
            f"does not fit its index {index.fai}, which seems to be of another file; remove the index, "
            "and it will be made anew",
            path=path,
        )


def _name(header: bytes) -> str:
    return _text(b"".join(header[1:].split()[:1]))


def _check_gaps(path: str, index: Index) -> None:
    """Refuse a second sequence of one name, which samtools leaves out of the index."""
    order = np.argsort(index.offset)
    end, start = index.end[order], index.offset[order]
    width = (np.append(start[1:], end[-1] + LONGEST_HEADER) - end).clip(0, LONGEST_HEADER)
    names = set(index.names)
    with open(path, "rb") as file:
        for i in np.argsort(width)[-WIDEST_GAPS:].tolist():
            gap = _read_at(file, index.gzi, int(end[i]), int(width[i]))
            before_last = gap.splitlines()[:-1]  # the last line is the header of the next sequence
            twice = next((_name(line) for line in before_last if line.startswith(b">") and _name(line) in names), None)
            if twice is not None:
                raise _twice(path, twice)


def _twice(path: str, name: str) -> InputError:
    return InputError(
        f"holds two sequences named {name!r}, of which only one could be found; remove or rename the other", path=path
    )


def _read_at(file, gzi: Path | None, start: int, size: int) -> bytes:
    """Read bytes of the unpacked file; none where it is damaged, which fetching sequences from there will say."""
    if gzi is None:
        file.seek(max(start, 0))
        return file.read(size)
    try:
        blocks = np.fromfile(gzi, "<u8")[1:].reshape(-1, 2)  # their places in the file and in the unpacked file
        before = np.searchsorted(blocks[:, 1], start, "right")
        packed, unpacked = map(int, blocks[before - 1]) if before else (0, 0)
        file.seek(packed)
        with gzip.GzipFile(fileobj=file) as contents:
            contents.read(start - unpacked)
            return contents.read(size)
    except (OSError, EOFError, ValueError, zlib.error):
        return b""
