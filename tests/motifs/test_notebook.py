"""How motifs and matches look in a notebook."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from kipoi_motifrep import Database, Motif, information_logo, match, signed_logo, write_motifs
from kipoi_motifrep.motifs.files import motifs_of
from kipoi_motifrep.motifs.matches import COLUMNS
from kipoi_motifrep.motifs.notebook import MOST_ROWS, axes_of, html_table

EYE = np.eye(4)
MOTIFS = [Motif("one", EYE[[0, 1, 2, 0, 1]], nsites=20), Motif("flat", np.full((5, 4), 0.25))]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("targets") / "targets.meme"
    write_motifs(
        [Motif("t1", EYE[[1, 2, 0, 1, 3]][::-1, ::-1]), *(Motif(f"t{i}", EYE[[i % 4] * 4]) for i in range(2, 9))], path
    )
    return match(MOTIFS, path, evalue=10, fdr=0.5)


def test_tables_are_whole_and_harmless():
    html = html_table("a & b", ["x"], [("<script>",), (None,), (float("nan"),), (information_logo(MOTIFS[0]),)])
    ElementTree.fromstring(html.replace("&nbsp;", " "))
    assert "<script>" not in html and "a &amp; b" in html and html.count("<td></td>") == 2
    many = html_table("many", ["x"], [(i,) for i in range(MOST_ROWS + 5)])
    assert many.count("<tr>") == MOST_ROWS + 1 and "5 more" in many


def test_logos_are_pictures():
    for one in (information_logo(MOTIFS[0]), MOTIFS[0], signed_logo([[1, -2, 0, 0]])):
        tree = ElementTree.fromstring(one._repr_svg_().encode())
        assert tree.tag.endswith("svg") and "x" not in tree.get("width")


def test_matches_as_a_frame(found):
    frame = found.to_frame()
    assert list(frame.columns) == list(COLUMNS) and len(frame) == 2
    assert frame["e_value"].dtype == float and frame["n_matches"].tolist() == [len(found.hits), 0]
    assert frame["query"].tolist() == ["one", "flat"]
    assert frame["called"].tolist()[0] is found.called[0] and frame["target"].isna().tolist() == [False, True]
    assert np.isnan(frame["e_value"][1]) and str(frame["offset"].dtype) == str(frame["overlap"].dtype) == "Int64"


def test_reprs_are_a_line(found):
    for one in (found, found.database, found.queries, motifs_of(MOTIFS), Database(tuple(MOTIFS), "mine")):
        assert len(repr(one)) < 200 and "\n" not in repr(one)
    html = found._repr_html_()
    assert html.count("<svg") == 1 + 2 + 1  # outlines, two motifs, one match
    assert "no information" in html


def test_plots_take_axes():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    logo = signed_logo([[1.0, -2.0, 0, 0], [0, 0, 3.0, 0]])
    assert logo.plot(ax=ax) is ax is axes_of(ax)
    boxes = [patch.get_path().get_extents() for patch in ax.patches]
    assert sorted((int(box.x0), round(box.y0, 6), round(box.y1, 6)) for box in boxes) == [
        (0, -2, 0),
        (0, 0, 1),
        (1, 0, 3),
    ]
    assert all(box.x1 <= int(box.x0) + 1 for box in boxes)


def test_pandas_and_matplotlib_come_in_when_they_are_used():
    code = (
        "import sys, kipoi_motifrep as km; km.Motif, km.Matches, km.Planted, km.information_logo, km.FilterPWMs; "
        "print([name for name in ('pandas', 'matplotlib', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
