"""What chance gives: the same metrics for filters with shuffled columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.chance import Shuffles, shuffle
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.representation.assignment import assign
from kipoi_motifrep.representation.known_motifs import KnownTargets
from kipoi_motifrep.representation.redundancy import similar_filters

GROUPED_DRAWS = 10  # those whose filters are compared among themselves, which takes as long as all the rest


@dataclass(frozen=True)
class Shuffled:
    """Metrics of shuffled filters.

    Parameters
    ----------
    mean, sd : mapping of str to float
        Over the draws (SD with n - 1), by metric.
    draws : int
        How often every filter was shuffled.
    """

    mean: Mapping[str, float]
    sd: Mapping[str, float]
    draws: int


def shuffled_metrics(
    found: Matches,
    known: KnownTargets | None = None,
    seed: int = 0,
    threads: int | None = None,
    shuffles: Shuffles | None = None,
) -> Shuffled:
    """Compute the metrics of filters with shuffled columns.

    Each draw of the shuffles that filters are judged by is taken for a layer of its own: its filters are assigned by
    their own matches, and the metrics follow. Groups of filters are sought in the first draws only.

    Parameters
    ----------
    found : Matches
        Of the trimmed filters.
    known : KnownTargets, optional
        The motifs in the data, against the same database.
    seed : int, default 0
        Of the shuffles.
    threads : int, optional
        For Tomtom; by default all that the machine has.
    shuffles : Shuffles, optional
        Of these filters, where they are at hand.

    Returns
    -------
    Shuffled
        Mean and SD of each metric.
    """
    if shuffles is None:
        shuffles = shuffle(found, seed, threads)
    compared = shuffles.compared
    draw_of, place = np.divmod(shuffles.hits["query"], max(len(compared), 1))
    ends = np.searchsorted(draw_of, np.arange(len(shuffles.draws) + 1))
    rows = []
    for number, draw in enumerate(shuffles.draws):
        own = shuffles.hits[ends[number] : ends[number + 1]].copy()
        own["query"] = compared[place[ends[number] : ends[number + 1]]]
        queries: list[Motif] = list(found.queries.motifs)  # with the idle filters, which count as such
        for i, motif in zip(compared.tolist(), draw, strict=True):
            queries[i] = motif
        row = assign(own, queries, found.database.motifs, known).metrics(known)
        if number < GROUPED_DRAWS:
            row["groups"] = float(len(similar_filters(queries, compared.tolist(), threads)))
        rows.append(row)
    # Coverage of a match has no value in a draw without matches.
    keys = dict.fromkeys(key for row in rows for key in row)
    values = {key: [row[key] for row in rows if key in row] for key in keys}
    return Shuffled(
        {key: float(np.mean(one)) for key, one in values.items()},
        {key: float(np.std(one, ddof=1)) if len(one) > 1 else 0.0 for key, one in values.items()},
        len(shuffles.draws),
    )
