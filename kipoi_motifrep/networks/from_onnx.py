"""ONNX files: the values of the graph are the taps, and ONNX Runtime runs what lies between some of them.

1. The file is read by itself. Numbers that it keeps in other files must lie in its own folder, and its operations must
   be ONNX's own, which calculate and do nothing else.
2. Shapes are worked out by ONNX for the sequences that are given.
3. A part of the network is the graph cut at some values: what is given becomes an input, what is wanted an output, and
   what is not needed for that is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line, flattened, missing_package
from kipoi_motifrep.core.unpacked import check_unpacked
from kipoi_motifrep.networks.source import PROBE, Convolution, Tap, Unreadable, named_by_scope, runs_together

OWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
ANY_LENGTH = 1000  # of an axis that is open, to see whether sequences can be run together


class OnnxSource:
    """The graph of an ONNX file.

    Parameters
    ----------
    path : pathlib.Path
        The file; numbers outside it are read from its folder.

    Raises
    ------
    InputError
        If the packages for it are missing, it is damaged, refers to files elsewhere, or has operations of others.
    """

    framework = "ONNX"
    left_out = ""

    def __init__(self, path: Path):
        try:
            import onnx
            import onnx.inliner
            import onnxruntime  # noqa: F401 - which runs it
        except ImportError as error:
            raise InputError(
                f"is an ONNX file, which {missing_package(error, ['onnx', 'onnxruntime'])}", path=path
            ) from error
        try:
            model = onnx.load(path, format="protobuf", load_external_data=False)
            _read_beside(model, path)
            model = onnx.inliner.inline_local_functions(model) if model.functions else model
            others = [node for node in _messages(model.graph, "NodeProto") if node.domain not in OWN_DOMAINS]
            if others:
                raise InputError(
                    f"uses {others[0].domain}'s {others[0].op_type}, which is none of ONNX's own operations, and is "
                    "not run; export the network again without it",
                    path=path,
                )
            self._take_in(model, path)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # protobuf and ONNX fail in any way on what is damaged
            raise InputError(f"is no whole ONNX file ({flattened(error)})", path=path) from error
        self.alone = False  # whether each sequence is run by itself
        sizes = {_sizes(one)[:1] for one in self.inputs.values()} - {(None,)}
        shapes = [[size or ANY_LENGTH for size in _sizes(one)] for one in self.inputs.values()]
        self.alone = bool(sizes) and not runs_together(
            lambda arrays: self.predict(dict(zip(self.inputs, arrays, strict=True))), shapes
        )
        if self.alone and sizes != {(1,)}:
            raise InputError(
                f"was exported for batches of {max(sizes)[0]} only; export it again with a dynamic first axis",
                path=path,
            )

    def _take_in(self, model: Any, path: Path) -> None:
        import onnx

        self.model, typed = model, onnx.shape_inference.infer_shapes(model).graph
        held = {one.name for one in model.graph.initializer}  # early files list these as inputs, too
        self.inputs = {one.name: one for one in model.graph.input if one.name not in held}
        if not self.inputs or not all(one.type.HasField("tensor_type") for one in self.inputs.values()):
            raise InputError("takes no arrays; a network over one-hot sequences is needed", path=path)
        self._types = {one.name: one.type.tensor_type.elem_type for one in (*typed.value_info, *typed.output)}
        self._types |= {one.name: one.type.tensor_type.elem_type for one in self.inputs.values()}
        self._types |= {one.name: one.data_type for one in model.graph.initializer}
        self._sessions: dict[tuple, Any] = {}
        self.input_types(), self.contents()  # which fail where these are damaged

    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of one sample of every input, by name."""
        return {name: _sizes(one)[1:] for name, one in self.inputs.items()}

    def input_types(self) -> dict[str, str]:
        """Type of every input, by name, where it is one that NumPy has."""
        types = {name: self._dtype(name).name for name in self.inputs}
        return {name: kind for name, kind in types.items() if hasattr(np, kind)}

    def _dtype(self, name: str) -> np.dtype:
        from onnx import helper

        return helper.tensor_dtype_to_np_dtype(self._types.get(name, 1))  # 1 is float32

    def trace(self, inputs: Mapping[str, np.ndarray]) -> OnnxPass:
        """List the values of the graph for sequences of this length.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            A batch.

        Returns
        -------
        OnnxPass
            Every value that is made from an input is a tap.

        Raises
        ------
        Unreadable
            If ONNX cannot follow them.
        """
        try:
            return OnnxPass(self, inputs)
        except Exception as error:  # its exceptions have no class in common
            raise Unreadable(f"it cannot be run on sequences of this shape ({first_line(error)})") from error

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
            If it cannot be run on them.
        """
        try:
            return self.calculate([one.name for one in self.model.graph.output], inputs)
        except Unreadable as error:
            raise InputError(str(error)) from error

    def channel_axis(self, n_axes: int) -> int:
        """Axis of an output that tells its columns apart: PyTorch's is the second, others' the last."""
        return 1 if self.model.producer_name == "pytorch" else n_axes - 1

    def untrained(self, seed: int) -> Any:
        """Say that there are no initial values to draw.

        Raises
        ------
        Unreadable
            Always.
        """
        raise Unreadable("an ONNX file does not say how its weights were drawn")

    def contents(self) -> tuple[str, list[np.ndarray]]:
        """Give the operations of the graph, whose names are of no account, and its constants."""
        from onnx import numpy_helper

        constants = [numpy_helper.to_array(one) for one in self.model.graph.initializer]
        return " ".join(node.op_type for node in self.model.graph.node), constants

    def calculate(
        self, wanted: Sequence[str], given: Mapping[str, np.ndarray], fixed: Mapping[str, np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run the part of the graph between some values.

        Parameters
        ----------
        wanted : sequence of str
            Values to give.
        given : mapping of str to numpy.ndarray
            Values to put in the place of others; among them those of an input.
        fixed : mapping of str to numpy.ndarray, optional
            The same, of values that do not depend on the sequences.

        Returns
        -------
        list of numpy.ndarray
            Those wanted.

        Raises
        ------
        Unreadable
            If ONNX Runtime cannot run it.
        """
        n = len(next(one for name, one in given.items() if name in self.inputs))
        if self.alone and n > 1:
            rows = {name: one.reshape(n, -1, *one.shape[1:]) for name, one in given.items()}
            each = [self.calculate(wanted, {name: one[i] for name, one in rows.items()}, fixed) for i in range(n)]
            return [np.concatenate([np.atleast_1d(one) for one in ones]) for ones in zip(*each, strict=True)]
        known = {name: np.asarray(one, self._dtype(name)) for name, one in {**given, **(fixed or {})}.items()}
        made = [name for name in dict.fromkeys(wanted) if name not in known]
        try:
            key = (tuple(made), tuple(known))
            if made and key not in self._sessions:
                self._sessions[key] = self.session(made, known)
            session = self._sessions.get(key)
            if session is not None:
                taken = {one.name: known[one.name] for one in session.get_inputs()}
                known.update(zip(made, session.run(made, taken), strict=True))
        except Exception as error:  # its exceptions have no class in common
            raise Unreadable(f"ONNX Runtime cannot run it on sequences of this shape ({first_line(error)})") from error
        return [np.asarray(known[name]) for name in wanted]

    def session(self, wanted: Sequence[str], known: Collection[str]) -> Any:
        """Cut out the operations that make some values from others, which become inputs.

        Parameters
        ----------
        wanted, known : collections of str
            Names of the values.

        Returns
        -------
        onnxruntime.InferenceSession
            Which runs them.
        """
        import onnxruntime
        from onnx import ValueInfoProto, helper

        graph, needed, waiting = self.model.graph, set(known), list(wanted)
        makers = {name: place for place, node in enumerate(graph.node) for name in node.output}
        places: set[int] = set()
        taken: set[str] = set()
        while waiting:
            name = waiting.pop()
            taken.add(name)
            if name not in needed and makers.get(name, -1) not in places | {-1}:
                places.add(makers[name])
                waiting += _used_by(graph.node[makers[name]])
        nodes = []
        for place in sorted(places):
            (node := type(graph.node[place])()).CopyFrom(graph.node[place])
            # What is given in the place of a value has its name; the value itself is made for nothing.
            node.output[:] = [f"{name} left out" if name in needed and name else name for name in node.output]
            nodes.append(node)
        part = helper.make_graph(
            nodes,
            "part",
            [helper.make_tensor_value_info(name, self._types.get(name, 1), None) for name in known if name in taken],
            [ValueInfoProto(name=name) for name in wanted],
            [one for one in graph.initializer if one.name in taken - needed],
            sparse_initializer=[one for one in graph.sparse_initializer if one.values.name in taken - needed],
        )
        model = helper.make_model(part, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is told by its exceptions
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )


