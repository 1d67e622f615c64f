"""Motif databases: JASPAR releases from pyjaspar, cached, and any motif file.

pyjaspar ships each release as an SQLite file. A release is read from it once and
then kept as one npz file in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.cache import cache_folder
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import counted, say
from kipoi_motifrep.motifs import Motif, read_motifs
from kipoi_motifrep.motifs.formats.matrices import NoMotifsError
from kipoi_motifrep.motifs.formats.text import word

LATEST_RELEASE = "JASPAR2026"
PAPER_RELEASE = "JASPAR2016"  # Koo & Eddy 2019
CACHE_VERSION = 1
MOST_NAMED = 5  # databases that are listed by name where several are searched as one
_RELEASE = re.compile(r"(?:JASPAR)?(\d{4})", re.IGNORECASE)
_TEXT_FIELDS = ("id", "name", "collection", "taxon", "tf_class", "tf_family")
_NOTHING = {"", "-", "unknown"}  # how JASPAR says that a class or family is not known


@dataclass(frozen=True, eq=False)
class Database:
    """Motifs to search, with what a result must say about them.

    Parameters
    ----------
    motifs : tuple of Motif
        For JASPAR: name = matrix id, alt_name = TF, pwm = counts / column sum in full
        precision, nsites = sum of the first column's counts, to the nearest integer
        (in old matrices other columns may sum to other numbers).
    name : str
        What was selected, such as ``JASPAR2026 CORE vertebrates``, or a file's path.
    release : str
        JASPAR release; empty for files.
    rna : bool, default False
        Whether a part of it is RNA, which has one strand.
    target_names : tuple of str, optional
        A name of its own for each motif, by which tables refer to it; the motifs' names by
        default.

    Examples
    --------
    >>> database = Database((Motif("m1", [[1, 0, 0, 0]], tf_family=("bHLH",)),), "mine.meme")
    >>> database["m1"].consensus, database.families, len(database)
    ('A', {'m1': 'bHLH'}, 1)
    """

    motifs: tuple[Motif, ...]
    name: str
    release: str = ""
    rna: bool = False
    target_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.target_names:
            object.__setattr__(self, "target_names", tuple(motif.name for motif in self.motifs))

    def __repr__(self) -> str:
        return f"<Database {self.name}, {len(self)} motifs>"

    def __len__(self) -> int:
        return len(self.motifs)

    def __iter__(self) -> Iterator[Motif]:
        return iter(self.motifs)

    def __getitem__(self, matrix_id: str) -> Motif:
        """Return the motif of an id; raise KeyError if there is none."""
        return self.index[matrix_id]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids and matrices, hexadecimal: equal content has an equal digest."""
        digest = hashlib.sha256()
        for motif in self.motifs:
            digest.update(f"{motif.name}\n{motif.width}\n".encode())
            digest.update(np.ascontiguousarray(motif.pwm, "<f8").tobytes())
        return digest.hexdigest()

    @cached_property
    def index(self) -> dict[str, Motif]:
        """Motif of each id; the first where joined databases share one."""
        return {motif.name: motif for motif in reversed(self.motifs)}

    @cached_property
    def families(self) -> dict[str, str]:
        """TF family of each id: ``::`` between those of a dimer, empty if not known."""
        return {name: "::".join(motif.tf_family) for name, motif in self.index.items()}

    def without(self, ids: Sequence[str] | str) -> Database:
        """Leave motifs out of the search.

        Parameters
        ----------
        ids : sequence of str, or one
            Motifs' ids or names in tables; all that have one are left out. ``MA0139`` is every version of it.

        Returns
        -------
        Database
            The same one if there are no ids.

        Raises
        ------
        InputError
            If no motif has an id, or none is left.

        Examples
        --------
        >>> database = Database((Motif("m1", [[1, 0, 0, 0]]), Motif("m2", [[0, 1, 0, 0]])), "mine.meme")
        >>> database.without(["m2"]).describe()[:35]
        'mine.meme without m2, 1 motifs, sha'
        """
        ids = [ids] if isinstance(ids, str) else list(ids)
        names = [
            {motif.name, name, motif.name.rpartition(".")[0]}
            for motif, name in zip(self.motifs, self.target_names, strict=True)
        ]
        for one in ids:
            if not any(one in own for own in names) or not one:
                versions = [name for name in self.index if name.startswith(f"{one.rpartition('.')[0] or one}.")]
                there = f"; there is {', '.join(versions)}" if versions else ""
                raise InputError(f"exclude: no motif of {self.name} has the id {one!r}{there}")
        kept = [i for i, own in enumerate(names) if not own & set(ids)]
        if not kept:
            raise InputError(f"exclude: no motif of {self.name} is left")
        if not ids:
            return self
        return replace(
            self,
            motifs=tuple(self.motifs[i] for i in kept),
            name=f"{self.name} without {', '.join(ids) if len(ids) <= MOST_NAMED else f'{len(ids)} motifs'}",
            target_names=tuple(self.target_names[i] for i in kept),
        )

    def describe(self) -> str:
        """One line for results: name, number of motifs, start of the digest."""
        return f"{self.name}, {len(self)} motifs, sha256 {self.digest[:12]}"


