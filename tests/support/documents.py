"""Run what the README and the pages of docs/ show, in a folder with small stand-ins for the reader's files."""

import ast
import contextlib
import functools
import gzip
import importlib
import io
import logging
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.packaging import filled, small_network

from kipoi_motifrep.cli import program as cli

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "kipoi_motifrep/sequences/examples"

# Shown, and not run here: a pattern of the command, and why.
NOT_RUN = {
    r"python3\.11 -m venv|pip install|conda install": "installs",
    r"-m pytest": "the tests themselves",
    r"kipoi-motifrep demo": "run by test_interpret.py",
    r"DeepSEA/predict|dataset deepsea|--download": "needs the network",
    r"^cd \"\$\(python|^patch -p1": "run by test_upstream_patches.py",
    r"^cd ~/|^git |^cp -r /where|kipoi test-source|kipoi test .* --source kipoi": "needs a clone of the zoo",
    r"^snakemake": "its commands are run by test_pipelines.py",
    r"^mkdocs": "run by test_pages.py",
}
# Run only with the slow tests; otherwise by tests of its own.
SLOW = r"kipoi-motifrep experiment"
# Long ones: a pattern, and options that make them short.
SHORTENED = {
    r"kipoi-motifrep train": "--epochs 1",
    r"kipoi-motifrep interpret runs/": "--no-null",
    r"kipoi-motifrep experiment": "--architecture cnn_25 --trials 1 --epochs 1 --jobs 1 --task small.h5",
    r"kipoi-motifrep simulate -n": "-n 200",
    r"kipoi-motifrep package (runs|mine.keras) ": "--no-test",  # tested by test_package_command.py
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line where it begins."""

    language: str
    text: str
    line: int


def blocks(page):
    """Find the fenced blocks of a page."""
    found, language, lines, start = [], None, [], 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"```(\S*)", line)
        if fence and language is None:
            language, lines, start = fence[1], [], number + 1
        elif fence:
            found.append(Block(language, "\n".join(lines), start))
            language = None
        elif language is not None:
            lines.append(line)
    assert language is None, f"{page}: a block has no end"
    return found


def commands(block):
    """Split a bash block into its commands."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    return [
        one.strip()
        for line in text.splitlines()
        if line.strip() and not line.startswith("#")
        for one in line.split(" && ")
    ]


def why_not(command):
    """Say why a command is not run here; None if it is."""
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, command)), None)


def workspace(folder):
    """Fill a folder with stand-ins for the files that the pages speak of."""
    folder.mkdir(exist_ok=True)
    for name in ("models", "dataloaders", "kipoi_motifrep", "docs"):
        (folder / name).symlink_to(CHECKOUT / name)
    random = np.random.default_rng(0)
    with h5py.File(EXAMPLES / "synthetic.h5") as file:
        codes = file["test/sequences"][:300]
    fasta = "".join(f">peak_{i}\n{_letters(row)}\n" for i, row in enumerate(codes))
    for name in ("peaks.fa", "sequences.fa"):
        (folder / name).write_text(fasta)
    genome = (EXAMPLES / "hg19_chr20_200kb.fa").read_text().replace(">20", ">chr20")
    for number in (1, 7, 8, 9):
        genome += f">chr{number}\n{_letters(random.integers(0, 4, 60_000))}\n"
    (folder / "hg38.fa").write_text(genome)
    for name in ("windows.bed", "peaks.bed"):
        (folder / name).write_text((EXAMPLES / "windows.bed").read_text())
    for name in ("cebpb.bed.gz", "max.narrowPeak.gz"):
        (folder / name).write_bytes(gzip.compress(_peaks(random, "narrowPeak" in name).encode()))
    (folder / "factors.tsv").write_text("label\tid\nCEBPB\tMA0466.2\nMAX\tMA0058.3\n")
    (folder / "my_model.keras").write_bytes((CHECKOUT / "models/synthetic/weights/cnn_25.keras").read_bytes())
    small_dataset(folder / "small.h5")
    return folder


