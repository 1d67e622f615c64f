"""Pictures of a report, as SVG: aligned logos, and metrics against chance."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from kipoi_motifrep.motifs.logos import COLUMN, HEIGHT, Logo, information_logo
from kipoi_motifrep.report import numbers
from kipoi_motifrep.report.plain_values import Matrix
from kipoi_motifrep.report.schema import (
    DEAD,
    KINDS,
    FilterGroup,
    FilterRow,
    MatchRow,
    Metric,
    NullModel,
    Report,
    reverse_complement,
)

PIXELS = 0.6  # screen size of a drawing unit of the logos
PICTURE = 240  # pixels that the pages give a picture; a wider one is scaled down by the browser
_GAP = 12  # between two aligned logos


def row_logos(rows: Sequence[FilterRow]) -> list[str]:
    """Draw each filter over the match that its row speaks of, or alone.

    Parameters
    ----------
    rows : sequence of FilterRow
        All filters of a table.

    Returns
    -------
    list of str
        An ``<svg>`` each; empty for a dead filter. Those without a match are no larger than any other.
    """
    # The widest picture is scaled down the most.
    widest = max((_placed(row, row.match)[1] for row in rows if row.match), default=1)
    alone = min(PIXELS, PICTURE / (widest * COLUMN))
    return [
        aligned_logos(row, row.match) if row.match else "" if row.status == DEAD else filter_logo(row, pixels=alone)
        for row in rows
    ]


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
    first, columns = _placed(row, match)
    left, right = max(0, match.offset), min(target.width, match.offset + query.width)
    height = 2 * HEIGHT + _GAP
    band = (
        f'<rect class="band" x="{(left - first) * COLUMN}" width="{max(0, right - left) * COLUMN}" height="{height}"/>'
    )
    title = f"{query.title} aligned over {target.title}; {match.overlap} positions overlap"
    return _svg(
        columns * COLUMN,
        height,
        title,
        band + query.drawing((match.offset - first) * COLUMN) + target.drawing(-first * COLUMN, HEIGHT + _GAP),
    )


def _placed(row: FilterRow, match: MatchRow) -> tuple[int, int]:
    """First column of a filter over its match, counted from the match's own first, and the number of columns."""
    first, filter_end = min(0, match.offset), match.offset + row.trim[1] - row.trim[0]
    return first, max(len(match.pwm), filter_end) - first


def filter_logo(row: FilterRow, whole: bool = False, pixels: float = PIXELS) -> str:
    """Draw a filter alone.

    Parameters
    ----------
    row : FilterRow
    whole : bool, default False
        Draw all of its PWM instead of the part that was matched.
    pixels : float, optional
        Screen size of a drawing unit.

    Returns
    -------
    str
        An ``<svg>``.
    """
    return logo_of(row.pwm if whole else row.trimmed, row.name).svg(pixels)


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
    own = [(member, rows[member.name].trimmed) for member in group.members]
    matrices = [matrix if member.orientation == "+" else reverse_complement(matrix) for member, matrix in own]
    first = min(member.offset for member in group.members)
    columns = max(member.offset + len(matrix) for member, matrix in zip(group.members, matrices, strict=True)) - first
    drawn = []
    for member, matrix in zip(group.members, matrices, strict=True):
        logo = logo_of(matrix, member.name + (", reverse strand" if member.orientation == "-" else ""))
        drawn.append(
            (
                member.name,
                _svg(columns * COLUMN, HEIGHT, logo.title, logo.drawing((member.offset - first) * COLUMN), 0.5),
            )
        )
    return drawn


