"""Matching motifs with databases of known motifs: which transcription factor is each like."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, staged, write_parameters, write_text
from kipoi_motifrep.core.statuses import DEAD, MATCHED, NO_INFORMATION, NO_MATCH
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.motifs import Motif, MotifFile, read_motifs
from kipoi_motifrep.motifs.chance import Chance, shuffle
from kipoi_motifrep.motifs.files import motifs_of
from kipoi_motifrep.motifs.jaspar import LATEST_RELEASE, Database, open_databases
from kipoi_motifrep.motifs.logos import information_logo
from kipoi_motifrep.motifs.notebook import data_frame, html_table
from kipoi_motifrep.motifs.tomtom import HIT, tomtom
from kipoi_motifrep.motifs.tomtom.tsv import field, tomtom_table

if TYPE_CHECKING:
    import pandas

# Bits at a position; files print probabilities with up to six decimals, which makes less than this of a flat one.
_LEAST_INFORMATION = 1e-6
FILES = ("tomtom.tsv", "matches.tsv")
CHANCE_FILE = "chance_targets.tsv"
COLUMNS = (
    "query",
    "status",
    "target",
    "target_name",
    "tf_class",
    "tf_family",
    "e_value",
    "q_value",
    "p_value",
    "offset",
    "orientation",
    "overlap",
    "n_matches",
    "p_chance",
    "fdr",
    "called",
)


@dataclass(frozen=True)
class Matches:
    """Motifs, the database they were compared with, and what was found.

    Parameters
    ----------
    queries : MotifFile
        The motifs.
    database : Database
        The known motifs.
    statuses : tuple of str
        For each query ``matched``, ``no match``, ``dead`` (a filter that was never
        active) or ``no information`` (uniform); the last two have no matches.
    hits : numpy.ndarray of records
        From `kipoi_motifrep.motifs.tomtom.tomtom`; ``query`` and ``target`` are places in
        `queries` and `database`.
    parameters : dict
        What decides the result, defaults included.
    chance : Chance, optional
        How each fares against its own shuffles, where that was asked for.

    Examples
    --------
    >>> from kipoi_motifrep import Database, Motif, MotifFile
    >>> query, target = Motif("q", [[1, 0, 0, 0]] * 3), Motif("t", [[0.9, 0, 0, 0.1]] * 3)
    >>> hits = np.array([(0, 0, 0, 0.01, 0.01, 0.01, 3, "+")], HIT)
    >>> found = Matches(MotifFile((query,), None, "meme", Path("q.meme"), ""), Database((target,), "mine"), (MATCHED,),
    ...                 hits, {})
    >>> found.table()
    [('q', 'matched', 't', '', '', '', '0.01', '0.01', '0.01', 0, '+', 3, 1, '', '', '')]
    """

    queries: MotifFile
    database: Database
    statuses: tuple[str, ...]
    hits: np.ndarray
    parameters: dict[str, object]
    chance: Chance | None = None

    @property
    def called(self) -> tuple[bool, ...] | None:
        """Whether each has a match, and one that its shuffles do not get: its `fdr` is low enough."""
        if self.chance is None:
            return None
        return tuple(
            status == MATCHED and fdr is not None and fdr <= self.chance.level
            for status, fdr in zip(self.statuses, self.chance.fdr, strict=True)
        )

    def table(self) -> list[tuple]:
        """Rows of ``matches.tsv``: one for each query, with its best match."""
        first, count = np.full(len(self.queries), -1), np.bincount(self.hits["query"], minlength=len(self.queries))
        places, where = np.unique(self.hits["query"], return_index=True)
        first[places] = where
        chance, called = self.chance, self.called
        calls: list[tuple[str, str, str]] = [("", "", "")] * len(self.queries)
        if chance is not None and called is not None:
            calls = [
                ("", "", "") if p is None else (f"{p:g}", f"{fdr:g}", "yes" if yes else "no")
                for p, fdr, yes in zip(chance.p_chance, chance.fdr, called, strict=True)
            ]
        return [
            (*self._row(motif, status, int(hit)), int(n), *call)
            for motif, status, hit, n, call in zip(self.queries, self.statuses, first, count, calls, strict=True)
        ]

    def to_frame(self) -> pandas.DataFrame:
        """Give the table as a DataFrame: numbers as numbers, what is empty as missing.

        Returns
        -------
        pandas.DataFrame
            A row a query, columns as in ``matches.tsv``; ``called`` is True, False or missing.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        frame = data_frame(COLUMNS, self.table()).replace("", None)
        texts = ("query", "status", "target", "target_name", "tf_class", "tf_family", "orientation", "called")
        for name in set(COLUMNS) - set(texts):
            # pandas' own type of whole numbers knows missing ones, too.
            frame[name] = frame[name].astype("Int64" if name in ("offset", "overlap", "n_matches") else float)
        frame["called"] = frame["called"].map({"yes": True, "no": False})
        return frame

    def __repr__(self) -> str:
        called = "" if self.called is None else f", {sum(self.called)} called"
        return (
            f"<Matches of {len(self.queries)} motifs with {self.database.name}: "
            f"{self.statuses.count(MATCHED)} matched{called}>"
        )

    def _repr_html_(self) -> str:
        rows: list[tuple[object, ...]] = []
        for motif, row in zip(self.queries, self.table(), strict=True):
            found = dict(zip(COLUMNS, row, strict=True))
            hit = self.hits[self.hits["query"] == len(rows)][:1]
            target = None
            if len(hit):
                known = self.database.motifs[int(hit["target"][0])]
                target = information_logo(known if hit["orientation"][0] == "+" else known.reverse_complement())
            rows.append(
                (
                    motif.name,
                    information_logo(motif),
                    target,
                    found["target_name"] or found["target"] or found["status"],
                    *(found[name] for name in ("e_value", "q_value", "fdr", "called", "n_matches")),
                )
            )
        header = ("motif", "logo", "best match", "name", "E-value", "q-value", "FDR", "called", "matches")
        return html_table(repr(self)[1:-1], header, rows)

    def _row(self, motif: Motif, status: str, place: int) -> tuple:
        if place < 0:
            return (motif.name, status, *[""] * (COLUMNS.index("n_matches") - 2))
        hit = self.hits[place]
        target = self.database.motifs[hit["target"]]
        return (
            motif.name,
            status,
            self.database.target_names[hit["target"]],
            target.alt_name,
            "::".join(target.tf_class),
            "::".join(target.tf_family),
            *(f"{hit[name]:g}" for name in ("e_value", "q_value", "p_value")),
            int(hit["offset"]),
            str(hit["orientation"]),
            int(hit["overlap"]),
        )

    def by_family(self, query: int, first: int | None = None) -> list[list[int]]:
        """Fold the matches of one query: those of one TF family count once.

        Databases hold many matrices of one binding specificity. A match joins the first of the
        better ones that it shares a family with; ``FOS::JUN`` has two families. Without a family
        it stands alone.

        Parameters
        ----------
        query : int
            Place in `queries`.
        first : int, optional
            Place in `hits` of the match that comes first whatever its E-value; by default the best.

        Returns
        -------
        list of list of int
            Places in `hits`: a list for each family, best first, and so are its members.
        """
        places = np.flatnonzero(self.hits["query"] == query).tolist()
        if first is not None:
            places.sort(key=lambda place: place != first)  # the others stay in order
        folded: list[list[int]] = []
        for place in places:
            own = set(self.database.motifs[self.hits["target"][place]].tf_family)
            for line in folded:
                if own & set(self.database.motifs[self.hits["target"][line[0]]].tf_family):
                    line.append(place)
                    break
            else:
                folded.append([place])
        return folded

    def write(self, folder: str | os.PathLike) -> None:
        """Write ``tomtom.tsv``, ``matches.tsv``, ``chance_targets.tsv`` if there was a null, and ``parameters.json``.

        Parameters
        ----------
        folder : str or path-like
            Where to; it is made when it is missing.
        """
        with staged(folder) as stage:
            self._write(stage)

    def _write(self, folder: Path) -> None:
        self.write_tables(folder)
        write_parameters(folder, "match", self.parameters)

    def write_tables(self, folder: str | os.PathLike) -> None:
        """Write the tables alone; one of chance matches that is there is removed where there is none now.

        Parameters
        ----------
        folder : str or path-like
            Where to; it is made when it is missing.
        """
        targets = [
            motif if motif.name == name else replace(motif, name=name)  # databases may share names
            for motif, name in zip(self.database, self.database.target_names, strict=True)
        ]
        command, background = _command_line(self.parameters), self.queries.background
        tomtom_tsv = tomtom_table(self.hits, self.queries, targets, command, background)
        write_text(Path(folder) / "tomtom.tsv", tomtom_tsv)
        write_table(Path(folder) / "matches.tsv", COLUMNS, ([field(str(x)) for x in row] for row in self.table()))
        if self.chance is None:
            (Path(folder) / CHANCE_FILE).unlink(missing_ok=True)
            return
        names = dict(zip(self.database.target_names, self.database, strict=True))
        write_table(
            Path(folder) / CHANCE_FILE,
            ("target", "target_name", "share"),
            ((field(name), field(names[name].alt_name), f"{share:.6g}") for name, share in self.chance.targets.items()),
        )


