"""What interpret shares with its siblings: intervals, sites, thresholds of matches, names."""

import json

import numpy as np
import pytest
from support.small_networks import LENGTH, network_of

from kipoi_motifrep import extract_filters, interpret, match, read_motifs
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.motifs.matches import MATCHED

DATABASE = "JASPAR2016"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A genome, intervals of it, and a small network."""
    folder, random = tmp_path_factory.mktemp("options"), np.random.default_rng(0)
    (folder / "genome.fa").write_text(f">chr1\n{''.join(random.choice(list('ACGT'), 9000))}\n")
    starts = random.choice(8000, 80, replace=False)
    (folder / "peaks.bed").write_text("".join(f"chr1\t{start}\t{start + LENGTH}\n" for start in starts))
    network_of(padding="same").save(folder / "network.keras")
    return folder


def given(folder):
    return {"intervals": folder / "peaks.bed", "genome": folder / "genome.fa"}


def test_intervals_sites_and_a_name(folder, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["interpret", str(folder / "network.keras"), "--intervals", str(folder / "peaks.bed")]
    command += ["--genome", str(folder / "genome.fa"), "--no-null", "--database", DATABASE, "-o", str(out)]
    assert main([*command, "--sites", "--name", "my <b>net</b>"]) == 0
    extract_filters(folder / "network.keras", **given(folder), sites=True, output=tmp_path / "filters")
    for name in ("sites.bed", "filters.meme", "filters.tsv"):
        assert (out / name).read_bytes() == (tmp_path / "filters" / name).read_bytes()
    report = json.loads((out / "interpretation.json").read_text())
    assert report["network"]["name"] == "my <b>net</b>" and report["sentence"].startswith("my <b>net</b> ")
    assert report["network"]["sequences"] == f"80 sequences of {LENGTH} bp from peaks.bed and genome.fa"
    assert "<b>net</b>" not in (out / "report.html").read_text()
    # Without sites nothing is done again; sites that are gone are made again.
    capsys.readouterr()
    assert main([*command, "--name", "other"]) == 0
    assert "filters: up to date" in capsys.readouterr().err
    assert json.loads((out / "interpretation.json").read_text())["network"]["name"] == "other"
    (out / "sites.bed").unlink()
    assert main([*command, "--sites"]) == 0 and (out / "sites.bed").exists()
    # Of other filters, no sites are left.
    assert main([*command, "--threshold", "0.7"]) == 0 and not (out / "sites.bed").exists()


@pytest.mark.parametrize(
    "rule", [{"qvalue": 0.4}, {"min_overlap": 5, "evalue": 2.0}, {"qvalue": 0.9, "min_overlap": 4}]
)
def test_thresholds_are_those_of_match(folder, tmp_path, rule):
    found = interpret(
        folder / "network.keras", **given(folder), **rule, database=DATABASE, importance=False, output=tmp_path / "out"
    )
    expected = match(tmp_path / "out/filters_trimmed.meme", DATABASE, **rule)
    assert found.matches.statuses == expected.statuses and found.matches.statuses.count(MATCHED)
    np.testing.assert_array_equal(found.matches.hits, expected.hits)
    again = interpret(
        folder / "network.keras", **given(folder), **rule, database=DATABASE, importance=False, output=tmp_path / "out"
    )
    assert again.matches.statuses == expected.statuses
    assert {name: again.matches.parameters[name] for name in rule} == rule
    assert again.representation.metrics == found.representation.metrics
    assert len(read_motifs(tmp_path / "out/filters_trimmed.meme")) == len(expected.statuses)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--qvalue", "2"], "qvalue must be between 0 and 1, not 2"),
        (["--min-overlap", "0"], "--min-overlap must be 1 or more, not 0"),
        (["--labels", "a,b"], "2 labels for 1 outputs of the network"),
    ],
)
def test_what_is_wrong_is_told_before_the_work(folder, tmp_path, capsys, options, words):
    command = ["interpret", str(folder / "network.keras"), "--intervals", str(folder / "peaks.bed")]
    assert main([*command, "--genome", str(folder / "genome.fa"), *options, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_motifs_are_left_out_and_calls_have_a_level(folder, tmp_path):
    """As in match; a second run at another level gives other calls of the same rates."""
    common = {**given(folder), "database": DATABASE, "importance": False, "evalue": 5.0, "output": tmp_path / "out"}
    found = interpret(folder / "network.keras", **common, exclude=["MA0139.1", "MA0079.3"])
    queries = tmp_path / "out/filters_trimmed.meme"
    expected = match(queries, DATABASE, evalue=5.0, exclude=["MA0139.1", "MA0079.3"], fdr=0.05)
    np.testing.assert_array_equal(found.matches.hits, expected.hits)
    assert found.matches.chance == expected.chance and found.matches.called == expected.called
    assert "without MA0139.1, MA0079.3, " in found.matches.database.describe()
    recorded = json.loads((tmp_path / "out/parameters.json").read_text())["parameters"]
    assert (recorded["exclude"], recorded["fdr"]) == (["MA0139.1", "MA0079.3"], 0.05)
    again = interpret(folder / "network.keras", **common, exclude=["MA0139.1", "MA0079.3"])
    assert again.matches.chance == found.matches.chance and again.report == found.report
    other = interpret(folder / "network.keras", **common, exclude=["MA0139.1", "MA0079.3"], fdr=1.0)
    assert other.matches.chance.fdr == found.matches.chance.fdr
    assert other.matches.called == tuple(status == MATCHED for status in other.matches.statuses)
    assert other.representation.metrics["called"] == other.representation.metrics["matched"]
