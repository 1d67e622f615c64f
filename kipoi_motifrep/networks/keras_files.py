"""Files of Keras 1, 2 and 3: opened by their contents and without running code in them, saved with a note inside.

Keras 3 opens its own files. Those of Keras 1 and 2 are opened by tf-keras, which is Keras 2
kept alive; what Keras 1 wrote is put in the words of Keras 2 first.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import h5py
import numpy as np

from kipoi_motifrep.core.disks import on_temporary_disk
from kipoi_motifrep.core.errors import SHOWN_CHARACTERS, InputError, flattened, missing_package
from kipoi_motifrep.core.hdf5_members import texts_of
from kipoi_motifrep.core.outputs import replacing
from kipoi_motifrep.core.scratch import scratch
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.networks.backend import import_keras, import_tf_keras
from kipoi_motifrep.networks.file_kinds import CURES, HDF5, KERAS, kind_of, refuse
from kipoi_motifrep.networks.keras1 import of_keras_2
from kipoi_motifrep.networks.keras_descriptions import (
    OLD_LAYERS,
    WEIGHTS_MEMBER,
    Description,
    check_classes,
    describe,
    group_names,
    readable_part,
)
from kipoi_motifrep.networks.users_code import is_users_code, made_by

if TYPE_CHECKING:
    import keras

SUFFIXES = {KERAS: ".keras", HDF5: ".h5"}
METADATA_MEMBER = "kipoi_motifrep.json"

# Old names of classes, with the arguments that were not written since there was no choice.
OLD_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
}
OLD_DEFAULTS = {"GRU": {"reset_after": False}, "GRUCell": {"reset_after": False}, "CuDNNGRU": {"reset_after": True}}
# Classes of the package concise that calculate what Conv1D does; they differ in how their weights are drawn.
CONCISE = ("ConvDNA", "ConvRNA", "ConvAA", "ConvRNAStructure", "ConvCodon")
FLIPPED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


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
        refuse(path, kind)
    if kind not in SUFFIXES:
        raise InputError(f"is neither a .keras nor a Keras .h5 file{f', but {kind}' if kind else ''}", path=path)
    return SUFFIXES[kind]


@on_temporary_disk()
def load_keras(
    path: str | os.PathLike,
    arch: str | os.PathLike | None = None,
    custom_objects: str | os.PathLike | None = None,
    whole: bool = True,
) -> keras.Model:
    """Open a Keras file by its contents, whatever its name.

    Parameters
    ----------
    path : str or path-like
        A whole model (``.keras`` or ``.h5``), or weights alone, of Keras 1, 2 or 3.
    arch : str or path-like, optional
        For weights alone: the JSON or YAML file of the architecture, or ``FILE.py:function`` that
        makes the network, which is the user's own file and is run.
    custom_objects : str or path-like, optional
        A Kipoi model's Python file, which is run: its ``OBJECTS`` are the classes and
        functions by the names that the description has for them.
    whole : bool, default True
        Refuse a network with a layer that is code, or is not known. If False, such a layer and
        what comes after it are left out where a convolution comes before it, and the model's
        attribute ``left_out`` says so.

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
    description = None
    # In this order, so that nothing runs and nothing large is made before it was looked at: sizes by the headers, the
    # classes that the description names, the layers without their weights, the weights.
    try:
        description = describe(path, suffix, arch)
        if description.generation == 0:
            raise InputError("Keras 2 cannot read that; load it in Keras 1 and save it again")
        return _open(path, suffix, description, arch, custom_objects, whole)
    except InputError as error:
        if str(error).startswith(f"{path}: "):
            raise
        version = description.version if description else ""
        written = f"was written by Keras {version}, and " if version else ""
        raise InputError(f"{written}{error}", path=path) from error
    except MemoryError:  # which is no fault of the file
        raise
    except ModuleNotFoundError as error:  # Keras's numpy backend needs jax, and imports it as late as this
        raise InputError(
            f"Keras needs {error.name}, which is not installed; install it, or unset KERAS_BACKEND"
        ) from error
    except Exception as error:  # Keras fails in any way on a file that is damaged
        raise InputError(_keras_problem(error, description), path=path) from error


