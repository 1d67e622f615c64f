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


def _test(key: str) -> Callable[[RunRecord, str], float | None]:
    return lambda record, layer: record.training["test"][key]


COLUMNS = (
    Column("auroc", _test("auroc")),
    Column("aupr", _test("aupr")),
    Column("match", _metric("trained", "matched")),
    Column("true_match", _metric("trained", "true")),
    Column("tfs_covered", _metric("trained", "labels"), 1),
    Column("localist_index", _metric("trained", "index")),
    Column("shuffled_match", _metric("shuffled", "matched")),
    Column("shuffled_index", _metric("shuffled", "index")),
    Column("untrained_match", _metric("untrained", "matched")),
    Column("untrained_index", _metric("untrained", "index")),
)


@dataclass(frozen=True, eq=False)
class TableRow:
    """All trials of one network.

    Attributes
    ----------
    architecture, first_activation, layer : str
        Which network, and which of its convolutions.
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


def tabulate(records: Sequence[RunRecord]) -> list[TableRow]:
    """Sum up records.

    Parameters
    ----------
    records : sequence of RunRecord
        Of one task.

    Returns
    -------
    list of TableRow
        In the order of the paper's architectures; first layers, then deeper ones.
    """
    order = list(ARCHITECTURES)
    groups: dict[tuple[int, str, int, str], list[RunRecord]] = {}
    for record in records:
        for layer in record.layers:
            key = (layer.layer != FIRST_LAYER, record.first_activation != "relu", order.index(record.architecture),
                   layer.layer)
            groups.setdefault(key, []).append(record)
    return [_row(groups[key], key[-1]) for key in sorted(groups)]


def _row(records: Sequence[RunRecord], layer: str) -> TableRow:
    values = np.array([[_number(column.value(record, layer)) for column in COLUMNS] for record in records])
    one = records[0]
    n_filters = next(len(found.pwms) for found in one.layers if found.layer == layer)
    sd = values.std(axis=0, ddof=1) if len(records) > 1 else np.full(len(COLUMNS), np.nan)
    return TableRow(one.architecture, one.first_activation, layer, len(records), n_filters, values.mean(axis=0), sd)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


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
        What ``table.tsv`` holds.
    """
    rows, folder = tabulate(records), Path(folder)
    header = ["variant", "first_activation", "layer", "filters", "trials",
              *(f"{column.name}{part}" for column in COLUMNS for part in ("", "_sd"))]
    write_table(folder / "table.tsv", header, (
        [row.architecture, row.first_activation, row.layer, row.n_filters, row.n_trials,
         *(_printed(number, column.decimals) for column, mean, sd in zip(COLUMNS, row.mean, row.sd, strict=True)
           for number in (mean, sd))] for row in rows))
    each = [[record.architecture, record.first_activation, record.trial, record.random_seed,
             record.training["epochs"], record.training["best_epoch"], layer.layer, len(layer.pwms),
             *(_printed(_number(column.value(record, layer.layer)), column.decimals + 1) for column in COLUMNS)]
            for record in records for layer in record.layers]
    write_table(folder / "networks.tsv", [
        "variant", "first_activation", "trial", "random_seed", "epochs", "best_epoch", "layer", "filters",
        *(column.name for column in COLUMNS)], each)
    return rows


def _printed(number: float, decimals: int) -> str:
    return "" if np.isnan(number) else f"{number:.{decimals}f}"


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
    """
    shown = COLUMNS[:7]
    lines = ["| network | trials | " + " | ".join(column.name.replace("_", " ") for column in shown) + " |",
             "|---" * (len(shown) + 2) + "|"]
    for row in rows:
        name = row.architecture + (" (exponential)" if row.first_activation != "relu" else "")
        name += f" {row.layer}" if row.layer != FIRST_LAYER else ""
        cells = (_mean_sd(mean, sd, column.decimals) for column, mean, sd in zip(shown, row.mean, row.sd, strict=False))
        lines.append(f"| {name} | {row.n_trials} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean_sd(mean: float, sd: float, decimals: int) -> str:
    if np.isnan(mean):
        return "-"
    return f"{mean:.{decimals}f}" + ("" if np.isnan(sd) else f" ± {sd:.{decimals}f}")
