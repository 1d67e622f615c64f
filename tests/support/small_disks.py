"""Disks that are full soon: a small one in memory, where this user may mount one."""

import contextlib
import os
import shutil
import subprocess


@contextlib.contextmanager
def small_disk(folder, size):
    """Mount a disk of `size` (as "64k") at a new folder; gives None where that is not allowed."""
    folder.mkdir(parents=True)
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder, leave=0):
    """Fill a small disk but for some bytes."""
    free = os.statvfs(folder)
    with contextlib.suppress(OSError), open(folder / "fill", "wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