def _open(
    path: Path,
    suffix: str,
    description: Description,
    arch: str | os.PathLike | None,
    objects_file: str | os.PathLike | None,
    whole: bool,
) -> keras.Model:
    """Make the network, or the part of it that can be made, and give it its weights.

    1. Run the file of own layers, if there is one; without its packages, layers of theirs are not known.
    2. Check the description's classes, and make its layers; Keras 3 opens its whole files itself.
    3. Where that fails, make what comes before the layer that it fails for.
    4. Fill in the weights, by the layers' names or as the tree that Keras reads.
    """
    generation, config = description.generation, description.config
    framework = import_keras() if generation == 3 else import_tf_keras()
    if generation < 3 and config:
        renamed = _rename(of_keras_2(config) if generation == 1 else config)
        assert isinstance(renamed, dict)
        config = renamed
    objects: dict[str, object] = {}
    problem: Exception | None = None
    model = None
    try:
        objects = _custom_objects(objects_file, framework)
    except InputError as error:  # it needs a package that is not here
        if whole:
            raise
        problem = error
    with framework.saving.custom_object_scope(objects):
        try:
            check_classes(config, framework, description.largest)
            if generation == 3 and arch is None:
                with _named(path, suffix) as named:
                    return framework.saving.load_model(named, compile=False, safe_mode=True)
            if arch is not None and is_users_code(arch):
                with keras_is(framework):
                    model = made_by(arch, framework.Model)
            else:
                model = _made(config, framework)
        except Exception as error:
            if whole or is_users_code(arch):
                raise
            problem = problem or error
        with _weights_file(path, suffix) as named:
            if model is None:
                assert problem is not None
                model = _part(config, framework, description.largest, named, problem)
            if not model.built:
                raise InputError(
                    "does not say the shape of its input; build the network in Keras 2 with an input of known "
                    "shape, and save it again"
                )
            if not hasattr(model, "left_out") and (generation == 3 or named.name.endswith(".weights.h5")):
                model.load_weights(named)
                return model
            with h5py.File(named, "r") as file:
                names = _fill(model, file.get("model_weights", file), generation, group_names(config) if config else {})
    # Keras 1 says no backend; but TensorFlow's variables have the number of an output in their names.
    if description.backend == "theano" or not (description.backend or any(name.endswith(":0") for name in names)):
        _flip(model)
    return model


def _made(config: Mapping, framework: ModuleType) -> keras.Model:
    if "module" in config:  # as in .keras files; .h5 files and architectures say classes by their names alone
        return framework.saving.deserialize_keras_object(config, safe_mode=True)
    return framework.models.model_from_json(json.dumps(config))


def _of_keras_3(config: Mapping) -> Mapping:
    """Say where a class is, which .h5 files leave out."""
    name = config["class_name"]
    place = {"Sequential": "keras", "Functional": "keras.src.models.functional"}.get(name, "keras.layers")
    return {"module": place, "registered_name": None, **config}


