"""Metrics of a network against slow and obvious references: coverage, assignment, groups, null."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.known_motifs import pwm, truth_file

from kipoi_motifrep import Motif, information_content
from kipoi_motifrep.core.statuses import DEAD, MATCHED, NO_MATCH
from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.motifs import MotifFile
from kipoi_motifrep.motifs.chance import n_shuffles
from kipoi_motifrep.motifs.jaspar import Database
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.motifs.tomtom import HIT, tomtom
from kipoi_motifrep.representation import coverage, read_known_motifs, represent, similar_filters
from kipoi_motifrep.representation.coverage import LOCALIST_FROM, localist_index
from kipoi_motifrep.representation.metrics import assign


def matches_of(queries, targets, evalue=0.1, dead=()):
    """Matches of motifs in memory; those in `dead` take no part."""
    file = MotifFile(tuple(queries), None, "meme", None, "")
    database = Database(tuple(targets), "test")
    compared = [i for i in range(len(queries)) if i not in dead]
    hits = tomtom([queries[i] for i in compared], targets, evalue=evalue).copy()
    hits["query"] = np.array(compared, int)[hits["query"]]
    found = set(hits["query"].tolist())
    statuses = tuple(DEAD if i in dead else MATCHED if i in found else NO_MATCH for i in range(len(queries)))
    return Matches(file, database, statuses, hits, {"evalue": evalue, "min_overlap": 1, "incomplete_scores": False})


# Coverage


def slow_coverage(query, target, offset, orientation):
    target = target[::-1, ::-1] if orientation == "-" else target
    held = sum(
        min(information_content(query[i]), information_content(target[i + offset]))
        for i in range(len(query))
        if 0 <= i + offset < len(target)
    )
    return held / sum(information_content(row) for row in target)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(-8, 8), st.sampled_from("+-"), st.integers(0, 10**6))
def test_coverage_is_the_sum_over_aligned_columns(w, n, offset, orientation, seed):
    query, target = pwm(seed, w), pwm(seed + 1, n)
    found = coverage(query, target, offset, orientation)
    assert found == pytest.approx(slow_coverage(query, target, offset, orientation))
    assert 0 <= found <= 1 + 1e-12
    turned = len(target) - len(query) - offset  # the same alignment, seen from the other strand
    assert found == pytest.approx(coverage(query[::-1, ::-1], target, turned, "+-"[orientation == "+"]))


def test_a_motif_covers_itself_and_flat_columns_cover_nothing():
    target = pwm(1)
    assert coverage(target, target, 0, "+") == pytest.approx(1)
    assert coverage(target[::-1, ::-1], target, 0, "-") == pytest.approx(1)
    assert coverage(np.full((20, 4), 0.25), target, -5, "+") == 0
    padded = np.concatenate([np.full((3, 4), 0.25), target[2:6]])
    assert coverage(padded, target, -1, "+") == pytest.approx(coverage(target[2:6], target, 2, "+"))


def test_index_counts_filters_without_a_match():
    assert localist_index(np.array([1.0, 0.5, 0, 0])) == pytest.approx(0.375)


def test_the_borders_lie_where_the_page_on_the_method_says(checkout):
    """The index of the paper's localist and distributed networks, in the results that are kept with the project."""
    rows = read_table(checkout / "docs/results/synthetic/networks.tsv")
    localist, distributed = (
        [
            float(row["localist_index"])
            for row in rows
            if row["variant"] in names and (row["first_activation"], row["layer"]) == ("relu", "conv1")
        ]
        for names in (
            ("cnn_10", "cnn_25", "cnn_50", "cnn_100", "cnn_50_2", "cnn9_25"),
            ("cnn_2", "cnn_4", "cnn9_4", "cnn3_2"),
        )
    )
    assert (len(localist), len(distributed)) == (30, 20)
    assert max(distributed) < LOCALIST_FROM < min(localist)
    text = " ".join((checkout / "docs/method.md").read_text().split())
    assert f"have {min(localist):.2f} to {max(localist):.2f}," in text
    assert f"cnn3_2) {min(distributed):.2f} to {max(distributed):.2f}." in text


# What matches mean


