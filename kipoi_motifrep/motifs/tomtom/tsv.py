"""The file ``tomtom.tsv``, as Tomtom 5 writes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kipoi_motifrep import __version__
from kipoi_motifrep.motifs import Motif

COLUMNS = (
    "Query_ID",
    "Target_ID",
    "Optimal_offset",
    "p-value",
    "E-value",
    "q-value",
    "Overlap",
    "Query_consensus",
    "Target_consensus",
    "Orientation",
)


def tomtom_table(hits: np.ndarray, queries: Sequence[Motif], targets: Sequence[Motif], command: str) -> str:
    """Write records as Tomtom's table.

    Six significant digits; consensus sequences of the most probable letters, the
    target's in the orientation of the match; an empty line and three lines of comment at
    the end.

    Parameters
    ----------
    hits : numpy.ndarray of records
        From `tomtom`.
    queries, targets : sequence of Motif
        Its inputs.
    command : str
        How the table was made, for the last line.

    Returns
    -------
    str
        The file's text.
    """
    consensus: dict[tuple[int, str], str] = {}
    lines = ["\t".join(COLUMNS)]
    for query, target, offset, p, e, q, overlap, orientation in hits.tolist():
        if (target, orientation) not in consensus:
            motif = targets[target] if orientation == "+" else targets[target].reverse_complement()
            consensus[target, orientation] = motif.best_letters
        lines.append(
            f"{field(queries[query].name)}\t{field(targets[target].name)}\t{offset}\t{p:g}\t{e:g}\t{q:g}\t"
            f"{overlap}\t{queries[query].best_letters}\t{consensus[target, orientation]}\t{orientation}"
        )
    lines += [
        "",
        f"# Tomtom (Motif Comparison Tool): computed by kipoi_motifrep {__version__}, as Tomtom 4.12 does",
        "# The format of this file is described at https://meme-suite.org/meme/doc/tomtom-output-format.html.",
        f"# {field(command)}",
    ]
    return "\n".join(lines) + "\n"


def field(text: str) -> str:
    """Text fit for one field of a table: white space as single blanks."""
    return " ".join(text.split())
