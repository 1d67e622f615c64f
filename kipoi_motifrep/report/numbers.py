"""How numbers read on a page."""

from __future__ import annotations

import math

NONE, MINUS, TIMES = "\u2013", "\u2212", "\u00d7"  # en dash, minus and multiplication signs
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(value: float | None, digits: int = 2) -> str:
    """Write a number with some significant digits, small and large ones as powers of ten.

    Parameters
    ----------
    value : float or None
    digits : int, default 2

    Returns
    -------
    str
        ``0.012``, ``3.1 x 10⁻⁵``, or a dash for None.

    Examples
    --------
    >>> significant(0.01234), significant(9.96)
    ('0.012', '10')
    """
    if value is None:
        return NONE
    if value == 0:
        return "0"
    # Formatted first, so that 9.96 with two digits is 10, one power higher.
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -3 <= power < 5:
        return _minus(f"{float(f'{mantissa}e{exponent}'):.{max(0, digits - 1 - power)}f}")
    return _minus(mantissa + TIMES + "10") + str(power).translate(_SUPERSCRIPT)


def count(value: float | None) -> str:
    """Write a whole number with thousands apart; one decimal if it is not whole.

    Examples
    --------
    >>> count(12345), count(2.25)
    ('12,345', '2.2')
    """
    if value is None:
        return NONE
    return _minus(f"{value:,.0f}" if value == round(value) else f"{value:,.1f}")


def percent(fraction: float | None) -> str:
    r"""Write a fraction as a per cent.

    Examples
    --------
    >>> percent(0.873), percent(0.004)
    ('87\xa0%', '0.4\xa0%')
    """
    if fraction is None:
        return NONE
    value = 100 * fraction
    return _minus(f"{value:.1f}" if 0 < abs(value) < 1 else f"{math.floor(value + 0.5)}") + "\u00a0%"


def plain(value: float) -> str:
    """Write a number as short as it goes, with a true minus sign.

    Examples
    --------
    >>> plain(-0.5), plain(20)
    ('\u22120.5', '20')
    """
    return _minus(f"{value:g}")


def change(value: float) -> str:
    """Write a number with its sign, to two significant digits.

    Examples
    --------
    >>> change(0.00456), change(-2)
    ('+0.0046', '\u22122.0')
    """
    return f"+{significant(value)}" if value > 0 else significant(value)


def signed(value: float | None, digits: int = 2) -> str:
    """Write a number with its sign, and to a number of decimals."""
    if value is None:
        return NONE
    text = f"{value:+.{digits}f}"
    return "0" if float(text) == 0 else _minus(text)


def metric(value: float | None, style: str, of: int | None = None) -> str:
    """Write a metric in its style.

    Parameters
    ----------
    value : float or None
    style : {"fraction", "count", "number"}
    of : int, optional
        What a fraction or a count is taken of.

    Returns
    -------
    str
        ``15 of 30 (50 %)``, ``12 of 12``, ``0.83``.
    """
    if value is None:
        return NONE
    if style == "fraction":
        if of is None:
            return percent(value)
        return f"{count(round(value * of, 1))} of {of:,} ({percent(value)})"
    if style == "count":
        return count(value) if of is None else f"{count(value)} of {of:,}"
    return significant(value, 3)


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
