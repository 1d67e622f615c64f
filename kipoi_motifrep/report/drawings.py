"""Logos of a report, as SVG: a filter over its match, the whole of it, its weights, filters that are alike."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from kipoi_motifrep.motifs.logos import COLUMN, HEIGHT, Logo, information_logos, signed_logo, stack_letters
from kipoi_motifrep.report.schema import DEAD, FilterGroup, FilterRow, MatchRow, reverse_complement

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
    own = information_logos([np.array(row.trimmed) for row in rows], [row.name for row in rows])
    targets = iter(_target_logos([row.match for row in rows if row.match]))
    return [
        _aligned(row, row.match, logo, next(targets)) if row.match else "" if row.status == DEAD else logo.svg(alone)
        for row, logo in zip(rows, own, strict=True)
    ]


def folded_logos(rows: Sequence[FilterRow]) -> list[list[tuple[str, str]]]:
    """Draw what is folded away of each filter: all of it, where it was cut, and its weights.

    Parameters
    ----------
    rows : sequence of FilterRow

    Returns
    -------
    list of list of (str, str)
        Captions and ``<svg>`` of each filter.
    """
    cut = [row for row in rows if row.trim != (0, len(row.pwm))]
    whole = dict(
        zip(
            [row.name for row in cut],
            information_logos([np.array(row.pwm) for row in cut], [row.name for row in cut]),
            strict=True,
        )
    )
    weights = {
        row.name: signed_logo(np.array(row.kernel), f"Weights of {row.name}") for row in rows if row.kernel is not None
    }
    if weights:
        stack_letters(list(weights.values()))
    drawn = []
    for row in rows:
        start, stop = row.trim
        captions = {f"The whole filter; positions {start + 1} to {stop} were compared": whole, "Its weights": weights}
        drawn.append(
            [(caption, logos[row.name].svg(PIXELS)) for caption, logos in captions.items() if row.name in logos]
        )
    return drawn


def _target_logos(matches: Sequence[MatchRow]) -> list[Logo]:
    strands = ["reverse strand" if match.orientation == "-" else "forward strand" for match in matches]
    return information_logos(
        [np.array(match.oriented) for match in matches],
        [f"{match.name} {match.target_id}, {strand}" for match, strand in zip(matches, strands, strict=True)],
    )


def _aligned(row: FilterRow, match: MatchRow, query: Logo, target: Logo) -> str:
    first, columns = _placed(row, match)
    left, right = max(0, match.offset), min(target.width, match.offset + query.width)
    height = 2 * HEIGHT + _GAP
    band = (
        f'<rect class="band" x="{(left - first) * COLUMN}" width="{max(0, right - left) * COLUMN}" height="{height}"/>'
    )
    title = f"{query.title} aligned over {target.title}; {match.overlap} positions overlap"
    return picture(
        columns * COLUMN,
        height,
        title,
        band + query.drawing((match.offset - first) * COLUMN) + target.drawing(-first * COLUMN, HEIGHT + _GAP),
    )


def _placed(row: FilterRow, match: MatchRow) -> tuple[int, int]:
    """First column of a filter over its match, counted from the match's own first, and the number of columns."""
    first, filter_end = min(0, match.offset), match.offset + row.trim[1] - row.trim[0]
    return first, max(len(match.pwm), filter_end) - first


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
    titles = [member.name + (", reverse strand" if member.orientation == "-" else "") for member in group.members]
    logos = information_logos([np.array(matrix) for matrix in matrices], titles)
    return [
        (
            member.name,
            picture(columns * COLUMN, HEIGHT, logo.title, logo.drawing((member.offset - first) * COLUMN), 0.5),
        )
        for member, logo in zip(group.members, logos, strict=True)
    ]


def picture(width: float, height: float, title: str, inside: str, pixels: float = PIXELS, kind: str = "logo") -> str:
    """Put drawn elements into an ``<svg>``.

    Parameters
    ----------
    width, height : float
        In drawing units.
    title : str
        For screen readers.
    inside : str
        SVG elements.
    pixels : float, optional
        Screen size of a drawing unit.
    kind : str, default "logo"
        Class.

    Returns
    -------
    str
        An ``<svg>``.
    """
    return (
        f'<svg role="img" class="{kind}" viewBox="0 0 {width:g} {height:g}" width="{width * pixels:g}" '
        f'height="{height * pixels:g}"><title>{escape(title)}</title>{inside}</svg>'
    )
