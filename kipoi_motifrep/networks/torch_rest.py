"""A PyTorch module run with some activations replaced on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from kipoi_motifrep.networks.from_torch import Follower, outputs_of, tensors_in, to_numpy
from kipoi_motifrep.networks.graph import OtherWay, Step, Unreadable

if TYPE_CHECKING:
    from kipoi_motifrep.networks.ablation import Place
    from kipoi_motifrep.networks.network import Network

OTHER_WAY = "its forward pass does not take the same way every time"


class TorchRest:
    """See ``Rest`` in :mod:`kipoi_motifrep.networks.ablation`.

    The forward pass is run each time, but the convolutions hand out what they
    gave for the batch before.

    Parameters
    ----------
    network : Network
        Of a PyTorch module.
    places : sequence of Place
        Its activations.
    """

    def __init__(self, network: Network, places: Sequence[Place]):
        graph = network.parts.graph
        self._source = network.parts.source
        self._steps = graph.steps
        self._convolutions = {place.found.step for place in places}
        self._order = [graph.producers[place.value] for place in places]
        if any(len(step.outputs) != 1 for step in self._order):
            raise Unreadable("its activations are one of several results of a call")
        self._inputs: dict[str, torch.Tensor] = {}
        self._kept: dict[Step, torch.Tensor] = {}

    def whole(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run the module as it is."""
        return self._run(self._placed(inputs), None)

    def begin(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Take a batch in."""
        self._inputs = self._placed(inputs)
        caught = self._detour()
        self._run(self._inputs, caught)
        n = len(next(iter(inputs.values())))
        if any(len(caught.results.get(step, ())) != n for step in (*self._convolutions, *self._order)):
            raise Unreadable(OTHER_WAY)
        self._kept = {step: caught.results[step] for step in self._convolutions}
        return [to_numpy(caught.results[step]).astype(np.float32, copy=False) for step in self._order]

    def finish(self, masks: Sequence[np.ndarray] | None, fill: float = 0.0) -> list[np.ndarray]:
        """Run on."""
        masks = [None] * len(self._order) if masks is None else [torch.from_numpy(mask) for mask in masks]
        return self._run(self._inputs, self._detour(self._kept, dict(zip(self._order, masks, strict=True)), fill))

    def _detour(self, *changes) -> _Detour:
        return _Detour(self._steps, self._inputs.values(), self._convolutions | set(self._order), *changes)

    def _placed(self, inputs: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: self._source.placed(torch.as_tensor(np.ascontiguousarray(one)))
                for name, one in inputs.items()}

    def _run(self, inputs: dict[str, torch.Tensor], mode: _Detour | None) -> list[np.ndarray]:
        with self._source.running(), torch.no_grad():
            if mode is None:
                result = self._source.forward(inputs)
            else:
                try:
                    with mode:
                        result = self._source.forward(inputs)
                except OtherWay as reason:
                    raise Unreadable(OTHER_WAY) from reason
        return [to_numpy(one).astype(np.float32, copy=False) for one in tensors_in(result)]


class _Detour(Follower):
    """Keeps the results of the steps watched, or changes them.

    The steps in ``kept`` are not called: their results are handed out again.
    ``masks`` says where results become ``fill``.
    """

    def __init__(self, steps: Sequence[Step], inputs: Iterable[torch.Tensor], watched: set[Step],
                 kept: dict[Step, torch.Tensor] | None = None, masks: dict[Step, torch.Tensor | None] | None = None,
                 fill: float = 0.0):
        super().__init__(steps, inputs, watched)
        self.kept, self.masks, self.fill = kept or {}, masks, fill
        self.results: dict[Step, torch.Tensor] = {}

    def at(self, step: Step, function: Callable, args: tuple, kwargs: dict):
        # Copies: later calls may work in place.
        result = self.kept[step].clone() if step in self.kept else function(*args, **kwargs)
        output = outputs_of(function, args, result)[0]
        if self.masks is None:
            self.results[step] = output.clone()
        elif self.masks.get(step) is not None:
            mask = self.masks[step].to(output.device)
            if any(output is one for one in args):  # in place: others may hold the tensor
                output.masked_fill_(mask, self.fill)
            else:
                result = output.masked_fill(mask, self.fill)
        return result