def add_examples_files(folder):
    """Add what the examples of the commands' help speak of to a workspace."""
    small_dataset(folder / "synthetic.h5")
    small_dataset(folder / "chip.h5")
    small_dataset(folder / "k562.h5", labels=slice(1, None))
    fasta = (folder / "peaks.fa").read_text()
    sequences = fasta.splitlines()[1::2]
    with gzip.open(folder / "sequences.fa.gz", "wt") as file:
        file.write(fasta)
    names = "".join(f"peak_{i},{i % 2},{i // 2 % 2}\n" for i in range(len(sequences)))
    (folder / "labels.csv").write_text(f"name,GATA1,TAL1\n{names}")
    for name, codes in (("sites.tsv.gz", "012"), ("sequences.tsv.gz", "01")):
        rows = (
            f"chr{18 + i % 3}:{1000 * i}-{1000 * i + 200}\t{codes[i % len(codes)]}{i // 3 % 2}1\t{one}\n"
            for i, one in enumerate(sequences)
        )
        with gzip.open(folder / name, "wt") as file:
            file.write(f"region\tcodes_ARID3A_MAX_SRF\tsequence\n{''.join(rows)}")
    random = np.random.default_rng(1)
    for name in ("max.bed", "max_1.bed", "max_2.bed"):
        (folder / name).write_text(_peaks(random, narrow=False))
    (folder / "cebpb.narrowPeak.gz").write_bytes(gzip.compress(_peaks(random, narrow=True).encode()))
    (folder / "peaks.bed.gz").write_bytes(gzip.compress((folder / "peaks.bed").read_bytes()))
    (folder / "hg38-blacklist.v2.bed.gz").write_bytes(gzip.compress(b"chr1\t0\t500\tHigh Signal Region\n"))
    (folder / "genes.bed").write_text("chr20\t1000\t9000\n")
    # A chromosome whose only bases are where the example's splits and peaks lie.
    rows = ((start, start + 300) for start in range(1_000_000, 52_000_000, 1_000_000))
    (folder / "chr20.bed").write_text("".join(f"chr20\t{start}\t{end}\n" for start, end in rows))
    (folder / "peaks.tsv").write_text("CEBPB\tchr20.bed\nMAX\tchr20.bed\n")
    (folder / "chr20.fa").write_text(f">chr20\n{_letters(random.integers(0, 4, 60_000)) * 900}\n")
    for name in ("a.keras", "network.keras"):
        (folder / name).write_bytes((folder / "my_model.keras").read_bytes())
    (folder / "b.keras").write_bytes((CHECKOUT / "models/synthetic/weights/cnn_2.keras").read_bytes())
    small_network(200, 2).save(folder / "mine.keras")
    (folder / "models.txt").write_text("a.keras\nmodels/synthetic/cnn_25\n")
    for name in ("filters.meme", "my_motifs.meme", "jaspar.meme"):
        (folder / name).write_bytes(
            (CHECKOUT / "docs/results/synthetic/figures/planted_motifs_and_filters.meme").read_bytes()
        )
    (folder / "motifs.jaspar").write_bytes((CHECKOUT / "tests/motifs/data/brackets.jaspar").read_bytes())


def help_examples():
    """Give the examples of all commands' help that run on one machine, short, those first whose outputs others read."""
    for name in sorted(cli.COMMANDS, key=lambda one: one not in ("filters", "train", "package")):
        module = importlib.import_module(f"kipoi_motifrep.cli.{name}")
        for text in [value for key, value in vars(module).items() if key.endswith("EXAMPLE")]:
            for command in commands(Block("bash", text, 0)):
                if "tcp://" not in command and not command.startswith("KERAS_BACKEND"):
                    command = re.sub("all --trials 5", "cnn_50_2", re.sub(r"--jobs \d", "--jobs 2", command))
                    yield command.replace(" MODEL ", " models/synthetic/cnn_25 ").replace("trial_*", "trial_0")


