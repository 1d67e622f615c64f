import dataclasses
import json
import re
import time
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chromium import Browser, needs_chromium

from kipoi_motifrep import InputError
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.report import (
    Citation,
    DatabaseSummary,
    FilterGroup,
    FilterRow,
    GroupMember,
    HeatMap,
    KnownMotifRow,
    MatchRow,
    Metric,
    NetworkSummary,
    NullModel,
    Report,
    read_interpretation,
    write_interpretation,
)
from kipoi_motifrep.report.comparison import comparison_page
from kipoi_motifrep.report.drawings import aligned_logos
from kipoi_motifrep.report.numbers import count, metric, percent, signed, significant
from kipoi_motifrep.report.page import report_page, target_url, write_report

FACTORS = ("Arid3a", "CEBPB", "FOSL1", "Gabpa", "MAFK", "MAX", "MEF2A", "NFYB", "SP1", "SRF", "STAT1", "YY1")
OUTPUTS = FACTORS
EVIL = "<script>alert(1)</script>\"'&amp;"


def pwm(rng, width):
    return rng.dirichlet(np.full(4, 0.3), width)


def match(rng, name, number, rank=0, width=12):
    return MatchRow(f"MA{number:04d}.1", name, 10.0 ** -rng.uniform(2, 12), 1e-4, 1e-9, int(rng.integers(-3, 4)),
                    "+-"[rank % 2], 9, pwm(rng, width), f"{name}-related factors", "some class", "JASPAR2026",
                    float(rng.uniform(0.3, 1)), name if rank == 0 else None)


def filter_row(rng, i, n_outputs, n_matches):
    if i % 10 == 9:
        return FilterRow(f"filter{i}", np.full((19, 4), 0.25), (0, 19), 0, 0.0, 0.0, "dead",
                         importance=np.zeros(n_outputs), correlation=[np.nan] * n_outputs)
    factor = i % 12
    matches = [match(rng, FACTORS[(factor + j) % 12], 100 + factor + j, j)
               for j in range(0 if i % 7 == 6 else n_matches)]
    coverage = matches[0].coverage if matches else None
    return FilterRow(
        f"filter{i}", pwm(rng, 19), (3, 15), int(rng.integers(1, 5000)), rng.uniform(), rng.uniform(0, 5), "active",
        matches, 0, None if coverage is None else "whole" if coverage > 0.7 else "partial", coverage,
        FACTORS[factor] if matches else None, 1 if i < 3 else None, rng.normal(scale=0.1, size=n_outputs),
        rng.uniform(-1, 1, n_outputs), OUTPUTS[factor:factor + 1], rng.normal(scale=0.1, size=(19, 4)))


def example(n=20, n_matches=4, outputs=OUTPUTS, seed=0, name="synthetic/cnn_25"):
    rng = np.random.default_rng(seed)
    rows = [filter_row(rng, i, len(outputs), n_matches) for i in range(n)]
    matched = np.mean([bool(row.matches) for row in rows])
    return Report(
        NetworkSummary(name, n, 19, "models/synthetic/cnn_25", "conv1", "(L, 4), ACGT",
                       "5,000 sequences of 200 bp", 5000, "one convolution reads DNA", "A network.", "https://kipoi.org/models/"),
        rows, f"{int(matched * n)} of {n} filters match.",
        (Metric("matched", "Filters that match", matched, "Tomtom E up to 0.1.", "fraction", n,
                [(0.07, 0.03, 0.13), (0.1, None, None)]),
         Metric("covered", "Factors found", 11, "", "count", 12, [None, (0.5, 0, 1)]),
         Metric("index", "Localist index", 0.8123, "Mean coverage.")),
        (NullModel("shuffled columns", "Columns in random order.", 100), NullModel("untrained network")), outputs,
        [FilterGroup(1, [GroupMember("filter0"), GroupMember("filter1", -2, "-"), GroupMember("filter2", 3)],
                     "Arid3a")],
        (HeatMap("Importance", [row.importance for row in rows], "Change of each output."),),
        [KnownMotifRow("Arid3a", ("MA0151.1",), ("filter0", "filter12"), 0.9), KnownMotifRow("YY1")],
        DatabaseSummary("JASPAR2026 CORE vertebrates", "JASPAR2026", 1019, "ab" * 32),
        {"threshold": 0.5, "databases": ["JASPAR2026"], "force": False}, {"numpy": "1.26.4"},
        [Citation("Koo PK, Eddy SR (2019).", "The method", "https://doi.org/10.1371/journal.pcbi.1007560")],
        ["Only 20 sequences."], "2026-01-01")


