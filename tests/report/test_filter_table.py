"""The rows of the filters, and what is folded below them."""

import dataclasses
import re
from html import unescape

import numpy as np
import pytest
from support.reports import EVIL, Page, example

from kipoi_motifrep.report.filter_table import filter_table, largest
from kipoi_motifrep.report.page import report_page
from kipoi_motifrep.report.schema import FamilyMember, Metric, PlantedRow


def table(report):
    return filter_table(report, {row.name: f"filter-{i}" for i, row in enumerate(report.filters)})


def bodies(html):
    """Each filter's part of the table."""
    return re.findall(r"<tbody id=.*?(?=\n<tbody id=|\n</table>)", html, flags=re.DOTALL)


def words(html):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def changed(report, i=0, **values):
    rows = list(report.filters)
    rows[i] = dataclasses.replace(rows[i], **values)
    return dataclasses.replace(report, filters=rows)


@pytest.mark.parametrize(
    ("change", "way", "said"),
    [(0.03, "up", "+0.030 raises YY1"), (-0.5, "down", "\u22120.50 lowers YY1"), (0, "none", "0")],
)
def test_a_filter_that_raises_an_output_is_positive(report, change, way, said):
    """In words, in colour, and whatever the output that it changes a little more."""
    effect = [1.0] + [0.0] * 10 + [change]
    planted = (PlantedRow("sampled", "centre", "+", 1, [0.0] * 11 + [change], [0.1] * 12),)
    [body, *_] = bodies(table(changed(report, importance=effect, speaks_for=("YY1",), planted=planted)))
    cells = re.findall(r'<td class=num data-label="(Importance|Planted)"(.*?)</td>', body)
    assert [name for name, _ in cells] == ["Importance", "Planted"]
    assert f'<span class="{way}">' in cells[0][1] and said in words(f"<td {cells[0][1]}")
    assert f'data-importance="{abs(change)}"' in cells[0][1] and f'data-importance-change="{change}"' in cells[0][1]
    if change:
        assert f'<span class="{way}">' in cells[1][1] and said in words(f"<td {cells[1][1]}")


def test_without_an_own_output_the_largest_effect_is_shown(report):
    [body, *_] = bodies(table(changed(report, importance=[0.1, -0.7, *[0] * 10], speaks_for=())))
    assert "\u22120.70 lowers CEBPB" in words(body)
    assert largest((None, None), "ab") is None


def test_columns_are_there_where_some_filter_has_something(report):
    assert "Planted" in table(report) and 'data-sort="chance"' not in table(report)
    bare = [
        dataclasses.replace(row, planted=(), importance=None, speaks_for=(), partner=None) for row in report.filters
    ]
    html = table(dataclasses.replace(report, filters=bare))
    for title in ("Planted", "Importance", "Speaks for", "Chance"):
        assert f'data-label="{title}"' not in html
    assert len(set(re.findall(r'colspan="(\d+)"', html))) == 1


def test_rows_like_chance_say_so(report):
    values = {"p_chance": 0.4, "fdr": 0.6, "called": False}
    judged = changed(changed(report, **values), 1, p_chance=0.001, fdr=0.004, called=True)
    chance, called, other, *_ = bodies(table(judged))
    assert 'class="chance"' in chance and 'data-called="no"' in chance and "like chance" in words(chance)
    assert 'data-chance="0.4"' in chance and "FDR 0.60" in words(chance)
    assert 'class="chance"' not in called and 'data-called="yes"' in called and "like chance" not in words(called)
    assert "data-called" not in other and "data-chance" not in other
    page = Page(report_page(judged))
    assert {"called", "chance"} <= {attributes.get("value") for attributes in page.all("option")}
    said = " ".join(page.text)
    assert "called (1)" in said and "like chance (1)" in said


def test_all_names_of_further_matches_are_there(report):
    row = report.filters[0]
    members = [FamilyMember(f"MA9{i:03d}.1", f"Member{i}", 10.0**-i) for i in range(6)]
    first, second, *rest = row.matches
    matches = (
        dataclasses.replace(first, members=members[:2]),
        dataclasses.replace(second, members=members[2:4]),
        *rest,
    )
    [body, *_] = bodies(table(changed(report, matches=matches, more=members[4:], n_more=5)))
    found = "".join(re.findall(r'class="(?:small )?found">(.*?)</(?:tbody|div)>', body, flags=re.DOTALL))
    for one in (*matches[1:], *members):
        assert one.name in found and one.target_id in found
    n = len(matches) - 1 + 4 + 5
    assert f"<summary>{n} further matches, sites, effects, weights" in body
    assert "and 3 more, in the table of matches" in body
    # Where all matches are there, families are counted: one a line, and the members of the match that is shown.
    [body, *_] = bodies(table(changed(report, matches=matches)))
    assert f"<summary>{len(matches) - 1 + 4} further matches of {len(matches)} families, sites" in body


def test_the_motif_can_be_made_again_of_what_the_row_holds(report):
    for row, body in zip(report.filters, bodies(table(report)), strict=True):
        if row.status == "active":
            packed = re.search(r'data-pwm="([^"]*)"', body).group(1)
            thirds = np.array([[int(one) for one in column.split(",")] for column in packed.split(";")]) / 1e4
            np.testing.assert_allclose(thirds, np.array(row.trimmed)[:, :3], atol=5.1e-5)


def test_sites_are_aligned_and_say_where_they_lie(report):
    row = report.filters[0]
    [body, *_] = bodies(table(report))
    lines = re.search(r"<figure class=sites><pre>(.*?)</pre>", body, flags=re.DOTALL).group(1).split("\n")
    assert len(lines) == 10
    for line, (name, first, bases, value) in zip(lines, row.sites.examples, strict=True):
        letters, activation, where = line.split(None, 2)
        assert letters.upper() == bases and letters[3:15].isupper() and (letters[:3] + letters[15:]).islower()
        assert float(activation) == value and where == f"{name}, base {first + 1}"
    assert len({line.index("chr") for line in lines}) == 1


def test_texts_in_rows_are_escaped(evil):
    html = table(evil)
    assert "<script" not in html and EVIL not in html
    assert html.count("&lt;script&gt;") > 20 * 10


def test_five_figures_are_shown_and_the_rest_folded():
    report = example()
    keys = ("dead", "index", "matched", "called", "whole", "partial", "true", "labels")
    figures = tuple(Metric(key, f"The {key} one", 0.5, style="fraction", of=4) for key in keys)
    html = report_page(dataclasses.replace(report, figures=figures, nulls=()))
    main = re.search(r'<dl class="main">(.*?)</dl>', html, flags=re.DOTALL).group(1)
    shown = re.findall(r"<dt>The (\w+) one", main)
    assert shown == ["called", "matched", "true", "labels", "whole"]
    assert "All 8 figures" in html
    folded = html[html.index("All 8 figures") : html.index('id="filters"')]
    assert re.findall(r"The (\w+) one", folded) == list(keys)
