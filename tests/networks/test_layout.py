"""Axis order and alphabet of the DNA input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_networks import CODES, KERAS, LENGTH, Torch, assert_reads_as_described, nn, nn1d

from kipoi_motifrep import InputError
from kipoi_motifrep.networks.layout import Layout
from kipoi_motifrep.networks.loading import open_network


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("L,1,4", "L14"),
        ("1,L,4", "1L4"),
        ("L,4,1", "L41"),
        ("4,L,1", "4L1"),
        ("permuted", "4L"),
        ("channels first, 2D", "41L"),
    ],
)
def test_axes_are_named(name, axes):
    assert "".join(open_network(KERAS[name]()).layout.axes) == axes


def test_axes_overrule_a_schema_of_a_torch_model():
    module = Torch(nn1d, before=lambda x: x.permute(0, 2, 1))
    assert open_network(module, axes="L,4", length=LENGTH).layout.axes == ("L", "4")


def test_kernel_along_the_dummy_axis_is_not_taken_for_a_layout():
    module = Torch(lambda: nn.Conv2d(4, 3, (5, 1), padding="same", bias=False))
    network = open_network(module, length=LENGTH)
    assert network.layout.axes in (("4", "L", "1"),)
    assert_reads_as_described(network)


def test_alphabet_and_axes_can_be_set():
    network = open_network(KERAS["same"](), alphabet="AGCT", axes="(L, 4)")
    assert network.layout == Layout(("L", "4"), "AGCT")
    assert_reads_as_described(network)


def test_axes_that_fit_no_input():
    with pytest.raises(InputError, match=r"axes '4,L' fit no input of this model \(.*\(23, 4\)\)"):
        open_network(KERAS["valid"](), axes="4,L")


@pytest.mark.parametrize("axes", ["L,4", "4,L", "4,1,L", "1,4,L", "L,1,4", "1,L,4", "flat", "4*L"])
def test_layout_round_trip(axes):
    layout = Layout.parse(axes, "TGCA")
    encoded = layout.encode(CODES)
    assert encoded.shape[1:] == layout.shape(LENGTH)
    np.testing.assert_array_equal(layout.decode(encoded), CODES)


def test_quarters_and_ties_are_no_base():
    rows = np.array([[[0.25] * 4, [0, 0.5, 0.5, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]]])
    assert Layout.parse("L,4").decode(rows).tolist() == [[4, 4, 4, 2, 3]]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    axes=st.sampled_from(["L,4", "4,L", "1,4,L", "4*L"]),
    dtype=st.sampled_from([np.float32, np.float64, np.float16, np.int8, bool]),
    shift=st.sampled_from([0, -0.25]),
    alphabet=st.permutations("ACGT").map("".join),
)
def test_decoding_takes_the_one_largest(seed, axes, dtype, shift, alphabet):
    """Any rows of zeros, ones, halves and quarters, in any order of bases, and centred ones."""
    random = np.random.default_rng(seed)
    rows = random.choice([0, 0, 0, 0.25, 0.5, 1], (3, 6, 4)).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        rows = rows + dtype(shift)
    expected = [[letter_of(row, alphabet) for row in sequence] for sequence in rows]
    layout = Layout.parse(axes, alphabet)
    assert layout.decode(layout.from_one_hot(rows)).tolist() == expected


def letter_of(row, alphabet):
    best = [base for base, value in zip(alphabet, row, strict=True) if value == max(row)]
    return "ACGT".index(best[0]) if len(best) == 1 else 4


@pytest.mark.parametrize("axes", ["L", "L,L,4", "L,5", "4,4"])
def test_wrong_axes(axes):
    with pytest.raises(InputError, match="axes"):
        Layout.parse(axes)
