"""Many rows of several tables in one statement.

PostgreSQL gets each column as one array, and all tables in one statement, which is one round trip and commits as a
whole; its text does not vary with the number of rows, so it is planned once. SQLite runs one prepared statement per
row, which costs it no round trip.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import JSON, BigInteger, Boolean, Connection, Integer, LargeBinary, String, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from datong.kernel.binary_arrays import (
    BLOBS,
    BOOLEANS,
    INTEGERS,
    LONG_INTEGERS,
    TEXTS,
    TIMES,
    Elements,
    binary_array,
)
from datong.kernel.database import UtcDateTime

_ELEMENTS: tuple[tuple[type, Elements], ...] = (
    (String, TEXTS),
    (JSON, TEXTS),
    (LargeBinary, BLOBS),
    (UtcDateTime, TIMES),
    (Boolean, BOOLEANS),
    (BigInteger, LONG_INTEGERS),
    (Integer, INTEGERS),
)
"""By the type of a column; `BigInteger` is an `Integer`, too."""
Rows = Sequence[Mapping[str, object]]
"""Rows that all have the same columns."""
_SQLITE_TIME = "%Y-%m-%d %H:%M:%S.%f"


class JsonText(str):
    """A JSON document that is written already."""

    __slots__ = ()


class Part(NamedTuple):
    """Rows of one table, to be written with those of others.

    `refers`: by a column, the table of an earlier part whose number (its primary key) it is to hold, and the unique
    column of that table by which these rows name it.
    """

    table: Table
    rows: Rows
    refers: Mapping[str, tuple[Table, str]] = {}


class _Form(NamedTuple):
    """What a statement depends on: the parts' tables, columns, and references as (column, table, unique column)."""

    table: Table
    columns: tuple[str, ...]
    refers: tuple[tuple[str, Table, str], ...]


def insert_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows of one table."""
    insert_together(connection, (Part(table, rows),))


def insert_together(connection: Connection, parts: Sequence[Part]) -> None:
    """Insert the rows of several tables in the caller's transaction; on PostgreSQL it is one statement.

    Raises:
        IntegrityError: a row is there already, or what it refers to is not.
    """
    filled = [part for part in parts if part.rows]
    if not filled:
        return
    forms = tuple(
        _Form(part.table, tuple(part.rows[0]), tuple((name, *to) for name, to in part.refers.items()))
        for part in filled
    )
    if connection.dialect.name == "postgresql":
        arrays = tuple(
            _array_of(part.rows, name, to_driver, elements)
            for part, form in zip(filled, forms, strict=True)
            for (name, to_driver), elements in zip(_to_driver(form, _aware), _elements(form), strict=True)
        )
        connection.exec_driver_sql(_in_one(forms), arrays)
        return
    for part, form in zip(filled, forms, strict=True):
        to_driver = _to_driver(form, _sqlite_time)
        rows = [tuple(one(row[name]) if one else row[name] for name, one in to_driver) for row in part.rows]
        connection.exec_driver_sql(_each(form), rows)


def rows_of(
    connection: Connection, table: Table, by: tuple[str, ...], keys: Sequence[tuple[str, ...]], wanted: str
) -> dict[tuple[str, ...], int]:
    """Return by key the whole number in the column `wanted` of the rows whose texts in `by` are that key."""
    if not keys:
        return {}
    columns = ", ".join(by)
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(["%b::text[]"] * len(by))
        statement = (
            f"SELECT {columns}, {wanted} FROM {table.name} JOIN unnest({arrays}) AS given({columns}) USING ({columns})"
        )
        parameters: tuple[object, ...] = tuple(binary_array(TEXTS, column) for column in zip(*keys, strict=True))
    else:
        marks = ", ".join([f"({', '.join('?' * len(by))})"] * len(keys))
        statement = f"SELECT {columns}, {wanted} FROM {table.name} WHERE ({columns}) IN (VALUES {marks})"
        parameters = tuple(value for key in keys for value in key)
    return {tuple(key): int(value) for *key, value in connection.exec_driver_sql(statement, parameters)}


@cache
def _in_one(forms: tuple[_Form, ...]) -> str:
    """Return PostgreSQL's statement for all parts. Foreign keys are looked at when it ends."""
    wanted = {table for form in forms for _, table, _ in form.refers}
    inserts = []
    for number, form in enumerate(forms):
        arrays = ", ".join(f"%b::{_array(form, name)}" for name in form.columns)
        insert = (
            f"INSERT INTO {form.table.name} ({', '.join(form.columns)}) SELECT {', '.join(_selected(form))} "
            f"FROM unnest({arrays}) AS given({', '.join(form.columns)})"
        )
        for name, table, by in form.refers:
            insert += f" JOIN new_{table.name} ON new_{table.name}.{by} = given.{name}"
        if form.table in wanted:
            insert += f" RETURNING {form.table.name}.*"
        inserts.append(insert if number == len(forms) - 1 else f"new_{form.table.name} AS ({insert})")
    return f"WITH {', '.join(inserts[:-1])} {inserts[-1]}" if inserts[:-1] else inserts[-1]


