"""What a reader of an interpretation must know is said in its notes."""

import numpy as np
import pytest

from kipoi_motifrep import interpret

keras = pytest.importorskip("keras")
layers = keras.layers


def test_dead_filters_are_said(tmp_path):
    network = keras.Sequential(
        [
            keras.Input((30, 4)),
            layers.Conv1D(3, 5, activation="relu", name="first"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1),
        ]
    )
    kernel = np.zeros((5, 4, 3))
    kernel[2, 0, 2] = 1  # A
    network.get_layer("first").set_weights([kernel, np.array([-1.0, -1.0, 0.0])])
    (tmp_path / "dna.fa").write_text("".join(f">{i}\n{'ACGTTGCAACTTGCA' * 2}\n" for i in range(4)))
    notes = interpret(network, fasta=tmp_path / "dna.fa", null=False, importance=False).representation.notes
    assert any(note.startswith("2 of 3 filters are dead") for note in notes)
    assert not any("sites or fewer" in note for note in notes)  # the living one has 24


@pytest.mark.parametrize(("width", "advised"), [(1, True), (3, True), (4, False)])
def test_narrow_filters_bring_the_advice_to_look_deeper(tmp_path, width, advised):
    network = keras.Sequential([keras.Input((12, 4)), layers.Conv1D(2, width, activation="relu"), layers.Flatten()])
    (tmp_path / "dna.fa").write_text(">a\nACGTTGCAACTT\n>b\nTTGACCATGGAC\n")
    found = interpret(network, fasta=tmp_path / "dna.fa", null=False, importance=False, output=tmp_path / "out")
    advice = f"Filters of the first layer see {width} bases at most, fewer than a motif has. Filters of a deeper"
    assert any(advice in note and "--layer" in note for note in found.report.notes) == advised
    assert (advice in (tmp_path / "out/report.html").read_text()) == advised
