"""ONNX files: graphs written by hand and exported ones, against plain numpy; what lies elsewhere is not read."""

import sys

import numpy as np
import pytest
import torch
from oracles.filters_reference import scores
from torch import nn

import kipoi_motifrep as km
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.file_kinds import NetworkFile
from kipoi_motifrep.networks.loading import load_model, open_network
from kipoi_motifrep.networks.logits import Logits
from kipoi_motifrep.networks.model_digest import model_digest
from kipoi_motifrep.networks.untrained import untrained_copy

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, to_tensor = onnx.helper, onnx.numpy_helper.from_array
LENGTH, FILTERS, WIDTH = 30, 6, 5
KERNEL = np.random.default_rng(0).normal(size=(FILTERS, 4, WIDTH)).astype(np.float32)
BIAS = np.linspace(-1, 1, FILTERS, dtype=np.float32)
CODES = np.random.default_rng(1).integers(0, 5, (3, LENGTH)).astype(np.uint8)


def value(name, *shape):
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def write(path, nodes, constants=(), shape=("n", 4, LENGTH), result="y", **more):
    tensors = [to_tensor(one, name) for name, one in {"kernel": KERNEL, "bias": BIAS, **dict(constants)}.items()]
    graph = helper.make_graph(nodes, "g", [value("x", *shape)], [onnx.ValueInfoProto(name=result)], tensors)
    more.setdefault("opset_imports", [helper.make_opsetid("", 17)])
    onnx.save(helper.make_model(graph, ir_version=8, **more), path)
    return path


def node(kind, takes, gives, name="", **attributes):
    return helper.make_node(kind, takes.split(), gives.split(), name, **attributes)


CONV = node("Conv", "x kernel bias", "c")
RELU = node("Relu", "c", "y")
LAYERS = {  # nodes, shape of the input, start and step of the field, bases from one that is looked at to the next
    "first": ([CONV, RELU], ("n", 4, LENGTH), 0, 1, 1),
    "last": (
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Conv", "t kernel bias", "c"), RELU],
        ("n", LENGTH, 4),
        0,
        1,
        1,
    ),
    "padded": ([node("Conv", "x kernel bias", "c", pads=[3, 1]), RELU], ("n", 4, LENGTH), -3, 1, 1),
    "strided": ([node("Conv", "x kernel bias", "c", strides=[3]), RELU], ("n", 4, LENGTH), 0, 3, 1),
    "dilated": ([node("Conv", "x kernel bias", "c", dilations=[2], pads=[4, 4]), RELU], ("n", 4, LENGTH), -4, 1, 2),
    "dummy axis": (
        [node("Squeeze", "x two", "s"), node("Conv", "s kernel bias", "c"), RELU],
        ("n", 4, 1, LENGTH),
        0,
        1,
        1,
    ),
    "open length": ([CONV, RELU], ("n", 4, "length"), 0, 1, 1),
    "one batch": ([CONV, RELU], (1, 4, LENGTH), 0, 1, 1),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_filters_are_those_of_plain_loops(tmp_path, kind):
    nodes, shape, start, step, holes = LAYERS[kind]
    path = write(tmp_path / "net.onnx", nodes, {"two": np.array([2])}, shape).rename(tmp_path / "net.json")
    network = open_network(path, length=LENGTH)
    (bank,) = network.banks
    laid = np.zeros((FILTERS, holes * (WIDTH - 1) + 1, 4), np.float32)
    laid[:, ::holes] = KERNEL.transpose(0, 2, 1)
    np.testing.assert_array_equal(bank.kernels, laid)  # the file's own numbers
    assert (bank.field.start, bank.field.step, bank.activation) == (start, step, "relu")
    (given,) = network.activations(network.layout.encode(CODES))
    expected = np.maximum(scores(CODES, laid, start, step, given.shape[1]) + BIAS, 0)
    np.testing.assert_allclose(given, expected, atol=1e-5)


STRANDS = [
    node("Slice", "x last first axes steps", "reverse"),  # bases and positions backwards
    node("Concat", "x reverse", "both", axis=0),
    node("Conv", "both kernel bias", "c", "net/conv/Conv"),
    node("Softplus", "c", "a", "net/act/Softplus"),
    node("ReduceMax", "a", "m", axes=[2], keepdims=0),
    node("Reshape", "m shape", "two"),
    node("ReduceMean", "two", "y", axes=[0], keepdims=0),
]
ENDS = {"last": [-1, -1], "first": [-100, -100], "axes": [1, 2], "steps": [-1, -1]}


@pytest.mark.parametrize("batch", ["n", 1])
def test_two_strands_in_one_batch(tmp_path, batch):
    constants = {**{name: np.array(one) for name, one in ENDS.items()}, "shape": np.array([2, -1, FILTERS])}
    network = open_network(write(tmp_path / "net.onnx", STRANDS, constants, (batch, 4, LENGTH)))
    (bank,) = network.banks
    np.testing.assert_array_equal(bank.kernels, KERNEL.transpose(0, 2, 1))
    assert bank.layer == "conv" and "to both strands; first forward use taken" in bank.describe()
    assert "act (softplus)" in bank.activation
    arrays = network.arrays(network.layout.encode(CODES))
    both = [np.where(one < 4, one, 4) for one in (CODES, np.where(CODES < 4, 3 - CODES, 4)[:, ::-1])]
    answers = [np.logaddexp(0, scores(one.astype(np.uint8), bank.kernels, 0, 1, 26) + BIAS) for one in both]
    np.testing.assert_allclose(network.activations(arrays)[0], answers[0], atol=1e-5)
    # A filter is replaced on both strands.
    ablation = Ablation(network)
    ablation.begin(arrays)
    best = np.array([one.max(axis=1) for one in answers])
    np.testing.assert_allclose(ablation.predictions(), best.mean(axis=0), atol=1e-5)
    best[:, :, 2] = 0.5
    np.testing.assert_allclose(ablation.replaced(2, 0.5), best.mean(axis=0), atol=1e-5)


class Net(nn.Module):
    """As strangers write them; the reshaping holds the size of the batch once it is exported for one."""

    def __init__(self, ends):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, FILTERS, 7, padding=3), nn.BatchNorm1d(FILTERS)
        self.body = nn.Sequential(nn.Conv1d(FILTERS, 5, 3), nn.ReLU())
        self.out, self.ends = nn.Linear(5 * 13, 2), ends

    def forward(self, x):
        x = nn.functional.max_pool1d(torch.exp(0.3 * self.norm(self.conv(x))), 2)
        return self.ends(self.out(self.body(x).view(x.size(0), -1)))


