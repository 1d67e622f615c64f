"""Keras models, of Keras 2 or 3, as TensorFlow runs them: the operations of one traced function are the taps.

1. The model is called once inside ``tf.function``, which computes nothing and lists every operation in order, also
   those of custom layers and subclassed models.
2. While that happens, layer calls are watched, so that each operation has a layer's name.
3. A part of the network is the list cut at some operations: what is given takes their place, what is not needed for
   what is wanted is left out.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.networks.source import Convolution, Tap, Unreadable

NUMPY_TYPES = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split()
# Layers that are an activation function, and do not hold one.
ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax")
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative", "Conv3D", "Conv")
# For a convolution in one dimension TensorFlow adds a dummy axis; for a dilated one it takes the sequence apart, and
# puts the feature map together again.
DUMMY, APART, TOGETHER = "ExpandDims", "SpaceToBatchND", "BatchToSpaceND"


class KerasSource:
    """A loaded Keras model.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        The network.
    """

    framework = "Keras"
    compiled_from = 64  # sequences of a batch; compiling takes a second, and a third off the time of batch after batch

    def __init__(self, model: Any):
        self.model = model
        self._compiled: dict[tuple, Callable] = {}  # by the shapes of the inputs
        # A model of Keras 2 is of another library.
        self._library = (
            "tf_keras" if any(one.__module__.startswith("tf_keras.") for one in type(model).__mro__) else "keras"
        )
        self.left_out: str = getattr(model, "left_out", "")
        # Keras 2 keeps the structure of its inputs under another name.
        self._structure = getattr(model, "_inputs_struct", getattr(model, "_nested_inputs", None))

    @property
    def backend(self) -> str:
        """What Keras runs on, such as ``tensorflow``."""
        return str(importlib.import_module(self._library).backend.backend())

    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of one sample of every input, by name; empty for a model that was never built.

        Returns
        -------
        dict
            Name to shape without the batch axis, None where it is open.
        """
        return {name: tuple(tensor.shape[1:]) for name, tensor in self._inputs().items()}

    def input_types(self) -> dict[str, str]:
        """Type of every input, by name, where it is one that NumPy has.

        Returns
        -------
        dict
            Name to type.
        """
        types = {name: getattr(tensor.dtype, "name", str(tensor.dtype)) for name, tensor in self._inputs().items()}
        return {name: kind for name, kind in types.items() if kind in NUMPY_TYPES}

    def trace(self, inputs: Mapping[str, np.ndarray]) -> TensorFlowPass:
        """List the operations of the network for sequences of this length.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            A batch; shapes alone are looked at.

        Returns
        -------
        TensorFlowPass
            Every tensor that is made from an input is a tap.

        Raises
        ------
        Unreadable
            If the model cannot take such inputs.
        InputError
            If Keras runs on a backend where layers cannot be followed.
        """
        import tensorflow as tf

        if self.backend != "tensorflow":
            raise InputError(
                f"Keras runs on {self.backend} here, where its layers cannot be followed; "
                "set KERAS_BACKEND to tensorflow or torch"
            )
        types = self.input_types()
        specs = [tf.TensorSpec((None, *one.shape[1:]), types.get(name, "float32")) for name, one in inputs.items()]
        function = tf.function(lambda *values: self._call(list(inputs), values), autograph=False)
        try:
            return self._traced(function, specs, list(inputs))
        except Exception as error:  # a stranger's layers can fail in any way
            raise Unreadable(f"it cannot be run on sequences of this shape ({first_line(error)})") from error

    def _traced(self, function: Any, specs: Sequence, names: Sequence[str]) -> TensorFlowPass:
        with _layer_calls(self.model) as calls:
            return TensorFlowPass(function.get_concrete_function(*specs), names, calls)

    def predict(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Run the network as it is.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            A batch of all inputs, in order.

        Returns
        -------
        list of numpy.ndarray
            Its outputs.

        Raises
        ------
        InputError
            If a part of the network was left out when it was opened.
        """
        import tensorflow as tf

        if self.left_out:
            raise InputError(f"the network gives no predictions: {self.left_out}")

        names, values = list(inputs), [tf.convert_to_tensor(one) for one in inputs.values()]
        if len(values[0]) < self.compiled_from:
            return [np.asarray(one) for one in tf.nest.flatten(self._call(names, values))]
        shapes = tuple(one.shape[1:] for one in inputs.values())
        if shapes not in self._compiled:
            self._compiled[shapes] = tf.function(
                lambda *given: self._call(names, given),
                input_signature=[tf.TensorSpec((None, *one.shape[1:]), one.dtype) for one in values],
                autograph=False,
            )
        return [np.asarray(one) for one in tf.nest.flatten(self._compiled[shapes](*values))]

    def up_to(self, layer: Any, before_activation: bool = False) -> Callable[[Any], list]:
        """Make a function which is the network as far as one of its layers.

        Parameters
        ----------
        layer : keras.layers.Layer
            One of ``model.layers``.
        before_activation : bool, default False
            Give what enters the layer's activation function.

        Returns
        -------
        callable
            From a batch to one tensor for each use of the layer; gradients go through it.
        """
        import tensorflow as tf

        def reach(inputs):
            with _layer_calls(self.model, layer) as calls:
                self.model(inputs, training=False)
            return [one.before if before_activation else one.output for one in calls if one.watched]

        # Compiled, so that what comes after the layer does not run; other backends run what they are given.
        of_tensorflow = self.backend == "tensorflow"
        return tf.function(reach, autograph=False, reduce_retracing=True) if of_tensorflow else reach

    def channel_axis(self, n_axes: int) -> int:
        """Axis of an output that tells its columns apart: the last."""
        return n_axes - 1

    def untrained(self, seed: int) -> Any:
        """Clone the model from its configuration, so that every layer draws from its own initialiser.

        Raises
        ------
        Unreadable
            If it has none, as subclassed models need not.
        """
        keras = importlib.import_module(self._library)
        before = random.getstate()
        random.seed(seed)  # initialisers without a seed of their own take one from here
        try:
            return keras.models.clone_model(self.model)
        except Exception as error:
            raise Unreadable(f"its Keras model cannot be cloned ({first_line(error)[:200]})") from error
        finally:
            random.setstate(before)

    def contents(self) -> tuple[str, list[np.ndarray]]:
        """Give the model's configuration, or the name of its class, and its weights."""
        try:
            architecture = self.model.to_json()
        except Exception:  # subclassed models need not have a configuration
            architecture = type(self.model).__qualname__
        return architecture, self.model.get_weights()

    def _inputs(self) -> dict[str, Any]:
        tensors = getattr(self.model, "inputs", None) or []
        structure, names = self._structure, [tensor.name.split(":")[0] for tensor in tensors]
        return dict(zip(sorted(structure) if isinstance(structure, dict) else names, tensors, strict=True))

    def _call(self, names: Sequence[str], values: Sequence) -> Any:
        if isinstance(self._structure, dict):
            return self.model(dict(zip(names, values, strict=True)), training=False)
        return self.model(values[0] if len(values) == 1 else list(values), training=False)


@dataclass(frozen=True)
class _Call:
    """One call of a layer: operations after number ``first`` up to ``last`` are its own.

    ``before`` is what enters its activation function, if it is ``watched``; its output if it has none.
    """

    name: str
    label: str
    first: int
    last: int
    leaf: bool
    watched: bool
    before: Any
    output: Any


class TensorFlowPass:
    """See ``ForwardPass`` in :mod:`kipoi_motifrep.networks.source`.

    Parameters
    ----------
    concrete : tf.ConcreteFunction
        The network, traced.
    names : sequence of str
        Names of its inputs, in order.
    calls : sequence of _Call
        Layer calls, inner ones before the outer.
    """

    failure = None

    def __init__(self, concrete: Any, names: Sequence[str], calls: Sequence[_Call]):
        import tensorflow as tf

        self._concrete, self._names = concrete, names  # the function keeps the variables alive
        self._definition = concrete.graph.as_graph_def()
        self._nodes = {node.name: node for node in self._definition.node}
        self._captured = {inner.name: outer for outer, inner in concrete.graph.captures}
        self._parts: dict[tuple, tuple[Callable, list[str]]] = {}
        self.taps: list[Tap] = []
        self.tensors: list[Any] = []
        self._numbers: dict[str, int] = {}
        own = {tensor.name for tensor in concrete.inputs[: len(names)]}
        # The innermost layer that runs when an operation is made is the one that makes it.
        owner: dict[int, int] = {}
        for place, call in enumerate(calls):
            for number in range(call.first + 1, call.last + 1):
                owner.setdefault(number, place)
        for number, operation in _in_order(concrete):
            inputs = tuple(self._numbers[one.name] for one in operation.inputs if one.name in self._numbers)
            kind, maker = operation.type.lower(), calls[owner[number]] if number in owner else None
            name, label = (maker.name, maker.label) if maker and maker.name else (kind, kind)
            for tensor in operation.outputs:
                if inputs or tensor.name in own:
                    self._numbers[tensor.name] = len(self.taps)
                    self.tensors.append(tensor)
                    shape = tuple(tensor.shape) if tensor.shape.rank is not None else ()
                    leaf = owner[number] if maker and maker.leaf else None
                    self.taps.append(Tap(name, label, kind, inputs, shape, leaf))
        self.outputs = [
            self._numbers[one.name] for one in tf.nest.flatten(concrete.structured_outputs) if one.name in self._numbers
        ]
        self._convolutions = self._find_convolutions()

    def _find_convolutions(self) -> dict[int, list]:
        """Mark the convolutions among the taps; their operations, by the tap that holds the feature map."""
        # The compiler's convolutions, such as grouped ones, are functions of their own.
        compiled = {
            one.signature.name
            for one in self._definition.library.function
            if any(node.op in CONVOLUTIONS for node in one.node_def)
        }
        found: dict[int, list] = {}
        found_entries: dict[int, int] = {}
        for number, tensor in enumerate(self.tensors):
            operation = tensor.op
            if operation.type not in CONVOLUTIONS and not (
                "PartitionedCall" in operation.type and operation.get_attr("f").name in compiled
            ):
                continue
            entry, taken_apart = self.taps[number].inputs[0], False
            while self.tensors[entry].op.type in (DUMMY, APART):
                taken_apart |= self.tensors[entry].op.type == APART
                entry = self.taps[entry].inputs[0]
            place, operations = number, [operation]
            while taken_apart:
                place = next(one for one in range(place + 1, len(self.taps)) if place in self.taps[one].inputs)
                taken_apart = self.tensors[place].op.type != TOGETHER
            if entry in found and self.taps[entry].leaf == self.taps[number].leaf is not None:
                # Two in a row in one layer, as in SeparableConv1D, are one.
                operations = [*found.pop(entry), operation]
                inner, entry = entry, found_entries[entry]
                self.taps[inner] = replace(self.taps[inner], convolution=None)
            first = operation.type in CONVOLUTIONS and operation.get_attr("data_format").startswith(b"NC")
            self.taps[place] = replace(self.taps[place], convolution=Convolution(1 if first else -1, entry))
            found[place], found_entries[place] = operations, entry
        return found

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        wanted: Sequence[int],
        given: Mapping[int, np.ndarray] | None = None,
        fresh: Collection[int] = (),
    ) -> list[np.ndarray]:
        """Run the network as far as some taps; see ``ForwardPass``."""
        import tensorflow as tf

        values = {self.tensors[place].name: value for place, value in (given or {}).items()}
        # What is given may have another number of positions than the tap has.
        specs = {
            self.tensors[place].name: tf.TensorSpec([None] * np.ndim(value), self.tensors[place].dtype)
            for place, value in (given or {}).items()
        }
        for name, tensor in zip(self._names, self._concrete.inputs, strict=False):  # behind the inputs are the weights
            if tensor.name not in values:
                values[tensor.name], specs[tensor.name] = inputs[name], tf.TensorSpec(tensor.shape, tensor.dtype)
        key = (tuple(wanted), tuple(given or ()), tuple(sorted(fresh)))
        if key not in self._parts:
            kernels = {
                name: np.random.default_rng(place).normal(size=value.shape).astype(value.dtype)
                for place in key[2]
                for name, value in self._kernels(place).items()
            }
            self._parts[key] = self._part([self.tensors[one].name for one in wanted], specs, kernels)
        part, taken = self._parts[key]
        # What is given is copied into the framework: of it, only what this part needs.
        return [np.asarray(one) for one in part(*(tf.cast(values[name], specs[name].dtype) for name in taken))]

    def weights(self, place: int) -> list[np.ndarray]:
        """Give the kernels of a convolution.

        Parameters
        ----------
        place : int
            Its tap.

        Returns
        -------
        list of numpy.ndarray
            One for most; two for a separable one.
        """
        return list(self._kernels(place).values())

    def _kernels(self, place: int) -> dict[str, np.ndarray]:
        """Values that a convolution takes besides the sequences, by the name of the tensor that holds them."""
        found = {}
        for operation in self._convolutions[place]:
            for tensor in operation.inputs:
                if tensor.name in self._captured:  # a variable as such, as the compiler's functions take it
                    handle = self._captured[tensor.name]
                    found[tensor.name] = next(
                        one.numpy() for one in self._concrete.graph.variables if one.handle is handle
                    )
                elif tensor.name not in self._numbers:
                    found[tensor.name] = np.asarray(self._part([tensor.name], {}, {})[0]()[0])
        return found

    def _part(
        self, wanted: Sequence[str], given: Mapping[str, Any], kernels: Mapping[str, np.ndarray]
    ) -> tuple[Callable, list[str]]:
        """Make a function which is the network between the tensors given and those wanted, and list which it takes."""
        import tensorflow as tf

        variables = {name: tf.Variable(value) for name, value in kernels.items() if name in self._captured}
        definition, needed = self._between(wanted, {*given, *kernels, *self._captured})
        taken = [name for name in given if name in needed or name in wanted]

        def part(*values):
            known = dict(zip(taken, values, strict=True))
            for name in needed - set(known):
                if name in kernels and name not in variables:
                    known[name] = tf.constant(kernels[name])
                else:
                    known[name] = tf.identity(variables[name].handle if name in variables else self._captured[name])
            made = [name for name in wanted if name not in known]
            known_here = {name: known[name] for name in needed}
            results = made and tf.graph_util.import_graph_def(definition, known_here, return_elements=made, name="")
            known.update(zip(made, results, strict=True))
            return [known[name] for name in wanted]

        return tf.function(part, autograph=False, input_signature=[given[name] for name in taken]), taken

    def _between(self, wanted: Sequence[str], known: Collection[str]) -> tuple[Any, set[str]]:
        """Cut the operations out that make some tensors from others; also which of the others are needed."""
        import tensorflow as tf

        definition = tf.compat.v1.GraphDef(versions=self._definition.versions, library=self._definition.library)
        needed: set[str] = set()
        seen: set[str] = set()
        waiting = [name for name in wanted if name not in known]
        while waiting:
            operation = waiting.pop().split(":")[0]
            if operation in seen:
                continue
            seen.add(operation)
            node = definition.node.add()
            node.CopyFrom(self._nodes[operation])
            del node.input[:]
            for name in self._nodes[operation].input:
                if not name.startswith("^"):  # which would only order what runs
                    node.input.append(name)
                    full = name if ":" in name else f"{name}:0"
                    (needed.add if full in known else waiting.append)(full)
        return definition, needed


