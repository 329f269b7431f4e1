"""The SQL that prepares a release: projection and masks, changes between two versions, and whom the rows concern."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from datong.norms import text_literal
from datong.sharing.delta_values import ReleasePlan
from datong.sharing.mask_columns import mask_expression, trimmed_sql
from datong.sharing.mask_columns import quoted as sql_name
from datong.sharing.masks import MaskKind
from datong.sharing.row_filter_sql import filter_sql
from datong.sharing.subjects import release_key_blocks

ROW_KEY = "_row_key"
CHANGE_TYPE = "_change_type"
BINARY = "binary"
_TYPES = {
    "VARCHAR": "string",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "TIMESTAMP": "timestamp",
    "BIGINT": "long",
    "INTEGER": "integer",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "BLOB": BINARY,
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


class Relations(NamedTuple):
    """The Parquet files of the version in question, and of the one before if changes are wanted; columns as shown.

    `where` is met by the rows that the agreements are about.
    """

    present: Sequence[Path]
    former: Sequence[Path]
    columns: str
    where: str

    def citizens(self, plan: ReleasePlan, source: Path) -> str | None:
        """Return the query for the citizens whom the rows of one source file concern; None: the table names nobody."""
        return _citizens(plan, f"(FROM {files_sql([source])} WHERE {self.where})")

    def changed_citizens(self, plan: ReleasePlan) -> str | None:
        """Return the query for the citizens whom the changed rows concern."""
        if not plan.citizens:
            return None
        changed = f"SELECT k FROM ({_changed_sql(plan, self)})"
        both = " UNION ALL BY NAME ".join(
            f"(FROM {files_sql(files)} WHERE {self.where})" for files in (self.present, self.former)
        )
        return _citizens(plan, f"(SELECT * FROM ({both}) WHERE {ROW_KEY} IN ({changed}))")


def shown_columns(connection: DuckDBPyConnection, plan: ReleasePlan) -> str:
    """Return the select list of what is handed out; what keyed masks need is put into `connection`."""
    shown = (
        (sql_name(column.name), mask_expression(connection, column.column_mask, sql_name(column.name)))
        for column in plan.columns
        if column.mask is not MaskKind.NONE
    )
    masked = {name: f"{expression} AS {name}" for name, expression in shown}
    return ", ".join(masked.get(name, name) for name in (sql_name(column.name) for column in plan.columns))


def kept_rows(connection: DuckDBPyConnection, plan: ReleasePlan, files: Sequence[Path]) -> str:
    """Return the condition that the rows of `files` meet which the plan is about."""
    described = connection.execute(f"DESCRIBE FROM {files_sql(files)}").fetchall()
    return filter_sql(plan.conditions, {str(row[0]): str(row[1]) for row in described})


def snapshot_sql(columns: str, where: str, source: Path, *, in_order: bool) -> str:
    """Return the query for what the rows of one source file come to, in their order or in none that tells anything."""
    query = f"SELECT {columns} FROM {files_sql([source])} WHERE {where}"
    return query if in_order else f"{query} ORDER BY {_shuffled(ROW_KEY)}"


def _shuffled(key: str) -> str:
    """Return what rows are ordered by instead of `key`: the same for the same release, and nobody else's to compute."""
    return f"sha256(getvariable('subject_outer') || encode(CAST({key} AS VARCHAR)))"


def changes_sql(plan: ReleasePlan, relations: Relations) -> str:
    """Return the query for the changes since the former version, as a consumer of the plan's columns sees them.

    A change of what the consumer does not see is none.
    """
    names = ", ".join(sql_name(column.name) for column in plan.columns)
    now, then = (
        ", ".join(f"{side}.{sql_name(column.name)}" for column in plan.columns) for side in ("present", "former")
    )
    return f"""
        WITH changed AS ({_changed_sql(plan, relations)}),
        present AS ({_keyed(relations, relations.present)}),
        former AS ({_keyed(relations, relations.former)})
        SELECT {names}, {CHANGE_TYPE} FROM (
            SELECT {now}, CASE WHEN was THEN 'update_postimage' ELSE 'insert' END AS {CHANGE_TYPE}, k
            FROM present JOIN changed USING (k)
            UNION ALL BY NAME
            SELECT {then}, CASE WHEN is_there THEN 'update_preimage' ELSE 'delete' END AS {CHANGE_TYPE}, k
            FROM former JOIN changed USING (k))
        ORDER BY {"k" if plan.in_order else _shuffled("k")}, {CHANGE_TYPE} DESC"""


