"""Folders of Kipoi models as the zoo has them: an architecture with weights, whole files, downloads, own layers."""

import hashlib
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras
import yaml
from support.network_files import kipoi_folder

import kipoi_motifrep as km
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.loading import load_model, open_network

LENGTH = 30
X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (5, LENGTH))]


def network(framework):
    framework.utils.set_random_seed(2)
    layers = framework.layers
    start = framework.Input((LENGTH, 4), name="seq")
    x = layers.Conv1D(6, 9, activation="relu", name="conv")(start)
    x = layers.BatchNormalization(name="norm")(layers.Dropout(0.2)(x))
    x = layers.GlobalMaxPooling1D()(layers.Bidirectional(layers.GRU(3, return_sequences=True))(x))
    made = framework.Model(start, layers.Dense(2, activation="sigmoid", name="out")(x))
    values = np.random.default_rng(1)
    made.set_weights(
        [
            values.normal(size=one.shape) ** (2 if "variance" in name else 1)
            for one, name in zip(made.get_weights(), [one.name for one in made.weights], strict=True)
        ]
    )
    made.compile(loss=squares)  # somebody's own, which is of no account
    return made


def squares(truth, prediction):
    return (truth - prediction) ** 2


def as_pair(made, folder, suffix=".h5"):
    made.save_weights(folder / f"made{suffix}")
    (folder / f"made{suffix}").rename(folder / "weights")
    (folder / "model.json").write_text(made.to_json())
    return {"arch": "model.json", "weights": "weights"}


def as_yaml(made, folder):
    as_pair(made, folder)
    (folder / "arch.yml").write_text(yaml.dump(json.loads(made.to_json())))
    return {"arch": "arch.yml", "weights": "weights"}


def as_tree(made, folder):
    return as_pair(made, folder, ".weights.h5")


def as_whole(made, folder, suffix=".h5"):
    made.save(folder / f"made{suffix}")
    (folder / f"made{suffix}").rename(folder / "x.model")
    return {"weights": "x.model"}


def as_keras(made, folder):
    return as_whole(made, folder, ".keras")


def as_downloads(made, folder):
    """As Kipoi keeps them: named by their md5; some groups write a prefix to it."""
    as_pair(made, folder)
    named = {}
    for argument, name in {"arch": "model.json", "weights": "weights"}.items():
        digest = hashlib.md5((folder / name).read_bytes()).hexdigest()
        named[argument] = ("md5:" if argument == "arch" else "") + digest
        (folder / name).rename(folder / named[argument])
    return {**named, "backend": "tensorflow", "image_dim_ordering": "tf"}


@pytest.fixture(scope="module", params=[tf_keras, keras], ids=["Keras 2", "Keras 3"])
def made(request):
    return network(request.param)


# Keras 3 writes weights as a tree only.
FORMS = [(tf_keras, form) for form in (as_pair, as_yaml, as_tree, as_whole, as_keras, as_downloads)] + [
    (keras, form) for form in (as_tree, as_whole, as_keras)
]


@pytest.mark.parametrize(("framework", "form"), FORMS)
def test_folders_of_the_zoo_open(tmp_path, framework, form):
    kipoi_folder(tmp_path, form(network(framework), tmp_path), (LENGTH, 4))
    assert_predicts(tmp_path, network(framework))


@pytest.mark.parametrize(("defined_as", "old_type"), [("kipoi_motifrep.Keras3Model", None), (None, "keras")])
def test_other_names_of_the_class(tmp_path, defined_as, old_type):
    kipoi_folder(tmp_path, as_pair(network(tf_keras), tmp_path), (LENGTH, 4), defined_as, old_type)
    assert_predicts(tmp_path, network(tf_keras))


def assert_predicts(folder, made):
    model = load_model(str(folder))
    assert model.type == "keras"
    np.testing.assert_allclose(model.predict_on_batch(X), made.predict(X, verbose=0), atol=1e-6)
    assert model.predict_activation_on_batch(X, "conv").shape == (5, LENGTH - 8, 6)


def test_a_damaged_download_is_named(tmp_path):
    arguments = as_downloads(network(tf_keras), tmp_path)
    with open(tmp_path / arguments["arch"], "a") as file:
        file.write(" ")
    kipoi_folder(tmp_path, arguments, (LENGTH, 4))
    with pytest.raises(InputError, match="damaged or not those meant"):
        load_model(str(tmp_path))


# The folder's own layers, in code that was written for Keras 2

OWN = """import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K
from keras.layers import Layer


class Gelu(tf.keras.layers.Layer):
    def call(self, x):
        return tf.keras.activations.sigmoid(tf.constant(1.702) * x) * x


class Scaled(Layer):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x):
        return tf.keras.backend.switch(tf.constant(True), x * self.scale, x)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


OBJECTS = {"Gelu": Gelu, "Scaled": Scaled}
"""


