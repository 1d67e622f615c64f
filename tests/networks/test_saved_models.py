"""SavedModel folders of TensorFlow 2, bare and in Kipoi's; what does more than calculate is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import yaml
from support.network_files import kipoi_folder

import kipoi_motifrep as km
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.loading import load_model, open_network
from kipoi_motifrep.networks.model_digest import model_digest
from kipoi_motifrep.networks.saved_models import SavedSource

LENGTH = 30
X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (5, LENGTH))]


def network(framework, length=LENGTH):
    layers = framework.layers
    start = framework.Input((length, 4), name="seq")
    x = layers.BatchNormalization(name="norm")(layers.Conv1D(6, 9, name="conv", dilation_rate=2)(start))
    x = layers.GRU(3)(layers.ReLU(name="act")(x))
    made = framework.Model(start, layers.Dense(2, activation="sigmoid", name="out")(x))
    values = np.random.default_rng(1)
    made.set_weights([values.normal(size=one.shape).astype(np.float32) ** 2 for one in made.get_weights()])
    return made


def saved(made, folder):
    if isinstance(made, tf_keras.Model):
        made.save(folder, save_format="tf")
    else:
        made.export(folder, verbose=False)
    return folder


@pytest.mark.parametrize("length", [LENGTH, None])
@pytest.mark.parametrize("framework", [tf_keras, keras], ids=["Keras 2", "Keras 3"])
def test_the_filters_of_a_folder_are_those_of_the_network(tmp_path, framework, length):
    made = network(framework, length)
    folder = saved(made, tmp_path / "net")
    found = open_network(folder, length=LENGTH)
    (bank,) = found.banks
    np.testing.assert_allclose(bank.kernels[:, ::2], made.get_layer("conv").get_weights()[0].transpose(2, 0, 1), 1e-4)
    assert bank.layer.startswith("conv") and "dilation 2" in bank.geometry and "relu" in bank.activation.lower()
    expected = framework.Model(made.inputs, made.get_layer("act").output).predict(X, verbose=0)
    np.testing.assert_allclose(found.activations(X)[0], expected, atol=1e-4)
    np.testing.assert_allclose(found.source.predict({"seq": X})[0], made.predict(X, verbose=0), atol=1e-5)


def test_other_weights_have_another_digest(tmp_path):
    made = network(keras)
    first = model_digest(load_model(saved(made, tmp_path / "a")))
    assert model_digest(load_model(saved(made, tmp_path / "b"))) == first
    made.set_weights([2 * one for one in made.get_weights()])
    assert model_digest(load_model(saved(made, tmp_path / "c"))) != first


def test_a_kipoi_folder_of_a_saved_model_is_interpreted(tmp_path):
    made = network(tf_keras)
    saved(made, tmp_path / "served")
    kipoi_folder(tmp_path, {"savedmodel_path": "served"}, (LENGTH, 4), "kipoi.model.TensorFlow2Model")
    found = open_network(str(tmp_path))
    np.testing.assert_allclose(found.source.predict({"seq": X})[0], made.predict(X, verbose=0), atol=1e-5)
    (tmp_path / "s.fa").write_text(
        "".join(f">{i}\n{''.join('ACGT'[base] for base in one.argmax(1))}\n" for i, one in enumerate(X))
    )
    (bank,) = km.extract_filters(str(tmp_path), fasta=tmp_path / "s.fa")
    (bare,) = km.extract_filters(tmp_path / "served", fasta=tmp_path / "s.fa")
    np.testing.assert_array_equal(bank.pwms, bare.pwms)


class Writes(tf.Module):
    """Serves a convolution, and writes a file beside it."""

    def __init__(self, path):
        super().__init__()
        self.kernel = tf.Variable(tf.ones((3, 4, 2)))
        self.path = path

    @tf.function(input_signature=[tf.TensorSpec((None, LENGTH, 4))])
    def __call__(self, x):
        tf.io.write_file(self.path, "ran")
        return tf.nn.relu(tf.nn.conv1d(x, self.kernel, 1, "VALID"))


class Reads(tf.Module):
    """Holds a table, which is filled from a file while it is loaded."""

    def __init__(self, path):
        super().__init__()
        (path / "words").write_text("a\n")
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                str(path / "words"),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            1,
        )

    @tf.function(input_signature=[tf.TensorSpec((None, LENGTH, 4))])
    def __call__(self, x):
        return x


def test_what_could_do_more_than_calculate_is_not_run(tmp_path):
    writes = Writes(str(tmp_path / "ran"))
    tf.saved_model.save(writes, str(tmp_path / "writes"))
    with pytest.raises(InputError, match="uses TensorFlow's WriteFile, which could do other things than calculate"):
        load_model(tmp_path / "writes")
    assert not (tmp_path / "ran").exists()
    tf.saved_model.save(Reads(tmp_path), str(tmp_path / "reads"))
    with pytest.raises(InputError, match=r"has parts .* that read files or are run while it is loaded"):
        load_model(tmp_path / "reads")


def test_a_folder_of_tensorflow_1(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, LENGTH, 4), name="x")
        y = tf.nn.conv1d(x, v1.get_variable("kernel", (3, 4, 2)), 1, "SAME")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "old"), {"x": x}, {"y": y})
    with pytest.raises(InputError, match=r"old: was written by TensorFlow 1, .* save it as Keras's \.h5 file or as"):
        load_model(tmp_path / "old")


class Several(tf.Module):
    """Serves a convolution, and something else whose name is first in the alphabet."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, LENGTH, 4))])
    def filters(self, x):
        return tf.nn.relu(tf.nn.conv1d(x, self.kernel, 1, "VALID"))

    @tf.function(input_signature=[tf.TensorSpec((None, 2))])
    def double(self, x):
        return 2 * x


