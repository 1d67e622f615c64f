"""What is wrong with an input file, by row."""

from __future__ import annotations

import os
from typing import NamedTuple

from kipoi_motifrep.core.errors import InputError

SHOWN_AT_MOST = 1000


class Problem(NamedTuple):
    """One thing wrong with a file.

    Attributes
    ----------
    row : int
        Line of the file, from 1.
    message : str
        What is wrong and the cure.
    uneven : int, optional
        Where it is that widths differ, the width of the first row; the cure is not in `message` then.
    """

    row: int
    message: str
    uneven: int | None = None

    @property
    def cure(self) -> str:
        """What to do about widths that differ, for one who does not know the network; empty for other problems."""
        return "" if self.uneven is None else _resize(f"{self.uneven}, or the width that the network reads,")


class UnevenWidths(InputError):
    """Sequences are of several widths where one is needed.

    Parameters
    ----------
    problem : Problem
        The first row of another width.
    others : str
        That there are more, or nothing.
    path : str or path-like
        The file.

    Attributes
    ----------
    width : int
        Bases of the first sequence.
    """

    def __init__(self, problem: Problem, others: str, path: str | os.PathLike):
        super().__init__(f"{problem.message}; {problem.cure}{others}", path=path, row=problem.row)
        self._problem, self._others, self._path, self.width = problem, others, path, problem.uneven

    def for_network(self, width: int) -> InputError:
        """Say the cure for a network, which knows better than a loader which width is needed.

        Parameters
        ----------
        width : int
            Bases that it reads.

        Returns
        -------
        InputError
            To be raised instead.
        """
        message = f"{self._problem.message}; the network reads {width}: {_resize(width)}{self._others}"
        return InputError(message, path=self._path, row=self._problem.row)


def _resize(to: object) -> str:
    return f"give auto_resize_len={to} to centre and resize all"


class Problems:
    """The problems found so far in one file; the first thousand are kept.

    Parameters
    ----------
    path : str or path-like
        The file.
    listed : bool, default True
        Whether ``kipoi-motifrep validate`` reads such files.

    Examples
    --------
    >>> problems = Problems("peaks.bed")
    >>> problems.add(3, "start 'x' must be a whole number")
    >>> problems.raise_first()
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: peaks.bed, row 3: start 'x' must be a whole number
    """

    def __init__(self, path: str | os.PathLike, *, listed: bool = True):
        self.path, self.listed = path, listed
        self.count = 0
        self.kept: list[Problem] = []

    def add(self, row: int, message: str, uneven: int | None = None) -> None:
        """Note a problem.

        Parameters
        ----------
        row, message, uneven
            As of a :class:`Problem`.
        """
        # A file of another genome has a problem in each of its millions of rows.
        self.count += 1
        if len(self.kept) < SHOWN_AT_MOST:
            self.kept.append(Problem(int(row), message, uneven))

    def in_order(self) -> list[Problem]:
        """List the problems that were kept by row.

        Returns
        -------
        list of Problem
            At most a thousand.
        """
        return sorted(self.kept)

    def raise_first(self) -> None:
        """Raise the first problem, if there is any.

        Raises
        ------
        InputError
            It names the row, and the number of further rows with problems; an :class:`UnevenWidths` where it is that.
        """
        if not self.count:
            return
        first = self.in_order()[0]
        more = self.count - 1
        others = f" ({more} more problem{'s' * (more > 1)}" if more else ""
        if more:
            others += "; 'kipoi-motifrep validate' lists them)" if self.listed else ")"
        if first.uneven is not None:
            raise UnevenWidths(first, others, self.path)
        raise InputError(first.message + others, path=self.path, row=first.row)
