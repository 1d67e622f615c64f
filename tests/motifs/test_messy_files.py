"""Motif files as they are found: matrices written in every way, names that occur again, collections."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.motif_strategies import COUNTS, PWM, pwms

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import IUPAC
from kipoi_motifrep.motifs import jaspar, read_motifs, write_motifs
from kipoi_motifrep.motifs.formats import text as text_module
from kipoi_motifrep.motifs.motif import Motif

FULL = COUNTS / COUNTS.sum(axis=1, keepdims=True)


@pytest.fixture
def read(tmp_path):
    def read(text, name="file.txt"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_motifs(tmp_path / name)

    return read


def rows(matrix, before="", between=" ", after="\n"):
    """Lines of a matrix; `before` is text or one for each row."""
    fronts = [before] * len(matrix) if isinstance(before, str) else before
    return "".join(
        front + between.join(f"{x:g}" for x in row) + after for front, row in zip(fronts, matrix, strict=True)
    )


# A matrix in every dress


@st.composite
def count_matrices(draw):
    """Counts of which the positions, and not the letters, have equal sums."""
    width, n = draw(st.integers(2, 9)), draw(st.integers(7, 500))
    cuts = np.sort(draw(st.lists(st.tuples(*[st.integers(0, n)] * 3), min_size=width, max_size=width)), axis=1)
    counts = np.diff(cuts, axis=1, prepend=0, append=n).astype(float)
    sums = counts.sum(axis=0)
    if np.ptp(sums) <= 0.05 * sums.max():
        counts[:, 0] += counts[:, 1:].sum(axis=1)
        counts[:, 1:] = 0
    return counts


# Without anything that says whether a row is a letter or a position.
PLAIN = {
    "headed, by position": lambda m: ">m\n" + rows(m, between="\t"),
    "headed, by letter": lambda m: ">m\n" + rows(m.T),
    "by position": rows,
    "by letter": lambda m: rows(m.T, between="   "),
}
TOLD = {
    "brackets": lambda m: ">m\n" + rows(m.T, [f"{x} [ " for x in "ACGT"], after=" ]\n"),
    "bars": lambda m: ">m\n" + rows(m.T, [f"{x} | " for x in "ACGT"], "\t"),
    "small letters": lambda m: "# made by hand\n>m\n" + rows(m.T, [f"{x}[" for x in "acgt"], after="]\n"),
    "colons": lambda m: "m\n" + rows(m.T, [f"{x}:\t" for x in "ACGT"], "\t"),
    "RNA": lambda m: "m\n" + rows(m.T, [f"{x}:\t" for x in "ACGU"], "\t"),
    "columns": lambda m: "m\nPos\tA\tC\tG\tT\n" + rows(m, [f"{i}\t" for i in range(1, len(m) + 1)], "\t"),
    "columns of RNA": lambda m: "m\nPos\tA\tC\tG\tU\n" + rows(m, [f"{i}\t" for i in range(1, len(m) + 1)], "\t"),
    "columns in a headed block": lambda m: ">m\nA C G T\n" + rows(m),
    "logomaker": lambda m: "# logomaker\npos A C G T\n" + rows(m, [f"{i:4d} " for i in range(len(m))]),
    "logomaker, from the middle": lambda m: "pos,A,C,G,T\n" + rows(m, [f"{i - 2}," for i in range(len(m))], ","),
    "pandas": lambda m: ",A,C,G,T\n" + rows(m, [f"{i}," for i in range(len(m))], ","),
    "R": lambda m: '"","A","C","G","T"\n' + rows(m, [f'"{i + 1}",' for i in range(len(m))], ","),
    "R without a corner": lambda m: "A\tC\tG\tT\n" + rows(m, [f'"{i + 1}"\t' for i in range(len(m))], "\t"),
    "TRANSFAC": lambda m: (
        "ID m\nP0 A C G T\n" + rows(m, [f"{i:02d} " for i in range(1, len(m) + 1)], after=" N\n") + "XX\n//\n"
    ),
    "TRANSFAC from 0": lambda m: "AC m\nXX\nPO A C G T\n" + rows(m, [f"{i} " for i in range(len(m))]) + "//\n",
    "STAMP": lambda m: "DE\tm\tMA9.1\n" + rows(m, [f"{i}\t" for i in range(len(m))], "\t", "\tX\n") + "XX\n",
    "universalmotif": lambda m: (
        "# universalmotif version 1.2.0\n\n---\nname: m\nalphabet: DNA\nbkg:\n  A: 0.24\n"
        "  C: 0.26\n  G: 0.26\n  T: 0.24\nconsensus: NN\nstrand: +-\nmotif:\n" + rows(m, "- ")
    ),
    "MEME": lambda m: f"MEME version 4\n\nMOTIF m\nletter-probability matrix: w= {len(m)}\n" + rows(m),
}
DRESSES = PLAIN | TOLD


@pytest.mark.parametrize("dress", DRESSES)
@settings(max_examples=25, deadline=None)
@given(counts=count_matrices())
def test_counts_are_read_in_every_dress(tmp_path_factory, dress, counts):
    path = tmp_path_factory.mktemp("dress") / "m.txt"
    path.write_text(DRESSES[dress](counts))
    (motif,) = read_motifs(path)
    assert motif.name == "m"
    np.testing.assert_array_equal(motif.counts, counts)
    np.testing.assert_array_equal(motif.pwm, counts / counts.sum(axis=1, keepdims=True))
    assert motif.nsites == counts[0].sum()
    assert read_motifs(path).rna == ("RNA" in dress)


@pytest.mark.parametrize("dress", DRESSES)
@settings(max_examples=25, deadline=None)
@given(pwm=pwms().map(lambda pwm: np.round(pwm, 3)))
def test_probabilities_are_read_in_every_dress(tmp_path_factory, dress, pwm):
    if len(pwm) == 1 and dress in ("colons", "RNA"):
        return  # a background is written like this
    if dress in PLAIN and (len(pwm) == 1 or np.ptp(pwm.sum(axis=0)) < 0.05):
        return  # nobody could tell
    path = tmp_path_factory.mktemp("dress") / "m.txt"
    path.write_text(DRESSES[dress](pwm))
    (motif,) = read_motifs(path)
    np.testing.assert_array_equal(motif.pwm, pwm)
    assert motif.counts is None and motif.nsites is None


@settings(max_examples=60, deadline=None)
@given(pwm=pwms().map(lambda pwm: np.round(pwm, 3)), letters=st.data())
def test_consensus_letters_before_the_numbers(tmp_path_factory, pwm, letters):
    """As ENCODE's motifs have them: any letters but those that would be the four rows of a matrix."""
    labels = letters.draw(st.lists(st.sampled_from(sorted(IUPAC)), min_size=len(pwm), max_size=len(pwm)))
    if "ACGT".startswith("".join(labels)):
        return
    path = tmp_path_factory.mktemp("consensus") / "m.txt"
    path.write_text(">m_disc1 m_K562_r1:MEME#1\n" + rows(pwm, [f"{letter} " for letter in labels]))
    (motif,) = read_motifs(path)
    assert (motif.name, motif.alt_name) == ("m_disc1", "m_K562_r1:MEME#1")
    np.testing.assert_array_equal(motif.pwm, pwm)


