"""Files of Keras 1, 2 and 3: opened by their contents and without running code in them, saved with a note inside.

Keras 3 opens its own files. Those of Keras 1 and 2 are opened by tf-keras, which is Keras 2
kept alive; what Keras 1 wrote is put in the words of Keras 2 first.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import h5py

from kipoi_motifrep.core.errors import SHOWN_CHARACTERS, InputError
from kipoi_motifrep.core.outputs import replacing
from kipoi_motifrep.core.scratch import scratch
from kipoi_motifrep.networks.backend import import_keras
from kipoi_motifrep.networks.files import (
    CURES,
    HDF5,
    KERAS,
    check_unpacked,
    kind_of,
    read_description,
    refuse,
    unpacked_size,
)
from kipoi_motifrep.networks.keras1 import is_keras_1
from kipoi_motifrep.networks.keras2 import of_keras_3
from kipoi_motifrep.networks.keras2_weights import fill

if TYPE_CHECKING:
    import keras

SUFFIXES = {KERAS: ".keras", HDF5: ".h5"}
METADATA_MEMBER = "kipoi_motifrep.json"
WEIGHTS_MEMBER = "model.weights.h5"
OLD_LAYERS = "_layer_checkpoint_dependencies"

# Layers that hold code, or whose contents are read from a place outside the file.
LAMBDA = ("has a Lambda layer, which is code inside the file, and is not run; save the model with a registered layer "
          "instead")
CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TensorFlowOpLayer",
        "ClassMethod", "InstanceMethod", "InstanceProperty")
# How Keras writes tuples, shapes, numbers and tensors of a description: no classes.
VALUES = ("__tuple__", "__numpy__", "__tensor__", "__keras_tensor__", "__bytes__", "__ellipsis__", "__slice__",
          "TensorShape", "CONSTANT", "float32", "Functional", "Model", "Sequential")
# Functions of TensorFlow that Keras 2 wrote as layers; others could read and write files.
FUNCTION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
FUNCTIONS = re.compile(r"(compat\.v1\.)?(math|nn|linalg|signal|bitwise|__operators__)\.\w+$|"
                       "(compat.v1.)?(abs|add|argmax|argmin|argsort|broadcast_to|cast|clip_by_value|concat|cos|cumsum|"
                       "divide|einsum|equal|exp|expand_dims|eye|fill|floor|gather|gather_nd|greater|greater_equal|"
                       "identity|less|less_equal|logical_and|logical_not|logical_or|matmul|maximum|minimum|multiply|"
                       "negative|norm|not_equal|one_hot|ones|ones_like|pad|pow|range|rank|reduce_\\w+|repeat|reshape|"
                       "reverse|roll|round|shape|sigmoid|sign|sin|size|slice|sort|split|sqrt|square|squeeze|stack|"
                       "stop_gradient|strided_slice|subtract|tanh|tensordot|tile|transpose|truediv|unstack|where|"
                       "zeros|zeros_like)$")
# Old names of classes, with the arguments that were not written since there was no choice.
OLD_CLASSES = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
               "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
OLD_DEFAULTS = {"GRU": {"reset_after": False}, "GRUCell": {"reset_after": False}, "CuDNNGRU": {"reset_after": True}}
FLIPPED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


@dataclass(frozen=True)
class _Description:
    """A network's architecture, the version of Keras that wrote it, and the backend that its kernels are for."""

    config: dict
    version: str
    backend: str

    @property
    def generation(self) -> int:
        first = self.version.split(".")[0]
        return int(first) if first.isdigit() else 3


def suffix_of(path: str | os.PathLike) -> str:
    """Tell the suffix that a Keras file should have, by its contents.

    Parameters
    ----------
    path : str or path-like
        The file, whatever its name.

    Returns
    -------
    str
        ``.keras`` or ``.h5``.

    Raises
    ------
    InputError
        If it is neither.
    """
    kind = kind_of(path)
    if kind in CURES:
        raise refuse(path, kind)
    if kind not in SUFFIXES:
        raise InputError(f"is neither a .keras nor a Keras .h5 file{f', but {kind}' if kind else ''}", path=path)
    return SUFFIXES[kind]


