"""Activation and weight PWMs against one-loop-a-site references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import filters_reference as slow
from support.small_networks import CODES, LENGTH, N, codes_of, network_of

from kipoi_motifrep import InputError
from kipoi_motifrep.filters import (
    ArrayBatches,
    Histogram,
    Maxima,
    SiteSums,
    TopSites,
    filter_maxima,
    filter_pwms,
    selection,
    site_sums,
    streaming,
    weight_pwms,
)
from kipoi_motifrep.filters.selection import kth_values, sites_above
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.types import ReceptiveField

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers = keras.layers


@pytest.fixture(scope="module")
def network():
    return open_network(network_of(padding="same"))


@pytest.fixture(scope="module")
def inputs(network):
    return network.layout.encode(CODES)


def assert_matches_reference(result, maps, codes, rule, weighted=True):
    """Compare every filter with the reference; `rule` picks sites from a filter's feature map."""
    for f in range(len(result)):
        found = rule(maps[:, :, f])
        pwm, counts = slow.pwm(
            codes, maps[:, :, f], found, result.window.start, result.window.step, result.window.width, weighted
        )
        np.testing.assert_allclose(result.pwms[f], pwm, atol=1e-6)
        np.testing.assert_allclose(result.counts[f], counts, rtol=1e-6, atol=1e-6)
        assert result.n_sites[f] == len(found)
        assert result.n_firing[f] == len({n for n, _ in found})
    assert result.n_sequences == len(codes)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same"},
        {"padding": "valid"},
        {"padding": "causal"},
        {"padding": "same", "width": 6},
        {"padding": "same", "strides": 3, "width": 4},
        {"padding": "same", "dilation_rate": 2},
    ],
)
def test_paper_rule(options):
    network = open_network(network_of(**options))
    inputs = network.layout.encode(CODES)
    (result,) = filter_pwms(network, inputs)
    maps = network.activations(inputs)[0]
    np.testing.assert_array_equal(result.maximum, maps.max(axis=(0, 1)))
    assert_matches_reference(result, maps, CODES, lambda one: slow.sites(one, 0.5 * one.max()))


def test_odd_same_window_is_the_papers():
    """Width 19, 'same': left half = width // 2."""
    assert open_network(network_of(width=19, padding="same")).banks[0].field == ReceptiveField(-9, 19, 1)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"threshold": 0.2}, lambda one: slow.sites(one, np.float32(0.2) * one.max())),
        ({"threshold": 0.0}, lambda one: slow.sites(one, 0)),
        ({"best_per_sequence": True}, lambda one: slow.sites(one, 0.5 * one.max(), True)),
        ({"quantile": 0.97}, lambda one: slow.sites(one, np.quantile(one, 0.97, method="inverted_cdf"))),
        ({"quantile": 0.2}, lambda one: slow.sites(one, np.quantile(one, 0.2, method="inverted_cdf"))),
        ({"top": 17}, lambda one: slow.best_sites(one, 17)),
        ({"top": 10**6}, lambda one: slow.best_sites(one, 10**6)),
    ],
)
@pytest.mark.parametrize("weighted", [True, False])
def test_other_rules(network, inputs, options, rule, weighted):
    (result,) = filter_pwms(network, inputs, weighted=weighted, batch_size=17, **options)
    assert_matches_reference(result, network.activations(inputs)[0], CODES, rule, weighted)


def test_best_sites_of_sequences(network, inputs):
    (result,) = filter_pwms(network, inputs, top=9, best_per_sequence=True, batch_size=7)
    maps = network.activations(inputs)[0]
    kept = np.zeros_like(maps)
    best = maps.argmax(axis=1)
    np.put_along_axis(kept, best[:, None], np.take_along_axis(maps, best[:, None], 1), 1)
    assert_matches_reference(result, kept, CODES, lambda one: slow.best_sites(one, 9))


