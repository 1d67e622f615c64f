"""`interpret` beyond loading TensorFlow: 5,000 x 200 bp, JASPAR 2026 vertebrates, null and importance included.

    python benchmarks/interpret.py                                    # 30 filters, twice, and 300
    python benchmarks/interpret.py --dataset synthetic.h5 network.keras

The networks of 300 filters have kernels made of JASPAR's motifs, and a max-pooling of 25 or of 2. In every round each
is interpreted in a process of its own, as by the command, into a new folder; and once more, when all is up to date.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import OURS, parser, seconds_of, show

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
NETWORKS = [f"models/synthetic/weights/{name}.keras" for name in ("cnn_2", "cnn_25")]
WIDE = {"wide_2": 2, "wide_25": 25}  # networks of 300 filters, by their max-pooling


def main() -> None:
    options = parser(__doc__)
    options.add_argument("networks", nargs="*", default=[*NETWORKS, *WIDE])
    options.add_argument("--dataset", help="default: 5,000 simulated sequences")
    options.add_argument("--threads", type=int, help="default: all of the machine")
    options.add_argument("--one", nargs=3, metavar=("NETWORK", "DATASET", "OUTPUT"), help="for its own use")
    args = options.parse_args()
    if args.one:
        print(json.dumps(one(*args.one, args.threads, args.cpu)))
        return
    threads = args.threads or "all"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = args.dataset or simulated(folder / "simulated.h5")
        networks = {Path(name).stem: name for name in args.networks}
        for name in networks.keys() & WIDE.keys():
            networks[name] = str(folder / f"{name}.keras")
            wide(WIDE[name]).save(networks[name])
        seconds: dict[tuple[str, str], list[float]] = {}
        for number in range(args.rounds):
            for name, path in networks.items():
                files = [path, str(dataset), str(folder / f"{name}_{number}")]
                command = [sys.executable, __file__, "--one", *files, *["--cpu"] * args.cpu]
                command += [] if args.threads is None else ["--threads", str(args.threads)]
                made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
                for what, found in json.loads(made.stdout).items():
                    seconds.setdefault((name, what), []).append(found)
        loading = [found for (_, what), some in seconds.items() if what == "loading" for found in some]
        show("interpret", "loading Keras and TensorFlow", threads, {"TensorFlow": loading})
        for name in networks:
            note = f"report of {(folder / f'{name}_0' / 'report.html').stat().st_size / 1e6:.1f} MB"
            for what in ("first", "again"):
                show("interpret", f"{name}, {what} time", threads, {OURS: seconds[name, what]}, note)


def one(network: str, dataset: str, output: str, threads: int | None, cpu: bool) -> dict[str, float]:
    """Seconds of loading, of `interpret` into a new folder, and of it where all is there; in this process."""
    from kipoi_motifrep.networks.backend import import_keras

    loading = seconds_of(import_keras, cpu)

    def run() -> None:
        from kipoi_motifrep import interpret

        with contextlib.redirect_stderr(io.StringIO()):
            interpret(network, dataset=dataset, truth="synthetic", threads=threads, output=output)

    return {"loading": loading, "first": seconds_of(run, cpu), "again": seconds_of(run, cpu)}


def simulated(path: Path) -> Path:
    from kipoi_motifrep.datasets.hdf5 import create_dataset
    from kipoi_motifrep.datasets.simulate import LABEL_NAMES, LENGTH, simulate

    made = simulate(5000, seed=1)
    with create_dataset(path, LENGTH, LABEL_NAMES, {"command": "benchmark"}) as writer:
        writer.append("test", made.sequences, made.labels)
    return path


def wide(pool: int):
    import keras
    from keras import layers

    from kipoi_motifrep.motifs import jaspar

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((200, 4)),
            layers.Conv1D(300, 19, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling1D(pool),
            layers.Conv1D(128, 5, padding="same", activation="relu"),
            layers.MaxPooling1D(100 // pool),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(12, activation="sigmoid"),
        ],
        name=f"wide_{pool}",
    )
    random, motifs = np.random.default_rng(0), jaspar.load("JASPAR2026").motifs
    kernels = random.normal(0, 0.05, (19, 4, 300))
    for number in range(300):
        pwm = motifs[random.integers(len(motifs))].pwm[:19]
        first = random.integers(0, 20 - len(pwm))
        kernels[first : first + len(pwm), :, number] += 0.2 * np.log2(np.maximum(pwm, 0.01) / 0.25)
    model.layers[0].set_weights([kernels])
    scale, shift, mean, variance = model.layers[1].get_weights()
    model.layers[1].set_weights([scale, shift - 1, mean, variance])  # so that a few sites alone fire
    return model


if __name__ == "__main__":
    main()
