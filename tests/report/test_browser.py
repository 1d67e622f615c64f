"""The pages in a browser: sorting, filtering, widths, contrast, print."""

import dataclasses
import json
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from support.chromium import Browser, needs_chromium

from kipoi_motifrep.motifs import read_motifs
from kipoi_motifrep.report.comparison import comparison_page
from kipoi_motifrep.report.page import report_page


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


NAMES = (
    "[...document.querySelectorAll('#filter-table > tbody')].filter(b => !b.hidden).map(b => "
    "b.rows[0].cells[0].firstChild.textContent.trim())"
)


def press(browser, key):
    browser.run(f"document.querySelector('#filter-table th[data-sort={key}] button').click()")
    return browser.run(NAMES)


def choose(browser, control, value):
    browser.run(
        f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('input', {{bubbles: true}})) }})"
        f"(document.getElementById('{control}'))"
    )
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
        return row.match.e_value if row.match else None

    assert press(opened, "e") == expected_order(report, e_value, False)
    assert press(opened, "e") == expected_order(report, e_value, True)
    assert press(opened, "coverage") == expected_order(report, lambda row: row.coverage, True)
    assert press(opened, "sites") == expected_order(report, lambda row: row.n_sites, True)
    by_name = [
        row.name for row in sorted((row for row in report.filters if row.match), key=lambda row: row.match.name.lower())
    ]
    assert press(opened, "name")[: len(by_name)] == by_name
    assert opened.run("[...document.querySelectorAll('[aria-sort]')].map(h => h.dataset.sort + h.ariaSort)") == [
        "nameascending"
    ]
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
    assert choose(opened, "find", "sp1-RELATED") == [
        row.name for row in report.filters if any(match.name == "SP1" for match in row.matches)
    ]
    choose(opened, "find", "")
    assert choose(opened, "output", "1") == [row.name for row in report.filters if "CEBPB" in row.speaks_for]
    assert choose(opened, "find", "nothing like this") == []
    assert opened.run("document.getElementById('nothing').hidden") is False
    opened.run("document.getElementById('reset').click()")
    assert len(opened.run(NAMES)) == len(report.filters)
    # A link to a filter that is not shown brings it back.
    choose(opened, "kind", "silent")
    opened.run(
        "new Promise(done => { addEventListener('hashchange', () => setTimeout(done)); location.hash = '#filter-0' })"
    )
    assert "filter0" in opened.run(NAMES)
    assert opened.errors == []


@needs_chromium
def test_find_looks_into_what_is_folded(opened, report):
    for word, wanted in (("MA0104.1", "target_id"), ("gabpa-related", "family")):
        expected = [
            row.name
            for row in report.filters
            if any(getattr(match, wanted).lower().startswith(word.lower()) for match in row.matches)
        ]
        assert choose(opened, "find", word) == expected != []
    assert choose(opened, "find", "coverage") == []  # headers and captions are no names


@needs_chromium
def test_called_filters_and_those_like_chance(browser, tmp_path, report):
    judged = [
        dataclasses.replace(row, p_chance=(i + 1) / 50, fdr=i / 30, called=i < 3)
        for i, row in enumerate(report.filters)
    ]
    path = tmp_path / "judged.html"
    path.write_text(report_page(dataclasses.replace(report, filters=judged)), encoding="utf-8")
    browser.open(path)
    assert choose(browser, "kind", "called") == [row.name for row in judged[:3]]
    assert choose(browser, "kind", "chance") == [row.name for row in judged[3:] if row.matches]
    choose(browser, "kind", "")
    press(browser, "chance")
    assert press(browser, "chance") == [row.name for row in judged[::-1]]
    colours = "[0, 3].map(i => getComputedStyle(document.getElementById(`filter-${i}`)).color)"
    called, chance = browser.run(colours)
    assert called != chance
    assert browser.errors == []


SAVED = """(() => { window.saved = []; const make = URL.createObjectURL;
  URL.createObjectURL = (blob) => { window.saved.push(blob); return make(blob); };
  HTMLAnchorElement.prototype.click = function () { window.saved.push(this.download); };
  Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { window.copied = text; } } });
})()"""


