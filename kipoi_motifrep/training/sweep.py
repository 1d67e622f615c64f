"""Training many networks: which ones, in how many processes, and how far along they are."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial

from kipoi_motifrep.core.errors import InputError, one_line
from kipoi_motifrep.core.progress import counted, say
from kipoi_motifrep.core.workers import WorkerLost, open_workers, tell_program
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.networks.backend import check_backend, import_keras
from kipoi_motifrep.training.architectures import select
from kipoi_motifrep.training.runs import PAPER_PROTOCOL, Epoch, Protocol, Result, Run
from kipoi_motifrep.training.train import check_splits, train_run

LOGGED_EVERY = 60  # seconds


@dataclass(frozen=True)
class RunResult:
    """How the training of one network ended.

    Attributes
    ----------
    run : Run
        Which one.
    contents : Result or None
        Contents of its ``result.json``.
    error : str
        Why there is no result.
    """

    run: Run
    contents: Result | None
    error: str = ""


def plan(architectures: Sequence[str], trials: int, seed: int) -> list[Run]:
    """List the runs of a sweep, all architectures of a trial before the next trial.

    Parameters
    ----------
    architectures : sequence of str
        Names, or ``["all"]``.
    trials : int
        Initialisations of each.
    seed : int
        Of the sweep.

    Returns
    -------
    list of Run
        In the order of training.

    Raises
    ------
    InputError
        If there is no architecture of a name, or `trials` is below 1.

    Examples
    --------
    >>> [(run.architecture, run.trial) for run in plan(["cnn_2", "cnn_25"], trials=2, seed=0)]
    [('cnn_2', 0), ('cnn_25', 0), ('cnn_2', 1), ('cnn_25', 1)]
    """
    if trials < 1:
        raise InputError(f"trials is {trials}; it must be at least 1")
    return [Run(name, trial, seed) for trial in range(trials) for name in select(architectures)]


def run_sweep(
    runs: Sequence[Run],
    dataset_path: str | os.PathLike,
    out: str | os.PathLike,
    protocol: Protocol = PAPER_PROTOCOL,
    jobs: int = 1,
    scheduler: str | None = None,
) -> Iterator[RunResult]:
    """Train networks side by side, each on one thread, and give each result as it comes.

    Parameters
    ----------
    runs : sequence of Run
        The networks. Those already finished in `out` come back at once.
    dataset_path : str or path-like
        A dataset file.
    out : str or path-like
        Folder of the sweep.
    protocol : Protocol
        The paper's by default.
    jobs : int, default 1
        Processes side by side.
    scheduler : str, optional
        Address of a Dask scheduler that runs the networks instead; its workers must see `out` under the same name.

    Yields
    ------
    RunResult
        A network that fails has an error, and the rest go on.

    Raises
    ------
    InputError
        If a split of the data set is empty, the backend of Keras is not there, or there are no workers
        (see :func:`kipoi_motifrep.core.workers.open_workers`).
    """
    check_splits(open_dataset(dataset_path))  # a bad file is told before any process starts
    if scheduler is None:
        check_backend()
    progress = _Progress(len(runs), protocol)
    data, folder = os.path.abspath(dataset_path), os.path.abspath(out)  # workers may be at work elsewhere
    try:
        with open_workers(jobs, scheduler, [data], folder) as workers:
            train = partial(_train, dataset_path=data, out=folder, protocol=protocol)
            for number, outcome in workers.results(train, runs, hear=progress.show):
                progress.finish(runs[number])
                if isinstance(outcome, WorkerLost):
                    yield RunResult(runs[number], None, one_line(outcome))
                else:
                    yield outcome
    finally:
        progress.close()


def _train(run: Run, dataset_path: str, out: str, protocol: Protocol) -> RunResult:
    """Train one network in a worker."""
    try:
        import_keras()
        result = train_run(
            run,
            open_dataset(dataset_path),
            out,
            protocol,
            on_epoch=lambda epoch: tell_program({"run": list(astuple(run)), "epoch": dict(epoch)}),
        )
    except (InputError, OSError) as error:
        return RunResult(run, None, one_line(error))
    except Exception as error:
        return RunResult(run, None, f"{type(error).__name__}: {one_line(error)}")
    return RunResult(run, result)


class _Progress:
    """A bar of epochs, with the losses of the networks under way.

    Networks that stop early make the total smaller, so the time left is at most
    what it says.
    """

    def __init__(self, n_runs: int, protocol: Protocol):
        from tqdm import tqdm

        self._bar = tqdm(
            total=n_runs * protocol.epochs,
            desc="training",
            unit="epoch",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
        )
        self._last: dict[Run, Epoch] = {}  # of the networks under way
        self._said = time.monotonic()
        self._finished: set[Run] = set()
        self._most = protocol.epochs
        self._turn = threading.Lock()  # epochs are heard of in a thread of Dask's

    def show(self, message: dict) -> None:
        """Take in an epoch that a worker has reported."""
        run, epoch = Run(*message["run"]), message["epoch"]
        with self._turn:
            if run in self._finished:  # messages may come later than the result
                return
            # A resumed run begins with a later epoch than the first.
            self._bar.update(epoch["epoch"] - self._last.get(run, {"epoch": 0})["epoch"])
            self._last[run] = epoch
            losses = ", ".join(f"{one.architecture} {last['val_loss']:.4f}" for one, last in self._last.items())
            self._bar.set_postfix_str(losses)
            # Into a log file goes no bar, but a line a minute, by which one sees that it goes on.
            if self._bar.disable and time.monotonic() - self._said >= LOGGED_EVERY:
                self._said = time.monotonic()
                epochs = ", ".join(
                    f"{one.architecture} trial {one.trial} {last['epoch']}" for one, last in self._last.items()
                )
                say(f"{time.strftime('%H:%M:%S')} epochs: {epochs} (at most {self._most}); validation losses: {losses}")

    def finish(self, run: Run) -> None:
        """Take the epochs that a network did not need out of the total."""
        with self._turn:
            self._finished.add(run)
            last = self._last.pop(run, None)
            self._bar.total -= self._most - (last["epoch"] if last else 0)
            self._bar.clear()  # a line about the network takes its place; the bar comes back below

    def close(self) -> None:
        self._bar.close()


def report(result: RunResult) -> None:
    """Print how the training of a network ended on standard error.

    Parameters
    ----------
    result : RunResult
        From :func:`run_sweep`.
    """
    name = f"{time.strftime('%H:%M:%S')} {result.run.architecture} trial {result.run.trial}"
    if result.contents is None:
        say(f"{name}: failed: {result.error}")
        return
    test = result.contents["test"]
    metrics = [
        f"{key.upper()} {value:.3f}"
        for key, value in (("auroc", test["auroc"]), ("aupr", test["aupr"]))
        if value is not None
    ]
    epochs = counted(result.contents["epochs"], "epoch")
    say(f"{name}: {epochs}, {result.contents['seconds']:.0f} s, test {', '.join(metrics)}")