def test_four_positions_of_the_consensus_acgt(read):
    by_position = np.array([[8, 1, 1, 2], [0, 9, 3, 0], [2, 0, 10, 0], [0, 0, 1, 11]], float)
    lines = rows(by_position, [f"{letter} " for letter in "ACGT"])
    np.testing.assert_array_equal(read(">m\n" + lines)[0].counts, by_position)
    lines = rows(by_position.T, [f"{letter} " for letter in "ACGT"])
    np.testing.assert_array_equal(read(">m\n" + lines)[0].counts, by_position)


def test_four_by_four_follows_the_other_matrices_of_the_file(read):
    square = np.array([[3, 1, 1, 1], [1, 3, 1, 1], [1, 2, 2, 1], [1, 0, 2, 3]], float)  # all rows and columns: 6
    longer = rows(COUNTS) + "1 2 3 4\n"
    assert [m.width for m in read(">x\n" + longer + ">m\n" + rows(square))] == [5, 4]
    np.testing.assert_array_equal(read(">x\n" + longer + ">m\n" + rows(square))[1].counts, square)
    np.testing.assert_array_equal(read(">x\n" + rows(COUNTS.T[:, :3]) + ">m\n" + rows(square))[1].counts, square.T)


def test_four_by_four_that_could_be_both_is_said(read, capsys):
    square = np.array([[3, 1, 1, 1], [1, 3, 1, 1], [1, 2, 2, 1], [1, 0, 2, 3]], float)
    np.testing.assert_array_equal(read(">m\n" + rows(square))[0].counts, square.T)
    assert "could be read in two ways" in capsys.readouterr().err
    read(">m\n" + rows(COUNTS))
    assert capsys.readouterr().err == ""


# What is no matrix


@pytest.mark.parametrize(
    "text",
    [
        "bkg:\n  A: 0.2406\n  C: 0.2525\n  G: 0.2614\n  T: 0.2455\n",
        "A: 1\nC: 1\nG: 1\nT: 1\n",
        "A 0.25\nhello\n",
        "chr1\t10\t20\tpeak\t3\n",
        "# only a comment\n\n#another\n",
        "loc\tA\tB\nchr1:1-2\t0.1\t-0.2\n",
    ],
)
def test_lines_that_make_no_motif(read, text):
    with pytest.raises(InputError, match=r"known format|no motifs"):
        read(text)


