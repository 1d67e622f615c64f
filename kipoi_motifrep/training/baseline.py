"""Scanning a data set with known motifs, a matrix for each label: the accuracy that a network has to beat.

The steps: find the matrices of each label; score every sequence by its best site of each of them; choose for each label
the matrix that tells best in training; judge it on the test split.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.accuracy import accuracy
from kipoi_motifrep.core.errors import InputError, a_few
from kipoi_motifrep.core.outputs import check_output_file, parameters_record, staged, write_json
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.datasets.hdf5 import Dataset, Split, open_dataset
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.jaspar import (
    LATEST_RELEASE,
    Database,
    join_databases,
    open_database,
    open_databases,
    releases,
)
from kipoi_motifrep.representation import KnownMotifs, read_known_motifs
from kipoi_motifrep.sequences.alphabet import one_hot, one_hot_table
from kipoi_motifrep.training.train import check_splits, data_digest

PSEUDOCOUNT = 1.0  # of all four bases together, so that no base is impossible
UNKNOWN_SITES = 20.0  # behind a matrix that does not say, as in MEME's files
SCORE_DECIMALS = 3  # beyond, scores of the two strands differ by the order of their sums
BATCH_SIZE = 128
SHOWN_LABELS = 5
HEADER = ("label", "auroc", "aupr", "positives", "negatives", "matrix", "name", "candidates", "train_auroc")


@dataclass(frozen=True)
class ScanResult:
    """How well one matrix finds the sequences of a label.

    Attributes
    ----------
    label : str
        Of the data set.
    motif : Motif or None
        Of the label's matrices the one with the highest AUROC in training; None if there are none, or if
        training has one class only and cannot tell between several.
    n_candidates : int
        How many there were.
    train_auroc, auroc, aupr : float
        Of its best sites, in the training and the test split; nan where there is no matrix, or where a split has one
        class only.
    n_positives, n_negatives : int
        Test sequences.

    Examples
    --------
    >>> one = ScanResult("MAX", None, 0, float("nan"), float("nan"), float("nan"), 12, 88)
    >>> one.label, one.n_positives + one.n_negatives
    ('MAX', 100)
    """

    label: str
    motif: Motif | None
    n_candidates: int
    train_auroc: float
    auroc: float
    aupr: float
    n_positives: int
    n_negatives: int


def best_sites(sequences: np.ndarray, motifs: Sequence[Motif]) -> np.ndarray:
    """Score each sequence by its best site of each motif.

    A site's score is its log-odds in bits against equal base frequencies, on
    the better strand, with a pseudocount of one site. A position with N adds
    nothing; nor do those that a sequence shorter than the motif leaves open.

    Parameters
    ----------
    sequences : numpy.ndarray of uint8, shape (n, L)
        Codes, as in a dataset file.
    motifs : sequence of Motif
        m of them.

    Returns
    -------
    numpy.ndarray of float32, shape (n, m)
        Scores, to three decimals: the same for a sequence and its reverse complement.

    Examples
    --------
    >>> motif = Motif("TATA", np.eye(4)[[3, 0, 3, 0]], nsites=100)
    >>> best_sites(np.array([[1, 3, 0, 3, 0, 2], [1, 1, 1, 1, 1, 1]], np.uint8), [motif]).round(1)
    array([[  8. ],
           [-26.6]], dtype=float32)
    """

    def log_odds(motif: Motif) -> np.ndarray:
        n = motif.nsites or UNKNOWN_SITES
        return np.log2((n * motif.pwm + PSEUDOCOUNT / 4) / (n + PSEUDOCOUNT) / 0.25).astype(np.float32)

    scores = np.empty((len(sequences), len(motifs)), np.float32)
    widths = np.array([motif.width for motif in motifs], int)
    # Zeros for all but the four bases: they add nothing to a score.
    bases = one_hot(sequences, one_hot_table(np.int8)).astype(np.float32)
    for width in np.unique(widths):  # motifs of one width are one tensor product
        chosen = np.flatnonzero(widths == width)
        odds = np.stack([log_odds(strand) for i in chosen for strand in (motifs[i], motifs[i].reverse_complement())])
        short = max(width - sequences.shape[1], 0)
        padded = np.pad(bases, ((0, 0), (short, short), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)  # (n, places, 4, width)
        found = np.tensordot(windows, odds, ([3, 2], [1, 2])).max(axis=1)
        scores[:, chosen] = found.reshape(len(sequences), len(chosen), 2).max(axis=2)
    return scores.round(SCORE_DECIMALS)


def candidates(labels: Sequence[str], database: Database, truth: KnownMotifs | None = None) -> dict[str, list[Motif]]:
    """Find the matrices of each label.

    Parameters
    ----------
    labels : sequence of str
        Names of factors; upper and lower case are the same.
    database : Database
        Where from.
    truth : KnownMotifs, optional
        Which matrices stand for which label; by default those of a factor of
        that name, alone or in a dimer.

    Returns
    -------
    dict of str to list of Motif
        Empty for a label without any; a matrix that several releases share comes once.

    Raises
    ------
    InputError
        If none of the matrices of `truth` is in the database.

    Examples
    --------
    >>> from kipoi_motifrep.motifs.jaspar import load
    >>> [motif.name for motif in candidates(["FOSL1"], load("JASPAR2016"))["FOSL1"]]
    ['MA0477.1']
    """
    if truth is None:
        factors = [_factors(motif) for motif in database]
    else:
        factors = [set() if label is None else {label.casefold()} for label in truth.against(database).of_target]
    found = {}
    for label in labels:
        own: dict[tuple[str, bytes], Motif] = {}
        for motif, names in zip(database, factors, strict=True):
            if label.casefold() in names:
                own.setdefault((motif.name, motif.pwm.tobytes()), motif)
        found[label] = list(own.values())
    return found


def _factors(motif: Motif) -> set[str]:
    """Name the factors of a motif: of ``FOS::JUN(var.2)`` the dimer and both parts."""
    names = [name.split("(")[0].strip() for name in (motif.name, motif.alt_name)]
    return {part.strip().casefold() for name in names for part in [name, *name.split("::")] if part}


def scan_baseline(
    dataset: str | os.PathLike,
    *,
    database: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    taxon: str | Sequence[str] | None = "vertebrates",
    collection: str | Sequence[str] | None = "CORE",
    truth: str | os.PathLike | None = None,
    output: str | os.PathLike | None = None,
) -> list[ScanResult]:
    """Measure how well scanning with known motifs predicts the labels of a data set.

    For each label, the matrix with the highest AUROC of best sites in the
    training split is judged on the test split. A site's score is its log-odds.

    Parameters
    ----------
    dataset : str or path-like
        A dataset file.
    database, taxon, collection
        What is scanned for; see :func:`kipoi_motifrep.match`. By default all releases of
        JASPAR: the newest matrix of a factor is not always the one that finds most.
    truth : str or path-like, optional
        Which matrices stand for which label; see :func:`kipoi_motifrep.representation.read_known_motifs`.
        By default those of a factor of that name, alone or in a dimer.
    output : str or path-like, optional
        A table; its parameters go beside it, as ``OUTPUT.json``.

    Returns
    -------
    list of ScanResult
        One a label.

    Raises
    ------
    InputError
        If the data set or the database cannot be read, a split is empty, no label has a
        motif, or the output is a folder or the data set itself.

    Examples
    --------
    Simulated sequences, with the very matrices that their motifs were drawn from:

    >>> from kipoi_motifrep.zoo.shipped import EXAMPLES
    >>> found = scan_baseline(EXAMPLES / "synthetic.h5", database="JASPAR2016", truth="synthetic")
    >>> found[1].label, found[1].motif.name, found[1].auroc > 0.9
    ('CEBPB', 'MA0466.2', True)
    """
    data = open_dataset(dataset)
    check_splits(data)
    if output is not None:
        for path in (output, f"{os.fspath(output)}.json"):
            check_output_file(path, [dataset, database, truth])
    motifs = (
        join_databases(_releases_with(taxon, collection))
        if database is None
        else open_databases(database, taxon, collection)
    )
    known = None if truth is None else read_known_motifs(truth)
    found = candidates(data.label_names, motifs, known)
    if not any(found.values()):
        shown = a_few(data.label_names, SHOWN_LABELS)
        raise InputError(
            f"none of its labels ({shown}) is in {truth}"
            if truth is not None
            else f"none of its labels ({shown}) names a factor of {motifs.name}; say which matrices are "
            "theirs by truth=FILE",
            path=dataset,
        )
    results = _judge(data, found)
    if output is not None:
        table = Path(output)
        with staged(table.parent) as stage:
            write_table(
                stage / table.name,
                HEADER,
                (
                    (
                        one.label,
                        _printed(one.auroc),
                        _printed(one.aupr),
                        one.n_positives,
                        one.n_negatives,
                        one.motif.name if one.motif else None,
                        one.motif.alt_name if one.motif else None,
                        one.n_candidates,
                        _printed(one.train_auroc),
                    )
                    for one in results
                ),
            )
            write_json(
                stage / f"{table.name}.json",
                parameters_record(
                    "baseline",
                    {
                        "dataset": os.path.basename(dataset),
                        "data": data_digest(data),
                        "database": motifs.describe(),
                        "taxon": taxon,
                        "collection": collection,
                        "truth": known.name if known else None,
                        "truth_sha256": known.digest if known else None,
                        "pseudocount": PSEUDOCOUNT,
                    },
                ),
            )
    return results


def _releases_with(taxon: str | Sequence[str] | None, collection: str | Sequence[str] | None) -> list[Database]:
    """Open the releases that have such motifs; old ones lack some collections."""
    found = []
    for release in releases():
        try:
            found.append(open_database(release, taxon, collection))
        except InputError:
            continue
    return found or [open_database(LATEST_RELEASE, taxon, collection)]  # which says what it lacks


def _judge(data: Dataset, found: Mapping[str, Sequence[Motif]]) -> list[ScanResult]:
    """Score both splits once with all motifs; then choose and judge label by label."""
    motifs = list(dict.fromkeys(motif for own in found.values() for motif in own))
    place = {motif: i for i, motif in enumerate(motifs)}

    def scores_and_labels(split: Split) -> tuple[np.ndarray, np.ndarray]:
        batches = progress(
            split.batches(BATCH_SIZE), f"scanning {split.name}", unit="batch", total=-(-len(split) // BATCH_SIZE)
        )
        return np.concatenate([best_sites(sequences, motifs) for sequences, _ in batches]), split.read("labels")

    (train, train_labels), (test, test_labels) = (scores_and_labels(data[split]) for split in ("train", "test"))
    results = []
    for i, label in enumerate(data.label_names):
        own = [place[motif] for motif in found[label]]
        in_training = accuracy(np.repeat(train_labels[:, [i]], len(own), axis=1), train[:, own]).auroc
        motif, train_auroc, auroc, aupr = None, np.nan, np.nan, np.nan
        if not np.isnan(in_training).all():
            best = own[int(np.nanargmax(in_training))]  # the first of equals
            motif, train_auroc = motifs[best], float(np.nanmax(in_training))
        elif len(own) == 1:  # a single matrix needs no choice
            best, motif = own[0], motifs[own[0]]
        if motif is not None:
            judged = accuracy(test_labels[:, [i]], test[:, [best]])
            auroc, aupr = float(judged.auroc[0]), float(judged.aupr[0])
        positives, negatives = (int((test_labels[:, i] == value).sum()) for value in (1, 0))
        results.append(ScanResult(label, motif, len(own), train_auroc, auroc, aupr, positives, negatives))
    return results


def _printed(value: float) -> str | None:
    return None if np.isnan(value) else f"{value:.4f}"
