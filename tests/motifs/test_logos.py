import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kipoi_motifrep import InputError, Motif, information_content
from kipoi_motifrep.motifs.logos import (
    COLOURS,
    COLUMN,
    GLYPHS,
    HEIGHT,
    Logo,
    glyph_definitions,
    information_logo,
    probability_logo,
    signed_logo,
    ticks_between,
)

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
MAX = np.array([[0.1, 0.7, 0.1, 0.1], [0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25], [0, 0, 0.5, 0.5]])

pwms = (
    st.integers(1, 25)
    .flatmap(lambda width: arrays(float, (width, 4), elements=st.floats(0, 1)))
    .map(lambda values: (values + 1e-9) / (values + 1e-9).sum(axis=1, keepdims=True))
)
weights = st.integers(1, 25).flatmap(lambda width: arrays(float, (width, 4), elements=st.floats(-1e6, 1e6)))


def drawn(svg):
    """(letter, x, top, height) of each letter of an SVG, in drawing units."""
    found = []
    for use in ET.fromstring(svg).iter("use"):
        a, b, c, stretch, x, y = map(float, re.fullmatch(r"matrix\((.*)\)", use.get("transform")).group(1).split())
        assert (a, b, c) == (1, 0, 0)
        found.append((use.get("href").removeprefix("#l"), x, y, stretch * HEIGHT))
    return found


def stacks(logo):
    """Plain reference: (letter, position, top, height), all letters, stacked from the axis outwards."""
    found = []
    for position, row in enumerate(logo.heights):
        top = 0
        for height, letter in sorted(zip(row, "ACGT", strict=True), key=lambda pair: pair[0]):
            if height > 0:
                top += height
                found.append((letter, position, top, height))
        bottom = 0
        for height, letter in sorted(zip(row, "ACGT", strict=True), key=lambda pair: -pair[0]):
            if height < 0:
                found.append((letter, position, bottom, -height))
                bottom += height
    return found


@given(pwms)
def test_information_heights_add_up_to_the_information(pwm):
    logo = information_logo(pwm)
    np.testing.assert_allclose(logo.heights.sum(axis=1), information_content(pwm), atol=1e-9)
    assert logo.heights.min() >= 0 and logo.heights.max() <= 2 + 1e-9
    # A letter's share of its position is its probability.
    np.testing.assert_allclose(logo.heights, pwm * information_content(pwm)[:, None], atol=1e-9)


@given(pwms)
def test_probability_logos_are_equally_high(pwm):
    np.testing.assert_allclose(probability_logo(pwm).heights.sum(axis=1), 1)


@given(st.one_of(pwms.map(information_logo), pwms.map(probability_logo), weights.map(signed_logo)))
def test_letters_lie_where_a_plain_reference_puts_them(logo):
    scale = HEIGHT / (logo.top - logo.bottom)
    # Letters too short to be seen are left out, but take up their room.
    expected = sorted(
        (position, round((logo.top - top) * scale, 3), letter, height * scale)
        for letter, position, top, height in stacks(logo)
        if height * scale >= 1.5
    )
    found = sorted((x / COLUMN, y, letter, height) for letter, x, y, height in drawn(logo.svg()))
    # Sorting is by rounded numbers: compare as sets of near-equal entries.
    assert len(found) == len(expected)
    unmatched = list(expected)
    for position, y, letter, height in found:
        near = next(e for e in unmatched if e[0] == position and e[2] == letter)
        unmatched.remove(near)
        assert y == pytest.approx(near[1], abs=0.06) and height == pytest.approx(near[3], abs=0.06)
        assert -0.1 <= y and y + height <= HEIGHT + 0.1


@given(weights)
def test_every_file_is_well_formed_and_inside_its_axis(values):
    logo = signed_logo(values)
    assert logo.bottom <= 0 < logo.top
    text = logo.file()
    assert "nan" not in text and "inf" not in text
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"


