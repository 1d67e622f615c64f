"""What is read from files of others, each with a good file; run as a program, it reads mutants of one.

``python readers.py NAME SEED FIRST N FOLDER`` prints a line for each mutant: its number, and ``read``, ``refused``
(an error that names the file), or what else happened.
"""

import contextlib
import gzip
import io
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "kipoi_motifrep/sequences/examples"
MOTIFS = ROOT / "tests/motifs/data"
WEIGHTS = ROOT / "models/synthetic/weights/cnn_50_2.keras"
MEMORY = 8 << 30  # bytes of addresses; TensorFlow alone takes 3
SLOW = 20  # seconds for one mutant
WORDS = [b"-1", b"0", b"99999999999999999999", b"nan", b"1e400", b"", b"{{ 7 }}", b"\x1b[31m", b"\xff\xfe", b"../x"]


def mutate(data, random):
    """Change some bytes, pieces, numbers or lines."""
    data = bytearray(data)
    for _ in range(int(random.integers(1, 3))):
        kind, a, b = int(random.integers(8)), *sorted(random.integers(0, len(data) + 1, 2).tolist())
        b = min(b, a + int(random.choice([1, 1, 4, 16, 256])))
        if kind == 0 and data:
            data[min(a, len(data) - 1)] ^= 1 << int(random.integers(8))
        elif kind == 1:
            data[a:b] = random.bytes(b - a)
        elif kind == 2:
            del data[a:b]
        elif kind == 3:
            data[a:a] = data[a:b] * int(random.integers(1, 4))
        elif kind == 4:
            del data[a:]
        elif kind == 5:
            data[a:b] = bytes(b - a)
        elif kind == 6:
            data[a : min(len(data), a + int(random.integers(0, 9)))] = WORDS[int(random.integers(len(WORDS)))]
        else:
            lines = bytes(data).splitlines(keepends=True)
            if len(lines) > 1:
                i, j = random.integers(0, len(lines), 2)
                lines[i], lines[j] = lines[j], lines[i]
                data = bytearray(b"".join(lines))
    return bytes(data)


def _motifs(path):
    from kipoi_motifrep import read_motifs

    assert all(np.isfinite(motif.pwm).all() for motif in read_motifs(path))


def _intervals(path):
    from kipoi_motifrep import IntervalsDl

    loader = IntervalsDl(str(path), str(_genome_file(path.parent)), auto_resize_len=100)
    assert loader.batch(0, loader.n)["inputs"].shape == (loader.n, 100, 4)


def _genome_file(folder):
    # Its index is made once, beside it.
    if not (folder / "genome.fa").exists():
        shutil.copy(EXAMPLES / "hg19_chr20_200kb.fa", folder / "genome.fa")
    return folder / "genome.fa"


def _fasta(path):
    from kipoi_motifrep import SequencesDl

    loader = SequencesDl(str(path), auto_resize_len=50)
    assert loader.batch(0, loader.n)["inputs"].shape == (loader.n, 50, 4)


def _genome(path):
    from kipoi_motifrep.sequences.genome import Genome

    genome = Genome(path)
    number = np.zeros(20, int)
    assert genome.fetch(number, np.linspace(-50, genome.lengths[0], 20).astype(int), 100).shape == (20, 100)


def _table(path):
    from kipoi_motifrep.datasets.from_table import build_from_table
    from kipoi_motifrep.datasets.splits import Splitter

    build_from_table(path.with_name("out.h5"), path, masked=["2"], splitter=Splitter("0.2", "0.2"))


def _dataset(path):
    from kipoi_motifrep import open_dataset

    for split in open_dataset(path).splits.values():
        for _ in split.batches(64):
            pass
        split.read("names")


def _network(path):
    from kipoi_motifrep.networks.loading import load_model

    load_model(path)


def _info(path):
    from kipoi_motifrep.zoo.description import read_info

    read_info(path)