def test_layers_of_a_folder_written_for_keras_2(tmp_path):
    """As scbasset's; in a process of its own, since tf.keras is Keras 2 after that."""
    layers = tf_keras.layers
    made = tf_keras.Sequential(
        [
            tf_keras.Input((LENGTH, 4)),
            layers.Conv1D(6, 9, name="conv"),
            layers.Activation("linear", name="gelu"),
            layers.Activation("linear", name="scaled"),
            layers.GlobalMaxPooling1D(),
        ]
    )
    arguments = as_pair(made, tmp_path)
    config = json.loads((tmp_path / "model.json").read_text())
    for one in config["config"]["layers"]:
        if one["config"]["name"] in ("gelu", "scaled"):
            one["class_name"] = one["config"]["name"].title()
            one["config"] = {"name": one["config"]["name"]} | ({"scale": 3.0} if "sc" in one["config"]["name"] else {})
            one.pop("module", None)
            one.pop("registered_name", None)
    (tmp_path / "model.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(OWN)
    kipoi_folder(tmp_path, {**arguments, "custom_objects": "own.py"}, (LENGTH, 4))
    z = made.layers[0](X).numpy()
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, keras\nfrom kipoi_motifrep.networks.loading import load_model\n"
        "model = load_model('.')\nnp.save('y.npy', model.predict_on_batch(np.load('x.npy')))\n"
        "assert keras.__version__[0] == '3' and __import__('keras.layers').__version__[0] == '3'\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), (3 * z / (1 + np.exp(-1.702 * z))).max(axis=1), atol=1e-5)
    kipoi_folder(tmp_path, arguments, (LENGTH, 4))
    with pytest.raises(InputError, match="needs the custom object 'Gelu'"):
        load_model(str(tmp_path))


OWN_CLASS = """import keras
from kipoi.model import BaseModel
from tensorflow.keras import backend


class Own(BaseModel):
    def __init__(self, weights):
        self.model = keras.models.load_model(weights, compile=False)

    def predict_on_batch(self, x):
        return backend.get_value(self.model(x))
"""


def test_a_class_of_a_folder_written_for_keras_2(tmp_path):
    """As DeepLiver's and APARENT's; in a process of its own, since tf.keras is Keras 2 after that."""
    made = network(tf_keras)
    made.save(tmp_path / "x.h5")
    (tmp_path / "own_class.py").write_text(OWN_CLASS)
    kipoi_folder(tmp_path, {"weights": "x.h5"}, (LENGTH, 4), "own_class.Own")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import numpy as np\nfrom kipoi_motifrep.networks.loading import load_model, open_network\n"
        "model = load_model('.')\nnp.save('y.npy', model.predict_on_batch(np.load('x.npy')))\n"
        "np.save('kernels.npy', open_network(model).banks[0].kernels)\n"
        "assert __import__('keras.layers').__version__[0] == '3'\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), made.predict(X, verbose=0), atol=1e-5)
    kernel = made.get_layer("conv").get_weights()[0]
    np.testing.assert_allclose(np.load(tmp_path / "kernels.npy"), kernel.transpose(2, 0, 1), atol=1e-6)


# Commands


def test_filters_of_a_folder_are_those_of_the_network(tmp_path, made):
    form = as_pair if isinstance(made, tf_keras.Model) else as_tree
    kipoi_folder(tmp_path, form(made, tmp_path), (LENGTH, 4))
    kernel = made.get_layer("conv").get_weights()[0]
    found = open_network(str(tmp_path))
    np.testing.assert_allclose(found.banks[0].kernels, kernel.transpose(2, 0, 1), atol=1e-6)
    (tmp_path / "s.fa").write_text(
        "".join(f">{i}\n{''.join('ACGT'[base] for base in one.argmax(1))}\n" for i, one in enumerate(X))
    )
    folder = km.extract_filters(str(tmp_path), fasta=tmp_path / "s.fa")
    pair = km.NetworkFile(str(tmp_path / "weights"), str(tmp_path / "model.json"))
    bare = km.extract_filters(pair, fasta=tmp_path / "s.fa")
    np.testing.assert_array_equal(folder[0].pwms, bare[0].pwms)


def test_kipoi_predict_reads_a_folder_of_keras_2(tmp_path):
    made = network(tf_keras)
    kipoi_folder(tmp_path, as_pair(made, tmp_path), (LENGTH, 4))
    (tmp_path / "s.fa").write_text(
        "".join(f">{i}\n{''.join('ACGT'[base] for base in one.argmax(1))}\n" for i, one in enumerate(X))
    )
    arguments = json.dumps({"fasta_file": str(tmp_path / "s.fa"), "auto_resize_len": LENGTH})
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "kipoi_motifrep",
            "predict",
            str(tmp_path),
            "--source=dir",
            f"--dataloader_args={arguments}",
            "-o",
            str(tmp_path / "out.tsv"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    columns = [i for i, name in enumerate(rows[0]) if name.startswith("preds")]
    found = np.array([[float(row[i]) for i in columns] for row in rows[1:]])
    np.testing.assert_allclose(found, made.predict(X, verbose=0), atol=1e-5)
