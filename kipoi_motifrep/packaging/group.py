"""Writing a Kipoi group: template, table of models, weights, expected predictions, results."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np
import yaml

from kipoi_motifrep.errors import InputError
from kipoi_motifrep.kipoi_model import open_network
from kipoi_motifrep.outputs import replacing, write_text
from kipoi_motifrep.packaging.description import GroupInfo, dump, model_template
from kipoi_motifrep.packaging.networks import Packaged
from kipoi_motifrep.progress import progress
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.sequences.genome import Genome

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE_GENOME = "hg19_chr20_200kb.fa"
DESCRIPTIONS = Path(__file__).parent.parent / "loader_descriptions"
N_EXPECTED = 16
TABLE_COLUMNS = ("model", "weights_md5", "expect_md5", "architecture", "parameters", "auroc", "aupr", "seed")
FIGURES = ("auroc", "aupr")


def write_group(networks: Sequence[Packaged], group: str | os.PathLike, info: GroupInfo) -> None:
    """Write a group whose weights lie in it and whose code is this package.

    Parameters
    ----------
    networks : sequence of Packaged
        From :func:`kipoi_motifrep.packaging.networks.find_networks`.
    group : str or path-like
        Folder to write into: ``model-template.yaml``, ``models.tsv``,
        ``weights/``, ``expect/``, ``results.tsv`` where accuracies are known,
        and a dataloader with its example files unless `info` names another.
    info : GroupInfo
        What the author says.

    Raises
    ------
    InputError
        If `info` names a dataloader that is not there.
    """
    group = Path(group)
    if info.dataloader is not None and not (group / "variant" / info.dataloader / "dataloader.yaml").resolve().exists():
        raise InputError(f"the dataloader {info.dataloader} is not there (it is relative to {group}/MODEL)")
    write_networks(networks, group, group)
    write_text(group / "model-template.yaml", model_template(info, networks[0]))
    if info.dataloader is None:
        write_example_files(group / "example_files", networks[0].length)
        write_text(group / "dataloader.yaml", dump(loader_description(networks[0].length)))


def write_networks(networks: Sequence[Packaged], group: Path, files: Path) -> None:
    """Write the table of models and the files that belong to each network.

    Parameters
    ----------
    networks : sequence of Packaged
        The networks.
    group : pathlib.Path
        Where ``models.tsv`` and ``results.tsv`` go.
    files : pathlib.Path
        Where ``weights/`` and ``expect/`` go.
    """
    rows = []
    for network in progress(networks, "packaging", unit="network"):
        weights, expect = files / "weights" / f"{network.name}.keras", files / "expect" / f"{network.name}.h5"
        with replacing(weights) as temporary:
            shutil.copyfile(network.path, temporary)
        _write_expected(expect, weights, network.length)
        figures = network.result.get("test", {})
        rows.append([network.name, md5_of(weights), md5_of(expect), network.architecture, network.n_parameters,
                     *(_figure(figures.get(figure), 3) for figure in FIGURES), network.result.get("random_seed", "")])
    _write_table(group / "models.tsv", TABLE_COLUMNS, rows)
    known = {network.name: network.result["test"] for network in networks if network.result}
    if known:
        _write_results(group / "results.tsv", known, networks[0].label_names)


def md5_of(path: Path) -> str:
    """Compute a file's md5.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        Hexadecimal.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _write_expected(path: Path, weights: Path, length: int) -> None:
    genome = Genome(EXAMPLES / EXAMPLE_GENOME)
    starts = np.linspace(0, genome.lengths[0] - length, N_EXPECTED).astype(np.int64)
    inputs = one_hot(genome.fetch(np.zeros(N_EXPECTED, int), starts, length))
    predictions = np.asarray(open_network(weights)(inputs, training=False))
    # Without time stamps the same weights give the same file, and md5.
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("inputs", data=inputs, compression="gzip", track_times=False)
        file.create_dataset("preds", data=predictions, track_times=False)


def loader_description(length: int, *, loader: str | None = None, base_url: str | None = None,
                       files: Path | None = None) -> dict[str, object]:
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
    for argument, name in (("intervals_file", "windows.bed"), ("fasta_file", EXAMPLE_GENOME)):
        example: object = f"example_files/{name}"
        if base_url is not None:
            example = {"url": f"{base_url}/{example}", "md5": md5_of(files / "example_files" / name), "name": name}
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
    starts = np.linspace(0, size - length, 20).astype(int)
    write_text(folder / "windows.bed", "".join(f"chr20\t{start}\t{start + length}\twindow_{i}\n"
                                               for i, start in enumerate(starts, 1)))


def _write_results(path: Path, results: dict[str, dict], labels: Sequence[str]) -> None:
    _write_table(path, ["model", "figure", "mean", *labels], (
        [name, figure, _figure(result[figure], 4),
         *(_figure(result["per_label"][label][figure], 4) for label in labels)]
        for figure in FIGURES for name, result in results.items()))


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
