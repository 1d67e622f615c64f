"""Numbers, pictures and pages of a report, and the commands that write them."""

import dataclasses
import re
from itertools import pairwise

import numpy as np
import pytest
from support.reports import EVIL, OUTPUTS, Page, example, pwm

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.motifs.logos import information_logo
from kipoi_motifrep.report.comparison import comparison_page
from kipoi_motifrep.report.drawings import PICTURE, PIXELS, row_logos
from kipoi_motifrep.report.filter_table import target_url
from kipoi_motifrep.report.numbers import count, metric, percent, signed, significant
from kipoi_motifrep.report.page import report_page, write_report
from kipoi_motifrep.report.schema import FilterRow, MatchRow, Metric, write_interpretation

# Numbers.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (0, "0"),
        (0.0123, "0.012"),
        (0.999, "1.0"),
        (3.14e-5, "3.1\u00d710\u207b\u2075"),
        (-2.5, "\u22122.5"),
        (1234, "1200"),
        (6.02e23, "6.0\u00d710\u00b2\u00b3"),
        (9.96e-4, "0.0010"),
    ],
)
def test_significant(value, text):
    assert significant(value) == text


def test_other_numbers():
    assert [count(1234567), count(2.25), count(None)] == ["1,234,567", "2.2", "\u2013"]
    assert [percent(0.5), percent(0.004), percent(0), percent(1)] == [
        "50\u00a0%",
        "0.4\u00a0%",
        "0\u00a0%",
        "100\u00a0%",
    ]
    assert [signed(0.123), signed(-0.5), signed(0.0001), signed(-0.0001)] == ["+0.12", "\u22120.50", "0", "0"]
    assert metric(0.5, "fraction", 30) == "15 of 30 (50\u00a0%)" and metric(12, "count", 12) == "12 of 12"
    assert metric(0.8123, "number") == "0.812"


# Pictures.


def starts(svg):
    """Left end of the axis of each logo of a picture, in positions."""
    return [float(x) / 20 for x in re.findall(r'class="ax" d="M(-?[\d.]+) ', svg)]


@pytest.mark.parametrize(
    ("offset", "query", "target", "columns"), [(0, 0, 0, 8), (2, 2, 0, 8), (-3, 0, 3, 11), (6, 6, 0, 12)]
)
def test_a_filter_lies_over_its_target_at_the_offset(offset, query, target, columns):
    rng = np.random.default_rng(0)
    row = FilterRow("f", pwm(rng, 9), (2, 8), 1, 1, 1)
    match = MatchRow("MA0001.1", "X", 1, 1, 1, offset, "+", 4, pwm(rng, 8))
    [svg] = row_logos([dataclasses.replace(row, matches=(match,))])
    assert starts(svg) == [query, target]
    assert f'viewBox="0 0 {columns * 20} ' in svg
    left, width = map(float, re.search(r'class="band" x="([\d.]+)" width="([\d.]+)"', svg).groups())
    covered = {i for i in range(query, query + 6)} & {i for i in range(target, target + 8)}
    assert (left / 20, width / 20) == (min(covered), len(covered))


def test_the_target_is_shown_on_the_strand_that_was_aligned():
    one_hot = np.eye(4)[[0, 0, 0, 1, 1, 3]]
    match = MatchRow("MA0001.1", "X", 1, 1, 1, 0, "-", 6, one_hot)
    [svg] = row_logos([FilterRow("f", one_hot[::-1, ::-1], (0, 6), 1, 1, 1, matches=(match,))])
    letters = re.findall(r'href="#l(.)"', svg)
    assert "".join(letters[:6]) == "".join(letters[6:]) == "AGGTTT"
    assert "f: AGGTTT aligned over X MA0001.1, reverse strand: AGGTTT; 6 positions overlap" in svg


