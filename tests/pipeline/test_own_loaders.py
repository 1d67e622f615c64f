"""Kipoi models whose own loader gives signals beside the DNA, and does not say how many sequences there are."""

import json

import numpy as np
import pytest
from support.tiny_networks import keras, layers

from kipoi_motifrep import interpret

LOADER = """
import numpy as np
from kipoi.data import Dataset

class Signals(Dataset):
    def __init__(self, intervals_file):
        pass
    def __len__(self):
        return 30
    def __getitem__(self, i):
        random = np.random.default_rng(i)
        dna = np.eye(4, dtype="float32")[random.integers(0, 4, 40)]
        beside = random.random((40, 2)).astype("float32")
        return {"inputs": np.concatenate([beside[:, :1], dna, beside[:, 1:]], axis=1), "targets": np.zeros(1)}
"""


@pytest.mark.filterwarnings("ignore:")
def test_channels_that_are_one_hot_in_what_the_loader_gives_are_the_bases(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((40, 6)),
            layers.Conv1D(5, 7, activation="relu", name="first"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1),
        ]
    )
    model.save(folder / "weights.keras")
    info = {"info": {"authors": [{"name": "A"}], "doc": "test", "license": "MIT"}}
    inputs = {"name": "seq", "shape": "(40, 6)", "doc": "DNA sequence and other big-wig channels"}
    targets = {"name": "y", "shape": "(1,)", "doc": "y"}
    described = {
        "defined_as": "kipoi.model.KerasModel",
        "args": {"weights": "weights.keras"},
        "default_dataloader": ".",
    }
    schema = {"inputs": inputs, "targets": targets}
    (folder / "model.yaml").write_text(json.dumps({**described, **info, "schema": schema}))
    loader = {"type": "Dataset", "defined_as": "loader.py::Signals", "args": {"intervals_file": {"doc": "x"}}}
    (folder / "dataloader.yaml").write_text(json.dumps({**loader, **info, "output_schema": schema}))
    (folder / "loader.py").write_text(LOADER)

    found = interpret(str(folder), source="dir", dataloader_args={"intervals_file": "x"}, database="JASPAR2016")
    assert found.report.network.axes == "(L, 6) ACGT in channels 1 to 4"
    kernel = model.get_layer("first").get_weights()[0][:, 1:5].transpose(2, 0, 1)
    np.testing.assert_array_equal(found.banks[0].kernels, kernel)
    # The untrained network is read in the same way, and no signal is missing.
    notes = " ".join(found.report.notes)
    assert "no untrained network" not in notes
    assert "were not given" not in notes