def null_chart(metrics: Sequence[Metric], nulls: Sequence[NullModel]) -> str:
    """Draw fractions of the network beside what chance gives.

    Parameters
    ----------
    metrics : sequence of Metric
        Those with style ``fraction`` and nulls are drawn.
    nulls : sequence of NullModel
        Names of the nulls.

    Returns
    -------
    str
        An ``<svg>``, or nothing if no metric can be drawn.
    """
    drawn = [
        (metric, metric.value)
        for metric in metrics
        if metric.style == "fraction"
        and metric.value is not None
        and any(null and null[0] is not None for null in metric.nulls)
    ]
    if not drawn:
        return ""
    label, axis, line = 250, 440, 15
    step = line * (1 + len(nulls)) + 16
    height = step * len(drawn) + 26
    parts, words = [_percent_axis(label, axis, height - 22)], []
    for i, (metric, value) in enumerate(drawn):
        y = 12 + i * step
        parts.append(
            f'<text x="{label - 14}" y="{y + 4}" text-anchor="end">{escape(_cut(metric.name, 40))}</text>'
            f'<circle class="real" cx="{label + axis * value:.1f}" cy="{y}" r="6"/>'
        )
        for j, (null_model, null) in enumerate(zip(nulls, metric.nulls, strict=True)):
            mean, low, high = null or (None, None, None)
            if mean is not None:
                y_null, beside = y + line * (j + 1), label + axis * max(mean, high or 0) + 10
                if low is not None and high is not None:
                    left, right = label + axis * low, label + axis * high
                    parts.append(f'<path class="null" d="M{left:.1f} {y_null}H{right:.1f}"/>')
                parts.append(
                    f'<circle class="nullmean" cx="{label + axis * mean:.1f}" cy="{y_null}" r="4"/>'
                    f'<text class="tick" x="{beside:.1f}" y="{y_null + 4}">'
                    f"{escape(_cut(null_model.name, 26))}</text>"
                )
        words.append(
            f"{metric.name}: {numbers.percent(value)}, by chance "
            + " and ".join(numbers.percent(null[0]) for null in metric.nulls if null)
        )
    return _svg(label + axis + 150, height, "; ".join(words), "".join(parts), 1, "chart")


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
        chance gives, where the metric ``matched`` has nulls.
    """
    left, axis, step = 14, 460, 52  # names above their bars: the whole picture fits a narrow screen
    height = step * len(reports) + 30
    parts, words = [_percent_axis(left, axis, height - 22)], []
    for i, (report, name) in enumerate(zip(reports, names, strict=True)):
        y, x = 22 + i * step, float(left)
        counts = report.kinds
        total = max(1, sum(counts.values()))
        parts.append(f'<text x="{left}" y="{y - 6}">{escape(_cut(name, 60))}</text>')
        for kind, n in counts.items():
            wide = axis * n / total
            parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="22"/>')
            if wide > 8 * len(str(n)) + 4:
                parts.append(
                    f'<text class="on-{kind}" x="{x + wide / 2:.1f}" y="{y + 16}" text-anchor="middle">{n}</text>'
                )
            x += wide
        if (chance := report.chance_matched) is not None:
            line = f'd="M{left + axis * chance:.1f} {y - 4}v30"/>'
            parts.append(f'<path class="halo" {line}<path class="chance" {line}')
        words.append(f"{name}: " + ", ".join(f"{n} {KINDS[kind][1]}" for kind, n in counts.items()))
    return _svg(left + axis + 20, height, "; ".join(words), "".join(parts), 1, "chart")


def _svg(width: float, height: float, title: str, inside: str, pixels: float = PIXELS, kind: str = "logo") -> str:
    return (
        f'<svg role="img" class="{kind}" viewBox="0 0 {width:g} {height:g}" width="{width * pixels:g}" '
        f'height="{height * pixels:g}"><title>{escape(title)}</title>{inside}</svg>'
    )


def _percent_axis(x: float, width: float, bottom: float) -> str:
    lines = "".join(f"M{x + width * i / 4:g} 0V{bottom:g}" for i in range(5))
    numbers = "".join(
        f'<text class="tick" x="{x + width * i / 4:g}" y="{bottom + 16:g}" text-anchor="middle">{25 * i} %</text>'
        for i in range(5)
    )
    return f'<path class="grid" d="{lines}"/>{numbers}'


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
