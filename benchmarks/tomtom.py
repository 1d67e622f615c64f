"""Seconds of Tomtom's statistics, as ratios to memelite (default and exact settings).

    pip install memelite          # in an environment of its own: it is no dependency of this package
    python benchmarks/tomtom.py
    python benchmarks/tomtom.py --rounds 9 --only "30 x 519"

Queries are random filters of width 19 (30 x 519, JASPAR 2016 CORE vertebrates), and 1,000 motifs of JASPAR 2026
against JASPAR 2018 CORE vertebrates (579) and JASPAR 2026 CORE (2,633). Every round runs each contestant once, on one
thread, so that other work on the machine hits all of them; a ratio is the median over rounds, below 1 where ours is
faster. memelite computes p-values alone, so ours is given without and with q-values. A fresh process pays for imports
(and memelite for loading compiled code; the first run ever, which compiles it, is left out).
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kipoi_motifrep.motifs import Motif, jaspar, read_motifs, write_motifs
from kipoi_motifrep.motifs.tomtom import tomtom

HAS_MEMELITE = importlib.util.find_spec("memelite") is not None
OURS, OURS_Q = "ours", "ours with q-values"
MEMELITE, EXACT = "memelite default", "memelite exact"
NAMES = [OURS, OURS_Q] + [MEMELITE, EXACT] * HAS_MEMELITE


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
    return [np.ascontiguousarray(((motif.pwm * (motif.nsites or 20) + 0.025) / ((motif.nsites or 20) + 0.1)).T)
            for motif in motifs]


def contestant(name: str, queries: list[Motif], targets: list[Motif]) -> Callable[[], object]:
    if name in (OURS, OURS_Q):
        return lambda: tomtom(queries, targets, qvalues=name == OURS_Q)
    from memelite import tomtom as memelite

    matrices = for_memelite(queries), for_memelite(targets)
    return lambda: memelite(*matrices, n_jobs=1, **({"n_target_bins": None} if name == EXACT else {}))


def fresh_contestants(folder: Path, queries: list[Motif], targets: list[Motif]) -> dict[str, Callable[[], object]]:
    files = [str(folder / "queries.meme"), str(folder / "targets.meme")]
    write_motifs(queries, files[0])
    write_motifs(targets, files[1])
    return {name: lambda name=name: subprocess.run([sys.executable, __file__, "--fresh", name, *files], check=True)
            for name in NAMES}


def run_fresh(name: str, queries: str, targets: str) -> None:
    contestant(name, list(read_motifs(queries)), list(read_motifs(targets)))()


def measure(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    seconds = {name: [] for name in runs}
    for run in runs.values():
        run()  # caches, compiled code
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in seconds.items()}


def report(title: str, seconds: dict[str, np.ndarray]) -> None:
    print(title)
    for name, times in seconds.items():
        ratios = "".join(f"   {np.median(times / seconds[rival]):6.2f} x {rival}" for rival in (MEMELITE, EXACT)
                         if rival in seconds and name in (OURS, OURS_Q))
        print(f"  {name:20s} {times.min():8.3f} s best {np.median(times):8.3f} s median{ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="one of the works, such as '30 x 519'")
    parser.add_argument("--fresh", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fresh:
        return run_fresh(*args.fresh)
    if not HAS_MEMELITE:
        print("memelite: skipped: memelite is not installed")
    for name, (queries, targets) in works().items():
        if args.only not in (None, name):
            continue
        runs = {contender: contestant(contender, queries, targets) for contender in NAMES}
        report(f"{name}, warm", measure(runs, args.rounds))
        with tempfile.TemporaryDirectory() as folder:
            report(f"{name}, fresh process", measure(fresh_contestants(Path(folder), queries, targets), args.rounds))


if __name__ == "__main__":
    main()
