"""Sweeps: networks trained in processes of their own, by the command and by a scheduler."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.training import QUICK, RUN, assert_same, contents

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.workers import THREAD_VARIABLES
from kipoi_motifrep.training import sweep
from kipoi_motifrep.training.runs import Protocol, Run
from kipoi_motifrep.training.sweep import plan, run_sweep
from kipoi_motifrep.training.train import train_run

EXAMPLE = Path(__file__).parents[2] / "kipoi_motifrep/sequences/examples/synthetic.h5"


def test_a_plan_takes_all_architectures_of_a_trial_before_the_next():
    assert plan(["cnn_2", "cnn_4"], 2, 7) == [
        Run("cnn_2", 0, 7),
        Run("cnn_4", 0, 7),
        Run("cnn_2", 1, 7),
        Run("cnn_4", 1, 7),
    ]
    assert len(plan(["all"], 1, 0)) == 17


def test_neither_jobs_nor_threads_outside_change_a_network(tmp_path, monkeypatch):
    run = Run("cnn_1", 0, 0)
    for jobs, threads in ((1, "2"), (2, "1")):
        for variable in THREAD_VARIABLES:
            monkeypatch.setenv(variable, threads)
        [result] = run_sweep([run], EXAMPLE, tmp_path / str(jobs), Protocol(epochs=1), jobs)
        assert result.error == ""
    assert_same(run.folder(tmp_path / "1"), run.folder(tmp_path / "2"))


@pytest.mark.parametrize("option", ["--architecture", "--variant", "--variants"])
def test_the_option_is_known_by_its_names_before(option):
    parser = cli.build_parser()
    for command in (["train", "x.h5"], ["experiment"]):
        assert parser.parse_args([*command, "-o", "out", option, "cnn_2", "cnn_4"]).architecture == ["cnn_2", "cnn_4"]
    assert parser.parse_args(["train", "x.h5", "-o", "out"]).architecture == ["cnn_25"]
    assert parser.parse_args(["experiment", "-o", "out"]).architecture == ["all"]


def test_a_network_that_fails_does_not_stop_the_others(dataset, finished, tmp_path):
    broken = tmp_path / "cnn_2" / "trial_0"
    broken.mkdir(parents=True)
    (broken / "result.json").write_text("{broken")
    (tmp_path / "cnn_4").write_text("a file where a folder should be")
    runs = [Run("cnn_2", 0, 0), Run("cnn_4", 0, 0), RUN]
    results = {result.run: result for result in run_sweep(runs, dataset.path, tmp_path, QUICK)}
    assert set(results) == set(runs)
    assert results[runs[0]].contents is None and "JSONDecodeError" in results[runs[0]].error
    assert "cnn_2/trial_0/result.json: is damaged" in results[runs[0]].error
    assert results[runs[1]].contents is None and "cnn_4" in results[runs[1]].error
    assert results[RUN].contents["test"].keys() == finished[1]["test"].keys()
    history, expected = contents(RUN.folder(tmp_path))[0], contents(finished[0])[0]
    np.testing.assert_allclose(np.array(history, float), np.array(expected, float), rtol=1e-3)


def test_a_killed_program_goes_on_where_it_was(dataset, tmp_path):
    command = [
        sys.executable,
        "-c",
        "import sys; from kipoi_motifrep.cli import main; sys.exit(main())",
        "train",
        dataset.path,
        "--architecture",
        "cnn_50_2",
        "--epochs",
        "6",
        "--batch-size",
        "4",
        "--out",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    state = tmp_path / "cnn_50_2" / "trial_0" / "state.keras"
    while not state.exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (state.parent / "result.json").exists()
    told = []
    result = train_run(RUN, dataset, tmp_path, Protocol(batch_size=4, epochs=6), told.append)
    assert result["epochs"] == 6 and len(told) < 6
    assert [row["epoch"] for row in told] == list(range(7 - len(told), 7))
    left = [path.name for path in state.parent.iterdir() if not path.name.startswith(".")]
    assert sorted(left) == ["history.csv", "network.keras", "result.json"]


@pytest.mark.skipif(not list(Path("/proc/self/task").glob("*/children")), reason="processes are listed by Linux only")
def test_workers_end_with_the_program(dataset, tmp_path):
    command = [
        sys.executable,
        "-c",
        "import sys; from kipoi_motifrep.cli import main; sys.exit(main())",
        "train",
        dataset.path,
        "--architecture",
        "cnn_25",
        "cnn_50",
        "--jobs",
        "2",
        "--batch-size",
        "8",
        "--epochs",
        "100000",
        "--patience",
        "100000",
        "--out",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: list(tmp_path.glob("*/trial_0/state.keras")))
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    workers = [Path("/proc", pid) for task in tasks for pid in task.read_text().split()]
    process.kill()
    process.wait()
    try:
        assert len(workers) >= 3  # one of them keeps count of shared resources
        wait_for(lambda: not any(map(is_running, workers)))
    finally:
        for worker in filter(is_running, workers):
            os.kill(int(worker.name), signal.SIGKILL)


def is_running(process):
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)


@pytest.mark.parametrize(("backend", "problem"), [("nope", "must be one of tensorflow"), ("openvino", "not installed")])
def test_a_backend_that_is_not_there_is_one_line(dataset, tmp_path, monkeypatch, capsys, backend, problem):
    if backend == "openvino" and importlib.util.find_spec(backend):
        pytest.skip("it is installed")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    assert cli.main(["train", str(dataset.path), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and problem in said[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, words",
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--patience", "0"], "patience is 0"),
        (["--learning-rate", "0"], "--learning-rate is 0"),
        (["--learning-rate", "nan"], "--learning-rate is nan"),
        (["--trials", "0"], "trials is 0"),
        (["--jobs", "0"], "jobs is 0"),
        (["--architecture", "cnn_3"], "no architecture 'cnn_3'"),
    ],
)
def test_options_that_make_no_sense(dataset, tmp_path, capsys, options, words):
    assert cli.main(["train", dataset.path, "--out", str(tmp_path / "runs"), *options]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_log_file_gets_a_line_a_minute(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr(sweep.time, "monotonic", lambda: now[0])
    progress = sweep._Progress(2, Protocol(epochs=50))
    for epoch, seconds in ((1, 30), (2, 29), (3, 2), (4, 58), (5, 2)):
        now[0] += seconds
        progress.show({"run": ("cnn_2", 0, 0), "epoch": {"epoch": epoch, "val_loss": 1 / epoch}})
    progress.close()
    lines = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        f"epochs: cnn_2 trial 0 {epoch} (at most 50); validation losses: cnn_2 {1 / epoch:.4f}" for epoch in (3, 5)
    ]


def test_train_on_a_file_that_is_no_dataset(tmp_path, capsys):
    (tmp_path / "x.h5").write_text("text")
    assert cli.main(["train", str(tmp_path / "x.h5"), "--out", str(tmp_path / "runs")]) == 2
    assert "not a readable HDF5 file" in capsys.readouterr().err


def test_a_dask_scheduler_trains_the_same_network(tmp_path):
    distributed = pytest.importorskip("distributed")
    run, protocol = Run("cnn9_25", 0, 0), Protocol(epochs=1)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        [there] = run_sweep([run], EXAMPLE, tmp_path / "there", protocol, scheduler=cluster.scheduler_address)
    [here] = run_sweep([run], EXAMPLE, tmp_path / "here", protocol)
    assert there.error == here.error == ""
    assert there.contents["test"] == here.contents["test"]
    assert_same(run.folder(tmp_path / "there"), run.folder(tmp_path / "here"))


def test_a_worker_that_dies_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "_train", lambda run, **given: os._exit(1))
    [result] = run_sweep([Run("cnn9_25", 0, 0)], EXAMPLE, tmp_path, Protocol(epochs=1))
    assert result.contents is None and "run the command again" in result.error
