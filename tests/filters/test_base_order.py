"""The order of the bases, told from labels or from matches: networks whose order is known."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import kipoi_motifrep as km
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.loader import DatasetDl
from kipoi_motifrep.filters.base_order import _correlations, tell_order
from kipoi_motifrep.filters.batches import Batch, LoaderBatches

EXAMPLES = Path(km.__file__).parent / "sequences/examples"
SYNTHETIC = EXAMPLES / "synthetic.h5"
GROUP = Path(__file__).parents[2] / "models/synthetic"


def shipped(order):
    """A shipped network, with its input channels in another order."""
    model = keras.saving.load_model(GROUP / "weights/cnn_25.keras")
    convolution = next(layer for layer in model.layers if isinstance(layer, layers.Conv1D))
    kernel, *rest = convolution.get_weights()
    convolution.set_weights([kernel[:, ["ACGT".index(base) for base in order]], *rest])
    return model


def labelled():
    return LoaderBatches(DatasetDl(str(SYNTHETIC), "test"), 100)


# Of the second, TGCA, each filter is the mirror image of one in ACGT.
@pytest.mark.parametrize("order", ["CTAG", "TGCA"])
@pytest.mark.parametrize("evidence", ["the labels of 500 sequences", "matches with JASPAR2026: 30 of 30 filters"])
def test_a_shipped_network_with_channels_in_another_order(order, evidence):
    network = km.open_network(shipped(order))
    found, why = tell_order(network, labelled() if "labels" in evidence else None)
    assert found == order
    assert why.startswith(f"the order of the bases, {order}, is told by {evidence}")
    assert why.endswith(f"{order} is the best of 100% of 400 resamples")


def test_filters_are_in_the_order_that_was_told(tmp_path, capsys):
    with_labels = {"dataset": SYNTHETIC, "threshold": 0.5}
    (expected,) = km.extract_filters(shipped("ACGT"), **with_labels)
    (found,) = km.extract_filters(shipped("GATC"), alphabet="auto", **with_labels)
    np.testing.assert_allclose(found.pwms, expected.pwms, atol=1e-5)
    np.testing.assert_array_equal(found.bank.kernels, expected.bank.kernels)
    said = capsys.readouterr().err.splitlines()[-1]
    assert "reads (L, 4) GATC, kernel" in said
    assert "the order of the bases, GATC, is told by the labels of 500 sequences: predictions correlate" in said


def test_a_run_that_goes_on_reads_the_order_from_its_record(tmp_path, capsys, monkeypatch):
    given = {"dataset": SYNTHETIC, "alphabet": "auto", "null": False, "importance": False, "plant": False}
    first = km.interpret(shipped("GATC"), output=tmp_path / "out", **given)
    monkeypatch.setattr("kipoi_motifrep.filters.base_order.tell_order", lambda *_: pytest.fail("told again"))
    capsys.readouterr()
    again = km.interpret(shipped("GATC"), output=tmp_path / "out", **given)
    said = capsys.readouterr().err
    assert "order of the bases: up to date" in said and "filters: up to date" in said
    assert again.report == first.report and again.banks[0].bank.notes == first.banks[0].bank.notes
    # Of another network it is told afresh.
    with pytest.raises(pytest.fail.Exception, match="told again"):
        km.interpret(shipped("CTAG"), output=tmp_path / "out", **given)


def test_the_loaders_word_is_taken(tmp_path, capsys):
    (tmp_path / "g.fa").write_text(">c\n" + "ACGGTTACCA" * 80 + "\n")
    (tmp_path / "two.bed").write_text("c\t0\t200\nc\t203\t403\n")
    files = {"intervals_file": str(tmp_path / "two.bed"), "fasta_file": str(tmp_path / "g.fa"), "alphabet": "AGCT"}
    km.extract_filters(str(GROUP / "cnn_25"), source="dir", dataloader_args=files, alphabet="auto")
    assert "(L, 4) AGCT, kernel" in (said := capsys.readouterr().err)
    assert "is told by" not in said


def network_of(*words):
    """A network of filters for some words."""
    kernel = np.zeros((len(words[0]), 4, len(words)), np.float32)
    for number, word in enumerate(words):
        for place, base in enumerate(word):
            kernel[place, "ACGT".index(base), number] = 1
    model = keras.Sequential(
        [
            keras.Input((60, 4)),
            layers.Conv1D(len(words), len(words[0]), activation="relu", name="first"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    )
    model.get_layer("first").set_weights([kernel, np.full(len(words), 2.0 - len(words[0]))])
    return km.open_network(model)


def test_an_order_and_its_mirror_image_are_not_told_apart_by_what_is_symmetric():
    # Each word is the same from right to left: complement and reverse complement are one.
    words = ["GGGGCGGGG", "AAAAAAAAA", "GGAAAAAGG", "CCCGGGCCC", "TTTCCCTTT", "GGGAAAGGG"]
    with pytest.raises(InputError, match=r"is the best of ..% of 400 resamples\); give it by alphabet=ORDER") as error:
        tell_order(network_of(*words))
    assert {"ACGT is", "TGCA is"} & {*re.findall("[ACGT]{4} is", str(error.value))}
    assert {"in ACGT, the next best", "in TGCA, the next best"} & {
        *re.findall("in [ACGT]{4}, the .{9}", str(error.value))
    }
    assert "\n" not in str(error.value)


def test_noise_is_no_evidence():
    keras.utils.set_random_seed(3)
    model = keras.models.clone_model(shipped("ACGT"))
    with pytest.raises(
        InputError, match=r"cannot be told .the labels of 500 .*; matches with JASPAR2026: .* resamples"
    ):
        tell_order(km.open_network(model), labelled())


def test_labels_of_something_else_are_left_aside():
    batch = next(iter(labelled()))
    others = [Batch(batch.inputs, {}, batch.targets[:, :5])]
    assert "is told by matches with JASPAR2026" in tell_order(km.open_network(shipped("CTAG")), others)[1]


@given(st.integers(0, 2**31), st.integers(3, 9), st.integers(1, 3))
def test_weighted_correlations_are_those_of_repeated_rows(seed, n, outputs):
    random = np.random.default_rng(seed)
    predicted, known = random.normal(size=(2, n, outputs)), random.normal(size=(n, outputs))
    times = random.multinomial(n, np.full(n, 1 / n), 4)
    for row, found in zip(times, _correlations(predicted, known, times.astype(float)), strict=True):
        rows = np.repeat(np.arange(n), row)
        for one, value in zip(predicted, found, strict=True):
            expected = [
                np.corrcoef(one[rows, i], known[rows, i])[0, 1] if len(set(rows)) > 1 else 0 for i in range(outputs)
            ]
            np.testing.assert_allclose(value, np.mean(expected), atol=1e-6)
