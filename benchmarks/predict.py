"""Sequences a second of `kipoi predict` with our loader, with kipoiseq's, and of the network alone.

    python benchmarks/predict.py              # on random DNA that it makes itself
    python benchmarks/predict.py hg38.fa      # windows of its first sequence (kipoiseq wants names with chr)

Every row is one run of the same loop as `kipoi predict` (loader, predict_on_batch, TSV writer), in this process, so
that start-up does not count; the ratio is to kipoiseq's loader at the same batch size.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent


def make_genome(folder: Path, length: int) -> Path:
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), length - length % 60).reshape(-1, 60)
    path = folder / "random.fa"
    path.write_bytes(b">chr1\n" + b"\n".join(row.tobytes() for row in letters) + b"\n")
    return path


def make_windows(folder: Path, genome: Path, n: int) -> Path:
    from kipoi_motifrep.sequences.genome import Genome

    fasta = Genome(genome)
    starts = np.sort(np.random.default_rng(1).integers(0, fasta.lengths[0] - 200, n))
    path = folder / "windows.bed"
    path.write_text("".join(f"{fasta.names[0]}\t{start}\t{start + 200}\n" for start in starts))
    return path


def run(model, loader, batch_size: int, output: Path) -> tuple[float, float]:
    """Seconds of the whole loop, and of the loader in it."""
    from kipoi.cli.main import prepare_batch
    from kipoi.writers import TsvBatchWriter

    output.unlink(missing_ok=True)
    writer, loading = TsvBatchWriter(str(output)), 0.0
    begin = last = time.perf_counter()
    for batch in loader.batch_iter(batch_size=batch_size):
        loading += time.perf_counter() - last
        writer.batch_write(prepare_batch(batch, model.predict_on_batch(batch["inputs"])))
        last = time.perf_counter()
    writer.close()
    return time.perf_counter() - begin, loading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genome", nargs="?", type=Path, help="FASTA; random DNA by default")
    parser.add_argument("-n", type=int, default=20_000, help="windows of 200 bp (default: 20000)")
    parser.add_argument("--architecture", default="cnn_4")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 256, 1024])
    args = parser.parse_args()

    import kipoi
    from kipoiseq.dataloaders import SeqIntervalDl

    from kipoi_motifrep import IntervalsDl

    model = kipoi.get_model(str(ROOT / "models/synthetic" / args.architecture), source="dir")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genome = args.genome or make_genome(folder, 10_000_000)
        windows = make_windows(folder, genome, args.n)
        files = {"intervals_file": str(windows), "fasta_file": str(genome)}
        print("batch\twhat\tsequences/s\tratio to kipoiseq\tloader's share", flush=True)
        for batch_size in args.batch_sizes:
            x = np.zeros((batch_size, 200, 4), np.float32)
            for _ in range(3):
                model.predict_on_batch(x)
            rates = {}
            for what, loader_class in (("kipoiseq", SeqIntervalDl), ("kipoi_motifrep", IntervalsDl)):
                begin = time.perf_counter()
                loader = loader_class(**files)
                start_up = time.perf_counter() - begin
                seconds, loading = run(model, loader, batch_size, folder / "out.tsv")
                rates[what] = args.n / (seconds + start_up)
                print(
                    f"{batch_size}\t{what}\t{rates[what]:.0f}\t{rates[what] / rates['kipoiseq']:.2f}\t"
                    f"{(loading + start_up) / (seconds + start_up):.1%}",
                    flush=True,
                )
            begin = time.perf_counter()
            for _ in range(args.n // batch_size):
                model.predict_on_batch(x)
            rate = args.n // batch_size * batch_size / (time.perf_counter() - begin)
            print(f"{batch_size}\tpredict_on_batch alone\t{rate:.0f}\t{rate / rates['kipoiseq']:.2f}\t", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
