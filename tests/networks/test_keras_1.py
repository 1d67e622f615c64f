"""Files of Keras 1, written here as it wrote them, against what its layers calculate, in plain numpy."""

import json

import numpy as np
import pytest
import yaml
from support.network_files import LENGTH, conv_1, dense_1, kipoi_folder, layer_1, weight, write_h5

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.keras1 import of_keras_2
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.networks.loading import load_model

X = np.random.default_rng(0).random((3, LENGTH, 4)).astype(np.float32)
GATES = "icfo"  # the order of Keras 1


def at(layer, *inputs):
    return {**layer, "inbound_nodes": [[[name, use, 0] for name, use in use_of] for use_of in inputs]}


def input_1(name, shape):
    return {
        "class_name": "InputLayer",
        "name": name,
        "inbound_nodes": [],
        "config": {"batch_input_shape": [None, *shape], "input_dtype": "float32", "sparse": False, "name": name},
    }


def lstm_1(units):
    return {
        "class_name": "LSTM",
        "config": {
            "name": "lstm",
            "trainable": True,
            "output_dim": units,
            "init": "glorot_uniform",
            "inner_init": "orthogonal",
            "forget_bias_init": "one",
            "activation": "tanh",
            "inner_activation": "hard_sigmoid",
            "go_backwards": False,
            "stateful": False,
            "unroll": False,
            "consume_less": "cpu",
            "dropout_U": 0.1,
            "dropout_W": 0.1,
            "return_sequences": True,
            "W_regularizer": None,
            "U_regularizer": None,
            "b_regularizer": None,
            "input_dim": 3,
            "input_length": None,
        },
    }


def factornet():
    """The layers of FactorNet's networks: two strands through the same layers, and signals beside."""
    twice = [("{}", 0)], [("{}", 1)]

    def on(layer, before):
        return at(layer, *[[(before, use)] for _, use in (one[0] for one in twice)])

    layers = [
        input_1("forward", (LENGTH, 4)),
        input_1("reverse", (LENGTH, 4)),
        input_1("signal", (2,)),
        at(conv_1("conv", 3, 4), [("forward", 0)], [("reverse", 0)]),
        on(layer_1("Dropout", "drop", p=0.1), "conv"),
        on(
            {
                **layer_1(
                    "TimeDistributed",
                    "each",
                    layer={k: v for k, v in dense_1("dense_0", 3, "relu").items() if k != "name"},
                )
            },
            "drop",
        ),
        on(layer_1("MaxPooling1D", "pool", stride=2, pool_length=2, border_mode="valid"), "each"),
        on(layer_1("Bidirectional", "both", merge_mode="concat", layer=lstm_1(2)), "pool"),
        on(layer_1("Flatten", "flat"), "both"),
        on(dense_1("hidden", 4, "relu"), "flat"),
    ]
    layers += [
        at(
            layer_1(
                "Merge",
                f"merge_{i}",
                concat_axis=-1,
                mode_type="raw",
                dot_axes=-1,
                mode="concat",
                output_shape=None,
                output_shape_type="raw",
            ),
            [("hidden", i), ("signal", 0)],
        )
        for i in (0, 1)
    ]
    layers += [
        at(dense_1("out", 1, "sigmoid"), [("merge_0", 0)], [("merge_1", 0)]),
        at(
            layer_1(
                "Merge",
                "mean",
                concat_axis=-1,
                mode_type="raw",
                dot_axes=-1,
                mode="ave",
                output_shape=None,
                output_shape_type="raw",
            ),
            [("out", 0), ("out", 1)],
        ),
    ]
    return {
        "class_name": "Model",
        "keras_version": "1.1.1",
        "config": {
            "name": "model_1",
            "layers": layers,
            "output_layers": [["mean", 0, 0]],
            "input_layers": [["forward", 0, 0], ["reverse", 0, 0], ["signal", 0, 0]],
        },
    }


