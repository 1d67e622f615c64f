"""Progress bars: on standard error, after a second, and only for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

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
    """
    from tqdm import tqdm

    return tqdm(items, desc=description, total=total, unit=unit, delay=1, file=sys.stderr,
                disable=not sys.stderr.isatty())


def say(message: str) -> None:
    """Print one line for the user on standard error.

    Parameters
    ----------
    message : str
        The line.
    """
    print(message, file=sys.stderr, flush=True)
