"""Opening bare files and Kipoi models."""

import json
import zipfile

import h5py
import numpy as np
import pytest
from support.tiny_networks import (
    KERAS,
    LENGTH,
    assert_reads_as_described,
    conv1d,
    keras,
    layers,
    nn,
    nn1d,
    sequential,
    torch,
)

from kipoi_motifrep import InputError
from kipoi_motifrep.networks.loading import open_network


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_bare_files(tmp_path, suffix):
    path = tmp_path / f"network{suffix}"
    model = KERAS["same"]()
    model.save(path)
    network = open_network(path)
    assert_reads_as_described(network)
    np.testing.assert_array_equal(network.banks[0].kernels, open_network(model).banks[0].kernels)


def test_keras_2_file(tmp_path):
    """A file as Keras 2 wrote it: the input's shape inside the first layer, old class names."""
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    conv = {
        "class_name": "Conv1D",
        "config": {
            "name": "conv1d_1",
            "trainable": True,
            "batch_input_shape": [None, LENGTH, 4],
            "dtype": "float32",
            "filters": 3,
            "kernel_size": [5],
            "strides": [1],
            "padding": "valid",
            "data_format": "channels_last",
            "dilation_rate": [1],
            "activation": "relu",
            "use_bias": False,
            "kernel_initializer": {
                "class_name": "VarianceScaling",
                "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
            },
            "bias_initializer": {"class_name": "Zeros", "config": {}},
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        },
    }
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.4", b"tensorflow"
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [conv]}}
        ).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"conv1d_1"]
        weights.attrs["keras_version"], weights.attrs["backend"] = b"2.2.4", b"tensorflow"
        group = weights.create_group("conv1d_1")
        group.attrs["weight_names"] = [b"conv1d_1/kernel:0"]
        group.create_dataset("conv1d_1/kernel:0", data=kernel)
    network = open_network(path)
    np.testing.assert_array_equal(network.banks[0].kernels, kernel.transpose(2, 0, 1))
    assert_reads_as_described(network)


def with_lambda():
    return sequential((LENGTH, 4), layers.Lambda(lambda x: x * 2), conv1d())


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_is_not_run(tmp_path, suffix):
    path = tmp_path / f"lambda{suffix}"
    with_lambda().save(path)
    with pytest.raises(InputError, match="Lambda") as error:
        open_network(path)
    assert "\n" not in str(error.value)


@keras.saving.register_keras_serializable("strangers")
class Foreign(layers.Layer):
    pass


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_custom_objects_are_named(tmp_path, suffix):
    path = tmp_path / f"custom{suffix}"
    sequential((LENGTH, 4), Foreign(), conv1d()).save(path)
    registered = keras.saving.get_custom_objects().pop("strangers>Foreign")
    try:
        if suffix == ".keras":  # or Keras would find the class where the file says it lies
            move_module(path)
        with pytest.raises(InputError, match="Foreign"):
            open_network(path)
    finally:
        keras.saving.get_custom_objects()["strangers>Foreign"] = registered


def move_module(path):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(__name__.encode(), b"elsewhere")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_broken_files(tmp_path):
    whole = tmp_path / "whole.keras"
    KERAS["same"]().save(whole)
    for name in ("cut.keras", "cut.h5"):
        path = tmp_path / name
        path.write_bytes(whole.read_bytes()[:500])
        with pytest.raises(InputError, match="cut off"):
            open_network(path)
    weights = tmp_path / "only.weights.h5"
    KERAS["same"]().save_weights(weights)
    with pytest.raises(InputError, match="weights without a network"):
        open_network(weights)
    torch.save(nn1d().state_dict(), tmp_path / "module.pt")
    with pytest.raises(InputError, match="without a network"):
        open_network(tmp_path / "module.pt")
    with pytest.raises(InputError, match="no such file"):
        open_network(tmp_path / "none.keras")


