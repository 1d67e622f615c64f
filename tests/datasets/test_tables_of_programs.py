"""Tables as pandas, R, numpy, Excel and other programs write them, to a dataset file."""

import pytest
from support.dataset_files import fails, table

from kipoi_motifrep.datasets.hdf5 import open_dataset

ALL_IN_TRAINING = ["--valid", "none", "--test", "none"]

SEQUENCES = ["ACGTACGTAA", "TTGCATTGCC", "GGGGCCCCAT", "ACACACACGG"]
LABELS = ["1", "0", "1", "0"]


def written(row, labels=LABELS):
    return "".join(row.format(i=i, s=s, y=y) for i, (s, y) in enumerate(zip(SEQUENCES, labels, strict=True), 1))


@pytest.mark.parametrize(
    "text",
    [
        ",seq,label\n" + written("{i},{s},{y}\n"),  # pandas' index
        "Unnamed: 0,seq,label\n" + written("{i},{s},{y}\n"),
        '"seq"\t"label"\n' + written('"{i}"\t"{s}"\t{y}\n'),  # R's names of rows have no header
        "seq\tlabel\n" + written("{s}\t{y}\t\n"),
        "sep=;\nseq;label\n" + written("{s};{y},0\n"),  # Excel, where 1,0 is a number
        "# by me\n# today\nseq\tlabel\n" + written("{s}\t{y}\n"),
        "# by me\n#seq\tlabel\n" + written("{s}\t{y}\n"),
        "seq\tlabel\n" + written("{s}\t{y}.000000\n"),
        "seq\tlabel\n" + written("{s}\t{y}.000000000000000000e+00\n"),  # numpy.savetxt
        "seq\tlabel\n" + written("{s}\t{y}\n", ["True", "False", "TRUE", "FALSE"]),
    ],
)  # fmt: skip
def test_tables_of_pandas_r_numpy_and_excel(tmp_path, text):
    found = table(tmp_path, text, *ALL_IN_TRAINING)
    assert list(found.values()) == [(s, [int(y)]) for s, y in zip(SEQUENCES, LABELS, strict=True)]
    assert open_dataset(tmp_path / "out.h5").label_names == ("label",)


def test_a_table_of_labels_with_an_index(tmp_path):
    """As Basset's preprocessing writes it: the first cell of the header is empty."""
    (tmp_path / "s.fa").write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(SEQUENCES)))
    text = "\tA\tB\n" + "".join(f"s{i}\t{y}\t1\n" for i, y in enumerate(LABELS))
    found = table(tmp_path, text, "--fasta", f"{tmp_path}/s.fa", *ALL_IN_TRAINING)
    assert [labels for _, labels in found.values()] == [[1, 1], [0, 1], [1, 1], [0, 1]]
    assert open_dataset(tmp_path / "out.h5").label_names == ("A", "B")


def test_words_for_unknown_labels_and_columns_that_are_not_used(tmp_path, capsys):
    text = "seq,A,B,score\n" + written("{s},1,{y},.5\n", ["None", "null", "<NA>", "0"])
    found = table(tmp_path, text, *ALL_IN_TRAINING)
    assert [labels for _, labels in found.values()] == [[1, -1], [1, -1], [1, -1], [1, 0]]
    assert "labels are A, B; not used: score" in capsys.readouterr().err


def test_a_column_with_a_code_of_ones_own_for_unknown_is_found(tmp_path):
    text = "seq,A,B\n" + written("{s},1,{y}\n", ["X", "0", "x", "1"])
    found = table(tmp_path, text, "--masked", "X", *ALL_IN_TRAINING)
    assert [labels for _, labels in found.values()] == [[1, -1], [1, 0], [1, -1], [1, 1]]


def test_minus_one_is_no_negative(tmp_path, capsys):
    """Labels 1 and -1 of support vector machines would leave positives only."""
    (tmp_path / "t.tsv").write_text("seq\tlabel\n" + written("{s}\t{y}\n", ["1", "-1", "+1", "-1"]))
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", "-o", tmp_path / "o.h5"], "no label is 0", "mean 'unknown'")


@pytest.mark.parametrize(
    ("begin", "what"),
    [(b"PAR1", "Parquet"), (b"ARROW1", "Arrow"), (b"\x80\x04\x95", "pickle"), (b"\x93NUMPY", "numpy")],
)
def test_what_is_no_table_is_named(tmp_path, capsys, begin, what):
    (tmp_path / "t").write_bytes(begin + bytes(60))
    fails(capsys, ["dataset", "table", tmp_path / "t", "-o", tmp_path / "o.h5"], what)


def test_numbers_below_a_name_of_two_words_are_no_digits_of_labels(tmp_path):
    text = "seq\tGC_content\tlabel\n" + "".join(
        f"{s}\t{gc}\t{y}\n" for s, gc, y in zip(SEQUENCES, (45, 50, 60, 10), LABELS, strict=True)
    )
    table(tmp_path, text, *ALL_IN_TRAINING)
    assert open_dataset(tmp_path / "out.h5").label_names == ("label",)
