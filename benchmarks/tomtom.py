"""Tomtom's statistics and memelite's, in seconds and ratios, as one table.

    pip install memelite          # 0.5; it is no dependency of this package
    python benchmarks/tomtom.py
    python benchmarks/tomtom.py --rounds 9 --only "30 x 519"

Queries are random filters of width 19 (30 x 519, JASPAR 2016 CORE vertebrates), and 1,000 motifs of JASPAR 2026 against
JASPAR 2018 CORE vertebrates (579) and JASPAR 2026 CORE (2,633). Every round runs each contestant once, so that other
work on the machine hits all of them; seconds are medians, and a ratio is the median of those of the rounds, below 1
where ours is faster. Both sides have the same number of threads: one, and all. memelite computes p-values alone, so
ours is given without and with q-values; its exact settings leave columns of targets as they are, by default it merges
those that are nearly alike.

A fresh process pays for imports, for reading the motifs (by our reader, on both sides) and for loading compiled code.
The first run ever compiles it: into an empty folder, once, without rounds. `--cpu` takes processor time in place of
the clock's, which tells more on a machine that is busy with other work.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from kipoi_motifrep import __version__
from kipoi_motifrep.motifs import Motif, jaspar, read_motifs, write_motifs
from kipoi_motifrep.motifs.tomtom import tomtom

HAS_MEMELITE = importlib.util.find_spec("memelite") is not None
OURS, OURS_Q = "ours", "ours with q-values"
MEMELITE, EXACT = "memelite default", "memelite exact"
NAMES = [OURS, OURS_Q] + [MEMELITE, EXACT] * HAS_MEMELITE
COLUMNS = ("work", "threads", "contestant", "seconds", f"x {MEMELITE}", f"x {EXACT}")


def works() -> dict[str, tuple[list[Motif], list[Motif]]]:
    rng = np.random.default_rng(0)
    everything = jaspar.load("JASPAR2026", taxon=None).motifs
    thousand = [everything[i] for i in rng.permutation(len(everything))[:1000]]
    filters = [Motif(f"filter_{i}", rng.dirichlet([0.3] * 4, 19), nsites=19) for i in range(30)]
    return {
        "30 x 519": (filters, list(jaspar.load("JASPAR2016").motifs)),
        "1000 x 579": (thousand, list(jaspar.load("JASPAR2018").motifs)),
        "1000 x 2633": (thousand, list(everything)),
    }


def for_memelite(motifs: list[Motif]) -> list[np.ndarray]:
    """Motifs as memelite wants them: (4, width), with the pseudocount that Tomtom adds itself."""
    return [
        np.ascontiguousarray(((motif.pwm * (motif.nsites or 20) + 0.025) / ((motif.nsites or 20) + 0.1)).T)
        for motif in motifs
    ]


def contestant(name: str, queries: list[Motif], targets: list[Motif], threads: int = 1) -> Callable[[], object]:
    if name in (OURS, OURS_Q):
        return lambda: tomtom(queries, targets, qvalues=name == OURS_Q, threads=threads)
    from memelite import tomtom as memelite

    matrices = for_memelite(queries), for_memelite(targets)
    return lambda: memelite(*matrices, n_jobs=threads, **({"n_target_bins": None} if name == EXACT else {}))


def fresh(name: str, threads: int, files: list[str], cache: str | None = None) -> Callable[[], object]:
    command = [sys.executable, __file__, "--fresh", name, str(threads), *files]
    folder = {} if cache is None else {"NUMBA_CACHE_DIR": cache}
    return lambda: subprocess.run(command, check=True, env={**os.environ, **folder})


def run_fresh(name: str, threads: str, queries: str, targets: str) -> None:
    contestant(name, list(read_motifs(queries)), list(read_motifs(targets)), int(threads))()


def seconds_of(run: Callable[[], object], cpu: bool) -> float:
    def now() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used) if cpu else time.perf_counter()

    start = now()
    run()
    return now() - start


def measure(runs: dict[str, Callable[[], object]], rounds: int, cpu: bool) -> dict[str, np.ndarray]:
    for run in runs.values():
        run()  # caches, compiled code
    seconds = [[seconds_of(run, cpu) for run in runs.values()] for _ in range(rounds)]
    return dict(zip(runs, np.array(seconds).T, strict=True))


def rows(work: str, threads: int, seconds: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    made = []
    for name, times in seconds.items():
        ratios = [
            f"{np.median(times / seconds[rival]):.2f}" if rival in seconds and rival != name else ""
            for rival in (MEMELITE, EXACT)
        ]
        made.append((work, str(threads), name, f"{np.median(times):.3f}", *ratios))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="one of the works, such as '30 x 519'")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    parser.add_argument("--cpu", action="store_true", help="processor time")
    parser.add_argument("--no-first", action="store_true", help="leave the first run ever out: memelite takes minutes")
    parser.add_argument("--fresh", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fresh:
        return run_fresh(*args.fresh)
    packages = ["numba", "numpy"] + ["memelite"] * HAS_MEMELITE
    versions = ", ".join([f"kipoi_motifrep {__version__}", *(f"{one} {version(one)}" for one in packages)])
    print(
        f"{versions}, Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; "
        f"medians of {args.rounds} rounds, {'processor time' if args.cpu else 'clock'}\n"
    )
    for line in (COLUMNS, ["---"] * len(COLUMNS)):
        print(f"| {' | '.join(line)} |")
    for work, (queries, targets) in works().items():
        if args.only not in (None, work):
            continue
        for threads in args.threads:
            runs = {name: contestant(name, queries, targets, threads) for name in NAMES}
            show(rows(f"{work}, warm", threads, measure(runs, args.rounds, args.cpu)))
        if work == "30 x 519":
            with tempfile.TemporaryDirectory() as folder:
                files = [f"{folder}/queries.meme", f"{folder}/targets.meme"]
                write_motifs(queries, files[0])
                write_motifs(targets, files[1])
                runs = {name: fresh(name, 1, files) for name in NAMES}
                show(rows(f"{work}, fresh process", 1, measure(runs, args.rounds, args.cpu)))
                if not args.no_first:
                    firsts = {name: fresh(name, 1, files, f"{folder}/{place}") for place, name in enumerate(NAMES)}
                    show(
                        rows(
                            f"{work}, first run ever",
                            1,
                            {name: np.array([seconds_of(run, args.cpu)]) for name, run in firsts.items()},
                        )
                    )


def show(lines: list[tuple[str, ...]]) -> None:
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