def exported(path, batch=1, ends=torch.sigmoid, **more):
    torch.manual_seed(0)
    made = Net(ends)
    made.norm.running_var[:] = torch.linspace(0.5, 2, FILTERS)
    torch.onnx.export(made.eval(), torch.zeros(batch, 4, LENGTH), str(path), dynamo=False, input_names=["x"], **more)
    return made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("axes", [None, {"x": {0: "batch"}}], ids=["one batch", "any batch"])
def test_an_exported_network_is_interpreted_as_the_module(tmp_path, axes):
    module = exported(tmp_path / "net.onnx", dynamic_axes=axes)
    fasta = tmp_path / "s.fa"
    fasta.write_text("".join(f">{i}\n{''.join('ACGTN'[base] for base in one)}\n" for i, one in enumerate(CODES)))
    of_file, of_module = (km.extract_filters(one, fasta=fasta)[0] for one in (tmp_path / "net.onnx", module))
    np.testing.assert_allclose(of_file.pwms, of_module.pwms, atol=1e-5)
    # The exporter puts the batch norm into the kernels.
    scale = (module.norm.weight / (module.norm.running_var + module.norm.eps).sqrt()).detach().numpy()
    np.testing.assert_allclose(
        of_file.bank.kernels, of_module.bank.kernels * scale[:, None, None], rtol=1e-4, atol=1e-6
    )
    assert of_file.bank.layer == "conv" and of_file.bank.activation.endswith("exp")
    networks = [open_network(one, length=LENGTH) for one in (tmp_path / "net.onnx", module)]
    results = []
    for network in networks:
        arrays = network.arrays(network.layout.encode(CODES))
        ablation, logits = Ablation(network), Logits(network)
        ablation.begin(arrays)
        results.append([ablation.predictions(), ablation.replaced(1, 2.0), logits(arrays)])
        assert logits.units == ("logit", "logit")
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    deeper = [open_network(one, length=LENGTH, layer="body.0").banks[0] for one in (tmp_path / "net.onnx", module)]
    assert deeper[0].field == deeper[1].field and deeper[0].n_positions == deeper[1].n_positions
    with pytest.raises(InputError, match="leave arch out"):
        load_model(NetworkFile(str(tmp_path / "net.onnx"), "net.py:Net"))
    with pytest.raises(Exception, match="does not say how its weights were drawn"):
        untrained_copy(load_model(tmp_path / "net.onnx"))


