"""Time and peak memory of `kipoi-motifrep dataset deepsea` and `dataset peaks`, on data that it makes itself.

    python benchmarks/dataset.py                    # 10,000 samples, for the two layouts of train.mat
    python benchmarks/dataset.py --samples 400000 --test-samples 455024     # the bundle's own test.mat is as large

Samples are random one-hot DNA, 4 x 1000 bases as in the bundle, with 919 labels of which 2 % are positive. The command
runs in a process of its own; its peak memory must not grow with the number of samples. `peaks` has 11 files of 2,000
peaks on a chromosome as long as chr20 (63 Mb).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
from timing import parser, show

N_COLUMNS, LENGTH = 919, 1000
AT_ONCE = 5000
COMMAND = "import sys; from kipoi_motifrep.cli.program import main; sys.exit(main())"
CHROMOSOME = 63_025_520
# As MATLAB may have stored it: thin chunks of many samples, or whole samples.
LAYOUTS = {"chunks of many samples": (10, 4, 4096), "chunks of whole samples": (1000, 4, 16)}


def random_one_hot(random: np.random.Generator, n: int) -> np.ndarray:
    """One-hot DNA, (1000, 4, n) uint8."""
    return (random.integers(0, 4, (LENGTH, 1, n), np.uint8) == np.arange(4, dtype=np.uint8)[:, None]).view(np.uint8)


def write_train(path: Path, n: int, chunks: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    with h5py.File(path, "w", userblock_size=512) as file:
        storage = {"dtype": np.uint8, "compression": "gzip", "compression_opts": 1}
        sequences = file.create_dataset("trainxdata", (LENGTH, 4, n), chunks=chunks, **storage)
        labels = file.create_dataset("traindata", (N_COLUMNS, n), chunks=(N_COLUMNS, 1024), **storage)
        step = 4 * chunks[-1] if chunks[-1] > 1000 else AT_ONCE // chunks[-1] * chunks[-1]
        for start in range(0, n, step):
            stop = min(start + step, n)
            sequences[:, :, start:stop] = random_one_hot(random, stop - start)
            labels[:, start:stop] = random.random((N_COLUMNS, stop - start), np.float32) < 0.02


def write_matlab5(path: Path, split: str, n: int) -> None:
    """Compressed version 5 file, written as a stream: scipy needs twice the size of the array."""
    random = np.random.default_rng(1)
    with open(path, "wb") as file:
        file.write(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM")
        for name, shape in ((f"{split}xdata", (n, 4, LENGTH)), (f"{split}data", (n, N_COLUMNS))):
            begin = file.tell()
            file.write(np.array([15, 0], "<u4").tobytes())
            pack = zlib.compressobj(1)
            dims = np.array([5, 4 * len(shape), *shape, *[0] * (len(shape) % 2)], "<i4")
            text = name.encode()
            head = np.array([6, 8, 9, 0], "<u4").tobytes() + dims.tobytes()
            head += np.array([1, len(text)], "<u4").tobytes() + text + bytes(-len(text) % 8)
            size = int(np.prod(shape))
            head += np.array([2, size], "<u4").tobytes()
            file.write(pack.compress(np.array([14, len(head) + size + -size % 8], "<u4").tobytes() + head))
            for _ in range(shape[-1]):
                if len(shape) == 3:
                    codes = random.integers(0, 4, n, np.uint8)
                    data = (codes == np.arange(4, dtype=np.uint8)[:, None]).tobytes()
                else:
                    data = (random.random(n, np.float32) < 0.02).tobytes()
                file.write(pack.compress(data))
            file.write(pack.compress(bytes(-size % 8)) + pack.flush())
            end = file.tell()
            file.seek(begin + 4)
            file.write(np.array([end - begin - 8], "<u4").tobytes())
            file.seek(end)


def write_peaks(folder: Path) -> list[str]:
    random = np.random.default_rng(2)
    with open(folder / "chr20.fa", "wb") as file:
        file.write(b">chr20\n")
        for start in range(0, CHROMOSOME, 6_000_000):
            n = min(6_000_000, CHROMOSOME - start)
            letters = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, n)]
            file.write(b"\n".join(letters[i : i + 60].tobytes() for i in range(0, n, 60)) + b"\n")
    tracks = []
    for track in range(11):
        starts = np.sort(random.integers(0, CHROMOSOME - 1000, 2000))
        path = folder / f"tf_{track}.bed"
        path.write_text("".join(f"chr20\t{start}\t{start + random.integers(150, 500)}\n" for start in starts))
        tracks.append(f"TF{track}={path}")
    return tracks


def measure(*arguments: str | Path) -> tuple[float, float]:
    """Seconds and peak GB of one command."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(map(str, arguments))}")
    return time.perf_counter() - begin, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--samples", type=int, nargs="+", default=[10_000], help="in train.mat")
    options.add_argument("--test-samples", type=int, default=2000, help="in valid.mat and test.mat")
    options.add_argument("--only", choices=["deepsea", "peaks"])
    args = options.parse_args()

    def time_it(work: str, *arguments: str | Path) -> None:
        # Once: what matters is the memory, and the work is long.
        seconds, gigabytes = measure("dataset", *arguments)
        show("dataset", work, "all", {"kipoi_motifrep": [seconds]}, f"peak memory {gigabytes:.2f} GB")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.only != "peaks":
            for split in ("valid", "test"):
                write_matlab5(folder / f"{split}.mat", split, args.test_samples)
            for layout, chunks in LAYOUTS.items():
                for n in args.samples:
                    write_train(folder / "train.mat", n, chunks)
                    time_it(f"deepsea, {n:,} samples in {layout}", "deepsea", folder, "-o", folder / "out.h5")
        if args.only != "deepsea":
            tracks = write_peaks(folder)
            for negatives in ("0", "1", "all"):
                work = f"peaks, 11 x 2,000 on 63 Mb, --negatives {negatives}"
                genome = ["--genome", folder / "chr20.fa", "--negatives", negatives]
                time_it(work, "peaks", *tracks, *genome, "-o", folder / "out.h5")


if __name__ == "__main__":
    main()
