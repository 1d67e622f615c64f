"""Running a network on from activations of which one filter's are replaced.

Only what lies between the activations and the outputs is run again (PyTorch: all
but the convolution, since a module's forward pass cannot be entered in the middle).
A filter that is used several times, such as on both strands, is replaced everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.networks.graph import Graph, Unreadable
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.reading import Found
from kipoi_motifrep.networks.types import Inputs

PROBE = 4  # random sequences on which the parts must give what the whole network gives
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Place:
    """One use of a bank's convolution.

    Parameters
    ----------
    bank : int
        Which bank.
    found : Found
        The convolution and the way to its activations.
    channel : numpy.ndarray, shape of one sample of the activations
        Filter of each element.
    """

    bank: int
    found: Found
    channel: np.ndarray

    @property
    def value(self) -> int:
        """Number of the activations' value in the graph."""
        return self.found.chain.output

    @property
    def size(self) -> int:
        """Elements of one filter."""
        return self.channel.size // self.found.bank.n_filters

    def by_filter(self, values: np.ndarray) -> np.ndarray:
        """Arrange activations (n, ...) as (n, elements of a filter, n_filters)."""
        n, flat = self.found.bank.n_filters, self.channel.ravel()
        if np.array_equal(flat, np.tile(np.arange(n), self.size)):
            return values.reshape(len(values), self.size, n)
        if np.array_equal(flat, np.repeat(np.arange(n), self.size)):
            return values.reshape(len(values), n, self.size).transpose(0, 2, 1)
        order = np.argsort(flat, kind="stable").reshape(n, -1)
        return values.reshape(len(values), -1)[:, order].transpose(0, 2, 1)


