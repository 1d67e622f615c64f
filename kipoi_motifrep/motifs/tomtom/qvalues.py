"""Q-values of one query's p-values, with the bootstrap and the random numbers of Tomtom.

Storey (2002) J R Stat Soc B 64:479 for q-values and the estimate of pi0, the
fraction of null p-values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SEED = 4357
N_BOOTSTRAPS = 100
N_DRAWS = 1000
LAMBDAS = np.arange(1, 101) / 200
_AT_ONCE = 10  # bootstrap samples drawn at a time: these stay in the processor's cache
MAX_WITHOUT_BOOTSTRAP = 100  # with so few p-values pi0 is taken as 1


class Draws:
    """The one stream of random numbers that Tomtom draws bootstrap samples from.

    It is seeded once and runs on from query to query, so results depend on which
    queries came before: each one with more than 100 p-values uses up 100,000 draws.
    """

    def __init__(self):
        # The generator's first seeding rule (Matsumoto & Nishimura 1998), not the one of numpy.
        key = np.empty(624, np.uint32)
        word = SEED
        for i in range(len(key)):
            key[i] = word
            word = 69069 * word % 2**32
        self._random = np.random.RandomState()
        self._random.set_state(("MT19937", key, len(key)))
        self._n_skipped = 0

    def skip(self) -> None:
        """Pass over one query's draws; the work is put off until a later query needs the stream."""
        self._n_skipped += 1

    def samples(self, n: int) -> Iterator[np.ndarray]:
        """One query's draws from `n` things.

        Parameters
        ----------
        n : int
            Number of p-values.

        Yields
        ------
        numpy.ndarray, shape (B, 1000), int
            B bootstrap samples each time, 100 in all.
        """
        for _ in range(self._n_skipped * (N_BOOTSTRAPS // _AT_ONCE)):
            self._words()
        self._n_skipped = 0
        for _ in range(N_BOOTSTRAPS // _AT_ONCE):
            draws = self._words() * 2.0**-64
            yield (draws * n).astype(np.intp)

    def _words(self) -> np.ndarray:
        # Two 32-bit words make one number of 64 bits, the first word on top; numpy's full range is just that.
        return self._random.randint(0, 2**64, (_AT_ONCE, N_DRAWS), np.uint64)


def null_fraction(p_values: np.ndarray, draws: Draws) -> float:
    """Estimate pi0 by Storey's bootstrap (TOMTOM step 11).

    Parameters
    ----------
    p_values : numpy.ndarray, shape (m,)
        Sorted upwards; draws are places in this order.
    draws : Draws
        The stream, which is moved on if there are more than 100 p-values.

    Returns
    -------
    float
        Between 0 and 1.
    """
    n = len(p_values)
    if n <= MAX_WITHOUT_BOOTSTRAP:
        return 1.0
    first = np.searchsorted(p_values, LAMBDAS)
    fractions = (n - first) / ((1 - LAMBDAS) * n)
    # Sort draws by how many lambdas are at or below their p-value; count them from the top.
    n_reached = np.searchsorted(first, np.arange(n), side="right")
    at_least = np.concatenate([_counts(n_reached[sample])[:, :0:-1].cumsum(axis=1)[:, ::-1]
                               for sample in draws.samples(n)])
    sampled = at_least / ((1 - LAMBDAS) * N_DRAWS)
    errors = ((sampled - fractions.min()) ** 2).mean(axis=0)
    return float(min(max(fractions[errors.argmin()], 0.0), 1.0))


def _counts(values: np.ndarray) -> np.ndarray:
    """Count how often each number of 0 to 100 is in each row."""
    size = len(LAMBDAS) + 1
    values += size * np.arange(len(values))[:, None]
    return np.bincount(values.ravel(), minlength=size * len(values)).reshape(-1, size)


def q_values(p_values: np.ndarray, pi0: float) -> np.ndarray:
    """Smallest false discovery rate at which each p-value is called significant.

    Parameters
    ----------
    p_values : numpy.ndarray, shape (m,)
        Sorted upwards.
    pi0 : float
        Fraction of null p-values.

    Returns
    -------
    numpy.ndarray, shape (m,)
    """
    rates = pi0 * p_values * len(p_values) / np.arange(1, len(p_values) + 1)
    return np.minimum.accumulate(np.minimum(rates, 1.0)[::-1])[::-1]
