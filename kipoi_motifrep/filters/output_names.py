"""Names of a network's outputs and of the data's labels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.networks.file_kinds import KERAS, kind_of
from kipoi_motifrep.networks.keras_files import read_metadata
from kipoi_motifrep.networks.loading import is_file_model


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
    noted = note_of(model).get("label_names")
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


def note_of(model: object) -> Mapping[str, object]:
    """Read the note in a ``.keras`` file; empty for anything else.

    Parameters
    ----------
    model : object
        A model as it was given.

    Returns
    -------
    mapping
        Such as the names of the labels, and the architecture.
    """
    # By its contents: Keras 2.12 gave .h5 files that name.
    if isinstance(model, (str, os.PathLike)) and is_file_model(model) and kind_of(model) == KERAS:
        return read_metadata(model)
    return {}


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
        # Kipoi has a sequence type of its own; a text would be the name of a file.
        labels += list(found) if isinstance(found, Iterable) and not isinstance(found, str) else []
    return labels


def _dataset_labels(dataset: str | os.PathLike | None) -> list[str]:
    return [] if dataset is None else list(open_dataset(dataset).label_names)
