"""What a training run is: its settings, its identity, the files that it leaves.

A run has a folder ``DIR/ARCHITECTURE/trial_N``. When it is done, the folder holds
``network.keras``, ``history.csv`` and ``result.json``.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from kipoi_motifrep.core.errors import InputError

NETWORK_FILE, RESULT_FILE, HISTORY_FILE = "network.keras", "result.json", "history.csv"
TRIAL = re.compile(r"trial_\d+")


class Epoch(TypedDict):
    """A row of ``history.csv``: number from 1, losses of the training and the validation split, duration."""

    epoch: int
    loss: float
    val_loss: float
    seconds: float


class AccuracySummary(TypedDict):
    """Accuracy on the test split; None where there is no label with both classes."""

    auroc: float | None
    aupr: float | None
    labels_in_mean: int
    per_label: dict[str, dict[str, float | None]]


class Result(TypedDict):
    """Contents of ``result.json``. ``variant`` is the architecture, ``data`` the digest of the data set."""

    variant: str
    trial: int
    seed: int
    random_seed: int
    protocol: dict[str, object]
    data: str
    n_sequences: dict[str, int]
    n_parameters: int
    epochs: int
    best_epoch: int
    seconds: float
    test: AccuracySummary
    backend: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Protocol:
    """How a network is trained: the optimizer, the sizes, when to stop.

    The defaults are those that the paper's recorded networks were trained
    with; its text gives a learning rate of 3e-4.

    Attributes
    ----------
    batch_size : int
        Sequences a step.
    epochs, patience : int
        At most so many epochs, and so many without a lower validation loss.
    learning_rate, beta_1, beta_2 : float
        Of Adam.
    first_activation : str
        Activation after the first convolution.
    augment_reverse_complement : bool
        Show each training sequence on a strand that is drawn anew in each epoch. Not in the paper.
    weight_rare_labels : bool
        Let the ones and the zeros of each label count the same in the loss. Not in the paper.
    calibrate : bool
        At the end, fit the probabilities of each label to the validation split. Not in the paper.

    Raises
    ------
    InputError
        If a count is below 1, or the learning rate is not a positive number.

    Examples
    --------
    >>> Protocol(batch_size=32).patience
    20
    >>> Protocol(epochs=0)
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: epochs is 0; it must be at least 1
    """

    batch_size: int = 100
    epochs: int = 100
    patience: int = 20
    learning_rate: float = 1e-3
    beta_1: float = 0.95
    beta_2: float = 0.999
    first_activation: str = "relu"
    augment_reverse_complement: bool = False
    weight_rare_labels: bool = False
    calibrate: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}; it must be a positive number")

    def saved(self) -> dict[str, object]:
        """Spell the protocol out as in its files. An option that is off is left out: files from before it lack it."""
        return {name: value for name, value in asdict(self).items() if value is not False}


PAPER_PROTOCOL = Protocol()


@dataclass(frozen=True)
class Run:
    """Which network to train: an architecture, from one of its initialisations.

    Attributes
    ----------
    architecture : str
        Name in :data:`kipoi_motifrep.training.architectures.ARCHITECTURES`.
    trial : int
        Number of the initialisation, from 0.
    seed : int
        Of the sweep, which all its networks share.

    Examples
    --------
    >>> run = Run("cnn_25", trial=0, seed=0)
    >>> run.random_seed
    240345137
    >>> run.folder("runs").as_posix()
    'runs/cnn_25/trial_0'
    """

    architecture: str
    trial: int
    seed: int

    @property
    def random_seed(self) -> int:
        """Seed of this network's initialisation, dropout and order of sequences."""
        # A digest: networks of neighbouring seeds and trials have nothing in common. Keras takes 31 bits.
        digest = hashlib.sha256(f"{self.seed}/{self.architecture}/{self.trial}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def folder(self, out: str | os.PathLike) -> Path:
        """Name the folder of the run below that of the sweep, `out`; the seed is not in it."""
        return Path(out) / self.architecture / f"trial_{self.trial}"

    def saved(self) -> dict[str, object]:
        """Spell the run out as in its files, where the architecture is called "variant"."""
        # Files keep the word that they began with, so that those of all versions can be read.
        return {"variant": self.architecture, "trial": self.trial, "seed": self.seed}


def finished_trials(out: str | os.PathLike, architecture: str, trial: int | None = None) -> list[Path]:
    """List the folders of an architecture's finished runs.

    Parameters
    ----------
    out : str or path-like
        Folder of the sweep.
    architecture : str
        Name of the architecture.
    trial : int, optional
        The run of that number alone.

    Returns
    -------
    list of pathlib.Path
        ``OUT/ARCHITECTURE/trial_N``, by name.
    """
    folders = (Path(out) / architecture).glob("trial_*" if trial is None else f"trial_{trial}")
    # Folders that a user has renamed or copied (trial_0.old) are none of ours.
    return sorted(folder for folder in folders if TRIAL.fullmatch(folder.name) and (folder / RESULT_FILE).exists())


def check_result(result: Result, seed: int, protocol: Protocol, digest: str, path: str | os.PathLike) -> None:
    """Check that a finished network is one of this sweep.

    Parameters
    ----------
    result : Result
        Contents of its ``result.json``.
    seed : int
        Of the sweep.
    protocol : Protocol
        Of the sweep.
    digest : str
        From :func:`data_digest`.
    path : str or path-like
        Where the result was found, for the message.

    Raises
    ------
    InputError
        If it is not.
    """
    if (result["seed"], result["protocol"], result["data"]) != (seed, protocol.saved(), digest):
        raise InputError("is of a network trained with other data, settings or seed; choose another output", path=path)
