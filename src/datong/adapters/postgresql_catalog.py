"""What PostgreSQL's own catalogue says of its tables, and how a table, a sample and a moment are asked for.

A table of the connection's schema goes by its bare name. One of another schema is called `schema.table`; so is one of
the connection's schema whose own name holds a dot, so that every name means one table.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from datong.exchange import Column, ForeignKey, TableKind, TableSchema

ROWS_PER_PAGE_GUESS = 60
"""How many rows a page may hold in a table that was never analysed."""
SAMPLE_TEXT_CHARS_MAX = 4_000
SAMPLE_MARGIN = 1.3
PAGE_BYTES = 8192
SAMPLE_PAGES_MIN = 64
"""Smaller tables are read from their beginning: of a few pages a sample may well be none."""
SAMPLE_SEED = 20
_SIMPLE = {
    "bool": "boolean",
    "int2": "int64",
    "int4": "int64",
    "int8": "int64",
    "oid": "int64",
    "float4": "float32",
    "float8": "float64",
    "bytea": "binary",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp_utc",
}
_SHARED_SCHEMA = "n.nspname NOT IN ('information_schema') AND n.nspname NOT LIKE 'pg\\_%'"
INSPECT = f"""
SELECT n.nspname, c.relname, c.relkind::text, a.attname, t.typname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       coalesce(col_description(c.oid, a.attnum), ''), coalesce(obj_description(c.oid, 'pg_class'), ''),
       c.reltuples::bigint, n.nspname = current_schema(),
       coalesce((SELECT array_position(i.indkey::int[], a.attnum::int) FROM pg_index i
                 WHERE i.indrelid = c.oid AND i.indisprimary), -1),
       CASE WHEN c.relkind IN ('v', 'f') THEN NULL ELSE pg_total_relation_size(c.oid) END,
       extract(epoch FROM greatest(pg_stat_get_last_autoanalyze_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE {_SHARED_SCHEMA} AND has_schema_privilege(n.oid, 'USAGE') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND NOT c.relispartition
ORDER BY n.nspname <> current_schema(), n.nspname, c.relname, a.attnum
"""
"""Partitions are not tables of their own: their table shows their rows."""
REFERENCES = f"""
SELECT n.nspname, o.relname, c.conname, m.nspname, p.relname, a.attname, b.attname,
       n.nspname = current_schema(), m.nspname = current_schema()
FROM pg_constraint c
JOIN pg_class o ON o.oid = c.conrelid JOIN pg_namespace n ON n.oid = o.relnamespace
JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(own, other, place)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.other
WHERE c.contype = 'f' AND {_SHARED_SCHEMA}
ORDER BY n.nspname, c.conname, k.place
"""
Row = tuple[object, ...]


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as an SQL literal (standard_conforming_strings is on for every connection here)."""
    return "'" + text.replace("'", "''") + "'"


def typed_literal(column: Column, text: str) -> str:
    """Return a value's text (a blob's in hexadecimal) as a literal of the column's own type."""
    if column.type == "binary":
        return f"decode({literal(text)}, 'hex')"
    return f"{literal(text)}::{column.source_type}"


def table_name(schema: str, table: str, *, current: bool) -> str:
    """Return the one name by which a table is known here."""
    return table if current and "." not in table else f"{schema}.{table}"


def relation(table: str) -> str:
    """Return a table's name (see `table_name`) as SQL."""
    schema, dot, own = table.partition(".")
    return f"{quoted(schema)}.{quoted(own)}" if dot else quoted(table)


def column_type(kind: str, formatted: str) -> str:
    """Return the exchange's type of a column of type `kind`, written out as `formatted`.

    Types without a counterpart (JSON, UUID, enumerations, arrays, unbounded numerics …) travel as text.
    """
    if kind == "numeric":
        match = re.fullmatch(r"numeric\((\d+),(\d+)\)", formatted)
        if match is not None and int(match[1]) <= 38 and int(match[2]) <= int(match[1]):
            return f"decimal({match[1]},{match[2]})"
        return "string"
    return _SIMPLE.get(kind, "string")


def inspect_statements(table: str) -> tuple[str, str]:
    """Return `INSPECT` and `REFERENCES` for the tables that may go by a name (see `table_name`)."""

    def only(statement: str, schema: str, name: str) -> str:
        condition = f"{name} = {literal(table)} OR {schema} || '.' || {name} = {literal(table)}"
        return statement.replace("ORDER BY", f"AND ({condition}) ORDER BY", 1)

    return only(INSPECT, "n.nspname", "c.relname"), only(REFERENCES, "n.nspname", "o.relname")


def table_schemas(rows: Iterable[Row], references: Iterable[Row]) -> list[TableSchema]:
    """Return the tables that the answers to `INSPECT` and `REFERENCES` describe."""
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(table_name(str(row[0]), str(row[1]), current=bool(row[10])), []).append(row)
    keys = _foreign_keys(references)
    return [_schema(name, columns, keys.get(name, ())) for name, columns in tables.items()]


def sample_statement(schema: TableSchema, rows_max: int) -> str:
    """Return the query for a sample as text.

    Small tables and views are read from their beginning.
    """
    names = ", ".join(f"{_as_text(column)} AS {quoted(column.name)}" for column in schema.columns)
    pages = (schema.bytes or 0) // PAGE_BYTES
    rows = schema.rows if schema.rows is not None else pages * ROWS_PER_PAGE_GUESS
    drawn = ""
    if schema.kind is TableKind.TABLE and pages >= SAMPLE_PAGES_MIN and rows > rows_max * 2:
        percent = min(100.0, 100.0 * rows_max * SAMPLE_MARGIN / rows)
        drawn = f" TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE ({SAMPLE_SEED})"
    return f"SELECT {names} FROM {relation(schema.table)}{drawn} LIMIT {rows_max}"


def moment(text: object) -> datetime | None:
    """Return seconds since 1970 as a moment; None stays None."""
    return None if text is None else datetime.fromtimestamp(float(str(text)), tz=UTC)


def _as_text(column: Column) -> str:
    name = quoted(column.name)
    if column.type == "binary":
        return f"CASE WHEN {name} IS NULL THEN NULL ELSE '(binary)' END"
    return f"left({name}::text, {SAMPLE_TEXT_CHARS_MAX})"


def _foreign_keys(references: Iterable[Row]) -> dict[str, tuple[ForeignKey, ...]]:
    grouped: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for schema, table, constraint, other_schema, other_table, own, theirs, current, other_current in references:
        place = table_name(str(schema), str(table), current=bool(current))
        other = table_name(str(other_schema), str(other_table), current=bool(other_current))
        grouped.setdefault((place, str(constraint)), []).append((other, str(own), str(theirs)))
    keys: dict[str, tuple[ForeignKey, ...]] = {}
    for (place, _), parts in grouped.items():
        key = ForeignKey(
            columns=tuple(own for _, own, _ in parts),
            other_table=parts[0][0],
            other_columns=tuple(theirs for _, _, theirs in parts),
        )
        keys[place] = (*keys.get(place, ()), key)
    return keys


def _schema(table: str, rows: list[Row], foreign_keys: tuple[ForeignKey, ...]) -> TableSchema:
    columns = tuple(
        Column(
            name=str(row[3]),
            type=column_type(str(row[4]), str(row[5])),
            nullable=not row[6],
            source_type=str(row[5]),
            comment=str(row[7]),
        )
        for row in rows
    )
    keys = sorted((int(str(row[11])), str(row[3])) for row in rows if int(str(row[11])) >= 0)
    _, _, kind, *_ = rows[0]
    estimate = int(str(rows[0][9]))
    is_view = kind in {"v", "m"}
    return TableSchema(
        table=table,
        columns=columns,
        key_columns=tuple(name for _, name in keys),
        foreign_keys=foreign_keys,
        comment=str(rows[0][8]),
        rows=estimate if estimate >= 0 and kind != "v" else None,
        kind=TableKind.VIEW if is_view else TableKind.TABLE,
        bytes=None if rows[0][12] is None else int(str(rows[0][12])),
        changed_at=moment(rows[0][13]),
    )


def select_expression(column: Column) -> str:
    """Return the expression that reads `column` as its exchange type, or as text that is parsed exactly."""
    name = quoted(column.name)
    match column.type:
        case "date":
            safe = f"CASE WHEN isfinite({name}) THEN {name} ELSE ({name}::text || ' has no counterpart')::date END"
        case "timestamp" | "timestamp_utc":
            kind = "timestamptz" if column.type == "timestamp_utc" else "timestamp"
            safe = f"CASE WHEN isfinite({name}) THEN {name} ELSE ({name}::text || ' has no counterpart')::{kind} END"
        case "int64":
            safe = f"{name}::bigint"
        case "string" | "uint64":
            safe = f"{name}::text"
        case "boolean" | "binary" | "float32" | "float64" | "time":
            safe = name
        case _:
            safe = f"{name}::text"
    return f"{safe} AS {name}"
