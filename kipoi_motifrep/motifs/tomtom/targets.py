"""Motifs as Tomtom sees them: rows that sum to one, pseudocounts, and targets on both strands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError

DEFAULT_NSITES = 20.0  # Tomtom's, for a motif that states none
PSEUDOCOUNT = 0.1  # Tomtom's, times the background
ROW_SUM_TOLERANCE = 1e-5
BACKGROUND_PSEUDOCOUNT = 5e-7


@dataclass(frozen=True)
class WidthGroup:
    """The targets of one width, both strands.

    Parameters
    ----------
    width : int
        Number of columns of each.
    columns : slice
        Where their columns lie in `Targets.columns`: position by position, and
        at each position first the T targets, then their T reverse complements.
    entries : slice
        Where their 2 T strands lie in arrays of strands.
    """

    width: int
    columns: slice
    entries: slice


@dataclass(frozen=True)
class Targets:
    """All target columns of both strands, in an order that suits one array operation per width.

    Parameters
    ----------
    columns : numpy.ndarray, shape (W, 4), float64
        Every column of every target and of its reverse complement.
    groups : tuple of WidthGroup
        From narrow to wide.
    target : numpy.ndarray, shape (2 N,), int
        Which target each strand belongs to.
    minus : numpy.ndarray, shape (2 N,), bool
        Whether it is the reverse complement.
    widths : numpy.ndarray, shape (N,), int
        Widths in the order given.
    """

    columns: np.ndarray
    groups: tuple[WidthGroup, ...]
    target: np.ndarray
    minus: np.ndarray
    widths: np.ndarray

    def __len__(self) -> int:
        return len(self.widths)

    @classmethod
    def of(cls, matrices: Sequence[np.ndarray]) -> Targets:
        """Arrange prepared matrices.

        Parameters
        ----------
        matrices : sequence of numpy.ndarray, each (width, 4)
            Targets, as `prepare` leaves them.
        """
        widths = np.array([len(matrix) for matrix in matrices])
        columns, groups, target, minus = [], [], [], []
        n_columns = n_entries = 0
        for width in np.unique(widths):
            members = np.flatnonzero(widths == width)
            plus = np.stack([matrices[i] for i in members], axis=1)
            both = np.concatenate([plus, plus[::-1, :, ::-1]], axis=1)
            columns.append(both.reshape(-1, 4))
            target += [members, members]
            minus += [np.zeros(len(members), bool), np.ones(len(members), bool)]
            groups.append(WidthGroup(int(width), slice(n_columns, n_columns + len(columns[-1])),
                                     slice(n_entries, n_entries + 2 * len(members))))
            n_columns, n_entries = groups[-1].columns.stop, groups[-1].entries.stop
        return cls(np.concatenate(columns), tuple(groups), np.concatenate(target), np.concatenate(minus), widths)


def prepare(motifs: Iterable, background: np.ndarray | None, pseudocount: float) -> list[np.ndarray]:
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
    """
    added = pseudocount * letter_background(background)
    return [_with_pseudocount(motif, index, added, pseudocount) for index, motif in enumerate(motifs)]


def letter_background(background: Sequence[float] | np.ndarray | None) -> np.ndarray:
    """Letter frequencies as Tomtom uses them: uniform, or as stated with a little added to each."""
    if background is None:
        return np.full(4, 0.25)
    letters = np.asarray(background, float)
    if letters.shape != (4,) or not (letters.min() >= 0 and 0 < letters.sum() < np.inf):
        raise InputError(f"background must be four non-negative numbers (A, C, G, T), not {background!r}")
    letters = letters + BACKGROUND_PSEUDOCOUNT
    return letters / letters.sum()


def _with_pseudocount(motif: object, index: int, added: np.ndarray, pseudocount: float) -> np.ndarray:
    matrix = np.array(getattr(motif, "pwm", motif), float)
    if matrix.ndim != 2 or matrix.shape[1:] != (4,) or not len(matrix):
        raise InputError(f"motif {index} has shape {matrix.shape}; it must be (width, 4) with at least one position")
    totals = matrix.sum(axis=1)
    if not (matrix.min() >= 0 and totals.min() > 0 and totals.max() < np.inf):
        raise InputError(f"motif {index} has a negative or missing number, or a position without any")
    matrix /= np.where(np.abs(totals - 1) > ROW_SUM_TOLERANCE, totals, 1.0)[:, None]
    nsites = getattr(motif, "nsites", None) or DEFAULT_NSITES
    return (matrix * nsites + added) / (nsites + pseudocount)
