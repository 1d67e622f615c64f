"""Planting within interpret: called filters alone, read again where nothing has changed, left out if asked."""

import numpy as np
import pytest

from kipoi_motifrep import InputError, interpret
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.simulate import LABEL_NAMES, simulate
from kipoi_motifrep.report import read_interpretation
from kipoi_motifrep.representation.planting import WAYS

pytest.importorskip("keras")
X = np.eye(4, dtype=np.float32)[simulate(300, 2).sequences]


@pytest.fixture(scope="module")
def found(tmp_path_factory, checkout):
    folder = tmp_path_factory.mktemp("planted")
    given = {"database": "JASPAR2016", "importance": False, "output": folder, "truth": "synthetic"}
    return interpret(checkout / "models/synthetic/cnn_25", X, **given), given, folder


def test_called_filters_are_planted_and_raise_their_factor(found):
    found, _, folder = found
    planted, report = found.planted, found.report
    called = [name for name, one in zip(found.representation.names, found.matches.called, strict=True) if one]
    assert list(planted.names) == called and len(called) > 15
    assert planted.outputs == report.outputs == LABEL_NAMES and report.planting.units == ("logit",) * 12
    rows = {row.name: row for row in report.filters}
    for name, row in rows.items():
        assert len(row.planted) == (len(WAYS) if name in called else 0)
    true = [rows[name] for name in called if rows[name].true]
    own = [LABEL_NAMES[int(np.argmax(row.planted[0].change))] == row.true for row in true]
    assert np.mean(own) > 0.8 and len(own) > 12
    assert any(row.partner is not None for row in rows.values())
    assert read_interpretation(folder) == report


def test_each_filter_has_all_that_was_found(found):
    found, _, _ = found
    assert len(found.filters) == len(found.report.filters) == 30
    for one, row, pwm in zip(found.filters, found.report.filters, found.banks[0].pwms, strict=True):
        assert (one.name, one.match, one.sites, one.called, one.planted) == (
            row.name, row.match, row.sites, row.called, row.planted,
        )  # fmt: skip
        np.testing.assert_array_equal(one.pwm, pwm)
        assert one.logo.width == one.motif.width == row.trim[1] - row.trim[0]


def test_results_are_short_in_a_notebook_and_have_logos(found):
    found, _, folder = found
    parts = [found, found.filters[0], found.banks[0], found.matches, found.representation, found.report, found.planted]
    for one in (*parts, found.planted.interactions[0]):
        assert len(repr(one)) < 400 and "\n" not in repr(one), type(one)
    assert str(folder) in repr(found) and "30 filters" in repr(found)
    for one in (found, found.banks[0], found.matches):
        assert one._repr_html_().count('class="logo"') >= 30
    assert found.planted._repr_html_().count('class="logo"') == len(found.planted.names)
    assert found.filters[0]._repr_html_().count('class="logo"') == 1 + len(found.filters[0].matches)
    assert "Localist index" in found.representation._repr_html_()
    frame = found.planted.to_frame()
    assert len(frame) == len(found.planted.table()) and frame["change"].dtype == float


def test_plots_take_axes(found):
    ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
    planted = found[0].planted
    assert planted.plot(planted.names[0], ax=ax) is ax
    assert [text.get_text() for text in ax.get_yticklabels()] == list(LABEL_NAMES)
    ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
    assert planted.interactions[0].plot(1, ax=ax) is ax
    with pytest.raises(InputError, match="no motif 'nobody'"):
        planted.plot("nobody", ax=ax)


def test_it_is_read_again(found, checkout, capsys):
    found, given, _ = found
    again = interpret(checkout / "models/synthetic/cnn_25", X, **given)
    assert "planted motifs: up to date" in capsys.readouterr().err
    assert again.report == found.report
    np.testing.assert_array_equal(again.planted.change, found.planted.change)


def test_without(tmp_path, checkout, capsys):
    words = ["interpret", checkout / "models/synthetic/cnn_25", "--no-plant", "--no-importance", "--no-null"]
    data = checkout / "kipoi_motifrep/sequences/examples/synthetic.h5"
    assert main([*map(str, words), "--dataset", str(data), "--database", "JASPAR2016", "-o", str(tmp_path)]) == 0
    assert not list(tmp_path.glob("planted*")) and read_interpretation(tmp_path).planting is None
