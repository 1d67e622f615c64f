"""The match command and function: files in, tables out, and what is refused."""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from kipoi_motifrep import Motif, match, read_motifs, write_motifs
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.statuses import MATCHED
from kipoi_motifrep.motifs import MotifFile, jaspar
from kipoi_motifrep.motifs.jaspar import Database
from kipoi_motifrep.motifs.matches import Matches, read_matches
from kipoi_motifrep.motifs.tomtom import HIT, tomtom
from kipoi_motifrep.motifs.tomtom.tsv import COLUMNS

FLAT = np.full((9, 4), 0.25)


def random_pwm(seed, width=9):
    return np.random.default_rng(seed).dirichlet([0.2] * 4, width)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Queries: a shifted reverse complement of target T7, a dead filter, a flat motif, a chance motif."""
    folder = tmp_path_factory.mktemp("motifs")
    targets = [Motif(f"T{i}", random_pwm(i), f"name {i}", nsites=50, tf_family=("family",)) for i in range(60)]
    write_motifs(targets, folder / "targets.meme")
    write_motifs(
        [
            Motif("like_T7", targets[7].pwm[::-1, ::-1][1:8], nsites=30),
            Motif("filter_1", FLAT, "dead", nsites=9),
            Motif("flat", FLAT, nsites=9),
            Motif("chance", np.random.default_rng(99).dirichlet([5] * 4, 8), nsites=30),
        ],
        folder / "queries.meme",
    )
    return folder


@pytest.fixture(scope="module")
def written(folder):
    out = folder / "out"
    assert (
        main(["match", str(folder / "queries.meme"), "--database", str(folder / "targets.meme"), "-o", str(out)]) == 0
    )
    return out


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t"))


def test_writes_its_three_files_only(written):
    assert sorted(path.name for path in written.iterdir()) == ["matches.tsv", "parameters.json", "tomtom.tsv"]


def test_tomtom_table(written):
    text = (written / "tomtom.tsv").read_text()
    lines = text.splitlines()
    assert lines[0] == "\t".join(COLUMNS)
    assert lines[-4] == ""
    assert [line.startswith("#") for line in lines] == [False] * (len(lines) - 3) + [True] * 3
    first = rows_of(written / "tomtom.tsv")[0]
    assert (first["Query_ID"], first["Target_ID"], first["Optimal_offset"]) == ("like_T7", "T7", "1")
    assert (first["Orientation"], first["Overlap"]) == ("-", "7")
    # The target reads in the orientation of the match, so the query is a part of it.
    assert first["Query_consensus"] == first["Target_consensus"][1:8]


def test_of_tied_letters_that_of_tomtom_is_printed(tmp_path):
    # The motifs and letters are those of Tomtom 5.4.1's rows on JASPAR 2020: MA0051.1, MA0059.1, MA0615.1, MA0631.1,
    # MA0851.1 and MA0159.1.
    cells = [
        (12, (0, 0.5, 0.5, 0), "C"),
        (21, (0.095238, 0.428571, 0.428571, 0.047619), "G"),
        (100, (0.4, 0.4, 0.07, 0.13), "A"),
        (99, (0.40404, 0.080808, 0.111111, 0.40404), "T"),
        (100, (0.27, 0.27, 0.24, 0.22), "C"),
        (23, (0.173913, 0.304348, 0.217391, 0.304348), "C"),
    ]
    for nsites, row, letter in cells:
        motif = Motif("tied", [row, (1, 0, 0, 0), (0, 1, 0, 0)], nsites=nsites)
        write_motifs([motif], tmp_path / "tied.meme")
        match(tmp_path / "tied.meme", tmp_path / "tied.meme", evalue=np.inf, output=tmp_path / "out")
        found = rows_of(tmp_path / "out" / "tomtom.tsv")[0]
        assert (found["Query_consensus"], found["Target_consensus"]) == (f"{letter}AC", f"{letter}AC")


def test_numbers_have_six_digits_like_c(written, folder):
    found = match(folder / "queries.meme", folder / "targets.meme")
    for row, hit in zip(rows_of(written / "tomtom.tsv"), found.hits, strict=True):
        for column, name in (("p-value", "p_value"), ("E-value", "e_value"), ("q-value", "q_value")):
            assert row[column] == f"{hit[name]:g}"
            assert len(re.sub(r"^[0.]+|e.*|\.", "", row[column])) <= 6


def test_matches_have_one_row_for_each_query(written):
    rows = rows_of(written / "matches.tsv")
    assert [(row["query"], row["status"]) for row in rows] == [
        ("like_T7", "matched"),
        ("filter_1", "dead"),
        ("flat", "no information"),
        ("chance", "no match"),
    ]
    best = rows_of(written / "tomtom.tsv")[0]
    assert (rows[0]["target"], rows[0]["offset"], rows[0]["e_value"]) == ("T7", "1", best["E-value"])
    assert rows[0]["n_matches"] == str(len(rows_of(written / "tomtom.tsv")))
    assert rows[1]["target"] == "" and rows[1]["n_matches"] == "0"


@pytest.mark.parametrize("first", [None, 4])
def test_matches_of_one_family_are_folded(first):
    """Each joins the first line, from the best on, whose first match shares a family with it."""
    families = [("Fos", "Jun"), (), ("Jun",), ("Maf",), ("Fos",), (), ("Maf", "Jun")]
    targets = Database(tuple(Motif(f"T{i}", random_pwm(i), tf_family=own) for i, own in enumerate(families)), "test")
    hits = np.zeros(9, HIT)
    hits["query"], hits["target"] = [0, *[1] * 7, 2], [3, *range(7), 0]
    queries = MotifFile(tuple(Motif(f"q{i}", random_pwm(9)) for i in range(3)), None, "meme", None, "")
    found = Matches(queries, targets, (MATCHED,) * 3, hits, {})
    assert found.by_family(0) == [[0]]
    if first is None:
        assert found.by_family(1) == [[1, 3, 5, 7], [2], [4], [6]]
    else:
        assert found.by_family(1, first) == [[4, 7], [1, 3, 5], [2], [6]]


def test_motifs_without_information_take_no_part(folder):
    # As if the file did not hold them: the random numbers behind q-values do not move on for them.
    found = match(folder / "queries.meme", folder / "targets.meme", evalue=np.inf)
    expected = tomtom([found.queries[0], found.queries[3]], found.database, evalue=np.inf)
    assert set(found.hits["query"]) == {0, 3}
    for name in ("target", "p_value", "q_value", "offset"):
        np.testing.assert_array_equal(found.hits[name], expected[name])


def test_parameters_are_recorded(written):
    recorded = json.loads((written / "parameters.json").read_text())
    assert recorded["command"] == "match"
    parameters = recorded["parameters"]
    assert parameters["evalue"] == 0.1 and parameters["qvalue"] is None
    assert "60 motifs" in parameters["database_description"]
    assert len(parameters["database_sha256"]) == len(parameters["queries_sha256"]) == 64


def test_jaspar_release_with_families(folder, tmp_path):
    assert (
        main(
            [
                "match",
                str(folder / "queries.meme"),
                "--database",
                "JASPAR2016",
                str(folder / "targets.meme"),
                "--evalue",
                "50",
                "-o",
                str(tmp_path),
            ]
        )
        == 0
    )
    targets = {row["Target_ID"] for row in rows_of(tmp_path / "tomtom.tsv")}
    assert "T7" in targets and any(target.startswith("MA") for target in targets)
    assert rows_of(tmp_path / "matches.tsv")[0]["target"] == "T7"


def test_q_value_threshold_and_other_options(folder, tmp_path):
    arguments = [
        "match",
        str(folder / "queries.meme"),
        "--database",
        str(folder / "targets.meme"),
        "--min-overlap",
        "5",
        "--incomplete-scores",
        "--threads",
        "2",
        "-o",
        str(tmp_path),
        "--qvalue",
    ]
    assert main(arguments) == 0
    rows = rows_of(tmp_path / "tomtom.tsv")
    assert rows and all(float(row["q-value"]) <= 0.5 and int(row["Overlap"]) >= 5 for row in rows)
    assert main([*arguments, "0"]) == 0
    assert rows_of(tmp_path / "tomtom.tsv") == []
    assert {row["status"] for row in rows_of(tmp_path / "matches.tsv")} == {"dead", "no information", "no match"}


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["missing.meme"], "missing.meme"),
        (["queries.meme", "--database", "JASPAR1999"], "JASPAR1999"),
        (["queries.meme", "--taxon", "martians"], "martians"),
        (["queries.meme", "--threads", "0"], "threads"),
        (["queries.meme", "--evalue", "nan"], "evalue"),
        (["cut.meme"], "cut.meme, row"),
        (["empty.meme"], "empty.meme"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(folder, tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(folder)
    text = (folder / "queries.meme").read_text()
    (folder / "cut.meme").write_text(text[: text.index("MOTIF chance") + 60])
    (folder / "empty.meme").write_text("")
    assert main(["match", *arguments, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_heavy_imports(folder, tmp_path):
    code = (
        "import sys; from kipoi_motifrep.cli.program import main; "
        f"main(['match', {str(folder / 'queries.meme')!r}, '--database', 'JASPAR2016', '-o', {str(tmp_path)!r}]); "
        # Not scipy: numba loads its linear algebra.
        "print(sorted({'tensorflow', 'keras', 'kipoi', 'pandas', 'sklearn', 'Bio', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "function", "given"),
    [
        ("match", "motifs.matches.match", ["QUERIES", "-o", "out"]),
        ("interpret", "pipeline.interpret", ["MODEL", "--fasta", "x", "-o", "out"]),
    ],
)
def test_functions_have_the_commands_defaults(name, function, given):
    module, _, function = function.rpartition(".")
    parser = argparse.ArgumentParser()
    importlib.import_module(f"kipoi_motifrep.cli.{name}").add_arguments(parser)
    options = vars(parser.parse_args(given))
    assert options.pop("arch", None) is None  # in Python a part of the model: NetworkFile(model, arch)
    parameters = inspect.signature(getattr(importlib.import_module(f"kipoi_motifrep.{module}"), function)).parameters
    assert set(options) == set(parameters) - {"progress", "sequences"}  # arrays and strings in hand: Python alone
    for one in set(options) - {"queries", "model", "fasta", "output"}:
        default = parameters[one].default
        assert options[one] == ([default] if one == "database" else default), one


def test_q_values_are_those_of_the_whole_file(tmp_path):
    """A dead filter in front uses up Tomtom's random numbers, though it is given no matches."""
    dice = np.random.default_rng(5)
    motifs = [Motif(f"m{i}", dice.dirichlet([0.4] * 4, 9), nsites=20) for i in range(60)]
    queries = [Motif("dead_one", np.full((9, 4), 0.25), "dead", nsites=9), *motifs[:3]]
    write_motifs(queries, tmp_path / "queries.meme")
    write_motifs(motifs, tmp_path / "targets.meme")
    found = match(tmp_path / "queries.meme", tmp_path / "targets.meme", evalue=60.0)
    expected = tomtom(read_motifs(tmp_path / "queries.meme"), read_motifs(tmp_path / "targets.meme"), evalue=60.0)
    assert found.statuses[0] == "dead" and 0 in expected["query"]
    np.testing.assert_array_equal(found.hits, expected[expected["query"] > 0])


