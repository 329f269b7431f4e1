"""What conform, link and fuse speak to: the working tables of a step, whatever table engine runs them.

The pipeline is one definition: SQL as DuckDB reads it. DuckDB runs it as it is written; another engine renders it (ADR
0110). What every engine leaves are Parquet files, which the embedded engine publishes.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Workspace(Protocol):
    """The working tables of one step, seen by one thread. Every query is SQL as DuckDB reads it."""

    lists_spill: bool
    """Whether a list that grows in an aggregate may be larger than memory."""

    def create(self, name: str, query: str) -> None:
        """Create or replace the table `name` with the rows of `query`, which may read what it replaces."""

    def append(self, name: str, query: str) -> None:
        """Add the rows of `query` to the table `name`; create it if it is not there."""

    def drop(self, *names: str) -> None:
        """Forget tables, created or lent."""

    def lend(self, name: str, rows: "pa.Table") -> None:
        """Let queries read `rows` as the table `name` until it is dropped."""

    def load(self, name: str, parts: "Iterable[tuple[pa.RecordBatchReader, str]]") -> None:
        """Create the table `name` from streams, each read once, as the select list beside it says."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of `query`, which are few."""

    def write(self, query: str, path: Path) -> None:
        """Write the rows of `query`, in its order, as one Parquet file."""

    def beside(self) -> "Workspace":
        """Return a workspace with the same tables for another thread."""


class TableEngine(Protocol):
    """What runs conform, link and fuse."""

    threads: int
    """How many sources it conforms side by side."""

    def open(self, spill: Path) -> AbstractContextManager[Workspace]:
        """Yield the workspace of one step; its temporary files lie under `spill`."""
