"""Weights of Keras, and the user's own file that makes their network; those of PyTorch are in test_torch_files."""

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.file_kinds import NetworkFile
from kipoi_motifrep.networks.loading import load_model

LENGTH = 12
BUILDER = """from keras.layers import Conv1D, Dense, Flatten, Input
from keras.models import Model


def build():
    start = Input(shape=(12, 4))
    x = Flatten()(Conv1D(3, 5, activation="relu")(start))
    return Model(start, Dense(2)(x))


def other():
    return 3
"""


@pytest.mark.parametrize("form", ["Keras 2", "Theano", "Keras 3"])
def test_weights_and_the_users_function_that_makes_their_network(tmp_path, form):
    """As DeepCpf1 and many others have them; the names of layers are not always those of the file."""
    framework = keras if form == "Keras 3" else tf_keras
    start = framework.Input((LENGTH, 4))
    x = framework.layers.Conv1D(3, 5, activation="relu", name="c" if form != "Keras 3" else None)(start)
    made = framework.Model(start, framework.layers.Dense(2)(framework.layers.Flatten()(x)))
    weights = tmp_path / ("w.weights.h5" if form == "Keras 3" else "w.h5")
    made.save_weights(weights)
    if form == "Theano":
        with h5py.File(weights, "r+") as file:
            file.attrs["backend"] = "theano"
            kernel = file["c/c/kernel:0"]
            kernel[...] = kernel[()][::-1]
    (tmp_path / "net.py").write_text(BUILDER)
    pair = NetworkFile(str(weights), arch=str(tmp_path / "net.py:build"))
    x = np.random.default_rng(0).random((2, LENGTH, 4)).astype(np.float32)
    np.testing.assert_allclose(load_model(pair).predict(x, verbose=0), made.predict(x, verbose=0), atol=1e-6)
    with pytest.raises(InputError, match=r"net\.py: other makes a int, which is no (tf_)?keras\.Model"):
        load_model(NetworkFile(str(weights), arch=str(tmp_path / "net.py:other")))
    with pytest.raises(InputError, match=r"arch=.*none\.py:build: for weights of Keras give FILE\.py:Class"):
        load_model(NetworkFile(str(weights), arch=str(tmp_path / "none.py:build")))


def test_weights_that_do_not_say_their_version_are_lists_of_keras_1(tmp_path):
    """Those of Seq-deepCpf1, whose kernels have an axis more and slide over the sequence back to front."""
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"input_1", b"convolution1d_1", b"flatten_1", b"dense_1"]
        arrays = {
            "input_1": {},
            "convolution1d_1": {"convolution1d_1_W": kernel[::-1, None], "convolution1d_1_b": np.zeros(3)},
            "flatten_1": {},
            "dense_1": {"dense_1_W": np.ones((24, 2)), "dense_1_b": np.zeros(2)},
        }
        for layer, weights in arrays.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, value in weights.items():
                group[name] = value
    (tmp_path / "net.py").write_text(BUILDER)
    found = load_model(NetworkFile(str(tmp_path / "w.h5"), arch=str(tmp_path / "net.py:build")))
    np.testing.assert_array_equal(found.layers[1].get_weights()[0], kernel)
