"""From a model to a report: filters, matches, metrics and page."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, output_folder, versions
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.scratch import scratch
from kipoi_motifrep.core.statuses import MATCHED
from kipoi_motifrep.core.steps import Steps
from kipoi_motifrep.core.workers import Workers, open_workers
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.filters import FilterPWMs
from kipoi_motifrep.filters.base_order import ORDER_STEP, recorded_order
from kipoi_motifrep.filters.batches import DigestedBatches
from kipoi_motifrep.filters.extract import (
    ModelSource,
    NetworkChoice,
    Opened,
    SequenceSource,
    open_inputs,
    origin,
    shared_files,
)
from kipoi_motifrep.filters.output_names import label_names, output_names
from kipoi_motifrep.filters.sharing import SharedInputs, SharedNetwork, shared_pwms, untrained_network
from kipoi_motifrep.filters.streaming import THRESHOLD, PWMRule
from kipoi_motifrep.filters.writing import FILTER_FILES, SITE_FILES, read_filters, write_filters
from kipoi_motifrep.motifs import read_motifs, write_motifs
from kipoi_motifrep.motifs.chance import FDR, Chance, Shuffles, shuffle
from kipoi_motifrep.motifs.jaspar import LATEST_RELEASE, Database, open_databases
from kipoi_motifrep.motifs.matches import CHANCE_FILE, Matches, check_fdr, compare_motifs, read_matches, searched
from kipoi_motifrep.motifs.matches import FILES as MATCH_FILES
from kipoi_motifrep.motifs.notebook import html_table
from kipoi_motifrep.motifs.tomtom.tsv import field
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.logits import Logits
from kipoi_motifrep.networks.model_digest import model_digest
from kipoi_motifrep.networks.source import Unreadable
from kipoi_motifrep.pipeline.one_filter import Filter
from kipoi_motifrep.report import Report, read_interpretation, write_interpretation
from kipoi_motifrep.report.builder import build_report, write_representation
from kipoi_motifrep.report.page import write_report
from kipoi_motifrep.report.subject import describe_network, kipoi_info, model_citation
from kipoi_motifrep.representation import (
    Importance,
    KnownMotifs,
    Representation,
    measure_importance,
    read_known_motifs,
    represent,
)
from kipoi_motifrep.representation.backgrounds import shuffled_backgrounds
from kipoi_motifrep.representation.importance import read_importance, write_importance
from kipoi_motifrep.representation.known_motifs import shipped
from kipoi_motifrep.representation.plant import FILES as PLANTED_FILES
from kipoi_motifrep.representation.plant import read_planted, write_planted
from kipoi_motifrep.representation.planting import Planted, n_backgrounds, plant_motifs
from kipoi_motifrep.representation.shuffled import Shuffled, shuffled_metrics

FEW_SITES = 20  # of a PWM; below, columns are rough
NARROW = 3  # bases; a filter that sees no more can hold no motif
PLANTED_SEQUENCES = 20_000  # that go through the network for planting, which is less than importance takes
PLANTED_PARTNERS = 3  # strongest filters that are planted in pairs, too
REPORT_FILES = ("representation.tsv", "representation.json", "interpretation.json", "report.html")
FILES = (
    *FILTER_FILES,
    *SITE_FILES,
    "untrained_trimmed.meme",
    "importance.tsv",
    *PLANTED_FILES,
    *MATCH_FILES,
    CHANCE_FILE,
    *REPORT_FILES,
    PARAMETERS_FILE,
)


@dataclass(frozen=True, eq=False)
class Interpretation:
    r"""What a network's filters are.

    Parameters
    ----------
    banks : tuple of FilterPWMs
        The filters of each convolution that was read, as arrays; one bank for most networks.
    matches : Matches
        Of the trimmed filters of all banks; `matches.called` says which of them are called, and `matches.chance` how
        each fares against its own shuffles.
    representation : Representation
        Metrics, coverage, groups, importance.
    report : Report
        All that the page shows; `report.sentence` says it in one sentence.
    page : pathlib.Path, optional
        ``report.html``, where there is an output folder.
    planted : Planted, optional
        What the called filters' motifs do when they are planted; without motifs where no filter is called.

    Examples
    --------
    >>> import keras
    >>> from pathlib import Path
    >>> network = keras.Sequential([keras.Input((6, 4)), keras.layers.Conv1D(2, 3, activation="relu")])
    >>> _ = Path("peaks.fa").write_text(">a\nACGTTG\n")
    >>> options = {"null": False, "importance": False, "plant": False}
    >>> found = interpret(network, fasta="peaks.fa", database="JASPAR2016", **options)
    >>> found
    <Interpretation of sequential...: 2 filters, ... with a match>
    >>> found.filters[0].name, found.filters[0].pwm.shape, found.banks[0].pwms.shape, found.page
    ('filter0', (3, 4), (2, 3, 4), None)
    """

    banks: tuple[FilterPWMs, ...]
    matches: Matches
    representation: Representation
    report: Report
    page: Path | None
    planted: Planted | None = None

    @property
    def filters(self) -> tuple[Filter, ...]:
        """All filters, one by one: name, PWM, logo, match, sites, and what it does when planted."""
        pwms = [pwm for bank in self.banks for pwm in bank.pwms]
        return tuple(map(Filter, pwms, self.matches.queries, self.report.filters))

    def __repr__(self) -> str:
        rows = self.report.filters
        matched, called = sum(bool(row.matches) for row in rows), self.matches.called
        text = f"{self.report.network.name}: {len(rows)} filters, {matched} with a match"
        text += "" if called is None else f", {sum(called)} called"
        return f"<Interpretation of {text}{'' if self.page is None else f'; {self.page}'}>"

    def _repr_html_(self) -> str:
        rows = []
        for one in self.filters:
            strongest = None
            if one.planted:
                change = np.array(one.planted[0].change, float)
                place = int(np.nanargmax(np.abs(change)))
                strongest = f"{self.report.outputs[place]} {change[place]:+.2f}"
            rows.append((one.name, one.logo, one.words(), one.row.n_sites, strongest))
        return html_table(self.report.sentence, ("filter", "logo", "match", "sites", "when planted"), rows)


def interpret(
    model: object,
    sequences: object = None,
    *,
    source: str | None = None,
    dataloader_args: Mapping | None = None,
    fasta: str | os.PathLike | None = None,
    intervals: str | os.PathLike | None = None,
    genome: str | os.PathLike | None = None,
    auto_resize_len: int | None = None,
    centre: str | None = None,
    use_strand: bool = False,
    dataset: str | os.PathLike | None = None,
    split: str = "test",
    layer: str | None = None,
    axes: str | None = None,
    alphabet: str | None = None,
    activation: str | None = None,
    dna_channels: str | None = None,
    window: int | None = None,
    threshold: float = THRESHOLD,
    quantile: float | None = None,
    top: int | None = None,
    weighted: bool = True,
    best_per_sequence: bool = False,
    sites: bool = False,
    batch_size: int | None = None,
    database: str | os.PathLike | Sequence[str | os.PathLike] = LATEST_RELEASE,
    taxon: str | Sequence[str] | None = "vertebrates",
    collection: str | Sequence[str] | None = "CORE",
    exclude: Sequence[str] = (),
    evalue: float = 0.1,
    qvalue: float | None = None,
    min_overlap: int = 1,
    fdr: float = FDR,
    truth: str | os.PathLike | None = None,
    null: bool = True,
    importance: bool = True,
    plant: bool = True,
    labels: Sequence[str] | None = None,
    name: str | None = None,
    seed: int = 0,
    threads: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    output: str | os.PathLike | None = None,
) -> Interpretation:
    r"""Find out what a network's filters learned, and write a report.

    1. Filters become PWMs, and the untrained network's, on the same sequences.
    2. Importance: what each filter does to the outputs.
    3. Trimmed filters are matched with a database.
    4. Each filter is compared with its own shuffles; those that fare better are called.
    5. The motifs of called filters are planted in background sequences: what each does to the outputs.
    6. Metrics: matches, whole motifs or parts (`localist_index`), the same by chance, groups of filters that are
       alike.
    7. Report: tables, `interpretation.json` and the page.

    A step whose files are there and whose parameters and inputs are the same is not done again.

    Parameters
    ----------
    model, sequences, source, dataloader_args, fasta, intervals, genome, auto_resize_len, centre, use_strand, dataset, \
