"""Reading windows of a genome, alone and within `kipoi predict`, against kipoiseq and tangermeme.

    python benchmarks/loaders.py              # on random DNA that it makes itself
    python benchmarks/loaders.py hg38.fa      # windows of its first sequence (kipoiseq wants names with chr)

The loop is that of `kipoi predict` (loader, predict_on_batch, TSV writer), in this process, so that start-up does not
count; beside it stands the network alone.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from timing import OURS, compare, installed, parser

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


def predict(model, loader, batch_size: int, output: Path) -> None:
    from kipoi.cli.main import prepare_batch
    from kipoi.writers import TsvBatchWriter

    output.unlink(missing_ok=True)
    writer = TsvBatchWriter(str(output))
    for batch in loader.batch_iter(batch_size=batch_size):
        writer.batch_write(prepare_batch(batch, model.predict_on_batch(batch["inputs"])))
    writer.close()


def read(loader, batch_size: int) -> None:
    for _ in loader.batch_iter(batch_size=batch_size):
        pass


def main() -> None:
    options = parser(__doc__)
    options.add_argument("genome", nargs="?", type=Path, help="FASTA; random DNA by default")
    options.add_argument("-n", type=int, default=20_000, help="windows of 200 bp (default: 20000)")
    options.add_argument("--architecture", default="cnn_4")
    options.add_argument("--batch-size", type=int, default=256)
    args = options.parse_args()

    import kipoi
    from kipoiseq.dataloaders import SeqIntervalDl

    from kipoi_motifrep import IntervalsDl

    model, size = kipoi.get_model(str(ROOT / "models/synthetic" / args.architecture), source="dir"), args.batch_size
    x = np.zeros((size, 200, 4), np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        genome = args.genome or make_genome(folder, 10_000_000)
        files = {"intervals_file": str(make_windows(folder, genome, args.n)), "fasta_file": str(genome)}
        loaders = {OURS: IntervalsDl, "kipoiseq": SeqIntervalDl}
        runs = {one: lambda made=made: read(made(**files), size) for one, made in loaders.items()}
        if installed("tangermeme"):
            from tangermeme.io import extract_loci

            runs["tangermeme"] = lambda: extract_loci(files["intervals_file"], files["fasta_file"], in_window=200)
        work = f"{args.n:,} windows of 200 bp"
        compare("loaders", f"{work}, read", runs, args)
        runs = {
            one: lambda made=made: predict(model, made(**files), size, folder / "out") for one, made in loaders.items()
        }
        runs["the network alone"] = lambda: [model.predict_on_batch(x) for _ in range(args.n // size)]
        compare(
            "loaders", f"{work}, kipoi predict with {args.architecture}, batches of {size}", runs, args, threads="all"
        )


if __name__ == "__main__":
    main()
