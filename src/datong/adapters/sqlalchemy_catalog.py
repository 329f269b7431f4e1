"""What SQLAlchemy's reflection says of a database's tables, and which exchange type each column's type becomes.

A type without a lossless counterpart is refused with the reason, so that nobody learns of it from a wrong value.
"""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import Inspector

from datong.exchange import Column, ForeignKey, RefusedColumn, TableKind, TableSchema
from datong.exchange.decimals import DECIMAL_PRECISION_MAX
from datong.kernel import Text

TEXT_DIALECTS = frozenset({"sqlite", "postgresql", "mysql", "mariadb", "duckdb"})
"""Engines known to print every value of any type by `CAST(… AS text)` without shortening it."""
FRACTION_DIGITS_MAX = 6
"""Times travel as microseconds."""
_SEVEN_DIGITS = frozenset({"DATETIME2", "DATETIMEOFFSET", "TIME"})
"""SQL Server's types whose fraction has seven digits unless they are declared with fewer."""
_MYSQL = frozenset({"mysql", "mariadb"})
_SINGLE = {
    ("mysql", "FLOAT"),
    ("mariadb", "FLOAT"),
    ("postgresql", "REAL"),
    ("mssql", "REAL"),
    ("oracle", "BINARY_FLOAT"),
}
"""What has single precision; elsewhere FLOAT and REAL are double."""
_MONEY = {"MONEY": "decimal(19,4)", "SMALLMONEY": "decimal(10,4)"}


def mapped_column(dialect: str, reflected: ReflectedColumn) -> Column | RefusedColumn:
    """Return a reflected column with its exchange type, or with the reason why it has none."""
    kind = reflected["type"]
    declared = declared_type(kind)
    found = exchange_type(dialect, kind)
    if isinstance(found, Text):
        return RefusedColumn(name=reflected["name"], source_type=declared, reason=found)
    return Column(
        name=reflected["name"],
        type=found,
        nullable=bool(reflected.get("nullable", True)),
        source_type=declared,
        comment=reflected.get("comment") or "",
    )


def exchange_type(dialect: str, kind: types.TypeEngine[Any]) -> str | Text:
    """Return the exchange's type of an SQLAlchemy type, or why there is none."""
    name = type(kind).__name__.upper()
    if dialect == "mssql" and name in _MONEY:
        return _MONEY[name]
    digits = getattr(kind, "precision", None)
    if dialect == "mssql" and name in _SEVEN_DIGITS and (digits is None or digits > FRACTION_DIGITS_MAX):
        return Text(
            zh=f"{name} 精确到 100 纳秒，交换只到微秒；请在视图中转换为 {name}(6)。",
            en=f"{name} counts 100 nanoseconds, the exchange microseconds; cast it to {name}(6) in a view.",
        )
    # Oracle's NUMBER is a whole number to SQLAlchemy, too, so numerics come first.
    for family, rule in _RULES:
        if isinstance(kind, family):
            return rule(dialect, kind)
    return _as_text(dialect, kind)


def table_schemas(inspector: Inspector, dialect: str) -> list[TableSchema]:
    """Return every table and view of the connection's schema, sorted by name."""
    found = [(name, TableKind.TABLE) for name in inspector.get_table_names()]
    found += [(name, TableKind.VIEW) for name in inspector.get_view_names()]
    return [table_schema(inspector, dialect, name, kind) for name, kind in sorted(found)]


def named_schema(inspector: Inspector, dialect: str, table: str) -> TableSchema | None:
    """Return the schema of the table or view of that name, if there is one."""
    if not inspector.has_table(table):
        return None
    kind = TableKind.VIEW if table in inspector.get_view_names() else TableKind.TABLE
    return table_schema(inspector, dialect, table, kind)


def table_schema(inspector: Inspector, dialect: str, table: str, kind: TableKind) -> TableSchema:
    """Return the schema of one table."""
    mapped = [mapped_column(dialect, reflected) for reflected in inspector.get_columns(table)]
    is_table = kind is TableKind.TABLE
    columns = tuple(one for one in mapped if isinstance(one, Column))
    keys = inspector.get_pk_constraint(table)["constrained_columns"] if is_table else []
    known = {column.name for column in columns}
    return TableSchema(
        table=table,
        columns=columns,
        key_columns=tuple(keys) if set(keys) <= known else (),
        foreign_keys=_foreign_keys(inspector, table) if is_table else (),
        comment=_comment(inspector, table),
        kind=kind,
        refused=tuple(one for one in mapped if isinstance(one, RefusedColumn)),
    )


def select_expression(dialect: str, column: Column) -> sa.ColumnElement[Any]:
    """Return what reads `column`, without SQLAlchemy's own conversions: the driver's value or the engine's own text."""
    plain: sa.ColumnElement[Any] = sa.column(column.name)
    declared = column.source_type.split("(")[0]
    if column.type == "string" and dialect in TEXT_DIALECTS and not _is_text(declared):
        plain = sa.cast(plain, sa.CHAR if dialect in _MYSQL else sa.TEXT)
    elif column.type == "string" and declared in {"UUID", "UNIQUEIDENTIFIER"}:
        plain = sa.cast(plain, sa.String(36))
    elif column.type == "float32" and dialect in _MYSQL:
        # The server prints a FLOAT with six digits only; as a DOUBLE it prints all of them.
        plain = sa.cast(plain, sa.Double)
    elif column.type == "timestamp_utc" and dialect == "oracle":
        # Its driver drops the zone of what it returns.
        plain = sa.func.sys_extract_utc(plain)
    return sa.type_coerce(plain, types.NullType()).label(column.name)


