"""The model class and the dataloader of a Kipoi group, in one file.

The networks of the group read one-hot DNA, (length, 4) in the order ACGT. The
file needs Kipoi, Keras and pysam, and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pysam
from kipoi.data import BatchIterator
from kipoi.metadata import GenomicRanges
from kipoi.model import BaseModel, GradientMixin, LayerActivationMixin

if TYPE_CHECKING:
    import keras

# What each letter stands for (Cornish-Bowden 1985); U is the T of RNA. N, and a position beyond a chromosome's end, is
# the average of all four.
LETTERS = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "U": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
ONE_HOT = np.zeros((256, 4), np.float32)  # a row for each character
for _letter, _bases in LETTERS.items():
    ONE_HOT[ord(_letter), ["ACGT".index(_base) for _base in _bases]] = 1 / len(_bases)
STRANDS = ("+", "-")
SKIPPED = ("#", "track", "browser")


class GroupModel(BaseModel, GradientMixin, LayerActivationMixin):
    """A network from a whole-model file of Keras.

    Kipoi saves a download under its bare md5 and does not check it: both are made up for here.

    Parameters
    ----------
    weights : str
        A ``.keras`` or ``.h5`` file of Keras 2 or 3, whatever its name.

    Attributes
    ----------
    model : keras.Model or tf_keras.Model
        The network; of tf-keras for files of Keras 2.

    Raises
    ------
    ValueError
        If the file's name is an md5 and not its own.
    """

    MODEL_PACKAGE = "keras"  # which Kipoi looks for among the dependencies

    def __init__(self, weights: str):
        path = Path(weights).absolute()
        found = hashlib.md5(path.read_bytes()).hexdigest()
        if re.fullmatch("[0-9a-f]{32}", path.name) and path.name != found:
            raise ValueError(f"{weights}: damaged, its md5 is {found}; remove the file and fetch it again")
        framework = importlib.import_module("keras" if keras_version(path).startswith("3") else "tf_keras")
        with tempfile.TemporaryDirectory() as folder:
            # Keras goes by the suffix.
            named = Path(folder) / f"network{'.keras' if zipfile.is_zipfile(path) else '.h5'}"
            named.symlink_to(path)
            # In safe mode, code in the file does not run.
            self.model: keras.Model = framework.models.load_model(named, compile=False, safe_mode=True)
        self._keras = framework

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        """Predict one batch.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, length, 4)
            One-hot sequences.

        Returns
        -------
        numpy.ndarray, shape (n, n_outputs)
            Predictions.

        Raises
        ------
        ValueError
            If the sequences are not as long as those the network reads.
        """
        expected = tuple(self.model.inputs[0].shape)[1:]
        if x.shape[1:] != expected:
            raise ValueError(
                f"the network reads sequences of shape {expected}, these have {x.shape[1:]}; give the "
                f"dataloader auto_resize_len={expected[0]}"
            )
        return self.model.predict_on_batch(x)

    def predict_activation_on_batch(self, x: np.ndarray, layer: str, pre_nonlinearity: bool = False) -> np.ndarray:
        """Give a layer's output for one batch.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, length, 4)
            One-hot sequences.
        layer : str
            Name of a layer.
        pre_nonlinearity : bool, default False
            Part of Kipoi's signature; name the layer before the activation instead.

        Returns
        -------
        numpy.ndarray
            The output.

        Raises
        ------
        ValueError
            If there is no such layer, or `pre_nonlinearity` is asked for.
        """
        if pre_nonlinearity:
            raise ValueError("pre_nonlinearity is not supported; name the layer before the activation")
        return self._up_to(layer).predict_on_batch(x)

    def input_grad(
        self,
        x: np.ndarray,
        filter_idx: int | slice | tuple | None = None,
        avg_func: str | None = None,
        layer: str | None = None,
        final_layer: bool = True,
        selected_fwd_node: None = None,
        pre_nonlinearity: bool = False,
    ) -> np.ndarray:
        """Give the gradient of outputs with respect to the input, sequence by sequence.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, length, 4)
            One-hot sequences.
        filter_idx : int, slice or tuple, optional
            Which of the last axis of the outputs; a tuple indexes all axes but that of the batch.
        avg_func : str, optional
            "sum" (as without it), "max", "min" or "absmax" of the chosen outputs of each sequence.
        layer : str, optional
            Name of a layer; the network's output without it.
        final_layer, selected_fwd_node, pre_nonlinearity
            Part of Kipoi's signature; not supported.

        Returns
        -------
        numpy.ndarray, shape of `x`
            Gradients.

        Raises
        ------
        ValueError
            If there is no such layer, or `pre_nonlinearity` is asked for.
        """
        import tensorflow as tf

        if pre_nonlinearity:
            raise ValueError("pre_nonlinearity is not supported; name the layer before the activation")
        reduce = {"max": tf.reduce_max, "min": tf.reduce_min, "absmax": lambda y, axes: tf.reduce_max(tf.abs(y), axes)}
        inputs = tf.convert_to_tensor(x, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = (self.model if layer is None else self._up_to(layer))(inputs, training=False)
            if filter_idx is not None:
                output = output[(slice(None), *filter_idx) if isinstance(filter_idx, tuple) else (..., filter_idx)]
            if avg_func in reduce:
                output = reduce[avg_func](output, list(range(1, len(output.shape))))
            total = tf.reduce_sum(output)
        return tape.gradient(total, inputs).numpy()

    def _up_to(self, layer: str) -> keras.Model:
        return self._keras.Model(self.model.inputs[0], self.model.get_layer(layer).output)


def keras_version(path: Path) -> str:
    """Read which version of Keras wrote a whole-model file.

    Parameters
    ----------
    path : pathlib.Path
        A ``.keras`` or ``.h5`` file, whatever its name.

    Returns
    -------
    str
        Such as "3.12.0"; "2" where an ``.h5`` file does not say it.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    with h5py.File(path) as file:
        version = file.attrs.get("keras_version", "2")
        return version.decode() if isinstance(version, bytes) else str(version)


