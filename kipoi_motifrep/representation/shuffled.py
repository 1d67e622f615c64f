"""What chance gives: the same metrics for filters with shuffled columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.motifs.tomtom import HIT, tomtom

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


def shuffled_metrics(found: Matches, compared: Sequence[int], metrics: Callable[[np.ndarray, Sequence[Motif]], Mapping],
                     seed: int, threads: int = 1) -> Shuffled:
    """Shuffle the columns of each trimmed filter, match as before, and compute the metrics.

    A shuffled filter keeps its width, its letters and its information, and loses its
    order: what still matches does so by chance. Filters that were not compared stay so.

    Parameters
    ----------
    found : Matches
        Of the trimmed filters.
    compared : sequence of int
        Which of them took part.
    metrics : callable
        From hits and queries to metrics.
    seed : int
        Of the shuffles.
    threads : int, default 1
        For Tomtom.

    Returns
    -------
    Shuffled
        Mean and SD of each metric.
    """
    random = np.random.default_rng(seed)
    draws = n_draws(len(found.queries))
    shuffled = [[_shuffled(motif, random) for motif in found.queries] for _ in range(draws)]
    hits = tomtom([draw[i] for draw in shuffled for i in compared], found.database,
                  evalue=found.parameters["evalue"], min_overlap=found.parameters["min_overlap"],
                  complete_scores=not found.parameters["incomplete_scores"], background=found.queries.background,
                  qvalues=False, threads=threads)
    places = np.array(compared, int)
    rows = []
    for number, queries in enumerate(shuffled):
        own = hits[hits["query"] // max(len(compared), 1) == number].copy() if len(compared) else np.empty(0, HIT)
        own["query"] = places[own["query"] - number * len(compared)]
        rows.append(metrics(own, queries))
    # Coverage of a match has no value in a draw without matches.
    keys = dict.fromkeys(key for row in rows for key in row)
    values = {key: [row[key] for row in rows if key in row] for key in keys}
    return Shuffled({key: float(np.mean(one)) for key, one in values.items()},
                    {key: float(np.std(one, ddof=1)) if len(one) > 1 else 0.0 for key, one in values.items()}, draws)


def _shuffled(motif: Motif, random: np.random.Generator) -> Motif:
    return Motif(motif.name, motif.pwm[random.permutation(motif.width)], nsites=motif.nsites)
