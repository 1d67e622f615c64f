"""Where derived files go that cannot lie beside their source."""

from __future__ import annotations

import os
import tempfile
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
        ``$XDG_CACHE_HOME/kipoi_motifrep/ROOM``, below ``~/.cache`` by default, and
        below the system's temporary folder for users without a home. It need not exist.

    Examples
    --------
    >>> cache_folder("fasta_index").parts[-2:]
    ('kipoi_motifrep', 'fasta_index')
    """
    # As the XDG base directory specification has it; read each time, since tests and users set it late.
    if said := os.environ.get("XDG_CACHE_HOME"):
        base = Path(said)
    else:
        try:
            base = Path.home() / ".cache"
        except RuntimeError:  # this user has no home
            base = Path(tempfile.gettempdir())
    return base / "kipoi_motifrep" / room
