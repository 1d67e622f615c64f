"""Workers, the scheduler and the program are killed, one after the other: the result is that of an undisturbed run."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kipoi_motifrep.cli import program as cli

keras = pytest.importorskip("keras")
pytest.importorskip("distributed")

# Says a line for each result that has come.
PROGRAM = """
import sys
from kipoi_motifrep.core import workers
real = workers._Dask.results
def told(*given, **named):
    for one in real(*given, **named):
        print("done", file=sys.stderr, flush=True)
        yield one
workers._Dask.results = told
from kipoi_motifrep.cli import main
sys.exit(main())
"""
NETWORKS = 8
COMMANDS = {
    "scan": ["net0.keras", "--genome", "genome.fa", "--bin", "20", "--stride", "5", "--batch-size", "1"],  # 30 shards
    "filters": ["net0.keras", "--fasta", "peaks.fa", "--batch-size", "1", "--sites"],  # 125 shards, twice
    "interpret": ["net0.keras", "--fasta", "peaks.fa", "--batch-size", "1", "--database", "JASPAR2016", "--no-plant"],
    "atlas": [
        *(f"net{i}.keras" for i in range(NETWORKS)),
        "--fasta",
        "peaks.fa",
        "--database",
        "JASPAR2016",
        "--no-null",
        "--no-plant",
        "--no-importance",
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for i in range(NETWORKS):
        keras.utils.set_random_seed(i)
        stack = keras.layers.Conv1D(4, 5, activation="relu"), keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(3)
        keras.Sequential([keras.Input((20, 4)), *stack]).save(folder / f"net{i}.keras")
    letters = np.random.default_rng(1).choice(list("ACGT"), (2000, 20))
    (folder / "peaks.fa").write_text("".join(f">{i}\n{''.join(row)}\n" for i, row in enumerate(letters)))
    (folder / "genome.fa").write_text(">chr1\n" + "".join(letters[:120].ravel()) + "\n")
    return folder


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, as they are started by hand; their processes."""
    started = []

    def start(*arguments):
        log = open(tmp_path / f"{len(started)}.log", "w+")
        command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
        started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, start_new_session=True))
        return Path(log.name)

    log = start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
    address = wait_for(lambda: re.search(r"(tcp://127\S+:\d+)", log.read_text()))[1]
    for _ in range(2):
        start("worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "30")
    yield address, started
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return found


def children(process):
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def results(output):
    """What the run is for; not its times, or its folder's name, which Tomtom's files hold."""
    files = [output] if output.is_file() else output.rglob("*")
    kept = [one for one in files if one.suffix in (".parquet", ".meme", ".tsv", ".h5") or one.name == "index.html"]
    return {str(one.relative_to(output)): one.read_bytes().replace(bytes(output), b"") for one in kept}


@pytest.mark.slow
@pytest.mark.skipif(not list(Path("/proc/self/task").glob("*/children")), reason="processes are listed by Linux only")
@pytest.mark.parametrize("name", COMMANDS)
def test_whoever_is_killed(name, folder, cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    address, (scheduler, *workers) = cluster
    suffix = ".parquet" if name == "scan" else ""
    output, whole = tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    command = [name, *COMMANDS[name], "-o", str(output)]
    log = tmp_path / "program.log"

    def start():
        with open(log, "w") as file:
            return subprocess.Popen([sys.executable, "-c", PROGRAM, *command, "--scheduler", address], stderr=file)

    def work(program, n):
        """Wait for so many more results; the program must not end before."""
        before = log.read_text().count("done\n")
        wait_for(lambda: log.read_text().count("done\n") >= before + n or program.poll() is not None)
        assert program.poll() is None, log.read_text()

    # A worker: its nanny starts another one, and the work goes on.
    program = start()
    work(program, 1)
    for pid in children(workers[0]):
        os.kill(pid, signal.SIGKILL)
    work(program, 2)
    # The program.
    program.kill()
    program.wait()
    assert not output.is_file() and not (output / "index.html").exists() and not (output / "filters.tsv").exists()
    # The scheduler: the program says so in one line.
    program = start()
    work(program, 1)
    os.killpg(scheduler.pid, signal.SIGKILL)
    assert program.wait(timeout=300) == 2
    assert "has gone; run the command again to go on" in log.read_text().splitlines()[-1]
    assert "Traceback" not in log.read_text()
    # What is left is done by processes of this machine.
    assert subprocess.run([sys.executable, "-c", PROGRAM, *command, "--jobs", "2"], check=False).returncode == 0
    assert cli.main([name, *COMMANDS[name], "-o", str(whole)]) == 0
    assert results(output) == results(whole) and results(whole)
    assert not list(tmp_path.glob("**/.kipoi_motifrep.*")) and not list(tmp_path.glob("*.shards"))
