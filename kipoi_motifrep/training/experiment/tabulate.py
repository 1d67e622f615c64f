"""The paper's table: mean and standard deviation over trials, network by network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.training.architectures import ARCHITECTURES
from kipoi_motifrep.training.experiment.record import RunRecord

TABLES = ("table.tsv", "networks.tsv")
FIRST_LAYER = "conv1"


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes
    ----------
    name : str
        Header.
    value : callable
        From a record and a layer to the number, or None.
    decimals : int
        Digits printed.
    """

    name: str
    value: Callable[[RunRecord, str], float | None]
    decimals: int = 3


def _metric(kind: str, key: str) -> Callable[[RunRecord, str], float | None]:
    return lambda record, layer: record.metrics[layer][kind].get(key)


COLUMNS = (
    Column("auroc", lambda record, _: record.training["test"]["auroc"]),
    Column("aupr", lambda record, _: record.training["test"]["aupr"]),
    Column("match", _metric("trained", "matched")),
    Column("true_match", _metric("trained", "true")),
    Column("tfs_covered", _metric("trained", "labels"), 1),
    Column("localist_index", _metric("trained", "index")),
    Column("shuffled_match", _metric("shuffled", "matched")),
    Column("shuffled_index", _metric("shuffled", "index")),
    Column("untrained_match", _metric("untrained", "matched")),
    Column("untrained_index", _metric("untrained", "index")),
)
SHOWN = COLUMNS[:7]  # as wide as a terminal


@dataclass(frozen=True, eq=False)
class TableRow:
    """All trials of one architecture.

    Attributes
    ----------
    architecture, first_activation, layer : str
        Which networks, and which of their convolutions.
    n_trials, n_filters : int
        How many.
    mean, sd : numpy.ndarray, shape (n_columns,)
        Over trials, in the order of :data:`COLUMNS`; nan where there is nothing. SD with n - 1.
    """

    architecture: str
    first_activation: str
    layer: str
    n_trials: int
    n_filters: int
    mean: np.ndarray
    sd: np.ndarray

    def of(self, column: str) -> tuple[float, float]:
        """Look up mean and SD of a column."""
        place = [one.name for one in COLUMNS].index(column)
        return self.mean[place], self.sd[place]


def tabulate(records: Sequence[RunRecord]) -> list[TableRow]:
    """Compute means and standard deviations over the trials of each architecture.

    Parameters
    ----------
    records : sequence of RunRecord
        Of one task.

    Returns
    -------
    list of TableRow
        In the order of the paper's table; first layers, then deeper ones; ReLU, then other first activations.
    """
    # Trials go together that are of one layer, activation and architecture; rows are sorted by the same three.
    order = list(ARCHITECTURES)
    groups: dict[tuple[bool, bool, int, str], list[RunRecord]] = {}
    for record in records:
        for layer in record.layers:
            key = (
                layer.layer != FIRST_LAYER,
                record.first_activation != "relu",
                order.index(record.architecture),
                layer.layer,
            )
            groups.setdefault(key, []).append(record)
    rows = []
    for key in sorted(groups):
        group, layer_name = groups[key], key[-1]
        values = np.array([[column.value(record, layer_name) for column in COLUMNS] for record in group], float)
        # One trial has no deviation. A metric that a single trial lacks is nan for all: no mean of some.
        sd = values.std(axis=0, ddof=1) if len(group) > 1 else np.full(len(COLUMNS), np.nan)
        n_filters = next(len(layer.pwms) for layer in group[0].layers if layer.layer == layer_name)
        rows.append(
            TableRow(
                group[0].architecture,
                group[0].first_activation,
                layer_name,
                len(group),
                n_filters,
                values.mean(axis=0),
                sd,
            )
        )
    return rows


def write_tables(records: Sequence[RunRecord], folder: str | os.PathLike) -> list[TableRow]:
    """Write ``table.tsv`` (means and SDs) and ``networks.tsv`` (every network).

    Parameters
    ----------
    records : sequence of RunRecord
        Of one task.
    folder : str or path-like
        Where to.

    Returns
    -------
    list of TableRow
        The rows of ``table.tsv``.
    """
    rows, folder = tabulate(records), Path(folder)
    header = [
        "variant",
        "first_activation",
        "layer",
        "filters",
        "trials",
        *(f"{column.name}{part}" for column in COLUMNS for part in ("", "_sd")),
    ]
    write_table(
        folder / TABLES[0],
        header,
        (
            [
                row.architecture,
                row.first_activation,
                row.layer,
                row.n_filters,
                row.n_trials,
                *(
                    _printed(number, column.decimals)
                    for column, mean, sd in zip(COLUMNS, row.mean, row.sd, strict=True)
                    for number in (mean, sd)
                ),
            ]
            for row in rows
        ),
    )
    header = [
        "variant",
        "first_activation",
        "trial",
        "random_seed",
        "epochs",
        "best_epoch",
        "layer",
        "filters",
        *(column.name for column in COLUMNS),
    ]
    write_table(
        folder / TABLES[1],
        header,
        (
            [
                record.architecture,
                record.first_activation,
                record.trial,
                record.random_seed,
                record.training["epochs"],
                record.training["best_epoch"],
                layer.layer,
                len(layer.pwms),
                *(_printed(column.value(record, layer.layer), column.decimals + 1) for column in COLUMNS),
            ]
            for record in records
            for layer in record.layers
        ),
    )
    return rows


def _printed(number: float | None, decimals: int) -> str:
    return "" if number is None or np.isnan(number) else f"{number:.{decimals}f}"


def markdown(rows: Sequence[TableRow]) -> str:
    """Write rows as a Markdown table of means and SDs.

    Parameters
    ----------
    rows : sequence of TableRow
        From :func:`tabulate`.

    Returns
    -------
    str
        A line a row.

    Examples
    --------
    >>> values = np.arange(len(COLUMNS)) / 10
    >>> row = TableRow("cnn_2", "relu", "conv1", n_trials=1, n_filters=30, mean=values, sd=values * np.nan)
    >>> print(markdown([row]).splitlines()[2])
    | cnn_2 | 1 | 0.000 | 0.100 | 0.200 | 0.300 | 0.4 | 0.500 | 0.600 |
    """
    lines = [
        "| network | trials | " + " | ".join(column.name.replace("_", " ") for column in SHOWN) + " |",
        "|---" * (len(SHOWN) + 2) + "|",
    ]
    for row in rows:
        name = row.architecture + (" (exponential)" if row.first_activation != "relu" else "")
        name += f" {row.layer}" if row.layer != FIRST_LAYER else ""
        cells = []
        for column in SHOWN:
            mean, sd = (_printed(number, column.decimals) for number in row.of(column.name))
            cells.append((mean or "-") + (f" ± {sd}" if mean and sd else ""))
        lines.append(f"| {name} | {row.n_trials} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
