"""The write side of lookup files: rows flow from DuckDB to SQLite as Arrow batches, without a Python object per row.

A file is written whole, or as a layer over the former version's: it holds the rows that are new since, and says which
of the rows below no longer hold (see `lookup_layers`).
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import adbc_driver_manager
import adbc_driver_sqlite
import duckdb
import pyarrow as pa

from datong.kernel import canonical_json
from datong.library.layers import link_file
from datong.library.lookup_layers import BASE, base_file, base_uri

BATCH_ROWS = 50_000
_TABLES = {
    "meta": ("key TEXT PRIMARY KEY", "value TEXT NOT NULL"),
    "row": ("id INTEGER PRIMARY KEY", "entity_id TEXT", "row_key TEXT", "payload TEXT NOT NULL"),
    "key": ("element TEXT NOT NULL", "value TEXT NOT NULL", "row INTEGER NOT NULL"),
    "member": (
        "entity_id TEXT NOT NULL",
        "source INTEGER NOT NULL",
        "row_key TEXT NOT NULL",
        "rule TEXT NOT NULL",
        "weight REAL",
        "joined_to TEXT",
    ),
    "succession": ("former TEXT NOT NULL", "present TEXT NOT NULL", "change TEXT NOT NULL"),
    "finding": (
        "entity_id TEXT NOT NULL",
        "place INTEGER NOT NULL",
        "value TEXT",
        "threshold TEXT",
        "verdict TEXT NOT NULL",
    ),
}
"""Table → its columns, in the order of the rows that `LookupWriter.fill` takes."""
_CLUSTERED = {
    "key": "element, value, row",
    "member": "entity_id, source, row_key",
    "succession": "former, present, change",
    "finding": "entity_id, place",
}
"""Table → the columns by which its rows lie in the file; rows that arrive in this order are appended."""
_HIDING = (
    "CREATE TABLE gone (id INTEGER PRIMARY KEY)",
    "CREATE TABLE gone_member (entity_id TEXT PRIMARY KEY) WITHOUT ROWID",
)
"""The tables of a layer that say which rows, with their keys, and whose members below it no longer hold."""
_STAGE = "stage"


class LookupWriter:
    """Writes one lookup file; the file is complete when the block ends without an error.

    Raises:
        adbc_driver_manager.Error: SQLite refuses a row, or the disk is full.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any], *, former: Path | None = None) -> None:
        """Begin the file at `path`, empty or as a layer: over what `former` lies on, with what that has of its own."""
        below = None if former is None else base_file(former)
        self._layered, self._begun = former is not None, below is not None and below.exists()
        if former is not None and below is not None:
            link_file(below if self._begun else former, base_file(path))
            if self._begun:
                shutil.copyfile(former, path)
        self._database = adbc_driver_sqlite.connect(str(path))
        self._connection = adbc_driver_manager.AdbcConnection(self._database)
        for statement in self._opening(path):
            self._execute(statement)
        self._write_meta(meta)

    def _opening(self, path: Path) -> Iterator[str]:
        """Yield the statements that make the file ready to be written."""
        yield from ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-65536")
        if self._layered:
            yield f"ATTACH '{base_uri(path)}' AS {BASE}"
        yield "BEGIN"
        if self._begun:
            yield "DELETE FROM meta"
        else:
            yield from _schema()
            yield from _HIDING if self._layered else ()

    def _write_meta(self, meta: Mapping[str, Any]) -> None:
        known = {"key": list(meta), "value": [canonical_json(value).decode() for value in meta.values()]}
        schema = pa.schema([("key", pa.string()), ("value", pa.string())])
        self._ingest("meta", pa.table(known, schema).to_reader(), _names("meta"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._execute("COMMIT")
                self._execute("PRAGMA main.optimize")
        finally:
            self._connection.close()
            self._database.close()

    def fill(self, table: str, connection: duckdb.DuckDBPyConnection, query: str, bounds: tuple[str, ...] = ()) -> int:
        """Append the query's rows to `table`, whose columns the query's stand for by their place; return how many."""
        rows = connection.execute(query, bounds).to_arrow_reader(BATCH_ROWS)
        return self._ingest(table, rows, _names(table))

    def clear(self, table: str) -> None:
        """Remove every row of `table` from the layer."""
        self._execute(f"DELETE FROM {table}")

    def remove_rows(self, connection: duckdb.DuckDBPyConnection, numbers: str, keys: str) -> None:
        """Remove the rows that the query `numbers` lists; `keys` is the query for their keys (element, value, row)."""
        self._remove("key", "element, value, row", connection, keys)
        self._remove("row", "id", connection, numbers, hide="INSERT OR IGNORE INTO gone SELECT c0 FROM {}")

    def remove_members(self, connection: duckdb.DuckDBPyConnection, entities: str) -> None:
        """Remove the members of the entities that the query lists."""
        hide = "INSERT OR IGNORE INTO gone_member SELECT c0 FROM {}"
        self._remove("member", "entity_id", connection, entities, hide=hide)

    def _remove(
        self, table: str, columns: str, connection: duckdb.DuckDBPyConnection, query: str, *, hide: str | None = None
    ) -> None:
        """Remove the rows of `table` whose `columns` are a row of the query from the layer, and `hide` those below."""
        if not self._begun and hide is None:
            return
        with self._staged(connection, query):
            if self._begun:
                self._execute(f"DELETE FROM {table} WHERE ({columns}) IN (SELECT * FROM {_STAGE})")
            if hide is not None:
                self._execute(hide.format(_STAGE))

    def numbers(self, element: str, connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
        """Return, of the values that the query lists, those by which the former version knows a row: `value` and its
        `id`.

        The values have the one `element`; each leads to one row.
        """
        with self._staged(connection, query), adbc_driver_manager.AdbcStatement(self._connection) as statement:
            found = (
                f"SELECT known.value AS value, known.row AS id FROM {_STAGE} AS wanted "
                f"JOIN {layer}.key AS known ON known.element = '{element}' AND known.value = wanted.c0{held}"
                for layer, held in (("main", ""), (BASE, " WHERE known.row NOT IN (SELECT id FROM gone)"))
            )
            statement.set_sql_query(" UNION ALL ".join(found))
            stream, _ = statement.execute_query()
            return pa.RecordBatchReader.from_stream(stream).read_all()

    def last_number(self) -> int:
        """Return the greatest number of a row in the layer and below, 0 where there is none."""
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query(
                "SELECT coalesce(max(id), 0) AS last FROM "
                f"(SELECT max(id) AS id FROM main.row UNION ALL SELECT max(id) FROM {BASE}.row)"
            )
            stream, _ = statement.execute_query()
            return int(pa.RecordBatchReader.from_stream(stream).read_all().column("last")[0].as_py())

    @contextmanager
    def _staged(self, connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[None]:
        """Hold the query's rows in a table that is no part of the file, its columns named c0, c1 and so on."""
        rows = connection.execute(query).to_arrow_reader(BATCH_ROWS)
        try:
            self._ingest(_STAGE, rows, [f"c{place}" for place in range(len(rows.schema))])
            yield
        finally:
            self._execute(f"DROP TABLE {_STAGE}")

    def _ingest(self, table: str, rows: pa.RecordBatchReader, names: list[str]) -> int:
        schema = pa.schema([field.with_name(name) for field, name in zip(rows.schema, names, strict=True)])
        counted = _Counted(rows, names)
        options = {adbc_driver_manager.StatementOptions.INGEST_TARGET_TABLE.value: table}
        if table == _STAGE:
            options["adbc.ingest.mode"], options["adbc.ingest.temporary"] = "adbc.ingest.mode.create", "true"
        else:
            options["adbc.ingest.mode"] = "adbc.ingest.mode.append"
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_options(**options)
            statement.bind_stream(pa.RecordBatchReader.from_batches(schema, counted))
            statement.execute_update()
        return counted.rows

    def _execute(self, text: str) -> None:
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_sql_query(text)
            statement.execute_update()


class _Counted:
    """The batches of a reader under other names, and how many rows went by."""

    def __init__(self, reader: pa.RecordBatchReader, names: list[str]) -> None:
        self._reader = reader
        self._names = names
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            self.rows += batch.num_rows
            yield batch.rename_columns(self._names)


def _names(table: str) -> list[str]:
    return [column.split(" ")[0] for column in _TABLES[table]]


def _schema() -> Iterator[str]:
    for table, columns in _TABLES.items():
        order = _CLUSTERED.get(table)
        key, kind = (f", PRIMARY KEY ({order})", " WITHOUT ROWID") if order else ("", "")
        yield f"CREATE TABLE {table} ({', '.join(columns)}{key}){kind}"
