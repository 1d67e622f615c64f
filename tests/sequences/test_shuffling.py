"""Background sequences keep what they should, and nothing else."""

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipoi_motifrep import InputError
from kipoi_motifrep.sequences.shuffling import dinucleotide_shuffle, random_sequences


def pairs(sequence):
    return Counter(pairwise(sequence))


codes = st.integers(0, 60).flatmap(
    lambda length: st.lists(st.lists(st.integers(0, 4), min_size=length, max_size=length), min_size=1, max_size=4)
)


@given(codes, st.integers(0, 99))
def test_every_pair_of_neighbours_is_kept(sequences, seed):
    before = np.array(sequences, np.uint8).reshape(len(sequences), -1)
    after = dinucleotide_shuffle(before, np.random.default_rng(seed))
    assert after.dtype == np.uint8 and after.shape == before.shape
    for one, other in zip(before.tolist(), after.tolist(), strict=True):
        assert pairs(one) == pairs(other)
        assert one[:1] + one[-1:] == other[:1] + other[-1:]


@pytest.mark.parametrize("sequence", [[0, 1, 0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2, 3, 0, 2], [4, 1, 1, 4, 1, 2, 4, 2]])
def test_all_sequences_with_these_pairs_are_equally_likely(sequence):
    possible = {one for one in permutations(sequence) if pairs(one) == pairs(sequence)}
    n = 400 * len(possible)
    many = dinucleotide_shuffle(np.tile(np.array(sequence, np.uint8), (n, 1)), np.random.default_rng(0))
    found = Counter(map(tuple, many.tolist()))
    assert set(found) == possible and len(possible) > 2
    # Chi-squared has a mean of its degrees of freedom k and a variance of 2 k: five standard deviations.
    k = len(possible) - 1
    assert sum((found[one] - 400) ** 2 / 400 for one in possible) < k + 5 * (2 * k) ** 0.5


def test_a_long_run_with_one_exit():
    """The last exit of A must be its only way to C: one draw in a thousand."""
    sequence = np.array([[0] * 1000 + [1] * 1000], np.uint8)
    np.testing.assert_array_equal(dinucleotide_shuffle(sequence, np.random.default_rng(0)), sequence)


def test_the_same_seed_gives_the_same_sequences():
    before = np.random.default_rng(1).integers(0, 4, (5, 80)).astype(np.uint8)
    one, two, three = (dinucleotide_shuffle(before, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, two)
    assert (one != three).any() and (one != before).mean() > 0.5


def test_random_sequences_have_the_composition():
    drawn = random_sequences(200, 500, np.random.default_rng(0), [0.4, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=4) / drawn.size, [0.4, 0.1, 0.2, 0.3], atol=0.01)


@pytest.mark.parametrize("composition", [[0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [1.5, -0.5, 0, 0]])
def test_a_composition_is_four_probabilities(composition):
    with pytest.raises(InputError, match="four probabilities"):
        random_sequences(1, 5, np.random.default_rng(0), composition)
