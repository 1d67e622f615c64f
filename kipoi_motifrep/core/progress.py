"""What a person is told: progress bars (after a second, and only for a terminal), notes and results."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from kipoi_motifrep.core.errors import printable

T = TypeVar("T")


def progress(items: Iterable[T], description: str, *, total: int | None = None, unit: str = "it") -> Iterable[T]:
    """Iterate with a progress bar that stays quiet where nobody watches.

    Parameters
    ----------
    items : iterable
        What to iterate over.
    description : str
        Text before the bar.
    total : int, optional
        Number of items, where ``len(items)`` is not defined.
    unit : str, default "it"
        What one item is called.

    Returns
    -------
    iterable
        The same items.

    Examples
    --------
    >>> sum(progress([1, 2, 3], "adding"))
    6
    """
    from tqdm import tqdm

    return tqdm(
        items, desc=description, total=total, unit=unit, delay=1, file=sys.stderr, disable=not sys.stderr.isatty()
    )


def say(message: str) -> None:
    """Print one line for the user on standard error.

    Parameters
    ----------
    message : str
        The line.
    """
    print(printable(message), file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """Print a line of a command's result on standard output.

    Parameters
    ----------
    line : str
        The line.

    Examples
    --------
    >>> tell("peaks.bed: 12 intervals of 200 bp, nothing wrong")
    peaks.bed: 12 intervals of 200 bp, nothing wrong
    """
    from kipoi_motifrep.core.disks import on_disk

    with on_disk("standard output", "send it elsewhere"):
        print(printable(line), flush=True)


def counted(number: int, noun: str) -> str:
    """Say how many there are.

    Parameters
    ----------
    number : int
        The number.
    noun : str
        What is counted, one of it.

    Returns
    -------
    str
        Such as "1 motif" or "2 motifs".

    Examples
    --------
    >>> counted(1, "problem"), counted(1000, "problem")
    ('1 problem', '1000 problems')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