class Page(HTMLParser):
    """Everything that a test asks of a page."""

    VOID = frozenset(("meta", "link", "input", "br", "img", "hr"))

    def __init__(self, html):
        super().__init__()
        self.tags, self.stack, self.text, self.styles, self.scripts = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.stack == [], f"not closed: {self.stack}"
        self.ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def handle_starttag(self, tag, attributes):
        if tag == "td" and self.stack and self.stack[-1] == "td":  # the end tag may be left out
            self.stack.pop()
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if self.stack[-1] == "td" and tag == "tr":
            self.stack.pop()
        assert self.stack.pop() == tag

    def handle_data(self, data):
        where = self.stack[-1] if self.stack else ""
        {"style": self.styles, "script": self.scripts}.get(where, self.text).append(data)

    def all(self, tag, **wanted):
        return [attributes for name, attributes in self.tags if name == tag
                and all(attributes.get(key) == value for key, value in wanted.items())]


@pytest.fixture(scope="module")
def report():
    return example()


@pytest.fixture(scope="module")
def page(report):
    return Page(report_page(report))


# The data type and its file.

def test_json_round_trip(report):
    assert Report.from_json(report.to_json()) == report


def test_only_the_network_and_filters_are_needed():
    bare = Report(NetworkSummary("n", 1, 4), [FilterRow("f", np.full((4, 4), 0.25), (0, 4), 0, 0, 0)])
    assert Report.from_json(bare.to_json()) == bare
    page = Page(report_page(bare))
    assert not {"figures", "groups", "outputs", "chance", "truth"} & set(page.ids)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(max_size=20), st.lists(finite, min_size=4, max_size=4), st.none() | finite, st.booleans(),
       st.dictionaries(st.text(max_size=5), st.none() | finite | st.text(max_size=5) | st.lists(st.integers())))
def test_json_round_trip_of_any_values(text, row, number, flag, parameters):
    filters = [FilterRow("f", [row], (0, 1), 3, 0.5, 1.0, importance=[number], kernel=[row] if flag else None)]
    made = Report(NetworkSummary(text, 1, 1, description=text), filters, text, [Metric("k", text, number)],
                  outputs=[text], parameters=parameters, groups=[] if flag else None)
    assert Report.from_json(made.to_json()) == made


def test_arrays_become_plain_values():
    row = FilterRow("f", np.full((2, 4), 0.25), np.array([0, 2]), np.int64(3), np.float32(0.5), np.float64(2),
                    importance=np.array([0.5, np.nan]))
    assert row.pwm == ((0.25,) * 4,) * 2 and row.trim == (0, 2) and row.importance == (0.5, None)
    assert type(row.n_sites) is int and type(row.fraction_firing) is float
    hash(row)


@pytest.mark.parametrize(("changes", "message"), [
    ({"pwm": np.full((3, 3), 0.3)}, "four columns"), ({"pwm": [[np.nan] * 4]}, "finite"), ({"trim": (2, 2)}, "trim"),
    ({"trim": (0, 99)}, "trim"), ({"status": "asleep"}, "status"), ({"extent": "half"}, "extent")])
def test_filters_are_checked(changes, message):
    values = {"name": "f", "pwm": np.full((4, 4), 0.25), "trim": (0, 4), "n_sites": 1, "fraction_firing": 1,
              "maximum": 1}
    with pytest.raises(InputError, match=message):
        FilterRow(**values | changes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"outputs": ("a",)}, "outputs"), ({"nulls": ()}, "nulls"), ({"heat_maps": (HeatMap("h", ()),)}, "filters"),
    ({"groups": (FilterGroup(1, (GroupMember("nobody"),)),)}, "nobody")])
def test_parts_must_fit_together(report, changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(report, **changes)


def test_filter_names_are_unique(report):
    with pytest.raises(InputError, match="one name"):
        dataclasses.replace(report, filters=(report.filters[0],) * 2, groups=None, heat_maps=())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 99}', '{"format": 1}', '{"format": 1, "filters": 3}',
                                  '{"format": 1, "network": [], "filters": []}', '{"format": 1, "network": "a"}',
                                  '{"format": 1, "network": null, "filters": [1]}'])