def test_verdicts_follow_the_hits_in_plain_loops(tmp_path):
    random = np.random.default_rng(0)
    targets = [Motif(f"M{i}", pwm(i), tf_family=(f"family{i % 3}",)) for i in range(6)]
    queries = [Motif(f"q{i}", pwm(50 + i, 6)) for i in range(9)]
    truth = read_known_motifs(truth_file(tmp_path, "A\tM1,M4\nB\tM5\n")).against(Database(tuple(targets), "test"))
    hits = np.zeros(20, HIT)
    hits["query"] = np.sort(random.integers(0, 8, 20))  # the last has none
    hits["target"], hits["offset"] = random.integers(0, 6, 20), random.integers(-3, 4, 20)
    hits["orientation"] = random.choice(["+", "-"], 20)
    found = assign(hits, queries, targets, truth)
    families = {"family1": "A", "family2": "B"}
    for i, query in enumerate(queries):
        own = [hit for hit in hits if hit["query"] == i]
        labels = [truth.of_target[hit["target"]] for hit in own]
        by_family = [truth.of_target[hit["target"]] or families.get(f"family{hit['target'] % 3}") for hit in own]
        assert found.labels[i] == next((label for label in labels if label), None)
        assert found.best_labels[i] == (labels[0] if labels else None)
        assert found.family_labels[i] == next((label for label in by_family if label), None)
        decisive = next((hit for hit, label in zip(own, labels, strict=True) if label), own[0] if own else None)
        expected = (
            0
            if decisive is None
            else slow_coverage(query.pwm, targets[decisive["target"]].pwm, decisive["offset"], decisive["orientation"])
        )
        assert found.coverage[i] == pytest.approx(expected)
    figures = found.metrics(truth)
    assert figures["true"] == pytest.approx(sum(label is not None for label in found.labels) / 9)
    assert figures["labels"] == len(set(found.labels) - {None})
    assert figures["index"] == pytest.approx(found.coverage.mean())
    assert figures["whole"] + figures["partial"] == pytest.approx(figures["matched"])


def planted(order=None):
    """Whole motifs, a part, a stranger, a dead filter, against targets they are from."""
    targets = [Motif(f"M{i}", pwm(i, 10, 0.05), nsites=50) for i in range(40)]
    queries = [
        Motif("whole", targets[3].pwm, nsites=10),
        Motif("turned", targets[3].pwm[::-1, ::-1], nsites=10),
        Motif("part", targets[5].pwm[:5], nsites=5),
        Motif("stranger", pwm(999, 8, 5), nsites=8),
        Motif("dead", np.full((10, 4), 0.25), "dead", nsites=10),
        Motif("other", targets[7].pwm, nsites=10),
    ]
    if order is not None:
        queries = [queries[i] for i in order]
    dead = [i for i, query in enumerate(queries) if query.name == "dead"]
    return matches_of(queries, targets, dead=dead)


def test_figures_of_planted_filters(tmp_path):
    found = planted()
    truth = read_known_motifs(truth_file(tmp_path, "A\tM3\nB\tM5\nC\tM9\n")).against(found.database)
    result = represent(found, truth, seed=1)
    assert result.extent == ("whole", "whole", "partial", None, None, "whole")
    assert result.assignment.labels == ("A", "A", "B", None, None, None)
    assert result.figures is result.metrics  # by the name that files have for them
    assert result.metrics["matched"] == pytest.approx(4 / 6)
    assert result.metrics["true"] == pytest.approx(3 / 6)
    assert (result.metrics["labels"], result.metrics["dead"], result.metrics["groups"]) == (2, 1, 4)
    assert 0.5 < result.metrics["index"] < 4 / 6
    assert result.kind == "localist"
    assert result.shuffled.draws == n_shuffles(6) == 104
    assert result.shuffled.mean["matched"] < 0.3
    assert result.shuffled.mean["true"] <= result.shuffled.mean["matched"]


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(6)))
def test_figures_do_not_depend_on_the_order_of_filters(order):
    one, two = (represent(planted(chosen), shuffle=False) for chosen in (None, order))
    assert one.metrics == pytest.approx(two.metrics)
    assert {one.names[i]: one.assignment.coverage[i] for i in range(6)} == pytest.approx(
        {two.names[i]: two.assignment.coverage[i] for i in range(6)}
    )


def test_null_is_seeded_and_bounded():
    found = planted()
    one, two, other = (represent(found, seed=seed).shuffled for seed in (4, 4, 5))
    assert one == two
    assert one != other
    assert [n_shuffles(n) for n in (1, 30, 60, 100, 3000)] == [104, 104, 62, 41, 20]


