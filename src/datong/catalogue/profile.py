"""Profiles the columns of a table without letting a value out: only counts, ratios and lengths.

Runs at the department's node, over a sample in Arrow batches. Single values prove little (4% of random digits pass for
credit codes), so what counts is the ratio per column. DuckDB turns the sample into one list of the distinct values of
every column with their frequency; each question is then asked of all columns in one statement, and of a value only if
its length leaves it possible (one of four characters is no citizen ID).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType

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


class Profiler:
    """Measures tables; one for many tables, since it keeps the codes of a pack's lists in a table of its own.

    Several threads may use it at once.
    """

    def __init__(self, pack: NormPack) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("CREATE TABLE codes (list VARCHAR, spelling VARCHAR)")
        pairs = {
            (codes.key, spelling.upper())
            for codes in pack.code_lists
            for code in codes.codes
            for spelling in (code.code, code.name.zh, *code.aliases)
        }
        lists, spellings = zip(*sorted(pairs), strict=True) if pairs else ((), ())
        known = pa.table({"list": pa.array(lists, pa.string()), "spelling": pa.array(spellings, pa.string())})
        self._connection.register("known", known)
        self._connection.execute("INSERT INTO codes SELECT * FROM known")
        self._connection.unregister("known")

    def __enter__(self) -> "Profiler":
        """Return the profiler itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of its memory."""
        self._connection.close()

    def profile(
        self, table: SourceTable, batches: Iterable[pa.RecordBatch], *, rows_max: int = PROFILE_ROWS_MAX
    ) -> TableProfile:
        """Measure up to `rows_max` rows of `batches`; columns that no batch has count as empty."""
        looked_at = list(_first(batches, rows_max))
        if sum(batch.num_rows for batch in looked_at) == 0:
            return by_structure(table)
        taken = pa.Table.from_batches(looked_at)
        # Source names may differ only in case, or hold anything: inside DuckDB columns go by their position.
        places = {name: f"c{index}" for index, name in enumerate(taken.column_names)}
        with self._connection.cursor() as cursor:
            cursor.register("source", taken.rename_columns(list(places.values())))
            measured = _measured(cursor)
        columns = tuple(
            _column(column, taken.num_rows, measured.get(places.get(column.name, ""), {})) for column in table.columns
        )
        return _profile(table, taken.num_rows, columns)


def by_structure(table: SourceTable) -> TableProfile:
    """Return the profile of a table of which no row was seen."""
    return _profile(table, 0, tuple(_column(column, 0, {}) for column in table.columns))


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


def _measured(cursor: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Return the counts of every column of `source`, by the column's name in it."""
    folded = fold_sql("value")
    # Most values occur more than once: they are counted before they are folded, and again after it.
    cursor.execute(
        f"""
        CREATE TEMP TABLE seen AS
        SELECT place, value, upper(value) AS big, length(value) AS chars, CAST(sum(n) AS BIGINT) AS n
        FROM (
            SELECT place, {folded} AS value, n
            FROM (
                SELECT place, value, count(*) AS n
                FROM (UNPIVOT (SELECT COLUMNS(*)::VARCHAR FROM source) ON COLUMNS(*) INTO NAME place VALUE value)
                GROUP BY ALL
            )
        )
        WHERE value <> '' GROUP BY ALL
        """
    )
    found: dict[str, dict[str, int]] = {}
    names = ("present", "exact", "length_min", "length_max", *_CONDITIONS)
    wanted = ", ".join(f"coalesce(sum(n) FILTER ({condition}), 0)" for condition in _CONDITIONS.values())
    for place, *counts in cursor.execute(
        f"SELECT place, sum(n), count(*), min(chars), max(chars), {wanted} FROM seen GROUP BY place"
    ).fetchall():
        found[place] = {name: int(count) for name, count in zip(names, counts, strict=True)}
    few = f"SELECT place FROM seen GROUP BY place HAVING count(*) <= {CODE_DISTINCT_MAX}"
    for place, key, count in cursor.execute(
        f"SELECT place, list, sum(n) FROM seen JOIN codes ON big = spelling WHERE place IN ({few}) GROUP BY ALL"
    ).fetchall():
        found[place][f"codes:{key}"] = int(count)
    return found


def _conditions() -> dict[str, str]:
    """Named conditions on a value; lengths are looked at first, because patterns cost more."""
    named = {
        f"identifier:{kind.value}": (_IDENTIFIER_CHARS.get(kind), identifier_valid_sql(kind, "big"))
        for kind in IdentifierKind
    }
    named |= {
        f"pattern:{name}": (_PATTERN_CHARS.get(name), f"regexp_full_match(value, {text_literal(pattern)})")
        for name, pattern in _PATTERNS.items()
    }
    return {
        name: f"CASE WHEN chars BETWEEN {chars[0]} AND {chars[1]} THEN {condition} ELSE false END"
        if chars
        else condition
        for name, (chars, condition) in named.items()
    }


_CONDITIONS = _conditions()


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
