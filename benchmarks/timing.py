"""How the scripts here measure and what they print: one row a contestant, tab-separated.

Every round runs each contestant of a work once, so that other work on the machine hits all of them. Seconds are medians
of the rounds; a ratio is the median of those of the rounds, ours over the other's: below 1 where ours is faster.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

COLUMNS = ("benchmark", "work", "threads", "contestant", "seconds", "ours / it", "note")
OURS = "kipoi_motifrep"
ALL_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
Run = Callable[[], object]
# As where a package is installed: a checkout without bytecode would be compiled anew by each process that is timed.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that all scripts have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--cpu", action="store_true", help="processor time: tells more on a machine that is busy")
    return made


def installed(name: str) -> bool:
    """Whether a peer is there."""
    return importlib.util.find_spec(name) is not None


def seconds_of(run: Run, cpu: bool = False) -> float:
    """Time one run, children included."""

    def now() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used) if cpu else time.perf_counter()

    start = now()
    run()
    return now() - start


def show(benchmark: str, work: str, threads: int | str, times: Mapping[str, Sequence[float]], note: str = "") -> None:
    """Print the rows of one work; the first contestant is ours."""
    ours = np.asarray(next(iter(times.values())))
    for place, (name, seconds) in enumerate(times.items()):
        ratio = f"{np.median(ours / np.asarray(seconds)):.2g}" if place else ""
        row = (benchmark, work, str(threads), name, f"{np.median(seconds):.3g}", ratio, "" if place else note)
        print("\t".join(row), flush=True)


def compare(
    benchmark: str,
    work: str,
    runs: Mapping[str, Run],
    options: argparse.Namespace,
    *,
    threads: int | str = 1,
    warm: bool = True,
    note: str = "",
) -> None:
    """Time contestants round by round, ours first, and print the rows; without `warm` there is one round alone."""
    if warm:
        for run in runs.values():
            run()  # caches, compiled code
    rounds = [[seconds_of(run, options.cpu) for run in runs.values()] for _ in range(options.rounds if warm else 1)]
    show(benchmark, work, threads, dict(zip(runs, np.array(rounds).T, strict=True)), note)
