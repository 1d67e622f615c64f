"""Outputs of a network before its sigmoid or softmax: the scale on which evidence adds up.

1. From each output, go back through operations that leave the numbers as they are. If a sigmoid or a softmax comes
   first, the value it is made from is the output's logit.
2. Where none is found, but predictions are probabilities all the same (a sigmoid written by hand, a mean over two
   strands), the logit of the prediction is taken; it cannot be larger than float32 resolves near 1.
3. Anything else (a regression) is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.source import PROBE, OtherWay, Source
from kipoi_motifrep.networks.types import Inputs

LOGIT, LOGIT_OF_PREDICTION, OUTPUT = "logit", "logit of the prediction", "output"
SIGMOID, SOFTMAX = ("sigmoid",), ("softmax", "log_softmax", "logsoftmax")
# Operations that only hand numbers on, in the words of both frameworks.
SAME_NUMBERS = (
    *("identity", "reshape", "squeeze", "expanddims", "cast"),
    *("view", "unsafe_view", "reshape_alias", "unsqueeze", "alias", "detach", "clone", "to_copy"),
)
# What ends in one of these is not held between 0 and 1, whatever the few numbers are that were seen.
UNBOUNDED = (
    *("biasadd", "add", "addv2", "sub", "matmul", "batchmatmulv2", "conv2d", "relu", "softplus", "exp", "log"),
    *("addmm", "mm", "bmm", "mv", "linear", "convolution", "leaky_relu", "elu", "gelu", "conv", "gemm"),
)
TRIED = 64  # random sequences on which predictions are looked at
LEAST = 1e-6  # of a probability whose logit is taken


@dataclass(frozen=True)
class _Head:
    """How one output is read: the tap to take (None: the prediction itself), in which unit, and the output's shape."""

    tap: int | None
    unit: str
    softmax: bool
    shape: tuple[int, ...]


