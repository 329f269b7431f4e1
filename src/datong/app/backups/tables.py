"""The control database in a backup: on SQLite its file, on PostgreSQL the rows of each table; and tables' digests.

PostgreSQL writes rows by COPY (text, UTC, hexadecimal bytes), in the order of their keys by code point, so that the
same rows give the same bytes on any server. The digest of a table is the SHA-256 of that; on SQLite that of its rows as
Python writes tuples. Digests of the two engines are not compared with each other.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import ColumnClause, Connection, String, Table, func, inspect, select, text
from sqlalchemy import column as any_column
from sqlalchemy import table as any_table
from sqlalchemy.dialects import sqlite

from datong.app.backups.folder import OBJECT_BYTES_MAX, BackupFolder
from datong.app.backups.values import StoredTable, damaged
from datong.kernel import METADATA, Database

ROWS_PER_OBJECT = 20_000
"""Rows are cut behind every so many: what was only added to a table leaves its earlier objects as they are."""
_SESSION = b"SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL bytea_output = 'hex'"
_LAST_VALUE = text(
    "SELECT last_value FROM pg_sequences "
    "WHERE CAST(quote_ident(schemaname) || '.' || quote_ident(sequencename) AS regclass) = CAST(:name AS regclass)"
)
"""What a sequence gave last; NULL when it gave nothing yet."""
_PAGES_AT_ONCE = -1
"""All of SQLite's pages in one step: one state, and writers go on meanwhile (WAL)."""


class PinnedDatabase(Database):
    """The control database as one open connection sees it."""

    def __init__(self, url: str, connection: Connection) -> None:
        super().__init__(url)
        self._pinned = connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield the connection."""
        yield self._pinned


def copy_sqlite(database: Path, copy: Path) -> None:
    """Copy an SQLite database that others are writing to, by its online backup, as of one moment."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as to:
        source.backup(to, pages=_PAGES_AT_ONCE)
        # The copy is one file: it has nobody to share a write-ahead log with.
        to.execute("PRAGMA journal_mode=DELETE")


def sqlite_tables(path: Path) -> list[StoredTable]:
    """Return every table of an SQLite file with its digest, in the order of their names."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1"
        ).fetchall()
        return [_sqlite_table(connection, name) for (name,) in names]


def _sqlite_table(connection: sqlite3.Connection, name: str) -> StoredTable:
    described = connection.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (name,)).fetchall()
    columns: list[ColumnClause[Any]] = [any_column(named) for named, _ in described]
    keys: list[ColumnClause[Any]] = [
        any_column(named) for named, place in sorted(described, key=lambda one: one[1]) if place
    ]
    query = select(*columns).select_from(any_table(name)).order_by(*(keys or columns))
    digest, count = hashlib.sha256(), 0
    for row in connection.execute(str(query.compile(dialect=sqlite.dialect()))):
        digest.update(repr(row).encode() + b"\n")
        count += 1
    return StoredTable(name=name, columns=tuple(named for named, _ in described), rows=count, digest=digest.hexdigest())


def postgresql_tables(connection: Connection, folder: BackupFolder) -> list[StoredTable]:
    """Store the platform's tables as `connection` sees them, in an order in which they can be filled again."""
    present = set(inspect(connection).get_table_names())
    stored = []
    for table in METADATA.sorted_tables:
        if table.name not in present:
            continue
        columns = tuple(column.name for column in table.columns if column.computed is None)
        content = folder.store(_pieces(_rows(connection, table.name, columns, _keys(table))), deflate=True)
        rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
        stored.append(StoredTable(name=table.name, columns=columns, rows=rows, digest=content.sha256, content=content))
    return stored


def postgresql_sequences(connection: Connection) -> dict[str, int]:
    """Return the last value of each sequence that gave any, by `table.column`."""
    found: dict[str, int] = {}
    for table in METADATA.sorted_tables:
        column = table.autoincrement_column
        name = None if column is None else _sequence(connection, table.name, column.name)
        if column is None or name is None:
            continue
        value = connection.execute(_LAST_VALUE, {"name": name}).scalar_one()
        if value is not None:
            found[f"{table.name}.{column.name}"] = value
    return found


def load_postgresql(
    connection: Connection, folder: BackupFolder, tables: Sequence[StoredTable], sequences: dict[str, int]
) -> None:
    """Fill the empty tables of a schema from a backup, in the caller's transaction, and check their digests.

    Raises:
        Corrupt: an object is damaged, or a table does not hold what was backed up.
    """
    driver = _driver(connection)
    names = sql.SQL(", ").join(sql.Identifier(table.name) for table in tables)
    # Migrations may have put rows into the tables that they made.
    driver.execute(sql.SQL("TRUNCATE {}").format(names))
    for table in tables:
        if table.content is None:
            raise damaged(table.name)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, table.columns))
        )
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for piece in folder.pieces(table.content, table.name):
                copy.write(piece)
    for name, value in sequences.items():
        table_name, _, column = name.partition(".")
        sequence = _sequence(connection, table_name, column)
        connection.exec_driver_sql("SELECT setval(%s::regclass, %s)", (sequence, value))
    for table in tables:
        digest = hashlib.sha256()
        for row in _rows(connection, table.name, table.columns, _keys_now(connection, table.name)):
            digest.update(row)
        if digest.hexdigest() != table.digest:
            raise damaged(table.name)


def _keys_now(connection: Connection, name: str) -> list[tuple[str, bool]]:
    """Return the columns of the key, as the database has the table now: its schema may be an older one."""
    found = inspect(connection)
    types = {column["name"]: column["type"] for column in found.get_columns(name)}
    return [(key, isinstance(types[key], String)) for key in found.get_pk_constraint(name)["constrained_columns"]]


def _keys(table: Table) -> list[tuple[str, bool]]:
    return [(column.name, isinstance(column.type, String)) for column in table.primary_key.columns]


def _rows(
    connection: Connection, name: str, columns: Sequence[str], keys: Sequence[tuple[str, bool]]
) -> Iterator[bytes]:
    """Yield a table's rows as COPY writes them, a row at a time; texts of the key are ordered by code point."""
    driver = _driver(connection)
    driver.execute(_SESSION)
    order = [
        sql.SQL('{} COLLATE "C"').format(sql.Identifier(key)) if is_text else sql.Identifier(key)
        for key, is_text in keys
    ]
    statement = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(name), sql.SQL(", ").join(order)
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in copy:
            yield bytes(row)


def _pieces(rows: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row)
        if len(held) == ROWS_PER_OBJECT or size >= OBJECT_BYTES_MAX:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _sequence(connection: Connection, table: str, column: str) -> str | None:
    name: str | None = connection.exec_driver_sql(
        "SELECT pg_get_serial_sequence(%s, %s)", (sql.Identifier(table).as_string(), column)
    ).scalar_one()
    return name


def _driver(connection: Connection) -> "psycopg.Connection[Any]":
    found: psycopg.Connection[Any] | None = connection.connection.driver_connection
    if found is None:
        raise RuntimeError("the connection is closed")
    return found