def _changed_sql(plan: ReleasePlan, relations: Relations) -> str:
    now, then = (
        "(" + ", ".join(f"{side}.{sql_name(column.name)}" for column in plan.columns) + ", 0)" for side in ("n", "o")
    )
    return f"""
        SELECT coalesce(n.k, o.k) AS k, n.k IS NOT NULL AS is_there, o.k IS NOT NULL AS was
        FROM ({_keyed(relations, relations.present)}) n
        FULL JOIN ({_keyed(relations, relations.former)}) o ON n.k = o.k
        WHERE n.k IS NULL OR o.k IS NULL OR {now} IS DISTINCT FROM {then}"""


def _keyed(relations: Relations, files: Sequence[Path]) -> str:
    return f"SELECT {relations.columns}, {ROW_KEY} AS k FROM {files_sql(files)} WHERE {relations.where}"


def _citizens(plan: ReleasePlan, relation: str) -> str | None:
    if not plan.citizens:
        return None
    each = " UNION ALL ".join(f"SELECT {sql_name(column)} AS c FROM {relation}" for column in plan.citizens)
    return f"SELECT DISTINCT canonical_citizen(c) AS c FROM ({each}) WHERE stripped(CAST(c AS VARCHAR)) <> ''"


def bounds_sql(path: Path, types: Mapping[str, str]) -> str:
    """Return the query for the number of rows of a file and the bounds of its columns, as text."""
    bounds = [
        "NULL, NULL" if kind == BINARY else f"CAST(min({name}) AS VARCHAR), CAST(max({name}) AS VARCHAR)"
        for name, kind in ((sql_name(column), kind) for column, kind in types.items())
    ]
    return f"SELECT {', '.join(['count(*)', *bounds])} FROM {files_sql([path])}"


def delta_type(duckdb_type: str) -> str:
    """Return Delta Lake's name of a DuckDB type; whatever has none is text."""
    decimal = _DECIMAL.fullmatch(duckdb_type)
    return f"decimal({decimal[1]},{decimal[2]})" if decimal else _TYPES.get(duckdb_type, "string")


def prepare_subjects(connection: DuckDBPyConnection, subject_key: bytes, release_id: str) -> None:
    """Let `connection` make the commitments of `subjects.release_commitment`; keys stand in no SQL text."""
    for name, block in zip(("inner", "outer"), release_key_blocks(subject_key, release_id), strict=True):
        connection.execute(f"SET VARIABLE subject_{name} = $1", [block])
    weights = "[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]"
    total = f"list_sum(list_transform(range(1, 18), lambda i: CAST(substr(t, i, 1) AS INTEGER) * {weights}[i]))"
    inner = "unhex(sha256(getvariable('subject_inner') || encode(c)))"
    for macro in (
        f"stripped(v) AS {trimmed_sql('v')}",
        f"checked_citizen(t) AS t || substr('10X98765432', 1 + CAST({total} % 11 AS INTEGER), 1)",
        """trimmed_citizen(t) AS CASE WHEN regexp_full_match(t, '[0-9]{15}')
            THEN checked_citizen(substr(t, 1, 6) || '19' || substr(t, 7)) ELSE t END""",
        "canonical_citizen(v) AS trimmed_citizen(upper(stripped(CAST(v AS VARCHAR))))",
        f"subject_salt(c) AS unhex(sha256(getvariable('subject_outer') || {inner}))",
        "subject_commitment(c) AS sha256(unhex('0020') || subject_salt(c) || encode(c))",
    ):
        connection.execute(f"CREATE TEMP MACRO {macro}")


def files_sql(files: Sequence[Path]) -> str:
    """Return Parquet files as something to select from."""
    listed = ", ".join(text_literal(str(path)) for path in files)
    return f"read_parquet([{listed}], union_by_name = true)"
