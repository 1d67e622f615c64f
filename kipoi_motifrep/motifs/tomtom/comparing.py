"""Tomtom: the target motifs that a query motif resembles more than chance allows.

Gupta, Stamatoyannopoulos, Bailey & Noble (2007) "Quantifying similarity between
motifs", Genome Biology 8:R24, doi:10.1186/gb-2007-8-2-r24; details as in Tomtom
4.12. Distance: Euclidean; both strands, or one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from kipoi_motifrep.core.ahead import ahead
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs.tomtom.reporting import HIT, ReportRule, report
from kipoi_motifrep.motifs.tomtom.targets import PSEUDOCOUNT, Targets, prepare

SEED = 4357  # Tomtom's
_MOST_TOGETHER = 32  # queries that one call compares
_MOST_RECORDS = 1_000_000  # that one call may make


def tomtom(
    queries: Iterable,
    targets: Iterable,
    *,
    evalue: float = 0.1,
    qvalue: float | None = None,
    min_overlap: int = 1,
    complete_scores: bool = True,
    background: Sequence[float] | np.ndarray | None = None,
    pseudocount: float = PSEUDOCOUNT,
    both_strands: bool = True,
    qvalues: bool = True,
    threads: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Compare motifs with a database of motifs, with Tomtom's exact p-, E- and q-values.

    Gupta et al. (2007) Genome Biology 8:R24. A p-value is the chance that the best
    of all alignments on both strands scores as high, E-value = p-value x number of
    targets, and q-values are taken over all targets and strands of one query.

    Parameters
    ----------
    queries, targets : iterable of Motif or numpy.ndarray (width, 4)
        Probabilities, columns ACGT. Arrays, and motifs that do not say how many
        sites they were made from, count as made from 20.
    evalue : float, default 0.1
        Report targets with an E-value up to this.
    qvalue : float, optional
        Report targets with a q-value up to this instead (Tomtom's default is 0.5).
    min_overlap : int, default 1
        Fewest columns that an alignment may pair up; motifs narrower than that
        must be covered whole.
    complete_scores : bool, default True
        Let columns outside the alignment count as average ones. Without, each
        alignment is judged by its own columns, and corrected for their number.
    background : sequence of 4 floats, optional
        Letter frequencies of the query file. Default: ``queries.background`` where
        there is one, else uniform.
    pseudocount : float, default 0.1
        Added to each position of every motif, times the background.
    both_strands : bool, default True
        Compare with the targets' reverse complements, too. RNA has one strand (Tomtom's
        ``-norc``); p- and q-values are then over that strand alone.
    qvalues : bool, default True
        Compute q-values; without, they are NaN. They depend on the order of the
        queries, as in Tomtom: its random numbers run on from one to the next.
    threads : int, optional
        Threads to compute with, by default all that the machine has. Results are the same.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    numpy.ndarray of records, read-only
        One for each reported pair: ``query`` and ``target`` (places in the inputs),
        ``offset`` (position of the query's first column in the target as oriented),
        ``p_value`` (float32 precision), ``e_value``, ``q_value``, ``overlap``,
        ``orientation`` ("+" or "-", of the target). Queries in their order; a
        query's records by p-value, then larger overlap, then "+" first.

    Raises
    ------
    InputError
        If there are no targets, a motif is not a (width, 4) matrix of
        probabilities, or an option is out of range.

    Examples
    --------
    >>> targets = [np.random.default_rng(seed).dirichlet([0.2] * 4, 9) for seed in range(60)]
    >>> query = targets[7][::-1, ::-1][1:8]  # a part of the reverse complement
    >>> hit = tomtom([query], targets)[0]
    >>> int(hit["target"]), int(hit["offset"]), str(hit["orientation"]), hit["e_value"] < 0.1
    (7, 1, '-', True)
    """
    found = search(
        queries,
        targets,
        evalue=evalue,
        qvalue=qvalue,
        min_overlap=min_overlap,
        complete_scores=complete_scores,
        background=background,
        pseudocount=pseudocount,
        both_strands=both_strands,
        qvalues=qvalues,
        threads=threads,
        progress=progress,
    )
    return np.frombuffer(b"".join(one.tobytes() for one in found), HIT)  # thousands, mostly short ones


