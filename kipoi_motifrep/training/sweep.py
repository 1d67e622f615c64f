"""Training many networks: which ones, in how many processes, and how far along they are."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from kipoi_motifrep.core.errors import InputError, one_line
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.datasets.hdf5 import open_dataset
from kipoi_motifrep.networks.backend import check_backend, import_keras
from kipoi_motifrep.training.architectures import select
from kipoi_motifrep.training.train import PAPER_PROTOCOL, Protocol, Run, check_splits, train_run

_messages = None


@dataclass(frozen=True)
class RunResult:
    """How the training of one network ended.

    Attributes
    ----------
    run : Run
        Which one.
    contents : dict or None
        Contents of its ``result.json``.
    error : str
        Why there is no result.
    """

    run: Run
    contents: dict | None
    error: str = ""


def plan(architectures: Sequence[str], trials: int, seed: int) -> list[Run]:
    """List the networks of a sweep, all architectures of a trial before the next trial.

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
    """
    if trials < 1:
        raise InputError(f"trials is {trials}; it must be at least 1")
    return [Run(name, trial, seed) for trial in range(trials) for name in select(architectures)]


def run_sweep(runs: Sequence[Run], dataset_path: str | os.PathLike, out: str | os.PathLike,
              protocol: Protocol = PAPER_PROTOCOL, jobs: int = 1,
              scheduler: str | None = None) -> Iterator[RunResult]:
    """Train networks side by side, and give each result as it comes.

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
        Processes side by side, of one thread each if there are several.
    scheduler : str, optional
        Address of a Dask scheduler that runs the networks instead; its workers
        must see `dataset_path` and `out` under the same names.

    Yields
    ------
    RunResult
        A network that fails has an error, and the rest go on.
    """
    check_splits(open_dataset(dataset_path))  # a bad file is told before any process starts
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be at least 1")
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    progress = _Progress(len(runs), protocol)
    where = [os.path.abspath(path) for path in (dataset_path, out)]
    with _executor(jobs, scheduler, context, messages) as pool:
        waiting = {pool.submit(_train, run, *where, protocol): run for run in runs}
        try:
            while waiting:
                progress.drain(messages)
                for future in [future for future in waiting if future.done()]:
                    run = waiting.pop(future)
                    progress.finish(run)
                    yield _result_of(future, run)
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
        finally:
            progress.close()


@contextmanager
def _executor(jobs: int, scheduler: str | None, context, messages: multiprocessing.Queue) -> Iterator[Executor]:
    if scheduler is None:
        check_backend()
        with ProcessPoolExecutor(jobs, context, _start_worker, (messages, 0 if jobs == 1 else 1)) as pool:
            yield pool
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


def _result_of(future: Future, run: Run) -> RunResult:
    try:
        return future.result()
    except Exception as error:  # a worker that was killed, for example for its memory
        return RunResult(run, None, f"its process ended ({type(error).__name__}); run the command again to go on")


def _start_worker(messages: multiprocessing.Queue, threads: int) -> None:
    global _messages
    _messages = messages
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads:
        for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ[variable] = str(threads)
    import_keras()


def _end_with_parent() -> None:
    """End this worker when the command is killed: it would train on, beside the one that goes on from there."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _train(run: Run, dataset_path: str, out: str, protocol: Protocol) -> RunResult:
    try:
        result = train_run(run, open_dataset(dataset_path), out, protocol,
                           on_epoch=None if _messages is None else lambda row: _messages.put((run, row)))
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

        self._bar = tqdm(total=n_runs * protocol.epochs, desc="training", unit="epoch", file=sys.stderr,
                         disable=not sys.stderr.isatty())
        self._epochs: dict[Run, int] = {}
        self._losses: dict[Run, str] = {}
        self._most = protocol.epochs

    def drain(self, messages: multiprocessing.Queue) -> None:
        try:
            run, row = messages.get(timeout=0.2)
        except queue.Empty:
            return
        self._bar.update(row["epoch"] - self._epochs.get(run, 0))
        self._epochs[run] = row["epoch"]
        self._losses[run] = f"{run.architecture} {row['val_loss']:.4f}"
        self._bar.set_postfix_str(", ".join(self._losses.values()))

    def finish(self, run: Run) -> None:
        self._losses.pop(run, None)
        self._bar.total -= self._most - self._epochs.get(run, 0)
        self._bar.refresh()

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
    metrics = ", ".join(f"{key.upper()} {test[key]:.3f}" for key in ("auroc", "aupr") if test[key] is not None)
    say(f"{name}: {result.contents['epochs']} epochs, {result.contents['seconds']:.0f} s, test {metrics}")
