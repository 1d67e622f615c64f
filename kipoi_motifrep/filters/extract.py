"""From a model and sequences to files of PWMs: what the ``filters`` command does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.disks import full_disk
from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, staged, write_parameters
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.workers import Workers, open_workers
from kipoi_motifrep.filters.base_order import tell_order
from kipoi_motifrep.filters.batches import Batch, LoaderBatches, first_batch
from kipoi_motifrep.filters.in_memory import SequencesInMemory
from kipoi_motifrep.filters.result import FilterPWMs
from kipoi_motifrep.filters.streaming import THRESHOLD, PWMRule, fitting_batch_size
from kipoi_motifrep.filters.writing import FILTER_FILES, SITE_FILES, SiteLines, write_filters
from kipoi_motifrep.networks.file_kinds import NetworkFile
from kipoi_motifrep.networks.layout import Layout, first_channel, layouts
from kipoi_motifrep.networks.loading import is_file_model, is_here, load_model, loader_alphabet, open_network
from kipoi_motifrep.networks.network import Network, named_inputs
from kipoi_motifrep.sequences.problems import UnevenWidths

PROBE_SEQUENCES = 8
AUTO = "auto"  # order of the bases


@dataclass(frozen=True, eq=False)
class ModelSource:
    """Which model.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model, a ``.keras`` or ``.h5`` file, or a loaded model.
    source : str, optional
        Kipoi source of the model; ``dir`` for a directory, else ``kipoi``.
    """

    model: object
    source: str | None = None

    def portable(self) -> tuple[ModelSource, list[str]]:
        """Name the model so that a worker finds it, which may be at work in another folder.

        Returns
        -------
        source : ModelSource
            With full paths.
        files : list of str
            What it is read from; empty for a name in Kipoi's zoo.

        Raises
        ------
        InputError
            If it is a model in memory.
        """
        model = self.model
        if isinstance(model, NetworkFile):
            code = model.arch.partition(":")[0]  # FILE.py:Class
            paths = [os.path.abspath(one) for one in (model.path, model.arch)]
            return replace(self, model=NetworkFile(*paths)), [paths[0], os.path.abspath(code)]
        if not isinstance(model, (str, os.PathLike)):
            raise InputError("a model in memory cannot be sent to workers; save it to a file, and give that")
        path = Path(os.path.abspath(model))
        if is_file_model(model):
            return replace(self, model=str(path)), [str(path)]
        if self.source not in (None, "dir") or not is_here(Path(model)):
            return self, []
        folders = [path]
        for group in (one for one in path.parents if (one / "model-template.yaml").is_file()):
            # Its models are rows of a table; its loaders lie beside it.
            folders = [group, group.parents[1] / "dataloaders"]
        return replace(self, model=str(path)), [str(one) for top in folders for one in top.rglob("*") if one.is_file()]


@dataclass(frozen=True, eq=False)
class SequenceSource:
    """Where sequences come from: the model's own loader, a FASTA file, intervals of a genome, a dataset, or memory.

    Parameters
    ----------
    dataloader_args : mapping, optional
        Arguments of the Kipoi model's own loader.
    fasta : path-like, optional
        FASTA file of sequences.
    intervals, genome : path-like, optional
        BED file, or a relative of it, and the genome's FASTA file.
    auto_resize_len : int, optional
        Cut or pad the sequences of `fasta`, or the intervals, to so many bases about their centre.
    centre : {"middle", "summit"}, optional
        Of intervals; by default the summit in files named narrowPeak.
    use_strand : bool, default False
        Read intervals of the reverse strand from it.
    dataset : path-like, optional
        HDF5 dataset of ours.
    split : str, default "test"
        Split of the dataset.
    sequences : object, optional
        Sequences that the caller holds; see `SequencesInMemory`, which they become.

    Raises
    ------
    InputError
        Unless there is exactly one, and no argument that belongs to another.

    Examples
    --------
    >>> SequenceSource(fasta="peaks.fa").dataset is None
    True
    >>> SequenceSource(fasta="peaks.fa", genome="hg38.fa")
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: genome, centre and use_strand go with intervals
    """

    dataloader_args: Mapping[str, object] | None = None
    fasta: str | os.PathLike | None = None
    intervals: str | os.PathLike | None = None
    genome: str | os.PathLike | None = None
    auto_resize_len: int | None = None
    centre: str | None = None
    use_strand: bool = False
    dataset: str | os.PathLike | None = None
    split: str = "test"
    sequences: object = None

    def __post_init__(self) -> None:
        given = (self.dataloader_args, self.fasta, self.intervals, self.dataset, self.sequences)
        if sum(one is not None for one in given) != 1:
            raise InputError(
                "give the sequences once: as dataloader_args, as a FASTA file, as intervals and a genome, as a "
                "dataset, or as an array or list"
            )
        if self.intervals is None and (self.genome is not None or self.centre is not None or self.use_strand):
            raise InputError("genome, centre and use_strand go with intervals")
        if self.intervals is not None and self.genome is None:
            raise InputError("intervals need the genome that they are of; give genome=FILE")
        if self.auto_resize_len is not None and self.fasta is self.intervals is self.sequences is None:
            raise InputError(
                "auto_resize_len goes with a FASTA file or intervals; a model's own loader takes it among "
                "dataloader_args"
            )
        if self.sequences is not None and not isinstance(self.sequences, SequencesInMemory):
            object.__setattr__(self, "sequences", SequencesInMemory(self.sequences, self.auto_resize_len))

    @property
    def files(self) -> list[str | os.PathLike]:
        """The files that were named, beside those of a model's own loader."""
        return [one for one in (self.fasta, self.intervals, self.genome, self.dataset) if one is not None]

    def describe(self) -> str:
        """Say in a few words where they come from."""
        if self.dataset is not None:
            return f"{os.path.basename(self.dataset)} ({self.split})"
        if self.intervals is not None and self.genome is not None:
            return f"{os.path.basename(self.intervals)} and {os.path.basename(self.genome)}"
        if self.sequences is not None:
            return "memory"
        return "the model's own loader" if self.fasta is None else os.path.basename(self.fasta)

    def portable(self) -> tuple[SequenceSource, list[str]]:
        """Name the files so that a worker finds them.

        Returns
        -------
        source : SequenceSource
            With full paths.
        files : list of str
            All of them.

        Raises
        ------
        InputError
            If they are in memory, or come from standard input.
        """
        if "-" in self.files or self.sequences is not None:
            what = "sequences in memory" if self.sequences is not None else "standard input"
            raise InputError(f"{what} cannot be sent to workers; give a file")
        files: list[str] = []

        def full(value: object) -> Any:
            if isinstance(value, (str, os.PathLike)) and os.path.isfile(value):
                files.append(os.path.abspath(value))
                return files[-1]
            return value

        arguments = self.dataloader_args
        given = None if arguments is None else {name: full(one) for name, one in arguments.items()}
        named = {name: full(getattr(self, name)) for name in ("fasta", "intervals", "genome", "dataset")}
        return replace(self, dataloader_args=given, **named), files

    def own_loader(self) -> Any | None:
        """Open the loader of the file; None where the model's own is wanted."""
        if self.intervals is not None:
            from kipoi_motifrep.sequences.loaders import IntervalsDl

            return IntervalsDl(
                str(self.intervals),
                str(self.genome),
                auto_resize_len=self.auto_resize_len,
                use_strand=self.use_strand,
                centre=self.centre,
            )
        if self.fasta is not None:
            from kipoi_motifrep.sequences.loaders import SequencesDl

            return SequencesDl(str(self.fasta), self.auto_resize_len)
        if self.dataset is not None:
            from kipoi_motifrep.datasets.loader import DatasetDl

            return DatasetDl(str(self.dataset), self.split)
        return self.sequences


