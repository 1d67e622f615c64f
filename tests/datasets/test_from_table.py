"""Tables of sequences and labels to a dataset file."""

import gzip
import os
import random

import numpy as np
import pytest
from support.dataset_files import DIGITS, fails, provenance_of, rows_of, table

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.hdf5 import SPLITS, open_dataset


def test_a_column_of_digits_with_masked_labels(tmp_path, capsys):
    found = table(tmp_path, DIGITS, "--masked", "2", "--valid", "none", "--test", "chr3", name="t.tsv.gz")
    assert found == {
        ("train", "chr1:100-112"): ("ACGTACGTACGT", [0, 1, -1]),
        ("train", "chr1:200-212"): ("CCGTACGTACGN", [1, 0, 0]),
        ("test", "chr3:100-112"): ("TCGTACGTACGT", [0, 0, 0]),
    }
    shown = capsys.readouterr()
    assert "1 row left out: all labels are masked" in shown.err
    assert shown.out.splitlines()[0] == "label\ttrain\tvalid\ttest\ttrain_masked\tvalid_masked\ttest_masked"
    assert open_dataset(tmp_path / "out.h5").label_names == ("A", "B", "C")
    assert provenance_of(tmp_path / "out.h5")["options"]["masked"] == ["2"]


def test_labels_left_out_and_rows_without_positives(tmp_path):
    options = ["--masked", "2", "--positive-only", "--valid", "none", "--test", "none"]
    assert [name for _, name in table(tmp_path, DIGITS, *options)] == ["chr1:100-112", "chr1:200-212"]
    found = table(tmp_path, DIGITS, *options, "--leave-out", "A")
    assert found == {("train", "chr1:100-112"): ("ACGTACGTACGT", [1, -1])}
    found = table(tmp_path, DIGITS, *options, "--min-positives", "1")
    assert [labels for _, labels in found.values()] == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("id,sequence,A,B\nx,ACGTACGT,1,0\ny,GGGTACGT,NA,1\n", []),
        ("name\tA\tother\tB\tdna\nx\t1\thello\t0\tACGTACGT\ny\t.\tworld\t1.0\tGGGTACGT\n", []),
        ('id;seq;A;B\r\n"x";"ACGTACGT";1;0\r\n"y";GGGTACGT;-1;1\r\n', []),
        ("x 1 0 ACGTACGT\ny 9 1 GGGTACGT\n", ["--name", "1", "--label-names", "A", "B", "--masked", "9"]),
        (
            "## made by hand\n\n#id\tbp\tA\tB\tsize\nx\tACGTACGT\t1\t0\t8\ny\tGGGTACGT\t2\t1\t8\n",
            ["--sequence", "bp", "--labels", "A", "B", "--masked", "2"],
        ),
        ("seq\tid\tlabels\nACGTACGT\tx\t10\nGGGTACGT\ty\t?1\n", ["--digits", "labels", "--label-names", "A", "B"]),
    ],
)
def test_tables_of_others(tmp_path, text, options):
    found = table(tmp_path, text, *options, "--valid", "none", "--test", "none")
    assert found == {("train", "x"): ("ACGTACGT", [1, 0]), ("train", "y"): ("GGGTACGT", [-1, 1])}
    assert open_dataset(tmp_path / "out.h5").label_names == ("A", "B")


def test_a_column_says_the_split(tmp_path):
    text = "seq\tA\tfold\nACGTACGT\t1\ttrain\nCCGTACGT\t1\tval\nGCGTACGT\t0\ttest\n"
    assert [split for split, _ in table(tmp_path, text, "--split-column", "fold")] == ["train", "valid", "test"]


def test_three_columns_make_a_region(tmp_path):
    text = "chrom,start,end,seq,A\nchr1,10,18,ACGTACGT,1\nchr2,10,18,ACGTACGA,1\n"
    assert list(table(tmp_path, text, "--valid", "chr2", "--test", "none")) == [
        ("train", "chr1:10-18"),
        ("valid", "chr2:10-18"),
    ]


@pytest.mark.parametrize("end", ["99999999999999999999", "9" * 5000, "1_000", "-5", ""])
def test_regions_that_are_none(tmp_path, capsys, end):
    (tmp_path / "t.csv").write_text(f"chrom,start,end,seq,A\nchr1,10,18,ACGTACGT,1\nchr1,10,{end},ACGTACGA,1\n")
    fails(capsys, ["dataset", "table", tmp_path / "t.csv", "-o", tmp_path / "out.h5"], "row 3", "is no region")


