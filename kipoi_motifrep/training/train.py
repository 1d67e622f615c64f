"""Training by the paper's protocol, one network at a time, resumable at every epoch.

A run has a folder ``DIR/ARCHITECTURE/trial_N``. While it trains, the folder holds
the state after the last epoch (``state.keras``) and the best weights so far
(``best.npz``); when it is done, ``network.keras``, ``history.csv`` and
``result.json``.
"""

from __future__ import annotations

import csv
import hashlib
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from kipoi_motifrep.core.accuracy import MASKED, accuracy
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import output_folder, replacing, versions, write_json
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.datasets.hdf5 import Dataset, Split
from kipoi_motifrep.networks.keras_files import read_metadata, save_network
from kipoi_motifrep.sequences.alphabet import one_hot, reverse_complement
from kipoi_motifrep.training.architectures import build
from kipoi_motifrep.training.calibration import calibrate
from kipoi_motifrep.training.runs import (
    HISTORY_FILE,
    NETWORK_FILE,
    PAPER_PROTOCOL,
    RESULT_FILE,
    Epoch,
    Protocol,
    Result,
    Run,
    check_result,
)

if TYPE_CHECKING:
    import keras

    Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]

MOST_WEIGHT = 100.0  # of a label's rare class: no single sequence outweighs a batch of the paper's size
PREDICTION_BATCH = 500  # sequences at a time


def masked_binary_crossentropy(
    y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: np.ndarray | None = None
) -> keras.KerasTensor:
    """Binary cross-entropy, averaged over the labels that are not -1.

    Parameters
    ----------
    y_true : tensor, shape (n, T)
        1, 0 or -1.
    y_pred : tensor, shape (n, T)
        Probabilities.
    weights : numpy.ndarray, shape (2, T), optional
        Of the zeros and of the ones of each label, from :func:`class_weights`; 1 by default.

    Returns
    -------
    tensor, shape ()
        Mean loss; 0 if all labels are masked.

    Examples
    --------
    >>> labels, predictions = np.array([[1, 0, -1]], np.float32), np.array([[0.5, 0.5, 0.99]], np.float32)
    >>> round(float(masked_binary_crossentropy(labels, predictions)), 4)  # ln 2
    0.6931
    """
    from keras import ops

    known = ops.cast(ops.not_equal(y_true, MASKED), y_pred.dtype)
    p = ops.clip(y_pred, 1e-7, 1 - 1e-7)  # the logarithm of 0 is not finite
    y = ops.cast(y_true, y_pred.dtype) * known
    losses = -(y * ops.log(p) + (1 - y) * ops.log(1 - p)) * known
    if weights is not None:
        of_class = ops.convert_to_tensor(weights, y_pred.dtype)
        losses = losses * (of_class[1] * y + of_class[0] * (1 - y))
    return ops.sum(losses) / ops.maximum(ops.sum(known), 1.0)


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Weigh the zeros and the ones of each label so that both count the same in the loss.

    A class weighs the more the rarer it is, but at most :data:`MOST_WEIGHT`; up to
    there, the mean weight of a label is 1.

    Parameters
    ----------
    labels : numpy.ndarray, shape (n, T)
        1, 0, or -1 for masked.

    Returns
    -------
    numpy.ndarray of float32, shape (2, T)
        Weights of the zeros, and of the ones. 1 where a label has one class only.

    Examples
    --------
    >>> class_weights(np.array([[1, 1], [0, -1], [0, 1], [0, 1]])).tolist()
    [[0.6666666865348816, 1.0], [2.0, 1.0]]
    """
    counts = np.stack([(labels == value).sum(axis=0) for value in (0, 1)])
    weights = counts.sum(axis=0) / (2 * np.maximum(counts, 1))
    weights[:, (counts == 0).any(axis=0)] = 1  # nothing to tell apart
    return np.minimum(weights, MOST_WEIGHT).astype(np.float32)


def check_splits(dataset: Dataset) -> None:
    """Check that a data set has sequences to train, to stop and to test on.

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
            raise InputError(
                f"split {split.name!r} is empty; make the dataset with other values of valid and test",
                path=dataset.path,
            )


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
    # Of the values, not of the file, which holds versions and compressed chunks, too.
    digest = hashlib.sha256("\t".join(dataset.label_names).encode())
    for split in dataset.splits.values():
        for sequences, labels in split.batches(16384):
            digest.update(sequences.tobytes())
            digest.update(labels.tobytes())
    return digest.hexdigest()