# RNA, and databases that share names

LETTERS = "ACGU"


def write_rna(path, *texts, alphabet="ACGU"):
    def row(letter):
        return " ".join("0.94" if letter == other else "0.02" for other in LETTERS)

    path.write_text(
        f"MEME version 4\n\nALPHABET= {alphabet}\n\n"
        + "".join(
            f"MOTIF {name}\nletter-probability matrix: alength= 4 w= {len(text)} nsites= 50 E= 0\n"
            + "".join(row(letter) + "\n" for letter in text)
            + "\n"
            for name, text in texts
        )
    )
    return path


QUERY, SITE, ANTI = ("q", "UGCAUGA"), ("site", "UGCAUGA"), ("anti", "UCAUGCA")


@pytest.mark.parametrize(
    "rna_query, rna_database, norc, strands",
    [
        (True, False, False, 1),
        (False, True, False, 1),
        (True, True, False, 1),
        (False, False, True, 1),
        (False, False, False, 2),
    ],
)
def test_rna_has_one_strand(tmp_path, rna_query, rna_database, norc, strands):
    names = {True: "ACGU", False: "ACGT"}
    queries = write_rna(tmp_path / "q.meme", QUERY, alphabet=names[rna_query])
    database = write_rna(
        tmp_path / "db.meme", SITE, ANTI, ("one", "AAUAAAG"), ("two", "GGGAGGG"), alphabet=names[rna_database]
    )
    found = match(queries, database, evalue=10, norc=norc, output=tmp_path / "out")
    assert set(found.hits["orientation"].tolist()) == ({"+"} if strands == 1 else {"+", "-"})
    # The first from Tomtom with -norc, the second from Tomtom.
    assert found.hits["p_value"][0] == pytest.approx({1: 5.55847e-05, 2: 0.000128794}[strands], rel=1e-5)
    assert found.parameters["norc"] == (strands == 1)
    command = next(
        line
        for line in (tmp_path / "out/tomtom.tsv").read_text().splitlines()
        if "kipoi-motifrep" in line and "--database" in line
    )
    assert ("--norc" in command) == (strands == 1)
    again = read_matches(tmp_path / "out", queries, jaspar.open_database(database), evalue=10)
    assert again.parameters["norc"] == (rna_query or rna_database)


