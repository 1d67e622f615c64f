"""Motifs as Tomtom sees them: rows that sum to one, pseudocounts, and targets on both strands or on one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from kipoi_motifrep.core.errors import InputError

DEFAULT_NSITES = 20.0  # Tomtom's, for a motif that states none
PSEUDOCOUNT = 0.1  # Tomtom's, times the background
ROW_SUM_TOLERANCE = 1e-5
BACKGROUND_PSEUDOCOUNT = 5e-7


class Targets(NamedTuple):
    """All target columns of both strands, as the compiled code reads them.

    Columns lie width by width, narrow targets first; within a width position by position; and at each
    position first the T targets of that width, then their T reverse complements. So the scores of one query
    column against all of a width are added up in one sweep, whatever the alignment.

    Parameters
    ----------
    columns : numpy.ndarray, shape (W, 4), float64
        Every column of every target and of its reverse complement.
    rough : numpy.ndarray, shape (4, W), float32
        The same, letter by letter, in single precision.
    widths, n_strands : numpy.ndarray, shape (G,), int64
        The G distinct widths, from narrow to wide, and how many strands, 2 T, are of each; T where only one strand
        is compared.
    target, minus : numpy.ndarray, shape (2 N,), int64 and bool
        Which target each strand belongs to, width by width, and whether it is the reverse complement.
    width_of : numpy.ndarray, shape (2 N,), int64
        Width of each strand.
    n_targets : int
        N.
    """

    columns: np.ndarray
    rough: np.ndarray
    widths: np.ndarray
    n_strands: np.ndarray
    target: np.ndarray
    minus: np.ndarray
    width_of: np.ndarray
    n_targets: int

    @classmethod
    def of(cls, matrices: Sequence[np.ndarray], both_strands: bool = True) -> Targets:
        """Arrange prepared matrices.

        Parameters
        ----------
        matrices : sequence of numpy.ndarray, each (width, 4)
            Targets, as `prepare` leaves them.
        both_strands : bool, default True
            Compare with reverse complements, too.

        Examples
        --------
        >>> targets = Targets.of([np.full((5, 4), 0.25), np.full((3, 4), 0.25)])
        >>> targets.widths, targets.target
        (array([3, 5]), array([1, 1, 0, 0]))
        """
        widths = np.array([len(matrix) for matrix in matrices])
        columns, target, minus = [], [], []
        distinct, counts = np.unique(widths, return_counts=True)
        for width in distinct:
            members = np.flatnonzero(widths == width)
            plus = np.stack([matrices[i] for i in members], axis=1)
            strands = [plus, plus[::-1, :, ::-1]] if both_strands else [plus]
            columns.append(np.concatenate(strands, axis=1).reshape(-1, 4))
            target += [members] * len(strands)
            minus += [np.zeros(len(members), bool), np.ones(len(members), bool)][: len(strands)]
        together = np.concatenate(columns)
        return cls(
            together,
            np.ascontiguousarray(together.T, np.float32),
            distinct,
            (1 + both_strands) * counts,
            np.concatenate(target),
            np.concatenate(minus),
            np.repeat(distinct, (1 + both_strands) * counts),
            len(matrices),
        )


def prepare(motifs: Iterable, background: Sequence[float] | np.ndarray | None, pseudocount: float) -> list[np.ndarray]:
    """Rescale rows that do not sum to one and add Tomtom's pseudocount.

    Parameters
    ----------
    motifs : iterable of Motif or numpy.ndarray (width, 4)
        An array has no number of sites; Tomtom's default of 20 holds for it.
    background : sequence of 4 floats, or None
        Letter frequencies as the first query file states them; None is uniform.
    pseudocount : float
        Added to each position in proportion to the background.

    Returns
    -------
    list of numpy.ndarray, each (width, 4), float64

    Raises
    ------
    InputError
        If a matrix is empty or not a matrix of non-negative numbers with four columns.

    Examples
    --------
    >>> prepare([np.array([[2.0, 1.0, 1.0, 0.0]])], None, 0.0)[0].tolist()
    [[0.5, 0.25, 0.25, 0.0]]
    """
    added = pseudocount * letter_background(background)
    motifs = list(motifs)
    matrices = [np.asarray(getattr(motif, "pwm", motif), float) for motif in motifs]
    for index, matrix in enumerate(matrices):
        if matrix.ndim != 2 or matrix.shape[1:] != (4,) or not len(matrix):
            raise InputError(
                f"motif {index} has shape {matrix.shape}; it must be (width, 4) with at least one position"
            )
    if not matrices:
        return []
    # All of them at once: a database has thousands of motifs.
    widths = [len(matrix) for matrix in matrices]
    rows = np.concatenate(matrices)
    totals = rows.sum(axis=1)
    bad = np.flatnonzero(~((rows.min(axis=1) >= 0) & (totals > 0) & (totals < np.inf)))
    if len(bad):
        index = int(np.repeat(np.arange(len(widths)), widths)[bad[0]])
        raise InputError(f"motif {index} has a negative or missing number, or a position without any")
    rows = rows / np.where(np.abs(totals - 1) > ROW_SUM_TOLERANCE, totals, 1.0)[:, None]
    nsites = np.repeat([float(getattr(motif, "nsites", None) or DEFAULT_NSITES) for motif in motifs], widths)[:, None]
    return np.split((rows * nsites + added) / (nsites + pseudocount), np.cumsum(widths)[:-1])


def letter_background(background: Sequence[float] | np.ndarray | None) -> np.ndarray:
    """Letter frequencies as Tomtom uses them: uniform, or as stated with a little added to each.

    Parameters
    ----------
    background : sequence of 4 floats, or None
        As stated, ACGT.

    Returns
    -------
    numpy.ndarray, shape (4,), float64

    Raises
    ------
    InputError
        If it is not four non-negative numbers.

    Examples
    --------
    >>> letter_background([0.3, 0.2, 0.2, 0.3]).round(6).tolist()
    [0.3, 0.2, 0.2, 0.3]
    """
    if background is None:
        return np.full(4, 0.25)
    letters = np.asarray(background, float)
    if letters.shape != (4,) or not (letters.min() >= 0 and 0 < letters.sum() < np.inf):
        raise InputError(f"background must be four non-negative numbers (A, C, G, T), not {background!r}")
    letters = letters + BACKGROUND_PSEUDOCOUNT
    return letters / letters.sum()
