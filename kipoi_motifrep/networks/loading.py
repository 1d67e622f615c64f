"""From what a user has (a Kipoi model, a file, a model in memory) to a :class:`Network`."""

from __future__ import annotations

import inspect
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeGuard
from unittest import mock

from kipoi_motifrep.core.disks import on_temporary_disk
from kipoi_motifrep.core.errors import InputError, flattened, missing_package
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.networks.backend import import_keras, import_tf_keras
from kipoi_motifrep.networks.file_kinds import CURES, ONNX, READ_BY_TORCH, SAVED_MODEL, NetworkFile, kind_of, refuse
from kipoi_motifrep.networks.keras_files import keras_is, load_keras
from kipoi_motifrep.networks.network import Network, by_name, find_network
from kipoi_motifrep.networks.source import Source
from kipoi_motifrep.networks.types import Inputs

# A name that ends so and is not here is a file that is missing, not a model of the zoo.
FILE_SUFFIXES = tuple(".keras .h5 .hdf5 .hd5 .pt .pth .pt2 .pkl .ckpt .bin .safetensors .onnx .pb".split())
OPAQUE = {"sklearn": "a scikit-learn model", "tensorflow": "a graph and a checkpoint of TensorFlow 1"}


def is_file_model(model: object) -> TypeGuard[str | os.PathLike]:
    """Tell whether a model is named by a bare file.

    Parameters
    ----------
    model : object
        Anything :func:`load_model` takes.

    Returns
    -------
    bool
        True for files that are here, and for names that end like one.

    Examples
    --------
    >>> is_file_model("network.keras"), is_file_model("DeepSEA/predict")
    (True, False)
    """
    return isinstance(model, (str, os.PathLike)) and (
        Path(model).is_file() or (str(model).lower().endswith(FILE_SUFFIXES) and not Path(model).is_dir())
    )


@on_temporary_disk()  # Keras, Kipoi and zipfile unpack there
def load_model(model: object, source: str | None = None, whole: bool = True) -> object:
    """Load a model without running code that comes inside its files.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model; a file of Keras, PyTorch or ONNX, known by its
        contents; a :class:`~kipoi_motifrep.networks.file_kinds.NetworkFile` for weights and
        their network; or a model that is loaded already. A path that is here is never
        looked up in Kipoi's zoo.
    source : str, optional
        Kipoi source of a model's name; ``dir`` when the name is a directory
        or a member of a group here, else ``kipoi``.
    whole : bool, default True
        As for :func:`~kipoi_motifrep.networks.keras_files.load_keras`.

    Returns
    -------
    object
        A Kipoi model, a Keras model, a module, a `Source`, or what was given.

    Raises
    ------
    InputError
        If it cannot be loaded, or is of a kind that hides its layers.

    Examples
    --------
    >>> load_model("network.h5")
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: network.h5: there is no such file
    """
    if not isinstance(model, (str, os.PathLike)):
        return model
    path = Path(model)
    arch = model.arch if isinstance(model, NetworkFile) else None
    if is_file_model(model) or arch is not None:
        return _load_file(path, arch, whole)
    if path.is_dir() and not any((path / f"model.{end}").is_file() for end in ("yaml", "yml")):
        kind = kind_of(path)
        if kind in CURES:
            refuse(path, kind)
        if kind == SAVED_MODEL:
            from kipoi_motifrep.networks.saved_models import SavedSource

            return SavedSource(path)
        if path.name.lower().endswith(FILE_SUFFIXES):
            raise InputError(
                "is a folder, not a file; save the network as one file, or give the folder of a Kipoi "
                f"model, which has a model.yaml: {path}/",
                path=path,
            )
        if source in (None, "dir") and not any((one / "model-template.yaml").is_file() for one in path.parents):
            raise InputError(
                "is a folder without a model.yaml, so no Kipoi model; name the network's file in it", path=path
            )
    if Path(f"{path}.index").is_file():  # TensorFlow names a checkpoint by what its files have in common
        refuse(path, "a checkpoint of TensorFlow")
    here = is_here(path)
    if not here and source in (None, "kipoi") and (path.is_absolute() or str(model).startswith(".")):
        raise InputError("there is no such file or folder", path=path)
    return _load_kipoi(str(model), source or ("dir" if here else "kipoi"), whole)


