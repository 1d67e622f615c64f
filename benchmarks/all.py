"""All benchmarks in one process tree; writes benchmarks/results.tsv and docs/benchmarks.md.

    pip install -e '.[benchmarks]'
    python benchmarks/all.py                     # 7 rounds; on a machine that has nothing else to do
    python benchmarks/all.py --quick --rounds 3 --cpu --only tomtom logos

Peers that are not installed are left out. Each script is a process of its own, one after another; each row of the table
is one of its contestants.
"""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from timing import ALL_THREADS, COLUMNS, parser

HERE = Path(__file__).resolve().parent
SCRIPTS = ("tomtom", "loaders", "filters", "interpret", "plant", "scan", "genome", "logos", "dataset")
LONG = {"interpret": 3, "plant": 3}  # fewer rounds of what takes long
QUICK = {"tomtom": ["--no-first"], "interpret": ["models/synthetic/weights/cnn_25.keras", "wide_25"]}
PACKAGES = (
    "numpy", "numba", "tensorflow", "keras", "memelite", "tangermeme", "kipoi", "kipoiseq", "lightmotif", "logomaker",
)  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS, help="the others' rows stay")
    options.add_argument("--quick", action="store_true", help="without what takes minutes: first runs, large data sets")
    args = options.parse_args()
    table = HERE / "results.tsv"
    kept = list(csv.DictReader(table.open(), delimiter="\t")) if table.exists() else []
    rows, begin = {name: [row for row in kept if row["benchmark"] == name] for name in SCRIPTS}, time.perf_counter()
    for name in args.only:
        rounds = str(min(args.rounds, LONG.get(name, args.rounds)))
        command = [sys.executable, str(HERE / f"{name}.py"), "--rounds", rounds, *["--cpu"] * args.cpu]
        command += QUICK.get(name, []) * args.quick
        print(f"{time.perf_counter() - begin:6.0f} s: {name}", flush=True, file=sys.stderr)
        made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parent).stdout
        rows[name] = list(csv.DictReader(made.splitlines(), COLUMNS, delimiter="\t"))
    print(f"{time.perf_counter() - begin:6.0f} s: done", file=sys.stderr)
    flat = [row for name in SCRIPTS for row in rows[name]]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
    (HERE.parent / "docs/benchmarks.md").write_text(page(flat, args.rounds, args.cpu))


def page(rows: list[dict[str, str]], rounds: int, cpu: bool) -> str:
    """The table in Markdown, with what it was measured with."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES if there(name))
    lines = [
        "# Benchmarks",
        "",
        "Written by `python benchmarks/all.py`, which runs each script of `benchmarks/`; they say what they do.",
        "",
        f"Medians of {rounds} rounds (of {', '.join(f'{name} {min(rounds, most)}' for name, most in LONG.items())}, of "
        "genome one a shard, of dataset and first runs one), in "
        f"seconds {'of processor time' if cpu else 'by the clock'}. In every round each contestant runs once, and the "
        "ratio is the median of ours over the other's in the same round: below 1 where ours is faster. Both sides have "
        'the same number of threads; where a side chooses them itself, that is "all".',
        "",
        f"{platform.processor() or platform.machine()}, {model()}, {ALL_THREADS} cores; Python "
        f"{platform.python_version()}, {versions}.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    return "\n".join([*lines, *("| " + " | ".join(row[name] for name in COLUMNS) + " |" for row in rows), ""])


def there(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def model() -> str:
    """Name of the processor, where the system tells."""
    if not os.path.exists("/proc/cpuinfo"):
        return "processor unknown"
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "processor unknown")


if __name__ == "__main__":
    main()