def small_dataset(path, labels=slice(None)):
    """Copy a part of the example dataset."""
    with h5py.File(EXAMPLES / "synthetic.h5") as whole, h5py.File(path, "w") as part:
        part.attrs.update(whole.attrs)
        part.attrs["label_names"] = whole.attrs["label_names"][labels]
        for split in ("train", "valid", "test"):
            for name in whole[split]:
                rows = whole[f"{split}/{name}"][:200]
                part[f"{split}/{name}"] = rows[:, labels] if name == "labels" else rows


def _letters(codes):
    return np.frombuffer(b"ACGTN", np.uint8)[codes].tobytes().decode()


def _peaks(random, narrow):
    rows = [
        (f"chr{number}", start, start + 300)
        for number in (1, 7, 8, 9)
        for start in sorted(random.choice(np.arange(2_000, 56_000, 400), 12, replace=False).tolist())
    ]
    more = "\t.\t0\t.\t1\t-1\t-1\t150" if narrow else ""
    return "".join(f"{name}\t{start}\t{end}{more}\n" for name, start, end in rows)


def run_page(page, folder, monkeypatch, slow=False):
    """Run a page's bash and python blocks in their order.

    Gives the names that the Python blocks defined. What matches `SLOW` is left out unless `slow`.
    """
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    names = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page.relative_to(CHECKOUT)}, line {block.line}"
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                run_python(block, page, names)
        elif block.language == "bash":
            for command in commands(block):
                if why_not(command) is None and (slow or not re.search(SLOW, command)):
                    run_command(command, folder, where)
    return names


def run_python(block, page, names):
    """Run a Python block, and compare arrays with the shapes that comments at line ends give them."""
    text = "\n" * (block.line - 1) + block.text  # so that tracebacks have the page's lines
    lines = text.splitlines()
    for statement in ast.parse(text).body:
        value = None
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), str(page), "eval"), names)
        else:
            exec(compile(ast.Module([statement], []), str(page), "exec"), names)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                value = names[statement.targets[0].id]
        said = re.search(r"#[^(]*\((\w+(?:, \w+)+)\)", lines[statement.end_lineno - 1])
        if said and hasattr(value, "shape"):
            expected = said[1].split(", ")
            assert len(expected) == len(value.shape) and all(
                size.isidentifier() or int(size) == real for size, real in zip(expected, value.shape, strict=True)
            ), f"{page}, line {statement.end_lineno}: the shape is {value.shape}"


def run_command(command, folder, where):
    """Run one command as it is shown; ours and Kipoi's in this process, others in bash."""
    for pattern, options in SHORTENED.items():
        if re.search(pattern, command):
            words, target = command.partition("#")[0].partition(" > ")[::2]
            command = f"{words.strip()} {options}" + (f" > {target}" if target else "")
    words = shlex.split(command, comments=True)
    plain = not any(word in ("|", "<", ";") for word in words)
    redirected = words[words.index(">") + 1] if ">" in words else None
    if redirected:
        words = words[: words.index(">")]
    program = {"kipoi-motifrep": cli.main, "kipoi": _kipoi}.get(words[0])
    if plain and program:
        status, said = _in_process(program, words[1:])
        if redirected:
            (folder / redirected).write_text(filled(said) if "--example-info" in words else said)
    else:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path},
        )
        status, said = done.returncode, done.stdout + done.stderr
    assert not status, f"{where}: {command}\n{said}"


def _in_process(program, words):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            return program(words), said.getvalue()
        except SystemExit as ended:
            return ended.code, said.getvalue()


def _kipoi(words):
    from kipoi import __main__

    # When it is imported, Kipoi's program switches off all loggers that are there: in a program of its own, none are.
    for logger in logging.root.manager.loggerDict.values():
        logger.disabled = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kipoi", *words])
        return __main__.main()


@functools.cache
def headings(page):
    """Anchors of a page's headings, as GitHub and mkdocs make them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower().replace("`", "")).strip().replace(" ", "-") for one in found}
