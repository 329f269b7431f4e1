"""Files that only the node's own user may read, written whole or not at all."""

import os
from pathlib import Path

_OWNER_ONLY = 0o600


def write_owned(path: Path, content: bytes) -> None:
    """Write a file aside, flush it and rename it; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
