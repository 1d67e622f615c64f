"""Fetching a large file over a connection that may break: pooch begins such a transfer again from its first byte."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress, say

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte


def download(url: str, path: str | os.PathLike) -> None:
    """Fetch a file and print its checksum; go on where an earlier transfer stopped.

    What has arrived so far is kept as ``PATH.part``. A file that is already
    there is not fetched again.

    Parameters
    ----------
    url : str
        Where from.
    path : str or path-like
        Where to.

    Raises
    ------
    InputError
        If it cannot be fetched, or the transfer stopped short.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("is a folder; name the file to download to", path=path)
    if path.exists():
        say(f"{path} is there already")
    else:
        part = path.with_name(path.name + ".part")
        while not _fetch(url, part):
            say(f"{url}: the connection broke; going on")
        os.replace(part, path)
    say(f"{path}: {path.stat().st_size} bytes, sha256 {file_digest(path)}")


def _fetch(url: str, part: Path) -> bool:
    """Fetch the rest of a file; say whether it is complete, False if a part of it came."""
    have = part.stat().st_size if part.exists() else 0
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise InputError(f"{url}: the server answered {error.code} ({error.reason})") from error
        if error.headers.get("Content-Range", "").endswith(f"*/{have}"):
            return True
        part.unlink()  # it belongs to another file
        return False
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(
            f"{url}: cannot be fetched ({getattr(error, 'reason', error)}); the same command goes on where it stopped"
        ) from error
    with answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            have = 0  # the server sends all of it again
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise InputError(
                f"{url}: the server sent another part of the file than was asked for; remove {part} to fetch all of it"
            )
        said = answer.headers.get("Content-Length", "")
        length = int(said) if said.isdecimal() else None
        part.parent.mkdir(parents=True, exist_ok=True)
        came, held = 0, True
        with open(part, "r+b" if have else "wb") as file:
            file.seek(have)
            try:
                for chunk in progress(_chunks(answer), "fetching", total=length and -(-length // CHUNK), unit="MB"):
                    file.write(chunk)
                    came += len(chunk)
            except _Broken:
                held = False
    if held if length is None else came == length:
        return True
    if not came:
        of_all = "" if length is None else f" of {have + length}"
        raise InputError(f"{url}: the transfer stopped after {have}{of_all} bytes; the same command goes on there")
    return False


class _Broken(Exception):
    """The connection did not hold to the end of the answer."""


def _chunks(answer: BinaryIO) -> Iterator[bytes]:
    try:
        while chunk := answer.read(CHUNK):
            yield chunk
    except http.client.IncompleteRead as error:
        yield error.partial
        raise _Broken from error
    except OSError as error:
        raise _Broken from error