def factornet_weights(suffix):
    number = iter(range(100))
    made = {
        "conv": {"conv_W": weight(next(number), (4, 1, 4, 3)), "conv_b": weight(next(number), (3,))},
        "drop": {},
        "each": {"dense_0_W": weight(next(number), (3, 3)), "dense_0_b": weight(next(number), (3,))},
        "pool": {},
        "both": {
            f"{side}_lstm_{what}_{gate}": weight(next(number), shape)
            for side in ("forward", "backward")
            for gate in GATES
            for what, shape in (("W", (3, 2)), ("U", (2, 2)), ("b", (2,)))
        },
        "flat": {},
        "hidden": {"hidden_W": weight(next(number), (16, 4)), "hidden_b": weight(next(number), (4,))},
        "merge_0": {},
        "merge_1": {},
        "out": {"out_W": weight(next(number), (6, 1)), "out_b": weight(next(number), (1,))},
        "mean": {},
    }
    return {layer: {name + suffix: value for name, value in values.items()} for layer, values in made.items()}


def convolved(x, kernel, bias):
    n = x.shape[1] - len(kernel) + 1
    return sum(x[:, i : i + n] @ kernel[i] for i in range(len(kernel))) + bias


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def lstm(x, weights, side, suffix):
    w = {
        name.removeprefix(f"{side}_lstm_").removesuffix(suffix): value
        for name, value in weights.items()
        if name.startswith(side)
    }
    hidden = cell = np.zeros((len(x), 2))
    outputs = []
    for step in x.transpose(1, 0, 2) if side == "forward" else x[:, ::-1].transpose(1, 0, 2):
        i, c, f, o = (step @ w[f"W_{gate}"] + hidden @ w[f"U_{gate}"] + w[f"b_{gate}"] for gate in GATES)
        cell = hard_sigmoid(f) * cell + hard_sigmoid(i) * np.tanh(c)
        hidden = hard_sigmoid(o) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs if side == "forward" else outputs[::-1], axis=1)


def factornet_expected(inputs, weights, suffix, turn):
    def half(x):
        x = relu(convolved(x, weights["conv"][f"conv_W{suffix}"][::turn, 0], weights["conv"][f"conv_b{suffix}"]))
        x = relu(x @ weights["each"][f"dense_0_W{suffix}"] + weights["each"][f"dense_0_b{suffix}"])
        x = x[:, :8].reshape(len(x), 4, 2, 3).max(axis=2)
        x = np.concatenate([lstm(x, weights["both"], side, suffix) for side in ("forward", "backward")], axis=2)
        x = relu(
            x.reshape(len(x), -1) @ weights["hidden"][f"hidden_W{suffix}"] + weights["hidden"][f"hidden_b{suffix}"]
        )
        x = np.concatenate([x, inputs[2]], axis=1)
        return sigmoid(x @ weights["out"][f"out_W{suffix}"] + weights["out"][f"out_b{suffix}"])

    return (half(inputs[0]) + half(inputs[1])) / 2


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("suffix", ["", ":0"])
def test_a_network_of_keras_1_predicts_what_its_layers_calculate(tmp_path, suffix, whole):
    """Kernels of Theano, whose names have no number of an output, slide over the sequence back to front."""
    config, weights = factornet(), factornet_weights(suffix)
    inputs = [X, X[:, ::-1, ::-1], np.array([[0.1, 0.9], [2, -1], [0, 0]], np.float32)]
    if whole:
        write_h5(tmp_path / "old.hdf5", config, weights, "1.1.1", None)
        model = load_keras(tmp_path / "old.hdf5")
    else:
        write_h5(tmp_path / "old.hdf5", None, weights, None, None)
        (tmp_path / "model").write_text(json.dumps(config))
        model = load_keras(tmp_path / "old.hdf5", tmp_path / "model")
    expected = factornet_expected(inputs, weights, suffix, 1 if suffix else -1)
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, atol=1e-5)


