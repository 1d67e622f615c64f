"""What the PWMs of a bank rest on: how high its filters go, where their sites lie, and the highest of these.

All of it adds up over batches, in whatever parts the data comes: bins of activations double their width as the maximum
grows, which joins them two by two and leaves nothing to estimate; places are counted; the highest sites are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.letters import BASES, N_CODE
from kipoi_motifrep.filters.batches import ids_of, ranges_of
from kipoi_motifrep.filters.selection import Sites
from kipoi_motifrep.networks.types import ReceptiveField

N_BINS = 64  # of activations; more than half of them lie below a filter's maximum
N_PLACES = 50  # along a sequence
N_EXAMPLES = 10  # sites of a filter
_LETTERS = np.frombuffer((BASES + "N").encode(), np.uint8)
_NEVER = -1000  # power of 2 that is below any float: the range of a filter that never was above 0


@dataclass(frozen=True, eq=False)
class Heights:
    """Number of sequences by a filter's largest activation in them; parts add up with ``+``.

    Parameters
    ----------
    counts : numpy.ndarray, shape (n_filters, 65), int64
        Sequences in which the filter is nowhere above 0, then those in each of 64 bins of one width. A bin holds its
        upper end, not its lower.
    power : numpy.ndarray, shape (n_filters,), int64
        The last bin ends at 2 to this power, the lowest that holds the filter's maximum.

    Examples
    --------
    Three sequences, one filter:

    >>> found = Heights.of(np.array([[0.25], [0.5], [0.0]], np.float32))
    >>> found.power, found.counts[0, [0, 32, 64]]
    (array([-1]), array([1, 1, 1]))
    """

    counts: np.ndarray
    power: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """Width of each filter's bins, shape (n_filters,)."""
        return 2.0**self.power / N_BINS

    def __add__(self, other: Heights) -> Heights:
        power = np.maximum(self.power, other.power)
        return Heights(self._up_to(power) + other._up_to(power), power)

    def _up_to(self, power: np.ndarray) -> np.ndarray:
        # Each bin goes into the wider one that holds it.
        into = np.ceil(np.arange(N_BINS + 1) / 2.0 ** (power - self.power)[:, None]).astype(int)
        wider = np.zeros_like(self.counts)
        np.add.at(wider, (np.arange(len(wider))[:, None], into), self.counts)
        return wider

    @classmethod
    def of(cls, highest: np.ndarray) -> Heights:
        """Count the sequences of one batch.

        Parameters
        ----------
        highest : numpy.ndarray, shape (n, n_filters), float32
            Largest activation of each filter in each sequence.

        Returns
        -------
        Heights
        """
        heights = np.maximum(highest, 0).astype(float)
        heights[~np.isfinite(heights)] = 0  # what is not finite is refused once all maxima are known
        fraction, power = np.frexp(heights.max(axis=0))  # fraction x 2^power, from a half to below 1
        power = np.where(fraction > 0, power - (fraction == 0.5), _NEVER).astype(int)
        # Powers of 2, so that dividing rounds nothing, and bins of several batches join.
        bins = np.ceil(heights / 2.0**power * N_BINS).astype(int)
        n_filters = bins.shape[1]
        counts = np.bincount((bins + (N_BINS + 1) * np.arange(n_filters)).ravel(), minlength=(N_BINS + 1) * n_filters)
        return cls(counts.reshape(n_filters, -1), power)