def _part(config: Mapping, framework: ModuleType, largest: int, weights: Path, problem: Exception) -> keras.Model:
    """Make the layers of a network before those that cannot be made."""
    check_classes({**config, "config": {}}, framework, largest)  # the network's own class
    with h5py.File(weights, "r") as file:
        groups = group_names(config)
        # In a tree of weights, what a layer's own parts hold lies deeper, and has no names.
        deep = {name for name, group in groups.items() if set(file.get(f"layers/{group}", ())) - {"vars"}}

    def make(layer: Mapping) -> object:
        check_classes(layer, framework, largest)
        layer = {key: one for key, one in layer.items() if key != "inbound_nodes"}
        of_keras_3 = framework.__name__ == "keras"
        return _made(_of_keras_3(layer), framework) if of_keras_3 else framework.layers.deserialize(layer)

    part, culprit, error = readable_part(config, make, deep)
    if not culprit or "Conv" not in json.dumps(part):  # it is not for a layer that it fails, or nothing is left
        raise problem
    check_classes(part, framework, largest)  # what its layers are called with, too
    model = _made(_of_keras_3(part) if framework.__name__ == "keras" else part, framework)
    if problem.__cause__ is None and error is not None:  # else a package is missing
        problem = error
    own = isinstance(problem, InputError)
    reason = str(problem) if problem.__cause__ else f"the file {problem}"
    reason = reason if own else f"Keras cannot make it ({_reason(str(problem))})"
    model.left_out = f"layer {culprit!r} and what follows it are left out, since {reason}"
    return model


def _custom_objects(path: str | os.PathLike | None, framework: ModuleType) -> dict[str, object]:
    """Run a Kipoi model's file of its own layers, for which Keras is the one that the network is of."""
    if path is None:
        return {}
    from kipoi_utils import load_module

    try:
        with keras_is(framework):
            return dict(load_module(str(path)).OBJECTS or {})
    except (OSError, ImportError) as error:
        name = os.path.basename(path)
        raise InputError(f"its {name} {missing_package(error) or f'cannot be read ({flattened(error)})'}") from error


@contextmanager
def keras_is(framework: ModuleType) -> Iterator[None]:
    """Let ``import keras`` give Keras 2 within the block, for code of others that was written for it.

    ``tf.keras`` stays that in this process, since such code uses it while it runs, too.

    Parameters
    ----------
    framework : module
        ``tf_keras``; nothing is done for ``keras``.
    """
    if framework.__name__ == "keras":
        yield
        return
    import tensorflow

    # Python looks modules up in this table first; Keras 3 is put back as it was.
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "keras"}
    sys.modules.update({"keras": framework, "tensorflow.keras": framework})
    tensorflow.keras = framework
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
            del sys.modules[name]
        sys.modules.update(hidden)


def _rename(config: object) -> object:
    """Put the present names of classes and modules into a description, and plain numbers for those of numpy."""
    if isinstance(config, list):
        return [_rename(one) for one in config]
    if not isinstance(config, dict):
        return config
    config = {key: _rename(one) for key, one in config.items()}
    name, inner = config.get("class_name"), config.get("config")
    if name == "__numpy__" and isinstance(inner, dict):
        return inner["value"]
    if name in CONCISE and isinstance(inner, dict):
        name = "Conv1D"
        inner = {key: one for key, one in inner.items() if key not in ("seq_length", "background_probs")}
    if isinstance(name, str) and isinstance(inner, dict):
        if isinstance(inner.get("batch_input_shape"), list):  # some were built for batches of one size
            inner["batch_input_shape"][0] = None
        config.update(class_name=OLD_CLASSES.get(name, name), config={**OLD_DEFAULTS.get(name, {}), **inner})
    module = str(config.get("module", ""))
    if module.startswith("keras.engine."):  # before 2.13
        config["module"] = module.replace("keras.", "keras.src.", 1)
    return config