split, layer, axes, alphabet, activation, dna_channels, sites, batch_size
        The network and its sequences; see :func:`kipoi_motifrep.extract_filters`.
    window, threshold, quantile, top, weighted, best_per_sequence
        How PWMs are made; see :func:`kipoi_motifrep.filter_pwms`.
    database, taxon, collection, exclude, evalue, qvalue, min_overlap
        What is searched, and which matches count; see :func:`kipoi_motifrep.match`.
    fdr : float, default 0.05
        False discovery rate up to which filters are called.
    truth : str or path-like, optional
        Where it is known which motifs are in the data: ``synthetic``, ``invivo``, or a table of
        labels and matrix ids; see :func:`kipoi_motifrep.representation.read_known_motifs`. Of the first
        two, what is no label of `dataset` is left out.
    null : bool, default True
        Compare with shuffled filters, which calls need, and with the untrained network.
    importance : bool, default True
        Measure what each filter does to the outputs.
    plant : bool, default True
        Plant the motifs of the filters that are called (without `null`, of those that match) in shuffled sequences; see
        :func:`kipoi_motifrep.plant`, which does more of it.
    labels : sequence of str, optional
        Names of the outputs; by default those of the Kipoi model's schema, of the
        ``.keras`` file's own note, or of the dataset's labels.
    name : str, optional
        Of the network, for the report; by default that of the Kipoi model or of its file.
    seed : int, default 0
        Of shuffles and random weights.
    threads : int, optional
        For matching, by default all that the machine has; results are the same.
    jobs, scheduler
        Who goes through the sequences, which changes nothing; see :func:`kipoi_motifrep.core.workers.open_workers`.
    force : bool, default False
        Do all steps again.
    output : path-like, optional
        Folder for the files.

    Returns
    -------
    Interpretation
        Filters, matches, metrics, report.

    Raises
    ------
    InputError
        If something given is wrong; before any long computation.

    Examples
    --------
    >>> import keras
    >>> from pathlib import Path
    >>> from keras.layers import Conv1D, Dense, GlobalMaxPooling1D
    >>> layers = Conv1D(2, 4, activation="relu"), GlobalMaxPooling1D(), Dense(1)
    >>> network = keras.Sequential([keras.Input((12, 4)), *layers])
    >>> _ = Path("peaks.fa").write_text(">a\nACGTTGCATGCA\n>b\nTTGACCATGGAC\n")
    >>> found = interpret(network, fasta="peaks.fa", database="JASPAR2016", null=False, output="results")
    >>> found.report.network.sequences
    '2 sequences of 12 bp from peaks.fa'
    >>> found.page.name
    'report.html'
    """
    request = _Request(
        ModelSource(model, source),
        SequenceSource(
            dataloader_args, fasta, intervals, genome, auto_resize_len, centre, use_strand, dataset, split, sequences
        ),
        NetworkChoice(layer, axes, alphabet, activation, dna_channels),
        PWMRule(window, threshold, quantile, top, weighted, best_per_sequence),
        sites,
        batch_size,
        _Search(database, taxon, collection, exclude, evalue, qvalue, min_overlap),
        fdr,
        truth,
        null,
        importance,
        plant,
        labels,
        name,
        seed,
        threads,
    )
    targets, known = open_databases(database, taxon=taxon, collection=collection).without(exclude), None
    if truth is not None:
        known = read_known_motifs(truth)
        if dataset is not None and str(truth) in shipped():
            known = known.only(open_dataset(dataset).label_names)
        known.against(targets)  # before the model is loaded, which takes long: it says so if none is there
    # A passing folder if there is to be none: the steps go through files all the same.
    inputs = [model, dataloader_args, *request.sequences.files, truth, database]
    files = shared_files(request.source, request.sequences, jobs, scheduler)
    with (
        open_workers(jobs, scheduler, files) as workers,
        scratch() if output is None else output_folder(output, FILES, inputs) as folder,
    ):
        recorded = partial(recorded_order, Steps(folder, "interpret", request.record(), force))
        opened = open_inputs(request.source, request.sequences, request.choice, request.batch_size, recorded)
        run = _Interpreter(request, workers, opened, folder, targets, known, force)
        filters = run.filters()
        untrained = run.untrained() if null else None
        effects = run.importance(filters)
        matches = run.matches()
        planted = run.planted(filters, matches)
        representation = run.representation(matches, untrained, effects)
        report = run.report(filters, matches, representation, planted)
        page = None if output is None else folder / "report.html"
        return Interpretation(filters, matches, representation, report, page, planted)


@dataclass(frozen=True, eq=False)
class _Search:
    """What is searched, and which matches count; see :func:`kipoi_motifrep.match`."""

    database: str | os.PathLike | Sequence[str | os.PathLike]
    taxon: str | Sequence[str] | None
    collection: str | Sequence[str] | None
    exclude: Sequence[str]
    evalue: float
    qvalue: float | None
    min_overlap: int

    def __post_init__(self) -> None:
        if not self.evalue >= 0:
            raise InputError(f"evalue must be 0 or more, not {self.evalue}")
        if self.qvalue is not None and not 0 <= self.qvalue <= 1:
            raise InputError(f"qvalue must be between 0 and 1, not {self.qvalue}")
        if self.min_overlap < 1:
            raise InputError(f"min_overlap must be 1 or more, not {self.min_overlap}")

    @property
    def rule(self) -> dict[str, Any]:
        """What counts as a match."""
        return {"evalue": self.evalue, "qvalue": self.qvalue, "min_overlap": self.min_overlap}


@dataclass(frozen=True, eq=False)
class _Request:
    """All that was asked for; the fields are those of :func:`interpret`, those that belong together in one."""

    source: ModelSource
    sequences: SequenceSource
    choice: NetworkChoice
    rule: PWMRule
    sites: bool
    batch_size: int | None
    search: _Search
    fdr: float
    truth: str | os.PathLike | None
    null: bool
    importance: bool
    plant: bool
    labels: Sequence[str] | None
    name: str | None
    seed: int
    threads: int | None

    def __post_init__(self) -> None:
        check_fdr(self.fdr)
        for name, value, least in (("seed", self.seed, 0), ("threads", self.threads, 1)):
            if value is not None and value < least:
                raise InputError(f"{name} must be {least} or more, not {value}")
        if len(set(self.labels or ())) < len(self.labels or ()):
            raise InputError("two outputs have one name; give each output a name of its own")
        for label in self.labels or ():
            if not label or label != field(label):
                raise InputError(f"output name {label!r} is empty or has blanks that a table cannot hold; rename it")

    def record(self) -> dict[str, object]:
        """Give all parameters by the names that they have for the caller."""
        groups = ("source", "sequences", "choice", "rule", "search")
        return {
            name: value
            for own, held in vars(self).items()
            for name, value in (vars(held).items() if own in groups else ((own, held),))
        }


class _Interpreter:
    """The steps of one run, in the order in which they are called; each is read where it is up to date."""

    def __init__(
        self,
        request: _Request,
        workers: Workers,
        opened: Opened,
        folder: Path,
        database: Database,
        known: KnownMotifs | None,
        force: bool,
    ):
        self.request, self.workers = request, workers
        self.opened, self.network, self.folder = opened, opened.network, folder
        self.database, self.known = database, known
        self.targets = None if known is None else known.against(database)
        # Digested as they go through the network: a loader is gone through once more only where that is needed.
        self.batches, self.model_digest = DigestedBatches(opened.batches), model_digest(opened.model)
        self.queries = folder / "filters_trimmed.meme"
        self.shuffles: Shuffles | None = None
        for line in self.network.describe().splitlines():
            say(line)
        self.notes: list[str] = []
        if known is not None and known.absent:
            self.notes.append(
                f"Left out of the known motifs, since the data set has no such label: {', '.join(known.absent)}."
            )
        if self.targets is not None and self.targets.missing:
            self.notes.append(
                f"No matrix of {', '.join(self.targets.missing)} is in {database.name}: no filter can be "
                "found true for them."
            )
        # Before any long computation, since the names of the outputs are checked against their number.
        self.ablation = self._open_ablation() if request.importance else None
        self.logits = self._open_logits() if request.plant else None
        measured = self.ablation or self.logits
        self.outputs = output_names(
            opened.model,
            request.source.model,
            measured.n_outputs if measured else None,
            labels=request.labels,
            dataset=request.sequences.dataset,
        )
        self.steps = Steps(
            folder,
            "interpret",
            {
                **request.record(),
                **origin(request.source, request.sequences),
                "model_digest": self.model_digest,
                "database_description": database.describe(),
                "database_sha256": database.digest,
                "truth_sha256": known.digest if known else None,
            },
            force,
        )

    def _open_ablation(self) -> Ablation | None:
        try:
            ablation = Ablation(self.network)
        except Unreadable as reason:
            self.notes.append(f"Importance could not be measured: {reason}.")
            return None
        missing = self.network.not_given(self.opened.first.inputs)
        if missing:
            self.notes.append(
                f"Importance was measured with zeros for {', '.join(missing)}: these inputs of the "
                "network were not given. A model's own dataloader gives them."
            )
        return ablation

    def _open_logits(self) -> Logits | None:
        try:
            return Logits(self.network)
        except InputError as reason:
            self.notes.append(f"Motifs could not be planted: {reason}.")
            return None

    def _network_key(self) -> dict[str, object]:
        """Tell networks and sequences apart; these are gone through for their digest only if all else agrees."""
        return {
            "model": self.model_digest,
            "layers": [bank.layer for bank in self.network.banks],
            "activations": [bank.activation for bank in self.network.banks],
            "length": self.network.length,
            "layout": str(self.network.layout),
            "data": self.batches.digest,
        }

    def filters(self) -> tuple[FilterPWMs, ...]:
        """Compute the PWMs of the network's filters."""

        def make() -> tuple[FilterPWMs, ...]:
            self.steps.discard(ORDER_STEP)  # what follows is about other filters
            opened, rule = self.opened, self.request.rule
            with opened.site_lines(self.folder, rule) if self.request.sites else nullcontext() as lines:
                return shared_pwms(self.workers, opened, self.request.choice, rule, batches=self.batches, lines=lines)

        found = self.steps.step(
            "filters",
            {**self._network_key(), "rule": asdict(self.request.rule)},
            [*FILTER_FILES, *([self.opened.site_file] if self.request.sites else [])],
            said="filters",
            make=make,
            write=lambda made: write_filters(made, self.folder),
            read=lambda _: read_filters(self.folder, self.network),
        )
        assert found is not None
        self._note_filters(found)
        return found

    def _note_filters(self, filters: Sequence[FilterPWMs]) -> None:
        """Say what makes filters less telling than they look."""
        # Half of the filters, not any: a few dead ones are common, many mean data of another kind.
        sites = np.concatenate([one.n_sites for one in filters])
        living = sites[sites > 0]
        if living.size <= sites.size / 2:
            self.notes.append(
                f"{sites.size - living.size} of {sites.size} filters are dead: none of the sequences "
                "excites them. Are these the sequences that the network was trained for?"
            )
        if living.size and np.median(living) < FEW_SITES:
            self.notes.append(
                f"Half of the filters' PWMs rest on {np.median(living):.0f} sites or fewer, which is "
                "few: give more sequences."
            )
        widths = [bank.field.width for bank in self.network.banks if bank.kernels is not None]
        if widths and max(widths) <= NARROW:
            self.notes.append(
                f"Filters of the first layer see {max(widths)} bases at most, fewer than a motif has. "
                "Filters of a deeper convolution see more: look at one with --layer."
            )

    def untrained(self) -> Matches | None:
        """Match the untrained network's trimmed filters, if there can be one."""
        path = self.folder / "untrained_trimmed.meme"

        def make() -> tuple[FilterPWMs, ...] | None:
            try:
                network = untrained_network(self.opened, self.request.choice, self.request.seed)
            except (Unreadable, InputError) as reason:  # TorchScript, for one, has no fresh weights to draw
                self.notes.append(f"There is no untrained network to compare with: {reason}.")
                return None
            # The same sequences.
            return shared_pwms(
                self.workers,
                self.opened,
                self.request.choice,
                self.request.rule,
                network=network,
                seed=self.request.seed,
            )

        key = {**self._network_key(), "rule": asdict(self.request.rule), "seed": self.request.seed}
        made = self.steps.step(
            "untrained",
            key,
            [path.name],
            make=make,
            read=lambda _: (),
            write=lambda made: write_motifs([motif for one in made for motif in one.motifs(trimmed=True)], path),
        )
        # Its metrics do not rest on q-values, unless these decide what is a match.
        return None if made is None else self._match(path, qvalues=self.request.search.qvalue is not None)

    def importance(self, filters: Sequence[FilterPWMs]) -> Importance | None:
        """Measure what each filter does to the outputs, if that is possible."""
        ablation, path = self.ablation, self.folder / "importance.tsv"
        if ablation is None:
            return None
        labels = label_names(self.opened.first.targets, self.outputs, self.request.sequences.dataset)
        names = [name for one in filters for name in one.names]

        def make() -> Importance | None:
            try:
                shared = None if self.workers.here else SharedInputs.of(self.opened, self.request.choice)
                return measure_importance(
                    ablation,
                    self.opened.batches,
                    filters[0].n_sequences,
                    self.outputs,
                    labels,
                    workers=self.workers,
                    shared=shared,
                )
            except InputError as reason:
                self.notes.append(f"Importance could not be measured: {reason}.")
                return None

        return self.steps.step(
            "importance",
            {**self._network_key(), "outputs": list(self.outputs), "labels": list(labels)},
            [path.name],
            said="importance",
            make=make,
            write=lambda made: write_importance(made, names, path),
            about=lambda made: {"n_sequences": made.n_sequences, "n_replaced": made.n_replaced},
            read=lambda about: read_importance(path, self.outputs, labels, about),
        )

    def _match_key(self) -> dict[str, object]:
        return {"queries": file_digest(self.queries), "database": self.database.digest, **self.request.search.rule}

    def _match(self, queries: Path, qvalues: bool = True) -> Matches:
        search = self.request.search
        words = searched(search.database, search.taxon, search.collection, search.exclude)
        motifs, threads = read_motifs(queries), self.request.threads
        return compare_motifs(motifs, self.database, searched=words, **search.rule, qvalues=qvalues, threads=threads)

    def matches(self) -> Matches:
        """Match the trimmed filters, and compare each with its own shuffles."""
        fdr, null = self.request.fdr, self.request.null

        def make() -> Matches:
            found = self._match(self.queries)
            return replace(found, chance=self._shuffles(found).chance(found, fdr)) if null else found

        def read(about: dict) -> Matches:
            found = read_matches(self.folder, self.queries, self.database, **self.request.search.rule)
            if not null:
                return found
            chance = Chance(**about)
            chance = replace(chance, p_chance=tuple(chance.p_chance), fdr=tuple(chance.fdr))  # JSON knows no tuples
            return replace(found, chance=chance)

        found = self.steps.step(
            "match",
            {**self._match_key(), **({"fdr": fdr, "seed": self.request.seed} if null else {})},
            [*MATCH_FILES, *[CHANCE_FILE] * null],
            said="matches",
            make=make,
            write=lambda made: made.write_tables(self.folder),
            about=lambda made: {} if made.chance is None else asdict(made.chance),
            read=read,
        )
        assert found is not None
        return found

    def planted(self, filters: Sequence[FilterPWMs], matches: Matches) -> Planted | None:
        """Plant the motifs of the filters that are called; without a null, of those that match."""
        called = matches.called or tuple(status == MATCHED for status in matches.statuses)
        motifs = [motif for motif, one in zip(matches.queries, called, strict=True) if one]
        logits, length, seed = self.logits, self.network.length, self.request.seed
        if logits is None:
            return None
        n = n_backgrounds(len(motifs), length, PLANTED_SEQUENCES, PLANTED_PARTNERS)

        def make() -> Planted | None:
            if not motifs:  # written, too: files of an earlier run would be about other calls
                return Planted.nothing(self.outputs, logits.units)
            try:
                made = shuffled_backgrounds(self.network, self.opened.batches, filters[0].n_sequences, n, seed)
                request, here = self.request, self.workers.here
                shared = None if here else SharedNetwork.of(request.source, request.choice, self.network)
                return plant_motifs(
                    logits,
                    motifs,
                    made,
                    self.outputs,
                    partners=PLANTED_PARTNERS,
                    seed=seed,
                    workers=self.workers,
                    shared=shared,
                )
            except InputError as reason:
                self.notes.append(f"Motifs could not be planted: {reason}.")
                return None

        return self.steps.step(
            "planted",
            {
                **self._network_key(),
                "outputs": list(self.outputs),
                "queries": file_digest(self.queries),
                "motifs": [motif.name for motif in motifs],
                "backgrounds": n,
                "seed": seed,
            },
            PLANTED_FILES,
            said="planted motifs",
            make=make,
            write=lambda made: write_planted(made, self.folder),
            read=lambda _: read_planted(self.folder, motifs),
        )

    def _shuffles(self, matches: Matches) -> Shuffles:
        """Shuffle the filters, once: rows and metrics are compared with the same shuffles."""
        if self.shuffles is None:
            self.shuffles = shuffle(matches, self.request.seed, self.request.threads)
        return self.shuffles

    def representation(
        self, matches: Matches, untrained: Matches | None, importance: Importance | None
    ) -> Representation:
        """Compute the metrics of the network, and by chance."""
        seed, threads = self.request.seed, self.request.threads
        shuffled = None
        if self.request.null:
            key = {**self._match_key(), "truth": self.known.digest if self.known else None, "seed": seed}
            shuffled = self.steps.step(
                "shuffled",
                key,
                [],
                make=lambda: shuffled_metrics(matches, self.targets, seed, threads, self._shuffles(matches)),
                write=lambda made: None,
                about=asdict,
                read=lambda about: Shuffled(**about),
            )
        return represent(
            matches,
            self.targets,
            importance=importance,
            untrained=untrained,
            shuffle=False,
            shuffled=shuffled,
            threads=threads,
            notes=self.notes,
        )

    def report(
        self,
        filters: Sequence[FilterPWMs],
        matches: Matches,
        representation: Representation,
        planted: Planted | None = None,
    ) -> Report:
        """Write the tables of the metrics and the page; all stay if nothing in them has changed."""
        asked = {
            name: _by_name(value)
            for name, value in self.request.record().items()
            if name not in ("model", "threads") and value is not None
        }
        report = build_report(
            describe_network(self.opened, filters, self.request.name),
            filters,
            matches,
            representation,
            self.known,
            planted=planted,
            citation=model_citation(self.opened),
            kipoi=kipoi_info(self.opened) is not None,
            parameters=asked,
            versions=versions(),
            created=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        )

        def write(made: Report) -> None:
            write_representation(representation, made.sentence, self.folder)
            write_interpretation(self.folder, made)
            write_report(self.folder, report=made)

        # Not when it was made nor of what: threads and paths do not make another report.
        content = hashlib.sha256(replace(report, created="", parameters={}).to_json().encode()).hexdigest()
        return (
            self.steps.step(
                "report",
                {"content": content},
                REPORT_FILES,
                said="report",
                make=lambda: report,
                write=write,
                read=lambda _: read_interpretation(self.folder),
            )
            or report
        )


def _by_name(value: Any) -> object:
    """Leave of the path of a file its name, since the page travels."""
    if isinstance(value, Mapping):
        return {key: _by_name(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_name(one) for one in value]
    return os.path.basename(value) if isinstance(value, (str, os.PathLike)) and os.path.exists(value) else value