@dataclass(frozen=True, eq=False)
class SiteSample:
    """Where the sites of each filter lie, and the highest of them; parts add up with ``+``.

    Parameters
    ----------
    places : numpy.ndarray, shape (n_filters, n_places), int64
        Number of sites by the middle of their window, in up to 50 parts of the sequence from its first base to its
        last.
    filter, start : numpy.ndarray, shape (examples,), int64
        Of each example: the filter, and the first base of its window, which may lie before the sequence's.
    value : numpy.ndarray, shape (examples,), float32
        Activation.
    letters : numpy.ndarray, shape (examples,), bytes of the width of the windows
        The bases; N beyond the sequence's ends.
    name : numpy.ndarray, shape (examples,), object
        Of the sequence.
    """

    places: np.ndarray
    filter: np.ndarray
    start: np.ndarray
    value: np.ndarray
    letters: np.ndarray
    name: np.ndarray

    def __add__(self, other: SiteSample) -> SiteSample:
        parts = (self.filter, other.filter), (self.value, other.value)
        kept = _highest(*(np.concatenate(one) for one in parts))
        both = (np.concatenate([getattr(self, one), getattr(other, one)])[kept] for one in EXAMPLE_FIELDS)
        return SiteSample(self.places + other.places, *both)

    def levels(self) -> np.ndarray:
        """Give the values that further examples must exceed, shape (n_filters,), float32; 0 where there are few."""
        lowest = np.full(len(self.places), np.inf, np.float32)
        np.minimum.at(lowest, self.filter, self.value)
        full = np.bincount(self.filter, minlength=len(lowest)) >= N_EXAMPLES
        return np.where(full, lowest, 0).astype(np.float32)

    @classmethod
    def of(
        cls,
        codes: np.ndarray,
        sites: Sites,
        window: ReceptiveField,
        n_filters: int,
        metadata: Mapping,
        first: int,
        levels: np.ndarray,
    ) -> SiteSample:
        """Sample the sites of one batch: at most ten of a filter, and one of it in a sequence.

        Parameters
        ----------
        codes : numpy.ndarray, shape (n, L), uint8
            0 to 3 for A, C, G, T; 4 for no base.
        sites : Sites
            Sites in this batch.
        window : ReceptiveField
            Bases under a position.
        n_filters : int
            Number of filters.
        metadata : mapping
            What the batch knows of its sequences.
        first : int
            Number of sequences before this batch; those without a name are called by their number.
        levels : numpy.ndarray, shape (n_filters,), float32
            What examples must exceed: of many sites few need to be sorted.

        Returns
        -------
        SiteSample
            Ties go to the earlier sequence, then the earlier position.
        """
        length = codes.shape[1]
        n_places = min(N_PLACES, length)
        starts = window.start + window.step * sites.position
        middle = np.clip(starts + (window.width - 1) // 2, 0, length - 1)
        places = np.bincount(sites.filter * n_places + middle * n_places // length, minlength=n_filters * n_places)
        # The highest of each filter and sequence, by sequence; then the ten highest of each filter.
        high = np.flatnonzero(sites.value > levels[sites.filter])
        some = sites.where(high)
        order = np.lexsort((some.position, -some.value, some.filter, some.sequence))
        pair = some.sequence[order] * n_filters + some.filter[order]
        first_of_pair = order[np.diff(pair, prepend=-1) != 0]
        chosen = high[first_of_pair[_highest(some.filter[first_of_pair], some.value[first_of_pair])]]
        sequence, columns = sites.sequence[chosen], starts[chosen][:, None] + np.arange(window.width)
        inside = (columns >= 0) & (columns < length)
        bases = np.where(inside, codes[sequence[:, None], np.where(inside, columns, 0)], N_CODE)
        return cls(
            places.reshape(n_filters, n_places),
            sites.filter[chosen],
            starts[chosen],
            sites.value[chosen],
            np.ascontiguousarray(_LETTERS[bases]).view(f"S{window.width}").ravel(),
            _names(metadata, sequence, first),
        )


EXAMPLE_FIELDS = ("filter", "start", "value", "letters", "name")


def _highest(filters: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Choose the ten highest of each filter, by filter and from the highest down; the earlier ones in a tie."""
    order = np.lexsort((-values, filters))  # stable
    rank = np.arange(len(order)) - np.searchsorted(filters[order], filters[order])
    return order[rank < N_EXAMPLES]


def _names(metadata: Mapping, sequences: np.ndarray, first: int) -> np.ndarray:
    """Name sequences of a batch: by their ranges, by their ids, or by their number."""
    ranges, ids = ranges_of(metadata), ids_of(metadata)
    if ranges is not None:
        strand = ["(-)" if one == "-" else "" for one in np.asarray(ranges.strand)]
        names = [f"{ranges.chr[i]}:{ranges.start[i]}-{ranges.end[i]}{strand[i]}" for i in sequences]
    else:
        names = [f"sequence {first + i}" if ids is None else str(ids[i]) for i in sequences]
    return np.array(names, object)
