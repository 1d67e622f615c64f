"""How time and memory grow: filters by sequences, lengths and workers; a scan beside the network's own forward pass.

    python benchmarks/scale.py                  # all of it: an hour
    python benchmarks/scale.py --minutes 10     # what fits into them, small cases first
    python benchmarks/scale.py --workers 1 2 --sequences 10000 --lengths 200 --megabases 2

Each case runs in processes of its own, so that peaks of memory are its own. Sequences are random.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SEED = 0
NETWORK = "synthetic/cnn_25"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4], help="0: this process, all its threads")
    parser.add_argument("--sequences", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--megabases", type=float, default=10, help="of the scan (default: 10)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="leave out cases that would take longer")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(CASES[json.loads(args.case)[0]](*json.loads(args.case)[1:])))
        return
    end = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as folder:
        if args.megabases:
            wall, processor = run("scan", folder, args.megabases)
            print(
                f"scan of {args.megabases:g} Mb, over the forward pass alone: {wall} (wall), {processor} (processor)\n"
            )
        print("| tasks | workers | milliseconds a task |\n|---|---|---|")
        for size in (0, 1 << 20):
            for jobs in filter(None, args.workers):
                print(f"| {size >> 20} MiB each | {jobs} | {run('tasks', jobs, size)[0]} |", flush=True)
        print("\n| filters of | workers | seconds | processor seconds | largest process, MiB |\n|---|---|---|---|---|")
        # A base of a larger case takes no longer than one of a smaller case did, start of the processes included.
        a_base = dict.fromkeys(args.workers, 0.0)
        for n, length in sorted(((n, length) for n in args.sequences for length in args.lengths), key=np.prod):
            network, fasta = f"{folder}/network{length}.keras", f"{folder}/{n}x{length}.fa"
            for jobs in args.workers:
                if time.monotonic() + a_base[jobs] * n * length > end:
                    found = ["left out", "", ""]
                else:
                    if not os.path.exists(fasta):
                        run("network", network, length)
                        run("sequences", fasta, n, length)
                    found = run("filters", network, fasta, jobs)
                    a_base[jobs] = float(found[0]) / (n * length)
                print(f"| {n:,} x {length:,} bp | {jobs or 'none'} | {' | '.join(found)} |", flush=True)
            Path(fasta).unlink(missing_ok=True)


def run(*case):
    done = subprocess.run(
        [sys.executable, __file__, "--case", json.dumps(case)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{case}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def network(path, length):
    """The first layer of a shipped network, before a pooling that lets it read any length."""
    import keras
    from keras import layers

    from kipoi_motifrep import shipped_weights

    shipped = keras.models.load_model(shipped_weights(NETWORK))
    first = [shipped.get_layer(name) for name in ("conv1", "conv1_norm", "conv1_activation")]
    fresh = [type(one).from_config(one.get_config()) for one in first]
    keras.Sequential([keras.Input((length, 4)), *fresh, layers.GlobalMaxPooling1D(), layers.Dense(12, "sigmoid")]).save(
        path
    )
    made = keras.models.load_model(path)
    for one in first:
        made.get_layer(one.name).set_weights(one.get_weights())
    made.save(path)
    return []


def sequences(path, n, length):
    rng = np.random.default_rng(SEED)
    with open(path, "wb") as file:
        for first in range(0, n, 10_000):
            rows = letters(rng, min(10_000, n - first) * length).reshape(-1, length)
            file.write(b"".join(b">s%d\n%s\n" % (first + i, row.tobytes()) for i, row in enumerate(rows)))
    return []


def letters(rng, n):
    return np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, n, dtype=np.uint8)]


def filters(network, fasta, jobs):
    from kipoi_motifrep import extract_filters

    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        extract_filters(network, fasta=fasta, output=folder, jobs=jobs or None)
    seconds = time.perf_counter() - begin
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(one.ru_utime + one.ru_stime for one in used)
    return [f"{seconds:.0f}", f"{processor:.0f}", f"{max(one.ru_maxrss for one in used) / 1024:.0f}"]


def tasks(jobs, size, n=200):
    from kipoi_motifrep.core.workers import open_workers

    with open_workers(jobs) as workers:
        list(workers.results(bytes, [0] * 2 * jobs))
        begin = time.perf_counter()
        list(workers.results(bytes, [size] * n))
        return [f"{(time.perf_counter() - begin) / n * 1000:.1f}"]


def scan(folder, megabases):
    ours, network = scan_times(folder, megabases)
    return [f"{one:.2f}" for one in np.median(ours / network, axis=0)]


def scan_times(folder, megabases):
    """Seconds by the clock and of the processor, shard after shard, shape (shards, 2) each: of a scan, and of as many
    batches of the same size through the network alone.
    """
    from kipoi_motifrep import shipped_weights
    from kipoi_motifrep.filters.extract import ModelSource, NetworkChoice
    from kipoi_motifrep.pipeline import scan as scanning

    rows = letters(np.random.default_rng(SEED), int(megabases * 1e6) // 60 * 60).reshape(-1, 60)
    genome = Path(folder, "genome.fa")
    lines = np.concatenate([rows, np.full((len(rows), 1), ord("\n"), np.uint8)], axis=1)
    genome.write_bytes(b">chr20\n" + lines.tobytes())
    source = ModelSource(str(shipped_weights(NETWORK)))
    request = scanning._Scan(source, NetworkChoice(), str(genome), 200, 100, None, scanning.BATCH_SIZE)
    opened = scanning._Opened.of(request)
    shards = scanning.plan_shards(opened.genome, request)
    model = opened.network.source.model
    batch = np.eye(4, dtype=np.float32)[np.random.default_rng(SEED).integers(0, 4, (scanning.BATCH_SIZE, 200))]
    seconds = []
    for shard in [shards[0], *shards]:  # the first time compiles
        times = []
        for work in (
            lambda shard=shard: scanning._predict_shard(opened, shard),
            lambda shard=shard: [model.predict_on_batch(batch) for _ in range(0, len(shard.bins), len(batch))],
        ):
            begin = time.perf_counter(), time.process_time()
            work()
            times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
        seconds.append(times)
    return np.array(seconds[1:]).swapaxes(0, 1)


CASES = {one.__name__: one for one in (network, sequences, filters, tasks, scan)}

if __name__ == "__main__":
    main()
