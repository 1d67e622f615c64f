"""Which positions of a feature map are sites: thresholds, and the partial results behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GUESSED_FROM = 64  # sequences, for a quantile
GUESSED_MORE = 10  # sites among these: a few say little


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites of some filters, one entry each.

    Parameters
    ----------
    sequence, position, filter : numpy.ndarray, shape (sites,), int64
        Row of the batch (or of the whole set), position of the feature map, filter.
    value : numpy.ndarray, shape (sites,), float32
        Activation.
    """

    sequence: np.ndarray
    position: np.ndarray
    filter: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def where(self, keep: np.ndarray) -> Sites:
        """Choose some of the sites.

        Parameters
        ----------
        keep : numpy.ndarray
            Boolean mask or indices.

        Returns
        -------
        Sites
            Those.
        """
        return Sites(self.sequence[keep], self.position[keep], self.filter[keep], self.value[keep])

    def moved(self, by: int) -> Sites:
        """Count the sequences from another one on."""
        return Sites(self.sequence + by, self.position, self.filter, self.value)


@dataclass(frozen=True, eq=False)
class Maxima:
    """Largest and smallest activation of every filter over some sequences; parts add up with ``+``.

    Parameters
    ----------
    maximum, minimum : numpy.ndarray, shape (n_filters,), float32
        Over all sequences and positions.
    n_sequences : int
        How many sequences.
    n_positions : int
        Positions of the feature map.
    """

    maximum: np.ndarray
    minimum: np.ndarray
    n_sequences: int
    n_positions: int

    def __add__(self, other: Maxima) -> Maxima:
        return Maxima(
            np.maximum(self.maximum, other.maximum),
            np.minimum(self.minimum, other.minimum),
            self.n_sequences + other.n_sequences,
            self.n_positions,
        )

    @classmethod
    def of(cls, activations: np.ndarray, highest: np.ndarray | None = None) -> Maxima:
        """Measure one batch.

        Parameters
        ----------
        activations : numpy.ndarray, shape (n, n_positions, n_filters), float32
            Feature map.
        highest : numpy.ndarray, shape (n, n_filters), float32, optional
            Its largest value in each sequence, where it is at hand.

        Returns
        -------
        Maxima
            Of this batch.
        """
        rows, channels_first = _rows(activations)
        # Over sequences first: long rows are compared several times faster than short ones.
        shape = activations.shape[:0:-1] if channels_first else activations.shape[1:]
        positions = 1 if channels_first else 0
        return cls(
            rows.max(axis=0).reshape(shape).max(axis=positions) if highest is None else highest.max(axis=0),
            rows.min(axis=0).reshape(shape).min(axis=positions),
            *activations.shape[:2],
        )

    def thresholds(self, fraction: float) -> np.ndarray:
        """Give the level that a site must exceed.

        Parameters
        ----------
        fraction : float
            Of the filter's maximum; the paper uses 0.5.

        Returns
        -------
        numpy.ndarray, shape (n_filters,), float32
            Infinite for filters that are never active: nowhere above 0, or
            the same everywhere (a sigmoid or a floor above 0 hides a dead one).
            Of one position alone nothing is known but that it is above 0.
        """
        varies = (self.maximum > self.minimum) | (self.n_sequences * self.n_positions == 1)
        return np.where(varies, self.lower_bounds(fraction), np.inf).astype(np.float32)

    def lower_bounds(self, fraction: float) -> np.ndarray:
        """Give levels that the thresholds of any larger set are not below.

        Parameters
        ----------
        fraction : float
            As for :meth:`thresholds`.

        Returns
        -------
        numpy.ndarray, shape (n_filters,), float32
            Without regard to filters that were the same everywhere so far.
        """
        return np.where(self.maximum > 0, np.float32(fraction) * self.maximum, np.inf).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of activations by their upper or lower 16 bits; parts add up with ``+``.

    Two of them, one after the other, give exact quantiles in bounded memory:
    positive float32 numbers are in the order of their bits. What is not
    positive counts as 0.

    Parameters
    ----------
    counts : numpy.ndarray, shape (n_filters, 65536), int64
        Number of activations by the key.
    """

    counts: np.ndarray

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts)

    @classmethod
    def of(cls, activations: np.ndarray, upper: np.ndarray | None = None) -> Histogram:
        """Count one batch.

        Parameters
        ----------
        activations : numpy.ndarray, shape (n, n_positions, n_filters), float32
            Feature map.
        upper : numpy.ndarray, shape (n_filters,), optional
            Count only values with these upper bits, by their lower bits.

        Returns
        -------
        Histogram
            Of this batch.
        """
        n, n_positions, n_filters = activations.shape
        sites = sites_above(activations, np.zeros(n_filters, np.float32))
        bits, chosen = sites.value.view(np.uint32).astype(np.int64), sites.filter
        # What is not above 0 counts as 0, whose bits are all 0; most of a feature map is such, and is not sorted in.
        zeros = n * n_positions - np.bincount(chosen, minlength=n_filters)
        if upper is not None:
            inside = bits >> 16 == upper[chosen]
            bits, chosen = bits[inside] << 16 & 0xFFFFFFFF, chosen[inside]
            zeros[upper > 0] = 0
        counts = np.bincount(chosen << 16 | bits >> 16, minlength=n_filters << 16).reshape(n_filters, -1)
        counts[:, 0] += zeros
        return cls(counts)

    def locate(self, rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the bin that holds the value of a rank.

        Parameters
        ----------
        rank : numpy.ndarray, shape (n_filters,), int64
            From 1, smallest first.

        Returns
        -------
        key : numpy.ndarray, shape (n_filters,), int64
            The bin.
        rank : numpy.ndarray, shape (n_filters,), int64
            Rank within the bin.
        """
        # The first bin at whose end as many values were passed as the rank asks for.
        cumulative = np.cumsum(self.counts, axis=1)
        key = (cumulative < rank[:, None]).sum(axis=1)
        rows = np.arange(len(key))
        below = np.where(key > 0, cumulative[rows, np.maximum(key, 1) - 1], 0)
        return key, rank - below

    @staticmethod
    def value(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Put float32 numbers together from their upper and lower 16 bits, shape (n_filters,) each."""
        return (upper << 16 | lower).astype(np.uint32).view(np.float32)


@dataclass(frozen=True, eq=False)
class TopSites:
    """The k highest sites of every filter; parts add up with ``+``.

    Ties go to the earlier sequence, then the earlier position. ``sequence``
    counts over the whole set: shards must be numbered on.

    Parameters
    ----------
    sites : Sites
        At most `k` a filter.
    k : int
        How many to keep.
    """

    sites: Sites
    k: int

    def __add__(self, other: TopSites) -> TopSites:
        both = Sites(
            *(
                np.concatenate([getattr(self.sites, name), getattr(other.sites, name)])
                for name in ("sequence", "position", "filter", "value")
            )
        )
        order = np.lexsort((both.position, both.sequence, -both.value, both.filter))
        starts = np.searchsorted(both.filter[order], both.filter[order])  # where each entry's filter begins
        return TopSites(both.where(order[np.arange(len(order)) - starts < self.k]), self.k)

    @classmethod
    def nothing(cls, k: int) -> TopSites:
        """Start with no sites.

        Parameters
        ----------
        k : int
            How many to keep.

        Returns
        -------
        TopSites
            Empty.
        """
        none = np.empty(0, np.int64)
        return cls(Sites(none, none, none, np.empty(0, np.float32)), k)

    def lowest(self, n_filters: int) -> np.ndarray:
        """Give the value of each filter's last site, shape (n_filters,), float32; infinite without any."""
        lowest = np.full(n_filters, np.inf, np.float32)
        np.minimum.at(lowest, self.sites.filter, self.sites.value)
        return lowest

    def levels(self, n_filters: int) -> np.ndarray:
        """Give the values that further sites must exceed.

        Parameters
        ----------
        n_filters : int
            Number of filters.

        Returns
        -------
        numpy.ndarray, shape (n_filters,), float32
            0 while there are fewer than k sites.
        """
        full = np.bincount(self.sites.filter, minlength=n_filters) >= self.k
        return np.where(full, self.lowest(n_filters), 0).astype(np.float32)


def sites_above(activations: np.ndarray, levels: np.ndarray, best_per_sequence: bool = False) -> Sites:
    """Find the sites of one batch.

    Parameters
    ----------
    activations : numpy.ndarray, shape (n, n_positions, n_filters), float32
        Feature map.
    levels : numpy.ndarray, shape (n_filters,), float32
        A site is above its filter's level and above 0.
    best_per_sequence : bool, default False
        Only the highest site of a filter in each sequence, the first in a tie.

    Returns
    -------
    Sites
        By sequence, then position, then filter (or filter, then position).

    Examples
    --------
    Two positions of two filters, in one sequence:

    >>> found = sites_above(np.array([[[0.2, 0.0], [0.9, 0.5]]], np.float32), np.array([0.1, 0.4], np.float32))
    >>> found.filter, found.position
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    levels = np.maximum(levels, np.float32(0))
    if best_per_sequence:
        # argmax gives the first of several equal ones.
        position = activations.argmax(axis=1)
        value = np.take_along_axis(activations, position[:, None], axis=1)[:, 0]
        sequence, chosen = np.nonzero(value > levels)
        return Sites(sequence, position[sequence, chosen], chosen, value[sequence, chosen])
    n_positions, n_filters = activations.shape[1:]
    rows, channels_first = _rows(activations)
    flat = np.flatnonzero(rows > (np.repeat(levels, n_positions) if channels_first else np.tile(levels, n_positions)))
    sequence, place = np.divmod(flat, n_positions * n_filters)
    if channels_first:
        chosen, position = np.divmod(place, n_positions)
    else:
        position, chosen = np.divmod(place, n_filters)
    return Sites(sequence, position, chosen, rows.ravel()[flat])


def kth_level(activations: np.ndarray, k: int) -> np.ndarray:
    """Give levels that the best k sites of one batch exceed, and few others.

    Parameters
    ----------
    activations : numpy.ndarray, shape (n, n_positions, n_filters), float32
        Feature map.
    k : int
        How many sites a filter.

    Returns
    -------
    numpy.ndarray, shape (n_filters,), float32
        Just below the k-th largest value; minus infinity for fewer than k values.
    """
    n, n_positions, n_filters = activations.shape
    if n * n_positions <= k:
        return np.full(n_filters, -np.inf, np.float32)
    place = n * n_positions - k
    # One filter at a time: a partition of all of them at once would copy the whole feature map.
    levels = [np.partition(activations[:, :, one].ravel(), place)[place] for one in range(n_filters)]
    return np.nextafter(np.array(levels, np.float32), np.float32(-np.inf))


def kth_values(filters: np.ndarray, values: np.ndarray, k: int, n_filters: int) -> np.ndarray:
    """Find the k-th largest value of each filter.

    Parameters
    ----------
    filters, values : numpy.ndarray, shape (sites,)
        Of sites of all filters.
    k : int
        From 1, largest first.
    n_filters : int
        Number of filters.

    Returns
    -------
    numpy.ndarray, shape (n_filters,), float32
        NaN for fewer than k values.

    Examples
    --------
    >>> kth_values(np.array([0, 1, 0]), np.array([3.0, 5.0, 2.0], np.float32), 2, 2)
    array([ 2., nan], dtype=float32)
    """
    found = np.full(n_filters, np.nan, np.float32)
    values = values[np.argsort(filters.astype(np.min_scalar_type(n_filters)), kind="stable")]  # short ones sort fast
    ends = np.cumsum(np.bincount(filters, minlength=n_filters))
    for one, own in enumerate(np.split(values, ends[:-1])):
        if len(own) >= k:
            found[one] = np.partition(own, len(own) - k)[len(own) - k]
    return found


def quantile_floor(activations: np.ndarray, quantile: float) -> np.ndarray:
    """Guess levels that a quantile of all data will hardly be below, from the first of them.

    Parameters
    ----------
    activations : numpy.ndarray, shape (n, n_positions, n_filters), float32
        Feature map.
    quantile : float
        Which.

    Returns
    -------
    numpy.ndarray, shape (n_filters,), float32
        0 or above. Twice as many activations are higher as are above the quantile, and some more.
    """
    sample = activations[:GUESSED_FROM]
    k = int(2 * (1 - quantile) * sample.shape[0] * sample.shape[1]) + GUESSED_MORE
    return np.maximum(kth_level(sample, k), np.float32(0))


def _rows(activations: np.ndarray) -> tuple[np.ndarray, bool]:
    """Feature maps as one contiguous row a sequence, and whether filters come before positions in it."""
    turned = activations.transpose(0, 2, 1)
    shape = len(activations), activations.shape[1] * activations.shape[2]
    if turned.flags.c_contiguous and not activations.flags.c_contiguous:
        return turned.reshape(shape), True
    return np.ascontiguousarray(activations).reshape(shape), False
