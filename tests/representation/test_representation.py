"""Figures of a network against slow and obvious references: truth, coverage, groups, null, importance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipoi_motifrep import InputError, Motif, information_content
from kipoi_motifrep.core.statuses import DEAD, MATCHED, NO_MATCH
from kipoi_motifrep.filters.batches import ArrayBatches, Batch
from kipoi_motifrep.motifs import MotifFile
from kipoi_motifrep.motifs.jaspar import Database, load
from kipoi_motifrep.motifs.matches import Matches
from kipoi_motifrep.motifs.tomtom import HIT, tomtom
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.graph import Unreadable
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.untrained import untrained_copy
from kipoi_motifrep.representation import coverage, measure_importance, read_known_motifs, represent, similar_filters
from kipoi_motifrep.representation.coverage import localist_index
from kipoi_motifrep.representation.importance import correlations, gather, read_importance, spaced, write_importance
from kipoi_motifrep.representation.metrics import assign
from kipoi_motifrep.representation.shuffled import n_draws

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers = keras.layers

LENGTH, N = 24, 37
CODES = np.random.default_rng(3).integers(0, 4, (N, LENGTH)).astype(np.uint8)


def pwm(seed, width=8, sharp=0.15):
    return np.random.default_rng(seed).dirichlet([sharp] * 4, width)


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


# Truth

def truth_file(tmp_path, text):
    path = tmp_path / "truth.tsv"
    path.write_text(text)
    return path


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


@pytest.mark.parametrize(("text", "words"), [
    ("A\tM1\nB\tM1\n", ["row 2", "M1", "A"]), ("A\n", ["row 1", "tab"]), ("# nothing\n", ["no labels"]),
    ("A\t , \n", ["row 1"])])
def test_bad_truth_is_named(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        read_known_motifs(truth_file(tmp_path, text))
    assert all(word in str(error.value) for word in [*words, "truth.tsv"])


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


# Coverage

def slow_coverage(query, target, offset, orientation):
    target = target[::-1, ::-1] if orientation == "-" else target
    held = sum(min(information_content(query[i]), information_content(target[i + offset]))
               for i in range(len(query)) if 0 <= i + offset < len(target))
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
        expected = 0 if decisive is None else slow_coverage(
            query.pwm, targets[decisive["target"]].pwm, decisive["offset"], decisive["orientation"])
        assert found.coverage[i] == pytest.approx(expected)
    figures = found.metrics(truth)
    assert figures["true"] == pytest.approx(sum(label is not None for label in found.labels) / 9)
    assert figures["labels"] == len(set(found.labels) - {None})
    assert figures["index"] == pytest.approx(found.coverage.mean())
    assert figures["whole"] + figures["partial"] == pytest.approx(figures["matched"])


def planted(order=None):
    """Whole motifs, a part, a stranger, a dead filter, against targets they are from."""
    targets = [Motif(f"M{i}", pwm(i, 10, 0.05), nsites=50) for i in range(40)]
    queries = [Motif("whole", targets[3].pwm, nsites=10), Motif("turned", targets[3].pwm[::-1, ::-1], nsites=10),
               Motif("part", targets[5].pwm[:5], nsites=5), Motif("stranger", pwm(999, 8, 5), nsites=8),
               Motif("dead", np.full((10, 4), 0.25), "dead", nsites=10), Motif("other", targets[7].pwm, nsites=10)]
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
    assert result.metrics["matched"] == pytest.approx(4 / 6)
    assert result.metrics["true"] == pytest.approx(3 / 6)
    assert (result.metrics["labels"], result.metrics["dead"], result.metrics["groups"]) == (2, 1, 4)
    assert 0.5 < result.metrics["index"] < 4 / 6
    assert result.kind == "localist"
    assert result.shuffled.draws == n_draws(6) == 10
    assert result.shuffled.mean["matched"] < 0.3
    assert result.shuffled.mean["true"] <= result.shuffled.mean["matched"]


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(6)))
def test_figures_do_not_depend_on_the_order_of_filters(order):
    one, two = (represent(planted(chosen), shuffle=False) for chosen in (None, order))
    assert one.metrics == pytest.approx(two.metrics)
    assert {one.names[i]: one.assignment.coverage[i] for i in range(6)} == pytest.approx(
        {two.names[i]: two.assignment.coverage[i] for i in range(6)})


def test_null_is_seeded_and_bounded():
    found = planted()
    one, two, other = (represent(found, seed=seed).shuffled for seed in (4, 4, 5))
    assert one == two
    assert one != other
    assert [n_draws(n) for n in (1, 30, 60, 100, 3000)] == [10, 10, 5, 3, 3]


def test_network_without_any_live_filter():
    targets = [Motif("M0", pwm(0))]
    found = matches_of([Motif("dead", np.full((5, 4), 0.25), "dead")], targets, dead=[0])
    result = represent(found)
    assert result.metrics == {"index": 0, "matched": 0, "whole": 0, "partial": 0, "groups": 0, "dead": 1}
    assert result.kind == "distributed"


# Groups

def test_groups_join_shifted_and_turned_filters_and_lay_them_out():
    one, two = pwm(1, 12, 0.05), pwm(2, 12, 0.05)
    motifs = [Motif("part", one[2:10], nsites=8), Motif("turned", one[::-1, ::-1], nsites=12),
              Motif("two", two, nsites=12), Motif("whole", one, nsites=12), Motif("flat", pwm(8, 9, 9), nsites=9),
              Motif("turned part", one[1:9][::-1, ::-1], nsites=8)]
    found = similar_filters(motifs, range(6))
    assert {frozenset(motifs[member.filter].name for member in group) for group in found.groups} == {
        frozenset(("part", "turned", "whole", "turned part")), frozenset(("two",)), frozenset(("flat",))}
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
    motifs = [Motif(f"f{i}", 0.9 * seeds[i % 3][random.integers(0, 3):] + 0.025, nsites=10) for i in range(15)]
    hits = tomtom(motifs, motifs, evalue=np.inf)
    p = np.ones((15, 15))
    p[hits["query"], hits["target"]] = hits["p_value"]
    alike = np.maximum(p, p.T) <= 1e-4
    expected = {frozenset(np.flatnonzero(np.linalg.matrix_power(alike.astype(float) + np.eye(15), 15)[i]).tolist())
                for i in range(15)}
    found = similar_filters(motifs, range(15))
    assert {frozenset(member.filter for member in group) for group in found.groups} == expected


# Importance

def keras_network():
    keras.utils.set_random_seed(11)
    model = keras.Sequential([
        keras.Input((LENGTH, 4)), layers.Conv1D(5, 4, padding="same", name="first"), layers.BatchNormalization(),
        layers.ReLU(name="act"), layers.MaxPooling1D(2), layers.Dropout(0.5), layers.Flatten(),
        layers.Dense(7, activation="tanh"), layers.Dense(3, activation="sigmoid")])
    for weight in model.weights:  # no layer may be the identity
        change = np.random.default_rng(2).uniform(-0.2, 0.2, weight.shape)
        weight.assign(weight + (abs(change) if "variance" in weight.path else change))
    return model


def keras_reference(model, x, one, fill):
    """Every layer by hand; after the activation one filter becomes a number."""
    for layer in model.layers:
        x = layer(x, training=False)
        if layer.name == "act" and one is not None:
            x = keras.ops.convert_to_numpy(x).copy()
            x[:, :, one] = fill
    return keras.ops.convert_to_numpy(x)


class Two(torch.nn.Module):
    """Channels first, in-place activation, both strands through one convolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.conv, self.norm = torch.nn.Conv1d(4, 5, 4, padding=2), torch.nn.BatchNorm1d(5)
        self.norm.running_mean += torch.rand(5)
        self.head = torch.nn.Linear(10, 3)

    def strand(self, x, one=None, fill=0.0):
        x = torch.nn.functional.relu_(self.norm(self.conv(x)))
        if one is not None:
            x[:, one] = fill
        return x

    def forward(self, x, one=None, fill=0.0):
        both = [self.strand(strand, one, fill).max(dim=2)[0] for strand in (x, x.flip(1, 2))]
        return self.head(torch.cat(both, dim=1))