def test_damaged_files_are_named(tmp_path, text):
    (tmp_path / "interpretation.json").write_text(text)
    with pytest.raises(InputError, match=r"interpretation\.json.*interpret"):
        read_interpretation(tmp_path)


def test_a_cut_off_file_is_named(tmp_path, report):
    text = write_interpretation(tmp_path, report).read_text()
    assert read_interpretation(tmp_path) == report
    (tmp_path / "interpretation.json").write_text(text[:len(text) // 2])
    with pytest.raises(InputError, match=r"interpretation\.json"):
        read_interpretation(tmp_path)


# Numbers.

@pytest.mark.parametrize(("value", "text"), [
    (None, "\u2013"), (0, "0"), (0.0123, "0.012"), (0.999, "1.0"), (3.14e-5, "3.1\u00d710\u207b\u2075"),
    (-2.5, "\u22122.5"), (1234, "1200"), (6.02e23, "6.0\u00d710\u00b2\u00b3"), (9.96e-4, "0.0010")])
def test_significant(value, text):
    assert significant(value) == text


def test_other_numbers():
    assert [count(1234567), count(2.25), count(None)] == ["1,234,567", "2.2", "\u2013"]
    assert [percent(0.5), percent(0.004), percent(0), percent(1)] == ["50\u00a0%", "0.4\u00a0%", "0\u00a0%",
                                                                     "100\u00a0%"]
    assert [signed(0.123), signed(-0.5), signed(0.0001), signed(-0.0001)] == ["+0.12", "\u22120.50", "0", "0"]
    assert metric(0.5, "fraction", 30) == "15 of 30 (50\u00a0%)" and metric(12, "count", 12) == "12 of 12"
    assert metric(0.8123, "number") == "0.812"


# Pictures.

def starts(svg):
    """Left end of the axis of each logo of a picture, in positions."""
    return [float(x) / 20 for x in re.findall(r'class="ax" d="M(-?[\d.]+) ', svg)]


@pytest.mark.parametrize(("offset", "query", "target", "columns"), [(0, 0, 0, 8), (2, 2, 0, 8), (-3, 0, 3, 11),
                                                                    (6, 6, 0, 12)])
def test_a_filter_lies_over_its_target_at_the_offset(offset, query, target, columns):
    rng = np.random.default_rng(0)
    row = FilterRow("f", pwm(rng, 9), (2, 8), 1, 1, 1)
    svg = aligned_logos(row, MatchRow("MA0001.1", "X", 1, 1, 1, offset, "+", 4, pwm(rng, 8)))
    assert starts(svg) == [query, target]
    assert f'viewBox="0 0 {columns * 20} ' in svg
    left, width = map(float, re.search(r'class="band" x="([\d.]+)" width="([\d.]+)"', svg).groups())
    covered = {i for i in range(query, query + 6)} & {i for i in range(target, target + 8)}
    assert (left / 20, width / 20) == (min(covered), len(covered))


def test_the_target_is_shown_on_the_strand_that_was_aligned():
    one_hot = np.eye(4)[[0, 0, 0, 1, 1, 3]]
    row = FilterRow("f", one_hot[::-1, ::-1], (0, 6), 1, 1, 1)
    svg = aligned_logos(row, MatchRow("MA0001.1", "X", 1, 1, 1, 0, "-", 6, one_hot))
    letters = re.findall(r'href="#l(.)"', svg)
    assert "".join(letters[:6]) == "".join(letters[6:]) == "AGGTTT"
    assert "f: AGGTTT aligned over X MA0001.1, reverse strand: AGGTTT; 6 positions overlap" in svg


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
    for said in (report.sentence, "Only 20 sequences.", "shuffled columns", "JASPAR2026 CORE vertebrates", "1,019",
                 "ab" * 32, "Koo PK, Eddy SR (2019).", "1.26.4", "one convolution reads DNA"):
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
    found += [value for _, attributes in page.tags for key, value in attributes.items()
              if key in ("srcset", "poster", "background", "xlink:href", "action", "formaction", "data", "ping")]
    css = " ".join(page.styles + [attributes["style"] for _, attributes in page.tags if "style" in attributes])
    return found + re.findall(r"url\([^)]*\)|@import[^;]*", css)


def test_nothing_is_loaded(page, report):
    assert loads(page) == ["data:,"]
    assert loads(Page(comparison_page([report, report], ["a", "b"]))) == ["data:,"]
    for name in ("iframe", "object", "embed", "img", "base", "audio", "video"):
        assert page.all(name) == []
    assert not re.search(r"fetch|XMLHttpRequest|import\(|WebSocket|innerHTML|eval", "".join(page.scripts))


def everywhere(value, text, keep=("status", "extent", "style", "orientation", "key")):
    """The same report with `text` after every text in it."""
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) if f.name in keep else everywhere(getattr(value, f.name), text)
                for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [everywhere(item, text) for item in value]
    if isinstance(value, dict):
        return {key + text: everywhere(item, text) for key, item in value.items()}
    return value + text if isinstance(value, str) else value


@pytest.fixture(scope="module")
def evil(report):
    values = json.loads(json.dumps(everywhere(report, EVIL), default=lambda part: everywhere(part, EVIL)))
    values["network"]["url"] = "javascript:alert(1)"
    return Report.from_json(json.dumps({"format": 1, **values}))


def test_texts_are_harmless(evil, page):
    html = report_page(evil) + comparison_page([evil])
    assert html.count("<script>") == 2  # our own, one a page
    for made in (Page(report_page(evil)), Page(comparison_page([evil]))):
        assert EVIL in "".join(made.text)
        assert len(made.scripts) == 1 and "alert" not in made.scripts[0]
        assert not any(key.startswith("on") for _, attributes in made.tags for key in attributes)
        assert all(attributes["href"].startswith(("#", "https://")) for attributes in made.all("a"))
    assert len(Page(report_page(evil)).tags) <= len(page.tags)


@pytest.mark.parametrize(("target", "database", "url"), [
    ("MA0139.1", "JASPAR2026", "https://jaspar.elixir.no/matrix/MA0139.1/"), ("UN0116.2", "JASPAR2024", True),
    ("MA0139.1", "mine.meme", ""), ("../x", "JASPAR2026", ""), ("MA0139.1", "", "")])
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
    assert len(rows) == 4


# In a browser.

@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def opened(browser, tmp_path, report):
    path = tmp_path / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    browser.open(path)
    return browser


NAMES = "[...document.querySelectorAll('#filter-table > tbody')].filter(b => !b.hidden).map(b => " \
    "b.rows[0].cells[0].firstChild.textContent.trim())"


def press(browser, key):
    browser.run(f"document.querySelector('#filter-table th[data-sort={key}] button').click()")
    return browser.run(NAMES)


def choose(browser, control, value):
    browser.run(f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('input', {{bubbles: true}})) }})"
                f"(document.getElementById('{control}'))")
    return browser.run(NAMES)


