"""Exporting a group for the public model zoo: it stands alone, without this package."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kipoi_motifrep import __version__
from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.core.outputs import staged, write_text
from kipoi_motifrep.core.progress import counted
from kipoi_motifrep.zoo import standalone
from kipoi_motifrep.zoo.card import plain_markdown, write_card
from kipoi_motifrep.zoo.description import PRECISION_DECIMAL, UPLOADED, GroupInfo, dump, model_template, unfinished
from kipoi_motifrep.zoo.group import (
    N_EXPECTED,
    former_files,
    inputs_of,
    loader_description,
    write_example_files,
    write_networks,
)
from kipoi_motifrep.zoo.packaged import Packaged
from kipoi_motifrep.zoo.standalone import GroupIntervals, GroupModel, keras_version

if TYPE_CHECKING:
    import keras

PACKAGE = "kipoi_motifrep"
LOADER_DOC = "One-hot sequences of genomic intervals. N and the other IUPAC letters are the average of their bases."
LICENCE_FILES = ("licenses/LICENSE", "LICENSE")
# The zoo wants every version said. That of pip decides nothing; conda takes none by itself. Of pysam only FastaFile is
# used, which all versions have; bioconda gets a new one later than PyPI, so one that it has is named.
PIP_VERSION, PYSAM_VERSION = "24.0", "0.22.1"
CONDA_PINS = ("numpy", "h5py", "pandas")
PIP_PINS = ("setuptools", "kipoi", "tensorflow", "keras")
OTHER_NAMES = {"tensorflow": ("tensorflow-cpu", "tensorflow-macos")}
URL = re.compile(r"(https?|ftp|file)://[^\s{}]+$")
GROUP_NAME = re.compile(r"[A-Za-z][\w-]*$", re.A)


_ANSWERS = """\
## What a reviewer may ask

- **Size.** {n_files} files with {kilobytes:.0f} kB, none for git-lfs; the {n_uploaded} files behind addresses have \
{megabytes:.1f} MB.
- **Why not `kipoi.model.KerasModel`?** Under Keras 3 it cannot open weights that are given as `url` and `md5`, since \
Kipoi saves them without a suffix, nor give activations or gradients; and no md5 is compared. `GroupModel` in `{code}` \
does all that ({n_lines} lines with the loader, docstrings and licence).
- **Why not `kipoiseq.dataloaders.SeqIntervalDl`?** Where an interval reaches past the end of its chromosome, its \
sequence is shorter. `GroupIntervals` fills up with 0.25, as for N, takes `chr1` for `1` and the reverse, and names \
the row of an interval that is wrong.
- **Is code run that comes with the weights?** No: they are opened in Keras's safe mode.
- **How is it tested?** Each network must predict {n_expected} windows of a real stretch of human chromosome 20 as it \
did here, to {decimals} decimals.{tested}
- **Environment.** One of its own, with TensorFlow {tensorflow} and Keras {keras}, which none of `shared/envs` has; \
nothing in `shared/` changes. Channels, as `kipoi env export` writes them: conda-forge, bioconda, defaults.
- **Container.** None yet: `shared/containers` names no container of a new group, so that `kipoi test-source \
--singularity` has nothing to run until one was built after the merge.
- **Licence.** Of the networks: {license}. Of the code: MIT, at its head.
"""


@dataclass(frozen=True)
class Export:
    """A group for a pull request, and what belongs to it.

    Attributes
    ----------
    networks : tuple of Packaged
        The networks.
    info : GroupInfo
        What the author says.
    out : pathlib.Path
        Folder of all.
    name : str
        Of the group in the zoo.
    base_url : str
        Where the contents of :attr:`upload` will be found.
    """

    networks: tuple[Packaged, ...]
    info: GroupInfo
    out: Path
    name: str
    base_url: str

    @property
    def group(self) -> Path:
        """Folder for the zoo's repository."""
        return self.out / self.name

    @property
    def upload(self) -> Path:
        """Folder of the files for :attr:`base_url`, without folders of its own."""
        return self.out / "upload"