def unfold(browser, name):
    browser.run(
        f"new Promise(done => {{ const one = document.querySelector('#{name} .more details');"
        "one.addEventListener('toggle', () => setTimeout(done)); one.open = true; })"
    )


def push(browser, name, words):
    browser.run(
        f"(b => b.find(one => one.textContent.startsWith('{words}')).click())"
        f"([...document.querySelectorAll('#{name} button')])"
    )


@needs_chromium
def test_a_motif_is_copied_as_meme(opened, tmp_path, report):
    opened.run(SAVED)
    assert opened.run("document.querySelectorAll('.tools').length") == 0  # made when they are needed
    unfold(opened, "filter-2")
    push(opened, "filter-2", "Copy motif")
    assert "copied" in opened.run("new Promise(d => setTimeout(() => d(document.getElementById('shown').textContent)))")
    (tmp_path / "copied.meme").write_text(opened.run("window.copied"), encoding="utf-8")
    [motif] = read_motifs(tmp_path / "copied.meme")
    assert motif.name == "filter2"
    np.testing.assert_allclose(motif.pwm, report.filters[2].trimmed, atol=2e-4)
    assert opened.errors == [] and len(opened.requests) == 1


@needs_chromium
def test_a_logo_is_saved_as_a_file_of_its_own(opened, tmp_path):
    opened.run(SAVED)
    unfold(opened, "filter-0")
    push(opened, "filter-0", "Save logo")
    assert opened.run("window.saved[1]") == "filter0.svg"
    text = opened.run("window.saved[0].text()")
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and "use" not in {one.tag.split("}")[1] for one in root.iter()}
    assert len({one.get("fill") for one in root.iter() if one.get("fill")}) == 4  # letters keep their colours
    path = tmp_path / "filter0.svg"
    path.write_text(text, encoding="utf-8")
    opened.open(path)
    assert opened.errors == []


@needs_chromium
def test_the_table_is_saved_as_it_is_shown(opened, report):
    opened.run(SAVED)
    press(opened, "sites")
    shown = choose(opened, "kind", "partial")
    opened.run("document.getElementById('save').click()")
    assert opened.run("window.saved[1]") == "filters.tsv"
    header, *lines = [line.split("\t") for line in opened.run("window.saved[0].text()").splitlines()]
    table = [dict(zip(header, line, strict=True)) for line in lines]
    rows = {row.name: row for row in report.filters}
    assert [line["filter"] for line in table] == shown != []
    for line in table:
        row = rows[line["filter"]]
        assert (line["match"], line["motif"]) == (row.match.name, row.match.target_id)
        assert float(line["e_value"]) == row.match.e_value and float(line["coverage"]) == row.coverage
        assert line["speaks_for"] == ", ".join(row.speaks_for)
        own = row.importance[report.outputs.index(row.speaks_for[0])]
        assert (float(line["importance"]), line["importance_output"]) == (own, row.speaks_for[0])
        assert float(line["planted"]) == max(row.planted[0].change, key=abs)


@needs_chromium
def test_what_is_folded_opens_by_keyboard_and_gets_its_colours(opened):
    opened.run("document.querySelector('#filter-1 .more summary').focus()")
    for kind in ("keyDown", "keyUp"):
        opened.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    opened.run("new Promise(done => setTimeout(done, 50))")
    assert opened.run("document.querySelector('#filter-1 .more details').open")
    text = opened.run("document.querySelector('#filter-1 .sites pre').textContent")
    letters = opened.run(
        "[...document.querySelectorAll('#filter-1 .sites i')].map(i => i.textContent.toUpperCase() + i.className)"
    )
    assert len(letters) == 10 * 19 and all(a == b for a, b in letters)
    assert len(text.splitlines()) == 10 and "chr0:100-300" in text
    assert opened.run("new Set([...'ACGT'].map(b => getComputedStyle("
                      "document.querySelector(`#filter-1 .sites .${b}`)).color)).size") == 4  # fmt: skip


