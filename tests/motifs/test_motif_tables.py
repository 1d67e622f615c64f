"""Motifs in tables, as R, pandas and spreadsheets write them, and in the formats of less known programs."""

import numpy as np
import pytest

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import read_motifs

COUNTS = np.array([[9, 0, 1, 0], [0, 6, 0, 4], [7, 1, 1, 1], [2, 3, 5, 0], [0, 0, 0, 10], [3, 3, 2, 2]], float)
PPM = COUNTS / 10


@pytest.fixture
def read(tmp_path):
    def read(text, name="m.txt"):
        (tmp_path / name).write_text(text)
        return read_motifs(tmp_path / name)

    return read


def by_position(matrix, row="{r}", separator="\t"):
    """Give the rows of a matrix; ``{i}`` is the position, ``{r}`` the numbers."""
    return "".join(
        row.format(i=i, r=separator.join(f"{value:g}" for value in values)) + "\n" for i, values in enumerate(matrix, 1)
    )


def by_letter(matrix, row="{b}\t{r}", separator="\t"):
    return "".join(
        row.format(b=base, r=separator.join(f"{value:g}" for value in values)) + "\n"
        for base, values in zip("ACGT", matrix.T, strict=True)
    )


INCLUSIVE = "#INCLUSive Motif Model v1.0\n#\n"
ONE = {
    "positions as column names": ",0,1,2,3,4,5\n" + by_letter(PPM, "{b},{r}", ","),
    "counts below position numbers": "\t1\t2\t3\t4\t5\t6\n" + by_letter(COUNTS),
    "R's write.csv": '"","V1","V2","V3","V4","V5","V6"\n' + by_letter(PPM, '"{b}",{r}', ","),
    "R's print": "    [,1] [,2] [,3] [,4] [,5] [,6]\n" + by_letter(PPM, "{b}  {r}", "  "),
    "decimal commas": "pos;A;C;G;T\n" + by_position(PPM, "{i};{r}", ";").replace(".", ","),
    "counts in a table": "id;pos;A;C;G;T\n" + by_position(COUNTS, "m;{i};{r}", ";"),
    "letters in any order": "motif,T,G,C,A\n" + by_position(PPM[:, ::-1], "m,{r}", ","),
    "consensus behind": "pos\tA\tC\tG\tT\tconsensus\n"
    + "".join(f"{i}\t" + "\t".join(f"{v:g}" for v in row) + f"\t{'AYANTN'[i]}\n" for i, row in enumerate(PPM)),
    "SwissRegulon": "//\nNA m\nPO  A  C  G  T  cons  inf\n"
    + by_position(COUNTS, "{i:02d}  {r}  N  0.10", "  ")
    + "//\n",
    "consensus": "MATRIX m\n" + by_letter(COUNTS, "{b} | {r}", "    ") + "   1|1  :    1/317    TTGTAT\n",
    "rows one by one": by_position(PPM, "{r}\n"),
    "decimal commas of positions": ">m\n" + by_position(PPM).replace(".", ","),
    "decimal commas of letters": by_letter(PPM).replace(".", ","),
}  # fmt: skip


@pytest.mark.parametrize("dress", ONE)
def test_one_motif(read, dress):
    (motif,) = read(ONE[dress])
    np.testing.assert_allclose(motif.pwm, PPM)
    assert motif.name == "m" or dress == "consensus"
    assert motif.nsites == (10 if motif.counts is not None else None)


TWO = {
    "a table with names": "motif,pos,A,C,G,T\n"
    + by_position(PPM, "m1,{i},{r}", ",")
    + by_position(PPM, "m2,{i},{r}", ","),
    "names and letters alone": "filter\tA\tC\tG\tT\n" + by_position(PPM, "m1\t{r}") + by_position(PPM, "m2\t{r}"),
    "INCLUSive": INCLUSIVE
    + "".join(f"#ID = m{n}\n#Score = 1.2\n#W = 6\n#Consensus = nnTA\n{by_position(PPM)}\n" for n in (1, 2)),
    "consensus": "".join(
        f"MATRIX {n}\nnumber of sequences = 10\n{by_letter(COUNTS, '{b} | {r}', '    ')}   1|1  :   1/317   TTG\n"
        for n in (1, 2)
    ),
    "chen": "".join(f">m{n}\n{by_position(PPM)}<\n" for n in (1, 2)),
}


@pytest.mark.parametrize("dress", TWO)
def test_two_motifs(read, dress):
    found = read(TWO[dress])
    assert [motif.name for motif in found] == (["1", "2"] if dress == "consensus" else ["m1", "m2"])
    for motif in found:
        np.testing.assert_allclose(motif.pwm, PPM)


@pytest.mark.parametrize(
    "text",
    [
        by_position(PPM) + "\n" + by_position(PPM),
        by_position(PPM) + "# the next\n" + by_position(PPM),
        "\n\n".join(["\n".join(by_position(COUNTS.T).splitlines())] * 2),
        "pos;A;C;G;T\n" + by_position(PPM, "{i};{r}", ";") * 2,
    ],
)
def test_matrices_without_names_are_told_apart(read, text):
    """They were read as one motif of twice the width."""
    found = read(text)
    assert [motif.name for motif in found] in (["m", "m_2"], ["m_1", "m_2"])
    for motif in found:
        np.testing.assert_allclose(motif.pwm, PPM)


def test_rna_in_a_table(read):
    found = read("pos;A;C;G;U\n" + by_position(PPM, "{i};{r}", ";"))
    assert found.rna and found.format == "table"


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("motif,pos,A,C,G,T\nm,1,x,0,0,0\n", 2, "'x' is not a number"),
        ("motif,pos,A,C,G,T\nm,1,1,0,0,0\nm,2,1,0,0\n", 3, "has 5 columns, and the header has 6"),
        ("motif,pos,A,C,G,T\nm,1,-1.1,.2,.3,.4\n", 2, "negative"),
        ("motif,pos,A,C,G,T\n", 1, "no rows"),
        ("gene\tGC\tA\tC\tG\tT\tAA\tAC\tAG\nx\t50\t5\t5\t5\t5\t1\t1\t1\n", 1, "not a motif file"),
        (">m\nA 1,000 0\nC 200 1,500\nG 0 0\nT 0 0\n", 2, "'1,000' is not a number"),
        ('{"matrix_id": "MA0004.1", "pfm": {"A": [4, 19]}}\n', 1, "JSON"),
        ("AC  M1\nP0  A C G T\n01  1 0 0 0 1 A\n//\n", 3, "found 5"),
    ],
)
def test_what_is_wrong_is_named(read, text, row, message):
    with pytest.raises(InputError, match=f"row {row}: .*{message}"):
        read(text)


def test_numbers_that_may_be_no_counts_are_said(read, capsys):
    read(">m\n0.3 1.2 0.7 0.1\n2.2 0.1 0.4 0.5\n")
    assert "not whole and have another sum at each position, taken as counts" in capsys.readouterr().err
    read(">m\n40.5 10.2 0.3 9\n20.25 10 20 9.75\n>n\n4 1 0 1\n9 9 1 0\n")
    assert not capsys.readouterr().err


def test_meme_files_one_behind_the_other_without_widths(read):
    text = "MEME version 4\nALPHABET= ACGT\nMOTIF {}\nletter-probability matrix: alength= 4\n" + by_position(PPM)
    assert [motif.width for motif in read(text.format("a") + text.format("b"))] == [6, 6]
