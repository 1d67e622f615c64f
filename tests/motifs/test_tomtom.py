"""Tomtom's statistics: the fast implementation against the slow one, and what must always hold."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba import njit
from oracles.tomtom_reference import Mersenne, Reference, integer_scores

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import jaspar
from kipoi_motifrep.motifs.tomtom import comparing, search, statistics, tomtom
from kipoi_motifrep.motifs.tomtom.comparing import SEED, seeded
from kipoi_motifrep.motifs.tomtom.reporting import HIT

EVERYTHING = np.inf


# Steps that are compiled to be called by compiled code alone.


@njit
def score_columns(*arguments):
    return statistics.score_columns(*arguments)


@njit
def draw_words(state, words):
    statistics.draw_words(state, words)


def null_fraction(p_values, state):
    return statistics.null_fractions(p_values[None].astype(np.float32), np.ones(1, bool), state)[0]


@dataclass
class Plain:
    pwm: np.ndarray
    nsites: float | None = None


def random_motifs(n, seed, widths=(5, 16), concentration=0.4, nsites=(10, 500)):
    rng = np.random.default_rng(seed)
    return [
        Plain(rng.dirichlet([concentration] * 4, rng.integers(*widths)), int(rng.integers(*nsites))) for _ in range(n)
    ]


def reference_rows(queries, targets, **options):
    reference = Reference([(t.pwm.tolist(), t.nsites) for t in targets], **options)
    return [row for query in queries for row in reference.rows((query.pwm.tolist(), query.nsites))]


def assert_same(hits, rows):
    assert hits.tolist() == [tuple(row) for row in rows]


# Coarse probabilities give many ties and exact halves; flat and pure columns are the degenerate ones.
letters = st.one_of(
    st.lists(st.integers(0, 4), min_size=4, max_size=4).filter(any),
    st.sampled_from([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1], [97, 1, 1, 1]]),
    st.lists(st.floats(0.001, 1), min_size=4, max_size=4),
)
motifs = st.builds(
    lambda rows, nsites: Plain(np.array([np.array(r) / sum(r) for r in rows]), nsites),
    st.lists(letters, min_size=1, max_size=7),
    st.sampled_from([None, 0, 1, 7, 20, 137.5]),
)


@given(
    st.lists(motifs, min_size=1, max_size=3),
    st.lists(motifs, min_size=1, max_size=5),
    st.booleans(),
    st.integers(1, 4),
    st.sampled_from([None, (0.3, 0.2, 0.2, 0.3), (0.25, 0.25, 0.25, 0.25)]),
    st.booleans(),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_equals_the_reference(queries, targets, complete, min_overlap, background, both_strands):
    hits = tomtom(
        queries,
        targets,
        evalue=EVERYTHING,
        complete_scores=complete,
        min_overlap=min_overlap,
        background=background,
        both_strands=both_strands,
    )
    assert_same(
        hits,
        reference_rows(
            queries,
            targets,
            complete=complete,
            min_overlap=min_overlap,
            background=background,
            both_strands=both_strands,
        ),
    )


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("min_overlap", [1, 6])
def test_equals_the_reference_with_bootstrapped_q_values(complete, min_overlap):
    targets = random_motifs(60, seed=1)
    queries = [*random_motifs(2, seed=2), Plain(targets[7].pwm[1:], 20)]
    hits = tomtom(queries, targets, evalue=EVERYTHING, complete_scores=complete, min_overlap=min_overlap)
    assert_same(hits, reference_rows(queries, targets, complete=complete, min_overlap=min_overlap))
    targets += random_motifs(61, seed=3)
    hits = tomtom(
        queries, targets, evalue=EVERYTHING, complete_scores=complete, min_overlap=min_overlap, both_strands=False
    )
    assert_same(hits, reference_rows(queries, targets, complete=complete, min_overlap=min_overlap, both_strands=False))


@pytest.mark.parametrize("complete", [True, False])
def test_equals_the_reference_on_jaspar(complete):
    targets = list(jaspar.load("JASPAR2016"))
    flipped = Plain(np.roll(targets[77].pwm[::-1, ::-1], 1, axis=0), 40)
    queries = [Plain(targets[5].pwm[:1], 20), targets[300], flipped][: 3 if complete else 2]
    hits = tomtom(queries, targets, evalue=EVERYTHING, complete_scores=complete)
    assert_same(hits, reference_rows(queries, targets, complete=complete))


@pytest.mark.parametrize(
    "queries, targets",
    [
        ([np.full((3, 4), 0.25)], [np.full((5, 4), 0.25)]),
        ([np.full((3, 4), 0.25)], [np.eye(4)]),
        ([np.eye(4)[:1]], [np.eye(4)[3:]]),
        ([np.eye(4)[[0, 0]]], [np.eye(4)[[0, 0, 0, 3, 3, 3]]] * 3),
        ([np.eye(4)], [np.eye(4)] * 4),
    ],
    ids=["all flat", "flat query", "one column", "poly-A", "palindrome"],
)
@pytest.mark.parametrize("complete", [True, False])
def test_degenerate_motifs_equal_the_reference(queries, targets, complete):
    queries, targets = [Plain(q) for q in queries], [Plain(t) for t in targets]
    hits = tomtom(queries, targets, evalue=EVERYTHING, complete_scores=complete)
    assert_same(hits, reference_rows(queries, targets, complete=complete))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("complete", [True, False])
def test_scores_from_single_precision_are_the_exact_ones(seed, complete):
    rng = np.random.default_rng(seed)
    # Probabilities with two decimals put many scores on the edge of a bin.
    columns = rng.dirichlet([0.5] * 4, 4000)
    columns[:1000] = np.round(columns[:1000], 2)
    columns[1000:1300] = columns[0]
    columns = np.concatenate([columns, columns[:, ::-1]])
    queries = np.concatenate([rng.dirichlet([0.3] * 4, (6, 9)), columns[rng.integers(0, 1400, (6, 9))]])
    for query in queries:
        values, neutral = scores_of(query, columns, complete)
        expected, unaligned = plain_scores(query, columns, complete)
        assert neutral == unaligned
        np.testing.assert_array_equal(values + neutral, expected)


def scores_of(query, columns, complete):
    """Scores above neutral, and the neutral one, as the compiled steps make them."""
    width, n = len(query), len(columns)
    values, words = np.empty((width, n), np.int16), np.zeros(n // 8 + 1, np.uint64)
    neutral = score_columns(
        query,
        columns,
        np.ascontiguousarray(columns.T, np.float32),
        complete,
        np.empty((width, n), np.uint16),
        np.empty(2048, np.int64),
        words.view(np.uint8),
        words,
        np.empty(n, np.int64),
        np.empty(n),
        np.empty(width),
        values,
    )
    return values, neutral


def plain_scores(query, columns, complete):
    """The same by numpy, in double precision throughout."""
    square = (query[:, None, 0] - columns[:, 0]) ** 2
    for letter in range(1, 4):
        square = square + (query[:, None, letter] - columns[:, letter]) ** 2
    shifted = -np.sqrt(square)
    if complete:
        shifted = shifted - np.sort(shifted, axis=1)[:, len(columns) // 2 - 1, None]
    lowest, highest = shifted.min(), shifted.max()
    offset = np.floor(highest - 1 if lowest == highest else lowest)
    scale = np.floor(100 / (highest - offset))
    return np.floor((shifted - offset) * scale + 0.5), -offset * scale if complete else 0


@given(
    st.lists(letters, min_size=1, max_size=4),
    st.lists(letters, min_size=1, max_size=6),
    st.lists(st.floats(-1e-9, 1e-9), min_size=6, max_size=6),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_scores_of_columns_that_differ_by_little_are_the_exact_ones(query, columns, shifts, complete):
    # A spread of nearly nothing over a hundred scores leaves every score in doubt until it is computed exactly.
    query = np.array([np.array(row) / sum(row) for row in query])
    columns = np.array([np.array(row) / sum(row) for row in columns])
    columns = np.abs(np.concatenate([columns, columns[:1] + np.outer(shifts, [1, -1, 0, 0])]))
    columns = np.concatenate([columns, columns[::-1, ::-1]])
    values, neutral = scores_of(query, columns, complete)
    expected, unaligned = integer_scores(query.tolist(), columns.tolist(), complete)
    assert neutral == (unaligned if complete else 0)
    assert (values + neutral).tolist() == expected


@pytest.mark.parametrize("options", [{"threads": 3}, {"progress": True}])
def test_results_do_not_depend_on_how_the_work_is_done(options):
    targets, queries = random_motifs(70, seed=3), random_motifs(90, seed=4)
    expected = tomtom(queries, targets)
    assert len(expected)
    np.testing.assert_array_equal(tomtom(queries, targets, **options), expected)


def test_results_do_not_depend_on_the_number_of_threads_nor_on_how_queries_are_shared_out(monkeypatch):
    targets, queries = random_motifs(70, seed=3), random_motifs(90, seed=4, widths=(1, 30))
    expected = tomtom(queries, targets, evalue=EVERYTHING, threads=1)
    for together, records in ((32, 1_000_000), (3, 1_000_000), (32, 100), (1000, 1_000_000)):
        monkeypatch.setattr(comparing, "_MOST_TOGETHER", together)
        monkeypatch.setattr(comparing, "_MOST_RECORDS", records)
        for threads in (None, 1, 2, 5):
            np.testing.assert_array_equal(tomtom(queries, targets, evalue=EVERYTHING, threads=threads), expected)


@given(columns=st.lists(st.integers(0, 3), min_size=1, max_size=6), data=st.data(), complete=st.booleans())
@settings(max_examples=50, deadline=None)
def test_shuffles_behind_one_another_match_as_if_they_were_alone(columns, data, complete):
    """Scores are shared then; equal columns, and queries of some of the columns, must not be confused."""
    rng = np.random.default_rng(8)
    letters, targets = rng.dirichlet([0.4] * 4, 4), [rng.dirichlet([0.4] * 4, n) for n in (1, 3, 3, 6)]
    choices = data.draw(st.lists(st.permutations(columns) | st.lists(st.sampled_from(columns), min_size=1), max_size=8))
    queries = [letters[list(one)] for one in choices] * 4  # enough that one part of the work has several
    options = {"complete_scores": complete, "evalue": EVERYTHING, "qvalues": False}
    together = tomtom(queries, targets, threads=1, **options)
    for place, query in enumerate(queries):
        alone, own = tomtom([query], targets, **options), together[together["query"] == place]
        for name in ("target", "offset", "p_value", "overlap", "orientation"):
            np.testing.assert_array_equal(own[name], alone[name])


def test_search_yields_one_array_for_each_query():
    targets, queries = random_motifs(70, seed=3), random_motifs(5, seed=4)
    arrays = list(search(queries, targets))
    assert len(arrays) == 5
    np.testing.assert_array_equal(np.concatenate(arrays), tomtom(queries, targets))


def test_random_numbers_are_those_of_the_textbook_generator():
    state, textbook, words = seeded(SEED), Mersenne(4357), np.empty(2_000, np.uint32)
    for n in (2_000, 1, 623, 624, 625):
        draw_words(state, words[:n])
        assert words[:n].tolist() == [textbook.word() for _ in range(n)]


def test_skipping_draws_is_drawing_them():
    skipped, drawn = seeded(SEED), seeded(SEED)
    draw_words(drawn, np.empty(3 * 200_000, np.uint32))
    for n in (1, 2):
        statistics.null_fractions(np.empty((0, 101), np.float32), np.zeros(n, bool), skipped)
    np.testing.assert_array_equal(skipped, drawn)


def test_draws_pass_over_queries_without_hits():
    # The same q-values whether or not the queries before had anything to report.
    targets, queries = random_motifs(70, seed=3), random_motifs(40, seed=4)
    few, all_of_them = tomtom(queries, targets, evalue=0.1), tomtom(queries, targets, evalue=EVERYTHING)
    assert 0 < len(np.unique(few["query"])) < 40
    np.testing.assert_array_equal(few, all_of_them[all_of_them["e_value"] <= 0.1])


def test_few_p_values_use_no_random_numbers():
    state = seeded(SEED)
    assert null_fraction(np.linspace(0, 1, 100), state) == 1.0
    np.testing.assert_array_equal(state, seeded(SEED))


def test_null_fraction_of_uniform_p_values_is_near_one():
    assert null_fraction(np.linspace(0, 1, 1000), seeded(SEED)) == pytest.approx(1, abs=0.03)


def test_thresholds():
    targets = random_motifs(60, seed=5)
    queries = [Plain(t.pwm[:-1], 50) for t in targets[:6]]
    everything = tomtom(queries, targets, evalue=EVERYTHING)
    assert len(everything) == 6 * 60
    np.testing.assert_array_equal(tomtom(queries, targets), everything[everything["e_value"] <= 0.1])
    np.testing.assert_array_equal(tomtom(queries, targets, qvalue=0.5), everything[everything["q_value"] <= 0.5])
    np.testing.assert_array_equal(everything["e_value"], (everything["p_value"] * 60).astype(np.float32))
    np.testing.assert_array_equal(everything["q_value"], everything["q_value"].astype(np.float32))


def test_without_q_values_the_rest_is_the_same():
    targets, queries = random_motifs(60, seed=5), random_motifs(4, seed=6)
    with_q, without = tomtom(queries, targets, evalue=5), tomtom(queries, targets, evalue=5, qvalues=False)
    assert np.isnan(without["q_value"]).all()
    for name in ("query", "target", "p_value", "offset", "overlap", "orientation"):
        np.testing.assert_array_equal(with_q[name], without[name])


@given(
    st.lists(motifs, min_size=1, max_size=3),
    st.lists(motifs, min_size=1, max_size=8),
    st.floats(0, 10),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_low_threshold_leaves_out_what_is_above_it_and_changes_nothing_else(
    queries, targets, evalue, complete, both_strands
):
    """Chances above the threshold are not computed, and wide targets may have the smaller ones."""
    options = {"complete_scores": complete, "both_strands": both_strands, "qvalues": False}
    everything = tomtom(queries, targets, evalue=EVERYTHING, **options)
    found, names = tomtom(queries, targets, evalue=evalue, **options), [name for name in HIT.names if name != "q_value"]
    assert found[names].tolist() == everything[everything["e_value"] <= evalue][names].tolist()


@pytest.mark.parametrize(
    ("query", "targets", "both_strands"),
    [
        ("NRRN", "VM VVVVN VMVM MA MMVV V", False),
        ("VAM", "A AAAA A AAA AAAAA CVM CA AAAA AN", True),
        ("NMMMV", "A C AR M MMMMM VM A MRNMM CV", False),
    ],
)
def test_a_low_threshold_loses_nothing_where_wide_targets_have_the_smaller_chances(query, targets, both_strands):
    columns = {"A": [10, 0, 0, 0], "C": [0, 10, 0, 0], "M": [5, 5, 0, 0], "R": [7, 1, 1, 1], "V": [4, 3, 2, 1]}
    columns["N"] = [2.5] * 4
    one, *others = [np.array([columns[letter] for letter in word]) / 10 for word in (query, *targets.split())]
    options = {"both_strands": both_strands, "qvalues": False}
    everything = tomtom([one], others, evalue=EVERYTHING, **options)
    for evalue in everything["e_value"].tolist():
        found = tomtom([one], others, evalue=evalue, **options)
        assert found["target"].tolist() == everything["target"][everything["e_value"] <= evalue].tolist()


def test_finds_a_shifted_reverse_complement():
    targets = random_motifs(80, seed=7, widths=(12, 13), concentration=0.05)
    query = targets[30].pwm[::-1, ::-1][2:9]
    first = tomtom([query], targets)[0]
    # In the target's reverse complement the query starts at its position 2.
    assert (first["target"], first["orientation"], first["offset"], first["overlap"]) == (30, "-", 2, 7)


def test_reverse_complementing_a_query_swaps_strands():
    targets, queries = random_motifs(60, seed=8), random_motifs(5, seed=9)
    other = [Plain(q.pwm[::-1, ::-1], q.nsites) for q in queries]
    a, b = tomtom(queries, targets, evalue=EVERYTHING), tomtom(other, targets, evalue=EVERYTHING)
    a, b = np.sort(a, order=["query", "target"]), np.sort(b, order=["query", "target"])
    np.testing.assert_allclose(a["p_value"], b["p_value"], rtol=1e-6)
    untied = a["orientation"] != b["orientation"]
    assert untied.mean() > 0.9


def test_background_of_the_query_file_is_used():
    class File(list):
        background = (0.4, 0.1, 0.1, 0.4)

    targets, queries = random_motifs(60, seed=8), random_motifs(3, seed=9)
    expected = tomtom(queries, targets, evalue=EVERYTHING, background=File.background)
    np.testing.assert_array_equal(tomtom(File(queries), targets, evalue=EVERYTHING), expected)
    assert not np.array_equal(tomtom(queries, targets, evalue=EVERYTHING)["p_value"], expected["p_value"])


def test_motifs_wider_than_all_targets_and_no_queries():
    targets = random_motifs(55, seed=10, widths=(4, 6))
    assert len(tomtom(random_motifs(1, seed=11, widths=(40, 41)), targets, evalue=EVERYTHING)) == 55
    assert len(tomtom([], targets)) == 0


def test_hits_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        tomtom(random_motifs(2, 0), random_motifs(9, 1), evalue=9)["p_value"] = 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"evalue": -1}, "evalue"),
        ({"qvalue": 2}, "qvalue"),
        ({"qvalue": 0.5, "qvalues": False}, "qvalues=True"),
        ({"min_overlap": 0}, "min_overlap"),
        ({"threads": 0}, "threads"),
        ({"pseudocount": -1}, "pseudocount"),
        ({"background": (1, 2, 3)}, "background"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        tomtom(random_motifs(1, 0), random_motifs(1, 1), **options)


@pytest.mark.parametrize(
    "bad", [np.ones((3, 5)), np.ones((0, 4)), np.full((2, 4), np.nan), -np.ones((2, 4)), np.zeros((2, 4))]
)
def test_bad_motifs_are_refused(bad):
    with pytest.raises(InputError, match="motif 0"):
        tomtom([bad], random_motifs(1, 1))
    with pytest.raises(InputError, match="no target motifs"):
        tomtom(random_motifs(1, 1), [])


def test_agrees_with_memelite():
    memelite = pytest.importorskip("memelite")
    targets, queries = random_motifs(60, seed=12), random_motifs(5, seed=13)
    smoothed = [
        [((motif.pwm * motif.nsites + 0.025) / (motif.nsites + 0.1)).T.copy() for motif in motifs]
        for motifs in (queries, targets)
    ]
    p = memelite.tomtom(*smoothed, n_target_bins=None, n_jobs=1)[0]
    hits = tomtom(queries, targets, evalue=EVERYTHING)
    ours = np.empty_like(p)
    ours[hits["query"], hits["target"]] = hits["p_value"]
    assert np.median(np.abs(np.log(ours / p))) < 0.1


def test_compiling_is_said_once_and_kept_in_the_cache(tmp_path):
    program = (
        "import numpy as np; from kipoi_motifrep.motifs.tomtom import tomtom; "
        "print(len(tomtom([np.eye(4)], [np.eye(4)] * 51, evalue=np.inf)))"
    )
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        )
        assert done.stdout == "51\n"
        said.append(done.stderr)
    assert said == ["compiling the comparison of motifs: once, a few seconds\n", ""]
    assert {path.name.split("-")[0] for path in tmp_path.rglob("*.nbi")} == {
        f"statistics.{name}" for name in ("align_queries", "find_p_values", "fill_null_fractions")
    }


def test_code_is_compiled_each_time_where_it_cannot_be_kept(monkeypatch):
    def no_place(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available")
        return njit(**options)

    monkeypatch.setattr(statistics, "njit", no_place)
    assert statistics._cached(lambda x: 2 * x)(21) == 42
