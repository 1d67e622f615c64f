"""Dataset files as tests make and read them: whole contents, small genomes and tables, commands that fail."""

import gzip
import os
import random

from hypothesis import HealthCheck, settings

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.hdf5 import SPLITS, open_dataset
from kipoi_motifrep.sequences.alphabet import decode

some = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


LENGTHS = {"chr1": 1500, "chr2": 430}
RANDOM = random.Random(3)
GENOME = {
    name: "".join(RANDOM.choices("ACGTacgtN", [9, 9, 9, 9, 2, 2, 2, 2, 1], k=length))
    for name, length in LENGTHS.items()
}


DIGITS = """#idx\tregion\tcodes_A_B_C\tseq
7\tchr1:100-112\t012\tACGTACGTACGT
8\tchr1:200-212\t100\tCCGTACGTACGN
9\tchr2:100-112\t222\tGCGTACGTACGT
10\tchr3:100-112\t000\tTCGTACGTacgt
"""


def rows_of(path):
    """Everything in a dataset file: {(split, name): (letters, labels)}."""
    dataset = open_dataset(path)
    found = {}
    for split in SPLITS:
        part = dataset[split]
        for name, codes, labels in zip(part.read("names"), part.read("sequences"), part.read("labels"), strict=True):
            found[split, str(name)] = decode(codes), labels.tolist()
    return found


def provenance_of(path):
    return open_dataset(path).provenance


def write_fasta(path, sequences, width=50):
    with open(path, "w") as file:
        for name, letters in sequences.items():
            file.write(f">{name}\n")
            file.writelines(letters[i : i + width] + "\n" for i in range(0, len(letters), width))
    return path


def fails(capsys, arguments, *words):
    """Assert that a command ends with one kind line and status 2, and leaves no output."""
    output = arguments[arguments.index("-o") + 1]
    assert main(list(map(str, arguments))) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    for word in words:
        assert str(word) in lines[0]
    assert not os.path.exists(output)
    assert not [name for name in os.listdir(os.path.dirname(output)) if name.startswith((".out", ".deepsea"))]


def write_bed(path, rows):
    path.write_text("".join(f"{chromosome}\t{start}\t{end}\n" for chromosome, start, end in rows))
    return path


def table(tmp_path, text, *options, name="table.tsv"):
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    output = tmp_path / "out.h5"
    assert main(["dataset", "table", str(path), *options, "-o", str(output)]) == 0
    return rows_of(output)