MODEL_YAML = """\
defined_as: {defined_as}
args: {args}
default_dataloader: .
info: {{authors: [{{name: A}}], doc: test}}
schema:
  inputs: {{name: seq, shape: "{shape}", doc: DNA, special_type: DNASeq}}
  targets: {{name: y, shape: "(1, )", doc: y}}
"""


LOADER_YAML = """\
type: Dataset
defined_as: loader.Loader
args: {}
info: {authors: [{name: A}], doc: test}
output_schema:
  inputs: {name: seq, shape: "(4, 23)", doc: DNA}
"""


def kipoi_model(folder, **fields):
    folder.mkdir()
    (folder / "model.yaml").write_text(MODEL_YAML.format(**fields))
    (folder / "dataloader.yaml").write_text(LOADER_YAML)
    (folder / "loader.py").write_text("from kipoi.data import Dataset\nclass Loader(Dataset):\n    pass\n")
    return folder


def test_kipoi_pytorch_model(tmp_path):
    folder = kipoi_model(
        tmp_path / "torch",
        defined_as="kipoi.model.PyTorchModel",
        shape="(4, 23)",
        args="{weights: weights.pt, module_file: module.py, module_class: Net}",
    )
    (folder / "module.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv1d(4, 3, 5, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(57, 1))\n"
    )
    torch.manual_seed(0)
    module = nn.Sequential(nn1d(), nn.ReLU(), nn.Flatten(), nn.Linear(57, 1))
    torch.save(module.state_dict(), folder / "weights.pt")
    network = open_network(str(folder))
    assert (network.framework, network.length) == ("PyTorch", 23)
    np.testing.assert_array_equal(network.banks[0].kernels, module[0].weight.detach().numpy().transpose(0, 2, 1))
    assert_reads_as_described(network)


def test_pickled_models_are_refused_before_they_are_opened(tmp_path):
    folder = kipoi_model(
        tmp_path / "sklearn", defined_as="kipoi.model.SklearnModel", shape="(4, 23)", args="{pkl_file: model.pkl}"
    )
    (folder / "model.pkl").write_bytes(b"not even a pickle")
    with pytest.raises(InputError, match="scikit-learn"):
        open_network(str(folder))


def test_unknown_kipoi_model(tmp_path):
    with pytest.raises(InputError, match="no Kipoi model"):
        open_network(str(tmp_path / "nothing"), source="dir")


def test_kipoi_model_with_a_broken_description(tmp_path):
    folder = kipoi_model(tmp_path / "broken", defined_as="kipoi.model.PyTorchModel", shape="[4, 23]", args="{}")
    with pytest.raises(InputError, match=r"broken/model\.yaml: Kipoi cannot read it"):
        open_network(str(folder))


class OfWords(nn.Module):
    """Takes numbers of bases, as language models do."""

    def __init__(self):
        super().__init__()
        self.words, self.conv = nn.Embedding(5, 8), nn.Conv1d(8, 3, 3)

    def forward(self, x):
        return self.conv(self.words(x).transpose(1, 2))


class OfTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 3)

    def forward(self, x, weights):
        return self.conv(x).mean(2) * weights


@pytest.mark.parametrize(
    ("model", "cure"),
    [
        (OfWords, "it takes the numbers of bases or words; one that takes one-hot sequences is needed"),
        (OfTwo, "it takes several inputs: give all of them, by sequences="),
        (lambda: nn.Conv1d(6, 3, 5), "if it takes signals beside the bases, .* by dna_channels=A:B"),
    ],
)
def test_what_a_framework_says_is_put_into_a_cure(model, cure):
    with pytest.raises(InputError, match=f"no convolution of this model reads DNA: .*; {cure}") as error:
        open_network(model(), length=30)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_several_sequences_in_one_array_are_not_one():
    model = sequential((3, LENGTH, 4), layers.TimeDistributed(conv1d()))
    with pytest.raises(
        InputError, match=rf"no input of this model is one sequence: .* \(3, {LENGTH}, 4\) has more axes"
    ):
        open_network(model)
