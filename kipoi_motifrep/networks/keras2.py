"""The description of a network as Keras 2 wrote it, in the words of Keras 3."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.backend import import_keras

LAMBDA = ("has a Lambda layer, which is code inside the file, and is not run; save the model with a registered layer "
          "instead")
MODELS = ("Functional", "Model", "Sequential")
NEW_CLASSES = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}
NEW_ARGUMENTS = {("LeakyReLU", "alpha"): "negative_slope", ("InputLayer", "batch_input_shape"): "batch_shape"}
# They change nothing in a prediction: shapes and speed, which Keras 3 finds itself, and training.
NEEDLESS = ("batch_input_shape", "build_input_shape", "implementation", "input_length", "key_shape", "query_shape",
            "renorm_clipping", "renorm_momentum", "trainable", "value_shape")
GONE = ("CuDNNGRU", "CuDNNLSTM", "DenseFeatures", "LocallyConnected1D", "LocallyConnected2D", "RandomHeight",
        "RandomWidth", "ThresholdedReLU")
RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")
FUNCTIONS = ("ClassMethod", "InstanceMethod", "InstanceProperty", "SlicingOpLambda", "TensorFlowOpLayer", "TFOpLambda")

# Functions of TensorFlow that Keras 2 wrote as layers, and the Keras layers that do the same.
ACTIVATIONS = {"math.exp": "exponential", "math.sigmoid": "sigmoid", "math.softplus": "softplus", "math.tanh": "tanh",
               "nn.elu": "elu", "nn.gelu": "gelu", "nn.relu": "relu", "nn.relu6": "relu6", "nn.selu": "selu",
               "nn.sigmoid": "sigmoid", "nn.silu": "silu", "nn.softmax": "softmax", "nn.softplus": "softplus",
               "nn.tanh": "tanh"}
MERGES = {"__operators__.add": "Add", "math.add": "Add", "math.maximum": "Maximum", "math.minimum": "Minimum",
          "math.multiply": "Multiply", "math.subtract": "Subtract"}
# For a number c: what x is multiplied by, and what is added.
SCALINGS = {"__operators__.add": lambda c: (1.0, c), "math.add": lambda c: (1.0, c),
            "math.multiply": lambda c: (c, 0.0), "math.subtract": lambda c: (1.0, -c),
            "math.truediv": lambda c: (1 / c, 0.0)}


def of_keras_3(config: Mapping) -> dict:
    """Translate the description of a whole network.

    Parameters
    ----------
    config : mapping
        As Keras 2 wrote it into a ``.keras`` or ``.h5`` file.

    Returns
    -------
    dict
        For ``keras.saving.deserialize_keras_object``. Regularisers and constraints, which
        are of use in training only, are left out.

    Raises
    ------
    InputError
        If a part of it is not in Keras 3.
    """
    return _model(config) if config["class_name"] in MODELS else _layer(config)


def new_name(name: str) -> str:
    """Name a layer as Keras 3 allows: without a slash."""
    return name.replace("/", "_")


def layer_configs(config: Mapping) -> list[dict]:
    """List a model's layers as Keras 2 wrote them; older files have a Sequential's as a bare list."""
    inner = config["config"]
    return inner["layers"] if isinstance(inner, Mapping) else inner


def layer_name(config: Mapping) -> str:
    """Give the name that Keras 2 wrote a layer's weights under."""
    return config.get("name") or config["config"]["name"]


def _model(config: Mapping) -> dict:
    if config["class_name"] == "Sequential":
        return _sequential(config)
    inner = config["config"]
    kinds = {layer_name(layer): layer["class_name"] for layer in inner["layers"]}
    layers = [_in_graph(layer, kinds) for layer in inner["layers"]]
    return {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
            "config": {"name": new_name(inner.get("name", "model")), "trainable": inner.get("trainable", True),
                       "layers": layers,
                       "input_layers": _ends(inner["input_layers"], kinds),
                       "output_layers": _ends(inner["output_layers"], kinds)}}


def _sequential(config: Mapping) -> dict:
    inner = config["config"] if isinstance(config["config"], Mapping) else {}
    layers, shape = layer_configs(config), _input_shape(config)
    translated = [_layer(layer) for layer in layers]
    if layers[0]["class_name"] != "InputLayer":
        if shape is None:
            raise InputError("does not say the shape of its input, so that Keras 3 cannot build it; build the network "
                             "in Keras 2 with an input of known shape, and save it again")
        translated.insert(0, _object("InputLayer", {"batch_shape": shape, "name": "motifrep_input"}))
    name = inner.get("name") or config.get("name") or "sequential"
    return {"module": "keras", "class_name": "Sequential", "registered_name": None,
            "config": {"name": new_name(name), "layers": translated}}


