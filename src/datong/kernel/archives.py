"""Unpacking tar archives of strangers: files and folders below the target, nothing else.

`extractall(filter="data")` does the same, but Debian 12's Python (3.11.2) does not know it (PEP 706 came with
3.11.4).
"""

import shutil
import tarfile
from pathlib import Path


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the files of `archive` below `folder`.

    Raises:
        tarfile.TarError: it holds a link, a device, or a name that leads elsewhere; or it cannot be read.
    """
    root = folder.resolve()
    for member in archive:
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
