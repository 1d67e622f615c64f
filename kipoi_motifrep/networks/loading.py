"""From what a user has (a Kipoi model, a Keras file, a model in memory) to a :class:`Network`."""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.networks.backend import import_keras
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.networks.network import Network, find_network
from kipoi_motifrep.networks.types import Inputs

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
TORCH_SUFFIXES = (".pt", ".pth", ".pkl", ".ckpt", ".bin", ".safetensors")
OPAQUE = {"sklearn": "a scikit-learn model", "tensorflow": "a TensorFlow graph",
          "tensorflow2": "a TensorFlow SavedModel"}


def is_file_model(model: object) -> bool:
    """Tell whether a model is named by a bare weight file.

    Parameters
    ----------
    model : object
        Anything :func:`load_model` takes.

    Returns
    -------
    bool
        True for paths that end like a Keras or PyTorch file.
    """
    return isinstance(model, (str, os.PathLike)) and str(model).lower().endswith(KERAS_SUFFIXES + TORCH_SUFFIXES)


def load_model(model: object, source: str | None = None) -> object:
    """Load a model without running code that comes inside its weight file.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model, a ``.keras`` or ``.h5`` file, or a
        model that is loaded already.
    source : str, optional
        Kipoi source of a model's name; ``dir`` when the name is a directory
        or a member of a group here, else ``kipoi``.

    Returns
    -------
    object
        A Kipoi model, a Keras model, or what was given.

    Raises
    ------
    InputError
        If it cannot be loaded, or is of a kind that hides its layers.
    """
    if not isinstance(model, (str, os.PathLike)):
        return model
    if is_file_model(model):
        return _load_keras_file(Path(model))
    return _load_kipoi(str(model), source or ("dir" if is_here(Path(model)) else "kipoi"))


def is_here(model: Path) -> bool:
    """Tell whether a name is a model's folder here, or one of a group of models here."""
    return model.is_dir() or any((folder / "model-template.yaml").is_file() for folder in model.parents)


def open_network(model: object, *, source: str | None = None, length: int | None = None, layer: str | None = None,
                 axes: str | None = None, alphabet: str | None = None, example: Inputs | None = None) -> Network:
    """Find where a model reads DNA.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model, a ``.keras`` or ``.h5`` file, a
        loaded Kipoi model, a Keras model or a ``torch.nn.Module``.
    source : str, optional
        Kipoi source of a model's name.
    length : int, optional
        Sequence length in bases, where the model leaves it open.
    layer : str, optional
        Name of a convolution; the first that reads DNA by default.
    axes : str, optional
        Axis order of the DNA input without the batch axis, like ``"L,4"`` or
        ``"4,1,L"``; found by default.
    alphabet : str, optional
        Order of the bases; that of the Kipoi model's loader, else ACGT.
    example : numpy.ndarray, list or dict, optional
        A batch of the model's inputs, to learn shapes from.

    Returns
    -------
    Network
        Its banks of filters, and their activations batch by batch.

    Raises
    ------
    InputError
        If the model cannot be loaded or has no convolution that reads DNA.
    """
    loaded = load_model(model, source)
    return find_network(_source(loaded), length=length, layer=layer, axes=axes,
                        alphabet=alphabet or loader_alphabet(loaded), example=example, shapes=_schema_shapes(loaded))


def loader_alphabet(model: object, arguments: Mapping | None = None) -> str:
    """Order of the bases that a Kipoi model's own loader gives.

    Parameters
    ----------
    model : object
        A loaded model.
    arguments : mapping, optional
        What the loader is given.

    Returns
    -------
    str
        The loader's ``alphabet`` argument where there is one, else ACGT.
    """
    loader = getattr(model, "default_dataloader", None)
    try:
        alphabet = inspect.signature(loader).parameters["alphabet"].default
    except (KeyError, TypeError, ValueError):
        return "ACGT"
    alphabet = (arguments or {}).get("alphabet", alphabet)
    letters = "".join(alphabet).upper() if isinstance(alphabet, (str, list, tuple)) else ""
    return letters if sorted(letters) == list("ACGT") else "ACGT"


