"""Writing motif files, and reading them back."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.motif_strategies import BACKGROUND, COUNTS, PWM, WORDS, motif_lists, pwms

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import Motif, read_motifs, write_motifs
from kipoi_motifrep.motifs.files import WRITERS

DATA = Path(__file__).parent / "data"


@settings(deadline=None)
@given(motif_lists(), pwms(max_width=1))
def test_meme_round_trip(tmp_path_factory, motifs, background):
    background = (background[0] + 0.01) / 1.04
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
    motifs = [
        Motif(
            m.name,
            m.pwm,
            "" if m.alt_name == m.name else m.alt_name,
            m.nsites,
            m.counts,
            [c.replace("::", "") or "x" for c in classes],
            [f.replace("::", "") or "x" for f in families],
        )
        for m in motifs
    ]
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
    assert (
        (tmp_path / "m.meme").read_text()
        == """MEME version 4

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
    )


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
    (motif,) = read_motifs(tmp_path / "m.meme")
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


@pytest.mark.parametrize("format", sorted(WRITERS))
def test_a_name_with_bytes_that_are_no_text_is_written_with_escapes(tmp_path, format):
    """Such are names of files, by which motifs of several networks are named."""
    write_motifs([Motif("net\udcff/filter0", np.eye(4))], tmp_path / "m", format=format)
    assert rb"net\udcff/filter0" in (tmp_path / "m").read_bytes()
