"""One transaction on PostgreSQL: staging, upserts, swaps of tables, and faults that the server itself catches."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.dialects import postgresql

from datong.adapters.conversion import Convert, decimal_of, far_times, may_hold_nul, reader_of_rows, rows_where
from datong.adapters.postgresql_binary import HEADER, TRAILER, encoded, in_copy_order
from datong.adapters.postgresql_catalog import column_type, literal, quoted, select_expression
from datong.adapters.postgresql_target import INTERCHANGEABLE, SAME_COLUMNS, STORED_COLUMNS, UNIQUE, lock_statement
from datong.adapters.sql_places import block, numbered
from datong.adapters.sql_statements import SqlStatements
from datong.adapters.sql_transaction import INCOMING, NUMBER, StoredColumn
from datong.exchange import Column, decimal_parameters

RETIRED = "_datong_retired"
READ_ROWS = 10_000
_TARGET_TYPES = {
    "boolean": "boolean",
    "int64": "bigint",
    "uint64": "numeric(20,0)",
    "float32": "real",
    "float64": "double precision",
    "string": "text",
    "binary": "bytea",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamp_utc": "timestamptz",
}
_FORMATTED = {
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamp_utc": "timestamp with time zone",
}


class PostgresqlTransaction(SqlStatements):
    """The transaction of one connection (autocommit is off: it begins with the first statement)."""

    DIALECT = postgresql.dialect(paramstyle="qmark")

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], *, direct: bool = True) -> None:
        self._connection = connection
        self._direct = direct

    def quote(self, name: str) -> str:
        """Return a name in double quotes."""
        return quoted(name)

    def stored_columns(self, table: str) -> list[StoredColumn]:
        """Return the columns of a table as the database has them."""
        return [
            StoredColumn(str(name), _stored_type(str(kind), str(declared)), str(declared), bool(required))
            for name, kind, declared, required in self.execute(STORED_COLUMNS, (quoted(table),))
        ]

    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether the table has a unique index on exactly these columns."""
        return bool(self.execute(UNIQUE, (quoted(table), chr(31).join(sorted(columns))))[0][0])

    def declared(self, column: Column) -> str:
        """Return the type that a new column gets."""
        return _declared(column)

    def stored_type(self, name: str) -> str:
        """Return the exchange type as the table gives it back."""
        return "decimal(20,0)" if name == "uint64" else name

    def widen(self, table: str, column: Column) -> None:
        """Give a column its new, wider type."""
        self.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column.name)} TYPE {_declared(column)}")

    def has_table(self, table: str) -> bool:
        """Whether the table is there."""
        return self.execute("SELECT to_regclass(?)::text", (quoted(table),))[0][0] is not None

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement; `?` stands for a value."""
        placed = numbered(statement) if values else statement
        with psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(placed.encode(), tuple(values) or None)
            return cursor.fetchall() if cursor.description else []

    def rows(self, table: str, condition: str, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table for which a condition holds."""
        names = ", ".join(select_expression(column) for column in columns)
        convert: dict[str, Convert] = {
            column.name: decimal_of(column.type) for column in columns if decimal_parameters(column.type) is not None
        }
        # Too large for a bigint, so it comes as text.
        convert |= {column.name: lambda text: int(str(text)) for column in columns if column.type == "uint64"}
        with psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(f"SELECT {names} FROM {quoted(table)} WHERE {condition}".encode())
            yield from reader_of_rows(table, cursor, columns, READ_ROWS, convert)

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return, by row, why PostgreSQL would refuse it whatever the table is like."""
        result = far_times(batch)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(column.type) and may_hold_nul(column):
                for row in rows_where(pc.match_substring(column, "\0")):
                    result[row] = f"列 {name} 含 NUL 字符 / column {name}: a NUL character"
        return result

    def append(self, target: str, table: pa.Table, columns: tuple[Column, ...]) -> bool:
        """Copy the rows straight into the target, if its columns are exactly these; return whether they were."""
        names, types = (
            chr(31).join(texts) for texts in zip(*[(one.name, _formatted(one)) for one in columns], strict=True)
        )
        if (
            not self._direct
            or not self.execute(SAME_COLUMNS, (len(columns), quoted(target), names, types, names))[0][0]
        ):
            return False
        self._copy(target, table, columns)
        return True

    def _copy(self, target: str, table: pa.Table, columns: Sequence[Column]) -> None:
        """Copy rows into a table whose columns have the types of `columns`."""
        ordered = in_copy_order(columns)
        names = self.names([column.name for column in ordered])
        statement = f"COPY {quoted(target)} ({names}) FROM STDIN (FORMAT binary)"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.write(HEADER)
            for rows in encoded(table, ordered):
                copy.write(rows)
            copy.write(TRAILER)

    def clear(self, stage: str) -> None:
        """Empty a stage."""
        self.execute(f"TRUNCATE {quoted(stage)}")

    def replace(self, target: str, stage: str, names: Sequence[str]) -> str | None:
        """Put the stage in the place of the target, by renaming where nothing else hangs on it."""
        if not self._swappable(target, stage):
            return super().replace(target, stage, names)
        self.execute(f"ALTER TABLE {quoted(target)} RENAME TO {quoted(RETIRED)}")
        self.execute(f"ALTER TABLE {quoted(stage)} RENAME TO {quoted(target)}")
        self.execute(f"ALTER TABLE {quoted(RETIRED)} RENAME TO {quoted(stage)}")
        return None

    def _swappable(self, target: str, stage: str) -> bool:
        """Whether `stage` may become `target`: asked before the lock, and again when nobody can change it any more."""
        pair = (quoted(target), quoted(stage))
        if not self.execute(INTERCHANGEABLE, pair)[0][0]:
            return False
        self.execute(lock_statement(quoted(target)))
        if self.execute("SELECT current_setting('datong.fault')")[0][0]:
            return False
        return bool(self.execute(INTERCHANGEABLE, pair)[0][0])

    def load(self, table: pa.Table, columns: tuple[Column, ...], into: str) -> None:
        """Copy the rows into a temporary table of the types that a new table would get."""
        numbered = (*columns, Column(name=NUMBER, type="int64"))
        definitions = ", ".join(f"{quoted(column.name)} {_declared(column)}" for column in numbered)
        self.execute(f"CREATE TEMPORARY TABLE {INCOMING} ({definitions})")
        self._copy(INCOMING, table, numbered)

    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        """Insert a span of the loaded rows; return why it was refused."""
        names = self.names([column.name for column in columns])
        casts = ", ".join(f"{quoted(column.name)}::{_declared(column)}" for column in columns)
        statement = (
            f"INSERT INTO {quoted(target)} ({names}) SELECT {casts} FROM {INCOMING} "
            f"WHERE {NUMBER} >= {first} AND {NUMBER} < {end} ORDER BY {NUMBER}"
        )
        if keys:
            statement += self.upsert_clause([column.name for column in columns], keys)
        return self.attempt(statement)

    def attempt(self, statement: str) -> str | None:
        """Run a statement that a row may fail; return the reason."""
        # The driver gives up a transaction at its first error, so the server itself catches the row's fault: class 22
        # is a data exception, 23 a constraint violation (SQL standard), 21 two rows of one key for one upsert; any
        # other error ends the transaction.
        self.execute(
            block(
                f"{statement}; PERFORM set_config('datong.fault', '', true); "
                "EXCEPTION WHEN data_exception OR integrity_constraint_violation OR cardinality_violation THEN "
                "PERFORM set_config('datong.fault', SQLSTATE || ' ' || SQLERRM, true);"
            )
        )
        reason = self.execute("SELECT current_setting('datong.fault')")[0][0]
        return str(reason) if reason else None

    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        """Return what makes an insert an upsert."""
        others = [name for name in columns if name not in keys]
        changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        return f" ON CONFLICT ({self.names(keys)}) DO " + (f"UPDATE SET {changes}" if others else "NOTHING")

    def value(self, column: Column, alias: str) -> str:
        """Return a loaded value in its declared type."""
        return f"{alias}.{quoted(column.name)}::{_declared(column)}"

    def differ(self, left: str, right: str, column: Column) -> str:
        """Return the condition that two values differ, NULL being a value."""
        return f"{left} IS DISTINCT FROM {right}"

    def moment(self, at: datetime) -> str:
        """Return an instant as a literal."""
        return literal(at.isoformat()) + "::timestamptz"

    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        """Delete the rows that loaded ones name."""
        match = " AND ".join(f"t.{quoted(key.name)} = {self.value(key, 'i')}" for key in keys)
        self.execute(f"DELETE FROM {quoted(target)} AS t USING {INCOMING} AS i WHERE {condition} AND {match}")

    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        """Change the rows that those of `source` name."""
        match = " AND ".join(f"t.{quoted(key)} = i.{quoted(key)}" for key in keys)
        self.execute(f"UPDATE {quoted(target)} AS t SET {changes} FROM {source} AS i WHERE {condition} AND {match}")


def _formatted(column: Column) -> str:
    """Return the declared type as `format_type` writes it."""
    return _FORMATTED.get(column.type) or _declared(column)


def _stored_type(kind: str, declared: str) -> str:
    """Return the exchange's type of a target's column: of text only what takes any text, of numerics also unbounded."""
    if kind == "numeric" and declared == "numeric":
        return "decimal(38,19)"
    found = column_type(kind, declared)
    return declared if found == "string" and kind not in {"text", "varchar", "bpchar"} else found


def _declared(column: Column) -> str:
    parameters = decimal_parameters(column.type)
    return f"numeric({parameters[0]},{parameters[1]})" if parameters is not None else _TARGET_TYPES[column.type]


def definition(table: str, columns: tuple[Column, ...], unique: tuple[str, ...]) -> str:
    """Return the statement that creates a table if it is missing."""
    parts = [f"{quoted(column.name)} {_declared(column)}" for column in columns]
    if unique:
        parts.append(f"UNIQUE ({', '.join(quoted(name) for name in unique)})")
    return f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(parts)})"
