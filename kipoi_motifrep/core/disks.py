"""Full disks: which place is full, and which setting moves what is written there."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kipoi_motifrep.core.cache import cache_folder

# A quota and a limit on the size of files (ulimit -f) end a write as a full disk does.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SAYS = tuple(os.strerror(number) for number in FULL)
_CURE = "make room there, or "
PREFIX = ".kipoi_motifrep."  # of passing folders, wherever they lie


@contextmanager
def on_disk(place: str | os.PathLike, cure: str | None = None) -> Iterator[None]:
    """Let the error of a full disk say which one is full: a failing write does not.

    Parameters
    ----------
    place : str or path-like
        Where the block writes.
    cure : str, optional
        What moves it; by default the setting of the cache for what lies there, and the output for all else.

    Raises
    ------
    OSError
        If the disk is full; what libraries made of the error is behind it.

    Examples
    --------
    >>> with on_disk("results/out.h5"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] no space left on device; make room there, or choose another output: 'results/out.h5'
    """
    try:
        yield
    except Exception as error:
        full = full_disk(error)
        if full is None:
            raise
        if not _named(full):  # else by a block within this one, which knows better
            if cure is None:
                in_cache = Path(place).absolute().is_relative_to(cache_folder().absolute())
                cure = "set XDG_CACHE_HOME to a folder on another disk" if in_cache else "choose another output"
            raise OSError(errno.ENOSPC, f"no space left on device; {_CURE}{cure}", str(place)) from error
        if full is error:
            raise
        raise full from None


@contextmanager
def on_temporary_disk() -> Iterator[None]:
    """Let the error of a full disk say that it is that of temporary files, and not blame what is read.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with on_disk(temporaries(), "set TMPDIR to a folder on another disk"):
        yield


def temporaries() -> str:
    """Name the folder of temporary files as its user knows it, not our own passing one in it.

    Examples
    --------
    >>> os.path.isdir(temporaries())
    True
    """
    place = Path(tempfile.gettempdir())
    return str(place.parent if place.name.startswith(PREFIX) else place)


def full_disk(error: BaseException | None) -> OSError | None:
    """Find the error of a full disk behind what libraries made of it.

    Parameters
    ----------
    error : BaseException, optional
        Any.

    Returns
    -------
    OSError or None
        The one that names the place, if one does; None if no disk is full.

    Examples
    --------
    >>> full_disk(OSError(errno.EDQUOT, "Disk quota exceeded")).errno == errno.EDQUOT
    True
    >>> full_disk(RuntimeError("Can't close file (file write failed: error message = 'No space left on device')"))
    OSError(28, 'No space left on device')
    >>> full_disk(FileNotFoundError(2, "No such file"))
    """
    found = None
    while error is not None:
        if isinstance(error, OSError) and _named(error):
            return error
        if isinstance(error, OSError) and error.errno in FULL:
            found = error
        elif any(text in str(error) for text in _SAYS):  # HDF5 and others say it in their texts only
            found = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        error = error.__cause__ or error.__context__
    return found


def _named(error: OSError) -> bool:
    return _CURE in (error.strerror or "")


def describe_full_disk(error: BaseException) -> str | None:
    """Say for a person which disk is full; None if none is.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str or None
        One line.
    """
    full = full_disk(error)
    if full is None:
        return None
    if _named(full):
        return f"{full.filename}: {full.strerror}"
    if full.filename:
        return f"{full.filename}: no space left on device; {_CURE}choose another output"
    return (
        f"no space left on device: that of the output, of temporary files ({temporaries()}; TMPDIR moves them), of the "
        f"cache ({cache_folder()}; XDG_CACHE_HOME moves it), or of where the messages go"
    )


def quiet_after_full_disks() -> None:
    """Let objects that cannot close their file on a full disk be silent: Python prints a traceback for each of them."""
    previous = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        if full_disk(unraisable.exc_value) is None:
            previous(unraisable)

    if getattr(previous, "__module__", "") != __name__:  # once is enough
        sys.unraisablehook = hook
