"""The networks that go into a group: ours from a training folder, or anybody's Keras files."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.networks.keras_files import load_keras, read_metadata, suffix_of
from kipoi_motifrep.training.architectures import ARCHITECTURES, Architecture
from kipoi_motifrep.training.runs import HISTORY_FILE, NETWORK_FILE, RESULT_FILE, finished_trials

if TYPE_CHECKING:
    import keras

FIGURES = ("auroc", "aupr")
# A name is a path of the zoo, a value of a template and, to pandas, not a number or a missing value.
NAME = re.compile(r"(?!(?:nan?|null|none|true|false|inf(?:inity)?|template)$)[a-z][\w.+-]*(?<!\.expect)$", re.I | re.A)
# What opens code in the template that Kipoi renders at every call; texts that enter it must not hold one.
TEMPLATE_MARK = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class Packaged:
    """One network and what its description in the zoo says of it.

    Attributes
    ----------
    name : str
        Of the Kipoi model within its group.
    path : pathlib.Path
        Whole-model file.
    suffix : str
        ``.keras`` or ``.h5``, by the file's contents.
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
    suffix: str
    label_names: tuple[str, ...]
    length: int
    architecture: str
    n_parameters: int
    result: dict

    @property
    def weights(self) -> str:
        """Name of its file in a group."""
        return f"{self.name}{self.suffix}"


def find_networks(
    sources: Sequence[str | os.PathLike], trial: int | None = 0, labels: Sequence[str] | None = None
) -> list[Packaged]:
    """Collect networks from training folders and files.

    Parameters
    ----------
    sources : sequence of path-like
        Folders that ``kipoi-motifrep train`` wrote to, and ``.keras`` or ``.h5`` files.
    trial : int or None, default 0
        Which initialisation, of training folders; None for the one with the
        lowest validation loss, architecture by architecture.
    labels : sequence of str, optional
        Names of the outputs, for files that do not carry them.

    Returns
    -------
    list of Packaged
        Ours in the order of the paper's table. Where two come of one architecture, the one with an
        exponential first layer is called ``NAME_exp``.

    Raises
    ------
    InputError
        If a folder holds no finished network, a name comes twice or is none
        for the zoo, the networks do not read and predict the same, or the
        outputs have no names.
    """
    waiting = [
        one
        for source in map(Path, sources)
        for one in (_trained(source, trial) if source.is_dir() else [(source.stem, source, {})])
    ]
    # Names first: opening the networks takes a while. Sisters of one architecture may be in a group together.
    names = [name for name, *_ in waiting]
    waiting = [
        (f"{name}_exp" if names.count(name) > 1 and _is_exponential(result) else name, path, result)
        for name, path, result in waiting
    ]
    names = [name for name, *_ in waiting]
    for name, path, _ in waiting:
        if not NAME.match(name):
            raise InputError(
                f"{name!r} cannot be the name of a model (a letter, then letters, digits and _ . + -); rename the file",
                path=path,
            )
        if names.count(name) > 1:
            raise InputError(f"two networks are called {name!r}; rename a file", path=path)
    found = [_packaged(*one, labels) for one in progress(waiting, "opening", unit="network")]
    for network in found[1:]:
        for what in ("label_names", "length"):
            if getattr(network, what) != getattr(found[0], what):
                raise InputError(
                    f"differs in its {'outputs' if what == 'label_names' else 'input length'} from "
                    f"{found[0].path}; package them as groups of their own",
                    path=network.path,
                )
    return found


def _is_exponential(result: dict) -> bool:
    return bool(result) and result["protocol"]["first_activation"] == "exponential"


def _trained(runs: Path, trial: int | None) -> list[tuple[str, Path, dict]]:
    finished = {}
    for name in ARCHITECTURES:
        trials = finished_trials(runs, name, trial)
        if trials:
            finished[name] = trials[0] if len(trials) == 1 else _best(trials)
    if not finished:
        which = "" if trial is None else f" of trial {trial}"
        raise InputError(f"holds no finished network{which}; run 'kipoi-motifrep train' first", path=runs)
    return [(name, folder / NETWORK_FILE, _read_result(folder / RESULT_FILE)) for name, folder in finished.items()]


