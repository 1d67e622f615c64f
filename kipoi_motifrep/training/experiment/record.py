"""Records of finished networks: one small JSON file each, which the tables are made from and which git can keep."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import write_text
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.pipeline import Interpretation
from kipoi_motifrep.training.runs import Result

FORMAT = 1
DECIMALS = 5  # of PWMs and other arrays: a record stays small, and the tables do not change
# The fields of a record that are written as they are, and what a file calls them. Files keep the words that they began
# with, so that records of all versions go into one table.
FILE_KEYS = {
    "architecture": "variant",
    "first_activation": "first_activation",
    "trial": "trial",
    "random_seed": "random_seed",
    "task": "task",
    "training": "training",
    "metrics": "figures",
    "database": "database",
}


@dataclass(frozen=True)
class Hit:
    """One Tomtom match of a filter.

    Attributes
    ----------
    query : int
        Place of the filter in its layer.
    target : str
        Matrix id.
    offset, overlap : int
        Of the trimmed filter against the target as oriented.
    orientation : str
        "+" or "-", of the target.
    p_value, e_value, q_value : float
        Tomtom's.
    """

    query: int
    target: str
    offset: int
    overlap: int
    orientation: str
    p_value: float
    e_value: float
    q_value: float


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """Filters of one convolution and their matches.

    Attributes
    ----------
    layer : str
        Name of the convolution.
    pwms : numpy.ndarray, shape (n_filters, width, 4)
        Activation PWMs, to five decimals.
    maximum, n_sites, fraction_firing : numpy.ndarray, shape (n_filters,)
        As in :class:`kipoi_motifrep.filters.result.FilterPWMs`.
    coverage : numpy.ndarray, shape (n_filters,)
        How much of its motif a filter holds; 0 without a match.
    labels : tuple of str or None
        Which of the motifs in the data a filter matches.
    hits : tuple of Hit
        All with E <= 0.1, a filter's best first.
    """

    layer: str
    pwms: np.ndarray
    maximum: np.ndarray
    n_sites: np.ndarray
    fraction_firing: np.ndarray
    coverage: np.ndarray
    labels: tuple[str | None, ...]
    hits: tuple[Hit, ...]

    @classmethod
    def of(cls, found: Interpretation) -> LayerRecord:
        """Keep of an interpretation what the tables need.

        Parameters
        ----------
        found : Interpretation
            Of one convolution.

        Returns
        -------
        LayerRecord
            PWMs are rounded; matches are those of the exact ones.
        """
        [filters], targets = found.banks, found.matches.database.motifs
        hits = tuple(
            Hit(
                int(hit["query"]),
                targets[hit["target"]].name,
                int(hit["offset"]),
                int(hit["overlap"]),
                str(hit["orientation"]),
                *(float(f"{hit[key]:.6g}") for key in ("p_value", "e_value", "q_value")),
            )
            for hit in found.matches.hits
        )
        coverage = found.representation.assignment.coverage
        return cls(
            filters.bank.layer,
            filters.pwms.round(DECIMALS),
            filters.maximum,
            filters.n_sites,
            filters.fraction_firing,
            coverage,
            found.representation.assignment.labels,
            hits,
        )

    def motifs(self) -> list[Motif]:
        """Make trimmed motifs of the filters, dead ones included."""
        # Rounded rows miss 1 by a little.
        return [
            Motif(f"filter{i}", pwm / pwm.sum(axis=1, keepdims=True), nsites=n_sites).trimmed()
            for i, (pwm, n_sites) in enumerate(zip(self.pwms, self.n_sites.tolist(), strict=True))
        ]


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One trained and interpreted network.

    Attributes
    ----------
    architecture, first_activation : str
        Which network.
    trial, random_seed : int
        Which initialisation.
    task : str
        Name of the data set.
    training : Result
        Contents of the network's ``result.json``.
    layers : tuple of LayerRecord
        The first convolution, and deeper ones where asked for.
    metrics : Mapping
        For each layer the metrics of `kipoi_motifrep.representation.metrics.METRICS`: "trained", "shuffled"
        (means) and "untrained".
    database : str
        Release, number of motifs, digest.
    """

    architecture: str
    first_activation: str
    trial: int
    random_seed: int
    task: str
    training: Result
    layers: tuple[LayerRecord, ...]
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    database: str

    def write(self, path: str | os.PathLike) -> None:
        """Write the record as JSON.

        Parameters
        ----------
        path : str or path-like
            The file; it appears whole.
        """

        def rounded(values: np.ndarray) -> list:
            return np.asarray(values, float).round(DECIMALS).tolist()

        fields = {theirs: getattr(self, ours) for ours, theirs in FILE_KEYS.items()}
        layers = [
            {
                "layer": layer.layer,
                "hits": [astuple(hit) for hit in layer.hits],
                "maximum": rounded(layer.maximum),
                "n_sites": layer.n_sites.tolist(),
                "fraction_firing": rounded(layer.fraction_firing),
                "coverage": rounded(layer.coverage),
                "labels": layer.labels,
                "pwms": rounded(layer.pwms),
            }
            for layer in self.layers
        ]
        write_text(path, json.dumps({"format": FORMAT, **fields, "layers": layers}, separators=(",", ":")) + "\n")


def read_record(path: str | os.PathLike) -> RunRecord:
    """Read the record of a run.

    Parameters
    ----------
    path : str or path-like
        A file that :meth:`RunRecord.write` wrote.

    Returns
    -------
    RunRecord
        Its contents.

    Raises
    ------
    InputError
        If the file is none, or of another version.
    """
    try:
        saved = parse_json(Path(path).read_text(encoding="utf-8"))
        if saved["format"] != FORMAT:
            raise InputError("was written by another version; remove it and run the experiment again", path=path)
        layers = []
        for layer in saved["layers"]:
            arrays = {
                key: np.array(layer[key]) for key in ("pwms", "maximum", "n_sites", "fraction_firing", "coverage")
            }
            layers.append(
                LayerRecord(
                    layer["layer"],
                    **arrays,
                    labels=tuple(layer["labels"]),
                    hits=tuple(Hit(*hit) for hit in layer["hits"]),
                )
            )
        return RunRecord(layers=tuple(layers), **{ours: saved[theirs] for ours, theirs in FILE_KEYS.items()})
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "is no record of a finished network; remove it and run the experiment again", path=path
        ) from error


def read_records(folder: str | os.PathLike) -> list[RunRecord]:
    """Read all records of an experiment.

    Parameters
    ----------
    folder : str or path-like
        Folder of the experiment; records lie in ``units/``.

    Returns
    -------
    list of RunRecord
        By file name.

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    paths = sorted((Path(folder) / "units").glob("*.json"))
    if not paths:
        raise InputError("holds no finished networks (units/*.json)", path=folder)
    return [read_record(path) for path in paths]


def record_name(architecture: str, first_activation: str, trial: int) -> str:
    """Name a record's file.

    Parameters
    ----------
    architecture, first_activation : str
        Which network.
    trial : int
        Which initialisation.

    Returns
    -------
    str
        ReLU, the paper's activation, is not spelt out.

    Examples
    --------
    >>> record_name("cnn_25", "relu", 0), record_name("cnn_25", "exponential", 0)
    ('cnn_25.0.json', 'cnn_25.exponential.0.json')
    """
    activation = "" if first_activation == "relu" else f".{first_activation}"
    return f"{architecture}{activation}.{trial}.json"
