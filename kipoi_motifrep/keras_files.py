"""Whole-model Keras files: opened by their contents and without running code in them, saved with a note inside."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from kipoi_motifrep.backend import import_keras
from kipoi_motifrep.errors import InputError
from kipoi_motifrep.outputs import replacing

if TYPE_CHECKING:
    import keras

SUFFIX_OF_MAGIC = {b"PK\x03\x04": ".keras", b"\x89HDF": ".h5"}
METADATA_MEMBER = "kipoi_motifrep.json"


def suffix_of(path: str | os.PathLike) -> str:
    """Tell the kind of a whole-model file by its first bytes.

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
    with open(path, "rb") as file:
        suffix = SUFFIX_OF_MAGIC.get(file.read(4))
    if suffix is None:
        raise InputError("is neither a .keras nor a Keras .h5 file", path=path)
    return suffix


def load_keras(path: str | os.PathLike) -> keras.Model:
    """Open a whole-model file by its contents, whatever its name.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` or ``.h5`` file, with or without that suffix, of Keras 1 to 3.

    Returns
    -------
    keras.Model
        Not compiled; opened in safe mode.

    Raises
    ------
    InputError
        If it is neither, is damaged, holds weights without a network, or layers that Keras does not know.
    """
    path, suffix = Path(path), suffix_of(path)
    _check_container(path, suffix)
    keras = import_keras()
    try:
        with _readable_by_keras_3(path, suffix) as readable:
            return keras.saving.load_model(readable, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(_keras_problem(error), path=path) from error


def _check_container(path: Path, suffix: str) -> None:
    """Refuse cut-off files and weights without a network before Keras is imported."""
    if suffix == ".keras":
        if not zipfile.is_zipfile(path):
            raise InputError("no whole .keras file; was its download cut off?", path=path)
        return
    try:
        with h5py.File(path, "r") as file:
            whole = "model_config" in file.attrs
    except OSError as error:
        raise InputError("no whole HDF5 file; was its download cut off?", path=path) from error
    if not whole:
        raise InputError("holds weights without a network; save the whole model, or give the Kipoi model that uses it",
                         path=path)


@contextmanager
def _readable_by_keras_3(path: Path, suffix: str) -> Iterator[Path]:
    """Give a copy with an input layer for a Sequential model of Keras 2.2 or older, and a suffix that Keras goes by.

    Such models keep the input's shape in their first layer, where Keras 3 takes
    the batch axis for one more axis of the input.
    """
    config = None if suffix == ".keras" else _old_sequential(path)
    named = path.suffix == suffix or (suffix == ".h5" and path.suffix == ".hdf5")
    if config is None and named:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"network{suffix}"
        if config is None:
            _link(path, copy)
        else:
            shutil.copyfile(path, copy)
            with h5py.File(copy, "r+") as file:
                file.attrs["model_config"] = json.dumps(config)
        yield copy


def _link(path: Path, name: Path) -> None:
    try:
        name.symlink_to(path.absolute())
    except OSError:
        shutil.copyfile(path, name)


def _old_sequential(path: Path) -> dict | None:
    with h5py.File(path, "r") as file:
        text = file.attrs["model_config"]
    config = json.loads(text if isinstance(text, str) else bytes(text))
    layers = config.get("config") if config.get("class_name") == "Sequential" else None
    layers = layers["layers"] if isinstance(layers, dict) else layers
    if not layers or layers[0].get("class_name") == "InputLayer":
        return None
    shape = layers[0].get("config", {}).pop("batch_input_shape", None)
    if shape is None:
        return None
    layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "motifrep_input"}})
    return config


def _keras_problem(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "ambda" in text and "safe" in text:
        return ("has a Lambda layer, which is code inside the file, and is not run; "
                "save the model with a registered layer instead")
    custom = re.search(r"(?:Could not locate (?:class|function)|Unknown \w+(?: \w+)?:?) '?([\w>]+)", text)
    if custom:
        return (f"needs the custom object {custom[1].split('>')[-1]!r}, which is code outside the file; load the model "
                "yourself with custom_objects and give that, or give it as a Kipoi model")
    return f"Keras cannot load it ({text[:200]})"


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
        If the file is not a zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(METADATA_MEMBER)) if METADATA_MEMBER in archive.namelist() else {}
    except zipfile.BadZipFile as error:
        raise InputError("is damaged or not a .keras file", path=path) from error
