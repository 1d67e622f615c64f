"""Files of Keras 2, the note inside our files, and files that are none."""

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from keras import layers
from support.network_files import KERAS_2, LENGTH, inputs, weight, write_h5, written

import kipoi_motifrep as km
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.filters.output_names import output_names
from kipoi_motifrep.networks.keras_files import load_keras, read_metadata
from kipoi_motifrep.networks.loading import open_network
from kipoi_motifrep.networks.untrained import untrained_copy

READ = [(name, suffix) for name, one in KERAS_2.items() if one["predictions"] for suffix in one["files"]]


@pytest.mark.parametrize(("name", "suffix"), READ)
def test_networks_of_keras_2_predict_what_they_did_there(tmp_path, name, suffix):
    model = load_keras(written(tmp_path, name, suffix))
    np.testing.assert_allclose(model.predict(inputs(name), verbose=0), KERAS_2[name]["predictions"], atol=3e-6)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_filters_of_a_network_of_keras_2_are_found(tmp_path, suffix):
    network = open_network(written(tmp_path, "recurrent", suffix))
    np.testing.assert_array_equal(network.banks[0].kernels, weight(0, (5, 4, 3)).transpose(2, 0, 1))


def test_a_network_of_keras_2_can_be_copied_untrained(tmp_path):
    """Its hard sigmoid, which is not that of Keras 3, is kept."""
    model = load_keras(written(tmp_path, "recurrent", "keras"))
    fresh = untrained_copy(model)
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        fresh.predict(inputs("recurrent"), verbose=0), model.predict(inputs("recurrent"), verbose=0)
    )


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", ["reversed", "local"])
def test_what_keras_3_does_not_have_is_read(tmp_path, name, suffix):
    x, kernel, bias = inputs(name), weight(0, (10, 12, 1)), weight(1, (10, 1))
    expected = (
        x[:, ::-1, ::-1].reshape(2, -1)
        if name == "reversed"
        else np.stack([x[:, i : i + 3].reshape(2, 12) @ kernel[i] + bias[i] for i in range(10)], axis=1)
    )
    found = load_keras(written(tmp_path, name, suffix)).predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def layer(config, name):
    return next(one["config"] for one in config["config"]["layers"] if one["config"]["name"] == name)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_an_argument_that_is_not_known_is_not_dropped(tmp_path, suffix):
    def change(config, weights):
        layer(config, "gru")["of_tomorrow"] = True

    with pytest.raises(InputError, match="of_tomorrow") as error:
        load_keras(written(tmp_path, "recurrent", suffix, change))
    assert "\n" not in str(error.value)


def test_a_gru_without_a_choice_is_that_of_its_time(tmp_path):
    """Before Keras 2.3 the reset gate came before the multiplication; files do not say so."""

    def change(config, weights):
        gru = layer(config, "gru")
        assert gru.pop("reset_after") is False

    found = load_keras(written(tmp_path, "recurrent", "h5", change)).predict(inputs("recurrent"), verbose=0)
    np.testing.assert_allclose(found, KERAS_2["recurrent"]["predictions"], atol=3e-6)


def spoilt(what):
    """Take a layer's weights out, or change their number or a shape."""

    def change(config, weights):
        if what == "layer":
            for place in [place for place in weights if place.split("/")[-1] == "out" or "/dense/" in place]:
                del weights[place]
            return
        values = weights.get("out", weights)
        place = next(place for place in values if place in ("out/bias:0", "layers/dense/vars/1"))
        if what == "number":
            del values[place]
        else:
            values[place] = values[place][:1]

    return change


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("what", ["layer", "number", "shape"])
def test_weights_that_are_not_in_the_file_are_not_made_up(tmp_path, suffix, what):
    with pytest.raises(InputError, match=r"weights of (layer 'out'|0 layers of class 'dense')") as error:
        load_keras(written(tmp_path, "recurrent", suffix, spoilt(what)))
    assert "\n" not in str(error.value)