def _interpretation(path):
    from kipoi_motifrep.report import read_interpretation

    shutil.copy(path, path.with_name("interpretation.json"))
    read_interpretation(path.parent)


def _steps(path):
    from kipoi_motifrep.core.steps import Steps

    shutil.copy(path, path.with_name("parameters.json"))
    nothing = {"read": lambda about: None, "make": lambda: 1, "write": lambda made: None}
    Steps(path.parent, "interpret", {}).step("filters", {"a": 1}, [], **nothing)


def _result(path):
    from kipoi_motifrep.zoo.packaged import find_networks

    folder = path.parent / "runs/cnn_50_2/trial_0"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(WEIGHTS, folder / "network.keras")
    shutil.copy(path, folder / "result.json")
    find_networks([path.parent / "runs"])


def _index(path):
    genome = _genome_file(path.parent)
    shutil.copy(path, f"{genome}.fai")
    _genome(genome)


def _text(*rows):
    return "".join(f"{row}\n" for row in rows).encode()


def _bed(n=40):
    starts = np.random.default_rng(0).integers(0, 190_000, n)
    return [f"20\t{start}\t{start + 150}\tp{i}\t0\t+" for i, start in enumerate(starts)]


def _bgzip():
    import pysam

    target = Path(os.environ["TMPDIR"]) / "genome.fa.bgz"
    pysam.tabix_compress(str(EXAMPLES / "hg19_chr20_200kb.fa"), str(target), force=True)
    return target.read_bytes()


def _old_h5():
    import keras

    target = Path(os.environ["TMPDIR"]) / "old.h5"
    keras.models.load_model(WEIGHTS, compile=False).save(target)
    return target.read_bytes()


def _torch():
    import torch

    network = torch.nn.Sequential(torch.nn.Conv1d(4, 3, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 1))
    target = Path(os.environ["TMPDIR"]) / "x.pt"
    torch.jit.trace(network, torch.zeros(2, 4, 20)).save(target)
    return target.read_bytes()


def _small_dataset():
    from kipoi_motifrep.datasets.hdf5 import create_dataset

    target, random = Path(os.environ["TMPDIR"]) / "small.h5", np.random.default_rng(0)
    with create_dataset(target, 30, ["a", "b"], {"command": "x"}) as writer:
        for split in ("train", "valid", "test"):
            labels = random.integers(-1, 2, (60, 2)).astype(np.int8)
            writer.append(split, random.integers(0, 5, (60, 30)), labels, [f"s{i}" for i in range(60)])
    return target.read_bytes()


def _index_text():
    from kipoi_motifrep.sequences.genome import Genome

    genome = _genome_file(Path(os.environ["TMPDIR"]))
    Genome(genome)
    return Path(f"{genome}.fai").read_bytes()


def _table_text():
    random = np.random.default_rng(0)
    rows = (f"{''.join(random.choice(list('ACGT'), 12))}\tchr{i % 5}:{i}-{i + 12}\t01{i % 3}" for i in range(40))
    return _text("sequence\tregion\tA B C".replace(" ", "_"), *rows)


def _info_text():
    from kipoi_motifrep.zoo.description import EXAMPLE_INFO

    text = EXAMPLE_INFO
    for was, is_now in (
        ("Your Name", "Ada"),
        ("your-account", "ada"),
        ("10.xxxx/xxxxx", "10.1/2"),
        ("One or two sentences: which", "Which"),
        ("Which data, which genome build", "Peaks of one genome"),
    ):
        text = text.replace(was, is_now)
    return text.encode()


def _result_text():
    from kipoi_motifrep.datasets.simulate import LABEL_NAMES

    split = {"loss": 0.1, "auroc": 0.9, "aupr": 0.8, "labels_in_mean": 12}
    per_label = {name: {"auroc": 0.9, "aupr": 0.8} for name in LABEL_NAMES}
    known = {"variant": "cnn_50_2", "random_seed": 1, "protocol": {"first_activation": "relu"}, "epochs": 3}
    return json.dumps({**known, "test": {**split, "per_label": per_label}}).encode()


