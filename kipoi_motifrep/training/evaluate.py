"""How well networks predict the labels of a data set: any network, of the same outputs, on the same sequences."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.accuracy import accuracy, mean_of_known
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import check_output_file, parameters_record, staged, write_json
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.datasets.hdf5 import Split, open_dataset
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.logits import output_columns
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.training.calibration import calibration_error, reliability
from kipoi_motifrep.training.train import PREDICTION_BATCH, data_digest

MEAN = "mean of all"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy of one network.

    Attributes
    ----------
    model : str
        What was evaluated.
    label_names : tuple of str
        T labels.
    auroc, aupr, calibration_error : numpy.ndarray, shape (T,)
        nan where the split has not both classes (for `calibration_error`: where all are masked).
    curves : numpy.ndarray, shape (T, 10, 3)
        Of :func:`kipoi_motifrep.training.calibration.reliability`, label by label.

    Examples
    --------
    >>> one = Evaluation("m", ("MAX",), np.array([0.9]), np.array([0.8]), np.array([0.1]), np.zeros((1, 10, 3)))
    >>> dict(one.figures())["auroc"].tolist()
    [0.9]
    """

    model: str
    label_names: tuple[str, ...]
    auroc: np.ndarray
    aupr: np.ndarray
    calibration_error: np.ndarray
    curves: np.ndarray

    def figures(self) -> list[tuple[str, np.ndarray]]:
        """List the figures of the table, each with a value a label."""
        return [(name, getattr(self, name)) for name in ("auroc", "aupr", "calibration_error")]


def evaluate(
    models: Sequence[object],
    dataset: str | os.PathLike,
    *,
    split: str = "test",
    average: bool = False,
    source: str | None = None,
    alphabet: str | None = None,
    output: str | os.PathLike | None = None,
) -> list[Evaluation]:
    """Measure how well networks predict the labels of a data set.

    Parameters
    ----------
    models : sequence of str, path-like or object
        Anything that ``interpret`` takes. Their outputs are the labels, in the same order.
    dataset : str or path-like
        A dataset file.
    split : str
        Part of it.
    average : bool
        Also evaluate the mean of all predictions.
    source : str, optional
        Kipoi source of the models' names.
    alphabet : str, optional
        Order of the bases in the networks' input; that of each Kipoi model's loader, else ACGT.
    output : str or path-like, optional
        A table; beside it go its parameters (``OUTPUT.json``) and the reliability curves
        (``OUTPUT.reliability.tsv``).

    Returns
    -------
    list of Evaluation
        One a model, and at the end that of the mean.

    Raises
    ------
    InputError
        If something cannot be read, the split is empty, or a network has other outputs than the data has labels.

    Examples
    --------
    >>> from kipoi_motifrep.zoo.shipped import EXAMPLES, shipped_model
    >>> [one] = evaluate([shipped_model("synthetic/cnn_25")], EXAMPLES / "synthetic.h5")
    >>> bool(one.auroc.mean() > 0.9)
    True
    """
    data = open_dataset(dataset)
    if split not in data.splits:
        raise InputError(f"has no split {split!r}; there are {', '.join(data.splits)}", path=dataset)
    part = data[split]
    if not len(part):
        raise InputError(f"split {split!r} is empty", path=dataset)
    if output is not None:
        for path in _files(output):
            check_output_file(path, [dataset, list(models)])
    labels, names = part.read("labels"), data.label_names
    found, total = [], np.zeros(labels.shape)
    for model in models:
        try:
            network = open_network(model, source=source, length=data.length, alphabet=alphabet)
        except InputError as error:
            if _name(model) in str(error):
                raise
            raise InputError(str(error), path=_name(model)) from error  # of several networks, which?
        if network.length != data.length:
            raise InputError(
                f"the sequences are {data.length} bp, but {_name(model)} reads {network.length} bp; make the "
                f"dataset of sequences of {network.length} bp",
                path=dataset,
            )
        predictions = _predictions(network, _name(model), part, len(names))
        total += predictions
        found.append(_evaluation(_name(model), names, labels, predictions))
    if average:
        found.append(_evaluation(MEAN, names, labels, total / len(models)))
    if output is not None:
        table, curves, record = _files(output)
        parameters = {"models": [_name(one) for one in models], "dataset": os.path.basename(dataset)}
        with staged(table.parent) as stage:
            write_results(stage / table.name, {one.model: dict(one.figures()) for one in found}, names)
            write_table(
                stage / curves.name, ("model", "label", "sequences", "predicted", "positive"), _curve_rows(found)
            )
            write_json(
                stage / record.name,
                parameters_record(
                    "evaluate",
                    {**parameters, "data": data_digest(data), "split": split, "source": source, "alphabet": alphabet},
                ),
            )
    return found


def write_results(
    path: str | os.PathLike,
    results: Mapping[str, Mapping[str, np.ndarray | Sequence[float | None]]],
    labels: Sequence[str],
) -> None:
    """Write a table of accuracies: a row a model and figure, a column a label.

    Parameters
    ----------
    path : str or path-like
        The table.
    results : mapping of str to mapping of str to sequence of float, length T
        Figures of each model; None or nan where there is none.
    labels : sequence of str
        T names.
    """
    rows = []
    for figure in dict.fromkeys(name for figures in results.values() for name in figures):
        for model, figures in results.items():
            values = np.array(figures[figure], np.float64)
            printed = ("" if np.isnan(one) else f"{one:.4f}" for one in (mean_of_known(values), *values))
            rows.append([model, figure, *printed])
    write_table(path, ["model", "figure", "mean", *labels], rows)


def _files(output: str | os.PathLike) -> tuple[Path, Path, Path]:
    """Table, reliability curves, parameters."""
    return Path(output), Path(f"{os.fspath(output)}.reliability.tsv"), Path(f"{os.fspath(output)}.json")


def _name(model: object) -> str:
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else type(model).__name__


def _predictions(network: Network, name: str, part: Split, n_labels: int) -> np.ndarray:
    """Predict a split with any network, with axes and bases in its own order."""
    found, n_batches = [], -(-len(part) // PREDICTION_BATCH)
    for sequences, _ in progress(part.batches(PREDICTION_BATCH), f"predicting: {name}", unit="batch", total=n_batches):
        arrays = network.arrays(network.layout.encode_averaged(sequences))
        outputs = output_columns(network.source, network.source.predict(arrays))
        if outputs.shape[1] != n_labels:
            raise InputError(
                f"gives {outputs.shape[1]} numbers a sequence, and the data set has {n_labels} labels", path=name
            )
        found.append(outputs)
    return np.concatenate(found).astype(np.float64)


def _evaluation(model: str, names: tuple[str, ...], labels: np.ndarray, predictions: np.ndarray) -> Evaluation:
    measured = accuracy(labels, predictions)
    curves = np.stack([reliability(one, predicted) for one, predicted in zip(labels.T, predictions.T, strict=True)])
    return Evaluation(model, names, measured.auroc, measured.aupr, calibration_error(labels, predictions), curves)


def _curve_rows(found: Sequence[Evaluation]) -> list[list[object]]:
    return [
        [one.model, label, int(count), f"{predicted:.4f}", f"{positive:.4f}"]
        for one in found
        for label, curve in zip(one.label_names, one.curves, strict=True)
        for count, predicted, positive in curve
        if count
    ]
