"""Interval arithmetic on one chromosome's arrays, by the ``bedtools`` program through pybedtools."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from kipoi_motifrep.core.errors import InputError


def require_bedtools() -> None:
    """Make sure that the program is there, before any work is done.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    if shutil.which("bedtools") is None:
        raise InputError("the program 'bedtools' is needed and is not on the PATH; install it with "
                         "'apt-get install bedtools' or 'conda install -c bioconda bedtools'")


def bedtools_version() -> str:
    """Ask the program for its version, for example "2.31.1"."""
    said = subprocess.run(["bedtools", "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip().removeprefix("bedtools v")


@contextmanager
def scratch() -> Iterator[None]:
    """Keep pybedtools' temporary files in a folder that vanishes with the block."""
    import pybedtools

    before = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="kipoi_motifrep_") as folder:
        pybedtools.set_tempdir(folder)
        try:
            yield
        finally:
            pybedtools.set_tempdir(before)


def _bed(**columns: np.ndarray):
    import pybedtools

    return pybedtools.BedTool.from_dataframe(pd.DataFrame(columns))


def _rows(result, columns: dict[int, str]) -> pd.DataFrame:
    return pd.read_csv(result.fn, sep="\t", header=None, usecols=list(columns), dtype=np.int64).rename(columns=columns)


def merge(chromosome: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge intervals that overlap or touch.

    Parameters
    ----------
    chromosome, start, end : numpy.ndarray of int, shape (n,)
        Intervals in any order; chromosomes by number.

    Returns
    -------
    chromosome, start, end : numpy.ndarray of int64, shape (m,)
        By chromosome and start.
    """
    if not len(start):
        return tuple(np.zeros((3, 0), np.int64))
    rows = _rows(_bed(chromosome=chromosome, start=start, end=end).sort().merge(),
                 {0: "chromosome", 1: "start", 2: "end"}).sort_values(["chromosome", "start"])
    return tuple(rows[name].to_numpy() for name in ("chromosome", "start", "end"))


def covered_bases(size: int, width: int, start: np.ndarray, end: np.ndarray,
                  track: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the bases of each bin of a chromosome that any one interval of each track covers at most.

    Parameters
    ----------
    size : int
        Bases of the chromosome.
    width : int
        Bases of a bin; the last may be shorter.
    start, end : numpy.ndarray of int, shape (n,)
        Intervals in any order.
    track : numpy.ndarray of int, shape (n,)
        Whose they are.

    Returns
    -------
    bin, track, bases : numpy.ndarray of int64, shape (m,)
        Every pair of a bin and a track that share bases, and how many the bin
        shares with that interval of the track that covers most of it.
    """
    import pybedtools

    order = np.argsort(start, kind="stable")
    tracks = _bed(chromosome=np.ones(len(start), int), start=start[order], end=end[order], track=track[order])
    bins = pybedtools.BedTool().window_maker(genome={"1": (0, size)}, w=width)
    pairs = _rows(bins.intersect(tracks, wo=True, sorted=True), {1: "start", 6: "track", 7: "bases"})
    most = pairs.groupby(["start", "track"], sort=True)["bases"].max().reset_index()
    return most["start"].to_numpy() // width, most["track"].to_numpy(), most["bases"].to_numpy()


def touched(start: np.ndarray, end: np.ndarray, region_start: np.ndarray, region_end: np.ndarray) -> np.ndarray:
    """Find windows that share a base with any region.

    Parameters
    ----------
    start, end : numpy.ndarray of int, shape (n,)
        Windows in order of their start.
    region_start, region_end : numpy.ndarray of int, shape (m,)
        Regions in any order.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        True where a window does.
    """
    if not len(start) or not len(region_start):
        return np.zeros(len(start), bool)
    order = np.argsort(region_start, kind="stable")
    windows = _bed(chromosome=np.ones(len(start), int), start=start, end=end)
    regions = _bed(chromosome=np.ones(len(order), int), start=region_start[order], end=region_end[order])
    return _rows(windows.intersect(regions, c=True, sorted=True), {3: "count"})["count"].to_numpy() > 0
