"""Where derived files go that cannot lie beside their source."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(room: str) -> Path:
    """Name the user's cache folder for one purpose.

    Parameters
    ----------
    room : str
        What is cached, for example "fasta_index".

    Returns
    -------
    pathlib.Path
        ``$XDG_CACHE_HOME/kipoi_motifrep/ROOM``, below ``~/.cache`` by default.
        It need not exist.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kipoi_motifrep" / room
