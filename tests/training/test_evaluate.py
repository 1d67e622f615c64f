"""Accuracy of any network on a data set."""

import csv
import errno
import json

import keras
import numpy as np
import pytest
import torch

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.accuracy import accuracy
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.training.evaluate import evaluate
from kipoi_motifrep.training.train import predict_split


@pytest.fixture
def network(finished):
    return finished[0] / "network.keras"


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_figures_are_those_of_the_run(dataset, finished, network, tmp_path):
    [one] = evaluate([network], dataset.path, output=tmp_path / "a.tsv")
    measured = finished[1]["test"]["per_label"]
    for i, label in enumerate(dataset.label_names):
        for figure, values in one.figures()[:2]:
            expected = measured[label][figure]
            assert np.isnan(values[i]) if expected is None else values[i] == pytest.approx(expected, abs=1e-6)
    rows = table(tmp_path / "a.tsv")
    assert [row["figure"] for row in rows] == ["auroc", "aupr", "calibration_error"]
    assert rows[0]["rare"] == "" and rows[0]["left"] == f"{measured['left']['auroc']:.4f}"
    curves = table(tmp_path / "a.tsv.reliability.tsv")
    known = int((dataset["test"].read("labels")[:, 0] >= 0).sum())
    assert sum(int(row["sequences"]) for row in curves if row["label"] == "left") == known
    assert json.loads((tmp_path / "a.tsv.json").read_text())["parameters"]["split"] == "test"


def test_networks_with_other_layouts_are_read_their_own_way(dataset, network, tmp_path):
    """The same numbers from PyTorch, channels before positions and the bases in another order."""

    class Turned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 3, 7)

        def forward(self, x):
            return torch.sigmoid(torch.relu(self.conv(x)).amax(2) - 1)

    torch.manual_seed(0)
    module = Turned()
    codes = dataset["test"].read("sequences")
    order = ["ACGT".index(base) for base in "ATGC"]
    hot = np.concatenate([np.eye(4), np.full((1, 4), 0.25)])[codes][..., order].astype(np.float32)
    with torch.no_grad():
        predictions = module(torch.from_numpy(hot.swapaxes(1, 2).copy())).numpy()
    [one] = evaluate([module], dataset.path, alphabet="ATGC")
    expected = accuracy(dataset["test"].read("labels"), predictions)
    np.testing.assert_allclose(one.auroc, expected.auroc, atol=1e-6)
    np.testing.assert_allclose(one.aupr, expected.aupr, atol=1e-6)


def test_the_mean_of_all_is_that_of_their_predictions(dataset, network, tmp_path):
    other = keras.models.clone_model(load_keras(network))
    other.save(tmp_path / "other.keras")
    found = evaluate([network, tmp_path / "other.keras"], dataset.path, split="valid", average=True)
    assert [one.model for one in found] == [str(network), str(tmp_path / "other.keras"), "mean of all"]
    valid = dataset["valid"]
    mean = (predict_split(load_keras(network), valid).astype(float) + predict_split(other, valid)) / 2
    np.testing.assert_allclose(found[-1].aupr, accuracy(valid.read("labels"), mean).aupr, atol=1e-6)


def test_the_command_says_one_line_a_model(dataset, network, tmp_path, capsys):
    assert main(["evaluate", str(network), "--dataset", str(dataset.path), "-o", str(tmp_path / "a.tsv")]) == 0
    assert "auroc 0." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "baseline"])
def test_all_files_arrive_or_none(dataset, network, tmp_path, monkeypatch, capsys, command):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"kipoi_motifrep.training.{command}.write_json", full)
    (tmp_path / "truth.tsv").write_text(f"{dataset.label_names[0]}\tMA0058.3\n")
    given = {
        "evaluate": [str(network), "--dataset", str(dataset.path)],
        "baseline": [str(dataset.path), "--truth", str(tmp_path / "truth.tsv"), "--database", "JASPAR2016"],
    }
    assert main([command, *given[command], "-o", str(tmp_path / "out/a.tsv")]) == 2
    assert "no space left on device" in capsys.readouterr().err and not list(tmp_path.glob("out/*"))


def test_bad_input(dataset, network, tmp_path):
    with pytest.raises(InputError, match="no split 'tests'; there are train, valid, test"):
        evaluate([network], dataset.path, split="tests")
    two = keras.Sequential([keras.Input((60, 4)), keras.layers.Conv1D(3, 5, activation="relu")])
    two.add(keras.layers.GlobalMaxPooling1D())
    two.add(keras.layers.Dense(2))
    two.save(tmp_path / "two.keras")
    with pytest.raises(InputError, match=r"two\.keras: gives 2 numbers a sequence, and the data set has 3 labels"):
        evaluate([tmp_path / "two.keras"], dataset.path)
    for name, length, stack, words in (
        (
            "long",
            70,
            [keras.layers.Conv1D(3, 5), keras.layers.Flatten(), keras.layers.Dense(3)],
            "reads 70 bp; make the",
        ),
        ("dense", 60, [keras.layers.Flatten(), keras.layers.Dense(3)], "no convolution"),
    ):
        keras.Sequential([keras.Input((length, 4)), *stack]).save(tmp_path / f"{name}.keras")
        with pytest.raises(InputError, match=rf"{name}\.keras.*{words}"):
            evaluate([network, tmp_path / f"{name}.keras"], dataset.path)
    (tmp_path / "no.keras").write_text("nothing")
    with pytest.raises(InputError, match=r"^[^:]*no\.keras: ") as said:
        evaluate([tmp_path / "no.keras"], dataset.path)
    assert str(said.value).count("no.keras") == 1 and said.value.__cause__ is not said.value
    with pytest.raises(InputError, match="input"):
        evaluate([network], dataset.path, output=dataset.path)
