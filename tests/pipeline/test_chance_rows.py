"""Rows of a report: the match that each speaks of, and how it fares against its own shuffles."""

from __future__ import annotations

import csv

import pytest

from kipoi_motifrep import match
from kipoi_motifrep.report import read_interpretation


def table(folder, name):
    with open(folder / name, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_row_speaks_of_one_match_and_folds_families(shipped):
    """Badge, coverage and label are of the match that is shown; every other is there once, or a member of one."""
    report, rows = read_interpretation(shipped / "cnn_25"), table(shipped / "cnn_25", "matches.tsv")
    found = match(shipped / "cnn_25/filters_trimmed.meme", "JASPAR2016")
    others = 0
    for i, row in enumerate(report.filters):
        own = [found.database.motifs[hit["target"]].name for hit in found.hits if hit["query"] == i]
        shown = [(one.target_id, *(member.target_id for member in one.members)) for one in row.matches]
        assert sorted(name for names in shown for name in names) == sorted(own) and row.n_more == 0
        if not own:
            continue
        assert (row.match.true, row.match.coverage) == (row.true, row.coverage)
        assert row.best.target_id == own[0] == rows[i]["target"]
        if row.match != row.best:
            others += 1
            assert row.matches[:2] == (row.match, row.best) and row.best.true is None
        families = [set(one.family.split("::")) - {""} for one in row.matches if one != row.best or one == row.match]
        assert all(not one & other for n, one in enumerate(families) for other in families[:n])
    assert others and max(len(one.members) for row in report.filters for one in row.matches) >= 5


def test_rows_say_how_they_fare_against_chance(shipped):
    """The localist network's filters are called, the other's are like their shuffles, as many as match."""
    for name in ("cnn_25", "cnn_2"):
        report, rows = read_interpretation(shipped / name), table(shipped / name, "matches.tsv")
        called = [row["called"] == "yes" for row in rows]
        assert [bool(row.called) for row in report.filters] == called
        assert sum(row.like_chance for row in report.filters) == sum(
            row["status"] == "matched" and row["called"] == "no" for row in rows
        )
        for row, line in zip(report.filters, rows, strict=True):
            if line["p_chance"]:
                assert row.p_chance == pytest.approx(float(line["p_chance"]), rel=1e-3)
                assert row.fdr == pytest.approx(float(line["fdr"]), rel=1e-3)
            assert row.called is None or row.called == (row.fdr <= 0.05)
        assert sum(called) >= 24 if name == "cnn_25" else sum(called) <= 2
        row = {row["figure"]: row for row in table(shipped / name, "representation.tsv")}["called"]
        assert float(row["value"]) == pytest.approx(sum(called) / 30, abs=1e-5) and row["shuffled_mean"] == ""
        assert f"{sum(called)} of them at a false discovery rate of 5 %" in report.sentence
        # The shares by chance are those of the same shuffles: 104 of each filter.
        assert report.nulls[0].draws == 104
        page = (shipped / name / "report.html").read_text()
        assert page.count(">like chance<") == sum(row.like_chance for row in report.filters)
    shares = [float(row["share"]) for row in table(shipped / "cnn_2", "chance_targets.tsv")]
    assert sum(shares) == pytest.approx(1, abs=1e-4) and shares == sorted(shares, reverse=True)
    assert [one.share for one in report.chance_targets] == pytest.approx(shares[: len(report.chance_targets)], abs=1e-4)
