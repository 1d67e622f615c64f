"""Many networks interpreted, and one page that leads to them.

1. Each network is interpreted into a folder of its own, by whoever is there; of one that fails the reason is kept, and
   the rest go on.
2. A network of which nothing has changed is not opened again.
3. The filters that count, those that are called, are compared among themselves: what is like the clearest that is
   left is one cluster.
4. Tables, motif files and the page: networks, families of transcription factors, factors by name, clusters.
"""

from __future__ import annotations

import gc
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError, a_few, first_line, one_line
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, output_folder, write_text
from kipoi_motifrep.core.progress import counted, progress, say
from kipoi_motifrep.core.steps import Steps
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.core.textfile import parse_json, text_lines
from kipoi_motifrep.core.workers import WorkerLost, as_here, open_workers
from kipoi_motifrep.filters.extract import ModelSource, SequenceSource
from kipoi_motifrep.motifs import Motif, write_motifs
from kipoi_motifrep.networks.file_kinds import NetworkFile
from kipoi_motifrep.networks.loading import load_model, open_network
from kipoi_motifrep.pipeline.interpretation import interpret
from kipoi_motifrep.report import Report, read_interpretation
from kipoi_motifrep.report.drawings import group_logos
from kipoi_motifrep.report.page import render, safe
from kipoi_motifrep.report.schema import FilterGroup, FilterRow, GroupMember
from kipoi_motifrep.representation.redundancy import similar_filters

PAGE, TABLE, CLUSTERS, MOTIFS, CLEAREST = "index.html", "atlas.tsv", "clusters.tsv", "motifs.meme", "clusters.meme"
FILES = (PAGE, TABLE, CLUSTERS, MOTIFS, CLEAREST, PARAMETERS_FILE)
FAMILIES_SHOWN = 60  # columns that a page can hold
CLUSTERS_SHOWN = 150  # logos are what makes a page large
_SEQUENCES = {  # one of them says where sequences come from, and these say how they are read
    "fasta": ("auto_resize_len",),
    "intervals": ("genome", "auto_resize_len", "centre", "use_strand"),
    "dataset": ("split",),
    "dataloader_args": (),
}
_ABOUT = tuple(dict.fromkeys(name for names in _SEQUENCES.values() for name in names))
_CHOICES = ("layer", "axes", "activation", "dna_channels")  # of a network
COLUMNS = (  # of a table of models
    *("model", "arch", "source", "fasta", "intervals", "genome", "auto_resize_len", "centre", "dataset", "split"),
    *("dataloader_args", *_CHOICES, "alphabet", "labels", "truth", "name"),
)


@dataclass(frozen=True, eq=False)
class AtlasEntry:
    """A network of an atlas.

    Attributes
    ----------
    name : str
        Unique.
    options : dict
        Arguments of :func:`kipoi_motifrep.interpret`, with full paths.
    error : str
        Why it could not be interpreted.
    report : Report, optional
        What was found.
    files : tuple of str
        What it is read from, and its sequences.
    """

    name: str
    options: dict[str, object]
    error: str = ""
    report: Report | None = field(default=None, repr=False)
    files: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Name of its folder, and of its page's."""
        return re.sub(r"[^\w.+-]+", "_", self.name)

    @property
    def results(self) -> list[str]:
        """What of an interpretation the atlas reads and leads to."""
        return [f"models/{self.folder}/{name}" for name in ("interpretation.json", "report.html")]

    @property
    def rows(self) -> list[FilterRow]:
        """The filters that count: those that are called; where nobody asked, those with a match."""
        rows = self.report.filters if self.report else ()
        asked = any(row.called is not None for row in rows)
        return [row for row in rows if (row.called if asked else row.matches)]


