"""What PWMs rest on, against one-loop-a-site references, and however the data is cut into batches."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.small_networks import CODES, LENGTH, N, network_of

from kipoi_motifrep.filters import ArrayBatches, Batch, filter_pwms
from kipoi_motifrep.filters.evidence import N_BINS, N_EXAMPLES, Heights, SiteSample
from kipoi_motifrep.filters.selection import sites_above
from kipoi_motifrep.filters.streaming import PWMRule, network_pwms
from kipoi_motifrep.filters.writing import read_filters, write_filters
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.types import ReceptiveField

feature_maps = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-4, 4000, width=32))
)


def slow_heights(maps):
    """Where each sequence's largest activation falls, among 64 equal parts up to the next power of 2."""
    counts = np.zeros((maps.shape[2], N_BINS + 1), int)
    for f in range(maps.shape[2]):
        highest = float(maps[:, :, f].max())
        power = 0
        while highest > 0 and 2.0**power < highest:
            power += 1
        while highest > 0 and 2.0 ** (power - 1) >= highest:
            power -= 1
        for sequence in maps[:, :, f]:
            top = max(0.0, float(sequence.max()))
            counts[f, math.ceil(top / (2.0**power / N_BINS))] += 1
    return counts


@given(feature_maps)
def test_heights_are_those_of_a_loop_however_they_are_added_up(maps):
    expected = slow_heights(maps)
    highest = maps.max(axis=1)
    np.testing.assert_array_equal(Heights.of(highest).counts, expected)
    total = Heights.of(highest[:1])
    for i in range(1, len(maps)):
        total += Heights.of(highest[i : i + 1])
    np.testing.assert_array_equal(total.counts, expected)
    np.testing.assert_array_equal(total.power, Heights.of(highest).power)
    assert (2.0**total.power >= maps.max(axis=(0, 1))).all()


def slow_sample(codes, maps, levels, window):
    """Places of all sites, and the ten highest of each filter, one a sequence, each as a row."""
    n_places = min(50, codes.shape[1])
    places, examples = np.zeros((maps.shape[2], n_places), int), []
    for f in range(maps.shape[2]):
        own = []
        for n, sequence in enumerate(codes):
            best = None
            for i, value in enumerate(maps[n, :, f]):
                if not value > max(0, levels[f]):
                    continue
                start = window.start + window.step * i
                middle = min(max(start + (window.width - 1) // 2, 0), len(sequence) - 1)
                places[f, middle * n_places // len(sequence)] += 1
                if best is None or value > best[0]:
                    best = value, start
            if best is not None:
                letters = "".join(
                    "ACGTN"[sequence[column]] if 0 <= column < len(sequence) else "N"
                    for column in range(best[1], best[1] + window.width)
                )
                own.append((-best[0], n, best[1], letters))
        examples += [(f, start, -value, letters, f"sequence {n}") for value, n, start, letters in sorted(own)[:10]]
    return places, examples


def rows(sample):
    columns = (sample.filter, sample.start, sample.value, sample.letters.astype(str), sample.name)
    return list(zip(*columns, strict=True))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sampled_from([ReceptiveField(-3, 7, 1), ReceptiveField(0, 4, 3), ReceptiveField(2, 1, 2)]),
    st.integers(1, 40),
)
def test_samples_are_those_of_a_loop_however_they_are_added_up(seed, n, window, batch_size):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (n, 25)).astype(np.uint8)
    maps = rng.integers(-5, 9, (n, 8, 3)).astype(np.float32)  # few values, so many ties
    levels = np.float32([0, 2, 8])
    total = None
    for first in range(0, n, batch_size):
        some = slice(first, first + batch_size)
        above = np.zeros(3, np.float32) if total is None else total.levels()
        part = SiteSample.of(codes[some], sites_above(maps[some], levels), window, 3, {}, first, above)
        total = part if total is None else total + part
    places, examples = slow_sample(codes, maps, levels, window)
    np.testing.assert_array_equal(total.places, places)
    assert rows(total) == examples


@pytest.fixture(scope="module")
def network():
    return open_network(network_of(padding="same"))


@pytest.mark.parametrize("options", [{}, {"top": 3}, {"quantile": 0.9}, {"best_per_sequence": True}])
@pytest.mark.parametrize(("batch_size", "memory"), [(7, 1 << 20), (7, 0), (7, 6000), (1000, 1 << 20)])
def test_filters_carry_them_whatever_the_batches(network, options, batch_size, memory):
    inputs = network.layout.encode(CODES)
    (found,) = filter_pwms(network, inputs, batch_size=batch_size, memory=memory, **options)
    maps = network.activations(inputs)[0]
    np.testing.assert_array_equal(found.heights.counts, slow_heights(maps))
    assert (found.heights.counts.sum(axis=1) == N).all()
    np.testing.assert_array_equal(found.sample.places.sum(axis=1), found.n_sites)
    assert found.sample.places.shape[1] == LENGTH
    assert (np.bincount(found.sample.filter) == np.minimum(found.n_firing, N_EXAMPLES)).all()
    if "top" not in options and "best_per_sequence" not in options:
        places, examples = slow_sample(CODES, maps, found.level, found.window)
        np.testing.assert_array_equal(found.sample.places, places)
        assert [row[:2] for row in rows(found.sample)] == [row[:2] for row in examples]


def test_they_are_read_as_they_were_written(network, tmp_path):
    found = filter_pwms(network, network.layout.encode(CODES))
    write_filters(found, tmp_path)
    (again,) = read_filters(tmp_path, network)
    for part in ("heights", "sample"):
        for name, array in vars(getattr(found[0], part)).items():
            np.testing.assert_array_equal(getattr(getattr(again, part), name), array)


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({}, "sequence 1"),
        ({"id": np.array(["a", "b"])}, "b"),
        ({"ranges": {"chr": ["1", "X"], "start": [5, 7], "end": [9, 11]}}, "X:7-11"),
        ({"ranges": {"chr": ["1", "X"], "start": [5, 7], "end": [9, 11], "strand": ["+", "-"]}}, "X:7-11(-)"),
    ],
)
def test_sequences_are_called_by_what_is_known_of_them(metadata, name):
    keras = pytest.importorskip("keras")
    convolution = keras.layers.Conv1D(1, 2, use_bias=False)
    network = keras.Sequential([keras.Input((6, 4)), convolution, keras.layers.ReLU()])
    network.set_weights([np.eye(4)[[0, 1]].reshape(2, 4, 1)])  # an A, then a C

    class Named(ArrayBatches):
        def __iter__(self):
            return (Batch(batch.inputs, metadata) for batch in super().__iter__())

    (found,) = filter_pwms(network, Named(np.eye(4)[[[3, 3, 3, 3, 3, 3], [3, 0, 1, 3, 3, 3]]], 2))
    assert rows(found.sample) == [(0, 1, 2.0, "AC", name)]


def test_pwms_are_the_same_where_no_evidence_is_collected():
    codes = np.random.default_rng(0).integers(0, 4, (40, 30)).astype(np.uint8)
    model = keras.Sequential([keras.Input((30, 4)), keras.layers.Conv1D(3, 5, activation="relu")])
    network = open_network(model)
    batches = ArrayBatches(np.eye(4, dtype=np.float32)[codes], 16)
    ([with_it], [without]) = (network_pwms(network, batches, PWMRule(), evidence=one) for one in (True, False))
    assert with_it.heights is not None and with_it.sample is not None
    assert without.heights is None and without.sample is None
    np.testing.assert_array_equal(with_it.counts, without.counts)
    np.testing.assert_array_equal(with_it.level, without.level)