class Logits:
    """The outputs of a network, before the sigmoid or softmax where there is one.

    Outputs are the columns of all of the network's outputs; of an output with positions
    the mean over them is taken.

    Parameters
    ----------
    network : Network
        From ``open_network``.

    Attributes
    ----------
    units : tuple of str
        Of each column: ``logit`` (of a softmax: log-odds against all other classes), ``logit of the prediction``
        where the sigmoid is not found, or ``output``.

    Raises
    ------
    InputError
        If the network gives no outputs.

    Examples
    --------
    >>> from torch import nn
    >>> from kipoi_motifrep import open_network
    >>> layers = nn.Conv1d(4, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 2), nn.Sigmoid()
    >>> logits = Logits(open_network(nn.Sequential(*layers), length=20))
    >>> logits.units, logits(np.zeros((7, 20, 4))).shape
    (('logit', 'logit'), (7, 2))
    """

    def __init__(self, network: Network):
        self.network, self._forward = network, network.forward
        codes = np.random.default_rng(0).integers(0, 4, (TRIED, network.length)).astype(np.uint8)
        arrays = network.arrays(network.layout.encode(codes))
        try:
            predictions = network.source.predict(arrays)
        except InputError:
            raise
        except Exception as error:  # a stranger's layers can fail in any way
            raise InputError(f"the network gives no outputs: it cannot be run ({first_line(error)})") from error
        if not predictions or any(one.ndim == 0 or len(one) != TRIED for one in predictions):
            raise InputError("the network gives no outputs: no array with a row for every sequence")
        places = list(self._forward.outputs) if self._repeats(arrays, predictions) else [None] * len(predictions)
        self._heads = [self._head(place, one) for place, one in zip(places, predictions, strict=True)]
        self.units = tuple(
            head.unit
            for head, one in zip(self._heads, predictions, strict=True)
            for _ in range(output_columns(network.source, [one]).shape[1])
        )

    @property
    def n_outputs(self) -> int:
        """Number of columns."""
        return len(self.units)

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Run a batch.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As for ``Network.activations``.

        Returns
        -------
        numpy.ndarray, shape (n, n_outputs), float64

        Raises
        ------
        InputError
            If the network does not treat this batch as it did others.
        """
        arrays = self.network.arrays(inputs)
        n = len(next(iter(arrays.values())))
        if n < PROBE:  # squeeze() would take a lone sequence's axis away
            arrays = {name: np.repeat(one, PROBE, axis=0)[:PROBE] for name, one in arrays.items()}
        taken = list(dict.fromkeys(head.tap for head in self._heads if head.tap is not None))
        try:
            values = dict(zip(taken, self._forward.run(arrays, taken), strict=True)) if taken else {}
        except OtherWay as reason:
            raise InputError(
                f"the network's forward pass does not take the same way for all sequences ({reason}); "
                "a network that does is needed"
            ) from reason
        whole = self.network.source.predict(arrays) if any(head.tap is None for head in self._heads) else []
        outputs = []
        for i, head in enumerate(self._heads):
            one = (whole[i] if head.tap is None else values[head.tap]).astype(np.float64)
            if head.softmax:
                one = log_odds(one, self.network.source.channel_axis(one.ndim))
            elif head.unit == LOGIT_OF_PREDICTION:
                one = np.clip(one, LEAST, 1 - LEAST)
                one = np.log(one / (1 - one))
            outputs.append(one.reshape(len(one), *head.shape))
        return output_columns(self.network.source, outputs)[:n]

    def _repeats(self, arrays: dict[str, np.ndarray], predictions: Sequence[np.ndarray]) -> bool:
        """Tell whether the recorded pass gives the predictions, so that a part of it gives what they are made from."""
        if self._forward.failure is not None or len(self._forward.outputs) != len(predictions):
            return False
        try:
            again = self._forward.run(arrays, list(self._forward.outputs))
        except (OtherWay, InputError):
            return False
        return all(
            one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=1e-3)
            for one, other in zip(again, predictions, strict=True)
        )

    def _head(self, output: int | None, predictions: np.ndarray) -> _Head:
        taps, place, shape = self._forward.taps, output, predictions.shape[1:]
        operation = ""
        if place is not None:
            while taps[place].operation in SAME_NUMBERS and len(taps[place].inputs) == 1:
                place = taps[place].inputs[0]
            operation, inputs = taps[place].operation, taps[place].inputs
            # A softmax along another axis than the one that tells columns apart would be of something else.
            softmax = operation in SOFTMAX and len(taps[place].shape) == 2
            if (softmax or operation in SIGMOID) and len(inputs) == 1:
                return _Head(inputs[0], LOGIT, softmax, shape)
        bounded = operation not in UNBOUNDED and predictions.min() >= 0 and predictions.max() <= 1
        return _Head(output, LOGIT_OF_PREDICTION if bounded else OUTPUT, False, shape)


def log_odds(values: np.ndarray, axis: int) -> np.ndarray:
    """Turn what a softmax is made from into the log-odds of each class against all others.

    These do not change when a number is added to all, as the softmax does not; of two classes
    they are the difference.

    Parameters
    ----------
    values : numpy.ndarray
        Logits.
    axis : int
        Axis of the classes.

    Returns
    -------
    numpy.ndarray, same shape, float64

    Examples
    --------
    >>> log_odds(np.array([[3.0, 1.0]]), 1)
    array([[ 2., -2.]])
    """
    values = values.astype(np.float64)
    largest = values.max(axis=axis, keepdims=True)
    total = largest + np.log(np.exp(values - largest).sum(axis=axis, keepdims=True))
    against = -np.expm1(values - total)  # 1 - p, without loss where p is near 1
    return values - total - np.log(np.maximum(against, np.finfo(np.float64).tiny))


def output_columns(source: Source, outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Put the columns of all outputs side by side; positions are averaged.

    Parameters
    ----------
    source : Source
        The network, which knows the axis that tells columns apart.
    outputs : sequence of numpy.ndarray, shape (n, ...)
        A batch's outputs.

    Returns
    -------
    numpy.ndarray, shape (n, n_columns)
    """
    columns = []
    for one in outputs:
        last = source.channel_axis(one.ndim)
        inner = tuple(axis for axis in range(1, one.ndim) if axis != last)
        columns.append(one.mean(axis=inner).reshape(len(one), -1))
    return np.concatenate(columns, axis=1)
