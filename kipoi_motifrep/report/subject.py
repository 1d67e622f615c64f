"""What is interpreted, in words: the model's name and origin, its outputs, the data."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.filters import FilterPWMs
from kipoi_motifrep.filters.extract import Opened
from kipoi_motifrep.networks.file_kinds import KERAS, kind_of
from kipoi_motifrep.networks.keras_files import read_metadata
from kipoi_motifrep.networks.loading import is_file_model, is_here
from kipoi_motifrep.report.schema import Citation, NetworkSummary

TRAINED_NAME = "network"  # of every file that `train` writes; its folder and its note say more


def output_names(
    loaded: object,
    model: object,
    n_outputs: int | None,
    *,
    labels: Sequence[str] | None = None,
    dataset: str | os.PathLike | None = None,
) -> tuple[str, ...]:
    """Name a network's outputs.

    The names given; else those of the Kipoi model's schema; else those in the note of a
    ``.keras`` file; else the dataset's labels; the first that are as many as there are
    outputs. Else ``output0`` and so on.

    Parameters
    ----------
    loaded : object
        The model as it was loaded.
    model : str, path-like or object
        The model as it was given.
    n_outputs : int, optional
        How many there are, where that is known.
    labels : sequence of str, optional
        The names given.
    dataset : path-like, optional
        The dataset given.

    Returns
    -------
    tuple of str
        Unique.

    Raises
    ------
    InputError
        If names were given, and are not as many as there are outputs.
    """
    if labels is not None:
        if n_outputs is not None and len(labels) != n_outputs:
            raise InputError(f"{len(labels)} labels for {n_outputs} outputs of the network; give one name an output")
        return tuple(map(str, labels))
    noted = _note(model).get("label_names")
    for found in (_schema_labels(loaded), list(noted) if isinstance(noted, list) else [], _dataset_labels(dataset)):
        if found and len(found) == n_outputs and len(set(found)) == len(found):
            return tuple(map(str, found))
    return tuple(f"output{i}" for i in range(n_outputs or 0))


def label_names(targets: object, outputs: Sequence[str], dataset: str | os.PathLike | None) -> tuple[str, ...]:
    """Name the data's labels; nothing where there are none, or not one for each output.

    Parameters
    ----------
    targets : object
        Labels of some sequences, as the loader gives them.
    outputs : sequence of str
        Names of the network's outputs.
    dataset : path-like, optional
        The dataset given.

    Returns
    -------
    tuple of str
    """
    # The shape decides, not the names: labels of another number are of something else than the outputs.
    shape = getattr(targets, "shape", ())
    if len(shape) < 1 or math.prod(shape[1:]) != len(outputs):
        return ()
    return tuple(_dataset_labels(dataset) or outputs)


def describe_network(opened: Opened, filters: Sequence[FilterPWMs]) -> NetworkSummary:
    """Say in words what is interpreted.

    Parameters
    ----------
    opened : Opened
        Model and sequences.
    filters : sequence of FilterPWMs
        What was found, one a bank.

    Returns
    -------
    NetworkSummary
    """
    network, sequences, n = opened.network, opened.sequences, filters[0].n_sequences
    name, source, url = _named(opened.source.model, opened.source.source)
    if sequences.dataset is not None:
        where = f"{os.path.basename(sequences.dataset)} ({sequences.split})"
    else:
        where = "the model's own loader" if sequences.fasta is None else os.path.basename(sequences.fasta)
    doc = str(getattr(kipoi_info(opened), "doc", None) or "")
    return NetworkSummary(
        name=name,
        n_filters=sum(map(len, filters)),
        width=max(one.width for one in filters),
        source=source,
        layer=", ".join(one.bank.layer for one in filters),
        axes=str(network.layout),
        sequences=f"{n:,} sequences of {network.length:,} bp from {where}",
        n_sequences=n,
        found=network.describe(),
        description=" ".join(doc.split()),
        url=url,
    )


def kipoi_info(opened: Opened) -> object | None:
    """Give what a Kipoi model says of itself: authors, a sentence, how to cite it; None for other models."""
    return None if is_file_model(opened.source.model) else getattr(opened.model, "info", None)


def model_citation(opened: Opened) -> Citation | None:
    """Give how a Kipoi model asks to be cited, if it does."""
    cite = str(getattr(kipoi_info(opened), "cite_as", None) or "")
    return Citation(cite, "the model", cite if cite.startswith("http") else "") if cite else None


def _named(model: object, source: str | None) -> tuple[str, str, str]:
    """Name, origin and page of a model as it was given."""
    if not isinstance(model, (str, os.PathLike)):
        inner = getattr(model, "name", None)
        return inner if isinstance(inner, str) else type(model).__name__, "a model in memory", ""
    path = Path(model)
    if is_file_model(model):
        if path.stem != TRAINED_NAME:
            return path.stem, path.name, ""
        note, folder = _note(model), path.resolve().parent.name
        architecture = note.get("architecture") or note.get("variant")
        return str(architecture or folder or path.stem), f"{folder}/{path.name}", ""
    if source in (None, "kipoi") and not path.is_absolute() and not is_here(path):
        return str(model), "kipoi.org", f"https://kipoi.org/models/{model}"
    return path.name, f"Kipoi model {path.parent.name}/{path.name}", ""


def _schema_labels(loaded: object) -> list[str]:
    targets = getattr(getattr(loaded, "schema", None), "targets", None)
    parts: Iterable[object] = (
        targets.values()
        if isinstance(targets, Mapping)
        else targets
        if isinstance(targets, (list, tuple))
        else [targets]
    )
    labels: list[str] = []
    for part in parts:
        found = getattr(part, "column_labels", None)
        labels += list(found) if isinstance(found, (list, tuple)) else []
    return labels


def _note(model: object) -> Mapping[str, object]:
    """Note in a ``.keras`` file; by its contents, since Keras 2.12 gave ``.h5`` files that name."""
    if isinstance(model, (str, os.PathLike)) and is_file_model(model) and kind_of(model) == KERAS:
        return read_metadata(model)
    return {}


def _dataset_labels(dataset: str | os.PathLike | None) -> list[str]:
    return [] if dataset is None else list(open_dataset(dataset).label_names)
