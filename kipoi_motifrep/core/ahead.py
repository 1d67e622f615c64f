"""Work that goes on in threads while its results are used: compiled code and frameworks leave Python's lock free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = 1, most: int = 1
) -> Iterator[Result]:
    """Map in order, some items ahead of the one that is used.

    Items are taken by the caller's thread: what gives them need not know of threads.

    Parameters
    ----------
    function : callable
        What is done with an item, in a thread.
    items : iterable
        Taken one by one.
    threads : int, default 1
        How many work.
    most : int, default 1
        How many items ahead; so many results, and one more, are in memory.

    Yields
    ------
    object
        The results, in the order of the items.

    Examples
    --------
    >>> list(ahead(str, range(3)))
    ['0', '1', '2']
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