def expected_order(report, key, down):
    """Python's own sort: what is missing comes last, ties in the network's order."""
    known = [row for row in report.filters if key(row) is not None]
    order = sorted(known, key=key) if not down else sorted(known, key=lambda row: -key(row))
    return [row.name for row in order + [row for row in report.filters if key(row) is None]]


@needs_chromium
def test_the_page_loads_nothing_and_has_no_errors(opened, tmp_path, report):
    assert opened.requests == [(tmp_path / "report.html").resolve().as_uri()]
    assert opened.errors == []
    assert opened.run("document.querySelectorAll('svg.logo').length") > len(report.filters)
    assert opened.run("document.querySelector('.picture svg').getBoundingClientRect().height") > 50
    assert opened.run("getComputedStyle(document.body).maxWidth") != "none"  # the style is in force


@needs_chromium
def test_sorting(opened, report):
    def e_value(row):
        return row.best.e_value if row.best else None

    assert press(opened, "e") == expected_order(report, e_value, False)
    assert press(opened, "e") == expected_order(report, e_value, True)
    assert press(opened, "coverage") == expected_order(report, lambda row: row.coverage, True)
    assert press(opened, "sites") == expected_order(report, lambda row: row.n_sites, True)
    by_name = [row.name for row in sorted((row for row in report.filters if row.best),
                                          key=lambda row: row.best.name.lower())]
    assert press(opened, "name")[:len(by_name)] == by_name
    assert opened.run("[...document.querySelectorAll('[aria-sort]')].map(h => h.dataset.sort + h.ariaSort)") == [
        "nameascending"]
    assert press(opened, "n") == [row.name for row in report.filters]
    assert opened.errors == []


