"""Shards worked on side by side: in this process, in processes of this machine, or by the workers of a scheduler.

Dask does the work: it hands shards out, starts a worker again that has died, and has another one do its shard. Here is
what it does not know: that each worker has this package and the files, what a failure is called, and the order of sums.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import logging
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr
from dataclasses import fields, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kipoi_motifrep import __version__
from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError, a_few, first_line, one_line
from kipoi_motifrep.core.scratch import scratch

T = TypeVar("T")
R = TypeVar("R")
Hear = Callable[[dict], object]

# What TensorFlow and PyTorch ask for the number of threads of one operation and of operations side by side.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
PACKAGE = "kipoi_motifrep"
SENT_AT_MOST = 256 << 20  # bytes of files that the scheduler carries: it holds them in memory
ANSWER = "5s"  # until a scheduler must have answered; one that is there does so in milliseconds
FIRST_WORKER = 60  # seconds until a scheduler must have a worker: a cluster's queue may have to start it
LOST = "its process ended"

_turn = threading.Lock()
_opened: list[tuple[bytes, Any]] = []  # in a worker: what its last task worked with
_sent: dict[str, str] = {}  # in a worker: files that came from the program, and where they lie here
_in_worker = False
_topic = ""  # in a worker: where its task's messages go


class WorkerLost(InputError):
    """A task ended every worker that it was given to, such as for its memory."""


class Workers(Protocol):
    """Where tasks are done."""

    @property
    def here(self) -> bool:
        """Whether that is this process."""

    def results(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        *,
        hear: Hear | None = None,
        where: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, R | WorkerLost]]:
        """Call a function on each item, and give each result as it comes.

        Parameters
        ----------
        function : callable
            Of a module, or a partial of one, with arguments that can be pickled.
        items : sequence
            Such as shards.
        hear : callable, optional
            Takes what tasks give to :func:`tell_program` on their way.
        where : sequence of str, optional
            From :func:`this_worker`: who should do each item, if it is there, since it has kept something of it.

        Yields
        ------
        number : int
            Place of the item.
        result : object
            What the function gave; a `WorkerLost` if that could not be.
        """


@contextmanager
def open_workers(
    jobs: int | None = None, scheduler: str | None = None, files: Sequence[str] = (), folder: str | None = None
) -> Iterator[Workers]:
    """Get workers: this process, processes of this machine (a Dask cluster of its own), or those of a scheduler.

    Parameters
    ----------
    jobs : int, optional
        Processes of this machine, one thread each. Without, and without a scheduler, the work is done in this process.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are taken instead.
    files : sequence of str, optional
        Full paths of the files that tasks will read. A worker of the scheduler that does not have one there is
        sent it, if those that are sent are no more than 256 MiB together.
    folder : str, optional
        Full path of a folder that tasks write to; workers must share it.

    Yields
    ------
    Workers
        All of them have this package, in this version, and the files.

    Raises
    ------
    InputError
        If `jobs` is below 1, Dask is not installed, no scheduler answers, or a worker lacks the package, a file or the
        folder.

    Examples
    --------
    >>> with open_workers() as workers:
    ...     dict(workers.results(len, ["a", "bcd"]))
    {0: 1, 1: 3}
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be at least 1")
    if jobs is None and scheduler is None:
        yield _Here()
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        option = "--jobs" if scheduler is None else "--scheduler"
        raise InputError(f"{option} needs Dask: pip install 'dask[distributed]'") from error
    with _quiet():
        if scheduler is None:
            try:
                # No limit of memory: Dask's is a share of the machine's by cores, which a framework alone may pass.
                cluster = LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    memory_limit=0,
                    dashboard_address="127.0.0.1:0",
                    silence_logs="CRITICAL",
                    env=dict.fromkeys(THREAD_VARIABLES, "1"),
                )
            except RuntimeError as error:  # each process runs the program's own script once more, to find functions
                raise InputError(
                    f"the processes do not start ({first_line(error)}); a script that asks for jobs must do its work "
                    "below the line: if __name__ == '__main__':"
                ) from error
            with cluster, Client(cluster) as client:
                yield _Dask(client, "the scheduler on this machine")
            return
        try:
            # Not by a Client, which ends half a minute later with a traceback, if it could not connect. In a thread,
            # since a notebook has a loop of its own in this one.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _call(scheduler)).result()
            client = Client(scheduler, timeout=ANSWER)
        except Exception as error:  # of a protocol that is none, or is not installed, each its own
            reason = one_line(error) or type(error).__name__
            raise InputError(
                f"no Dask scheduler answers at {scheduler} ({reason}); give its address, such as tcp://head:8786"
            ) from error
        with client, _equipped(client, scheduler, files, folder):
            yield _Dask(client, f"the scheduler at {scheduler}")


