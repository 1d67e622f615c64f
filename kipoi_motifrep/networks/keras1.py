"""The description of a network as Keras 1 wrote it, in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping

from kipoi_motifrep.core.errors import InputError


def _pairs(text: str) -> dict[str, str]:
    """Read a table of old words and new."""
    return dict(pair.split(":") for pair in text.split())


CLASSES = _pairs(
    "Convolution1D:Conv1D Convolution2D:Conv2D AtrousConvolution1D:Conv1D AtrousConvolution2D:Conv2D "
    "Deconvolution2D:Conv2DTranspose SeparableConvolution2D:SeparableConv2D TimeDistributedDense:Dense"
)
MERGES = _pairs("concat:Concatenate sum:Add mul:Multiply ave:Average max:Maximum dot:Dot cos:Dot")
ARGUMENTS = _pairs(
    "output_dim:units bias:use_bias inner_activation:recurrent_activation dropout_W:dropout "
    "dropout_U:recurrent_dropout nb_filter:filters filter_length:kernel_size subsample:strides "
    "subsample_length:strides stride:strides pool_length:pool_size atrous_rate:dilation_rate "
    "border_mode:padding dim_ordering:data_format input_dtype:dtype p:rate sigma:stddev length:size"
)
ORDERINGS = {"tf": "channels_last", "th": "channels_first"}
# How weights were drawn and held while training; shapes that are given a second time; choices of speed.
NEEDLESS = (
    "init inner_init forget_bias_init gamma_init beta_init consume_less input_dim input_length weights "
    "W_learning_rate_multiplier b_learning_rate_multiplier"
).split()


def is_keras_1(config: object) -> bool:
    """Tell a description of Keras 1 by its words, where it does not say its version.

    Parameters
    ----------
    config : object
        A description or a part of it.

    Returns
    -------
    bool
        True if an argument has a name that Keras 2 does not know.

    Examples
    --------
    >>> is_keras_1({"class_name": "Dense", "config": {"output_dim": 1, "W_regularizer": None}})
    True
    """
    if isinstance(config, Mapping):
        return not {"nb_filter", "border_mode", "W_regularizer", "dim_ordering"}.isdisjoint(config) or any(
            map(is_keras_1, config.values())
        )
    return isinstance(config, (list, tuple)) and any(map(is_keras_1, config))


def of_keras_2(config: Mapping) -> dict:
    """Translate the description of a network or layer.

    Parameters
    ----------
    config : mapping
        ``class_name`` and ``config``, as Keras 1 wrote them.

    Returns
    -------
    dict
        As Keras 2 writes them. Initial values, regularisers and constraints, which are of
        use in training only, are left out.

    Raises
    ------
    InputError
        If Keras 2 has no such layer.

    Examples
    --------
    >>> of_keras_2({"class_name": "Dense", "config": {"output_dim": 3, "init": "uniform"}})
    {'class_name': 'Dense', 'config': {'units': 3}}
    """
    name, inner = config["class_name"], config["config"]
    if name == "Sequential":
        layers = inner if isinstance(inner, list) else inner["layers"]
        return {**config, "config": {"name": config.get("name", "sequential"), "layers": list(map(of_keras_2, layers))}}
    if name in ("Model", "Graph"):
        if name == "Graph":
            raise InputError("is a Graph of Keras 0, which later versions cannot read")
        return {**config, "class_name": "Model", "config": {**inner, "layers": list(map(of_keras_2, inner["layers"]))}}
    if name == "Merge":
        return {**config, **_merge(inner)}
    return {**config, "class_name": CLASSES.get(name, name), "config": _arguments(name, inner)}


def _merge(inner: Mapping) -> dict:
    """Choose the layer of Keras 2 that joins its inputs in the same way."""
    mode = inner["mode"] if inner.get("mode_type", "raw") == "raw" else "a function"
    if mode not in MERGES or "layers" in inner:
        raise InputError(
            f"has a Merge layer ({inner['name']!r}) of {mode if mode not in MERGES else 'whole models'}, "
            "which Keras 2 does not have; build it there, and save the network again"
        )
    more = {
        "concat": {"axis": inner.get("concat_axis", -1)},
        "dot": {"axes": inner.get("dot_axes")},
        "cos": {"axes": inner.get("dot_axes"), "normalize": True},
    }.get(mode, {})
    return {"class_name": MERGES[mode], "config": {"name": inner["name"], **more}}


def _arguments(class_name: str, inner: Mapping) -> dict:
    if class_name == "BatchNormalization" and inner.get("mode", 0) == 1:
        raise InputError(f"layer {inner.get('name')!r} normalises each sample (mode 1), which Keras 2 does not do")
    translated: dict = {}
    for old, value in inner.items():
        embedding = class_name == "Embedding" and old in ("input_dim", "output_dim", "input_length")
        if (
            old.endswith(("_regularizer", "_constraint"))
            or (old in NEEDLESS and not embedding)
            or (class_name, old) in (("BatchNormalization", "mode"), ("Embedding", "dropout"))
        ):
            continue
        name = old if embedding else ARGUMENTS.get(old, old)
        # Keras 1 gave the sizes of one-dimensional windows as numbers.
        if name in ("kernel_size", "strides", "dilation_rate") and isinstance(value, int) and "1D" in class_name:
            value = [value]
        translated[name] = ORDERINGS.get(value, value) if name == "data_format" else value
    if "nb_row" in translated:
        translated["kernel_size"] = [translated.pop("nb_row"), translated.pop("nb_col")]
    if isinstance(inner.get("layer"), Mapping):  # of TimeDistributed and Bidirectional
        translated["layer"] = of_keras_2(inner["layer"])
    return translated
