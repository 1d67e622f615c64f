"""Writing results so that none is ever half-written, without its parameters, or put over what it is made from."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import is_dataclass
from importlib import metadata
from pathlib import Path

from kipoi_motifrep.core.disks import on_disk
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.scratch import NEW, move_together, only_here, remove_abandoned, scratch

PARAMETERS_FILE = "parameters.json"
RECORDED_PACKAGES = ("kipoi_motifrep", "kipoi", "keras", "tensorflow", "jax", "torch", "numpy", "h5py", "pyjaspar")


@contextmanager
def _writing(path: Path, output: str = "output") -> Iterator[None]:
    """Say plainly that nothing can be written there."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot write here ({reason}); choose another {output}", path=path) from error


def check_output_file(path: str | os.PathLike, inputs: object = ()) -> None:
    """See that a file can be written there without harm, before any long computation.

    Parameters
    ----------
    path : str or path-like
        The file; it need not exist.
    inputs : path, or any nesting of paths in lists and mappings, optional
        What it is made from, as it was given; values that are no paths are passed over.

    Raises
    ------
    InputError
        If it is a folder, a device or a pipe, or one of the inputs under whatever name.

    Examples
    --------
    >>> check_output_file("peaks.h5", ["peaks.bed", {"fasta_file": "hg38.fa"}])
    >>> check_output_file("peaks.h5", ["peaks.bed", {"dataset": "./peaks.h5"}])
    Traceback (most recent call last):
    ...
    kipoi_motifrep.core.errors.InputError: peaks.h5: is also an input (./peaks.h5), ...
    """
    if os.path.isdir(path):
        raise InputError("is a folder; name a file to write", path=path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError("is no regular file; name another to write", path=path)
    for given in _paths(inputs):
        if _same(path, given):
            raise InputError(
                f"is also an input ({os.fspath(given)}), which writing it would destroy; choose another output",
                path=path,
            )


def _paths(value: object) -> Iterator[str | os.PathLike]:
    if isinstance(value, str | os.PathLike):
        yield value
    if is_dataclass(value):  # such as a file of weights with that of its architecture
        yield from _paths(list(vars(value).values()))
    elif isinstance(value, Mapping):
        yield from _paths(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _paths(one)


def _same(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Tell whether two names are of one file: through links of both kinds, and where there is no file yet."""
    try:
        return os.path.realpath(one) == os.path.realpath(other) or os.path.samefile(one, other)
    except (OSError, ValueError):  # one of them is not there, or no name that a file can have
        return False


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a place to write a file; it gets the name `path` when the block ends well.

    Parameters
    ----------
    path : str or path-like
        The file to write. Its folder is made when it is missing.

    Yields
    ------
    pathlib.Path
        A file of the same name in a passing folder beside `path`; it need not be written in one go.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, or `path` is a folder, a device or a pipe.

    Examples
    --------
    >>> with scratch() as folder:
    ...     with replacing(folder / "out.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (folder / "out.txt").read_text()
    'whole'
    """
    path = Path(os.path.realpath(path))  # behind a link: the link stays
    check_output_file(path)
    with on_disk(path), ExitStack() as stack:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            passing = stack.enter_context(scratch(path.parent))
        try:
            yield passing / path.name
            os.replace(passing / path.name, path)
        except OSError as error:
            _name_final(error, passing, path.parent)
            raise


def _name_final(error: OSError, stage: Path, folder: Path) -> None:
    """Let an error name the file as the user knows it."""
    if isinstance(error.filename, str) and Path(error.filename).is_relative_to(stage):
        error.filename = str(folder / Path(error.filename).relative_to(stage))


@contextmanager
def staged(
    folder: str | os.PathLike, files: Iterable[str] = (), inputs: object = (), gone: Iterable[Path] = ()
) -> Iterator[Path]:
    """Write files that belong together: all of them, or none.

    On an error, and after a kill, `folder` is as it was. Its other files stay in any case.

    Parameters
    ----------
    folder : str or path-like
        Where the files go in the end. It is made when it is missing.
    files : iterable of str, optional
        Names of the files as far as they are known, to be checked before the work.
    inputs : path, or any nesting of paths, optional
        What they are made from; see :func:`check_output_file`.
    gone : iterable of pathlib.Path, optional
        Files of `folder` that are removed when the new ones arrive.

    Yields
    ------
    pathlib.Path
        An empty folder to write to; its files are moved when the block ends well.

    Raises
    ------
    InputError
        If the folder cannot be made or written to, another process is at work in it, a file would replace one of
        the inputs, or a folder stands where a file shall go.

    Examples
    --------
    >>> with scratch() as folder:
    ...     with staged(folder / "results") as stage:
    ...         _ = (stage / "a").write_text("A"), (stage / "b").write_text("B")
    ...     sorted(path.name for path in (folder / "results").iterdir())
    ['a', 'b']
    """
    folder = Path(folder)
    with on_disk(folder), output_folder(folder, files, inputs), scratch(folder) as passing:
        stage = passing / NEW
        stage.mkdir()
        try:
            yield stage
            final = [folder / path.relative_to(stage) for path in stage.rglob("*") if path.is_file()]
            # What was not known before the work, such as the names of a group's weights, is looked at now.
            for file in {*final, *gone}:
                check_output_file(file, inputs)
            move_together(passing, folder, gone)
        except OSError as error:
            _name_final(error, stage, folder)
            raise


@contextmanager
def output_folder(path: str | os.PathLike, files: Iterable[str] = (), inputs: object = ()) -> Iterator[Path]:
    """Make an output folder, keep other processes out of it, and see that files can be written there.

    Parameters
    ----------
    path : str or path-like
        The folder.
    files : iterable of str, optional
        Names of the files that will be written, as far as they are known.
    inputs : path, or any nesting of paths, optional
        What they are made from; see :func:`check_output_file`.

    Yields
    ------
    pathlib.Path
        The folder. A new one with nothing in it is removed if the block ends with an error.

    Raises
    ------
    InputError
        If it cannot be made or written to, another process is at work in it, or a file cannot be written without
        harm.
    """
    path = Path(path)
    new = not path.exists()
    with on_disk(path), _writing(path, "output folder"):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    try:
        for file in files:
            check_output_file(path / file, inputs)
        with only_here(path):
            remove_abandoned(path)
            yield path
    except BaseException:
        if new:
            with suppress(OSError):  # something is in it
                path.rmdir()
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file.
    text : str
        Its contents.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))  # names of files may hold bytes that are no text


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

    Examples
    --------
    >>> json.dumps({"folder": Path("results")}, default=json_default)
    '{"folder": "results"}'
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

    Examples
    --------
    >>> versions()["python"] == platform.python_version()
    True
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

    Examples
    --------
    >>> list(parameters_record("simulate", {"number": 10}))
    ['command', 'parameters', 'versions']
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