def export_zoo(
    networks: Sequence[Packaged], out: str | os.PathLike, info: GroupInfo, base_url: str, name: str
) -> Export:
    """Write a group for a pull request, and the files to upload for it.

    Parameters
    ----------
    networks : sequence of Packaged
        The networks.
    out : str or path-like
        Folder for ``NAME/`` (the pull request) and ``upload/``. Both are written
        at the end, when all has gone well.
    info : GroupInfo
        What the author says; its dataloader is replaced by one inside the group.
    base_url : str
        Where the contents of ``upload/`` will be found, for example a Zenodo record.
    name : str
        Of the group in the zoo.

    Returns
    -------
    Export
        What was written.

    Raises
    ------
    InputError
        If `base_url` or `name` is none, or as for
        :func:`kipoi_motifrep.zoo.group.write_group`.
    """
    if not URL.match(base_url):
        raise InputError(f"zoo is {base_url!r}; it must be an address such as https://zenodo.org/records/123/files")
    if not GROUP_NAME.match(name) or name == "upload":
        raise InputError(
            f"{name!r} cannot be the name of a group (a letter, then letters, digits, _ and -); "
            "give another by name=NAME"
        )
    export = Export(tuple(networks), GroupInfo(info.info, None, info.path, info.card), Path(out), name, base_url)
    gone = former_files(export.group, export.upload, networks, UPLOADED)
    with staged(out, inputs=inputs_of(networks, info), gone=gone) as stage:
        group, upload = stage / name, stage / "upload"
        write_networks(networks, group, upload, info, UPLOADED, former=export.upload, opened_by=open_alone)
        write_example_files(upload, networks[0].length)
        describe_group(export, group, upload, base_url)
        write_card(group, name, info.card, former=export.group)
        write_text(group / "test_subset.txt", f"{networks[0].name}\n")
    return export


def describe_group(export: Export, group: Path, upload: Path, base_url: str) -> None:
    """Write the code of an exported group and the yaml files that name it.

    Parameters
    ----------
    export : Export
        What is exported.
    group : pathlib.Path
        Where to.
    upload : pathlib.Path
        The files for `base_url`.
    base_url : str
        Where they will be found.
    """
    module = write_code(group, export.name)
    dependencies, network = pinned_dependencies(export.networks), export.networks[0]
    write_text(
        group / "model-template.yaml",
        model_template(
            export.info,
            network,
            model_class=f"{module}.{GroupModel.__name__}",
            base_url=base_url,
            dependencies=dependencies,
        ),
    )
    loader = loader_description(
        network.length, loader=f"{module}.{GroupIntervals.__name__}", base_url=base_url, files=upload
    )
    examples = {
        name: {"example": argument["example"]} for name, argument in loader["args"].items() if "example" in argument
    }
    loader["args"] = {
        name: {**argument, **examples.get(name, {})} for name, argument in documented_arguments(GroupIntervals).items()
    }
    loader["info"] = {"authors": export.info.info["contributors"], "doc": LOADER_DOC}
    write_text(group / "dataloader.yaml", dump({**loader, "dependencies": dependencies}))


def documented_arguments(loader: type) -> dict[str, dict[str, object]]:
    """Describe a loader's arguments for Kipoi by what its docstring says of them.

    Parameters
    ----------
    loader : type
        A class with a numpy docstring.

    Returns
    -------
    dict
        Name to ``doc``, ``type`` and ``optional``.

    Examples
    --------
    >>> documented_arguments(GroupIntervals)["use_strand"]
    {'doc': 'Read intervals with ``-`` in column 6 from the reverse strand.', 'type': 'bool', 'optional': True}
    """
    # One text for who reads the code and who reads Kipoi's page of the loader.
    section = (inspect.getdoc(loader) or "").partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    found: dict[str, dict[str, object]] = {}
    for name, kind, text in re.findall(r"^(\w+) : (.+)\n((?: .+\n?)+)", section, re.MULTILINE):
        found[name] = {"doc": " ".join(text.split()), "type": kind.split(",")[0]}
        if "," in kind:  # "int, optional", "bool, default False"
            found[name]["optional"] = True
    return found


def write_code(group: Path, name: str) -> str:
    """Copy the code that travels with a group: one file, whole, with the licence that it stays under at its head.

    Parameters
    ----------
    group : pathlib.Path
        Folder of the group.
    name : str
        Of the group in the zoo, where no other has it; Python must not find another group's module under the
        same name.

    Returns
    -------
    str
        Name of the module that holds ``GroupModel`` and ``GroupIntervals``.
    """
    module = f"{re.sub('[^a-z0-9]', '_', name.lower())}_kipoi"
    # One file, whole: the zoo's reviewers read it, and nothing of it depends on how this package is cut into modules.
    head = [f"Copied from kipoi_motifrep {__version__} by 'kipoi-motifrep package'.", "", *licence().splitlines()]
    code = Path(standalone.__file__).read_text(encoding="utf-8")
    write_text(group / f"{module}.py", "".join(f"# {line}".rstrip() + "\n" for line in head) + "\n" + code)
    return module


def open_alone(path: Path) -> keras.Model:
    """Open a network by the code that travels with a group.

    Parameters
    ----------
    path : pathlib.Path
        Whole-model file.

    Returns
    -------
    keras.Model
        The network.

    Raises
    ------
    InputError
        If that code, which is short, cannot open what this package can.
    """
    try:
        return GroupModel(str(path)).model
    except Exception as error:  # Keras fails in any way
        raise InputError(
            "cannot be opened by the code that travels with the group; save the network again with "
            f"Keras 3 ({flattened(error)})",
            path=path,
        ) from error


