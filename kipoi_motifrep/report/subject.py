"""What is interpreted, in words: the model's name and origin, its outputs, the data."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.filters.extract import Opened
from kipoi_motifrep.networks.keras_files import read_metadata, suffix_of
from kipoi_motifrep.networks.loading import is_file_model, is_here
from kipoi_motifrep.report import Citation
from kipoi_motifrep.report.builder import Subject


def output_names(model: object, parameters: Mapping, n_outputs: int | None) -> tuple[str, ...]:
    """Name a network's outputs.

    The names given; else those of the Kipoi model's schema; else those in the note of a
    ``.keras`` file; else the dataset's labels; the first that are as many as there are
    outputs. Else ``output0`` and so on.

    Parameters
    ----------
    model : object
        As it was loaded.
    parameters : mapping
        ``model``, ``labels`` and ``dataset`` as they were given.
    n_outputs : int, optional
        How many there are, where that is known.

    Returns
    -------
    tuple of str
        Unique.

    Raises
    ------
    InputError
        If names were given, and are not as many as there are outputs.
    """
    given = parameters["labels"]
    if given is not None:
        if n_outputs is not None and len(given) != n_outputs:
            raise InputError(f"{len(given)} labels for {n_outputs} outputs of the network; give one name an output")
        return tuple(map(str, given))
    for found in (_schema_labels(model), _noted_labels(parameters["model"]), _dataset_labels(parameters["dataset"])):
        if found and len(found) == n_outputs and len(set(found)) == len(found):
            return tuple(map(str, found))
    return tuple(f"output{i}" for i in range(n_outputs or 0))


def label_names(parameters: Mapping, opened: Opened, outputs: Sequence[str]) -> tuple[str, ...]:
    """Name the data's labels; nothing where there are none, or not one for each output."""
    targets = opened.first.targets
    shape = getattr(targets, "shape", ())
    if len(shape) < 1 or math.prod(shape[1:]) != len(outputs):
        return ()
    return tuple(_dataset_labels(parameters["dataset"]) or outputs)


def describe_subject(opened: Opened, parameters: Mapping, n_sequences: int) -> Subject:
    """Say in words what is interpreted.

    Parameters
    ----------
    opened : Opened
        Model and sequences.
    parameters : mapping
        As they were given.
    n_sequences : int
        How many there are.

    Returns
    -------
    Subject
    """
    model, network = parameters["model"], opened.network
    info = getattr(opened.model, "info", None)
    kipoi = info is not None and not is_file_model(model)
    name, source, url = _named(model, parameters["source"])
    if kipoi:
        cite = str(getattr(info, "cite_as", None) or "")
        citation = Citation(cite, "the model", cite if cite.startswith("http") else "") if cite else None
    return Subject(
        name, source, _sequences(parameters, n_sequences, network.length), network.describe(),
        first=all(bank.kernels is not None for bank in network.banks),
        planted=str(parameters["truth"]).startswith("synthetic"),
        description=" ".join(str(getattr(info, "doc", None) or "").split()) if kipoi else "", url=url,
        citation=citation if kipoi else None, kipoi=kipoi)


def _named(model: object, source: str | None) -> tuple[str, str, str]:
    if not isinstance(model, (str, os.PathLike)):
        inner = getattr(model, "name", None)
        return inner if isinstance(inner, str) else type(model).__name__, "a model in memory", ""
    path = Path(model)
    if is_file_model(model):
        return path.stem, path.name, ""
    if source in (None, "kipoi") and not path.is_absolute() and not is_here(path):
        return str(model), "kipoi.org", f"https://kipoi.org/models/{model}"
    return path.name, f"Kipoi model {path.parent.name}/{path.name}", ""


def _sequences(parameters: Mapping, n: int, length: int) -> str:
    if parameters["dataset"] is not None:
        where = f" from {os.path.basename(parameters['dataset'])} ({parameters['split']})"
    elif parameters["fasta"] is not None:
        where = f" from {os.path.basename(parameters['fasta'])}"
    else:
        where = " from the model's own loader"
    return f"{n:,} sequences of {length:,} bp{where}"


def _schema_labels(model: object) -> list[str]:
    targets = getattr(getattr(model, "schema", None), "targets", None)
    parts = list(targets.values()) if isinstance(targets, Mapping) else \
        list(targets) if isinstance(targets, (list, tuple)) else [targets]
    labels: list[str] = []
    for part in parts:
        found = getattr(part, "column_labels", None)
        labels += list(found) if isinstance(found, (list, tuple)) else []
    return labels


def _noted_labels(model: object) -> list[str]:
    if not is_file_model(model) or suffix_of(model) != ".keras":  # by its contents: Keras 2.12 gave .h5 files that name
        return []
    return list(read_metadata(model).get("label_names", []))


def _dataset_labels(dataset) -> list[str]:
    return [] if dataset is None else list(open_dataset(dataset).label_names)
