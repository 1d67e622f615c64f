"""Activation PWMs against the network's bare first-layer forward pass, and a plain loop.

    python benchmarks/filters.py                         # 5,000 x 200 bp, 30 filters of width 19
    python benchmarks/filters.py --weights network.keras
    python benchmarks/filters.py --huge 1000000          # also n x 1000 bp, streamed: peak memory

The bare pass comes in two forms: the compiled sub-model called batch by batch, which is what the passes themselves run,
and the same sub-model under `keras.Model.predict`, which is what a user would write. The plain loop cuts one window a
site in Python, as scripts of the field do, from activations that are given to it. The note is the largest difference
from it.
"""

from __future__ import annotations

import os
import resource
import time

import numpy as np
from timing import compare, parser, show

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from kipoi_motifrep.networks.backend import import_keras

RULES = {
    "half of the maximum": {},
    "nothing kept between passes": {"memory": 0},
    "best 1,000 sites": {"top": 1000},
    "quantile .999": {"quantile": 0.999},
}


def make_network(length: int, filters: int = 30, width: int = 19):
    keras = import_keras()
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((length, 4)),
            layers.Conv1D(filters, width, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling1D(4),
            layers.Conv1D(128, 5),
            layers.Flatten(),
            layers.Dense(12, activation="sigmoid"),
        ]
    )


def plain_loop(codes: np.ndarray, maps: np.ndarray, field) -> np.ndarray:
    """One window a site, cut and added in Python."""
    rows = np.vstack([np.eye(4), np.zeros((1, 4))])
    counts = np.zeros((maps.shape[2], field.width, 4))
    before = max(0, -field.start)
    padded = np.pad(codes, ((0, 0), (before, field.width)), constant_values=4)
    for f in range(maps.shape[2]):
        level = 0.5 * maps[:, :, f].max()
        for n, i in zip(*np.nonzero(maps[:, :, f] > level), strict=True):
            start = field.start + field.step * i + before
            counts[f] += maps[n, i, f] * rows[padded[n, start : start + field.width]]
    return counts / np.maximum(counts.sum(axis=2, keepdims=True), 1e-300)


class RandomBatches:
    """Random sequences made batch by batch, the same in every pass."""

    def __init__(self, n: int, length: int, batch_size: int):
        self.n, self.length, self.batch_size = n, length, batch_size

    def __len__(self):
        return -(-self.n // self.batch_size)

    def __iter__(self):
        from kipoi_motifrep.filters import Batch

        table = np.eye(4, dtype=np.float32)
        for number, start in enumerate(range(0, self.n, self.batch_size)):
            codes = np.random.default_rng(number).integers(
                0, 4, (min(self.batch_size, self.n - start), self.length), np.uint8
            )
            yield Batch(table[codes], {})


def huge(n: int) -> None:
    from kipoi_motifrep.filters import filter_pwms, fitting_batch_size
    from kipoi_motifrep.networks.loading import open_network

    network = open_network(make_network(1000))
    start = time.perf_counter()
    (result,) = filter_pwms(network, RandomBatches(n, 1000, fitting_batch_size(network)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    note = f"{result.n_sites.sum():,} sites, peak memory {peak:.2f} GiB"
    show("filters", f"{n:,} x 1000 bp, streamed", "all", {"filter_pwms": [time.perf_counter() - start]}, note)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--weights", help=".keras file of a network over (L, 4), instead of a random one of 200 bp")
    options.add_argument("-n", type=int, default=5000, help="sequences")
    options.add_argument("--huge", type=int, metavar="N", help="also stream N x 1000 bp")
    args = options.parse_args()
    if args.huge:
        huge(args.huge)  # first: peak memory counts from the start of the process
    keras = import_keras()
    from kipoi_motifrep.filters import ArrayBatches, filter_pwms, fitting_batch_size
    from kipoi_motifrep.networks.loading import load_model, open_network

    model = load_model(args.weights) if args.weights else make_network(200)
    network = open_network(model)
    bank = network.banks[0]
    codes = np.random.default_rng(0).integers(0, 4, (args.n, network.length)).astype(np.uint8)
    x = network.layout.encode(codes)
    ends = [layer for layer in model.layers if layer.name in bank.activation.split(", ")[-1]]
    front = keras.Model(model.inputs, (ends or [model.get_layer(bank.layer)])[0].output)
    batches, maps = ArrayBatches(x, fitting_batch_size(network)), network.activations(x)[0]
    (result,) = filter_pwms(network, x)
    note = f"largest difference {np.abs(result.pwms - plain_loop(codes, maps, bank.field)).max():.0e}"
    rivals = {
        "first layer alone, batch by batch": lambda: [network.activations(batch.inputs) for batch in batches],
        "first layer alone, keras predict": lambda: front.predict(x, batch_size=batches.batch_size, verbose=0),
    }
    work = f"{args.n:,} x {network.length} bp, {bank.n_filters} filters"
    for rule, arguments in RULES.items():
        runs = {"filter_pwms": lambda arguments=arguments: filter_pwms(network, x, **arguments), **rivals}
        if not arguments:
            runs["plain loop, activations given"] = lambda: plain_loop(codes, maps, bank.field)
        compare("filters", f"{work}, {rule}", runs, args, threads="all", note="" if arguments else note)


if __name__ == "__main__":
    main()
