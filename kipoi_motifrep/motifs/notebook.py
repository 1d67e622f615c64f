"""How results look in a notebook: tables with logos, and axes to draw on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs.logos import AXIS_STYLE, Logo, glyph_definitions

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

MOST_ROWS = 60  # of a table in a notebook
PIXELS = 0.4  # of a logo's drawing unit


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Draw a table for a notebook.

    Parameters
    ----------
    caption : str
        What it is.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Logos are drawn, numbers have three digits, None is empty; everything else is text. Of many rows the first are
        shown, and how many there are.

    Returns
    -------
    str
        HTML that needs nothing else.

    Examples
    --------
    >>> html_table("two", ["name", "n"], [("a<b", 1), ("c", 0.12345)]).count("<tr>")
    3
    """
    rows = list(rows)
    cells = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in header)}</tr>"]
    for row in rows[:MOST_ROWS]:
        cells.append(f"<tr>{''.join(map(_cell, row))}</tr>")
    rest = f"<p>... {len(rows) - MOST_ROWS:,} more</p>" if len(rows) > MOST_ROWS else ""
    logos = any(isinstance(one, Logo) for row in rows for one in row)
    outlines = f"<style>{AXIS_STYLE}</style>{glyph_definitions()}" if logos else ""
    return f"<div>{outlines}<p>{escape(caption)}</p><table>{''.join(cells)}</table>{rest}</div>"


def _cell(value: object) -> str:
    if isinstance(value, Logo):
        # Logos are dark letters: they need a light ground in dark notebooks, too.
        return f'<td style="background:#fff;text-align:left">{value.svg(PIXELS)}</td>'
    if value is None or value != value:
        return "<td></td>"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f'<td style="text-align:left">{escape(text)}</td>'


def data_frame(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> pandas.DataFrame:
    """Make a DataFrame; pandas is not imported before.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.
    rows : sequence of sequences
        As long as these.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise InputError("a DataFrame needs pandas: pip install pandas") from None
    return pandas.DataFrame([tuple(row) for row in rows], columns=list(columns))


def axes_of(ax: Any) -> Axes:
    """Give the axes to draw on: those given, else new ones.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where a plot shall go.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise InputError("a plot needs matplotlib: pip install 'kipoi_motifrep[plot]'") from None
    return pyplot.subplots(layout="constrained")[1]
