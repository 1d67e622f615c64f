"""What goes beyond the paper's protocol: both strands in training, and more weight on rare labels."""

import itertools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.training import LABELS, QUICK, RUN, assert_same

from kipoi_motifrep.cli.program import build_parser
from kipoi_motifrep.cli.train import protocol_of
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.keras_files import read_metadata
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.training.runs import Protocol
from kipoi_motifrep.training.train import MOST_WEIGHT, class_weights, masked_binary_crossentropy, train_run

RECIPE = Protocol(batch_size=16, epochs=3, augment_reverse_complement=True, weight_rare_labels=True)


class Stopped(BaseException):
    pass


# Recorded, and off by default


def test_the_papers_protocol_is_written_as_before():
    assert QUICK.saved() == {
        "batch_size": 16,
        "epochs": 3,
        "patience": 20,
        "learning_rate": 0.001,
        "beta_1": 0.95,
        "beta_2": 0.999,
        "first_activation": "relu",
    }
    assert RECIPE.saved() == {**QUICK.saved(), "augment_reverse_complement": True, "weight_rare_labels": True}


@pytest.mark.parametrize("command", [["train", "x.h5"], ["experiment"]])
def test_options_of_the_commands(command):
    parser = build_parser()
    assert protocol_of(parser.parse_args([*command, "-o", "out"])) == Protocol()
    options = ["--augment-reverse-complement", "--weight-rare-labels", "--batch-size", "16", "--epochs", "3"]
    assert protocol_of(parser.parse_args([*command, "-o", "out", *options])) == RECIPE


@pytest.fixture(scope="module")
def with_recipe(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipe")
    return RUN.folder(out), train_run(RUN, dataset, out, RECIPE)


def test_options_are_recorded(with_recipe):
    folder, result = with_recipe
    assert json.loads((folder / "result.json").read_text())["protocol"] == RECIPE.saved() == result["protocol"]
    assert read_metadata(folder / "network.keras")["training"]["protocol"] == RECIPE.saved()


@pytest.mark.parametrize(
    "protocol",
    [
        QUICK,
        Protocol(batch_size=16, epochs=3, weight_rare_labels=True),
        Protocol(batch_size=16, epochs=3, augment_reverse_complement=True),
    ],
)
def test_runs_with_other_options_are_refused(dataset, with_recipe, protocol):
    with pytest.raises(InputError, match="other data, settings or seed"):
        train_run(RUN, dataset, with_recipe[0].parent.parent, protocol)


def test_a_stopped_run_ends_as_if_it_had_not_been(dataset, with_recipe, tmp_path):
    def stop(epoch):
        raise Stopped

    with pytest.raises(Stopped):
        train_run(RUN, dataset, tmp_path, RECIPE, stop)
    told = []
    train_run(RUN, dataset, tmp_path, RECIPE, told.append)
    assert [epoch["epoch"] for epoch in told] == [2, 3]
    assert_same(RUN.folder(tmp_path), with_recipe[0])


def test_plain_keras_opens_the_network(with_recipe):
    assert keras.models.load_model(with_recipe[0] / "network.keras").output_shape == (None, len(LABELS))


# Both strands


@pytest.fixture
def epochs_seen(dataset, tmp_path, monkeypatch):
    """Train with nothing learned, and keep what each epoch showed: one-hot sequences and labels."""

    def seen(protocol, name):
        shown = []

        class Fitted:
            history = {"loss": [0.5]}  # noqa: RUF012

        def fit(_, batches, **__):
            pairs = [batches[i] for i in range(len(batches))]
            shown.append(tuple(map(np.concatenate, zip(*pairs, strict=True))))
            return Fitted

        monkeypatch.setattr(keras.Model, "fit", fit)
        monkeypatch.setattr(keras.Model, "evaluate", lambda *_, **__: 0.5)
        train_run(RUN, dataset, tmp_path / name, protocol)
        return shown

    return seen


def test_each_epoch_shows_each_sequence_once_on_a_strand_drawn_anew(dataset, epochs_seen):
    forward = one_hot(dataset["train"].read("sequences"))
    backward = forward[:, ::-1, ::-1]
    plain = epochs_seen(QUICK, "plain")
    augmented = epochs_seen(Protocol(batch_size=16, epochs=3, augment_reverse_complement=True), "augmented")
    strands = []
    for (without, labels), (sequences, same_labels) in zip(plain, augmented, strict=True):
        # The same sequences in the same order, with their labels.
        np.testing.assert_array_equal(same_labels, labels)
        flipped = np.zeros(len(forward), bool)
        for shown, original in zip(sequences, without, strict=True):
            [row] = np.flatnonzero((forward == original).all(axis=(1, 2)))
            assert (shown == forward[row]).all() or (shown == backward[row]).all()
            flipped[row] = (shown == backward[row]).all()
        strands.append(flipped)
    for flipped in strands:
        assert 0.25 < flipped.mean() < 0.75
    assert not any((one == other).all() for one, other in itertools.pairwise(strands))
    again = epochs_seen(Protocol(batch_size=16, epochs=3, augment_reverse_complement=True), "again")
    for one, other in zip(again, augmented, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


# Rare labels


def naive_weights(labels):
    """Class by class: as many times as the other class and this one together have twice this one."""
    weights = np.ones((2, labels.shape[1]))
    for t in range(labels.shape[1]):
        counts = [sum(label == value for label in labels[:, t]) for value in (0, 1)]
        if all(counts):
            for value in (0, 1):
                weights[value, t] = min((counts[0] + counts[1]) / (2 * counts[value]), MOST_WEIGHT)
    return weights


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 400), share=st.floats(0, 0.5))
def test_weights_equal_a_plain_count(seed, n, share):
    random = np.random.default_rng(seed)
    labels = np.where(random.random((n, 3)) < 0.2, -1, random.random((n, 3)) < share).astype(np.int8)
    weights = class_weights(labels)
    np.testing.assert_allclose(weights, naive_weights(labels), rtol=1e-6)
    for t in range(3):
        zeros, ones = ((labels[:, t] == value).sum() for value in (0, 1))
        if zeros and ones and weights.max() < MOST_WEIGHT:
            assert weights[0, t] * zeros == pytest.approx(weights[1, t] * ones, rel=1e-5)