@needs_chromium
def test_filters_begin_on_the_first_screen(browser, tmp_path, report):
    path = tmp_path / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    browser.open(path, width=1280, height=800)
    assert browser.run("document.querySelector('#filter-0').getBoundingClientRect().bottom") <= 800
    assert browser.run("getComputedStyle(document.querySelector('table.figures')).display") == "table"
    assert not browser.run("document.querySelector('table.figures').checkVisibility()")


@needs_chromium
def test_only_the_pages_own_script_runs(browser, tmp_path, report):
    """Whatever a text might bring in: inline handlers, other scripts, pictures from elsewhere."""
    html = report_page(report).replace(
        "<footer>",
        "<script>window.bad = 1</script><img src='http://127.0.0.1:9/x.png' onerror='window.bad = 2'><footer>",
    )
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    browser.open(path)
    assert browser.run("window.bad === undefined") and browser.run("!document.getElementById('controls').hidden")
    assert sum("Content Security Policy" in one for one in browser.errors) == 3  # script, picture, handler
    assert browser.run("document.images[0].naturalWidth") == 0


@needs_chromium
def test_pictures_stay_the_same_when_they_are_joined(browser, tmp_path, report):
    path = tmp_path / "report.html"
    path.write_text(report_page(report), encoding="utf-8")
    boxes = (
        "[...document.querySelectorAll('.picture svg')].map(s => { const b = s.getBBox(); "
        "return [b.x, b.y, b.width, b.height] })"
    )
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
        browser.run("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert browser.run("document.documentElement.scrollWidth") <= width


@needs_chromium
def test_networks_side_by_side_fit_a_narrow_screen(browser, tmp_path, report):
    path = tmp_path / "compare.html"
    path.write_text(comparison_page([report] * 4, [f"synthetic/cnn_25_{i}" for i in range(4)]), encoding="utf-8")
    browser.open(path, width=400)
    wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 400).length"
    assert browser.run(wide) == 0


@needs_chromium
def test_long_names_fit_a_narrow_screen(browser, tmp_path, report):
    """Names of networks with their folders have no blank to break a line at."""
    names = ["cnn_25 (/results/" + "a_long_folder_name" * 4 + ")", "b"]
    path = tmp_path / "compare.html"
    path.write_text(comparison_page([report, report], names), encoding="utf-8")
    browser.open(path, width=400)
    assert browser.run("document.documentElement.scrollWidth") <= 400
    cells = "[...document.querySelectorAll('.figures td, svg.chart')]"
    assert browser.run(
        f"{cells}.every(e => e.scrollWidth <= e.clientWidth + 1 && e.getBoundingClientRect().right <= 400)"
    )


@needs_chromium
def test_texts_are_harmless_in_a_browser(browser, tmp_path, evil):
    for html in (report_page(evil), comparison_page([evil, evil], ["<img src=x onerror=alert(1)>", "b"])):
        path = tmp_path / "evil.html"
        path.write_text(html, encoding="utf-8")
        browser.open(path)
        assert browser.run("document.scripts.length") == 1 and browser.errors == [] and len(browser.requests) == 1


@needs_chromium
@pytest.mark.parametrize("media", ["screen", "print"])
def test_letters_of_filters_without_a_match_are_no_larger(opened, report, media):
    opened.call("Emulation.setEmulatedMedia", media=media)
    try:
        # A drawing unit in pixels: all letters are drawn in the same units.
        scales = opened.run(
            "[...document.querySelectorAll('.picture svg')].map(s => "
            "[s.closest('tbody').dataset.kind, s.getBoundingClientRect().height / s.viewBox.baseVal.height])"
        )
    finally:
        opened.call("Emulation.setEmulatedMedia", media="")
    alone = [scale for kind, scale in scales if kind in ("none", "silent")]
    assert alone and max(alone) <= min(scale for kind, scale in scales if kind in ("whole", "partial")) + 1e-3


@needs_chromium
def test_on_paper_all_figures_are_there(opened):
    shown = "document.querySelector('table.figures').checkVisibility()"
    assert not opened.run(shown)
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert opened.run(shown)
    opened.run("dispatchEvent(new Event('afterprint'))")
    assert not opened.run(shown)


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