@dataclass(frozen=True)
class NetworkChoice:
    """How a model is to be read, where that is not to be found out; see ``open_network``.

    Parameters
    ----------
    layer, axes, alphabet, activation, dna_channels : str, optional
        Which convolution, axis order and bases' order (``auto``: told from evidence); which non-linearity; which
        channels are the bases.

    Raises
    ------
    InputError
        If axes, alphabet or channels are none.
    """

    layer: str | None = None
    axes: str | None = None
    alphabet: str | None = None
    activation: str | None = None
    dna_channels: str | None = None

    def __post_init__(self) -> None:
        Layout.parse(self.axes or "L,4", BASES if self.alphabet in (None, AUTO) else self.alphabet)
        first_channel(self.dna_channels)


def extract_filters(
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
    jobs: int | None = None,
    scheduler: str | None = None,
    output: str | os.PathLike | None = None,
) -> tuple[FilterPWMs, ...]:
    r"""Compute the PWMs of a model's filters from sequences on disk, and write them.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model, a ``.keras`` or ``.h5`` file, a ``keras.Model``, a ``torch.nn.Module``, or
        another loaded model.
    sequences : array, list of str, list or dict of arrays, optional
        Sequences that you hold: one-hot (n, L, 4) in ACGT order, texts, or all inputs of a network of several. Of this,
        `dataloader_args`, `fasta` and `dataset` one is needed.
    source : str, optional
        Kipoi source of the model; ``dir`` for a directory, else ``kipoi``.
    dataloader_args : mapping, optional
        Arguments of the Kipoi model's own loader.
    fasta : path-like, optional
        FASTA file of sequences. Where its headers say where all of them lie in a genome
        (``chr20:239605-240001``), sites get coordinates.
    intervals, genome : path-like, optional
        BED file, or a relative of it, and the genome's FASTA file, plain or bgzip.
    auto_resize_len : int, optional
        Cut or pad the sequences of `fasta`, or the intervals, to so many bases about their centre.
    centre : {"middle", "summit"}, optional
        Of intervals; by default the summit in files named narrowPeak, else the middle.
    use_strand : bool, default False
        Read intervals of the reverse strand from it.
    dataset : path-like, optional
        HDF5 dataset of ours.
    split : str, default "test"
        Split of the dataset.
    layer, axes, alphabet, activation, dna_channels : str, optional
        Which convolution, axis order, bases' order, non-linearity, and channels that are the bases; found by
        default. See ``open_network``. The order of the bases is the loader's, else ACGT; with ``alphabet="auto"`` it
        is told from evidence, see :func:`~kipoi_motifrep.filters.base_order.tell_order`.
    window, threshold, quantile, top, weighted, best_per_sequence
        See :func:`filter_pwms`.
    sites : bool, default False
        Also write every site: ``sites.bed`` when the input has coordinates, else ``sites.tsv``.
    batch_size : int, optional
        Sequences a batch; chosen by the size of the feature map by default.
    jobs, scheduler
        Who does the work, which changes nothing; see :func:`kipoi_motifrep.core.workers.open_workers`.
    output : path-like, optional
        Folder for the files; nothing is written without it.

    Returns
    -------
    tuple of FilterPWMs
        One a bank of filters.

    Raises
    ------
    InputError
        If something given is wrong; before any long computation, and with nothing written.

    Examples
    --------
    >>> import keras
    >>> from pathlib import Path
    >>> from keras.layers import Conv1D, Dense, GlobalMaxPooling1D
    >>> layers = Conv1D(2, 4, activation="relu"), GlobalMaxPooling1D(), Dense(1)
    >>> network = keras.Sequential([keras.Input((12, 4)), *layers])
    >>> _ = Path("peaks.fa").write_text(">a\nACGTTGCATGCA\n>b\nTTGACCATGGAC\n")
    >>> [bank] = extract_filters(network, fasta="peaks.fa")
    >>> bank.pwms.shape, bank.n_sequences
    ((2, 4, 4), 2)
    """
    wanted = ModelSource(model, source)
    origins = SequenceSource(
        dataloader_args, fasta, intervals, genome, auto_resize_len, centre, use_strand, dataset, split, sequences
    )
    choice = NetworkChoice(layer, axes, alphabet, activation, dna_channels)
    rule = PWMRule(window, threshold, quantile, top, weighted, best_per_sequence)
    if sites and output is None:
        raise InputError("sites need an output folder")
    with open_workers(jobs, scheduler, shared_files(wanted, origins, jobs, scheduler)) as workers:
        return _extract(workers, wanted, origins, choice, rule, sites, batch_size, output)