def test_the_weighted_loss_weighs_each_label_by_its_class():
    random = np.random.default_rng(1)
    for _ in range(10):
        labels, p = random.integers(-1, 2, (7, 4)), random.uniform(0.01, 0.99, (7, 4)).astype(np.float32)
        weights = random.uniform(0.1, 9, (2, 4)).astype(np.float32)
        losses = [
            -float(weights[labels[i, t], t]) * float(np.log(p[i, t] if labels[i, t] else 1 - p[i, t]))
            for i in range(7)
            for t in range(4)
            if labels[i, t] != -1
        ]
        found = float(masked_binary_crossentropy(labels.astype(np.float32), p, weights))
        assert found == pytest.approx(sum(losses) / len(losses), rel=1e-5)
        ones = np.ones((2, 4), np.float32)
        assert float(masked_binary_crossentropy(labels.astype(np.float32), p, ones)) == pytest.approx(
            float(masked_binary_crossentropy(labels.astype(np.float32), p)), rel=1e-6
        )


def test_the_weighted_loss_with_another_backend():
    pytest.importorskip("torch")
    program = (
        "import numpy, keras; from kipoi_motifrep.training.train import masked_binary_crossentropy as loss; "
        "random = numpy.random.default_rng(0); y = random.integers(-1, 2, (5, 3)); "
        "p, w = random.random((5, 3)).astype('f4'), random.random((2, 3)).astype('f4'); "
        "print(keras.backend.backend(), float(loss(*map(keras.ops.convert_to_tensor, (y, p)), w)))"
    )
    found = {}
    for backend in ("tensorflow", "torch"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        )
        name, loss = done.stdout.split()
        found[name] = float(loss)
    assert found["torch"] == pytest.approx(found["tensorflow"], rel=1e-5)


def test_the_validation_loss_of_a_run_is_the_weighted_one(dataset, with_recipe):
    folder, result = with_recipe
    network = keras.models.load_model(folder / "network.keras")
    labels = dataset["valid"].read("labels")
    predictions = network.predict_on_batch(one_hot(dataset["valid"].read("sequences")))
    weights = naive_weights(dataset["train"].read("labels"))
    losses = [
        -weights[label, t] * np.log(p if label else 1 - p)
        for row, ps in zip(labels, predictions.astype(float), strict=True)
        for t, (label, p) in enumerate(zip(row, ps, strict=True))
        if label != -1
    ]
    decay = sum(
        1e-6 * float((weight.numpy() ** 2).sum())
        for weight in network.trainable_weights
        if weight.name in ("kernel", "bias")
    )
    lines = (folder / "history.csv").read_text().splitlines()[1:]
    best = float(lines[result["best_epoch"] - 1].split(",")[2])
    assert np.mean(losses) + decay == pytest.approx(best, rel=1e-4)
