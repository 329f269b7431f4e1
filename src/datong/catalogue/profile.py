"""Profiles the columns of a table without letting a value out: only counts, ratios and lengths.

Runs at the department's node, over a sample in Arrow batches. Single values prove little (4% of random digits pass for
credit codes), so what counts is the ratio per column. Each column is measured twice by DuckDB: first its presence,
lengths and characters, all columns in one statement; then, on its distinct values with their frequency, only what those
leave possible (a column of four characters holds no citizen ID).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import duckdb
import pyarrow as pa
from pydantic import Field

from datong.kernel import Value
from datong.norms import IdentifierKind, NormPack, fold_sql, identifier_valid_sql, text_literal

PROFILE_ROWS_MAX = 100_000
COMMENT_CHARS_MAX = 200
CODE_DISTINCT_MAX = 200
"""A column with more different values than this is no column of codes."""
_ID_PATTERN = "[0-9]{15}|[0-9]{17}[0-9Xx]"
_PATTERNS = {
    "chinese": r".*\p{Han}.*",
    "chinese_name": r"[\p{Han}·•]{2,6}|\p{Han}{2,8}[·•]\p{Han}{2,12}",
    "number": r"-?[0-9,]+(\.[0-9]+)?",
    "integer": r"-?[0-9]+",
    "date": r"(19|20)[0-9]{2}[-/.年]?[01]?[0-9][-/.月]?[0-3]?[0-9]日?",
    "time": r"(19|20)[0-9]{2}.[01]?[0-9].[0-3]?[0-9]日?[ T][0-9]{1,2}:[0-9]{2}.*",
    "address": r".*\p{Han}.*(路|街|巷|村|号|室|栋|幢|小区|镇|乡).*[0-9A-Z]*.*",
    "citizen_id_shape": _ID_PATTERN,
    "short_code": r"[0-9A-Za-z]{1,3}",
    "telephone": r"(\+?86[- ]?)?(1[3-9][0-9]{9}|(0[0-9]{2,3}[- ]?)?[2-9][0-9]{6,7}([- ][0-9]{1,6})?)",
}
_PATTERN_CHARS = {
    "chinese_name": (2, 21),
    "date": (6, 12),
    "time": (12, 80),
    "address": (4, 400),
    "citizen_id_shape": (15, 18),
    "short_code": (1, 3),
    "telephone": (7, 24),
}
"""The lengths that a pattern's values have; no entry: any."""
_IDENTIFIER_CHARS = {
    IdentifierKind.CITIZEN_ID: (18, 18),
    IdentifierKind.USCC: (18, 18),
    IdentifierKind.ORGANISATION_CODE: (9, 9),
    IdentifierKind.REAL_ESTATE_UNIT: (28, 28),
    IdentifierKind.CERTIFICATE_ID: (40, 200),
    IdentifierKind.DIVISION_CODE: (6, 12),
    IdentifierKind.MOBILE: (11, 11),
}
_EXAMPLE = re.compile(
    r"[(（,，;；。\s]*(例如|比如|示例|样例|例|如|e\.?g\.?|example|sample)\s*[:：,，].*$", re.IGNORECASE | re.DOTALL
)
_VALUE_LIKE = re.compile(r"[0-9A-Za-z._%+-]+@[0-9A-Za-z.-]+|[0-9][0-9Xx-]{5,}|https?://\S+")


class SourceColumn(Value):
    """A column as the source declares it."""

    name: str
    type: str = ""
    comment: str = ""
    nullable: bool = True


class SourceReference(Value):
    """A declared foreign key."""

    columns: tuple[str, ...]
    table: str
    other_columns: tuple[str, ...] = ()


class SourceTable(Value):
    """A table as the source declares it; `rows` is the source's own count or estimate, `bytes` its size on disk."""

    name: str
    comment: str = ""
    columns: tuple[SourceColumn, ...]
    key_columns: tuple[str, ...] = ()
    references: tuple[SourceReference, ...] = ()
    rows: int | None = None
    is_view: bool = False
    bytes: int | None = None
    changed_at: datetime | None = None


class ColumnProfile(Value):
    """What was measured of one column; ratios are of the values that are present."""

    name: str
    type: str
    comment: str
    nullable: bool = True
    null_ratio: float
    distinct: int
    unique: bool
    length_min: int
    length_max: int
    identifiers: dict[IdentifierKind, float] = Field(default_factory=dict)
    code_lists: dict[str, float] = Field(default_factory=dict)
    patterns: dict[str, float] = Field(default_factory=dict)


class TableProfile(Value):
    """What was measured of one table; holds no value of it. `rows` were looked at."""

    table: str
    comment: str
    rows: int
    rows_total: int | None
    columns: tuple[ColumnProfile, ...]
    key_columns: tuple[str, ...] = ()
    references: tuple[SourceReference, ...] = ()
    is_view: bool = False
    bytes: int | None = None
    changed_at: datetime | None = None

    def column(self, name: str) -> ColumnProfile | None:
        """The profile of the column `name`, if there is one."""
        return next((column for column in self.columns if column.name == name), None)


def without_values(comment: str) -> str:
    """Return a comment as it may leave the node: without examples, numbers of six digits or more, and addresses.

    Comments belong to the structure, but people write example values into them.
    """
    plain = _VALUE_LIKE.sub("…", _EXAMPLE.sub("", comment.strip()))
    return plain[:COMMENT_CHARS_MAX]


