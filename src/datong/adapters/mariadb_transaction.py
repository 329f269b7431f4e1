"""The transaction of one MariaDB or MySQL connection: what the shared SQL target asks of an engine, in its words."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pymysql
from sqlalchemy.dialects import mysql

from datong.adapters.conversion import far_times, float_rows
from datong.adapters.mariadb_catalog import STORED_COLUMNS, UNIQUE, column_type, quoted
from datong.adapters.mariadb_literals import insert_statements, literal_bytes, literal_bytes_max, row_too_long
from datong.adapters.mariadb_stream import RowStream, batches_of_lines, joined_select
from datong.adapters.sql_places import formatted
from datong.adapters.sql_statements import SqlStatements
from datong.adapters.sql_transaction import INCOMING, NUMBER, StoredColumn
from datong.exchange import Column, decimal_parameters

LOAD_ROWS = 1_000
PACKET_BYTES_SAFE, PACKET_BYTES_SPARED = 1 << 20, 1024
"""So long a statement every server takes; so much the words around its rows need."""
KEY_CHARS_MAX = 700
"""InnoDB indexes at most 3072 bytes, four bytes a character: shared by a key's columns."""

_TARGET_TYPES = {
    "boolean": "TINYINT(1)",
    "int64": "BIGINT",
    "uint64": "BIGINT UNSIGNED",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "string": "LONGTEXT",
    "binary": "LONGBLOB",
    "date": "DATE",
    "time": "TIME(6)",
    "timestamp": "DATETIME(6)",
    "timestamp_utc": "DATETIME(6)",
}
_ROW_FAULTS = {1048, 1062, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1452, 1690, 3819, 4025}
"""Server errors of a row's own values: NULL, duplicate, out of range, truncated, wrong, too long, constraint."""


