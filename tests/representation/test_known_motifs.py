"""Which matrices stand for which label: files, databases, families."""

from __future__ import annotations

import pytest
from support.known_motifs import pwm, truth_file

import kipoi_motifrep
from kipoi_motifrep import InputError, Motif
from kipoi_motifrep.motifs.jaspar import Database, load
from kipoi_motifrep.representation import read_known_motifs


def test_shipped_truth_is_the_papers():
    truth = read_known_motifs("synthetic")
    assert len(truth.labels) == 12
    assert truth.labels["STAT1"] == ("MA0137.1", "MA0137.2", "MA0137.3")
    assert {"MA0660.1", "MA0773.1"} <= set(truth.labels["MEF2A"])
    published = read_known_motifs("synthetic-as-published")
    assert {"MA0660.1", "MA0773.1"} <= set(published.labels["STAT1"])
    assert not {"MA0660.1", "MA0773.1"} & set(published.labels["MEF2A"])
    everything = {one for ids in truth.labels.values() for one in ids}
    assert everything == {one for ids in published.labels.values() for one in ids}


def test_all_planted_matrices_are_found_in_the_papers_release():
    targets = read_known_motifs("synthetic").against(load("JASPAR2016"))
    assert targets.missing == ()


def test_in_vivo_truth_has_the_same_matrices():
    synthetic, invivo = read_known_motifs("synthetic"), read_known_motifs("invivo")
    assert {label.upper(): ids for label, ids in synthetic.labels.items()} == invivo.labels


def test_truth_of_a_data_set_is_of_its_labels_alone():
    truth = read_known_motifs("synthetic")
    some = truth.only(["CEBPB", "GABPA", "CTCF"])
    assert list(some.labels) == ["CEBPB", "Gabpa"]
    assert set(some.absent) == set(truth.labels) - set(some.labels) and some.digest != truth.digest
    assert truth.only(truth.labels) == truth
    assert truth.only(["enhancer"]) == truth  # a data set of other things than factors leaves nothing out


def test_truth_in_rows_and_with_commas_is_the_same(tmp_path):
    one = read_known_motifs(truth_file(tmp_path, "# note\nlabel\tid\nA\tM1.1,M2.1\nB\tM3\n")).labels
    two = read_known_motifs(truth_file(tmp_path, "A\tM1.1\nB\tM3\n\nA\tM2.1\tM1.1\r\n")).labels
    assert one == two == {"A": ("M1.1", "M2.1"), "B": ("M3",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A\tM1\nB\tM1\n", ["row 2", "M1", "A"]),
        ("A\n", ["row 1", "tab"]),
        ("# nothing\n", ["no labels"]),
        ("A\t , \n", ["row 1"]),
    ],
)
def test_bad_truth_is_named(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_known_motifs(truth_file(tmp_path, text))
    assert all(word in str(error.value) for word in [*words, "truth.tsv"])


def test_both_names_of_the_reader_are_public():
    assert kipoi_motifrep.read_truth is kipoi_motifrep.read_known_motifs is read_known_motifs


def test_no_such_truth():
    with pytest.raises(InputError, match="synthetic-as-published"):
        read_known_motifs("nothing.tsv")


def test_other_versions_count_only_where_no_listed_one_is_there(tmp_path):
    truth = read_known_motifs(truth_file(tmp_path, "A\tMA1.1,MA1.2\nB\tMA2.1\n"))
    database = Database(tuple(Motif(name, pwm(0)) for name in ("MA1.2", "MA1.3", "MA2.4", "MA22.1")), "test")
    assert truth.against(database).of_target == ("A", None, "B", None)


def test_families_are_those_of_the_labels_own_matrices(tmp_path):
    truth = read_known_motifs(truth_file(tmp_path, "A\tM1\nB\tM2\n"))
    families = {"M1": ("x", "y"), "M2": ("y",), "M3": ("y",), "M4": ("z",), "M5": ("z", "x")}
    database = Database(tuple(Motif(name, pwm(0), tf_family=one) for name, one in families.items()), "test")
    assert truth.against(database).by_family == ("A", "B", "A", None, "A")


def test_truth_of_another_database_is_refused(tmp_path):
    with pytest.raises(InputError, match="none of its matrices"):
        read_known_motifs(truth_file(tmp_path, "A\tQ1\n")).against(Database((Motif("M1", pwm(0)),), "test"))
