"""The Motif type, and reading and writing of motif files."""

import gzip
import hashlib
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import Motif, MotifFile, information_content, read_motifs, trim_bounds, write_motifs

DATA = Path(__file__).parent / "data"
PWM = np.array([[.7, .1, .1, .1], [0, 1, 0, 0], [.25, .25, .25, .25], [.1, .2, .3, .4]])
COUNTS = np.array([[7, 1, 1, 1], [0, 10, 0, 0], [4, 2, 2, 2], [1, 2, 3, 4]], float)
BACKGROUND = [.3, .2, .2, .3]


@st.composite
def pwms(draw, max_width=12):
    width = draw(st.integers(1, max_width))
    weights = draw(hnp.arrays(float, (width, 4), elements=st.floats(0, 1, allow_subnormal=False)))
    weights[weights.sum(axis=1) < 1e-3] = 1
    return weights / weights.sum(axis=1, keepdims=True)


WORDS = st.text("abcdefghijklmnopXYZ0123456789_.-:()/", min_size=1, max_size=12)
PHRASES = st.lists(WORDS, max_size=3).map(" ".join)


@st.composite
def motif_lists(draw, with_counts=False):
    motifs = []
    for name in draw(st.lists(WORDS, min_size=1, max_size=4, unique=True)):
        pwm = draw(pwms())
        fields = {"alt_name": draw(PHRASES), "nsites": draw(st.none() | st.integers(2, 10**6) | st.floats(2, 1e6))}
        if with_counts and draw(st.booleans()):
            counts = np.round(pwm * draw(st.integers(50, 10**5)) + draw(st.integers(1, 3)))
            pwm, fields["counts"] = counts / counts.sum(axis=1, keepdims=True), counts
            fields["nsites"] = counts[0].sum()
        motifs.append(Motif(name, pwm, **fields))
    return motifs


# The Motif type

def test_motif_fields_and_defaults():
    motif = Motif("m", PWM)
    assert (motif.width, motif.alt_name, motif.nsites, motif.counts, motif.tf_class) == (4, "", None, None, ())
    assert motif.best_letters == "ACAT"
    assert "width 4" in repr(motif)


