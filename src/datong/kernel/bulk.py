"""Many rows of one table in one statement.

PostgreSQL gets the rows as one JSON document, so that the statement's text stays the same for any number of rows and is
planned once; SQLite runs one prepared statement per row, which costs it no round trip.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, Insert, Select, Table, bindparam, insert, select
from sqlalchemy.dialects import postgresql

Rows = Sequence[Mapping[str, object]]
"""Rows that all have the same columns."""


def insert_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_from_document(table, tuple(rows[0])), _document(rows))
    else:
        connection.execute(_insert(table), list(rows))


def insert_numbered(connection: Connection, table: Table, rows: Rows, *, by: str) -> dict[str, int]:
    """Insert rows into a table that numbers them by its primary key; return the numbers by the unique column `by`."""
    if not rows:
        return {}
    if connection.dialect.name == "postgresql":
        (serial_column,) = table.primary_key.columns
        statement = f"{_from_document(table, tuple(rows[0]))} RETURNING {by}, {serial_column.name}"
        found = connection.exec_driver_sql(statement, _document(rows))
    elif len(rows) == 1:
        number = connection.execute(_insert(table), rows[0]).inserted_primary_key
        return {str(rows[0][by]): int(number[0])} if number else {}
    else:
        connection.execute(_insert(table), list(rows))
        found = connection.execute(_numbers(table, by), {"of_keys": [row[by] for row in rows]})
    return {str(key): int(serial) for key, serial in found}


@cache
def _insert(table: Table) -> Insert:
    """Return a table's insert, made once: building a statement costs more than running it."""
    return insert(table)


@cache
def _numbers(table: Table, by: str) -> Select[tuple[object, ...]]:
    (number,) = table.primary_key.columns
    return select(table.c[by], number).where(table.c[by].in_(bindparam("of_keys", expanding=True)))


@cache
def _from_document(table: Table, columns: tuple[str, ...]) -> str:
    """Return the statement that inserts the rows of a JSON document, in their order."""
    dialect = postgresql.dialect()
    typed = ", ".join(f"{name} {table.c[name].type.compile(dialect)}" for name in columns)
    names = ", ".join(columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM json_to_recordset(%(rows)s::json) AS given({typed})"


def _document(rows: Rows) -> dict[str, str]:
    return {"rows": json.dumps(rows, ensure_ascii=False, default=_text_of)}


def _text_of(value: object) -> str:
    """Return how PostgreSQL reads a value that JSON has no form for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"no column holds {type(value).__name__}")
