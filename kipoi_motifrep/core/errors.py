"""The one exception for bad input, and how a command line shows it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

SHOWN_CHARACTERS = 300  # of another program's error
_MISSING_ARGUMENTS = re.compile(r"(?:Intervals|Sequences|Dataset)Dl\.__init__\(\) missing .* arguments?: (.*)")


class InputError(ValueError):
    """Something the user gave is wrong: one line that names it and the cure.

    Commands print the message alone and exit with status 2; in Python it is an
    ordinary ``ValueError``.

    Parameters
    ----------
    message : str
        What is wrong and what to do about it.
    path : str or path-like, optional
        The file at fault.
    row : int, optional
        Its line, counted from 1.

    Examples
    --------
    >>> raise InputError("has only 2 columns; give at least 3", path="peaks.bed", row=7)
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: peaks.bed, row 7: has only 2 columns; give at least 3
    """

    def __init__(self, message: str, *, path: str | os.PathLike | None = None, row: int | None = None):
        where = "" if path is None else str(path)
        if row is not None:
            where += f", row {row}" if where else f"row {row}"
        super().__init__(f"{where}: {message}" if where else message)


def one_line(error: BaseException) -> str:
    """Text of an input or operating-system error on one line, without a traceback.

    Parameters
    ----------
    error : BaseException
        Usually an :class:`InputError` or an ``OSError``.

    Returns
    -------
    str
        ``file: reason`` for operating-system errors, the message otherwise.

    Examples
    --------
    >>> one_line(FileNotFoundError(2, "No such file or directory", "x.bed"))
    'x.bed: no such file or directory'
    """
    from kipoi_motifrep.core.disks import describe_full_disk

    if full := describe_full_disk(error):
        return printable(full)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return printable(f"{where}{error.strerror.lower()}")
    # A worker process of Kipoi hands its error on as the text of a traceback.
    text = str(error).strip().splitlines() or [type(error).__name__]
    return printable(text[-1].removeprefix("kipoi_motifrep.core.errors.InputError: "))


def missing_package(error: BaseException, known: Sequence[str] = ()) -> str:
    """Say which package a stranger's code needs, and pip's cure.

    Parameters
    ----------
    error : BaseException
        Of its import, or made of such a one.
    known : sequence of str
        What the code's description says that it needs, as pip takes it.

    Returns
    -------
    str
        The rest of a sentence; empty if no package is missing.

    Examples
    --------
    >>> missing_package(ModuleNotFoundError("", name="concise.layers"), ["h5py", "concise>=0.6"])
    "needs the package 'concise', which is not installed (pip install 'concise>=0.6')"
    """
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, ModuleNotFoundError) and cause.name):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return ""
    package = str(getattr(cause, "name", "")).split(".")[0]
    if importlib.util.find_spec(package) is not None:  # it lacks a part that another version has
        return ""
    # The name on PyPI where the description has it, with what it says of the version.
    asked = next((one for one in known if re.split("[=<>!~ \\[]", one)[0].replace("-", "_") == package), package)
    return f"needs the package {package!r}, which is not installed (pip install {shlex.quote(asked)})"


def printable(text: str) -> str:
    r"""Show control characters, and bytes that are no text, as escapes: a name shall not steer the terminal.

    Parameters
    ----------
    text : str
        Such as a message with the name of a file in it.

    Returns
    -------
    str
        The text; line ends and tabs stay.

    Examples
    --------
    >>> print(printable("red\x1b[31m.bed, \udcff.fa"))
    red\x1b[31m.bed, \udcff.fa
    """
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def first_line(error: BaseException) -> str:
    r"""First line of another program's error, where the rest is detail.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str
        The error's type if it says nothing.

    Examples
    --------
    >>> first_line(ValueError("bad shape\nin layer 3")), first_line(KeyError())
    ('bad shape', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def flattened(error: BaseException) -> str:
    r"""Text of another program's error, its lines joined.

    Parameters
    ----------
    error : BaseException
        Any.

    Returns
    -------
    str
        Its first 300 characters.

    Examples
    --------
    >>> flattened(ValueError("bad shape\n  in layer 3"))
    'bad shape in layer 3'
    """
    return " ".join(str(error).split())[:SHOWN_CHARACTERS]


def a_few(names: Sequence[object], most: int = 3) -> str:
    """List names, but not hundreds of them.

    Parameters
    ----------
    names : sequence
        Any number, of anything.
    most : int, default 3
        How many are shown.

    Returns
    -------
    str
        Commas between them, and how many there are more.

    Examples
    --------
    >>> a_few(["chr1", "chr2", "chr3"], most=2), a_few([4, 5])
    ('chr1, chr2 and 1 more', '4, 5')
    """
    return ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def show_plainly_in_kipoi() -> None:
    """Let the ``kipoi`` program end with one line and status 2 on an :class:`InputError` and the like.

    Kipoi's commands have no handler of their own, so a loader's or a model's
    error reaches the user as a page of traceback. Only the running ``kipoi``
    command is changed; Python sessions and notebooks keep their tracebacks.
    """
    program = Path(sys.argv[0] if sys.argv else "")
    is_kipoi = program.name == "kipoi" or program.parts[-2:] == ("kipoi", "__main__.py")
    if is_kipoi and not isinstance(sys.excepthook, _PlainHook):
        from kipoi_motifrep.core.disks import quiet_after_full_disks

        sys.excepthook = _PlainHook(sys.excepthook)
        quiet_after_full_disks()


class _PlainHook:
    """Handler of uncaught exceptions: one line for those that are the user's to mend, else what was there before."""

    def __init__(self, previous: Callable[[type[BaseException], BaseException, TracebackType | None], object]):
        self._previous = previous

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        missing = _MISSING_ARGUMENTS.search(str(error)) if isinstance(error, TypeError) else None
        if missing:
            error = InputError(f"the dataloader's argument {missing[1]} is missing; give it among --dataloader_args")
        from kipoi_motifrep.core.disks import full_disk

        if not isinstance(error, InputError) and full_disk(error) is None:
            self._previous(kind, error, traceback)
            return
        print(f"kipoi: error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2)
