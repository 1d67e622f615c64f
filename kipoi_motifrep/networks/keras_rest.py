"""A Keras network in two parts: up to some activations, and on from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kipoi_motifrep.networks.from_keras import compiled
from kipoi_motifrep.networks.graph import Graph, Step

if TYPE_CHECKING:
    from kipoi_motifrep.networks.ablation import Place
    from kipoi_motifrep.networks.network import Network


class KerasRest:
    """See ``Rest`` in :mod:`kipoi_motifrep.networks.ablation`.

    Parameters
    ----------
    network : Network
        Of a Keras model.
    places : sequence of Place
        Its activations.
    """

    def __init__(self, network: Network, places: Sequence[Place]):
        self._model, graph = network.parts.source.model, network.parts.graph
        self._names = list(network.input_shapes)
        cut = [place.value for place in places]
        back = _behind(graph, cut)
        inner = {output for step in back for output in step.outputs}
        needed = [*cut, *(one for step in back for one in step.inputs), *graph.outputs]
        self._boundary = [one for one in dict.fromkeys(needed) if one not in inner]
        self._n_places = len(cut)
        self._front = _front(graph, self._boundary, len(self._names))
        self._back = _back(back, self._boundary, len(cut), graph.outputs)
        self._held: list = []

    def whole(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run the model as it is."""
        import keras

        if isinstance(getattr(self._model, "_inputs_struct", None), dict):
            given = inputs
        else:
            given = [inputs[name] for name in self._names]
            given = given[0] if len(given) == 1 else given
        return [np.asarray(keras.ops.convert_to_numpy(one)) for one in
                keras.tree.flatten(self._model(given, training=False))]

    def begin(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Take a batch in."""
        import keras

        values = self._front.predict_on_batch([inputs[name] for name in self._names])
        self._held = [keras.ops.convert_to_tensor(one) for one in values]
        self._nothing = [np.zeros((1, *one.shape[1:]), bool) for one in values[:self._n_places]]
        return [np.asarray(one, np.float32) for one in values[:self._n_places]]

    def finish(self, masks: Sequence[np.ndarray] | None, fill: float = 0.0) -> list[np.ndarray]:
        """Run on."""
        masks = self._nothing if masks is None else [mask[None] for mask in masks]
        results = self._back.predict_on_batch([*self._held, *masks, np.full(1, fill, np.float32)])
        return [np.asarray(one, np.float32) for one in results]


def _behind(graph: Graph, cut: Sequence[int]) -> list[Step]:
    """Collect the steps from the cut to the outputs, in order."""
    after = frozenset().union(*(graph.downstream(one) for one in cut))
    return [step for step in graph.upstream(list(graph.outputs))
            if any(one in after for one in step.outputs) and not set(step.outputs) & set(cut)]


def _front(graph: Graph, wanted: Sequence[int], n_inputs: int):
    import keras

    steps = graph.upstream(list(wanted))

    class Front(keras.Model):
        def call(self, inputs):
            values = dict(zip(range(n_inputs), inputs, strict=True))
            _run(steps, values)
            return [values[one] for one in wanted]

    return compiled(Front())


def _back(steps: Sequence[Step], boundary: Sequence[int], n_places: int, outputs: Sequence[int]):
    import keras
    from keras import ops

    class Back(keras.Model):
        def call(self, inputs):
            *given, fill = inputs
            values = dict(zip(boundary, given[:len(boundary)], strict=True))
            for one, mask in zip(boundary[:n_places], given[len(boundary):], strict=True):
                values[one] = ops.where(mask, ops.cast(fill[0], values[one].dtype), values[one])
            _run(steps, values)
            return [values[one] for one in outputs]

    return compiled(Back())


def _run(steps: Sequence[Step], values: dict) -> None:
    for step in steps:
        values.update(zip(step.outputs, step.call([values[one] for one in step.inputs]), strict=True))
