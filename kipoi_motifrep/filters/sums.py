"""Adding up the windows under sites: the partial result behind activation PWMs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.letters import N_CODE
from kipoi_motifrep.filters.selection import Sites
from kipoi_motifrep.networks.types import ReceptiveField

CHUNK = 1 << 18  # sites at a time, so that their windows stay small


@dataclass(frozen=True, eq=False)
class SiteSums:
    """Summed windows of sites; parts add up with ``+``.

    Parameters
    ----------
    counts : numpy.ndarray, shape (n_filters, width, 4), float64
        Summed weight of the sites with that base there.
    n_sites : numpy.ndarray, shape (n_filters,), int64
        Number of sites.
    n_firing : numpy.ndarray, shape (n_filters,), int64
        Number of sequences with a site.
    n_sequences : int
        Number of sequences.
    """

    counts: np.ndarray
    n_sites: np.ndarray
    n_firing: np.ndarray
    n_sequences: int

    def __add__(self, other: SiteSums) -> SiteSums:
        return SiteSums(
            self.counts + other.counts,
            self.n_sites + other.n_sites,
            self.n_firing + other.n_firing,
            self.n_sequences + other.n_sequences,
        )

    @classmethod
    def nothing(cls, n_filters: int, width: int) -> SiteSums:
        """Start with no sites.

        Parameters
        ----------
        n_filters, width : int
            Filters, and bases of the window.

        Returns
        -------
        SiteSums
            Zeros.
        """
        none = np.zeros(n_filters, np.int64)
        return cls(np.zeros((n_filters, width, 4)), none, none, 0)

    @classmethod
    def of(
        cls, codes: np.ndarray, sites: Sites, window: ReceptiveField, n_filters: int, weighted: bool = True
    ) -> SiteSums:
        """Add up the windows of one batch.

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
        weighted : bool, default True
            Weight each window by its activation.

        Returns
        -------
        SiteSums
            Of this batch; what lies beyond a sequence's ends counts for no base.
        """
        counts = np.zeros((window.width, n_filters * (N_CODE + 1)))
        places = window.start + window.step * sites.position
        # No base on both sides of each sequence, as far as windows reach; then all sequences in one row.
        before = max(0, -int(places.min(initial=0)))
        after = max(0, int(places.max(initial=0)) + window.width - codes.shape[1])
        padded = np.pad(codes, ((0, 0), (before, after)), constant_values=N_CODE)
        windows = np.lib.stride_tricks.sliding_window_view(padded.ravel(), window.width)
        starts = sites.sequence * padded.shape[1] + before + places
        # A base of a filter's column is counted by one number, filter x 5 + base: N falls into bins of its own.
        for first in range(0, len(sites), CHUNK):
            chunk = slice(first, first + CHUNK)
            letters = np.ascontiguousarray(windows[starts[chunk]].T)
            filters = sites.filter[chunk] * (N_CODE + 1)
            weights = sites.value[chunk].astype(np.float64) if weighted else None
            for column, row in enumerate(letters):
                counts[column] += np.bincount(filters + row, weights, counts.shape[1])
        fired = np.zeros((len(codes), n_filters), bool)
        fired[sites.sequence, sites.filter] = True
        return cls(
            counts.reshape(window.width, n_filters, -1).transpose(1, 0, 2)[:, :, :N_CODE],
            np.bincount(sites.filter, minlength=n_filters),
            fired.sum(axis=0),
            len(codes),
        )
