"""No command writes over what it reads: status 2, one line, and every file as it was."""

import os
import shutil

import numpy as np
import pytest
from support.packaging import INFO, LABELS, contents, small_network

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.hdf5 import create_dataset
from kipoi_motifrep.pipeline import interpret

MEME = """MEME version 4
ALPHABET= ACGT
MOTIF one
letter-probability matrix: alength= 4 w= 6 nsites= 20
1 0 0 0
0 1 0 0
0 0 1 0
0 0 0 1
1 0 0 0
0 1 0 0
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with every kind of input, under names that commands also write."""
    folder = tmp_path_factory.mktemp("inputs")
    random = np.random.default_rng(0)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(random.choice(list("ACGT"), 4000)) + "\n")
    (folder / "peaks.bed").write_text("".join(f"chr1\t{start}\t{start + 150}\n" for start in range(300, 3000, 300)))
    (folder / "black.bed").write_text("chr1\t0\t10\n")
    (folder / "list.tsv").write_text("CTCF\tpeaks.bed\n")
    rows = "".join(f"{''.join(random.choice(list('ACGT'), 60))}\t{i % 2}\n" for i in range(40))
    (folder / "table.tsv").write_text(f"sequence\tCTCF\n{rows}")
    (folder / "seqs.fa").write_text("".join(f">s{i}\n{''.join(random.choice(list('ACGT'), 60))}\n" for i in range(20)))
    for name in ("filters.meme", "tomtom.tsv", "database.meme", "report.html", "planted.h5", "motifs.meme"):
        (folder / name).write_text(MEME)
    shutil.copy(folder / "seqs.fa", folder / "sites.tsv")
    for name in ("filters.tsv", "planted.tsv", "clusters.tsv"):
        shutil.copy(folder / "seqs.fa", folder / name)
    for name in ("truth.tsv", "truth.tsv.json", "table.html", "networks.tsv"):
        (folder / name).write_text("label\tmatrices\nCTCF\tone\nGATA1\tone\nNO\tone\n")
    (folder / "atlas.tsv").write_text("model\nnet.keras\n")
    shutil.copy(folder / "genome.fa", folder / "genome.parquet")
    shutil.copy(folder / "peaks.bed", folder / "scan.GATA1.bw")
    for name in ("data.h5", "filters.h5", "accuracy.tsv.json"):
        with create_dataset(folder / name, 60, LABELS, {}) as writer:
            for split in ("train", "valid", "test"):
                writer.append(
                    split,
                    random.integers(0, 4, (20, 60)).astype(np.uint8),
                    (np.arange(60).reshape(20, 3) % 2).astype(np.int8),
                )
    network = small_network()
    network.save(folder / "net.keras")
    for place in ("group/weights", "zoo/upload"):
        (folder / place).mkdir(parents=True)
        shutil.copy(folder / "net.keras", folder / place / "net.keras")
        (folder / place / "others.txt").write_text("of the user")
    (folder / "info.yaml").write_text(INFO)
    interpret(
        network,
        fasta=folder / "seqs.fa",
        database=folder / "database.meme",
        null=False,
        importance=False,
        output=folder / "done",
    )
    (folder / "link").symlink_to("done/interpretation.json")
    os.link(folder / "peaks.bed", folder / "twin.bed")
    return folder


PEAKS = [
    "dataset",
    "peaks",
    "CTCF=peaks.bed",
    "--genome",
    "genome.fa",
    "--valid",
    "chr1:1000-1500",
    "--test",
    "chr1:2000-2500",
    "--window",
    "200",
]
PACKAGE = ["--labels", ",".join(LABELS), "--info", "info.yaml", "--no-test"]


