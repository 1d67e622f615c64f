"""Interval arithmetic on arrays against counting every base."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracles import interval_reference

from kipoi_motifrep.datasets.overlaps import merge, shared_bases, touched

interval = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: (pair[0], sum(pair)))
on_a_chromosome = st.tuples(st.sampled_from([0, 2, 7]), interval).map(lambda pair: (pair[0], *pair[1]))


def columns(rows, n):
    return np.array(rows, np.int64).reshape(-1, n).T


@given(st.lists(on_a_chromosome, max_size=12))
def test_merged_intervals(rows):
    found = merge(*columns(rows, 3))
    assert list(zip(*(column.tolist() for column in found), strict=True)) == interval_reference.merged(rows)


def test_merging_far_along_many_chromosomes():
    """Positions do not run into the next chromosome's, however long they are."""
    chromosome, start = np.repeat(np.arange(1000), 2), np.tile([0, 5 * 10**9], 1000)
    found = merge(chromosome, start, start + 10**9)
    np.testing.assert_array_equal(found, [chromosome, start, start + 10**9])


@given(st.lists(interval, max_size=12), st.integers(1, 25))
def test_bases_shared_with_bins(rows, width):
    bins, which, bases = shared_bases(*columns(rows, 2), width)
    found = {
        pair: count
        for *pair, count in zip(bins.tolist(), which.tolist(), bases.tolist(), strict=True)
        for pair in [tuple(pair)]
    }
    assert found == interval_reference.shared_bases(rows, width)
    assert len(found) == len(bins)


@given(st.lists(interval, max_size=12), st.lists(interval, max_size=12))
def test_windows_that_touch_a_region(windows, regions):
    found = touched(*columns(windows, 2), *columns(regions, 2))
    assert found.tolist() == interval_reference.touched(windows, regions)
