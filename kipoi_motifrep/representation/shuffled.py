"""What chance gives: the same metrics for filters with shuffled columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kipoi_motifrep.core.statuses import MATCHED, NO_MATCH
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.motifs.tomtom import tomtom
from kipoi_motifrep.representation.assignment import assign
from kipoi_motifrep.representation.known_motifs import KnownTargets
from kipoi_motifrep.representation.redundancy import similar_filters

MOST_DRAWS, FEWEST_DRAWS = 10, 3
SHUFFLED_MOTIFS = 300  # as many draws as make this many motifs, so that time stays bounded


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


def n_draws(n_filters: int) -> int:
    """Choose how often to shuffle: 10 times up to 30 filters, 3 times from 100 on."""
    return int(np.clip(SHUFFLED_MOTIFS // max(n_filters, 1), FEWEST_DRAWS, MOST_DRAWS))


def shuffled_metrics(
    found: Matches, known: KnownTargets | None = None, seed: int = 0, threads: int | None = None
) -> Shuffled:
    """Compute the metrics of filters with shuffled columns.

    1. Shuffle the columns of each trimmed filter, as often as `n_draws` says. A shuffled filter keeps its width,
       its letters and its information, and loses its order: what still matches does so by chance. Dead filters and
       those without information are not compared, as before.
    2. Match all draws in one run of Tomtom, which prepares the database once, as the filters themselves were
       matched; q-values are not asked for, since no metric rests on them.
    3. Assign each draw's filters by its own matches, and compute the metrics of each draw.

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

    Returns
    -------
    Shuffled
        Mean and SD of each metric.
    """
    random, draws = np.random.default_rng(seed), n_draws(len(found.queries))
    shuffled = [
        [Motif(motif.name, motif.pwm[random.permutation(motif.width)], nsites=motif.nsites) for motif in found.queries]
        for _ in range(draws)
    ]
    compared = np.array([i for i, status in enumerate(found.statuses) if status in (MATCHED, NO_MATCH)], int)
    settings: Mapping[str, Any] = found.parameters
    hits = tomtom(
        [draw[i] for draw in shuffled for i in compared],
        found.database,
        evalue=settings["evalue"],
        min_overlap=settings["min_overlap"],
        complete_scores=not settings["incomplete_scores"],
        background=found.queries.background,
        both_strands=not settings.get("norc", False),
        qvalues=False,
        threads=threads,
    )
    draw_of, place = np.divmod(hits["query"], max(len(compared), 1))
    rows = []
    for number, queries in enumerate(shuffled):
        own = hits[draw_of == number].copy()
        own["query"] = compared[place[draw_of == number]]
        rows.append(
            {
                **assign(own, queries, found.database.motifs, known).metrics(known),
                "groups": float(len(similar_filters(queries, compared.tolist(), threads))),
            }
        )
    # Coverage of a match has no value in a draw without matches.
    keys = dict.fromkeys(key for row in rows for key in row)
    values = {key: [row[key] for row in rows if key in row] for key in keys}
    return Shuffled(
        {key: float(np.mean(one)) for key, one in values.items()},
        {key: float(np.std(one, ddof=1)) if len(one) > 1 else 0.0 for key, one in values.items()},
        draws,
    )