def profile_table(
    table: SourceTable, batches: Iterable[pa.RecordBatch], *, pack: NormPack, rows_max: int = PROFILE_ROWS_MAX
) -> TableProfile:
    """Measure up to `rows_max` rows of `batches`; columns that no batch has count as empty."""
    looked_at = list(_first(batches, rows_max))
    if sum(batch.num_rows for batch in looked_at) == 0:
        return _profile(table, 0, tuple(_column(column, 0, {}) for column in table.columns))
    taken = pa.Table.from_batches(looked_at)
    connection = duckdb.connect(config={"threads": 1})
    try:
        # Source names may differ only in case, or hold anything: inside DuckDB columns go by their position.
        connection.register("source", taken.rename_columns([f"c{index}" for index in range(taken.num_columns)]))
        places = {name: f"c{index}" for index, name in enumerate(taken.column_names)}
        present = [(column, places[column.name]) for column in table.columns if column.name in places]
        measured = _measure(connection, present, taken.num_rows, pack)
    finally:
        connection.close()
    columns = tuple(measured.get(column.name) or _column(column, 0, {}) for column in table.columns)
    return _profile(table, taken.num_rows, columns)


def _first(batches: Iterable[pa.RecordBatch], rows_max: int) -> Iterator[pa.RecordBatch]:
    left = rows_max
    for batch in batches:
        if left <= 0:
            return
        yield batch.slice(0, left)
        left -= batch.num_rows


def _profile(table: SourceTable, rows: int, columns: tuple[ColumnProfile, ...]) -> TableProfile:
    return TableProfile(
        table=table.name,
        comment=without_values(table.comment),
        rows=rows,
        rows_total=table.rows,
        columns=columns,
        key_columns=table.key_columns,
        references=table.references,
        is_view=table.is_view,
        bytes=table.bytes,
        changed_at=table.changed_at,
    )


def _measure(
    connection: duckdb.DuckDBPyConnection, columns: list[tuple[SourceColumn, str]], rows: int, pack: NormPack
) -> dict[str, ColumnProfile]:
    folded = ", ".join(f"nullif({fold_sql(place)}, '') AS {place}" for _, place in columns)
    connection.execute(f"CREATE TEMP TABLE folded AS SELECT {folded} FROM source")
    measures = ("present", "exact", "length_min", "length_max")
    wanted = ", ".join(
        f"count({place}), count(DISTINCT {place}), min(length({place})), max(length({place}))" for _, place in columns
    )
    answer = connection.execute(f"SELECT {wanted} FROM folded").fetchone() or ()
    found = {}
    for index, (column, place) in enumerate(columns):
        part = answer[index * len(measures) : (index + 1) * len(measures)]
        counts: dict[str, int] = {name: value or 0 for name, value in zip(measures, part, strict=True)}
        if counts["present"]:
            counts |= _looks(connection, place, counts, pack)
        found[column.name] = _column(column, rows, counts)
    return found


def _looks(connection: duckdb.DuckDBPyConnection, place: str, basic: dict[str, int], pack: NormPack) -> dict[str, int]:
    """Count what the values of one column look like, by its distinct values and how often each occurs."""
    conditions = _conditions(basic, pack)
    wanted = ", ".join(f"coalesce(sum(n) FILTER ({condition}), 0)" for condition in conditions.values())
    distinct = f"SELECT {place} AS value, count(*) AS n FROM folded WHERE {place} IS NOT NULL GROUP BY 1"
    answer = connection.execute(f"SELECT {wanted} FROM ({distinct})").fetchone() or ()
    return {name: int(count) for name, count in zip(conditions, answer, strict=True)}


def _conditions(basic: dict[str, int], pack: NormPack) -> dict[str, str]:
    """Named conditions on `value`: those that the column's lengths and its number of values leave possible."""

    def possible(lengths: tuple[int, int] | None) -> bool:
        return lengths is None or (lengths[0] <= basic["length_max"] and basic["length_min"] <= lengths[1])

    conditions = {}
    for kind in IdentifierKind:
        if possible(_IDENTIFIER_CHARS.get(kind)):
            conditions[f"identifier:{kind.value}"] = identifier_valid_sql(kind, "upper(value)")
    for name, pattern in _PATTERNS.items():
        if possible(_PATTERN_CHARS.get(name)):
            conditions[f"pattern:{name}"] = f"regexp_full_match(value, {text_literal(pattern)})"
    if basic["exact"] <= CODE_DISTINCT_MAX:
        for codes in pack.code_lists:
            spellings = {s.upper() for code in codes.codes for s in (code.code, code.name.zh, *code.aliases)}
            members = ", ".join(text_literal(spelling) for spelling in sorted(spellings))
            conditions[f"codes:{codes.key}"] = f"upper(value) IN ({members})"
    return conditions


def _column(column: SourceColumn, rows: int, counts: dict[str, int]) -> ColumnProfile:
    present = counts.get("present", 0)

    def ratios(prefix: str) -> dict[str, float]:
        return {
            name.removeprefix(prefix): round(count / present, 4)
            for name, count in counts.items()
            if name.startswith(prefix) and count and present
        }

    return ColumnProfile(
        name=column.name,
        type=column.type,
        comment=without_values(column.comment),
        nullable=column.nullable,
        null_ratio=round(1 - present / rows, 4) if rows else 1.0,
        distinct=counts.get("exact", 0),
        unique=rows > 0 and present == rows and counts["exact"] == rows,
        length_min=counts.get("length_min", 0),
        length_max=counts.get("length_max", 0),
        identifiers={IdentifierKind(name): ratio for name, ratio in ratios("identifier:").items()},
        code_lists=ratios("codes:"),
        patterns=ratios("pattern:"),
    )
