"""How far known motifs alone go: scan a data set with a matrix for each label, as a floor for networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.datasets import Dataset, Split, open_dataset
from kipoi_motifrep.errors import InputError
from kipoi_motifrep.jaspar import Database, open_databases, releases
from kipoi_motifrep.metrics import accuracy
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.outputs import parameters_record, write_json
from kipoi_motifrep.progress import progress
from kipoi_motifrep.representation import read_truth
from kipoi_motifrep.sequences.alphabet import one_hot, one_hot_table
from kipoi_motifrep.tables import write_table
from kipoi_motifrep.training import data_digest

PSEUDOCOUNT = 1.0  # of all four bases together, so that no base is impossible
BATCH_SIZE = 128
HEADER = ("label", "auroc", "aupr", "positives", "negatives", "matrix", "name", "candidates", "train_auroc")


@dataclass(frozen=True)
class ScanResult:
    """How well one matrix finds the sequences of a label.

    Attributes
    ----------
    label : str
        Of the data set.
    motif : Motif or None
        Of the label's matrices the one with the highest AUROC in training; None if there are none.
    n_candidates : int
        How many there were.
    train_auroc, auroc, aupr : float
        Of its best sites, in the training and the test split; nan where a split has one class only.
    n_positives, n_negatives : int
        Test sequences.
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
        Scores.
    """
    scores = np.empty((len(sequences), len(motifs)), np.float32)
    widths = np.array([motif.width for motif in motifs], int)
    # Zeros for all but the four bases: they add nothing to a score.
    bases = one_hot(sequences, one_hot_table(np.int8)).astype(np.float32)
    for width in np.unique(widths):
        chosen = np.flatnonzero(widths == width)
        odds = np.stack([_log_odds(strand) for i in chosen for strand in (motifs[i], motifs[i].reverse_complement())])
        short = max(width - sequences.shape[1], 0)
        padded = np.pad(bases, ((0, 0), (short, short), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)  # (n, places, 4, width)
        found = np.tensordot(windows, odds, ([3, 2], [1, 2])).max(axis=1)
        scores[:, chosen] = found.reshape(len(sequences), len(chosen), 2).max(axis=2)
    return scores


def _log_odds(motif: Motif) -> np.ndarray:
    n = motif.nsites or 20.0  # what MEME files without a number of sites are taken to hold
    return np.log2((n * motif.pwm + PSEUDOCOUNT / 4) / (n + PSEUDOCOUNT) / 0.25).astype(np.float32)


def candidates(labels: Sequence[str], database: Database,
               truth: str | os.PathLike | None = None) -> dict[str, list[Motif]]:
    """Find the matrices of each label.

    Parameters
    ----------
    labels : sequence of str
        Names of factors; upper and lower case are the same.
    database : Database
        Where from.
    truth : str or path-like, optional
        Which matrices stand for which label; by default those of a factor of
        that name, alone or in a dimer.

    Returns
    -------
    dict of str to list of Motif
        Empty for a label without any.
    """
    if truth is None:
        owners = [_factors(motif) for motif in database]
    else:
        targets = read_truth(truth).only(labels).against(database)
        owners = [set() if label is None else {label.casefold()} for label in targets.of_target]
    # By id, since releases share matrices.
    return {label: list({motif.name: motif for motif, own in zip(database, owners, strict=True)
                         if label.casefold() in own}.values()) for label in labels}


def _factors(motif: Motif) -> set[str]:
    """Split a name such as ``FOS::JUN(var.2)``."""
    return {part.split("(")[0].strip().casefold() for part in (motif.alt_name or motif.name).split("::")}


def scan_baseline(dataset: str | os.PathLike, *,
                  database: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
                  taxon: str | Sequence[str] | None = "vertebrates", collection: str | Sequence[str] | None = "CORE",
                  truth: str | os.PathLike | None = None, output: str | os.PathLike | None = None) -> list[ScanResult]:
    """Measure what scanning with known motifs gives on a data set.

    For each label, the matrix with the highest AUROC of best sites in the
    training split is judged on the test split.

    Parameters
    ----------
    dataset : str or path-like
        A dataset file.
    database, taxon, collection
        What is scanned for; see :func:`kipoi_motifrep.match`. By default all releases of
        JASPAR: the newest matrix of a factor is not always the one that finds most.
    truth : str or path-like, optional
        See :func:`candidates`.
    output : str or path-like, optional
        A table; its parameters go beside it, with the suffix ``.json``.

    Returns
    -------
    list of ScanResult
        One a label.

    Raises
    ------
    InputError
        If the data set or the database cannot be read, or no label has a motif.
    """
    data = open_dataset(dataset)
    motifs = open_databases(releases() if database is None else database, taxon=taxon, collection=collection)
    found = candidates(data.label_names, motifs, truth)
    if not any(found.values()):
        raise InputError(f"none of its labels ({', '.join(data.label_names)}) names a factor of {motifs.name}; say "
                         "which matrices are theirs with --truth", path=dataset)
    results = _scan(data, found)
    if output is not None:
        _write(results, output, {
            "dataset": os.path.basename(dataset), "data": data_digest(data), "database": motifs.describe(),
            "truth": None if truth is None else str(truth), "pseudocount": PSEUDOCOUNT})
    return results


def _scan(data: Dataset, found: dict[str, list[Motif]]) -> list[ScanResult]:
    motifs = list({id(motif): motif for own in found.values() for motif in own}.values())
    place = {id(motif): i for i, motif in enumerate(motifs)}
    train, test = (_scores(data[split], motifs) for split in ("train", "test"))
    train_labels, test_labels = (data[split].read("labels") for split in ("train", "test"))
    results = []
    for i, label in enumerate(data.label_names):
        own = [place[id(motif)] for motif in found[label]]
        truth = np.repeat(train_labels[:, [i]], len(own), axis=1)
        in_training = accuracy(truth, train[:, own]).auroc
        best = own[int(np.argmax(np.nan_to_num(in_training, nan=-1)))] if own else None
        counts = [int((test_labels[:, i] == value).sum()) for value in (1, 0)]
        if best is None:
            results.append(ScanResult(label, None, 0, np.nan, np.nan, np.nan, *counts))
            continue
        judged = accuracy(test_labels[:, [i]], test[:, [best]])
        results.append(ScanResult(label, motifs[best], len(own), float(in_training[own.index(best)]),
                                  float(judged.auroc[0]), float(judged.aupr[0]), *counts))
    return results


def _scores(split: Split, motifs: Sequence[Motif]) -> np.ndarray:
    total = -(-len(split) // BATCH_SIZE)
    parts = [best_sites(sequences, motifs) for sequences, _ in
             progress(split.batches(BATCH_SIZE), f"scanning {split.name}", unit="batch", total=total)]
    return np.concatenate(parts) if parts else np.empty((0, len(motifs)), np.float32)


def _write(results: Sequence[ScanResult], output: str | os.PathLike, parameters: dict[str, object]) -> None:
    write_table(output, HEADER, [
        (one.label, _printed(one.auroc), _printed(one.aupr), one.n_positives, one.n_negatives,
         one.motif.name if one.motif else None, one.motif.alt_name if one.motif else None, one.n_candidates,
         _printed(one.train_auroc)) for one in results])
    write_json(os.path.splitext(output)[0] + ".json", parameters_record("baseline", parameters))


def _printed(value: float) -> str | None:
    return None if np.isnan(value) else f"{value:.4f}"
