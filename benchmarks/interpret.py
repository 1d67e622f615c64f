"""Time of ``interpret`` beyond loading TensorFlow: 5,000 sequences of 200 bp, JASPAR 2026 vertebrates.

python benchmarks/interpret.py                                    # cnn_2, cnn_25, a random network of 300 filters
python benchmarks/interpret.py --dataset synthetic.h5 network.keras
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

NETWORKS = [f"models/synthetic/weights/{name}.keras" for name in ("cnn_2", "cnn_25")]
WIDE = {"wide_25": 25, "wide_2": 2}  # random networks of 300 filters, by their max-pooling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=[*NETWORKS, *WIDE])
    parser.add_argument("--dataset", help="default: 5,000 simulated sequences")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    begin = time.perf_counter()
    from kipoi_motifrep.networks.backend import import_keras

    import_keras()
    print(f"loading Keras and TensorFlow: {time.perf_counter() - begin:.1f} s")
    from kipoi_motifrep import interpret

    with tempfile.TemporaryDirectory() as folder:
        dataset = args.dataset or simulated(Path(folder) / "simulated.h5")
        print(f"{'network':<12}{'filters':>8}{'first time':>12}{'again':>8}{'report':>10}")
        for name in args.networks:
            model, out = wide(WIDE[name]) if name in WIDE else name, Path(folder) / Path(name).stem
            seconds = []
            for _ in range(2):
                begin = time.perf_counter()
                with contextlib.redirect_stderr(io.StringIO()):
                    found = interpret(model, dataset=dataset, truth="synthetic", threads=args.threads, output=out)
                seconds.append(time.perf_counter() - begin)
            print(
                f"{Path(name).stem:<12}{len(found.matches.queries):>8}{seconds[0]:>10.1f} s{seconds[1]:>6.1f} s"
                f"{found.page.stat().st_size / 1e6:>7.2f} MB",
                flush=True,
            )


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

    keras.utils.set_random_seed(0)
    return keras.Sequential(
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


if __name__ == "__main__":
    main()
