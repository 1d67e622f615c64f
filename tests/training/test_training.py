"""Training: masked losses and metrics, resuming to the same result, and what is left on the disk."""

import csv
import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from support.training import LABELS, QUICK, RUN, assert_same

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core import scratch
from kipoi_motifrep.core.accuracy import accuracy
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.scratch import only_here
from kipoi_motifrep.datasets.hdf5 import create_dataset, open_dataset
from kipoi_motifrep.networks.keras_files import read_metadata
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.training import train as training
from kipoi_motifrep.training.runs import Protocol, Run
from kipoi_motifrep.training.train import masked_binary_crossentropy, train_run

pytestmark = pytest.mark.filterwarnings("ignore:Even though the:UserWarning")  # of running eagerly


# Loss and metrics


def naive_loss(labels, predictions):
    losses = [
        -np.log(p) if label == 1 else -np.log(1 - p)
        for label, p in zip(labels.ravel(), predictions.astype(float).ravel(), strict=True)
        if label != -1
    ]
    return sum(losses) / len(losses)


def test_the_loss_leaves_masked_labels_out():
    random = np.random.default_rng(1)
    for _ in range(20):
        labels, p = random.integers(-1, 2, (7, 4)), random.uniform(0.01, 0.99, (7, 4)).astype(np.float32)
        loss = float(masked_binary_crossentropy(labels.astype(np.float32), p))
        assert loss == pytest.approx(naive_loss(labels, p), rel=1e-5)
        other = np.where(labels == -1, 1 - p, p)
        assert float(masked_binary_crossentropy(labels.astype(np.float32), other)) == pytest.approx(loss, rel=1e-6)


def test_the_loss_without_masks_is_that_of_keras():
    random = np.random.default_rng(2)
    labels, p = random.integers(0, 2, (9, 3)).astype(np.float32), random.uniform(0, 1, (9, 3)).astype(np.float32)
    expected = float(keras.ops.mean(keras.losses.binary_crossentropy(labels, p)))
    assert float(masked_binary_crossentropy(labels, p)) == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_finite_at_its_ends():
    assert float(masked_binary_crossentropy(np.float32([[-1, -1]]), np.float32([[0.3, 1]]))) == 0
    assert np.isfinite(float(masked_binary_crossentropy(np.float32([[1, 0]]), np.float32([[0, 1]]))))