def _source(model: object):
    """Wrap the network inside a loaded model for its framework."""
    framework, network = inner_network(model)
    if framework == "PyTorch":
        from kipoi_motifrep.networks.from_torch import TorchSource

        return TorchSource(network)
    from kipoi_motifrep.networks.from_keras import KerasSource

    return KerasSource(network)


def inner_network(model: object) -> tuple[str, object]:
    """Take the network out of a loaded model.

    Parameters
    ----------
    model : object
        A Kipoi model, a Keras model or a ``torch.nn.Module``.

    Returns
    -------
    framework : str
        ``Keras`` or ``PyTorch``.
    network : keras.Model or torch.nn.Module
        The network.

    Raises
    ------
    InputError
        If there is none.
    """
    for network in _networks_in(model):
        kinds = {base.__module__.split(".")[0] for base in type(network).__mro__}
        if "torch" in kinds and "RecursiveScriptModule" not in {base.__name__ for base in type(network).__mro__}:
            return "PyTorch", network
        if "keras" in kinds:
            return "Keras", network
    kind = f"{type(model).__module__}.{type(model).__name__}"
    raise InputError(f"{kind} shows no layers; a Keras model or a PyTorch module (not TorchScript) with a convolution "
                     "is needed")


def _networks_in(model: object) -> list:
    """Keras models and torch modules: the model itself, its ``model`` attribute, then its other attributes."""
    attributes = getattr(model, "__dict__", {})
    held = [model, getattr(model, "model", None), *attributes.values()]
    return [one for one in held if any(
        (base.__module__.split(".")[0], base.__name__) in (("keras", "Model"), ("torch", "Module"))
        for base in type(one).__mro__)]


def _schema_shapes(model: object) -> dict[str, tuple[int | None, ...]]:
    inputs = getattr(getattr(model, "schema", None), "inputs", None)
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        return {str(name): tuple(one.shape) for name, one in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return {str(place): tuple(one.shape) for place, one in enumerate(inputs)}
    return {"0": tuple(inputs.shape)}


def _load_keras_file(path: Path):
    if path.is_dir():
        raise InputError("is a folder, not a file; save the network as one file, or, for the folder of a Kipoi model, "
                         f"write {path}/", path=path)
    if not path.is_file():
        raise InputError("there is no such file", path=path)
    if path.suffix.lower() in TORCH_SUFFIXES:
        raise InputError("a bare PyTorch file holds weights without a network; give the Kipoi model that uses it",
                         path=path)
    return load_keras(path)


def _load_kipoi(name: str, source: str):
    import kipoi

    try:
        description = kipoi.get_model_descr(name, source)
    except Exception as error:
        path = Path(name) / "model.yaml"
        if source == "dir" and path.is_file():
            raise InputError(f"Kipoi cannot read it ({flattened(error)})", path=path) from error
        raise InputError(f"there is no Kipoi model {name!r} in source {source!r} ({flattened(error)})") from error
    kind = (description.type or str(description.defined_as).removeprefix("kipoi.model.").removesuffix("Model")).lower()
    if kind in OPAQUE:  # before loading: scikit-learn models are pickles, which are code
        raise InputError(f"{name} is {OPAQUE[kind]}, which shows no layers; a Keras or PyTorch network with a "
                         "convolution is needed")
    if "pytorch" not in kind:
        import_keras()  # Kipoi would import it with all its messages
    try:
        # Kipoi prints pages there, such as that the shapes of a loader without its default arguments do not fit.
        with redirect_stdout(io.StringIO()):
            return kipoi.get_model(name, source)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"Kipoi cannot load {name!r} ({type(error).__name__}: {flattened(error)})") from error
