"""The weights of a network that Keras 2 wrote, layer by layer into the same network of Keras 3."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.keras2 import MODELS, layer_configs, layer_name, new_name

if TYPE_CHECKING:
    import keras

# Where a model's layers lie in a .keras file; Keras 2.12 used the second name.
MEMBERS = ("layers", "_layer_checkpoint_dependencies")
FLIPPED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


def fill(model: keras.Model, config: Mapping, path: Path, suffix: str) -> None:
    """Give every weight of a network its value in the file.

    Layers are found by their names, weights within a layer by their order. Keras's own
    loading goes by the order of the layers, which is not always the same in both versions.

    Parameters
    ----------
    model : keras.Model
        Made from the translated description.
    config : mapping
        The description as Keras 2 wrote it.
    path : pathlib.Path
        The file.
    suffix : str
        ``.keras`` or ``.h5``.

    Raises
    ------
    InputError
        If a weight is not in the file, or has another shape there.
    """
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive, h5py.File(BytesIO(archive.read("model.weights.h5")), "r") as file:
            _check_inside(file)
            n_filled = _fill_tree(model, file, config)
    else:
        with h5py.File(path, "r") as file:
            _check_inside(file)
            group = file.get("model_weights", file)
            n_filled = _fill_named(model, group, config)
            backend = file.attrs.get("backend", group.attrs.get("backend", "tensorflow"))
        if backend in ("theano", b"theano"):
            _flip(model)
    if n_filled != len(model.weights):
        raise InputError(f"holds {n_filled} of the network's {len(model.weights)} weights; save the whole network "
                         "again in the Keras that wrote it")


def _check_inside(file: h5py.File) -> None:
    """Refuse values that lie in another file, as Keras 3 does."""
    found = file.visititems_links(lambda name, link: name if isinstance(link, h5py.ExternalLink) else None) or \
        file.visititems(lambda name, one: name if isinstance(one, h5py.Dataset) and (one.external or one.is_virtual)
                        else None)
    if found:
        raise InputError(f"has {found!r} in another file; save the whole network again in the Keras that wrote it")


def _assign(name: str, weights: list, values: list[np.ndarray]) -> int:
    wanted, found = [tuple(one.shape) for one in weights], [one.shape for one in values]
    if wanted != found:
        raise InputError(f"weights of layer {name!r} have the shapes {found}, the network needs {wanted}; save the "
                         "whole network again in the Keras that wrote it")
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
    return len(weights)


# .h5 files: a group a layer, with a list of its weights; those that are trained come first


def _fill_named(model: keras.Model, file: h5py.Group, config: Mapping) -> int:
    n_filled = 0
    for part in _layers(config):
        name = layer_name(part)
        trained, others = _ordered(model.get_layer(new_name(name)), part)
        if trained or others:
            n_filled += _assign(name, trained + others, _values(file, name))
    return n_filled


def _layers(config: Mapping) -> list[dict]:
    # A Sequential of Keras 3 does not count its input among its layers.
    return [one for one in layer_configs(config) if one["class_name"] != "InputLayer"]


def _ordered(layer: keras.layers.Layer, config: Mapping) -> tuple[list, list]:
    """List a layer's weights that are trained, and the others, in the order of Keras 2."""
    if config["class_name"] not in MODELS:
        return list(layer.trainable_weights), list(layer.non_trainable_weights)
    parts = [_ordered(layer.get_layer(new_name(layer_name(part))), part) for part in _layers(config)]
    return [one for trained, _ in parts for one in trained], [one for _, others in parts for one in others]


def _values(file: h5py.Group, layer: str) -> list[np.ndarray]:
    if layer not in file:
        raise InputError(f"has no weights of layer {layer!r}; save the whole network again in the Keras that wrote it")
    group = file[layer]
    return [group[name][()] for name in _weight_names(group)]


def _weight_names(group: h5py.Group) -> list[str]:
    """Read the list of a layer's weights, which is in parts where it is long."""
    parts = ["weight_names"] if "weight_names" in group.attrs else itertools.takewhile(
        lambda name: name in group.attrs, (f"weight_names{i}" for i in itertools.count()))
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _flip(model: keras.Model) -> None:
    """Turn the kernels of Theano's convolutions round."""
    for layer in model._flatten_layers(include_self=False):
        kind = type(layer).__name__
        if kind in FLIPPED:
            kernel = layer.kernel.numpy()
            layer.kernel.assign(np.flip(kernel, tuple(range(kernel.ndim - 2))))
        elif "Conv" in kind or "Locally" in kind:
            raise InputError(f"was written with the Theano backend, whose {kind} differs; load it in Keras 2 with the "
                             "TensorFlow backend, and save it again")


# .keras files: a tree of the layers and their parts


def _fill_tree(layer: keras.layers.Layer, group: h5py.Group, config: Mapping) -> int:
    values = group.get("vars", {})
    own = list(layer._trainable_variables) + list(layer._non_trainable_variables) if len(values) else []
    n_filled = _assign(layer.name, own, [values[str(i)][()] for i in range(len(values))])
    for part, place, inner in _parts(layer, group, config):
        n_filled += _fill_tree(part, group[place], inner)
    return n_filled


def _parts(layer: keras.layers.Layer, group: h5py.Group, config: Mapping) -> Iterator[tuple]:
    """Give the parts of a layer, with their places in the file and what Keras 2 wrote of them."""
    if config.get("class_name") in MODELS:
        inside = [(layer.get_layer(new_name(layer_name(inner))), inner) for inner in _layers(config)]
        yield from _placed(layer.name, group, next((name for name in MEMBERS if name in group), ""), inside)
        return
    described = config.get("config") or {}
    for name in group:
        part, inner = getattr(layer, name, None), described.get(name)
        if isinstance(part, (list, tuple)):
            yield from _placed(layer.name, group, name, [(one, {}) for one in part])
        elif hasattr(part, "weights"):
            yield part, name, inner if isinstance(inner, Mapping) else {}


def _placed(name: str, group: h5py.Group, folder: str, parts: list[tuple]) -> Iterator[tuple]:
    """Find the places of a list's layers, which are named by their classes and numbered.

    Some versions left numbers out, and gave numbers to layers without weights or did not:
    those with weights are in order in all.
    """
    by_class: dict[str, list] = {}
    for part, inner in parts:
        if part.weights:
            by_class.setdefault(_snake(inner.get("class_name", type(part).__name__)), []).append((part, inner))
    for kind, these in by_class.items():
        places = _numbered(group[folder], kind) if folder in group else []
        if len(places) != len(these):
            raise InputError(f"holds the weights of {len(places)} layers of class {kind!r} in {name!r}, which has "
                             f"{len(these)}; save the whole network again in the Keras that wrote it")
        for (part, inner), place in zip(these, places, strict=True):
            yield part, f"{folder}/{place}", inner


def _numbered(group: h5py.Group, kind: str) -> list[str]:
    found = {int(match[1] or 0): place for place in group if (match := re.fullmatch(rf"{kind}(?:_(\d+))?", place))}
    return [place for _, place in sorted(found.items()) if _has_values(group[place])]


def _has_values(group: h5py.Group) -> bool:
    return any(isinstance(one, h5py.Dataset) or _has_values(one) for one in group.values())


def _snake(name: str) -> str:
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
