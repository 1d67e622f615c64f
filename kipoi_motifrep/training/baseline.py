"""How far known motifs alone go: scan a data set with a matrix for each label, as a floor for networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.accuracy import accuracy
from kipoi_motifrep.core.errors import InputError, a_few
from kipoi_motifrep.core.outputs import check_output_file, parameters_record, write_json
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
    return scores.round(SCORE_DECIMALS)


def _log_odds(motif: Motif) -> np.ndarray:
    n = motif.nsites or UNKNOWN_SITES
    return np.log2((n * motif.pwm + PSEUDOCOUNT / 4) / (n + PSEUDOCOUNT) / 0.25).astype(np.float32)


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
    """
    if truth is None:
        owners = [_factors(motif) for motif in database]
    else:
        targets = truth.against(database)
        owners = [set() if label is None else {label.casefold()} for label in targets.of_target]
    found: dict[str, dict[tuple, Motif]] = {label: {} for label in labels}
    for motif, own in zip(database, owners, strict=True):
        for label in labels:
            if label.casefold() in own:
                found[label].setdefault((motif.name, motif.pwm.tobytes()), motif)
    return {label: list(motifs.values()) for label, motifs in found.items()}


def _factors(motif: Motif) -> set[str]:
    """Name the factors of a motif: of ``FOS::JUN(var.2)`` the dimer and both parts."""
    names = [name.split("(")[0].strip() for name in (motif.name, motif.alt_name)]
    return {part.strip().casefold() for name in names for part in [name, *name.split("::")] if part}


def scan_baseline(dataset: str | os.PathLike, *,
                  database: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
                  taxon: str | Sequence[str] | None = "vertebrates", collection: str | Sequence[str] | None = "CORE",
                  truth: str | os.PathLike | None = None, output: str | os.PathLike | None = None) -> list[ScanResult]:
    """Measure what scanning with known motifs gives on a data set.

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
    """
    data = open_dataset(dataset)
    check_splits(data)
    if output is not None:
        _check_output(output, dataset)
    motifs = join_databases(_releases_with(taxon, collection)) if database is None else \
        open_databases(database, taxon, collection)
    known = None if truth is None else read_known_motifs(truth)
    found = candidates(data.label_names, motifs, known)
    if not any(found.values()):
        raise InputError(_nothing_found(data.label_names, motifs, truth), path=dataset)
    results = _scan(data, found)
    if output is not None:
        _write(results, output, {
            "dataset": os.path.basename(dataset), "data": data_digest(data), "database": motifs.describe(),
            "taxon": taxon, "collection": collection, "truth": known.name if known else None,
            "truth_sha256": known.digest if known else None, "pseudocount": PSEUDOCOUNT})
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


def _check_output(output: str | os.PathLike, dataset: str | os.PathLike) -> None:
    check_output_file(output)
    if os.path.exists(output) and os.path.samefile(output, dataset):
        raise InputError("is the data set itself; name another file for the table", path=output)


def _nothing_found(labels: Sequence[str], database: Database, truth: str | os.PathLike | None) -> str:
    shown = a_few(labels, SHOWN_LABELS)
    if truth is not None:
        return f"none of its labels ({shown}) is in {truth}"
    return f"none of its labels ({shown}) names a factor of {database.name}; say which matrices are theirs with --truth"


def _scan(data: Dataset, found: Mapping[str, Sequence[Motif]]) -> list[ScanResult]:
    motifs = list({id(motif): motif for own in found.values() for motif in own}.values())
    place = {id(motif): i for i, motif in enumerate(motifs)}
    (train, train_labels), (test, test_labels) = (
        (_scores(data[split], motifs), data[split].read("labels")) for split in ("train", "test"))
    results = []
    for i, label in enumerate(data.label_names):
        own = [place[id(motif)] for motif in found[label]]
        best, in_training = _best(train_labels[:, [i]], train[:, own])
        auroc = aupr = np.nan
        if best is not None:
            judged = accuracy(test_labels[:, [i]], test[:, [own[best]]])
            auroc, aupr = float(judged.auroc[0]), float(judged.aupr[0])
        results.append(ScanResult(label, None if best is None else motifs[own[best]], len(own), in_training, auroc,
                                  aupr, *(int((test_labels[:, i] == value).sum()) for value in (1, 0))))
    return results


def _best(labels: np.ndarray, scores: np.ndarray) -> tuple[int | None, float]:
    """Choose the column that tells (n, 1) labels best, and give its AUROC; the first of equals."""
    auroc = accuracy(np.repeat(labels, scores.shape[1], axis=1), scores).auroc
    if not np.isnan(auroc).all():
        return int(np.nanargmax(auroc)), float(np.nanmax(auroc))
    return (0 if len(auroc) == 1 else None), np.nan  # a single matrix needs no choice


def _scores(split: Split, motifs: Sequence[Motif]) -> np.ndarray:
    """Score a split, a batch at a time: (n, m)."""
    total = -(-len(split) // BATCH_SIZE)
    return np.concatenate([best_sites(sequences, motifs) for sequences, _ in
                           progress(split.batches(BATCH_SIZE), f"scanning {split.name}", unit="batch", total=total)])


def _write(results: Sequence[ScanResult], output: str | os.PathLike, parameters: Mapping[str, object]) -> None:
    write_table(output, HEADER, [
        (one.label, _printed(one.auroc), _printed(one.aupr), one.n_positives, one.n_negatives,
         one.motif.name if one.motif else None, one.motif.alt_name if one.motif else None, one.n_candidates,
         _printed(one.train_auroc)) for one in results])
    write_json(Path(f"{os.fspath(output)}.json"), parameters_record("baseline", parameters))


def _printed(value: float) -> str | None:
    return None if np.isnan(value) else f"{value:.4f}"