@pytest.mark.parametrize(
    "arguments",
    [
        [*PEAKS, "-o", "peaks.bed"],
        [*PEAKS, "-o", "twin.bed"],
        [*PEAKS, "-o", "genome.fa"],
        [*PEAKS, "-o", "./genome.fa"],
        [*PEAKS, "--blacklist", "black.bed", "-o", "black.bed"],
        ["dataset", "peaks", "--list", "list.tsv", *PEAKS[3:], "-o", "peaks.bed"],
        ["dataset", "peaks", "--list", "list.tsv", *PEAKS[3:], "-o", "list.tsv"],
        ["dataset", "table", "table.tsv", "--valid", "0.2", "--test", "0.2", "-o", "table.tsv"],
        ["dataset", "table", "table.tsv", "--fasta", "seqs.fa", "-o", "seqs.fa"],
        ["dataset", "deepsea", "data.h5", "-o", "data.h5"],
        ["report", "done", "-o", "done/interpretation.json"],
        ["report", "done", "-o", "link"],
        ["report", "done/interpretation.json", "-o", "link"],
        ["compare", "done", "-o", "done/interpretation.json"],
        ["compare", "done", "-o", "link"],
        ["baseline", "data.h5", "--database", "database.meme", "--truth", "truth.tsv", "-o", "truth.tsv"],
        ["baseline", "data.h5", "--database", "database.meme", "--truth", "truth.tsv.json", "-o", "truth.tsv"],
        ["baseline", "data.h5", "--database", "database.meme", "-o", "database.meme"],
        ["baseline", "data.h5", "-o", "data.h5"],
        ["match", "tomtom.tsv", "--database", "database.meme", "-o", "."],
        ["match", "database.meme", "--database", "tomtom.tsv", "-o", "."],
        ["filters", "net.keras", "--fasta", "filters.tsv", "-o", "."],
        ["filters", "net.keras", "--fasta", "sites.tsv", "--sites", "-o", "."],
        ["filters", "net.keras", "--dataset", "filters.h5", "-o", "."],
        ["plant", "net.keras", "--fasta", "planted.tsv", "--motifs", "database.meme", "-o", "."],
        ["plant", "net.keras", "--fasta", "seqs.fa", "--motifs", "planted.h5", "-o", "."],
        ["plant", "net.keras", "--motifs", "database.meme", "--background", "planted.tsv", "-o", "."],
        ["interpret", "net.keras", "--fasta", "seqs.fa", "--database", "filters.meme", "-o", "."],
        ["atlas", "--models", "atlas.tsv", "--fasta", "seqs.fa", "-o", "."],
        ["atlas", "net.keras", "--fasta", "seqs.fa", "--database", "motifs.meme", "-o", "."],
        ["atlas", "net.keras", "--fasta", "clusters.tsv", "-o", "."],
        ["scan", "net.keras", "--genome", "genome.parquet", "-o", "genome.parquet"],
        [
            "scan",
            "net.keras",
            "--genome",
            "genome.fa",
            "--intervals",
            "scan.GATA1.bw",
            "--bin",
            "60",
            "--labels",
            ",".join(LABELS),
            "-o",
            "scan.bw",
        ],
        ["evaluate", "net.keras", "--dataset", "data.h5", "-o", "data.h5"],
        ["evaluate", "net.keras", "--dataset", "data.h5", "-o", "net.keras"],
        ["evaluate", "net.keras", "--dataset", "accuracy.tsv.json", "-o", "accuracy.tsv"],
        ["interpret", "net.keras", "--dataset", "filters.h5", "--database", "database.meme", "-o", "."],
        ["experiment", "--task", "data.h5", "--truth", "networks.tsv", "--trials", "0", "-o", "."],
        ["package", "group/weights/net.keras", *PACKAGE, "-o", "group"],
        ["package", "zoo/upload/net.keras", *PACKAGE, "--zoo", "https://x.org", "--name", "Lab", "-o", "zoo"],
    ],
    ids=" ".join,
)
def test_an_output_that_is_an_input_is_refused(made, arguments, monkeypatch, capsys):
    monkeypatch.chdir(made)
    before = contents(made)
    assert main(arguments) == 2
    said = capsys.readouterr().err.splitlines()
    assert "is also an input" in said[-1] and "error:" in said[-1]
    after = contents(made)
    indices = {path for path in after if path.suffix == ".fai"}
    assert {path: after[path] for path in after.keys() - indices} == {
        path: before[path] for path in before.keys() - indices
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["filters", "net.keras", "--fasta", "sites.tsv", "-o", "."],  # no sites are written
        ["report", "done", "-o", "done/report.html"],
        ["report", "done"],
        ["compare", "done", "-o", "done/compare.html"],
        ["package", "net.keras", *PACKAGE, "-o", "."],
    ],
    ids=" ".join,
)
def test_an_output_beside_the_inputs_is_fine(made, tmp_path, arguments, monkeypatch, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    if arguments[0] == "filters":
        (folder / "filters.tsv").unlink()
    monkeypatch.chdir(folder)
    assert main(arguments) == 0, capsys.readouterr().err