def _read_result(path: Path) -> dict:
    """Read a ``result.json``; what of it goes into tables and texts of a group is checked to be what it must be."""
    try:
        result = parse_json(path.read_text(encoding="utf-8"))
        test = result["test"]
        figures = [one[name] for one in [test, *test["per_label"].values()] for name in FIGURES]
        whole = (
            result["variant"] in ARCHITECTURES
            and type(result["random_seed"]) is int
            and re.fullmatch(r"\w+", result["protocol"]["first_activation"], re.A)
            and all(one is None or 0 <= one <= 1 for one in figures)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise InputError(
            f"is not as 'kipoi-motifrep train' writes it; train the network again, or package its {NETWORK_FILE} alone",
            path=path,
        )
    return result


def _best(trials: Sequence[Path]) -> Path:
    """Choose the run with the lowest validation loss, of runs on the same data."""
    results = [_read_result(folder / RESULT_FILE) for folder in trials]
    for folder, result in zip(trials, results, strict=True):
        if any(result.get(what) != results[0].get(what) for what in ("data", "protocol")):
            raise InputError(
                f"was trained with other data or settings than {trials[0].name}; their losses cannot be compared",
                path=folder,
            )
    return min(trials, key=_validation_loss)


def _validation_loss(folder: Path) -> float:
    path = folder / HISTORY_FILE
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return min(float(row["val_loss"]) for row in csv.DictReader(file))
    except (KeyError, ValueError, TypeError, csv.Error, FileNotFoundError) as error:
        raise InputError("has no validation losses; choose the trial by its number", path=path) from error


def _packaged(name: str, path: Path, result: dict, labels: Sequence[str] | None) -> Packaged:
    if not path.is_file():
        raise InputError("there is no such file or training folder", path=path)
    model = load_keras(path)
    suffix = suffix_of(path)
    length, n_outputs = _shapes(model, path)
    architecture = f"{len(model.layers)} layers"
    if result:
        architecture = describe(ARCHITECTURES[result["variant"]], result["protocol"]["first_activation"])
    n_parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    names = _label_names(path, suffix, n_outputs, labels)
    # The table of results has a column a label.
    if result and list(result["test"]["per_label"]) != list(names):
        raise InputError("was tested on labels of other names; leave out labels", path=path)
    return Packaged(name, path, suffix, names, length, architecture, n_parameters, result)


def _shapes(model: keras.Model, path: Path) -> tuple[int, int]:
    """Bases and labels of a network of one sequence and one row of predictions."""
    inputs, outputs = ([tuple(one.shape)[1:] for one in ends] for ends in (model.inputs, model.outputs))
    if len(inputs) != 1 or len(inputs[0]) != 2 or inputs[0][1] != 4 or inputs[0][0] is None:
        raise InputError(
            f"reads {', '.join(map(str, inputs))}; only networks over one input of (length, 4) with a "
            "fixed length can be packaged",
            path=path,
        )
    if len(outputs) != 1 or len(outputs[0]) != 1:
        raise InputError(
            f"predicts {', '.join(map(str, outputs))}; only networks with one output of (labels,) can be packaged",
            path=path,
        )
    return inputs[0][0], outputs[0][0]


def _label_names(path: Path, suffix: str, n_outputs: int, labels: Sequence[str] | None) -> tuple[str, ...]:
    # What the user says goes before what the file says: its note may be of another task.
    noted = read_metadata(path).get("label_names") if suffix == ".keras" and not labels else None
    names = tuple(str(name) for name in labels or (noted if isinstance(noted, list) else ()))
    if len(names) != n_outputs:
        raise InputError(f"has {n_outputs} outputs and {len(names)} names for them; give labels=NAMES", path=path)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two outputs are called {twice[0]!r}", path=path)
    for name in names:
        if not name.isprintable() or not name.strip() or TEMPLATE_MARK.search(name):
            raise InputError(
                f"an output is called {name!r}; a name must be printable and hold no '{{{{', '{{%' or "
                "'{#', which Kipoi would run as code: give others by labels=NAMES",
                path=path,
            )
    return names


def describe(architecture: Architecture, first_activation: str = "relu") -> str:
    """Say an architecture in words.

    Parameters
    ----------
    architecture : Architecture
        From :data:`kipoi_motifrep.training.architectures.ARCHITECTURES`.
    first_activation : str, default "relu"
        Named where it is another.

    Returns
    -------
    str
        For example "30 filters of width 19, max-pooling 25; ...; 512 dense units".

    Examples
    --------
    >>> describe(ARCHITECTURES["cnn_25"], "exponential")
    '30 filters of width 19, max-pooling 25, exponential activation; ...; 512 dense units'
    """
    parts = []
    for conv in architecture.convs:
        pool = f"max-pooling {conv.pool}" if conv.pool > 1 else "no pooling"
        stride = f" with stride {conv.stride}" if conv.stride else ""
        parts.append(f"{conv.filters} filters of width {conv.width}, {pool}{stride}")
    if first_activation != "relu":
        parts[0] += f", {first_activation} activation"
    return "; ".join([*parts, f"{architecture.dense} dense units"])