def load_keras(path: str | os.PathLike, arch: str | os.PathLike | None = None,
               custom_objects: str | os.PathLike | None = None) -> keras.Model:
    """Open a Keras file by its contents, whatever its name.

    Parameters
    ----------
    path : str or path-like
        A whole model (``.keras`` or ``.h5``), or weights alone, of Keras 1, 2 or 3.
    arch : str or path-like, optional
        The JSON or YAML file of the architecture, for weights alone.
    custom_objects : str or path-like, optional
        A Kipoi model's Python file, which is run: its ``OBJECTS`` are the classes and
        functions by the names that the description has for them.

    Returns
    -------
    keras.Model or tf_keras.Model
        Not compiled; code inside the file was not run.

    Raises
    ------
    InputError
        If it is no such file, is damaged, unpacks to more than the limit, holds weights
        without a network, code, or layers that Keras does not know.
    """
    path, suffix = Path(path), suffix_of(path)
    description, version = None, ""
    try:
        description = _describe(path, suffix, arch)
        version = description.version
        if description.generation < 2:
            raise InputError("Keras 3 cannot read that; load it in Keras 2 and save it again")
        if description.generation == 3:
            return _open_keras_3(path, suffix, description, arch is None, custom_objects)
        return _open_keras_2(path, suffix, description, custom_objects)
    except InputError as error:
        if str(error).startswith(f"{path}: "):
            raise
        written = f"was written by Keras {version}, and " if version else ""
        raise InputError(f"{written}{error}", path=path) from error
    except Exception as error:  # Keras fails in any way on a file that is damaged
        raise InputError(_keras_problem(error, description), path=path) from error


# What the headers say, before any layer is made


def _describe(path: Path, suffix: str, arch: str | os.PathLike | None) -> _Description:
    """Read the architecture from the file, or from `arch` beside it, after a look at the sizes in the headers."""
    attributes: dict[str, object] = {}
    config: dict | None = None
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            check_unpacked(path, unpacked_size(archive))
            members = archive.namelist()
            attributes = json.loads(archive.read("metadata.json")) if "metadata.json" in members else {}
            config = json.loads(archive.read("config.json"))
            attributes.setdefault("keras_version", "3")
            if WEIGHTS_MEMBER in members:
                with archive.open(WEIGHTS_MEMBER) as member, h5py.File(member, "r") as file:
                    check_unpacked(path, _inside(file))
    else:
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise InputError("no whole HDF5 file; was its download cut off?", path=path) from error
        with file:
            check_unpacked(path, _inside(file))
            groups = [file.attrs, file["model_weights"].attrs] if "model_weights" in file else [file.attrs]
            attributes = {name: _text(group[name]) for group in groups for name in ("keras_version", "backend")
                          if name in group}
            if "model_config" in file.attrs:
                config = json.loads(_text(file.attrs["model_config"]))
            elif arch is None:
                holds = "layer_names" in file.attrs or "layers" in file or OLD_LAYERS in file
                raise InputError("holds weights without a network; give its architecture as well (--arch model.json), "
                                 "save the whole model, or give the Kipoi model that uses it" if holds else
                                 "is an HDF5 file, but not of a Keras network", path=path)
    if arch is not None:
        config = read_description(arch)
        attributes = {**attributes, **{name: config[name] for name in ("keras_version", "backend") if name in config}}
    assert config is not None
    version = str(attributes.get("keras_version") or _told_by_words(config))
    return _Description(config, version, str(attributes.get("backend", "")))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _told_by_words(config: dict) -> str:
    """Tell the version of a description that does not say it: Keras 3 writes whence each class comes."""
    if is_keras_1(config):
        return "1"
    return "3" if str(config.get("module", "")).startswith("keras") and "registered_name" in config else "2"


def _inside(file: h5py.File) -> int:
    """Add up the bytes of all values by their headers; refuse values that lie in another file."""
    def elsewhere(name: str, one: object) -> str | None:
        return name if isinstance(one, h5py.Dataset) and (one.external or one.is_virtual) else None

    found = file.visititems_links(lambda name, link: name if isinstance(link, h5py.ExternalLink) else None) or \
        file.visititems(elsewhere)
    if found:
        raise InputError(f"has {found!r} in another file; save the whole network again in the Keras that wrote it")
    total = 0

    def add(name: str, one: object) -> None:
        nonlocal total
        total += one.nbytes if isinstance(one, h5py.Dataset) else 0

    file.visititems(add)
    return total


