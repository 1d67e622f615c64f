"""Readers of files of others, fed with damaged ones: each is read or refused in one line, in time and in its memory."""

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hostile.readers import BY_HDF5, READERS, SLOW

pytestmark = pytest.mark.hostile
START = 600  # seconds until the first mutant: the import of TensorFlow, on a very busy machine


def lines_of(worker):
    """Give a queue of the lines that a process prints, and None at their end."""
    lines = queue.Queue()
    threading.Thread(target=lambda: [*map(lines.put, worker.stdout), lines.put(None)], daemon=True).start()
    return lines


def outcomes(name, seed, n, folder):
    """Read n mutants in processes that may hang or crash; give how each went."""
    first = 0
    while first < n:
        command = [
            sys.executable,
            str(Path(__file__).with_name("readers.py")),
            name,
            *map(str, (seed, first, n - first)),
        ]
        with open(folder / "errors", "w") as errors:
            worker = subprocess.Popen(
                [*command, str(folder)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={
                    **os.environ,
                    "TMPDIR": str(folder),
                    "XDG_CACHE_HOME": str(folder / "cache"),
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                },
            )
        lines = lines_of(worker)
        begun, wait = None, START
        while True:
            try:
                line = lines.get(timeout=wait)
            except queue.Empty:
                worker.kill()
                assert begun is not None, "the reader did not begin"
                yield "hung"
                break
            if line is None:
                break
            number, _, how = line.rstrip("\n").partition(" ")
            if how == "begins":
                begun, wait = int(number), 3 * SLOW
                continue
            yield how
            begun, first = None, int(number) + 1
        status = worker.wait()
        if begun is not None:
            if status != -9:
                yield f"crashed with status {status}"
            first = begun + 1
        elif first < n and status:
            raise AssertionError((folder / "errors").read_text()[-2000:])


@pytest.mark.parametrize("name", READERS)
def test_mutants_are_read_or_refused(name, tmp_path, count, rounds):
    n = READERS[name][3] * rounds
    found = list(outcomes(name, 0, n, tmp_path))
    assert len(found) == n
    kind = "damaged " + name.partition(",")[0].replace("motifs", "motif files")
    for how in found:
        count(kind, how if how in ("read", "refused", "hung") else how.split()[0])
    # HDF5 1.14.6 hangs or crashes over some damaged files, which no reader in Python can help.
    allowed = ("read", "refused", *(("hung",) if name in BY_HDF5 else ()))
    bad = {number: how for number, how in enumerate(found) if how not in allowed}
    if name in BY_HDF5:
        bad = {number: how for number, how in bad.items() if not how.startswith("crashed with status -")}
    assert not bad, bad
    assert len(found) - found.count("read") - found.count("refused") <= n / 20
    # A damaged record of steps is one of nothing, and all are done again.
    assert found.count("refused") or name == "parameters.json"