def is_here(model: Path) -> bool:
    """Tell whether a name is a model's folder here, or one of a group of models here.

    Parameters
    ----------
    model : pathlib.Path
        The name.

    Returns
    -------
    bool
        True if Kipoi's source for it is ``dir``.
    """
    return model.exists() or any((folder / "model-template.yaml").is_file() for folder in model.parents)


@contextmanager
def own_model_classes(whole: bool = True) -> Iterator[None]:
    """Let Kipoi make its Keras and PyTorch models with classes of ours within the block.

    Its own class for Keras opens no file of Keras 2 any more, and that for PyTorch no
    weights that were saved on a GPU where there is none.

    Parameters
    ----------
    whole : bool, default True
        As for :func:`~kipoi_motifrep.networks.keras_files.load_keras`.
    """
    import kipoi.model

    from kipoi_motifrep.networks.kipoi_model import Keras3Model

    class TorchModel(kipoi.model.PyTorchModel):
        """Kipoi's class, whose weights go to the CPU where there is no GPU."""

        def __init__(self, *args, **kwargs):
            from kipoi_motifrep.networks.torch_files import without_gpu

            without_gpu()
            super().__init__(*args, **kwargs)

    class ServedModel(kipoi.model.TensorFlow2Model):
        """Kipoi's class, whose SavedModel is looked into; Kipoi itself would run whatever is in it."""

        def __init__(self, savedmodel_path):
            from kipoi_motifrep.networks.saved_models import SavedSource

            self.model = SavedSource(Path(savedmodel_path))

    own: dict[str, Any] = {"KerasModel": Keras3Model, "PyTorchModel": TorchModel}
    if not whole:
        own["TensorFlow2Model"] = ServedModel
    with (
        mock.patch.multiple(kipoi.model, **own),
        mock.patch.dict(kipoi.model.AVAILABLE_MODELS, keras=Keras3Model, pytorch=TorchModel),
        mock.patch.object(Keras3Model, "whole", whole),
    ):
        yield


def open_network(
    model: object,
    *,
    source: str | None = None,
    length: int | None = None,
    layer: str | None = None,
    axes: str | None = None,
    alphabet: str | None = None,
    activation: str | None = None,
    dna_channels: str | None = None,
    example: Inputs | None = None,
) -> Network:
    """Find where a model reads DNA.

    Parameters
    ----------
    model : str, path-like or object
        Anything :func:`load_model` takes: a Kipoi model by its name, directory or itself, a
        file, a Keras model or a ``torch.nn.Module``.
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
    activation : str, optional
        Name of the layer or operation that is the convolution's non-linearity; found by default.
    dna_channels : str, optional
        Which four of more channels are the bases, like ``"0:4"``.
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

    Examples
    --------
    >>> from torch import nn
    >>> network = open_network(nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU()), length=20)
    >>> network.banks[0].kernels.shape
    (3, 5, 4)
    """
    loaded = load_model(model, source, whole=False)
    schema = getattr(getattr(loaded, "schema", None), "inputs", None)
    return find_network(
        source_of(loaded),
        length=length,
        layer=layer,
        axes=axes,
        alphabet=alphabet or loader_alphabet(loaded),
        activation=activation,
        dna_channels=dna_channels,
        example=example,
        shapes={name: tuple(one.shape) for name, one in by_name(schema).items()},
    )


def loader_alphabet(model: object, arguments: Mapping | None = None) -> str | None:
    """Order of the bases that a Kipoi model's own loader gives.

    Parameters
    ----------
    model : object
        A loaded model.
    arguments : mapping, optional
        What the loader is given.

    Returns
    -------
    str or None
        The loader's ``alphabet`` argument; None where there is none.
    """
    loader = getattr(model, "default_dataloader", None)
    try:
        if loader is None:
            return None
        alphabet = inspect.signature(loader).parameters["alphabet"].default
    except (KeyError, TypeError, ValueError):
        return None
    alphabet = (arguments or {}).get("alphabet", alphabet)
    letters = "".join(alphabet).upper() if isinstance(alphabet, (str, list, tuple)) else ""
    return letters if sorted(letters) == list(BASES) else None


