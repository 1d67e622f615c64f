"""Digests of files: whether one is what it was."""

from __future__ import annotations

import hashlib
import os

from kipoi_motifrep.core.errors import InputError


def file_digest(path: str | os.PathLike, algorithm: str = "sha256") -> str:
    """Digest a file's bytes, a piece at a time.

    Parameters
    ----------
    path : str or path-like
        The file.
    algorithm : str, default "sha256"
        As ``hashlib`` names it; Kipoi goes by "md5".

    Returns
    -------
    str
        Hexadecimal.

    Raises
    ------
    InputError
        If it cannot be read.

    Examples
    --------
    >>> import os
    >>> file_digest(os.devnull, "md5")
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({(error.strerror or str(error)).lower()})", path=path) from error
