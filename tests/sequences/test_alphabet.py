"""Letters, one-hot arrays and their layouts, against plain Python strings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import naive
from support.dna import LETTER, codes_of, dna, padded

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences.alphabet import (
    INVALID,
    arrange,
    decode,
    encode,
    one_hot,
    one_hot_table,
    reverse_complement,
)
from kipoi_motifrep.sequences.fasta import resize


@given(dna)
def test_one_hot_is_the_average_of_the_letters_bases(text):
    np.testing.assert_array_equal(one_hot(codes_of(text)), naive.one_hot(text))


@pytest.mark.parametrize("alphabet", ["ACGT", "AGCT", "TGCA", list("CATG")])
@pytest.mark.parametrize("outside", [0, 0.25])
def test_one_hot_in_another_order_of_letters(alphabet, outside):
    text = LETTER + naive.PAD
    table = one_hot_table(alphabet=alphabet, outside=outside)
    np.testing.assert_array_equal(one_hot(padded(text), table), naive.one_hot(text, "".join(alphabet), outside))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "float32", "float64", "int64"])
def test_one_hot_keeps_shape_and_dtype(dtype):
    codes = np.random.default_rng(0).integers(0, 5, (3, 7, 2)).astype(np.uint8)
    result = one_hot(codes, one_hot_table(dtype))
    assert result.shape == (3, 7, 2, 4) and result.dtype == dtype
    expected = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.25] * 4]).astype(dtype)
    np.testing.assert_array_equal(result, expected[codes])


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_one_hot_of_nothing(shape):
    assert one_hot(np.zeros(shape, np.uint8)).shape == (*shape, 4)


def test_one_hot_of_a_view_that_is_not_contiguous():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    np.testing.assert_array_equal(one_hot(codes.T[::-1]), np.eye(4, dtype=np.float32)[codes.T[::-1]])


@pytest.mark.parametrize("alphabet", ["ACG", "ACGU", "ACGTN", "AACG", ""])
def test_an_alphabet_that_is_no_order_of_acgt_is_refused(alphabet):
    with pytest.raises(InputError, match="alphabet"):
        one_hot_table(alphabet=alphabet)


@pytest.mark.parametrize("byte", [0, *b"-*.XJOZ1 \t\n\xff>"])
def test_what_is_no_letter_is_invalid(byte):
    assert encode(np.array([byte], np.uint8))[0] == INVALID


@given(dna)
def test_decode_undoes_encode(text):
    assert decode(codes_of(text)) == text.upper().replace("U", "T")


def test_decode_shows_outside_as_n():
    assert decode(padded("AC..")) == "ACNN"


@given(dna)
def test_reverse_complement_equals_the_naive_one_and_undoes_itself(text):
    result = reverse_complement(codes_of(text))
    assert decode(result) == naive.reverse_complement(text).replace("U", "T")
    np.testing.assert_array_equal(reverse_complement(result), codes_of(text))


def test_reverse_complement_of_one_hot_is_a_flip_of_both_axes():
    codes = padded(LETTER + "..AAC")
    np.testing.assert_array_equal(one_hot(reverse_complement(codes)), one_hot(codes)[::-1, ::-1])


def test_reverse_complement_works_on_the_last_axis():
    codes = np.random.default_rng(1).integers(0, 16, (2, 3, 5)).astype(np.uint8)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(reverse_complement(codes)[i, j], reverse_complement(codes[i, j]))


@pytest.mark.parametrize(
    "alphabet_axis, dummy_axis",
    [(a, d) for a in range(3) for d in (None, 0, 1, 2) if a != d and (d is not None or a < 2)],
)
def test_arrange_equals_kipoiseq(alphabet_axis, dummy_axis):
    from kipoiseq.transforms import ReorderedOneHot

    text = "ACGTTGN"
    theirs = ReorderedOneHot(alphabet_axis=alphabet_axis, dummy_axis=dummy_axis, dtype=np.float32)
    ours = arrange(one_hot(codes_of(text))[None], alphabet_axis=alphabet_axis, dummy_axis=dummy_axis)
    np.testing.assert_array_equal(ours[0], theirs(text))
    assert ours.flags.c_contiguous


@pytest.mark.parametrize(
    "axes",
    [
        {"alphabet_axis": 2},
        {"alphabet_axis": -1},
        {"alphabet_axis": 3, "dummy_axis": 0},
        {"alphabet_axis": None},
        {"alphabet_axis": 1, "dummy_axis": 1},
        {"dummy_axis": 3},
        {"dummy_axis": -1},
    ],
)
def test_arrange_refuses_axes_that_do_not_exist(axes):
    with pytest.raises(InputError, match=r"alphabet_axis|dummy_axis"):
        arrange(np.zeros((1, 5, 4)), **axes)


@given(st.text("ACGT", min_size=1, max_size=30), st.integers(1, 60))
def test_resize_is_that_of_an_interval(text, length):
    start = naive.resized(0, len(text), length)
    np.testing.assert_array_equal(resize(codes_of(text), length), padded(naive.fetch(text, start, length)))
