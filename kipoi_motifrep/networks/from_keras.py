"""Keras networks (Sequential, functional, nested, subclassed) as a :class:`Graph`.

The network is replayed on fresh symbolic inputs, nested models opened, so that
every layer becomes one step; only ``keras`` itself is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line, flattened
from kipoi_motifrep.networks.graph import PROBE, Convolution, Graph, OtherWay, Step, Unreadable, Window, ungrouped

NUMPY_TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
               "float16", "float32", "float64")


class KerasSource:
    """A loaded Keras model, ready to be replayed.

    Parameters
    ----------
    model : keras.Model
        The network.
    """

    framework = "Keras"

    def __init__(self, model):
        self.model = model
        self.names = _layer_names(model)
        self._own_code = False

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
        types = {name: str(tensor.dtype) for name, tensor in self._inputs().items()}
        return {name: kind for name, kind in types.items() if kind in NUMPY_TYPES}

    def _inputs(self) -> dict:
        tensors = getattr(self.model, "inputs", None) or []
        structure = getattr(self.model, "_inputs_struct", None)
        names = sorted(structure) if isinstance(structure, dict) else [tensor.name.split(":")[0] for tensor in tensors]
        return dict(zip(names, tensors, strict=True))

    def trace(self, shapes: dict[str, tuple[int, ...]], dna: str, probe: np.ndarray, others: dict) -> Graph:
        """Replay the network.

        Parameters
        ----------
        shapes : dict
            Concrete shape of one sample of every input, in the model's order.
        dna : str
            Which input is the DNA.
        probe : numpy.ndarray, shape (2, *shapes[dna])
            Its values.
        others : dict
            Not needed here: the shapes say enough.

        Returns
        -------
        Graph
            Every layer call is one step.
        """
        given = {}
        for number, (name, shape) in enumerate(shapes.items()):
            given[number] = probe if name == dna else np.zeros((PROBE, *shape), np.float32)
        return self._recorded(list(shapes), list(shapes.values()), PROBE, list(shapes).index(dna), given)

    def _recorded(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]], batch: int, dna: int,
                  given: dict[int, np.ndarray]) -> Graph:
        """Replay the network for batches of one size."""
        import keras

        dtypes = {name: tensor.dtype for name, tensor in self._inputs().items()}
        inputs = [keras.KerasTensor((batch, *shape), dtype=dtypes.get(name, "float32"), name=name)
                  for name, shape in zip(names, shapes, strict=True)]
        try:
            outputs = self._replay(self.model, inputs)
        except Exception as error:
            raise Unreadable(f"it cannot be replayed layer by layer ({first_line(error)})") from error
        numbers = {id(tensor): number for number, tensor in enumerate(inputs)}
        keep = list(inputs)
        steps = [self._step(node, numbers, keep) for node in _nodes(outputs)]
        return Graph(steps, {numbers[id(tensor)]: tuple(tensor.shape) for tensor in keep}, dna, given, _to_numpy,
                     keep_alive=keep, outputs=tuple(numbers[id(tensor)] for tensor in outputs if id(tensor) in numbers),
                     own_code=self._own_code)

    def runner(self, graph: Graph, chains: Sequence, names: Sequence[str]) -> Callable:
        """Cut out the steps up to some activations.

        Parameters
        ----------
        graph : Graph
            From :meth:`trace`.
        chains : sequence of (Step, Chain)
            Convolutions and the ways to their activations.
        names : sequence of str
            Names of the inputs, in order.

        Returns
        -------
        callable
            From a dict of input arrays to a list of feature maps, numpy float32.
        """
        wanted = [chain.output for _, chain in chains]
        cut = _cut(graph, chains)
        needed = [number for number in range(len(names))
                  if any(number in graph.steps[place].inputs for place in cut)]
        fronts, previous = {}, 0

        def front(n: int):
            size = n if graph.own_code else None
            if size not in fronts:
                steps = self._resized(graph, names, n).steps if graph.own_code else graph.steps
                fronts[size] = _front([(steps[place], renamed) for place, renamed in cut.items()], needed, wanted)
            return fronts[size]

        def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            nonlocal previous
            arrays = [inputs[names[number]] for number in needed]
            n = len(arrays[0])
            size, previous = max(n, previous), n
            if n < size:  # the last, smaller batch; it would be compiled afresh
                arrays = [np.concatenate([array, np.zeros((size - n, *array.shape[1:]), array.dtype)])
                          for array in arrays]
            try:
                results = front(size).predict_on_batch(arrays)
                return [chain.rows(np.asarray(result, np.float32), size)[:n]
                        for (_, chain), result in zip(chains, results, strict=True)]
            except Exception as error:  # a stranger's layers can fail in any way
                raise InputError(f"the network's layers, run one by one, fail on a batch of {size} sequences "
                                 f"({flattened(error)}); a smaller batch size may help") from error

        return run

    def _resized(self, graph: Graph, names: Sequence[str], batch: int) -> Graph:
        """Replay the network for batches of another size."""
        shapes = [graph.shapes[number][1:] for number in range(len(names))]
        other = self._recorded(names, shapes, batch, graph.dna, {})
        if [(one.label, one.inputs) for one in other.steps] != [(one.label, one.inputs) for one in graph.steps]:
            raise OtherWay("other layers are called")
        return other

    def _replay(self, operation, inputs: list) -> list:
        """Call a model on symbolic inputs, nested models opened."""
        import keras

        if isinstance(operation, keras.Sequential):
            values = inputs
            for layer in operation.layers:
                values = _flat(self._apply(layer, values, {}))
            return values
        if not hasattr(operation, "_nodes_by_depth"):
            structure = inputs[0] if len(inputs) == 1 else inputs
            self._own_code = True
            return _flat(operation.call(structure))
        values = {id(tensor): value for tensor, value in zip(operation.inputs, inputs, strict=True)}
        for depth in sorted(operation._nodes_by_depth, reverse=True):
            for node in operation._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                args, kwargs = node.arguments.fill_in(values)
                results = _flat(self._apply(node.operation, args, kwargs))
                values.update((id(tensor), value) for tensor, value in zip(node.outputs, results, strict=True))
        return [values[id(tensor)] for tensor in operation.outputs]

    def _apply(self, operation, args: Sequence, kwargs: dict):
        import keras

        if isinstance(operation, keras.layers.InputLayer):
            return list(args)
        if isinstance(operation, keras.Model) and not kwargs.get("mask"):
            return self._replay(operation, _flat(list(args)))
        if isinstance(operation, keras.Layer) and not _is_convolution(operation) and _holds_convolution(operation):
            self._own_code = True
            return operation.call(*args, **kwargs)
        return operation(*args, **kwargs)

    def _step(self, node, numbers: dict[int, int], keep: list) -> Step:
        inputs = tuple(numbers[id(tensor)] for tensor in node.input_tensors)
        for tensor in node.outputs:
            numbers[id(tensor)] = len(keep)
            keep.append(tensor)
        operation, symbols = node.operation, node.input_tensors

        def call(values: Sequence) -> list:
            args, kwargs = node.arguments.fill_in({id(tensor): value
                                                   for tensor, value in zip(symbols, values, strict=True)})
            return _flat(operation(*args, **kwargs))

        shape = tuple(symbols[0].shape[1:]) if symbols else ()
        convolution, pooling = _geometry(operation, shape)
        label = _label(operation)
        return Step(self.names.get(id(operation), operation.name), label, inputs,
                    tuple(numbers[id(tensor)] for tensor in node.outputs), call, convolution, pooling)


def compiled(model):
    """Compile a part of a network for ``predict_on_batch``; give it back."""
    # XLA is 3 to 20 times slower on a CPU, and Keras would choose it by itself.
    model.compile(jit_compile=False, run_eagerly=False)
    return model


def _cut(graph: Graph, chains: Sequence) -> dict[int, dict[int, int]]:
    """Collect the places of the steps up to the ends of some chains, in order, each with its renamed inputs."""
    places = {step: place for place, step in enumerate(graph.steps)}
    cut: dict[int, dict[int, int]] = {}
    for convolution, chain in chains:
        for step in (*graph.upstream([convolution.outputs[0]]), *chain.steps):
            cut.setdefault(places[step], {}).update(chain.inputs if step in chain.steps else {})
    return dict(sorted(cut.items()))


def _front(steps: Sequence[tuple[Step, dict[int, int]]], needed: Sequence[int], wanted: Sequence[int]):
    """Make a model of some steps, each with its renamed inputs."""
    import keras

    class Front(keras.Model):
        def call(self, inputs):
            values = dict(zip(needed, inputs, strict=True))
            for step, renamed in steps:
                results = step.call([values[renamed.get(one, one)] for one in step.inputs])
                values.update(zip(step.outputs, results, strict=True))
            return [values[one] for one in wanted]

    return compiled(Front())


def _nodes(outputs: Sequence) -> list:
    """Collect the calls that lead to some symbolic outputs, in the order they run."""
    found, seen = [], set()
    stack = [(node, False) for node in map(_node_of, reversed(outputs)) if node is not None]
    while stack:
        node, ready = stack.pop()
        if ready:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in map(_node_of, reversed(node.input_tensors))
                         if parent is not None and id(parent) not in seen)
    return found


def _node_of(tensor):
    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None:
        return None
    node = history.operation._inbound_nodes[history.node_index]
    return None if node.is_input else node


def _geometry(operation, shape: tuple[int, ...]) -> tuple[Convolution | None, Window | None]:
    """Convolution or pooling geometry of an operation on one sample of `shape`."""
    from keras import layers

    if _is_convolution(operation):
        window = _window(operation, operation.kernel_size, operation.strides, operation.dilation_rate, shape)
        channels = len(shape) - 1 if operation.data_format == "channels_last" else 0
        return Convolution(window, channels, _groups(operation, shape[channels]),
                           lambda: _kernel(operation, shape[channels]), _fused(operation)), None
    pools = (layers.MaxPooling1D, layers.MaxPooling2D, layers.AveragePooling1D, layers.AveragePooling2D)
    if isinstance(operation, pools):
        size = operation.pool_size
        return None, _window(operation, size, operation.strides, (1,) * len(size), shape)
    return None, None


def _window(operation, kernel, stride, dilation, shape: tuple[int, ...]) -> Window:
    first = 0 if operation.data_format == "channels_last" else 1
    axes = tuple(range(first, first + len(kernel)))
    left = []
    for size, width, step, hole in zip((shape[axis] for axis in axes), kernel, stride, dilation, strict=True):
        span = (width - 1) * hole + 1
        if operation.padding == "causal":
            left.append(span - 1)
        elif operation.padding == "same":
            left.append(max((-(-size // step) - 1) * step + span - size, 0) // 2)
        else:
            left.append(0)
    return Window(axes, tuple(kernel), tuple(stride), tuple(dilation), tuple(left), operation.padding)


def _is_convolution(operation) -> bool:
    from keras import layers

    return isinstance(operation, (layers.Conv1D, layers.Conv2D, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
                                  layers.SeparableConv1D, layers.SeparableConv2D)) \
        and not isinstance(operation, (layers.Conv1DTranspose, layers.Conv2DTranspose))


def _holds_convolution(layer) -> bool:
    return any(_is_convolution(inner) for inner in layer._flatten_layers(include_self=False))


def _groups(layer, channels: int) -> int:
    from keras import layers

    return channels if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)) \
        else getattr(layer, "groups", 1)


def _kernel(layer, channels: int) -> np.ndarray:
    """Kernel as (*kernel, input channels, filters), groups and separable parts multiplied out."""
    from keras import layers

    if hasattr(layer, "depthwise_kernel"):
        pointwise = _to_numpy(layer.pointwise_kernel) if hasattr(layer, "pointwise_kernel") else None
        return _separable(_to_numpy(layer.depthwise_kernel), pointwise)
    if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        return _separable(_to_numpy(layer.kernel), None)
    return ungrouped(_to_numpy(layer.kernel), channels)


def _separable(depthwise: np.ndarray, pointwise: np.ndarray | None) -> np.ndarray:
    *size, channels, multiplier = depthwise.shape
    wide = np.zeros((*size, channels, channels, multiplier), np.float32)
    for channel in range(channels):
        wide[..., channel, channel, :] = depthwise[..., channel, :]
    wide = wide.reshape(*size, channels, channels * multiplier)
    return wide if pointwise is None else wide @ pointwise.reshape(channels * multiplier, -1)


def _fused(layer) -> str | None:
    import keras

    activation = layer.activation
    if activation is None or activation is keras.activations.linear:
        return None
    return getattr(activation, "__name__", None) or getattr(activation, "name", type(activation).__name__)


def _label(operation) -> str:
    name = getattr(getattr(operation, "activation", None), "__name__", "linear")
    if name != "linear":
        return name
    return type(operation).__name__


def _layer_names(model) -> dict[int, str]:
    """Names of all layers by identity, ``outer/inner`` for nested ones."""
    names: dict[int, str] = {}

    def visit(container, prefix: str) -> None:
        for layer in container._flatten_layers(include_self=False, recursive=False):
            names.setdefault(id(layer), prefix + layer.name)
            visit(layer, f"{prefix}{layer.name}/")

    visit(model, "")
    return names


def _flat(structure) -> list:
    import keras

    return keras.tree.flatten(structure)


def _to_numpy(tensor) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))