def train_run(
    run: Run,
    dataset: Dataset,
    out: str | os.PathLike,
    protocol: Protocol = PAPER_PROTOCOL,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Result:
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
        Is given each :class:`Epoch` when it is on the disk.

    Returns
    -------
    Result
        Contents of ``result.json``.

    Raises
    ------
    InputError
        If a split is empty, the folder holds a run with other settings or a damaged result,
        another process is training in it, or the loss is no longer a number.
    """
    check_splits(dataset)
    folder = run.folder(out)
    with output_folder(folder, [NETWORK_FILE, RESULT_FILE, HISTORY_FILE], dataset.path):
        training = _Training(run, dataset, protocol, folder)
        finished = folder / RESULT_FILE
        if finished.exists():
            try:
                result = parse_json(finished.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(
                    f"is damaged ({type(error).__name__}); remove it, and the network is trained again", path=finished
                ) from error
            check_result(result, run.seed, protocol, training.data, folder)
        else:
            training.fit(on_epoch)
            result = training.finish()
        training.clean_up()
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
    return np.concatenate(
        [np.asarray(model.predict_on_batch(one_hot(sequences))) for sequences, _ in split.batches(batch_size)]
    )


class _Training:
    """A run under way. After each epoch all of it lies on the disk, so that the next process can take over.

    Parameters
    ----------
    run : Run
        Which network.
    dataset : Dataset
        With three splits that are not empty.
    protocol : Protocol
        Of training.
    folder : pathlib.Path
        The run's own.
    """

    def __init__(self, run: Run, dataset: Dataset, protocol: Protocol, folder: Path):
        self.run, self.dataset, self.protocol, self.folder = run, dataset, protocol, folder
        self.state_file, self.best_file = folder / "state.keras", folder / "best.npz"
        self.data = data_digest(dataset)
        self.history: list[Epoch] = []

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest validation loss, the first of equals."""
        return min(self.history, key=lambda epoch: epoch["val_loss"])

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or the last `patience` of them were no better than one before."""
        done = len(self.history)
        return done > 0 and (done >= self.protocol.epochs or done - self.best["epoch"] >= self.protocol.patience)

    @property
    def settings(self) -> dict[str, object]:
        """What the state of an interrupted run must agree with."""
        return {"protocol": self.protocol.saved(), "unit": self.run.saved(), "data": self.data}

    def build(self, seed: int | None = None) -> keras.Model:
        """Build the network with fresh weights, not compiled."""
        return build(
            self.run.architecture,
            self.dataset.length,
            len(self.dataset.label_names),
            self.protocol.first_activation,
            seed,
        )

    def loss(self, labels: np.ndarray) -> Loss:
        """Choose the loss, by the protocol and the training labels (n, T)."""
        if not self.protocol.weight_rare_labels:
            return masked_binary_crossentropy
        weights = class_weights(labels)

        # The state on the disk names the function; its weights follow from the data, whose digest is there.
        def weighted_binary_crossentropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
            return masked_binary_crossentropy(y_true, y_pred, weights)

        return weighted_binary_crossentropy

    def start(self, loss: Loss) -> keras.Model:
        """Build and compile the network."""
        import keras

        model = self.build(self.run.random_seed)
        optimizer = keras.optimizers.Adam(self.protocol.learning_rate, self.protocol.beta_1, self.protocol.beta_2)
        options: dict[str, object] = {}
        if keras.backend.backend() == "tensorflow":
            import tensorflow

            # Faster, with the same results. XLA makes these networks slower on a CPU, and faster on a GPU.
            options = {
                "jit_compile": "auto" if tensorflow.config.list_physical_devices("GPU") else False,
                "steps_per_execution": 10,
            }
        model.compile(optimizer, loss=loss, **options)
        return model

    def resume(self, loss: Loss) -> keras.Model:
        """Take the network, its optimizer, its dropout and the history from the state on the disk.

        Raises
        ------
        InputError
            If it is the state of a run with other data or settings, or is damaged.
        """
        import keras

        saved = read_metadata(self.state_file)
        if saved.get("settings") != self.settings:
            raise InputError(
                "was begun with other data or settings; choose another output or remove it", path=self.folder
            )
        self.history = cast(list[Epoch], saved["history"])
        model = keras.saving.load_model(self.state_file, custom_objects={loss.__name__: loss})
        for state, value in zip(_dropout_states(model), cast(list, saved["dropout"]), strict=True):
            state.assign(np.array(value, np.uint32))
        return model

    def save_epoch(self, model: keras.Model, epoch: Epoch) -> None:
        """Keep an epoch: the best weights first, so that the state never refers to others than those there."""
        self.history.append(epoch)
        if self.best is epoch:
            with replacing(self.best_file) as temporary:
                np.savez(temporary, *model.get_weights())
        # Keras does not save the dropout layers' random state. One file, so that all of it is of one epoch.
        dropout = [state.numpy().tolist() for state in _dropout_states(model)]
        save_network(model, self.state_file, {"settings": self.settings, "history": self.history, "dropout": dropout})

    def fit(self, on_epoch: Callable[[Epoch], None] | None) -> None:
        """Train, from the start or from the last epoch on the disk.

        In each epoch: draw the order of the training sequences and, if asked for, their strands, by the run's seed and
        the epoch alone, so that a resumed run sees the same ones; train on them batch by batch; measure the loss of the
        validation split; keep the epoch. Stop after the protocol's epochs or patience.

        Raises
        ------
        InputError
            If the loss is no number any more, or the state on the disk is another run's.
        """
        train, valid = self.dataset["train"], self.dataset["valid"]
        sequences, labels = train.read("sequences"), train.read("labels")
        loss = self.loss(labels)
        model = self.resume(loss) if self.state_file.exists() else self.start(loss)
        valid_batches = _batches(valid.read("sequences"), valid.read("labels"), PREDICTION_BATCH, np.arange(len(valid)))
        while not self.is_over:
            number, begin = len(self.history) + 1, time.perf_counter()
            # Strands are drawn after the order: it is the same with them and without.
            random = np.random.default_rng([self.run.random_seed, number])
            order = random.permutation(len(train))
            flipped = random.random(len(train)) < 0.5 if self.protocol.augment_reverse_complement else None
            batches = _batches(sequences, labels, self.protocol.batch_size, order, flipped)
            fitted = model.fit(batches, shuffle=False, verbose=0)
            epoch = Epoch(
                epoch=number,
                loss=float(fitted.history["loss"][0]),
                val_loss=float(model.evaluate(valid_batches, verbose=0)),
                seconds=round(time.perf_counter() - begin, 3),
            )
            if not math.isfinite(epoch["val_loss"]):
                raise InputError(
                    f"the loss of {self.run.architecture} is no longer finite at epoch {number}; try a "
                    "smaller learning_rate",
                    path=self.folder,
                )
            self.save_epoch(model, epoch)
            if on_epoch:
                on_epoch(epoch)

    def finish(self) -> Result:
        """Test the network of the best epoch, and write the run's final files; ``result.json`` last: it says done."""
        import keras

        # A fresh model has no optimizer, no loss of ours and no seeds in it: plain Keras opens the file, and who builds
        # the network anew from it gets other weights each time.
        network, names = self.build(), self.dataset.label_names
        with np.load(self.best_file) as best:
            network.set_weights([best[key] for key in best.files])
        if self.protocol.calibrate:
            valid = self.dataset["valid"]
            calibrate(network, valid.read("labels"), predict_split(network, valid))
        test = self.dataset["test"]
        measured = accuracy(test.read("labels"), predict_split(network, test))
        result = cast(
            Result,
            {
                **self.run.saved(),
                "random_seed": self.run.random_seed,
                "protocol": self.protocol.saved(),
                "data": self.data,
                "n_sequences": {name: len(split) for name, split in self.dataset.splits.items()},
                "n_parameters": sum(math.prod(weight.shape) for weight in network.trainable_weights),
                "epochs": len(self.history),
                "best_epoch": self.best["epoch"],
                "seconds": round(sum(epoch["seconds"] for epoch in self.history), 1),
                "test": measured.summary(names),
                "backend": keras.backend.backend(),
                "versions": versions(),
            },
        )
        note = {
            key: value
            for key, value in result.items()
            if key in ("trial", "seed", "random_seed", "protocol", "data", "versions")
        }
        save_network(
            network,
            self.folder / NETWORK_FILE,
            {"variant": self.run.architecture, "label_names": list(names), "training": note},
        )
        with (
            replacing(self.folder / HISTORY_FILE) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(self.history[0]))
            writer.writeheader()
            writer.writerows(self.history)
        write_json(self.folder / RESULT_FILE, result)
        return result

    def clean_up(self) -> None:
        """Remove what only an unfinished run needs."""
        for path in (self.state_file, self.best_file):
            path.unlink(missing_ok=True)


def _batches(
    sequences: np.ndarray, labels: np.ndarray, batch_size: int, order: np.ndarray, flipped: np.ndarray | None = None
) -> keras.utils.PyDataset:
    """Make Keras batches that are one-hot encoded only when they are used: memory holds a byte a base.

    Parameters
    ----------
    sequences, labels : numpy.ndarray, shape (n, L) and (n, T)
        Codes, and 1, 0 or -1.
    batch_size : int
        Sequences a step.
    order : numpy.ndarray of int, shape (m,)
        Which sequences, one after the other.
    flipped : numpy.ndarray of bool, shape (n,), optional
        Those that are shown as their reverse complement; none by default.
    """
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return math.ceil(len(order) / batch_size)

        def __getitem__(self, i):
            rows = order[i * batch_size : (i + 1) * batch_size]
            codes = sequences[rows]
            if flipped is not None:
                codes = np.where(flipped[rows, None], reverse_complement(codes), codes)
            return one_hot(codes), labels[rows].astype(np.float32)

    return Batches()


def _dropout_states(model: keras.Model) -> list[keras.Variable]:
    return [layer.seed_generator.state for layer in model.layers if hasattr(layer, "seed_generator")]