def match(
    queries: object,
    database: str | os.PathLike | Sequence[str | os.PathLike] = LATEST_RELEASE,
    *,
    taxon: str | Sequence[str] | None = "vertebrates",
    collection: str | Sequence[str] | None = "CORE",
    exclude: Sequence[str] = (),
    evalue: float = 0.1,
    qvalue: float | None = None,
    min_overlap: int = 1,
    incomplete_scores: bool = False,
    norc: bool = False,
    fdr: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    output: str | os.PathLike | None = None,
    progress: bool = False,
) -> Matches:
    """Find the known motifs that each motif of a file is like.

    Tomtom's exact statistics (see `kipoi_motifrep.motifs.tomtom.tomtom`). Motifs without
    information are reported without matches: a uniform motif would find chance
    matches. Q-values are those that Tomtom gives for the whole file, these motifs
    included.

    Parameters
    ----------
    queries : str, path-like, Motif, array, or list of them
        Any motif file, such as ``filters.meme``, or motifs that you hold: a list of Motif, or probabilities of shape
        (width, 4) or (n, width, 4). A file's background, if it states one, and numbers of sites are used.
    database : str, path-like or sequence of them, default "JASPAR2026"
        JASPAR releases and motif files, searched as one.
    taxon, collection : str, sequence of str or None
        What to take of JASPAR releases; None is everything.
    exclude : sequence of str, optional
        Ids of motifs that are not searched.
    evalue : float, default 0.1
        Report matches with an E-value up to this.
    qvalue : float, optional
        Report matches with a q-value up to this instead.
    min_overlap : int, default 1
        Fewest columns that an alignment may pair up.
    incomplete_scores : bool, default False
        Judge alignments by their own columns only.
    norc : bool, default False
        Compare on the given strand only, without reverse complements. Where the queries or
        a database are RNA, this is so in any case.
    fdr : float, optional
        Also compare each motif with its own shuffles, and call those with a false discovery rate up to
        this (:mod:`kipoi_motifrep.motifs.chance`); it takes several times as long.
    seed : int, default 0
        Of the shuffles.
    threads : int, optional
        Threads to compute with, by default all that the machine has; results are the same.
    output : str or path-like, optional
        Folder for ``tomtom.tsv``, ``matches.tsv`` and ``parameters.json``, and with `fdr` ``chance_targets.tsv``.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    Matches
        The records, and the best match of each query.

    Raises
    ------
    InputError
        If a file cannot be read, a release is not known, or an option is out of range.

    Examples
    --------
    >>> from kipoi_motifrep import Motif, write_motifs
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_motifs([Motif("q", np.eye(4)[[0, 1, 2, 3, 0, 0]])], f"{folder}/q.meme")
    ...     targets = [Motif("t", np.eye(4)[[3, 3, 0, 1, 2, 3]]), Motif("u", np.eye(4)[[1] * 6])]
    ...     write_motifs(targets, f"{folder}/t.meme")
    ...     found = match(f"{folder}/q.meme", f"{folder}/t.meme")
    >>> found.statuses, [(row[2], row[10]) for row in found.table()]
    (('matched',), [('t', '-')])
    """
    if fdr is not None:
        check_fdr(fdr)
    motifs = motifs_of(queries)
    targets = open_databases(database, taxon=taxon, collection=collection).without(exclude)
    files, gone = [*FILES, PARAMETERS_FILE], []
    if fdr is not None:
        files.append(CHANCE_FILE)
    elif output is not None:
        gone = [file for file in [Path(output) / CHANCE_FILE] if file.exists()]  # it would belong to nothing
    with nullcontext() if output is None else staged(output, files, [queries, database], gone) as stage:
        found = compare_motifs(
            motifs,
            targets,
            searched=searched(database, taxon, collection, exclude),
            evalue=evalue,
            qvalue=qvalue,
            min_overlap=min_overlap,
            incomplete_scores=incomplete_scores,
            norc=norc,
            threads=threads,
            progress=progress,
        )
        named = str(queries if isinstance(queries, str | os.PathLike) else motifs.path)
        found = replace(found, parameters={**found.parameters, "queries": named, "fdr": fdr, "seed": seed})
        if fdr is not None:
            found = replace(found, chance=shuffle(found, seed, threads).chance(found, fdr))
        if stage is not None:
            found._write(stage)
    return found


