"""A network's architecture as Keras files describe it: its version, and whether it names code or hides gigabytes.

All of this is read from headers and text, before any layer is made or any weight is read.
"""

from __future__ import annotations

import importlib
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import h5py

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.hdf5_members import arrays_in, texts_of
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.core.unpacked import check_unpacked
from kipoi_motifrep.networks.file_kinds import unpacked_size
from kipoi_motifrep.networks.keras1 import is_keras_1
from kipoi_motifrep.networks.users_code import is_users_code

WEIGHTS_MEMBER = "model.weights.h5"
OLD_LAYERS = "_layer_checkpoint_dependencies"  # the group of a model's layers in Keras 2.12

# Layers that hold code, or whose contents are read from a place outside the file.
LAMBDA = (
    "has a Lambda layer, which is code inside the file, and is not run; save the model with a registered layer instead"
)
CODE = (
    "Lambda __lambda__ TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer TensorFlowOpLayer ClassMethod InstanceMethod "
    "InstanceProperty"
).split()
# How Keras writes tuples, shapes, numbers and tensors of a description, which are no classes; and its models.
VALUES = (
    "__tuple__ __numpy__ __tensor__ __keras_tensor__ __bytes__ __ellipsis__ __slice__ TensorShape CONSTANT Functional "
    "Model Sequential"
).split()
# Functions of TensorFlow that Keras 2 wrote as layers; others than these could read and write files.
FUNCTION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
CALCULATES = re.compile(
    r"(compat\.v1\.)?((math|nn|linalg|signal|bitwise|__operators__)\.\w+|reduce_\w+|"
    "abs|add|argmax|argmin|argsort|broadcast_to|cast|clip_by_value|concat|cos|cumsum|divide|einsum|equal|exp|"
    "expand_dims|eye|fill|floor|gather|gather_nd|greater|greater_equal|identity|less|less_equal|logical_and|"
    "logical_not|logical_or|matmul|maximum|minimum|multiply|negative|norm|not_equal|one_hot|ones|ones_like|pad|pow|"
    "range|rank|repeat|reshape|reverse|roll|round|shape|sigmoid|sign|sin|size|slice|sort|split|sqrt|square|squeeze|"
    "stack|stop_gradient|strided_slice|subtract|tanh|tensordot|tile|transpose|truediv|unstack|where|zeros|zeros_like)"
)
# Where Keras keeps the classes that a description may name. Those of training come with models inside models.
PLACES = (
    "layers initializers regularizers constraints mixed_precision dtype_policies random optimizers losses metrics"
).split()
# Sizes of layers that are sizes of their weights, too.
SIZES = ("units", "filters", "output_dim", "input_dim", "key_dim", "value_dim")
HARMLESS = 10_000  # of which a mistake is told in other words


@dataclass(frozen=True)
class Description:
    """What a file, or the architecture beside it, says of a network.

    Parameters
    ----------
    config : dict
        The architecture: ``class_name`` and ``config``; empty where the user's code makes it.
    version : str
        Of the Keras that wrote it; its first number where it does not say more.
    backend : str
        That the weights are for; empty where they do not say it, as those of Keras 1.
    largest : int
        The longest axis of all arrays of weights.
    """

    config: dict
    version: str
    backend: str
    largest: int

    @property
    def generation(self) -> int:
        """First number of the version."""
        first = self.version.split(".")[0]
        return int(first) if first.isdigit() else 3


def describe(path: Path, suffix: str, arch: str | os.PathLike | None) -> Description:
    """Read the architecture of a file's network, after a look at the sizes in its headers.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    suffix : str
        ``.keras`` or ``.h5``, by its contents.
    arch : str or path-like, optional
        The architecture beside it, for weights alone.

    Returns
    -------
    Description

    Raises
    ------
    InputError
        If it unpacks to more than the limit, or there is no architecture.
    """
    said: dict = {}
    config: dict | None = None
    unsaid = "3"
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            check_unpacked(path, unpacked_size(archive))
            members = archive.namelist()
            said = parse_json(archive.read("metadata.json")) if "metadata.json" in members else {}
            said.setdefault("keras_version", "3")
            config = parse_json(archive.read("config.json"))
            with archive.open(WEIGHTS_MEMBER) as member, h5py.File(member, "r") as file:
                largest = _look_inside(path, file)
    else:
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise InputError("no whole HDF5 file; was its download cut off?", path=path) from error
        with file:
            largest = _look_inside(path, file)
            for group in (file, file.get("model_weights", file)):
                said |= {name: texts_of(group, name)[0] for name in ("keras_version", "backend") if name in group.attrs}
            # Weights that do not say their version are lists of Keras 1, or trees of Keras 3.
            unsaid = "1" if "layer_names" in file.attrs else "3"
            if "model_config" in file.attrs:
                config = parse_json(texts_of(file, "model_config")[0])
            elif arch is None:
                if not {"layers", OLD_LAYERS}.isdisjoint(file) or "layer_names" in file.attrs:
                    raise InputError(
                        "holds weights without a network; give its architecture as well (arch="
                        "model.json), save the whole model, or give the Kipoi model that uses it",
                        path=path,
                    )
                if "nb_layers" in file.attrs:
                    raise InputError("holds weights of Keras 0, which later versions cannot read", path=path)
                raise InputError("is an HDF5 file, but not of a Keras network", path=path)
    if str(said.get("keras_version", "1")) >= "2":
        said.setdefault("backend", "tensorflow")
    if is_users_code(arch):
        config = {}
        said.setdefault("keras_version", unsaid)
    elif arch is not None:
        config = read_description(arch)
        # Of the two, the architecture says its words' version, and the weights their own backend.
        said["keras_version"] = config.get("keras_version")
    assert config is not None
    config.pop("compile_config", None)  # how it was trained, which may name a loss of somebody's own
    version = str(said.get("keras_version") or _version_by_words(config))
    return Description(config, version, str(said.get("backend", "")), largest)