@pytest.mark.parametrize("before", ["# a comment\n", "\n\n", "#a\n\n# b\n", "\ufeff", "\ufeff# b\n\n"])
@pytest.mark.parametrize("dress", ["brackets", "headed, by position", "colons", "TRANSFAC", "MEME", "columns"])
def test_what_stands_before_the_first_motif_is_looked_past(read, before, dress):
    np.testing.assert_array_equal(read(before + DRESSES[dress](PWM))[0].pwm, PWM)


def test_titles_between_headed_motifs_belong_to_the_next(read):
    file = read("Average_1\t['a']\n>m1\n" + rows(PWM) + "M2\t['b', 'c']\n>m2\n" + rows(PWM[:3]))
    assert [(motif.name, motif.width) for motif in file] == [("m1", 4), ("m2", 3)]
    with pytest.raises(InputError, match="row 6: "):
        read(">m1\n" + rows(PWM) + "what is this\n")


@pytest.mark.parametrize("kind", ["PWM", "ICM"])
def test_matrices_of_scores_are_refused_by_type(read, kind):
    with pytest.raises(InputError, match=f"type {kind}"):
        read(f"---\nname: m\ntype: {kind}\nmotif:\n" + rows(PWM * 1.7, "- "))


def test_universalmotif_says_what_else_it_knows(read):
    text = "---\nname: {}\naltname: Tal1\nfamily: bHLH\nnsites: 232.0\nalphabet: {}\ntype: PPM\nmotif:\n"
    file = read(text.format("m1", "RNA") + rows(PWM, "- ") + "\n" + text.format("m2", "RNA") + rows(PWM[:2], "- "))
    assert [(m.name, m.alt_name, m.tf_family, m.nsites, m.width) for m in file] == [
        ("m1", "Tal1", ("bHLH",), 232, 4),
        ("m2", "Tal1", ("bHLH",), 232, 2),
    ]
    assert file.rna and file.format == "universalmotif"
    with pytest.raises(InputError, match="alphabet AA"):
        read(text.format("m1", "AA") + rows(PWM, "- "))


# Positions without counts, and probabilities that do not sum to 1


@pytest.mark.parametrize("dress", DRESSES)
def test_a_position_without_counts_is_flat_and_said(read, capsys, dress):
    counts = np.vstack([COUNTS, [[0, 0, 0, 0]], COUNTS[:1]])
    (motif,) = read(DRESSES[dress](counts))
    np.testing.assert_array_equal(motif.pwm, np.vstack([FULL, [[0.25] * 4], FULL[:1]]))
    np.testing.assert_array_equal(motif.counts, counts)
    assert "positions without counts in 1 motif, taken as flat" in capsys.readouterr().err


def test_one_odd_position_of_probabilities(read, capsys):
    odd = np.vstack([PWM, [[0.2, 0.2, 0.2, 0.2]]])
    np.testing.assert_allclose(read(">m\n" + rows(odd))[0].pwm, np.vstack([PWM, [[0.25] * 4]]))
    assert "do not sum to 1 in 1 motif" in capsys.readouterr().err
    for dress in ("MEME", "columns", "colons"):
        with pytest.raises(InputError, match=r"sum to 0\.8, not 1"):
            read(DRESSES[dress](odd))


# Names


def test_names_that_occur_again_get_a_number_and_one_note(read, capsys):
    names = ["X", "Y", "X", "X_2", "X", "Y", "Z"]
    file = read("".join(f">{name}\n" + rows(COUNTS.T) for name in names))
    assert [motif.name for motif in file] == ["X", "Y", "X_3", "X_2", "X_4", "Y_2", "Z"]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_collection_of_one_name_takes_no_long_time(read):
    file = read("".join(f">X\n{rows(COUNTS.T)}" for _ in range(1500)))
    assert len({motif.name for motif in file}) == 1500


def test_transfac_without_slashes_between_motifs(read):
    block = "AC {0}\nXX\nID n\nXX\nDE {0} d\nPO A C G T\n" + rows(COUNTS, ["1 ", "2 ", "3 ", "4 "]) + "XX\n"
    assert [motif.name for motif in read(block.format("M1") + block.format("M2") + "//\n")] == ["M1", "M2"]
    stamp = "DE\t{0}\n" + rows(COUNTS, ["0\t", "1\t", "2\t", "3\t"], "\t") + "XX\n"
    assert [motif.name for motif in read(stamp.format("S1") + stamp.format("S2"))] == ["S1", "S2"]


# Alphabets of MEME files

