"""Files of PyTorch: weights with the user's class, TorchScript, exported networks; none of a stranger's code runs."""

import inspect
import textwrap
import zipfile
from collections import defaultdict

import numpy as np
import pytest
import torch
from support.network_files import kipoi_folder, safetensors
from torch import nn

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.file_kinds import NetworkFile
from kipoi_motifrep.networks.loading import load_model

CODE = """import torch
from torch import nn
from neighbour import WIDTH


class Net(nn.Module):
    def __init__(self, n_filters=3):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, n_filters, WIDTH), nn.BatchNorm1d(n_filters)
        self.out = nn.Linear(n_filters, 2)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.conv(x))).amax(2))


def wide():
    return Net(6)


made = Net()
needs = lambda there: Net(there)
text = lambda: "no module"
"""
X = np.random.default_rng(0).random((4, 4, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    (folder / "neighbour.py").write_text("WIDTH = 5\n")
    (folder / "net.py").write_text(CODE)
    return folder


@pytest.fixture
def module(place, monkeypatch):
    """A module of the user's class, with weights of its own."""
    monkeypatch.syspath_prepend(str(place))
    import net

    torch.manual_seed(1)
    one = net.Net()
    one.norm.running_mean[:] = torch.tensor([0.1, -0.2, 0.3])
    one.norm.running_var[:] = torch.tensor([2.0, 0.5, 1.0])
    return one.eval()


def predicted(model, x=X):
    with torch.no_grad():
        return model(torch.from_numpy(x)).numpy()


def opened(path, arch=None):
    model = load_model(path if arch is None else NetworkFile(str(path), str(arch)))
    assert isinstance(model, torch.nn.Module) and not model.training
    assert all(not one.is_cuda for one in model.parameters())
    return model


def wrapped(prefix, state):
    return {prefix + name: value for name, value in state.items()}


STATES = {
    "state dict": lambda m: m.state_dict(),
    "whole module": lambda m: m,
    "checkpoint": lambda m: {"epoch": 3, "model_state_dict": m.state_dict(), "optim": {"state": {0: torch.ones(2)}}},
    "data parallel": lambda m: wrapped("module.", m.state_dict()),
    "lightning": lambda m: {
        "state_dict": {**wrapped("model.", m.state_dict()), "loss.weight": torch.ones(2)},
        "pytorch-lightning_version": "2.1.0",
        "hyper_parameters": {"lr": 0.1, "n_filters": 3},
    },
    "pair": lambda m: (m.state_dict(), 3),
    "before 0.4.1": lambda m: {name: one for name, one in m.state_dict().items() if "num_batches" not in name},
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("form", STATES)
def test_weights_are_put_into_the_users_class(place, module, tmp_path, capsys, form, old):
    if old and form == "whole module":
        pytest.skip("its classes can be listed in the present format only")
    path = tmp_path / "weights"  # no suffix
    torch.save(STATES[form](module), path, _use_new_zipfile_serialization=not old)
    with pytest.raises(
        InputError,
        match=r"weights: holds weights without a network; .*arch=FILE\.py:Class.*"
        r"kipoi_motifrep\.interpret\(module, \.\.\.\)",
    ):
        load_model(path)
    found = opened(path, f"{place / 'net.py'}:Net")
    np.testing.assert_array_equal(predicted(found), predicted(module))
    assert f"{place / 'net.py'}: runs, for its Net" in capsys.readouterr().err


def test_settings_of_a_lightning_checkpoint_make_the_class(place, module, tmp_path):
    import net

    big = net.Net(6).eval()
    torch.save({"state_dict": big.state_dict(), "hyper_parameters": {"n_filters": 6, "other": 1}}, tmp_path / "a.ckpt")
    np.testing.assert_array_equal(predicted(opened(tmp_path / "a.ckpt", f"{place / 'net.py'}:Net")), predicted(big))
    np.testing.assert_array_equal(predicted(opened(tmp_path / "a.ckpt", f"{place / 'net.py'}:wide")), predicted(big))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_layer_inside_has_the_name_of_one_outside(place, tmp_path, prefix):
    """As in residual networks, whose blocks have a conv1 as the whole has."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv1d(3, 3, 1)

        def forward(self, x):
            return x + self.conv1(x)

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.block = nn.Conv1d(4, 3, 5), Block()

        def forward(self, x):
            return self.block(torch.relu(self.conv1(x))).amax(2)

    torch.manual_seed(2)
    residual = Residual().eval()
    state = wrapped(prefix, residual.state_dict())
    torch.save(dict(sorted(state.items())), tmp_path / "w.pt")  # "block.conv1" comes before "conv1"
    code = (
        f"import torch\nfrom torch import nn\n\n\n{textwrap.dedent(inspect.getsource(Block))}\n\n\n"
        f"{textwrap.dedent(inspect.getsource(Residual))}\n"
    )
    (tmp_path / "residual.py").write_text(code)
    found = opened(tmp_path / "w.pt", f"{tmp_path / 'residual.py'}:Residual")
    np.testing.assert_array_equal(predicted(found), predicted(residual))


def test_safetensors(place, module, tmp_path):
    (tmp_path / "w").write_bytes(safetensors({name: one.numpy() for name, one in module.state_dict().items()}))
    np.testing.assert_array_equal(predicted(opened(tmp_path / "w", f"{place / 'net.py'}:Net")), predicted(module))


@pytest.mark.parametrize(
    ("arch", "reason"),
    [
        ("net.py:Other", r"net\.py: defines no 'Other'"),
        ("net.py", r"arch=.*net\.py: for weights of PyTorch give FILE"),
        ("none.py:Net", "a file of Python that is here"),
        ("model.json", "for weights of PyTorch give FILE"),
        ("net.py:needs", r"needs cannot be made \(TypeError: .*a function without arguments"),
        ("net.py:text", "text makes a str, which is no torch.nn.Module"),
        ("broken.py:Net", r"Net cannot be made \(ZeroDivisionError"),
        ("net.py:wide", "its weights are not those of .*wide: .*size mismatch"),
        ("other.py:Net", "its weights are not those of .*: (it has|.*size mismatch)"),
    ],
)
def test_a_wrong_architecture(place, module, tmp_path, arch, reason):
    (place / "broken.py").write_text("1 / 0\n")
    (place / "other.py").write_text("from torch import nn\nNet = lambda: nn.PReLU()\n")
    torch.save(module.state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=reason) as error:
        opened(tmp_path / "w.pth", place / arch)
    assert "\n" not in str(error.value)


def test_weights_that_the_class_does_not_have(place, module, tmp_path):
    torch.save({**module.state_dict(), "conv2.weight": torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth: its weights are not those of .*: it has 'conv2\.weight'"):
        opened(tmp_path / "w.pth", f"{place / 'net.py'}:Net")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no weights that have names"):
        opened(tmp_path / "list.pth", f"{place / 'net.py'}:Net")


# Saved on a GPU


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Save as PyTorch does where the tensors are on a GPU."""
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("form", ["file", "folder", "old folder"])
def test_weights_of_a_gpu_open_on_a_cpu(place, module, tmp_path, as_on_a_gpu, form, old):
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save(module.state_dict(), folder / "w.pth", _use_new_zipfile_serialization=not old)
    if form == "file":
        found = predicted(opened(folder / "w.pth", f"{place / 'net.py'}:Net"))
    else:
        (folder / "net.py").write_text(CODE.replace("from neighbour import WIDTH", "WIDTH = 5"))
        kipoi_folder(
            folder,
            {"module_file": "net.py", "module_class": "Net", "weights": "w.pth"},
            (4, 20),
            "kipoi.model.PyTorchModel",
            "pytorch" if form == "old folder" else None,
        )
        found = load_model(str(folder)).predict_on_batch(X)
    np.testing.assert_array_equal(found, predicted(module))


# Whole networks


@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript(module, tmp_path, how):
    made = torch.jit.script(module) if how == "script" else torch.jit.trace(module, torch.from_numpy(X))
    made.save(str(tmp_path / "x.model"))
    np.testing.assert_allclose(predicted(opened(tmp_path / "x.model")), predicted(module), atol=1e-6)
    with pytest.raises(InputError, match="is a TorchScript file, which holds the whole network; leave arch out"):
        opened(tmp_path / "x.model", "net.py:Net")


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_exported(module, tmp_path, batch):
    x = torch.from_numpy(X[: batch or 2])
    shapes = {"x": {0: torch.export.Dim("n")}} if batch is None else None
    with open(tmp_path / "x", "wb") as file:
        torch.export.save(torch.export.export(module, (x,), dynamic_shapes=shapes), file)
    found = opened(tmp_path / "x")
    for n in (1, 2, 4):
        np.testing.assert_allclose(predicted(found, X[:n]), predicted(module, X[:n]), atol=1e-6)
    assert "conv" in dict(found.named_modules())


def test_a_network_that_was_exported_for_one_batch_only(tmp_path):
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return x.reshape(2, -1).sum(1)

    torch.export.save(torch.export.export(Fixed(), (torch.rand(2, 4, 9),)), tmp_path / "x.pt2")
    with pytest.raises(InputError, match=r"x\.pt2: .*(batches of 2 only|cannot open it)"):
        load_model(tmp_path / "x.pt2")


# Code


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return exec, (f"open({self.marker!r}, 'w')",)


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_is_not_run(place, module, tmp_path, old):
    marker = tmp_path / "ran"
    torch.save(
        {**module.state_dict(), "evil": Evil(str(marker))}, tmp_path / "w.pt", _use_new_zipfile_serialization=not old
    )
    try:
        found = opened(tmp_path / "w.pt", f"{place / 'net.py'}:Net")
        np.testing.assert_array_equal(predicted(found), predicted(module))
    except InputError as error:
        assert "\n" not in str(error)
    assert not marker.exists()


def test_torchscript_that_writes_files_is_not_opened(tmp_path):
    class Writes(torch.nn.Module):
        def __init__(self, name: str):
            super().__init__()
            self.name = name

        def forward(self, x):
            torch.save(x, self.name)
            return x

    torch.jit.script(Writes(str(tmp_path / "ran"))).save(str(tmp_path / "x.pt"))
    with pytest.raises(InputError, match="has code that reads or writes other files, and is not run"):
        load_model(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def exported_with(module, path, member, change):
    """Export a network, and change one JSON member of the file."""
    shapes = {"x": {0: torch.export.Dim("n")}}
    torch.export.save(torch.export.export(module, (torch.from_numpy(X[:2]),), dynamic_shapes=shapes), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name.endswith(member) else content)


@pytest.mark.parametrize(
    ("member", "old", "new"),
    [
        ("models/model.json", b"torch.ops.aten.relu.default", b"torch.os.system"),
        ("models/model.json", b"torch.ops.aten.relu.default", b"torch.hub.load"),
        ("models/model.json", b"Symbol('", b"exec(chr(49))+Symbol('"),
        ("models/model.json", b"Symbol('", b"open('/tmp/x','w')+Symbol('"),
        ("weights_config.json", b'"use_pickle": false', b'"use_pickle": true'),
    ],
)
def test_an_exported_network_with_code_is_not_opened(module, tmp_path, member, old, new):
    def change(content):
        assert old in content
        return content.replace(old, new)

    exported_with(module, tmp_path / "x.pt2", member, change)
    with pytest.raises(InputError, match="which could run code, and is not opened"):
        load_model(tmp_path / "x.pt2")


def test_an_exported_network_with_a_pickle_beside_it_is_not_opened(module, tmp_path):
    marker = tmp_path / "ran"
    torch.save(Evil(str(marker)), tmp_path / "evil.pt")
    exported_with(module, tmp_path / "x.pt2", "sample_inputs/model.pt", lambda _: (tmp_path / "evil.pt").read_bytes())
    with pytest.raises(InputError, match=r"x\.pt2: PyTorch .* cannot open it"):
        load_model(tmp_path / "x.pt2")
    assert not marker.exists()


def test_code_beside_the_weights_is_not_run(place, module, tmp_path):
    marker, path, arch = tmp_path / "ran", tmp_path / "w.pt", f"{place / 'net.py'}:Net"
    torch.save({"state_dict": module.state_dict(), "best": Evil(str(marker))}, path)
    np.testing.assert_array_equal(predicted(opened(path, arch)), predicted(module))  # in its place is what is inert
    torch.save({"state_dict": module.state_dict(), "best": Evil(marker)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"w\.pt: PyTorch .* cannot open it without running code in it, .* alone$"):
        opened(path, arch)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["model_state", "ema", "generator"])
def test_a_state_dict_under_any_name(place, module, tmp_path, name):
    torch.save({"epoch": 3, "optimizer": {"state": {0: torch.ones(2)}}, name: module.state_dict()}, tmp_path / "w.pt")
    np.testing.assert_array_equal(predicted(opened(tmp_path / "w.pt", f"{place / 'net.py'}:Net")), predicted(module))


class Settings(dict):
    """As packages for settings have them."""


def test_dictionaries_of_other_classes_beside_the_weights(place, module, tmp_path, monkeypatch):
    losses, settings = defaultdict(list, train=[np.float64(0.1)]), Settings(n_filters=3)
    settings.more = np.arange(3)
    for form, one in {"dict": module.state_dict(), "module": module}.items():
        torch.save({"state_dict": one, "losses": losses, "hyper_parameters": settings}, tmp_path / form)
    monkeypatch.delattr(inspect.getmodule(Settings), "Settings")
    for form in ("dict", "module"):
        found = opened(tmp_path / form, f"{place / 'net.py'}:Net")
        np.testing.assert_array_equal(predicted(found), predicted(module))


def test_a_damaged_file(module, tmp_path):
    torch.save(module.state_dict(), tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"w\.pt: no whole \.keras or PyTorch file; was its download cut off"):
        load_model(tmp_path / "w.pt")
    torch.save(module.state_dict(), tmp_path / "o.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "o.pt").write_bytes((tmp_path / "o.pt").read_bytes()[:700])
    with pytest.raises(InputError, match=r"o\.pt: PyTorch .* cannot open it") as error:
        load_model(tmp_path / "o.pt")
    assert "\n" not in str(error.value)
