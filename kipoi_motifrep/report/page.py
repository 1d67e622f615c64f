"""The page of one network: one HTML file that needs nothing else."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kipoi_motifrep import __version__
from kipoi_motifrep.core.outputs import check_output_file, write_text
from kipoi_motifrep.core.statuses import ACTIVE, DEAD
from kipoi_motifrep.motifs.logos import glyph_definitions, signed_logo
from kipoi_motifrep.report import drawings, numbers
from kipoi_motifrep.report.schema import FilterRow, HeatMap, MatchRow, Report, read_interpretation

PAGE_NAME = "report.html"
SHOWN_MATCHES = 16  # of a filter, the best included
_HEAT_CELLS = 12_000  # of a heat map: with more outputs than fit, those with the largest values are shown
_HEAT_STEPS = 4
_TEMPLATES = Path(__file__).parent / "templates"
_JASPAR_ID = re.compile(r"[A-Z]{2,3}\d{4}\.\d+")
KIND_WORDS = {"whole": "whole motif", "partial": "partial motif", "matched": "matched", "none": "no match",
               "silent": "dead or no information"}


@dataclass(frozen=True)
class RowView:
    """What the template shows of a filter; `importance` and `correlation` are (value, output)."""

    row: FilterRow
    id: str
    kind: str
    word: str
    why: str
    logo: object
    outputs: str
    importance: tuple[float, str] | None
    correlation: tuple[float, str] | None
    pictures: tuple[tuple[str, object], ...]
    summary: str
    unshown: int

    @property
    def details(self) -> bool:
        """Whether there is more to show of the filter; of a dead one there is not."""
        return self.row.status != DEAD


@dataclass(frozen=True)
class HeatView:
    """A heat map as the template shows it: cells are (colour step, text)."""

    name: str
    explanation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
    largest: float
    n_left_out: int


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
    ids = {row.name: f"filter-{i}" for i, row in enumerate(report.filters)}
    rows = [_row_view(row, report, ids[row.name]) for row in report.filters]
    kinds = drawings.extents(report)
    heat_maps = [_heat_view(heat_map, report) for heat_map in report.heat_maps if report.outputs and report.filters]
    by_name = {row.name: row for row in report.filters}
    groups = [{"number": group.number, "label": group.label,
               "logos": [(name, safe(logo)) for name, logo in drawings.group_logos(group, by_name)]}
              for group in report.groups or () if len(group.members) > 1]
    grouped = {name for group in groups for name, _ in group["logos"]}
    spoken = {name for row in report.filters for name in row.speaks_for}
    return render(
        "report.html", report=report, ids=ids, rows=rows, kinds=kinds, kind_words=KIND_WORDS,
        has={"importance": any(view.importance for view in rows), "speaks_for": bool(spoken)},
        spoken_for=[(i, name) for i, name in enumerate(report.outputs) if name in spoken],
        shown_matches=SHOWN_MATCHES, heat_maps=heat_maps, groups=groups,
        singles=sum(row.matches != () or row.status == ACTIVE for row in report.filters) - len(grouped),
        null_chart=safe(drawings.null_chart(report.figures, report.nulls)), sections=_sections(report))


def write_report(folder: str | os.PathLike, output: str | os.PathLike | None = None,
                 report: Report | None = None) -> Path:
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
    """
    folder = Path(folder)
    report = read_interpretation(folder) if report is None else report
    path = Path(output) if output else (folder if folder.is_dir() else folder.parent) / PAGE_NAME
    check_output_file(path)
    write_text(path, report_page(report))
    return path


def render(template: str, **values: object) -> str:
    """Fill a page template; all text is escaped.

    Parameters
    ----------
    template : str
        Name of the file.
    **values
        What it shows. SVG drawn here must be marked safe; see `safe`.

    Returns
    -------
    str
        HTML.
    """
    return _environment().get_template(template).render(
        values, css=safe(_part("page.css")), javascript=safe(_part("page.js")), glyphs=safe(glyph_definitions()),
        version=__version__)


def safe(markup: str) -> object:
    """Mark our own markup, in which texts are escaped already, as such."""
    from markupsafe import Markup

    return Markup(markup)


