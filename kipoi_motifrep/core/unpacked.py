"""Small files that unpack to gigabytes: a limit, said where it is met, and lifted by the environment."""

from __future__ import annotations

import os

from kipoi_motifrep.core.errors import InputError

LIMIT = "KIPOI_MOTIFREP_MAX_UNPACKED_GB"
DEFAULT_LIMIT = 1.0
# Trained weights are noise: no compression makes them smaller than this part of their size.
HONEST_RATIO = 4
# DNA and tables of it shrink to a fifth or a tenth. What unpacks to very much more was made to fill disks.
DNA_RATIO = 100


def unpacked_limit(default: float | None = None) -> float:
    """Read the limit.

    Parameters
    ----------
    default : float, optional
        In gigabytes, where the environment says nothing; 1 by default.

    Returns
    -------
    float
        Gigabytes.

    Raises
    ------
    InputError
        If the environment gives no number.

    Examples
    --------
    >>> unpacked_limit(0.25)
    0.25
    """
    given = os.environ.get(LIMIT, "")
    try:
        return float(given or (DEFAULT_LIMIT if default is None else default))
    except ValueError as error:
        raise InputError(f"{LIMIT} is {given!r}; it must be a number of gigabytes") from error


def check_unpacked(path: str | os.PathLike, unpacked: int, honest_ratio: float = HONEST_RATIO) -> None:
    """Refuse a small file that says it unpacks to gigabytes, before it does.

    Parameters
    ----------
    path : str or path-like
        The file.
    unpacked : int
        Bytes that its headers give for its contents.
    honest_ratio : float, default 4
        So many times its size its contents may be in any case.

    Raises
    ------
    InputError
        If they are more than the limit, which the environment can lift, and more than a
        few times the file.

    Examples
    --------
    >>> check_unpacked(__file__, 10_000)
    """
    limit, size = unpacked_limit(), os.path.getsize(path)
    if unpacked > max(limit * 1e9, honest_ratio * size):
        raise InputError(
            f"its {size / 1e6:.3g} MB unpack to {unpacked / 1e9:.3g} GB, more than the limit of {limit:g} "
            f"GB; if you trust it, set the environment variable {LIMIT} to a larger number",
            path=path,
        )
