"""The model class and the dataloader as a package of their own, for a group that must not import this one."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import write_text

PACKAGE = "kipoi_motifrep"
ROOT = Path(__file__).parent.parent
MODEL_MODULE, LOADER_MODULE = "networks/kipoi_model", "sequences/loaders"
# The other loader, and descriptions inside the package: a group describes its loader in dataloader.yaml.
LEFT_OUT = ("SequencesDl", "described", "DESCRIPTIONS", "SPOOL_BATCH")
LOADER_DOC = "A Kipoi dataloader: intervals of a genome to one-hot."
LICENCE_FILES = ("licenses/LICENSE", "LICENSE")
CONDA_PINS = ("numpy", "h5py", "pandas")
PIP_PINS = ("setuptools", "kipoi", "tensorflow", "keras", "pysam", "tqdm")
OTHER_NAMES = {"tensorflow": ("tensorflow-cpu", "tensorflow-macos")}

_ENTRY = '''"""What Kipoi loads: the model class and the dataloader of this group."""

import sys
from pathlib import Path

# Kipoi loads this file by its path; the package beside it is found this way.
_GROUP = str(Path(__file__).resolve().parent)
if _GROUP not in sys.path:
    sys.path.insert(0, _GROUP)

from {package}.networks.kipoi_model import Keras3Model  # noqa: E402
from {package}.sequences.loaders import IntervalsDl  # noqa: E402

__all__ = ["IntervalsDl", "Keras3Model"]
'''


def write_code(group: Path, name: str) -> str:
    """Write the code of a group.

    Parameters
    ----------
    group : pathlib.Path
        Folder of the group: ``NAME_kipoi.py`` and the package ``NAME_code``.
    name : str
        Of the group in the zoo, where no other has it; Python must not find
        another group's module under the same name.

    Returns
    -------
    str
        Name of the module that holds ``Keras3Model`` and ``IntervalsDl``.
    """
    identifier = "".join(character if character.isalnum() else "_" for character in name).lower()
    package, entry = f"{identifier}_code", f"{identifier}_kipoi"
    for module, source in copied_modules().items():
        write_text(group / package / f"{module}.py", source.replace(PACKAGE, package))
    write_text(group / package / "__init__.py",
               f'"""Model class and dataloader, copied from {PACKAGE} {metadata.version(PACKAGE)}; see LICENSE."""\n')
    write_text(group / package / "LICENSE", licence())
    write_text(group / f"{entry}.py", _ENTRY.format(package=package))
    return entry


def copied_modules() -> dict[str, str]:
    """Collect the modules that the model class and the loader need.

    Returns
    -------
    dict
        Path within the package, without ``.py``, to source code.
    """
    loaders = without(_source(LOADER_MODULE), LEFT_OUT)
    loaders = loaders.replace(ast.get_docstring(ast.parse(loaders), clean=False), LOADER_DOC)
    loaders = loaders.replace("``descriptions/intervals.yaml``", "``dataloader.yaml``")
    needed = needed_modules([MODEL_MODULE, *_imported(loaders)]) | {LOADER_MODULE}
    return {module: loaders if module == LOADER_MODULE else _source(module) for module in sorted(needed)}


def needed_modules(entries: Iterable[str]) -> set[str]:
    """Find all modules of this package that some modules import, directly or not.

    Parameters
    ----------
    entries : iterable of str
        Paths within the package, without ``.py``.

    Returns
    -------
    set of str
        Such paths, `entries` and the ``__init__`` files of their folders included.
    """
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        if "/" in module:
            waiting.append(f"{module.rsplit('/', 1)[0]}/__init__")
        waiting += _imported(_source(module))
    return found


def _source(module: str) -> str:
    return (ROOT / f"{module}.py").read_text(encoding="utf-8")


def _imported(source: str) -> list[str]:
    """Paths of this package's modules that a source imports; the package has no other form of import."""
    names = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.module]
    return [name.removeprefix(f"{PACKAGE}.").replace(".", "/") for name in names if name.startswith(f"{PACKAGE}.")]


def without(source: str, names: Sequence[str]) -> str:
    """Leave top-level definitions out of a module, with the imports that only they need.

    Parameters
    ----------
    source : str
        Python code.
    names : sequence of str
        Functions, classes, constants, and decorators wherever they are used.

    Returns
    -------
    str
        The rest, otherwise unchanged.
    """
    tree = ast.parse(source)
    dropped = [node for node in tree.body if _defined(node) in names]
    dropped += [decorator for node in tree.body for decorator in getattr(node, "decorator_list", ())
                if node not in dropped and isinstance(decorator, ast.Call) and decorator.func.id in names]
    gone = {line for node in dropped for line in _lines(node)}
    kept = ast.parse(_only(source, gone))
    used = {node.id for node in ast.walk(kept) if isinstance(node, ast.Name)}
    lines = source.splitlines()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)) and getattr(node, "module", "") != "__future__":
            aliases = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in used]
            if len(aliases) < len(node.names):
                gone |= set(range(node.lineno + bool(aliases), node.end_lineno + 1))
                node.names = aliases
                lines[node.lineno - 1] = ast.unparse(node) if aliases else ""
    return _only("\n".join(lines), gone)


def _defined(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign):
        return getattr(node.targets[0], "id", None)
    return getattr(node, "name", None)


def _lines(node: ast.AST) -> range:
    return range(min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]), node.end_lineno + 1)


def _only(source: str, gone: set[int]) -> str:
    """Leave lines out, and the blank lines that pile up there."""
    kept: list[str] = []
    for number, line in enumerate(source.splitlines(), 1):
        if number not in gone and (line or kept[-2:] != ["", ""]):
            kept.append(line)
    return "\n".join(kept).rstrip() + "\n"


def licence() -> str:
    """Find the licence of this package, which its copied code stays under.

    Returns
    -------
    str
        Text of the ``LICENSE`` file.
    """
    in_wheel = filter(None, map(metadata.distribution(PACKAGE).read_text, LICENCE_FILES))
    return next(in_wheel, None) or (ROOT.parent / "LICENSE").read_text(encoding="utf-8")


def pinned_dependencies() -> dict[str, list[str]]:
    """Pin what the copied code, Keras and Kipoi need to the versions installed here.

    Returns
    -------
    dict
        Kipoi's ``dependencies``: conda first, pip for the rest.

    Raises
    ------
    InputError
        If one is not installed.
    """
    conda = {"python": f"{sys.version_info.major}.{sys.version_info.minor}",
             **{name: _version(name) for name in CONDA_PINS}}
    # One channel for all: with 'defaults' first, conda would not look further for a version that it lacks.
    return {"conda": [f"conda-forge::{name}={version}" for name, version in conda.items()],
            "pip": [f"{name}=={_version(name)}" for name in PIP_PINS]}


def _version(name: str) -> str:
    for known in (name, *OTHER_NAMES.get(name, ())):
        try:
            return metadata.version(known)
        except metadata.PackageNotFoundError:
            continue
    raise InputError(f"{name} is not installed, so that its version cannot be pinned")