@pytest.mark.filterwarnings("ignore")
def test_one_exported_for_batches_of_several_is_refused(tmp_path):
    exported(tmp_path / "net.onnx", batch=8)
    with pytest.raises(InputError, match=r"net\.onnx: was exported for batches of 8 only; export it again with a dyn"):
        load_model(tmp_path / "net.onnx")


@pytest.mark.filterwarnings("ignore")
def test_log_odds_of_a_softmax_and_digests(tmp_path):
    module = exported(tmp_path / "net.onnx", ends=nn.LogSoftmax(1))
    network = open_network(tmp_path / "net.onnx")
    arrays = network.arrays(network.layout.encode(CODES))
    values = module(torch.from_numpy(arrays["x"])).detach().numpy()
    np.testing.assert_allclose(Logits(network)(arrays)[:, 0], values[:, 0] - values[:, 1], atol=1e-5)
    first = model_digest(load_model(tmp_path / "net.onnx"))
    exported(tmp_path / "net.onnx", ends=torch.sigmoid)
    assert model_digest(load_model(tmp_path / "net.onnx")) != first


def test_kernels_that_are_made_within_the_graph(tmp_path):
    nodes = [node("Transpose", "turned", "k", perm=[2, 1, 0]), node("Conv", "x k bias", "c"), RELU]
    found = open_network(write(tmp_path / "net.onnx", nodes, {"turned": KERNEL.transpose(2, 1, 0)}))
    np.testing.assert_array_equal(found.banks[0].kernels, KERNEL.transpose(0, 2, 1))


def test_functions_of_the_file_and_branches(tmp_path):
    ours = helper.make_function("own", "Gate", ["a"], ["b"], [node("Sigmoid", "a", "s"), node("Mul", "a s", "b")],
                                [helper.make_opsetid("", 17)])  # fmt: skip
    branch = helper.make_graph([node("Identity", "g", "inner")], "branch", [], [onnx.ValueInfoProto(name="inner")])
    nodes = [CONV, node("Gate", "c", "g", domain="own"), node("If", "yes", "y", then_branch=branch, else_branch=branch)]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    path = write(tmp_path / "net", nodes, {"yes": np.array(True)}, opset_imports=domains, functions=[ours])
    network = open_network(path)
    arrays = network.arrays(network.layout.encode(CODES))
    raw = scores(CODES, network.banks[0].kernels, 0, 1, 26) + BIAS
    np.testing.assert_allclose(network.activations(arrays)[0], raw / (1 + np.exp(-raw)), atol=1e-5)
    np.testing.assert_allclose(network.source.predict(arrays)[0].transpose(0, 2, 1), network.activations(arrays)[0])


def test_without_a_convolution_over_dna(tmp_path):
    nodes = [node("MatMul", "x weights", "y")]
    path = write(tmp_path / "net.onnx", nodes, {"weights": np.ones((LENGTH, 2), np.float32)})
    with pytest.raises(InputError, match="no convolution of this model reads DNA: no convolution uses this input"):
        open_network(path)
    with pytest.raises(InputError, match="no input of this model is DNA: no axis of size 4 in x"):
        open_network(write(tmp_path / "net.onnx", [CONV, RELU], shape=("n", 3, LENGTH)))


def test_a_length_that_later_layers_do_not_take(tmp_path):
    nodes = [CONV, node("Relu", "c", "r"), node("MatMul", "r weights", "y")]
    path = write(tmp_path / "net.onnx", nodes, {"weights": np.ones((26, 2), np.float32)}, ("n", 4, "length"))
    assert open_network(path, length=LENGTH).length == LENGTH
    with pytest.raises(InputError, match="it cannot take sequences of 40 bp"):
        open_network(path, length=40)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_package(tmp_path, monkeypatch, package):
    path = write(tmp_path / "net.onnx", [CONV, RELU])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"an ONNX file, which needs the package '{package}', .*install {package}\)"):
        load_model(path)


def test_a_damaged_file(tmp_path):
    path = write(tmp_path / "net.onnx", [CONV, RELU])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"net\.onnx: is no whole ONNX file \(") as error:
        load_model(path)
    assert "\n" not in str(error.value)
    write(path, [node("Conv", "x nothing", "y")])
    with pytest.raises(InputError, match="ONNX Runtime cannot run it"):
        open_network(path)


