"""Background sequences: shuffled with their dinucleotides kept, or random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES


def dinucleotide_shuffle(codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shuffle each sequence such that it keeps its first letter, its last, and the count of every pair of neighbours.

    Altschul & Erickson (1985) Mol Biol Evol 2:526: all such sequences are equally likely.

    1. A sequence is a walk through its letters: each letter but the last has as many exits as it is followed by one.
    2. Put the exits of every letter in random order. The walk can only use all of them if the last exits lead from
       every letter to the sequence's last one; draw last exits until they do.
    3. Walk from the first letter, and take each letter's exits in order.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (n, L)
        0 to 3 for A, C, G, T; other codes are letters like these.
    random : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    numpy.ndarray of uint8, shape (n, L)

    Examples
    --------
    >>> from kipoi_motifrep.sequences.alphabet import decode, encode
    >>> codes = encode(np.frombuffer(b"ACGTTGCAAC", np.uint8))[None]
    >>> decode(dinucleotide_shuffle(codes, np.random.default_rng(1))[0])
    'ACGTTGCAAC'
    """
    n, length = codes.shape
    if length < 3:
        return codes.copy()
    rows, size = np.arange(n), int(codes.max(initial=0)) + 1
    # Positions sorted by their letter, those of one letter in random order: what follows them are the letter's exits.
    order = np.argsort(codes[:, :-1] + random.random((n, length - 1)), axis=1)
    exits = np.take_along_axis(codes, order + 1, axis=1)
    count = (codes[:, :-1, None] == np.arange(size)).sum(axis=1)
    stop = count.cumsum(axis=1)
    start = stop - count
    todo = rows
    while len(todo):
        for letter in range(size):  # a random exit of each letter becomes its last
            own = todo[count[todo, letter] > 0]
            last, other = stop[own, letter] - 1, start[own, letter] + random.integers(count[own, letter])
            exits[own, last], exits[own, other] = exits[own, other], exits[own, last]
        todo = todo[~_reach_the_end(exits, count, stop, codes[:, -1], todo)]
    result, place = np.empty_like(codes), start
    here = result[:, 0] = codes[:, 0]
    for position in range(1, length):
        at = place[rows, here]
        place[rows, here] += 1
        here = result[:, position] = exits[rows, at]
    return result


def _reach_the_end(
    exits: np.ndarray, count: np.ndarray, stop: np.ndarray, end: np.ndarray, todo: np.ndarray
) -> np.ndarray:
    """Tell for which sequences the last exits lead from every letter to the last one."""
    size = count.shape[1]
    here = np.tile(np.arange(size), (len(todo), 1))
    # A letter without exits is the last one, or does not occur.
    last = np.where(count[todo] > 0, np.take_along_axis(exits[todo], np.maximum(stop[todo] - 1, 0), axis=1), here)
    last[np.arange(len(todo)), end[todo]] = end[todo]  # the way ends there
    for _ in range(size):
        here = np.take_along_axis(last, here, axis=1)
    return ((here == end[todo, None]) | (count[todo] == 0)).all(axis=1)


def random_sequences(
    n: int, length: int, random: np.random.Generator, composition: Sequence[float] | None = None
) -> np.ndarray:
    """Draw sequences letter by letter.

    Parameters
    ----------
    n, length : int
        How many, and of how many bases.
    random : numpy.random.Generator
        Where the draws come from.
    composition : sequence of 4 floats, optional
        Probabilities of A, C, G, T; all alike by default.

    Returns
    -------
    numpy.ndarray of uint8, shape (n, length)
        Codes.

    Raises
    ------
    InputError
        If the composition is not four probabilities.

    Examples
    --------
    >>> random_sequences(2, 5, np.random.default_rng(0), [0.5, 0, 0, 0.5]).tolist()
    [[3, 0, 0, 0, 3], [3, 3, 3, 3, 3]]
    """
    shares = np.full(4, 0.25) if composition is None else np.asarray(composition, float)
    if shares.shape != (4,) or not (shares.min() >= 0 and abs(shares.sum() - 1) <= 1e-3):
        raise InputError(
            f"a composition is four probabilities ({' '.join(BASES)}) that sum to 1, not {list(composition or ())}"
        )
    return random.choice(4, size=(n, length), p=shares / shares.sum()).astype(np.uint8)