def _report_text():
    from kipoi_motifrep.report.schema import FilterRow, NetworkSummary, Report

    rows = [FilterRow(f"filter{i}", np.full((5, 4), 0.25), (0, 5), 3, 2, 9) for i in range(3)]
    return Report(NetworkSummary("n", 3, 5), rows).to_json().encode()


VCF = "##fileformat=VCFv4.2"
STEPS = {"command": "interpret", "steps": {"filters": {"key": {"a": 1}, "files": {}, "about": {}}}}
# Name: what makes the good file, what reads it, the mutants' name, and how many there are a round.
READERS = {
    **{
        f"motifs, {path.name}": (path.read_bytes, _motifs, path.name, 60)
        for path in sorted(MOTIFS.iterdir())
        if not path.name.startswith(".")
    },
    "BED": (lambda: _text(*_bed()), _intervals, "x.bed", 400),
    "narrowPeak": (lambda: _text(*(f"{row}\t5\t-1\t-1\t70" for row in _bed())), _intervals, "x.narrowPeak", 300),
    "GFF": (lambda: _text(*("20\ts\tgene\t9000\t9200\t.\t+\t.\tID=a" for _ in range(30))), _intervals, "x.gff", 300),
    "VCF": (
        lambda: _text("##fileformat=VCFv4.2", *(f"20\t{9000 + i}\trs{i}\tA\tT" for i in range(30))),
        _intervals,
        "x.vcf",
        300,
    ),
    "BED, gzip": (lambda: gzip.compress(_text(*_bed())), _intervals, "x.bed.gz", 300),
    "FASTA": ((EXAMPLES / "planted.fa").read_bytes, _fasta, "x.fa", 400),
    "genome": (lambda: (EXAMPLES / "hg19_chr20_200kb.fa").read_bytes()[:40_000], _genome, "g.fa", 200),
    "genome, bgzip": (_bgzip, _genome, "g.fa.bgz", 200),
    "index of a genome": (_index_text, _index, "x.fai", 300),
    "table of sequences": (_table_text, _table, "t.tsv", 100),
    "info.yaml": (_info_text, _info, "info.yaml", 300),
    "parameters.json": (lambda: json.dumps(STEPS).encode(), _steps, "p.json", 300),
    "interpretation.json": (_report_text, _interpretation, "i.json", 300),
    "result.json": (_result_text, _result, "r.json", 10),
    "dataset": (_small_dataset, _dataset, "d.h5", 300),
    "network, .keras": (WEIGHTS.read_bytes, _network, "n.keras", 25),
    "network, .h5": (_old_h5, _network, "n.h5", 25),
    "network, TorchScript": (_torch, _network, "n.pt", 60),
}
BY_HDF5 = ("dataset", "network, .h5")  # which can hang or crash over a damaged file


def outcome(read, path):
    """Read a mutant, and say how it went."""
    from kipoi_motifrep import InputError

    begin = time.monotonic()
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            read(path)
        how = "read"
    except InputError as error:
        # An error that does not say what is wrong with which file is as bad as none.
        how = "refused" if str(error).strip() and "\n" not in str(error) else f"refused in pages: {str(error)[:80]!r}"
    except BaseException as error:
        how = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return how if time.monotonic() - begin < SLOW else f"slow, {how}"


def main(name, seed, first, n, folder):
    """Read mutants, and print a line for each."""
    say = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no outcome
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    make, read, file_name, _ = READERS[name]
    good, path = make(), Path(folder) / file_name
    path.write_bytes(good)
    read(path)
    for number in range(first, first + n):
        path.write_bytes(mutate(good, np.random.default_rng([seed, number])))
        for stale in path.parent.glob(f"{file_name}.*i"):
            os.utime(stale)  # as if the index were of this file
        print(number, "begins", file=say, flush=True)
        print(number, outcome(read, path), file=say, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
