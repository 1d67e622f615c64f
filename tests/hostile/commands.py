"""Commands that write, each with small inputs and the files by which two runs are compared."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.small_files import PROGRAM, small_files

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "kipoi_motifrep/sequences/examples"


@dataclass(frozen=True)
class Command:
    """One command, which writes ``out`` in the folder that it runs in; ``{in}`` is the folder of its inputs."""

    words: tuple[str, ...]
    compared: tuple[str, ...]  # below the place of its output; the output itself if it is one file
    kills: int  # a round
    full_disks: int

    def start(self, inputs, folder, limit=None):
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        words = [word.replace("{in}", str(inputs)) for word in self.words]
        program = (small_files(limit) if limit is not None else "") + PROGRAM
        return subprocess.Popen(
            [sys.executable, "-c", program, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
        )

    def run(self, inputs, folder):
        process = self.start(inputs, folder)
        _, said = process.communicate()
        assert process.returncode == 0, said

    def contents(self, folder):
        """Bytes of what is compared; of what is not there, None."""
        files = [folder / "out" / name for name in self.compared] or [folder / "out"]
        return {file.name: file.read_bytes() if file.is_file() else None for file in files}


FILTERS = ("filters.meme", "filters_trimmed.meme", "filters.tsv", "filters.h5")
MATCHES = ("tomtom.tsv", "matches.tsv")
COMMANDS = {
    "simulate": Command(("simulate", "-n", "3000", "-o", "out"), (), 12, 12),
    "dataset peaks": Command(
        (
            *("dataset", "peaks", "A={in}/a.bed", "B={in}/b.bed", "--genome", "{in}/genome.fa", "--negatives", "1"),
            *("--valid", "0.2", "--test", "0.2", "--block", "5000", "-o", "out"),
        ),
        (),
        12,
        12,
    ),
    "dataset table": Command(
        ("dataset", "table", "{in}/t.tsv", "--valid", "0.2", "--test", "0.2", "-o", "out"), (), 12, 8
    ),
    "match": Command(
        ("match", "{in}/q.meme", "--database", "JASPAR2014", "--evalue", "10", "-o", "out"), MATCHES, 12, 12
    ),
    "filters": Command(
        ("filters", "{in}/network.keras", "--fasta", "{in}/s.fa", "--sites", "-o", "out"), (*FILTERS, "sites.tsv"), 4, 3
    ),
    "interpret": Command(
        ("interpret", "{in}/network.keras", "--fasta", "{in}/s.fa", "--database", "JASPAR2014", "--sites", "-o", "out"),
        (*FILTERS, *MATCHES, "importance.tsv", "representation.tsv", "sites.tsv"),
        4,
        2,
    ),
}


def write_inputs(folder):
    """Write the inputs of all commands."""
    random = np.random.default_rng(0)
    folder.mkdir()
    (folder / "genome.fa").write_bytes((EXAMPLES / "hg19_chr20_200kb.fa").read_bytes())
    for name in ("a", "b"):
        starts = np.sort(random.choice(np.arange(2_000, 195_000, 400), 150, replace=False))
        (folder / f"{name}.bed").write_text("".join(f"20\t{start}\t{start + 300}\n" for start in starts))
    letters = ["".join(row) for row in random.choice(list("ACGT"), (3000, 200))]
    rows = (f"{text}\tchr{i % 7}:{i * 300}-{i * 300 + 200}\t{i % 2}\n" for i, text in enumerate(letters))
    (folder / "t.tsv").write_text("sequence\tregion\tA\n" + "".join(rows))
    (folder / "s.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(letters[:300])))
    (folder / "q.meme").write_bytes(
        (ROOT / "docs/results/synthetic/figures/planted_motifs_and_filters.meme").read_bytes()
    )
    (folder / "network.keras").write_bytes((ROOT / "models/synthetic/weights/cnn_50_2.keras").read_bytes())
    return folder
