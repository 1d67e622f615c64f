"""What a file of a network is, told by its contents and never by its name, and the limit on what it may unpack to."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kipoi_motifrep.core.errors import InputError

KERAS, HDF5 = "a .keras file", "an HDF5 file"
STATE, SCRIPT, EXPORTED, SAFETENSORS = (
    "a file of torch.save",
    "a TorchScript file",
    "a torch.export file",
    "a .safetensors file",
)
SAVED_MODEL, ONNX = "a SavedModel folder", "an ONNX file"
READ_BY_TORCH = (STATE, SCRIPT, EXPORTED, SAFETENSORS)

# A file that begins so is of this kind; the first that fits counts.
STARTS = (
    (b"\x89HDF", HDF5),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", STATE),  # a number that torch.save wrote first, before version 1.6
    (b"\x80", "a Python pickle"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x08\x01\x12", "the graph of a SavedModel folder"),  # ONNX begins so, too, but has higher versions than 1
    (b"version https://git-lfs", "a pointer of Git LFS"),
)
# What is known and not read, and the way that works.
CURES = {
    "a Python pickle": "which is code and is not run; save a PyTorch module's state_dict() by torch.save, or a Keras "
    "model as .keras",
    "compressed by gzip": "unpack it first",
    "a pointer of Git LFS": "not the file itself; fetch that by 'git lfs pull'",
    "the graph of a SavedModel folder": "give the folder that it lies in",
    "a web page": "not the file behind it; was the address of the download right?",
    "a TensorFlow Lite file": "which is not read; give the Keras model that it was made from",
    "a checkpoint of TensorFlow": "which has no network in it; build the network in TensorFlow, load the checkpoint, "
    "and save it as one .keras or .h5 file",
    "a NumPy archive": "which has no network in it; put its arrays into the network, and save that as a whole",
    "a network's description without its weights": "give the file of weights, and this one by arch=FILE",
}
KNOWN = (
    "the files read are .keras, .h5 and weights of Keras, SavedModel folders, and state dicts, checkpoints, "
    "TorchScript and .pt2 of PyTorch, and .onnx"
)


@dataclass(frozen=True)
class NetworkFile(os.PathLike[str]):
    """A file of weights with the description of the network that they belong to.

    Parameters
    ----------
    path : str
        The file of weights.
    arch : str
        For Keras: the JSON or YAML file of the architecture. For both: ``FILE.py:Class``, or a
        function that makes the network, which is the user's own code and is run.

    Examples
    --------
    >>> pair = NetworkFile("weights.h5", arch="model.json")
    >>> str(pair)
    'weights.h5'
    """

    path: str
    arch: str

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path


def kind_of(path: str | os.PathLike) -> str:
    """Tell what a file is by its contents.

    Parameters
    ----------
    path : str or path-like
        An existing file or folder, whatever its name.

    Returns
    -------
    str
        In words: one of :data:`KERAS`, :data:`HDF5`, :data:`SAVED_MODEL`, :data:`ONNX`, :data:`READ_BY_TORCH`, or a
        key of :data:`CURES`; empty if it is not known.

    Raises
    ------
    InputError
        If it is a zip archive that was cut off.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".h5") as file:
    ...     _ = file.write(b"<!DOCTYPE html>")
    ...     file.flush()
    ...     kind_of(file.name)
    'a web page'
    """
    path = Path(path)
    if path.is_dir():
        return _kind_of_folder(path)
    with open(path, "rb") as file:
        start = file.read(4096)
        file.seek(-min(8, os.fstat(file.fileno()).st_size), os.SEEK_END)
        end = file.read()
    if start.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path)
    for beginning, kind in STARTS:
        if start.startswith(beginning):
            return kind
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return SAFETENSORS
    # The number at the end of TensorFlow's tables; the other files of a checkpoint have none, but usual names.
    if end == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb" or re.search(r"\.(meta|data-\d{5}-of-\d{5})$", path.name):
        return "a checkpoint of TensorFlow"
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite file"
    if re.match(rb"\x08[\x01-\x14][\x12\x1a\x22\x28\x32\x3a]", start):  # its version, then another field
        return ONNX
    return _kind_of_text(start)


def _kind_of_folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return SAVED_MODEL
    return "a checkpoint of TensorFlow" if (path / "checkpoint").is_file() else ""


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InputError("no whole .keras or PyTorch file; was its download cut off?", path=path) from error
    last = {name.split("/", 1)[-1] for name in names}  # PyTorch's lie in a folder named after the file
    if "config.json" in names:
        return KERAS
    if "archive_format" in last or "serialized_exported_program.json" in names:
        return EXPORTED
    if "data.pkl" in last:
        return SCRIPT if "constants.pkl" in last else STATE
    return "a NumPy archive" if all(name.endswith(".npy") for name in names) else ""


def _kind_of_text(start: bytes) -> str:
    text = start.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if re.match("(?i)<(!doctype|html|head|body|[?]xml)", text):
        return "a web page"
    described = text.startswith("{") and '"class_name"' in text
    if described or re.search("^(class_name|backend|config|keras_version):", text, re.MULTILINE):
        return "a network's description without its weights"
    return ""


def refuse(path: str | os.PathLike, kind: str) -> NoReturn:
    """Say what a file is that is not read, and the way that works.

    Parameters
    ----------
    path : str or path-like
        The file.
    kind : str
        From :func:`kind_of`.

    Raises
    ------
    InputError
        Always.

    Examples
    --------
    >>> refuse("net.h5", "compressed by gzip")
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: net.h5: is compressed by gzip: unpack it first
    """
    if kind in CURES:
        raise InputError(f"is {kind}: {CURES[kind]}", path=path)
    raise InputError(f"is {kind or 'not of a known kind'}; {KNOWN}", path=path)


def unpacked_size(archive: zipfile.ZipFile) -> int:
    """Add up the bytes that the members of an archive unpack to, by its directory.

    Parameters
    ----------
    archive : zipfile.ZipFile
        Opened for reading.

    Returns
    -------
    int
        Bytes.
    """
    return sum(member.file_size for member in archive.infolist())