class OnnxPass:
    """See ``ForwardPass`` in :mod:`kipoi_motifrep.networks.source`.

    Parameters
    ----------
    source : OnnxSource
        The network.
    inputs : mapping of str to numpy.ndarray
        The batch to record.
    """

    def __init__(self, source: OnnxSource, inputs: Mapping[str, np.ndarray]):
        self._source = source
        graph, shapes = source.model.graph, _inferred(source, inputs)
        self.taps = [Tap(name, "input", "input", (), shapes[name]) for name in inputs]
        self._names = list(inputs)
        self._kernels: dict[int, str] = {}
        numbers = {name: place for place, name in enumerate(inputs)}
        scopes: list[list[str]] = [[] for _ in inputs]
        for node in graph.node:
            used = tuple(numbers[name] for name in _used_by(node) if name in numbers)
            for name in node.output if used else ():
                numbers[name] = len(self.taps)
                kind, scope = node.op_type.lower(), node.name.strip("/").split("/")[:-1]
                # PyTorch says what lies in a sequence by its whole name: body/body.0.
                scope = [one for one, inner in zip_longest(scope, scope[1:]) if not f"{inner}".startswith(f"{one}.")]
                convolution = None
                if node.op_type == "Conv" and node.input[1] not in numbers:
                    convolution, self._kernels[len(self.taps)] = Convolution(1, used[0]), node.input[1]
                    # The kernel has the layer's own name, if the exporter kept it.
                    own = node.input[1].removesuffix(".weight")
                    scope = [own] if own != node.input[1] else scope
                self.taps.append(Tap(kind, kind, kind, used, shapes.get(name, ()), convolution=convolution))
                self._names.append(name)
                scopes.append(scope)
        self.taps = named_by_scope(self.taps, scopes)
        self.outputs = [numbers[one.name] for one in graph.output if one.name in numbers]
        self.failure: Exception | None = None
        try:
            source.predict(inputs)
        except InputError as error:
            self.failure = error

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        wanted: Sequence[int],
        given: Mapping[int, np.ndarray] | None = None,
        fresh: Collection[int] = (),
    ) -> list[np.ndarray]:
        """Run the network as far as some taps; see ``ForwardPass``.

        Raises
        ------
        Unreadable
            If it cannot be run as far.
        InputError
            If it cannot be run on other batches than the one that it was tried on.
        """
        values = {**inputs, **{self._names[place]: np.asarray(one) for place, one in (given or {}).items()}}
        random = {
            self._kernels[place]: np.random.default_rng(place).normal(size=self.weights(place)[0].shape)
            for place in fresh
        }
        try:
            return self._source.calculate([self._names[one] for one in wanted], values, random)
        except Unreadable as error:
            if len(next(iter(inputs.values()))) != PROBE:
                raise InputError(f"{error}; a smaller batch size may help") from error
            raise

    def weights(self, place: int) -> list[np.ndarray]:
        """Give the kernel of a convolution.

        Parameters
        ----------
        place : int
            Its tap.

        Returns
        -------
        list of numpy.ndarray
            One.
        """
        from onnx import numpy_helper

        held = (one for one in self._source.model.graph.initializer if one.name == self._kernels[place])
        found = next(held, None)
        if found is not None:
            return [numpy_helper.to_array(found)]
        return self._source.session([self._kernels[place]], ()).run(None, {})  # one that is made from others


