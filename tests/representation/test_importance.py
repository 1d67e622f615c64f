"""What filters do to the outputs, against layers by hand; the untrained network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipoi_motifrep.filters.batches import ArrayBatches, Batch
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.source import Unreadable
from kipoi_motifrep.networks.untrained import untrained_copy
from kipoi_motifrep.representation import measure_importance
from kipoi_motifrep.representation.importance import correlations, gather, read_importance, spaced, write_importance

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers = keras.layers

LENGTH, N = 24, 37
CODES = np.random.default_rng(3).integers(0, 4, (N, LENGTH)).astype(np.uint8)


def keras_network():
    keras.utils.set_random_seed(11)
    model = keras.Sequential(
        [
            keras.Input((LENGTH, 4)),
            layers.Conv1D(5, 4, padding="same", name="first"),
            layers.BatchNormalization(),
            layers.ReLU(name="act"),
            layers.MaxPooling1D(2),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(7, activation="tanh"),
            layers.Dense(3, activation="sigmoid"),
        ]
    )
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
                np.testing.assert_allclose(
                    ablation.replaced(one, fill), reference(model, x[rows], one, fill), atol=1e-5
                )


# What follows the activations, and numbers of a sequence that the rest is run on from. Of 24 positions of 5 filters:
BEHIND = {
    "pooled": ([layers.AveragePooling1D(6), layers.BatchNormalization()], 4 * 5),
    "pooled to one": ([layers.GlobalMaxPooling1D()], 5),
    "pooled, then mixed": ([layers.MaxPooling1D(3), layers.Softmax(), layers.MaxPooling1D(4)], 8 * 5),
    "mixed at once": ([layers.UnitNormalization(axis=-1), layers.GlobalMaxPooling1D()], 24 * 5),
    "shuffled": ([layers.Permute((2, 1)), layers.Reshape((6, 20)), layers.MaxPooling1D(2)], 24 * 5),
}


@pytest.mark.parametrize("behind", BEHIND)
def test_the_rest_is_run_from_where_filters_are_fewest_and_still_themselves(behind):
    keras.utils.set_random_seed(5)
    following, size = BEHIND[behind]
    first = layers.Conv1D(5, 4, padding="same", activation="relu", name="act")
    model = keras.Sequential([keras.Input((LENGTH, 4)), first, *following, layers.Flatten(), layers.Dense(3)])
    network = open_network(model)
    ablation, x = Ablation(network), network.layout.encode(CODES)
    assert ablation.size == size
    fills = np.linspace(0.1, 0.9, 5).astype(np.float32)
    for rows in (slice(0, 20), slice(20, N)):
        ablation.begin(x[rows])
        for one in range(5):
            expected = keras_reference(model, x[rows], one, fills[one])
            np.testing.assert_allclose(ablation.replaced(one, fills), expected, atol=1e-5)
        np.testing.assert_allclose(ablation.predictions(), keras_reference(model, x[rows], None, 0.0), atol=1e-5)


def naive_importance(model, network, x, reference):
    """One sequence and one filter at a time; both strands of the PyTorch network count."""
    with torch.no_grad():
        maps = (
            [network.activations(x)[0]]
            if isinstance(model, keras.Model)
            else [
                model.eval().strand(torch.as_tensor(strand)).numpy().transpose(0, 2, 1)
                for strand in (x, np.ascontiguousarray(x[:, ::-1, ::-1]))
            ]
        )
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
        batches = [Batch(x[i : i + size], {}, labels[i : i + size]) for i in range(0, N, size)]
        found = measure_importance(Ablation(network), batches, N, ["a", "b", "c"], ["A", "B", "C"])
        np.testing.assert_allclose(found.mean_activation, mean, rtol=1e-5)
        np.testing.assert_allclose(found.change, np.abs(difference).mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(found.signed_change, difference.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(found.spread, before.std(axis=0), rtol=1e-4)
        for i in range(5):
            for j in range(3):
                assert found.correlation[i, j] == pytest.approx(
                    pearson(maxima[:, i], before[:, j]), abs=1e-4, nan_ok=True
                )
                known = labels[:, j] >= 0
                if j < 2:
                    assert found.label_correlation[i, j] == pytest.approx(
                        pearson(maxima[known, i], labels[known, j]), abs=1e-4, nan_ok=True
                    )
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
    np.testing.assert_allclose(
        ablation.predictions(), np.concatenate([whole[0], whole[1].mean(axis=1)], axis=1), atol=1e-5
    )
    kernel, bias = (weight.numpy().copy() for weight in model.get_layer("first").weights)
    kernel[:, :, 2], bias[2] = 0, 0.4
    model.get_layer("first").set_weights([kernel, bias])  # filter 2 gives 0.4 everywhere
    changed = [keras.ops.convert_to_numpy(one) for one in model(x)]
    np.testing.assert_allclose(
        ablation.replaced(2, 0.4), np.concatenate([changed[0], changed[1].mean(axis=1)], axis=1), atol=1e-5
    )


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
        batches = [Batch({"a": values[i : i + size]}, {}, targets[i : i + size]) for i in range(0, 50, size)]
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
        return [
            np.array(w)
            for w in (
                one.get_weights()
                if isinstance(one, keras.Model)
                else [value.detach().numpy() for value in one.state_dict().values()]
            )
        ]

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