def torch_reference(model, x, one, fill):
    with torch.no_grad():
        return model.eval()(torch.as_tensor(x), one, fill).numpy()


NETWORKS = {"Keras": (keras_network, keras_reference), "PyTorch": (Two, torch_reference)}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    make, reference = NETWORKS[request.param]
    model = make()
    network = open_network(model, length=LENGTH)
    return model, network, network.layout.encode(CODES), reference


def test_replaced_activations_against_layers_by_hand(case):
    model, network, x, reference = case
    ablation = Ablation(network)
    assert (ablation.n_outputs, ablation.n_filters) == (3, 5)
    for rows in (slice(0, 20), slice(20, N)):  # the second batch is smaller
        ablation.begin(x[rows])
        np.testing.assert_allclose(ablation.predictions(), reference(model, x[rows], None, 0.0), atol=1e-5)
        for one in range(5):
            for fill in (0.0, 0.7):
                np.testing.assert_allclose(ablation.replaced(one, fill), reference(model, x[rows], one, fill),
                                           atol=1e-5)


def naive_importance(model, network, x, reference):
    """One sequence and one filter at a time; both strands of the PyTorch network count."""
    with torch.no_grad():
        maps = [network.activations(x)[0]] if isinstance(model, keras.Model) else [
            model.eval().strand(torch.as_tensor(strand)).numpy().transpose(0, 2, 1)
            for strand in (x, np.ascontiguousarray(x[:, ::-1, ::-1]))]
    activations = np.concatenate(maps, axis=1)
    mean = activations.mean(axis=(0, 1))
    before = reference(model, x, None, 0.0)
    after = np.stack([reference(model, x, one, float(mean[one])) for one in range(5)])
    return mean, before, after - before, activations.max(axis=1)