def releases() -> list[str]:
    """List the JASPAR releases at hand, oldest first.

    Returns
    -------
    list of str
        ``JASPAR2014`` to ``JASPAR2026``.

    Examples
    --------
    >>> releases()[:2]
    ['JASPAR2014', 'JASPAR2016']
    """
    return sorted(path.stem for path in _data_folder().glob("JASPAR*.sqlite"))


def load(
    release: str = LATEST_RELEASE,
    collection: str | Sequence[str] | None = "CORE",
    taxon: str | Sequence[str] | None = "vertebrates",
    versions: str = "latest",
) -> Database:
    """Load a selection of a JASPAR release.

    Parameters
    ----------
    release : str, default "JASPAR2026"
        ``JASPAR2016`` or ``2016``, in any case.
    collection : str, sequence of str or None, default "CORE"
        Collections; None is all.
    taxon : str, sequence of str or None, default "vertebrates"
        Taxonomic groups; None is all.
    versions : {"latest", "all"}
        The newest version of each matrix, which is JASPAR's "non-redundant" set (519 in
        JASPAR 2016 CORE vertebrates), or every version.

    Returns
    -------
    Database
        Sorted by matrix id.

    Raises
    ------
    InputError
        If the release, collection, taxon or `versions` is not known; names those that are.

    Examples
    --------
    >>> database = load("JASPAR2016")
    >>> database.name, len(database)
    ('JASPAR2016 CORE vertebrates', 519)
    """
    release = _release_name(release)
    if versions not in ("latest", "all"):
        raise InputError(f"versions must be latest or all, not {versions!r}")
    table = _table(release)
    keep = _chosen(table["collection"], collection, f"collection in {release}")
    keep &= _chosen(table["taxon"], taxon, f"taxon in {release}")
    if versions == "latest":
        keep &= table["latest"]
    name = " ".join(
        [release, _spelt(table["collection"], collection, "all collections"), _spelt(table["taxon"], taxon, "all taxa")]
        + (["all versions"] if versions == "all" else [])
    )
    if not keep.any():
        raise InputError(f"{name}: no motifs; choose another collection or taxon")
    return Database(tuple(_motifs(table, np.flatnonzero(keep))), name, release)


def open_database(
    spec: str | os.PathLike,
    taxon: str | Sequence[str] | None = "vertebrates",
    collection: str | Sequence[str] | None = "CORE",
) -> Database:
    """Open a JASPAR release, any motif file, or a folder of them as a database.

    Parameters
    ----------
    spec : str or path-like
        Release (``JASPAR2016``, ``2016``) or path. A file named like a release is reached
        by ``./2016``.
    taxon, collection : str, sequence of str or None
        Selection in a release; see `load`. Files are taken whole.

    Returns
    -------
    Database
        Its motifs; those of a folder by the names of its files.

    Raises
    ------
    InputError
        If it is neither, or a file cannot be read.

    Examples
    --------
    >>> len(open_database("2016", taxon="plants"))
    227
    """
    return open_databases([spec], taxon, collection)


