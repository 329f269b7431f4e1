"""Files that are written whole or not at all, and stay."""

import hashlib
import os
import secrets
from pathlib import Path

_EVERYBODY = 0o666


def replace_file(path: Path, content: bytes, *, mode: int = _EVERYBODY, several_writers: bool = False) -> None:
    """Write a file aside, flush it, rename it and flush its folder, which is made if it is missing.

    A new file gets `mode` less the process's mask. One writer at a time, unless there may be `several_writers`: then
    each writes under a name of its own, which stays if it is killed; else the next writer writes over what is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}" if several_writers else path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    flush(path.parent)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Bring to the disk what is in a file, or the names that are in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def one_file(path: Path) -> str:
    """Return a path as DuckDB reads it literally: by itself it takes `*`, `?` and `[` for patterns of names."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
