"""Files that only the node's own user may read, written whole or not at all."""

from pathlib import Path

from datong.kernel.files import replace_file

_OWNER_ONLY = 0o600


def write_owned(path: Path, content: bytes) -> None:
    """Replace a file; its folder is made, for this user alone, if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(path, content, mode=_OWNER_ONLY)