BLOCK = 'ALPHABET "{0}" {0}-LIKE\n{1}A "Adenine" CC0000 ~ {2} "x" 008000\nC "Cytosine" 0000CC ~ G "Guanine" FFB300\n{3}'


@pytest.mark.parametrize("end", ["END ALPHABET\n", "end alphabet\n", "****\n\n", "\nstrands: + -\n", ""])
@pytest.mark.parametrize("start", ["", "*****\n"])
@pytest.mark.parametrize("others", ["", "N = ACGT\n", 'N "Any" = ACGT\n. = ACGT\nU = T\n'])
def test_alphabet_blocks_end_in_several_ways(read, end, start, others):
    head = "MEME version 5\n\n" + BLOCK.format("DNA", start, "T", others) + end
    file = read(head + "MOTIF m\nletter-probability matrix: alength= 4\n" + rows(PWM))
    np.testing.assert_array_equal(file[0].pwm, PWM)
    assert not file.rna


@pytest.mark.parametrize("alphabet", ["ALPHABET= ACGU\n", BLOCK.format("RNA", "", "U", "T = U\n") + "END ALPHABET\n"])
def test_alphabets_of_rna_are_told(read, alphabet):
    assert read("MEME version 5\n" + alphabet + "MOTIF m\nletter-probability matrix: w= 4\n" + rows(PWM)).rna


@pytest.mark.parametrize("end", ["END ALPHABET\n", "****\n", ""])
def test_more_letters_than_four_are_no_dna(read, end):
    block = BLOCK.format("Meth", "", "T", 'M "mC" 006666 ~ m "x" 660066\n') + end
    with pytest.raises(InputError, match="row 2: alphabet ACGMTm is not DNA"):
        read("MEME version 5\n" + block + "MOTIF m\nletter-probability matrix: w= 4\n" + rows(PWM))


# Files as they lie


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files(read, pack):
    assert read(pack(rows(PWM[:3]).encode()), "my motif.pfm.xz")[0].name == "my_motif"
    with pytest.raises(InputError, match="damaged or cut off"):
        read(pack(rows(np.random.default_rng(0).random((99, 4))).encode())[:-30])


def test_files_that_would_fill_the_memory(read, monkeypatch):
    with pytest.raises(InputError, match="row 2: is longer"):
        read(">m\n" + "1 " * (1 << 20) + "\n")
    monkeypatch.setattr(text_module, "LARGEST_FILE", 1 << 12)
    with pytest.raises(InputError, match="larger than"):
        read(gzip.compress(b">m\n" + b"1 2 3 4\n" * 1000))


def write_folder(folder, **texts):
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


CISBP = TOLD["columns"](PWM)[2:]
EMPTY = "Pos\tA\tC\tG\tT\n"


def test_a_folder_and_many_files_are_a_database(tmp_path, capsys):
    folder = write_folder(tmp_path / "pwms", M1=CISBP, M2=EMPTY, M3=CISBP, **{".hidden": "no"})
    database = jaspar.open_database(folder)
    assert [motif.name for motif in database] == ["M1", "M3"] and database.name == str(folder)
    assert "left out 1 file with an empty table" in capsys.readouterr().err
    same = jaspar.open_databases(sorted(folder.glob("M*")))
    assert same.digest == database.digest and same.name == f"{folder / 'M1'} + {folder / 'M3'}"
    assert jaspar.open_databases([folder / "M1"] * 9).name == f"{folder / 'M1'} + 8 more"


def test_folders_without_motifs(tmp_path):
    with pytest.raises(InputError, match="no rows"):
        jaspar.open_database(write_folder(tmp_path / "empty", M1=EMPTY))
    with pytest.raises(InputError, match="no files"):
        jaspar.open_database(write_folder(tmp_path / "bare"))
    with pytest.raises(InputError, match=r"odd/readme, row 1: not a motif file"):
        jaspar.open_database(write_folder(tmp_path / "odd", M1=CISBP, readme="hello\n"))


def test_names_in_several_databases_are_told_apart(tmp_path):
    for name, reach in (("a", 4), ("b", 3), ("c", 2)):
        write_motifs([Motif("CTCF", PWM[:reach]), Motif(name, PWM)], tmp_path / f"{name}.meme")
    again = write_folder(tmp_path / "x", **{"a.meme": (tmp_path / "a.meme").read_text()})
    files = [*sorted(tmp_path.glob("*.meme")), again / "a.meme", again / "a.meme"]
    assert jaspar.open_databases(files).target_names == (
        "CTCF",
        "a",
        "CTCF@b",
        "b",
        "CTCF@c",
        "c",
        "CTCF@a",
        "a@a",
        "CTCF@a_2",
        "a@a_2",
    )