@pytest.mark.parametrize("width", [1, 4, 8, 11])
def test_window_keeps_the_centre(network, inputs, width):
    (result,) = filter_pwms(network, inputs, window=width)
    assert result.window == ReceptiveField(-(width // 2), width, 1)
    assert_matches_reference(
        result, network.activations(inputs)[0], CODES, lambda one: slow.sites(one, 0.5 * one.max())
    )


def test_equals_the_kernel_gradient(network, inputs):
    """The paper's identity: thresholded activations as the upstream gradient of the convolution."""
    (result,) = filter_pwms(network, inputs)
    maps = network.activations(inputs)[0]
    upstream = np.where(maps > 0.5 * maps.max(axis=(0, 1)), maps, 0)
    x = torch.from_numpy(inputs.transpose(0, 2, 1).copy())
    kernel = torch.zeros((maps.shape[2], 4, 5), requires_grad=True)
    torch.nn.functional.conv1d(x, kernel, padding=2).backward(torch.from_numpy(upstream.transpose(0, 2, 1).copy()))
    counts = kernel.grad.numpy().transpose(0, 2, 1)
    np.testing.assert_allclose(result.counts, counts, rtol=1e-4)
    np.testing.assert_allclose(result.pwms, counts / counts.sum(axis=2, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"top": 11}, {"quantile": 0.9}, {"best_per_sequence": True}])
@pytest.mark.parametrize(("batch_size", "memory"), [(1, 1 << 20), (7, 1 << 20), (7, 0), (7, 6000), (1000, 0)])
def test_batch_size_and_memory_do_not_matter(network, inputs, options, batch_size, memory):
    (expected,) = filter_pwms(network, inputs, **options)
    (result,) = filter_pwms(network, inputs, batch_size=batch_size, memory=memory, **options)
    np.testing.assert_allclose(result.pwms, expected.pwms, atol=1e-6)
    np.testing.assert_array_equal(result.n_sites, expected.n_sites)
    np.testing.assert_array_equal(result.n_firing, expected.n_firing)


def test_shards_add_up(network, inputs):
    shards = [ArrayBatches(part, 8) for part in np.split(inputs, [11, 40])]
    maxima = sum((filter_maxima(network, shard)[0] for shard in shards[1:]), filter_maxima(network, shards[0])[0])
    levels = [maxima.thresholds(0.5)]
    parts = [site_sums(network, shard, levels)[0] for shard in shards]
    total = parts[0] + (parts[1] + parts[2])
    (expected,) = filter_pwms(network, inputs)
    np.testing.assert_allclose(total.counts, expected.counts, rtol=1e-6)
    np.testing.assert_array_equal(total.n_sites, expected.n_sites)
    assert (total.n_sequences, maxima.n_sequences) == (N, N)


MAPS = st.integers(0, 2**32 - 1).map(
    lambda seed: np.round(np.random.default_rng(seed).normal(size=(6, 5, 3)), 1).astype(np.float32)
)


@settings(max_examples=60, deadline=None)
@given(maps=MAPS, k=st.integers(1, 12), cut=st.integers(0, 6))
def test_top_sites_of_parts(maps, k, cut):
    """Rounded values make ties, which go to the earlier site wherever the data are split."""

    def top(part, first):
        found = sites_above(part, np.zeros(3, np.float32))
        found = type(found)(found.sequence + first, found.position, found.filter, found.value)
        return TopSites.nothing(k) + TopSites(found, k)

    total = top(maps[cut:], cut) + top(maps[:cut], 0)
    for f in range(3):
        mine = total.sites.where(total.sites.filter == f)
        assert sorted(zip(mine.sequence, mine.position, strict=True)) == sorted(slow.best_sites(maps[:, :, f], k))


@settings(max_examples=60, deadline=None)
@given(maps=MAPS, best=st.booleans(), level=st.floats(-1, 2, width=32), channels_first=st.booleans())
def test_sites_above(maps, best, level, channels_first):
    if channels_first:  # a transposed view, as PyTorch networks give it
        maps = np.ascontiguousarray(maps.transpose(0, 2, 1)).transpose(0, 2, 1)
    found = sites_above(maps, np.full(3, level, np.float32), best)
    for f in range(3):
        mine = found.where(found.filter == f)
        assert sorted(zip(mine.sequence, mine.position, strict=True)) == slow.sites(maps[:, :, f], level, best)
        np.testing.assert_array_equal(mine.value, maps[mine.sequence, mine.position, f])


@settings(max_examples=60, deadline=None)
@given(maps=MAPS, quantile=st.floats(0.01, 0.99))
def test_histograms_give_exact_quantiles(maps, quantile):
    parts = maps[:2], maps[2:]
    rank = np.full(3, max(1, int(np.ceil(quantile * 30))))
    upper, left = (Histogram.of(parts[0]) + Histogram.of(parts[1])).locate(rank)
    lower, _ = (Histogram.of(parts[0], upper) + Histogram.of(parts[1], upper)).locate(left)
    expected = np.maximum(np.sort(maps.reshape(30, 3), axis=0)[rank[0] - 1], 0)
    np.testing.assert_array_equal(Histogram.value(upper, lower), expected)


@settings(max_examples=60, deadline=None)
@given(maps=MAPS, k=st.integers(1, 31))
def test_kth_values(maps, k):
    sequence, position, filters = np.nonzero(maps >= 0)
    expected = [np.sort(one[one >= 0])[::-1] for one in maps.transpose(2, 0, 1)]
    np.testing.assert_array_equal(
        kth_values(filters, maps[sequence, position, filters], k, 3),
        np.array([one[k - 1] if len(one) >= k else np.nan for one in expected], np.float32),
    )


@pytest.mark.parametrize("order", ["as it comes", "rising", "falling"])
@pytest.mark.parametrize("quantile", [0.5, 0.97])
def test_quantiles_whether_or_not_the_first_sequences_tell(network, order, quantile, monkeypatch):
    monkeypatch.setattr(selection, "GUESSED_FROM", 4)
    monkeypatch.setattr(selection, "GUESSED_MORE", 0)
    heights = network.activations(network.layout.encode(CODES))[0].sum(axis=(1, 2))
    places = {"as it comes": np.arange(len(CODES)), "rising": heights.argsort(), "falling": heights.argsort()[::-1]}
    codes = CODES[places[order]]
    inputs = network.layout.encode(codes)
    (result,) = filter_pwms(network, inputs, quantile=quantile, batch_size=5)
    maps = network.activations(inputs)[0]
    assert_matches_reference(
        result, maps, codes, lambda one: slow.sites(one, np.quantile(one, quantile, method="inverted_cdf"))
    )


def test_a_quantile_needs_one_pass_through_the_network_and_a_wrong_guess_four(network, inputs, monkeypatch):
    passes, activations = [], type(network).activations
    monkeypatch.setattr(type(network), "activations", lambda *given: passes.append(1) or activations(*given))
    filter_pwms(network, inputs, quantile=0.9, batch_size=len(inputs))
    assert len(passes) == 1
    monkeypatch.setattr(streaming, "quantile_floor", lambda maps, _: np.full(maps.shape[2], 1e9, np.float32))
    filter_pwms(network, inputs, quantile=0.9, batch_size=len(inputs))
    assert len(passes) == 1 + 4


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    start=st.integers(-9, 9),
    width=st.integers(1, 9),
    step=st.sampled_from([1, 2, -1]),
    weighted=st.booleans(),
)
def test_sums_of_windows(seed, start, width, step, weighted):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 5, (4, 12)).astype(np.uint8)
    maps = random.uniform(0, 1, (4, 5, 2)).astype(np.float32)
    found = sites_above(maps, np.full(2, 0.6, np.float32))
    sums = SiteSums.of(codes, found, ReceptiveField(start, width, step), 2, weighted)
    for f in range(2):
        _, counts = slow.pwm(
            codes, maps[:, :, f], slow.sites(maps[:, :, f], np.float32(0.6)), start, step, width, weighted
        )
        np.testing.assert_allclose(sums.counts[f], counts, rtol=1e-6, atol=1e-9)


