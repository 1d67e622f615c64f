"""Networks that are read as far as their first activation, since a layer after it is code or is not known."""

import html
import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tf_keras
import yaml
from support.network_files import kipoi_folder

import kipoi_motifrep as km
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.from_keras import KerasSource
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.networks.loading import load_model, open_network

LENGTH = 30
X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (5, LENGTH))]
FORMS = [("Keras 2", ".h5"), ("Keras 2", ".keras"), ("Keras 3", ".h5"), ("Keras 3", ".keras")]


def graph(framework, foreign):
    """A branch of its own before the foreign layer, an activation of its own, and what needs the foreign layer."""
    layers = framework.layers
    start = framework.Input((LENGTH, 4), name="seq")
    beside = layers.GlobalMaxPooling1D(name="beside")(layers.Conv1D(3, 5, name="short")(start))
    x = layers.Conv1D(6, 9, name="conv")(start)
    x = layers.ReLU(name="act")(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv1D(2, 3, name="after")(layers.GRU(3, return_sequences=True)(foreign(x)))
    joined = layers.Concatenate()([beside, layers.GlobalMaxPooling1D()(x)])
    return framework.Model(start, layers.Dense(2, name="out")(joined))


def sequence(framework, foreign):
    layers = framework.layers
    return framework.Sequential(
        [
            framework.Input((LENGTH, 4), name="seq"),
            layers.Conv1D(6, 9, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="act"),
            foreign,
            layers.GlobalMaxPooling1D(),
            layers.Dense(2, name="out"),
        ]
    )


def own_layer(framework):
    class Own(framework.layers.Layer):
        def call(self, x):
            return 2 * x

    return Own(name="foreign")


def code(framework):
    return framework.layers.Lambda(lambda x: 2 * x, name="foreign")


FRAMEWORKS = {"Keras 2": tf_keras, "Keras 3": keras}


def filled(made):
    values = np.random.default_rng(1)
    made.set_weights([values.normal(size=one.shape).astype(np.float32) ** 2 for one in made.get_weights()])
    return made


@pytest.mark.parametrize("shape", [graph, sequence])
@pytest.mark.parametrize("foreign", [own_layer, code])
@pytest.mark.parametrize(("age", "suffix"), FORMS)
def test_what_comes_after_a_foreign_layer_is_left_out(tmp_path, age, suffix, foreign, shape):
    framework = FRAMEWORKS[age]
    made = filled(shape(framework, foreign(framework)))
    path = tmp_path / f"network{suffix}"
    made.save(path)
    reason = "Lambda layer, which is code" if foreign is code else "needs the custom object 'Own'"
    with pytest.raises(InputError, match=reason):
        load_model(path)
    found = open_network(path)
    left_out = rf"layer 'foreign' and what follows it are left out, since the file .*{reason}"
    bank = next(one for one in found.banks if one.layer == "conv")
    np.testing.assert_allclose(bank.kernels, made.get_layer("conv").get_weights()[0].transpose(2, 0, 1), atol=1e-6)
    assert bank.activation == "norm (BatchNormalization), act (ReLU)"
    assert any(note.startswith("layer 'foreign' and") for note in bank.notes)
    expected = framework.Model(made.inputs, made.get_layer("act").output).predict(X, verbose=0)
    np.testing.assert_allclose(found.activations(X)[found.banks.index(bank)], expected, atol=1e-4)
    with pytest.raises(InputError, match=f"the network gives no predictions: {left_out}"):
        found.source.predict({"seq": X})
    # A parallel convolution is read as well; the one behind the foreign layer is not there.
    assert {one.layer for one in found.banks} == ({"short", "conv"} if shape is graph else {"conv"})
    with pytest.raises(InputError, match="'after' is no convolution that the DNA reaches"):
        open_network(path, layer="after")


def test_a_layer_that_keras_has_with_other_arguments(tmp_path):
    """As somebody's own class of the same name writes them."""
    made = filled(sequence(tf_keras, tf_keras.layers.LayerNormalization(name="foreign")))
    made.save_weights(tmp_path / "w.h5")
    config = json.loads(made.to_json())
    config["config"]["layers"][4]["config"] = {"name": "foreign", "depth": 3}
    (tmp_path / "m.json").write_text(json.dumps(config))
    found = load_keras(tmp_path / "w.h5", tmp_path / "m.json", whole=False)
    assert "left out, since Keras cannot make it (" in found.left_out and "depth" in found.left_out
    np.testing.assert_array_equal(found.get_layer("conv").get_weights()[0], made.get_layer("conv").get_weights()[0])


def test_the_other_strand_turned_round_by_code(tmp_path):
    """The convolution's first use is read; that of the strand which code turns round is left out."""
    start = tf_keras.Input((LENGTH, 4), name="seq")
    turned = tf_keras.layers.Lambda(lambda x: x[:, ::-1, ::-1], name="turn")(start)
    conv, pool = tf_keras.layers.Conv1D(6, 9, activation="relu", name="conv"), tf_keras.layers.GlobalMaxPooling1D()
    made = tf_keras.Model(start, tf_keras.layers.Add()([pool(conv(start)), pool(conv(turned))]))
    made.save(tmp_path / "network.h5")
    (bank,) = open_network(tmp_path / "network.h5").banks
    np.testing.assert_allclose(bank.kernels, conv.get_weights()[0].transpose(2, 0, 1), atol=1e-6)
    assert any("'turn' and what follows it are left out" in note for note in bank.notes)


def test_code_before_the_first_convolution_is_refused(tmp_path):
    start = tf_keras.Input((LENGTH, 4))
    x = tf_keras.layers.Lambda(lambda x: 2 * x)(start)
    tf_keras.Model(start, tf_keras.layers.Conv1D(6, 9)(x)).save(tmp_path / "network.h5")
    with pytest.raises(InputError, match="has a Lambda layer, which is code inside the file, and is not run"):
        open_network(tmp_path / "network.h5")


def test_weights_that_do_not_fit_are_not_left_out(tmp_path):
    filled(sequence(tf_keras, code(tf_keras))).save(tmp_path / "network.h5")
    other = filled(sequence(tf_keras, tf_keras.layers.Activation("linear", name="foreign")))
    config = json.loads(other.to_json())
    config["config"]["layers"][1]["config"]["filters"] = 7
    (tmp_path / "m.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="weights of layer 'conv' have the shapes"):
        open_network(km.NetworkFile(str(tmp_path / "network.h5"), str(tmp_path / "m.json")))


def test_a_damaged_network_is_not_taken_for_one_with_foreign_layers(tmp_path):
    filled(sequence(keras, keras.layers.Activation("linear", name="foreign"))).save(tmp_path / "network.keras")
    with zipfile.ZipFile(tmp_path / "network.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1]["config"]["kernel_size"] = [7]
    with zipfile.ZipFile(tmp_path / "network.keras", "w") as archive:
        for name, content in {**parts, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=r"Keras cannot load it \(.*shape of the target variable"):
        open_network(tmp_path / "network.keras")


@pytest.mark.parametrize("shape", [graph, sequence])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("age", FRAMEWORKS)
def test_code_around_the_layers_is_not_run(tmp_path, monkeypatch, age, suffix, shape):
    """The class of the network itself is somebody's: its module is not even imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    framework = FRAMEWORKS[age]
    filled(shape(framework, code(framework))).save(tmp_path / f"network{suffix}")
    names = {"module": "evil_module", "class_name": "Evil", "registered_name": "Evil"}
    if suffix == ".h5":
        with h5py.File(tmp_path / "network.h5", "r+") as file:
            file.attrs["model_config"] = json.dumps(json.loads(file.attrs["model_config"]) | names)
    else:
        with zipfile.ZipFile(tmp_path / "network.keras") as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts["config.json"] = json.dumps(json.loads(parts["config.json"]) | names)
        with zipfile.ZipFile(tmp_path / "network.keras", "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    with pytest.raises(InputError, match="Evil"):
        open_network(tmp_path / f"network{suffix}")
    assert not (tmp_path / "ran").exists()


def test_a_folder_is_interpreted_though_it_gives_no_predictions(tmp_path):
    made = filled(sequence(tf_keras, code(tf_keras)))
    made.save(tmp_path / "x.h5")
    kipoi_folder(tmp_path, {"weights": "x.h5"}, (LENGTH, 4))
    (tmp_path / "s.fa").write_text(
        "".join(f">{i}\n{''.join('ACGT'[base] for base in one.argmax(1))}\n" for i, one in enumerate(X))
    )
    with pytest.raises(InputError, match="Lambda layer"):
        load_model(str(tmp_path))
    km.interpret(str(tmp_path), fasta=tmp_path / "s.fa", output=tmp_path / "out", database="JASPAR2016", null=False)
    page = html.unescape((tmp_path / "out/report.html").read_text())
    assert "layer 'foreign' and what follows it are left out" in page
    assert "Importance could not be measured: " in page and "the network gives no predictions: layer 'foreign'" in page


def test_convolutions_of_concise_are_those_of_keras(tmp_path):
    """MMSplice and rbp_eclip have them: Keras's own, with the length of the sequence beside."""
    made = filled(sequence(tf_keras, tf_keras.layers.Activation("linear", name="foreign")))
    made.save_weights(tmp_path / "w.h5")
    config = json.loads(made.to_json())
    layer = config["config"]["layers"][1]
    layer["class_name"] = "ConvDNA"
    layer["config"] |= {"seq_length": None, "background_probs": None}
    layer.pop("module", None), layer.pop("registered_name", None)
    (tmp_path / "m.json").write_text(json.dumps(config))
    found = load_keras(tmp_path / "w.h5", tmp_path / "m.json")
    np.testing.assert_allclose(found.predict(X, verbose=0), made.predict(X, verbose=0), atol=1e-5)


def test_a_network_that_was_built_for_batches_of_one_size(tmp_path):
    start = tf_keras.Input(batch_shape=(64, LENGTH, 4), name="seq")
    x = tf_keras.layers.GlobalMaxPooling1D()(tf_keras.layers.Conv1D(6, 9, activation="relu", name="conv")(start))
    made = tf_keras.Model(start, x)
    made.save(tmp_path / "network.h5")
    found = load_keras(tmp_path / "network.h5")
    np.testing.assert_allclose(found.predict(X, verbose=0), made(np.resize(X, (64, LENGTH, 4)))[:5], atol=1e-5)
    assert KerasSource(found).input_shapes() == {"seq": (LENGTH, 4)}


LOADER = """import package_that_is_nowhere
from kipoi.data import Dataset


class Own(Dataset):
    pass
"""


def test_a_package_that_a_folder_needs_is_named_with_the_cure(tmp_path, capsys):
    """As in rbp_eclip: its layers and its loader are of concise."""
    made = filled(sequence(tf_keras, own_layer(tf_keras)))
    made.save(tmp_path / "x.h5")
    (tmp_path / "own.py").write_text("import package_that_is_nowhere.layers\nOBJECTS = {}\n")
    kipoi_folder(tmp_path, {"weights": "x.h5", "custom_objects": "own.py"}, (LENGTH, 4))
    description = yaml.safe_load((tmp_path / "model.yaml").read_text())
    cure = r"needs the package 'package_that_is_nowhere', which is not installed \(pip install {}\)"
    with pytest.raises(InputError, match="its own.py " + cure.format("package_that_is_nowhere")):
        load_model(str(tmp_path))
    (bank,) = open_network(str(tmp_path)).banks
    left_out = "left out, since its own.py " + cure.format("package_that_is_nowhere")
    assert any(re.search(left_out, note) for note in bank.notes)
    # The loader's package has a name at PyPI that the folder's description knows.
    (tmp_path / "dataloader.py").write_text(LOADER)
    (tmp_path / "dataloader.yaml").write_text(
        "defined_as: dataloader.Own\nargs: {}\ninfo: {authors: [{name: A}], doc: none}\n"
        'output_schema: {inputs: {name: seq, shape: "(30, 4)", doc: DNA}, targets: {name: y, shape: "(1, )", doc: y}}\n'
    )
    description |= {"default_dataloader": ".", "dependencies": {"pip": ["package-that-is-nowhere==0.6"]}}
    (tmp_path / "model.yaml").write_text(yaml.dump(description))
    asked = cure.format("package-that-is-nowhere==0.6")
    with pytest.raises(InputError, match=asked):
        load_model(str(tmp_path))
    (bank,) = open_network(str(tmp_path)).banks
    np.testing.assert_allclose(bank.kernels, made.get_layer("conv").get_weights()[0].transpose(2, 0, 1), atol=1e-6)
    assert re.search(f"its loader is not used, since it {asked}", capsys.readouterr().err)
