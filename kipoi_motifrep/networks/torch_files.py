"""Files of PyTorch: weights put into the user's own module, TorchScript and exported networks; no file's code runs."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.core.unpacked import check_unpacked
from kipoi_motifrep.networks.file_kinds import EXPORTED, SAFETENSORS, SCRIPT, kind_of, unpacked_size
from kipoi_motifrep.networks.source import runs_together
from kipoi_motifrep.networks.users_code import made_by

if TYPE_CHECKING:
    import torch

HOW = (
    "give the file of its class as well (arch=FILE.py:Class), save it as TorchScript (torch.jit.script(module)"
    ".save), or work in Python: kipoi_motifrep.interpret(module, ...)"
)
# Where checkpoints keep the state dict; Lightning's is the first.
STATE_NAMES = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
# What TorchScript could do to files, in the words of its own source.
SCRIPT_CODE = re.compile(rb"\b(torch|ops\.\w+)\.(save|from_file|load\w*)\(")
# Of an exported network: its operations, and the names in the formulas of its shapes, which PyTorch evaluates.
OPERATION = re.compile(
    r"torch\.ops\.aten\.(?!from_file|save)\w+\.\w+|_operator\.(add|sub|mul|floordiv|mod|neg|getitem|"
    r"eq|ne|lt|le|gt|ge|truediv|pow)|torch\.sym_\w+|math\.\w+|"
)
FORMULA = re.compile(
    r"(?:[suf]\d+|Symbol|Integer|positive|nonnegative|integer|True|False|FloorDiv|CeilDiv|Mod|Max|Min|"
    r"[\d\s()+*/,.='<>-])*"
)
DTYPES = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint", "BOOL": "bool"}  # of .safetensors, before the bits


class Inert:
    """Stands for a class of a pickle that PyTorch does not know: its contents, and none of its code."""

    def __init__(self, *arguments: object, **named: object):
        pass

    def __setstate__(self, state: object) -> None:
        self.__dict__.update(state if isinstance(state, Mapping) else {})


class InertDictionary:
    """Stands for a class of a pickle that is a dictionary, such as of settings or losses."""

    def __new__(cls, *_: object, **__: object) -> Any:
        """Give the one that PyTorch fills; what else the object has becomes its attributes."""
        return OrderedDict()


def load_torch(path: Path, arch: str | None = None) -> torch.nn.Module:
    """Open a PyTorch file by its contents, on the CPU.

    Parameters
    ----------
    path : pathlib.Path
        A state dict or checkpoint of ``torch.save``, ``.safetensors``, TorchScript, or ``.pt2``.
    arch : str, optional
        For weights alone: ``FILE.py:Class``, or ``FILE.py:function`` that makes the module.
        It is the user's own file, and is run.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.

    Raises
    ------
    InputError
        If the file holds weights without a network, code, or weights of another network.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError("is a file of PyTorch, which is not installed (pip install torch)", path=path) from error
    kind = kind_of(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_unpacked(path, unpacked_size(archive))
    if arch is not None and kind in (SCRIPT, EXPORTED):
        raise InputError(f"is {kind}, which holds the whole network; leave arch out", path=path)
    try:
        if kind == SCRIPT:
            return _script(path)
        if kind == EXPORTED:
            return _exported(path).eval()
        weights, settings = _weights(path, kind)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # PyTorch fails in any way on a file that is damaged
        reason = f"cannot open it ({flattened(error)})"
        if re.search("Weights only.* (unrecognized|[Uu]nsupported) ", str(error), re.DOTALL):
            reason = "cannot open it without running code in it, which is not done; save its state_dict() alone"
        raise InputError(f"PyTorch {torch.__version__} {reason}", path=path) from error
    if not weights:
        raise InputError(f"holds no weights that have names, which a state dict has; {HOW}", path=path)
    if arch is None:
        raise InputError(f"holds weights without a network; {HOW}", path=path)
    # As Lightning does: those of the checkpoint's settings that the class takes.
    return _filled(made_by(arch, torch.nn.Module, settings), weights, path, arch).eval()


@cache  # PyTorch's list takes each once
def without_gpu() -> None:
    """Let PyTorch put weights that were saved on a GPU on the CPU, in this process, where there is no GPU.

    For code of others that does not say so (``map_location``) when it loads them.
    """
    import torch

    def place(storage: Any, location: str) -> Any:
        return storage if location.startswith("cuda") and not torch.cuda.is_available() else None

    if not torch.cuda.is_available():
        torch.serialization.register_package(15, lambda storage: None, place)  # before PyTorch's own for GPUs, 20


# Weights, and the class that they are for


def _weights(path: Path, kind: str) -> tuple[dict, Mapping]:
    """Read a file's tensors by name, and the arguments of the class where a Lightning checkpoint has them."""
    import torch

    if kind == SAFETENSORS:
        data = path.read_bytes()
        (n,) = struct.unpack("<Q", data[:8])
        header = parse_json(data[8 : 8 + n])
        header.pop("__metadata__", None)
        found = {}
        for name, one in header.items():
            dtype = getattr(torch, re.sub("[A-Z]+", lambda letters: DTYPES[letters[0]], one["dtype"]))
            values = bytearray(data[8 + n :][slice(*one["data_offsets"])])
            found[name] = torch.frombuffer(values, dtype=dtype).reshape(one["shape"])
        return found, {}
    # Classes that the unpickler does not know come with settings and whole modules; they are filled, but never run.
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
    for stand_in in (Inert, InertDictionary):
        of_numpy = [(Inert, name) for name in names if name.startswith("numpy")]
        others = [(stand_in, name) for name in names if not name.startswith("numpy")]
        with torch.serialization.safe_globals([*of_numpy, *others]):
            try:
                found = torch.load(path, map_location="cpu", weights_only=True)
                break
            except pickle.UnpicklingError as error:
                if "Can only SETITEM" not in str(error) or stand_in is InertDictionary:
                    raise
    settings = found.get("hyper_parameters") if isinstance(found, Mapping) else None
    return dict(_named_tensors(found)), settings if isinstance(settings, Mapping) else {}


def _named_tensors(found: object) -> Iterator[tuple[str, torch.Tensor]]:
    """Find the state dict in what a file held: itself, a part of a checkpoint, or a module's own."""
    import torch

    inside = getattr(found, "__dict__", {})
    if "_modules" in inside:
        for place in ("_parameters", "_buffers"):
            yield from ((name, one) for name, one in inside.get(place, {}).items() if one is not None)
        for name, part in inside["_modules"].items():
            yield from ((f"{name}.{inner}", one) for inner, one in _named_tensors(part))
    elif isinstance(found, (list, tuple)):  # such as a state dict and the number of the epoch
        yield from _named_tensors(dict(enumerate(found)))
    elif isinstance(found, Mapping):
        tensors = {name: one for name, one in found.items() if isinstance(name, str) and isinstance(one, torch.Tensor)}
        inner = [found[name] for name in STATE_NAMES if name in found] or [*found.values()]  # else of any other name
        yield from tensors.items() or next(filter(None, (dict(_named_tensors(one)) for one in inner)), {}).items()


def _filled(module: torch.nn.Module, weights: Mapping[str, torch.Tensor], path: Path, arch: str) -> torch.nn.Module:
    """Load weights by their names, which wrappers such as Lightning's and DataParallel's put a prefix to."""
    wanted = module.state_dict()
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]  # older files have none
    # A layer inside may have the name of one outside ("block.conv1" and "conv1"): the prefix that serves most is it.
    ends = [name.removesuffix(needed[0]) for name in weights if needed and name.endswith(f".{needed[0]}")]
    prefix = max(["", *ends], key=lambda one: sum(one + name in weights for name in needed))
    given = {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}
    missing = [name for name in needed if name not in given]
    other = [name for name in given if name not in wanted]
    if missing or other:
        first = f"has no {missing[0]!r}" if missing else f"has {other[0]!r}, which that has not"
        raise InputError(f"its weights are not those of {arch}: it {first}", path=path)
    try:
        module.load_state_dict({**wanted, **given})
    except RuntimeError as error:
        raise InputError(f"its weights are not those of {arch}: {flattened(error)}", path=path) from error
    return module


