"""From a model and sequences on disk to files of PWMs: what the ``filters`` command does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.core.outputs import staged, write_parameters
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.filters.batches import Batch, LoaderBatches, first_batch
from kipoi_motifrep.filters.result import FilterPWMs, filter_names
from kipoi_motifrep.filters.streaming import THRESHOLD, SiteRule, bank_windows, filter_pwms, fitting_batch_size
from kipoi_motifrep.filters.writing import SiteFile, write_filters
from kipoi_motifrep.networks.layout import Layout, layouts
from kipoi_motifrep.networks.loading import is_file_model, load_model, loader_alphabet, open_network
from kipoi_motifrep.networks.network import Network, named_inputs

PROBE_SEQUENCES = 8


def extract_filters(model: object, *, source: str | None = None, dataloader_args: Mapping | None = None,
                    fasta: str | os.PathLike | None = None, dataset: str | os.PathLike | None = None,
                    auto_resize_len: int | None = None, split: str = "test", layer: str | None = None,
                    axes: str | None = None, alphabet: str | None = None, window: int | None = None,
                    threshold: float = THRESHOLD, quantile: float | None = None, top: int | None = None,
                    weighted: bool = True, best_per_sequence: bool = False, sites: bool = False,
                    batch_size: int | None = None,
                    output: str | os.PathLike | None = None) -> tuple[FilterPWMs, ...]:
    """Compute the PWMs of a model's filters from sequences on disk, and write them.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model, a ``.keras`` or ``.h5`` file, or a loaded model.
    source : str, optional
        Kipoi source of the model; ``dir`` for a directory, else ``kipoi``.
    dataloader_args : mapping, optional
        Arguments of the Kipoi model's own loader. Of this, `fasta` and
        `dataset` one is needed.
    fasta : path-like, optional
        FASTA file of sequences.
    auto_resize_len : int, optional
        Cut or pad the sequences of `fasta` to so many bases about their centre.
    dataset : path-like, optional
        HDF5 dataset of ours.
    split : str, default "test"
        Split of the dataset.
    layer, axes, alphabet : str, optional
        Which convolution, axis order and bases' order; found by default. See ``open_network``.
    window, threshold, quantile, top, weighted, best_per_sequence
        See :func:`filter_pwms`.
    sites : bool, default False
        Also write every site: ``sites.bed`` when the input has coordinates, else ``sites.tsv``.
    batch_size : int, optional
        Sequences a batch; chosen by the size of the feature map by default.
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
    """
    parameters = dict(locals())
    rule = SiteRule(threshold, quantile, top, weighted, best_per_sequence)
    if sites and output is None:
        raise InputError("sites need an output folder")
    opened = open_inputs(model, source=source, dataloader_args=dataloader_args, fasta=fasta,
                         auto_resize_len=auto_resize_len, dataset=dataset, split=split, layer=layer, axes=axes,
                         alphabet=alphabet, window=window, batch_size=batch_size)
    network, batches = opened.network, opened.batches
    for line in network.describe().splitlines():
        say(line)
    with nullcontext() if output is None else staged(output) as stage:
        with _site_file(network, batches, window, stage if sites else None) as on_sites:
            results = filter_pwms(network, batches, window=window, on_sites=on_sites, **asdict(rule))
        if output is not None:
            write_filters(results, stage)
            write_parameters(stage, "filters", {**parameters, **origin(model, fasta, dataset),
                                                 "found": network.describe().splitlines(),
                                                 "n_sequences": results[0].n_sequences})
    return results


@dataclass(frozen=True, eq=False)
class Opened:
    """A model and sequences that fit it.

    Parameters
    ----------
    model : object
        As it was loaded.
    network : Network
        For the length of the sequences.
    batches : LoaderBatches
        The sequences; labels too, where there are any.
    first : Batch
        A few of them, as the loader gives them.
    """

    model: object
    network: Network
    batches: LoaderBatches
    first: Batch


def open_inputs(model: object, *, source: str | None = None, dataloader_args: Mapping | None = None,
                fasta: str | os.PathLike | None = None, auto_resize_len: int | None = None,
                dataset: str | os.PathLike | None = None, split: str = "test", layer: str | None = None,
                axes: str | None = None, alphabet: str | None = None, window: int | None = None,
                batch_size: int | None = None) -> Opened:
    """Load a model and open sequences for it.

    Parameters
    ----------
    model, source, dataloader_args, fasta, auto_resize_len, dataset, split, layer, axes, alphabet, window, batch_size
        See :func:`extract_filters`.

    Returns
    -------
    Opened
        The first sequences were looked at: they fit.

    Raises
    ------
    InputError
        If something given is wrong.
    """
    _check(dict(locals()))
    loader = _own_loader(fasta, auto_resize_len, dataset, split)  # before the model: it is quick to fail
    loaded = load_model(model, source)
    own, remake = loader is None, None
    if own:
        loader = _kipoi_loader(loaded, dataloader_args)
        if not hasattr(loader, "__getitem__"):  # one that can only be gone through, perhaps only once
            remake = partial(_kipoi_loader, loaded, dataloader_args)
    first = first_batch(LoaderBatches(loader, PROBE_SEQUENCES))
    network, length = _network(loaded, loader, first, own, {
        "layer": layer, "axes": axes, "alphabet": alphabet or loader_alphabet(loaded, dataloader_args)})
    _check_length(network, length, fasta, dataset)
    network.codes(first.inputs)  # says so if the shapes do not fit
    batches = LoaderBatches(loader, batch_size or fitting_batch_size(network), None if own else _columns(network),
                            remake)
    return Opened(loaded, network, batches, first)


def _check(parameters: Mapping[str, object]) -> None:
    if sum(parameters[name] is not None for name in ("dataloader_args", "fasta", "dataset")) != 1:
        raise InputError("give the sequences once: as dataloader_args, as a FASTA file, or as a dataset")
    if parameters["auto_resize_len"] is not None and parameters["fasta"] is None:
        raise InputError("auto_resize_len goes with a FASTA file; a model's own loader takes it among dataloader_args")
    for name in ("batch_size", "window"):
        if parameters[name] is not None and parameters[name] < 1:
            raise InputError(f"{name} must be at least 1, not {parameters[name]}")
    for name in ("axes", "alphabet"):
        if parameters[name] is not None:
            Layout.parse(parameters["axes"] or "L,4", parameters["alphabet"] or "ACGT")


def _own_loader(fasta, auto_resize_len: int | None, dataset, split: str):
    if fasta is not None:
        from kipoi_motifrep.sequences.loaders import SequencesDl

        return SequencesDl(str(fasta), auto_resize_len)
    if dataset is not None:
        from kipoi_motifrep.datasets.loader import DatasetDl

        return DatasetDl(str(dataset), split)
    return None


def _kipoi_loader(model: object, arguments: Mapping):
    make = getattr(model, "default_dataloader", None)
    if make is None:
        raise InputError("this model has no Kipoi dataloader; give the sequences as a FASTA file or a dataset")
    try:
        return make(**arguments)
    except InputError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {flattened(error)}"
        raise InputError(f"the model's dataloader fails ({reason}); check dataloader_args") from error


def _network(model: object, loader, first: Batch, own: bool, choices: Mapping) -> tuple[Network, int]:
    """Open the network for the length of the sequences, where it takes any; also that length."""
    example = first.inputs if own else None
    network = open_network(model, example=example, **choices)
    length = _length(network, first, loader)
    bank = network.banks[0]
    if bank.kernels is not None and length < bank.field.width:
        raise InputError(f"the sequences are {length} bp, shorter than the {bank.field.width} bp that a filter of "
                         f"layer {bank.layer} sees; give longer ones")
    if network.length != length:
        network = open_network(model, example=example, length=length, **choices)
    return network, length


def _columns(network: Network) -> list[int] | None:
    """Order of the columns of ACGT that a network needs, where it is another."""
    alphabet = network.layout.alphabet
    return None if alphabet == "ACGT" else ["ACGT".index(base) for base in alphabet]


def _check_length(network: Network, length: int, fasta: str | os.PathLike | None,
                  dataset: str | os.PathLike | None) -> None:
    wanted = network.length
    if length == wanted:
        return
    if dataset is not None:
        cure = f"make the dataset of sequences of {wanted} bp"
    elif fasta is not None:
        cure = f"give sequences of {wanted} bp, or have them cut or filled up by --auto-resize-len {wanted}"
    else:
        cure = f"give sequences of {wanted} bp, or the loader's argument for it (such as auto_resize_len={wanted})"
    raise InputError(f"the sequences are {length} bp, but the model reads {wanted} bp; {cure}", path=dataset or fasta)


def _length(network: Network, first: Batch, loader) -> int:
    if isinstance(getattr(loader, "length", None), int):
        return loader.length
    shape = named_inputs(first.inputs, list(network.input_shapes), network.input_name)[network.input_name].shape[1:]
    found = [layout.length(shape) for layout in [network.layout, *layouts(shape)] if layout.fits(shape)]
    return found[0] if found else network.length


@contextmanager
def _site_file(network: Network, batches: LoaderBatches, window: int | None,
               folder: str | os.PathLike | None) -> Iterator[SiteFile | None]:
    if folder is None:
        yield None
        return
    suffix = SiteFile.suffix(first_batch(batches), network.length)
    path = Path(folder) / f"sites{suffix}"
    with closing(SiteFile(path, network, bank_windows(network, window), filter_names(network.banks))) as file:
        yield file


def origin(model: object, fasta: str | os.PathLike | None, dataset: str | os.PathLike | None) -> dict[str, object]:
    """Name the model, and the digests of the files that decide the result.

    Parameters
    ----------
    model, fasta, dataset
        See :func:`extract_filters`.

    Returns
    -------
    dict
        ``model`` and ``sha256`` (of each file; None for standard input).
    """
    paths = [path for path in (model if is_file_model(model) else None, fasta, dataset) if path is not None]
    name = str(model) if isinstance(model, (str, os.PathLike)) else type(model).__name__
    return {"model": name, "sha256": {str(path): None if str(path) == "-" else file_digest(path) for path in paths}}