def test_chromosomes_with_colons(tmp_path):
    name = "HLA-A*01:01:01:01"
    for text in (
        f"chrom,start,end,seq,A\n{name},10,18,ACGTACGT,1\n2,10,18,ACGTACGA,1\n",
        f"region,seq,A\n{name}:10-18,ACGTACGT,1\n2:10-18,ACGTACGA,1\n",
    ):
        assert list(table(tmp_path, text, "--valid", "2", "--test", "none")) == [
            ("train", f"{name}:10-18"),
            ("valid", "2:10-18"),
        ]


def test_random_split_keeps_equal_sequences_of_either_strand_together(tmp_path):
    source = random.Random(0)
    letters = ["".join(source.choices("ACGT", k=20)) for _ in range(150)]
    opposite = [text.translate(str.maketrans("ACGT", "TGCA"))[::-1] for text in letters]
    text = "seq\tA\n" + "".join(f"{sequence}\t{i % 2}\n" for i, sequence in enumerate(letters + opposite + letters))
    found = table(tmp_path, text)
    split_of = {}
    for (split, _), (sequence, _) in found.items():
        assert split_of.setdefault(sequence, split) == split
    assert all(split_of[one] == split_of[other] for one, other in zip(letters, opposite, strict=True))
    counts = np.array([sum(split == name for split, _ in found) for name in SPLITS])
    np.testing.assert_allclose(counts, [315, 45, 90], atol=3)
    assert found == table(tmp_path, text) != table(tmp_path, text, "--seed", "1")


def test_sequences_are_cut_and_padded_about_their_centre(tmp_path):
    found = table(
        tmp_path,
        "seq\tA\nAACGTACGTT\t1\nCGTACGTACG\t0\nACGT\t1\nACGTACGTA\t1\n",
        "--length",
        "8",
        "--valid",
        "none",
        "--test",
        "none",
        "--labels",
        "A",
        "--sequence",
        "seq",
    )
    assert [sequence for sequence, _ in found.values()] == ["ACGTACGT", "GTACGTAC", "NNACGTNN", "ACGTACGT"]


def test_many_rows(tmp_path):
    """More than are held at a time, in the order of the file."""
    source = random.Random(0)
    letters = ["".join(source.choices("ACGT", k=12)) for _ in range(9000)]
    text = "seq\tA\tid\n" + "".join(f"{sequence}\t{i % 3 % 2}\ts{i}\n" for i, sequence in enumerate(letters))
    found = table(tmp_path, text, "--valid", "none", "--test", "none")
    assert found == {("train", f"s{i}"): (sequence, [i % 3 % 2]) for i, sequence in enumerate(letters)}


FASTA = ">s1 first\nACGT\nACGT\n>s2\nCCGTACGT\n>s3\nGCGTACGT\n"


def with_fasta(tmp_path, labels, fasta, *options):
    (tmp_path / "s.fa").write_text(fasta)
    return table(tmp_path, labels, "--fasta", str(tmp_path / "s.fa"), "--valid", "none", "--test", "none", *options)


def test_fasta_with_labels_by_name(tmp_path, capsys):
    found = with_fasta(tmp_path, "seq\tA\tB\ns3\t1\t0\ns1\t0\t1\n", FASTA)
    assert found == {("train", "s1"): ("ACGTACGT", [0, 1]), ("train", "s3"): ("GCGTACGT", [1, 0])}
    assert "1 sequence left out" in capsys.readouterr().err


def test_fasta_with_labels_by_order(tmp_path):
    found = with_fasta(tmp_path, "A,B\n1,0\n0,1\n1,1\n", FASTA)
    assert [labels for _, labels in found.values()] == [[1, 0], [0, 1], [1, 1]]
    assert [name for _, name in found] == ["s1", "s2", "s3"]


def test_regions_in_the_names_of_fasta_records(tmp_path):
    fasta = ">peak::chr1:100-108(+)\nACGTACGT\n>chr2:100-108\nCCGTACGT\n"
    (tmp_path / "r.fa").write_text(fasta)
    found = table(tmp_path, "A\n1\n0\n", "--fasta", str(tmp_path / "r.fa"), "--valid", "chr2", "--test", "none")
    assert [split for split, _ in found] == ["train", "valid"]


@pytest.mark.parametrize("first", ["s2", "s0"])
def test_fasta_with_labels_by_name_whatever_its_first_record(tmp_path, capsys, first):
    """Records without labels come before those with labels, and are as many as lack in the table or not."""
    fasta = f">{first}\nTTTTTTTT\n>s1\nACGTACGT\n>s3\nGCGTACGT\n"
    found = with_fasta(tmp_path, "name\tA\ns3\t1\ns1\t0\n", fasta)
    assert found == {("train", "s1"): ("ACGTACGT", [0]), ("train", "s3"): ("GCGTACGT", [1])}
    assert "1 sequence left out" in capsys.readouterr().err