def _fill(model: keras.Model, file: h5py.Group, generation: int, groups: Mapping[str, str]) -> list[str]:
    """Give every weight its value; list the names that they have in the file.

    Layers are found by their names, since their order is not the same in all versions; by
    their order where the file has other names, as for weights and an architecture that two
    copies of a network wrote. Weights within a layer are in order. They may be older or
    younger than the architecture.
    """
    layers = [layer for layer in model.layers if layer.weights]
    tree = "layers" in file and "layer_names" not in file.attrs
    places = [f"layers/{groups[layer.name]}/vars" if tree else layer.name for layer in layers]
    if not all(name in file for name in places):
        in_order = [
            name
            for name in (texts_of(file, "layer_names") if "layer_names" in file.attrs else ())
            if name in file and _weight_names(file[name])
        ]
        places = in_order if len(in_order) == len(places) else places
    all_names: list[str] = []
    for layer, place in zip(layers, places, strict=True):
        if place not in file:
            raise InputError(
                f"has no weights of layer {place!r}; save the whole network again in the Keras that wrote it"
            )
        names = sorted(file[place], key=int) if tree else _weight_names(file[place])
        values = [file[place][name][()] for name in names]
        weights = layer.trainable_weights + layer.non_trainable_weights
        wanted = [tuple(one.shape) for one in weights]
        for fitting in _conversions(layer, values, generation):
            if [value.shape for value in fitting] == wanted:
                break
        else:
            raise InputError(
                f"weights of layer {place!r} have the shapes {[one.shape for one in values]}, the network "
                f"needs {wanted}; save the whole network again in the Keras that wrote it"
            )
        for weight, value in zip(weights, fitting, strict=True):
            weight.assign(value)
        all_names += names
    return all_names


def _conversions(layer: keras.layers.Layer, values: list[np.ndarray], generation: int) -> Iterator[list[np.ndarray]]:
    """Give a layer's weights as they are, or as they were in Keras 1, in the order in which they are likely to fit."""
    if generation == 3:
        yield values
        return
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    for version in ("1", None) if generation == 1 else (None, "1"):
        # Too few of them, or of other sizes.
        with suppress(AssertionError, IndexError, ValueError):
            yield preprocess_weights_for_loading(layer, list(values), version)


def _weight_names(group: h5py.Group) -> list[str]:
    """Read the list of a layer's weights, which is in parts where it is long."""
    parts = (
        ["weight_names"]
        if "weight_names" in group.attrs
        else itertools.takewhile(lambda name: name in group.attrs, (f"weight_names{i}" for i in itertools.count()))
    )
    return [name for part in parts for name in texts_of(group, part)]


def _flip(model: keras.Model) -> None:
    """Turn the kernels of Theano's convolutions round, which slide them over the input back to front."""
    for layer in model._flatten_layers(include_self=False):
        kind = type(layer).__name__
        if kind in FLIPPED:
            kernel = layer.kernel.numpy()
            layer.kernel.assign(np.flip(kernel, tuple(range(kernel.ndim - 2))))
        elif "Conv" in kind or "Locally" in kind:
            raise InputError(
                f"was written with the Theano backend, whose {kind} differs; load it in Keras 2 with the "
                "TensorFlow backend, and save it again"
            )


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
    with h5py.File(path, "r") as file:  # what Keras 3 and tf-keras call x.weights.h5 is a tree of layers' parts
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


def _keras_problem(error: Exception, description: Description | None) -> str:
    text = " ".join(str(error).split())
    layer = re.search(r"(?:Layer|variable) '\s*([^/']+)\S*'?:? .*(?:expected \d+ variables|[Ss]hape)", text)
    if layer and description is not None:
        return (
            f"was written by Keras {description.version}, and weights of layer {layer[1]!r} are not those that the "
            f"network needs ({_reason(text)}); save the whole network again in the Keras that wrote it"
        )
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
            note = parse_json(archive.read(METADATA_MEMBER)) if METADATA_MEMBER in archive.namelist() else {}
    except zipfile.BadZipFile as error:
        raise InputError("is damaged or not a .keras file", path=path) from error
    except ValueError:
        note = None
    if not isinstance(note, dict) or not _are_names(note.get("label_names", [])):
        raise InputError(
            f"its note {METADATA_MEMBER} is no JSON object with names of labels; take it out of the "
            f"archive (zip -d FILE {METADATA_MEMBER}), the network does not need it",
            path=path,
        )
    return note


def _are_names(labels: object) -> bool:
    return isinstance(labels, list) and all(isinstance(name, str) for name in labels)
