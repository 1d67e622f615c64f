"""Writing a Kipoi group: template, table of models, weights, expected predictions, results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import yaml

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import replacing, staged, write_text
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.tables import read_table, write_table
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.training.evaluate import write_results
from kipoi_motifrep.zoo.card import write_card
from kipoi_motifrep.zoo.description import (
    IN_GROUP,
    PRECISION_DECIMAL,
    Files,
    GroupInfo,
    check_placeholders,
    dump,
    link,
    model_template,
)
from kipoi_motifrep.zoo.packaged import FIGURES, NAME, Packaged
from kipoi_motifrep.zoo.shipped import DESCRIPTIONS, EXAMPLES, md5_of

if TYPE_CHECKING:
    import keras

EXAMPLE_GENOME = "hg19_chr20_200kb.fa"
EXAMPLE_INTERVALS = "windows.bed"
N_EXPECTED = 16
N_WINDOWS = 20


def write_group(networks: Sequence[Packaged], group: str | os.PathLike, info: GroupInfo) -> None:
    """Write a group whose weights lie in it and whose code is this package.

    Parameters
    ----------
    networks : sequence of Packaged
        From :func:`kipoi_motifrep.zoo.packaged.find_networks`.
    group : str or path-like
        Folder to write into: ``model-template.yaml``, ``models.tsv``,
        ``weights/``, ``expect/``, ``README.md`` (its card), ``results.tsv`` where accuracies are known,
        and a dataloader with its example files unless `info` names another.
        It is written at the end, when all has gone well; networks that an
        earlier group held and this does not are removed.
    info : GroupInfo
        What the author says.

    Raises
    ------
    InputError
        If `info` names a dataloader or a placeholder that is not there, or the
        networks read more than the example stretch of a genome, or a ``README.md`` is there that is no card of
        this package.
    """
    group = Path(group)
    if info.dataloader is not None:
        # Kipoi follows such a path from GROUP/MODEL, a folder that does not exist, by its letters.
        folder = os.path.normpath(group.absolute() / "MODEL" / info.dataloader)
        if not os.path.exists(os.path.join(folder, "dataloader.yaml")):
            raise InputError(
                f"the dataloader {info.dataloader} is not there: it is relative to {group}/MODEL, and "
                f"{folder} holds no dataloader.yaml",
                path=info.path,
            )
    gone = former_files(group, group, networks, IN_GROUP)
    files = [str(path) for network in networks for path in _paths(Path(), IN_GROUP, network.name, network.weights)]
    with staged(group, ["model-template.yaml", "models.tsv", *files], inputs_of(networks, info), gone) as stage:
        write_networks(networks, stage, stage, info, IN_GROUP, former=group)
        write_text(stage / "model-template.yaml", model_template(info, networks[0]))
        write_card(stage, group.absolute().name, info.card, former=group)
        if info.dataloader is None:
            write_example_files(stage / "example_files", networks[0].length)
            write_text(stage / "dataloader.yaml", dump(loader_description(networks[0].length)))


def write_networks(
    networks: Sequence[Packaged],
    group: Path,
    folder: Path,
    info: GroupInfo,
    files: Files,
    *,
    former: Path,
    opened_by: Callable[[Path], keras.Model] = load_keras,
) -> None:
    """Write the table of models and the files that belong to each network.

    Parameters
    ----------
    networks : sequence of Packaged
        The networks.
    group : pathlib.Path
        Where ``models.tsv`` and ``results.tsv`` go.
    folder : pathlib.Path
        Where weights and expected predictions go.
    info : GroupInfo
        What the author says; its placeholders are checked.
    files : Files
        Their names below `folder`.
    former : pathlib.Path
        What `folder` was when the networks were packaged before, if they were.
        Expected predictions that still hold stay as they are, to the byte:
        the last bits of a sum differ from processor to processor.
    opened_by : callable, optional
        What opens the networks where they are used.

    Raises
    ------
    InputError
        As for :func:`write_group`.
    """
    # 1. What can be known of the networks without opening them; texts that ask for more are refused here.
    rows = [_row(network) for network in networks]
    # A column that is not known of every network would reach the texts as "nan".
    columns = [column for column in rows[0] if all(row[column] is not None for row in rows)]
    check_placeholders(info, columns)
    _check_length(networks[0])
    # 2. Their files: copied to the byte, so that the md5 is that of the author's file, and predictions of each.
    for network, row in zip(progress(networks, "packaging", unit="network"), rows, strict=True):
        weights, expect = _paths(folder, files, network.name, network.weights)
        with replacing(weights) as temporary:
            shutil.copyfile(network.path, temporary)
        _, before = _paths(former, files, network.name, network.weights)
        _write_expected(expect, opened_by(network.path), network.length, before)
        row.update(weights_md5=md5_of(weights), expect_md5=md5_of(expect))
    # 3. The tables, now that the md5s are known.
    write_table(group / "models.tsv", columns, ([row[column] for column in columns] for row in rows))
    labels = networks[0].label_names
    known = {
        network.name: {
            figure: [network.result["test"]["per_label"][label][figure] for label in labels] for figure in FIGURES
        }
        for network in networks
        if network.result
    }
    if known:
        write_results(group / "results.tsv", known, labels)


def _row(network: Packaged) -> dict[str, object]:
    """Make a row of ``models.tsv``; md5s are filled in later."""
    test = network.result.get("test", {})
    return {
        "model": network.name,
        "weights": network.weights,
        "weights_md5": "",
        "expect_md5": "",
        "architecture": network.architecture,
        "parameters": network.n_parameters,
        **{figure: None if test.get(figure) is None else f"{test[figure]:.3f}" for figure in FIGURES},
        "seed": network.result.get("random_seed"),
    }


def _paths(folder: Path, files: Files, name: str, weights: str) -> list[Path]:
    return [folder / file.format(model=name, weights=weights) for file in files]


def inputs_of(networks: Sequence[Packaged], info: GroupInfo) -> list[Path]:
    """List the files that a group is made from, which making it must not touch.

    Parameters
    ----------
    networks : sequence of Packaged
        The networks.
    info : GroupInfo
        What the author says.

    Returns
    -------
    list of pathlib.Path
        Theirs.
    """
    return [info.path, *(network.path for network in networks)]


def former_files(group: Path, folder: Path, networks: Sequence[Packaged], files: Files) -> list[Path]:
    """List the results, and the files of networks that ``models.tsv`` lists and the new one will not.

    Parameters
    ----------
    group : pathlib.Path
        Where the former ``models.tsv`` is, if there is one.
    folder : pathlib.Path
        Where weights and expected predictions are.
    networks : sequence of Packaged
        The new ones.
    files : Files
        Their names below `folder`.

    Returns
    -------
    list of pathlib.Path
        They belong to nothing once the new group is there.
    """
    table = group / "models.tsv"
    if not table.exists():
        return []
    former = [group / "results.tsv"]
    kept = {path for network in networks for path in _paths(folder, files, network.name, network.weights)}
    for row in read_table(table):
        # A table of somebody else's may name files outside the group.
        if all(NAME.match(row.get(column) or "") for column in ("model", "weights")):
            former += set(_paths(folder, files, row["model"], row["weights"])) - kept
    return former


def _check_length(network: Packaged) -> None:
    longest = int(Genome(EXAMPLES / EXAMPLE_GENOME).lengths[0])
    if network.length > longest:
        raise InputError(
            f"reads {network.length} bp, more than the {longest} bp of the example stretch of a genome "
            "that a group is tested with",
            path=network.path,
        )


def _write_expected(path: Path, model: keras.Model, length: int, former: Path) -> None:
    genome = Genome(EXAMPLES / EXAMPLE_GENOME)
    starts = np.linspace(0, genome.lengths[0] - length, N_EXPECTED).astype(np.int64)
    inputs = one_hot(genome.fetch(np.zeros(N_EXPECTED, int), starts, length))
    predictions = np.asarray(model(inputs, training=False))
    with replacing(path) as temporary:
        if _still_holds(former, inputs, predictions):
            shutil.copyfile(former, temporary)
            return
        # Without time stamps the same predictions give the same file, and md5.
        with h5py.File(temporary, "w") as file:
            file.create_dataset("inputs", data=inputs, compression="gzip", track_times=False)
            file.create_dataset("preds", data=predictions, track_times=False)


def _still_holds(path: Path, inputs: np.ndarray, predictions: np.ndarray) -> bool:
    try:
        with h5py.File(path, "r") as file:
            before = file["inputs"][:], file["preds"][:]
    except (OSError, KeyError):
        return False
    return (
        np.array_equal(before[0], inputs)
        and before[1].shape == predictions.shape
        and np.abs(before[1] - predictions).max() < 0.1 ** (PRECISION_DECIMAL + 1)
    )


def loader_description(
    length: int, *, loader: str | None = None, base_url: str | None = None, files: Path | None = None
) -> dict[str, Any]:
    """Describe the intervals loader for a group of its own.

    Parameters
    ----------
    length : int
        Bases that the networks read; the example intervals are as long.
    loader : str, optional
        Python name of the class.
    base_url : str, optional
        Where the example files will lie; in the group by default.
    files : pathlib.Path, optional
        Folder that will be put there, to compute md5s.

    Returns
    -------
    dict
        Contents of a ``dataloader.yaml``.
    """
    description = yaml.safe_load((DESCRIPTIONS / "intervals.yaml").read_text(encoding="utf-8"))
    if loader is not None:
        description["defined_as"] = loader
    for argument, name in (("intervals_file", EXAMPLE_INTERVALS), ("fasta_file", EXAMPLE_GENOME)):
        example: object = f"example_files/{name}"
        if base_url is not None and files is not None:
            example = {"url": link(base_url, name), "md5": md5_of(files / name), "name": name}
        description["args"][argument]["example"] = example
    description["output_schema"]["inputs"]["doc"] += f"; the networks here read {length} bp"
    return description


def write_example_files(folder: Path, length: int) -> None:
    """Write a real stretch of human chromosome 20 and windows of it.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    length : int
        Bases of each window.
    """
    with replacing(folder / EXAMPLE_GENOME) as temporary:
        shutil.copyfile(EXAMPLES / EXAMPLE_GENOME, temporary)
    size = int(Genome(EXAMPLES / EXAMPLE_GENOME).lengths[0])
    starts = np.linspace(0, size - length, N_WINDOWS).astype(int)
    write_text(
        folder / EXAMPLE_INTERVALS,
        "".join(f"chr20\t{start}\t{start + length}\twindow_{i}\n" for i, start in enumerate(starts, 1)),
    )
