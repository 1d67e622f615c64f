"""Everything that is wrong with a BED file and its genome, in one pass before a long run."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.letters import N_CODE
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.sequences.alphabet import OUTSIDE
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.intervals import Intervals
from kipoi_motifrep.sequences.problems import Problem

FETCHED_AT_ONCE = 4096


@dataclass(frozen=True)
class Findings:
    """What was found in a BED file.

    Attributes
    ----------
    n, width : int
        Intervals, and bases of each.
    problems : list of Problem
        By row; at most a thousand.
    n_problems : int
        Their full number.
    n_padded : int
        Intervals that reach beyond an end of their chromosome.
    n_ambiguous : int
        Intervals with letters other than A, C, G, T; counted where there are no problems.
    """

    n: int
    width: int
    problems: list[Problem]
    n_problems: int
    n_padded: int
    n_ambiguous: int


def validate(
    intervals_file: str | os.PathLike,
    fasta_file: str | os.PathLike,
    *,
    auto_resize_len: int | None = None,
    use_strand: bool = False,
    outside: str = "average",
    centre: str | None = None,
) -> Findings:
    """Check a BED file against a genome as the loader ``IntervalsDl`` does, and go on past problems.

    Parameters
    ----------
    intervals_file, fasta_file : str or path-like
        The two files.
    auto_resize_len, use_strand, outside, centre
        As for the loader.

    Returns
    -------
    Findings
        All problems, and counts that a user should know of.

    Raises
    ------
    InputError
        If a file as a whole cannot be used.
    """
    genome = Genome(fasta_file)
    intervals = Intervals(
        intervals_file, genome, length=auto_resize_len, use_strand=use_strand, outside=outside, centre=centre
    )
    problems = intervals.problems
    ambiguous = 0
    # Letters are read where the intervals are in order only: a genome of another build has others.
    if not problems.count:
        for start in progress(range(0, len(intervals), FETCHED_AT_ONCE), "reading the genome", unit="batch"):
            batch = intervals.read(start, min(start + FETCHED_AT_ONCE, len(intervals)))
            codes = intervals.fetch(batch)
            ambiguous += int(np.count_nonzero(((codes >= N_CODE) & (codes < OUTSIDE)).any(axis=1)))
    return Findings(len(intervals), intervals.width, problems.in_order(), problems.count, intervals.n_padded, ambiguous)
