"""SQLite as a source and as a target.

SQLite types values, not columns. A column's declared type says what is expected, and a value that does not fit is
refused. SQLite has no dates and no decimals: what a source keeps as text travels as text; a target made by the platform
declares such columns `TEXT_…`, stores canonical text, and gives the exact types back when it is read.
"""

import sqlite3
import time as time_module
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as SqliteDialect

from datong.adapters.comparison import ComparedByReading
from datong.adapters.conversion import (
    Convert,
    chosen_columns,
    decimal_of,
    float_rows,
    null_in_order,
    order_columns,
    readable,
    reader_of_rows,
    rebatched,
)
from datong.adapters.sql_letters import open_letters
from datong.adapters.sql_own_tables import CURSORS, DEAD_LETTERS
from datong.adapters.sql_shape import layouts
from datong.adapters.sql_statements import SqlStatements
from datong.adapters.sql_target import (
    SqlTarget,
    apply_batch,
    is_internal,
    last_applied,
)
from datong.adapters.sql_transaction import INCOMING, NUMBER, SqlTransaction, StoredColumn
from datong.adapters.sqlite_catalog import (
    SAMPLE_BATCH_ROWS,
    column_type,
    columns_of,
    quoted,
    sample_statements,
    table_schemas,
)
from datong.exchange import (
    Applied,
    AppliedCursor,
    Column,
    LookupQuery,
    Manifest,
    ReadQuery,
    TableSchema,
    TargetPlan,
    arrow_schema,
    decimal_parameters,
)
from datong.kernel import Misconfigured, TaskId, Text, Unavailable