@pytest.mark.filterwarnings("ignore")
def test_bytes_that_were_changed_are_read_or_refused(tmp_path):
    path = write(tmp_path / "net.onnx", [CONV, RELU])
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(whole)
        for place in random.choice([*range(60), *range(-60, 0), *range(60, len(whole) - 60, 40)], 3):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        try:
            open_network(path)
        except InputError as error:
            assert "\n" not in str(error)


def test_a_graph_that_takes_no_arrays(tmp_path):
    graph = helper.make_graph([node("Relu", "kernel", "y")], "g", [], [value("y")], [to_tensor(KERNEL, "kernel")])
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"net\.onnx: takes no arrays"):
        load_model(tmp_path / "net.onnx")


@pytest.mark.parametrize("kind", ["BFLOAT16", "FLOAT16", "DOUBLE", "INT64"])
def test_inputs_of_other_types_are_read_or_refused(tmp_path, kind):
    cast = node("Cast", "x", "f", to=onnx.TensorProto.FLOAT)
    path = write(tmp_path / "net.onnx", [cast, node("Conv", "f kernel bias", "c"), RELU])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = getattr(onnx.TensorProto, kind)
    onnx.save(model, path)
    if kind == "BFLOAT16":  # which ONNX Runtime takes from no array
        with pytest.raises(InputError, match="no convolution of this model reads DNA"):
            open_network(path)
    else:
        np.testing.assert_array_equal(open_network(path).banks[0].kernels, KERNEL.transpose(0, 2, 1))


def test_operations_of_others_are_not_run(tmp_path):
    path = write(tmp_path / "net.onnx", [CONV, node("Relu", "c", "y", domain="com.microsoft")])
    with pytest.raises(InputError, match=r"uses com\.microsoft's Relu, which is none of ONNX's own .* is not run"):
        load_model(path)


# Numbers that lie in other files


def with_numbers_at(folder, location, inside=None):
    """A file whose kernel lies in another, and that other file's bytes."""
    folder.mkdir(exist_ok=True)
    path = write(folder / "net.onnx", [CONV, RELU])
    model = onnx.load(path)
    kernel = model.graph.initializer[0]
    kernel.ClearField("raw_data")
    kernel.data_location = kernel.EXTERNAL
    for key, said in {"location": str(location), **(inside or {})}.items():
        kernel.external_data.add(key=key, value=str(said))
    path.write_bytes(model.SerializeToString())
    return path, KERNEL.tobytes()


def test_numbers_beside_the_file_are_read(tmp_path):
    path, numbers = with_numbers_at(tmp_path, "net.data", {"offset": 4096, "length": KERNEL.nbytes})
    (tmp_path / "net.data").write_bytes(bytes(4096) + numbers)
    np.testing.assert_array_equal(open_network(path).banks[0].kernels, KERNEL.transpose(0, 2, 1))
    (tmp_path / "net.data").unlink()
    with pytest.raises(InputError, match=r"net\.onnx: keeps numbers in 'net\.data', which is not beside it; fetch it"):
        load_model(path)


@pytest.mark.parametrize("kind", ["above", "absolute", "link", "folder of a link", "memory", "none"])
def test_numbers_elsewhere_are_not_read(tmp_path, kind):
    (tmp_path / "secret").write_bytes(KERNEL.tobytes())
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "net" / "folder").symlink_to(tmp_path)
    location = {
        "above": "../secret",
        "absolute": tmp_path / "secret",
        "link": "link",
        "folder of a link": "folder/secret",
        "memory": "*/_ORT_MEM_ADDR_/*",  # ONNX Runtime takes an address for it
        "none": "",
    }[kind]
    path, _ = with_numbers_at(tmp_path / "net", location)
    expected = "is not beside it" if kind == "memory" else "is no file of its folder, and is not read"
    with pytest.raises(InputError, match=rf"net\.onnx: keeps numbers in .*, which {expected}"):
        load_model(path)


def test_numbers_of_a_sparse_kernel_elsewhere_are_not_read(tmp_path):
    path, numbers = with_numbers_at(tmp_path, "net.data")
    (tmp_path / "net.data").write_bytes(numbers)
    model = onnx.load(path, load_external_data=False)
    sparse = model.graph.sparse_initializer.add()  # ONNX does not look for such
    sparse.values.CopyFrom(model.graph.initializer[0])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="export the network again into one file"):
        load_model(path)
