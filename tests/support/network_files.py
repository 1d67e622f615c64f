"""Files of networks written by hand, as versions of Keras wrote them that cannot be installed any more; folders."""

import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np

# What Keras 2.21 and 2.12 wrote of small networks, where each weight lies in their files (its number and shape), and
# what they predicted there with the weights and inputs below.
KERAS_2 = json.loads((Path(__file__).parents[1] / "networks/keras2.json").read_text())
LENGTH = 12


def weight(number, shape):
    wave = 0.5 * np.sin(np.arange(np.prod(shape)) * (0.7 + 0.13 * number) + number).reshape(shape)
    return (wave + (0.6 if len(shape) == 1 else 0)).astype(np.float32)


def inputs(name):
    made = [
        np.cos(np.arange(2 * np.prod(shape)) * 0.37 + i).reshape(2, *shape).astype(np.float32)
        for i, shape in enumerate(KERAS_2[name]["inputs"])
    ]
    return made if len(made) > 1 else made[0]


def write_keras(path, config, weights, version="2.15.0"):
    with io.BytesIO() as contents:
        with h5py.File(contents, "w") as file:
            for place, value in weights.items():
                file[place] = value
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": version}))
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", contents.getvalue())


def write_h5(path, config, weights, version="2.15.0", backend="tensorflow"):
    """Write a whole model, or, without a description, its weights alone; Keras 1 says neither version nor backend."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        group = file if config is None else file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.encode() for layer in weights]
        for name, value in {"keras_version": version, "backend": backend}.items():
            if value is not None:
                file.attrs[name] = value
        for layer, values in weights.items():
            part = group.create_group(layer)
            part.attrs["weight_names"] = [name.encode() for name in values]
            for name, value in values.items():
                part[name] = value


def contents_of(name, suffix):
    """Give a network's description and weights as Keras 2 wrote them into a file with this suffix."""
    one = KERAS_2[name]["files"][suffix]
    if suffix == "keras":
        return one["config"], {place: weight(*what) for place, what in one["weights"].items()}
    return one["config"], {
        layer: {place: weight(*what) for place, what in values.items()} for layer, values in one["weights"].items()
    }


def written(folder, name, suffix, change=lambda config, weights: None):
    """Write a network's file as Keras 2 did, but for a change."""
    config, weights = json.loads(json.dumps(contents_of(name, suffix)[0])), contents_of(name, suffix)[1]
    change(config, weights)
    path = folder / f"network.{suffix}"
    (write_keras if suffix == "keras" else write_h5)(path, config, weights, KERAS_2[name]["files"][suffix]["version"])
    return path


# Keras 1: the words of its layers, and the arrays of its weights


def layer_1(kind, name, **arguments):
    return {"class_name": kind, "name": name, "config": {"name": name, "trainable": True, **arguments}}


def conv_1(name, n_filters, width, **arguments):
    return layer_1(
        "Convolution1D",
        name,
        nb_filter=n_filters,
        filter_length=width,
        init="glorot_uniform",
        bias=True,
        activation="relu",
        border_mode="valid",
        subsample_length=1,
        W_regularizer=None,
        b_regularizer=None,
        activity_regularizer=None,
        W_constraint=None,
        b_constraint=None,
        input_dim=4,
        input_length=None,
        **arguments,
    )


def dense_1(name, units, activation):
    return layer_1(
        "Dense",
        name,
        output_dim=units,
        init="glorot_uniform",
        activation=activation,
        bias=True,
        W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 1e-5},
        b_regularizer=None,
        activity_regularizer=None,
        W_constraint={"name": "MaxNorm", "m": 2},
        b_constraint=None,
        input_dim=None,
    )


def safetensors(arrays):
    """Give the contents of a .safetensors file."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in arrays.items():
        header[name] = {
            "dtype": {"float32": "F32", "int64": "I64"}[str(value.dtype)],
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + value.nbytes],
        }
        data += value.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def kipoi_folder(folder, args, shape, defined_as="kipoi.model.KerasModel", old_type=None, loader=()):
    """Make the folder of a Kipoi model beside the files that are in it."""
    folder.mkdir(exist_ok=True)
    loader = json.dumps({"auto_resize_len": max(shape), **dict(loader)})
    kind = f"type: {old_type}" if old_type else f"defined_as: {defined_as}"
    (folder / "model.yaml").write_text(f"""{kind}
args: {json.dumps(args)}
info: {{authors: [{{name: A}}], doc: test, license: MIT}}
default_dataloader: {{defined_as: kipoi_motifrep.SequencesDl, default_args: {loader}}}
schema:
  inputs: {{name: seq, shape: "{shape}", doc: DNA}}
  targets: {{name: y, shape: "(1,)", doc: y}}
""")
    return folder
