"""What a dataset was made from, and what it came to hold."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.hdf5 import SPLITS, open_dataset


def describe_sources(paths: Iterable[str | os.PathLike]) -> list[dict[str, object]]:
    """Identify input files by size and digest.

    Parameters
    ----------
    paths : iterable of path-like
        Files; standard input (``-``) and pipes have neither, and are not read.

    Returns
    -------
    list of dict
        ``path``, ``bytes`` and ``sha256`` of each, in the order given, without repeats.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    found = []
    for path in dict.fromkeys(map(str, paths)):
        if path == "-" or Path(path).is_fifo():
            found.append({"path": path})
        else:
            found.append({"path": path, "bytes": _size(path), "sha256": file_digest(path)})
    return found


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError as error:
        raise InputError("there is no such file", path=path) from error


def summary(path: str | os.PathLike) -> tuple[str, str]:
    """Count what a dataset file holds.

    Parameters
    ----------
    path : str or path-like
        A dataset file.

    Returns
    -------
    line : str
        Numbers of sequences, for a person.
    table : str
        TSV: positives and, where there are any, masked labels of each label and split.
    """
    dataset = open_dataset(path)
    positives, masked = {}, {}
    for name in SPLITS:
        labels = dataset[name].read("labels")
        positives[name], masked[name] = (labels == 1).sum(axis=0), (labels < 0).sum(axis=0)
    n = {name: len(dataset[name]) for name in SPLITS}
    line = (f"{path}: {sum(n.values())} sequences of {dataset.length} bp, {len(dataset.label_names)} labels ("
            + ", ".join(f"{count} {name}" for name, count in n.items()) + ")")
    with_masks = any(np.any(counts) for counts in masked.values())
    header = ["label", *SPLITS, *(f"{name}_masked" for name in SPLITS if with_masks)]
    rows = [header]
    for i, label in enumerate(dataset.label_names):
        rows.append([label, *(positives[name][i] for name in SPLITS),
                     *(masked[name][i] for name in SPLITS if with_masks)])
    return line, "\n".join("\t".join(map(str, row)) for row in rows)
