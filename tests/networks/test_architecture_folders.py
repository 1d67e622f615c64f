"""Published architectures as folders of Kipoi models, in the form that its zoo has them, against plain loops.

Keras: an architecture of Keras 2 in JSON, and weights. PyTorch: a Python file, and a state dict.
"""

from pathlib import Path

import numpy as np
import pytest
from networks import architectures_keras, architectures_torch
from networks.architectures_torch import torch
from networks.test_architectures import OWN, own_activations
from oracles.filters_reference import pwm, sites
from support.network_files import kipoi_folder

import kipoi_motifrep as km

tf_keras = pytest.importorskip("tf_keras")
OWN_LAYERS = """
import tensorflow as tf

class GELU(tf.keras.layers.Layer):
    def call(self, x):
        return tf.keras.activations.sigmoid(1.702 * x) * x

OBJECTS = {"GELU": GELU}
"""
# How Kipoi's loaders are told to lay sequences out.
LOADER = {
    "L4": {},
    "4L": {"alphabet_axis": 0},
    "41L": {"alphabet_axis": 0, "dummy_axis": 1},
    "4L1": {"alphabet_axis": 0, "dummy_axis": 2},
    "L41": {"alphabet_axis": 1, "dummy_axis": 2},
}


def keras_folder(folder, name, monkeypatch):
    for one, own in {"layers": tf_keras.layers, "Model": tf_keras.Model, "Input": tf_keras.Input}.items():
        monkeypatch.setattr(architectures_keras, one, own)
    monkeypatch.setattr(architectures_keras, "keras", tf_keras)
    make, *_ = architectures_keras.ARCHITECTURES[name]
    tf_keras.utils.set_random_seed(1)
    model = architectures_keras.random_batch_norms(make())
    (folder / "model.json").write_text(model.to_json())
    model.save_weights(folder / "weights.h5")
    args = {"arch": "model.json", "weights": "weights.h5", "backend": "tensorflow", "image_dim_ordering": "tf"}
    if "GELU" in model.to_json():
        (folder / "custom.py").write_text(OWN_LAYERS)
        args["custom_objects"] = "custom.py"
    return model, args, "kipoi.model.KerasModel"


def torch_folder(folder, name, monkeypatch):
    make, *_ = architectures_torch.ARCHITECTURES[name]
    torch.manual_seed(1)
    model = architectures_torch.random_batch_norms(make()).eval()
    code = Path(architectures_torch.__file__).read_text()
    (folder / "network.py").write_text(f"{code}\nmodel = ARCHITECTURES[{name!r}][0]()\n")
    torch.save(model.state_dict(), folder / "weights.pth")
    args = {"module_file": "network.py", "module_obj": "model", "weights": "weights.pth"}
    return model, args, "kipoi.model.PyTorchModel"


@pytest.mark.parametrize(("name", "framework"), OWN)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_a_folder_of_the_architecture_is_interpreted(tmp_path, monkeypatch, name, framework):
    of_keras = framework == "Keras"
    known = (architectures_keras if of_keras else architectures_torch).ARCHITECTURES[name]
    _, length, layer, activation, options, _ = known
    folder = tmp_path / "model"
    folder.mkdir()
    model, args, kind = (keras_folder if of_keras else torch_folder)(folder, name, monkeypatch)
    codes = np.random.default_rng(2).integers(0, 4, (3, length)).astype(np.uint8)
    fasta = tmp_path / "sequences.fa"
    fasta.write_text("".join(f">{n}\n{''.join('ACGT'[code] for code in row)}\n" for n, row in enumerate(codes)))

    network = km.open_network(model, **{"length": length, **options})
    loader = LOADER["".join(network.layout.axes)] if network.layout.channels == 4 else {}
    kipoi_folder(folder, args, network.layout.shape(length), kind, loader=loader)
    # Through the folder's own loader, where that gives all inputs.
    alone = len(network.input_shapes) == 1 and network.layout.channels == 4
    given = {"dataloader_args": {"fasta_file": str(fasta)}} if alone else {"fasta": fasta}
    choice = {key: value for key, value in options.items() if key != "length"}
    (found,) = km.extract_filters(str(folder), source="dir", threshold=0.5, **given, **choice)

    arrays = network.arrays(network.layout.encode(codes))
    (values,) = network.activations(arrays)
    if (
        activation is not None or "fused" in network.banks[0].activation
    ):  # the layer's own output, by the framework's own means
        own = own_activations(model, activation or layer, list(arrays.values()))[:3]
        axis = next(axis for axis, size in enumerate(own.shape) if axis and size == found.bank.n_filters)
        values = np.moveaxis(own, axis, -1).reshape(3, -1, found.bank.n_filters)
    assert (found.bank.layer, found.bank.n_positions) == (layer, values.shape[1])
    field = found.bank.field
    for one in range(0, found.bank.n_filters, 5):
        of_one = values[:, :, one]
        expected, _ = pwm(codes, of_one, sites(of_one, 0.5 * of_one.max()), field.start, field.step, field.width)
        np.testing.assert_allclose(found.pwms[one], expected, atol=1e-5)