def read_models(path: str | os.PathLike) -> list[dict[str, object]]:
    r"""Read the models of an atlas.

    Parameters
    ----------
    path : str or path-like
        A model a line; or a table whose header names ``model`` and some of :data:`COLUMNS`, arguments of
        :func:`kipoi_motifrep.interpret` (and ``arch``); those of a model's own loader are JSON text. Lines that begin
        with ``#`` are passed over.

    Returns
    -------
    list of dict
        What is given of each.

    Raises
    ------
    InputError
        If there is no model, a column or a number is none, or a model has sequences twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("models.tsv").write_text("model\tdataset\na.keras\tdata.h5\nb.keras\t\n")
    >>> read_models("models.tsv")
    [{'model': 'a.keras', 'dataset': 'data.h5'}, {'model': 'b.keras'}]
    """
    rows = [(number, line.rstrip("\r\n").split("\t")) for number, line in enumerate(text_lines(path), 1)]
    rows = [(number, row) for number, row in rows if row[0].strip() and not row[0].startswith("#")]
    header = ["model"]
    if rows and rows[0][1][0] == "model":
        (number, header), *rows = rows
        unknown = [name for name in header if name not in COLUMNS]
        if unknown:
            raise InputError(f"{a_few(unknown)} is none of {', '.join(COLUMNS)}", path=path, row=number)
    if not rows:
        raise InputError("names no model", path=path)
    found: list[dict[str, object]] = []
    for number, row in rows:
        if len(row) > len(header):
            raise InputError(f"has {len(row)} columns, and the header {len(header)}", path=path, row=number)
        given: dict[str, object] = {name: one.strip() for name, one in zip(header, row, strict=False) if one.strip()}
        length = str(given.get("auto_resize_len", 0))
        if not length.isdecimal():
            raise InputError(f"auto_resize_len is {length!r}; give a whole number", path=path, row=number)
        if "auto_resize_len" in given:
            given["auto_resize_len"] = int(length)
        if "labels" in given:
            given["labels"] = str(given["labels"]).split(",")
        if "dataloader_args" in given:
            try:
                given["dataloader_args"] = dict(parse_json(str(given["dataloader_args"])))
            except (ValueError, TypeError) as error:
                raise InputError(
                    'dataloader_args are no JSON text like {"key": "value"}', path=path, row=number
                ) from error
        sequences = [one for one in _SEQUENCES if one in given]
        if len(sequences) > 1:
            raise InputError(f"gives sequences twice, as {' and '.join(sequences)}", path=path, row=number)
        if "arch" in given:
            given["model"] = NetworkFile(str(given["model"]), str(given.pop("arch")))
        found.append(given)
    return found


def atlas(
    models: Iterable[object],
    output: str | os.PathLike,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    **options: object,
) -> list[AtlasEntry]:
    r"""Interpret many models, and write one page of what their filters hold.

    A later run interprets those that are missing, failed, or have changed.

    Parameters
    ----------
    models : iterable of str, path-like or mapping
        Names or folders of Kipoi models, or files; or what :func:`read_models` gives.
    output : path-like
        Folder for ``index.html``, ``atlas.tsv``, ``motifs.meme``, ``clusters.tsv``, ``clusters.meme``, and
        ``models/`` with a folder a model.
    jobs, scheduler
        Who does the work, a model each; see :func:`kipoi_motifrep.core.workers.open_workers`. The workers of a
        scheduler must share `output`.
    **options
        Of all models: arguments of :func:`kipoi_motifrep.interpret`. Sequences of a FASTA file or of intervals are
        brought to each network's length, unless ``auto_resize_len`` says another.

    Returns
    -------
    list of AtlasEntry
        In the order of `models`.

    Raises
    ------
    InputError
        If there is no model, two have one name, sequences are wrong, or no model could be interpreted.

    Examples
    --------
    >>> import keras
    >>> from pathlib import Path
    >>> from keras.layers import Conv1D, Dense, GlobalMaxPooling1D
    >>> layers = Conv1D(2, 4, activation="relu"), GlobalMaxPooling1D(), Dense(1)
    >>> keras.Sequential([keras.Input((12, 4)), *layers]).save("good.keras")
    >>> _ = Path("bad.keras").write_text("no network"), Path("peaks.fa").write_text(">a\nACGTTGCATGCA\n")
    >>> found = atlas(["good.keras", "bad.keras"], "atlas", fasta="peaks.fa", database="JASPAR2016", null=False)
    >>> [bool(one.error) for one in found], Path("atlas/index.html").exists()
    ([False, True], True)
    """
    given: list[dict] = [dict(one) if isinstance(one, Mapping) else {"model": one} for one in models]
    if not given:
        raise InputError("name a model at least")
    for name in ("fasta", "intervals", "genome", "dataset"):
        path = options.get(name)
        if isinstance(path, (str, os.PathLike)) and not os.path.exists(path):  # else each model would fail, one by one
            raise InputError("there is no such file", path=path)
    entries = [
        _entry(name, one, options)
        for name, one in zip(_names([one.get("name", one["model"]) for one in given]), given, strict=True)
    ]
    files = sorted({file for one in entries for file in one.files})
    with output_folder(output, FILES, [files, [one.options for one in entries]]) as folder:
        top = Path(os.path.abspath(folder))
        steps = Steps(top, "atlas", {"models": [one.name for one in entries], **options})
        digest = cache(file_digest)
        keys = [{"options": one.options, "sha256": {file: digest(file) for file in one.files}} for one in entries]
        left = [i for i, one in enumerate(entries) if not steps.current(one.folder, keys[i], one.results)]
        say(f"{len(entries) - len(left)} of {counted(len(entries), 'model')} are interpreted")
        errors: dict[int, str] = {}
        if left:
            with open_workers(jobs, scheduler, files, str(top)) as workers:
                task = partial(_interpret_one, str(top / "models"), None if workers.here else 1)
                results = workers.results(task, [entries[i] for i in left])
                for number, outcome in progress(results, "atlas", total=len(left), unit="model"):
                    i = left[number]
                    error = one_line(outcome) if isinstance(outcome, WorkerLost) else outcome
                    if error:
                        errors[i] = error
                        say(f"{entries[i].name}: failed: {error}")
                    else:
                        steps.record(entries[i].folder, keys[i], entries[i].results)
                        say(f"{entries[i].name}: interpreted")
        done = [
            replace(one, error=errors[i])
            if i in errors
            else replace(one, report=read_interpretation(top / "models" / one.folder))
            for i, one in enumerate(entries)
        ]
        if len(errors) == len(entries):
            with suppress(OSError):  # something is in it
                (top / "models").rmdir()
            raise InputError(f"no model could be interpreted; the first: {errors[0]}")
        write_atlas(done, top)
    return done


