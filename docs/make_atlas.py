"""Write results/atlas.html, the atlas of all networks in models/; ten seconds of a processor a network.

    python docs/make_atlas.py WORK synthetic=synthetic.h5 invivo=k562.h5 invivo_best=all.h5

A group goes through the test sequences of the dataset that is named for it; WORK keeps what is done.
REPRODUCTION.md says how these datasets are made.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.pipeline.atlas import PAGE, atlas, write_atlas

DOCS = Path(__file__).parent


def models(datasets: dict[str, str]) -> list[dict[str, object]]:
    """Name all networks, each with its sequences."""
    groups = sorted(path.parent for path in DOCS.parent.glob("models/*/models.tsv"))
    if set(datasets) != {one.name for one in groups}:
        sys.exit(f"give a dataset for each of {', '.join(one.name for one in groups)}, as GROUP=FILE")
    return [
        {"model": group / row["model"], "dataset": datasets[group.name]}
        for group in groups
        for row in read_table(group / "models.tsv")
    ]


if __name__ == "__main__":
    given = models(dict(one.split("=", 1) for one in sys.argv[2:]))
    entries = atlas(given, sys.argv[1], jobs=1, importance=False, plant=False)
    with TemporaryDirectory() as folder:
        page = write_atlas(entries, folder, linked=False)  # what it would lead to is not part of the docs
        shutil.copyfile(page, DOCS / "results" / PAGE.replace("index", "atlas"))
