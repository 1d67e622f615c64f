"""What a file is, whatever its name; what is refused, by what it is; small files that unpack to gigabytes."""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import layers
from support.network_files import contents_of, inputs, kipoi_folder, safetensors, write_h5, written

from kipoi_motifrep.core import unpacked
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.unpacked import check_unpacked
from kipoi_motifrep.networks import file_kinds
from kipoi_motifrep.networks.file_kinds import NetworkFile, kind_of
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.networks.loading import is_file_model, load_model

LENGTH = 12


@pytest.fixture
def no_zoo(monkeypatch):
    """Fail where a name is looked up in Kipoi's zoo, which would be cloned."""

    def looked_up(name, source):
        assert source != "kipoi", f"{name} was looked up in the zoo"
        raise ValueError("not there")

    monkeypatch.setattr("kipoi.get_model_descr", looked_up)


def small(path, head=layers.GlobalMaxPooling1D):
    network = keras.Sequential([keras.Input((LENGTH, 4)), layers.Conv1D(3, 5, activation="relu"), head()])
    network.save(path)
    return network


CONTENTS = {
    "a Python pickle": b"\x80\x04\x95\x00",
    "compressed by gzip": b"\x1f\x8b\x08\x00",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a web page": b"\n<!DOCTYPE html><html>404</html>",
    "the graph of a SavedModel folder": b"\x08\x01\x12\xa7\x03\n\x17",
    "a TensorFlow Lite file": b"\x1c\x00\x00\x00TFL3",
    "a checkpoint of TensorFlow": bytes(40) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
    "a network's description without its weights": json.dumps(contents_of("recurrent", "h5")[0]).encode(),
}
CURES = {
    "a Python pickle": r"save a PyTorch module's state_dict\(\)",
    "compressed by gzip": "unpack it",
    "a pointer of Git LFS": "git lfs pull",
    "a web page": "address of the download",
    "the graph of a SavedModel folder": "give the folder",
    "a TensorFlow Lite file": "the Keras model",
    "a checkpoint of TensorFlow": "save it as one",
    "a network's description without its weights": "arch=FILE",
}