def open_databases(
    specs: Sequence[str | os.PathLike] | str | os.PathLike,
    taxon: str | Sequence[str] | None = "vertebrates",
    collection: str | Sequence[str] | None = "CORE",
) -> Database:
    """Open several databases as one; see `join_databases`.

    Parameters
    ----------
    specs : sequence of str or path-like, or one of them
        What `open_database` takes. Files with an empty table, as CIS-BP has them for
        licensed motifs, are left out with a note if others are not empty.
    taxon, collection : str, sequence of str or None
        Selection in releases; see `load`.

    Returns
    -------
    Database
        Motifs in the order of `specs`.

    Raises
    ------
    InputError
        If there is none, or one cannot be read.

    Examples
    --------
    >>> open_databases(["JASPAR2016", "JASPAR2018"]).release
    'JASPAR2016, JASPAR2018'
    """
    specs = [specs] if isinstance(specs, str | os.PathLike) else list(specs)
    if not specs:
        raise InputError("no motif database; give a JASPAR release or a motif file")
    parts, empty = [], []
    for spec in specs:
        if isinstance(spec, str) and _RELEASE.fullmatch(spec.strip()):
            parts.append(load(spec, collection, taxon))
            continue
        path = Path(spec)
        if not path.exists():
            raise InputError(f"no such motif file, and no JASPAR release ({', '.join(releases())})", path=spec)
        files = (
            sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            if path.is_dir()
            else [path]
        )
        if not files:
            raise InputError("this folder has no files; give a motif file or a folder of them", path=spec)
        read = []
        for file in files:
            try:
                found = read_motifs(file)
                read.append(Database(found.motifs, str(spec if file is path else file), rna=found.rna))
            except NoMotifsError as error:
                empty.append(error)
        if path.is_dir() and read:
            parts.append(replace(join_databases(read), name=str(spec)))
        else:
            parts += read
    if not parts:
        raise empty[0]
    if empty:
        say(f"left out {counted(len(empty), 'file')} with an empty table ({empty[0]})")
    return join_databases(parts)


def join_databases(parts: Sequence[Database]) -> Database:
    """Make several databases one.

    Parameters
    ----------
    parts : sequence of Database
        At least one.

    Returns
    -------
    Database
        Their motifs in order. Motifs that are in two of them stay in twice; where another
        has a name already, its name in tables is ``NAME@DATABASE``.

    Examples
    --------
    >>> one, other = (Database((Motif("CTCF", [[1, 0, 0, 0]]),), file) for file in ("a.meme", "b.meme"))
    >>> join_databases([one, other]).target_names
    ('CTCF', 'CTCF@b')
    """
    if len(parts) == 1:
        return parts[0]
    names: dict[str, None] = {}  # in order
    for part in parts:
        for given in part.target_names:
            name, n = given, 1
            while name in names:
                name = f"{given}@{word(part.release or Path(part.name).stem)}" + f"_{n}" * (n > 1)
                n += 1
            names[name] = None
    said = (
        " + ".join(part.name for part in parts)
        if len(parts) <= MOST_NAMED
        else f"{parts[0].name} + {len(parts) - 1} more"
    )
    releases_in = dict.fromkeys(part.release for part in parts if part.release)
    return Database(
        tuple(motif for part in parts for motif in part),
        said,
        ", ".join(releases_in),
        any(part.rna for part in parts),
        tuple(names),
    )


def _release_name(release: str) -> str:
    found = _RELEASE.fullmatch(str(release).strip())
    name = f"JASPAR{found.group(1)}" if found else str(release)
    if name not in releases():
        raise InputError(f"no JASPAR release {release!r}; there are {', '.join(releases())}")
    return name


def _chosen(values: np.ndarray, wanted: str | Sequence[str] | None, what: str) -> np.ndarray:
    if wanted is None:
        return np.ones(len(values), bool)
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    known = {value.lower(): value for value in sorted(set(values)) if value}
    for name in wanted:
        if name.lower() not in known:
            raise InputError(f"no {what} is named {name!r}; there are {', '.join(known.values())}")
    return np.isin(values, [known[name.lower()] for name in wanted])


def _spelt(values: np.ndarray, wanted: str | Sequence[str] | None, everything: str) -> str:
    if wanted is None:
        return everything
    wanted = [wanted] if isinstance(wanted, str) else wanted
    known = {value.lower(): value for value in set(values)}
    return "+".join(known[name.lower()] for name in wanted)


def _motifs(table: dict[str, np.ndarray], chosen: np.ndarray) -> Iterator[Motif]:
    counts = table["counts"]
    total = counts.sum(axis=1)
    # A column without any counts (two UNVALIDATED matrices have one) says nothing.
    pwms = np.divide(counts, total[:, None], out=np.full_like(counts, 0.25), where=total[:, None] > 0)
    stops = np.cumsum(table["width"])
    for i, stop in zip(chosen, stops[chosen], strict=True):
        start = stop - table["width"][i]
        yield Motif(
            table["id"][i],
            pwms[start:stop],
            table["name"][i],
            float(round(total[start])),
            counts[start:stop],
            _split(table["tf_class"][i]),
            _split(table["tf_family"][i]),
        )


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("::")) if text else ()


# Cache: one npz a release, with the whole release in it.


