"""Motifs against their own shuffles: the procedure against plain loops, and calibration by simulation."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.fdr_reference import false_discovery_rates
from scipy import stats

from kipoi_motifrep import InputError, Motif, match, write_motifs
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.motifs.chance import LOSSES, competition, n_shuffles, shuffle
from kipoi_motifrep.motifs.jaspar import load
from kipoi_motifrep.motifs.matches import CHANCE_FILE

BLOCK = LOSSES + 1


@st.composite
def layers(draw):
    """E-values of motifs and decoys; with few different ones among them, there are many ties."""
    n, size = draw(st.integers(0, 12)), BLOCK * draw(st.integers(1, 3))
    values = st.sampled_from([1e-9, 1e-4, 0.02, 0.3, 5.0]) if draw(st.booleans()) else st.floats(1e-12, 10)
    return [[draw(values) for _ in range(size)] for _ in range(n)], draw(st.sampled_from([0.1, np.inf]))


@settings(max_examples=150, deadline=None)
@given(layers())
def test_competition_is_that_of_plain_loops(layer):
    rows, most = layer
    best = np.array(rows, float).reshape(len(rows), -1) if rows else np.empty((0, BLOCK))
    assert competition(best, most) == pytest.approx(false_discovery_rates(rows, most))


@settings(max_examples=50, deadline=None)
@given(layers(), st.randoms())
def test_rates_do_not_depend_on_any_order(layer, random):
    rows, most = layer
    if not rows:
        return
    order = list(range(len(rows)))
    random.shuffle(order)
    mixed = [[own, *random.sample(decoys, len(decoys))] for own, *decoys in (rows[i] for i in order)]
    expected = competition(np.array(rows), most)
    assert competition(np.array(mixed), most) == pytest.approx(expected[order])


def test_a_single_motif_can_be_called_with_the_fewest_shuffles():
    assert n_shuffles(10**6) == LOSSES
    assert competition(np.array([[1e-9, *[1.0] * LOSSES]])).tolist() == [0.05]
    assert competition(np.array([[1.0, *[1.0] * LOSSES]])).tolist() == [1.0]  # a tie is the decoy's


def made_up_layers(random, n, n_real, n_decoys):
    """Best E-values as they come: a level of its own for each composition; real motifs lie far below theirs."""
    log_e = random.normal(0, 2, (n, 1)) - random.gumbel(0, 1, (n, 1 + n_decoys))
    log_e[:n_real, 0] -= random.exponential(8, n_real)
    return np.exp(log_e)


@pytest.mark.parametrize("n_real, n_decoys", [(0, 104), (0, 20), (15, 104), (15, 20)])
def test_the_false_discovery_rate_is_kept_for_made_up_layers(n_real, n_decoys):
    """The mean share of false ones among those called, over 4,000 layers, is at most .05 but for its own error."""
    random = np.random.default_rng(n_real + n_decoys)
    false, power = [], []
    for _ in range(4000):
        called = competition(made_up_layers(random, 30, n_real, n_decoys)) <= 0.05
        false.append(called[n_real:].sum() / max(called.sum(), 1))
        power.append(called[:n_real].mean() if n_real else np.nan)
    assert np.mean(false) <= 0.05 + 3 * np.std(false) / np.sqrt(len(false))
    assert np.mean(false) > 0.01  # nor does it call nothing
    if n_real:
        assert np.mean(power) > 0.5


def test_copies_of_filters_change_the_rate_little():
    """Thirty filters without meaning, five copies of each of six: they win together, and 5.9 % are called for 5 %."""
    random, false = np.random.default_rng(8), []
    for _ in range(2000):
        level = random.normal(0, 2, (6, 1))
        own = np.repeat(level - random.gumbel(0, 1, (6, 1)), 5, axis=0)
        decoys = np.repeat(level, 5, axis=0) - random.gumbel(0, 1, (30, 104))
        false.append((competition(np.exp(np.concatenate([own, decoys], axis=1))) <= 0.05).any())
    assert np.mean(false) <= 0.07


# With Tomtom, against JASPAR


@pytest.fixture(scope="module")
def jaspar():
    return load("JASPAR2016")


def against_jaspar(tmp_path, motifs):
    write_motifs(motifs, tmp_path / "queries.meme")
    return match(tmp_path / "queries.meme", "JASPAR2016", fdr=0.05)


def without_meaning(random, jaspar, name):
    """Columns of a real motif in random order."""
    pwm = jaspar.motifs[random.integers(len(jaspar))].pwm
    return Motif(name, pwm[random.permutation(len(pwm))], nsites=30)


def noisy(random, jaspar, target):
    """A filter that learned a motif: counts of 50 sites, and columns that say little on both sides."""
    counts = np.array([random.multinomial(50, column / column.sum()) for column in jaspar.motifs[target].pwm]) + 0.5
    flanks = random.dirichlet([15] * 4, (2, 3))
    pwm = np.concatenate([flanks[0], counts / counts.sum(axis=1, keepdims=True), flanks[1]])
    return Motif(f"like {target}", pwm, nsites=50)


N_RANDOM, N_BINS, LEVEL = 630, 7, 1e-3


@pytest.mark.slow
def test_filters_without_meaning_have_uniform_p_values(tmp_path, jaspar):
    """Chi-square over 7 bins. Its power against p drawn from Beta(0.7, 1), with 10 % where 5 % belong, is computed."""
    random = np.random.default_rng(1)
    found = against_jaspar(tmp_path, [without_meaning(random, jaspar, f"f{i}") for i in range(N_RANDOM)])
    ranks = np.array(found.chance.p_chance) * (1 + found.chance.n_shuffles)
    assert found.chance.n_shuffles == LOSSES and ranks == pytest.approx(ranks.round())
    observed = np.bincount(((ranks.round().astype(int) - 1) * N_BINS) // BLOCK, minlength=N_BINS)
    assert stats.chisquare(observed).pvalue > LEVEL
    skewed = np.diff(stats.beta(0.7, 1).cdf(np.linspace(0, 1, N_BINS + 1)))
    noncentral = N_RANDOM * ((skewed - 1 / N_BINS) ** 2 * N_BINS).sum()
    assert stats.ncx2(N_BINS - 1, noncentral).sf(stats.chi2(N_BINS - 1).isf(LEVEL)) > 0.9
    # 31.5 are expected at 1 / 20; called is hardly any.
    assert sum(found.called) <= 2


def test_noisy_motifs_are_found_among_filters_without_meaning(tmp_path, jaspar):
    random = np.random.default_rng(2)
    targets = random.choice(len(jaspar), 15, replace=False).tolist()
    motifs = [noisy(random, jaspar, target) for target in targets]
    motifs += [without_meaning(random, jaspar, f"f{i}") for i in range(15)]
    found = against_jaspar(tmp_path, [*motifs, Motif("filter30", np.full((9, 4), 0.25), "dead")])
    assert sum(found.called[:15]) >= 13 and sum(found.called[15:]) <= 1
    assert found.chance.p_chance[30] is None and not found.called[30]
    best = {int(hit["query"]): int(hit["target"]) for hit in found.hits[::-1]}
    assert sum(best.get(i) == target for i, target in enumerate(targets)) >= 10
    # More match than are called: E-values alone would take some of the others, too.
    assert all(status == "matched" for status, called in zip(found.statuses, found.called, strict=True) if called)


@pytest.mark.slow
def test_the_false_discovery_rate_is_kept_among_noisy_motifs(tmp_path, jaspar):
    """In 40 layers of 20 filters, half of them without meaning, the mean share of false calls is .05 at most."""
    random, false, power = np.random.default_rng(3), [], []
    for number in range(40):
        motifs = [noisy(random, jaspar, target) for target in random.choice(len(jaspar), 10, replace=False).tolist()]
        motifs += [without_meaning(random, jaspar, f"f{i}") for i in range(10)]
        (tmp_path / str(number)).mkdir()
        called = np.array(against_jaspar(tmp_path / str(number), motifs).called)
        false.append(called[10:].sum() / max(called.sum(), 1))
        power.append(called[:10].mean())
    assert np.mean(false) <= 0.05 + 2 * np.std(false) / np.sqrt(40)
    assert np.mean(power) > 0.8


def test_shuffles_are_seeded_and_keep_columns(tmp_path, jaspar):
    random = np.random.default_rng(4)
    write_motifs([without_meaning(random, jaspar, f"f{i}") for i in range(3)], tmp_path / "queries.meme")
    found = match(tmp_path / "queries.meme", "JASPAR2016")
    one, two, other = (shuffle(found, seed, threads) for seed, threads in ((0, 1), (0, 2), (1, 2)))
    assert one.best.tolist() == two.best.tolist() and one.best[:, 1:].tolist() != other.best[:, 1:].tolist()
    assert one.best[:, 0].tolist() == other.best[:, 0].tolist()
    for draw in one.draws:
        for motif, query in zip(draw, found.queries, strict=True):
            assert sorted(motif.pwm.tolist()) == sorted(query.pwm.tolist())
    # What is a match among the shuffles, by the slow way.
    for number in (0, 57):
        write_motifs(list(one.draws[number]), tmp_path / "again.meme")
        again = match(tmp_path / "again.meme", "JASPAR2016", evalue=10)
        own = {int(hit["query"]): hit["e_value"] for hit in again.hits[::-1]}
        assert [own.get(i, 10.0) for i in range(3)] == pytest.approx(one.best[:, 1 + number].tolist(), rel=1e-3)


@pytest.mark.parametrize("rule", [{"evalue": 2.0}, {"qvalue": 0.3}, {"evalue": 30.0, "min_overlap": 4}])
def test_shuffles_match_by_the_rule_of_the_motifs(tmp_path, rule):
    random = np.random.default_rng(6)
    write_motifs([Motif(f"T{i}", random.dirichlet([0.3] * 4, 8)) for i in range(40)], tmp_path / "targets.meme")
    write_motifs([Motif(f"q{i}", random.dirichlet([0.3] * 4, 7), nsites=20) for i in range(4)], tmp_path / "q.meme")
    shuffles = shuffle(match(tmp_path / "q.meme", tmp_path / "targets.meme", **rule))
    for number in (0, 71):
        write_motifs(list(shuffles.draws[number]), tmp_path / "draw.meme")
        expected = match(tmp_path / "draw.meme", tmp_path / "targets.meme", **rule).hits
        own = shuffles.hits[shuffles.hits["query"] // 4 == number]
        assert (own["query"] % 4).tolist() == expected["query"].tolist()
        assert own["target"].tolist() == expected["target"].tolist() and len(own)


# Files


def rows_of(path):
    with open(path) as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_tables_and_targets_that_take_chance_matches(tmp_path):
    """One target is like nearly everything: it takes the matches of shuffles, until it is left out."""
    random = np.random.default_rng(5)
    sharp = random.dirichlet([0.1] * 4, (30, 10))
    targets = [Motif(f"T{i}", pwm, f"name {i}", nsites=50) for i, pwm in enumerate(sharp)]
    greedy = [Motif("greedy", np.tile([[0.05, 0.85, 0.05, 0.05]], (14, 1)), "anything", nsites=50)]
    write_motifs([*targets, *greedy], tmp_path / "targets.meme")
    repeats = np.tile([[0.04, 0.88, 0.04, 0.04], [0.1, 0.6, 0.2, 0.1]], (4, 1))
    write_motifs([targets[7], Motif("repeats", repeats, nsites=50)], tmp_path / "queries.meme")
    command = ["match", str(tmp_path / "queries.meme"), "--database", str(tmp_path / "targets.meme"), "--fdr"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    rows = rows_of(tmp_path / "out/matches.tsv")
    assert [(row["target"], row["called"]) for row in rows] == [("T7", "yes"), ("greedy", "no")]
    assert (float(rows[0]["p_chance"]), float(rows[0]["fdr"])) == (pytest.approx(1 / 105, rel=1e-5), 0.05)
    assert float(rows[1]["p_chance"]) > 0.5 and rows[1]["fdr"] == "1"
    [first, *_] = rows_of(tmp_path / "out" / CHANCE_FILE)
    assert (first["target"], first["target_name"]) == ("greedy", "anything") and float(first["share"]) > 0.9
    # Left out, and without calls: the table of an older run does not stay.
    assert main([*command[:-1], "--exclude", "greedy", "T7", "-o", str(tmp_path / "out")]) == 0
    rows = rows_of(tmp_path / "out/matches.tsv")
    assert not {row["target"] for row in rows} & {"greedy", "T7"} and {row["called"] for row in rows} == {""}
    assert not (tmp_path / "out" / CHANCE_FILE).exists()
    recorded = json.loads((tmp_path / "out/parameters.json").read_text())["parameters"]
    assert (recorded["exclude"], recorded["fdr"]) == (["greedy", "T7"], None)
    assert "--exclude greedy T7" in (tmp_path / "out/tomtom.tsv").read_text()


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"exclude": ["none"]}, "exclude: no motif of JASPAR2016 CORE vertebrates has the id 'none'$"),
        ({"exclude": ["MA0139.3"]}, "has the id 'MA0139.3'; there is MA0139.1$"),
        ({"exclude": [""]}, "has the id ''$"),
        ({"fdr": 5}, "fdr must be between 0 and 1, not 5"),
    ],
)
def test_what_is_refused(tmp_path, settings, said):
    write_motifs([Motif("q", np.eye(4))], tmp_path / "q.meme")
    with pytest.raises(InputError, match=said):
        match(tmp_path / "q.meme", "JASPAR2016", **settings)


def test_versions_of_a_motif_are_left_out_together(jaspar):
    assert jaspar.without("MA0139").target_names == jaspar.without(["MA0139.1"]).target_names
    left = jaspar.without(["MA0139", "MA0079.3"])
    assert set(jaspar.index) - set(left.index) == {"MA0139.1", "MA0079.3"} and len(left) == len(jaspar) - 2
    assert left.digest != jaspar.digest and jaspar.without([]) is jaspar
