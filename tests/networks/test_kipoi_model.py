"""The Kipoi model class on Keras 3: predictions, activations, gradients and files."""

import hashlib
import shutil

import keras
import numpy as np
import pytest
import tf_keras
from keras import layers

import kipoi_motifrep
from kipoi_motifrep.core.errors import InputError

LENGTH = 12


def tiny(kind, keras=keras):
    """Networks whose ways of naming and fusing activations differ; smooth ones, for finite differences."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    start = keras.Input((LENGTH, 4), name="sequence")
    if kind == "sequential":
        return keras.Sequential(
            [
                keras.Input((LENGTH, 4)),
                layers.Conv1D(5, 3, activation="softplus", name="conv"),
                layers.AveragePooling1D(2, name="pool"),
                layers.Flatten(name="flat"),
                layers.Dense(6, activation="tanh", name="hidden"),
                layers.Dense(3, activation="sigmoid", name="out"),
            ]
        )
    x = layers.Conv1D(5, 3, padding="same", use_bias=False, name="conv")(start)
    if kind == "functional":
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.Activation("elu", name="act")(x)
        x = layers.ELU(name="elu")(x)
        x = layers.Dropout(0.5, name="drop")(x)
        x = layers.Dense(3, name="logits")(layers.Flatten(name="flat")(x))
        return keras.Model(start, layers.Activation("sigmoid", name="out")(x))
    if kind == "shared":
        shared = layers.Conv1D(4, 1, activation="softplus", name="shared")
        x = shared(layers.Conv1D(4, 3, padding="same", name="conv2")(x))
        x = layers.Add(name="add")([x, shared(start)])
        return keras.Model(start, layers.Dense(3, activation="sigmoid", name="out")(layers.Flatten(name="flat")(x)))
    assert kind == "nested"
    inner_start = keras.Input((LENGTH, 5))
    inner = keras.Model(inner_start, layers.Conv1D(2, 3, activation="relu", name="deep")(inner_start), name="inner")
    return keras.Model(start, layers.Dense(3, activation="sigmoid", name="out")(layers.Flatten(name="flat")(inner(x))))


KINDS = ["sequential", "functional", "shared", "nested"]


@pytest.fixture(scope="module", params=[keras, tf_keras], ids=["Keras 3", "Keras 2"])
def models(tmp_path_factory, request):
    """By kind: our model of a saved file, and the Keras network it was saved from."""
    folder, made = tmp_path_factory.mktemp("weights"), {}
    for kind in KINDS:
        network = tiny(kind, request.param)
        path = folder / f"{kind}.{'h5' if kind == 'shared' else 'keras'}"
        network.save(path)
        made[kind] = (kipoi_motifrep.Keras3Model(str(path)), network)
    return made


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((7, LENGTH, 4), np.float32)


def kit(network):
    return tf_keras if isinstance(network, tf_keras.Model) else keras


def run(network, inputs):
    return keras.tree.map_structure(np.asarray, network(inputs, training=False))


# Predictions and activations


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_plain_keras(models, x, kind):
    model, network = models[kind]
    np.testing.assert_allclose(model.predict_on_batch(x), run(network, x), rtol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x[:1]), run(network, x[:1]), rtol=1e-5)
    whole = np.round(x)
    np.testing.assert_allclose(model.predict_on_batch(whole.astype(np.int8)), run(network, whole), rtol=1e-5)


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_activations_are_those_of_a_keras_submodel(models, x, kind):
    model, network = models[kind]
    named = [layer for layer in network.layers if not isinstance(layer, kit(network).layers.InputLayer)]
    for i, layer in enumerate(named, 1):
        expected = run(kit(network).Model(network.inputs[0], layer.output), x)
        found = model.predict_activation_on_batch(x, layer=layer.name)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(model.predict_activation_on_batch(x, layer=i), found)
        np.testing.assert_array_equal(model.predict_activation_on_batch(x, layer=str(i)), found)
    one = model.predict_activation_on_batch(x[:1], layer="conv")
    assert one.shape[0] == 1 and one.ndim == 3


def test_a_shared_layer_gives_each_of_its_uses(models, x):
    model, network = models["shared"]
    weights, shift = network.get_layer("shared").get_weights()
    inner = run(kit(network).Model(network.inputs[0], network.get_layer("conv2").output), x)
    for pre in (False, True):
        found = model.predict_activation_on_batch(x, "shared", pre_nonlinearity=pre)
        assert len(found) == 2
        for one, entering in zip(found, (inner, x), strict=True):
            linear = entering @ weights[0] + shift
            np.testing.assert_allclose(one, linear if pre else np.log1p(np.exp(linear)), rtol=1e-4, atol=1e-5)


def test_a_nested_model_is_a_layer(models, x):
    model, network = models["nested"]
    before = kit(network).Model(network.inputs[0], network.get_layer("conv").output)
    expected = run(network.get_layer("inner"), run(before, x))
    np.testing.assert_allclose(model.predict_activation_on_batch(x, "inner"), expected, rtol=1e-5)


def softplus(z):
    return np.log1p(np.exp(z))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def same(z):
    return z


@pytest.mark.parametrize(
    "kind, layer, function",
    [
        ("sequential", "conv", softplus),
        ("sequential", "hidden", np.tanh),
        ("sequential", "out", sigmoid),
        ("functional", "act", lambda z: np.where(z > 0, z, np.exp(z) - 1)),
        ("functional", "out", sigmoid),
        ("functional", "elu", lambda z: np.where(z > 0, z, np.exp(z) - 1)),
        ("functional", "conv", same),
        ("functional", "logits", same),
        ("functional", "flat", same),
    ],
)
def test_pre_nonlinearity_is_what_the_activation_gets(models, x, kind, layer, function):
    model = models[kind][0]
    before = model.predict_activation_on_batch(x, layer, pre_nonlinearity=True)
    np.testing.assert_allclose(model.predict_activation_on_batch(x, layer), function(before), rtol=1e-5, atol=1e-6)
    if layer in ("conv", "hidden") and kind == "sequential":
        assert (before < 0).any()


def test_a_network_is_as_before_when_it_was_watched(models, x):
    model = models["sequential"][0]
    before = [getattr(layer, "activation", None) for layer in model.model.layers]
    model.predict_activation_on_batch(x, "hidden", pre_nonlinearity=True)
    assert [getattr(layer, "activation", None) for layer in model.model.layers] == before


@pytest.mark.parametrize("layer", ["con", "sequence", 0, 6, "6", -1, 1.5, None])
def test_a_layer_that_is_not_there(models, x, layer):
    with pytest.raises(InputError, match=r"there is no layer .*; .* layers are conv, pool, flat, hidden, out"):
        models["sequential"][0].predict_activation_on_batch(x, layer)


# Gradients


def reduced(values, reduction):
    """One number a sequence."""
    values = values.reshape(len(values), -1)
    return {None: values.sum, "sum": values.sum, "max": values.max, "min": values.min, "absmax": abs(values).max}[
        reduction
    ](axis=1)


def finite_differences(function, x, step=1e-2):
    """Central differences of one number a sequence, base by base."""
    places = list(np.ndindex(x.shape[1:]))
    changed = np.repeat(x[None], 2 * len(places), axis=0)
    for i, at in enumerate(places):
        changed[(2 * i, slice(None), *at)] += step
        changed[(2 * i + 1, slice(None), *at)] -= step
    values = function(changed.reshape(-1, *x.shape[1:])).astype(float).reshape(len(places), 2, len(x))
    return ((values[:, 0] - values[:, 1]) / (2 * step)).T.reshape(x.shape)


CASES = [
    ({"filter_idx": 1}, lambda out: out[:, 1]),
    ({"filter_idx": (2,)}, lambda out: out[:, 2]),
    ({"filter_idx": [2]}, lambda out: out[:, 2]),
    ({"filter_idx": np.int64(2)}, lambda out: out[:, 2]),
    ({"filter_idx": -1}, lambda out: out[:, 2]),
    ({"filter_idx": slice(0, 2)}, lambda out: out[:, :2]),
    ({"filter_idx": (slice(None), 0)}, lambda out: out[:, 0]),
    ({"avg_func": "sum"}, lambda out: out),
    ({"avg_func": "max"}, lambda out: out),
    ({"avg_func": "min"}, lambda out: out),
    ({"avg_func": "absmax"}, lambda out: out),
    ({"filter_idx": slice(1, 3), "avg_func": "max"}, lambda out: out[:, 1:]),
    ({"filter_idx": 1, "avg_func": "max"}, lambda out: out[:, 1:2]),
]


@pytest.mark.parametrize("options, chosen", CASES, ids=[str(options) for options, _ in CASES])
def test_gradients_of_the_output_are_finite_differences(models, x, options, chosen):
    model, network = models["sequential"]
    expected = finite_differences(lambda z: reduced(chosen(run(network, z)), options.get("avg_func")), x[:3])
    found = model.input_grad(x[:3], **options)
    assert found.shape == x[:3].shape and isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize(
    "layer, options, chosen",
    [
        ("conv", {"filter_idx": 2}, lambda out: out[:, :, 2]),
        ("conv", {"filter_idx": (4, 2)}, lambda out: out[:, 4, 2]),
        ("conv", {"filter_idx": (slice(None), slice(2, 5), 1)}, lambda out: out[:, 2:5, 1]),
        (1, {"filter_idx": (slice(2, 5), slice(None)), "avg_func": "max"}, lambda out: out[:, 2:5]),
        ("logits", {"avg_func": "absmax"}, lambda out: out),
    ],
)
def test_gradients_of_a_layer_are_finite_differences(models, x, layer, options, chosen):
    model, network = models["functional"]
    part = kit(network).Model(network.inputs[0], network.get_layer("conv" if layer == 1 else layer).output)
    expected = finite_differences(lambda z: reduced(chosen(run(part, z)), options.get("avg_func")), x[:2])
    np.testing.assert_allclose(model.input_grad(x[:2], layer=layer, **options), expected, atol=3e-4)


@pytest.mark.parametrize("kind, layer, weighted", [("functional", "out", "logits"), ("sequential", "hidden", "hidden")])
def test_gradients_before_an_activation_are_finite_differences(models, x, kind, layer, weighted):
    model, network = models[kind]
    weights, shift = network.get_layer(weighted).get_weights()
    before = kit(network).Model(network.inputs[0], network.get_layer("flat").output)
    expected = finite_differences(lambda z: (run(before, z) @ weights + shift)[:, 0], x[:2])
    found = model.input_grad(x[:2], filter_idx=0, layer=layer, pre_nonlinearity=True)
    np.testing.assert_allclose(found, expected, atol=3e-4)


def test_gradients_of_a_nested_model_are_those_of_its_output(models, x):
    model, network = models["nested"]
    part = kit(network).Model(network.inputs[0], network.get_layer("flat").input)
    expected = finite_differences(lambda z: reduced(run(part, z)[:, :, 0], "sum"), x[:2], step=1e-3)
    assert np.median(abs(model.input_grad(x[:2], filter_idx=0, layer="inner") - expected)) < 1e-3  # a ReLU has kinks


@pytest.mark.parametrize("options", [{"filter_idx": 0}, {"avg_func": "max"}, {"avg_func": "sum", "layer": "norm"}])
def test_a_gradient_does_not_depend_on_the_batch(models, x, options):
    model = models["functional"][0]
    together = model.input_grad(x, **options)
    for i in range(len(x)):
        np.testing.assert_allclose(model.input_grad(x[i : i + 1], **options)[0], together[i], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(model.input_grad(x[::-1].copy(), **options)[::-1], together, rtol=1e-4, atol=1e-7)


def test_dropout_and_batch_norm_are_those_of_prediction(models, x):
    model = models["functional"][0]
    one, again = model.input_grad(x, filter_idx=0), model.input_grad(x, filter_idx=0)
    np.testing.assert_array_equal(one, again)


def test_gradients_of_one_hot_integers(models, x):
    model, hot = models["functional"][0], np.eye(4, dtype=np.int8)[np.arange(2 * LENGTH).reshape(2, LENGTH) % 4]
    expected = model.input_grad(hot.astype(np.float32), filter_idx=0)
    np.testing.assert_allclose(model.input_grad(hot, filter_idx=0), expected)


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "needs filter_idx"),
        ({"avg_func": "mean"}, "avg_func is 'mean'; it must be one of sum, max, min, absmax"),
        ({"filter_idx": 0, "final_layer": False}, "needs layer"),
        ({"filter_idx": 0, "layer": "no"}, "there is no layer 'no'"),
        ({"filter_idx": 0, "selected_fwd_node": 1}, "selected_fwd_node"),
        ({"filter_idx": (0, 0, 0, 0)}, "has 4 axes"),
        ({"filter_idx": 3}, r"filter_idx is 3; the layer gives \(3\) values"),
        ({"filter_idx": (-13, 0), "layer": "conv"}, "filter_idx"),
        ({"filter_idx": "first"}, "filter_idx is 'first'"),
        ({"filter_idx": 1.5}, "filter_idx is 1.5"),
    ],
)
def test_wrong_arguments_of_gradients(models, x, options, words):
    with pytest.raises(InputError, match=words):
        models["sequential"][0].input_grad(x, **options)


def test_a_gradient_of_a_layer_used_twice_is_refused(models, x):
    with pytest.raises(InputError, match="'shared' is used 2 times"):
        models["shared"][0].input_grad(x, filter_idx=0, layer="shared")


# Inputs of the wrong shape


@pytest.mark.parametrize("method", ["predict_on_batch", "predict_activation_on_batch", "input_grad"])
@pytest.mark.parametrize(
    "shape, words",
    [
        (
            (2, 20, 4),
            r"reads sequences of shape \(12, 4\), these have \(20, 4\); give the dataloader auto_resize_len=12",
        ),
        ((2, 4, 12), r"these have \(4, 12\); set alphabet_axis and dummy_axis"),
        ((2, 12, 1, 4), r"these have \(12, 1, 4\); set alphabet_axis and dummy_axis"),
        ((12, 4), "set alphabet_axis and dummy_axis"),
    ],
)
def test_sequences_of_the_wrong_shape(models, method, shape, words):
    options = {
        "predict_on_batch": {},
        "predict_activation_on_batch": {"layer": "conv"},
        "input_grad": {"filter_idx": 0},
    }
    with pytest.raises(InputError, match=words):
        getattr(models["functional"][0], method)(np.zeros(shape, np.float32), **options[method])


def test_a_network_for_any_length_takes_any():
    start = keras.Input((None, 4))
    network = keras.Model(start, layers.GlobalMaxPooling1D()(layers.Conv1D(3, 5)(start)))
    model = kipoi_motifrep.Keras3Model.__new__(kipoi_motifrep.Keras3Model)
    model.model = network
    for length in (9, 30):
        assert model.predict_on_batch(np.zeros((2, length, 4), np.float32)).shape == (2, 3)
    with pytest.raises(InputError, match=r"\(any, 4\)"):
        model.predict_on_batch(np.zeros((2, 4, 9), np.float32))


# Files


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder, network = tmp_path_factory.mktemp("saved"), tiny("functional")
    for suffix in (".keras", ".h5"):
        network.save(folder / f"network{suffix}")
    return folder, network


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", ["{md5}", "weights", "weights.bin", "weights.hdf5", "weights.keras", "weights.h5"])
def test_weights_are_known_by_their_contents(saved, tmp_path, x, suffix, name):
    """Kipoi saves a download under its bare md5."""
    source = saved[0] / f"network{suffix}"
    path = tmp_path / name.format(md5=md5(source))
    shutil.copyfile(source, path)
    model = kipoi_motifrep.Keras3Model(str(path))
    np.testing.assert_allclose(model.predict_on_batch(x), run(saved[1], x), rtol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_md5_is_checked_when_given_or_in_the_name(saved, tmp_path):
    source = saved[0] / "network.keras"
    kipoi_motifrep.Keras3Model(str(source), md5=md5(source))
    kipoi_motifrep.Keras3Model(str(source), md5=md5(source).upper())
    wrong = "0" * 32
    with pytest.raises(InputError, match=f"network.keras: .*md5 {md5(source)}, expected {wrong}.*fetch it again"):
        kipoi_motifrep.Keras3Model(str(source), md5=wrong)
    shutil.copyfile(source, tmp_path / wrong)
    with pytest.raises(InputError, match=f"expected {wrong}"):
        kipoi_motifrep.Keras3Model(str(tmp_path / wrong))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("part", [0.3, 0.98])
def test_a_cut_off_download_is_named(saved, tmp_path, suffix, part):
    whole = (saved[0] / f"network{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InputError) as error:
        kipoi_motifrep.Keras3Model(str(path))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    named = tmp_path / hashlib.md5(whole).hexdigest()
    path.rename(named)
    with pytest.raises(InputError, match="damaged or not those meant"):
        kipoi_motifrep.Keras3Model(str(named))


@pytest.mark.parametrize("contents", [b"", b"text", b"<html>404</html>", b"PK\x03\x04rest", b"\x89HDF\r\n\x1a\nrest"])
def test_files_that_are_no_network(tmp_path, contents):
    path = tmp_path / "weights.keras"
    path.write_bytes(contents)
    with pytest.raises(InputError) as error:
        kipoi_motifrep.Keras3Model(str(path))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_missing_file_and_a_file_of_weights_alone(saved, tmp_path):
    with pytest.raises(InputError, match=r"none\.keras: there is no such weight file"):
        kipoi_motifrep.Keras3Model(str(tmp_path / "none.keras"))
    saved[1].save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(InputError, match=r"only\.weights\.h5: holds weights without a network") as error:
        kipoi_motifrep.Keras3Model(str(tmp_path / "only.weights.h5"))
    assert "\n" not in str(error.value)


def test_code_in_a_file_does_not_run(tmp_path):
    start = keras.Input((4,))
    keras.Model(start, layers.Lambda(lambda z: z * 2)(start)).save(tmp_path / "lambda.keras")
    with pytest.raises(InputError, match="has a Lambda layer, which is code inside the file"):
        kipoi_motifrep.Keras3Model(str(tmp_path / "lambda.keras"))
