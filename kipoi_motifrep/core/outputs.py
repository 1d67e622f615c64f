"""Writing results so that none is ever half-written or without its parameters."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from kipoi_motifrep.core.errors import InputError

try:
    import fcntl
except ImportError:
    fcntl = None

PARAMETERS_FILE = "parameters.json"
LOCK_SECONDS = 5  # until a folder counts as in use: a process that was killed takes a moment to go
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
RECORDED_PACKAGES = ("kipoi_motifrep", "kipoi", "keras", "tensorflow", "jax", "torch", "numpy", "h5py", "pyjaspar")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# Asked once: it can be asked only by changing it, which other threads would notice.
NEW_FILE_MODE = 0o666 & ~_umask()


@contextmanager
def _writing(path: Path, output: str = "output") -> Iterator[None]:
    """Say plainly that nothing can be written there."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write here ({error.strerror.lower()}); choose another {output}", path=path) from error


def check_output_file(path: str | os.PathLike) -> None:
    """See that a file can be written there without harm, before any long computation.

    Parameters
    ----------
    path : str or path-like
        The file; it need not exist.

    Raises
    ------
    InputError
        If it is a folder, a device or a pipe.
    """
    if os.path.isdir(path):
        raise InputError("is a folder; name a file to write", path=path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError("is no regular file; name another to write", path=path)


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` when the block ends well.

    Parameters
    ----------
    path : str or path-like
        The file to write. Its folder is made when it is missing.

    Yields
    ------
    pathlib.Path
        Where to write. It has the suffix of `path`, and is removed on any error.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or `path` is a folder, a device or a pipe.
    """
    path = Path(os.path.realpath(path))  # behind a link: the link stays
    check_output_file(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(NEW_FILE_MODE)  # mkstemp gives 0600
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in DISK_FULL and error.filename is None:
            error.filename = str(path)  # a failing write does not say where
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def staged(folder: str | os.PathLike) -> Iterator[Path]:
    """Write files that belong together: all of them, or none.

    On an error `folder` stays as it was. Its other files stay in any case.

    Parameters
    ----------
    folder : str or path-like
        Where the files go in the end. It is made when it is missing.

    Yields
    ------
    pathlib.Path
        An empty folder to write to; its files are moved when the block ends well.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".unfinished.", dir=folder))
    try:
        yield stage
        for file in sorted(path for path in stage.rglob("*") if path.is_file()):
            final = folder / file.relative_to(stage)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, final)
    except OSError as error:
        if error.filename and Path(error.filename).is_relative_to(stage):
            error.filename = str(folder / Path(error.filename).relative_to(stage))
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it holds what was asked for
                folder.rmdir()


@contextmanager
def output_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make an output folder and see that it can be written to, before any long computation.

    Parameters
    ----------
    path : str or path-like
        The folder.

    Yields
    ------
    pathlib.Path
        The folder. A new one with nothing in it is removed if the block ends with an :class:`InputError`.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    path = Path(path)
    new = not path.exists()
    with _writing(path, "output folder"):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    try:
        yield path
    except InputError:
        if new:
            with suppress(OSError):  # something is in it
                path.rmdir()
        raise


@contextmanager
def only_here(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other processes out of a folder that holds the state of a long computation.

    Parameters
    ----------
    folder : str or path-like
        An existing folder. It is locked itself, so that nothing is left behind when a process is killed.

    Yields
    ------
    None
        The folder is free again when the block, or the process, ends.

    Raises
    ------
    InputError
        If another process is at work in it.
    """
    if fcntl is None:  # no such locks on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing does not free what a forked child holds open, too
        os.close(handle)


def _lock(handle: int, folder: str | os.PathLike) -> None:
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise InputError("another process is writing here; wait for it, or choose another output",
                                 path=folder) from error
            time.sleep(0.1)
        except OSError:
            return None  # a file system without locks, such as some network drives


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    text : str
        Its contents.
    """
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    data : bytes
        Its contents.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def json_default(value: object) -> object:
    """Say what JSON holds of a value that it does not know.

    Parameters
    ----------
    value : object
        A numpy array or scalar, a path, or anything else.

    Returns
    -------
    object
        The numbers, or text.
    """
    return value.tolist() if hasattr(value, "tolist") else str(value)


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write a value as indented JSON, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    value : object
        Anything the ``json`` module knows, numpy scalars and paths.
    """
    write_text(path, json.dumps(value, indent=2, default=json_default) + "\n")


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that decide results.

    Returns
    -------
    dict
        Package name to version; packages that are not installed are left out.
    """
    found = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def parameters_record(command: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """Put together how some files were made.

    Parameters
    ----------
    command : str
        Name of the command, as typed after ``kipoi-motifrep``.
    parameters : mapping
        Its parameters, defaults included, and digests of its inputs.

    Returns
    -------
    dict
        Both, and the versions of what decides results.
    """
    return {"command": command, "parameters": dict(parameters), "versions": versions()}


def write_parameters(folder: str | os.PathLike, command: str, parameters: Mapping[str, object]) -> None:
    """Write ``parameters.json`` beside a command's outputs.

    Parameters
    ----------
    folder : str or path-like
        The folder of the outputs.
    command : str
        Name of the command, as typed after ``kipoi-motifrep``.
    parameters : mapping
        Its parameters, defaults included, and digests of its inputs.
    """
    write_json(Path(folder) / PARAMETERS_FILE, parameters_record(command, parameters))