def _check_classes(config: object, framework: ModuleType, known: Mapping[str, object]) -> None:
    """Refuse code before it is run: every class that a description names must be Keras's own, or given by the user.

    Keras itself imports any module that a description names. So nothing is handed to it
    but names in its own lists of layers, models, initial values and the like.
    """
    if isinstance(config, (list, tuple)):
        for one in config:
            _check_classes(one, framework, known)
    if not isinstance(config, Mapping):
        return
    name = config.get("class_name")
    if isinstance(name, str):
        inner = config.get("config")
        if name in CODE:
            raise InputError(LAMBDA if "ambda" in name else
                             f"has a {name} layer, which is code or a file outside it, and is not run")
        if name in FUNCTION_LAYERS:
            function = str(inner.get("function", "")) if isinstance(inner, Mapping) else ""
            if name == "TFOpLambda" and not FUNCTIONS.match(function):
                raise InputError(f"uses TensorFlow's {function} as a layer, which is not run, since it could do other "
                                 "things than calculate; put a layer of Keras in its place, and save it again")
        elif isinstance(inner, Mapping) and isinstance(inner.get("vocabulary"), str):
            raise InputError(f"has a {name} layer that reads the file {inner['vocabulary']!r}; save it with its words")
        elif not _own(config, name, framework) and not _given(config, known, framework):
            custom = inner if name == "function" else name
            raise InputError(f"needs the custom object {str(custom).split('>')[-1]!r}, which is code outside the file; "
                             f"in Python, load it inside {framework.__name__}.saving.custom_object_scope, or give it "
                             "as a Kipoi model that loads it")
    for one in config.values():
        _check_classes(one, framework, known)


def _own(config: Mapping, name: str, framework: ModuleType) -> bool:
    """Tell Keras's own class from somebody's class of the same name; .h5 files do not say."""
    module = str(config.get("module") or "keras")
    if config.get("registered_name") not in (None, name, config.get("config")) or \
            module.split(".")[0] not in ("keras", "tf_keras", "tensorflow", "builtins"):
        return False
    if name == "function":
        return hasattr(framework.activations, str(config.get("config")))
    if module.startswith("keras.src.ops."):  # functions of Keras 3, each with its class
        return isinstance(getattr(importlib.import_module(module), name, None), type)
    places = ("layers", "initializers", "regularizers", "constraints", "mixed_precision", "dtype_policies", "random")
    return name in VALUES or any(isinstance(getattr(getattr(framework, place, None), name, None), type)
                                 for place in places)


def _given(config: Mapping, known: Mapping[str, object], framework: ModuleType) -> bool:
    names = (config.get("registered_name"), config["class_name"], config.get("config"))
    return any(isinstance(name, str) and (name in known or framework.saving.get_registered_object(name) is not None)
               for name in names)


# Keras 3


def _open_keras_3(path: Path, suffix: str, description: _Description, whole: bool,
                  objects_file: str | os.PathLike | None) -> keras.Model:
    keras = import_keras()
    custom_objects = _custom_objects(objects_file)
    _check_classes(description.config, keras, custom_objects)
    if whole:
        with _named(path, suffix) as named:
            return keras.saving.load_model(named, custom_objects=custom_objects, compile=False, safe_mode=True)
    model = keras.saving.deserialize_keras_object(description.config, custom_objects=custom_objects, safe_mode=True)
    with _weights_file(path, suffix) as named:
        model.load_weights(named)
    return model


# Keras 1 and 2, by tf-keras


def _open_keras_2(path: Path, suffix: str, description: _Description,
                  objects_file: str | os.PathLike | None) -> keras.Model:
    keras = import_keras()
    config = of_keras_3(description.config)
    _check_classes(config, keras, {})
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    fill(model, description.config, path, suffix)
    return model


def _custom_objects(path: str | os.PathLike | None) -> dict[str, object]:
    if path is None:
        return {}
    from kipoi_utils import load_module

    return dict(load_module(str(path)).OBJECTS or {})


