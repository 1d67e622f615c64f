"""Making probabilities mean what they say, and measuring whether they do.

A network that was trained with weights on rare labels, or with dropout, ranks well and exaggerates. Platt's cure: for
each label, a logistic regression of the validation labels on the network's logits. Its slope and offset go into the
last dense layer, so that the network stays one of the same architecture, and the ranks of its predictions as they were.

Source: Platt (1999), Probabilistic outputs for support vector machines; Guo et al. (2017), ICML 70:1321.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kipoi_motifrep.core.accuracy import MASKED

if TYPE_CHECKING:
    import keras

FEWEST = 10  # sequences of each class; with less, a slope is a guess
LEAST_PROBABILITY = 1e-7  # the logit of 0 is not finite


def platt_scaling(labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a slope and an offset of each label's logits.

    Parameters
    ----------
    labels : numpy.ndarray, shape (n, T)
        1, 0, or -1 for masked.
    predictions : numpy.ndarray, shape (n, T)
        Probabilities.

    Returns
    -------
    slope, offset : numpy.ndarray of float64, shape (T,)
        1 and 0 for labels that cannot be calibrated: with less than 10 sequences of a
        class, or predictions that do not grow with the label.

    Examples
    --------
    Probabilities of .9 and .1 that are right three times in four:

    >>> labels, predictions = np.array([[1, 1, 1, 0] * 10 + [0, 0, 0, 1] * 10]).T, np.array([[0.9] * 40 + [0.1] * 40]).T
    >>> slope, offset = platt_scaling(labels, predictions)
    >>> round(float(slope[0]), 2), abs(round(float(offset[0]), 2))  # ln 3 / ln 9
    (0.5, 0.0)
    """
    from sklearn.linear_model import LogisticRegression

    slope, offset = np.ones(labels.shape[1]), np.zeros(labels.shape[1])
    logits = logit(predictions)
    for i in range(labels.shape[1]):
        known = labels[:, i] != MASKED
        truth = labels[known, i]
        if min((truth == 0).sum(), (truth == 1).sum()) < FEWEST:
            continue
        # Two parameters and hundreds of sequences: a penalty would only pull the slope away from the data's.
        fitted = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000).fit(logits[known, i, None], truth)
        if fitted.coef_[0, 0] > 0:
            slope[i], offset[i] = fitted.coef_[0, 0], fitted.intercept_[0]
    return slope, offset


def logit(probabilities: np.ndarray) -> np.ndarray:
    """Take probabilities back to before the sigmoid.

    Parameters
    ----------
    probabilities : numpy.ndarray
        0 to 1; those within 1e-7 of the ends are taken for 1e-7 from them.

    Returns
    -------
    numpy.ndarray of float64
        Of the same shape.

    Examples
    --------
    >>> logit(np.array([0.5, 0.0])).round(2).tolist()
    [0.0, -16.12]
    """
    p = np.clip(np.asarray(probabilities, np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(p) - np.log1p(-p)


def calibrate(network: keras.Model, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Put slopes and offsets into the last dense layer of a network.

    Parameters
    ----------
    network : keras.Model
        From :func:`kipoi_motifrep.training.architectures.build`; its layer ``logits`` is changed.
    labels : numpy.ndarray, shape (n, T)
        Of sequences that it was not trained on.
    predictions : numpy.ndarray, shape (n, T)
        Its own, of these.
    """
    slope, offset = platt_scaling(labels, predictions)
    layer = network.get_layer("logits")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * slope, bias * slope + offset])


def reliability(labels: np.ndarray, predictions: np.ndarray, n_bins: int = 10) -> np.ndarray:
    """Lay the curve of a label: how often what is predicted with a probability comes true.

    Parameters
    ----------
    labels : numpy.ndarray, shape (n,)
        1, 0, or -1 for masked.
    predictions : numpy.ndarray, shape (n,)
        Probabilities.
    n_bins : int
        Equal parts of 0 to 1.

    Returns
    -------
    numpy.ndarray of float64, shape (n_bins, 3)
        Sequences in each part, their mean prediction, and the share of ones; nan where there are none.

    Examples
    --------
    >>> reliability(np.array([0, 1, 1, -1]), np.array([0.2, 0.4, 0.9, 0.9]), n_bins=2)
    array([[2. , 0.3, 0.5],
           [1. , 0.9, 1. ]])
    """
    known = labels != MASKED
    truth, p = labels[known].astype(np.float64), predictions[known].astype(np.float64)
    part = np.minimum((p * n_bins).astype(int), n_bins - 1)
    count, predicted, positive = (np.bincount(part, weights, n_bins) for weights in (None, p, truth))
    with np.errstate(invalid="ignore"):  # 0 / 0
        return np.stack([count, predicted / count, positive / count], axis=1)


def calibration_error(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Measure how far probabilities are from how often they come true, label by label.

    Parameters
    ----------
    labels : numpy.ndarray, shape (n, T)
        1, 0, or -1 for masked.
    predictions : numpy.ndarray, shape (n, T)
        Probabilities.

    Returns
    -------
    numpy.ndarray of float64, shape (T,)
        Mean distance of the curve of :func:`reliability` from the diagonal, each part
        weighed by its sequences (expected calibration error); nan where all are masked.

    Examples
    --------
    >>> calibration_error(np.array([[0], [1]]), np.array([[0.25], [0.75]]))
    array([0.25])
    """
    errors = []
    for one, predicted in zip(labels.T, predictions.T, strict=True):
        count, mean, share = reliability(one, predicted).T
        total = count.sum()
        errors.append(np.nansum(count * np.abs(mean - share)) / total if total else np.nan)
    return np.array(errors)
