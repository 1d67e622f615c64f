"""The type of a report: what it refuses, and its file."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reports import Page, example

from kipoi_motifrep import InputError
from kipoi_motifrep.report.comparison import comparison_page
from kipoi_motifrep.report.page import report_page
from kipoi_motifrep.report.schema import (
    FilterGroup,
    FilterRow,
    GroupMember,
    HeatMap,
    Metric,
    NetworkSummary,
    PartnerRow,
    PlantedRow,
    Planting,
    Report,
    read_interpretation,
    write_interpretation,
)


def test_json_round_trip(report):
    assert Report.from_json(report.to_json()) == report


def test_only_the_network_and_filters_are_needed():
    bare = Report(NetworkSummary("n", 1, 4), [FilterRow("f", np.full((4, 4), 0.25), (0, 4), 0, 0, 0)])
    assert Report.from_json(bare.to_json()) == bare
    page = Page(report_page(bare))
    assert not {"figures", "groups", "outputs", "chance", "truth"} & set(page.ids)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.text(max_size=20),
    st.lists(finite, min_size=4, max_size=4),
    st.none() | finite,
    st.booleans(),
    st.dictionaries(st.text(max_size=5), st.none() | finite | st.text(max_size=5) | st.lists(st.integers())),
)
def test_json_round_trip_of_any_values(text, row, number, flag, parameters):
    filters = [FilterRow("f", [row], (0, 1), 3, 0.5, 1.0, importance=[number], kernel=[row] if flag else None)]
    made = Report(
        NetworkSummary(text, 1, 1, description=text),
        filters,
        text,
        [Metric("k", text, number)],
        outputs=[text],
        parameters=parameters,
        groups=[] if flag else None,
    )
    assert Report.from_json(made.to_json()) == made


def test_arrays_become_plain_values():
    row = FilterRow(
        "f",
        np.full((2, 4), 0.25),
        np.array([0, 2]),
        np.int64(3),
        np.float32(0.5),
        np.float64(2),
        importance=np.array([0.5, np.nan]),
    )
    assert row.pwm == ((0.25,) * 4,) * 2 and row.trim == (0, 2) and row.importance == (0.5, None)
    assert type(row.n_sites) is int and type(row.fraction_firing) is float
    hash(row)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pwm": np.full((3, 3), 0.3)}, "four columns"),
        ({"pwm": [[np.nan] * 4]}, "finite"),
        ({"trim": (2, 2)}, "trim"),
        ({"trim": (0, 99)}, "trim"),
        ({"status": "asleep"}, "status"),
        ({"extent": "half"}, "extent"),
    ],
)
def test_filters_are_checked(changes, message):
    values = {
        "name": "f",
        "pwm": np.full((4, 4), 0.25),
        "trim": (0, 4),
        "n_sites": 1,
        "fraction_firing": 1,
        "maximum": 1,
    }
    with pytest.raises(InputError, match=message):
        FilterRow(**values | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": ("a",)}, "outputs"),
        ({"nulls": ()}, "nulls"),
        ({"heat_maps": (HeatMap("h", ()),)}, "filters"),
        ({"groups": (FilterGroup(1, (GroupMember("nobody"),)),)}, "nobody"),
        ({"planting": Planting(64, "random", ("logit",))}, "units of planted motifs: 1 values for 12 outputs"),
    ],
)
def test_parts_must_fit_together(report, changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(report, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"planted": (PlantedRow("sampled", "centre", "+", 1, (1.0,), (0.1,)),)}, "1 values for 12 outputs"),
        ({"partner": PartnerRow("filter0", "nothing", "+", (9,), (1.0,), (0.1,))}, "partner of filter0"),
        ({"partner": PartnerRow("nobody", "MAX", "+", (9,), (1.0,), (0.1,))}, "partner of filter0"),
    ],
)
def test_planted_motifs_are_of_the_reports_outputs_and_filters(report, changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(report, filters=(dataclasses.replace(report.filters[0], **changes), *report.filters[1:]))


@pytest.mark.parametrize(
    "values",
    [
        ("drawn", "centre", "+", 1, (1.0,), (0.1,)),
        ("sampled", "left", "+", 1, (1.0,), (0.1,)),
        ("sampled", "centre", "?", 1, (1.0,), (0.1,)),
        ("sampled", "centre", "+", 1, (1.0,), (0.1, 0.2)),
    ],
)
def test_planted_motifs_are_checked(values):
    with pytest.raises(InputError, match="planted motif"):
        PlantedRow(*values)


def test_filter_names_are_unique(report):
    with pytest.raises(InputError, match="one name"):
        dataclasses.replace(report, filters=(report.filters[0],) * 2, groups=None, heat_maps=())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 99}',
        '{"format": 1}',
        '{"format": 1, "filters": 3}',
        '{"format": 1, "network": [], "filters": []}',
        '{"format": 1, "network": "a"}',
        '{"format": 1, "network": null, "filters": [1]}',
    ],
)
def test_damaged_files_are_named(tmp_path, text):
    (tmp_path / "interpretation.json").write_text(text)
    with pytest.raises(InputError, match=r"interpretation\.json.*interpret"):
        read_interpretation(tmp_path)


def test_a_cut_off_file_is_named(tmp_path, report):
    text = write_interpretation(tmp_path, report).read_text()
    assert read_interpretation(tmp_path) == report
    (tmp_path / "interpretation.json").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"interpretation\.json"):
        read_interpretation(tmp_path)


WRONG = ("<script>alert(1)</script>", 1e300, -5, None, [], {"a": "<b>"}, ["<b>"], True, 10**400)


def places(value, path=()):
    """All places of a JSON value, of long lists the first few."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(min(3, len(value))) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@settings(deadline=None)
@given(st.data())
def test_whatever_stands_in_a_file_comes_a_page_or_one_line(data):
    whole = json.loads(example(14).to_json())
    path = data.draw(st.sampled_from(list(places(whole))))
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(st.sampled_from(WRONG))
    try:
        read = Report.from_json(json.dumps(whole))
        pages = report_page(read) + comparison_page([read])
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert "<script>alert" not in pages
