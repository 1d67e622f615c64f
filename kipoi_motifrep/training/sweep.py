"""Training many networks: which ones, in how many processes, and how far along they are."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from kipoi_motifrep.core.errors import InputError, one_line
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.networks.backend import check_backend, import_keras
from kipoi_motifrep.training.architectures import select
from kipoi_motifrep.training.runs import PAPER_PROTOCOL, Epoch, Protocol, Result, Run
from kipoi_motifrep.training.train import check_splits, train_run

# What TensorFlow and PyTorch ask for the number of threads of one operation and of operations side by side.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
TICK = 0.2  # seconds between two looks at what the workers say

_messages: multiprocessing.Queue[tuple[Run, Epoch]] | None = None  # in a worker of ours: to the program


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
        Address of a Dask scheduler that runs the networks instead; its workers
        must see `dataset_path` and `out` under the same names.

    Yields
    ------
    RunResult
        A network that fails has an error, and the rest go on.

    Raises
    ------
    InputError
        If a split of the data set is empty, `jobs` is below 1, the backend of Keras is not
        there, or no scheduler answers.
    """
    check_splits(open_dataset(dataset_path))  # a bad file is told before any process starts
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be at least 1")
    messages = multiprocessing.get_context("spawn").Queue()
    progress = _Progress(len(runs), protocol)
    data, folder = os.path.abspath(dataset_path), os.path.abspath(out)  # workers of Dask may be at work elsewhere
    with _executor(jobs, scheduler, messages) as executor:
        waiting = {executor.submit(_train, run, data, folder, protocol): run for run in runs}
        try:
            while waiting:
                done, _ = wait(waiting, TICK, FIRST_COMPLETED)
                progress.show(messages)
                for future in done:
                    run = waiting.pop(future)
                    progress.finish(run)
                    try:
                        result = future.result()
                    except Exception as error:  # a worker that was killed, for example for its memory
                        result = RunResult(
                            run, None, f"its process ended ({type(error).__name__}); run the command again to go on"
                        )
                    yield result
        finally:
            for future in waiting:  # none is left, unless this generator was stopped
                future.cancel()
            progress.close()


@contextmanager
def _executor(jobs: int, scheduler: str | None, messages: multiprocessing.Queue) -> Iterator[Executor]:
    """Start processes here, or take the workers of a Dask scheduler."""
    if scheduler is None:
        check_backend()
        # Spawned, not forked: TensorFlow does not survive a fork.
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker, (messages,)) as pool:
            try:
                yield pool
            except BaseException:
                for worker in multiprocessing.active_children():
                    worker.terminate()  # else the pool would wait until they have trained their networks
                raise
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask: pip install 'kipoi_motifrep[distributed]'") from error
    try:
        client = Client(scheduler, timeout="30s")
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {scheduler} ({one_line(error)})") from error
    with client:
        yield client.get_executor(pure=False)


def _start_worker(messages: multiprocessing.Queue) -> None:
    """Prepare a process of ours: where it reports epochs, and that it ends when the program is killed.

    A worker that outlives the program would train on, beside the one that goes on from there.
    """
    global _messages
    _messages = messages
    program = multiprocessing.parent_process()
    assert program is not None  # this is a worker

    def end_with_program() -> None:
        program.join()
        os._exit(1)

    threading.Thread(target=end_with_program, daemon=True).start()


def _train(run: Run, dataset_path: str, out: str, protocol: Protocol) -> RunResult:
    """Train one network in a worker, on one thread.

    With several threads sums are added up in another order and rounded otherwise, so that the number of threads would
    decide, with the seed, which network comes out. A backend reads the variables when it starts; in a worker of Dask
    that has used it before, it keeps its threads.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    messages = _messages
    try:
        import_keras()
        result = train_run(
            run,
            open_dataset(dataset_path),
            out,
            protocol,
            on_epoch=None if messages is None else lambda epoch: messages.put((run, epoch)),
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
        self._finished: set[Run] = set()
        self._most = protocol.epochs

    def show(self, messages: multiprocessing.Queue[tuple[Run, Epoch]]) -> None:
        """Take in all epochs that workers have reported."""
        while True:
            try:
                run, epoch = messages.get_nowait()
            except queue.Empty:
                break
            if run in self._finished:  # messages may come later than the result
                continue
            # A resumed run begins with a later epoch than the first.
            self._bar.update(epoch["epoch"] - self._last.get(run, {"epoch": 0})["epoch"])
            self._last[run] = epoch
        self._bar.set_postfix_str(
            ", ".join(f"{run.architecture} {epoch['val_loss']:.4f}" for run, epoch in self._last.items())
        )

    def finish(self, run: Run) -> None:
        """Take the epochs that a network did not need out of the total."""
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
    say(f"{name}: {result.contents['epochs']} epochs, {result.contents['seconds']:.0f} s, test {', '.join(metrics)}")