def shared_files(source: ModelSource, sequences: SequenceSource, jobs: int | None, scheduler: str | None) -> list[str]:
    """List the files that workers will read, where there shall be any.

    Parameters
    ----------
    source : ModelSource
        The model.
    sequences : SequenceSource
        The sequences.
    jobs, scheduler
        As for :func:`kipoi_motifrep.core.workers.open_workers`.

    Returns
    -------
    list of str
        Full paths.

    Raises
    ------
    InputError
        If the work cannot be shared out.
    """
    if jobs is None and scheduler is None:
        return []
    return [*source.portable()[1], *sequences.portable()[1]]


def _extract(
    workers: Workers,
    wanted: ModelSource,
    sequences: SequenceSource,
    choice: NetworkChoice,
    rule: PWMRule,
    sites: bool,
    batch_size: int | None,
    output: str | os.PathLike | None,
) -> tuple[FilterPWMs, ...]:
    from kipoi_motifrep.filters.sharing import shared_pwms  # which opens inputs by what is here

    opened = open_inputs(wanted, sequences, choice, batch_size)
    network = opened.network
    for line in network.describe().splitlines():
        say(line)
    if output is None:
        return shared_pwms(workers, opened, choice, rule)
    files = [*FILTER_FILES, PARAMETERS_FILE, *(SITE_FILES if sites else ())]
    with staged(output, files, [wanted.model, sequences.dataloader_args, *sequences.files]) as stage:
        with opened.site_lines(stage, rule) if sites else nullcontext() as lines:
            results = shared_pwms(workers, opened, choice, rule, lines=lines)
        write_filters(results, stage)
        write_parameters(
            stage,
            "filters",
            {
                **vars(wanted),
                **vars(sequences),
                **vars(choice),
                **vars(rule),
                "sites": sites,
                "batch_size": batch_size,
                "output": output,
                **origin(wanted, sequences),
                "found": network.describe().splitlines(),
                "n_sequences": results[0].n_sequences,
            },
        )
    return results


