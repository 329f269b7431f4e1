"""Unpacking tar archives of strangers: files and folders below the target, nothing else.

`extractall(filter="data")` does the same, but Debian 12's Python (3.11.2) does not know it (PEP 706 came with
3.11.4).
"""

import shutil
import tarfile
from pathlib import Path

UNPACKED_BYTES_MIN, UNPACKED_TIMES_MAX = 64 * 1024 * 1024, 100
"""An archive of so many bytes may unpack to a hundred times as many, and a small one to 64 MiB."""
MEMBERS_MAX = 2_000_000
"""Files and folders in one archive: a log of 250 million entries."""


def unpacked_max(archive_bytes: int) -> int:
    """Return how many bytes may come out of an archive of so many bytes."""
    return max(UNPACKED_BYTES_MIN, archive_bytes * UNPACKED_TIMES_MAX)


def unpack(archive: tarfile.TarFile, folder: Path, *, bytes_max: int = UNPACKED_BYTES_MIN) -> None:
    """Write the files of `archive` below `folder`: `MEMBERS_MAX` at most, together `bytes_max` bytes at most.

    Raises:
        tarfile.TarError: it holds a link, a device, or a name that leads elsewhere; it holds more than it may; or it
            cannot be read.
    """
    root, left = folder.resolve(), bytes_max
    for number, member in enumerate(archive):
        left -= member.size
        if left < 0 or number >= MEMBERS_MAX:
            raise tarfile.TarError(f"more than {bytes_max} bytes or {MEMBERS_MAX} files: {member.name}")
        target = (root / member.name).resolve()
        if not target.is_relative_to(root) or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"neither a file nor a folder below the target: {member.name}")
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        held = archive.extractfile(member)
        if held is None:
            raise tarfile.TarError(f"not readable: {member.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with held, target.open("wb") as file:
            shutil.copyfileobj(held, file)
