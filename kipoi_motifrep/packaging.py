"""Trained networks into a Kipoi model group: weights, table of models, expected predictions, results."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

from kipoi_motifrep.errors import InputError
from kipoi_motifrep.kipoi_model import open_network
from kipoi_motifrep.outputs import replacing
from kipoi_motifrep.progress import progress
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.sequences.fasta import read_fasta
from kipoi_motifrep.variants import VARIANTS, Variant

TABLE_COLUMNS = ("model", "weights_md5", "architecture", "parameters", "auroc", "aupr", "seed")
RESULT_FIGURES = ("auroc", "aupr")


def package_group(runs: str | os.PathLike, group: str | os.PathLike, example_fasta: str | os.PathLike,
                  trial: int = 0) -> list[str]:
    """Bring one trial of each trained variant into a Kipoi group.

    The group's ``model-template.yaml`` is written by hand; this fills in what
    comes from training: ``weights/``, ``models.tsv``, ``results.tsv`` (accuracy
    per label) and ``expect/`` (predictions for ``kipoi test``).

    Parameters
    ----------
    runs : str or path-like
        Folder that ``kipoi-motifrep train`` wrote to.
    group : str or path-like
        Folder of the Kipoi group.
    example_fasta : str or path-like
        Sequences whose predictions are recorded.
    trial : int, default 0
        Which initialisation.

    Returns
    -------
    list of str
        The variants packaged, in the order of the paper's table.

    Raises
    ------
    InputError
        If there are no finished networks of that trial.
    """
    runs, group = Path(runs), Path(group)
    found = [name for name in VARIANTS if (runs / name / f"trial_{trial}" / "result.json").exists()]
    if not found:
        raise InputError(f"holds no finished network of trial {trial}; run 'kipoi-motifrep train' first", path=runs)
    codes = np.stack([record.codes for record in read_fasta(example_fasta)])
    results = {}
    for name in progress(found, "packaging", unit="network"):
        folder = runs / name / f"trial_{trial}"
        results[name] = json.loads((folder / "result.json").read_text())
        with replacing(group / "weights" / f"{name}.keras") as temporary:
            shutil.copyfile(folder / "network.keras", temporary)
        _write_expected(group / "expect" / f"{name}.h5", group / "weights" / f"{name}.keras", codes)
    _write_table(group / "models.tsv", TABLE_COLUMNS, (_model_row(group, name, results[name]) for name in found))
    _write_results(group / "results.tsv", results)
    return found


def _write_expected(path: Path, weights: Path, codes: np.ndarray) -> None:
    inputs = one_hot(codes)
    predictions = open_network(weights).predict_on_batch(inputs)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("inputs", data=inputs, compression="gzip")
        file.create_dataset("preds", data=predictions)


def _model_row(group: Path, name: str, result: dict) -> list[object]:
    md5 = hashlib.md5((group / "weights" / f"{name}.keras").read_bytes()).hexdigest()
    return [name, md5, describe(VARIANTS[name]), result["n_parameters"],
            *(f"{result['test'][figure]:.3f}" for figure in RESULT_FIGURES), result["random_seed"]]


def describe(variant: Variant) -> str:
    """Say an architecture in words.

    Parameters
    ----------
    variant : Variant
        From :data:`kipoi_motifrep.variants.VARIANTS`.

    Returns
    -------
    str
        For example "30 filters of width 19, max-pooling 25; ...; 512 dense units".
    """
    parts = []
    for conv in variant.convs:
        pool = f"max-pooling {conv.pool}" if conv.pool > 1 else "no pooling"
        stride = f" with stride {conv.stride}" if conv.stride else ""
        parts.append(f"{conv.filters} filters of width {conv.width}, {pool}{stride}")
    return "; ".join([*parts, f"{variant.dense} dense units"])


def _write_results(path: Path, results: dict[str, dict]) -> None:
    labels = list(next(iter(results.values()))["test"]["per_label"])
    header = ["model", "figure", "mean", *labels]
    _write_table(path, header, (
        [name, figure, f"{result['test'][figure]:.4f}",
         *(_figure(result["test"]["per_label"][label][figure]) for label in labels)]
        for figure in RESULT_FIGURES for name, result in results.items()))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
