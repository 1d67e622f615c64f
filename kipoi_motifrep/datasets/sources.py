"""What a dataset was made from, and what it came to hold."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import counted
from kipoi_motifrep.datasets.hdf5 import open_dataset

ROWS_AT_ONCE = 1 << 16


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
    found: list[dict[str, object]] = []
    for path in dict.fromkeys(map(str, paths)):
        if path == "-" or Path(path).is_fifo():
            found.append({"path": path})
        elif not Path(path).exists():
            raise InputError("there is no such file", path=path)
        else:
            found.append({"path": path, "bytes": Path(path).stat().st_size, "sha256": file_digest(path)})
    return found


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
    n = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    line = (
        f"{path}: {counted(sum(map(len, dataset.splits.values())), 'sequence')} of {dataset.length} bp, "
        f"{counted(len(dataset.label_names), 'label')} ({n})"
    )
    positives, masked = {}, {}
    for name, split in dataset.splits.items():
        counts = np.zeros((2, len(dataset.label_names)), np.int64)
        for start in range(0, len(split), ROWS_AT_ONCE):
            labels = split.read("labels", start, start + ROWS_AT_ONCE)
            counts += (labels == 1).sum(axis=0), (labels < 0).sum(axis=0)
        positives[name], masked[f"{name}_masked"] = counts
    columns = positives | (masked if any(counts.any() for counts in masked.values()) else {})
    rows = zip(("label", *dataset.label_names), *((name, *counts) for name, counts in columns.items()), strict=True)
    return line, "\n".join("\t".join(map(str, row)) for row in rows)