def source_of(model: object) -> Source:
    """Take the network out of a loaded model; the one place that asks for its framework.

    Parameters
    ----------
    model : object
        A Kipoi model, a Keras model or a ``torch.nn.Module``.

    Returns
    -------
    Source
        The network, as its framework runs it.

    Raises
    ------
    InputError
        If there is none.
    """
    # The model itself, what Kipoi's classes call so, and anything else that it holds.
    for one in (model, getattr(model, "model", None), *getattr(model, "__dict__", {}).values()):
        if isinstance(getattr(one, "framework", None), str) and hasattr(one, "trace"):
            return one  # a source already
        kinds = {(base.__module__.split(".")[0], base.__name__) for base in type(one).__mro__}
        if ("torch", "Module") in kinds:
            from kipoi_motifrep.networks.from_torch import TorchSource

            return TorchSource(one)
        if not kinds.isdisjoint([("keras", "Model"), ("tf_keras", "Model")]):
            from kipoi_motifrep.networks.from_keras import KerasSource

            return KerasSource(one)
    kind = f"{type(model).__module__}.{type(model).__name__}"
    raise InputError(f"{kind} shows no layers; a Keras model or a PyTorch module with a convolution is needed")


def _load_file(path: Path, arch: str | None, whole: bool):
    if not path.is_file():
        raise InputError(
            "is a folder; an architecture goes with a file of weights" if path.is_dir() else "there is no such file",
            path=path,
        )
    kind = kind_of(path)
    if kind == ONNX:
        if arch is not None:
            raise InputError(f"is {kind}, which holds the whole network; leave arch out", path=path)
        from kipoi_motifrep.networks.from_onnx import OnnxSource

        return OnnxSource(path)
    if kind in READ_BY_TORCH:
        from kipoi_motifrep.networks.torch_files import load_torch

        return load_torch(path, arch)
    if not kind:
        refuse(path, kind)
    return load_keras(path, arch, whole=whole)


def _load_kipoi(name: str, source: str, whole: bool):
    import kipoi

    try:
        description = kipoi.get_model_descr(name, source)
    except Exception as error:
        path = Path(name) / "model.yaml"
        if source == "dir" and path.is_file():
            raise InputError(f"Kipoi cannot read it ({flattened(error)})", path=path) from error
        raise InputError(f"there is no Kipoi model {name!r} in source {source!r} ({flattened(error)})") from error
    needs = [*description.dependencies.pip, *description.dependencies.conda]
    kind = (description.type or str(description.defined_as).removeprefix("kipoi.model.").removesuffix("Model")).lower()
    if kind in OPAQUE:  # before loading: scikit-learn models are pickles, which are code
        raise InputError(
            f"{name} is {OPAQUE[kind]}, which shows no layers; a Keras or PyTorch network with a convolution is needed"
        )
    if "pytorch" not in kind:
        import_keras()  # Kipoi would import it with all its messages
    try:
        # Kipoi prints pages there, such as that the shapes of a loader without its default arguments do not fit.
        with redirect_stdout(io.StringIO()), own_model_classes(whole):
            try:
                return kipoi.get_model(name, source)
            except Exception as error:
                lacking = missing_package(error, needs)
                ours = isinstance(error, InputError) or kind in ("keras", "pytorch")
                if (lacking and whole) or (ours and not lacking):
                    raise
                if not lacking:  # a class of the folder's own may be written for Keras 2
                    folder = os.path.abspath(kipoi.get_source(source).get_model_dir(name))
                    for module in [*sys.modules]:
                        if str(getattr(sys.modules[module], "__file__", "")).startswith(f"{folder}{os.sep}"):
                            del sys.modules[module]
                    with keras_is(import_tf_keras()):
                        return kipoi.get_model(name, source)
                model = kipoi.get_model(name, source, with_dataloader=False)
        # A package is missing, of the loader's mostly, which is not always needed.
        say(f"{name}: its loader is not used, since it {lacking}")
        return model
    except (InputError, MemoryError):
        raise
    except Exception as error:
        lacking = missing_package(error, needs)
        if lacking:
            raise InputError(f"{name} {lacking}") from error
        raise InputError(f"Kipoi cannot load {name!r} ({type(error).__name__}: {flattened(error)})") from error
