"""Results of several steps in one folder: which of them are up to date."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kipoi_motifrep import __version__
from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, json_default, parameters_record, write_json


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

    def __init__(self, folder: str | os.PathLike, command: str, parameters: Mapping[str, object],
                 force: bool = False):
        self._folder = Path(folder)
        self._head = parameters_record(command, parameters)
        self._force = force
        self._steps = self._read(command)

    def _read(self, command: str) -> dict[str, dict]:
        try:
            record = json.loads((self._folder / PARAMETERS_FILE).read_text(encoding="utf-8"))
            steps = record["steps"] if record["command"] == command else {}
            return {str(name): dict(step) for name, step in steps.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # none, or another command's

    def may_be_current(self, name: str, key: Mapping[str, object]) -> bool:
        """Tell whether a step was made with this part of its key; cheap, looks at no file."""
        recorded = self._steps.get(name, {}).get("key")
        if self._force or not isinstance(recorded, dict):
            return False
        return all(recorded.get(one) == value for one, value in _plain(key).items())

    def current(self, name: str, key: Mapping[str, object]) -> bool:
        """Tell whether a step is up to date.

        Parameters
        ----------
        name : str
            The step.
        key : mapping
            What it is to be made from.

        Returns
        -------
        bool
        """
        if self._force:
            return False
        step = self._steps.get(name, {})
        try:
            return step.get("key") == _plain(_versioned(key)) and all(
                file_digest(self._folder / file) == digest for file, digest in step["files"].items())
        except (InputError, KeyError, AttributeError):  # a file is gone, or the record is not ours
            return False

    def about(self, name: str) -> dict:
        """Give back what `done` was told about a step."""
        return self._steps[name].get("about") or {}

    def done(self, name: str, key: Mapping[str, object], files: Sequence[str],
             about: Mapping[str, object] | None = None) -> None:
        """Record a step whose files have just been written.

        Parameters
        ----------
        name : str
            The step.
        key : mapping
            What it was made from.
        files : sequence of str
            Its files in the folder.
        about : mapping, optional
            Small results that are in no file.
        """
        self._steps[name] = {"key": _plain(_versioned(key)), "about": _plain(about or {}),
                             "files": {file: file_digest(self._folder / file) for file in files}}
        write_json(self._folder / PARAMETERS_FILE, {**self._head, "steps": self._steps})

    def discard(self) -> None:
        """Forget all steps and remove their files: they would belong to nothing."""
        for step in self._steps.values():
            for file in step.get("files") or ():
                (self._folder / os.path.basename(file)).unlink(missing_ok=True)
        self._steps = {}


def _versioned(key: Mapping[str, object]) -> dict[str, object]:
    return {"kipoi_motifrep": __version__, **key}


def _plain(key: Mapping[str, object]) -> dict:
    """Bring a mapping into the form that it has once written as JSON and read again."""
    return json.loads(json.dumps(dict(key), default=json_default))
