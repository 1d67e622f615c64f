"""Reading any motif file, and writing the formats that others read."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs.formats.matrices import KNOWN, format_homer, format_jaspar, parse_plain
from kipoi_motifrep.motifs.formats.meme import format_meme, parse_meme
from kipoi_motifrep.motifs.formats.position_tables import parse_table
from kipoi_motifrep.motifs.formats.text import MotifText, word
from kipoi_motifrep.motifs.formats.transfac import format_transfac, parse_transfac
from kipoi_motifrep.motifs.motif import Motif, check_background

WRITERS = {"meme": format_meme, "jaspar": format_jaspar, "transfac": format_transfac, "homer": format_homer}
_RENAMED = "{motifs} had the name of another of this file and are called NAME_2, NAME_3, ..."
_MEME = re.compile(r"\s*(MEME version|letter-probability matrix)")
_TRANSFAC_START, _TRANSFAC_MATRIX = re.compile(r"(VV|AC|ID|NA|DE|XX|P0|PO)(\s|$)"), re.compile(r"P[0O]\s+[ACGTU]\b")


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
        ``meme``, ``transfac``, ``jaspar`` (letters and brackets), ``pfm`` (a row a letter), ``homer`` (a row a
        position), ``cisbp`` (named columns), ``table`` (such among others), ``uniprobe`` or ``universalmotif``.
    path : pathlib.Path
        The file.
    digest : str
        SHA-256 of its bytes, hexadecimal.
    rna : bool, default False
        Whether its letters are those of RNA, which has one strand.

    Examples
    --------
    >>> file = MotifFile((Motif("m1", [[1, 0, 0, 0]]), Motif("m2", [[0, 1, 0, 0]])), None, "meme", Path("m.meme"), "")
    >>> len(file), [motif.name for motif in file], file[1].consensus
    (2, ['m1', 'm2'], 'C')
    """

    motifs: tuple[Motif, ...]
    background: np.ndarray | None
    format: str
    path: Path
    digest: str
    rna: bool = False

    def __repr__(self) -> str:
        return f"<MotifFile {self.path}: {len(self)} motifs, {self.format}>"

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
    r"""Read a motif file of any known format, plain or packed with gzip, bzip2 or xz.

    The format is found by content: MEME (minimal in every shape, and MEME's text
    output), TRANSFAC and its relatives, tables with columns of letters, and everything that is titles and
    matrices: JASPAR, HOMER, HOCOMOCO, CIS-BP, UniPROBE, universalmotif, logomaker. Rows may be
    positions or letters, numbers counts or probabilities. RNA motifs are read with U
    as T.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    MotifFile
        Its motifs, background, format and digest. Results refer to motifs by name, so
        a name that occurs again gets a number behind it, and a note says so.

    Raises
    ------
    InputError
        Names the file, the row and what is wrong there.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.pfm")
    ...     _ = open(path, "w").write(">MA1 X\n1 0 4\n1 0 0\n1 4 0\n1 0 0\n")
    ...     read_motifs(path)[0]
    <Motif MA1 X, width 3, NGA>
    """
    text = MotifText.read(path)
    filled = list(text.filled())
    if not filled:
        raise text.error(f"empty, or not text; a motif file is needed ({KNOWN})")
    if filled[0][1].startswith(("{", "[{")):
        raise text.error(f"JSON; give the motifs in another format ({KNOWN})", filled[0][0])
    if filled[0][1].startswith("<"):
        raise text.error("an XML or HTML page; give the text file of motifs instead (MEME's is meme.txt)", filled[0][0])
    background = None
    first = next((line for _, line in filled if not line.startswith("#")), "")
    if any(map(_MEME.match, text.lines)):
        kind = "meme"
        found, background = parse_meme(text)
    elif _TRANSFAC_START.match(first) or (not first.startswith(">") and any(map(_TRANSFAC_MATRIX.match, text.lines))):
        kind, found = "transfac", parse_transfac(text)
    elif table := parse_table(text):
        kind, found = "table", table
    else:
        found, kind = parse_plain(text)
    if not found:
        raise text.error(f"no motifs in this {kind} file")
    motifs = tuple(_with_names_of_their_own(text, [motif for _, motif in found]))
    text.say_remarks()
    return MotifFile(motifs, background, kind, text.path, text.digest, text.rna)