@needs_chromium
def test_sorting_by_keyboard(opened, report):
    opened.run("document.querySelector('th[data-sort=sites] button').focus()")
    for kind in ("keyDown", "keyUp"):
        opened.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    assert opened.run(NAMES) == expected_order(report, lambda row: row.n_sites, True)


@needs_chromium
def test_filtering(opened, report):
    assert choose(opened, "kind", "silent") == [row.name for row in report.filters if row.status != "active"]
    assert opened.run("document.getElementById('shown').textContent") == "2 of 20 filters"
    choose(opened, "kind", "")
    assert choose(opened, "find", "sp1-RELATED") == [row.name for row in report.filters
                                                    if row.best and row.best.name == "SP1"]
    choose(opened, "find", "")
    assert choose(opened, "output", "1") == [row.name for row in report.filters if "CEBPB" in row.speaks_for]
    assert choose(opened, "find", "nothing like this") == []
    assert opened.run("document.getElementById('nothing').hidden") is False
    opened.run("document.getElementById('reset').click()")
    assert len(opened.run(NAMES)) == len(report.filters)
    # A link to a filter that is not shown brings it back.
    choose(opened, "kind", "silent")
    opened.run("new Promise(done => { addEventListener('hashchange', () => setTimeout(done)); "
               "location.hash = '#filter-0' })")
    assert "filter0" in opened.run(NAMES)
    assert opened.errors == []


@needs_chromium
def test_pictures_stay_the_same_when_they_are_joined(browser, tmp_path, report):
    path = tmp_path / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    boxes = "[...document.querySelectorAll('.picture svg')].map(s => { const b = s.getBBox(); " \
        "return [b.x, b.y, b.width, b.height] })"
    browser.open(path, script=False)
    before = browser.run(boxes)
    browser.open(path)
    end = time.monotonic() + 30
    while not browser.run("'flat' in document.getElementById('filter-table').dataset") and time.monotonic() < end:
        time.sleep(0.05)
    assert browser.run("document.querySelectorAll('#filter-table use').length") == 0
    assert np.allclose(browser.run(boxes), before, atol=0.2)


@needs_chromium
def test_the_page_is_whole_without_script(browser, tmp_path, report):
    path = tmp_path / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    browser.open(path, script=False)
    assert browser.run("getComputedStyle(document.getElementById('controls')).display") == "none"
    assert browser.run("[...document.querySelectorAll('#filter-table > tbody')].every(b => b.offsetHeight > 0)")
    assert browser.run("document.querySelectorAll('#filter-table thead button').length") == 0


@needs_chromium
@pytest.mark.parametrize("width", [400, 705, 1000, 1140, 1280])
def test_no_width_makes_the_page_scroll_sideways(browser, tmp_path, report, width):
    for name, html in (("r", report_page(report)), ("c", comparison_page([report] * 4, list("abcd")))):
        path = tmp_path / f"{name}.html"
        path.write_text(html, encoding="utf-8")
        browser.open(path, width=width)
        assert browser.run("document.documentElement.scrollWidth") <= width


@needs_chromium
def test_texts_are_harmless_in_a_browser(browser, tmp_path, evil):
    for html in (report_page(evil), comparison_page([evil, evil], ["<img src=x onerror=alert(1)>", "b"])):
        path = tmp_path / "evil.html"
        path.write_text(html, encoding="utf-8")
        browser.open(path)
        assert browser.run("document.scripts.length") == 1 and browser.errors == [] and len(browser.requests) == 1


@needs_chromium
def test_the_page_prints(opened, tmp_path):
    opened.print(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


CONTRAST = """[...document.querySelectorAll('main *, header *, footer *')].filter(e => e.checkVisibility()
  && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && !e.closest('svg, option')).map(e => {
  const rgba = c => (c.match(/[\\d.]+/g) || []).map(Number);
  let back = e;
  while (back && rgba(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
  const light = c => c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const pair = [light(rgba(getComputedStyle(e).color)),
    back ? light(rgba(getComputedStyle(back).backgroundColor)) : 1].sort((a, b) => b - a);
  return [(pair[0] + 0.05) / (pair[1] + 0.05), e.className + ' ' + e.textContent.trim().slice(0, 40)];
}).filter(([contrast]) => contrast < 4.5)"""


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_all_text(opened, scheme):
    opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        opened.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert opened.run(CONTRAST) == []
    finally:
        opened.call("Emulation.setEmulatedMedia", features=[])
