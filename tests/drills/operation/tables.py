"""The rows of a table as its own server tells them, in a form in which two kinds of servers can be compared."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pymysql

Rows = dict[str, list[object]]
"""Columns by name, in the order of the first one, which is a key."""


def comparable(value: object) -> object:
    """Return a value without what only one kind of server has: booleans are numbers, instants are in UTC."""
    match value:
        case bool():
            return int(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case memoryview() | bytearray():
            return bytes(value)
    return value


def postgresql_rows(url: str, table: str, keys: Iterable[str] = ()) -> Rows:
    """Return a table's columns, or those called `keys`."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(f'SELECT {", ".join(keys) or "*"} FROM "{table}" ORDER BY 1'.encode())
        names = [column.name for column in cursor.description or ()]
        return _columns(names, cursor.fetchall())


def mariadb_rows(url: str, table: str, keys: Iterable[str] = ()) -> Rows:
    """Return a table's columns, or those called `keys`."""
    place = urlsplit(url)
    connection = pymysql.connect(
        host=place.hostname,
        port=place.port or 3306,
        user=place.username,
        password=place.password or "",
        database=place.path.lstrip("/"),
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(f"SELECT {', '.join(keys) or '*'} FROM `{table}` ORDER BY 1")
            names = [str(column[0]) for column in cursor.description or ()]
            return _columns(names, cursor.fetchall())
    finally:
        connection.close()


def _columns(names: list[str], rows: Iterable[tuple[object, ...]]) -> Rows:
    held = list(rows)
    return {name: [comparable(row[place]) for row in held] for place, name in enumerate(names)}