def _input_shape(config: Mapping) -> list | None:
    """Find the shape of a layer's input, which old files have in the first layer of a model only."""
    inner = config["config"]
    if isinstance(inner, Mapping):
        shape = inner.get("batch_input_shape") or inner.get("build_input_shape")
        if shape is not None:
            return _plain(shape)
        if isinstance(inner.get("layer"), Mapping):
            return _input_shape(inner["layer"])
    if config["class_name"] not in MODELS:
        return None
    found = _input_shape(layer_configs(config)[0])
    return found or config.get("build_config", {}).get("input_shape")


def _object(class_name: str, config: dict) -> dict:
    return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None}


def _layer(config: Mapping) -> dict:
    """Translate a layer; one that Keras does not know stays as it is, for Keras to refuse."""
    if config["class_name"] in MODELS:
        return _model(config)
    class_name = NEW_CLASSES.get(config["class_name"], config["class_name"])
    known = getattr(import_keras().layers, class_name, None)
    if class_name in GONE:
        raise InputError(f"layer {layer_name(config)!r} is a {class_name}, which Keras 3 does not have; put another "
                         "layer in its place in Keras 2, and save the network again")
    if class_name == "Lambda":
        raise InputError(LAMBDA)
    if known is None or not _of_keras(config):
        return dict(config)
    return _object(class_name, _arguments(known, class_name, config["config"]))


def _of_keras(config: Mapping) -> bool:
    """Tell Keras's own class from somebody's class of the same name; .h5 files do not say."""
    return (config.get("registered_name") in (None, config["class_name"])
            and (config.get("module") or "keras").split(".")[0] in ("keras", "tf_keras", "tensorflow"))


def _arguments(known: type, class_name: str, config: Mapping) -> dict:
    names, translated = _parameters(known), {}
    for old, value in config.items():
        name, value = NEW_ARGUMENTS.get((class_name, old), old), _value(old, value)
        if name in names and not name.endswith(("_regularizer", "_constraint")):
            translated[name] = value
        elif not _does_nothing(name, value):
            raise InputError(f"layer {config.get('name', class_name)!r} ({class_name}) has {old}={value!r}, which "
                             "Keras 3 does not have; build it without that in Keras 2, and save the network again")
    if class_name in ("GRU", "GRUCell"):
        translated.setdefault("reset_after", False)  # as it was before this could be chosen
    return translated