def test_the_command_says_that_one_strand_was_compared(tmp_path, capsys):
    queries = write_rna(tmp_path / "q.meme", QUERY, alphabet="ACGT")
    arguments = ["match", str(queries), "--database", str(queries), "-o", str(tmp_path / "out")]
    assert main(arguments) in (0, None) and "one strand" not in capsys.readouterr().err
    assert main([*arguments, "--norc"]) in (0, None) and "one strand" in capsys.readouterr().err


def test_results_of_databases_that_share_names_are_read_back_as_they_were(tmp_path):
    one = write_rna(tmp_path / "one.meme", ("CTCF", "ACGUACGU"), ("X", "AAAACCCC"), alphabet="ACGT")
    other = write_rna(tmp_path / "other.meme", ("CTCF", "UUGGACCA"), ("Y", "ACGUACGA"), alphabet="ACGT")
    queries = write_rna(tmp_path / "q.meme", ("a", "UUGGACCA"), ("b", "ACGUACGU"), alphabet="ACGT")
    database = jaspar.open_databases([one, other])
    found = match(queries, [one, other], evalue=1, output=tmp_path / "out")
    again = read_matches(tmp_path / "out", queries, database, evalue=1)
    assert again.hits["target"].tolist() == found.hits["target"].tolist()
    assert again.table() == found.table()
    assert [row[2] for row in found.table()] == ["CTCF@other", "CTCF"]
    assert "\tCTCF@other\t" in (tmp_path / "out/tomtom.tsv").read_text()
