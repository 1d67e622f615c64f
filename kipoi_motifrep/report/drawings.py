"""Pictures of a report, as SVG: aligned logos, and figures against chance."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from kipoi_motifrep.motifs.logos import COLUMN, HEIGHT, Logo, information_logo
from kipoi_motifrep.report.numbers import figure as figure_text
from kipoi_motifrep.report.schema import (
    PARTIAL,
    WHOLE,
    FilterGroup,
    FilterRow,
    MatchRow,
    Matrix,
    Metric,
    NullModel,
    Report,
)
from kipoi_motifrep.report.schema import reverse_complement as other_strand

PIXELS = 0.6  # screen size of a drawing unit of the logos
_GAP = 12  # between two aligned logos


def logo_of(matrix: Matrix, title: str) -> Logo:
    """Information logo of a plain matrix.

    Parameters
    ----------
    matrix : matrix, shape (width, 4)
        Probabilities.
    title : str
        For screen readers; the consensus is added.

    Returns
    -------
    Logo
    """
    return information_logo(np.array(matrix), title)


def aligned_logos(row: FilterRow, match: MatchRow) -> str:
    """Draw a filter over the target that it was aligned with.

    Parameters
    ----------
    row : FilterRow
    match : MatchRow
        One of its matches.

    Returns
    -------
    str
        An ``<svg>``; a band marks the aligned positions.
    """
    strand = "reverse strand" if match.orientation == "-" else "forward strand"
    query = logo_of(row.trimmed, row.name)
    target = logo_of(match.oriented, f"{match.name} {match.target_id}, {strand}")
    first = min(0, match.offset)
    left, right = max(0, match.offset), min(target.width, match.offset + query.width)
    columns = max(target.width, match.offset + query.width) - first
    height = 2 * HEIGHT + _GAP
    band = (f'<rect class="band" x="{(left - first) * COLUMN}" width="{max(0, right - left) * COLUMN}" '
            f'height="{height}"/>')
    title = f"{query.title} aligned over {target.title}; {match.overlap} positions overlap"
    return _svg(columns * COLUMN, height, title, band + query.drawing((match.offset - first) * COLUMN)
                + target.drawing(-first * COLUMN, HEIGHT + _GAP))


def filter_logo(row: FilterRow, whole: bool = False) -> str:
    """Draw a filter alone.

    Parameters
    ----------
    row : FilterRow
    whole : bool, default False
        Draw all of its PWM instead of the part that was matched.

    Returns
    -------
    str
        An ``<svg>``.
    """
    return logo_of(row.pwm if whole else row.trimmed, row.name).svg(PIXELS)


def group_logos(group: FilterGroup, rows: dict[str, FilterRow]) -> list[tuple[str, str]]:
    """Draw the members of a group, shifted and turned so that they lie under one another.

    Parameters
    ----------
    group : FilterGroup
    rows : dict of str to FilterRow
        Filters by name.

    Returns
    -------
    list of (str, str)
        Name of each member and its ``<svg>``; all are equally wide.
    """
    matrices = [rows[member.name].trimmed if member.orientation == "+" else other_strand(rows[member.name].trimmed)
                for member in group.members]
    first = min(member.offset for member in group.members)
    columns = max(member.offset + len(matrix) for member, matrix in zip(group.members, matrices, strict=True)) - first
    drawn = []
    for member, matrix in zip(group.members, matrices, strict=True):
        logo = logo_of(matrix, member.name + (", reverse strand" if member.orientation == "-" else ""))
        drawn.append((member.name, _svg(columns * COLUMN, HEIGHT, logo.title,
                                        logo.drawing((member.offset - first) * COLUMN), 0.5)))
    return drawn


def null_chart(figures: Sequence[Metric], nulls: Sequence[NullModel]) -> str:
    """Draw fractions of the network beside what chance gives.

    Parameters
    ----------
    figures : sequence of Metric
        Those with style ``fraction`` and nulls are drawn.
    nulls : sequence of NullModel
        Names of the nulls.

    Returns
    -------
    str
        An ``<svg>``, or nothing if no figure can be drawn.
    """
    drawn = [figure for figure in figures if figure.style == "fraction" and figure.value is not None
             and any(null and null[0] is not None for null in figure.nulls)]
    if not drawn:
        return ""
    label, axis, line = 250, 440, 15
    step = line * (1 + len(nulls)) + 16
    height = step * len(drawn) + 26
    parts = [_percent_axis(label, axis, height - 22)]
    for i, figure in enumerate(drawn):
        y = 12 + i * step
        parts.append(f'<text x="{label - 14}" y="{y + 4}" text-anchor="end">{escape(_cut(figure.name, 40))}</text>'
                     f'<circle class="real" cx="{label + axis * figure.value:.1f}" cy="{y}" r="6"/>')
        for j, (null, drawn_null) in enumerate(zip(nulls, figure.nulls, strict=True)):
            if drawn_null is not None and drawn_null[0] is not None:
                parts.append(_null_mark(drawn_null, null.name, label, axis, y + line * (j + 1)))
    title = "; ".join(f"{figure.name}: {figure_text(figure.value, 'fraction')}, by chance "
                      + " and ".join(figure_text(null[0], "fraction") for null in figure.nulls if null)
                      for figure in drawn)
    return _svg(label + axis + 150, height, title, "".join(parts), 1, "chart")


def extent_chart(reports: Sequence[Report], names: Sequence[str]) -> str:
    """Draw how many filters of each network are whole motifs, parts, or neither.

    Parameters
    ----------
    reports : sequence of Report
        The networks.
    names : sequence of str
        What to call them.

    Returns
    -------
    str
        An ``<svg>`` with one bar a network, as a fraction of its filters; a tick marks what
        chance gives, where the figure ``matched`` has nulls.
    """
    label, axis, step = 150, 560, 34
    height = step * len(reports) + 30
    parts, words = [_percent_axis(label, axis, height - 22)], []
    for i, (report, name) in enumerate(zip(reports, names, strict=True)):
        y, x = 8 + i * step, float(label)
        counts = extents(report)
        total = max(1, sum(counts.values()))
        parts.append(f'<text x="{label - 10}" y="{y + 16}" text-anchor="end">{escape(_cut(name, 22))}</text>')
        for kind, n in counts.items():
            wide = axis * n / total
            parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="22"/>')
            if wide > 8 * len(str(n)) + 4:
                parts.append(f'<text class="on-{kind}" x="{x + wide / 2:.1f}" y="{y + 16}" '
                             f'text-anchor="middle">{n}</text>')
            x += wide
        chance = chance_matched(report)
        if chance is not None:
            line = f'd="M{label + axis * chance:.1f} {y - 4}v30"/>'
            parts.append(f'<path class="halo" {line}<path class="chance" {line}')
        words.append(f"{name}: " + ", ".join(f"{n} {EXTENT_WORDS[kind]}" for kind, n in counts.items()))
    return _svg(label + axis + 30, height, "; ".join(words), "".join(parts), 1, "chart")


EXTENT_WORDS = {"whole": "whole motifs", "partial": "partial motifs", "matched": "matched", "none": "without a match",
                "silent": "dead or without information"}


def kind_of(row: FilterRow) -> str:
    """Sort a filter into one of the keys of `EXTENT_WORDS`."""
    if row.status != "active":
        return "silent"
    if not row.matches:
        return "none"
    return {WHOLE: "whole", PARTIAL: "partial"}.get(row.extent, "matched")


def extents(report: Report) -> dict[str, int]:
    """Count the filters of each kind, in the order of `EXTENT_WORDS`; kinds without any are left out."""
    kinds = [kind_of(row) for row in report.filters]
    return {kind: kinds.count(kind) for kind in EXTENT_WORDS if kind in kinds}


def chance_matched(report: Report) -> float | None:
    """Fraction of filters that match by chance: the first null of the figure ``matched``."""
    for figure in report.figures:
        if figure.key == "matched" and figure.style == "fraction" and figure.nulls and figure.nulls[0]:
            return figure.nulls[0][0]
    return None


def _svg(width: float, height: float, title: str, inside: str, pixels: float = PIXELS, kind: str = "logo") -> str:
    return (f'<svg role="img" class="{kind}" viewBox="0 0 {width:g} {height:g}" width="{width * pixels:g}" '
            f'height="{height * pixels:g}"><title>{escape(title)}</title>{inside}</svg>')


def _percent_axis(x: float, width: float, bottom: float) -> str:
    lines = "".join(f"M{x + width * i / 4:g} 0V{bottom:g}" for i in range(5))
    numbers = "".join(f'<text class="tick" x="{x + width * i / 4:g}" y="{bottom + 16:g}" '
                      f'text-anchor="middle">{25 * i} %</text>' for i in range(5))
    return f'<path class="grid" d="{lines}"/>{numbers}'


def _null_mark(null: tuple, name: str, x: float, width: float, y: float) -> str:
    mean, low, high = null
    at = x + width * mean
    spread = "" if low is None or high is None else (
        f'<path class="null" d="M{x + width * low:.1f} {y}H{x + width * high:.1f}"/>')
    beside = x + width * max(mean, high or 0) + 10
    return (f'{spread}<circle class="nullmean" cx="{at:.1f}" cy="{y}" r="4"/>'
            f'<text class="tick" x="{beside:.1f}" y="{y + 4}">{escape(_cut(name, 26))}</text>')


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length - 1] + "…"
