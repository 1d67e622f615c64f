"""How motifs fare against their own shuffles: the chance of a match as good, and false discovery rates.

The null of a motif is the motif itself with its columns in random order. A shuffle keeps width, letters and
information; what it loses is the order, which is what makes a motif one. So a filter is judged by what filters of its
composition get from this database, whatever E-values say: a database may hold motifs that nearly anything resembles.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kipoi_motifrep.core.statuses import MATCHED, NO_MATCH
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.tomtom import tomtom

if TYPE_CHECKING:
    from kipoi_motifrep.motifs.matches import Matches

FDR = 0.05
"""False discovery rate up to which filters are called, by default."""
LOSSES = 20
"""How often a motif without meaning loses against its shuffles for each time that it wins. A single winner has a false
discovery rate of 1 / LOSSES, so this many shuffles are the fewest that can call one at 5 %."""
WANTED, MOST_BLOCKS = 3000, 5  # shuffles of all motifs together; of one, in blocks of LOSSES + 1 with itself
# E-values above this count as this: such a motif resembles nothing, and records of all targets would fill memory.
HOPELESS = 10.0


@dataclass(frozen=True)
class Chance:
    """What chance gives, motif by motif.

    Parameters
    ----------
    level : float
        False discovery rate up to which a motif is called.
    n_shuffles : int
        How many shuffles each motif was compared with.
    p_chance : sequence of float or None
        Share of a motif and its shuffles whose best E-value is as low as the motif's own; None for motifs that were
        not compared.
    fdr : sequence of float or None
        From `competition`.
    targets : mapping of str to float
        Share of the chance matches that each target takes, the greediest first; see `Shuffles.chance`.
    """

    level: float
    n_shuffles: int
    p_chance: Sequence[float | None]
    fdr: Sequence[float | None]
    targets: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Shuffles:
    """Shuffled motifs, and what they match.

    Parameters
    ----------
    draws : tuple of tuple of Motif
        Each motif that was compared, shuffled anew in every draw.
    compared : numpy.ndarray of int
        Their places among the queries.
    hits : numpy.ndarray of records
        From Tomtom, as far as they count as matches; ``query`` counts the motifs on from draw to draw.
    best : numpy.ndarray, shape (n_compared, 1 + n_draws)
        Best E-value of each motif, its own first, then those of its shuffles.
    """

    draws: tuple[tuple[Motif, ...], ...]
    compared: np.ndarray
    hits: np.ndarray
    best: np.ndarray

    def chance(self, found: Matches, level: float = FDR) -> Chance:
        """Compare each motif with its shuffles, and name the targets that take their matches.

        Parameters
        ----------
        found : Matches
            What was shuffled.
        level : float, default 0.05
            False discovery rate up to which a motif is called.

        Returns
        -------
        Chance
            A chance match is the best match of a shuffle that has any.
        """
        p_chance, fdr = np.full((2, len(found.queries)), np.nan)
        p_chance[self.compared] = (self.best <= self.best[:, :1]).mean(axis=1)  # its own is as good as itself
        fdr[self.compared] = competition(self.best, _threshold(found))
        _, first = np.unique(self.hits["query"], return_index=True)
        taken, counts = np.unique(self.hits["target"][first], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        names = found.database.target_names
        shares = {names[taken[i]]: float(counts[i] / len(first)) for i in order}
        return Chance(level, len(self.draws), _known(p_chance), _known(fdr), shares)


def n_shuffles(n_motifs: int) -> int:
    """Choose how often to shuffle each of some motifs.

    One less than a multiple of `LOSSES` + 1: as many as make `WANTED` together, but 20 at least, which can call even
    a single motif, and 104 at most. The standard error of `p_chance` p is sqrt(p (1 - p) / n): with 104 shuffles
    it is at most 0.05, and 0.02 where motifs are called; with 20 at most 0.11, and 0.05.

    Parameters
    ----------
    n_motifs : int
        How many are judged together.

    Returns
    -------
    int
        Shuffles of each.

    Examples
    --------
    >>> [n_shuffles(n) for n in (1, 30, 60, 300)]
    [104, 104, 62, 20]
    """
    block = LOSSES + 1
    return block * int(np.clip(np.ceil(WANTED / (block * max(n_motifs, 1))), 1, MOST_BLOCKS)) - 1


def shuffle(found: Matches, seed: int = 0, threads: int | None = None) -> Shuffles:
    """Shuffle the columns of motifs, and match them in the same way.

    1. Shuffle each motif that was compared, as often as `n_shuffles` says.
    2. Compare motifs and shuffles with the database in one run of Tomtom, which prepares the database once; q-values
       are not asked for.
    3. Keep the best E-value of each, and what counts as a match. Where that is by q-value, shuffles are searched once
       more, as the motifs were.

    Parameters
    ----------
    found : Matches
        What they match. Dead motifs and those without information are left out here, too.
    seed : int, default 0
        Of the shuffles.
    threads : int, optional
        For Tomtom; by default all that the machine has.

    Returns
    -------
    Shuffles

    Examples
    --------
    >>> from kipoi_motifrep import match, write_motifs
    >>> random = np.random.default_rng(0)
    >>> targets = [Motif(f"t{i}", random.dirichlet([0.2] * 4, 9)) for i in range(50)]
    >>> write_motifs(targets, "targets.meme")
    >>> write_motifs([targets[3], Motif("random", random.dirichlet([0.2] * 4, 9))], "queries.meme")
    >>> found = match("queries.meme", "targets.meme")
    >>> chance = shuffle(found).chance(found)
    >>> chance.p_chance[0] == 1 / 105, chance.p_chance[1] > 0.05, chance.fdr
    (True, True, (0.05, 1.0))
    """
    random, n_draws = np.random.default_rng(seed), n_shuffles(len(found.queries))
    compared = np.array([i for i, status in enumerate(found.statuses) if status in (MATCHED, NO_MATCH)], int)
    motifs = [found.queries.motifs[i] for i in compared]
    draws = tuple(
        tuple(Motif(motif.name, motif.pwm[random.permutation(motif.width)], nsites=motif.nsites) for motif in motifs)
        for _ in range(n_draws)
    )
    settings: Mapping[str, Any] = found.parameters
    most = _threshold(found)
    worst = most if HOPELESS < most < np.inf else HOPELESS
    search = functools.partial(
        tomtom,
        targets=found.database,
        min_overlap=settings["min_overlap"],
        complete_scores=not settings["incomplete_scores"],
        background=found.queries.background,
        both_strands=not settings.get("norc", False),
        threads=threads,
    )
    # A motif's shuffles one behind the other, since they have the same scores, which are computed once.
    hits = search([one for own in zip(motifs, *draws, strict=True) for one in own], evalue=worst, qvalues=False)
    place, draw_of = np.divmod(hits["query"], 1 + n_draws)
    number = draw_of * len(motifs) + place
    order = np.argsort(number, kind="stable")
    hits = hits[order]
    hits["query"] = number[order]
    best = np.full((1 + n_draws) * len(motifs), worst)
    places, first = np.unique(hits["query"], return_index=True)  # a query's best hit comes first
    best[places] = hits["e_value"][first]
    if (qvalue := settings.get("qvalue")) is not None:
        kept = search([motif for draw in draws for motif in draw], qvalue=qvalue)
    else:
        kept = hits[(hits["query"] >= len(motifs)) & (hits["e_value"] <= most)]
        kept["query"] -= len(motifs)
    return Shuffles(draws, compared, kept, best.reshape(1 + n_draws, -1).T)


def competition(best: np.ndarray, most: float = np.inf) -> np.ndarray:
    """Estimate false discovery rates by the competition of each motif with several decoys of its own.

    Emery, Hasam, Noble & Keich (2020), RECOMB, LNCS 12074:54-71 (their c and lambda are both 1 / 21), which is Barber &
    Candes (2015) Ann Stat 43:2055-2085 for several knockoffs. A motif's rank among itself and its decoys is by chance
    any one, so:

    1. It wins if it is in the first 21st of the ranks. Else a decoy of those ranks wins: which one follows from the
       motif's rank, so that each is as likely as where the motif wins. Ties are the decoys'.
    2. Winners that are no match, be it a motif or a decoy, leave.
    3. Winners are put in order by how far their E-value is below the median of their own set (He et al. 2021, Nat
       Commun 12:3152), in orders of magnitude: E-values of motifs of different composition do not compare.
    4. By chance a decoy wins 20 times as often as a motif. So among all winners down to a place, (1 + decoys) / 20
       of the motifs are there by chance; that over the number of motifs is the false discovery rate. A motif's own is
       the lowest of all lists that it is in.

    Parameters
    ----------
    best : numpy.ndarray, shape (n, k)
        Best E-value of each motif, then those of its decoys; k is a multiple of 21.
    most : float, optional
        E-value up to which one is a match.

    Returns
    -------
    numpy.ndarray, shape (n,)
        1 for motifs that do not win.

    Examples
    --------
    >>> competition(np.array([[1e-9] + [1.0] * 20, [0.5] + [0.1] + [1.0] * 19]))
    array([0.05, 1.  ])
    """
    n, size = best.shape
    n_winning = size // (LOSSES + 1)
    rank = (best <= best[:, :1]).sum(axis=1)
    won = rank <= n_winning
    # The losing ranks in runs of LOSSES, each for one of the winning ranks; the worst run for the best decoy.
    place = np.where(won, rank, n_winning - (rank - n_winning - 1) // LOSSES)
    winner = np.sort(best, axis=1)[np.arange(n), place - 1]
    smallest = np.finfo(float).tiny
    score = np.log(np.maximum(np.median(best, axis=1), smallest)) - np.log(np.maximum(winner, smallest))
    matches = winner <= most
    motifs, decoys = np.sort(score[won & matches]), np.sort(score[~won & matches])
    n_motifs = len(motifs) - np.searchsorted(motifs, motifs)
    n_decoys = len(decoys) - np.searchsorted(decoys, motifs)
    rates = np.minimum.accumulate(np.minimum((1 + n_decoys) / (LOSSES * n_motifs), 1.0))
    found = np.ones(n)
    found[won & matches] = rates[np.searchsorted(motifs, score[won & matches])]
    return found


def _known(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values.tolist())


def _threshold(found: Matches) -> float:
    """Give the E-value up to which a match counts; where q-values decide, any does."""
    evalue: Any = found.parameters["evalue"]
    return np.inf if evalue is None else evalue