def _version_by_words(config: dict) -> str:
    """Tell the version of a description that does not say it: Keras 3 writes whence each class comes."""
    if is_keras_1(config):
        return "1"
    return "3" if str(config.get("module", "")).startswith("keras") and "registered_name" in config else "2"


def _look_inside(path: Path, file: h5py.File) -> int:
    """Check by the headers of all arrays that they are here and not too large; give the longest axis."""
    arrays = arrays_in(file, path)
    check_unpacked(path, sum(one.nbytes for one in arrays))
    return max((size for one in arrays for size in one.shape), default=0)


def check_classes(config: object, framework: ModuleType, largest: int) -> None:
    """Refuse code before it is run: every class that a description names must be Keras's own, or in its custom scope.

    Keras itself imports any module that a description names, and takes what it finds there.
    So nothing is handed to it but names in its own lists of layers, models, initial values
    and the like, and functions of TensorFlow that do nothing but calculate.

    Parameters
    ----------
    config : object
        A description or a part of it.
    framework : module
        ``keras`` or ``tf_keras``.
    largest : int
        The longest axis of the weights: no layer can have more units or filters.

    Raises
    ------
    InputError
        If there is code, or a class that is not known.
    """
    if isinstance(config, (list, tuple)):
        for one in config:
            check_classes(one, framework, largest)
    if not isinstance(config, Mapping):
        return
    name, inner = config.get("class_name"), config.get("config")
    if isinstance(name, str):
        if name in CODE:
            raise InputError(
                LAMBDA if "ambda" in name else f"has a {name} layer, which is code or a file outside it, and is not run"
            )
        arguments = inner if isinstance(inner, Mapping) else {}
        if name == "TFOpLambda" and not CALCULATES.fullmatch(str(arguments.get("function"))):
            raise InputError(
                f"uses TensorFlow's {arguments.get('function')} as a layer, which is not run, since it "
                "could do other things than calculate; put a layer of Keras in its place, and save it "
                "again"
            )
        if isinstance(arguments.get("vocabulary"), str):
            raise InputError(
                f"has a {name} layer that reads the file {arguments['vocabulary']!r}, which is not "
                "opened; save it with its words"
            )
        if name not in FUNCTION_LAYERS and not _own(config, name, framework) and not _given(config, framework):
            custom = inner if name == "function" else name
            raise InputError(
                f"needs the custom object {str(custom).split('>')[-1]!r}, which is code outside the file; "
                f"in Python, load it inside {framework.__name__}.saving.custom_object_scope, or give it "
                "as a Kipoi model that loads it"
            )
        for size in SIZES:
            # A layer of gigabytes would be made before its weights are missed.
            if isinstance(arguments.get(size), int) and arguments[size] > max(largest, HARMLESS):
                raise InputError(
                    f"layer {arguments.get('name', name)!r} has {size}={arguments[size]}, but its weights "
                    "are not so many; it belongs to another file"
                )
    for one in config.values():
        check_classes(one, framework, largest)


def _own(config: Mapping, name: str, framework: ModuleType) -> bool:
    """Tell Keras's own class from somebody's class of the same name; .h5 files do not say."""
    module = str(config.get("module") or "keras")
    if config.get("registered_name") not in (None, name, config.get("config")) or module.split(".")[0] not in (
        "keras",
        "tf_keras",
        "tensorflow",
        "builtins",
    ):
        return False
    if name == "function":
        return any(
            hasattr(getattr(framework, place), str(config.get("config")))
            for place in ("activations", "losses", "metrics")
        )
    if module.startswith("keras.src.ops."):  # functions of Keras 3, each with its class
        return isinstance(getattr(importlib.import_module(module), name, None), type)
    return name in VALUES or any(
        isinstance(getattr(getattr(framework, place, None), name, None), type) for place in PLACES
    )


def _given(config: Mapping, framework: ModuleType) -> bool:
    names = (config.get("registered_name"), config["class_name"], config.get("config"))
    return any(isinstance(name, str) and framework.saving.get_registered_object(name) is not None for name in names)


def layers_of(config: Mapping) -> list[dict]:
    """List the layers of a description, which a sequence of before Keras 2.2.3 holds without a name.

    Parameters
    ----------
    config : mapping
        Of a network.

    Returns
    -------
    list of dict
        Each with ``class_name`` and ``config``.
    """
    inner = config["config"]
    return list(inner if isinstance(inner, list) else inner["layers"])