def target_url(match: MatchRow, database: str = "") -> str:
    """Address of a motif's page at JASPAR.

    Parameters
    ----------
    match : MatchRow
    database : str, default ""
        Database of the report, for matches that name none.

    Returns
    -------
    str
        Empty if the motif is not from JASPAR.
    """
    if "jaspar" in (match.database or database).lower() and _JASPAR_ID.fullmatch(match.target_id):
        return f"https://jaspar.elixir.no/matrix/{match.target_id}/"
    return ""


@functools.cache
def _environment():
    import jinja2

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "count": numbers.count, "figure": numbers.figure, "percent": numbers.percent, "signed": numbers.signed,
        "significant": numbers.significant, "target_url": target_url, "web": _is_web_address,
        "whole": lambda value: str(value).replace("-", numbers.MINUS), "words": _words}
    return environment


@functools.cache
def _part(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _row_view(row: FilterRow, report: Report, identifier: str) -> RowView:
    kind = drawings.kind_of(row)
    best = row.best
    n_further = max(0, len(row.matches) - 1) + row.n_more
    logo = drawings.aligned_logos(row, best) if best else "" if row.status == DEAD else drawings.filter_logo(row)
    numbers_of = {name: i for i, name in enumerate(report.outputs)}
    return RowView(
        row, identifier, kind, row.status if kind == "silent" else KIND_WORDS[kind],
        {"silent": "never fires" if row.status == DEAD else "no informative position", "none": "none"}.get(kind, ""),
        safe(logo), " ".join(str(numbers_of[name]) for name in row.speaks_for if name in numbers_of),
        _largest(row.importance, report.outputs), _largest(row.correlation, report.outputs), _pictures(row),
        f"{n_further} further {'match' if n_further == 1 else 'matches'} and more" if n_further else "More",
        max(0, len(row.matches) - SHOWN_MATCHES) + row.n_more)


def _pictures(row: FilterRow) -> tuple[tuple[str, object], ...]:
    pictures = []
    if row.trim != (0, len(row.pwm)):
        start, stop = row.trim
        pictures.append((f"The whole filter; positions {start + 1} to {stop} were compared",
                         safe(drawings.filter_logo(row, whole=True))))
    if row.kernel is not None:
        pictures.append(("Its weights", safe(signed_logo(row.kernel, f"Weights of {row.name}").svg(drawings.PIXELS))))
    return tuple(pictures)


def _largest(values: Iterable[float | None] | None, names: Iterable[str]) -> tuple[float, str] | None:
    known = [(value, name) for value, name in zip(values or (), names, strict=False) if value is not None]
    return max(known, key=lambda pair: abs(pair[0])) if known else None


def _heat_view(heat_map: HeatMap, report: Report) -> HeatView:
    peaks = [max((abs(value) for value in column if value is not None), default=0.0)
             for column in zip(*heat_map.values, strict=True)]
    room = max(12, _HEAT_CELLS // len(heat_map.values))
    kept = sorted(sorted(range(len(peaks)), key=lambda i: -peaks[i])[:room])
    largest = max(peaks, default=0.0)
    decimals = 2 if largest >= 0.1 else 3
    rows = tuple((row.name, tuple(_heat_cell(values[i], largest, decimals) for i in kept))
                 for row, values in zip(report.filters, heat_map.values, strict=True))
    return HeatView(heat_map.name, heat_map.explanation, tuple(report.outputs[i] for i in kept), rows, largest,
                    len(peaks) - len(kept))


def _heat_cell(value: float | None, largest: float, decimals: int) -> tuple[int, str]:
    step = 0 if value is None or not largest else round((_HEAT_STEPS + 0.49) * value / largest)
    return step, numbers.signed(value, decimals)


def _sections(report: Report) -> list[tuple[str, str]]:
    present = {"figures": ("The figures", report.figures), "filters": ("The filters", True),
               "truth": ("Known motifs", report.truth), "groups": ("Filters alike", report.groups is not None),
               "outputs": ("Filters and outputs", report.heat_maps), "chance": ("Against chance", report.nulls),
               "method": ("How this was made", True)}
    return [(key, name) for key, (name, there) in present.items() if there]


def _is_web_address(text: str) -> bool:
    # Anything else, such as javascript:, must not become a link.
    return text.startswith(("https://", "http://"))


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(item)}" for key, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(_words(item) for item in value)
    return {None: numbers.NONE, True: "yes", False: "no"}.get(value, str(value)) if value is None or isinstance(
        value, bool) else str(value)
