"""Whole-model Keras files: opened by their contents and without running code in them, saved with a note inside."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import h5py

from kipoi_motifrep.core.errors import SHOWN_CHARACTERS, InputError
from kipoi_motifrep.core.outputs import replacing
from kipoi_motifrep.networks.backend import import_keras
from kipoi_motifrep.networks.keras2 import LAMBDA, of_keras_3
from kipoi_motifrep.networks.keras2_weights import fill

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
        A ``.keras`` or ``.h5`` file, with or without that suffix, of Keras 2 or 3.

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
        version, config = _description(path, suffix)
        generation = version.split(".")[0]
        if generation in ("0", "1"):
            raise InputError("Keras 3 cannot read that; load it in Keras 2 and save it again")
        if generation == "2":
            return _from_keras_2(keras, config, path, suffix)
        with _named_by_kind(path, suffix) as named:
            return keras.saving.load_model(named, compile=False, safe_mode=True)
    except InputError as error:
        raise InputError(f"was written by Keras {version}, and {error}", path=path) from error
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
def _named_by_kind(path: Path, suffix: str) -> Iterator[Path]:
    """Give the file under a name with the suffix that Keras goes by."""
    if path.suffix == suffix or (suffix == ".h5" and path.suffix == ".hdf5"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / f"network{suffix}"
        _link(path, named)
        yield named


def _link(path: Path, name: Path) -> None:
    try:
        name.symlink_to(path.absolute())
    except OSError:
        shutil.copyfile(path, name)


def _description(path: Path, suffix: str) -> tuple[str, dict]:
    """Read the version of Keras that wrote a file, and how it describes the network."""
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
            return _version(metadata, "3"), json.loads(archive.read("config.json"))
    with h5py.File(path, "r") as file:
        text = file.attrs["model_config"]
        # Where no version is said, the file is older than Keras 3.
        return _version(file.attrs, "2"), json.loads(text if isinstance(text, str) else bytes(text))


def _version(attributes: Mapping, otherwise: str) -> str:
    version = attributes.get("keras_version", otherwise)
    return version.decode() if isinstance(version, bytes) else str(version)


def _from_keras_2(keras: ModuleType, config: Mapping, path: Path, suffix: str) -> keras.Model:
    model = keras.saving.deserialize_keras_object(of_keras_3(config), safe_mode=True)
    fill(model, config, path, suffix)
    return model


def _keras_problem(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "ambda" in text and "safe" in text:
        return LAMBDA
    custom = re.search(r"(?:Could not locate (?:class|function)|Unknown \w+(?: \w+)?:?) '?([\w>]+)", text)
    if custom:
        return (f"needs the custom object {custom[1].split('>')[-1]!r}, which is code outside the file; in Python, "
                "load it inside keras.saving.custom_object_scope, or give it as a Kipoi model that loads it")
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