def group_names(config: Mapping) -> dict[str, str]:
    """Name the group of each layer in a tree of weights: the layer's class in small letters, and its number.

    Parameters
    ----------
    config : mapping
        Of the whole network.

    Returns
    -------
    dict of str to str
        The layer's name to that of the group.

    Examples
    --------
    >>> layers = [{"class_name": "Conv1D", "config": {"name": name}} for name in ("a", "b")]
    >>> group_names({"class_name": "Sequential", "config": {"layers": layers}})
    {'a': 'conv1d', 'b': 'conv1d_1'}
    """
    names: dict[str, str] = {}
    used: Counter[str] = Counter()
    for layer in layers_of(config):
        words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W", "", layer["class_name"].split(">")[-1]))
        group = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
        names[_name(layer)] = f"{group}_{used[group]}" if used[group] else group
        used[group] += 1
    return names


def readable_part(
    config: Mapping, make: Callable[[Mapping], object], left: Collection[str] = ()
) -> tuple[dict, str, Exception | None]:
    """Leave out the layers that cannot be made, and what comes after them.

    1. Each layer is tried by itself.
    2. Of a sequence, the layers before the first that fails are kept. Of a graph, the calls
       of layers that can be made, as long as their inputs are kept.
    3. Calls whose result no other call takes are the outputs.

    Parameters
    ----------
    config : mapping
        Of the whole network.
    make : callable
        Tries to make a layer; raises where that fails.
    left : collection of str
        Names of other layers to leave out.

    Returns
    -------
    part : dict
        The description of what is left.
    culprit : str
        The first layer that cannot be made.
    problem : Exception or None
        Why; None if there is none.
    """
    layers = layers_of(config)
    problems: dict[str, Exception] = {}
    for layer in layers:
        try:
            make(layer)
        except Exception as error:  # Keras fails in any way on layers that it does not know
            problems[_name(layer)] = error
    culprit = next(iter(problems), "")
    unknown = {*problems, *left}
    if config["class_name"] == "Sequential":
        kept = list(takewhile(lambda layer: _name(layer) not in unknown, layers))
        part = {"name": config["config"]["name"]} if "name" in config["config"] else {}
        return {**config, "config": {**part, "layers": kept}}, culprit, problems.get(culprit)
    # How many calls of each layer are kept; an input has one, which is not written down.
    calls = {_name(layer): int(layer["class_name"] == "InputLayer") for layer in layers}
    grown = True
    while grown:
        grown = False
        for layer in layers:
            name = _name(layer)
            for call in layer["inbound_nodes"][calls[name] :] if name not in unknown else ():
                if not all(number < calls[one] for one, number in _taken(call, calls)):
                    break
                calls[name] += 1
                grown = True
    kept = [{**one, "inbound_nodes": one["inbound_nodes"][: calls[_name(one)]]} for one in layers if calls[_name(one)]]
    used = {taken for layer in kept for call in layer["inbound_nodes"] for taken in _taken(call, calls)}
    outputs = [
        [name, number, 0]
        for name, number in ((_name(one), number) for one in kept for number in range(len(one["inbound_nodes"])))
        if (name, number) not in used
    ]
    part = {**config["config"], "layers": kept, "output_layers": outputs}
    return {**config, "config": part}, culprit, problems.get(culprit)


def _name(layer: Mapping) -> str:
    inner = layer["config"]
    return str(layer.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None) or layer["class_name"])


def _taken(call: object, names: Collection[str]) -> Iterator[tuple[str, int]]:
    """List the results that a call takes: each is a layer's name, and the number of the layer's call."""
    if isinstance(call, Mapping):
        call = list(call.values())
    if isinstance(call, (list, tuple)):
        if len(call) > 1 and isinstance(call[0], str) and call[0] in names and isinstance(call[1], int):
            yield call[0], call[1]
        for one in call:
            yield from _taken(one, names)


def read_description(path: str | os.PathLike) -> dict:
    """Read a network's architecture from a file of its own.

    Parameters
    ----------
    path : str or path-like
        A JSON or YAML file of ``model.to_json()`` or ``to_yaml()``.

    Returns
    -------
    dict
        With ``class_name`` and ``config``.

    Raises
    ------
    InputError
        If there is no such file, or it is none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("is no readable text; an architecture is a JSON or YAML file of Keras", path=path) from error
    try:
        found = parse_json(text)
        found = parse_json(found) if isinstance(found, str) else found  # json.dump(model.to_json(), file)
    except ValueError:
        found = _from_yaml(text)
    if isinstance(found, dict) and "layers" in found and "class_name" not in found:
        raise InputError("is an architecture of Keras 0, which later versions cannot read", path=path)
    if not isinstance(found, dict) or not {"class_name", "config"} <= set(found):
        raise InputError("is no architecture of Keras: a JSON or YAML file with class_name and config", path=path)
    return found


def _from_yaml(text: str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads Python's tuples, which Keras wrote, and no other object."""

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda loader, node: loader.construct_sequence(node))
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError):  # or nested by the thousand
        return None
