"""`scan` of a genome beside the network's own forward pass over as many batches of the same size.

    python benchmarks/genome.py                       # 10 random megabases, bins of 200 bp every 100, synthetic/cnn_25

A round is a shard of the genome.
"""

from __future__ import annotations

import tempfile

from scale import scan_times
from timing import OURS, parser, show


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--megabases", type=float, default=10)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, network = scan_times(folder, args.megabases)[:, :, int(args.cpu)]
    work = f"scan of {args.megabases:g} Mb with cnn_25, {len(ours)} shards"
    show("genome", work, "all", {OURS: ours, "the network alone": network})


if __name__ == "__main__":
    main()