def test_motif_is_frozen_and_keeps_its_own_copy():
    pwm = PWM.copy()
    motif = Motif("m", pwm)
    pwm[0] = .25
    np.testing.assert_array_equal(motif.pwm, PWM)
    with pytest.raises(ValueError):
        motif.pwm[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        motif.name = "other"


def test_motifs_compare_by_value():
    assert Motif("m", PWM) == Motif("m", PWM)
    assert hash(Motif("m", PWM)) == hash(Motif("m", PWM))
    assert Motif("m", PWM) != Motif("n", PWM)
    assert Motif("m", PWM) != Motif("m", PWM[::-1])
    assert Motif("m", PWM) != Motif("m", PWM, counts=COUNTS)
    assert pickle.loads(pickle.dumps(Motif("m", PWM, counts=COUNTS))) == Motif("m", PWM, counts=COUNTS)


@pytest.mark.parametrize(("fields", "message"), [
    ({"name": " "}, "needs a name"),
    ({"pwm": PWM.T[:3]}, "position"),
    ({"pwm": PWM[:, :3]}, r"\(width, 4\)"),
    ({"pwm": np.zeros((0, 4))}, r"\(width, 4\)"),
    ({"pwm": PWM[0]}, r"\(width, 4\)"),
    ({"pwm": [[np.nan, .5, .25, .25]]}, "finite"),
    ({"pwm": [[np.inf, 0, 0, 0]]}, "finite"),
    ({"pwm": [[-.5, .5, .5, .5]]}, "negative"),
    ({"pwm": [[.25, .25, .25, .25], [.5, .5, .5, .5]]}, "position 2 sums to 2"),
    ({"pwm": [["a", 0, 0, 1]]}, "numbers"),
    ({"counts": COUNTS[:2]}, "differ in shape"),
    ({"counts": -COUNTS}, "negative"),
    ({"nsites": -1}, "nsites"),
    ({"nsites": float("nan")}, "nsites"),
])
def test_motif_refuses_what_is_no_motif(fields, message):
    with pytest.raises(InputError, match=message):
        Motif(**{"name": "m", "pwm": PWM, **fields})


def test_rows_slightly_off_one_are_kept_as_they_are():
    pwm = np.array([[.33, .33, .33, 0], [.25, .25, .25, .26]])
    np.testing.assert_array_equal(Motif("m", pwm).pwm, pwm)


@pytest.mark.parametrize(("row", "letter"), [
    ([1, 0, 0, 0], "A"), ([.51, .2, .2, .09], "A"), ([.5, .2, .2, .1], "N"), ([.5, .3, .1, .1], "M"),
    ([0, .4, 0, .6], "Y"), ([0, .5, .5, 0], "S"), ([.4, .3, .3, 0], "V"), ([0, .4, .3, .3], "B"),
    ([.3, 0, .3, .4], "D"), ([.4, .3, 0, .3], "H"), ([.25, .25, .25, .25], "N"), ([.6, .39, .01, 0], "M"),
])
def test_consensus_follows_cavener(row, letter):
    assert Motif("m", [row]).consensus == letter


# Information content

def test_uniform_column_has_exactly_no_information():
    np.testing.assert_array_equal(information_content(np.full((3, 4), .25)), 0)
    np.testing.assert_array_equal(information_content(np.array([BACKGROUND]), BACKGROUND), 0)


def test_information_of_known_columns():
    np.testing.assert_allclose(information_content(np.array([[1, 0, 0, 0], [.5, .5, 0, 0], [.5, .25, .25, 0]])),
                               [2, 1, .5])
    np.testing.assert_allclose(information_content(np.array([[0, 1, 0, 0]]), BACKGROUND), np.log2(5))


@given(pwms(), pwms(max_width=1))
def test_information_is_the_relative_entropy(pwm, background):
    background = (background[0] + .01) / 1.04
    expected = [sum(p * np.log2(p / b) for p, b in zip(row, background, strict=True) if p > 0) for row in pwm]
    np.testing.assert_allclose(information_content(pwm, background), np.maximum(expected, 0), atol=1e-12)
    motif = Motif("m", pwm)
    assert motif.total_information() == pytest.approx(
        sum(2 + sum(p * np.log2(p) for p in row if p > 0) for row in pwm), abs=1e-9)


@pytest.mark.parametrize("background", [[.5, .5, .5, .5], [1, 0, 0, 0], [.5, .5], [np.nan] * 4, [.27, .24, .24, .27]])
def test_background_must_sum_to_one(background):
    with pytest.raises(InputError, match="background"):
        information_content(PWM, background)


# Trimming and reverse complement

def pattern(text):
    """Make a PWM of sharp (X) and uniform (.) positions."""
    return np.array([[1, 0, 0, 0] if letter == "X" else [.25] * 4 for letter in text], float)


@pytest.mark.parametrize(("text", "bounds"), [
    ("X.......", (0, 4)), (".......X", (4, 8)), ("........", (0, 8)), ("....X.....", (1, 8)),
    (".....X.X......", (2, 11)), ("XXXX", (0, 4)), (".", (0, 1)),
])
def test_trimming_pads_by_three_and_keeps_flat_motifs(text, bounds):
    assert trim_bounds(pattern(text)) == bounds


def test_trimming_threshold_is_exclusive_and_settable():
    half = np.array([[.25] * 4, [.5, .25, .25, 0], [.25] * 4])
    assert trim_bounds(half, threshold=.5, pad=0) == (0, 3)
    assert trim_bounds(half, threshold=.49, pad=0) == (1, 2)


def test_trimmed_motif_keeps_names_and_cuts_counts():
    motif = Motif("m", pattern("X......"), "alt", 9, pattern("X......") * 9, ("c",), ("f",)).trimmed()
    assert motif == Motif("m", pattern("X..."), "alt", 9, pattern("X...") * 9, ("c",), ("f",))


@given(pwms(), st.floats(0, 2), st.integers(0, 5))
def test_trimming_matches_a_plain_search(pwm, threshold, pad):
    above = [i for i, bits in enumerate(information_content(pwm)) if bits > threshold]
    expected = (max(0, above[0] - pad), min(len(pwm), above[-1] + pad + 1)) if above else (0, len(pwm))
    assert trim_bounds(pwm, threshold, pad) == expected


@given(pwms())
def test_reverse_complement_is_an_involution(pwm):
    motif = Motif("m", pwm, "alt", 5, pwm * 5)
    other = motif.reverse_complement()
    assert other.reverse_complement() == motif
    for i, row in enumerate(other.pwm):
        np.testing.assert_array_equal(row, [pwm[-1 - i][3 - letter] for letter in range(4)])


# Reading: a golden file of every shape

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
    "known.homer": ("homer", [("Arnt(bHLH)/Hela-ChIP-Seq(GSE1)/Homer", "", 17311),
                              ("1-ACNK", "Arnt/Jaspar(0.9)", None)]),
    "bare.homer": ("homer", [("m1", "", None), ("m2", "", None)]),
    "M0082_1.02.txt": ("cisbp", [("M0082_1.02", "", None)]),
    "many.cisbp": ("cisbp", [("M0001_1.02", "Tfap2a", None), ("M0003_1.02", "Tfap2a", None)]),
    "plain.uniprobe": ("uniprobe", [("Arnt", "", None), ("Cbf1", "", None)]),
    "matrices.uniprobe": ("uniprobe", [("Arnt", "", None)]),
}
WITH_BACKGROUND = {"full.meme", "tabs.meme", "crlf.meme", "zipped.meme.gz", "rna.meme", "log_odds.meme",
                   "meme_output.txt"}


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
        np.testing.assert_array_equal(motif.pwm, full[:motif.width])
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
    motif, = read_motifs(DATA / "jaspar.transfac")
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