async def _call(scheduler: str) -> None:
    """See that a scheduler answers."""
    from distributed import Security
    from distributed.comm import connect

    comm = await connect(scheduler, timeout=ANSWER, **Security().get_connection_args("client"))
    await comm.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own log back, which is for those who run a cluster; what a user must know is said by errors."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]
    loggers = [logging.getLogger(name) for name in (*names, "asyncio", "tornado.application")]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    yield
    # Not after an error: tasks of a connection that broke complain when they are cleared away, later.
    for one, level in zip(loggers, before, strict=True):
        one.setLevel(level)


def in_order(outcomes: Iterable[tuple[int, R | WorkerLost]]) -> Iterator[R]:
    """Bring results into the order of their items, so that sums do not depend on which worker was the first.

    Parameters
    ----------
    outcomes : iterable of (int, object)
        From :meth:`Workers.results`.

    Yields
    ------
    object
        Results.

    Raises
    ------
    WorkerLost
        If one of them is that.

    Examples
    --------
    >>> list(in_order([(1, "b"), (0, "a")]))
    ['a', 'b']
    """
    early: dict[int, R] = {}
    number = 0
    for place, outcome in outcomes:
        if isinstance(outcome, WorkerLost):
            raise outcome
        early[place] = outcome
        while number in early:
            yield early.pop(number)
            number += 1


def opened_once(make: Callable[[T], R], request: T) -> R:
    """Open what tasks work with, such as a model, once in each process.

    Parameters
    ----------
    make : callable
        Opens it.
    request : object
        What `make` is given; the paths in it are those of this machine.

    Returns
    -------
    object
        Kept until something else is asked for.
    """
    key = pickle.dumps((make, request))
    if not _opened or _opened[0][0] != key:
        _opened.clear()  # before the next one is made: two of them may not fit into memory
        _opened.append((key, make(as_here(request))))
    return _opened[0][1]


