"""Time of ``plant`` beyond loading TensorFlow: 300 motifs of JASPAR, 12 outputs, 200 bp, with its defaults.

python benchmarks/plant.py                        # cnn_25, and a random network of 300 filters
"""

from __future__ import annotations

import contextlib
import io
import time

from interpret import NETWORKS, wide


def main() -> None:
    import kipoi_motifrep as km
    from kipoi_motifrep.networks.backend import import_keras

    import_keras()
    motifs = list(km.open_database("JASPAR2026"))[:300]
    for name, model in (("cnn_25", NETWORKS[1]), ("300 filters", wide(25))):
        wall, processor = time.perf_counter(), time.process_time()
        with contextlib.redirect_stderr(io.StringIO()):
            found = km.plant(model, motifs=motifs, background="random")
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(
            f"{name}: {len(motifs)} motifs, {len(found.outputs)} outputs, {found.n_backgrounds} backgrounds: "
            f"{wall:.1f} s, {processor:.1f} s of processor time",
            flush=True,
        )


if __name__ == "__main__":
    main()
