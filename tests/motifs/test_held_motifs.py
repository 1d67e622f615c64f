"""Motifs that a caller holds, where a motif file is taken."""

import numpy as np
import pandas
import pytest

from kipoi_motifrep import InputError, Motif, match, write_motifs
from kipoi_motifrep.motifs.files import motifs_of

EYE = np.eye(4)
ONE, TWO = Motif("one", EYE[[0, 1, 2, 0, 1]], nsites=20), Motif("two", EYE[[3, 3, 2, 0, 3]], nsites=20)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (ONE, ["one"]),
        ([ONE, TWO], ["one", "two"]),
        (iter([ONE]), ["one"]),
        ([ONE.pwm, TWO], ["motif0", "two"]),
        (ONE.pwm, ["motif0"]),
        (np.stack([ONE.pwm, TWO.pwm]), ["motif0", "motif1"]),
        ({"a": ONE.pwm, "b": TWO.pwm.tolist()}, ["a", "b"]),
        (motifs_of([ONE]), ["one"]),
        (pandas.DataFrame(ONE.pwm, columns=list("ACGT")), ["motif0"]),
        ([pandas.DataFrame(ONE.pwm[:, ::-1], columns=list("TGCA"))], ["motif0"]),
        ({"a": pandas.DataFrame(ONE.pwm.T, index=list("ACGU"))}, ["a"]),
    ],
)
def test_what_holds_motifs(given, names):
    found = motifs_of(given)
    assert [motif.name for motif in found] == names
    np.testing.assert_array_equal(found[0].pwm, ONE.pwm)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "type int; wanted is the name of a motif file"),
        ([], "no motifs"),
        ([ONE, ONE], "two motifs are named one"),
        (np.zeros((4, 7)), r"shape \(width, 4\), not \(4, 7\)"),
        (np.zeros((2, 3, 4)), "sums to 0"),
        ([ONE, "two"], "motif1 must be numbers"),
    ],
)
def test_what_does_not(given, message):
    with pytest.raises(InputError, match=message):
        motifs_of(given)


def test_matches_of_held_motifs_are_those_of_their_file(tmp_path):
    targets = tmp_path / "targets.meme"
    write_motifs([Motif("t1", EYE[[0, 1, 2, 0, 1]]), Motif("t2", EYE[[0, 3, 1, 0, 0]])], targets)
    write_motifs([ONE, TWO], tmp_path / "q.meme")
    held, read = match([ONE, TWO], targets, evalue=10), match(tmp_path / "q.meme", targets, evalue=10)
    np.testing.assert_array_equal(held.hits, read.hits)
    assert held.statuses == read.statuses and held.parameters["queries"] == "motifs in memory"