BUSY_SECONDS = 30.0
DIGEST_ROWS = 50_000
PROGRESS_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock."""
_TARGET_TYPES = {
    "boolean": "BOOLEAN",
    "int64": "INTEGER",
    "float32": "REAL",
    "float64": "REAL",
    "string": "TEXT",
    "binary": "BLOB",
    "uint64": "TEXT_UNSIGNED",
    "date": "TEXT_DATE",
    "time": "TEXT_TIME",
    "timestamp": "TEXT_TIMESTAMP",
    "timestamp_utc": "TEXT_TIMESTAMP_UTC",
}


class SqliteDatabase(ComparedByReading, SqlTarget):
    """One SQLite file, as Connector and as Target."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self._path = path
        self._writable = writable

    @property
    def name(self) -> str:
        """The file's name."""
        return f"sqlite:{self._path.name}"

    def close(self) -> None:
        """Nothing stays open between calls."""

    # As a source

    def inspect(self) -> list[TableSchema]:
        """Return every table and view; comments are those of a table's own definition (`-- …` behind a column)."""
        with self._open() as connection:
            found = table_schemas(connection, self._path)
        return [schema for schema in found if not is_internal(schema.table)]

    def schema(self, table: str) -> TableSchema | None:
        """Return one table or view, without its size."""
        with self._open() as connection:
            found = table_schemas(connection, self._path, table)
        return found[0] if found and not is_internal(table) else None

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return a sample by blocks of row numbers, as text."""
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)

        def rows() -> Iterator[tuple[object, ...]]:
            with self._open() as connection:
                for statement in sample_statements(connection, schema, rows_max):
                    yield from connection.execute(statement)

        batches = reader_of_rows(schema.table, rows(), texts, SAMPLE_BATCH_ROWS)
        return rebatched(readable(schema.table, batches, (sqlite3.Error,)), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`, by its text in ISO 8601; without a zone it counts as UTC."""
        with self._open() as connection:
            found = connection.execute(f"SELECT max({quoted(column)}) FROM {quoted(table)}").fetchone()[0]
        try:
            moment = datetime.fromisoformat(str(found))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order; one statement, so one state of the database."""
        with self._open() as connection:
            known = columns_of(connection, query.table)
        columns = chosen_columns(query.table, known, query.columns)
        order = order_columns(known, query)
        statement = f"SELECT {_names(query.columns)} FROM {quoted(query.table)}"
        values: list[object] = []
        if order:
            if query.after is not None:
                places = ", ".join("?" * len(order))
                statement += f" WHERE ({_names(query.order)}) > ({places})"
                values = [_stored(column, text) for column, text in zip(order, query.after.values, strict=True)]
            statement += f" ORDER BY {_names(query.order)}"
            self._refuse_nulls(query)
        return reader_of_rows(
            query.table, self._rows(statement, values), columns, query.batch_rows, _converters(columns)
        )

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        with self._open() as connection:
            return int(connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0])

    def lookup(self, query: LookupQuery) -> pa.Table:
        """Return the rows with a key's value."""
        until = time_module.monotonic() + query.timeout_seconds
        statement = (
            f"SELECT {_names([column.name for column in query.columns])} FROM {quoted(query.table)} "
            f"WHERE {quoted(query.key_column)} = ?"
            f"{query.containing_sql(lambda column, _: f'instr({quoted(column)}, ?) > 0')} LIMIT {query.rows_max}"
        )
        try:
            value = _stored(query.key, query.key_value)
        except ValueError:
            return arrow_schema(query.columns).empty_table()
        with self._open() as connection:
            connection.set_progress_handler(lambda: time_module.monotonic() > until, PROGRESS_STEPS)
            rows = connection.execute(statement, (value, *query.texts)).fetchall()
        return reader_of_rows(query.table, rows, query.columns, DIGEST_ROWS, _converters(query.columns)).read_all()

    # As a target

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing."""
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            for layout in layouts(plan, columns):
                connection.execute(_definition(*layout))
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {CURSORS} (task_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, "
                "batch_id TEXT NOT NULL, manifest_digest TEXT NOT NULL, rows_applied INTEGER NOT NULL, "
                "rows_rejected INTEGER NOT NULL, run INTEGER NOT NULL, applied_at TEXT NOT NULL)"
            )
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {DEAD_LETTERS} (task_id TEXT NOT NULL, run INTEGER NOT NULL, "
                "sequence INTEGER NOT NULL, batch_id TEXT NOT NULL, row_in_batch INTEGER NOT NULL, "
                "reason TEXT NOT NULL, content TEXT NOT NULL, rejected_at TEXT NOT NULL, "
                "PRIMARY KEY (batch_id, row_in_batch))"
            )
            _SqliteTransaction(connection).ensure_letters()
            connection.execute("COMMIT")

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the task's newest applied batch."""
        with self._open() as connection:
            return last_applied(_SqliteTransaction(connection), task_id)

    def rejected(self, task_id: TaskId) -> int:
        """Return how many dead letters the task has."""
        with self._open() as connection:
            return open_letters(_SqliteTransaction(connection), task_id)

    def apply(
        self,
        manifest: Manifest,
        reader: pa.RecordBatchReader,
        *,
        plan: TargetPlan,
        applied_at: datetime,
    ) -> Applied:
        """Apply one batch and move the cursor in one transaction."""
        with self._open() as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            result = apply_batch(
                _SqliteTransaction(connection),
                manifest,
                reader,
                plan=plan,
                applied_at=applied_at,
            )
            connection.execute("COMMIT")
        return result

    # Inside

    @contextmanager
    def _changing(self) -> Iterator[SqlTransaction]:
        with self._open() as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield _SqliteTransaction(connection)
            connection.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        mode = "rwc" if self._writable else "ro"
        try:
            with closing(
                sqlite3.connect(
                    f"file:{self._path.absolute()}?mode={mode}",
                    uri=True,
                    timeout=BUSY_SECONDS,
                    isolation_level=None,
                    check_same_thread=False,
                )
            ) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise Unavailable(
                "adapters.source_unavailable",
                what=Text(
                    zh=f"数据源 {self.name} 无法访问：{error}", en=f"The source {self.name} does not answer: {error}."
                ),
                remedy=Text(zh="请检查文件及权限。", en="Check the file and its permissions."),
            ) from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise Misconfigured(
                "adapters.source_damaged",
                what=Text(
                    zh=f"数据源 {self.name} 不是完好的数据库：{error}。",
                    en=f"The source {self.name} is no sound database: {error}.",
                ),
                remedy=Text(zh="请修复或从备份恢复该文件。", en="Repair the file, or restore it from a backup."),
            ) from error

    def _rows(self, statement: str, values: Sequence[object]) -> Iterator[tuple[object, ...]]:
        with self._open() as connection:
            yield from connection.execute(statement, values)

    def _whole(self, table: str, columns: tuple[Column, ...]) -> pa.RecordBatchReader:
        names = _names([column.name for column in columns])
        rows = self._rows(f"SELECT {names} FROM {quoted(table)}", [])
        return reader_of_rows(table, rows, columns, DIGEST_ROWS, _converters(columns))

    def _refuse_nulls(self, query: ReadQuery) -> None:
        condition = " OR ".join(f"{quoted(name)} IS NULL" for name in query.order)
        with self._open() as connection:
            found = connection.execute(f"SELECT 1 FROM {quoted(query.table)} WHERE {condition} LIMIT 1").fetchone()
        if found is not None:
            raise null_in_order(query.table, query.order)


