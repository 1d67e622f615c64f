"""What must be asked of a framework: the values of a forward pass, in order, and a way to run as far as one of them.

Everything else about a network (kernels, receptive fields, strands, activations, the effect of a filter) is measured
with these, in :mod:`~kipoi_motifrep.networks.measuring`, :mod:`~kipoi_motifrep.networks.activations` and
:mod:`~kipoi_motifrep.networks.ablation`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Protocol

import numpy as np

PROBE = 2  # sequences of a batch that finds something out; some forward passes take no other number


class Unreadable(Exception):
    """The network does not read DNA in the layout tried; the message says why."""


class OtherWay(Exception):
    """The network does something else with a batch than with the sequences that it was recorded with."""


@dataclass(frozen=True)
class Convolution:
    """What is known of a convolution beside its name.

    Parameters
    ----------
    channels : int
        Axis of its filters.
    entry : int
        Tap that it slides along.
    """

    channels: int
    entry: int


@dataclass(frozen=True)
class Tap:
    """One value that a forward pass makes from the network's inputs.

    Parameters
    ----------
    name : str
        Layer that makes it, ``outer/inner`` (Keras) or ``outer.inner`` (PyTorch); the operation where no layer does.
    label : str
        What the layer does, in the framework's words: ``relu``, ``BatchNormalization``, ``convolution``.
    operation : str
        The operation itself, in small letters; a layer may make several.
    inputs : tuple of int
        Taps that it is made from.
    shape : tuple of int or None
        With the axis of sequences, which is None where it is open.
    leaf : int or None
        Number of the layer call that makes it, if no other layer is called within.
    convolution : Convolution or None
        None for everything else.

    Examples
    --------
    >>> Tap("conv1", "Conv1D", "conv2d", (0,), (None, 196, 30), convolution=Convolution(-1, 0)).convolution.channels
    -1
    """

    name: str
    label: str
    operation: str
    inputs: tuple[int, ...]
    shape: tuple[int | None, ...]
    leaf: int | None = None
    convolution: Convolution | None = None


def runs_together(predict: Callable[[list[np.ndarray]], list[np.ndarray]], shapes: Sequence[Sequence[int]]) -> bool:
    """Tell whether a network that was exported for one batch gives for three what it gives for each alone.

    Parameters
    ----------
    predict : callable
        From the arrays of a batch to the outputs.
    shapes : sequence of sequence of int
        Of these arrays, for one batch.

    Returns
    -------
    bool
        False where numbers of one batch are in a reshaping, or sequences are mixed.

    Examples
    --------
    >>> runs_together(lambda arrays: [arrays[0] + 1], [(1, 3)]), runs_together(lambda arrays: [arrays[0].T], [(1, 3)])
    (True, False)
    """
    random = np.random.default_rng(0)
    each = [[random.random(shape, np.float32) for shape in shapes] for _ in range(3)]
    try:
        expected = [np.concatenate(outputs) for outputs in zip(*map(predict, each), strict=True)]
        together = predict([np.concatenate(arrays) for arrays in zip(*each, strict=True)])
        return all(
            one.shape == other.shape and np.allclose(one, other, atol=1e-4)
            for one, other in zip(together, expected, strict=True)
        )
    except Exception:  # a stranger's layers can fail in any way
        return False


def named_by_scope(taps: Sequence[Tap], scopes: Sequence[Sequence[str]]) -> list[Tap]:
    """Name the taps of a graph by the layers that their operations' own names begin with.

    Parameters
    ----------
    taps : sequence of Tap
        In order.
    scopes : sequence of sequence of str
        Of each tap, the parts of its operation's name before the last. What all that have one begin with is the
        network.

    Returns
    -------
    list of Tap
        Those without a layer keep their names.

    Examples
    --------
    >>> taps = [Tap(name, name, name, (), ()) for name in ("input", "conv", "relu", "add")]
    >>> [one.name for one in named_by_scope(taps, [[], ["net", "one"], ["net", "one"], ["net"]])]
    ['input', 'one', 'one', 'add']
    """
    # Those that only hand numbers on are of no layer.
    own = [list(one) for tap, one in zip(taps, scopes, strict=True) if one and tap.operation != "identity"]
    shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*own, strict=False)))
    names = ["/".join(one[shared:]) for one in scopes]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [
        replace(tap, name=name or tap.name, leaf=numbers[name] if name else None)
        for tap, name in zip(taps, names, strict=True)
    ]


class ForwardPass(Protocol):
    """A recorded forward pass, which can be run again as far as needed.

    ``taps`` lists its values in order, the inputs first; ``outputs`` are those that the network gives; ``failure`` is
    the exception that ended the recording early, if one did.
    """

    @property
    def taps(self) -> Sequence[Tap]:
        """Values, in the order in which they are made."""

    @property
    def outputs(self) -> Sequence[int]:
        """Taps that the network gives."""

    @property
    def failure(self) -> Exception | None:
        """What ended the recording early."""

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        wanted: Sequence[int],
        given: Mapping[int, np.ndarray] | None = None,
        fresh: Collection[int] = (),
    ) -> list[np.ndarray]:
        """Run the network as far as some taps.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            A batch of all inputs, in the network's order.
        wanted : sequence of int
            Taps to give.
        given : mapping of int to numpy.ndarray, optional
            Values to put in the place of some taps; they need not have the tap's own number of positions.
        fresh : collection of int
            Convolutions to run with random kernels, so that what they look at does not depend on what they learned.

        Returns
        -------
        list of numpy.ndarray
            Values of the taps wanted.

        Raises
        ------
        OtherWay
            If the forward pass takes another way than when it was recorded.
        """

    def weights(self, place: int) -> list[np.ndarray]:
        """Give the weights that a convolution holds, as the framework lays them out."""


class Source(Protocol):
    """A loaded network of some framework."""

    framework: str
    left_out: str  # which part was left out when the network was opened, and why; empty for most

    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of one sample of every input, by name; empty where the network does not know."""

    def input_types(self) -> dict[str, str]:
        """NumPy type of every input, by name, where the network knows it."""

    def trace(self, inputs: Mapping[str, np.ndarray]) -> ForwardPass:
        """Record the forward pass of a batch; raises `Unreadable` where it cannot be run."""

    def predict(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Run the network as it is."""

    def channel_axis(self, n_axes: int) -> int:
        """Axis of an output that tells its columns apart, of an array with so many axes."""

    def untrained(self, seed: int) -> Any:
        """Copy the network with fresh random weights; raises `Unreadable` where a part cannot be made afresh."""

    def contents(self) -> tuple[str, list[np.ndarray]]:
        """Give what the network is: its architecture in words, and its weights."""
