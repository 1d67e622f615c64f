"""Several networks side by side, on one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import check_output_file, write_text
from kipoi_motifrep.core.statuses import DEAD
from kipoi_motifrep.report import drawings
from kipoi_motifrep.report.page import KIND_WORDS, render, safe
from kipoi_motifrep.report.schema import FilterRow, Metric, Report, read_interpretation

_KIND_ORDER = {kind: i for i, kind in enumerate(drawings.EXTENT_WORDS)}


@dataclass(frozen=True)
class Column:
    """A network as the page shows it: filters from whole to dead, each with its logo."""

    name: str
    report: Report
    filters: tuple[tuple[FilterRow, str, object], ...]


def comparison_page(reports: Sequence[Report], names: Sequence[str] | None = None) -> str:
    """Lay reports out side by side.

    Parameters
    ----------
    reports : sequence of Report
        At least one.
    names : sequence of str, optional
        What to call them; the networks' names by default.

    Returns
    -------
    str
        HTML that loads nothing from outside.
    """
    if not reports:
        raise InputError("nothing to compare; give folders that 'kipoi-motifrep interpret' wrote")
    names = [report.network.name for report in reports] if names is None else list(names)
    columns = [Column(name, report, _filters(report)) for name, report in zip(names, reports, strict=True)]
    kinds = [kind for kind in drawings.EXTENT_WORDS if any(kind in drawings.extents(report) for report in reports)]
    return render("compare.html", columns=columns, figures=_figures(reports), truth=_truth(reports),
                  picture=safe(drawings.extent_chart(reports, names)), kinds=kinds, kind_words=drawings.EXTENT_WORDS,
                  short_words=KIND_WORDS, chance=any(drawings.chance_matched(report) is not None for report in reports))


def write_comparison(folders: Sequence[str | os.PathLike], output: str | os.PathLike) -> Path:
    """Write the page that compares networks, whole or not at all.

    Parameters
    ----------
    folders : sequence of str or path-like
        Folders that hold ``interpretation.json``.
    output : str or path-like
        The page.

    Returns
    -------
    pathlib.Path
        The page.
    """
    path = Path(output)
    check_output_file(path)
    reports = [read_interpretation(folder) for folder in folders]
    write_text(path, comparison_page(reports, column_names(reports, folders)))
    return path


def column_names(reports: Sequence[Report], folders: Sequence[str | os.PathLike]) -> list[str]:
    """Name the columns after the networks; where two have one name, add the folder.

    Parameters
    ----------
    reports : sequence of Report
    folders : sequence of str or path-like
        Where each was read from.

    Returns
    -------
    list of str
    """
    names = [report.network.name for report in reports]
    return [name if names.count(name) == 1 else f"{name} ({folder})"
            for name, folder in zip(names, folders, strict=True)]


def _figures(reports: Sequence[Report]) -> list[tuple[Metric, list[Metric | None]]]:
    """Rows of the table: a figure as first met, and that of each network."""
    rows: dict[str, Metric] = {}
    for report in reports:
        for figure in report.figures:
            rows.setdefault(figure.key, figure)
    tables = [{figure.key: figure for figure in report.figures} for report in reports]
    return [(figure, [table.get(key) for table in tables]) for key, figure in rows.items()]


def _truth(reports: Sequence[Report]) -> list[tuple[str, list[tuple[int, float | None] | None]]]:
    """Rows of the known motifs: label, and for each network how many filters found it and the best coverage."""
    labels = dict.fromkeys(known.label for report in reports for known in report.truth or ())
    tables = [{known.label: (len(known.filters), known.coverage) for known in report.truth or ()}
              for report in reports]
    return [(label, [table.get(label) for table in tables]) for label in labels]


def _filters(report: Report) -> tuple[tuple[FilterRow, str, object], ...]:
    def order(row: FilterRow) -> tuple:
        return _KIND_ORDER[drawings.kind_of(row)], row.best.e_value if row.best else 0.0

    shown = []
    for row in sorted(report.filters, key=order):
        logo = "" if row.status == DEAD else (
            drawings.aligned_logos(row, row.best) if row.best else drawings.filter_logo(row))
        shown.append((row, drawings.kind_of(row), safe(logo)))
    return tuple(shown)