def _sizes(value: Any) -> tuple[int | None, ...]:
    """Sizes of a value's axes; None for those that are open."""
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)


def _inferred(source: OnnxSource, inputs: Mapping[str, np.ndarray]) -> dict[str, tuple[int | None, ...]]:
    """Let ONNX work out the shapes of all values, as far as it can."""
    import onnx

    (model := onnx.ModelProto()).CopyFrom(source.model)
    del model.graph.value_info[:]
    for one in model.graph.input:
        if one.name in inputs:
            shape = inputs[one.name].shape
            for dim, size in zip(one.type.tensor_type.shape.dim, shape, strict=True):
                dim.dim_value = size
            if source.alone:
                one.type.tensor_type.shape.dim[0].dim_value = 1
    for one in model.graph.output:
        one.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {one.name: _sizes(one) for one in (*graph.input, *graph.value_info, *graph.output)}


def _read_beside(model: Any, path: Path) -> None:
    """Read the numbers that a file keeps in others, which must lie in its own folder."""
    import onnx

    folder, sizes = path.absolute().parent.resolve(), Counter[Path]()
    for one in _messages(model, "TensorProto"):
        if one.data_location == one.EXTERNAL:
            said = {each.key: each.value for each in one.external_data}
            location = said.get("location", "")
            place = folder / location
            if not location or place.resolve() != place or folder not in place.parents:  # such as through a link
                raise InputError(
                    f"keeps numbers in {location!r}, which is no file of its folder, and is not read; export the "
                    "network again into one file",
                    path=path,
                )
            if not place.is_file():
                raise InputError(f"keeps numbers in {location!r}, which is not beside it; fetch it, too", path=path)
            sizes[place] += int(said.get("length") or place.stat().st_size)
    for place, size in sizes.items():
        check_unpacked(place, size)
    onnx.load_external_data_for_model(model, str(folder))
    # Of tensors that ONNX does not look for, nothing may be left for ONNX Runtime to read.
    if any(one.data_location == one.EXTERNAL for one in _messages(model, "TensorProto")):
        raise InputError("keeps numbers of its functions outside; export the network again into one file", path=path)


def _messages(message: Any, *kinds: str) -> Iterator[Any]:
    """All messages of some kinds within one of protobuf, those of branches and functions, too."""
    if type(message).__name__ in kinds:
        yield message
    for _, value in message.ListFields():
        for one in [value] if hasattr(value, "ListFields") else value if hasattr(value, "add") else ():
            yield from _messages(one, *kinds)


def _used_by(node: Any) -> list[str]:
    """List the values that an operation takes, also within its loops and branches, and what these give of others."""
    names = [name for one in _messages(node, "NodeProto") for name in one.input]
    names += [one.name for graph in _messages(node, "GraphProto") for one in graph.output]
    return [name for name in names if name]
