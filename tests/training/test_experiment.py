"""Experiments: records, resuming, tables, plots."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from kipoi_motifrep import InputError
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.training.experiment import running
from kipoi_motifrep.training.experiment.plots import write_plots
from kipoi_motifrep.training.experiment.record import read_record, read_records, record_name
from kipoi_motifrep.training.experiment.running import Experiment, run_experiment
from kipoi_motifrep.training.experiment.tabulate import COLUMNS, markdown, tabulate, write_tables
from kipoi_motifrep.training.runs import Protocol, Run
from kipoi_motifrep.training.sweep import RunResult

EXAMPLE = Path(__file__).parents[2] / "kipoi_motifrep/sequences/examples/synthetic.h5"
RESULTS = Path(__file__).parents[2] / "docs/results/synthetic"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One network, one epoch."""
    folder = tmp_path_factory.mktemp("experiment")
    experiment = Experiment(folder, str(EXAMPLE), ("cnn9_25",), 1, protocol=Protocol(epochs=1), truth="synthetic")
    results = list(run_experiment(experiment))
    assert [error for _, _, error in results] == [""]
    return experiment, results[0][1]


@pytest.mark.parametrize("truth, words", [("none.tsv", "none.tsv: no such file"), ("odd.tsv", "odd.tsv")])
def test_a_file_of_known_motifs_is_read_before_the_training(tmp_path, monkeypatch, capsys, truth, words):
    monkeypatch.chdir(tmp_path)
    Path("odd.tsv").write_text("CEBPB\tnothing\n")
    monkeypatch.setattr("kipoi_motifrep.training.experiment.running.run_sweep", None)
    assert main(["experiment", "--task", str(EXAMPLE), "--truth", truth, "-o", "out"]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not Path("out").exists()


def test_why_there_is_no_network_is_said(tmp_path, monkeypatch, capsys):
    failed = RunResult(Run("cnn_2", 0, 0), None, "x.h5: is wrong")
    monkeypatch.setattr("kipoi_motifrep.training.experiment.running.run_sweep", lambda *_: [failed])
    assert main(["experiment", "--task", str(EXAMPLE), "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("error: 1 network failed; the first: x.h5: is wrong\n")


def test_a_record_reads_back_as_written(finished):
    experiment, record = finished
    saved = read_record(experiment.folder / "units/cnn9_25.0.json")
    for field in dataclasses.fields(saved):
        if field.name != "layers":
            assert getattr(saved, field.name) == json.loads(json.dumps(getattr(record, field.name)))
    [layer], [before] = saved.layers, record.layers
    assert layer.pwms.shape == (30, 9, 4)
    np.testing.assert_allclose(layer.pwms, before.pwms, atol=1e-5)
    assert layer.hits == before.hits and layer.labels == before.labels
    assert [motif.nsites for motif in layer.motifs()] == before.n_sites.tolist() and len(layer.motifs()) == 30


def test_files_keep_their_keys(finished):
    saved = json.loads((finished[0].folder / "units/cnn9_25.0.json").read_text())
    assert set(saved) == {
        "format",
        "variant",
        "first_activation",
        "trial",
        "random_seed",
        "task",
        "training",
        "layers",
        "figures",
        "database",
    }
    assert saved["variant"] == saved["training"]["variant"] == "cnn9_25"
    shipped = json.loads((RESULTS / "units/cnn9_25.0.json").read_text())
    assert set(shipped) == set(saved) and set(shipped["layers"][0]) == set(saved["layers"][0])
    assert set(shipped["training"]) == set(saved["training"])


def test_metrics_follow_from_the_record(finished):
    _, record = finished
    trained = record.metrics["conv1"]["trained"]
    [layer] = record.layers
    assert trained["matched"] == len({hit.query for hit in layer.hits}) / 30
    assert trained["true"] == sum(label is not None for label in layer.labels) / 30
    assert trained["index"] == pytest.approx(layer.coverage.mean(), abs=1e-6)
    assert {"shuffled", "untrained"} <= set(record.metrics["conv1"])


def test_without_a_truth_nothing_is_called_true(finished, tmp_path):
    experiment, _ = finished
    shutil.copytree(experiment.networks, tmp_path / "networks")
    [(_, record, error)] = run_experiment(dataclasses.replace(experiment, folder=tmp_path, truth=None))
    assert error == "" and "true" not in record.metrics["conv1"]["trained"]
    assert set(record.layers[0].labels) == {None}
    [row] = tabulate([record])
    assert dict(zip([column.name for column in COLUMNS], np.isnan(row.mean), strict=True))["true_match"]
    assert "| - |" in markdown([row])


def test_finished_networks_are_not_trained_again(finished, monkeypatch):
    experiment, _ = finished
    monkeypatch.setattr(running, "record_run", lambda *_: pytest.fail("interpreted again"))
    assert list(run_experiment(experiment)) == []


@pytest.mark.parametrize("other", [{"protocol": Protocol(epochs=2)}, {"seed": 7}, {"task": "synthetic"}])
def test_records_of_another_experiment_are_refused(finished, other):
    experiment, _ = finished
    with pytest.raises(InputError, match=r"cnn9_25\.0\.json: .* other data, settings or seed; choose another output"):
        next(run_experiment(dataclasses.replace(experiment, **other)))


def test_a_record_is_enough_to_go_on_elsewhere(finished, tmp_path):
    experiment, _ = finished
    shutil.copytree(experiment.folder / "units", tmp_path / "units")
    assert list(run_experiment(dataclasses.replace(experiment, folder=tmp_path))) == []
    assert not (tmp_path / "networks").exists()


def test_a_network_that_fails_does_not_stop_the_rest(finished, tmp_path, monkeypatch):
    experiment, record = finished
    answers = {"cnn9_25": InputError("broken"), "cnn9_4": record}

    def interpret(_, run, *__):
        if isinstance(answers[run.architecture], Exception):
            raise answers[run.architecture]
        return answers[run.architecture]

    monkeypatch.setattr(running, "record_run", interpret)
    both = dataclasses.replace(experiment, folder=tmp_path, architectures=("cnn9_25", "cnn9_4"))
    results = {run.architecture: (found, error) for run, found, error in run_experiment(both)}
    assert results == {"cnn9_25": (None, "broken"), "cnn9_4": (record, "")}


def test_means_and_deviations_are_those_of_the_trials(finished, tmp_path):
    _, record = finished
    trials = [_with(record, trial=i, auroc=auroc) for i, auroc in enumerate([0.9, 0.92, 0.97])]
    [row] = tabulate(trials)
    assert (row.architecture, row.n_trials, row.n_filters) == ("cnn9_25", 3, 30)
    assert row.mean[0] == pytest.approx(np.mean([0.9, 0.92, 0.97]))
    assert row.sd[0] == pytest.approx(np.std([0.9, 0.92, 0.97], ddof=1))
    assert row.sd[2] == 0
    write_tables(trials, tmp_path)
    header, line = (tmp_path / "table.tsv").read_text().splitlines()
    assert len(header.split("\t")) == len(line.split("\t")) == 5 + 2 * len(COLUMNS)
    assert len((tmp_path / "networks.tsv").read_text().splitlines()) == 4
    assert "0.930 ± 0.036" in markdown([row])


def test_one_trial_has_no_deviation(finished):
    [row] = tabulate([finished[1]])
    assert np.isnan(row.sd).all() and "±" not in markdown([row])


def _with(record, trial: int, auroc: float):
    training = {**record.training, "test": {**record.training["test"], "auroc": auroc}}
    return dataclasses.replace(record, trial=trial, training=training)


def test_names_of_records():
    assert record_name("cnn_2", "relu", 3) == "cnn_2.3.json"
    assert record_name("cnn_2", "exponential", 0) == "cnn_2.exponential.0.json"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1, "layers": []}'])
def test_a_damaged_record_is_named(tmp_path, content):
    path = tmp_path / "units/cnn_2.0.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(InputError, match=r"cnn_2\.0\.json.*run the experiment again"):
        read_records(tmp_path)


def test_a_folder_without_records(tmp_path, capsys):
    assert main(["experiment", "--tables-only", "-o", str(tmp_path)]) == 2
    assert "holds no finished networks" in capsys.readouterr().err


def test_tables_and_plots_of_the_shipped_results(tmp_path, capsys):
    shutil.copytree(RESULTS / "units", tmp_path / "units")
    assert main(["experiment", "--tables-only", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "table.tsv").read_text() == (RESULTS / "table.tsv").read_text()
    assert (tmp_path / "networks.tsv").read_text() == (RESULTS / "networks.tsv").read_text()
    assert "| cnn_25 |" in capsys.readouterr().out
    for name in ("filters_cnn_2.svg", "filters_cnn_25.svg", "planted_motifs_and_filters.svg"):
        assert (tmp_path / "figures" / name).read_text().rstrip().endswith("</svg>")
    assert "MOTIF MA0151.1" in (tmp_path / "figures/planted_motifs_and_filters.meme").read_text()


def test_plots(tmp_path):
    pytest.importorskip("matplotlib")
    shutil.copytree(RESULTS / "units", tmp_path / "units")
    write_plots(read_records(tmp_path), tmp_path)
    for name in ("match_by_pooling.svg", "accuracy_and_match.svg"):
        assert ElementTree.parse(tmp_path / "figures" / name).getroot().tag.endswith("svg")


def test_the_contrast_of_the_paper_is_in_the_shipped_results():
    rows = {
        row.architecture: dict(zip([column.name for column in COLUMNS], row.mean, strict=True))
        for row in tabulate(read_records(RESULTS))
        if row.layer == "conv1" and row.first_activation == "relu"
    }
    for name in ("cnn_10", "cnn_25", "cnn_50", "cnn_100", "cnn9_25"):
        assert rows[name]["match"] > 0.85 and rows[name]["tfs_covered"] >= 10.5
    for name in ("cnn_2", "cnn9_4", "cnn3_2", "cnn3_50"):
        assert rows[name]["true_match"] < 0.1