def _entry(name: str, own: Mapping[str, object], of_all: Mapping[str, object]) -> AtlasEntry:
    """Put together what is asked of one model; its own sequences replace those of all."""
    kind = next((one for one in _SEQUENCES if own.get(one) is not None), None)
    left = set(_SEQUENCES) | set(_ABOUT) - set(_SEQUENCES[kind]) if kind else set()
    asked: dict[str, Any] = {**{one: value for one, value in of_all.items() if one not in left}, **own}
    asked = {one: value for one, value in asked.items() if value is not None}
    source, files = ModelSource(asked["model"], asked.get("source")).portable()
    where = {one: asked[one] for one in (*_SEQUENCES, *_ABOUT) if one in asked}
    if not set(where) & set(_SEQUENCES):
        raise InputError(
            f"there are no sequences for {name}; give fasta=FILE, intervals=FILE and genome=FILE, or dataset=FILE"
        )
    try:
        sequences, more = SequenceSource(**where).portable()
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    asked.update({one: getattr(sequences, one) for one in where}, model=source.model)
    return AtlasEntry(name, asked, files=tuple(file for file in (*files, *more) if os.path.isfile(file)))


def _names(models: Sequence[object]) -> list[str]:
    """Name models by the last parts of their paths, as many as tell them apart."""
    parts = [os.fspath(one).rstrip("/").split("/") if isinstance(one, (str, os.PathLike)) else [""] for one in models]
    full = ["/".join(one) for one in parts]
    twice = [one for one, n in Counter(full).items() if n > 1]
    if twice:
        raise InputError(f"{twice[0]} is named twice; name each model once, or give each a name of its own in a table")
    for n in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-n:]) for one in parts]
        if len({re.sub(r"[^\w.+-]+", "_", one) for one in names}) == len(names):
            return names
    raise InputError("two models have names that no folders can tell apart; rename one")


def _interpret_one(top: str, threads: int | None, entry: AtlasEntry) -> str:
    """Interpret a model; why that could not be, or nothing."""
    given: dict = as_here(entry.options)
    try:
        if (given.get("fasta") or given.get("intervals")) and given.get("auto_resize_len") is None:
            model = load_model(given["model"], given.get("source"), whole=False)  # as it is interpreted
            given["auto_resize_len"] = open_network(model, **{name: given.get(name) for name in _CHOICES}).length
        interpret(**given, threads=threads, output=Path(top, entry.folder))
    except (InputError, OSError) as error:
        return one_line(error)
    except Exception as error:  # a stranger's model can fail in any way
        return f"{type(error).__name__}: {first_line(error)}"
    finally:
        gc.collect()  # networks hold themselves in circles, and there may be thousands
    return ""


