"""The paper's table: mean and standard deviation over trials, network by network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.training.architectures import VARIANTS
from kipoi_motifrep.training.experiment.record import UnitRecord

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
    value: Callable[[UnitRecord, str], float | None]
    decimals: int = 3


def _figure(kind: str, key: str) -> Callable[[UnitRecord, str], float | None]:
    return lambda record, layer: record.figures[layer][kind].get(key)


def _test(key: str) -> Callable[[UnitRecord, str], float | None]:
    return lambda record, layer: record.training["test"][key]


COLUMNS = (
    Column("auroc", _test("auroc")),
    Column("aupr", _test("aupr")),
    Column("match", _figure("trained", "matched")),
    Column("true_match", _figure("trained", "true")),
    Column("tfs_covered", _figure("trained", "labels"), 1),
    Column("localist_index", _figure("trained", "index")),
    Column("shuffled_match", _figure("shuffled", "matched")),
    Column("shuffled_index", _figure("shuffled", "index")),
    Column("untrained_match", _figure("untrained", "matched")),
    Column("untrained_index", _figure("untrained", "index")),
)


@dataclass(frozen=True, eq=False)
class TableRow:
    """All trials of one network.

    Attributes
    ----------
    variant, first_activation, layer : str
        Which network, and which of its convolutions.
    n_trials, n_filters : int
        How many.
    mean, sd : numpy.ndarray, shape (n_columns,)
        Over trials, in the order of :data:`COLUMNS`; nan where there is nothing. SD with n - 1.
    """

    variant: str
    first_activation: str
    layer: str
    n_trials: int
    n_filters: int
    mean: np.ndarray
    sd: np.ndarray


def tabulate(records: Sequence[UnitRecord]) -> list[TableRow]:
    """Sum up records.

    Parameters
    ----------
    records : sequence of UnitRecord
        Of one task.

    Returns
    -------
    list of TableRow
        In the order of the paper's variants; first layers, then deeper ones.
    """
    order = list(VARIANTS)
    groups: dict[tuple[int, str, int, str], list[UnitRecord]] = {}
    for record in records:
        for layer in record.layers:
            key = (layer.layer != FIRST_LAYER, record.first_activation != "relu", order.index(record.variant),
                   layer.layer)
            groups.setdefault(key, []).append(record)
    return [_row(groups[key], key[-1]) for key in sorted(groups)]


def _row(records: Sequence[UnitRecord], layer: str) -> TableRow:
    values = np.array([[_number(column.value(record, layer)) for column in COLUMNS] for record in records])
    one = records[0]
    n_filters = next(len(found.pwms) for found in one.layers if found.layer == layer)
    sd = values.std(axis=0, ddof=1) if len(records) > 1 else np.full(len(COLUMNS), np.nan)
    return TableRow(one.variant, one.first_activation, layer, len(records), n_filters, values.mean(axis=0), sd)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def write_tables(records: Sequence[UnitRecord], folder: str | os.PathLike) -> list[TableRow]:
    """Write ``table.tsv`` (means and SDs) and ``networks.tsv`` (every network).

    Parameters
    ----------
    records : sequence of UnitRecord
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
        [row.variant, row.first_activation, row.layer, row.n_filters, row.n_trials,
         *(_printed(number, column.decimals) for column, mean, sd in zip(COLUMNS, row.mean, row.sd, strict=True)
           for number in (mean, sd))] for row in rows))
    each = [[record.variant, record.first_activation, record.trial, record.random_seed,
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
        name = row.variant + (" (exponential)" if row.first_activation != "relu" else "")
        name += f" {row.layer}" if row.layer != FIRST_LAYER else ""
        cells = (_mean_sd(mean, sd, column.decimals) for column, mean, sd in zip(shown, row.mean, row.sd, strict=False))
        lines.append(f"| {name} | {row.n_trials} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean_sd(mean: float, sd: float, decimals: int) -> str:
    if np.isnan(mean):
        return "-"
    return f"{mean:.{decimals}f}" + ("" if np.isnan(sd) else f" ± {sd:.{decimals}f}")