def check_fdr(fdr: float) -> None:
    """Raise InputError unless this is a false discovery rate."""
    if not 0 <= fdr <= 1:
        raise InputError(f"fdr must be between 0 and 1, not {fdr}")


def searched(
    database: str | os.PathLike | Sequence[str | os.PathLike],
    taxon: str | Sequence[str] | None,
    collection: str | Sequence[str] | None,
    exclude: str | Sequence[str],
) -> dict[str, object]:
    """Say by which words a database was opened.

    Parameters
    ----------
    database, taxon, collection, exclude
        As for `match`.

    Returns
    -------
    dict
        For `compare_motifs`.
    """
    return {
        "database": [str(one) for one in ([database] if isinstance(database, str | os.PathLike) else database)],
        "taxon": taxon,
        "collection": collection,
        "exclude": [exclude] if isinstance(exclude, str) else list(exclude),
    }


def compare_motifs(
    motifs: MotifFile,
    targets: Database,
    *,
    searched: Mapping[str, object],
    evalue: float = 0.1,
    qvalue: float | None = None,
    min_overlap: int = 1,
    incomplete_scores: bool = False,
    norc: bool = False,
    qvalues: bool = True,
    threads: int | None = None,
    progress: bool = False,
) -> Matches:
    """Match motifs that were read with a database that is open, as `match` does.

    Parameters
    ----------
    motifs : MotifFile
        The motifs.
    targets : Database
        The known motifs.
    searched : mapping
        How they were opened; see the function of this name.
    evalue, qvalue, min_overlap, incomplete_scores, norc, threads, progress
        See `match`.
    qvalues : bool, default True
        Compute q-values; without, they are NaN.

    Returns
    -------
    Matches

    Raises
    ------
    InputError
        If an option is out of range.
    """
    norc = norc or motifs.rna or targets.rna
    idle = [_idle_status(motif) for motif in motifs]
    # Idle motifs take part, and their records are dropped: Tomtom's random numbers run on from one query to the next,
    # so without them the q-values of those behind them would be others than Tomtom's for this file.
    found = tomtom(
        motifs,
        targets,
        evalue=evalue,
        qvalue=qvalue,
        min_overlap=min_overlap,
        complete_scores=not incomplete_scores,
        both_strands=not norc,
        qvalues=qvalues,
        threads=threads,
        progress=progress,
    )
    hits = found[np.array([status is None for status in idle], bool)[found["query"]]]
    hits.setflags(write=False)
    matched = set(hits["query"].tolist())
    statuses = tuple(status or (MATCHED if index in matched else NO_MATCH) for index, status in enumerate(idle))
    return Matches(
        motifs,
        targets,
        statuses,
        hits,
        {
            "queries": str(motifs.path),
            "queries_sha256": motifs.digest,
            "background": motifs.background,
            **searched,
            "database_description": targets.describe(),
            "database_sha256": targets.digest,
            "database_release": targets.release,
            "evalue": None if qvalue is not None else evalue,
            "qvalue": qvalue,
            "min_overlap": min_overlap,
            "incomplete_scores": incomplete_scores,
            "norc": norc,
            "threads": threads,
        },
    )


