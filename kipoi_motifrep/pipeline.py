"""From a model to a report: filters, matches, figures and page, in one process."""

from __future__ import annotations

import datetime
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import only_here, output_folder, versions
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.steps import Steps
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.filters import FilterPWMs, filter_pwms
from kipoi_motifrep.filters.digested import DigestedBatches
from kipoi_motifrep.filters.extract import Opened, open_inputs, origin
from kipoi_motifrep.filters.streaming import THRESHOLD, SiteRule
from kipoi_motifrep.filters.writing import read_filters, write_filters
from kipoi_motifrep.motifs import write_motifs
from kipoi_motifrep.motifs.jaspar import LATEST_RELEASE, Database, open_databases
from kipoi_motifrep.motifs.matches import Matches, match, read_matches
from kipoi_motifrep.motifs.tomtom.tsv import field
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.graph import Unreadable
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.model_digest import model_digest
from kipoi_motifrep.networks.untrained import untrained_copy
from kipoi_motifrep.report import Report, read_interpretation, write_interpretation
from kipoi_motifrep.report.builder import build_report, write_representation
from kipoi_motifrep.report.page import write_report
from kipoi_motifrep.report.subject import describe_subject, label_names, output_names
from kipoi_motifrep.representation import (
    Importance,
    KnownMotifs,
    Representation,
    measure_importance,
    read_known_motifs,
    represent,
)
from kipoi_motifrep.representation.importance import read_importance, write_importance
from kipoi_motifrep.representation.known_motifs import KnownTargets, shipped
from kipoi_motifrep.representation.shuffled import Shuffled

