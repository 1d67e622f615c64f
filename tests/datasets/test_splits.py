"""Splits that share no base, dealt in the shares that were asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import interval_reference

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.splits import NONE, Splitter, deal_by_key, parse_held_out

windows = st.lists(st.integers(0, 5000), min_size=1, max_size=60)


@given(
    windows,
    st.sampled_from(
        [
            (".2", ".3"),
            ("chr1:1000-2000", ".3"),
            (["1:500-900", "1:900-1500"], ["2"]),
            ("chr1:100-2000", "chr1:2000-2500"),
            ("none", ".5"),
        ]
    ),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_no_two_splits_share_a_base(starts, held_out, seed):
    splitter = Splitter(*held_out, block=700, seed=seed)
    start = np.sort(starts)
    split = splitter.assign("chr1", start, start + 100)
    owner = {}
    for first, number in zip(start, split, strict=True):
        if number != NONE:
            for base in range(first, first + 100):
                assert owner.setdefault(base, number) == number
    assert splitter.n_between == (split == NONE).sum()
    lonely = [i for i in range(len(start)) if all(abs(start[i] - s) >= 2000 for s in np.delete(start, i))]
    inside_block = start // 700 == (start + 99) // 700
    assert all(split[i] != NONE for i in lonely if inside_block[i] and held_out[0] in (".2", "none"))


def test_regions_hold_out_exactly_what_lies_in_them():
    splitter = Splitter(["chr1:1,000-2,000"], ["chr1:3000-4000", "2"])
    start = np.array([0, 900, 901, 999, 1000, 1900, 1901, 2000, 2999, 3000, 3950])
    np.testing.assert_array_equal(splitter.assign("1", start, start + 100), [0, 0, -1, -1, 1, 1, -1, 0, -1, 2, -1])
    np.testing.assert_array_equal(splitter.assign("chr2", start, start + 100), [2] * len(start))
    splitter.check_all_seen()


def test_adjacent_regions_of_one_split_are_one():
    splitter = Splitter(["1:0-500", "1:500-1000"], "none")
    assert splitter.assign("1", np.array([450]), np.array([550])) == [1]


def test_fractions_are_met_over_many_blocks_and_chromosomes():
    splitter, counts = Splitter("0.1", "0.2", block=1000), np.zeros(3)
    for chromosome in range(30):
        start = np.arange(0, 20_000, 50)
        split = splitter.assign(str(chromosome), start, start + 60)
        counts += np.bincount(split[split != NONE], minlength=3)
    np.testing.assert_allclose(counts / counts.sum(), [0.7, 0.1, 0.2], atol=0.01)
    assert splitter.n_between < 0.05 * counts.sum()


def test_blocks_do_not_depend_on_the_spelling_of_the_chromosome():
    start = np.arange(0, 50_000, 100)
    one, other = (Splitter(block=1000, seed=5).assign(name, start, start + 200) for name in ("chr7", "7"))
    np.testing.assert_array_equal(one, other)
    assert (one != Splitter(block=1000, seed=6).assign("7", start, start + 200)).any()


@pytest.mark.parametrize(
    ("valid", "test", "word"),
    [
        ("chr1", "chr1:5-10", "overlap"),
        ("0.6", "0.4", "nothing to train on"),
        ("1.5", "0.2", "below 1"),
        ("chr1:9-9", "0.2", "no bases"),
        ("chr1:9", "0.2", "write a range"),
        (["chr1", "1:5-9"], "1", "overlap"),
    ],
)
def test_held_out_parts_that_make_no_sense(valid, test, word):
    with pytest.raises(InputError, match=word):
        Splitter(valid, test)


regions = st.tuples(st.sampled_from(["chr1", "1", "chr2", "HLA-A*01:01"]), st.integers(0, 60), st.integers(1, 30))


@given(st.lists(regions, min_size=1, max_size=8))
def test_regions_that_overlap_or_touch_are_one(rows):
    held_out = parse_held_out([f"{name}:{start}-{start + width}" for name, start, width in rows], "valid")
    expected = interval_reference.merged(
        [(name.removeprefix("chr"), start, start + width) for name, start, width in rows]
    )
    assert sorted(held_out.regions) == expected


def test_ranges_with_numbers_past_every_end():
    start = np.array([0, 500])
    splitter = Splitter("chr1:400-99999999999999999999", ["chr2"])
    assert splitter.assign("1", start, start + 100).tolist() == [0, 1]
    for text in (f"chr1:5-{'9' * 5000}", "chr1:,-,", "chr1:-5-9"):
        with pytest.raises(InputError, match="write a range as"):
            parse_held_out(text, "valid")


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_equal_keys_are_dealt_together_and_fractions_are_met(keys):
    keys = np.array(keys, np.uint64)
    split = deal_by_key(keys, np.array([0.7, 0.1, 0.2]))
    for key in np.unique(keys):
        assert len(np.unique(split[keys == key])) == 1
    largest = np.unique(keys, return_counts=True)[1].max()
    assert abs((split == 2).sum() - 0.2 * len(keys)) <= largest
    assert abs((split == 0).sum() - 0.7 * len(keys)) <= largest + 1