def test_weights_of_keras_1_under_an_architecture_of_keras_2(tmp_path):
    """As some groups of the zoo have them; the backend of the architecture says nothing of the weights."""
    (tmp_path / "arch.json").write_text(
        json.dumps({**of_keras_2(cpgenie()), "keras_version": "2.2.4", "backend": "tensorflow"})
    )
    write_h5(tmp_path / "w.h5", None, CPGENIE, None, None)
    model = load_keras(tmp_path / "w.h5", tmp_path / "arch.json")
    found = model.predict(X.transpose(0, 2, 1)[:, :, None], verbose=0)
    np.testing.assert_allclose(found, cpgenie_expected(X), atol=1e-5)


def test_weights_whose_layers_have_other_names(tmp_path):
    """Numbers in the names of layers count on, so that two copies of a network differ; then the order tells."""
    config, weights = factornet(), factornet_weights("")
    other = {f"{name}_7": values for name, values in weights.items()}
    (tmp_path / "arch.json").write_text(json.dumps(config))
    write_h5(tmp_path / "w.h5", None, weights, None, None)
    write_h5(tmp_path / "other.h5", None, other, None, None)
    inputs = [X, X[:, ::-1, ::-1], np.zeros((3, 2), np.float32)]
    expected = load_keras(tmp_path / "w.h5", tmp_path / "arch.json").predict(inputs, verbose=0)
    found = load_keras(tmp_path / "other.h5", tmp_path / "arch.json").predict(inputs, verbose=0)
    np.testing.assert_array_equal(found, expected)
    del other["hidden_7"]
    write_h5(tmp_path / "other.h5", None, other, None, None)
    with pytest.raises(InputError, match="has no weights of layer 'conv'"):
        load_keras(tmp_path / "other.h5", tmp_path / "arch.json")


def cpgenie():
    """The layers of CpGenie's networks: two dimensions, channels first, a Sequential as a bare list."""

    def unnamed(layer):
        return {"class_name": layer["class_name"], "config": layer["config"]}

    conv = layer_1(
        "Convolution2D",
        "conv",
        nb_filter=3,
        nb_row=1,
        nb_col=5,
        init="glorot_uniform",
        activation="relu",
        border_mode="same",
        subsample=[1, 1],
        dim_ordering="th",
        bias=True,
        W_regularizer=None,
        b_regularizer=None,
        activity_regularizer=None,
        W_constraint=None,
        b_constraint=None,
        batch_input_shape=[None, 4, 1, LENGTH],
        input_dtype="float32",
    )
    pool = layer_1("MaxPooling2D", "pool", pool_size=[1, 3], strides=[1, 3], border_mode="valid", dim_ordering="th")
    norm = layer_1(
        "BatchNormalization",
        "norm",
        epsilon=1e-3,
        mode=0,
        axis=-1,
        momentum=0.99,
        gamma_regularizer=None,
        beta_regularizer=None,
    )
    return {
        "class_name": "Sequential",
        "config": list(map(unnamed, [conv, pool, layer_1("Flatten", "flat"), norm, dense_1("out", 2, "softmax")])),
    }


CPGENIE = {
    "conv": {"conv_W": weight(0, (3, 4, 1, 5)), "conv_b": weight(1, (3,))},
    "pool": {},
    "flat": {},
    "norm": {
        "norm_gamma": weight(2, (12,)),
        "norm_beta": weight(3, (12,)),
        "norm_running_mean": weight(4, (12,)),
        "norm_running_std": weight(5, (12,)) ** 2,
    },
    "out": {"out_W": weight(6, (12, 2)), "out_b": weight(7, (2,))},
}


def cpgenie_expected(x):
    padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    x = relu(convolved(padded, CPGENIE["conv"]["conv_W"][:, :, 0].transpose(2, 1, 0)[::-1], CPGENIE["conv"]["conv_b"]))
    x = x.reshape(len(x), 4, 3, 3).max(axis=2).transpose(0, 2, 1).reshape(len(x), -1)
    gamma, beta, mean, variance = CPGENIE["norm"].values()
    x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    x = np.exp(x @ CPGENIE["out"]["out_W"] + CPGENIE["out"]["out_b"])
    return x / x.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("form", ["json", "yaml", "text in json"])
