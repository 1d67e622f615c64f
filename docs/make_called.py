"""Count called filters of the recorded networks: ``python docs/make_called.py``, some minutes.

From the PWMs in ``results/*/units``, without training: every filter is compared with its own shuffles, as
``kipoi-motifrep interpret`` does. Writes ``results/*/called.tsv``, a row a network and layer; rows that are there stay.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kipoi_motifrep import match, write_motifs
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.tables import read_table, write_table
from kipoi_motifrep.motifs.chance import FDR
from kipoi_motifrep.motifs.jaspar import PAPER_RELEASE
from kipoi_motifrep.training.experiment.record import LayerRecord, RunRecord, read_records

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("variant", "first_activation", "trial", "layer", "filters", "match", "called", "called_true", "tfs_called")


def row(record: RunRecord, layer: LayerRecord, folder: str) -> tuple:
    """Count a layer's filters: with a match, called, and called with a true match; and the factors of these."""
    queries = [replace(motif, nsites=motif.width) for motif in layer.motifs()]  # as in `FilterPWMs.motifs`
    write_motifs(queries, f"{folder}/queries.meme")
    found = match(f"{folder}/queries.meme", PAPER_RELEASE, fdr=FDR)
    assert found.called is not None
    true = [label for label, called in zip(layer.labels, found.called, strict=True) if called and label]
    recorded = len({hit.query for hit in layer.hits})
    if recorded != (matched := found.statuses.count("matched")):  # PWMs have five decimals there
        say(f"{record.architecture} {record.trial} {layer.layer}: {matched} with a match, {recorded} in the record")
    return (*name_of(record, layer), len(queries), matched, sum(found.called), len(true), len(set(true)))


def name_of(record: RunRecord, layer: LayerRecord) -> tuple[str, str, str, str]:
    """Give what tells a layer's row from others."""
    return record.architecture, record.first_activation, str(record.trial), layer.layer


if __name__ == "__main__":
    for group in sorted(path.parent for path in RESULTS.glob("*/units")):
        table = group / "called.tsv"
        there = {tuple(one.values())[:4]: tuple(one.values()) for one in (read_table(table) if table.exists() else ())}
        with TemporaryDirectory() as folder:
            rows = [
                there.get(name_of(record, layer)) or row(record, layer, folder)
                for record in read_records(group)
                for layer in record.layers
            ]
        write_table(table, COLUMNS, rows)
        say(f"{group.name}: {len(rows)} layers")