# Whole networks


def _script(path: Path) -> torch.nn.Module:
    """Open a TorchScript file, whose code is no Python, but could save files."""
    import torch

    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".py") and SCRIPT_CODE.search(archive.read(member)):
                raise InputError("has code that reads or writes other files, and is not run", path=path)
    return torch.jit.load(str(path), map_location="cpu").eval()


def _exported(path: Path) -> torch.nn.Module:
    """Open a file of ``torch.export.save`` after a look at all that PyTorch would evaluate in it."""
    import torch
    from torch.utils._pytree import tree_leaves

    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if re.search(r"(^|/)(aotinductor|custom_obj|opaque_obj)", member):
                raise InputError(
                    "holds compiled code or objects of Python, which are not run; export the network without them",
                    path=path,
                )
            if member.endswith(".json"):
                _check_exported(parse_json(archive.read(member)), path)
            elif member.endswith(".pt"):  # else PyTorch would unpickle what this cannot open
                torch.load(io.BytesIO(archive.read(member)), weights_only=True, map_location="cpu")
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about its own code
        program = torch.export.load(file)
        module = torch.export.unflatten(program)
    module.check_input_constraints = False
    samples = [
        node.meta["val"]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]

    def predict(arrays: list[np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            return [one.numpy() for one in tree_leaves(module(*map(torch.from_numpy, arrays)))]

    # Often exported for one batch.
    if samples and isinstance(samples[0].shape[0], int) and not runs_together(predict, [one.shape for one in samples]):
        raise InputError(
            f"was exported for batches of {samples[0].shape[0]} only; export it again with a dynamic first axis "
            "(dynamic_shapes)",
            path=path,
        )
    return module


def _check_exported(one: object, path: Path) -> None:
    """Let only operations on tensors and plain formulas of shapes pass."""
    if isinstance(one, list):
        for inner in one:
            _check_exported(inner, path)
    if not isinstance(one, dict):
        return
    for key, value in one.items():
        if (
            (key == "target" and not OPERATION.fullmatch(str(value)))
            or (key == "use_pickle" and value)
            or (key == "expr_str" and not FORMULA.fullmatch(str(value)))
            or (key == "range_constraints" and not all(map(FORMULA.fullmatch, value)))
        ):
            shown = str(value)[:80]
            raise InputError(
                f"holds {shown!r}, which could run code, and is not opened; export the network again without it",
                path=path,
            )
        _check_exported(value, path)
