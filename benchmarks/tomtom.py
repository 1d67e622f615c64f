"""Tomtom's statistics against memelite's.

    python benchmarks/tomtom.py
    python benchmarks/tomtom.py --rounds 9 --only "30 x 519"

Queries are random filters of width 19 (30 x 519, JASPAR 2016 CORE vertebrates), and 1,000 motifs of JASPAR 2026 against
JASPAR 2018 CORE vertebrates (579) and JASPAR 2026 CORE (2,633). memelite computes p-values alone, so ours is given
without and with q-values; its exact settings leave columns of targets as they are, by default it merges those that are
nearly alike. A fresh process pays for imports, for reading the motifs (by our reader, on both sides) and for loading
compiled code. The first run ever compiles it: into an empty folder, once, without rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import numpy as np
from timing import ALL_THREADS, OURS, Run, compare, installed, parser

from kipoi_motifrep.motifs import Motif, jaspar, read_motifs, write_motifs
from kipoi_motifrep.motifs.tomtom import tomtom

MEMELITE, EXACT = "memelite", "memelite, exact"
PEERS = [MEMELITE, EXACT] * installed("memelite")


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


def contestant(name: str, queries: list[Motif], targets: list[Motif], threads: int, qvalues: bool) -> Run:
    if name == OURS:
        return lambda: tomtom(queries, targets, qvalues=qvalues, threads=threads)
    from memelite import tomtom as memelite

    matrices = for_memelite(queries), for_memelite(targets)
    return lambda: memelite(*matrices, n_jobs=threads, **({"n_target_bins": None} if name == EXACT else {}))


def fresh(name: str, files: list[str], qvalues: bool, cache: str | None = None) -> Run:
    command = [sys.executable, __file__, "--fresh", name, str(int(qvalues)), *files]
    folder = {} if cache is None else {"NUMBA_CACHE_DIR": cache}
    return lambda: subprocess.run(command, check=True, env={**os.environ, **folder}, stderr=subprocess.DEVNULL)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", help="one of the works, such as '30 x 519'")
    options.add_argument("--no-first", action="store_true", help="leave the first run ever out: memelite takes minutes")
    options.add_argument("--fresh", nargs=4, metavar=("NAME", "Q", "QUERIES", "TARGETS"), help="for its own use")
    args = options.parse_args()
    if args.fresh:
        name, qvalues, *files = args.fresh
        contestant(name, *(list(read_motifs(file)) for file in files), 1, qvalues == "1")()
        return
    for work, (queries, targets) in works().items():
        if args.only not in (None, work):
            continue
        for threads in sorted({1, ALL_THREADS}):
            for qvalues in (False, True):
                runs = {name: contestant(name, queries, targets, threads, qvalues) for name in [OURS, *PEERS]}
                compare("tomtom", f"{work}, warm{', q-values' * qvalues}", runs, args, threads=threads)
        if work == "30 x 519":
            with tempfile.TemporaryDirectory() as folder:
                files = [f"{folder}/queries.meme", f"{folder}/targets.meme"]
                write_motifs(queries, files[0])
                write_motifs(targets, files[1])
                runs = {name: fresh(name, files, True) for name in [OURS, *PEERS]}
                compare("tomtom", f"{work}, fresh process, q-values", runs, args)
                if not args.no_first:
                    # memelite compiles one and the same code, whatever its settings are, for minutes.
                    names = [OURS, *PEERS[:1]]
                    runs = {name: fresh(name, files, True, f"{folder}/{place}") for place, name in enumerate(names)}
                    compare("tomtom", f"{work}, first run ever, q-values", runs, args, warm=False)


if __name__ == "__main__":
    main()