class Rest(Protocol):
    """A framework's way to run a network in two parts; it holds one batch at a time."""

    def whole(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run the network as it is."""

    def begin(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Take a batch in, as far as the activations; they are given, one array a place."""

    def finish(self, masks: Sequence[np.ndarray] | None, fill: float = 0.0) -> list[np.ndarray]:
        """Run on to the outputs, with `fill` where a place's mask (shape of one sample) is true."""


class Ablation:
    """A network with first-layer activations that can be replaced, filter by filter.

    Filters are numbered through all banks. Outputs are the columns of all of the
    network's outputs; of an output with positions the mean over them is taken.

    Parameters
    ----------
    network : Network
        From ``open_network``.

    Raises
    ------
    Unreadable
        If the rest of the network cannot be run by itself; the message says why.
    """

    def __init__(self, network: Network):
        self.network = network
        graph = network.parts.graph
        self._places = [place for bank, found in enumerate(network.parts.found)
                        for place in (_place(graph, bank, use) for use in (found, *found.others))]
        self._first = np.cumsum([0, *(bank.n_filters for bank in network.banks)])
        self._reach(graph)
        self._rest = _rest(network, self._places)
        self._n = self._size = 0
        self._values: list[np.ndarray] = []
        self.n_outputs = self._check()

    @property
    def n_filters(self) -> int:
        """Filters of all banks."""
        return int(self._first[-1])

    def begin(self, inputs: Inputs) -> None:
        """Take a batch in; what follows is about it.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As for ``Network.activations``.

        Raises
        ------
        InputError
            If the network does not treat this batch as it did others.
        """
        try:
            self._begin(self.network.arrays(inputs))
        except Unreadable as reason:
            raise InputError(f"importance cannot be measured: {reason}") from reason

    def _begin(self, arrays: dict[str, np.ndarray]) -> None:
        self._n = len(next(iter(arrays.values())))
        self._size = max(self._n, self._size)
        missing = self._size - self._n
        if missing:  # a batch of another size may be compiled afresh
            arrays = {name: np.concatenate([one, np.repeat(one[:1], missing, axis=0)])
                      for name, one in arrays.items()}
        self._values = self._rest.begin(arrays)

    def maxima(self) -> np.ndarray:
        """Largest activation of every filter in each sequence, shape (n, n_filters)."""
        return self._reduced(np.max, np.maximum)

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of the activations of every filter, both of shape (n_filters,)."""
        number = np.zeros(self.n_filters)
        for place in self._places:
            number[self._filters(place)] += place.size * self._n
        return self._reduced(np.sum, np.add).sum(axis=0, dtype=np.float64), number

    def predictions(self) -> np.ndarray:
        """Run on to the outputs, nothing replaced: shape (n, n_outputs)."""
        return self._columns(self._rest.finish(None))

    def replaced(self, one: int, fill: float) -> np.ndarray:
        """Run on to the outputs with all activations of a filter set to one number.

        Parameters
        ----------
        one : int
            The filter.
        fill : float
            The number.

        Returns
        -------
        numpy.ndarray, shape (n, n_outputs)
            Outputs.
        """
        bank = int(np.searchsorted(self._first, one, side="right")) - 1
        masks = [(place.channel == one - self._first[bank]) & (place.bank == bank) for place in self._places]
        return self._columns(self._rest.finish(masks, fill))

    def _filters(self, place: Place) -> slice:
        return slice(self._first[place.bank], self._first[place.bank + 1])

    def _reduced(self, reduce, join) -> np.ndarray:
        result = np.zeros((self._n, self.n_filters))
        seen: set[int] = set()
        for place, values in zip(self._places, self._values, strict=True):
            total = reduce(place.by_filter(values[:self._n]), axis=1)
            where = (slice(None), self._filters(place))
            result[where] = join(result[where], total) if place.bank in seen else total
            seen.add(place.bank)
        return result

    def _columns(self, outputs: list[np.ndarray]) -> np.ndarray:
        channels_last = self.network.framework == "Keras"
        return np.concatenate([_two_axes(one[:self._n], channels_last) for one in outputs], axis=1)

    def _reach(self, graph: Graph) -> None:
        if not graph.outputs or graph.failure is not None:
            raise Unreadable("the network's outputs were not found")
        for place in self._places:
            if not graph.downstream(place.value) & set(graph.outputs):
                raise Unreadable(f"the activations of layer {place.found.bank.layer} do not reach the outputs")

    def _check(self) -> int:
        """Count the outputs; the parts must give what the whole gives."""
        network = self.network
        codes = np.random.default_rng(0).integers(0, 4, (PROBE, network.length)).astype(np.uint8)
        inputs = network.arrays(network.layout.encode(codes))
        try:
            self._begin(inputs)
            whole = self._columns(self._rest.whole(inputs))
            parts = self.predictions()
        except Unreadable:
            raise
        except Exception as error:  # a stranger's layers can fail in any way
            raise Unreadable("its layers after the activations cannot be run alone "
                             f"({first_line(error)[:200]})") from error
        if whole.shape != parts.shape or not np.allclose(whole, parts, rtol=TOLERANCE, atol=TOLERANCE):
            raise Unreadable("its layers run one by one do not give the network's own predictions")
        self._size = 0
        return whole.shape[1]


def _place(graph: Graph, bank: int, found: Found) -> Place:
    shape = graph.shapes[found.step.outputs[0]][1:]
    given = graph.shapes[found.chain.output][1:]
    n = found.bank.n_filters
    if found.chain.batch_axis or found.chain.entries > 1:
        raise Unreadable(f"activations of layer {found.bank.layer} do not have the sequences on an axis of their own, "
                         "before all others")
    if found.chain.origin.shape == given:
        channel = np.unravel_index(found.chain.origin, shape)[found.channels]
    elif len(given) == len(shape) and given[found.channels] == n:  # pooled before the non-linearity
        numbers = np.arange(n).reshape([-1 if axis == found.channels else 1 for axis in range(len(given))])
        channel = np.broadcast_to(numbers, given)
    else:
        raise Unreadable(f"activations of layer {found.bank.layer} have shape {given}; its filters are not found in it")
    return Place(bank, found, channel)


def _rest(network: Network, places: Sequence[Place]) -> Rest:
    if network.framework == "Keras":
        from kipoi_motifrep.networks.keras_rest import KerasRest

        return KerasRest(network, places)
    from kipoi_motifrep.networks.torch_rest import TorchRest

    return TorchRest(network, places)


def _two_axes(values: np.ndarray, channels_last: bool) -> np.ndarray:
    """Columns of one output; positions are averaged."""
    if values.ndim < 2:
        return values.reshape(len(values), 1)
    inner = tuple(range(1, values.ndim - 1)) if channels_last else tuple(range(2, values.ndim))
    return values.mean(axis=inner) if inner else values