def test_weights_in_another_file_are_not_read(tmp_path):
    other = written(tmp_path, "recurrent", "h5").rename(tmp_path / "other.h5")
    path = written(tmp_path, "recurrent", "h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights/out"]
        file["model_weights/out"] = h5py.ExternalLink(str(other), "model_weights/out")
    with pytest.raises(InputError, match="'model_weights/out' is a link, or lies in another file"):
        load_keras(path)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_code_in_a_file_of_keras_2_is_not_run(tmp_path, suffix):
    def change(config, weights):
        config["config"]["layers"][-1] = {
            "class_name": "Lambda",
            "config": {
                "name": "twice",
                "function": ["4wEAAAAAAAAA", None, None],
                "function_type": "lambda",
                "module": "__main__",
                "output_shape": None,
                "output_shape_type": "raw",
                "arguments": {},
            },
        }

    with pytest.raises(InputError, match="has a Lambda layer, which is code inside the file, and is not run"):
        load_keras(written(tmp_path, "recurrent", suffix, change))


class Foreign(tf_keras.layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_layer_of_their_own_is_named_and_can_be_given(tmp_path, suffix):
    def change(config, weights):
        drop = next(one for one in config["config"]["layers"] if one["class_name"] == "SpatialDropout1D")
        drop.update(class_name="Foreign", config={"name": "drop"})
        if suffix == "keras":
            drop.update(module="elsewhere", registered_name="Foreign")

    path = written(tmp_path, "recurrent", suffix, change)
    with pytest.raises(InputError, match=r"needs the custom object 'Foreign'.*custom_object_scope"):
        load_keras(path)
    with tf_keras.saving.custom_object_scope({"Foreign": Foreign}):
        model = load_keras(path)
    np.testing.assert_allclose(
        model.predict(inputs("recurrent"), verbose=0), KERAS_2["recurrent"]["predictions"], atol=3e-6
    )


# As the first versions of Keras 2 wrote: no module, no list of inputs, the layers of a Sequential as a bare list


def old_conv(name, **arguments):
    return {
        "class_name": "Conv1D",
        "config": {
            "name": name,
            "trainable": True,
            "filters": 2,
            "kernel_size": [3],
            "strides": [1],
            "padding": "valid",
            "dilation_rate": [1],
            "activation": "linear",
            "use_bias": True,
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
            **arguments,
        },
    }


def convolved(x, kernel, bias):
    n = x.shape[1] - len(kernel) + 1
    return sum(x[:, i : i + n] @ kernel[i] for i in range(len(kernel))) + bias


OLD_WEIGHTS = {
    "b/conv": {"b/conv/kernel:0": weight(1, (3, 4, 2)), "b/conv/bias:0": weight(2, (2,))},
    "a/conv": {"a/conv/kernel:0": weight(3, (3, 4, 2)), "a/conv/bias:0": weight(4, (2,))},
}


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_an_old_functional_network(tmp_path, backend):
    """Layers are found by their names, whatever their order; Theano turns kernels round."""
    x = inputs("recurrent")
    use = [[["dna", 0, 0, {}]]]
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "input_layers": [["dna", 0, 0]],
            "output_layers": [["join", 0, 0]],
            "layers": [
                {
                    "class_name": "InputLayer",
                    "name": "dna",
                    "inbound_nodes": [],
                    "config": {
                        "batch_input_shape": [None, LENGTH, 4],
                        "dtype": "float32",
                        "sparse": False,
                        "name": "dna",
                    },
                },
                {**old_conv("b/conv"), "name": "b/conv", "inbound_nodes": use},
                {**old_conv("a/conv"), "name": "a/conv", "inbound_nodes": use},
                {
                    "class_name": "Concatenate",
                    "name": "join",
                    "config": {"name": "join", "trainable": True, "axis": -1},
                    "inbound_nodes": [[["a/conv", 0, 0, {}], ["b/conv", 0, 0, {}]]],
                },
            ],
        },
    }
    write_h5(tmp_path / "old.h5", config, OLD_WEIGHTS, "2.0.8", backend)
    turn = slice(None, None, -1 if backend == "theano" else 1)
    expected = [
        convolved(x, kernel[turn], bias)
        for kernel, bias in (OLD_WEIGHTS[name].values() for name in ("a/conv", "b/conv"))
    ]
    found = load_keras(tmp_path / "old.h5").predict(x, verbose=0)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=-1), atol=1e-5)


def test_an_old_sequential_network(tmp_path):
    config = {"class_name": "Sequential", "config": [old_conv("b/conv", batch_input_shape=[None, LENGTH, 4])]}
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights/b/conv")
        for i, (name, value) in enumerate(OLD_WEIGHTS["b/conv"].items()):
            group.attrs[f"weight_names{i}"] = [name.encode()]  # a long list is in parts
            group[name] = value
    found = load_keras(tmp_path / "old.h5").predict(inputs("recurrent"), verbose=0)
    np.testing.assert_allclose(found, convolved(inputs("recurrent"), *OLD_WEIGHTS["b/conv"].values()), atol=1e-5)