def test_signed_letters_hang_below_the_axis():
    logo = signed_logo([[2, -1, 0, -3], [1, 0, 0, 0]])
    assert (logo.top, logo.bottom) == (2, -4)
    places = {(letter, x // COLUMN): (y, height) for letter, x, y, height in drawn(logo.svg())}
    axis = HEIGHT * 2 / 6
    assert places["A", 0] == pytest.approx((0, axis), abs=0.06)
    assert places["C", 0] == pytest.approx((axis, HEIGHT / 6), abs=0.06)  # the smaller one is nearer to the axis
    assert places["T", 0] == pytest.approx((HEIGHT / 2, HEIGHT / 2), abs=0.06)


@pytest.mark.parametrize(
    "values", [np.zeros((3, 4)), -np.ones((2, 4)), np.full((1, 4), 5e-324), np.full((1, 4), 1e-307)]
)
def test_signed_logos_without_positive_weights(values):
    logo = signed_logo(values)
    assert logo.top > 0
    ET.fromstring(logo.svg(axis=True))


def test_uniform_positions_have_no_letters():
    logo = information_logo(np.full((19, 4), 0.25), "dead")
    assert list(logo.letters()) == [] and logo.title == "dead: " + "N" * 19
    ET.fromstring(logo.svg())


def test_the_title_is_read_out_and_escaped():
    svg = ET.fromstring(information_logo(MAX, '<script>"&').svg())
    assert svg.get("role") == "img" and svg.find("title").text == '<script>"&: CANK'
    assert information_logo(Motif("M", MAX)).title == "CANK"


def test_glyphs_stand_once_on_a_page_and_every_link_finds_one():
    page = glyph_definitions() + "".join(information_logo(MAX).svg() for _ in range(3))
    ids = re.findall(r'id="([^"]+)"', page)
    assert sorted(ids) == ["lA", "lC", "lG", "lT"]
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    root = ET.fromstring(information_logo(MAX).file())
    names = [path.get("id") for path in root.iter(f"{SVG}path") if path.get("id")]
    assert sorted(names) == ["lA", "lC", "lG", "lT"]
    assert {use.get(LINK)[1:] for use in root.iter(f"{SVG}use")} <= set(names)


def test_glyphs_fill_their_box_and_have_only_pairs_of_numbers():
    for outline in GLYPHS.values():
        commands = re.findall(r"([A-Za-z])([^A-Za-z]*)", outline)
        numbers = []
        for command, values in commands:
            values = [float(value) for value in values.split()]
            assert command in "MLCZ" and len(values) == {"M": 2, "L": 2, "C": 6, "Z": 0}[command]
            numbers += zip(values[::2], values[1::2], strict=True)
        xs, ys = zip(*numbers, strict=True)
        assert min(ys) == 0 and max(ys) == 100 and 0 <= min(xs) < 1 and COLUMN - 1 < max(xs) <= COLUMN


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira & Fernandes (2009) IEEE TVCG 15:1291, severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_everybody_and_stand_out_from_paper(vision):
    seen = [lab(np.array(VISION[vision]) @ linear(colour)) for colour in COLOURS.values()]
    assert min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]) > 25
    for colour in COLOURS.values():
        assert 1.05 / (linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3


@given(st.floats(-1e6, 0), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_inside(low, high):
    ticks = ticks_between(low, high)
    assert 3 <= len(ticks) <= 8 and 0 in ticks
    assert low - 1e-6 * (high - low) <= ticks[0] and ticks[-1] <= high + 1e-6 * (high - low)


@pytest.mark.parametrize(("low", "high", "expected"), [(0, 2, [0, 1, 2]), (0, 1, [0, 0.5, 1]), (-4, 2, [-4, -2, 0, 2])])
def test_ticks(low, high, expected):
    assert ticks_between(low, high) == expected


def test_a_background_raises_the_axis():
    logo = information_logo([[1, 0, 0, 0]], background=[0.125, 0.375, 0.375, 0.125])
    assert logo.top == pytest.approx(3) and logo.heights[0, 0] == pytest.approx(3)


@pytest.mark.parametrize("values", [np.zeros((3, 3)), np.zeros(4), [[np.nan, 0, 0, 0]], [[np.inf, 0, 0, 0]]])
def test_bad_matrices_are_named(values):
    with pytest.raises(InputError, match="width, 4"):
        signed_logo(values)
    with pytest.raises(InputError, match="width, 4"):
        Logo(np.array(values), "x")


def test_an_axis_without_zero_is_refused():
    with pytest.raises(InputError, match="hold 0"):
        Logo(np.ones((2, 4)), "x", top=2, bottom=1)


def test_300_logos_stay_small():
    rng = np.random.default_rng(1)
    page = "".join(information_logo(rng.dirichlet(np.full(4, 0.3), 15)).svg() for _ in range(300))
    assert len(page) < 1_000_000