def write_pull_request(export: Export, failed: Sequence[str] | None) -> Path:
    """Write ``PULL_REQUEST.md``.

    Parameters
    ----------
    export : Export
        What was exported.
    failed : sequence of str or None
        Models that did not pass ``kipoi test``; None if they were not tested.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = export.out / "PULL_REQUEST.md"
    info, networks = export.info.info, export.networks
    authors, labels = (
        ", ".join(map(plain_markdown, names))
        for names in ([author["name"] for author in info["authors"]], networks[0].label_names)
    )
    table = "\n".join(f"| {network.name} | {network.architecture} | {network.n_parameters:,} |" for network in networks)
    boxes = [
        (failed == [], "`kipoi test` passes for every model without a warning"),
        (True, "weights, expected predictions and example files are `url` + `md5`"),
        (True, "all dependencies are pinned"),
        (True, "model class and dataloader travel in the group, in one file"),
        *((False, f"missing: {plain_markdown(what)}") for what in unfinished(export.info)),
        (False, f"the contents of `upload/` are public at {export.base_url}"),
        (False, f"no group of the zoo is called {export.name}"),
    ]
    write_text(
        path,
        f"""# Add {export.name}

{counted(len(networks), "model")} by {authors}
({plain_markdown(info["cite_as"])}), licence {plain_markdown(info["license"])}.

| model | architecture | parameters |
|---|---|---|
{table}

They read one-hot sequences of {networks[0].length} bp and predict {len(networks[0].label_names)} labels:
{labels}.

{chr(10).join(f"- [{'x' if done else ' '}] {text}" for done, text in boxes)}

{_answers(export, tested=failed == [])}""",
    )
    return path


def _answers(export: Export, tested: bool) -> str:
    """Answer what one who looks through the pull request may ask, in one line each: GitHub breaks where a line ends."""
    [code] = export.group.glob("*.py")
    sizes = {
        folder: [path.stat().st_size for path in folder.iterdir() if path.suffix != ".fai"]
        for folder in (export.group, export.upload)
    }
    versions = dict(one.split("==") for one in pinned_dependencies(export.networks)["pip"])
    return _ANSWERS.format(
        n_files=len(sizes[export.group]),
        kilobytes=sum(sizes[export.group]) / 1e3,
        n_uploaded=len(sizes[export.upload]),
        megabytes=sum(sizes[export.upload]) / 1e6,
        code=code.name,
        n_lines=len(code.read_text(encoding="utf-8").splitlines()),
        n_expected=N_EXPECTED,
        decimals=PRECISION_DECIMAL,
        tested=f" `kipoi test` passed where `{PACKAGE}`, which wrote the group, cannot be imported." * tested,
        license=plain_markdown(export.info.info["license"]),
        **versions,
    )


def licence() -> str:
    """Find the licence of this package, which its copied code stays under.

    Returns
    -------
    str
        Text of the ``LICENSE`` file.

    Examples
    --------
    >>> licence().splitlines()[0]
    'MIT License'
    """
    in_wheel = filter(None, map(metadata.distribution(PACKAGE).read_text, LICENCE_FILES))
    return next(in_wheel, None) or (Path(__file__).parents[2] / "LICENSE").read_text(encoding="utf-8")


def pinned_dependencies(networks: Sequence[Packaged]) -> dict[str, list[str]]:
    """Pin what the copied code, Keras and Kipoi need to the versions installed here.

    Parameters
    ----------
    networks : sequence of Packaged
        Those of the group; tf-keras is needed for files of Keras 2.

    Returns
    -------
    dict
        Kipoi's ``dependencies``: conda first, pip for the rest.

    Raises
    ------
    InputError
        If one is not installed.
    """
    old = any(not keras_version(network.path).startswith("3") for network in networks)
    pip = [*PIP_PINS, *(["tf_keras"] if old else [])]
    conda = {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        **{name: _version(name) for name in CONDA_PINS},
        "pip": PIP_VERSION,
    }
    # Kipoi writes 'defaults' as the first channel of an environment, where conda finds old versions only. It moves it
    # behind the others where pysam is of bioconda, and for nothing else.
    return {
        "conda": [
            *(f"conda-forge::{name}={version}" for name, version in conda.items()),
            f"bioconda::pysam={PYSAM_VERSION}",
        ],
        "pip": [f"{name}=={_version(name)}" for name in pip],
    }


def _version(name: str) -> str:
    for known in (name, *OTHER_NAMES.get(name, ())):
        try:
            return metadata.version(known)
        except metadata.PackageNotFoundError:
            continue
    raise InputError(f"{name} is not installed, so that its version cannot be pinned")