def test_a_filter_without_a_match_is_drawn_no_larger_than_the_others():
    """The browser scales a picture down to its column; letters of the widest are the smallest."""
    rng = np.random.default_rng(0)
    wide, narrow = (MatchRow("MA0001.1", "X", 1, 1, 1, offset, "+", 9, pwm(rng, n)) for offset, n in ((2, 35), (0, 9)))
    rows = [
        FilterRow(name, pwm(rng, 19), (3, 15), 1, 1, 1, matches=found)
        for name, found in (("alone", ()), ("wide", (wide,)), ("narrow", (narrow,)))
    ]
    rows.append(FilterRow("dead", np.full((19, 4), 0.25), (0, 19), 0, 0, 0, "dead"))
    alone, *others, dead = row_logos(rows)
    scales = []
    for svg in (alone, *others):
        units, pixels = map(float, re.search(r'viewBox="0 0 ([\d.]+) [\d.]+" width="([\d.]+)"', svg).groups())
        scales.append(min(pixels, PICTURE) / units)
    assert scales[0] == pytest.approx(min(scales)) and scales[2] == PIXELS
    assert dead == "" and row_logos(rows[:1]) == [information_logo(rows[0].trimmed, "alone").svg(PIXELS)]


# The page.


def test_structure(page, report):
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1
    assert len(set(page.ids)) == len(page.ids)
    assert {"figures", "filters", "truth", "groups", "outputs", "chance", "method"} <= set(page.ids)
    headings = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert headings[0] == 1 and all(b - a <= 1 for a, b in pairwise(headings))
    assert page.tags[[name for name, _ in page.tags].index("body") + 1][1] == {"class": "skip", "href": "#content"}
    targets = {attributes["href"][1:] for attributes in page.all("a") if attributes["href"].startswith("#")}
    assert targets <= set(page.ids)
    words = " ".join(page.text)
    for said in (
        report.sentence,
        "Only 20 sequences.",
        "shuffled columns",
        "JASPAR2026 CORE vertebrates",
        "1,019",
        "ab" * 32,
        "Koo PK, Eddy SR (2019).",
        "1.26.4",
        "one convolution reads DNA",
    ):
        assert said in words


def test_every_filter_has_a_row_with_its_match(page, report):
    bodies = page.all("tbody")
    assert sum("data-kind" in attributes for attributes in bodies) == len(report.filters)
    links = {attributes["href"] for attributes in page.all("a")}
    for row in report.filters:
        for found in row.matches:
            assert f"https://jaspar.elixir.no/matrix/{found.target_id}/" in links


def test_every_picture_is_named(page):
    pictures = [attributes for name, attributes in page.tags if name == "svg"]
    assert all(attributes.get("role") == "img" or attributes.get("aria-hidden") == "true" for attributes in pictures)
    assert len(page.all("title")) == 1 + sum(attributes.get("role") == "img" for attributes in pictures)
    for name, attributes in page.tags:
        if name in ("input", "select"):
            assert "id" in attributes


def test_letters_are_defined_once(page):
    assert [page.ids.count(f"l{letter}") for letter in "ACGT"] == [1] * 4


def loads(page):
    """Addresses that a browser would load by itself."""
    found = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    found += [attributes["href"] for attributes in page.all("link")]
    found += [attributes["href"] for attributes in page.all("use") if not attributes["href"].startswith("#")]
    found += [
        value
        for _, attributes in page.tags
        for key, value in attributes.items()
        if key in ("srcset", "poster", "background", "xlink:href", "action", "formaction", "data", "ping")
    ]
    css = " ".join(page.styles + [attributes["style"] for _, attributes in page.tags if "style" in attributes])
    return found + re.findall(r"url\([^)]*\)|@import[^;]*", css)


def test_nothing_is_loaded(page, report):
    assert loads(page) == ["data:,"]
    assert loads(Page(comparison_page([report, report], ["a", "b"]))) == ["data:,"]
    for name in ("iframe", "object", "embed", "img", "base", "audio", "video"):
        assert page.all(name) == []
    assert not re.search(r"fetch|XMLHttpRequest|import\(|WebSocket|innerHTML|eval", "".join(page.scripts))


