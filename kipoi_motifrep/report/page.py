"""The page of one network: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path

from kipoi_motifrep import __version__
from kipoi_motifrep.core.outputs import check_output_file, write_text
from kipoi_motifrep.core.statuses import ACTIVE
from kipoi_motifrep.motifs.logos import glyph_definitions
from kipoi_motifrep.report import charts, drawings, numbers
from kipoi_motifrep.report.filter_table import filter_table, named_outputs, target_url
from kipoi_motifrep.report.schema import FILE_NAME, KINDS, HeatMap, Report, read_interpretation

PAGE_NAME = "report.html"
# Of the figures, those that are not folded: the first five of these that there are, else the next in their order.
MAIN_METRICS = ("called", "matched", "true", "labels", "whole", "index", "coverage", "groups")
N_MAIN = 5
_HEAT_CELLS = 12_000  # of a heat map: with more outputs than fit, those with the largest values are shown
_HEAT_STEPS = 4
_TEMPLATES = Path(__file__).parent / "templates"


def report_page(report: Report) -> str:
    """Lay a report out as a page.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        HTML that loads nothing from outside.
    """
    by_name = {row.name: row for row in report.filters}
    ids = {name: f"filter-{i}" for i, name in enumerate(by_name)}
    groups = [
        (group, [(name, safe(logo)) for name, logo in drawings.group_logos(group, by_name)])
        for group in report.groups or ()
        if len(group.members) > 1
    ]
    main = [metric for key in MAIN_METRICS for metric in report.figures if metric.key == key]
    sections = {
        "figures": ("The figures", report.figures),
        "filters": ("The filters", True),
        "truth": ("Known motifs", report.truth),
        "groups": ("Filters alike", report.groups is not None),
        "outputs": ("Filters and outputs", report.heat_maps),
        "chance": ("Against chance", report.nulls),
        "method": ("How this was made", True),
    }
    return render(
        "report.html",
        report=report,
        ids=ids,
        table=safe(filter_table(report, ids)),
        words=KINDS,
        main=(main + [metric for metric in report.figures if metric not in main])[:N_MAIN],
        n_called=sum(bool(row.called) for row in report.filters),
        n_like_chance=sum(row.like_chance for row in report.filters),
        judged=any(row.called is not None for row in report.filters),
        named_outputs=named_outputs(report),
        groups=groups,
        singles=sum(row.status == ACTIVE or row.matches != () for row in report.filters)
        - len({member.name for group, _ in groups for member in group.members}),
        heat_maps=[
            _heat_view(heat_map, report, ids) for heat_map in report.heat_maps if report.outputs and report.filters
        ],
        null_chart=safe(charts.null_chart(report.figures, report.nulls)),
        sections=[(key, name) for key, (name, there) in sections.items() if there],
    )


def write_report(
    folder: str | os.PathLike, output: str | os.PathLike | None = None, report: Report | None = None
) -> Path:
    """Write the page of a network, whole or not at all.

    Parameters
    ----------
    folder : str or path-like
        Folder that holds ``interpretation.json``.
    output : str or path-like, optional
        The page; ``report.html`` in the folder by default.
    report : Report, optional
        What the file holds, where it is at hand.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    InputError
        If there is no interpretation, or the page cannot be written.

    Examples
    --------
    >>> from kipoi_motifrep.report.schema import NetworkSummary, write_interpretation
    >>> _ = write_interpretation("results", Report(NetworkSummary("mine", n_filters=0, width=2), ()))
    >>> write_report("results").name
    'report.html'
    """
    folder = Path(folder)
    report = read_interpretation(folder) if report is None else report
    path = Path(output) if output else (folder if folder.is_dir() else folder.parent) / PAGE_NAME
    check_output_file(path, [folder, folder / FILE_NAME])
    write_text(path, report_page(report))
    return path


def render(template: str, script: str = "page.js", **values: object) -> str:
    """Fill a page template; all text is escaped.

    Parameters
    ----------
    template : str
        Name of the file.
    script : str, default "page.js"
        What runs on the page.
    **values
        What it shows. SVG drawn here must be marked safe; see `safe`.

    Returns
    -------
    str
        HTML.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            css=safe(_part("page.css")),
            javascript=safe(_part(script)),
            # Only our own script runs, and nothing is loaded, whatever a text on the page may hold.
            script_digest=_digest(_part(script)),
            glyphs=safe(glyph_definitions()),
            version=__version__,
        )
    )


def safe(markup: str) -> object:
    """Mark our own markup, in which texts are escaped already, as such."""
    from markupsafe import Markup

    return Markup(markup)


@functools.cache
def _environment():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "change": numbers.change,
        "count": numbers.count,
        "metric": numbers.metric,
        "percent": numbers.percent,
        "signed": numbers.signed,
        "significant": numbers.significant,
        "target_url": target_url,
        "web": _is_web_address,
        "words": _words,
    }
    return environment


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@functools.cache
def _part(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _heat_view(heat_map: HeatMap, report: Report, ids: Mapping[str, str]) -> dict[str, object]:
    """Choose the columns of a heat map that fit, and write its rows: the colour step and text of each cell."""
    peaks = [
        max((abs(value) for value in column if value is not None), default=0.0)
        for column in zip(*heat_map.values, strict=True)
    ]
    # A page with thousands of outputs would not open.
    room = max(12, _HEAT_CELLS // len(heat_map.values))
    kept = sorted(sorted(range(len(peaks)), key=lambda i: -peaks[i])[:room])
    largest = max(peaks, default=0.0)
    decimals = 2 if largest >= 0.1 else 3

    def cell(value: float | None) -> str:
        # Steps of equal width, and the largest value in the last one.
        step = 0 if value is None or not largest else round((_HEAT_STEPS + 0.49) * value / largest)
        return f"<td class=h{step}>{numbers.signed(value, decimals)}"

    rows = [
        f'<tr><th scope="row"><a href="#{ids[row.name]}">{escape(row.name)}</a></th>'
        + "".join([cell(values[i]) for i in kept])
        + "</tr>"
        for row, values in zip(report.filters, heat_map.values, strict=True)
    ]
    return {
        "map": heat_map,
        "columns": [report.outputs[i] for i in kept],
        "rows": safe("\n".join(rows)),
        "largest": largest,
        "n_left_out": len(peaks) - len(kept),
    }


def _is_web_address(text: str) -> bool:
    # Anything else, such as javascript:, must not become a link.
    return text.startswith(("https://", "http://"))


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(item)}" for key, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return numbers.NONE if value is None else str(value)
