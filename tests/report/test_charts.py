"""Charts of one filter, read back from the drawing."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from math import log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kipoi_motifrep.report.charts import (
    MOST_OUTPUTS,
    ROW,
    extent_chart,
    heights_chart,
    partner_chart,
    places_chart,
    planted_chart,
)
from kipoi_motifrep.report.schema import FilterRow, MatchRow, NetworkSummary, PartnerRow, PlantedRow, Report, SitesRow

numbers = st.floats(-1e6, 1e6)
maybe = st.none() | numbers


def bars(svg):
    """Heights of all bars, from the left, and how many of them do not stand out."""
    found, below = [], 0
    for kind, d in re.findall(r'<path class="(bars[^"]*)"[^>]* d="([^"]*)"', svg):
        found += [62 - int(top) for top in re.findall(r"V(\d+)h1", d)]
        below += (kind == "bars") * d.count("h1")
    return found, below


def planted(change, error=None, **way):
    way = {"form": "sampled", "place": "centre", "orientation": "+", "copies": 1, **way}
    return PlantedRow(**way, change=change, error=[0.1] * len(change) if error is None else error)


def dots(svg, kind="dot"):
    """Places of the dots of one kind: (x, row)."""
    d = re.search(rf'<path class="{kind}" d="([^"]*)"', svg).group(1)
    return [(int(x), int(y) // ROW) for x, y in re.findall(r"M(-?\d+) (\d+)h0", d)]


def test_heights_are_logarithms_and_what_passes_the_level_stands_out():
    heights = (900, 40, 10, 3, 0, 1)
    svg = heights_chart(SitesRow(heights, 0.5, 1.0, ()), "f")
    found, below = bars(svg)
    assert found == [round(62 * log1p(count) / log1p(900)) for count in heights]
    assert below == 3  # never above 0, up to 0.5, up to 1.0
    assert f'class="limit" d="M{250 / 6 * 3:.0f} 0' in svg and "up to 2.5; sites above 1.0" in svg


def test_places_are_counts():
    found, below = bars(places_chart(SitesRow((1,), 1.0, 1.0, (0, 4, 8, 2)), "f", 200))
    assert found == [0, 31, 62, round(62 / 4)] and below == 0


@given(st.lists(st.tuples(maybe, maybe), min_size=1, max_size=40))
def test_planted_dots_lie_in_the_order_of_the_changes(values):
    change, error = zip(*values, strict=True)
    outputs = [f"output {i}" for i in range(len(values))]
    names, svg = planted_chart([planted(change, [None if e is None else abs(e) for e in error])], outputs, "f")
    ET.fromstring(svg)
    known = [i for i, one in enumerate(change) if one is not None]
    kept = [outputs.index(name) for name in names]
    assert kept == sorted(kept) and len(kept) == min(MOST_OUTPUTS, len(known))
    assert min((abs(change[i]) for i in kept), default=0) >= max(
        (abs(change[i]) for i in set(known) - set(kept)), default=0
    )
    found = dots(svg)
    assert [row for _, row in found] == list(range(len(kept)))
    order = sorted(range(len(kept)), key=lambda place: change[kept[place]])
    assert all(found[a][0] <= found[b][0] for a, b in pairwise(order))
    zero = int(re.search(r'class="ax" d="M(-?\d+) 0V', svg).group(1))
    assert all((x >= zero) if change[i] > 0 else (x <= zero) for (x, _), i in zip(found, kept, strict=True))


def test_the_same_way_reversed_is_drawn_below_and_other_ways_are_not():
    ways = [planted((1.0, -2.0)), planted((9.0, 9.0), copies=2), planted((-1.0, 2.0), orientation="-")]
    _, svg = planted_chart(ways, ("a", "b"), "f")
    assert svg.index('class="dot turned"') < svg.index('class="dot"')
    (a, b), (c, d) = dots(svg), dots(svg, "dot turned")
    assert a[0] > b[0] and c[0] < d[0]
    assert svg.count("<path") == 6 and "b \u22122.0 ± 0.10, a +1.0 ± 0.10" in svg


@given(st.lists(st.tuples(st.integers(-80, 80), maybe, maybe), min_size=1, max_size=20, unique_by=lambda one: one[0]))
def test_partners_are_drawn_along_the_distance_and_broken_at_0(points):
    points = sorted(points)
    distances, values, errors = zip(*points, strict=True)
    partner = PartnerRow("g", "out", "+", distances, values, [None if e is None else abs(e) for e in errors])
    svg = partner_chart(partner, "f")
    ET.fromstring(svg)
    known = [(distance, value) for distance, value in zip(distances, values, strict=True) if value is not None]
    d = re.search(r'class="line" d="([^"]*)"', svg).group(1)
    drawn = [(kind, int(x), int(y)) for kind, x, y in re.findall(r"([ML])(-?\d+) (-?\d+)", d)]
    assert len(drawn) == len(known)
    assert [kind for kind, _, _ in drawn] == [
        "M" if i == 0 or (known[i - 1][0] < 0) != (known[i][0] < 0) else "L" for i in range(len(known))
    ]
    assert [x for _, x, _ in drawn] == sorted(x for _, x, _ in drawn)
    for (_, low), (_, high) in pairwise(sorted(known, key=lambda one: one[1])):
        place = {value: y for (_, value), (_, _, y) in zip(known, drawn, strict=True)}
        assert place[low] >= place[high]  # up is more


@pytest.mark.parametrize("judged", [True, False])
def test_bars_of_networks_are_paler_where_like_chance(judged):
    match = MatchRow("MA1", "X", 0.1, None, 0.1, 0, "+", 1, [[0.25] * 4])
    rows = [
        FilterRow(f"f{i}", [[0.25] * 4], (0, 1), 1, 1, 1, matches=(match,), extent="whole", called=judged and i == 0)
        for i in range(4)
    ]
    svg = extent_chart([Report(NetworkSummary("n", 4, 1), rows)], ["n"])
    widths = dict(re.findall(r'<rect class="([^"]*)"[^>]* width="([\d.]+)"', svg))
    assert widths == ({"whole": "115.0", "whole pale": "345.0"} if judged else {"whole pale": "460.0"})
    assert ("1 whole motifs, 3 whole motifs like chance" in svg) == judged
