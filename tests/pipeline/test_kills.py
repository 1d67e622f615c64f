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

from kipoi_motifrep.pipeline.scan import scan

keras = pytest.importorskip("keras")
pytest.importorskip("distributed")

SCAN = {"bin": 20, "stride": 5, "batch_size": 1}  # 16 bins a shard: 30 shards


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(3)
    stack = keras.layers.Conv1D(4, 5, activation="relu"), keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(3)
    keras.Sequential([keras.Input((20, 4)), *stack]).save(folder / "network.keras")
    letters = np.random.default_rng(1).choice(list("ACGT"), 2400)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(letters) + "\n")
    scan(folder / "network.keras", folder / "genome.fa", folder / "whole.parquet", **SCAN)
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

    address = said(start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1"), r"(tcp://127\S+:\d+)")
    for _ in range(2):
        start("worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "30")
    yield address, started
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def said(log, pattern, seconds=90):
    return wait_for(lambda: re.search(pattern, log.read_text()), seconds)[1]


def wait_for(condition, seconds=240):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return found


def children(process):
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def parts(output):
    return len(list(Path(f"{output}.shards").glob("*.npz")))


@pytest.mark.slow
@pytest.mark.skipif(not list(Path("/proc/self/task").glob("*/children")), reason="processes are listed by Linux only")
def test_whoever_is_killed(files, cluster, tmp_path):
    address, (scheduler, *workers) = cluster
    output = tmp_path / "scan.parquet"
    command = [sys.executable, "-c", "import sys; from kipoi_motifrep.cli import main; sys.exit(main())", "scan"]
    command += [str(files / "network.keras"), "--genome", str(files / "genome.fa"), "-o", str(output)]
    command += ["--bin", "20", "--stride", "5", "--batch-size", "1", "--scheduler", address]
    # A worker: its nanny starts another one, and the scan goes on.
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: parts(output) > 2 or program.poll() is not None)
    for pid in children(workers[0]):
        os.kill(pid, signal.SIGKILL)
    before = parts(output)
    wait_for(lambda: parts(output) > before + 4 or program.poll() is not None)
    # The program.
    program.kill()
    program.wait()
    assert 0 < parts(output) < 30 and not output.exists()
    # The scheduler: the program says so in one line.
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    before = parts(output)
    wait_for(lambda: parts(output) > before + 2 or program.poll() is not None)
    os.killpg(scheduler.pid, signal.SIGKILL)
    _, told = program.communicate(timeout=120)
    assert program.returncode == 2 and "has gone; run the command again to go on" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert before < parts(output) < 30
    # What is left is done here.
    scan(files / "network.keras", files / "genome.fa", output, **SCAN)
    assert output.read_bytes() == (files / "whole.parquet").read_bytes()