def pearson(one, two):
    return np.nan if np.ptp(one) == 0 or np.ptp(two) == 0 else np.corrcoef(one, two)[0, 1]


def test_importance_against_a_naive_loop_whatever_the_batches(case, tmp_path):
    model, network, x, reference = case
    mean, before, difference, maxima = naive_importance(model, network, x, reference)
    labels = np.random.default_rng(0).integers(-1, 2, (N, 3)).astype(np.int8)
    labels[:, 2] = np.where(np.arange(N) < 4, 1, -1)  # known and constant
    for size in (N, 8):
        batches = [Batch(x[i:i + size], {}, labels[i:i + size]) for i in range(0, N, size)]
        found = measure_importance(Ablation(network), batches, N, ["a", "b", "c"], ["A", "B", "C"])
        np.testing.assert_allclose(found.mean_activation, mean, rtol=1e-5)
        np.testing.assert_allclose(found.change, np.abs(difference).mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(found.signed_change, difference.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(found.spread, before.std(axis=0), rtol=1e-4)
        for i in range(5):
            for j in range(3):
                assert found.correlation[i, j] == pytest.approx(pearson(maxima[:, i], before[:, j]), abs=1e-4,
                                                                nan_ok=True)
                known = labels[:, j] >= 0
                if j < 2:
                    assert found.label_correlation[i, j] == pytest.approx(
                        pearson(maxima[known, i], labels[known, j]), abs=1e-4, nan_ok=True)
                else:
                    assert np.isnan(found.label_correlation[i, j])
    path = tmp_path / "importance.tsv"
    write_importance(found, [f"filter{i}" for i in range(5)], path)
    again = read_importance(path, found.outputs, found.labels, {"n_sequences": N, "n_replaced": N})
    for name in ("change", "signed_change", "spread", "correlation", "label_correlation", "mean_activation"):
        np.testing.assert_allclose(getattr(again, name), getattr(found, name), rtol=1e-8)
    assert again.outputs_for() == found.outputs_for()


def test_speaking_for_an_output_needs_correlation_share_and_effect(case):
    _, network, x, _ = case
    found = measure_importance(Ablation(network), ArrayBatches(x, 16), N, ["a", "b", "c"])
    correlation = np.array([[0.9, 0.5, 0.4], [0.2, 0.1, 0.29], [0.3, np.nan, -0.9], [0.8, 0.8, 0.8], [0.5, 0.6, 0]])
    change = np.full((5, 3), 0.5)
    change[3, 1] = 0.001
    told = replace(found, correlation=correlation, change=change, spread=np.ones(3)).outputs_for()
    assert told == (("a", "b"), (), ("a",), ("a", "c"), ("b", "a"))


def test_branches_nested_models_and_several_outputs_keep_their_rest():
    keras.utils.set_random_seed(1)
    dna, extra = keras.Input((LENGTH, 4), name="dna"), keras.Input((2,), name="extra")
    first = layers.Conv1D(4, 5, padding="same", activation="relu", name="first")(dna)
    inner = keras.Sequential([layers.Conv1D(4, 3, padding="same", activation="relu"), layers.Dropout(0.2)])
    joined = layers.Add()([first, inner(first)])
    both = layers.Concatenate()([layers.GlobalMaxPooling1D()(joined), extra])
    model = keras.Model([dna, extra], [layers.Dense(2, name="one")(both), layers.Dense(3, name="profile")(joined)])
    network = open_network(model)
    x = {"dna": network.layout.encode(CODES), "extra": np.random.default_rng(0).normal(size=(N, 2)).astype(np.float32)}
    ablation = Ablation(network)
    ablation.begin(x)
    whole = [keras.ops.convert_to_numpy(one) for one in model(x)]
    np.testing.assert_allclose(ablation.predictions(), np.concatenate([whole[0], whole[1].mean(axis=1)], axis=1),
                               atol=1e-5)
    kernel, bias = (weight.numpy().copy() for weight in model.get_layer("first").weights)
    kernel[:, :, 2], bias[2] = 0, 0.4
    model.get_layer("first").set_weights([kernel, bias])  # filter 2 gives 0.4 everywhere
    changed = [keras.ops.convert_to_numpy(one) for one in model(x)]
    np.testing.assert_allclose(ablation.replaced(2, 0.4), np.concatenate([changed[0], changed[1].mean(axis=1)], axis=1),
                               atol=1e-5)


def test_networks_whose_rest_cannot_be_run_say_why():
    class Drifting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 3, 5)

        def forward(self, x):
            return torch.relu(self.conv(x)).amax(dim=2) + torch.rand(1)

    with pytest.raises(Unreadable, match="own predictions"):
        Ablation(open_network(Drifting(), length=LENGTH))


def test_filters_that_are_fed_but_not_used_reach_nothing():
    class Aside(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 3, 5)

        def forward(self, x):
            torch.relu(self.conv(x))
            return x.sum(dim=(1, 2))

    with pytest.raises(Unreadable, match="do not reach"):
        Ablation(open_network(Aside(), length=LENGTH))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60))
