"""Running a network on from activations of which one filter's are replaced.

1. `begin` runs a batch as far as the activations, and on as long as each filter has values of its own, such as its
   pooled activations: there are fewer of them.
2. `predictions` runs on from these to the outputs, and `replaced` does with those of one filter as they are if its
   activations are a number.

A filter that is used several times, such as on both strands, is replaced everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.networks.logits import output_columns
from kipoi_motifrep.networks.measuring import differ
from kipoi_motifrep.networks.network import Network, Use
from kipoi_motifrep.networks.source import OtherWay, Unreadable
from kipoi_motifrep.networks.types import Inputs

PROBE = 4  # random sequences on which the parts must give what the whole network gives
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class _Changed:
    """Where a filter is replaced: the tap behind the activations of a use, and the axis that the filters have there."""

    use: Use
    place: int
    axis: int
    size: int  # numbers of a sequence


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
        leading = self._leading_to_outputs()
        for use in self._uses:
            if use.chain.place not in leading:
                raise Unreadable(f"the activations of layer {network.banks[use.bank].layer} do not reach the outputs")
        self._changed = [self._furthest(use, leading) for use in self._uses]
        self._arrays: dict[str, np.ndarray] = {}
        self._held: dict[int, np.ndarray] = {}
        self._fills: np.ndarray | None = None
        self._filled: list[np.ndarray] = []
        self._n = self._size = 0
        self.n_outputs = self._check()

    @property
    def n_filters(self) -> int:
        """Filters of all banks."""
        return int(self._first[-1])

    @property
    def size(self) -> int:
        """Numbers of a sequence that the rest of the network is given each time."""
        return sum(one.size for one in self._changed)

    def begin(self, inputs: Inputs, size: int = 0) -> None:
        """Take a batch in; what follows is about it.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As for ``Network.activations``.
        size : int, default 0
            Sequences that the batch is filled up to; it is to as many as the largest so far, in any case.

        Raises
        ------
        InputError
            If the network does not treat this batch as it did others.
        """
        self._size = max(size, self._size)
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
            total[where] += values.sum(axis=1).sum(axis=0, dtype=np.float64)
            number[where] += values.shape[0] * values.shape[1]
        return total, number

    def predictions(self) -> np.ndarray:
        """Run on to the outputs, nothing replaced: shape (n, n_outputs)."""
        return self._run_on()

    def replaced(self, one: int, fills: float | np.ndarray) -> np.ndarray:
        """Run on to the outputs with all activations of a filter set to one number.

        Parameters
        ----------
        one : int
            The filter.
        fills : float or numpy.ndarray, shape (n_filters,)
            The number, or those of all filters: with the same for one filter after another, what they become behind
            the activations is computed once a batch.

        Returns
        -------
        numpy.ndarray, shape (n, n_outputs)
            Outputs.
        """
        fills = np.broadcast_to(np.asarray(fills, np.float32), self.n_filters)
        if self._fills is None or not np.array_equal(fills, self._fills):
            self._fills, self._filled = fills, [self._set_to(fills, changed) for changed in self._changed]
        bank = int(np.searchsorted(self._first, one, side="right")) - 1
        before: list[tuple[np.ndarray, np.ndarray]] = []
        for changed, filled in zip(self._changed, self._filled, strict=True):
            if changed.use.bank == bank:
                entry = changed.use.chain.arrangement.order[one - self._first[bank]]
                values = self._held[changed.place].swapaxes(0, changed.axis)[entry]
                before.append((values, values.copy()))
                values[...] = filled.swapaxes(0, changed.axis)[entry]
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
        changing = {one.place for one in self._changed}
        places = sorted({one.place for one in self._uses} | {one.chain.place for one in self._uses} | changing)
        self._arrays, self._fills = arrays, None
        values = self._forward.run(arrays, places)
        # What is changed in place, one filter at a time, must be our own; nothing else is copied.
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
        rows = rows[: self._n].reshape(self._n, -1, values.shape[2])
        straight = np.array_equal(arrangement.order, np.arange(rows.shape[2]))
        return rows if straight else rows[:, :, arrangement.order]

    def _run_on(self) -> np.ndarray:
        try:
            outputs = self._forward.run(self._arrays, self._forward.outputs, self._held)
        except OtherWay as reason:
            raise Unreadable("its forward pass does not take the same way every time") from reason
        return output_columns(self.network.source, outputs)[: self._n].astype(np.float32, copy=False)

    def _leading_to_outputs(self) -> set[int]:
        """Collect the taps that the outputs are made from."""
        if not self._forward.outputs or self._forward.failure is not None:
            raise Unreadable("the network's outputs were not found")
        leading = set(self._forward.outputs)
        for number in range(len(self._forward.taps) - 1, -1, -1):
            if number in leading:
                leading.update(self._forward.taps[number].inputs)
        return leading

    def _furthest(self, use: Use, leading: set[int]) -> _Changed:
        """Follow activations to where they are fewest and each filter still has values of its own, as behind a pooling.

        1. Walk on while all that the outputs get from a value goes through one other, which is made from it alone.
        2. Of two random feature maps, take some filters from the one and the rest from the other. If a later value
           then has, along one of its axes, what these filters give in the one map and in the other, each filter has
           values of its own there. By the bits of the filters' numbers, any two are told apart.
        """
        taps, place, axis = self._forward.taps, use.chain.place, use.chain.arrangement.filters or 0
        path = [place]
        while path[-1] not in self._forward.outputs:
            after = [number for number in leading if path[-1] in taps[number].inputs]
            if len(after) > 1 or set(taps[after[0]].inputs) != {path[-1]} or taps[after[0]].convolution:
                break
            path.append(after[0])
        codes = np.random.default_rng(0).integers(0, 4, (PROBE, self.network.length)).astype(np.uint8)
        inputs = self.network.arrays(self.network.layout.encode(codes))
        (values,) = self._forward.run(inputs, [place])
        found, n = _Changed(use, place, axis, values.size // PROBE), values.shape[axis]
        one, two = np.random.default_rng(1).normal(size=(2, *values.shape)).astype(values.dtype)

        def run(values: np.ndarray) -> list[np.ndarray]:
            return self._forward.run(inputs, path[1:], {place: values})

        try:
            first, second = run(one), run(two)
            own = {(i, k) for i, made in enumerate(first) for k in range(1, made.ndim) if made.shape[k] == n}
            for bit in range((n - 1).bit_length() if own else 0):
                chosen = (np.arange(n) >> bit & 1).astype(bool)
                mixed = run(np.where(_along(chosen, axis, one.ndim), two, one))
                own = {
                    (i, k)
                    for i, k in own
                    if not differ(mixed[i], np.where(_along(chosen, k, mixed[i].ndim), second[i], first[i])).any()
                }
        except Exception:  # a stranger's layers can fail in any way; then it is the activations that are replaced
            return found
        made = [_Changed(use, path[1 + i], k, first[i].size // PROBE) for i, k in sorted(own)]
        return min([found, *made], key=lambda one: one.size)

    def _set_to(self, fills: np.ndarray, changed: _Changed) -> np.ndarray:
        """Behind the activations: what is there if those of all filters of a use are set to their numbers."""
        use, arrangement = changed.use, changed.use.chain.arrangement
        values = np.array(self._held[use.chain.place])
        own = fills[self._first[use.bank] : self._first[use.bank + 1]]
        values.swapaxes(0, arrangement.filters or 0)[arrangement.order] = _along(own, 0, values.ndim)
        if changed.place == use.chain.place:
            return values
        return self._forward.run(self._arrays, [changed.place], {use.chain.place: values})[0]

    def _check(self) -> int:
        """Count the outputs; the parts must give what the whole gives."""
        network = self.network
        codes = np.random.default_rng(0).integers(0, 4, (PROBE, network.length)).astype(np.uint8)
        inputs = network.arrays(network.layout.encode(codes))
        try:
            self._begin(inputs)
            whole = output_columns(network.source, network.source.predict(inputs))
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


def _along(values: np.ndarray, axis: int, n_axes: int) -> np.ndarray:
    """Lay values along one of some axes."""
    return np.expand_dims(values, tuple(one for one in range(n_axes) if one != axis))
