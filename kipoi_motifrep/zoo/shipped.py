"""The trained networks that come with this package: in the checkout, in the wheel, or fetched once and verified."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.request
from contextlib import suppress
from pathlib import Path

from kipoi_motifrep import __version__
from kipoi_motifrep.core.cache import cache_folder
from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import replacing
from kipoi_motifrep.core.tables import read_table

ADDRESS_VARIABLE = "KIPOI_MOTIFREP_WEIGHTS_URL"
ADDRESS = f"https://raw.githubusercontent.com/kipoi/kipoi_motifrep/v{__version__}/models"
ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "sequences" / "examples"
DESCRIPTIONS = ROOT / "sequences" / "descriptions"
# GROUP.tsv and GROUP.yaml are links to models/GROUP, which 'kipoi-motifrep package' writes; GROUP.NETWORK.keras is a
# link to a network that travels in the wheel.
SHIPPED = Path(__file__).parent / "trained"
TIMEOUT = 60  # seconds without an answer


def shipped_names() -> list[str]:
    """List the networks that come with this package.

    Returns
    -------
    list of str
        For example "synthetic/cnn_25".

    Examples
    --------
    >>> "synthetic/cnn_25" in shipped_names()
    True
    """
    return [f"{group.stem}/{row['model']}" for group in sorted(SHIPPED.glob("*.tsv")) for row in read_table(group)]


def shipped_model(name: str = "synthetic/cnn_25") -> Path:
    """Find a network that comes with this package as a Kipoi model.

    In a checkout it lies in ``models/``. Installed from a wheel, its group is
    set up in the user's cache, and its weights, unless they travel in the
    wheel, are fetched from ``$KIPOI_MOTIFREP_WEIGHTS_URL`` or the project's
    address, once, and verified by their md5.

    Parameters
    ----------
    name : str, default "synthetic/cnn_25"
        ``GROUP/NETWORK``, see :func:`shipped_names`.

    Returns
    -------
    pathlib.Path
        For ``kipoi.get_model(str(path), source="dir")`` and ``kipoi predict``;
        Kipoi's models are paths without a file of that name.

    Raises
    ------
    InputError
        If there is no such network, or it cannot be fetched.

    Examples
    --------
    >>> shipped_model("synthetic/cnn_25").name
    'cnn_25'
    """
    group, row = _find(name)
    checkout = ROOT.parent / "models" / group
    if not (checkout / "weights" / row["weights"]).exists():
        return _in_cache(group, row) / row["model"]
    return checkout / row["model"]


def shipped_weights(name: str = "synthetic/cnn_25") -> Path:
    """Find the Keras file of a network that comes with this package.

    Parameters
    ----------
    name : str, default "synthetic/cnn_25"
        As for :func:`shipped_model`.

    Returns
    -------
    pathlib.Path
        For ``keras.models.load_model``.

    Raises
    ------
    InputError
        As for :func:`shipped_model`.

    Examples
    --------
    >>> shipped_weights("synthetic/cnn_25").name
    'cnn_25.keras'
    """
    return shipped_model(name).parent / "weights" / _find(name)[1]["weights"]


def md5_of(path: str | os.PathLike) -> str:
    """Compute a file's md5.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    str
        Hexadecimal.
    """
    return file_digest(path, "md5")


def _find(name: str) -> tuple[str, dict[str, str]]:
    group, _, model = name.rpartition("/")
    if name not in shipped_names():
        raise InputError(f"no network {name!r} comes with this package; there are {', '.join(shipped_names())}")
    return group, next(row for row in read_table(SHIPPED / f"{group}.tsv") if row["model"] == model)


def _in_cache(group: str, row: dict[str, str]) -> Path:
    """Set a group up as in a checkout, with the weights of one network, and give its folder."""
    home = cache_folder("networks")
    folder = home / "models" / group
    _copy(SHIPPED / f"{group}.tsv", folder / "models.tsv")
    _copy(SHIPPED / f"{group}.yaml", folder / "model-template.yaml")
    for description in DESCRIPTIONS.glob("*.yaml"):
        loader = home / "dataloaders" / description.stem
        _copy(description, loader / "dataloader.yaml")
        _link(EXAMPLES, loader / "example_files")
    # A damaged copy, and one of an earlier release, is fetched again.
    weights = folder / "weights" / row["weights"]
    if not weights.exists() or md5_of(weights) != row["weights_md5"]:
        _fetch(group, row, weights)
    return folder


def _copy(source: Path, target: Path) -> None:
    if not target.exists() or target.read_bytes() != source.read_bytes():
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _link(source: Path, target: Path) -> None:
    """Point to the examples of this installation; without links, only Kipoi's own tests would miss them."""
    if target.is_symlink() and target.resolve() != source.resolve():
        target.unlink()
    with suppress(OSError):
        target.symlink_to(source, target_is_directory=True)


def _fetch(group: str, row: dict[str, str], target: Path) -> None:
    inside = SHIPPED / f"{group}.{row['weights']}"
    if inside.exists():
        _copy(inside, target)
        return
    base = (os.environ.get(ADDRESS_VARIABLE) or ADDRESS).rstrip("/")
    address = f"{base}/{group}/weights/{row['weights']}"
    with replacing(target) as temporary:
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, open(temporary, "wb") as file:
                shutil.copyfileobj(answer, file)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise InputError(
                f"network {group}/{row['model']} is not on this machine and cannot be fetched from "
                f"{address} ({reason}); go online, work in a checkout of the project, or set "
                f"{ADDRESS_VARIABLE} to another copy of its models/ folder"
            ) from error
        found = md5_of(temporary)
        if found != row["weights_md5"]:
            raise InputError(
                f"what {address} gave is not network {group}/{row['model']} (md5 {found}, expected "
                f"{row['weights_md5']}); nothing was kept"
            )
