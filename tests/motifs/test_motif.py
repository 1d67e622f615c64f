"""The Motif type, and what is computed from it alone."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.motif_strategies import BACKGROUND, COUNTS, PWM, pwms

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import Motif, information_content, trim_bounds


def test_motif_fields_and_defaults():
    motif = Motif("m", PWM)
    assert (motif.width, motif.alt_name, motif.nsites, motif.counts, motif.tf_class) == (4, "", None, None, ())
    assert "width 4" in repr(motif)


def test_motif_is_frozen_and_keeps_its_own_copy():
    pwm = PWM.copy()
    motif = Motif("m", pwm)
    pwm[0] = 0.25
    np.testing.assert_array_equal(motif.pwm, PWM)
    with pytest.raises(ValueError):
        motif.pwm[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        motif.name = "other"


def test_motifs_compare_by_value():
    assert Motif("m", PWM) == Motif("m", PWM)
    assert hash(Motif("m", PWM)) == hash(Motif("m", PWM))
    assert Motif("m", PWM) != Motif("n", PWM)
    assert Motif("m", PWM) != Motif("m", PWM[::-1])
    assert Motif("m", PWM) != Motif("m", PWM, counts=COUNTS)
    assert pickle.loads(pickle.dumps(Motif("m", PWM, counts=COUNTS))) == Motif("m", PWM, counts=COUNTS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": " "}, "needs a name"),
        ({"pwm": PWM.T[:3]}, "position"),
        ({"pwm": PWM[:, :3]}, r"\(width, 4\)"),
        ({"pwm": np.zeros((0, 4))}, r"\(width, 4\)"),
        ({"pwm": PWM[0]}, r"\(width, 4\)"),
        ({"pwm": [[np.nan, 0.5, 0.25, 0.25]]}, "finite"),
        ({"pwm": [[np.inf, 0, 0, 0]]}, "finite"),
        ({"pwm": [[-0.5, 0.5, 0.5, 0.5]]}, "negative"),
        ({"pwm": [[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5]]}, "position 2 sums to 2"),
        ({"pwm": [["a", 0, 0, 1]]}, "numbers"),
        ({"counts": COUNTS[:2]}, "differ in shape"),
        ({"counts": -COUNTS}, "negative"),
        ({"nsites": -1}, "nsites"),
        ({"nsites": float("nan")}, "nsites"),
    ],
)
def test_motif_refuses_what_is_no_motif(fields, message):
    with pytest.raises(InputError, match=message):
        Motif(**{"name": "m", "pwm": PWM, **fields})


def test_rows_slightly_off_one_are_kept_as_they_are():
    pwm = np.array([[0.33, 0.33, 0.33, 0], [0.25, 0.25, 0.25, 0.26]])
    np.testing.assert_array_equal(Motif("m", pwm).pwm, pwm)


@pytest.mark.parametrize(
    ("row", "letter"),
    [
        ([1, 0, 0, 0], "A"),
        ([0.51, 0.2, 0.2, 0.09], "A"),
        ([0.5, 0.2, 0.2, 0.1], "N"),
        ([0.5, 0.3, 0.1, 0.1], "M"),
        ([0, 0.4, 0, 0.6], "Y"),
        ([0, 0.5, 0.5, 0], "S"),
        ([0.4, 0.3, 0.3, 0], "V"),
        ([0, 0.4, 0.3, 0.3], "B"),
        ([0.3, 0, 0.3, 0.4], "D"),
        ([0.4, 0.3, 0, 0.3], "H"),
        ([0.25, 0.25, 0.25, 0.25], "N"),
        ([0.6, 0.39, 0.01, 0], "M"),
    ],
)
def test_consensus_follows_cavener(row, letter):
    assert Motif("m", [row]).consensus == letter


# Information content


def test_uniform_column_has_exactly_no_information():
    np.testing.assert_array_equal(information_content(np.full((3, 4), 0.25)), 0)
    np.testing.assert_array_equal(information_content(np.array([BACKGROUND]), BACKGROUND), 0)


def test_information_of_known_columns():
    np.testing.assert_allclose(
        information_content(np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.25, 0.25, 0]])), [2, 1, 0.5]
    )
    np.testing.assert_allclose(information_content(np.array([[0, 1, 0, 0]]), BACKGROUND), np.log2(5))


@given(pwms(), pwms(max_width=1))
def test_information_is_the_relative_entropy(pwm, background):
    background = (background[0] + 0.01) / 1.04
    expected = [sum(p * np.log2(p / b) for p, b in zip(row, background, strict=True) if p > 0) for row in pwm]
    np.testing.assert_allclose(information_content(pwm, background), np.maximum(expected, 0), atol=1e-12)
    motif = Motif("m", pwm)
    assert motif.total_information() == pytest.approx(
        sum(2 + sum(p * np.log2(p) for p in row if p > 0) for row in pwm), abs=1e-9
    )


@pytest.mark.parametrize(
    "background", [[0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], [0.5, 0.5], [np.nan] * 4, [0.27, 0.24, 0.24, 0.27]]
)
def test_background_must_sum_to_one(background):
    with pytest.raises(InputError, match="background"):
        information_content(PWM, background)


# Trimming and reverse complement


def pattern(text):
    """Make a PWM of sharp (X) and uniform (.) positions."""
    return np.array([[1, 0, 0, 0] if letter == "X" else [0.25] * 4 for letter in text], float)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("X.......", (0, 4)),
        (".......X", (4, 8)),
        ("........", (0, 8)),
        ("....X.....", (1, 8)),
        (".....X.X......", (2, 11)),
        ("XXXX", (0, 4)),
        (".", (0, 1)),
    ],
)
def test_trimming_pads_by_three_and_keeps_flat_motifs(text, bounds):
    assert trim_bounds(pattern(text)) == bounds


def test_trimming_threshold_is_exclusive_and_settable():
    half = np.array([[0.25] * 4, [0.5, 0.25, 0.25, 0], [0.25] * 4])
    assert trim_bounds(half, threshold=0.5, pad=0) == (0, 3)
    assert trim_bounds(half, threshold=0.49, pad=0) == (1, 2)


def test_trimmed_motif_keeps_names_and_cuts_counts():
    motif = Motif("m", pattern("X......"), "alt", 9, pattern("X......") * 9, ("c",), ("f",)).trimmed()
    assert motif == Motif("m", pattern("X..."), "alt", 9, pattern("X...") * 9, ("c",), ("f",))


@given(pwms(), st.floats(0, 2), st.integers(0, 5))
def test_trimming_matches_a_plain_search(pwm, threshold, pad):
    above = [i for i, bits in enumerate(information_content(pwm)) if bits > threshold]
    expected = (max(0, above[0] - pad), min(len(pwm), above[-1] + pad + 1)) if above else (0, len(pwm))
    assert trim_bounds(pwm, threshold, pad) == expected


@given(pwms())
def test_reverse_complement_is_an_involution(pwm):
    motif = Motif("m", pwm, "alt", 5, pwm * 5)
    other = motif.reverse_complement()
    assert other.reverse_complement() == motif
    for i, row in enumerate(other.pwm):
        np.testing.assert_array_equal(row, [pwm[-1 - i][3 - letter] for letter in range(4)])