class GroupIntervals(BatchIterator):
    """Intervals of a genome, one-hot.

    Parameters
    ----------
    intervals_file : str
        BED file, plain or .gz: chromosome, start, end, and, if there are more columns, name, score and strand.
    fasta_file : str
        The genome, plain or bgzip. Chromosomes match with or without ``chr``.
    auto_resize_len : int, optional
        Resize every interval to this length about its centre. Without it, all must have one length.
    use_strand : bool, default False
        Read intervals with ``-`` in column 6 from the reverse strand.

    Raises
    ------
    ValueError
        With the row, if an interval is none of this genome, or of another length than the first.
    """

    def __init__(
        self,
        intervals_file: str,
        fasta_file: str,
        auto_resize_len: int | str | None = None,
        use_strand: bool | str = False,
    ):
        self._fasta_file = fasta_file
        with pysam.FastaFile(fasta_file) as fasta:
            self._sizes = dict(zip(fasta.references, fasta.lengths, strict=True))
        self._with_strand = str(use_strand).lower() in ("true", "1", "yes")  # as it comes from a command line
        length = None if auto_resize_len in (None, "None") else int(auto_resize_len)
        self._intervals: list[tuple[str, str, int, int, str, str]] = []
        opened = gzip.open if str(intervals_file).endswith(".gz") else open
        with opened(intervals_file, "rt") as file:
            for number, line in enumerate(file, 1):
                if line.strip() and not line.startswith(SKIPPED):
                    try:
                        self._intervals.append(self._interval(line.rstrip().split("\t"), length))
                        _, _, start, end, _, _ = self._intervals[0]
                        self._check_width(end - start)
                    except ValueError as error:
                        raise ValueError(f"{intervals_file}, row {number}: {error}") from None
        if not self._intervals:
            raise ValueError(f"{intervals_file}: holds no intervals")

    def _interval(self, fields: list[str], length: int | None) -> tuple[str, str, int, int, str, str]:
        """Check a row; give the chromosome as it is spelled here and in the genome, and the rest."""
        if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
            raise ValueError("needs a chromosome, a start and an end, separated by tabs")
        spelled, start, end = fields[0], int(fields[1]), int(fields[2])
        other = spelled.removeprefix("chr") if spelled.startswith("chr") else f"chr{spelled}"
        chromosome = spelled if spelled in self._sizes else other
        if chromosome not in self._sizes:
            raise ValueError(f"there is no chromosome {spelled!r} in {self._fasta_file}")
        if not start < min(end, self._sizes[chromosome]):
            raise ValueError(
                f"{spelled}:{start}-{end} is empty, or starts past the end of the chromosome "
                f"({self._sizes[chromosome]} bp)"
            )
        strand = fields[5] if len(fields) > 5 else ""
        if self._with_strand and strand not in STRANDS:
            raise ValueError(f"its strand is {strand!r}; it must be + or -")
        if length is not None:
            start = (start + end) // 2 - length // 2
            end = start + length
        name = fields[3] if len(fields) > 3 and fields[3] else str(len(self._intervals))
        return spelled, chromosome, start, end, name, strand if self._with_strand else "*"

    def _check_width(self, width: int) -> None:
        _, _, start, end, _, _ = self._intervals[-1]
        if end - start != width:
            raise ValueError(f"is {end - start} bp wide, and the first is {width}; give auto_resize_len")

    def __iter__(self) -> Iterator[dict[str, object]]:
        return self.batch_iter()

    def batch_iter(self, batch_size: int = 32, **kwargs: object) -> Iterator[dict[str, object]]:
        """Go through the intervals in the order of the file.

        Parameters
        ----------
        batch_size : int, default 32
            Intervals a batch.
        **kwargs
            Part of Kipoi's signature: one process reads faster than a network predicts.

        Yields
        ------
        dict
            ``inputs``, (n, length, 4) float32, and ``metadata``.

        Raises
        ------
        ValueError
            If the genome has a letter there that is no nucleotide.
        """
        with pysam.FastaFile(self._fasta_file) as fasta:
            for first in range(0, len(self._intervals), batch_size):
                rows = self._intervals[first : first + batch_size]
                text = "".join(self._read(fasta, row) for row in rows)
                one_hot = ONE_HOT[np.frombuffer(text.encode(), np.uint8)].reshape(len(rows), -1, 4)
                spelled, _, start, end, name, strand = map(np.array, zip(*rows, strict=True))
                reverse = strand == "-"
                one_hot[reverse] = one_hot[reverse, ::-1, ::-1]  # A, C, G, T backwards is T, G, C, A
                yield {"inputs": one_hot, "metadata": {"ranges": GenomicRanges(spelled, start, end, name, strand)}}

    def _read(self, fasta: pysam.FastaFile, row: tuple[str, str, int, int, str, str]) -> str:
        spelled, chromosome, start, end, _, _ = row
        text = fasta.fetch(chromosome, max(start, 0), min(end, self._sizes[chromosome])).upper()
        text = ("N" * -min(start, 0) + text).ljust(end - start, "N")
        if not LETTERS.keys() >= set(text):
            raise ValueError(
                f"{self._fasta_file}: {spelled}:{start}-{end} holds {min(set(text) - LETTERS.keys())!r}, "
                "which is no nucleotide"
            )
        return text