def test_names_that_agree_but_for_some_are_never_paired_by_order(tmp_path, capsys):
    (tmp_path / "s.fa").write_text("".join(f">s{i}\nACGTACGT\n" for i in range(40)))
    (tmp_path / "t.tsv").write_text("name\tA\n" + "".join(f"s{i}\t{i % 2}\n" for i in range(1, 41)))
    fails(
        capsys,
        ["dataset", "table", tmp_path / "t.tsv", "--fasta", tmp_path / "s.fa", "-o", tmp_path / "out.h5"],
        tmp_path / "t.tsv",
        "row 41",
        "no sequence 's40'",
        "39 of 40 names",
    )


def test_pairing_by_order_is_said_where_there_are_names(tmp_path, capsys):
    found = with_fasta(tmp_path, "name\tA\nx\t1\ny\t0\nz\t1\n", FASTA)
    assert [labels for _, labels in found.values()] == [[1], [0], [1]]
    assert "are paired by order: no name is in both" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="pipes have no names here")
def test_a_table_from_a_pipe(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, DIGITS.encode())
    os.close(writing)
    try:
        assert (
            main(
                [
                    "dataset",
                    "table",
                    f"/dev/fd/{reading}",
                    "--masked",
                    "2",
                    "--valid",
                    "none",
                    "--test",
                    "none",
                    "-o",
                    str(tmp_path / "out.h5"),
                ]
            )
            == 0
        )
    finally:
        os.close(reading)
    assert len(rows_of(tmp_path / "out.h5")) == 3
    assert provenance_of(tmp_path / "out.h5")["sources"] == [{"path": f"/dev/fd/{reading}"}]


def row_of(i, name, mark="\t"):
    return mark.join([name, "ACGTACG" + "ACGT"[i % 4], str(i % 2)]) + "\n"


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
def test_quotation_marks_in_tables(tmp_path, capsys, mark):
    header = mark.join(["name", "seq", "A"]) + "\n"
    names = [f'"n{i}"' for i in range(8)]
    names[3:5] = [f'"a {mark} b"', '"a ""b"""']
    found = table(
        tmp_path,
        header + "".join(row_of(i, name, mark) for i, name in enumerate(names)),
        "--valid",
        "none",
        "--test",
        "none",
    )
    assert [name for _, name in found] == ["n0", "n1", "n2", f"a {mark} b", 'a "b"', "n5", "n6", "n7"]
    os.remove(tmp_path / "out.h5")
    names = [f'"n{i}' if i in (2, 6) else f"n{i}" for i in range(8)]
    (tmp_path / "t.csv").write_text(header + "".join(row_of(i, name, mark) for i, name in enumerate(names)))
    fails(
        capsys,
        ["dataset", "table", tmp_path / "t.csv", "-o", tmp_path / "out.h5"],
        tmp_path / "t.csv",
        "row 4",
        "quotation mark",
        "to row 8",
        "take the mark out",
    )


def test_a_quotation_mark_that_nothing_closes(tmp_path, capsys):
    text = "name\tseq\tA\n" + "".join(row_of(i, f"n{i}") for i in range(300)) + row_of(0, '"last') + row_of(1, "n")
    (tmp_path / "t.tsv").write_text(text)
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", "-o", tmp_path / "out.h5"], "row 302", "quotation mark")