def _parameters(known: type) -> set[str]:
    """Collect the arguments of a class, with those that it hands on to its parents."""
    names: set[str] = set()
    for parent in known.__mro__:
        parameters = inspect.signature(parent.__init__).parameters.values()
        names |= {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            break
    return names


def _does_nothing(name: str, value: object) -> bool:
    return (value is None or value is False or name in NEEDLESS or (name, value) == ("groups", 1)
            or name.endswith(("_initializer", "_regularizer", "_constraint")))


def _value(name: str, value: object) -> object:
    value = _plain(value)
    if name == "axis" and isinstance(value, list) and len(value) == 1:
        return value[0]
    if name == "name" and isinstance(value, str):
        return new_name(value)
    if name.endswith("activation"):
        return _activation(value)
    if name.endswith("_initializer") and isinstance(value, Mapping):
        return _initializer(value)
    if isinstance(value, list):
        return [_value("", one) for one in value]
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    return value["config"]["name"] if name == "dtype" else _layer(value)


def _plain(value: object) -> object:
    """Undo how Keras 2 wrote tuples, shapes and numpy numbers."""
    if isinstance(value, Mapping) and value.get("class_name") in ("__tuple__", "TensorShape"):
        return list(value["items"])
    if isinstance(value, Mapping) and value.get("class_name") == "__numpy__":
        return value["config"]["value"]
    if isinstance(value, Mapping) and value.get("type") == "ndarray":
        return value["value"]
    return value


def _activation(value: object) -> object:
    name = value["config"] if isinstance(value, Mapping) and value.get("class_name") == "function" else value
    if name == "hard_sigmoid":
        return _hard_sigmoid()
    if isinstance(value, Mapping) and value.get("class_name") != "function":
        return _layer(value)
    return value


def _hard_sigmoid() -> dict:
    """Register the hard sigmoid of Keras 2; that of Keras 3 has another slope."""
    saving = import_keras().saving
    package, name = "kipoi_motifrep", "hard_sigmoid_of_keras_2"
    if saving.get_registered_object(f"{package}>{name}") is None:
        saving.register_keras_serializable(package, name)(hard_sigmoid_of_keras_2)
    return {"module": __name__, "class_name": "function", "config": f"{package}>{name}",
            "registered_name": f"{package}>{name}"}


def hard_sigmoid_of_keras_2(x):
    """Give 0 below -2.5, 1 above 2.5, and a straight line between.

    Parameters
    ----------
    x : tensor
        Any shape.

    Returns
    -------
    tensor
        Of the same shape.
    """
    return import_keras().ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _initializer(value: Mapping) -> object:
    """Translate how a weight was drawn, which an untrained copy needs; None for one that Keras does not know."""
    known = getattr(import_keras().initializers, value.get("class_name", ""), None)
    if known is None:
        return "glorot_uniform"
    config = {name: one for name, one in value.get("config", {}).items() if name in _parameters(known)}
    return {"module": "keras.initializers", "class_name": value["class_name"], "config": config,
            "registered_name": None}


# The graph of layers


def _in_graph(layer: Mapping, kinds: Mapping[str, str]) -> dict:
    nodes = [_node(node, kinds) for node in layer["inbound_nodes"]]
    if layer["class_name"] in FUNCTIONS:
        translated, nodes = _function(layer, nodes)
    else:
        translated = _layer(layer)
    if layer["class_name"] in RECURRENT:
        nodes = [_with_state(node) for node in nodes]
    return {**translated, "name": new_name(layer["name"]), "inbound_nodes": nodes}


def _node(node: list, kinds: Mapping[str, str]) -> dict:
    """Translate one use of a layer; a tensor is its layer, that layer's use, which output, and arguments."""
    arguments = {}

    def tensors(part):
        if not isinstance(part, (list, tuple)) or not part or not isinstance(part[0], str):
            return {name: tensors(one) for name, one in part.items()} if isinstance(part, Mapping) else \
                [tensors(one) for one in part]
        arguments.update(part[3] if len(part) > 3 else {})
        return part[2] if part[0] == "_CONSTANT_VALUE" else _tensor(part, kinds)

    inputs = tensors(node)
    if isinstance(inputs, list) and len(inputs) == 1:
        inputs = inputs[0]
    return {"args": [inputs], "kwargs": {name: _keyword(value, kinds) for name, value in arguments.items()}}


def _keyword(value: object, kinds: Mapping[str, str]) -> object:
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in kinds:
            return _tensor(value, kinds)
        return [_keyword(one, kinds) for one in value]
    return value


def _tensor(place: list, kinds: Mapping[str, str]) -> dict:
    name, use, output = place[:3]
    # Keras 2 counts the making of a model inside a model as its first use.
    use -= kinds[name] in MODELS
    return {"class_name": "__keras_tensor__", "config": {"shape": [], "dtype": "float32",
                                                         "keras_history": [new_name(name), use, output]}}


def _ends(ends: object, kinds: Mapping[str, str]) -> object:
    """Translate inputs or outputs; one alone is no list."""
    if isinstance(ends, Mapping):
        return {name: _ends(one, kinds) for name, one in ends.items()}
    if isinstance(ends[0], str):
        return [new_name(ends[0]), ends[1] - (kinds[ends[0]] == "Sequential"), ends[2]]
    return _ends(ends[0], kinds) if len(ends) == 1 else [_ends(one, kinds) for one in ends]


def _with_state(node: dict) -> dict:
    inputs = node["args"][0]
    if not isinstance(inputs, list):
        return node
    return {"args": inputs[:1], "kwargs": {**node["kwargs"], "initial_state": inputs[1:]}}


def _function(layer: Mapping, nodes: list[dict]) -> tuple[dict, list[dict]]:
    """Put a Keras layer in the place of a function of TensorFlow."""
    name = layer["config"].get("function") or layer["class_name"]
    found = _same_layer(name, nodes[0]) if len(nodes) == 1 else None
    if found is None:
        raise InputError(f"uses TensorFlow's {name} as layer {layer['name']!r}, which only Keras 2 can; put a layer of "
                         "Keras in its place there, and save the network again")
    class_name, config, inputs = found
    return (_object(class_name, {**config, "name": new_name(layer["name"])}), [{"args": [inputs], "kwargs": {}}])


def _same_layer(name: str, node: dict) -> tuple[str, dict, object] | None:
    """Class, arguments and inputs of the layer that does what a function does; None where there is none."""
    inputs = node["args"][0]
    others = {key: value for key, value in node["kwargs"].items() if value is not None and value is not False}
    if name in ACTIVATIONS and (not others or (name, others) == ("nn.softmax", {"axis": -1})):
        return "Activation", {"activation": ACTIVATIONS[name]}, inputs
    if name == "concat" and isinstance(inputs, list) and set(others) == {"axis"}:
        return "Concatenate", {"axis": others["axis"]}, inputs
    second = others.get("y")
    if set(others) != {"y"} or not isinstance(inputs, Mapping):
        return None
    if name in MERGES and isinstance(second, Mapping):
        return MERGES[name], {}, [inputs, second]
    if name in SCALINGS and isinstance(second, (int, float)):
        scale, offset = SCALINGS[name](second)
        return "Rescaling", {"scale": scale, "offset": offset}, inputs
    return None
