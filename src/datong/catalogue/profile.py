"""Profiles the columns of a table without letting a value out: only counts, ratios and lengths.

Runs at the department's node, over Arrow batches, with one DuckDB aggregate for each column. Single values prove
little (4% of random digits pass for credit codes), so what counts is the ratio per column.
"""

from collections.abc import Iterable, Iterator

import duckdb
import pyarrow as pa
from pydantic import Field

from datong.kernel import Value
from datong.norms import IdentifierKind, NormPack, fold_sql, identifier_valid_sql, text_literal

PROFILE_ROWS_MAX = 100_000
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
}


class SourceColumn(Value):
    """A column as the source declares it."""

    name: str
    type: str = ""
    comment: str = ""


class SourceReference(Value):
    """A declared foreign key."""

    columns: tuple[str, ...]
    table: str
    other_columns: tuple[str, ...] = ()


class SourceTable(Value):
    """A table as the source declares it; `rows` is the source's own count or estimate."""

    name: str
    comment: str = ""
    columns: tuple[SourceColumn, ...]
    key_columns: tuple[str, ...] = ()
    references: tuple[SourceReference, ...] = ()
    rows: int | None = None


class ColumnProfile(Value):
    """What was measured of one column; ratios are of the values that are present."""

    name: str
    type: str
    comment: str
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

    def column(self, name: str) -> ColumnProfile | None:
        """The profile of the column `name`, if there is one."""
        return next((column for column in self.columns if column.name == name), None)


def profile_table(
    table: SourceTable, batches: Iterable[pa.RecordBatch], *, pack: NormPack, rows_max: int = PROFILE_ROWS_MAX
) -> TableProfile:
    """Measure up to `rows_max` rows of `batches`; columns that no batch has count as empty."""
    looked_at = list(_first(batches, rows_max))
    if sum(batch.num_rows for batch in looked_at) == 0:
        return _profile(table, 0, tuple(_empty(column) for column in table.columns))
    taken = pa.Table.from_batches(looked_at)
    connection = duckdb.connect()
    try:
        # Source names may differ only in case, or hold anything: inside DuckDB columns go by their position.
        connection.register("source", taken.rename_columns([f"c{index}" for index in range(taken.num_columns)]))
        places = {name: f"c{index}" for index, name in enumerate(taken.column_names)}
        present = [(column, places[column.name]) for column in table.columns if column.name in places]
        measured = _measure(connection, present, taken.num_rows, pack)
    finally:
        connection.close()
    found = {column.name: column for column in measured}
    columns = tuple(found.get(column.name) or _empty(column) for column in table.columns)
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
        comment=table.comment,
        rows=rows,
        rows_total=table.rows,
        columns=columns,
        key_columns=table.key_columns,
        references=table.references,
    )


def _measures(pack: NormPack) -> dict[str, str]:
    """Named aggregates over `value`, the folded text of a column, NULL where empty."""
    measures = {
        "present": "count(value)",
        "exact": "count(DISTINCT value)",
        "length_min": "coalesce(min(length(value)), 0)",
        "length_max": "coalesce(max(length(value)), 0)",
    }
    for kind in IdentifierKind:
        measures[f"identifier:{kind.value}"] = f"count(*) FILTER ({identifier_valid_sql(kind, 'upper(value)')})"
    for name, pattern in _PATTERNS.items():
        measures[f"pattern:{name}"] = f"count(*) FILTER (regexp_full_match(value, {text_literal(pattern)}))"
    for codes in pack.code_lists:
        spellings = {s.upper() for code in codes.codes for s in (code.code, code.name.zh, *code.aliases)}
        members = ", ".join(text_literal(spelling) for spelling in sorted(spellings))
        measures[f"codes:{codes.key}"] = f"count(*) FILTER (upper(value) IN ({members}))"
    return measures


def _measure(
    connection: duckdb.DuckDBPyConnection, columns: list[tuple[SourceColumn, str]], rows: int, pack: NormPack
) -> list[ColumnProfile]:
    measures = _measures(pack)
    found = []
    for column, place in columns:
        folded = f"SELECT nullif({fold_sql(place)}, '') AS value FROM source"
        row = connection.execute(f"SELECT {', '.join(measures.values())} FROM ({folded})").fetchone()
        counts = dict(zip(measures, row or [0] * len(measures), strict=True))
        found.append(_column(column, rows, counts))
    return found


def _column(column: SourceColumn, rows: int, counts: dict[str, int]) -> ColumnProfile:
    present = counts["present"]

    def ratios(prefix: str) -> dict[str, float]:
        return {
            name.removeprefix(prefix): round(count / present, 4)
            for name, count in counts.items()
            if name.startswith(prefix) and count and present
        }

    return ColumnProfile(
        name=column.name,
        type=column.type,
        comment=column.comment,
        null_ratio=round(1 - present / rows, 4),
        distinct=counts["exact"],
        unique=present == rows and counts["exact"] == rows,
        length_min=counts["length_min"],
        length_max=counts["length_max"],
        identifiers={IdentifierKind(name): ratio for name, ratio in ratios("identifier:").items()},
        code_lists=ratios("codes:"),
        patterns=ratios("pattern:"),
    )


def _empty(column: SourceColumn) -> ColumnProfile:
    return ColumnProfile(
        name=column.name,
        type=column.type,
        comment=column.comment,
        null_ratio=1.0,
        distinct=0,
        unique=False,
        length_min=0,
        length_max=0,
    )