def search(
    queries: Iterable,
    targets: Iterable,
    *,
    evalue: float = 0.1,
    qvalue: float | None = None,
    min_overlap: int = 1,
    complete_scores: bool = True,
    background: Sequence[float] | np.ndarray | None = None,
    pseudocount: float = PSEUDOCOUNT,
    both_strands: bool = True,
    qvalues: bool = True,
    threads: int | None = None,
    progress: bool = False,
) -> Iterator[np.ndarray]:
    """Compare motifs as `tomtom` does, and yield the records of one query after another.

    Parameters
    ----------
    queries, targets, evalue, qvalue, min_overlap, complete_scores, background, pseudocount
        See `tomtom`.
    both_strands, qvalues, threads, progress
        See `tomtom`.

    Returns
    -------
    iterator of numpy.ndarray of records
        One array, perhaps empty, for each query. Memory does not grow with the queries.

    Raises
    ------
    InputError
        See `tomtom`; raised at once.

    Examples
    --------
    >>> targets = [np.eye(4)[[0, 1, 2]], np.eye(4)[[3, 3, 3]]]
    >>> [found["target"].tolist() for found in search(targets, targets, evalue=2)]
    [[0, 1], [1, 0]]
    """
    _check_options(evalue, qvalue, min_overlap, pseudocount, qvalues, threads)
    if background is None:
        background = getattr(queries, "background", None)
    matrices = prepare(queries, background, pseudocount)
    prepared = prepare(targets, background, pseudocount)
    if not prepared:
        raise InputError("there are no target motifs to compare with")
    found = _compared(
        matrices,
        Targets.of(prepared, both_strands),
        bool(complete_scores),
        int(min_overlap),
        ReportRule(float(evalue if qvalue is None else qvalue), qvalue is not None, bool(qvalues)),
        threads or _all_threads(),
    )
    if not progress:
        return found
    from kipoi_motifrep.core.progress import progress as bar

    return iter(bar(found, "comparing motifs", total=len(matrices), unit="motif"))


def _check_options(
    evalue: float, qvalue: float | None, min_overlap: int, pseudocount: float, qvalues: bool, threads: int | None
) -> None:
    if not evalue >= 0:
        raise InputError(f"evalue must be 0 or more, not {evalue}")
    if qvalue is not None and not qvalues:
        raise InputError("a threshold on q-values needs qvalues=True")
    if qvalue is not None and not 0 <= qvalue <= 1:
        raise InputError(f"qvalue must be between 0 and 1, not {qvalue}")
    if min_overlap < 1:
        raise InputError(f"min_overlap must be 1 or more, not {min_overlap}")
    if not 0 <= pseudocount < np.inf:
        raise InputError(f"pseudocount must be 0 or more, not {pseudocount}")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be 1 or more, not {threads}")


def _all_threads() -> int:
    """Cores that this process may use: a scheduler often lends it a few of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _compared(
    queries: list[np.ndarray], targets: Targets, complete: bool, min_overlap: int, rule: ReportRule, threads: int
) -> Iterator[np.ndarray]:
    """Yield the records of one query after another, while threads compare the following ones."""
    from kipoi_motifrep.motifs.tomtom import statistics  # here: numba takes long to load

    # Enough parts for the threads to share, and few enough records of a part for memory.
    size = int(max(1, min(_MOST_TOGETHER, len(queries) / (4 * threads), _MOST_RECORDS / targets.n_targets)))
    state = seeded(SEED)
    most = np.inf if rule.with_q else rule.highest_p(targets.n_targets)  # q-values rest on all p-values

    def records(item: tuple[int, list[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        first, part, state = item
        p_values, chosen = statistics.compare(part, targets, complete, min_overlap, most)
        hits = report(np.array([len(one) for one in part]), targets, rule, p_values, chosen, state)
        ends = np.searchsorted(hits["query"], np.arange(len(part) + 1)).tolist()
        hits["query"] += first
        return [hits[start:stop] for start, stop in itertools.pairwise(ends)]

    def parts() -> Iterator[tuple]:
        for first in range(0, len(queries), size):
            part = queries[first : first + size]
            yield first, part, state.copy()
            if rule.with_q:  # the next part finds the generator as this one leaves it
                none = np.empty((0, len(targets.target)), np.float32)
                statistics.null_fractions(none, np.zeros(len(part), bool), state)

    # Work for every thread under way, but no more.
    for found in map(records, parts()) if threads == 1 else ahead(records, parts(), threads, 2 * threads):
        yield from found


def seeded(seed: int) -> np.ndarray:
    """Start the generator by its first seeding rule (Matsumoto & Nishimura 1998), not the one of numpy.

    Parameters
    ----------
    seed : int
        Tomtom's is 4357.

    Returns
    -------
    numpy.ndarray, shape (625,), uint32
        The state, and how many of its words are used: all of them.

    Examples
    --------
    >>> seeded(4357)[:2], int(seeded(4357)[-1])
    (array([     4357, 300933633], dtype=uint32), 624)
    """
    words = [seed]
    while len(words) < 624:
        words.append(69069 * words[-1] % 2**32)
    return np.array([*words, 624], np.uint32)
