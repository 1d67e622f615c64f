"""SavedModel folders of TensorFlow 2: the graph that they serve, once it is known to do nothing but calculate.

1. The folder's description is read as what it is, a message of protobuf. One that would open files or run anything of
   its own while it is loaded is refused.
2. TensorFlow loads it, which runs no Python. The functions of the graph are put in line, its variables become
   constants.
3. Every operation that is left must be one that calculates. It has the name of the layer that it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.networks.backend import import_keras
from kipoi_motifrep.networks.from_keras import KerasSource, TensorFlowPass
from kipoi_motifrep.networks.source import Unreadable, named_by_scope

KINDS = ("user_object", "variable", "function", "bare_concrete_function", "constant", "captured_tensor")
CALCULATES = re.compile(
    "(Bias)?Add(V1|V2|N)?|Sub|Mul|MulNoNan|Div|DivNoNan|RealDiv|FloorDiv|FloorMod|Mod|Maximum|Minimum|Neg|Abs|Sign|Exp|"
    "Expm1|Log|Log1p|R?[Ss]qrt|Square|SquaredDifference|Pow|Reciprocal|Inv|Sin|Cos|Tan|Tanh|Sigmoid|Relu6?|LeakyRelu|"
    "S?[Ee]lu|Softplus|Softsign|(Log)?Softmax|Erfc?|Floor|Ceil|Round|Rint|ClipByValue|(Batch)?MatMul(V2|V3)?|Einsum|"
    "Conv|Conv[23]D(BackpropInput(V2)?)?|DepthwiseConv2dNative|XlaConvV2|(Max|Avg)Pool(V2|3D)?|FusedBatchNorm(V2|V3)?|"
    "LRN|Mean|Sum|Prod|Max|Min|All|Any|ArgMax|ArgMin|TopKV2|Cumsum|Cumprod|Equal|NotEqual|Greater(Equal)?|Less(Equal)?|"
    "Logical(And|Or|Not)|Select(V2)?|Where|Cast|Const|Placeholder(WithDefault)?|Identity(N)?|StopGradient|"
    "PreventGradient|NoOp|ShapeN?|Size|Rank|Reshape|Squeeze|ExpandDims|(Conjugate)?Transpose|InvertPermutation|"
    "Concat(V2|Offset)?|SplitV?|Pack|Unpack|Slice|StridedSlice|Gather(V2|Nd)?|ScatterNd|Tile|Fill|(Zeros|Ones)Like|"
    "Range|LinSpace|OneHot|(Mirror)?Pad(V2)?|Reverse(V2|Sequence)?|BroadcastTo|BroadcastArgs|SpaceToBatchND|"
    "BatchToSpaceND|Roll|Resize(NearestNeighbor|Bilinear)|TensorList[A-Z][A-Za-z]+|EmptyTensorList|(Stateless)?(While|If)|"
    "(Stateful)?PartitionedCall|RandomUniform|RandomStandardNormal|Assert"
)


class SavedSource(KerasSource):
    """The graph that a SavedModel folder serves.

    Parameters
    ----------
    folder : pathlib.Path
        With a ``saved_model.pb``.

    Raises
    ------
    InputError
        If it is damaged, serves nothing, or could do other things than calculate.
    """

    framework = "TensorFlow"
    backend = "tensorflow"
    left_out = ""
    compiled_from = 0  # a graph cannot be run otherwise

    def __init__(self, folder: Path):
        import_keras()  # TensorFlow with few words
        import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        try:
            found = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
            objects = found.meta_graphs[0].object_graph_def.nodes
            if not objects:
                raise InputError(
                    "was written by TensorFlow 1, whose files run parts of themselves while they are loaded; load it "
                    "there, and save it as Keras's .h5 file or as TensorFlow 2 does",
                    path=folder,
                )
            for one in objects:
                kind = one.WhichOneof("kind")
                if kind not in KINDS or one.saveable_objects or one.registered_saver:
                    raise InputError(
                        f"has parts ({kind}) that read files or are run while it is loaded; save the network without "
                        "them, as Keras's .h5 file",
                        path=folder,
                    )
            loaded = tf.saved_model.load(str(folder))
            # What could take DNA goes before what is served by default, and that before all others.
            served = {name: one.structured_input_signature[1].values() for name, one in loaded.signatures.items()}
            bases = {name for name, inputs in served.items() if any(4 in (one.shape.dims or ()) for one in inputs)}
            names = sorted(served, key=lambda name: (name not in bases, name != "serving_default", name))
            if not names:
                raise InputError(
                    "serves no function; save it with signatures (tf.saved_model.save), or as Keras's .h5 file",
                    path=folder,
                )
            constant = convert_variables_to_constants_v2(loaded.signatures[names[0]], lower_control_flow=False)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # TensorFlow fails in any way on what is damaged
            raise InputError(f"TensorFlow cannot read it ({flattened(error)})", path=folder) from error
        self.model, self.graph = folder, constant.graph.as_graph_def()
        nodes = [*self.graph.node, *(one for part in self.graph.library.function for one in part.node_def)]
        other = sorted({one.op for one in nodes if not CALCULATES.fullmatch(one.op)})
        if other:
            raise InputError(
                f"uses TensorFlow's {', '.join(other)}, which could do other things than calculate, and is not run; "
                "save the network as Keras's .h5 file",
                path=folder,
            )
        if any(tensor.shape.rank is None for tensor in constant.inputs):
            raise InputError("does not say the shape of its input; save it with one, as Keras's .h5 file", path=folder)
        self._tensors = {tensor.name.split(":")[0]: tensor for tensor in constant.inputs}
        self._outputs = [tensor.name for tensor in constant.outputs]
        self._compiled: dict = {}

    def _traced(self, function: Any, specs: Sequence, names: Sequence[str]) -> TensorFlowPass:
        """Name each operation by the layer that its own name begins with."""
        found = TensorFlowPass(function.get_concrete_function(*specs), names, [])
        found.taps = named_by_scope(found.taps, [tensor.op.name.split("/")[:-1] for tensor in found.tensors])
        return found

    def untrained(self, seed: int) -> Any:
        """Say that there are no initial values to draw.

        Raises
        ------
        Unreadable
            Always.
        """
        raise Unreadable("a SavedModel does not say how its weights were drawn")

    def contents(self) -> tuple[str, list[np.ndarray]]:
        """Give the operations of the graph, whose names are of no account, and its constants."""
        import tensorflow as tf

        constants = [tf.make_ndarray(one.attr["value"].tensor) for one in self.graph.node if one.op == "Const"]
        return " ".join(one.op for one in self.graph.node), constants

    def _inputs(self) -> dict[str, Any]:
        return self._tensors

    def _call(self, names: Sequence[str], values: Sequence) -> Any:
        import tensorflow as tf

        given = {f"{name}:0": value for name, value in zip(names, values, strict=True)}
        return tf.graph_util.import_graph_def(self.graph, given, return_elements=self._outputs, name="")
