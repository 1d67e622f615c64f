"""Where derived files go that cannot lie beside their source."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(room: str = "") -> Path:
    """Name the user's cache folder for one purpose.

    Parameters
    ----------
    room : str, default ""
        What is cached, for example "fasta_index"; by default the folder above them.

    Returns
    -------
    pathlib.Path
        ``$XDG_CACHE_HOME/kipoi_motifrep/ROOM``, below ``~/.cache`` by default.
        It need not exist.

    Raises
    ------
    RuntimeError
        If there is neither that variable nor a home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kipoi_motifrep" / room
