"""Locked folders, and passing ones: what a killed process left is found by its lock that is gone, and removed."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from kipoi_motifrep.core.disks import PREFIX, on_temporary_disk
from kipoi_motifrep.core.errors import InputError

# None where a system has no such locks.
fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None

LOCK_SECONDS = 5  # until a folder counts as in use: a process that was killed takes a moment to go
NEW, FORMER, JOURNAL = "new", "former", "journal.json"


@contextmanager
def only_here(folder: str | os.PathLike) -> Iterator[None]:
    """Keep others out of a folder while files that belong together are written there.

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
        If another block, of any process, is at work in it.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder, only_here(folder):
    ...     print("nobody else writes here")
    nobody else writes here
    """
    if fcntl is None:
        yield
        return
    end = time.monotonic() + LOCK_SECONDS
    handle = os.open(folder, os.O_RDONLY)
    try:
        while not _locked(handle):
            if time.monotonic() > end:
                raise InputError("another process is writing here; wait for it, or choose another output", path=folder)
            time.sleep(0.1)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing does not free what a forked child holds open, too
        os.close(handle)


def _locked(handle: int) -> bool:
    """Try to lock; a file system without locks, such as some network drives, counts as locked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def scratch(place: str | os.PathLike | None = None) -> Iterator[Path]:
    """Give an empty folder for the time being.

    It is removed when the block ends. A killed process cannot do that, but its
    lock on the folder ends with it: the next one to ask for a folder in the
    same place removes those that nobody holds.

    Parameters
    ----------
    place : str or path-like, optional
        Folder to make it in; the system's for temporary files by default.

    Yields
    ------
    pathlib.Path
        The folder.

    Examples
    --------
    >>> with scratch() as folder:
    ...     _ = (folder / "note").write_text("soon gone")
    >>> folder.exists()
    False
    """
    with nullcontext() if place is not None else on_temporary_disk():
        with _passing(Path(tempfile.gettempdir() if place is None else place)) as folder:
            yield folder


@contextmanager
def _passing(place: Path) -> Iterator[Path]:
    remove_abandoned(place)
    folder, handle = _own_folder(place)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except BaseException:  # a signal that comes just now; the program takes it once
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            if handle is not None:
                os.close(handle)


@contextmanager
def own_temporaries() -> Iterator[None]:
    """Have all temporary files of this process, also those of libraries, in one folder that is removed at the end.

    Where there can be none, they go where they always do.
    """
    former = tempfile.tempdir
    with ExitStack() as stack:
        with suppress(OSError):
            tempfile.tempdir = str(stack.enter_context(_passing(Path(tempfile.gettempdir()))))
        try:
            yield
        finally:
            tempfile.tempdir = former


def _own_folder(place: Path) -> tuple[Path, int | None]:
    """Make a folder and lock it; again, if another process took it for an abandoned one before the lock was on."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        if fcntl is None:
            return folder, None
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            if _locked(handle) and folder.exists():
                return folder, handle
            os.close(handle)


def remove_abandoned(place: Path) -> None:
    """Remove the passing folders of processes that are gone, and undo the moves that they did not finish.

    Parameters
    ----------
    place : pathlib.Path
        Where they are looked for.
    """
    if fcntl is None:
        return
    for folder in place.glob(f"{PREFIX}*"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # removed meanwhile, or another user's
            continue
        try:
            if os.fstat(handle).st_uid != os.getuid():
                continue  # in a place that users share, nobody else says what is to be removed
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _undo(folder, place)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, or no locks on this file system, so that nobody can tell
            continue
        finally:
            os.close(handle)


def move_together(stage: Path, folder: Path, gone: Iterable[Path] = ()) -> None:
    """Move all files below ``stage/new`` into a folder, and others out of it: all of them, or none.

    1. See that every place is free or holds a file, before anything is moved.
    2. Write down what will be moved; from here on the move can be undone, also by the next process.
    3. Move what stands there to ``stage/former``, and the new file into its place, one after the other.
    4. Remove the note: the move is done.

    Parameters
    ----------
    stage : pathlib.Path
        A passing folder in `folder`, from :func:`scratch`.
    folder : pathlib.Path
        Where the files go; its other files stay.
    gone : iterable of pathlib.Path, optional
        Files of `folder` that belong to what is replaced.

    Raises
    ------
    InputError
        If a folder stands where a file shall go, or a file where a folder shall.
    """
    new, former = stage / NEW, stage / FORMER
    files = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
    leaving = sorted({path.relative_to(folder) for path in gone} - set(files))
    for file in files:
        for above in file.parents:
            if (folder / above).exists() and not (folder / above).is_dir():
                raise InputError(
                    "is a file where a folder is needed; remove it, or choose another output", path=folder / above
                )
        if (folder / file).is_dir():
            raise InputError("is a folder; name a file to write", path=folder / file)
    (stage / JOURNAL).write_text(json.dumps([str(file) for file in files]))
    try:
        for file in [*leaving, *files]:
            if os.path.lexists(folder / file):
                (former / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / file, former / file)
            if file in files:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(new / file, folder / file)
        (stage / JOURNAL).unlink()
    except BaseException:
        _undo(stage, folder)
        raise


def _undo(stage: Path, folder: Path) -> None:
    """Take the moved files out of a folder again and put the former ones back."""
    try:
        files = json.loads((stage / JOURNAL).read_text())
    except (FileNotFoundError, ValueError):  # nothing was moved before the note was written to its end
        return
    for file in files:
        if ".." not in Path(file).parts and not Path(file).is_absolute() and not (stage / NEW / file).exists():
            (folder / file).unlink(missing_ok=True)
    for path in (stage / FORMER).rglob("*"):
        if not path.is_dir() or path.is_symlink():
            os.replace(path, folder / path.relative_to(stage / FORMER))
    (stage / JOURNAL).unlink()
