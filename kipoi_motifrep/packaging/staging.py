"""Writing a folder of files that belong together: all of them, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kipoi_motifrep.errors import InputError


@contextmanager
def staged(folder: str | os.PathLike) -> Iterator[Path]:
    """Give an empty folder; when the block ends well, move all its files into `folder`.

    On an error `folder` stays as it was. Its other files stay in any case.

    Parameters
    ----------
    folder : str or path-like
        Where the files go in the end. It is made when it is missing.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".unfinished.", dir=folder))
    except OSError as error:
        raise InputError(f"cannot write here ({error.strerror.lower()}); choose another output", path=folder) from error
    try:
        yield stage
        for file in sorted(path for path in stage.rglob("*") if path.is_file()):
            final = folder / file.relative_to(stage)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, final)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it holds what was asked for
                folder.rmdir()
