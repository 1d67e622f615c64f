"""The main job in miniature, on data that comes with the project, without a network connection."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.datasets.simulate import LABEL_NAMES
from kipoi_motifrep.motifs.jaspar import PAPER_RELEASE
from kipoi_motifrep.zoo.shipped import EXAMPLES, shipped_model

NETWORK = "synthetic/cnn_25"
THRESHOLD = 0.5


def predict(model: str, output: Path, arguments: Mapping[str, object], dataloader: str | None = None) -> None:
    """Run ``kipoi predict``.

    Parameters
    ----------
    model : str
        Path of a Kipoi model.
    output : pathlib.Path
        TSV file to write.
    arguments : mapping
        Of the dataloader.
    dataloader : str, optional
        Python name of another dataloader than the network's own.

    Raises
    ------
    InputError
        If it fails, with the last line that it said.
    """
    command = [
        "predict",
        model,
        "--source",
        "dir",
        "--batch_size",
        "256",
        "-m",
        "-o",
        str(output),
        "--dataloader_args",
        *(f"{key}={value}" for key, value in arguments.items()),
    ]
    if dataloader:
        command += ["--dataloader", dataloader]
    say(f"$ kipoi {shlex.join(command)}")
    done = subprocess.run([sys.executable, "-m", "kipoi", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise InputError(f"kipoi predict failed: {said[-1]}")


def run_demo(out: str | os.PathLike) -> Iterator[str]:
    """Predict sequences with known and with unknown motifs, then say what the network's filters are.

    Parameters
    ----------
    out : str or path-like
        Folder for the predictions and the report.

    Yields
    ------
    str
        Lines to print: predictions beside the truth, the figures in a sentence, the report.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model = _near(shipped_model(NETWORK))
    real, planted = out / "real_chr20.tsv", out / "planted.tsv"
    predict(
        model,
        real,
        {"intervals_file": _near(EXAMPLES / "windows.bed"), "fasta_file": _near(EXAMPLES / "hg19_chr20_200kb.fa")},
    )
    fasta = EXAMPLES / "planted.fa"
    predict(model, planted, {"fasta_file": _near(fasta)}, dataloader="kipoi_motifrep.SequencesDl")
    yield from _real_lines(real)
    yield ""
    yield from _planted_lines(planted, _truth(fasta))
    yield ""
    yield from _interpret(model, out / Path(NETWORK).name)


def _near(path: Path) -> str:
    """Show a path as one would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _interpret(model: str, out: Path) -> list[str]:
    from kipoi_motifrep.pipeline import interpret

    dataset = _near(EXAMPLES / "synthetic.h5")
    command = [
        "interpret",
        model,
        "--source",
        "dir",
        "--dataset",
        dataset,
        "--truth",
        "synthetic",
        "--database",
        PAPER_RELEASE,
        "-o",
        str(out),
    ]
    say(f"$ kipoi-motifrep {shlex.join(command)}")
    # The release that the planted motifs are from, and the paper's.
    found = interpret(model, source="dir", dataset=dataset, truth="synthetic", database=PAPER_RELEASE, output=out)
    return [found.report.sentence, f"report: {found.page}"]


def _truth(fasta: Path) -> dict[str, list[str]]:
    headers = [line[1:].split() for line in fasta.read_text().splitlines() if line.startswith(">")]
    return {name: labels.split(",") for name, labels in headers}


def _called(row: dict[str, str]) -> list[str]:
    return [name for i, name in enumerate(LABEL_NAMES) if float(row[f"preds/{i}"]) > THRESHOLD]


def _real_lines(path: Path) -> list[str]:
    rows = read_table(path)
    called = sum(bool(_called(row)) for row in rows)
    return [
        f"{len(rows)} windows of human chromosome 20: {called} with a motif called (P > {THRESHOLD}); the first:",
        *(
            f"  {row['metadata/ranges/chr']}:{row['metadata/ranges/start']}-{row['metadata/ranges/end']}  "
            f"{', '.join(_called(row)) or '-'}"
            for row in rows[:5]
        ),
    ]


def _planted_lines(path: Path, truth: dict[str, list[str]]) -> list[str]:
    rows = read_table(path)
    lines = [f"{len(rows)} sequences with planted motifs:", f"  {'sequence':<16}{'planted':<32}called"]
    right = 0
    for row in rows:
        planted, called = truth[row["metadata/id"]], _called(row)
        right += sum((name in planted) == (name in called) for name in LABEL_NAMES)
        lines.append(f"  {row['metadata/id']:<16}{', '.join(planted):<32}{', '.join(called) or '-'}")
    return [*lines, f"{right} of {len(rows) * len(LABEL_NAMES)} labels right"]
