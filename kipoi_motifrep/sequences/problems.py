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
    """

    row: int
    message: str


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

    def add(self, row: int, message: str) -> None:
        """Note a problem.

        Parameters
        ----------
        row : int
            Line of the file, from 1.
        message : str
            What is wrong and the cure.
        """
        # A file of another genome has a problem in each of its millions of rows.
        self.count += 1
        if len(self.kept) < SHOWN_AT_MOST:
            self.kept.append(Problem(int(row), message))

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
            It names the row, and the number of further rows with problems.
        """
        if not self.count:
            return
        first = self.in_order()[0]
        more = self.count - 1
        others = f" ({more} more problem{'s' * (more > 1)}" if more else ""
        if more:
            others += "; 'kipoi-motifrep validate' lists them)" if self.listed else ")"
        raise InputError(first.message + others, path=self.path, row=first.row)