def _integer(_dialect: str, kind: types.TypeEngine[Any]) -> str:
    unsigned = bool(getattr(kind, "unsigned", False))
    return "uint64" if unsigned and isinstance(kind, types.BigInteger) else "int64"


def _float(dialect: str, kind: types.TypeEngine[Any]) -> str:
    return "float32" if (dialect, type(kind).__name__.upper()) in _SINGLE else "float64"


def _numeric(dialect: str, kind: types.TypeEngine[Any]) -> str | Text:
    precision, scale = getattr(kind, "precision", None), getattr(kind, "scale", None) or 0
    if precision is not None and 0 <= scale <= precision <= DECIMAL_PRECISION_MAX:
        return f"decimal({precision},{scale})"
    return _as_text(dialect, kind)


def _moment(dialect: str, kind: types.TypeEngine[Any]) -> str:
    zoned = getattr(kind, "timezone", False) or (dialect in _MYSQL and type(kind).__name__.upper() == "TIMESTAMP")
    return "timestamp_utc" if zoned else "timestamp"


def _time(dialect: str, kind: types.TypeEngine[Any]) -> str | Text:
    # A time of day with a zone, and MySQL's TIME, which counts up to 838 hours, are no times of day.
    plain = not getattr(kind, "timezone", False) and dialect not in _MYSQL
    return "time" if plain else _as_text(dialect, kind)


def _as_text(dialect: str, kind: types.TypeEngine[Any]) -> str | Text:
    """Return that a type travels as the engine's own text, where the engine is known to print all of it."""
    name = type(kind).__name__.upper()
    if dialect in TEXT_DIALECTS or name in {"UUID", "UNIQUEIDENTIFIER", "ENUM"}:
        return "string"
    return Text(
        zh=f"类型 {name} 没有无损的对应类型；请在视图中转换为文本或精度不超过 38 的数字。",
        en=f"The type {name} has no lossless counterpart; cast it to text, or to at most 38 digits, in a view.",
    )


def _always(name: str) -> "_Rule":
    return lambda _dialect, _kind: name


_Rule = Callable[[str, types.TypeEngine[Any]], str | Text]
_RULES: tuple[tuple[type[types.TypeEngine[Any]], _Rule], ...] = (
    (types.Boolean, _always("boolean")),
    (types.Float, _float),
    (types.Numeric, _numeric),
    (types.Integer, _integer),
    (types.Enum, _as_text),
    (types.Uuid, _as_text),
    (types.JSON, _as_text),
    (types.String, _always("string")),
    (types.LargeBinary, _always("binary")),
    (mysql.TINYBLOB, _always("binary")),
    (mysql.MEDIUMBLOB, _always("binary")),
    (mysql.LONGBLOB, _always("binary")),
    (types.BINARY, _always("binary")),
    (types.VARBINARY, _always("binary")),
    (types.DateTime, _moment),
    (types.Date, _always("date")),
    (types.Time, _time),
)
"""The families of types, the narrower before the wider; whatever is in none of them travels as text or not at all."""


def _is_text(declared: str) -> bool:
    return any(part in declared for part in ("CHAR", "TEXT", "CLOB", "STRING"))


def declared_type(kind: types.TypeEngine[Any]) -> str:
    """Return a type's name with its parameters; a dialect's own rendering fails on what it does not know."""
    parts = [getattr(kind, name, None) for name in ("precision", "scale", "length", "fsp")]
    numbers = ",".join(str(part) for part in parts if isinstance(part, int))
    return type(kind).__name__.upper() + (f"({numbers})" if numbers else "")


def _comment(inspector: Inspector, table: str) -> str:
    try:
        return str(inspector.get_table_comment(table)["text"] or "")
    except NotImplementedError:
        return ""


def _foreign_keys(inspector: Inspector, table: str) -> tuple[ForeignKey, ...]:
    return tuple(
        ForeignKey(
            columns=tuple(key["constrained_columns"]),
            other_table=key["referred_table"],
            other_columns=tuple(key["referred_columns"]),
        )
        for key in inspector.get_foreign_keys(table)
    )


def keyset_condition(names: Sequence[str], values: Sequence[object]) -> sa.ColumnElement[bool]:
    """Return the condition for the rows behind a cursor, written out because not every engine compares tuples."""
    options: list[sa.ColumnElement[bool]] = []
    for place, name in enumerate(names):
        equal = [sa.column(before) == value for before, value in zip(names[:place], values, strict=False)]
        options.append(sa.and_(*equal, sa.column(name) > values[place]))
    return sa.or_(*options)
