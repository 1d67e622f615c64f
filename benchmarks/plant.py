"""`plant` beyond loading TensorFlow: 300 motifs of JASPAR, 12 outputs, 200 bp, with its defaults.

python benchmarks/plant.py                        # cnn_25, and a network of 300 filters
"""

from __future__ import annotations

import contextlib
import io

from interpret import NETWORKS, wide
from timing import OURS, parser, seconds_of, show


def main() -> None:
    args = parser(__doc__).parse_args()
    import kipoi_motifrep as km
    from kipoi_motifrep.networks.backend import import_keras

    import_keras()
    motifs = list(km.open_database("JASPAR2026"))[:300]
    for name, model in (("cnn_25", NETWORKS[1]), ("300 filters", wide(25))):

        def run(model=model):
            with contextlib.redirect_stderr(io.StringIO()):
                return km.plant(model, motifs=motifs, background="random")

        found = run()
        note = f"{len(found.outputs)} outputs, {found.n_backgrounds} backgrounds"
        seconds = [seconds_of(run, args.cpu) for _ in range(args.rounds)]
        show("plant", f"{len(motifs)} motifs in {name}", "all", {OURS: seconds}, note)


if __name__ == "__main__":
    main()