def as_here(value: Any) -> Any:
    """Put in place of files that were sent to this worker the copies of them.

    Parameters
    ----------
    value : object
        Paths, or mappings, lists and dataclasses with paths in them.

    Returns
    -------
    object
        The same, where nothing was sent.

    Examples
    --------
    >>> as_here({"fasta": "peaks.fa", "length": 200})
    {'fasta': 'peaks.fa', 'length': 200}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: as_here(getattr(value, one.name)) for one in fields(value)})
    if isinstance(value, (str, os.PathLike)):
        path = os.fspath(value)
        # Of a Kipoi model its folder is named, and of a group something below it; of a class, what follows its file.
        known = next((one for one in (path, path.partition(":")[0], *map(str, Path(path).parents)) if one in _sent), "")
        return _sent[known] + path[len(known) :] if known else value
    if isinstance(value, Mapping):
        return {name: as_here(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([as_here(one) for one in value])
    return value


def this_worker() -> str:
    """Name the worker that this task runs in; empty in the program itself."""
    if not _in_worker:
        return ""
    from distributed import get_worker

    return get_worker().address


def tell_program(message: dict) -> None:
    """Send a message from a task to the program that asked for it.

    Parameters
    ----------
    message : dict
        Of plain values.
    """
    if _topic:
        from distributed import get_worker

        get_worker().log_event(_topic, message)


class _Here:
    here = True

    def results(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        *,
        hear: Hear | None = None,
        where: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, R | WorkerLost]]:
        return ((number, function(item)) for number, item in enumerate(items))


class _Dask:
    here = False

    def __init__(self, client: Any, name: str):
        self._client, self._name = client, name

    def results(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        *,
        hear: Hear | None = None,
        where: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, R | WorkerLost]]:
        from distributed import CancelledError, as_completed
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        topic = f"kipoi_motifrep-{uuid.uuid4().hex}" if hear is not None else ""
        if hear is not None:
            self._client.subscribe_topic(topic, lambda event: hear(event[1]))
        waiting: dict[str, int] = {}
        coming, left = as_completed(), enumerate(items)
        gone = InputError(f"{self._name} has gone; run the command again to go on")

        def hand_out() -> None:
            """Let each worker have a task in hand and a next one, and no more: results must fit into memory."""
            try:
                n_workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
            except OSError as error:
                raise gone from error
            for number, item in islice(left, max(1, 2 * n_workers + 1 - len(waiting))):
                hint = {} if where is None else {"workers": [where[number]], "allow_other_workers": True}
                future = self._client.submit(_do, function, item, topic, pure=False, **hint)
                waiting[future.key] = number
                coming.add(future)

        try:
            hand_out()
            while waiting:
                future = next(coming)
                number = waiting.pop(future.key)
                try:
                    outcome = future.result()
                except KilledWorker:
                    outcome = WorkerLost(f"{LOST} each time it was tried; run the command again to go on")
                except (CancelledError, CommClosedError) as error:  # between two results, or amid one
                    raise gone from error
                future.release()
                hand_out()
                yield number, outcome
        finally:
            if hear is not None and self._client.status == "running":
                self._client.unsubscribe_topic(topic)
            coming.clear()


def _do(function: Callable[[T], R], item: T, topic: str) -> R:
    """Do a task in a worker: one at a time, on one thread, and without a word, which nobody would read there.

    With several threads some sums are added up in another order and rounded otherwise. A framework reads the variables
    when it starts; in a worker that has used it before, it keeps its threads.
    """
    global _topic, _in_worker
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    with _turn, redirect_stderr(io.StringIO()):
        _topic, _in_worker = topic, True
        return function(item)


@contextmanager
def _equipped(client: Any, scheduler: str, files: Sequence[str], folder: str | None) -> Iterator[None]:
    """See that each worker has this package and the files; send them what one of them lacks."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError as error:
        raise InputError(f"the scheduler at {scheduler} has had no worker for {FIRST_WORKER} s; start some") from error
    # By a function of Python's own first: one of this package could not be called where it is not installed.
    cure = f"install it there: pip install kipoi_motifrep=={__version__}"
    for worker, spec in client.run(importlib.util.find_spec, PACKAGE).items():
        if spec is None:
            raise InputError(f"worker {worker} does not have {PACKAGE}; {cure}")
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
        with scratch(folder) as sign:
            for worker, seen in client.run(os.path.isdir, str(sign)).items():
                if not seen:
                    raise InputError(f"worker {worker} does not share this folder; give one that it does", path=folder)
    marks = {path: _mark(path) for path in files}
    missing: dict[str, str] = {}
    for worker, (version, lacking) in client.run(_lacking, marks).items():
        if version != __version__:
            raise InputError(f"worker {worker} has kipoi_motifrep {version}, not {__version__}; {cure}")
        missing.update(dict.fromkeys(lacking, worker))
    size = sum(marks[path][0] for path in missing)
    if size > SENT_AT_MOST:
        largest = max(missing, key=lambda path: marks[path][0])
        raise InputError(
            f"worker {missing[largest]} does not have it ({a_few(list(missing))}: {size >> 20} MiB, and the scheduler "
            f"carries {SENT_AT_MOST >> 20} MiB at most); put it there under the same name",
            path=largest,
        )
    if not missing:
        yield
        return
    luggage = _luggage({path: (marks[path], Path(path).read_bytes()) for path in missing})
    client.register_plugin(luggage)
    try:
        yield
    finally:
        if client.status == "running":
            client.unregister_worker_plugin(luggage.name)


def _luggage(contents: dict[str, tuple[tuple[int, str], bytes]]) -> Any:
    """Pack files for workers that lack them; Dask unpacks it in each worker, also in those that come later."""
    from distributed import WorkerPlugin

    class Luggage(WorkerPlugin):
        name = f"kipoi_motifrep-{uuid.uuid4().hex}"

        def setup(self, worker: Any) -> None:
            # This class travels as a copy, with copies of what it refers to; what must be the module's own is imported.
            from kipoi_motifrep.core import workers

            workers.unpack(contents, worker.local_directory)

    return Luggage()


def unpack(contents: Mapping[str, tuple[tuple[int, str], bytes]], folder: str) -> None:
    """Write files that came from the program, and note where: in a worker.

    Parameters
    ----------
    contents : mapping of str to (mark, bytes)
        By the paths that they have for the program. Those that are there, and are the same, are not written.
    folder : str
        Where they go, each by its whole path, so that those that name each other find each other.
    """
    for path in _lacking({path: mark for path, (mark, _) in contents.items()})[1]:
        copy = Path(folder, "kipoi_motifrep", path.lstrip("/"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(contents[path][1])
        # Folders that are not here stand for what was sent of them.
        away = [Path(path), *(one for one in Path(path).parents if not one.exists())]
        _sent.update({str(one): f"{folder}/kipoi_motifrep{one}" for one in away})


def _mark(path: str) -> tuple[int, str]:
    """Tell whether two files are one: by size, and by contents up to a size that is quickly read by all workers."""
    size = os.path.getsize(path)
    return size, file_digest(path) if size <= SENT_AT_MOST else ""


def _lacking(marks: Mapping[str, tuple[int, str]]) -> tuple[str, list[str]]:
    """Say in a worker which version it has, and which files it does not have."""
    return __version__, [path for path, mark in marks.items() if not os.path.isfile(path) or _mark(path) != mark]