def test_spaced_rows(n, most):
    rows = spaced(n, most)
    assert len(rows) == min(n, most)
    assert len(set(rows.tolist())) == len(rows) and rows.min() == 0 and rows.max() < n
    assert np.ptp(np.diff(rows)) <= 1 if len(rows) > 1 else True


def test_gathered_rows_do_not_depend_on_batches():
    values, targets = np.arange(50).reshape(50, 1), np.arange(50) * 2
    for size in (50, 7, 1):
        batches = [Batch({"a": values[i:i + size]}, {}, targets[i:i + size]) for i in range(0, 50, size)]
        inputs, known = gather(batches, np.array([0, 6, 7, 49]))
        assert inputs["a"].ravel().tolist() == [0, 6, 7, 49] and known.tolist() == [0, 12, 14, 98]


def test_constant_columns_have_no_correlation():
    values = np.stack([np.arange(9.0), np.full(9, 0.1)], axis=1)
    found = correlations(values, values)
    assert found[0, 0] == pytest.approx(1) and np.isnan(found[[0, 1, 1], [1, 0, 1]]).all()


# The untrained network

@pytest.mark.parametrize("make", [keras_network, Two])
def test_untrained_copy_is_fresh_seeded_and_leaves_the_model_alone(make):
    model = make()

    def weights(one):
        return [np.array(w) for w in (one.get_weights() if isinstance(one, keras.Model) else
                                      [value.detach().numpy() for value in one.state_dict().values()])]

    before = weights(model)
    one, two, other = (weights(untrained_copy(model, seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], other[0]) and not np.array_equal(one[0], before[0])
    assert [a.shape for a in one] == [a.shape for a in before]


def test_what_cannot_be_reset_is_named():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(1))

    with pytest.raises(Unreadable, match="scale"):
        untrained_copy(torch.nn.Sequential(torch.nn.Conv1d(4, 3, 5), Own()))
