"""Results of several steps in one folder: each is read where it is up to date, and made where it is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from kipoi_motifrep import __version__
from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, json_default, parameters_record, write_json
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.textfile import parse_json

T = TypeVar("T")


class Steps:
    """The record, in ``parameters.json``, of how the files of a folder were made.

    A step is up to date if it was made from the same key (parameters, digests of the
    inputs, version of this package) and its files are there as they were written.

    Parameters
    ----------
    folder : str or path-like
        Where the files lie.
    command : str
        Name of the command.
    parameters : mapping
        All its parameters, for the reader.
    force : bool, default False
        Take no step for up to date.
    """

    def __init__(self, folder: str | os.PathLike, command: str, parameters: Mapping[str, object], force: bool = False):
        self._folder = Path(folder)
        self._head = parameters_record(command, parameters)
        self._force = force
        self._steps = self._read(command)

    def _read(self, command: str) -> dict[str, dict]:
        try:
            record = parse_json((self._folder / PARAMETERS_FILE).read_text(encoding="utf-8"))
            steps = record["steps"] if record["command"] == command else {}
            return {str(name): dict(step) for name, step in steps.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # none, or another command's

    def step(
        self,
        name: str,
        key: Mapping[str, object],
        files: Sequence[str],
        *,
        read: Callable[[dict], T],
        make: Callable[[], T | None],
        write: Callable[[T], object],
        about: Callable[[T], Mapping[str, object]] = lambda made: {},
        said: str = "",
    ) -> T | None:
        """Read a step's result if it is up to date; else make it, write it and record it.

        Parameters
        ----------
        name : str
            The step.
        key : mapping
            What it is made from. A value that takes long, such as a digest of the data, may be a function: it is
            called if all other values are as before, or when the step has been made.
        files : sequence of str
            Its files in the folder.
        read : callable
            From what `about` gave to the result.
        make : callable
            Gives the result, or None if there is none: then nothing is written or recorded.
        write : callable
            Writes the files.
        about : callable, optional
            Small things of the result that are in no file.
        said : str, optional
            What is said to be up to date; without it nothing is said.

        Returns
        -------
        object or None
            The result.
        """
        # Recorded after it was written: a run that is killed between the two makes the step again.
        if self.current(name, key, files):
            if said:
                say(f"{said}: up to date")
            return read(self._steps[name].get("about") or {})
        made = make()
        if made is None:
            return None
        write(made)
        self.record(name, key, files, about(made))
        return made

    def record(
        self, name: str, key: Mapping[str, object], files: Sequence[str], about: Mapping[str, object] | None = None
    ) -> None:
        """Record a step whose files are written.

        Parameters
        ----------
        name, key, files
            As for :meth:`step`.
        about : mapping, optional
            Small things of the result that are in no file.
        """
        self._steps[name] = {
            "key": _plain(_called(key)),
            "about": _plain(about or {}),
            "files": {file: file_digest(self._folder / file) for file in files},
        }
        write_json(self._folder / PARAMETERS_FILE, {**self._head, "steps": self._steps})

    def current(self, name: str, key: Mapping[str, object], files: Sequence[str]) -> bool:
        """Tell whether a step is up to date.

        Parameters
        ----------
        name, key, files
            As for :meth:`step`.

        Returns
        -------
        bool
            Whether it was made from this key, and its files are as they were written.
        """
        recorded = self._steps.get(name, {})
        known = recorded.get("key")
        cheap = _plain({one: value for one, value in _versioned(key).items() if not callable(value)})
        if self._force or not isinstance(known, dict) or any(known.get(one) != value for one, value in cheap.items()):
            return False
        try:
            return known == _plain(_called(key)) and all(
                file_digest(self._folder / file) == recorded["files"][file] for file in files
            )
        except (InputError, KeyError, TypeError):  # a file is gone, or the record is not ours
            return False

    def discard(self, *but: str) -> None:
        """Forget all steps and remove their files: they would belong to nothing.

        Parameters
        ----------
        *but : str
            Names of steps that are kept.
        """
        for step in (self._steps[name] for name in self._steps.keys() - but):
            for file in step.get("files") or ():
                (self._folder / os.path.basename(file)).unlink(missing_ok=True)
        self._steps = {name: step for name, step in self._steps.items() if name in but}


def _versioned(key: Mapping[str, object]) -> dict[str, object]:
    return {"kipoi_motifrep": __version__, **key}


def _called(key: Mapping[str, object]) -> dict[str, object]:
    return {name: value() if callable(value) else value for name, value in _versioned(key).items()}


def _plain(key: Mapping[str, object]) -> dict:
    """Bring a mapping into the form that it has once written as JSON and read again."""
    return json.loads(json.dumps(dict(key), default=json_default))
