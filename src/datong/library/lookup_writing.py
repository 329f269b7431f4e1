"""The write side of lookup files: rows flow from DuckDB to SQLite as Arrow batches, without a Python object per row."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import adbc_driver_manager
import adbc_driver_sqlite
import duckdb
import pyarrow as pa

from datong.kernel import canonical_json

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
    "succession": "former, present",
    "finding": "entity_id, place",
}
"""Table → the columns by which its rows lie in the file; rows that arrive in this order are appended."""


class LookupWriter:
    """Writes one lookup file; the file is complete when the block ends without an error.

    Raises:
        adbc_driver_manager.Error: SQLite refuses a row, or the disk is full.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        self._database = adbc_driver_sqlite.connect(str(path))
        self._connection = adbc_driver_manager.AdbcConnection(self._database)
        for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "BEGIN", *_schema()):
            self._execute(statement)
        known = {
            "key": list(meta),
            "value": [canonical_json(value).decode() for value in meta.values()],
        }
        self._ingest("meta", pa.table(known, pa.schema([("key", pa.string()), ("value", pa.string())])).to_reader())

    def __enter__(self) -> "LookupWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._execute("COMMIT")
                self._execute("PRAGMA optimize")
        finally:
            self._connection.close()
            self._database.close()

    def fill(self, table: str, connection: duckdb.DuckDBPyConnection, query: str, bounds: tuple[str, ...] = ()) -> int:
        """Append the query's rows to `table`, whose columns the query's stand for by their place; return how many."""
        rows = connection.execute(query, bounds).to_arrow_reader(BATCH_ROWS)
        return self._ingest(table, rows)

    def _ingest(self, table: str, rows: pa.RecordBatchReader) -> int:
        names = [column.split(" ")[0] for column in _TABLES[table]]
        schema = pa.schema([field.with_name(name) for field, name in zip(rows.schema, names, strict=True)])
        counted = _Counted(rows, names)
        with adbc_driver_manager.AdbcStatement(self._connection) as statement:
            statement.set_options(
                **{
                    adbc_driver_manager.StatementOptions.INGEST_TARGET_TABLE.value: table,
                    adbc_driver_manager.StatementOptions.INGEST_MODE.value: "adbc.ingest.mode.append",
                }
            )
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


def _schema() -> Iterator[str]:
    for table, columns in _TABLES.items():
        order = _CLUSTERED.get(table)
        key, kind = (f", PRIMARY KEY ({order})", " WITHOUT ROWID") if order else ("", "")
        yield f"CREATE TABLE {table} ({', '.join(columns)}{key}){kind}"
