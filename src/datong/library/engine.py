"""The table engine of a build: one private in-memory DuckDB with bounded memory, and durable step folders."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


class Engine:
    """Opens DuckDB connections bounded to `threads` cores and `memory` (in DuckDB's notation), which spill to disk."""

    def __init__(self, *, threads: int, memory: str) -> None:
        self.threads = threads
        self.memory = memory

    @contextmanager
    def connect(self, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection whose temporary files lie under `spill`."""
        spill.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": self.threads,
                "memory_limit": self.memory,
                "temp_directory": str(spill),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()


@contextmanager
def step_folder(folder: Path) -> Iterator[Path | None]:
    """Yield a scratch folder that becomes `folder` when the block ends, or None if `folder` is there already.

    Everything in it is flushed before the rename, so a folder that exists is complete; what a kill leaves behind has
    another name and is removed by the next attempt.
    """
    if folder.exists():
        yield None
        return
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    yield scratch
    for path in sorted(scratch.rglob("*")):
        if path.is_file():
            _flush(path)
    _flush(scratch)
    scratch.rename(folder)
    _flush(folder.parent)


def sql_text(value: str) -> str:
    """Return `value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def sql_name(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
