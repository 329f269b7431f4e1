"""What MariaDB's and MySQL's information schema says of a database's tables, and how a sample of one is asked for."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from datong.exchange import Column, ForeignKey, TableKind, TableSchema

SAMPLE_BLOCKS = 20
SAMPLE_TEXT_CHARS_MAX = 4_000
INSPECT = """
SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_COMMENT, t.TABLE_COMMENT,
       t.TABLE_ROWS, k.ORDINAL_POSITION, c.NUMERIC_PRECISION, c.NUMERIC_SCALE, t.TABLE_TYPE,
       t.DATA_LENGTH + t.INDEX_LENGTH, UNIX_TIMESTAMP(t.UPDATE_TIME)
FROM information_schema.COLUMNS c
JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
LEFT JOIN information_schema.KEY_COLUMN_USAGE k ON k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME
     AND k.COLUMN_NAME = c.COLUMN_NAME AND k.CONSTRAINT_NAME = 'PRIMARY'
WHERE c.TABLE_SCHEMA = DATABASE() ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""
INSPECT_ONE = INSPECT.replace(" ORDER BY", " AND c.TABLE_NAME = ? ORDER BY")
REFERENCES = """
SELECT TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, COLUMN_NAME, REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION
"""
REFERENCES_ONE = REFERENCES.replace(" ORDER BY", " AND TABLE_NAME = ? ORDER BY")
STORED_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE,
       IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA NOT LIKE '%auto_increment%'
       AND EXTRA NOT LIKE '%GENERATED%'
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION
"""
UNIQUE = """
SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX SEPARATOR '\x1f')
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND NON_UNIQUE = 0 GROUP BY INDEX_NAME
"""
_DATES = {"date": "date", "datetime": "timestamp", "timestamp": "timestamp_utc"}
_BLOBS = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_VIEW_COMMENT = "VIEW"
"""What the information schema calls the comment of every view."""
Row = tuple[object, ...]


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def column_type(kind: str, full: str, precision: int | None, scale: int | None, *, zero_dates_as_text: bool) -> str:
    """Return the exchange's type of a column of type `kind`, written out as `full`.

    Types without a counterpart (ENUM, SET, JSON, YEAR, TIME, geometry …) travel as text.
    """
    if kind in {"tinyint", "smallint", "mediumint", "int"}:
        return "int64"
    if kind == "bigint":
        return "uint64" if "unsigned" in full else "int64"
    if kind == "bit":
        return "uint64"
    if kind == "decimal" and precision is not None and precision <= 38:
        return f"decimal({precision},{scale or 0})"
    if kind in {"float", "double"}:
        return "float32" if kind == "float" else "float64"
    if kind in _DATES:
        return "string" if zero_dates_as_text else _DATES[kind]
    if kind in _BLOBS or kind in {"geometry", "point", "linestring", "polygon"}:
        return "binary"
    return "string"


def table_schemas(rows: Iterable[Row], references: Iterable[Row], *, zero_dates_as_text: bool) -> list[TableSchema]:
    """Return the tables that the answers to `INSPECT` and `REFERENCES` describe."""
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(str(row[0]), []).append(row)
    keys: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    for table, constraint, other, own, theirs in references:
        parts = keys.setdefault(str(table), {}).setdefault(str(constraint), [])
        parts.append((str(other), str(own), str(theirs)))
    return [
        _schema(table, columns, keys.get(table, {}), zero_dates_as_text=zero_dates_as_text)
        for table, columns in tables.items()
    ]


def sample_columns(columns: Sequence[Column]) -> str:
    """Return the select list that reads every column as text."""
    return ", ".join(
        f"IF({quoted(column.name)} IS NULL, NULL, '(binary)')"
        if column.type == "binary"
        else f"LEFT(CAST({_plain(column)} AS CHAR CHARACTER SET utf8mb4), {SAMPLE_TEXT_CHARS_MAX})"
        for column in columns
    )


def sample_statements(schema: TableSchema, rows_max: int, bounds: tuple[int, int] | None) -> list[str]:
    """Return the queries for a sample, all together at most `rows_max` rows.

    A large table with an integer key is read in blocks that begin at evenly spaced keys between its `bounds`: each
    costs an index look-up, where ordering by chance would read the whole table.
    """
    head = f"SELECT {sample_columns(schema.columns)} FROM {quoted(schema.table)}"
    if bounds is None or schema.rows is None or schema.rows <= rows_max * 2:
        return [f"{head} LIMIT {rows_max}"]
    key = quoted(schema.key_columns[0])
    low, high = bounds
    starts = sorted({low + (high - low + 1) * block // SAMPLE_BLOCKS for block in range(SAMPLE_BLOCKS)})
    limit = max(1, rows_max // len(starts))
    statements = []
    for start, end in zip(starts, [*starts[1:], high + 1], strict=True):
        statements.append(f"{head} WHERE {key} >= {start} AND {key} < {end} ORDER BY {key} LIMIT {limit}")
    return statements


def _plain(column: Column) -> str:
    name = quoted(column.name)
    return f"CAST({name} AS UNSIGNED)" if column.source_type.startswith("bit") else name


def _schema(
    table: str, rows: list[Row], references: dict[str, list[tuple[str, str, str]]], *, zero_dates_as_text: bool
) -> TableSchema:
    keys = sorted((int(str(row[8])), str(row[1])) for row in rows if row[8] is not None)
    is_view = str(rows[0][11]) == _VIEW_COMMENT
    return TableSchema(
        table=table,
        columns=tuple(
            Column(
                name=str(row[1]),
                type=column_type(
                    str(row[2]),
                    str(row[3]),
                    None if row[9] is None else int(str(row[9])),
                    None if row[10] is None else int(str(row[10])),
                    zero_dates_as_text=zero_dates_as_text,
                ),
                nullable=row[4] == "YES",
                source_type=str(row[3]),
                comment=str(row[5]),
            )
            for row in rows
        ),
        key_columns=tuple(name for _, name in keys),
        foreign_keys=tuple(
            ForeignKey(
                columns=tuple(own for _, own, _ in parts),
                other_table=parts[0][0],
                other_columns=tuple(theirs for _, _, theirs in parts),
            )
            for parts in references.values()
        ),
        comment="" if is_view else str(rows[0][6]),
        rows=None if rows[0][7] is None else int(str(rows[0][7])),
        kind=TableKind.VIEW if is_view else TableKind.TABLE,
        bytes=None if rows[0][12] is None or is_view else int(str(rows[0][12])),
        changed_at=None if rows[0][13] is None else datetime.fromtimestamp(float(str(rows[0][13])), tz=UTC),
    )
