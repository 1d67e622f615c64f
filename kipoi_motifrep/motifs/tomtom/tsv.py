"""The file ``tomtom.tsv``, as Tomtom 5 writes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from kipoi_motifrep import __version__
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.tomtom.targets import PSEUDOCOUNT, prepare

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


def tomtom_table(
    hits: np.ndarray,
    queries: Sequence[Motif],
    targets: Sequence[Motif],
    command: str,
    background: Sequence[float] | np.ndarray | None = None,
) -> str:
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
    background : sequence of 4 floats, optional
        As for `tomtom`.

    Returns
    -------
    str
        The file's text.
    """
    matrices = prepare(queries, background, PSEUDOCOUNT), prepare(targets, background, PSEUDOCOUNT)

    @cache
    def consensus(side: int, number: int, orientation: str) -> str:
        matrix = matrices[side][number]
        return _most_probable(matrix if orientation == "+" else matrix[::-1, ::-1])

    lines = ["\t".join(COLUMNS)]
    for query, target, offset, p, e, q, overlap, orientation in hits.tolist():
        lines.append(
            f"{field(queries[query].name)}\t{field(targets[target].name)}\t{offset}\t{p:g}\t{e:g}\t{q:g}\t{overlap}\t"
            f"{consensus(0, query, '+')}\t{consensus(1, target, orientation)}\t{orientation}"
        )
    lines += [
        "",
        f"# Tomtom (Motif Comparison Tool): computed by kipoi_motifrep {__version__}, as Tomtom 4.12 does",
        "# The format of this file is described at https://meme-suite.org/meme/doc/tomtom-output-format.html.",
        f"# {field(command)}",
    ]
    return "\n".join(lines) + "\n"


def _most_probable(matrix: np.ndarray) -> str:
    """Write the most probable letter of each position, of equal ones that which Tomtom prints.

    Tomtom goes through the letters and keeps the highest probability so far in single precision. So a letter takes the
    place of one that is as probable if rounding has made that one smaller, and does not if it has made it larger.
    """
    best, highest = np.zeros(len(matrix), int), matrix[:, 0].astype(np.float32)
    for letter in range(1, 4):
        higher = matrix[:, letter] > highest
        best[higher] = letter
        highest[higher] = matrix[higher, letter]
    return "".join(BASES[letter] for letter in best)


def field(text: str) -> str:
    """Text fit for one field of a table: white space as single blanks."""
    return " ".join(text.split())