def naive_auroc(labels, scores):
    """Share of pairs of a 1 and a 0 in the right order; ties count half."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    if not len(ones) or not len(zeros):
        return np.nan
    return np.mean([(a > b) + (a == b) / 2 for a in ones for b in zeros])


def naive_aupr(labels, scores):
    """Average precision: precision at each score, weighted by the recall it adds."""
    labels, scores = labels[labels != -1], scores[labels != -1]
    if len(set(labels)) < 2:
        return np.nan
    total, recall = 0.0, 0.0
    for score in sorted(set(scores), reverse=True):
        called = labels[scores >= score]
        total += called.mean() * (called.sum() / labels.sum() - recall)
        recall = called.sum() / labels.sum()
    return total


def test_metrics_leave_masked_labels_out():
    random = np.random.default_rng(3)
    labels, scores = random.integers(-1, 2, (40, 5)), random.integers(0, 12, (40, 5)) / 12
    labels[:, 3], labels[:, 4] = -1, np.where(labels[:, 4] == 1, 0, labels[:, 4])
    found = accuracy(labels, scores)
    np.testing.assert_allclose(found.auroc, [naive_auroc(*pair) for pair in zip(labels.T, scores.T, strict=True)])
    np.testing.assert_allclose(found.aupr, [naive_aupr(*pair) for pair in zip(labels.T, scores.T, strict=True)])
    summary = found.summary(("a", "b", "c", "d", "e"))
    assert summary["labels_in_mean"] == 3 and summary["auroc"] == pytest.approx(np.nanmean(found.auroc))
    assert summary["per_label"]["d"] == {"auroc": None, "aupr": None}
    assert json.loads(json.dumps(summary, allow_nan=False))["per_label"]["a"]["auroc"] == found.auroc[0]
    assert accuracy(labels[:, 3:4], scores[:, 3:4]).summary(("d",))["auroc"] is None


# What a finished run leaves


def test_files_of_a_finished_run(finished):
    assert sorted(path.name for path in finished[0].iterdir()) == ["history.csv", "network.keras", "result.json"]


def test_history(finished):
    folder, result, told = finished
    with open(folder / "history.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert rows == told and [row["epoch"] for row in rows] == [1, 2, 3]
    assert set(rows[0]) == {"epoch", "loss", "val_loss", "seconds"}
    assert result["best_epoch"] == min(rows, key=lambda row: row["val_loss"])["epoch"] and result["epochs"] == 3


def test_result(finished, dataset):
    folder, result, _ = finished
    assert json.loads((folder / "result.json").read_text()) == result
    assert (result["variant"], result["trial"], result["seed"]) == ("cnn_50_2", 0, 0)
    assert result["protocol"] == QUICK.saved() and result["n_sequences"] == {"train": 70, "valid": 20, "test": 31}
    assert result["versions"]["keras"] == keras.__version__ and result["backend"] == keras.backend.backend()
    network = keras.models.load_model(folder / "network.keras")
    assert result["n_parameters"] == network.count_params() - 2 * (30 + 64 + 96)
    predictions = network.predict_on_batch(one_hot(dataset["test"].read("sequences")))
    expected = accuracy(dataset["test"].read("labels"), predictions)
    for i, label in enumerate(LABELS):
        metrics = result["test"]["per_label"][label]
        if label == "rare":
            assert metrics == {"auroc": None, "aupr": None}
        else:
            assert metrics == pytest.approx({"auroc": expected.auroc[i], "aupr": expected.aupr[i]})
    assert result["test"]["labels_in_mean"] == 2
    assert result["test"]["auroc"] == pytest.approx(np.nanmean(expected.auroc))


def test_the_network_kept_is_that_of_the_best_epoch(finished, dataset):
    folder, result, told = finished
    network = keras.models.load_model(folder / "network.keras")
    predictions = network.predict_on_batch(one_hot(dataset["valid"].read("sequences")))
    decay = sum(
        1e-6 * float((weight.numpy() ** 2).sum())
        for weight in network.trainable_weights
        if weight.name in ("kernel", "bias")
    )
    loss = naive_loss(dataset["valid"].read("labels"), predictions) + decay
    assert loss == pytest.approx(told[result["best_epoch"] - 1]["val_loss"], rel=1e-4)


def test_plain_keras_opens_the_network_without_this_package(finished, dataset, tmp_path):
    program = (
        "import sys; sys.modules['kipoi_motifrep'] = None\n"
        "import keras, numpy\nmodel = keras.models.load_model(sys.argv[1])\n"
        "numpy.save(sys.argv[2], model.predict_on_batch(numpy.load(sys.argv[3])))"
    )
    inputs = one_hot(dataset["test"].read("sequences"))
    np.save(tmp_path / "inputs.npy", inputs)
    arguments = [finished[0] / "network.keras", tmp_path / "out.npy", tmp_path / "inputs.npy"]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    network = keras.models.load_model(finished[0] / "network.keras")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), network.predict_on_batch(inputs), rtol=1e-5)


def test_metadata_travels_with_the_network(finished, tmp_path):
    folder, result, _ = finished
    metadata = read_metadata(folder / "network.keras")
    assert metadata["variant"] == "cnn_50_2" and metadata["label_names"] == list(LABELS)
    assert metadata["training"]["data"] == result["data"] and metadata["training"]["protocol"] == QUICK.saved()
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    assert read_metadata(tmp_path / "other.keras") == {}
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(InputError, match=r"damaged or not a \.keras file"):
        read_metadata(tmp_path / "text.keras")


def test_saving_twice_gives_the_same_network(finished):
    with zipfile.ZipFile(finished[0] / "network.keras") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["config.json", "kipoi_motifrep.json", "metadata.json", "model.weights.h5"]


# Interrupted runs


class Killed(BaseException):
    pass


def stop_after(epoch):
    def stop(row):
        if row["epoch"] == epoch:
            raise Killed

    return stop


@pytest.fixture
def eagerly():
    """Run without compiling graphs, which takes longer than the training does."""
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


def test_a_run_stopped_after_an_epoch_ends_as_if_it_had_not_been(dataset, finished, tmp_path):
    with pytest.raises(Killed):
        train_run(RUN, dataset, tmp_path, QUICK, stop_after(1))
    told = []
    train_run(RUN, dataset, tmp_path, QUICK, told.append)
    assert [row["epoch"] for row in told] == [2, 3]
    assert_same(RUN.folder(tmp_path), finished[0])


@pytest.fixture(scope="module")
def finished_eagerly(dataset, tmp_path_factory):
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    out = tmp_path_factory.mktemp("runs")
    train_run(RUN, dataset, out, QUICK)
    tensorflow.config.run_functions_eagerly(False)
    return RUN.folder(out)


@pytest.mark.parametrize(
    "number", [pytest.param(i, marks=() if i in (1, 3, 8) else pytest.mark.slow) for i in range(1, 10)]
)
def test_a_run_killed_after_any_of_its_writes_ends_the_same(
    dataset, finished_eagerly, eagerly, tmp_path, monkeypatch, number
):
    """Everything is written under another name and renamed: die just after rename `number`."""
    rename, done = os.replace, []

    def dying(source, target):
        rename(source, target)
        done.append(target)
        if len(done) == number:
            raise Killed

    monkeypatch.setattr(os, "replace", dying)
    try:
        train_run(RUN, dataset, tmp_path, QUICK)
        assert len(done) < number, "was not killed"
        return
    except Killed:
        pass
    monkeypatch.setattr(os, "replace", rename)
    train_run(RUN, dataset, tmp_path, QUICK)
    assert_same(RUN.folder(tmp_path), finished_eagerly)
    assert sorted(path.name for path in RUN.folder(tmp_path).iterdir()) == [
        "history.csv",
        "network.keras",
        "result.json",
    ]


def test_finished_work_is_not_done_again(dataset, finished, monkeypatch):
    folder, result, _ = finished
    monkeypatch.setattr(training._Training, "fit", lambda *_: pytest.fail("trained again"))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert train_run(RUN, dataset, folder.parent.parent, QUICK) == result
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("complete", [True, False])
def test_other_settings_data_or_seeds_are_refused(dataset, finished, eagerly, tmp_path, complete):
    out = finished[0].parent.parent
    if not complete:
        out = tmp_path / "out"
        with pytest.raises(Killed):
            train_run(RUN, dataset, out, QUICK, stop_after(1))
    with create_dataset(tmp_path / "other.h5", 60, LABELS, {}) as writer:
        for split in dataset.splits.values():
            writer.append(split.name, split.read("sequences"), np.abs(split.read("labels")))
    other = open_dataset(tmp_path / "other.h5")
    for unit, data, protocol in [
        (RUN, dataset, Protocol(batch_size=16, epochs=4)),
        (RUN, other, QUICK),
        (Run("cnn_50_2", 0, 1), dataset, QUICK),
    ]:
        with pytest.raises(InputError, match=r"cnn_50_2/trial_0: .*choose another output"):
            train_run(unit, data, out, protocol)


def test_initialisation_depends_on_seed_architecture_and_trial():
    seeds = {
        Run(architecture, trial, seed).random_seed
        for architecture in ("cnn_2", "cnn_4")
        for trial in (0, 1)
        for seed in (0, 1)
    }
    assert len(seeds) == 8 and all(0 <= seed < 2**31 for seed in seeds)
    assert Run("cnn_25", 0, 0).random_seed == 240345137  # that of the shipped network


def test_early_stopping_and_the_limit_of_epochs(dataset, eagerly, tmp_path, monkeypatch):
    losses = iter([0.9, 0.5, 0.7, 0.6, 0.5, 0.4])
    monkeypatch.setattr(keras.Model, "evaluate", lambda *_, **__: next(losses))
    result = train_run(RUN, dataset, tmp_path, Protocol(batch_size=16, epochs=9, patience=3))
    assert result["epochs"] == 5 and result["best_epoch"] == 2


def test_a_loss_that_is_no_number_stops_the_run(dataset, eagerly, tmp_path):
    with pytest.raises(InputError, match=r"no longer finite at epoch 1; try a smaller learning_rate"):
        train_run(RUN, dataset, tmp_path, Protocol(batch_size=16, epochs=2, learning_rate=1e30))


def test_an_empty_split_is_refused(tmp_path, capsys):
    with create_dataset(tmp_path / "e.h5", 60, LABELS, {}) as writer:
        writer.append("train", np.zeros((4, 60), np.uint8), np.zeros((4, 3), np.int8))
    with pytest.raises(InputError, match="split 'valid' is empty"):
        train_run(RUN, open_dataset(tmp_path / "e.h5"), tmp_path, QUICK)
    assert cli.main(["train", str(tmp_path / "e.h5"), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("kipoi-motifrep: error: ") and "split 'valid' is empty" in said


def test_two_processes_do_not_train_one_network(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "LOCK_SECONDS", 0.2)
    folder = RUN.folder(tmp_path)
    folder.mkdir(parents=True)
    with only_here(folder), pytest.raises(InputError, match="another process is writing here"):
        train_run(RUN, dataset, tmp_path, Protocol(epochs=1))
    assert not list(folder.iterdir())
    with only_here(folder):
        pass  # free again after the refusal