def test_channels_first_as_keras_1_had_them(tmp_path, form):
    write_h5(tmp_path / "weights.h5", None, CPGENIE, None, None)
    text = yaml.safe_dump(cpgenie()) if form == "yaml" else json.dumps(cpgenie())
    (tmp_path / "arch").write_text(json.dumps(text) if form == "text in json" else text)
    model = load_keras(tmp_path / "weights.h5", tmp_path / "arch")
    found = model.predict(X.transpose(0, 2, 1)[:, :, None], verbose=0)
    np.testing.assert_allclose(found, cpgenie_expected(X), atol=1e-5)


@pytest.mark.parametrize("old_type", [None, "keras"])
def test_a_kipoi_folder_of_keras_1(tmp_path, old_type):
    """As in DeepCpG, FactorNet and CpGenie: `backend` and `image_dim_ordering` are of no account here."""
    folder = kipoi_folder(
        tmp_path / "CpGenie",
        {"arch": "model.json", "weights": "w.h5", "backend": "tensorflow", "image_dim_ordering": "tf"},
        (4, 1, LENGTH),
        old_type=old_type,
    )
    write_h5(folder / "w.h5", None, CPGENIE, None, None)
    (folder / "model.json").write_text(json.dumps(cpgenie()))
    model = load_model(str(folder))
    found = model.predict_on_batch(X.transpose(0, 2, 1)[:, :, None])
    np.testing.assert_allclose(found, cpgenie_expected(X), atol=1e-5)


def test_the_first_convolutions_of_keras_1_had_another_order(tmp_path):
    """Before Keras 1.2 with Theano: filters first."""
    kernel = weight(0, (5, 1, 4, 3))
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Convolution1D",
                "config": {**conv_1("conv", 3, 5)["config"], "batch_input_shape": [None, LENGTH, 4]},
            }
        ],
    }
    write_h5(
        tmp_path / "old.h5",
        config,
        {"conv": {"conv_W": kernel.transpose(3, 2, 0, 1), "conv_b": weight(1, (3,))}},
        "1.0.3",
        None,
    )
    found = load_keras(tmp_path / "old.h5").predict(X, verbose=0)
    np.testing.assert_allclose(found, relu(convolved(X, kernel[::-1, 0], weight(1, (3,)))), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layer_1("Merge", "m", mode="<lambda>", mode_type="lambda"), r"has a Merge layer \('m'\) of a function"),
        (layer_1("Merge", "m", mode="concat", layers=[]), "of whole models"),
        (layer_1("BatchNormalization", "n", mode=1), "normalises each sample"),
        (layer_1("Highway", "h", init="one"), "needs the custom object 'Highway'"),
        (layer_1("Lambda", "l", function="4wEAAAA="), "has a Lambda layer, which is code inside the file"),
    ],
)
def test_what_keras_2_does_not_have_is_named(tmp_path, layer, reason):
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Convolution1D",
                "config": {**conv_1("conv", 3, 5)["config"], "batch_input_shape": [None, LENGTH, 4]},
            },
            layer,
        ],
    }
    write_h5(tmp_path / "old.h5", config, {}, "1.2.2", None)
    with pytest.raises(InputError, match=rf"old\.h5: was written by Keras 1\.2\.2, and .*{reason}") as error:
        load_keras(tmp_path / "old.h5")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            layer_1("AtrousConvolution1D", "a", nb_filter=2, filter_length=3, atrous_rate=2, border_mode="same"),
            {"name": "a", "trainable": True, "filters": 2, "kernel_size": [3], "dilation_rate": [2], "padding": "same"},
        ),
        (
            layer_1("Embedding", "e", input_dim=5, output_dim=3, input_length=9, init="uniform", dropout=0.0),
            {"name": "e", "trainable": True, "input_dim": 5, "output_dim": 3, "input_length": 9},
        ),
        (layer_1("Merge", "m", mode="cos", dot_axes=1), {"name": "m", "axes": 1, "normalize": True}),
        (layer_1("GaussianNoise", "g", sigma=0.5), {"name": "g", "trainable": True, "stddev": 0.5}),
    ],
)
def test_layers_in_the_words_of_keras_2(old, new):
    assert of_keras_2(old)["config"] == new