def test_network_without_any_live_filter():
    targets = [Motif("M0", pwm(0))]
    found = matches_of([Motif("dead", np.full((5, 4), 0.25), "dead")], targets, dead=[0])
    result = represent(found)
    assert result.metrics == {"index": 0, "matched": 0, "whole": 0, "partial": 0, "groups": 0, "dead": 1}
    assert result.kind == "distributed"


# Groups


def test_groups_join_shifted_and_turned_filters_and_lay_them_out():
    one, two = pwm(1, 12, 0.05), pwm(2, 12, 0.05)
    motifs = [
        Motif("part", one[2:10], nsites=8),
        Motif("turned", one[::-1, ::-1], nsites=12),
        Motif("two", two, nsites=12),
        Motif("whole", one, nsites=12),
        Motif("flat", pwm(8, 9, 9), nsites=9),
        Motif("turned part", one[1:9][::-1, ::-1], nsites=8),
    ]
    found = similar_filters(motifs, range(6))
    assert {frozenset(motifs[member.filter].name for member in group) for group in found.groups} == {
        frozenset(("part", "turned", "whole", "turned part")),
        frozenset(("two",)),
        frozenset(("flat",)),
    }
    assert [len(group) for group in found.groups] == [4, 1, 1]
    # Laid out as told, every member shows the same columns.
    picture = {}
    for member in found.groups[0]:
        shown = motifs[member.filter].pwm
        shown = shown if member.orientation == "+" else shown[::-1, ::-1]
        for i, column in enumerate(shown):
            picture.setdefault(member.offset + i, []).append(column)
    assert len(picture) == 12
    assert all(np.allclose(columns, columns[0]) for columns in picture.values())
    assert found.groups[0][0].offset == 0 and found.groups[0][0].orientation == "+"
    np.testing.assert_array_equal(found.group_of(7)[-1:], [-1])


def test_groups_are_connected_components():
    random = np.random.default_rng(5)
    seeds = [pwm(i, 10, 0.05) for i in range(3)]
    motifs = [Motif(f"f{i}", 0.9 * seeds[i % 3][random.integers(0, 3) :] + 0.025, nsites=10) for i in range(15)]
    hits = tomtom(motifs, motifs, evalue=np.inf)
    p = np.ones((15, 15))
    p[hits["query"], hits["target"]] = hits["p_value"]
    alike = np.maximum(p, p.T) <= 1e-4
    expected = {
        frozenset(np.flatnonzero(np.linalg.matrix_power(alike.astype(float) + np.eye(15), 15)[i]).tolist())
        for i in range(15)
    }
    found = similar_filters(motifs, range(15))
    assert {frozenset(member.filter for member in group) for group in found.groups} == expected


def test_without_chains_all_of_a_group_are_like_its_clearest():
    """Windows of one long motif, each like the next, some turned round: a chain joins all of them."""
    long = pwm(3, 40, 0.02)
    windows = [0.9 * long[2 * i : 2 * i + 12] + 0.025 for i in range(14)]
    motifs = [Motif(f"f{i}", one[::-1, ::-1] if i % 3 == 1 else one, nsites=12) for i, one in enumerate(windows)]
    hits = tomtom(motifs, motifs, evalue=np.inf)
    p = np.ones((14, 14))
    p[hits["query"], hits["target"]] = hits["p_value"]
    alike = np.maximum(p, p.T) <= 1e-4
    left, expected = sorted(range(14), key=lambda i: -motifs[i].total_information()), set()
    while left:
        group = [left[0], *(one for one in left[1:] if alike[left[0], one])]
        expected.add(tuple(group))
        left = [one for one in left if one not in group]
    found = similar_filters(motifs, range(14), chains=False)
    assert {tuple(member.filter for member in group) for group in found.groups} == expected
    assert 1 < max(map(len, found.groups)) < 14 and len(similar_filters(motifs, range(14))) == 1
    for group in found.groups:  # laid out as they lie in the long motif
        turned = group[0].filter % 3 == 1
        for member in group[1:]:
            shift = 2 * (member.filter - group[0].filter)
            assert member.offset == (-shift if turned else shift)
            assert member.orientation == ("-" if (member.filter % 3 == 1) != turned else "+")
