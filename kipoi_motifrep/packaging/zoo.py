"""Exporting a group for the public model zoo: it stands alone, without this package."""

from __future__ import annotations

import ast
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from kipoi_motifrep.outputs import write_text
from kipoi_motifrep.packaging.description import GroupInfo, dump, model_template
from kipoi_motifrep.packaging.group import loader_description, write_example_files, write_networks
from kipoi_motifrep.packaging.networks import Packaged

PACKAGE = "kipoi_motifrep"
ROOT = Path(__file__).parent.parent
ENTRY_MODULES = ("kipoi_model", "sequences/loaders")
CONDA_PINS = ("numpy", "h5py")
PIP_PINS = ("kipoi", "tensorflow", "keras", "pysam", "tqdm")


def export_zoo(networks: Sequence[Packaged], out: str | os.PathLike, info: GroupInfo, base_url: str,
               name: str) -> tuple[Path, Path]:
    """Write a group for a pull request, and the files to upload for it.

    Parameters
    ----------
    networks : sequence of Packaged
        The networks.
    out : str or path-like
        Folder for ``NAME/`` (the pull request), ``upload/`` and ``PULL_REQUEST.md``.
    info : GroupInfo
        What the author says; its dataloader is replaced by one inside the group.
    base_url : str
        Where the contents of ``upload/`` will be found, for example a Zenodo record.
    name : str
        Of the group in the zoo.

    Returns
    -------
    group, upload : pathlib.Path
        The two folders.
    """
    out, base_url = Path(out), base_url.rstrip("/")
    group, upload = out / name, out / "upload"
    code = f"{_identifier(name)}_code"
    entry = f"{_identifier(name)}_kipoi"
    write_networks(networks, group, upload)
    write_example_files(upload / "example_files", networks[0].length)
    dependencies = pinned_dependencies()
    write_text(group / "model-template.yaml", model_template(
        GroupInfo(info.info, None), networks[0], model_class=f"{entry}.Keras3Model", base_url=base_url,
        dependencies=dependencies))
    loader = loader_description(networks[0].length, loader=f"{entry}.IntervalsDl", base_url=base_url, files=upload)
    loader["info"]["authors"] = info.info["authors"]
    write_text(group / "dataloader.yaml", dump({**loader, "dependencies": dependencies}))
    copy_code(group / code, code)
    write_text(group / f"{entry}.py", _ENTRY.format(code=code))
    write_text(group / "test_subset.txt", f"{networks[0].name}\n")
    write_text(group / "LICENSE", (_licence_text() or f"{info.info['license']}\n"))
    write_text(out / "PULL_REQUEST.md", _pull_request(networks, info, base_url, name))
    return group, upload


_ENTRY = '''"""What Kipoi loads: the model class and the dataloader of this group."""

import sys
from pathlib import Path

# Kipoi loads this file by its path; the code beside it is found this way.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from {code}.kipoi_model import Keras3Model  # noqa: E402
from {code}.sequences.loaders import IntervalsDl  # noqa: E402

__all__ = ["IntervalsDl", "Keras3Model"]
'''


def _identifier(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name).lower()


def copy_code(folder: Path, package: str) -> None:
    """Copy the modules that the model class and the loader need, under another package name.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    package : str
        New name; it must be unlike that of any other group.
    """
    for module in sorted(needed_modules(ENTRY_MODULES)):
        source = (ROOT / f"{module}.py").read_text(encoding="utf-8")
        write_text(folder / f"{module}.py", source.replace(PACKAGE, package))
    description = (ROOT / "loader_descriptions/intervals.yaml").read_text(encoding="utf-8")
    write_text(folder / "loader_descriptions/intervals.yaml", description.replace(PACKAGE, package))
    loaders = folder / "sequences/loaders.py"
    write_text(loaders, _only_intervals(loaders.read_text(encoding="utf-8")))
    write_text(folder / "__init__.py", f'"""Model class and dataloader, copied from {PACKAGE} '
                                       f'{metadata.version(PACKAGE)} (MIT)."""\n')


def _only_intervals(source: str) -> str:
    """Leave the FASTA loader out: its description does not travel."""
    tree = ast.parse(source)
    [start, stop] = next([min(d.lineno for d in node.decorator_list) - 1, node.end_lineno] for node in tree.body
                         if isinstance(node, ast.ClassDef) and node.name == "SequencesDl")
    lines = source.splitlines(keepends=True)
    return "".join(lines[:start] + lines[stop:]).rstrip() + "\n"


def needed_modules(entries: Sequence[str]) -> set[str]:
    """Find all modules of this package that some modules import, directly or not.

    Parameters
    ----------
    entries : sequence of str
        Paths within the package, without ``.py``.

    Returns
    -------
    set of str
        Such paths, `entries` and package ``__init__`` files included.
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
        tree = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
                waiting.append(node.module.removeprefix(f"{PACKAGE}.").replace(".", "/"))
    return found


def pinned_dependencies() -> dict[str, list[str]]:
    """Pin what the copied code needs to the versions installed here.

    Returns
    -------
    dict
        Kipoi's ``dependencies``: conda first, pip for the rest.
    """
    python = f"python={sys.version_info.major}.{sys.version_info.minor}"
    return {"conda": [python, *(f"{name}={metadata.version(name)}" for name in CONDA_PINS)],
            "pip": [f"{name}=={metadata.version(name)}" for name in PIP_PINS]}


def _licence_text() -> str:
    licence = ROOT.parent / "LICENSE"
    return licence.read_text(encoding="utf-8") if licence.exists() else ""


def _pull_request(networks: Sequence[Packaged], info: GroupInfo, base_url: str, name: str) -> str:
    authors = ", ".join(author["name"] for author in info.info["authors"])
    table = "\n".join(f"| {network.name} | {network.architecture} | {network.n_parameters:,} |" for network in networks)
    return f"""# Add {name}

{len(networks)} models by {authors} ({info.info['cite_as']}), licence {info.info['license']}.

| model | architecture | parameters |
|---|---|---|
{table}

They read one-hot sequences of {networks[0].length} bp and predict {len(networks[0].label_names)} labels:
{', '.join(networks[0].label_names)}.

- [x] `kipoi test` passes for every model without a warning
- [x] weights, expected predictions and example files are `url` + `md5` below {base_url}
- [x] all dependencies are pinned
- [x] model class and dataloader travel in the group, in a package of their own

Before merging: the contents of `upload/` must be public at {base_url}.
"""


def remove_export(out: str | os.PathLike) -> None:
    """Remove an earlier export.

    Parameters
    ----------
    out : str or path-like
        Its folder.
    """
    shutil.rmtree(out, ignore_errors=True)
