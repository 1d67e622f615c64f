"""Negatives matched in GC content, against counting letters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.dataset_files import GENOME, some

from kipoi_motifrep.datasets.gc_matching import count_letters, draw_matched
from kipoi_motifrep.sequences.genome import Genome


@given(st.lists(st.integers(0, 1490), min_size=1, max_size=20), st.integers(1, 10), st.sampled_from([3, 64, 4096]))
@some
def test_letters_of_windows_are_counted(genome, starts, width, tile):
    from kipoi_motifrep.datasets import gc_matching

    before, gc_matching.TILE = gc_matching.TILE, tile
    try:
        gc, unknown = count_letters(Genome(genome), 0, np.array(starts), width)
    finally:
        gc_matching.TILE = before
    texts = [GENOME["chr1"][start : start + width].upper() for start in starts]
    assert gc.tolist() == [text.count("G") + text.count("C") for text in texts]
    assert unknown.tolist() == [text.count("N") for text in texts]


fractions = arrays.arrays(float, st.integers(1, 40), elements=st.floats(0, 1))


@given(fractions, fractions, st.integers(0, 60))
def test_draws_are_distinct_and_exact_where_they_can_be(wanted, available, n):
    drawn = draw_matched(wanted, available, n, np.random.default_rng(0))
    assert len(drawn) == min(n, len(available)) == len(set(drawn.tolist()))
    # Where each stratum has enough, each gets its share.
    strata = [np.minimum((values * 50).astype(int), 49) for values in (wanted, available)]
    share = np.bincount(strata[0], minlength=50) * n / len(wanted)
    have = np.bincount(strata[1], minlength=50)
    if np.all(have >= np.ceil(share)):
        assert np.all(np.abs(np.bincount(strata[1][drawn], minlength=50) - share) < 1)


def test_a_shortage_is_met_from_the_nearest_strata():
    drawn = draw_matched(np.full(4, 0.505), np.array([0.505, 0.485, 0.525, 0.3, 0.9]), 4, np.random.default_rng(0))
    assert drawn.tolist() == [0, 1, 2, 3]