def _selected(form: _Form) -> list[str]:
    refers = {name: f"new_{table.name}.{_number(table)}" for name, table, _ in form.refers}
    return [
        refers.get(name) or (f"given.{name}::jsonb" if _is_json(form.table, name) else f"given.{name}")
        for name in form.columns
    ]


def _array(form: _Form, name: str) -> str:
    """Return the type of the array of a column; texts have no length here, so that one too long is refused."""
    for column, table, by in form.refers:
        if column == name:
            return _array(_Form(table, (), ()), by)
    kind = form.table.c[name].type
    if isinstance(kind, String) or _is_json(form.table, name):
        return "text[]"
    return f"{kind.compile(postgresql.dialect())}[]"


@cache
def _each(form: _Form) -> str:
    """Return SQLite's statement for one row of a part."""
    values = ["?"] * len(form.columns)
    for name, table, by in form.refers:
        values[form.columns.index(name)] = f"(SELECT {_number(table)} FROM {table.name} WHERE {by} = ?)"
    return f"INSERT INTO {form.table.name} ({', '.join(form.columns)}) VALUES ({', '.join(values)})"


def _array_of(rows: Rows, name: str, to_driver: "ToDriver", elements: Elements | None) -> object:
    values = [to_driver(row[name]) for row in rows] if to_driver else [row[name] for row in rows]
    return values if elements is None else binary_array(elements, values)


@cache
def _elements(form: _Form) -> tuple[Elements | None, ...]:
    """Return by column how the elements of its array are written; None: the driver does it."""
    refers = {column: (table, by) for column, table, by in form.refers}
    found = []
    for name in form.columns:
        table, by = refers.get(name, (form.table, name))
        kind: TypeEngine[object] = table.c[by].type
        found.append(next((elements for known, elements in _ELEMENTS if isinstance(kind, known)), None))
    return tuple(found)


def _number(table: Table) -> str:
    (column,) = table.primary_key.columns
    return str(column.name)


ToDriver = Callable[[object], object] | None


@cache
def _to_driver(form: _Form, time: ToDriver) -> tuple[tuple[str, ToDriver], ...]:
    """Return by column how its values are made ready for the driver, times by `time`; None: they are as they are."""
    by_type = ((JSON, _json_text), (UtcDateTime, time))
    return tuple(
        (name, next((ready for kind, ready in by_type if isinstance(form.table.c[name].type, kind)), None))
        for name in form.columns
    )


def _is_json(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, JSON)


def _json_text(value: object) -> str:
    return value if isinstance(value, JsonText) else json.dumps(value, ensure_ascii=False)


def _aware(value: object) -> datetime | None:
    """Return a time; a naive one is refused before it reaches the database, as by `UtcDateTime`."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a naive datetime cannot be stored")
    return value


def _sqlite_time(value: object) -> str | None:
    """Return a time as SQLAlchemy writes it into SQLite: in UTC, without saying so."""
    at = _aware(value)
    return None if at is None else at.astimezone(UTC).strftime(_SQLITE_TIME)