@pytest.mark.parametrize("with_sequences", [False, True])
def test_names_with_nul(tmp_path, capsys, with_sequences):
    text = "name\tseq\tA\nx\tACGTACGT\t1\nx\0y\tGCGTACGT\t0\n"
    (tmp_path / "t.tsv").write_text("A\n1\n0\n" if with_sequences else text)
    (tmp_path / "s.fa").write_text(">x\nACGTACGT\n>x\0y\nGCGTACGT\n")
    options = ["--fasta", tmp_path / "s.fa"] if with_sequences else []
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", *options, "-o", tmp_path / "out.h5"], "row 3", "NUL")


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        ("seq\tA\ns3\t1\ns1\t1\ns9\t1\n", ["--name", "seq"], ["row 4", "'s9'"]),
        ("seq\tA\ns1\t1\ns1\t1\ns2\t0\ns3\t0\n", [], ["row", "twice"]),
        ("A\n1\n0\n", [], ["labels for 2 sequences", "there are 3"]),
        ("A\n1\n0\n1\n0\n", [], ["labels for 4 sequences", "there are 3"]),
    ],
)
def test_fasta_and_labels_that_do_not_fit(tmp_path, capsys, labels, options, words):
    (tmp_path / "s.fa").write_text(FASTA)
    (tmp_path / "t.tsv").write_text(labels)
    fails(
        capsys,
        ["dataset", "table", tmp_path / "t.tsv", "--fasta", tmp_path / "s.fa", *options, "-o", tmp_path / "out.h5"],
        *words,
    )


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", [], ["the file is empty"]),
        ("seq\tA\n", [], ["no rows"]),
        (DIGITS, [], ["row 2", "label C is '2'", "--masked 2"]),
        (DIGITS, ["--masked", "0", "1", "2"], ["every label of every row is masked"]),
        (DIGITS, ["--masked", "2", "--labels", "CTCF"], ["--labels", "'CTCF'", "idx, region"]),
        (DIGITS, ["--masked", "2", "--leave-out", "CTCF"], ["--leave-out", "'CTCF'", "A, B, C"]),
        (DIGITS, ["--masked", "2", "--leave-out", "A", "B", "C"], ["no label is left"]),
        (DIGITS, ["--masked", "2", "--min-positives", "5"], ["no label is left"]),
        (DIGITS.encode("utf-16"), ["--masked", "2"], ["UTF-16", "iconv"]),
        (DIGITS, ["--masked", "2", "--sequence", "dna"], ["--sequence", "'dna'"]),
        (DIGITS, ["--masked", "2", "--sequence", "9"], ["--sequence", "'9'"]),
        (DIGITS, ["--masked", "2", "--valid", "chr9"], ["--valid chr9", "there is data on 1, 3"]),
        (DIGITS, ["--masked", "2", "--region", "idx"], ["row 2", "'7' is no region"]),
        (DIGITS, ["--masked", "2", "--label-names", "A", "B"], ["--label-names", "3 labels"]),
        (DIGITS, ["--masked", "2", "--label-names", "A", "B", "A"], ["two labels have one name"]),
        (DIGITS.replace("\t100\t", "\t10\t"), ["--masked", "2"], ["row 3", "2 label digits"]),
        (DIGITS.replace("ACGN", "ACGX"), ["--masked", "2"], ["row 3", "'X'"]),
        (DIGITS.replace("ACGN", "ACG"), ["--masked", "2"], ["row 3", "11 bp", "--length"]),
        (DIGITS.replace("\t100\t", "\t"), ["--masked", "2"], ["row 3", "3 columns"]),
        (DIGITS.replace("200-212", "212-200"), ["--masked", "2"], ["row 3", "no region"]),
        ("seq\tA\nACGTACGT\t0\n", ["--positive-only"], ["no row has a positive label"]),
        ("seq\tA\nACGTACGT\t0\n", ["--valid", "chr2"], ["has no regions", "--region"]),
        ("seq\tA\tB\nACGTACGT\t0\t1\n", ["--split-column", "A"], ["row 2", "split is '0'"]),
        ("seq\tx\nACGTACGT\thello\n", [], ["no column holds labels"]),
        ("seq\tA\x1b[31m\nACGTACGT\t1\n", [], ["'A\\x1b[31m' of a label", "control character", "take it out"]),
        ("A\tB\n1\t0\n", [], ["no column holds sequences", "--fasta"]),
    ],
)
def test_bad_tables(tmp_path, capsys, text, options, words):
    path = tmp_path / "t.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    fails(
        capsys,
        ["dataset", "table", path, *options, "-o", tmp_path / "out.h5"],
        *words,
        *([path] if "--valid" not in options or "no regions" in words[0] else []),
    )


@pytest.mark.parametrize(
    "option", ["--seed=-1", f"--seed={'9' * 70}", "--min-positives=-1", f"--length={10**12}", "--length=0", "--block=0"]
)
def test_numbers_that_make_no_sense_for_tables(tmp_path, capsys, option):
    (tmp_path / "t.tsv").write_text(DIGITS)
    fails(
        capsys,
        ["dataset", "table", tmp_path / "t.tsv", "--masked", "2", option, "-o", tmp_path / "out.h5"],
        option.replace("=", " is "),
    )


def test_a_truncated_table(tmp_path, capsys):
    source = random.Random(0)
    text = DIGITS + "".join(f"1\tchr1:1-13\t000\t{''.join(source.choices('ACGT', k=12))}\n" for _ in range(2000))
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(text.encode())[:-500])
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv.gz", "--masked", "2", "-o", tmp_path / "out.h5"], "cut off")