class _SqliteTransaction(SqlStatements):
    """A transaction that the caller began."""

    DIALECT = SqliteDialect(paramstyle="qmark")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def quote(self, name: str) -> str:
        return quoted(name)

    def stored_columns(self, table: str) -> list[StoredColumn]:
        rows = self.execute(f"PRAGMA table_info({quoted(table)})")
        return [
            StoredColumn(str(name), _stored_type(str(declared)), str(declared), bool(required) and default is None)
            for _, name, declared, required, default, _ in rows
        ]

    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        wanted = set(columns)
        keys = {str(row[1]) for row in self.execute(f"PRAGMA table_info({quoted(table)})") if row[5]}
        if keys == wanted:
            return True
        indexes = self.execute(f"PRAGMA index_list({quoted(table)})")
        return any(
            {str(row[2]) for row in self.execute(f"PRAGMA index_info({quoted(str(name))})")} == wanted
            for _, name, unique, _, partial in indexes
            if unique and not partial
        )

    def declared(self, column: Column) -> str:
        return _declared(column)

    def stored_type(self, name: str) -> str:
        return {"float32": "float64", "boolean": "int64"}.get(name, name)

    def keeps(self, stored: StoredColumn, needed: str) -> bool:
        # What is stored as text stays as it is in any column of text affinity.
        textual = needed not in {"int64", "float64", "binary"}
        return textual and any(part in stored.declared.upper() for part in ("TEXT", "CHAR", "CLOB"))

    def widen(self, table: str, column: Column) -> None:
        # SQLite cannot change a column's type, which decides how its values are stored.
        own, name, new = quoted(table), quoted(column.name), quoted("_datong_new_" + column.name)
        self.execute(f"ALTER TABLE {own} ADD COLUMN {new} {_declared(column)}")
        self.execute(f"UPDATE {own} SET {new} = CAST({name} AS TEXT)")
        self.execute(f"ALTER TABLE {own} DROP COLUMN {name}")
        self.execute(f"ALTER TABLE {own} RENAME COLUMN {new} TO {name}")

    def has_table(self, table: str) -> bool:
        return bool(self.execute("SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?", (table,)))

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def rows(self, table: str, condition: str, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        names = _names([column.name for column in columns])
        found = self._connection.execute(f"SELECT {names} FROM {quoted(table)} WHERE {condition}")
        return iter(reader_of_rows(table, found, columns, DIGEST_ROWS, _converters(columns)))

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        # SQLite stores a NaN as NULL.
        return super().faults(batch) | float_rows(batch, infinite=False)

    def load(self, table: pa.Table, columns: tuple[Column, ...], into: str) -> None:
        definition = ", ".join(f"{quoted(column.name)} {_declared(column)}" for column in columns)
        self._connection.execute(f"CREATE TEMP TABLE {INCOMING} ({definition}, {NUMBER} INTEGER PRIMARY KEY)")
        arrays = [_storable(table.column(column.name), column) for column in columns]
        arrays.append(table.column(NUMBER).to_pylist())
        places = ", ".join("?" * len(arrays))
        self._connection.executemany(f"INSERT INTO temp.{INCOMING} VALUES ({places})", zip(*arrays, strict=True))

    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        names = _names([column.name for column in columns])
        statement = (
            f"INSERT INTO {quoted(target)} ({names}) SELECT {names} FROM temp.{INCOMING} "
            f"WHERE {NUMBER} >= ? AND {NUMBER} < ? ORDER BY {NUMBER}"
        )
        if keys:
            statement += self.upsert_clause([column.name for column in columns], keys)
        return self._attempt(statement, (first, end))

    def attempt(self, statement: str) -> str | None:
        return self._attempt(statement, ())

    def _attempt(self, statement: str, values: Sequence[object]) -> str | None:
        try:
            # A failing statement undoes itself; the transaction goes on.
            self._connection.execute(statement, values)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            return str(error)
        return None

    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        others = [name for name in columns if name not in keys]
        changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        return f" ON CONFLICT ({_names(keys)}) DO " + (f"UPDATE SET {changes}" if others else "NOTHING")

    def value(self, column: Column, alias: str) -> str:
        return f"{alias}.{quoted(column.name)}"

    def differ(self, left: str, right: str, column: Column) -> str:
        return f"({left} IS NOT {right})"

    def moment(self, at: datetime) -> str:
        return "'" + at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%fZ") + "'"

    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        names = _names([key.name for key in keys])
        chosen = f"SELECT {names} FROM temp.{INCOMING} AS i WHERE {condition}"
        self.execute(f"DELETE FROM {quoted(target)} WHERE ({names}) IN ({chosen})")

    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        match = " AND ".join(f"t.{quoted(key)} = i.{quoted(key)}" for key in keys)
        self.execute(f"UPDATE {quoted(target)} AS t SET {changes} FROM {source} AS i WHERE {condition} AND {match}")


def _names(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def _stored_type(declared: str) -> str:
    """Return the exchange's type of a target's column."""
    return {"boolean": "int64"}.get(column_type(declared), column_type(declared))


def _declared(column: Column) -> str:
    parameters = decimal_parameters(column.type)
    if parameters is not None:
        return f"TEXT_DECIMAL({parameters[0]},{parameters[1]})"
    return _TARGET_TYPES[column.type]


def _definition(table: str, columns: tuple[Column, ...], unique: tuple[str, ...]) -> str:
    parts = [f"{quoted(column.name)} {_declared(column)}" for column in columns]
    if unique:
        parts.append(f"UNIQUE ({_names(unique)})")
    return f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(parts)})"


