"""The patches for Kipoi in docs/upstream: each applies to the installed Kipoi, and repairs what its line says."""

import ast
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

PATCHES = Path(__file__).parents[2] / "docs/upstream"
SHIPPED = Path(__file__).parents[2] / "models/synthetic/cnn_2"
NAMES = sorted(path.stem for path in PATCHES.glob("*.patch"))
PACKAGES = ("kipoi", "kipoi_utils")
TOOLS = {"git": ["git", "apply"], "patch": ["patch", "-p1", "--fuzz=0", "--batch", "-i"]}

pytestmark = [pytest.mark.git, pytest.mark.skipif(shutil.which("git") is None, reason="no git to apply patches")]


def copy_of_kipoi(folder):
    for package in PACKAGES:
        installed = Path(importlib.util.find_spec(package).origin).parent
        shutil.copytree(installed, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def apply(folder, names, tool="git"):
    for name in names:
        done = subprocess.run(
            [*TOOLS[tool], str(PATCHES / f"{name}.patch")],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return copy_of_kipoi(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def patched(tmp_path_factory):
    return apply(copy_of_kipoi(tmp_path_factory.mktemp("patched")), NAMES)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network in a Keras file."""
    import keras

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("network") / "network.keras"
    keras.Sequential(
        [
            keras.layers.Input((30, 4)),
            keras.layers.Conv1D(3, 5, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="sigmoid", name="out"),
        ]
    ).save(path)
    return path


def run(tree, *arguments, cwd):
    """Run Python with the Kipoi of a tree; the environment's other packages are as ever."""
    path = os.pathsep.join(filter(None, [str(tree), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def values(tree, code, *arguments, cwd):
    """Run a program that prints JSON, and check that it ran with the Kipoi of the tree."""
    code = f"import kipoi\nassert kipoi.__file__.startswith({str(tree)!r})\n{code}"
    done = run(tree, "-c", code, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", NAMES)
def test_each_applies_alone(tmp_path, plain, name, tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    folder = apply(copy_of_kipoi(tmp_path), [name], tool)
    changed = re.findall(r"^\+\+\+ b/(\S+)", (PATCHES / f"{name}.patch").read_text(), re.M)
    for path in changed:
        ast.parse((folder / path).read_text())
        assert (folder / path).read_bytes() != (plain / path).read_bytes()
    assert not list(folder.rglob("*.rej")) and not list(folder.rglob("*.orig"))


def test_all_apply_together_in_any_order(tmp_path, patched):
    other = apply(copy_of_kipoi(tmp_path), NAMES[::-1])
    for path in patched.rglob("*.py"):
        assert path.read_bytes() == (other / path.relative_to(patched)).read_bytes()


def test_the_page_names_every_patch():
    page = (PATCHES / "README.md").read_text()
    assert sorted(re.findall(r"\]\((\w+)\.patch\)", page)) == NAMES


# full_disk

HALF_A_FILE = """
import resource, sys
sys.dont_write_bytecode = True  # Python would cut that off, too, and keep it
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
import numpy as np
from kipoi.writers import HDF5BatchWriter
writer = HDF5BatchWriter(sys.argv[1], chunk_size=1000)
try:
    for _ in range(50):
        writer.batch_write({"preds": np.random.rand(1000, 10)})
    writer.close()
except OSError as error:
    print("OSError", error.errno, error.filename)
"""


def test_hdf5_on_a_full_disk_is_one_error(plain, patched, tmp_path):
    done = run(patched, "-c", HALF_A_FILE, tmp_path / "x.h5", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"OSError 27 {tmp_path / 'x.h5'}\n") and not done.stderr
    done = run(plain, "-c", HALF_A_FILE, tmp_path / "y.h5", cwd=tmp_path)
    assert done.returncode < 0 or "Traceback" in done.stderr


def test_hdf5_is_written_and_added_to_as_before(plain, patched, tmp_path):
    code = """
import sys, numpy as np, h5py
from kipoi.writers import HDF5BatchWriter
HDF5BatchWriter.dump(sys.argv[1], {"preds": np.arange(12.0).reshape(4, 3), "metadata": {"id": np.array(list("abcd"))}})
HDF5BatchWriter.dump(sys.argv[1], {"more": np.arange(4)})
"""
    for name, tree in (("plain", plain), ("patched", patched)):
        assert run(tree, "-c", code, tmp_path / f"{name}.h5", cwd=tmp_path).returncode == 0
    with h5py.File(tmp_path / "plain.h5") as one, h5py.File(tmp_path / "patched.h5") as other:
        assert sorted(one) == sorted(other) == ["metadata", "more", "preds"]
        for name in ("preds", "more", "metadata/id"):
            np.testing.assert_array_equal(one[name][:], other[name][:])


def test_predictions_that_end_early_leave_no_file(plain, patched, tmp_path):
    """The first 40 sequences are fine; the loader fails behind them."""
    (tmp_path / "loader.py").write_text(
        "import numpy as np\n"
        "from kipoi_motifrep import SequencesDl\n"
        "class Failing(SequencesDl):\n"
        "    def _rows(self, start, stop):\n"
        "        assert stop <= 40, 'as if the disk were gone'\n"
        "        return super()._rows(start, stop)\n"
    )
    (tmp_path / "x.fa").write_text(f">a\n{'ACGT' * 50}\n" * 90)
    for tree, left in ((plain, True), (patched, False)):
        command = ["-m", "kipoi", "predict", SHIPPED, "--source", "dir", "--dataloader", "loader.Failing"]
        command += ["--dataloader_args", "fasta_file=x.fa", "-o", "x.tsv"]
        done = run(tree, *command, cwd=tmp_path)
        assert done.returncode and "as if the disk were gone" in done.stderr
        assert (tmp_path / "x.tsv").exists() == left
        (tmp_path / "x.tsv").unlink(missing_ok=True)


# plugin


def test_plugin_is_registered(plain, patched, tmp_path):
    assert "kipoi_motifrep" not in run(plain, "-m", "kipoi", "list_plugins", cwd=tmp_path).stdout
    [line] = [
        line
        for line in run(patched, "-m", "kipoi", "list_plugins", cwd=tmp_path).stdout.splitlines()
        if "kipoi_motifrep" in line
    ]
    assert line.split()[1:3] == ["True", "True"]


def test_plugin_runs_from_kipoi(plain, patched, tmp_path):
    assert run(plain, "-m", "kipoi", "motifrep", "--help", cwd=tmp_path).returncode == 1
    done = run(patched, "-m", "kipoi", "motifrep", "--help", cwd=tmp_path)
    assert done.returncode == 0 and "usage: kipoi motifrep" in done.stdout


# numpy2

AS_IN_NUMPY_2 = """
import numpy as np
def gone(name):
    raise AttributeError(name)
for name in ("string_", "unicode_"):
    if name in np.__dict__:
        delattr(np, name)
np.__getattr__ = gone
"""
WRITE = """
import json
import numpy as np
from kipoi.writers import HDF5BatchWriter
from kipoi.readers import HDF5Reader
HDF5BatchWriter.dump("x.h5", {"preds": np.arange(3.0), "metadata": {"id": np.array(["a", "b", "c"])}})
with HDF5Reader("x.h5") as reader:
    read = reader.load_all()
print(json.dumps([np.__version__, read["preds"].tolist(), read["metadata"]["id"].tolist()]))
"""


def test_hdf5_writer_without_the_names_that_numpy_2_dropped(plain, patched, tmp_path):
    assert "AttributeError: string_" in run(plain, "-c", AS_IN_NUMPY_2 + WRITE, cwd=tmp_path).stderr
    (tmp_path / "x.h5").unlink()
    assert values(patched, AS_IN_NUMPY_2 + WRITE, cwd=tmp_path)[1:] == [[0, 1, 2], ["a", "b", "c"]]


@pytest.mark.slow
def test_hdf5_writer_with_numpy_2(plain, patched, tmp_path, monkeypatch):
    """With numpy 2 itself, installed into a folder; skipped where no package index can be reached."""
    pip = ["-m", "pip", "install", "-q", "--target", tmp_path / "numpy2", "numpy>=2,<3", "h5py", "pandas<3"]
    if subprocess.run([sys.executable, *map(str, pip)], check=False, capture_output=True).returncode:
        pytest.skip("numpy 2 cannot be installed here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "numpy2"))
    assert "`np.string_` was removed in the NumPy 2.0 release" in run(plain, "-c", WRITE, cwd=tmp_path).stderr
    (tmp_path / "x.h5").unlink()
    version, *read = values(patched, WRITE, cwd=tmp_path)
    assert version.startswith("2.") and read == [[0, 1, 2], ["a", "b", "c"]]


# keras3 and suffix: one process each for the Kipoi as it is and as repaired

KERAS = """
import json, sys
import numpy as np
from kipoi.model import KerasModel
network, folder = sys.argv[1:]
model = KerasModel(network)
x = np.load(f"{folder}/x.npy")
def weight_sum(*arguments, **named):
    return float(abs(KerasModel(*arguments, **named).model.layers[0].kernel.numpy()).sum())
programs = {
    "activation": lambda: model.predict_activation_on_batch(x, layer="conv")[0].tolist(),
    "first": lambda: model.predict_activation_on_batch(x, layer=1)[0].tolist(),
    "before": lambda: model.predict_activation_on_batch(x, layer="out", pre_nonlinearity=True)[0].tolist(),
    "out": lambda: model.input_grad(x, filter_idx=1).tolist(),
    "sum": lambda: model.input_grad(x, avg_func="sum").tolist(),
    "max": lambda: model.input_grad(x, avg_func="max").tolist(),
    "absmax": lambda: model.input_grad(x, avg_func="absmax").tolist(),
    "conv": lambda: model.input_grad(x, layer="conv", final_layer=False, filter_idx=(slice(None), 7, 2)).tolist(),
    "logit": lambda: model.input_grad(x, filter_idx=0, pre_nonlinearity=True).tolist(),
    "keras file": lambda: weight_sum(f"{folder}/keras"),
    "keras file again": lambda: weight_sum(f"{folder}/keras"),
    "h5 file": lambda: weight_sum(f"{folder}/h5"),
    "weights": lambda: weight_sum(f"{folder}/weights", arch=f"{folder}/arch.json"),
    "keras 2 h5": lambda: KerasModel(f"{folder}/keras_2").predict_on_batch(x).tolist(),
    "keras 2 pair": lambda: KerasModel(
        f"{folder}/weights_2", arch=f"{folder}/arch_2.json"
    ).predict_on_batch(x).tolist(),
    "keras 2 own": lambda: KerasModel(
        f"{folder}/weights_2", arch=f"{folder}/own_2.json", custom_objects=f"{folder}/own.py"
    ).predict_on_batch(x).tolist(),
    "keras 2 activation": lambda: KerasModel(f"{folder}/keras_2").predict_activation_on_batch(
        x, layer="out", pre_nonlinearity=True
    )[0].tolist(),
    "keras 2 gradient": lambda: KerasModel(f"{folder}/keras_2").input_grad(x, filter_idx=1).tolist()}
answer = {}
for name, program in programs.items():
    try:
        answer[name] = program()
    except Exception as error:
        answer[name] = f"{type(error).__name__}: {error}"
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory, network):
    """Inputs, and every kind of Keras file under a name without a suffix."""
    import keras

    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "x.npy", np.random.default_rng(0).random((5, 30, 4)).astype(np.float32))
    model = keras.saving.load_model(network)
    shutil.copy(network, folder / "keras")
    model.save(folder / "whole.h5")
    (folder / "whole.h5").rename(folder / "h5")
    model.save_weights(folder / "only.weights.h5")
    (folder / "only.weights.h5").rename(folder / "weights")
    (folder / "arch.json").write_text(model.to_json())
    old = of_keras_2(network)
    old.save(folder / "old.h5")
    (folder / "old.h5").rename(folder / "keras_2")
    old.save_weights(folder / "old.h5")
    (folder / "old.h5").rename(folder / "weights_2")
    (folder / "arch_2.json").write_text(old.to_json())
    own = json.loads(old.to_json())
    own["config"]["layers"][-1]["config"]["activation"] = "twice"
    (folder / "own_2.json").write_text(json.dumps(own))
    (folder / "own.py").write_text(
        "import tensorflow as tf\nOBJECTS = {'twice': lambda x: 2 * tf.keras.activations.sigmoid(x)}\n"
    )
    return folder


def of_keras_2(network):
    """Make the same network in Keras 2."""
    import keras
    import tf_keras

    old = tf_keras.Sequential(
        [
            tf_keras.layers.Input((30, 4)),
            tf_keras.layers.Conv1D(3, 5, activation="relu", name="conv"),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(2, activation="sigmoid", name="out"),
        ]
    )
    old.set_weights(keras.saving.load_model(network).get_weights())
    return old


@pytest.fixture(scope="module")
def repaired(patched, network, keras_files):
    return values(patched, KERAS, network, keras_files, cwd=keras_files)


@pytest.mark.slow
def test_nothing_of_that_worked(plain, network, keras_files, tmp_path):
    files = shutil.copytree(keras_files, tmp_path / "files", ignore=shutil.ignore_patterns("*.keras", "*.h5"))
    answers = values(plain, KERAS, network, files, cwd=tmp_path)
    assert {name for name, answer in answers.items() if not isinstance(answer, str)} == set()
    assert "File format not supported" in answers["keras file"]


def test_files_of_keras_2_open(repaired, network, keras_files):
    import keras

    x, model = np.load(keras_files / "x.npy"), keras.saving.load_model(network)
    expected = model(x).numpy()
    np.testing.assert_allclose(repaired["keras 2 h5"], expected, atol=1e-6)
    np.testing.assert_allclose(repaired["keras 2 pair"], expected, atol=1e-6)
    np.testing.assert_allclose(repaired["keras 2 own"], 2 * expected, atol=1e-6)
    np.testing.assert_allclose(repaired["keras 2 activation"], np.log(expected / (1 - expected)), atol=1e-4)
    np.testing.assert_allclose(repaired["keras 2 gradient"], gradient(lambda v: model(v)[:, 1], x), atol=1e-5)


def gradient(target, x):
    import tensorflow as tf

    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(target(variable))
    return tape.gradient(value, variable).numpy()


def test_activations(repaired, network, keras_files):
    import keras

    x, model = np.load(keras_files / "x.npy"), keras.saving.load_model(network)
    features = model.get_layer("conv")(x).numpy()
    out = model.get_layer("out")
    for name, expected in {
        "activation": features,
        "first": features,
        "before": features.reshape(5, -1) @ out.kernel.numpy() + out.bias.numpy(),
    }.items():
        np.testing.assert_allclose(repaired[name], expected, atol=1e-5, err_msg=name)


def test_gradients(repaired, network, keras_files):
    import keras
    import tensorflow as tf

    x, model = np.load(keras_files / "x.npy"), keras.saving.load_model(network)
    conv = model.get_layer("conv")
    first = model(x).numpy()[:, 0]
    slope = (first * (1 - first))[:, None, None]  # d sigmoid(z) / dx = s (1 - s) dz / dx
    for name, expected in {
        "out": gradient(lambda v: model(v)[:, 1], x),
        "sum": gradient(model, x),
        "conv": gradient(lambda v: conv(v)[:, 7, 2], x),
        "max": gradient(lambda v: tf.reduce_max(model(v)), x),
        "absmax": gradient(lambda v: tf.reduce_max(model(v)), x),
        "logit": gradient(lambda v: model(v)[:, 0], x) / slope,
    }.items():
        np.testing.assert_allclose(repaired[name], expected, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["keras file", "keras file again", "h5 file", "weights"])
def test_files_without_a_suffix_open(repaired, network, name):
    import keras

    kernel = keras.saving.load_model(network).layers[0].kernel.numpy()
    assert repaired[name] == pytest.approx(float(np.abs(kernel).sum()))


# Groups with weights behind addresses, and `kipoi predict`

MODEL = """\
defined_as: kipoi.model.KerasModel
args:
  weights:
    url: {url}
    md5: {md5}
default_dataloader:
  defined_as: kipoi_motifrep.IntervalsDl
  default_args: {{auto_resize_len: 30}}
info: {{authors: [{{name: x}}], doc: x}}
dependencies: {{pip: [keras]}}
schema:
  inputs: {{shape: "(30, 4)", name: sequence}}
  targets: {{shape: "(2,)", name: labels}}
"""


def model_folder(folder, weights, md5=None):
    folder.mkdir()
    md5 = md5 or hashlib.md5(weights.read_bytes()).hexdigest()
    (folder / "model.yaml").write_text(MODEL.format(url=weights.as_uri(), md5=md5))
    return folder


def predict(tree, model, checkout, output, *options):
    examples = checkout / "kipoi_motifrep/sequences/examples"
    return run(
        tree,
        "-m",
        "kipoi",
        "predict",
        model,
        "--source",
        "dir",
        "-o",
        output,
        "--dataloader_args",
        f"intervals_file={examples / 'windows.bed'}",
        f"fasta_file={examples / 'hg19_chr20_200kb.fa'}",
        *options,
        cwd=model.parent,
    )


@pytest.fixture(scope="module")
def bed(tmp_path_factory, patched, network, checkout):
    folder = tmp_path_factory.mktemp("bed")
    return predict(patched, model_folder(folder / "model", network), checkout, folder / "x.bed"), folder / "x.bed"


def test_downloaded_weights_open(bed):
    assert bed[0].returncode == 0, bed[0].stderr


def test_bed_output(bed, checkout):
    header, *lines = [line.split("\t") for line in bed[1].read_text().splitlines()]
    assert header == ["chr", "start", "end", "name", "score", "strand", "preds/0", "preds/1"]
    examples = checkout / "kipoi_motifrep/sequences/examples"
    windows = [line.split() for line in (examples / "windows.bed").read_text().splitlines()]
    assert len(lines) == len(windows) and {line[0] for line in lines} == {"chr20"}
    middle = [(int(line[1]) + int(line[2])) // 2 for line in windows]
    assert [(int(line[1]) + int(line[2])) // 2 for line in lines] == middle
    assert all(0 < float(value) < 1 for line in lines for value in line[6:])


def test_bed_writer_was_called_wrongly(plain, tmp_path):
    code = "from kipoi.writers import get_writer; get_writer('x.bed', metadata_schema={})"
    assert "unexpected keyword argument 'dataloader_schema'" in run(plain, "-c", code, cwd=tmp_path).stderr


MD5 = """
import json, os, sys
from kipoi.specs import RemoteFile
try:
    got = RemoteFile(url=sys.argv[1], md5=sys.argv[2]).get_file("downloads/file")
    print(json.dumps(os.path.exists(got)))
except IOError as error:
    print(json.dumps([str(error), os.path.exists("downloads/file")]))
"""


def test_a_wrong_md5_is_refused(plain, patched, network, tmp_path):
    right = hashlib.md5(network.read_bytes()).hexdigest()
    assert values(patched, MD5, network.as_uri(), right, cwd=tmp_path) is True
    message, left = values(patched, MD5, network.as_uri(), "0" * 32, cwd=tmp_path)
    assert f"{network.as_uri()} does not have the md5 {'0' * 32}" in message and not left
    assert values(plain, MD5, network.as_uri(), "0" * 32, cwd=tmp_path) is True