class MariadbTransaction(SqlStatements):
    """The transaction of one connection (autocommit is off: it begins with the first statement)."""

    def __init__(self, connection: RowStream) -> None:
        self._connection = connection

    DIALECT = mysql.dialect(paramstyle="qmark")
    LONG_TEXT = "LONGTEXT"
    TABLE_OPTIONS = " ENGINE=InnoDB CHARACTER SET utf8mb4"
    DROP_TEMPORARY = "DROP TEMPORARY TABLE"
    """Without the word the server commits, whatever kind of table it drops: rows would stand without their cursor."""

    def quote(self, name: str) -> str:
        """Return `name` as an identifier."""
        return quoted(name)

    FRACTION_DIGITS_DEFAULT = 0

    def stored_columns(self, table: str) -> list[StoredColumn]:
        """Return the columns of a table."""
        return [
            StoredColumn(
                str(name),
                column_type(str(kind), str(full), _number(precision), _number(scale), zero_dates_as_text=False),
                str(full),
                required == 1 or str(required) == "1",
            )
            for name, kind, full, precision, scale, required in self.execute(STORED_COLUMNS, (table,))
        ]

    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether a unique index covers exactly these columns."""
        found = self.execute(UNIQUE, (table,))
        return any(set(str(names).split(chr(31))) == set(columns) for (names,) in found)

    def declared(self, column: Column) -> str:
        """Return the type that a column gets here."""
        return _declared(column)

    def stored_type(self, name: str) -> str:
        """Return the exchange's type of a column that was made for the exchange's type `name`."""
        return {"boolean": "int64", "time": "string", "timestamp_utc": "timestamp"}.get(name, name)

    def widen(self, table: str, column: Column) -> None:
        """Give a column the type of `column`, which holds every value that it has."""
        self.execute(f"ALTER TABLE {quoted(table)} MODIFY COLUMN {quoted(column.name)} {_declared(column)} NULL")

    def has_table(self, table: str) -> bool:
        """Whether there is a table of that name."""
        query = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?"
        return bool(self.execute(query, (table,)))

    def commit(self) -> None:
        """Commit; the next statement begins another transaction."""
        self._connection.commit()

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a statement (its places are `?`) and return its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(_placed(statement, values), tuple(values) or None)
            return list(cursor.fetchall())

    def limit(self, seconds: float) -> None:
        """Have statements of this connection end after some seconds: MariaDB counts seconds, MySQL milliseconds."""
        version = str(self.execute("SELECT VERSION()")[0][0])
        if "mariadb" in version.lower():
            self.execute(f"SET SESSION max_statement_time = {seconds:.3f}")
        else:
            self.execute(f"SET SESSION max_execution_time = {max(1, int(seconds * 1000))}")

    def literal(self, condition: str, values: Sequence[object]) -> str:
        """Return a condition with its places filled in by the driver."""
        if not values:
            return condition
        with self._connection.cursor() as cursor:
            return str(cursor.mogrify(_placed(condition, values), tuple(values)))

    def batches(
        self, table: str, statement: str, values: Sequence[object], columns: tuple[Column, ...], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a statement over `joined_select` finds."""
        lines = self._connection.lines(self.literal(statement, values), table, columns)
        yield from batches_of_lines(lines, table, columns, batch_rows)

    def rows(self, table: str, condition: str, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table for which a condition holds."""
        declared = {stored.name: stored.declared for stored in self.stored_columns(table)}
        typed = tuple(one.model_copy(update={"source_type": declared.get(one.name, "")}) for one in columns)
        statement = f"SELECT {joined_select(typed)} FROM {quoted(table)} WHERE {condition}"
        return self.batches(table, statement, [], typed, LOAD_ROWS)

    def stream(self, statement: str, values: Sequence[object]) -> Iterator[tuple[object, ...]]:
        """Run a statement (its places are `?`) and yield its rows as they come."""
        with self._connection.cursor() as cursor:
            cursor.execute(_placed(statement, values), tuple(values) or None)
            while rows := cursor.fetchmany(LOAD_ROWS):
                yield from rows

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that this database could not even load, each with the reason."""
        self._require_room(batch)
        return far_times(batch) | float_rows(batch, infinite=True)

    def load(self, table: pa.Table, columns: tuple[Column, ...], into: str) -> None:
        """Put `table` (the columns, then `_datong_n`) into a new temporary table `_datong_in`."""
        definition = ", ".join(f"{quoted(column.name)} {_declared(column)}" for column in columns)
        self.execute(
            f"CREATE TEMPORARY TABLE {INCOMING} ({definition}, {NUMBER} BIGINT PRIMARY KEY) "
            "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
        )
        for statement in insert_statements(INCOMING, table, columns, NUMBER):
            self._connection.query(statement)

    def _require_room(self, batch: pa.RecordBatch) -> None:
        """Check that the server takes a statement of the longest row; its dead letter would be as long.

        Raises:
            Misconfigured: `adapters.row_too_long`.
        """
        bounds = literal_bytes_max(batch)
        if bounds.max(initial=0) >= PACKET_BYTES_SAFE:
            packet = int(str(self.execute("SELECT @@max_allowed_packet")[0][0])) - PACKET_BYTES_SPARED
            suspects = pa.array((bounds > packet).nonzero()[0], pa.int64())
            needed = int(literal_bytes(batch.take(suspects)).max(initial=0))
            if needed > packet:
                raise row_too_long(needed)

    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        """Insert, or upsert when there are keys, the rows of `_datong_in` with first ≤ number < end."""
        names = ", ".join(quoted(column.name) for column in columns)
        statement = (
            f"INSERT INTO {quoted(target)} ({names}) SELECT {names} FROM {INCOMING} "
            f"WHERE {NUMBER} >= {first} AND {NUMBER} < {end} ORDER BY {NUMBER}"
        )
        if keys:
            statement += self.upsert_clause([column.name for column in columns], keys)
        return self.attempt(statement)

    def attempt(self, statement: str) -> str | None:
        """Run a statement; return None, or the database's reason when it refused a value and did nothing."""
        self.execute("SAVEPOINT datong_range")
        try:
            self.execute(statement)
        except pymysql.MySQLError as error:
            if not error.args or error.args[0] not in _ROW_FAULTS:
                raise
            self.execute("ROLLBACK TO SAVEPOINT datong_range")
            return str(error.args[-1])
        self.execute("RELEASE SAVEPOINT datong_range")
        return None

    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        """Return what makes an INSERT … SELECT … WHERE update the rows whose keys are there already."""
        others = [name for name in columns if name not in keys] or [keys[0]]
        changes = ", ".join(f"{quoted(name)} = VALUES({quoted(name)})" for name in others)
        return f" ON DUPLICATE KEY UPDATE {changes}"

    def value(self, column: Column, alias: str) -> str:
        """Return a value of `_datong_in` (called `alias`) as the target stores it."""
        return f"{alias}.{quoted(column.name)}"

    def differ(self, left: str, right: str, column: Column) -> str:
        # A department's own table may have a collation that takes unlike texts for the same.
        """Return the condition that two values of `column`'s type are not the same; NULL is the same as NULL."""
        binary = "BINARY " if column.type == "string" else ""
        return f"(NOT ({binary}{left} <=> {binary}{right}))"

    def moment(self, at: datetime) -> str:
        """Return an instant as a literal of the type that the target gives instants."""
        return "CAST('" + at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") + "' AS DATETIME(6))"

    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        """Delete the rows of `target` whose keys are those of rows of `_datong_in` (called `i`) with `condition`."""
        match = " AND ".join(f"t.{quoted(key.name)} = i.{quoted(key.name)}" for key in keys)
        self.execute(f"DELETE t FROM {quoted(target)} AS t JOIN {INCOMING} AS i ON {match} WHERE {condition}")

    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        """Change the rows of `target` (called `t`) that have the keys of a row of `source` (called `i`)."""
        match = " AND ".join(f"t.{quoted(key)} = i.{quoted(key)}" for key in keys)
        self.execute(f"UPDATE {quoted(target)} AS t JOIN {source} AS i ON {match} SET {changes} WHERE {condition}")


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _placed(statement: str, values: Sequence[object]) -> str:
    """Return a statement with `?` places as the driver wants it."""
    return formatted(statement) if values else statement


def _declared(column: Column) -> str:
    parameters = decimal_parameters(column.type)
    return f"DECIMAL({parameters[0]},{parameters[1]})" if parameters is not None else _TARGET_TYPES[column.type]


def definition(table: str, columns: tuple[Column, ...], unique: tuple[str, ...]) -> str:
    """Return the definition of a target table, in a collation that tells every two texts apart."""
    parts = []
    for column in columns:
        kind = _declared(column)
        if column.name in unique and column.type in {"string", "binary"}:
            size = KEY_CHARS_MAX // len(unique)
            kind = f"VARCHAR({size})" if column.type == "string" else f"VARBINARY({size})"
        parts.append(f"{quoted(column.name)} {kind} NULL")
    if unique:
        parts.append(f"UNIQUE KEY ({', '.join(quoted(name) for name in unique)})")
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(parts)}) "
        "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    )


def after(order: tuple[Column, ...], texts: tuple[str, ...]) -> tuple[str, list[object]]:
    """Return the condition and the values that select the rows after a cursor."""
    values: list[object] = []
    for column, text in zip(order, texts, strict=True):
        if column.type in {"int64", "uint64"}:
            values.append(int(text))
        elif column.type in {"float32", "float64"}:
            values.append(float(text))
        elif column.type == "binary":
            values.append(bytes.fromhex(text))
        elif decimal_parameters(column.type) is not None:
            values.append(Decimal(text))
        else:
            values.append(text.removesuffix("Z") if column.type == "timestamp_utc" else text)
    names = ", ".join(quoted(column.name) for column in order)
    return f"({names}) > ({', '.join('?' * len(order))})", values
