"""Reading motif files: one of every format, and what is wrong with broken ones."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.motif_strategies import BACKGROUND, COUNTS, PWM

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import MotifFile, read_motifs

DATA = Path(__file__).parent / "data"

GOLDEN = {
    "full.meme": ("meme", [("MA0004.1", "Arnt", 20), ("second", "", 5.5)]),
    "no_background.meme": ("meme", [("m1", "Arnt", 20)]),
    "no_width.meme": ("meme", [("m1", "Arnt", None), ("m2", "", 7)]),
    "tabs.meme": ("meme", [("m1", "Arnt", None)]),
    "tight.meme": ("meme", [("m1", "Arnt", 20), ("m2", "", None)]),
    "crlf.meme": ("meme", [("m1", "Arnt", 20)]),
    "zipped.meme.gz": ("meme", [("m1", "Arnt", None)]),
    "custom_alphabet.meme": ("meme", [("m1", "Arnt", None)]),
    "rna.meme": ("meme", [("m1", "Arnt", None)]),
    "log_odds.meme": ("meme", [("m1", "Arnt", 20)]),
    "meme_output.txt": ("meme", [("ACNT", "MEME-1", 17)]),
    "brackets.jaspar": ("jaspar", [("MA0004.1", "Arnt", 10), ("MA0005.1", "AG (var.2)", 10)]),
    "header.pfm": ("pfm", [("MA0004.1", "Arnt", 10), ("MA0005.1", "", 10)]),
    "MA0004.1.pfm": ("pfm", [("MA0004.1", "", 10)]),
    "letters.pfm": ("pfm", [("MA0004.1", "Arnt", 10)]),
    "jaspar.transfac": ("transfac", [("MA0004.1", "Arnt", 10)]),
    "professional.transfac": ("transfac", [("M00001", "MyoD", 10)]),
    "known.homer": (
        "homer",
        [("Arnt(bHLH)/Hela-ChIP-Seq(GSE1)/Homer", "", 17311), ("1-ACNK", "Arnt/Jaspar(0.9)", None)],
    ),
    "bare.homer": ("homer", [("m1", "", None), ("m2", "", None)]),
    "M0082_1.02.txt": ("cisbp", [("M0082_1.02", "", None)]),
    "many.cisbp": ("cisbp", [("M0001_1.02", "Tfap2a", None), ("M0003_1.02", "Tfap2a", None)]),
    "plain.uniprobe": ("uniprobe", [("Arnt", "", None), ("Cbf1", "", None)]),
    "matrices.uniprobe": ("uniprobe", [("Arnt", "", None)]),
}
WITH_BACKGROUND = {
    "full.meme",
    "tabs.meme",
    "crlf.meme",
    "zipped.meme.gz",
    "rna.meme",
    "log_odds.meme",
    "meme_output.txt",
}


def test_every_golden_file_is_listed():
    assert {path.name for path in DATA.glob("[!.]*")} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_file(name):
    kind, expected = GOLDEN[name]
    file = read_motifs(DATA / name)
    assert file.format == kind
    assert [(motif.name, motif.alt_name, motif.nsites) for motif in file] == expected
    counted = kind in ("jaspar", "pfm", "transfac")
    for motif in file:
        full = COUNTS / COUNTS.sum(axis=1, keepdims=True) if counted else PWM
        np.testing.assert_array_equal(motif.pwm, full[: motif.width])
        if counted:
            np.testing.assert_array_equal(motif.counts, COUNTS)
        else:
            assert motif.counts is None
    if name in WITH_BACKGROUND:
        np.testing.assert_array_equal(file.background, BACKGROUND)
    else:
        assert file.background is None
    assert file.digest == hashlib.sha256((DATA / name).read_bytes()).hexdigest()


def test_motif_file_is_a_sequence():
    file = read_motifs(str(DATA / "full.meme"))
    assert isinstance(file, MotifFile) and len(file) == 2
    assert file[1].name == "second" and file[-1] is file[1] and file[:1] == (file[0],)
    assert list(file) == list(file.motifs) and file[0] in file
    assert file.path == DATA / "full.meme"


def test_class_and_family_from_transfac():
    (motif,) = read_motifs(DATA / "jaspar.transfac")
    assert motif.tf_class == ("Basic helix-loop-helix factors (bHLH)",)
    assert motif.tf_family == ("PAS domain factors", "bHLH-ZIP")


def test_family_from_cisbp_and_a_word_on_empty_tables(capsys):
    assert read_motifs(DATA / "many.cisbp")[0].tf_family == ("AP-2",)
    assert "left out 1" in capsys.readouterr().err


def test_name_from_cisbp_without_a_motif_line(tmp_path):
    (tmp_path / "m.txt").write_text(f"TF\tT1\n{CISBP}\nTF\tT2\n{CISBP}")
    assert [motif.name for motif in read_motifs(tmp_path / "m.txt")] == ["T1", "T2"]


def test_byte_order_mark_and_latin_1(tmp_path):
    text = (DATA / "professional.transfac").read_text()
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "b").write_bytes(text.replace("Biobase", "Gr\xf6\xdfe").encode("latin-1"))
    assert read_motifs(tmp_path / "a").motifs == read_motifs(tmp_path / "b").motifs


def test_column_probabilities_of_four_by_four_homer_and_pfm(tmp_path):
    by_row, by_column = tmp_path / "a", tmp_path / "b"
    by_row.write_text(">m\n.7 .1 .1 .1\n.7 .1 .1 .1\n0 1 0 0\n0 0 1 0\n")
    by_column.write_text(">m\n.7 .7 0 0\n.1 .1 1 0\n.1 .1 0 1\n.1 .1 0 0\n")
    assert read_motifs(by_row).format == "homer" and read_motifs(by_column).format == "pfm"
    assert read_motifs(by_row)[0] == read_motifs(by_column)[0]


# Reading: broken files name the row

MEME = (DATA / "full.meme").read_text()
ROW = "0.7  0.1  0.1  0.1"
PFM = ">m\n1 2 3\n1 2 3\n1 2 3\n1 2 3\n"
TRANSFAC = (DATA / "jaspar.transfac").read_text()
HOMER = (DATA / "known.homer").read_text()
CISBP = (DATA / "M0082_1.02.txt").read_text()
UNIPROBE = (DATA / "plain.uniprobe").read_text()


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("", None, "empty"),
        ("\n \n", None, "empty"),
        ("\0\1\2", None, "empty, or not text"),
        ("hello\nworld\n", 1, "known format"),
        (">chr1\nACGTACGT\n", 2, "FASTA"),
        ("<?xml version='1.0'?>\n", 1, "XML"),
        # MEME
        (MEME.replace("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY"), 3, "not DNA"),
        (MEME.replace("alength= 4 w= 4 nsites= 20", "alength= 20 w= 4 nsites= 20"), 12, "4 letters"),
        ("MEME version 4\n", None, "no motifs"),
        (MEME[: MEME.index("MOTIF")], None, "no motifs"),
        (MEME[: MEME.index("letter-prob")], 10, "no letter-probability matrix"),
        (MEME[: MEME.index("nsites")], 12, "no rows"),
        (MEME[: MEME.index("0.25 ")], 14, "ends after 2 rows of w= 4"),
        (MEME[: MEME.index("URL") - 6], 16, "expected 4 numbers"),
        (MEME.replace(ROW, "0.7  0.1  0.1", 1), 13, "found 3"),
        (MEME.replace(ROW, ROW + " 0", 1), 13, "found 5"),
        (MEME.replace(ROW, "0.7  x  0.1  0.1", 1), 13, "'x' is not a number"),
        (MEME.replace(ROW, "x  0.7  0.1  0.1", 1), 13, "'x' is not a number"),
        (MEME.replace(ROW, "nan  0.7  0.1  0.1", 1), 13, "not a number"),
        (MEME.replace(ROW, "1e999  0.7  0.1  0.1", 1), 13, "too large"),
        (MEME.replace(ROW, "1_0  0.7  0.1  0.1", 1), 13, "not a number"),
        (MEME.replace(ROW, "-0.7  1.5  0.1  0.1", 1), 13, "negative"),
        (MEME.replace(ROW, "0.7  0.7  0.1  0.1", 1), 13, "sum to 1.6"),
        (MEME.replace(ROW, f"{ROW}\n{ROW}", 1), 17, "more rows than w= 4"),
        (MEME.replace("w= 4", "w= x", 1), 12, "w= x"),
        (MEME.replace("MOTIF second", "MOTIF"), 20, "without a name"),
        (MEME.replace("A 0.3 C 0.2 G 0.2 T 0.3", "A 0.3 C 0.2 G 0.2"), 8, "A C G"),
        (MEME.replace("A 0.3 C 0.2 G 0.2 T 0.3", "A 0.9 C 0.2 G 0.2 T 0.3"), 8, "sum to 1"),
        (MEME.replace("A 0.3 C 0.2 G 0.2 T 0.3", "A 0.3 C 0.2 G 0.2 T"), 8, "letters and frequencies"),
        (MEME.replace("MOTIF MA0004.1 Arnt", ""), 12, "without a MOTIF line"),
        ('MEME version 5\nALPHABET "X"\nA "a" ~ T "t"\nMOTIF m\n', 2, "END ALPHABET"),
        # JASPAR
        (">\n" + PFM[3:], 1, "without a name"),
        (">m\n", 1, "no matrix"),
        (PFM + ">n\n", 6, "no matrix"),
        (">m\n1 2 3\n1 2 3\n", 3, "2 rows instead of 4"),
        (PFM + "1 2 3\n", 6, "more than 4 rows"),
        (">m\n1 2 3\n1 2 3\n1 2\n1 2 3\n", 4, "2 numbers, the first of its matrix has 3"),
        (">m\n1 2 3\n1 x 3\n1 2 3\n1 2 3\n", 3, "not a number"),
        (">m\n1 2 3\n1 2 3\n1 -2 3\n1 2 3\n", 4, "negative"),
        (">m\nA [1 2]\nC [1 2]\nG [1 2]\nT [1", 5, "bracket"),
        (">m\nA [1 2]\nC [1 2]\nT [1 2]\nG [1 2]\n", 4, "row of G, found T"),
        (">m\nA []\nC []\nG []\nT []\n", 2, "no positions"),
        # TRANSFAC
        (TRANSFAC[: TRANSFAC.index("PO")], 1, "no matrix"),
        (TRANSFAC[: TRANSFAC.index("01\t")], 6, "no rows"),
        (TRANSFAC[: TRANSFAC.index("04\t")], 9, "does not end with"),
        (TRANSFAC.replace("02\t", "03\t"), 8, "out of order"),
        (TRANSFAC.replace("01\t7.0", "01\t"), 7, "found 3"),
        (TRANSFAC.replace("01\t7.0", "01\t7.0\t1\t1"), 7, "found 5"),
        (TRANSFAC.replace("7.0", "seven"), 7, "not a number"),
        (TRANSFAC.replace("PO\tA\tC", "PO\tC\tA"), 6, "not A C G T"),
        ("VV  TRANSFAC\n//\n", None, "no motifs"),
        # HOMER
        (HOMER.replace("0.7\t0.1\t0.1\t0.1", "0.7\t0.1\t0.1", 1), 2, "found 3"),
        (HOMER.replace("0.7\t0.1\t0.1\t0.1", "0.7\t0.1\t0.1\t0.5", 1), 2, "sum to 1.4"),
        (HOMER[: HOMER.rindex("\n0.7")], 6, "no rows"),
        # CIS-BP
        ("Pos\tA\tC\tG\tT\n", 1, "no rows"),
        (CISBP.replace("2\t0", "4\t0"), 3, "2 was expected"),
        (CISBP.replace("0.7\t", ""), 2, "found 3"),
        (CISBP.replace("0.7\t", "x\t"), 2, "not a number"),
        (CISBP.replace("0.7\t", "0.1\t"), 2, "sum to 0.4"),
        (CISBP.replace("A\tC", "C\tA"), 1, "not A C G T"),
        (CISBP + "TF\tT1\nMotif\tM2\n", 6, "without a Pos"),
        (CISBP.replace("4\t0.1", "x\t0.1"), 5, "expected a position"),
        # UniPROBE
        (UNIPROBE[: UNIPROBE.index("T:")], 4, "3 rows instead of 4"),
        (UNIPROBE.replace("0.7\t", "", 1), 3, "4 numbers, the first of its matrix has 3"),
        (UNIPROBE.replace("0.7", "0.6", 1), 2, "sum to 0.9"),
        (UNIPROBE.replace("C:", "G:", 1), 3, "row of C, found G"),
        ("Gene: x\nEnergy matrix\nA:\t1\nC:\t1\nG:\t1\nT:\t1\nProbability matrix\n", 7, "no rows"),
    ],
)
def test_broken_file_names_the_row(tmp_path, text, row, message):
    path = tmp_path / "broken.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_motifs(path)
    assert str(caught.value).startswith(f"{path}, row {row}: " if row else f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_file_and_damaged_gzip(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_motifs(tmp_path / "none.meme")
    with pytest.raises(InputError, match="directory"):
        read_motifs(tmp_path)
    (tmp_path / "cut.gz").write_bytes((DATA / "zipped.meme.gz").read_bytes()[:60])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_motifs(tmp_path / "cut.gz")


@pytest.mark.parametrize("name", GOLDEN)
def test_files_cut_anywhere_are_read_or_refused_kindly(name, tmp_path):
    data, path = (DATA / name).read_bytes(), tmp_path / name
    for stop in range(0, len(data), max(1, len(data) // 150)):
        path.write_bytes(data[:stop])
        try:
            read_motifs(path)
        except InputError as error:
            assert "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(set(GOLDEN) - {"zipped.meme.gz"})), st.data())
def test_damaged_lines_are_read_or_refused_kindly(tmp_path_factory, name, data):
    lines = (DATA / name).read_text().split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(
        st.sampled_from(["", "x", "1", ".5 .5 0 0", ">", "//", "MOTIF", "A:", "XX", "[", "-1 0 0 2"])
        | st.text(max_size=20).filter(lambda text: "\x00" not in text)
    )
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    try:
        read_motifs(path)
    except InputError as error:
        assert "\n" not in str(error)