@pytest.mark.parametrize(("text", "row", "message"), [
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
    (MEME[:MEME.index("MOTIF")], None, "no motifs"),
    (MEME[:MEME.index("letter-prob")], 10, "no letter-probability matrix"),
    (MEME[:MEME.index("nsites")], 12, "no rows"),
    (MEME[:MEME.index("0.25 ")], 14, "ends after 2 rows of w= 4"),
    (MEME[:MEME.index("URL") - 6], 16, "expected 4 numbers"),
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
    (MEME.replace("MOTIF second", "MOTIF MA0004.1"), 20, "twice .first in row 10"),
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
    (">m\n0 2 3\n0 2 3\n0 2 3\n0 2 3\n", 1, "position 1 of motif m has no counts"),
    (PFM + PFM, 6, "twice"),
    (">m\nA [1 2]\nC [1 2]\nG [1 2]\nT [1", 5, "bracket"),
    (">m\nA [1 2]\nC [1 2]\nT [1 2]\nG [1 2]\n", 4, "row of G, found T"),
    (">m\nA []\nC []\nG []\nT []\n", 2, "no positions"),
    # TRANSFAC
    (TRANSFAC[:TRANSFAC.index("PO")], 1, "no matrix"),
    (TRANSFAC[:TRANSFAC.index("01\t")], 6, "no rows"),
    (TRANSFAC[:TRANSFAC.index("04\t")], 9, "does not end with"),
    (TRANSFAC.replace("02\t", "03\t"), 8, "out of order"),
    (TRANSFAC.replace("01\t7.0", "01\t"), 7, "found 3"),
    (TRANSFAC.replace("01\t7.0", "01\t7.0\t1\t1"), 7, "found 5"),
    (TRANSFAC.replace("7.0", "seven"), 7, "not a number"),
    (TRANSFAC.replace("PO\tA\tC", "PO\tC\tA"), 6, "not A C G T"),
    (TRANSFAC.replace("02\t0.0\t10.0", "02\t0.0\t0.0"), 8, "no counts"),
    (TRANSFAC + TRANSFAC, 18, "twice"),
    ("VV  TRANSFAC\n//\n", None, "no motifs"),
    # HOMER
    (HOMER.replace("0.7\t0.1\t0.1\t0.1", "0.7\t0.1\t0.1", 1), 2, "found 3"),
    (HOMER.replace("0.7\t0.1\t0.1\t0.1", "0.7\t0.1\t0.1\t0.5", 1), 2, "sum to 1.4"),
    (HOMER[:HOMER.rindex("\n0.7")], 6, "no rows"),
    (HOMER + HOMER, 11, "twice"),
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
    (UNIPROBE[:UNIPROBE.index("T:")], 4, "3 rows instead of 4"),
    (UNIPROBE.replace("0.7\t", "", 1), 3, "4 numbers, the first of its matrix has 3"),
    (UNIPROBE.replace("0.7", "0.6", 1), 2, "sum to 0.9"),
    (UNIPROBE.replace("C:", "G:", 1), 3, "row of C, found G"),
    (UNIPROBE.replace("Cbf1", "Arnt"), 8, "twice"),
    ("Gene: x\nEnergy matrix\nA:\t1\nC:\t1\nG:\t1\nT:\t1\nProbability matrix\n", 7, "no rows"),
])
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
    lines[at] = data.draw(st.sampled_from(["", "x", "1", ".5 .5 0 0", ">", "//", "MOTIF", "A:", "XX", "[", "-1 0 0 2"])
                          | st.text(max_size=20).filter(lambda text: "\x00" not in text))
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    try:
        read_motifs(path)
    except InputError as error:
        assert "\n" not in str(error)


# Writing

@settings(deadline=None)
@given(motif_lists(), pwms(max_width=1))
def test_meme_round_trip(tmp_path_factory, motifs, background):
    background = (background[0] + .01) / 1.04
    path = tmp_path_factory.mktemp("meme") / "m.meme"
    write_motifs(motifs, path, background=background)
    file = read_motifs(path)
    assert file.motifs == tuple(Motif(m.name, m.pwm, m.alt_name.replace(" ", "_"), m.nsites) for m in motifs)
    np.testing.assert_array_equal(file.background, background)