def test_site_sums_in_chunks(monkeypatch, network, inputs):
    (expected,) = filter_pwms(network, inputs)
    monkeypatch.setattr("kipoi_motifrep.filters.sums.CHUNK", 5)
    np.testing.assert_allclose(filter_pwms(network, inputs)[0].pwms, expected.pwms, atol=1e-12)


def test_dead_filters_are_uniform_and_named():
    model = network_of(padding="same")
    kernel, bias = model.get_layer("first").get_weights()
    kernel[:, :, 1], bias[1] = 0, -1
    model.get_layer("first").set_weights([kernel, bias])
    (result,) = filter_pwms(model, np.eye(4, dtype=np.float32)[codes_of(with_n=False)])
    assert result.status == ("active", "dead", "active", "active")
    assert (result.pwms[1] == 0.25).all()
    assert result.n_sites[1] == result.n_firing[1] == 0
    assert np.isfinite(result.pwms).all() and np.isfinite(result.weight_pwms).all()
    assert [motif.name for motif in result.motifs(include_dead=False)] == ["filter0", "filter2", "filter3"]
    assert result.motifs()[1].alt_name == "dead"


def test_a_floor_above_zero_does_not_hide_a_dead_filter():
    """DeepSEA's Threshold(0, 1e-6): a dead filter is 1e-6 everywhere, and every position would be a site."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 3, 5, bias=False), torch.nn.Threshold(0, 1e-6))
    with torch.no_grad():
        module[0].weight[1] = -1
    (result,) = filter_pwms(module, np.eye(4, dtype=np.float32)[codes_of(with_n=False)].transpose(0, 2, 1).copy())
    assert result.status == ("active", "dead", "active")
    assert (result.pwms[1] == 0.25).all()


def test_a_filter_that_wakes_late_keeps_its_early_sites():
    """A sigmoid filter at 0.5 all through the first batch, at 0.6 later: 0.5 is above the threshold."""
    module = torch.nn.Sequential(torch.nn.Conv1d(4, 1, 1, bias=False), torch.nn.Sigmoid())
    with torch.no_grad():
        module[0].weight[0, :, 0] = torch.tensor([0.0, 0.0, 0.0, 0.4])
    codes = np.zeros((8, LENGTH), np.uint8)
    codes[6, 3] = 3
    network = open_network(module, length=LENGTH)
    (result,) = filter_pwms(network, network.layout.encode(codes), batch_size=4)
    assert result.n_sites == [8 * LENGTH]


def test_broken_weights_are_said():
    model = network_of()
    kernel, bias = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * np.nan, bias])
    with pytest.raises(InputError, match="layer first are not finite"):
        filter_pwms(model, np.eye(4, dtype=np.float32)[codes_of(with_n=False)])


def test_columns_without_bases_are_uniform():
    """Causal padding: the first base of the window of a site at position 0 is never there."""
    network = open_network(network_of(width=5, padding="same"))
    codes = np.full((3, LENGTH), 4, np.uint8)
    codes[:, 10] = 2
    (result,) = filter_pwms(network, network.layout.encode(codes), threshold=0.99)
    for pwm, n_sites in zip(result.pwms, result.n_sites, strict=True):
        assert n_sites > 0
        assert all((row == 0.25).all() or (row == [0, 0, 1, 0]).all() for row in pwm)


def test_weight_pwms():
    kernels = np.random.default_rng(0).normal(size=(2, 3, 4))
    kernels[1] = 0
    pwms = weight_pwms(kernels)
    for row, weights in zip(pwms[0], kernels[0], strict=True):
        expected = [np.exp(3 * weight / np.abs(kernels[0]).max()) for weight in weights]
        np.testing.assert_allclose(row, np.array(expected) / sum(expected))
    assert (pwms[1] == 0.25).all()
    with pytest.raises(InputError, match="shape"):
        weight_pwms(np.zeros((3, 4)))


def test_motifs_carry_their_width(network, inputs):
    (result,) = filter_pwms(network, inputs)
    assert [motif.name for motif in result.motifs()] == ["filter0", "filter1", "filter2", "filter3"]
    assert {motif.nsites for motif in result.motifs()} == {5}
    for whole, trimmed in zip(result.motifs(), result.motifs(trimmed=True), strict=True):
        assert trimmed.nsites == trimmed.width == whole.trimmed().width


def torch_network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, (4, 6), padding=(0, 2)),
        torch.nn.BatchNorm2d(3),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d((1, 2)),
        torch.nn.Conv2d(3, 2, (1, 3)),
        torch.nn.ReLU(),
    )


@pytest.mark.parametrize("layer", [None, "4"])
def test_torch_and_deeper_layers(layer):
    module = torch_network()
    network = open_network(module, length=LENGTH, layer=layer)
    inputs = network.layout.encode(CODES)
    (result,) = filter_pwms(network, inputs, batch_size=13)
    with torch.no_grad():
        maps = module.eval()[: 6 if layer else 3](torch.from_numpy(inputs)).numpy()[:, :, 0].transpose(0, 2, 1)
    assert result.window == (ReceptiveField(-2, 11, 2) if layer else ReceptiveField(-2, 6, 1))
    assert (result.kernels is None) == (layer is not None)
    assert_matches_reference(result, maps, CODES, lambda one: slow.sites(one, 0.5 * one.max()))


def test_several_banks():
    dna = keras.Input((LENGTH, 4))
    branches = [layers.Conv1D(2, width, activation="relu", name=f"w{width}")(dna) for width in (3, 6)]
    results = filter_pwms(keras.Model(dna, branches), np.eye(4, dtype=np.float32)[codes_of(with_n=False)])
    assert [result.pwms.shape for result in results] == [(2, 3, 4), (2, 6, 4)]
    assert results[1].names == ("w6_filter0", "w6_filter1")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"quantile": 1.5}, "quantile"),
        ({"top": 0}, "top"),
        ({"top": 3, "quantile": 0.5}, "not both"),
        ({"window": 0}, "window"),
        ({"axes": "L,5"}, "axes"),
    ],
)
def test_arguments_out_of_range(options, problem):
    with pytest.raises(InputError, match=problem):
        filter_pwms(network_of(), np.eye(4, dtype=np.float32)[codes_of(with_n=False)], **options)


def test_no_sequences():
    with pytest.raises(InputError, match="no sequences"):
        filter_pwms(network_of(), np.zeros((0, LENGTH, 4)))


def test_maxima_of_negative_maps():
    """Without a ReLU a filter can be below zero everywhere: it has no sites."""
    maxima = Maxima.of(np.full((2, 3, 1), -1, np.float32))
    assert maxima.thresholds(0.5) == [np.inf]


def test_one_position_in_all():
    model = keras.Sequential([keras.Input((5, 4)), layers.Conv1D(2, 5, kernel_initializer="ones"), layers.ReLU()])
    one = np.eye(4, dtype=np.float32)[[[0, 1, 2, 3, 0]]]
    (found,) = filter_pwms(model, one)
    np.testing.assert_array_equal(found.pwms, [one[0], one[0]])
    np.testing.assert_array_equal(found.n_sites, [1, 1])


def test_tensors(network, inputs):
    (expected,), (found,) = filter_pwms(network, inputs), filter_pwms(network, torch.as_tensor(inputs))
    np.testing.assert_array_equal(found.pwms, expected.pwms)