# Names that Keras goes by


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """Give the file under a name with the suffix that Keras goes by."""
    if path.name.endswith(suffix) or (suffix == ".h5" and path.suffix == ".hdf5"):
        yield path
        return
    with scratch() as folder:
        name = folder / f"network{suffix}"
        try:
            name.symlink_to(path.absolute())
        except OSError:
            shutil.copyfile(path, name)
        yield name


@contextmanager
def _weights_file(path: Path, suffix: str) -> Iterator[Path]:
    """Give the file of weights under a name with the suffix of its layout: by layers' names, or as a tree."""
    if suffix == ".keras":
        with scratch() as folder, zipfile.ZipFile(path) as archive:
            weights = Path(archive.extract(WEIGHTS_MEMBER, folder))
            with h5py.File(weights, "r+") as file:
                file.require_group("vars")  # of the model itself, which mostly has none
                _as_in_2_13(file)
            yield weights
        return
    with h5py.File(path, "r") as file:
        tree = "layers" in file and "layer_names" not in file.attrs
    with _named(path, ".weights.h5" if tree else ".h5") as named:
        yield named


def _as_in_2_13(file: h5py.Group) -> None:
    """Rename what Keras 2.12 called otherwise: the group of a model's layers, whose second of a class was number 2."""
    if OLD_LAYERS in file:
        file.move(OLD_LAYERS, "layers")
        numbered = [match for name in file["layers"] if (match := re.fullmatch(r"(.+)_(\d+)", name))]
        for match in sorted(numbered, key=lambda match: int(match[2])):
            file["layers"].move(match[0], f"{match[1]}_{int(match[2]) - 1}")
    for part in file.values():
        if isinstance(part, h5py.Group):
            _as_in_2_13(part)


def _keras_problem(error: Exception, description: _Description | None) -> str:
    text = " ".join(str(error).split())
    layer = re.search(r"(?:Layer|variable) '([^/']+)\S*'?:? .*(?:expected \d+ variables|[Ss]hape)", text)
    if layer and description is not None:
        return (f"was written by Keras {description.version}, and weights of layer {layer[1]!r} are not those that the "
                f"network needs ({_reason(text)}); save the whole network again in the Keras that wrote it")
    return f"Keras cannot load it ({_reason(text)})"


def _reason(text: str) -> str:
    """Take the reason out of an error of Keras, which comes after, or before, the whole description of a layer."""
    reason = text.split("Exception encountered: ")[-1]
    reason = re.split(r"Full object config: |,? ?(?:using )?config=\{", reason)[0].strip()
    return textwrap.shorten(reason or text, SHOWN_CHARACTERS, placeholder=" ...")


def save_network(model: keras.Model, path: str | os.PathLike, metadata: dict[str, object]) -> None:
    """Save a whole model as ``.keras`` with a note of ours inside.

    The file is a zip archive, to which one JSON member is added; Keras does not
    look at it.

    Parameters
    ----------
    model : keras.Model
        Where any Keras shall open the file, not compiled.
    path : str or path-like
        Ends in ``.keras``.
    metadata : dict
        ``label_names`` and what else should travel with the network.
    """
    with replacing(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(METADATA_MEMBER, json.dumps(metadata, indent=2))


def read_metadata(path: str | os.PathLike) -> dict[str, object]:
    """Read the note inside a network saved by :func:`save_network`.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file.

    Returns
    -------
    dict
        Empty for a file that others wrote.

    Raises
    ------
    InputError
        If the file is not a zip archive, or the note is not as we write it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            note = json.loads(archive.read(METADATA_MEMBER)) if METADATA_MEMBER in archive.namelist() else {}
    except zipfile.BadZipFile as error:
        raise InputError("is damaged or not a .keras file", path=path) from error
    except ValueError:
        note = None
    if not isinstance(note, dict) or not _are_names(note.get("label_names", [])):
        raise InputError(f"its note {METADATA_MEMBER} is no JSON object with names of labels; take it out of the "
                         f"archive (zip -d FILE {METADATA_MEMBER}), the network does not need it", path=path)
    return note


def _are_names(labels: object) -> bool:
    return isinstance(labels, list) and all(isinstance(name, str) for name in labels)