@settings(deadline=None)
@given(motif_lists(with_counts=True))
def test_jaspar_round_trip(tmp_path_factory, motifs):
    path = tmp_path_factory.mktemp("jaspar") / "m.jaspar"
    write_motifs(motifs, path, "jaspar")
    file = read_motifs(path)
    assert file.format == "jaspar"
    for new, old in zip(file, motifs, strict=True):
        assert (new.name, new.alt_name) == (old.name, old.alt_name)
        np.testing.assert_allclose(new.pwm, old.pwm, rtol=0, atol=1e-12)
        assert (new.nsites or 0) == pytest.approx(old.nsites or 0, abs=1e-6)
        if old.counts is not None:
            np.testing.assert_array_equal(new.counts, old.counts)


@settings(deadline=None)
@given(motif_lists(with_counts=True), *[st.lists(WORDS, max_size=2, unique=True)] * 2)
def test_transfac_round_trip(tmp_path_factory, motifs, classes, families):
    motifs = [Motif(m.name, m.pwm, "" if m.alt_name == m.name else m.alt_name, m.nsites, m.counts,
                    [c.replace("::", "") or "x" for c in classes], [f.replace("::", "") or "x" for f in families])
              for m in motifs]
    path = tmp_path_factory.mktemp("transfac") / "m.transfac"
    write_motifs(motifs, path, "transfac")
    file = read_motifs(path)
    assert file.format == "transfac" and file.motifs == tuple(motifs)


@settings(deadline=None)
@given(motif_lists())
def test_homer_round_trip(tmp_path_factory, motifs):
    path = tmp_path_factory.mktemp("homer") / "m.homer"
    write_motifs(motifs, path, "homer")
    file = read_motifs(path)
    assert file.format == "homer"
    for new, old in zip(file, motifs, strict=True):
        assert (new.name, new.alt_name, new.nsites) == (old.name, old.alt_name, old.nsites)
        np.testing.assert_array_equal(new.pwm, old.pwm)


def test_written_meme_is_the_minimal_format(tmp_path):
    write_motifs([Motif("m", PWM, "alt", 19)], tmp_path / "m.meme")
    assert (tmp_path / "m.meme").read_text() == """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.250000 C 0.250000 G 0.250000 T 0.250000

MOTIF m alt
letter-probability matrix: alength= 4 w= 4 nsites= 19 E= 0
 0.700000  0.100000  0.100000  0.100000
 0.000000  1.000000  0.000000  0.000000
 0.250000  0.250000  0.250000  0.250000
 0.100000  0.200000  0.300000  0.400000
"""


@pytest.mark.parametrize(("kind", "parser"), [("meme", "minimal"), ("jaspar", "jaspar"), ("transfac", "transfac")])
def test_biopython_reads_what_is_written(tmp_path, kind, parser):
    from Bio import motifs as biomotifs

    motifs = [Motif("m1", COUNTS / COUNTS.sum(1, keepdims=True), "alt", 10, COUNTS), Motif("m2", PWM, "b", 10)]
    write_motifs(motifs, tmp_path / "m", kind)
    with open(tmp_path / "m") as handle:
        theirs = biomotifs.parse(handle, parser)
    for mine, other in zip(motifs, theirs, strict=True):
        counts = np.array([other.counts[letter] for letter in "ACGT"]).T
        np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), mine.pwm, atol=1e-6)


def test_background_of_a_file_is_handed_on(tmp_path):
    write_motifs(read_motifs(DATA / "full.meme"), tmp_path / "m.meme")
    np.testing.assert_array_equal(read_motifs(tmp_path / "m.meme").background, BACKGROUND)


def test_gzip_is_written_the_same_each_time(tmp_path):
    for name in ("a.meme.gz", "b.meme.gz"):
        write_motifs([Motif("m", PWM)], tmp_path / name)
    assert gzip.decompress((tmp_path / "a.meme.gz").read_bytes()).startswith(b"MEME")
    assert (tmp_path / "a.meme.gz").read_bytes() == (tmp_path / "b.meme.gz").read_bytes()
    assert read_motifs(tmp_path / "a.meme.gz")[0] == Motif("m", PWM)


def test_white_space_in_names_becomes_one_word(tmp_path):
    write_motifs([Motif("a b\tc", PWM, "x  y")], tmp_path / "m.meme")
    motif, = read_motifs(tmp_path / "m.meme")
    assert (motif.name, motif.alt_name) == ("a_b_c", "x_y")


@pytest.mark.parametrize("arguments", [{"format": "xml"}, {"background": [1, 1, 1, 1]}])
def test_wrong_arguments_write_nothing(tmp_path, arguments):
    with pytest.raises(InputError):
        write_motifs([Motif("m", PWM)], tmp_path / "m", **arguments)
    assert not list(tmp_path.iterdir())


def test_equal_names_are_not_written(tmp_path):
    with pytest.raises(InputError, match="two motifs are named a_b"):
        write_motifs([Motif("a b", PWM), Motif("a_b", PWM)], tmp_path / "m")
    assert not list(tmp_path.iterdir())
