"""Running ``kipoi test`` on what was packaged, warnings included."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kipoi_motifrep.progress import progress

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COMPLAINT = re.compile(r"^(WARNING|ERROR|CRITICAL) \[|mismatch|^Traceback|Error:")


def kipoi_test(model: str | os.PathLike) -> list[str]:
    """Run ``kipoi test`` on one model.

    Kipoi ends with status 0 on warnings that its zoo does not accept, so its
    log is read.

    Parameters
    ----------
    model : str or path-like
        ``GROUP/MODEL``.

    Returns
    -------
    list of str
        What Kipoi complained of; empty if all is well.
    """
    done = subprocess.run([sys.executable, "-m", "kipoi", "test", str(Path(model).absolute()), "--source", "dir"],
                          capture_output=True, text=True, check=False)
    lines = [_COLOUR.sub("", line) for line in (done.stdout + done.stderr).splitlines()]
    complaints = [line.strip() for line in lines if _COMPLAINT.search(line)]
    if done.returncode and not complaints:
        complaints = [line for line in lines if line.strip()][-1:] or [f"exit status {done.returncode}"]
    return complaints


def check_group(group: str | os.PathLike, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Run ``kipoi test`` on the models of a group.

    Parameters
    ----------
    group : str or path-like
        Folder of the group.
    names : sequence of str
        Its models.

    Yields
    ------
    name : str
        A model.
    complaints : list of str
        From :func:`kipoi_test`.
    """
    for name in progress(names, "kipoi test", unit="network"):
        yield name, kipoi_test(Path(group) / name)
