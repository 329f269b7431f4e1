"""What an SQLite file says of its tables, and how a sample of one is asked for."""

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from datong.adapters.conversion import no_table
from datong.exchange import Column, ForeignKey, TableKind, TableSchema

SAMPLE_BLOCKS = 20
SAMPLE_BATCH_ROWS = 5_000
SAMPLE_TEXT_CHARS_MAX = 4_000
_FROM_TARGET = {
    "TEXT_UNSIGNED": "uint64",
    "TEXT_DATE": "date",
    "TEXT_TIME": "time",
    "TEXT_TIMESTAMP": "timestamp",
    "TEXT_TIMESTAMP_UTC": "timestamp_utc",
}
"""The types that a target made by the platform declares for what SQLite has no type for."""
_DECIMAL = re.compile(r"(?:TEXT_)?(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_COMMENT = re.compile(r'^\s*["`\[]?(\w+)["`\]]?\s[^\n]*?--\s*(.+?)\s*$', re.MULTILINE)
_TITLE = re.compile(r"\A[^\n]*?--\s*(.+?)\s*$", re.MULTILINE)


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def column_type(declared: str) -> str:
    """Return the exchange's type of a column declared as `declared` (rules of SQLite's column affinity)."""
    kind = declared.upper().strip()
    if kind in _FROM_TARGET:
        return _FROM_TARGET[kind]
    decimal = _DECIMAL.fullmatch(kind)
    if decimal is not None and int(decimal[1]) <= 38:
        return f"decimal({decimal[1]},{decimal[2] or 0})"
    if kind.startswith("BOOL"):
        return "boolean"
    if "INT" in kind:
        return "int64"
    if "BLOB" in kind:
        return "binary"
    if any(part in kind for part in ("REAL", "FLOA", "DOUB")):
        return "float64"
    return "string"


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    """Return the columns of a table or view.

    Raises:
        NotFound: `adapters.table_not_found`.
    """
    rows = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    if not rows:
        raise no_table(table)
    return tuple(
        Column(name=name, type=column_type(declared), nullable=not required and not key, source_type=declared)
        for _, name, declared, required, _, key in rows
    )


def table_schemas(connection: sqlite3.Connection, path: Path, only: str | None = None) -> list[TableSchema]:
    """Return every table and view of the file, or the one called `only`; all share the file's own time of change.

    Sizes are known of all only: to find them the file is gone through.
    """
    changed_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    sizes = _sizes(connection) if only is None else {}
    rows = connection.execute(
        "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name = coalesce(?, name) "
        "ORDER BY name",
        (only,),
    )
    return [
        _schema(connection, name, kind, sql or "", sizes.get(name), changed_at)
        for name, kind, sql in rows.fetchall()
        if not name.startswith("sqlite_")
    ]


def sample_statements(connection: sqlite3.Connection, schema: TableSchema, rows_max: int) -> list[str]:
    """Return the queries for a sample, all together at most `rows_max` rows, spread evenly over the row numbers."""
    names = ", ".join(_as_text(column) for column in schema.columns)
    head = f"SELECT {names} FROM {quoted(schema.table)}"
    whole = f"{head} LIMIT {rows_max}"
    if schema.kind is not TableKind.TABLE or schema.rows is None or schema.rows <= rows_max * 2:
        return [whole]
    try:
        low, high = connection.execute(f"SELECT min(rowid), max(rowid) FROM {quoted(schema.table)}").fetchone()
    except sqlite3.OperationalError:
        # A table WITHOUT ROWID.
        return [whole]
    starts = sorted({low + (high - low + 1) * block // SAMPLE_BLOCKS for block in range(SAMPLE_BLOCKS)})
    limit = max(1, rows_max // len(starts))
    return [
        f"SELECT {names} FROM {quoted(schema.table)} WHERE rowid >= {start} AND rowid < {end} ORDER BY rowid "
        f"LIMIT {limit}"
        for start, end in zip(starts, [*starts[1:], high + 1], strict=True)
    ]


def _as_text(column: Column) -> str:
    name = quoted(column.name)
    text = f"substr(CAST({name} AS TEXT), 1, {SAMPLE_TEXT_CHARS_MAX})"
    return f"CASE typeof({name}) WHEN 'null' THEN NULL WHEN 'blob' THEN '(binary)' ELSE {text} END"


def _sizes(connection: sqlite3.Connection) -> dict[str, int]:
    """Return bytes by table, indexes included; nothing where SQLite was built without `dbstat`."""
    try:
        rows = connection.execute(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY m.tbl_name"
        ).fetchall()
    except sqlite3.OperationalError as error:
        if "dbstat" not in str(error):
            raise
        return {}
    return {str(name): int(size) for name, size in rows}


def _schema(
    connection: sqlite3.Connection, table: str, kind: str, sql: str, size: int | None, changed_at: datetime
) -> TableSchema:
    is_view = kind == "view"
    comments = {} if is_view else dict(_COMMENT.findall(sql))
    title = None if is_view else _TITLE.search(sql)
    keys = sorted((row[5], row[1]) for row in connection.execute(f"PRAGMA table_info({quoted(table)})") if row[5])
    return TableSchema(
        table=table,
        columns=tuple(
            column.model_copy(update={"comment": comments.get(column.name, "")})
            for column in columns_of(connection, table)
        ),
        key_columns=tuple(name for _, name in keys),
        foreign_keys=_foreign_keys(connection, table),
        comment=title[1] if title is not None else "",
        rows=None if is_view else int(connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0]),
        kind=TableKind.VIEW if is_view else TableKind.TABLE,
        bytes=size,
        changed_at=changed_at,
    )


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    references: dict[int, list[tuple[str, str, str | None]]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({quoted(table)})"):
        references.setdefault(row[0], []).append((row[2], row[3], row[4]))
    keys = []
    for parts in references.values():
        other = parts[0][0]
        named = tuple(theirs for _, _, theirs in parts if theirs is not None)
        # `REFERENCES t` alone means the primary key of t.
        keys.append(
            ForeignKey(
                columns=tuple(own for _, own, _ in parts),
                other_table=other,
                other_columns=named or _primary_key(connection, other),
            )
        )
    return tuple(keys)


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    return tuple(name for _, name in sorted((row[5], row[1]) for row in rows if row[5]))
