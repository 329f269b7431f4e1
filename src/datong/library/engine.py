"""The embedded table engine, DuckDB in this process with bounded memory, and durable step folders."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from datong.kernel.files import flush
from datong.library.workspace import TableEngine, Workspace

__all__ = ["EmbeddedWorkspace", "Engine", "TableEngine", "Workspace", "sql_name", "sql_text", "step_folder"]

ROW_GROUP_ROWS = 122_880
"""Rows of a DuckDB table that one thread takes at a time."""


class EmbeddedWorkspace:
    """The working tables of a DuckDB connection."""

    lists_spill = False

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._lent: set[str] = set()

    def create(self, name: str, query: str) -> None:
        """Create or replace the table `name` with the rows of `query`, which may read what it replaces."""
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {query}")

    def append(self, name: str, query: str) -> None:
        """Add the rows of `query` to the table `name`; create it if it is not there."""
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM ({query}) LIMIT 0")
        self.connection.execute(f"INSERT INTO {name} {query}")

    def drop(self, *names: str) -> None:
        """Forget tables, created or lent."""
        for name in names:
            if name in self._lent:
                self._lent.remove(name)
                self.connection.unregister(name)
            else:
                self.connection.execute(f"DROP TABLE {name}")

    def lend(self, name: str, rows: pa.Table) -> None:
        """Let queries read `rows` as the table `name` until it is dropped."""
        self.connection.register(name, rows)
        self._lent.add(name)

    def load(self, name: str, parts: Iterable[tuple[pa.RecordBatchReader, str]]) -> None:
        """Create the table `name` from streams, each read once, as the select list beside it says."""
        incoming = f"incoming_{name}"
        head = f"CREATE OR REPLACE TABLE {name} AS"
        for reader, columns in parts:
            self.connection.register(incoming, reader)
            self.connection.execute(f"{head} SELECT {columns} FROM {incoming}")
            self.connection.unregister(incoming)
            head = f"INSERT INTO {name}"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of `query`, which are few."""
        return self.connection.execute(query).fetchall()

    def write(self, query: str, path: Path) -> None:
        """Write the rows of `query`, in its order, as one Parquet file."""
        self.connection.execute(f"COPY ({query}) TO {sql_text(str(path))} (FORMAT parquet)")

    def beside(self) -> "EmbeddedWorkspace":
        """Return a workspace with the same tables for another thread."""
        return EmbeddedWorkspace(self.connection.cursor())


class Engine:
    """Opens DuckDB connections bounded to `threads` cores and `memory` (in DuckDB's notation), which spill to disk."""

    def __init__(self, *, threads: int, memory: str) -> None:
        self.threads = threads
        self.memory = memory

    def narrowed(self, rows: int) -> "Engine":
        """Return the engine with as many cores as tables of so many `rows` can keep busy.

        A thread takes whole row groups; those that find none look for work again and again, which took a fifth of the
        processor time of a thousand small queries.
        """
        return Engine(threads=min(self.threads, 1 + rows // ROW_GROUP_ROWS), memory=self.memory)

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
            # Cursors do not take over a session's own settings.
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def open(self, spill: Path) -> Iterator[Workspace]:
        """Yield the workspace of one step; its temporary files lie under `spill`."""
        with self.connect(spill) as connection:
            yield EmbeddedWorkspace(connection)


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
            flush(path)
    flush(scratch)
    scratch.rename(folder)
    flush(folder.parent)


def sql_text(value: str) -> str:
    """Return `value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def parquet_sql(path: Path) -> str:
    """Return the Parquet file at `path` as something to select from."""
    return f"read_parquet({sql_text(str(path))})"


def sql_name(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