def write_atlas(entries: Sequence[AtlasEntry], folder: str | os.PathLike, linked: bool = True) -> Path:
    """Write the page, the tables and the motif files of interpreted models.

    Parameters
    ----------
    entries : sequence of AtlasEntry
        The models.
    folder : str or path-like
        Where they go.
    linked : bool, default True
        Whether the page leads to the models' own.

    Returns
    -------
    pathlib.Path
        The page.
    """
    folder, networks = Path(folder), [one for one in entries if one.report is not None]
    views = {one.name: _view(one) for one in networks}
    write_table(
        folder / TABLE,
        ("model", "error", "filters", "called", "whole", "index", "index_by_chance", "families"),
        [
            (one.name, one.error, *([""] * 6))
            if one.report is None
            else (
                one.name,
                "",
                *(views[one.name][name] for name in ("n_filters", "called", "whole", "index", "chance")),
                "; ".join(f"{family} ({n})" for family, n in views[one.name]["families"]),
            )
            for one in entries
        ],
    )
    held = [(one, row) for one in networks for row in one.rows]
    motifs = [
        Motif(f"{one.name}/{row.name}", np.array(row.trimmed), row.match.name if row.match else "", nsites=row.n_sites)
        for one, row in held
    ]
    groups = similar_filters(motifs, range(len(motifs)), chains=False).groups
    write_motifs(motifs, folder / MOTIFS)
    write_motifs([motifs[group[0].filter] for group in groups], folder / CLEAREST)
    write_table(
        folder / CLUSTERS,
        ("cluster", "model", "filter", "offset", "orientation", "target", "name", "family"),
        [
            (
                number,
                held[member.filter][0].name,
                row.name,
                member.offset,
                member.orientation,
                *((row.match.target_id, row.match.name, row.match.family) if row.match else ("", "", "")),
            )
            for number, group in enumerate(groups, 1)
            for member in group
            for row in [held[member.filter][1]]
        ],
    )
    clusters = []
    for group in groups[:CLUSTERS_SHOWN]:
        names = Counter(row.match.name for row in (held[one.filter][1] for one in group) if row.match)
        first = motifs[group[0].filter].name
        drawn = FilterGroup(0, (GroupMember(first, 0, "+"),))
        rows = {first: held[group[0].filter][1]}
        clusters.append(
            {
                "n": len(group),
                "networks": len({held[one.filter][0].name for one in group}),
                "name": first,
                "logo": safe(group_logos(drawn, rows)[0][1]),
                "label": ", ".join(f"{name} ({n})" for name, n in names.most_common(4)),
            }
        )
    total: Counter[str] = Counter()
    for view in views.values():
        total.update(view["counts"])
    shown = [family for family, _ in total.most_common(FAMILIES_SHOWN)]
    page = render(
        "atlas.html",
        "atlas.js",
        networks=[views[one.name] for one in networks],
        failed=[one for one in entries if one.report is None],
        linked=linked,
        rule="called" if any(row.called is not None for one, row in held) else "matched",
        n_called=len(held),
        n_filters=sum(view["n_filters"] for view in views.values()),
        clusters=clusters,
        clusters_total=len(groups),
        families=shown,
        families_left=len(total) - len(shown),
        factors=_factors(held),
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def _view(entry: AtlasEntry) -> dict:
    """Gather what the page shows of a network."""
    assert entry.report is not None
    figures = {one.key: one for one in entry.report.figures}
    index = figures.get("index")
    families = Counter(row.match.family or "no family" for row in entry.rows if row.match)
    chance = index.nulls[0][0] if index is not None and index.nulls and index.nulls[0] else None
    return {
        "name": entry.name,
        "page": f"models/{entry.folder}/report.html",
        "n_filters": len(entry.report.filters),
        "called": len(entry.rows),
        "whole": sum(row.kind == "whole" for row in entry.rows),
        "index": None if index is None else index.value,
        "chance": chance,
        "counts": families,
        "families": families.most_common(),
    }


def _factors(held: Sequence[tuple[AtlasEntry, FilterRow]]) -> list[dict]:
    """List transcription factors by name, each with the networks that have a filter for it."""
    found: dict[str, dict] = {}
    for entry, row in held:
        for match in row.matches:
            factor = found.setdefault(match.name, {"family": match.family, "also": set(), "networks": {}})
            factor["also"].update(one.name for one in match.members)
            n, best = factor["networks"].get(entry.name, (0, float("inf")))
            factor["networks"][entry.name] = (n + 1, min(best, match.e_value))
    return [
        {
            "name": name,
            "family": one["family"],
            "also": " ".join(sorted(other.replace(" ", "") for other in one["also"])),
            "networks": sorted(
                ((network, n, e) for network, (n, e) in one["networks"].items()), key=lambda each: each[2]
            ),
        }
        for name, one in sorted(found.items(), key=lambda pair: pair[0].lower())
    ]