@pytest.mark.parametrize("name", ["weights.h5", "network.keras", "x.model", "0123456789abcdef0123456789abcdef", "x.pt"])
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_not_read_is_named_with_the_way_that_works(tmp_path, no_zoo, kind, name):
    (tmp_path / name).write_bytes(CONTENTS[kind])
    assert kind_of(tmp_path / name) == kind
    with pytest.raises(InputError, match=rf"{name}: is {kind}: .*{CURES[kind]}") as error:
        load_model(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("contents", [b"", b"x", b"some text", bytes(100), b"\x08\x08"])
def test_what_is_not_known_is_told_what_is_read(tmp_path, no_zoo, contents):
    (tmp_path / "x").write_bytes(contents)
    assert kind_of(tmp_path / "x") == ""
    with pytest.raises(InputError, match=r"x: is not of a known kind; the files read are \.keras, .*PyTorch"):
        load_model(tmp_path / "x")


def test_archives_are_told_apart(tmp_path):
    np.savez(tmp_path / "a", x=np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "a")
    small(tmp_path / "b.keras")
    shutil.copyfile(tmp_path / "b.keras", tmp_path / "b")
    module = torch.nn.Linear(2, 1)
    torch.save(module.state_dict(), tmp_path / "c")
    torch.save(module.state_dict(), tmp_path / "d", _use_new_zipfile_serialization=False)
    torch.jit.script(module).save(str(tmp_path / "e"))
    with open(tmp_path / "f", "wb") as file:
        torch.export.save(torch.export.export(module, (torch.rand(3, 2),)), file)
    (tmp_path / "g").write_bytes(safetensors({"w": np.zeros(2, np.float32)}))
    with zipfile.ZipFile(tmp_path / "h", "w") as archive:
        archive.writestr("readme.txt", "text")
    kinds = {name: kind_of(tmp_path / name) for name in "abcdefgh"}
    assert kinds == {
        "a": "a NumPy archive",
        "b": file_kinds.KERAS,
        "c": file_kinds.STATE,
        "d": file_kinds.STATE,
        "e": file_kinds.SCRIPT,
        "f": file_kinds.EXPORTED,
        "g": file_kinds.SAFETENSORS,
        "h": "",
    }


@pytest.mark.parametrize("name", ["network.hd5", "x.model", "0123456789abcdef0123456789abcdef", "text.txt", "net.pt"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_network_is_read_whatever_its_name(tmp_path, no_zoo, name, suffix):
    network = small(tmp_path / f"network{suffix}")
    (tmp_path / f"network{suffix}").rename(tmp_path / name)
    x = np.random.default_rng(0).random((2, LENGTH, 4)).astype(np.float32)
    assert is_file_model(tmp_path / name)
    np.testing.assert_allclose(load_model(str(tmp_path / name)).predict(x, verbose=0), network.predict(x, verbose=0))


def test_folders(tmp_path, no_zoo):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained/checkpoint").write_text("model_checkpoint_path")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("saved", r"TensorFlow cannot read it|was written by TensorFlow 1, .*as Keras's \.h5 file"),
        ("trained", "is a checkpoint of TensorFlow: "),
        ("empty", r"is a folder without a model\.yaml, so no Kipoi model"),
    ):
        with pytest.raises(InputError, match=rf"{name}: {reason}"):
            load_model(tmp_path / name)
    (tmp_path / "trained/model-1.index").write_bytes(b"")
    with pytest.raises(InputError, match="model-1: is a checkpoint of TensorFlow: "):
        load_model(tmp_path / "trained/model-1")
    for name in ("none.hd5", "none"):
        with pytest.raises(InputError, match=f"{name}: there is no such file"):
            load_model(tmp_path / name)
    with pytest.raises(InputError, match="empty: is a folder; an architecture goes with a file of weights"):
        load_model(NetworkFile(str(tmp_path / "empty"), "model.json"))


def test_parts_of_a_checkpoint_are_known_by_their_usual_names(tmp_path):
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes(30))
    assert kind_of(tmp_path / "model.ckpt.data-00000-of-00001") == "a checkpoint of TensorFlow"


# Pairs


@pytest.mark.parametrize("generation", [2, 3])
def test_weights_and_their_architecture(tmp_path, generation):
    if generation == 2:
        config, weights = contents_of("recurrent", "h5")
        (tmp_path / "arch.txt").write_text(json.dumps({**config, "keras_version": "2.8.0", "backend": "tensorflow"}))
        write_h5(tmp_path / "w", None, weights, "2.8.0")
        x, expected = inputs("recurrent"), load_keras(written(tmp_path, "recurrent", "h5")).predict
    else:
        network = small(tmp_path / "whole.keras")
        (tmp_path / "arch.txt").write_text(network.to_json())
        network.save_weights(tmp_path / "only.weights.h5")
        (tmp_path / "only.weights.h5").rename(tmp_path / "w")
        x, expected = np.random.default_rng(0).random((2, LENGTH, 4)).astype(np.float32), network.predict
    with pytest.raises(InputError, match=r"w: holds weights without a network; give its architecture as well \(arch="):
        load_model(tmp_path / "w")
    found = load_model(NetworkFile(str(tmp_path / "w"), arch=str(tmp_path / "arch.txt")))
    np.testing.assert_allclose(found.predict(x, verbose=0), expected(x, verbose=0), atol=1e-6)
    with pytest.raises(InputError, match=r"whole\.json: is no architecture of Keras"):
        (tmp_path / "whole.json").write_text('{"a": 1}')
        load_keras(tmp_path / "w", tmp_path / "whole.json")
    with pytest.raises(InputError, match=r"none\.json: is no readable text"):
        load_keras(tmp_path / "w", tmp_path / "none.json")


def test_a_whole_file_may_stand_for_its_weights(tmp_path):
    """As ModelCheckpoint saved them, and DeepMEL and FactorNet give them."""
    path = written(tmp_path, "recurrent", "h5")
    (tmp_path / "arch.json").write_text(json.dumps(contents_of("recurrent", "h5")[0]))
    np.testing.assert_array_equal(
        load_keras(path, tmp_path / "arch.json").predict(inputs("recurrent"), verbose=0),
        load_keras(path).predict(inputs("recurrent"), verbose=0),
    )


def test_an_hdf5_file_of_other_things(tmp_path):
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        file["X"] = np.zeros(3)
    with pytest.raises(InputError, match=r"cells\.h5: is an HDF5 file, but not of a Keras network"):
        load_model(tmp_path / "cells.h5")


# Bombs


def bombs(folder):
    """Give files that are small, and say of their contents that they are large."""
    path = written(folder, "recurrent", "h5").rename(folder / "fill.h5")
    with h5py.File(path, "r+") as file:  # no value of it is in the file
        del file["model_weights/conv/conv/kernel:0"]
        file.create_dataset("model_weights/conv/conv/kernel:0", shape=(5, 4, 200_000_000), dtype="f4", chunks=True)
    inner = folder / "inner.keras"
    with zipfile.ZipFile(small_file(folder)) as good, zipfile.ZipFile(inner, "w") as archive:
        for name in good.namelist():
            archive.writestr(name, (folder / "fill.h5").read_bytes() if name.endswith(".h5") else good.read(name))
    zeros = folder / "zeros.keras"
    with zipfile.ZipFile(small_file(folder)) as good, zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in good.namelist():
            archive.writestr(name, good.read(name) + bytes(60_000_000 if name.endswith(".h5") else 0))
    module, state = folder / "state.pt", folder / "plain.pt"
    torch.save(torch.nn.Linear(2, 1).state_dict(), state)
    with zipfile.ZipFile(state) as good, zipfile.ZipFile(module, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in good.namelist():
            archive.writestr(name, bytes(60_000_000) if name.endswith("data/0") else good.read(name))
    return path, inner, zeros, module


def small_file(folder):
    small(folder / "small.keras")
    return folder / "small.keras"


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_by_its_headers(tmp_path, monkeypatch):
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("unpacked"))
    monkeypatch.setattr(unpacked, "DEFAULT_LIMIT", 0.05)
    for path in bombs(tmp_path):
        with pytest.raises(
            InputError,
            match=rf"{path.name}: its [\d.]+ MB unpack to [\d.]+ GB, more than the limit of "
            r"0\.05 GB; .*KIPOI_MOTIFREP_MAX_UNPACKED_GB",
        ):
            load_model(path)


def test_a_description_of_a_layer_of_gigabytes_is_refused_before_it_is_made(tmp_path):
    def change(config, weights):
        next(one for one in config["config"]["layers"] if one["config"]["name"] == "out")["config"]["units"] = 10**10

    for suffix in ("h5", "keras"):
        with pytest.raises(InputError, match="layer 'out' has units=10000000000, but its weights are not so many"):
            load_keras(written(tmp_path, "recurrent", suffix, change))


def test_the_limit_can_be_lifted_and_does_not_hold_for_large_files(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"0\.001 MB unpack to 2 GB, more than the limit of 1 GB"):
        check_unpacked(path, 2_000_000_000)
    monkeypatch.setenv(unpacked.LIMIT, "3.5")
    check_unpacked(path, 2_000_000_000)
    monkeypatch.setenv(unpacked.LIMIT, "0")
    check_unpacked(path, 4000)
    with pytest.raises(InputError):
        check_unpacked(path, 4001)
    monkeypatch.setenv(unpacked.LIMIT, "much")
    with pytest.raises(InputError, match="KIPOI_MOTIFREP_MAX_UNPACKED_GB is 'much'; it must be a number of gigabytes"):
        check_unpacked(path, 1)


# Code in a description


def evil(kind):
    """Give layers that would run code, or read other files, if they were made."""
    dense = {"module": "keras.layers", "registered_name": None}
    return {
        "lambda": {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAAA=", None, None]}},
        "function": {
            "class_name": "Activation",
            **dense,
            "config": {
                "name": "a",
                "activation": {
                    "class_name": "function",
                    "module": "os",
                    "config": "system",
                    "registered_name": "system",
                },
            },
        },
        "builtin": {
            "class_name": "Activation",
            **dense,
            "config": {
                "name": "a",
                "activation": {
                    "class_name": "function",
                    "module": "builtins",
                    "config": "eval",
                    "registered_name": "function",
                },
            },
        },
        "module": {
            "class_name": "Popen",
            "module": "subprocess",
            "registered_name": None,
            "config": {"args": ["touch", "ran"]},
        },
        "keras's own": {
            "class_name": "get_file",
            "module": "keras.utils",
            "registered_name": None,
            "config": {"origin": "file:///etc/passwd", "fname": "x"},
        },
        "type": {
            "class_name": "__typespec__",
            "module": "subprocess",
            "spec_name": "Popen",
            "registered_name": None,
            "config": ["touch ran"],
        },
        "savedmodel": {"class_name": "TFSMLayer", **dense, "config": {"name": "t", "filepath": "/tmp/x"}},
        "torch": {"class_name": "TorchModuleWrapper", **dense, "config": {"name": "t", "module": "AAAA"}},
        "words": {"class_name": "StringLookup", **dense, "config": {"name": "s", "vocabulary": "/etc/passwd"}},
        "tensorflow": {"class_name": "TFOpLambda", "config": {"name": "t", "function": "io.write_file"}},
    }[kind]


@pytest.mark.parametrize("form", ["keras 2 h5", "keras 3 h5", "keras 2", "keras 3", "pair", "folder"])
@pytest.mark.parametrize(
    "kind",
    ["lambda", "function", "builtin", "module", "keras's own", "type", "savedmodel", "torch", "words", "tensorflow"],
)
def test_code_in_a_file_is_not_run(tmp_path, monkeypatch, kind, form):
    monkeypatch.chdir(tmp_path)
    version = "3.9.0" if "3" in form else "2.15.0"

    def change(config, weights):
        config["config"]["layers"].append(evil(kind))

    path = written(tmp_path, "recurrent", "keras" if form in ("keras 2", "keras 3") else "h5", change)
    if form in ("pair", "folder"):
        config = json.loads(json.dumps(contents_of("recurrent", "h5")[0]))
        change(config, {})
        (tmp_path / "arch.json").write_text(json.dumps(config))
    elif form.endswith("h5"):
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = version
    else:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, json.dumps({"keras_version": version}) if name == "metadata.json" else content)
    model = NetworkFile(str(path), str(tmp_path / "arch.json")) if form == "pair" else path
    if form == "folder":
        model = kipoi_folder(tmp_path / "folder", {"arch": "../arch.json", "weights": "../network.h5"}, (LENGTH, 4))
    with pytest.raises(InputError, match=r"is not run|needs the custom object|is not opened") as error:
        load_model(model)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()