def test_a_network_of_unknown_input_is_refused(tmp_path):
    write_h5(
        tmp_path / "old.h5",
        {"class_name": "Sequential", "config": {"name": "s", "layers": [old_conv("b/conv")]}},
        OLD_WEIGHTS,
    )
    with pytest.raises(InputError, match="does not say the shape of its input"):
        load_keras(tmp_path / "old.h5")


def test_keras_0_is_refused(tmp_path):
    write_h5(tmp_path / "old.h5", {"class_name": "Sequential", "config": []}, {}, "0.3.3")
    with pytest.raises(InputError, match=r"old\.h5: was written by Keras 0\.3\.3, .*load it in Keras 1 and save it"):
        load_keras(tmp_path / "old.h5")


def test_the_reason_of_keras_is_told_whole(tmp_path):
    keras.Sequential([keras.Input((LENGTH, 4)), layers.Conv1D(3, 5)]).save(tmp_path / "network.keras")
    with zipfile.ZipFile(tmp_path / "network.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(b'"filters":', b'"of_tomorrow": 1, "filters":')
    with zipfile.ZipFile(tmp_path / "network.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=r"Keras cannot load it \(.*Conv1D: \{'of_tomorrow': 1\}\)$"):
        load_keras(tmp_path / "network.keras")


# The note, and folders


@pytest.mark.parametrize("note", ["[1]", "text", '"text"', '{"label_names": 3}', '{"label_names": [["a"]]}', "\x80"])
def test_a_note_that_is_not_ours(tmp_path, note):
    path = tmp_path / "network.keras"
    keras.Sequential([keras.Input((LENGTH, 4)), layers.Conv1D(3, 5), layers.GlobalMaxPooling1D()]).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("kipoi_motifrep.json", note.encode("latin-1"))
    with pytest.raises(InputError, match=r"network\.keras: its note kipoi_motifrep\.json is no JSON object .*zip -d"):
        read_metadata(path)
    (tmp_path / "s.fa").write_text(">a\n" + "ACGTTGCAACGT\n")
    with pytest.raises(InputError, match="its note"):
        km.interpret(path, fasta=tmp_path / "s.fa", output=tmp_path / "out")


def test_an_h5_file_may_be_called_keras(tmp_path):
    """As Keras 2.12 called them; they have no note."""
    path = written(tmp_path, "recurrent", "h5").rename(tmp_path / "network.keras")
    assert load_keras(path).count_params() > 0
    assert output_names(path, path, 2) == ("output0", "output1")


@pytest.mark.parametrize("name", ["d.keras", "d.h5"])
def test_a_folder_is_no_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=rf"{name}: is a folder, not a file; save the network as one file.*{name}/$"):
        open_network(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: is a folder, not a weight file"):
        km.Keras3Model(str(tmp_path / name))


# The order of the bases that a loader is told


def test_filters_are_in_the_alphabet_that_the_loader_is_given(tmp_path):
    model = Path(__file__).parents[2] / "models/synthetic/cnn_25"
    rng = np.random.default_rng(0)
    (tmp_path / "g.fa").write_text(">c\n" + "".join(rng.choice(list("ACGT"), 2000)) + "\n")
    (tmp_path / "six.bed").write_text("".join(f"c\t{start}\t{start + 200}\n" for start in range(0, 1200, 200)))
    given = {"intervals_file": str(tmp_path / "six.bed"), "fasta_file": str(tmp_path / "g.fa")}

    def pwms(**options):
        return km.extract_filters(str(model), source="dir", threshold=0.5, **options)[0].pwms

    for alphabet in ("AGCT", ["A", "G", "C", "T"]):
        told = pwms(dataloader_args={**given, "alphabet": alphabet})
        # The network sees C and G swapped, and its loader's words are what counts.
        np.testing.assert_array_equal(told, pwms(dataloader_args={**given, "alphabet": alphabet}, alphabet="AGCT"))
        unsaid = pwms(dataloader_args={**given, "alphabet": alphabet}, alphabet="ACGT")
        np.testing.assert_array_equal(told, unsaid[..., [0, 2, 1, 3]])
        assert not np.array_equal(told, unsaid)
