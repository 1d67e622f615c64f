"""The synthetic task of Koo & Eddy (2019): random sequences with known motifs planted in them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.hdf5 import create_dataset
from kipoi_motifrep.motifs import jaspar

# Label name -> matrix of JASPAR 2016, in the order of the paper's labels.
MOTIFS = {
    "Arid3a": "MA0151.1",
    "CEBPB": "MA0466.2",
    "FOSL1": "MA0477.1",
    "Gabpa": "MA0062.2",
    "MAFK": "MA0496.1",
    "MAX": "MA0058.3",
    "MEF2A": "MA0052.3",
    "NFYB": "MA0502.1",
    "SP1": "MA0079.3",
    "SRF": "MA0083.3",
    "STAT1": "MA0137.3",
    "YY1": "MA0095.2",
}
LABEL_NAMES = tuple(MOTIFS)
RELEASE = jaspar.PAPER_RELEASE
LENGTH = 200
N_SEQUENCES = 25_000
# Motifs per sequence: 1, 2, ... when the draw exceeds 0, .5, ...; the last is never reached.
COUNT_THRESHOLDS = np.array([0, 0.5, 0.75, 0.92, 0.97, 1.27])
SPLIT_FRACTIONS = {"train": 0.7, "valid": 0.1, "test": 0.2}
PUBLISHED_SEED = 33
PUBLISHED_BURN_IN = 10


@dataclass(frozen=True)
class Simulated:
    """Simulated sequences in the order of their making.

    Attributes
    ----------
    sequences : numpy.ndarray of uint8, shape (n, 200)
        0 to 3 = A, C, G, T.
    labels : numpy.ndarray of int8, shape (n, 12)
        1 where a motif of that TF was planted, on either strand.
    split : numpy.ndarray of int, shape (n,)
        Order in which they are dealt to train, valid and test.
    """

    sequences: np.ndarray
    labels: np.ndarray
    split: np.ndarray


def load_planted_motifs() -> list[np.ndarray]:
    """Load the 24 matrices that are planted.

    Returns
    -------
    list of numpy.ndarray, each (width, 4)
        Probabilities (counts / column sum, no pseudocount); index 2 * TF +
        strand, where strand 1 is the reverse complement.
    """
    database = jaspar.load(RELEASE, versions="all").index
    matrices = []
    for matrix_id in MOTIFS.values():
        pwm = database[matrix_id].pwm
        matrices += [pwm, pwm[::-1, ::-1]]
    return matrices


def simulate(n: int = N_SEQUENCES, seed: int = 0) -> Simulated:
    """Draw sequences of the paper's synthetic task.

    All sequences with the same number of motifs are laid out together; the
    distribution is that of :func:`simulate_published`, the draws are not.

    Parameters
    ----------
    n : int, default 25000
        Number of sequences.
    seed : int, default 0
        Of numpy's default generator.

    Returns
    -------
    Simulated
        The sequences and their labels.

    Raises
    ------
    InputError
        If there are too few sequences for three splits, or the seed is negative.

    Examples
    --------
    >>> data = simulate(10, seed=1)
    >>> data.sequences.shape, data.labels.shape, int(data.labels.sum(axis=1).min())
    ((10, 200), (10, 12), 1)
    """
    if n < 10:
        raise InputError(f"number of sequences is {n}; at least 10 are needed for the three splits")
    if seed < 0:
        raise InputError(f"seed is {seed}; it must not be negative")
    # The width, start and columns of each motif are looked up in one table of all columns, the background's first; so
    # a base is drawn by its column's number alone.
    random = np.random.default_rng(seed)
    matrices = load_planted_motifs()
    widths = np.array([len(pwm) for pwm in matrices])
    first_column = 1 + widths.cumsum() - widths
    columns = np.concatenate([np.full((1, 4), 0.25), *matrices]).cumsum(axis=1)
    n_motifs = np.searchsorted(COUNT_THRESHOLDS, random.random(n), side="left").clip(1)
    column_at = np.zeros((n, LENGTH), np.intp)
    labels = np.zeros((n, len(LABEL_NAMES)), np.int8)
    for k in np.unique(n_motifs):
        rows = np.flatnonzero(n_motifs == k)
        motifs = random.integers(len(matrices), size=(len(rows), k))
        starts = _draw_starts(random, widths[motifs])
        labels[rows[:, None], motifs // 2] = 1
        for slot, motif in np.ndindex(k, len(matrices)):
            here = motifs[:, slot] == motif
            offsets = np.arange(widths[motif])
            column_at[rows[here, None], starts[here, slot, None] + offsets] = first_column[motif] + offsets
    sequences = (random.random((n, LENGTH, 1)) >= columns[column_at][..., :3]).sum(axis=-1, dtype=np.uint8)
    return Simulated(sequences, labels, random.permutation(n))


def _draw_starts(random: np.random.Generator, widths: np.ndarray) -> np.ndarray:
    """Draw positions (n, k) of motifs; gaps are redrawn until their rounding adds up."""
    n, k = widths.shape
    left = LENGTH - widths.sum(axis=1)
    gaps = np.zeros((n, k + 1), int)
    todo = np.arange(n)
    while len(todo):
        draws = random.random((len(todo), k + 1))
        gaps[todo] = np.round(draws / draws.sum(axis=1, keepdims=True) * left[todo, None])
        todo = todo[gaps[todo].sum(axis=1) != left[todo]]
    return gaps[:, :-1].cumsum(axis=1) + widths.cumsum(axis=1) - widths


def simulate_published() -> Simulated:
    """Draw the paper's very data set, with the generator and order of draws of its making.

    Returns
    -------
    Simulated
        25,000 sequences. Sequences with 1 to 5 distinct labels: 13065, 6719,
        3820, 1120, 276.
    """
    random = np.random.RandomState(PUBLISHED_SEED)
    matrices = load_planted_motifs()
    for _ in range(PUBLISHED_BURN_IN):
        _published_layout(random, matrices)
    sequences = np.empty((N_SEQUENCES, LENGTH), np.uint8)
    labels = np.zeros((N_SEQUENCES, len(LABEL_NAMES)), np.int8)
    for i in range(N_SEQUENCES):
        motifs, cumulative = _published_layout(random, matrices)
        labels[i, motifs // 2] = 1
        sequences[i] = (random.uniform(0, 1, LENGTH)[:, None] >= cumulative).sum(axis=1)
    return Simulated(sequences, labels, random.permutation(N_SEQUENCES))


def _published_layout(random: np.random.RandomState, matrices: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Draw motifs and the (200, 3) cumulative probabilities of a sequence's columns."""
    while True:
        k = int(np.flatnonzero(random.rand() > COUNT_THRESHOLDS)[-1]) + 1
        motifs = random.randint(len(matrices), size=k)
        left = LENGTH - sum(len(matrices[motif]) for motif in motifs)
        if left >= 0:
            break
    while True:
        draws = random.uniform(0, 1, k + 1)
        gaps = np.round(draws / draws.sum() * left).astype(int)
        if gaps.sum() == left:
            break
    columns = np.full((LENGTH, 4), 0.25)
    start = 0
    for gap, motif in zip(gaps, motifs, strict=False):  # a gap is left over, at the end
        start += gap
        columns[start : start + len(matrices[motif])] = matrices[motif]
        start += len(matrices[motif])
    return motifs, columns.cumsum(axis=1)[:, :3]


def write_simulated(path: str | os.PathLike, simulated: Simulated, provenance: dict[str, object]) -> dict[str, int]:
    """Deal simulated sequences to train, valid and test, and write the dataset file.

    Parameters
    ----------
    path : str or path-like
        The HDF5 file.
    simulated : Simulated
        What :func:`simulate` or :func:`simulate_published` gave.
    provenance : dict
        Command and seed; the motifs' source is added.

    Returns
    -------
    dict
        Number of sequences in each split.
    """
    rows = simulated.split
    bounds = np.round(np.cumsum([0, *SPLIT_FRACTIONS.values()]) * len(rows)).astype(int)
    counts = np.diff(bounds).tolist()
    with create_dataset(
        path, LENGTH, LABEL_NAMES, {**provenance, "sources": {"motifs": MOTIFS, "release": RELEASE}}
    ) as writer:
        writer.deal(
            np.repeat(np.arange(len(counts)), counts),
            simulated.sequences[rows],
            simulated.labels[rows],
            [f"sequence_{row}" for row in rows],
        )
    return dict(zip(SPLIT_FRACTIONS, counts, strict=True))