FEW_SITES = 20  # of a PWM; below, columns are rough
FILTER_FILES = ("filters.meme", "filters_trimmed.meme", "filters.tsv", "filters.h5")


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What a network's filters are.

    Parameters
    ----------
    filters : tuple of FilterPWMs
        One a bank.
    matches : Matches
        Of the trimmed filters of all banks.
    representation : Representation
        Figures, coverage, groups, importance.
    report : Report
        All that the page shows; `report.sentence` says it in one sentence.
    page : pathlib.Path, optional
        ``report.html``, where there is an output folder.
    """

    filters: tuple[FilterPWMs, ...]
    matches: Matches
    representation: Representation
    report: Report
    page: Path | None


def interpret(model: object, *, source: str | None = None, dataloader_args: Mapping | None = None,
              fasta: str | os.PathLike | None = None, auto_resize_len: int | None = None,
              dataset: str | os.PathLike | None = None, split: str = "test",
              layer: str | None = None, axes: str | None = None, alphabet: str | None = None,
              window: int | None = None, threshold: float = THRESHOLD, quantile: float | None = None,
              top: int | None = None, weighted: bool = True, best_per_sequence: bool = False,
              batch_size: int | None = None,
              database: str | os.PathLike | Sequence[str | os.PathLike] = LATEST_RELEASE,
              taxon: str | Sequence[str] | None = "vertebrates", collection: str | Sequence[str] | None = "CORE",
              evalue: float = 0.1, truth: str | os.PathLike | None = None, null: bool = True,
              importance: bool = True, labels: Sequence[str] | None = None, seed: int = 0, threads: int = 1,
              force: bool = False, output: str | os.PathLike | None = None) -> Interpretation:
    """Find out what a network's filters learned, and write a report.

    Filters become PWMs, are matched with a database, and the figures of the network are
    computed: matches, whole motifs or parts (`localist_index`), the same by chance, groups
    of filters that are alike, importance for the outputs. A step whose files are there and
    whose parameters and inputs are the same is not done again.

    Parameters
    ----------
    model, source, dataloader_args, fasta, auto_resize_len, dataset, split, layer, axes, alphabet, batch_size
        The network and its sequences; see :func:`kipoi_motifrep.extract_filters`.
    window, threshold, quantile, top, weighted, best_per_sequence
        How PWMs are made; see :func:`kipoi_motifrep.filter_pwms`.
    database, taxon, collection, evalue
        What is searched, and which matches count; see :func:`kipoi_motifrep.match`.
    truth : str or path-like, optional
        Where it is known which motifs are in the data: ``synthetic``, ``invivo``, or a table of
        labels and matrix ids; see :func:`kipoi_motifrep.representation.read_known_motifs`. Of the first
        two, what is no label of `dataset` is left out.
    null : bool, default True
        Also compute the figures for shuffled filters and the untrained network.
    importance : bool, default True
        Measure what each filter does to the outputs.
    labels : sequence of str, optional
        Names of the outputs; by default those of the Kipoi model's schema, of the
        ``.keras`` file's own note, or of the dataset's labels.
    seed : int, default 0
        Of shuffles and random weights.
    threads : int, default 1
        For matching; results are the same.
    force : bool, default False
        Do all steps again.
    output : path-like, optional
        Folder for the files.

    Returns
    -------
    Interpretation
        Filters, matches, figures, report.

    Raises
    ------
    InputError
        If something given is wrong; before any long computation.
    """
    parameters = dict(locals())
    rule = SiteRule(threshold, quantile, top, weighted, best_per_sequence)
    if not evalue >= 0:
        raise InputError(f"evalue must be 0 or more, not {evalue}")
    for name, least in (("seed", 0), ("threads", 1)):
        if parameters[name] < least:
            raise InputError(f"{name} must be {least} or more, not {parameters[name]}")
    _check_labels(labels)
    targets = open_databases(database, taxon=taxon, collection=collection)
    known = _known(truth, dataset)
    against = None if known is None else known.against(targets)
    choices = {name: parameters[name] for name in ("layer", "axes", "alphabet")}
    with _folder(output) as folder:
        opened = open_inputs(model, source=source, dataloader_args=dataloader_args, fasta=fasta,
                             auto_resize_len=auto_resize_len, dataset=dataset,
                             split=split, window=window, batch_size=batch_size, **choices)
        run = _Run(opened, folder, parameters, rule, targets, known, against)
        run.compute()
        report = run.report()
        page = None if output is None else folder / "report.html"
        return Interpretation(run.filters, run.matches, run.representation, report, page)


def _check_labels(labels: Sequence[str] | None) -> None:
    if labels is None:
        return
    if len(set(labels)) < len(labels):
        raise InputError("two outputs have one name; give each output a name of its own")
    for label in labels:
        if not label or label != field(label):
            raise InputError(f"output name {label!r} is empty or has blanks that a table cannot hold; rename it")


def _known(truth: str | os.PathLike | None, dataset: str | os.PathLike | None) -> KnownMotifs | None:
    """Read the truth; of one that comes with the package, what a data set has as labels."""
    if truth is None:
        return None
    known = read_known_motifs(truth)
    return known.only(open_dataset(dataset).label_names) if dataset is not None and str(truth) in shipped() else known


@contextmanager
def _folder(output: str | os.PathLike | None) -> Iterator[Path]:
    """Give the output folder; a passing one if there is to be none."""
    with tempfile.TemporaryDirectory() if output is None else output_folder(output) as folder, only_here(folder):
        yield Path(folder)


class _Run:
    """The steps, in their order; each looks first whether its files are up to date."""

    def __init__(self, opened: Opened, folder: Path, parameters: Mapping, rule: SiteRule, database: Database,
                 truth: KnownMotifs | None, against: KnownTargets | None):
        self.opened, self.folder, self.parameters, self.rule = opened, folder, parameters, rule
        self.network, self.database, self.truth, self.against = opened.network, database, truth, against
        self.batches = DigestedBatches(opened.batches)
        self.notes: list[str] = []
        for line in self.network.describe().splitlines():
            say(line)
        if truth is not None and truth.absent:
            self.notes.append(f"Left out of the known motifs, since the data set has no such label: "
                              f"{', '.join(truth.absent)}.")
        if against is not None and against.missing:
            self.notes.append(f"No matrix of {', '.join(against.missing)} is in {database.name}: no filter can be "
                              "found true for them.")
        self.ablation = self._ablation() if parameters["importance"] else None
        self.outputs = output_names(opened.model, parameters, self.ablation.n_outputs if self.ablation else None)

    def compute(self) -> None:
        """Do the steps; nothing is written before."""
        self.steps = Steps(self.folder, "interpret", self._recorded(), self.parameters["force"])
        self.filters = self._filters()
        self._note_sites()
        untrained = self._untrained() if self.parameters["null"] else None
        effects = self._importance() if self.ablation else None
        self.matches = self._matches()
        self.representation = self._represent(untrained, effects)

    def _note_sites(self) -> None:
        sites = np.concatenate([one.n_sites for one in self.filters])
        living = sites[sites > 0]
        if living.size <= sites.size / 2:
            self.notes.append(f"{sites.size - living.size} of {sites.size} filters are dead: none of the sequences "
                              "excites them. Are these the sequences that the network was trained for?")
        if living.size and np.median(living) < FEW_SITES:
            self.notes.append(f"Half of the filters' PWMs rest on {np.median(living):.0f} sites or fewer, which is "
                              "few: give more sequences.")

    def _ablation(self) -> Ablation | None:
        try:
            ablation = Ablation(self.network)
        except Unreadable as reason:
            self.notes.append(f"Importance could not be measured: {reason}.")
            return None
        missing = self.network.not_given(self.opened.first.inputs)
        if missing:
            self.notes.append(f"Importance was measured with zeros for {', '.join(missing)}: these inputs of the "
                              "network were not given. A model's own dataloader gives them.")
        return ablation

    def _recorded(self) -> dict[str, object]:
        """Parameters as they are written down, with digests of the inputs."""
        given = {name: value for name, value in self.parameters.items() if name not in ("force", "output")}
        files = origin(given["model"], given["fasta"], given["dataset"])
        self.model_digest = model_digest(self.opened.model)
        return {**given, **files, "model_digest": self.model_digest, "database_description": self.database.describe(),
                "database_sha256": self.database.digest, "truth_sha256": self.truth.digest if self.truth else None}

    def _filter_key(self) -> dict[str, object]:
        bank = self.network.banks
        return {"model": self.model_digest, "layers": [one.layer for one in bank], "length": self.network.length,
                "layout": str(self.network.layout), "window": self.parameters["window"], "rule": asdict(self.rule)}

    def _filters(self) -> tuple[FilterPWMs, ...]:
        key = self._filter_key()
        # Sequences are gone through for their digest alone only if all else is as before.
        if self.steps.may_be_current("filters", key) and \
                self.steps.current("filters", {**key, "data": self.batches.digest()}):
            say("filters: up to date")
            return read_filters(self.folder, self.network)
        self.steps.discard()  # what follows is about other filters
        found = filter_pwms(self.network, self.batches, window=self.parameters["window"], **asdict(self.rule))
        write_filters(found, self.folder)
        self.steps.done("filters", {**key, "data": self.batches.digest()}, FILTER_FILES)
        return found

    def _untrained(self) -> Path | None:
        """File of the untrained network's trimmed filters, if there can be one."""
        key = {**self._filter_key(), "data": self.batches.digest(), "seed": self.parameters["seed"]}
        path = self.folder / "untrained_trimmed.meme"
        if self.steps.current("untrained", key):
            return path
        try:
            fresh = untrained_copy(self.opened.model, self.parameters["seed"])
            network = open_network(fresh, length=self.network.length, layer=self.parameters["layer"],
                                   axes=",".join(self.network.layout.axes), alphabet=self.network.layout.alphabet)
        except (Unreadable, InputError) as reason:
            self.notes.append(f"There is no untrained network to compare with: {reason}.")
            return None
        found = filter_pwms(network, self.opened.batches, window=self.parameters["window"], **asdict(self.rule))
        write_motifs([motif for one in found for motif in one.motifs(trimmed=True)], path)
        self.steps.done("untrained", key, [path.name])
        return path

    def _importance(self) -> Importance | None:
        labels = label_names(self.parameters, self.opened, self.outputs)
        key = {"model": self.model_digest, "layers": [one.layer for one in self.network.banks],
               "length": self.network.length, "layout": str(self.network.layout), "data": self.batches.digest(),
               "outputs": list(self.outputs), "labels": list(labels)}
        names = [name for one in self.filters for name in one.names]
        path = self.folder / "importance.tsv"
        if self.steps.current("importance", key):
            say("importance: up to date")
            return read_importance(path, self.outputs, labels, self.steps.about("importance"))
        try:
            found = measure_importance(self.ablation, self.opened.batches, self.filters[0].n_sequences, self.outputs,
                                       labels)
        except InputError as reason:
            self.notes.append(f"Importance could not be measured: {reason}.")
            return None
        write_importance(found, names, path)
        self.steps.done("importance", key, [path.name],
                        {"n_sequences": found.n_sequences, "n_replaced": found.n_replaced})
        return found

    def _match_key(self) -> dict[str, object]:
        queries = self.folder / "filters_trimmed.meme"
        return {"queries": file_digest(queries), "database": self.database.digest,
                "evalue": self.parameters["evalue"]}

    def _match(self, queries: Path) -> Matches:
        return match(queries, **{name: self.parameters[name] for name in
                                 ("database", "taxon", "collection", "evalue", "threads")})

    def _matches(self) -> Matches:
        queries, key = self.folder / "filters_trimmed.meme", self._match_key()
        if self.steps.current("match", key):
            say("matches: up to date")
            return read_matches(self.folder, queries, self.database, evalue=self.parameters["evalue"])
        found = self._match(queries)
        found.write_tables(self.folder)
        self.steps.done("match", key, ["tomtom.tsv", "matches.tsv"])
        return found

    def _represent(self, untrained: Path | None, effects: Importance | None) -> Representation:
        null, threads = self.parameters["null"], self.parameters["threads"]
        key = {**self._match_key(), "truth": self.truth.digest if self.truth else None, "null": null,
               "seed": self.parameters["seed"]}
        kept = self.steps.about("shuffled") if null and self.steps.current("shuffled", key) else None
        found = represent(self.matches, self.against, importance=effects, shuffle=null and kept is None,
                          untrained=None if untrained is None else self._match(untrained),
                          shuffled=Shuffled(**kept) if kept else None, seed=self.parameters["seed"], threads=threads,
                          notes=self.notes)
        if found.shuffled is not None:
            self.steps.done("shuffled", key, [], asdict(found.shuffled))
        return found

    def report(self) -> Report:
        """Put the figures and the page into files; both stay if nothing has changed."""
        subject = describe_subject(self.opened, self.parameters, self.filters[0].n_sequences)
        report = build_report(subject, self.filters, self.matches, self.representation, self.truth,
                              _readable(self.parameters), versions(), _now())
        content = hashlib.sha256(_timeless(report).encode()).hexdigest()
        files = ["representation.tsv", "representation.json", "interpretation.json", "report.html"]
        if self.steps.current("report", {"content": content}):
            say("report: up to date")
            return read_interpretation(self.folder)
        write_representation(self.representation, report.sentence, self.folder)
        write_interpretation(self.folder, report)
        write_report(self.folder, report=report)
        self.steps.done("report", {"content": content}, files)
        return report


def _timeless(report: Report) -> str:
    return replace(report, created="", parameters={}).to_json()


def _readable(parameters: Mapping[str, object]) -> dict[str, object]:
    """Parameters for the page; files by their names only, since it travels."""
    return {name: _by_name(value) for name, value in parameters.items()
            if name not in ("force", "output", "model", "threads") and value is not None}


def _by_name(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _by_name(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_name(one) for one in value]
    return os.path.basename(value) if isinstance(value, (str, os.PathLike)) and os.path.exists(value) else value


def _now() -> str:
    return datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