def _stored(column: Column, text: str) -> object:
    """Return a cursor's text as the value that the column stores."""
    if column.type in {"int64", "boolean"}:
        return int(text) if column.type == "int64" else int(text == "true")
    if column.type in {"float32", "float64"}:
        return float(text)
    if column.type == "binary":
        return bytes.fromhex(text)
    if decimal_parameters(column.type) is not None and not column.source_type.startswith("TEXT_"):
        return float(text)
    return text


def _storable(values: "pa.ChunkedArray[pa.Scalar[pa.DataType]]", column: Column) -> list[object]:
    """Return an array as values that SQLite keeps without loss."""
    if column.type in {"uint64", "date", "time", "timestamp"} or decimal_parameters(column.type) is not None:
        return [None if value is None else str(value) for value in values.cast(pa.string()).to_pylist()]
    if column.type == "timestamp_utc":
        plain = values.cast(pa.timestamp("us")).cast(pa.string()).to_pylist()
        return [None if value is None else f"{value}Z" for value in plain]
    return [value.as_py() for value in values]


def _boolean(value: object) -> bool:
    if value in (0, 1):
        return bool(value)
    raise ValueError("neither 0 nor 1")


def _text(value: object) -> str:
    """Return a value of a column without a binding type as text; numbers by their shortest exact form."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError("a blob in a column of text")


def _instant(value: object) -> datetime:
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return moment


_CONVERTERS: dict[str, Convert] = {
    "boolean": _boolean,
    "string": _text,
    "uint64": lambda value: int(str(value)),
    "date": lambda value: date.fromisoformat(str(value)),
    "time": lambda value: time.fromisoformat(str(value)),
    "timestamp": lambda value: datetime.fromisoformat(str(value)),
    "timestamp_utc": _instant,
}


def _converters(columns: tuple[Column, ...]) -> dict[str, Convert]:
    result = {}
    for column in columns:
        if decimal_parameters(column.type) is not None:
            result[column.name] = decimal_of(column.type)
        elif column.type in _CONVERTERS:
            result[column.name] = _CONVERTERS[column.type]
    return result