def read_matches(
    folder: str | os.PathLike,
    queries: str | os.PathLike,
    database: Database,
    *,
    evalue: float = 0.1,
    qvalue: float | None = None,
    min_overlap: int = 1,
) -> Matches:
    """Read ``tomtom.tsv`` back.

    Parameters
    ----------
    folder : str or path-like
        Where `Matches.write_tables` wrote it.
    queries : str or path-like
        The same motif file.
    database : Database
        The same database.
    evalue, qvalue, min_overlap
        What it was made with; see :func:`match`.

    Returns
    -------
    Matches
        Numbers with the six digits of the table.

    Raises
    ------
    InputError
        If the table is not about these motifs.
    """
    motifs, path = read_motifs(queries), Path(folder) / "tomtom.tsv"
    places = [
        {field(name): place for place, name in enumerate(names)}
        for names in ([motif.name for motif in motifs], database.target_names)
    ]
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    try:
        hits = np.array(
            [
                (places[0][row[0]], places[1][row[1]], int(row[2]), *map(float, row[3:6]), int(row[6]), row[9])
                for row in rows
            ],
            HIT,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"is not about these motifs ({error}); make it again", path=path) from None
    hits.setflags(write=False)
    matched = set(hits["query"].tolist())
    statuses = tuple(
        _idle_status(motif) or (MATCHED if index in matched else NO_MATCH) for index, motif in enumerate(motifs)
    )
    return Matches(
        motifs,
        database,
        statuses,
        hits,
        {
            "evalue": None if qvalue is not None else evalue,
            "qvalue": qvalue,
            "min_overlap": min_overlap,
            "incomplete_scores": False,
            "norc": motifs.rna or database.rna,
        },
    )


def _command_line(parameters: dict) -> str:
    words = ["kipoi-motifrep", "match", parameters["queries"], "--database", *parameters["database"]]
    for name in ("taxon", "collection"):
        value = parameters[name]
        words += [f"--{name}", "all" if value is None else value if isinstance(value, str) else ",".join(value)]
    words += ["--exclude", *parameters["exclude"]] if parameters.get("exclude") else []
    threshold = "evalue" if parameters["qvalue"] is None else "qvalue"
    words += [f"--{threshold}", f"{parameters[threshold]:g}", "--min-overlap", str(parameters["min_overlap"])]
    flags = ["--incomplete-scores"] * parameters["incomplete_scores"] + ["--norc"] * parameters["norc"]
    return shlex.join(words + flags)


def _idle_status(motif: Motif) -> str | None:
    if motif.information().max() >= _LEAST_INFORMATION:
        return None
    return DEAD if motif.alt_name == DEAD else NO_INFORMATION