def _table(release: str) -> dict[str, np.ndarray]:
    """Everything of a release as arrays, one entry a matrix; ``counts`` is (total width, 4)."""
    path = _cache_path(release)
    try:
        return _read_table(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # missing, damaged or unreadable: make it again
    table = _query(_data_folder() / f"{release}.sqlite")
    try:
        _write_table(path, table)
    except (OSError, InputError):
        pass  # a cache that cannot be written costs time, not results
    return table


def _cache_path(release: str) -> Path:
    return cache_folder() / f"{release}-pyjaspar{metadata.version('pyjaspar')}-v{CACHE_VERSION}.npz"


def _write_table(path: Path, table: dict[str, np.ndarray]) -> None:
    from kipoi_motifrep.core.outputs import write_bytes

    packed = {field: np.frombuffer("\n".join(table[field]).encode(), np.uint8) for field in _TEXT_FIELDS}
    contents = io.BytesIO()  # on a full disk, numpy's writer would go on failing when it is closed
    np.savez(contents, **{**table, **packed})
    write_bytes(path, contents.getvalue())


def _read_table(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        table = {key: file[key] for key in file.files}
    for field in _TEXT_FIELDS:
        table[field] = np.array(table[field].tobytes().decode().split("\n"), object)
    n = len(table["width"])
    if {len(table[field]) for field in (*_TEXT_FIELDS, "latest")} != {n} or table["counts"].shape != (
        table["width"].sum(),
        4,
    ):
        raise ValueError("damaged cache")
    return table


# Source: pyjaspar's SQLite files.


def _data_folder() -> Path:
    # The package itself is not imported: that takes a second, for biopython.
    spec = importlib.util.find_spec("pyjaspar")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("JASPAR comes with the package pyjaspar; install it: pip install 'pyjaspar>=4,<5'")
    return Path(spec.submodule_search_locations[0]) / "data"


def _query(path: Path) -> dict[str, np.ndarray]:
    # immutable: the file is only read, also from a folder that cannot be written to.
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        matrices = connection.execute("SELECT ID, COLLECTION, BASE_ID, VERSION, NAME FROM MATRIX").fetchall()
        cells = connection.execute('SELECT ID, val FROM MATRIX_DATA ORDER BY ID, col, "row"').fetchall()
        tags = connection.execute(
            "SELECT ID, lower(TAG), VAL FROM MATRIX_ANNOTATION WHERE lower(TAG) IN "
            "('class', 'family', 'tax_group') ORDER BY rowid"
        ).fetchall()
    except sqlite3.Error as error:
        raise InputError(f"pyjaspar's data file cannot be read ({error}); install pyjaspar again", path=path) from None
    finally:
        connection.close()
    matrices.sort(key=lambda matrix: (matrix[2], matrix[3]))
    newest: dict[str, int] = {}
    for _, _, base, version, _ in matrices:
        newest[base] = max(version, newest.get(base, version))
    counts = _counts(cells)
    annotation: dict[tuple[int, str], list[str]] = {}
    for key, tag, value in tags:
        annotation.setdefault((key, tag), []).extend(_known_parts(value))

    def annotated(tag: str) -> list[str]:
        # A homodimer's family is listed once.
        return ["::".join(dict.fromkeys(annotation.get((matrix[0], tag), ()))) for matrix in matrices]

    return {
        "id": np.array([f"{base}.{version}" for _, _, base, version, _ in matrices], object),
        "name": np.array([" ".join(matrix[4].split()) for matrix in matrices], object),
        "collection": np.array([matrix[1].upper() for matrix in matrices], object),
        "taxon": np.array(annotated("tax_group"), object),
        "tf_class": np.array(annotated("class"), object),
        "tf_family": np.array(annotated("family"), object),
        "latest": np.array([version == newest[base] for _, _, base, version, _ in matrices]),
        "width": np.array([len(counts[matrix[0]]) for matrix in matrices]),
        "counts": np.concatenate([counts[matrix[0]] for matrix in matrices]),
    }


def _counts(cells: list[tuple[int, float]]) -> dict[int, np.ndarray]:
    """Collect the counts (width, 4) of each matrix from cells sorted by matrix, position and letter."""
    ids, values = np.array([cell[0] for cell in cells]), np.array([cell[1] for cell in cells], float)
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    return {
        int(ids[start]): part.reshape(-1, 4) for start, part in zip(starts, np.split(values, starts[1:]), strict=True)
    }


def _known_parts(value: str | None) -> list[str]:
    parts = (" ".join(part.split()) for part in (value or "").split("::"))
    return [part for part in parts if part.lower() not in _NOTHING]
