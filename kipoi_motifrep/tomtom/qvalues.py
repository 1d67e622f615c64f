"""Q-values of one query's p-values, with the bootstrap and the random numbers of Tomtom.

Storey (2002) J R Stat Soc B 64:479 for q-values and the estimate of pi0, the
fraction of null p-values.
"""

from __future__ import annotations

import numpy as np

SEED = 4357
N_BOOTSTRAPS = 100
N_DRAWS = 1000
LAMBDAS = np.arange(1, 101) / 200
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

    def indices(self, n: int) -> np.ndarray:
        """One query's draws from `n` things.

        Parameters
        ----------
        n : int
            Number of p-values.

        Returns
        -------
        numpy.ndarray, shape (100, 1000), int
            One row for each bootstrap sample.
        """
        for _ in range(self._n_skipped):
            self._words()
        self._n_skipped = 0
        # Two 32-bit words make one number of 64 bits, the first word on top; numpy's full range is just that.
        draws = self._words() * 2.0**-64
        return (draws * n).astype(np.intp)

    def _words(self) -> np.ndarray:
        return self._random.randint(0, 2**64, (N_BOOTSTRAPS, N_DRAWS), np.uint64)


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
    bins = n_reached[draws.indices(n)] + (len(LAMBDAS) + 1) * np.arange(N_BOOTSTRAPS)[:, None]
    counts = np.bincount(bins.ravel(), minlength=N_BOOTSTRAPS * (len(LAMBDAS) + 1)).reshape(N_BOOTSTRAPS, -1)
    at_least = counts[:, :0:-1].cumsum(axis=1)[:, ::-1]
    sampled = at_least / ((1 - LAMBDAS) * N_DRAWS)
    errors = ((sampled - fractions.min()) ** 2).mean(axis=0)
    return float(min(max(fractions[errors.argmin()], 0.0), 1.0))


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
