"""Running ``kipoi test`` on what was packaged, warnings included."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.scratch import scratch
from kipoi_motifrep.zoo.export import PACKAGE, Export, describe_group

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COMPLAINT = re.compile(
    r"^(WARNING|ERROR|CRITICAL) \[|mismatch$|^Traceback|^\w*(\.\w+)*(Error|Exception):|^kipoi: error:"
)
# A process in which this package cannot be imported, although it is installed.
_ALONE = f"import sys; sys.modules[{PACKAGE!r}] = None; from kipoi.__main__ import main; main()"


def kipoi_test(model: str | os.PathLike, *, alone: bool = False) -> list[str]:
    """Run ``kipoi test`` on one model.

    Kipoi ends with status 0 on warnings that its zoo does not accept, so its
    log is read.

    Parameters
    ----------
    model : str or path-like
        ``GROUP/MODEL``.
    alone : bool, default False
        Test it in a process that cannot import this package.

    Returns
    -------
    list of str
        What Kipoi complained of; empty if all is well.
    """
    program = ["-c", _ALONE] if alone else ["-m", "kipoi"]
    command = [sys.executable, *program, "test", str(Path(model).absolute()), "--source", "dir"]
    # In an empty folder: what happens to lie here must not be what is found.
    with scratch() as elsewhere:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=elsewhere)
    # The status alone says too little: a schema that does not fit is a warning and status 0.
    lines = [_COLOUR.sub("", line).strip() for line in (done.stdout + done.stderr).splitlines()]
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    if done.returncode and not complaints:
        complaints = [line for line in lines if line][-1:] or [f"exit status {done.returncode}"]
    return complaints


def check_group(
    group: str | os.PathLike, names: Sequence[str], *, alone: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """Run ``kipoi test`` on the models of a group.

    Parameters
    ----------
    group : str or path-like
        Folder of the group.
    names : sequence of str
        Its models.
    alone : bool, default False
        As for :func:`kipoi_test`.

    Yields
    ------
    name : str
        A model.
    complaints : list of str
        From :func:`kipoi_test`.
    """
    for name in progress(names, "kipoi test", unit="network"):
        yield name, kipoi_test(Path(group) / name, alone=alone)


def check_export(export: Export) -> Iterator[tuple[str, list[str]]]:
    """Run ``kipoi test`` on a copy of an exported group, as if its files were uploaded, without this package.

    Parameters
    ----------
    export : Export
        From :func:`kipoi_motifrep.zoo.export.export_zoo`.

    Yields
    ------
    name : str
        A model.
    complaints : list of str
        From :func:`kipoi_test`.
    """
    # The addresses do not exist yet, so a copy of the group is tested whose addresses are the files here.
    with scratch() as folder:
        copy = folder / export.name
        shutil.copytree(export.group, copy)
        upload = export.upload.absolute()
        describe_group(export, copy, upload, upload.as_uri())
        yield from check_group(copy, [network.name for network in export.networks], alone=True)