def motifs_of(given: object) -> MotifFile:
    """Make motifs of what a caller holds.

    Parameters
    ----------
    given : str, path-like, MotifFile, Motif, array, or sequence or mapping of Motif and arrays
        The name of a motif file; motifs; or probabilities of shape (width, 4) or (n, width, 4), ACGT; a data frame
        says which column or row is which letter. Arrays are called ``motif0`` and so on, or as the mapping says.

    Returns
    -------
    MotifFile
        Without a background, unless it is that of a file.

    Raises
    ------
    InputError
        If a file cannot be read, or it is something else: what was given, and what is wanted.

    Examples
    --------
    >>> motifs_of([Motif("m", [[1, 0, 0, 0]]), np.eye(4)]).motifs
    (<Motif m, width 1, A>, <Motif motif1, width 4, ACGT>)
    >>> motifs_of({"MAX": np.eye(4)[[1, 0, 1]]})[0].consensus
    'CAC'
    >>> motifs_of(3)
    Traceback (most recent call last):
    ...
    kipoi_motifrep.core.errors.InputError: the motifs are of type int; wanted is the name of a motif file, ...
    """
    if isinstance(given, MotifFile):
        return given
    if isinstance(given, str | os.PathLike):
        return read_motifs(given)
    if isinstance(given, Motif) or hasattr(given, "columns"):
        given = [given]
    array = np.asarray(given) if hasattr(given, "__array__") else None
    if array is not None and array.ndim == 2:
        given = [array]
    elif array is not None:
        given = list(array) if array.ndim == 3 else [array]
    if isinstance(given, Mapping):
        named = list(given.items())
    elif isinstance(given, Iterable):
        named = [(f"motif{i}", one) for i, one in enumerate(given)]
    else:
        raise InputError(
            f"the motifs are of type {type(given).__name__}; wanted is the name of a motif file, a list of Motif, or "
            "probabilities of shape (width, 4) or (n, width, 4)"
        )
    motifs = tuple(one if isinstance(one, Motif) else Motif(str(name), _by_letter(one)) for name, one in named)
    if not motifs:
        raise InputError("there are no motifs")
    names = [motif.name for motif in motifs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two motifs are named {twice}; give each a name of its own")
    digest = hashlib.sha256("".join(map(repr, names)).encode() + b"".join(one.pwm.tobytes() for one in motifs))
    return MotifFile(motifs, None, "memory", Path("motifs in memory"), digest.hexdigest())


def _by_letter(given: Any) -> Any:
    """Put a data frame whose columns or rows are named by the letters into their order; anything else stays."""
    for frame in (given, given.T) if hasattr(given, "columns") else ():
        place = {str(name).upper().replace("U", "T"): i for i, name in enumerate(frame.columns)}
        if {*place} == {*BASES}:
            return frame.to_numpy()[:, [place[base] for base in BASES]]
    return given


def _with_names_of_their_own(text: MotifText, motifs: list[Motif]) -> Iterator[Motif]:
    """Give a name that occurs again a number: the second ``X`` is ``X_2``."""
    names, taken = {motif.name for motif in motifs}, set[str]()
    for motif in motifs:
        name, n = motif.name, 1
        while name in taken or (n > 1 and name in names):
            n += 1
            name = f"{motif.name}_{n}"
        taken.add(name)
        text.remarks[_RENAMED] += n > 1
        yield motif if n == 1 else replace(motif, name=name)


def write_motifs(
    motifs: Iterable[Motif],
    path: str | os.PathLike,
    format: str = "meme",
    background: Sequence[float] | np.ndarray | None = None,
) -> None:
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

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "m.jaspar")
    ...     write_motifs([Motif("m1", [[1, 0, 0, 0], [0, 0.5, 0.5, 0]], nsites=10)], path, "jaspar")
    ...     print(path.read_text())
    >m1
    A  [ 10 0 ]
    C  [ 0 5 ]
    G  [ 0 5 ]
    T  [ 0 0 ]
    <BLANKLINE>
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
    data = text.encode(errors="backslashreplace")  # names may be those of files
    # Without a time stamp equal motifs give equal files.
    write_bytes(path, gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)