@dataclass(frozen=True, eq=False)
class Opened:
    """A model and sequences that fit it.

    Parameters
    ----------
    source : ModelSource
        Which model it is.
    sequences : SequenceSource
        Where the sequences come from.
    model : object
        As it was loaded.
    network : Network
        For the length of the sequences.
    batches : LoaderBatches
        The sequences; labels too, where there are any.
    first : Batch
        A few of them, as the loader gives them.
    """

    source: ModelSource
    sequences: SequenceSource
    model: object
    network: Network
    batches: LoaderBatches
    first: Batch

    @property
    def site_file(self) -> str:
        """Name of the file of sites: BED where the sequences have coordinates, else a table."""
        return f"sites{SiteLines.suffix(self.first, self.network.length)}"

    def site_lines(self, folder: Path, rule: PWMRule) -> AbstractContextManager[SiteLines]:
        """Write that file, in a folder."""
        return SiteLines.to(folder / self.site_file, self.network, rule.window)


Teller = Callable[[Network, LoaderBatches | None], tuple[str, str]]


def open_inputs(
    source: ModelSource,
    sequences: SequenceSource,
    choice: NetworkChoice,
    batch_size: int | None = None,
    tell: Teller = tell_order,
) -> Opened:
    """Load a model and open sequences for it.

    1. Open the sequences, if they are in a file: that is quick to fail.
    2. Load the model, and make its own loader, if that is wanted.
    3. Open the network by a look at the first sequences; where it takes any length, for theirs.
    4. Check that lengths and shapes fit.
    5. Tell the order of the bases from evidence, if that is asked for and the loader does not say it.
    6. Choose the size of the batches.

    Parameters
    ----------
    source : ModelSource
        The model.
    sequences : SequenceSource
        The sequences.
    choice : NetworkChoice
        How to read the model.
    batch_size : int, optional
        Sequences a batch; chosen by the size of the feature map by default.
    tell : callable, optional
        Tells the order of the bases as `tell_order` does, such as from a record.

    Returns
    -------
    Opened
        The first sequences were looked at: they fit.

    Raises
    ------
    InputError
        If something given is wrong.
    """
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size must be at least 1, not {batch_size}")
    try:
        return _open_inputs(source, sequences, choice, batch_size, tell)
    except UnevenWidths as error:  # to which width they are to be brought, the network knows
        try:
            model = load_model(source.model, source.source, whole=False)
            wanted = open_network(model, length=error.width, **{**vars(choice), "alphabet": None}).length
        except InputError:
            wanted = None
        raise (error if wanted is None else error.for_network(wanted)) from None