def test_texts_are_harmless(evil, page):
    html = report_page(evil) + comparison_page([evil])
    assert html.count("<script>") == 2  # our own, one a page
    for made in (Page(report_page(evil)), Page(comparison_page([evil]))):
        assert EVIL in "".join(made.text)
        assert len(made.scripts) == 1 and "alert" not in made.scripts[0]
        assert not any(key.startswith("on") for _, attributes in made.tags for key in attributes)
        assert all(attributes["href"].startswith(("#", "https://")) for attributes in made.all("a"))
    assert len(Page(report_page(evil)).tags) <= len(page.tags)


@pytest.mark.parametrize(
    ("target", "database", "url"),
    [
        ("MA0139.1", "JASPAR2026", "https://jaspar.elixir.no/matrix/MA0139.1/"),
        ("UN0116.2", "JASPAR2024", True),
        ("MA0139.1", "mine.meme", ""),
        ("../x", "JASPAR2026", ""),
        ("MA0139.1", "", ""),
    ],
)
def test_jaspar_links(target, database, url):
    found = target_url(MatchRow(target, "CTCF", 1, 1, 1, 0, "+", 1, [[0.25] * 4], database=database))
    assert bool(found) if url is True else found == url


def test_300_filters_stay_below_five_megabytes():
    big = example(300, n_matches=25, seed=1)
    html = report_page(big)
    assert len(html.encode()) < 5e6
    assert html.count('data-kind="silent"') == 30
    wide = example(300, n_matches=5, outputs=(*OUTPUTS, *(f"track {i}" for i in range(400))), seed=2)
    html = report_page(wide)
    assert len(html.encode()) < 5e6 and "are left out" in html


def test_kinds_add_up(report):
    assert sum(report.kinds.values()) == len(report.filters)
    assert report.kinds["silent"] == 2


# Commands.


def test_report_command(tmp_path, report, capsys):
    write_interpretation(tmp_path, report)
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_text() == report_page(report)
    elsewhere = tmp_path / "mail/page.html"
    assert main(["report", str(tmp_path), "-o", str(elsewhere)]) == 0 and elsewhere.exists()
    capsys.readouterr()
    assert main(["report", str(tmp_path / "nothing")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "nothing" in error and "interpret" in error
    assert main(["report", str(tmp_path), "-o", str(tmp_path)]) == 2


def test_a_failure_leaves_the_old_page(tmp_path, report, monkeypatch):
    write_interpretation(tmp_path, report)
    old = write_report(tmp_path).read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="space"):
        write_report(tmp_path, report=dataclasses.replace(report, sentence="another"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["interpretation.json", "report.html"]
    assert (tmp_path / "report.html").read_text() == old


def test_compare_command(tmp_path):
    for name, n in (("a", 20), ("b", 30), ("c", 5)):
        write_interpretation(tmp_path / name, example(n, seed=n, name="one" if name == "c" else "two", outputs=OUTPUTS))
    output = tmp_path / "compare.html"
    assert main(["compare", *(str(tmp_path / name) for name in "abc"), "-o", str(output)]) == 0
    page = Page(output.read_text())
    words = " ".join(page.text)
    assert f"two ({tmp_path / 'a'})" in words and f"two ({tmp_path / 'b'})" in words
    assert len(page.all("li")) >= 20 + 30 + 5
    assert len(page.all("svg", **{"class": "chart"})) == 1
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "missing"), "-o", str(output)]) == 2


def test_networks_with_different_figures_share_a_table(report):
    other = dataclasses.replace(report, figures=(Metric("new", "Only here", 3.0, style="count"),), nulls=())
    page = Page(comparison_page([report, other], ["first", "second"]))
    rows = [attributes for attributes in page.all("td") if attributes.get("data-label") == "second"]
    assert len(rows) == 4 + len(report.truth)  # a row a figure of any network, and a row a known motif
