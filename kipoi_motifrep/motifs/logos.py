"""Sequence logos as SVG, drawn without a plotting library.

A logo is a matrix of letter heights. Letters are four outlines that stand once on a
page (`glyph_definitions`) and are stretched into place with ``<use>``, so that
hundreds of logos stay small and quick. `Logo.svg` is for such a page, `Logo.file`
a file that stands alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs import Motif, information_content
from kipoi_motifrep.motifs.motif import consensus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by people with any kind of colour vision, and at least 3:1 against white.
COLOURS = {"A": "#1f9e6c", "C": "#1d3f98", "G": "#c98512", "T": "#951a22"}
COLUMN, HEIGHT = 20, 100  # drawing units of one position, and of the axis from end to end
SMALLEST_SPAN = 1e-300  # of an axis: the steps of a smaller one would be 0
_SMALLEST = 0.015  # of the axis: shorter letters could not be seen
_MARGIN, _TICK = 48, 5  # room for the axis, length of its ticks

# Outlines in a box of one position's width and 100 high, y downwards. Only absolute M, L, C and Z
# commands with pairs of numbers, so that they can be moved and stretched number by number.
GLYPHS = {
    "A": "M.5 100L7.4 0L12.6 0L19.5 100L15.1 100L13.8 79L6.2 79L4.9 100ZM7.2 62.5L12.8 62.5L10 18Z",
    "C": "M15 67C14.6 78.5 12.9 83.5 10.3 83.5C6.8 83.5 5 72 5 50C5 28 6.8 16.5 10.3 16.5"
    "C12.9 16.5 14.6 21.5 15 33L19.3 33C18.8 12.5 15.5 0 10.3 0C4.3 0 .6 18 .6 50"
    "C.6 82 4.3 100 10.3 100C15.5 100 18.8 87.5 19.3 67Z",
    "G": "M15 33L19.2 33C18.7 12.5 15.5 0 10.3 0C4.3 0 .6 18 .6 50C.6 82 4.3 100 10.3 100"
    "C13.9 100 17 95 19.4 85L19.4 46L10.3 46L10.3 61.5L15.1 61.5L15.1 77C13.9 81.5 12.3 83.5 10.3 83.5"
    "C6.8 83.5 5 72 5 50C5 28 6.8 16.5 10.3 16.5C12.9 16.5 14.6 21.5 15 33Z",
    "T": "M.8 0L19.2 0L19.2 16.5L12.2 16.5L12.2 100L7.8 100L7.8 16.5L.8 16.5Z",
}


@dataclass(frozen=True, eq=False)
class Logo:
    """Letter heights and how to show them.

    Parameters
    ----------
    heights : numpy.ndarray, shape (width, 4), float64
        Height of each letter, ACGT; negative ones hang below the axis.
    title : str
        What a screen reader says.
    top, bottom : float
        Ends of the axis, in the unit of the heights.
    unit : str
        What the axis measures.

    Examples
    --------
    >>> logo = Logo(np.array([[0, 0, 1.5, 0.2]]), "a position")
    >>> [(letter, round(float(height), 1)) for letter, _, _, height in logo.letters()]
    [('T', 0.2), ('G', 1.5)]
    """

    heights: np.ndarray
    title: str
    top: float = 2.0
    bottom: float = 0.0
    unit: str = "bits"

    def __post_init__(self) -> None:
        heights = np.array(self.heights, float)
        if heights.ndim != 2 or heights.shape[1] != 4 or not np.isfinite(heights).all():
            raise InputError(f"a logo needs finite heights of shape (width, 4), not {heights.shape}")
        if not self.bottom <= 0 < self.top:
            raise InputError(f"the axis of a logo must hold 0, not {self.bottom:g} to {self.top:g}")
        object.__setattr__(self, "heights", heights)

    @property
    def width(self) -> int:
        """Number of positions."""
        return len(self.heights)

    def letters(self) -> Iterator[tuple[str, int, float, float]]:
        """Go through the letters that can be seen.

        Yields
        ------
        letter : str
        position : int
            From 0.
        top, height : float
            In the unit of the heights; the height is positive.
        """
        letters, positions, tops, heights = (one.tolist() for one in self._stacks)
        yield from zip((BASES[i] for i in letters), positions, tops, heights, strict=True)

    @functools.cached_property
    def _stacks(self) -> tuple[np.ndarray, ...]:
        return stack_letters([self])[0]

    def drawing(self, x: float = 0, y: float = 0, href: str = "href") -> str:
        """Draw the letters and the zero line, without ``<svg>``.

        Parameters
        ----------
        x, y : float
            Upper left corner, in drawing units: `COLUMN` a position, `HEIGHT` for the axis.
        href : str, default "href"
            Name of the linking attribute.

        Returns
        -------
        str
            SVG elements that need `glyph_definitions` on the page.
        """
        scale = HEIGHT / (self.top - self.bottom)
        link = f'{href}="#l'
        columns = [f"{x + COLUMN * position:g}" for position in range(self.width)]
        highest = y + self.top * scale
        letters, positions, tops, heights = self._stacks
        stretches = np.rint(1000 * scale / HEIGHT * heights).astype(int).tolist()
        places = np.rint(10 * (highest - scale * tops)).astype(int).tolist()
        drawn = [
            f'<use {link}{BASES[letter]}" transform="matrix(1 0 0 {_THOUSANDTHS[stretch]} '
            f'{columns[position]} {_TENTHS[place]})"/>'
            for letter, position, stretch, place in zip(
                letters.tolist(), positions.tolist(), stretches, places, strict=True
            )
        ]
        return f'{"".join(drawn)}<path class="ax" d="M{x:g} {_TENTHS[round(10 * highest)]}h{COLUMN * self.width}"/>'

    def svg(self, pixels: float = 0.5, axis: bool = False) -> str:
        """Draw an image for a page that has `glyph_definitions`.

        Parameters
        ----------
        pixels : float, default 0.5
            Size on the screen of a drawing unit; a position is 20 units wide.
        axis : bool, default False
            Draw a scale on the left.

        Returns
        -------
        str
            An ``<svg>`` element.
        """
        return self._svg("", pixels, axis, "href")

    def file(self, pixels: float = 2, axis: bool = True) -> str:
        """Draw a whole SVG file; parameters as in `svg`.

        Returns
        -------
        str
            Text of the file.
        """
        # Many programs that place pictures know only the older name of the link.
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            + self._svg(
                ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"',
                pixels,
                axis,
                "xlink:href",
                glyph_outlines() + f"<style>{AXIS_STYLE}</style>",
            )
            + "\n"
        )

    def _repr_svg_(self) -> str:
        return self.file(1)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw on axes of matplotlib, a position to the unit of x, heights on y.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        from kipoi_motifrep.motifs.notebook import axes_of

        axes = axes_of(ax)
        kinds = {"M": [Path.MOVETO], "L": [Path.LINETO], "C": [Path.CURVE4] * 3, "Z": [Path.CLOSEPOLY]}
        outlines = {}
        for letter, text in GLYPHS.items():
            commands = re.findall(r"([MLCZ])([^MLCZ]*)", text)
            points = [re.findall(r"[\d.]+", numbers) or ["0", "0"] for _, numbers in commands]
            codes = [code for command, _ in commands for code in kinds[command]]
            vertices = np.array([float(one) for part in points for one in part]).reshape(-1, 2)
            outlines[letter] = vertices * [1 / COLUMN, -1 / HEIGHT], codes
        for letter, position, top, height in self.letters():
            vertices, codes = outlines[letter]
            moved = Path(vertices * [1, height] + [position, top], codes)
            axes.add_patch(PathPatch(moved, facecolor=COLOURS[letter], linewidth=0))
        axes.axhline(0, color="#767676", linewidth=0.8)
        axes.set(xlim=(0, self.width), ylim=(self.bottom, self.top), ylabel=self.unit, title=self.title)
        return axes

    def _svg(self, names: str, pixels: float, axis: bool, href: str, inside: str = "") -> str:
        left = _MARGIN if axis else 0
        above = 8 if axis else 0  # half a line of the uppermost number
        width, height = left + COLUMN * self.width, HEIGHT + 2 * above
        scale = self._scale(left - 4, above) if axis else ""
        return (
            f'<svg{names} role="img" class="logo" viewBox="0 0 {width} {height}" width="{width * pixels:g}" '
            f'height="{height * pixels:g}"><title>{escape(self.title)}</title>{inside}'
            f"{scale}{self.drawing(left, above, href)}</svg>"
        )

    def _scale(self, x: float, y: float) -> str:
        scale = HEIGHT / (self.top - self.bottom)
        ticks = [(value, y + (self.top - value) * scale) for value in ticks_between(self.bottom, self.top)]
        marks = "".join(f"M{x} {_TENTHS[round(10 * at)]}h-{_TICK}" for _, at in ticks)
        numbers = "".join(
            f'<text x="{x - _TICK - 2}" y="{_TENTHS[round(10 * at + 40)]}" text-anchor="end">{value:g}</text>'
            for value, at in ticks
        )
        unit = (
            f'<text transform="translate(11 {y + HEIGHT / 2:g})rotate(-90)" text-anchor="middle">'
            f"{escape(self.unit)}</text>"
        )
        return f'<g class="sc"><path class="ax" d="M{x} {y}v{HEIGHT}{marks}"/>{numbers}{unit}</g>'


def stack_letters(logos: Sequence[Logo]) -> list[tuple[np.ndarray, ...]]:
    """Put the letters of logos on one another, of all at once: each alone is small, and calls would take the time.

    Parameters
    ----------
    logos : sequence of Logo
        They keep what is found, for when they are drawn.

    Returns
    -------
    list of tuple of numpy.ndarray
        For each logo: index of the base, position, top and height of each letter that can be seen.

    Examples
    --------
    >>> [stack] = stack_letters([Logo([[0, -1, 0.5, 1.5]], "", bottom=-1)])
    >>> [one.tolist() for one in stack]
    [[2, 3, 1], [0, 0, 0], [0.5, 2.0, 0.0], [0.5, 1.5, 1.0]]
    """
    heights = np.concatenate([logo.heights for logo in logos])
    widths = [logo.width for logo in logos]
    smallest = np.repeat([_SMALLEST * (logo.top - logo.bottom) for logo in logos], widths)[:, None]
    columns: list[tuple[np.ndarray, ...]] = []
    for sign in (1, -1):
        # The smallest letter is next to the axis, both above and below it.
        order = np.argsort(sign * heights, axis=1, kind="stable")
        tall = np.maximum(np.take_along_axis(sign * heights, order, axis=1), 0)
        ends = np.cumsum(tall, axis=1)
        row, rank = np.nonzero(tall >= smallest)
        height, end = tall[row, rank], ends[row, rank]
        columns.append((order[row, rank], row, end if sign > 0 else height - end, height))
    letter, row, top, height = (np.concatenate(both) for both in zip(*columns, strict=True))
    by_row = np.argsort(row, kind="stable")
    letter, row, top, height = (one[by_row] for one in (letter, row, top, height))
    firsts = np.cumsum([0, *widths])
    bounds = np.searchsorted(row, firsts)
    found: list[tuple[np.ndarray, ...]] = []
    for logo, first, start, stop in zip(logos, firsts[:-1], bounds[:-1], bounds[1:], strict=True):
        own = slice(start, stop)
        found.append((letter[own], row[own] - first, top[own], height[own]))
        logo.__dict__["_stacks"] = found[-1]
    return found


AXIS_STYLE = ".ax{fill:none;stroke:#767676;stroke-width:1}.sc text{font:12px sans-serif;fill:#555}"


def information_logo(pwm: np.ndarray | Motif, title: str = "", background: Sequence[float] | None = None) -> Logo:
    """Show a PWM by information content: the classic logo, without small-sample correction.

    Parameters
    ----------
    pwm : numpy.ndarray, shape (width, 4), or Motif
        Probabilities, ACGT.
    title : str, optional
        For screen readers; the consensus is added.
    background : sequence of 4 floats, optional
        Letter probabilities; uniform by default.

    Returns
    -------
    Logo
        Heights in bits that add up to each position's information.

    Examples
    --------
    >>> information_logo([[1, 0, 0, 0], [0.5, 0.5, 0, 0]]).heights
    array([[2. , 0. , 0. , 0. ],
           [0.5, 0.5, 0. , 0. ]])
    """
    return information_logos([pwm], [title], background)[0]


def information_logos(
    pwms: Sequence[np.ndarray | Motif], titles: Sequence[str], background: Sequence[float] | None = None
) -> list[Logo]:
    """Show many PWMs by information content: as `information_logo` does one, but several times as fast.

    Parameters
    ----------
    pwms : sequence of numpy.ndarray, shape (width, 4), or Motif
        Probabilities, ACGT; widths may differ.
    titles : sequence of str
        One for each.
    background : sequence of 4 floats, optional
        Letter probabilities; uniform by default.

    Returns
    -------
    list of Logo

    Examples
    --------
    >>> [logo.title for logo in information_logos([[[1, 0, 0, 0]], [[0, 0.5, 0, 0.5]]], ["first", "second"])]
    ['first: A', 'second: Y']
    """
    if not pwms:
        return []
    # All positions of all motifs at once: a matrix alone is small, and most time would go to the calls.
    matrices = [_motif(pwm).pwm for pwm in pwms]
    probabilities = _probabilities(np.concatenate(matrices))
    heights = probabilities * information_content(probabilities, background)[:, None]
    letters = consensus(np.concatenate(matrices))
    top = 2.0 if background is None else max(2.0, float(np.log2(1 / min(background))))
    logos, first = [], 0
    for matrix, title in zip(matrices, titles, strict=True):
        own = slice(first, first := first + len(matrix))
        logos.append(Logo(heights[own], f"{title}: {letters[own]}" if title else letters[own], top))
    stack_letters(logos)
    return logos


def probability_logo(pwm: np.ndarray | Motif, title: str = "") -> Logo:
    """Show a PWM by its probabilities: every position is equally high.

    Parameters
    ----------
    pwm, title
        See `information_logo`.

    Returns
    -------
    Logo

    Examples
    --------
    >>> probability_logo([[0.5, 0.5, 0, 0]], "half").title
    'half: M'
    """
    motif = _motif(pwm)
    return Logo(_probabilities(motif.pwm), _title(title, motif), 1.0, unit="probability")


def signed_logo(values: np.ndarray, title: str = "", unit: str = "weight") -> Logo:
    """Show a matrix of weights: letters hang below the axis where they are negative.

    Parameters
    ----------
    values : numpy.ndarray, shape (width, 4)
        Weights, ACGT. The axis reaches as far as the highest stacks do.
    title : str, optional
        For screen readers; the letters of the largest weights are added.
    unit : str, default "weight"
        What the axis measures.

    Returns
    -------
    Logo

    Raises
    ------
    InputError
        If the values are not (width, 4), or not finite.

    Examples
    --------
    >>> logo = signed_logo([[1, -2, 0, 0]], unit="change")
    >>> logo.top, logo.bottom, logo.title
    (1.0, -2.0, 'A')
    """
    values = np.array(values, float)
    if values.ndim != 2 or values.shape[1] != 4 or not np.isfinite(values).all():
        raise InputError(f"a logo needs finite values of shape (width, 4), not {values.shape}")
    above = np.maximum(values, 0).sum(axis=1).max(initial=0)
    below = np.minimum(values, 0).sum(axis=1).min(initial=0)
    if above - below < 1e-300:  # such a scale would overflow
        above, below = 1.0, 0.0
    above = max(above, -0.1 * below)  # room to see the axis
    best = "".join(BASES[i] for i in values.argmax(axis=1))
    return Logo(values, f"{title}: {best}" if title else best, float(above), float(below), unit)


def glyph_outlines() -> str:
    """Draw the four letters, for ``<use>``: SVG ``<defs>``.

    Returns
    -------
    str
        To stand inside an ``<svg>``. Ids are ``lA``, ``lC``, ``lG`` and ``lT``.
    """
    outlines = "".join(
        f'<path id="l{letter}" fill="{COLOURS[letter]}" fill-rule="evenodd" d="{d}"/>' for letter, d in GLYPHS.items()
    )
    return f"<defs>{outlines}</defs>"


def glyph_definitions() -> str:
    """Draw the four letters once for a whole HTML page: an invisible ``<svg>``.

    Returns
    -------
    str
        To stand anywhere in the body.
    """
    return f'<svg width="0" height="0" style="position:absolute" aria-hidden="true">{glyph_outlines()}</svg>'


def ticks_between(low: float, high: float) -> list[float]:
    """Choose few round numbers, at least three, on an axis that holds 0.

    Parameters
    ----------
    low, high : float
        Ends of the axis.

    Returns
    -------
    list of float
        From low to high.

    Examples
    --------
    >>> ticks_between(0, 2)
    [0.0, 1.0, 2.0]
    """
    power = 10.0 ** np.floor(np.log10(max(high - low, SMALLEST_SPAN)))
    for step in (5 * power, 2 * power, power, power / 2, power / 5):
        first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
        if last - first >= 2:
            break
    return [i * float(step) for i in range(first, last + 1)]


def _motif(pwm: np.ndarray | Motif) -> Motif:
    return pwm if isinstance(pwm, Motif) else Motif("motif", pwm)


def _probabilities(pwm: np.ndarray) -> np.ndarray:
    return pwm / pwm.sum(axis=1, keepdims=True)


def _title(title: str, motif: Motif) -> str:
    return f"{title}: {motif.consensus}" if title else motif.consensus


class _Texts(dict[int, str]):
    """Coordinates in few characters, looked up: a page has tens of thousands. Keys are whole parts of a unit."""

    def __init__(self, decimals: int):
        super().__init__()
        self._decimals = decimals

    def __missing__(self, key: int) -> str:
        text = f"{key / 10**self._decimals:.{self._decimals}f}".rstrip("0").removesuffix(".")
        self[key] = text[1:] if text.startswith("0.") else text
        return self[key]


_TENTHS, _THOUSANDTHS = _Texts(1), _Texts(3)
