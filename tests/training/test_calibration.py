"""Probabilities that mean what they say."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from support.training import RUN

from kipoi_motifrep.core.accuracy import accuracy
from kipoi_motifrep.networks.keras_files import read_metadata
from kipoi_motifrep.training.calibration import calibrate, calibration_error, logit, platt_scaling, reliability
from kipoi_motifrep.training.runs import Protocol
from kipoi_motifrep.training.train import predict_split, train_run


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, float)))


@pytest.fixture
def overconfident():
    """Labels drawn by their true probabilities, and predictions with all logits doubled and moved."""
    random = np.random.default_rng(0)
    true = random.normal(-1, 1.5, (4000, 2))
    labels = (random.random(true.shape) < sigmoid(true)).astype(np.int8)
    labels[random.random(labels.shape) < 0.1] = -1
    return true, labels, sigmoid(2 * true + 1)


def test_slope_and_offset_undo_what_was_done(overconfident):
    _, labels, predictions = overconfident
    slope, offset = platt_scaling(labels, predictions)
    np.testing.assert_allclose(slope, 0.5, atol=0.05)
    np.testing.assert_allclose(offset, -0.5, atol=0.1)


def test_they_are_the_most_likely_ones(overconfident):
    _, labels, predictions = overconfident
    slope, offset = platt_scaling(labels, predictions)
    for i in range(2):
        known = labels[:, i] >= 0
        x, y = logit(predictions[known, i]), labels[known, i]
        loss = lambda ab: np.logaddexp(0, ab[0] * x + ab[1]).sum() - (y * (ab[0] * x + ab[1])).sum()  # noqa: B023, E731
        np.testing.assert_allclose([slope[i], offset[i]], minimize(loss, [1, 0]).x, atol=1e-3)


@pytest.mark.parametrize(
    "labels",
    [np.zeros(40), np.ones(40), np.full(40, -1), np.arange(40) < 9, np.arange(40) < 20],
    ids=["only zeros", "only ones", "masked", "nine ones", "the wrong way round"],
)
def test_labels_that_cannot_be_calibrated_stay(labels):
    slope, offset = platt_scaling(labels.astype(np.int8)[:, None], np.linspace(0.1, 0.9, 40)[:, None])
    assert (slope[0], offset[0]) == (1, 0)


def test_a_calibrated_network_is_the_same_one_with_other_probabilities(dataset, tmp_path):
    plain, calibrated = Protocol(batch_size=16, epochs=2), Protocol(batch_size=16, epochs=2, calibrate=True)
    train_run(RUN, dataset, tmp_path / "plain", plain)
    result = train_run(RUN, dataset, tmp_path / "calibrated", calibrated)
    before, after = (
        keras.models.load_model(RUN.folder(tmp_path / name) / "network.keras") for name in ("plain", "calibrated")
    )
    assert result["protocol"]["calibrate"] is True
    assert read_metadata(RUN.folder(tmp_path / "calibrated") / "network.keras")["training"]["protocol"]["calibrate"]
    for one, other in zip(before.get_weights()[:-2], after.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(one, other)
    # Too few of each label in so small a data set: with enough of them, the logits are a straight line of those before.
    valid = dataset["valid"]
    predictions = predict_split(before, valid)
    labels = np.tile(valid.read("labels"), (20, 1))
    calibrate(before, labels, np.tile(predictions, (20, 1)))
    slope, offset = platt_scaling(labels, np.tile(predictions, (20, 1)))
    np.testing.assert_allclose(logit(predict_split(before, valid)), logit(predictions) * slope + offset, atol=1e-3)


def test_ranks_stay(overconfident):
    _, labels, predictions = overconfident
    slope, offset = platt_scaling(labels, predictions)
    after = sigmoid(logit(predictions) * slope + offset)
    np.testing.assert_allclose(accuracy(labels, after).auroc, accuracy(labels, predictions).auroc, atol=1e-12)
    assert (calibration_error(labels, after) < 0.02).all() and (calibration_error(labels, predictions) > 0.08).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.floats(0, 1)), min_size=1, max_size=60), st.integers(1, 12))
def test_curves_against_counting_one_by_one(rows, n_bins):
    labels, predictions = np.array([one for one, _ in rows]), np.array([p for _, p in rows])
    bins = [[] for _ in range(n_bins)]
    for label, p in rows:
        if label != -1:
            bins[min(int(p * n_bins), n_bins - 1)].append((p, label))
    curve = reliability(labels, predictions, n_bins)
    assert curve[:, 0].tolist() == [len(one) for one in bins]
    for row, one in zip(curve, bins, strict=True):
        np.testing.assert_allclose(row[1:], np.mean(one, axis=0) if one else [np.nan, np.nan])
    total = sum(map(len, bins))
    expected = (
        sum(abs(sum(p - y for p, y in one)) for one in map(np.array, bins) if len(one)) / total if total else np.nan
    )
    if n_bins == 10:
        np.testing.assert_allclose(calibration_error(labels[:, None], predictions[:, None])[0], expected, atol=1e-12)
