"""Training by the paper's protocol, one network at a time, resumable at every epoch.

A run is a folder ``DIR/ARCHITECTURE/trial_N``. While it trains it holds the last
epoch's state and the best weights so far; when it is done, ``network.keras``,
``history.csv`` and ``result.json``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kipoi_motifrep.core.accuracy import MASKED, accuracy
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import only_here, replacing, versions, write_json
from kipoi_motifrep.datasets.hdf5 import Dataset, Split
from kipoi_motifrep.networks.keras_files import read_metadata, save_network
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.training.architectures import build

if TYPE_CHECKING:
    import keras

NETWORK_FILE, RESULT_FILE, HISTORY_FILE = "network.keras", "result.json", "history.csv"
TRIAL = re.compile(r"trial_\d+")
PREDICTION_BATCH = 500


@dataclass(frozen=True)
class Protocol:
    """How a network is trained.

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

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    batch_size: int = 100
    epochs: int = 100
    patience: int = 20
    learning_rate: float = 1e-3
    beta_1: float = 0.95
    beta_2: float = 0.999
    first_activation: str = "relu"

    def __post_init__(self):
        for name in ("batch_size", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}; it must be a positive number")


PAPER_PROTOCOL = Protocol()


@dataclass(frozen=True)
class Run:
    """One network of a sweep.

    Attributes
    ----------
    architecture : str
        Name in :data:`kipoi_motifrep.training.architectures.ARCHITECTURES`.
    trial : int
        Number of the initialisation, from 0.
    seed : int
        Of the sweep.
    """

    architecture: str
    trial: int
    seed: int

    @property
    def random_seed(self) -> int:
        """Seed of this network's initialisation, dropout and order of sequences."""
        digest = hashlib.sha256(f"{self.seed}/{self.architecture}/{self.trial}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def folder(self, out: str | os.PathLike) -> Path:
        """Where the network's files are, below the sweep's folder."""
        return trial_folder(out, self.architecture, self.trial)

    def saved(self) -> dict[str, object]:
        """Spell the run out as in its files, where the architecture is called "variant"."""
        return {"variant": self.architecture, "trial": self.trial, "seed": self.seed}


def trial_folder(out: str | os.PathLike, architecture: str, trial: int) -> Path:
    """Where one network of a sweep lies, whatever its seed.

    Parameters
    ----------
    out : str or path-like
        Folder of the sweep.
    architecture : str
        Name of the architecture.
    trial : int
        Number of the initialisation, from 0.

    Returns
    -------
    pathlib.Path
        ``OUT/ARCHITECTURE/trial_N``.
    """
    return Path(out) / architecture / f"trial_{trial}"


def finished_trials(out: str | os.PathLike, architecture: str) -> list[Path]:
    """Find all finished networks of an architecture.

    Parameters
    ----------
    out : str or path-like
        Folder of the sweep.
    architecture : str
        Name of the architecture.

    Returns
    -------
    list of pathlib.Path
        Folders such as :func:`trial_folder` gives, by name.
    """
    return [folder for folder in sorted((Path(out) / architecture).glob("trial_*"))
            if TRIAL.fullmatch(folder.name) and (folder / RESULT_FILE).exists()]


def masked_binary_crossentropy(y_true, y_pred):
    """Binary cross-entropy, averaged over the labels that are not -1.

    Parameters
    ----------
    y_true : tensor, shape (n, T)
        1, 0 or -1.
    y_pred : tensor, shape (n, T)
        Probabilities.

    Returns
    -------
    tensor, shape ()
        Mean loss; 0 if all labels are masked.
    """
    from keras import ops

    known = ops.cast(ops.not_equal(y_true, MASKED), y_pred.dtype)
    p = ops.clip(y_pred, 1e-7, 1 - 1e-7)
    y = ops.cast(y_true, y_pred.dtype) * known
    losses = -(y * ops.log(p) + (1 - y) * ops.log(1 - p))
    return ops.sum(losses * known) / ops.maximum(ops.sum(known), 1.0)


def _batches(sequences: np.ndarray, labels: np.ndarray, batch_size: int, order: np.ndarray):
    """Make Keras batches that are one-hot encoded only when they are used."""
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return math.ceil(len(order) / batch_size)

        def __getitem__(self, i):
            rows = order[i * batch_size:(i + 1) * batch_size]
            return one_hot(sequences[rows]), labels[rows].astype(np.float32)

    return Batches()


class _State:
    """State of one network's training, kept on disk between epochs."""

    def __init__(self, run: Run, dataset: Dataset, protocol: Protocol, out: str | os.PathLike):
        self.run, self.dataset, self.protocol = run, dataset, protocol
        self.folder = run.folder(out)
        self.state_file, self.best = self.folder / "state.keras", self.folder / "best.npz"
        self.history: list[dict[str, float]] = []
        self.settings: dict[str, object] = {}

    @property
    def seconds(self) -> float:
        return sum(row["seconds"] for row in self.history)

    @property
    def best_row(self) -> dict[str, float]:
        return min(self.history, key=lambda row: row["val_loss"])

    @property
    def finished(self) -> bool:
        epochs = len(self.history)
        if not epochs:
            return False
        return epochs >= self.protocol.epochs or epochs - self.best_row["epoch"] >= self.protocol.patience

    def start_or_resume(self) -> keras.Model:
        import keras

        self.settings = {"protocol": asdict(self.protocol), "unit": self.run.saved(),
                         "data": data_digest(self.dataset)}
        keras.utils.set_random_seed(self.run.random_seed)
        if self.state_file.exists():
            saved = read_metadata(self.state_file)
            if saved.get("settings") != self.settings:
                raise InputError("was begun with other data or settings; choose another --out or remove it",
                                 path=self.folder)
            self.history = saved["history"]
            model = keras.saving.load_model(
                self.state_file, custom_objects={"masked_binary_crossentropy": masked_binary_crossentropy})
            for state, value in zip(_dropout_states(model), saved["dropout"], strict=True):
                state.assign(np.array(value, np.uint32))
        else:
            model = build(self.run.architecture, self.dataset.length, len(self.dataset.label_names),
                          self.protocol.first_activation)
            model.compile(keras.optimizers.Adam(self.protocol.learning_rate, self.protocol.beta_1,
                                                self.protocol.beta_2),
                          loss=masked_binary_crossentropy, **_execution())
        return model

    def record(self, model: keras.Model, row: dict[str, float]) -> None:
        """Keep an epoch: the best weights first, so that the state never refers to others than those there."""
        self.history.append(row)
        if self.best_row is row:
            with replacing(self.best) as temporary:
                np.savez(temporary, *model.get_weights())
        # Keras does not save the dropout layers' random state. One file, so that all of it is of one epoch.
        dropout = [state.numpy().tolist() for state in _dropout_states(model)]
        save_network(model, self.state_file, {"settings": self.settings, "history": self.history, "dropout": dropout})

    def clean_up(self) -> None:
        for path in (self.state_file, self.best):
            path.unlink(missing_ok=True)


def _dropout_states(model: keras.Model) -> list[keras.Variable]:
    return [layer.seed_generator.state for layer in model.layers if hasattr(layer, "seed_generator")]


def _execution() -> dict[str, object]:
    """Choose what makes the backend fast; the results are the same."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return {}
    import tensorflow

    # XLA makes these networks 3 to 20 times slower on a CPU.
    jit_compile = "auto" if tensorflow.config.list_physical_devices("GPU") else False
    return {"jit_compile": jit_compile, "steps_per_execution": 10}


def check_splits(dataset: Dataset) -> None:
    """See that there is something to train, to stop and to test on.

    Parameters
    ----------
    dataset : Dataset
        An opened file.

    Raises
    ------
    InputError
        If a split is empty.
    """
    for split in dataset.splits.values():
        if not len(split):
            raise InputError(f"split {split.name!r} is empty; make the dataset with other --valid and --test",
                             path=dataset.path)


def data_digest(dataset: Dataset) -> str:
    """Digest of all sequences and labels of a dataset.

    Parameters
    ----------
    dataset : Dataset
        An opened file.

    Returns
    -------
    str
        sha256, hexadecimal; the same for files with the same contents.
    """
    digest = hashlib.sha256("\t".join(dataset.label_names).encode())
    for split in dataset.splits.values():
        for sequences, labels in split.batches(16384):
            digest.update(sequences.tobytes())
            digest.update(labels.tobytes())
    return digest.hexdigest()


def check_result(result: Mapping[str, object], seed: int, protocol: Protocol, digest: str,
                 path: str | os.PathLike) -> None:
    """See that a finished network is one of this sweep.

    Parameters
    ----------
    result : mapping
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
    if (result["seed"], result["protocol"], result["data"]) != (seed, asdict(protocol), digest):
        raise InputError("is of a network trained with other data, settings or seed; choose another --out", path=path)


def train_run(run: Run, dataset: Dataset, out: str | os.PathLike, protocol: Protocol = PAPER_PROTOCOL,
               on_epoch: Callable[[dict[str, float]], None] | None = None) -> dict[str, object]:
    """Train one network, or go on with it, or return what is already there.

    Parameters
    ----------
    run : Run
        Which architecture, trial and seed.
    dataset : Dataset
        From :func:`kipoi_motifrep.datasets.hdf5.open_dataset`.
    out : str or path-like
        Folder of the sweep.
    protocol : Protocol
        The paper's by default.
    on_epoch : callable, optional
        Is given each epoch's row of the history.

    Returns
    -------
    dict
        Contents of ``result.json``.

    Raises
    ------
    InputError
        If a split is empty, the folder holds a run with other settings, or
        another process is training in it.
    """
    check_splits(dataset)
    state = _State(run, dataset, protocol, out)
    state.folder.mkdir(parents=True, exist_ok=True)
    with only_here(state.folder):
        return _train(state, on_epoch)


def _train(state: _State, on_epoch: Callable[[dict[str, float]], None] | None) -> dict[str, object]:
    run, dataset, protocol = state.run, state.dataset, state.protocol
    finished = state.folder / RESULT_FILE
    if finished.exists():
        result = json.loads(finished.read_text(encoding="utf-8"))
        check_result(result, run.seed, protocol, data_digest(dataset), state.folder)
        state.clean_up()
        return result
    model = state.start_or_resume()
    _fit(state, model, on_epoch)
    return _finish(state)


def _fit(state: _State, model: keras.Model, on_epoch: Callable[[dict[str, float]], None] | None) -> None:
    train, valid = state.dataset["train"], state.dataset["valid"]
    sequences, labels = train.read("sequences"), train.read("labels")
    valid_batches = _batches(valid.read("sequences"), valid.read("labels"), PREDICTION_BATCH, np.arange(len(valid)))
    while not state.finished:
        epoch, begin = len(state.history) + 1, time.perf_counter()
        # The order depends on the epoch alone, so that a resumed run sees the same one.
        order = np.random.default_rng([state.run.random_seed, epoch]).permutation(len(train))
        fitted = model.fit(_batches(sequences, labels, state.protocol.batch_size, order), shuffle=False, verbose=0)
        row = {"epoch": epoch, "loss": float(fitted.history["loss"][0]),
               "val_loss": float(model.evaluate(valid_batches, verbose=0)),
               "seconds": round(time.perf_counter() - begin, 3)}
        if not math.isfinite(row["val_loss"]):
            raise InputError(f"the loss of {state.run.architecture} is no longer finite at epoch {epoch}; try a "
                             "smaller --learning-rate", path=state.folder)
        state.record(model, row)
        if on_epoch:
            on_epoch(row)


def _finish(state: _State) -> dict[str, object]:
    import keras

    # A fresh model has no optimizer and no loss of ours in it: plain Keras opens the file.
    network = build(state.run.architecture, state.dataset.length, len(state.dataset.label_names),
                    state.protocol.first_activation)
    with np.load(state.best) as best:
        network.set_weights([best[key] for key in best.files])
    metrics = accuracy(state.dataset["test"].read("labels"), predict_split(network, state.dataset["test"]))
    result = {
        **state.run.saved(), "random_seed": state.run.random_seed, "protocol": asdict(state.protocol),
        "data": state.settings["data"],
        "n_sequences": {name: len(split) for name, split in state.dataset.splits.items()},
        "n_parameters": int(sum(math.prod(w.shape) for w in network.trainable_weights)),
        "epochs": len(state.history), "best_epoch": state.best_row["epoch"], "seconds": round(state.seconds, 1),
        "test": metrics.summary(state.dataset.label_names),
        "backend": keras.backend.backend(), "versions": versions(),
    }
    save_network(network, state.folder / NETWORK_FILE,
                 {"variant": state.run.architecture, "label_names": list(state.dataset.label_names),
                  "training": {k: result[k] for k in ("trial", "seed", "random_seed", "protocol", "data", "versions")}})
    _write_history(state.folder / HISTORY_FILE, state.history)
    write_json(state.folder / RESULT_FILE, result)
    state.clean_up()
    return result


def predict_split(model: keras.Model, split: Split, batch_size: int = PREDICTION_BATCH) -> np.ndarray:
    """Predict all sequences of a split.

    Parameters
    ----------
    model : keras.Model
        (n, L, 4) to (n, T).
    split : Split
        Read batch by batch.
    batch_size : int
        Sequences at a time.

    Returns
    -------
    numpy.ndarray of float32, shape (n, T)
        Probabilities.
    """
    return np.concatenate([np.asarray(model.predict_on_batch(one_hot(sequences)))
                           for sequences, _ in split.batches(batch_size)])


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
