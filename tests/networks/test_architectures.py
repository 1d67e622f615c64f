"""Published architectures are read right: kernels, where they lie, activations; against plain loops and the layers."""

import importlib.util
import tempfile
import warnings

import numpy as np
import pytest
from networks.architectures_keras import ARCHITECTURES as OF_KERAS
from networks.architectures_keras import keras
from networks.architectures_keras import random_batch_norms as for_keras
from networks.architectures_torch import ARCHITECTURES as OF_TORCH
from networks.architectures_torch import random_batch_norms as for_torch
from networks.architectures_torch import torch
from oracles.filters_reference import scores
from support.documents import CHECKOUT

from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.loading import open_network

tf_keras = pytest.importorskip("tf_keras")
DOCS = CHECKOUT / "docs"
EXPORTED = ["Basset", "ExplaiNN", "LegNet"]  # to ONNX, which has no threshold as DeepSEA has
OWN = [*((name, "Keras") for name in OF_KERAS), *((name, "PyTorch") for name in OF_TORCH)]
ALL = [*OWN, *((name, "ONNX") for name in EXPORTED)]


def made(name, framework):
    make, *rest = (OF_KERAS if framework == "Keras" else OF_TORCH)[name]
    if framework == "Keras":
        keras.utils.clear_session()  # which numbers its layers
        keras.utils.set_random_seed(1)
        return for_keras(make()), *rest
    torch.manual_seed(1)
    return for_torch(make()).eval(), *rest


def own_activations(model, name, inputs):
    """What the layer of this name gives, by the framework's own means; its axes in any order."""
    if hasattr(model, "get_layer"):
        kit = tf_keras if isinstance(model, tf_keras.Model) else keras
        return kit.Model(model.inputs, model.get_layer(name).output)(inputs, training=False).numpy()
    kept = []
    handle = model.get_submodule(name).register_forward_hook(lambda *given: kept.append(given[2].detach().numpy()))
    with torch.no_grad():
        model(*(torch.as_tensor(one) for one in inputs))
    handle.remove()
    return kept[0]


def opened(name, framework):
    """The network of an architecture, the model, and what `ARCHITECTURES` says of it."""
    model, length, layer, activation, options, source = made(name, framework)
    network = open_network(model, **{"length": length, **options})
    if framework == "ONNX":
        pytest.importorskip("onnxruntime")
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            example = torch.zeros(1, *network.layout.shape(length))  # one sequence, as exporters are mostly given
            torch.onnx.export(model, example, f"{folder}/network.onnx", dynamo=False, input_names=["dna"])
            network = open_network(f"{folder}/network.onnx")
    return network, model, length, layer, activation, source


def table_row():
    spec = importlib.util.spec_from_file_location("make_networks", DOCS / "make_networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.row


@pytest.mark.parametrize(("name", "framework"), ALL)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_architecture(name, framework):
    network, model, length, layer, activation, source = opened(name, framework)
    bank, use = network.banks[0], network.uses[0]
    assert (len(network.banks), bank.layer, network.length) == (1, layer, length)
    codes = np.random.default_rng(2).integers(0, 5, (3, length)).astype(np.uint8)
    arrays = network.arrays(network.layout.encode(codes))

    def convolution(arrays):
        (values,) = network.forward.run(arrays, [use.place])
        return values

    # Kernels laid along the sequence in plain loops, and what an empty one gives, make the convolution's output.
    raw, empty = convolution(arrays), convolution({key: 0 * one for key, one in arrays.items()})
    axes = [axis for axis, size in enumerate(raw.shape) if axis and size == bank.n_filters][-1:]
    answers = np.moveaxis((raw - empty)[:3], axes[0], -1).reshape(3, -1, bank.n_filters)
    field = bank.field
    np.testing.assert_allclose(
        answers, scores(codes, bank.kernels, field.start, field.step, answers.shape[1]), atol=1e-4
    )

    given = network.activations(arrays[network.input_name])[0]
    assert given.shape == (3, bank.n_positions, bank.n_filters)
    assert "no non-linearity" not in bank.activation
    if activation is not None:
        own = own_activations(model, activation, list(arrays.values()))[:3].reshape(3, -1)
        np.testing.assert_allclose(np.sort(given.reshape(3, -1)), np.sort(own), atol=1e-5)

    assert table_row()(name, source, network) in (DOCS / "networks.md").read_text(), "run python docs/make_networks.py"

    ablation = Ablation(network)
    ablation.begin(arrays)
    before = ablation.predictions()
    assert np.isfinite(before).all()
    assert any(np.abs(ablation.replaced(one, 3.0) - before).max() > 0 for one in range(3))
