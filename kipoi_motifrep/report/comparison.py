"""Several networks side by side, on one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import check_output_file, write_text
from kipoi_motifrep.report import charts, drawings
from kipoi_motifrep.report.filter_table import largest
from kipoi_motifrep.report.page import render, safe
from kipoi_motifrep.report.schema import FILE_NAME, KINDS, FilterRow, KnownMotifRow, Report, read_interpretation


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

    Raises
    ------
    InputError
        If there is nothing to compare.
    """
    if not reports:
        raise InputError("nothing to compare; give folders that 'kipoi-motifrep interpret' wrote")
    names = [report.network.name for report in reports] if names is None else list(names)
    # Rows of the two tables: what any network has, as first met, and that of each network or None.
    metrics = [{one.key: one for one in report.figures} for report in reports]
    known = [{one.label: one for one in report.truth or ()} for report in reports]
    return render(
        "compare.html",
        names=names,
        reports=reports,
        filters=[_from_whole_to_dead(report) for report in reports],
        metrics=[[table.get(key) for table in metrics] for key in dict.fromkeys(key for one in metrics for key in one)],
        known=[
            (label, [_known_view(report, table.get(label)) for report, table in zip(reports, known, strict=True)])
            for label in dict.fromkeys(label for one in known for label in one)
        ],
        picture=safe(charts.extent_chart(reports, names)),
        words=KINDS,
        kinds=[kind for kind in KINDS if any(kind in report.kinds for report in reports)],
        chance=any(report.chance_matched is not None for report in reports),
        judged=any(row.like_chance for report in reports for row in report.filters),
        planted=any(report.planting for report in reports),
    )


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

    Examples
    --------
    >>> from kipoi_motifrep.report.schema import NetworkSummary, write_interpretation
    >>> for name in ("one", "two"):
    ...     _ = write_interpretation(name, Report(NetworkSummary(name, n_filters=0, width=2), ()))
    >>> write_comparison(["one", "two"], "compare.html").name
    'compare.html'
    """
    path = Path(output)
    check_output_file(path, [folders, [Path(folder) / FILE_NAME for folder in folders]])
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
    return [
        name if names.count(name) == 1 else f"{name} ({folder})" for name, folder in zip(names, folders, strict=True)
    ]


def _known_view(report: Report, known: KnownMotifRow | None) -> tuple[KnownMotifRow, float | None] | None:
    """Give the largest rise of the output of a known motif when a filter that found it is planted, beside the motif."""
    if known is None:
        return None
    rises: list[float] = []
    if known.label in report.outputs:
        own = report.outputs.index(known.label)
        changes = [row.planted[0].change[own] for row in report.filters if row.name in known.filters and row.planted]
        rises = [change for change in changes if change is not None]
    return known, max(rises, default=None)


def _from_whole_to_dead(report: Report) -> list[tuple[FilterRow, object, tuple[float, str] | None]]:
    """Sort filters, with their logos and what they do when planted, by kind; the clearest of each kind come first."""
    order = list(KINDS)
    drawn = [
        (row, safe(logo), largest(row.planted[0].change, report.outputs) if row.planted else None)
        for row, logo in zip(report.filters, drawings.row_logos(report.filters), strict=True)
    ]
    return sorted(
        drawn,
        key=lambda one: (order.index(one[0].kind), one[0].like_chance, one[0].match.e_value if one[0].match else 0.0),
    )