@pytest.mark.parametrize(("one", "other"), [("predict", "a"), ("predict", "serving_default"), ("serving_default", "a")])
def test_of_several_functions_the_one_that_takes_dna_is_read(tmp_path, one, other):
    module = Several()
    tf.saved_model.save(module, str(tmp_path / "net"), signatures={one: module.filters, other: module.double})
    (bank,) = open_network(tmp_path / "net").banks
    np.testing.assert_array_equal(bank.kernels, module.kernel.numpy().transpose(2, 0, 1))


class Doubles(tf.Module):
    @tf.function
    def __call__(self, x):
        return 2 * x


def test_what_does_not_say_its_input_is_refused(tmp_path):
    module = Doubles()
    tf.saved_model.save(module, str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"none: serves no function; save it with signatures"):
        load_model(tmp_path / "none")
    served = module.__call__.get_concrete_function(tf.TensorSpec(None))
    tf.saved_model.save(module, str(tmp_path / "open"), signatures=served)
    with pytest.raises(InputError, match=r"open: does not say the shape of its input"):
        load_model(tmp_path / "open")


def test_the_file_in_a_folder_is_named(tmp_path):
    folder = saved(network(keras), tmp_path / "net")
    with pytest.raises(InputError, match=r"saved_model\.pb: is the graph of a SavedModel folder: give the folder"):
        load_model(folder / "saved_model.pb")


def test_a_damaged_folder(tmp_path):
    folder = saved(network(keras), tmp_path / "net")
    (folder / "variables/variables.index").unlink()
    with pytest.raises(InputError, match="net: TensorFlow cannot read it") as error:
        SavedSource(folder)
    assert "\n" not in str(error.value)


def test_a_model_of_tensorflow_1_in_kipoi_is_named(tmp_path):
    kipoi_folder(tmp_path, {"input_nodes": "x"}, (LENGTH, 4), None, "tensorflow")
    description = yaml.safe_load((tmp_path / "model.yaml").read_text())
    description["args"] = {"input_nodes": "x", "target_nodes": "y", "checkpoint_path": "model.ckpt"}
    (tmp_path / "model.yaml").write_text(yaml.dump(description))
    with pytest.raises(InputError, match="is a graph and a checkpoint of TensorFlow 1"):
        load_model(str(tmp_path))
