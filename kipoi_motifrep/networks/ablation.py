"""Running a network on from activations of which one filter's are replaced.

1. `begin` runs a batch as far as the activations.
2. `predictions` runs on from them to the outputs, and `replaced` does with one filter's activations set to a number.

A filter that is used several times, such as on both strands, is replaced everywhere.
"""

from __future__ import annotations

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.networks.network import Network, Use
from kipoi_motifrep.networks.source import OtherWay, Unreadable
from kipoi_motifrep.networks.types import Inputs

PROBE = 4  # random sequences on which the parts must give what the whole network gives
TOLERANCE = 1e-3


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
        self.network, self._forward = network, network.forward
        self._first = np.cumsum([0, *(bank.n_filters for bank in network.banks)])
        # Copies in one array, such as the strands of a batch, are replaced together.
        self._uses = list({(use.chain.place, *use.chain.arrangement.order): use for use in network.uses}.values())
        for use in self._uses:
            if use.chain.arrangement.rows or use.chain.arrangement.filters is None:
                raise Unreadable(
                    f"activations of layer {network.banks[use.bank].layer} do not have the sequences, "
                    "before all others, and the filters on axes of their own"
                )
            if not self._reaches_outputs(use.chain.place):
                raise Unreadable(f"the activations of layer {network.banks[use.bank].layer} do not reach the outputs")
        self._arrays: dict[str, np.ndarray] = {}
        self._held: dict[int, np.ndarray] = {}
        self._n = self._size = 0
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
        except (Unreadable, OtherWay) as reason:
            raise InputError(f"importance cannot be measured: {reason}") from reason

    def maxima(self) -> np.ndarray:
        """Largest activation of every filter in each sequence, shape (n, n_filters)."""
        result = np.full((self._n, self.n_filters), -np.inf)
        for use in self._uses:
            where = slice(*self._first[[use.bank, use.bank + 1]])
            result[:, where] = np.maximum(result[:, where], self._by_sequence(use).max(axis=1))
        return result

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of the activations of every filter, both of shape (n_filters,)."""
        total, number = np.zeros(self.n_filters), np.zeros(self.n_filters)
        for use in self._uses:
            values, where = self._by_sequence(use), slice(*self._first[[use.bank, use.bank + 1]])
            total[where] += values.sum(axis=(0, 1), dtype=np.float64)
            number[where] += values.shape[0] * values.shape[1]
        return total, number

    def predictions(self) -> np.ndarray:
        """Run on to the outputs, nothing replaced: shape (n, n_outputs)."""
        return self._run_on()

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
        before: list[tuple[np.ndarray, np.ndarray]] = []
        for use in self._uses:
            if use.bank == bank:
                place, arrangement = use.chain.place, use.chain.arrangement
                values = self._held[place].swapaxes(0, arrangement.filters or 0)[
                    arrangement.order[one - self._first[bank]]
                ]
                before.append((values, values.copy()))
                values[...] = fill
        try:
            return self._run_on()
        finally:  # put back, which is less than a copy of all the others
            for values, former in reversed(before):
                values[...] = former

    def _begin(self, arrays: dict[str, np.ndarray]) -> None:
        self._n = len(next(iter(arrays.values())))
        self._size = max(self._n, self._size)
        missing = self._size - self._n
        if missing:  # a batch of another size may be compiled afresh
            arrays = {name: np.concatenate([one, np.repeat(one[:1], missing, axis=0)]) for name, one in arrays.items()}
        # What the convolutions gave is kept, too: a framework that runs all of the network need not run them again.
        places = list(dict.fromkeys([*(use.place for use in self._uses), *(use.chain.place for use in self._uses)]))
        self._arrays = arrays
        values = self._forward.run(arrays, places)
        # Activations are changed in place, one filter at a time, and must be our own; nothing else is copied.
        changing = {use.chain.place for use in self._uses}
        self._held = {
            place: np.array(one) if place in changing else one for place, one in zip(places, values, strict=True)
        }
        for use in self._uses:
            if len(self._held[use.chain.place]) != self._size * use.chain.arrangement.copies:
                raise OtherWay("its forward pass does not take the same way every time")

    def _by_sequence(self, use: Use) -> np.ndarray:
        """Activations of one array, shape (n, elements of a filter, n_filters)."""
        arrangement, values = use.chain.arrangement, self._held[use.chain.place]
        values = np.moveaxis(values, arrangement.filters or 0, -1)  # 0 would be that of the sequences
        values = values.reshape(len(values), -1, values.shape[-1])
        rows = (
            values.reshape(self._size, -1, *values.shape[1:])
            if arrangement.together
            else values.reshape(-1, self._size, *values.shape[1:]).swapaxes(0, 1)
        )
        return rows[: self._n].reshape(self._n, -1, values.shape[2])[:, :, arrangement.order]

    def _run_on(self) -> np.ndarray:
        try:
            outputs = self._forward.run(self._arrays, self._forward.outputs, self._held)
        except OtherWay as reason:
            raise Unreadable("its forward pass does not take the same way every time") from reason
        return self._columns(outputs)

    def _columns(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Columns of all outputs; positions are averaged."""
        columns = []
        for one in outputs:
            last = self.network.source.channel_axis(one.ndim)
            inner = tuple(axis for axis in range(1, one.ndim) if axis != last)
            columns.append(one[: self._n].mean(axis=inner).reshape(self._n, -1).astype(np.float32, copy=False))
        return np.concatenate(columns, axis=1)

    def _reaches_outputs(self, place: int) -> bool:
        if not self._forward.outputs or self._forward.failure is not None:
            raise Unreadable("the network's outputs were not found")
        after = {place}
        for number in range(place + 1, len(self._forward.taps)):
            if after & set(self._forward.taps[number].inputs):
                after.add(number)
        return bool(after & set(self._forward.outputs))

    def _check(self) -> int:
        """Count the outputs; the parts must give what the whole gives."""
        network = self.network
        codes = np.random.default_rng(0).integers(0, 4, (PROBE, network.length)).astype(np.uint8)
        inputs = network.arrays(network.layout.encode(codes))
        try:
            self._begin(inputs)
            whole = self._columns(network.source.predict(inputs))
            parts = self.predictions()
        except Unreadable:
            raise
        except Exception as error:  # a stranger's layers can fail in any way
            raise Unreadable(
                f"its layers after the activations cannot be run alone ({first_line(error)[:200]})"
            ) from error
        if whole.shape != parts.shape or not np.allclose(whole, parts, rtol=TOLERANCE, atol=TOLERANCE):
            raise Unreadable("its layers run one by one do not give the network's own predictions")
        self._size = 0
        return whole.shape[1]
