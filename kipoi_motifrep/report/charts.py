"""Charts of a report, as SVG: what one filter does, metrics against chance, and networks beside one another.

Many small things are one path: a page has hundreds of charts, and a browser draws few elements faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log1p

from kipoi_motifrep.motifs.logos import ticks_between
from kipoi_motifrep.report import numbers
from kipoi_motifrep.report.drawings import picture
from kipoi_motifrep.report.schema import KINDS, Metric, NullModel, PartnerRow, PlantedRow, Report, SitesRow

MOST_OUTPUTS = 16  # of a chart of planted effects: those that change most
ROW = 14  # pixels of one output in it; the names beside it have lines of this height
_WIDTH, _HEIGHT = 250, 62  # of the charts of one filter, without what is written below


def heights_chart(sites: SitesRow, name: str) -> str:
    """Draw the number of sequences by a filter's largest activation in them.

    Parameters
    ----------
    sites : SitesRow
    name : str
        Of the filter.

    Returns
    -------
    str
        An ``<svg>``: a bar a bin, on a scale of logarithms; a line marks the level of sites.
    """
    # The first bar is of sequences in which the filter is never above 0.
    level = 1 + sites.level / sites.bin_width
    highest = numbers.significant((len(sites.heights) - 1) * sites.bin_width)
    title = f"{name}: sequences by largest activation, up to {highest}; sites above {numbers.significant(sites.level)}"
    line = f'<path class="limit" d="M{_WIDTH / len(sites.heights) * level:.0f} 0v{_HEIGHT}"/>'
    bars = _bars([log1p(count) for count in sites.heights], int(level))
    return picture(_WIDTH, _HEIGHT + 18, title, bars + line + _scale("0", highest), 1, "chart")


def places_chart(sites: SitesRow, name: str, length: int | None) -> str:
    """Draw where in the sequences the sites of a filter lie.

    Parameters
    ----------
    sites : SitesRow
    name : str
        Of the filter.
    length : int, optional
        Of the sequences.

    Returns
    -------
    str
        An ``<svg>``: a bar for each part of the sequence.
    """
    title = f"{name}: sites along the sequence, up to {numbers.count(max(sites.places))} in one part of it"
    inside = _bars(sites.places, 0) + _scale("1", numbers.count(length) if length else "")
    return picture(_WIDTH, _HEIGHT + 18, title, inside, 1, "chart")


def _bars(values: Sequence[float], first: int) -> str:
    """Draw bars in whole pixels, as one outline; those from the one with number `first` on stand out."""
    most, parts = max(values) or 1, []
    for start, stop, kind in ((0, first, "bars"), (first, len(values), "bars above")):
        tops = [f"V{_HEIGHT - round(_HEIGHT * value / most)}h1" for value in values[start:stop]]
        if tops:
            scale = f"scale({_WIDTH / len(values):.4g} 1)"
            parts.append(f'<path class="{kind}" transform="{scale}" d="M{start} {_HEIGHT}{"".join(tops)}V{_HEIGHT}"/>')
    return "".join(parts)


def _scale(left: str, right: str) -> str:
    return (
        f'<path class="ax" d="M0 {_HEIGHT}h{_WIDTH}"/><text y="{_HEIGHT + 14}">{left}</text>'
        f'<text class="end" x="{_WIDTH}" y="{_HEIGHT + 14}">{right}</text>'
    )


def planted_chart(planted: Sequence[PlantedRow], outputs: Sequence[str], name: str) -> tuple[list[str], str]:
    """Draw what every output does when a filter's motif is planted, forward and reversed.

    Parameters
    ----------
    planted : sequence of PlantedRow
        Ways of planting it; drawn are the first, and the same one reversed.
    outputs : sequence of str
        Names of the outputs.
    name : str
        Of the filter.

    Returns
    -------
    list of str
        The outputs, from above.
    str
        An ``<svg>``: a dot an output, with its standard error either way; grey ones are of the reverse strand.
    """
    first = planted[0]
    way = (first.form, first.place, first.copies)
    turned = next((one for one in planted[1:] if (one.form, one.place, one.copies) == way), None)
    known = [(abs(change), i) for i, change in enumerate(first.change) if change is not None]
    largest = [i for _, i in sorted(known, reverse=True)[:MOST_OUTPUTS]]
    kept = sorted(largest)
    # Drawn in this order: the forward strand lies over the reverse one.
    series = {
        kind: [(one.change[i] or 0, one.error[i] or 0) for i in kept]
        for kind, one in (("dot turned", turned), ("dot", first))
        if one is not None
    }
    spans = [end for points in series.values() for change, error in points for end in (change - error, change + error)]
    low, high = min(0, *spans, 0), max(0, *spans, 0)
    ticks = ticks_between(low, high) if high > low else [0.0]
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    bottom, left, wide = ROW * len(kept), 8, _WIDTH - 120

    def x(value: float) -> int:
        return left + round(wide * (value - low) / (high - low or 1))

    grid = "".join(f"M{x(tick)} 0V{bottom}" for tick in ticks)
    parts = [f'<path class="grid" d="{grid}"/><path class="ax" d="M{x(0)} 0V{bottom}"/>']
    parts += [f'<text class="mid" x="{x(tick)}" y="{bottom + 13}">{numbers.plain(tick)}</text>' for tick in ticks]
    for kind, points in series.items():
        rows = [(x(change - error), x(change), x(change + error)) for change, error in points]
        bars = "".join([f"M{start} {ROW * i + 7}H{stop}" for i, (start, _, stop) in enumerate(rows)])
        dots = "".join([f"M{middle} {ROW * i + 7}h0" for i, (_, middle, _) in enumerate(rows)])
        parts.append(f'<path class="error" d="{bars}"/><path class="{kind}" d="{dots}"/>')
    words = ", ".join(
        f"{outputs[i]} {numbers.change(first.change[i] or 0)} \u00b1 {numbers.significant(first.error[i])}"
        for i in largest[:3]
    )
    return [outputs[i] for i in kept], picture(
        wide + 16, bottom + 18, f"{name} planted: {words}", "".join(parts), 1, "chart"
    )


def partner_chart(partner: PartnerRow, name: str) -> str:
    """Draw how a filter's motif and another's act together, along their distance.

    Parameters
    ----------
    partner : PartnerRow
    name : str
        Of the filter.

    Returns
    -------
    str
        An ``<svg>``: the interaction, with its standard error either way.
    """
    points = [
        (distance, value, error or 0)
        for distance, value, error in zip(partner.distances, partner.interaction, partner.error, strict=True)
        if value is not None
    ]
    low = min([value - error for _, value, error in points] + [0.0])
    high = max([value + error for _, value, error in points] + [0.0])
    first, last = min(partner.distances), max(partner.distances)
    ticks = ticks_between(low, high) if high > low else [0.0]
    left, wide, tall = 40, _WIDTH - 48, _HEIGHT + 20

    def x(distance: float) -> int:
        return left + round(wide * (distance - first) / (last - first or 1))

    def y(value: float) -> int:
        return 5 + round(tall * (high - value) / (high - low or 1))

    line = bars = ""
    for i, (distance, value, error) in enumerate(points):
        # Broken where one motif passes the other.
        begins = i == 0 or (points[i - 1][0] < 0) != (distance < 0)
        line += f"{'M' if begins else 'L'}{x(distance)} {y(value)}"
        bars += f"M{x(distance)} {y(value + error)}V{y(value - error)}"
    marks = [f'<text class="end" x="{left - 5}" y="{y(tick) + 4}">{numbers.plain(tick)}</text>' for tick in ticks]
    marks += [
        f'<text class="mid" x="{x(distance)}" y="{tall + 21}">{numbers.plain(distance)}</text>'
        for distance in sorted({first, 0, last})
        if first <= distance <= last
    ]
    axes = f"M{left} {y(0)}h{wide}" + (f"M{x(0)} 5v{tall}" if first <= 0 <= last else "")
    inside = (
        f'<path class="ax" d="{axes}"/>{"".join(marks)}<path class="error" d="{bars}"/><path class="line" d="{line}"/>'
    )
    distance, value, _ = max(points, key=lambda point: abs(point[1]), default=(0, 0.0, 0.0))
    title = (
        f"{name} with {partner.name}: effect on {partner.output} beyond the sum of both, by distance; most at "
        f"{numbers.plain(distance)} bases, {numbers.change(value)}"
    )
    return picture(_WIDTH, tall + 25, title, inside, 1, "chart")


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
    return picture(label + axis + 150, height, "; ".join(words), "".join(parts), 1, "chart")


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
        An ``<svg>`` with one bar a network, as a fraction of its filters, paler for those whose match is like chance; a
        tick marks what chance gives, where the metric ``matched`` has nulls.
    """
    left, axis, step = 14, 460, 52  # names above their bars: the whole picture fits a narrow screen
    height = step * len(reports) + 30
    parts, words = [_percent_axis(left, axis, height - 22)], []
    for i, (report, name) in enumerate(zip(reports, names, strict=True)):
        y, x = 22 + i * step, float(left)
        total = max(1, len(report.filters))
        counts = {
            (kind, like_chance): sum(row.kind == kind and row.like_chance == like_chance for row in report.filters)
            for kind in KINDS
            for like_chance in (False, True)
        }
        parts.append(f'<text x="{left}" y="{y - 6}">{escape(_cut(name, 60))}</text>')
        for (kind, like_chance), n in counts.items():
            wide, pale = axis * n / total, " pale" if like_chance else ""
            if n:
                parts.append(f'<rect class="{kind}{pale}" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="22"/>')
            if wide > 8 * len(str(n)) + 4:
                middle = f'x="{x + wide / 2:.1f}" y="{y + 16}" text-anchor="middle"'
                parts.append(f'<text class="on-{kind}{pale}" {middle}>{n}</text>')
            x += wide
        if (chance := report.chance_matched) is not None:
            line = f'd="M{left + axis * chance:.1f} {y - 4}v30"/>'
            parts.append(f'<path class="halo" {line}<path class="chance" {line}')
        said = [
            f"{n} {KINDS[kind][1]}{' like chance' if like_chance else ''}"
            for (kind, like_chance), n in counts.items()
            if n
        ]
        words.append(f"{name}: {', '.join(said)}")
    return picture(left + axis + 20, height, "; ".join(words), "".join(parts), 1, "chart")


def _percent_axis(x: float, width: float, bottom: float) -> str:
    lines = "".join(f"M{x + width * i / 4:g} 0V{bottom:g}" for i in range(5))
    numbers = "".join(
        f'<text class="tick" x="{x + width * i / 4:g}" y="{bottom + 16:g}" text-anchor="middle">{25 * i} %</text>'
        for i in range(5)
    )
    return f'<path class="grid" d="{lines}"/>{numbers}'


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
