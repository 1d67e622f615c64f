"""Digests of files: whether one is what it was."""

from __future__ import annotations

import hashlib
import os


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
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
