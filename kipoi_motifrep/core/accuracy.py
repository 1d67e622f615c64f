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
        known = ~np.isnan(self.auroc)
        return {
            "auroc": float(self.auroc[known].mean()) if known.any() else None,
            "aupr": float(self.aupr[known].mean()) if known.any() else None,
            "labels_in_mean": int(known.sum()),
            "per_label": {
                name: {"auroc": _number(roc), "aupr": _number(pr)}
                for name, roc, pr in zip(label_names, self.auroc, self.aupr, strict=True)
            },
        }


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