def _in_order(concrete: Any) -> list[tuple[int, Any]]:
    """List all operations with their numbers, those that lead to the first output first.

    Layers that are called in no particular order, such as parallel ones, are so in the order of what they lead to.
    """
    import tensorflow as tf

    numbers = {one.name: number for number, one in enumerate(concrete.graph.get_operations(), start=1)}
    ordered: dict[str, Any] = {}
    first = [*concrete.inputs, *tf.nest.flatten(concrete.structured_outputs)]
    waiting = [(one, False) for one in [*(one.op for one in first), *concrete.graph.get_operations()][::-1]]
    while waiting:
        operation, ready = waiting.pop()
        if ready:
            ordered[operation.name] = operation
        elif operation.name not in ordered:
            waiting.append((operation, True))
            waiting += [(one.op, False) for one in list(operation.inputs)[::-1] if one.op.name not in ordered]
    return [(numbers[name], operation) for name, operation in ordered.items()]


@contextmanager
def _layer_calls(model: Any, watched: Any = None) -> Iterator[list[_Call]]:
    """Keep a list of the layer calls within the block, inner ones before the outer.

    One of the model's own layers can be watched: its activation function is exchanged for one that keeps what it gets.
    """
    import tensorflow as tf

    base: Any = next(one for one in type(model).__mro__ if one.__name__ == "Layer")
    calls: list[_Call] = []
    running: list[str] = []
    graphs: list[Any] = []
    plain = base.__call__

    def call(layer, *args, **kwargs):
        graph = tf.compat.v1.get_default_graph()
        graphs.append(graph)
        if graph is not graphs[0]:  # within a loop, such as that of an LSTM
            return plain(layer, *args, **kwargs)
        running.append(layer.name)
        before, first, label = len(calls), graph.version, _label(layer)
        own, watch = vars(layer).get("activation"), layer is watched and len(running) == 2
        entering = [args[0]] if type(layer).__name__ in ACTIVATION_LAYERS else []

        def activation(values):
            entering.append(values)
            return own(values)

        if watch and own is not None:
            vars(layer)["activation"] = activation
        try:
            output = plain(layer, *args, **kwargs)
            entered, leaf = entering[-1] if entering else output, len(calls) == before
            name = "/".join(running[1:])
            calls.append(_Call(name, label, first, graph.version, leaf, watch, entered, output))
            return output
        finally:
            if watch and own is not None:
                vars(layer)["activation"] = own
            running.pop()

    base.__call__ = call
    try:
        yield calls
    finally:
        base.__call__ = plain


def _label(layer: Any) -> str:
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return type(layer).__name__ if name == "linear" else name
