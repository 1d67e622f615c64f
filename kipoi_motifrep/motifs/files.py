"""Reading any motif file, and writing the formats that others read."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs.formats.cisbp import parse_cisbp
from kipoi_motifrep.motifs.formats.detect import detect_format
from kipoi_motifrep.motifs.formats.homer import format_homer, parse_homer
from kipoi_motifrep.motifs.formats.meme import format_meme, parse_meme
from kipoi_motifrep.motifs.formats.pfm import format_jaspar, parse_jaspar
from kipoi_motifrep.motifs.formats.source import Source
from kipoi_motifrep.motifs.formats.spelling import word
from kipoi_motifrep.motifs.formats.transfac import format_transfac, parse_transfac
from kipoi_motifrep.motifs.formats.uniprobe import parse_uniprobe
from kipoi_motifrep.motifs.motif import Motif, check_background

PARSERS = {"meme": parse_meme, "jaspar": parse_jaspar, "pfm": parse_jaspar, "transfac": parse_transfac,
           "homer": parse_homer, "cisbp": parse_cisbp, "uniprobe": parse_uniprobe}
WRITERS = {"meme": format_meme, "jaspar": format_jaspar, "transfac": format_transfac, "homer": format_homer}


@dataclass(frozen=True, eq=False)
class MotifFile(Sequence):
    """Motifs of one file, in its order.

    Parameters
    ----------
    motifs : tuple of Motif
        At least one; names are unique.
    background : numpy.ndarray, shape (4,), or None
        Letter frequencies, if the file states them (MEME only).
    format : str
        ``meme``, ``jaspar``, ``pfm``, ``transfac``, ``homer``, ``cisbp`` or ``uniprobe``.
    path : pathlib.Path
        The file.
    digest : str
        SHA-256 of its bytes, hexadecimal.
    """

    motifs: tuple[Motif, ...]
    background: np.ndarray | None
    format: str
    path: Path
    digest: str

    def __len__(self) -> int:
        return len(self.motifs)

    @overload
    def __getitem__(self, index: int) -> Motif: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Motif, ...]: ...
    def __getitem__(self, index):
        return self.motifs[index]

    def __iter__(self) -> Iterator[Motif]:
        return iter(self.motifs)


def read_motifs(path: str | os.PathLike) -> MotifFile:
    """Read a motif file of any known format, plain or gzip-compressed.

    The format is found by content: MEME (minimal in every shape, and MEME's text
    output), JASPAR (``jaspar`` with brackets, ``pfm`` rows with or without a
    header), TRANSFAC, HOMER, CIS-BP, UniPROBE. RNA motifs are read with U as T.
    Results refer to motifs by name, so a name that occurs twice is refused.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    MotifFile
        Its motifs, background, format and digest.

    Raises
    ------
    InputError
        Names the file, the row and what is wrong there.
    """
    source = Source.read(path)
    kind = detect_format(source)
    found, background = PARSERS[kind](source)
    if not found:
        raise source.error(f"no motifs in this {kind} file")
    rows: dict[str, int] = {}
    for row, motif in found:
        first = rows.setdefault(motif.name, row)
        if first != row:
            raise source.error(f"motif {motif.name} is here twice (first in row {first}); rename one", row)
    return MotifFile(tuple(motif for _, motif in found), background, kind, source.path, source.digest)


def write_motifs(motifs: Iterable[Motif], path: str | os.PathLike, format: str = "meme",
                 background: Sequence[float] | np.ndarray | None = None) -> None:
    """Write motifs to a file, whole or not at all; ``.gz`` compresses.

    Parameters
    ----------
    motifs : iterable of Motif
        A `MotifFile` hands its background on.
    path : str or path-like
        The file.
    format : {"meme", "jaspar", "transfac", "homer"}
        MEME holds names, probabilities, nsites and background; JASPAR names and
        counts; TRANSFAC all but the background; HOMER names, probabilities and nsites.
        Where a format has room for one matrix it is the counts, if they are known.
        White space in a name becomes ``_``, for names are single words there.
    background : sequence of 4 floats, optional
        Letter frequencies for MEME and HOMER; uniform by default.

    Raises
    ------
    InputError
        If the format is unknown, two names are equal, or the file cannot be written.
    """
    from kipoi_motifrep.core.outputs import write_bytes

    if format not in WRITERS:
        raise InputError(f"unknown motif format {format!r}; choose one of {', '.join(WRITERS)}")
    if background is None:
        background = getattr(motifs, "background", None)
    motifs = list(motifs)
    seen: set[str] = set()
    for motif in motifs:
        name = word(motif.name)
        if name in seen:
            raise InputError(f"two motifs are named {name}; names in a motif file must differ", path=path)
        seen.add(name)
    text = "\n".join(WRITERS[format](motifs, check_background(background))) + "\n"
    data = text.encode()
    # Without a time stamp equal motifs give equal files.
    write_bytes(path, gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)