def _open_inputs(
    source: ModelSource, sequences: SequenceSource, choice: NetworkChoice, batch_size: int | None, tell: Teller
) -> Opened:
    loader = sequences.own_loader()
    model, arguments = load_model(source.model, source.source, whole=False), sequences.dataloader_args
    own, remake = loader is None, None
    if own:
        loader = _kipoi_loader(model, arguments or {})
        if not hasattr(loader, "__getitem__"):  # one that can only be gone through, perhaps only once
            remake = partial(_kipoi_loader, model, arguments or {})
    first = first_batch(LoaderBatches(loader, PROBE_SEQUENCES))
    own = own or not isinstance(first.inputs, np.ndarray)  # all inputs of a network in memory are laid out for it, too
    stated = loader_alphabet(model, arguments) if choice.alphabet in (None, AUTO) else choice.alphabet
    choices = {**vars(choice), "alphabet": stated, "example": first.inputs if own else None}
    try:
        network = open_network(model, **choices)
    except InputError:  # one that takes any length may crop more than there is of the usual one
        length = getattr(loader, "length", None)
        if not isinstance(length, int):
            raise
        network = open_network(model, length=length, **choices)
    length, bank = _length(network, first, loader), network.banks[0]
    if bank.kernels is not None and length < bank.field.width:
        raise InputError(
            f"the sequences are {length} bp, shorter than the {bank.field.width} bp that a filter of "
            f"layer {bank.layer} sees; give longer ones"
        )
    if network.length != length:
        network = open_network(model, length=length, **choices)
    if network.length != length:  # still: the model reads one length alone
        raise InputError(
            f"the sequences are {length} bp, but the model reads {network.length} bp; "
            + _cure(sequences, network.length),
            path=sequences.dataset or sequences.fasta or sequences.intervals,
        )
    network.codes(first.inputs)  # says so if the shapes do not fit
    if choice.alphabet == AUTO and stated is None:
        # What a model's own loader gives is in its order, whatever that is: labels say nothing of it.
        labelled = None if own else LoaderBatches(loader, fitting_batch_size(network))
        choices["alphabet"], evidence = tell(network, labelled)
        network = open_network(model, length=length, **choices)
        banks = (replace(one, notes=(*one.notes, evidence)) for one in network.banks)
        network = replace(network, banks=tuple(banks))
    # Our loaders give ACGT; a model's own gives the order that it was trained on.
    alphabet = network.layout.alphabet
    columns = None if own or alphabet == BASES else [BASES.index(base) for base in alphabet]
    batches = LoaderBatches(loader, batch_size or fitting_batch_size(network), columns, remake)
    return Opened(source, sequences, model, network, batches, first)


def _kipoi_loader(model: object, arguments: Mapping[str, object]) -> Any:
    make = getattr(model, "default_dataloader", None)
    if make is None:
        raise InputError("this model has no Kipoi dataloader; give the sequences as a FASTA file or a dataset")
    try:
        return make(**arguments)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        if full_disk(error):
            raise
        reason = f"{type(error).__name__}: {flattened(error)}"
        raise InputError(f"the model's dataloader fails ({reason}); check dataloader_args") from error


def _length(network: Network, first: Batch, loader: object) -> int:
    """Length of the sequences, by the loader's word or by the shape of the first."""
    length = getattr(loader, "length", None)
    if isinstance(length, int):
        return length
    shape = named_inputs(first.inputs, list(network.input_shapes), network.input_name)[network.input_name].shape[1:]
    found = [layout.length(shape) for layout in [network.layout, *layouts(shape)] if layout.fits(shape)]
    return found[0] if found and found[0] is not None else network.length


def _cure(sequences: SequenceSource, wanted: int) -> str:
    if sequences.dataset is not None:
        return f"make the dataset of sequences of {wanted} bp"
    if sequences.sequences is not None:
        return f"give sequences of {wanted} bp"
    if sequences.fasta is not None:
        return f"give sequences of {wanted} bp, or have them cut or filled up: auto_resize_len={wanted}"
    if sequences.intervals is not None:
        return f"give auto_resize_len={wanted} to cut or widen them about their centres"
    return f"give sequences of {wanted} bp, or the loader's argument for it (such as auto_resize_len={wanted})"


def origin(source: ModelSource, sequences: SequenceSource | None) -> dict[str, object]:
    """Name the model, and the digests of the files that decide the result.

    Parameters
    ----------
    source : ModelSource
        The model.
    sequences : SequenceSource, optional
        The sequences, if there are any.

    Returns
    -------
    dict
        ``model`` and ``sha256`` (of each file; None for standard input).
    """
    model = source.model
    named = isinstance(model, (str, os.PathLike))
    paths = [model] if isinstance(model, (str, os.PathLike)) and is_file_model(model) else []
    paths += [] if sequences is None else sequences.files
    return {
        "model": str(model) if named else type(model).__name__,
        "sha256": {str(path): None if str(path) == "-" else file_digest(path) for path in paths},
    }
