"""A PyTorch module run with some activations replaced on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from kipoi_motifrep.networks.from_torch import tensors_in, to_numpy
from kipoi_motifrep.networks.graph import Unreadable

if TYPE_CHECKING:
    from kipoi_motifrep.networks.ablation import Place
    from kipoi_motifrep.networks.network import Network


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
        self._convolutions = {place.found.step.place: place.found.step.label for place in places}
        producers = [graph.producers[place.value] for place in places]
        if any(len(step.outputs) != 1 for step in producers):
            raise Unreadable("its activations are one of several results of a call")
        self._activations = {step.place: step.label for step in producers}
        self._order = [step.place for step in producers]
        self._inputs: dict[str, torch.Tensor] = {}
        self._kept: dict[int, torch.Tensor] = {}

    def whole(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run the module as it is."""
        return self._run(self._placed(inputs), None)

    def begin(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Take a batch in."""
        self._inputs = self._placed(inputs)
        caught = _Detour({**self._convolutions, **self._activations})
        self._run(self._inputs, caught)
        self._kept = {place: caught.results[place] for place in self._convolutions}
        return [to_numpy(caught.results[place]).astype(np.float32, copy=False) for place in self._order]

    def finish(self, masks: Sequence[np.ndarray] | None, fill: float = 0.0) -> list[np.ndarray]:
        """Run on."""
        masks = [None] * len(self._order) if masks is None else [torch.from_numpy(mask) for mask in masks]
        detour = _Detour({**self._convolutions, **self._activations}, self._kept,
                         {place: mask for place, mask in zip(self._order, masks, strict=True)}, fill)
        return self._run(self._inputs, detour)

    def _placed(self, inputs: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: self._source.placed(torch.as_tensor(np.ascontiguousarray(one)))
                for name, one in inputs.items()}

    def _run(self, inputs: dict[str, torch.Tensor], mode: _Detour | None) -> list[np.ndarray]:
        with self._source.running(), torch.no_grad():
            if mode is None:
                result = self._source.forward(inputs)
            else:
                with mode:
                    result = self._source.forward(inputs)
        return [to_numpy(one).astype(np.float32, copy=False) for one in tensors_in(result)]


class _Detour(TorchFunctionMode):
    """Watches calls, counted in the order they run; keeps their results, or changes them.

    ``expected`` names the calls watched. With ``kept``, those calls are not made:
    their results are handed out again. ``masks`` says where results become ``fill``.
    """

    def __init__(self, expected: dict[int, str], kept: dict[int, torch.Tensor] | None = None,
                 masks: dict[int, torch.Tensor | None] | None = None, fill: float = 0.0):
        super().__init__()
        self.expected, self.kept, self.masks, self.fill = expected, kept or {}, masks, fill
        self.results: dict[int, torch.Tensor] = {}
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        place, self.count = self.count, self.count + 1
        if place not in self.expected:
            return function(*args, **(kwargs or {}))
        if getattr(function, "__name__", "call") != self.expected[place]:
            raise Unreadable("its forward pass does not take the same way every time")
        # Copies: later calls may work in place.
        result = self.kept[place].clone() if place in self.kept else function(*args, **(kwargs or {}))
        if self.masks is None:
            self.results[place] = result.clone()
        elif self.masks.get(place) is not None:
            mask = self.masks[place].to(result.device)
            if any(result is one for one in args):  # in place: others may hold the tensor
                result.masked_fill_(mask, self.fill)
            else:
                result = result.masked_fill(mask, self.fill)
        return result
