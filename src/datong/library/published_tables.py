"""A version of a published table, opened for questions in SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from datong.library.values import Dataset

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PUBLISHED = "published"
"""The view that holds the table."""
ENTITY = "entity_id"


@contextmanager
def published_table(dataset: Dataset) -> "Iterator[DuckDBPyConnection]":
    """Open a connection of DuckDB in which the view `published` is this version of the table.

    Raises:
        Unavailable: the table cannot be read.
    """
    # Both take a while to import: only who asks pays for it.
    files, duckdb = import_module("datong.library.version_files"), import_module("duckdb")
    with files.told_unreadable(dataset.library), duckdb.connect() as connection:
        connection.register(PUBLISHED, files.table_of(dataset.delta_path, dataset.delta_version))
        yield connection


def has_one_row_each(connection: "DuckDBPyConnection") -> bool:
    """Whether the table in the view `published` has entities, and one row for each."""
    described = connection.execute(f"DESCRIBE {PUBLISHED}").fetchall()
    if ENTITY not in {row[0] for row in described}:
        return False
    row = connection.execute(f"SELECT count(*) = count(DISTINCT {ENTITY}) FROM {PUBLISHED}").fetchone()
    return row is not None and bool(row[0])
