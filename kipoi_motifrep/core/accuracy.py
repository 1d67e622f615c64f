"""Accuracy of multi-label predictions, with masked labels left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MASKED = -1  # label that is not known


@dataclass(frozen=True)
class Accuracy:
    """AUROC and AUPR per label; nan where a label has only one class.

    Attributes
    ----------
    auroc, aupr : numpy.ndarray, shape (T,)
        One a label.
    """

    auroc: np.ndarray
    aupr: np.ndarray

    def summary(self, label_names: tuple[str, ...]) -> dict[str, object]:
        """Arrange for a JSON file.

        Parameters
        ----------
        label_names : tuple of str
            T names.

        Returns
        -------
        dict
            ``auroc`` and ``aupr``: means over the labels that have both
            classes; ``labels_in_mean``; and ``per_label``.
        """
        return {
            "auroc": _number(mean_of_known(self.auroc)),
            "aupr": _number(mean_of_known(self.aupr)),
            "labels_in_mean": int((~np.isnan(self.auroc)).sum()),
            "per_label": {
                name: {"auroc": _number(roc), "aupr": _number(pr)}
                for name, roc, pr in zip(label_names, self.auroc, self.aupr, strict=True)
            },
        }


def mean_of_known(values: np.ndarray) -> float:
    """Average over the labels that have a value.

    Parameters
    ----------
    values : numpy.ndarray, shape (T,)
        One a label; nan where there is none.

    Returns
    -------
    float
        nan if no label has a value.

    Examples
    --------
    >>> mean_of_known(np.array([0.5, np.nan, 1.0])), mean_of_known(np.array([np.nan]))
    (0.75, nan)
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> Accuracy:
    """Compute AUROC and AUPR (average precision) of each label.

    Parameters
    ----------
    labels : numpy.ndarray, shape (n, T)
        1, 0, or -1 for masked.
    predictions : numpy.ndarray, shape (n, T)
        Scores, higher for 1.

    Returns
    -------
    Accuracy
        One value a label.

    Examples
    --------
    >>> labels = np.array([[1, 0], [0, -1], [1, 1], [0, 0]])
    >>> accuracy(labels, np.array([[.9, .1], [.2, .5], [.8, .7], [.1, .6]])).auroc
    array([1., 1.])
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    auroc, aupr = np.full((2, labels.shape[1]), np.nan)
    for i in range(labels.shape[1]):
        known = labels[:, i] != MASKED
        truth, score = labels[known, i], predictions[known, i]
        if len(np.unique(truth)) == 2:
            auroc[i], aupr[i] = roc_auc_score(truth, score), average_precision_score(truth, score)
    return Accuracy(auroc, aupr)
