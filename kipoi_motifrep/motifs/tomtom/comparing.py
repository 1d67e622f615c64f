"""Tomtom: the target motifs that a query motif resembles more than chance allows.

Gupta, Stamatoyannopoulos, Bailey & Noble (2007) "Quantifying similarity between
motifs", Genome Biology 8:R24, doi:10.1186/gb-2007-8-2-r24; details as in Tomtom
4.12. Distance: Euclidean; both strands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs.tomtom.alignment import Alignments
from kipoi_motifrep.motifs.tomtom.hits import HIT, Keys, Selection
from kipoi_motifrep.motifs.tomtom.null import ScoreDistributions, incomplete_p_values, p_values
from kipoi_motifrep.motifs.tomtom.qvalues import Draws
from kipoi_motifrep.motifs.tomtom.scores import Scorer
from kipoi_motifrep.motifs.tomtom.targets import PSEUDOCOUNT, Targets, prepare

_MAX_BATCH = 32  # queries of one width that are scored together
_BATCH_BYTES = 32e6  # scores of a batch
_NULL_BYTES = 200e6  # null distributions of a batch, which take about 4,000 bytes x width x width for a query
_WINDOW_BYTES = 64e6  # p-values and offsets kept until they are put in the order of the queries


def tomtom(queries: Iterable, targets: Iterable, *, evalue: float = 0.1, qvalue: float | None = None,
           min_overlap: int = 1, complete_scores: bool = True,
           background: Sequence[float] | np.ndarray | None = None, pseudocount: float = PSEUDOCOUNT,
           qvalues: bool = True, threads: int = 1, progress: bool = False) -> np.ndarray:
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
    qvalues : bool, default True
        Compute q-values; without, they are NaN. They depend on the order of the
        queries, as in Tomtom: its random numbers run on from one to the next.
    threads : int, default 1
        Threads that compute scores and p-values. Results are the same.
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
    """
    found = search(queries, targets, evalue=evalue, qvalue=qvalue, min_overlap=min_overlap,
                   complete_scores=complete_scores, background=background, pseudocount=pseudocount,
                   qvalues=qvalues, threads=threads, progress=progress)
    hits = np.concatenate([np.empty(0, HIT), *found])
    hits.setflags(write=False)
    return hits


def search(queries: Iterable, targets: Iterable, *, evalue: float = 0.1, qvalue: float | None = None,
           min_overlap: int = 1, complete_scores: bool = True,
           background: Sequence[float] | np.ndarray | None = None, pseudocount: float = PSEUDOCOUNT,
           qvalues: bool = True, threads: int = 1, progress: bool = False) -> Iterator[np.ndarray]:
    """Compare motifs as `tomtom` does, and yield the records of one query after another.

    Parameters
    ----------
    queries, targets, evalue, qvalue, min_overlap, complete_scores, background, pseudocount, qvalues, threads, progress
        See `tomtom`.

    Returns
    -------
    iterator of numpy.ndarray of records
        One array, perhaps empty, for each query. Memory does not grow with the queries.

    Raises
    ------
    InputError
        See `tomtom`; raised at once.
    """
    _check_options(evalue, qvalue, min_overlap, pseudocount, qvalues, threads)
    if background is None:
        background = getattr(queries, "background", None)
    matrices = prepare(queries, background, pseudocount)
    prepared = prepare(targets, background, pseudocount)
    if not prepared:
        raise InputError("there are no target motifs to compare with")
    database = Targets.of(prepared)
    keys = Keys.of(database, max(map(len, matrices), default=1))
    comparison = Comparison(database, keys, Scorer(database.columns, complete_scores), min_overlap, complete_scores)
    selection = Selection(database, keys, evalue, qvalue, Draws() if qvalues else None)
    found = _in_order(matrices, comparison, selection, threads)
    if not progress:
        return found
    from kipoi_motifrep.core.progress import progress as bar

    return iter(bar(found, "comparing motifs", total=len(matrices), unit="motif"))


def _check_options(evalue: float, qvalue: float | None, min_overlap: int, pseudocount: float, qvalues: bool,
                   threads: int) -> None:
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
    if threads < 1:
        raise InputError(f"threads must be 1 or more, not {threads}")


@dataclass(frozen=True)
class Comparison:
    """Queries of one width against all target strands: sort keys and offsets."""

    targets: Targets
    keys: Keys
    scorer: Scorer
    min_overlap: int
    complete: bool

    def __call__(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare.

        Parameters
        ----------
        queries : numpy.ndarray, shape (Q, w, 4), float64
            Pseudocounts included.

        Returns
        -------
        keys : numpy.ndarray, shape (Q, 2 N), uint64
            See `Keys`; in the order of `Targets.target`.
        offsets : numpy.ndarray, shape (Q, 2 N), int16
        """
        scores = self.scorer(queries)
        n, width, _ = scores.values.shape
        distributions = ScoreDistributions.of(scores)
        layouts = {group.width: Alignments(width, group.width) for group in self.targets.groups}
        sums = {group.width: layouts[group.width].sums(
            scores.values[:, :, group.columns].reshape(n, width, group.width, -1)) for group in self.targets.groups}
        if self.complete:
            best, alignments = {}, {}
            for m, layout in layouts.items():
                best[m], alignments[m] = layout.best(sums[m], scores.unaligned, self.min_overlap)
            p = p_values(distributions, scores.unaligned, best)
        else:
            p, alignments = incomplete_p_values(distributions, sums, self.min_overlap)
        overlaps = np.concatenate([layout.overlaps[alignments[m]] for m, layout in layouts.items()], axis=1)
        offsets = np.concatenate([layout.offsets[alignments[m]] for m, layout in layouts.items()], axis=1)
        rounded = np.concatenate([p[m] for m in layouts], axis=1).astype(np.float32)
        return self.keys.pack(rounded, overlaps, self.targets.minus, self.targets.target), offsets.astype(np.int16)


def _in_order(queries: list[np.ndarray], compare: Comparison, select: Selection, threads: int) -> Iterator[np.ndarray]:
    n_entries = len(compare.targets.target)
    window = int(max(1, _WINDOW_BYTES // (10 * n_entries)))
    parts = [range(start, min(start + window, len(queries))) for start in range(0, len(queries), window)]

    def finish(part: range, batches: list[list[int]], results: Iterable) -> Iterator[np.ndarray]:
        found = {}
        for batch, (keys, offsets) in zip(batches, results, strict=True):
            found.update(zip(batch, zip(keys, offsets, strict=True), strict=True))
        return (select(index, *found.pop(index)) for index in part)

    def start(part: range, run: Callable) -> tuple:
        batches = _batches(queries, part, len(compare.targets.columns))
        return part, batches, run(compare, [np.stack([queries[i] for i in batch]) for batch in batches])

    if threads == 1:
        for part in parts:
            yield from finish(*start(part, map))
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = None
        for part in parts:
            # The next part is under way while q-values of this one, which must come in order, are computed.
            current, ahead = ahead, start(part, pool.map)
            if current:
                yield from finish(*current)
        if ahead:
            yield from finish(*ahead)


def _batches(queries: list[np.ndarray], part: range, n_columns: int) -> list[list[int]]:
    by_width: dict[int, list[int]] = {}
    for index in part:
        by_width.setdefault(len(queries[index]), []).append(index)
    batches = []
    for width, members in by_width.items():
        size = int(max(1, min(_MAX_BATCH, _BATCH_BYTES // (2 * width * n_columns), _NULL_BYTES // (4000 * width**2))))
        batches += [members[start:start + size] for start in range(0, len(members), size)]
    return batches
