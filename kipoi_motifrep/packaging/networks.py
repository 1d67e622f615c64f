"""The networks that go into a group: ours from a training folder, or anybody's Keras files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kipoi_motifrep.errors import InputError
from kipoi_motifrep.kipoi_model import open_network
from kipoi_motifrep.training import read_metadata
from kipoi_motifrep.variants import VARIANTS, Variant


@dataclass(frozen=True)
class Packaged:
    """One network and what its description in the zoo says of it.

    Attributes
    ----------
    name : str
        Of the Kipoi model within its group.
    path : pathlib.Path
        Whole-model file.
    label_names : tuple of str
        One an output.
    length : int
        Bases that it reads.
    architecture : str
        In words.
    n_parameters : int
        Trainable.
    result : dict
        Contents of ``result.json``; empty for networks of others.
    """

    name: str
    path: Path
    label_names: tuple[str, ...]
    length: int
    architecture: str
    n_parameters: int
    result: dict


def find_networks(sources: Sequence[str | os.PathLike], trial: int = 0,
                  labels: Sequence[str] | None = None) -> list[Packaged]:
    """Collect networks from training folders and files.

    Parameters
    ----------
    sources : sequence of path-like
        Folders that ``kipoi-motifrep train`` wrote to, and ``.keras`` or ``.h5`` files.
    trial : int, default 0
        Which initialisation, of training folders.
    labels : sequence of str, optional
        Names of the outputs, for files that do not carry them.

    Returns
    -------
    list of Packaged
        Ours in the order of the paper's table.

    Raises
    ------
    InputError
        If a folder holds no finished network, a name comes twice, or the
        outputs have no names.
    """
    found = []
    for source in map(Path, sources):
        found += _from_runs(source, trial) if source.is_dir() else [_from_file(source, labels)]
    names = [network.name for network in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two networks are called {name!r}; rename a file")
    if len({network.label_names for network in found}) > 1:
        raise InputError("the networks have different outputs; package them as groups of their own")
    return found


def _from_runs(runs: Path, trial: int) -> list[Packaged]:
    finished = [name for name in VARIANTS if (runs / name / f"trial_{trial}" / "result.json").exists()]
    if not finished:
        raise InputError(f"holds no finished network of trial {trial}; run 'kipoi-motifrep train' first", path=runs)
    networks = []
    for name in finished:
        folder = runs / name / f"trial_{trial}"
        result = json.loads((folder / "result.json").read_text())
        networks.append(_packaged(folder / "network.keras", name, None, describe(VARIANTS[name]), result))
    return networks


def _from_file(path: Path, labels: Sequence[str] | None) -> Packaged:
    if not path.is_file():
        raise InputError("there is no such file or training folder", path=path)
    return _packaged(path, path.stem, labels, "", {})


def _packaged(path: Path, name: str, labels: Sequence[str] | None, architecture: str, result: dict) -> Packaged:
    model = open_network(path)
    shape = tuple(model.inputs[0].shape)
    if len(model.inputs) != 1 or len(shape) != 3 or shape[2] != 4 or shape[1] is None:
        shapes = ", ".join(str(tuple(one.shape[1:])) for one in model.inputs)
        raise InputError(f"reads {shapes}; only networks over one input of (length, 4) with a fixed length can be "
                         "packaged", path=path)
    names = tuple(labels or (read_metadata(path).get("label_names", ()) if path.suffix == ".keras" else ()))
    n_outputs = model.outputs[0].shape[-1]
    if len(names) != n_outputs:
        raise InputError(f"has {n_outputs} outputs and {len(names)} names for them; give --labels", path=path)
    n_parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Packaged(name, path, names, shape[1], architecture or f"{len(model.layers)} layers", n_parameters, result)


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
