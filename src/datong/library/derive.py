"""Published tables → a derived library: who is judged, what was measured, what every rule says.

Reads Delta tables at the versions that were current when the build was requested, so a killed build goes on with the
same input and ends in the same digest. All SQL is composed from a checked plan (see `plan`, ADR 0100).
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from datong.kernel import Text, sha256_hex
from datong.library.definition import Definition
from datong.library.derivation import OWN_ID, Derivation, Verdict
from datong.library.engine import sql_name, sql_text
from datong.library.expressions import SQL_TYPES, Compiled, Kind, literal_sql
from datong.library.plan import Plan, PlannedInput, PlannedMeasure, PlannedRule
from datong.library.table_pipeline import DERIVED_DIGEST
from datong.library.values import InputTable

ENTITIES, FINDINGS, MEMBERS = "entities.parquet", "findings.parquet", "members.parquet"
ROW_KEY = "row_key "
TABLE_NUMBER = "table "
"""Columns of an input that are no elements; the blank keeps them from meeting an element's code."""
RELATIONS = {
    "at_most": Text(zh="不高于", en="at most"),
    "at_least": Text(zh="不低于", en="at least"),
    "below": Text(zh="低于", en="below"),
    "above": Text(zh="高于", en="above"),
    "equal": Text(zh="为", en="equal to"),
    "differ": Text(zh="不为", en="other than"),
}
_RELATIONS = {"at_most": "<=", "at_least": ">=", "below": "<", "above": ">", "equal": "=", "differ": "<>"}


def derive(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    plan: Plan,
    tables: Sequence[InputTable],
    folder: Path,
    library: Path,
) -> None:
    """Write the step's files into `folder`; `library` is the folder that the tables' paths start at."""
    derivation = definition.derivation
    if derivation is None:
        raise AssertionError("only a derived library is derived")
    for planned in plan.inputs:
        read_input(connection, planned, tables, library)
    _collect(connection, definition, plan)
    _measure(connection, derivation, plan)
    _judge(connection, derivation, plan)
    columns = ", ".join(sql_name(known.measure.code) for known in plan.measures)
    for query, name in (
        (
            f"SELECT entity_id, {_by(derivation)}{columns}, verdict, reasons_zh, reasons_en FROM judged",
            ENTITIES,
        ),
        ("FROM findings", FINDINGS),
        ('SELECT DISTINCT "entity " AS entity_id, "member " AS member FROM members', MEMBERS),
    ):
        connection.execute(
            f"COPY (SELECT * FROM ({query}) ORDER BY ALL) TO {sql_text(str(folder / name))} (FORMAT parquet)"
        )
    (folder / DERIVED_DIGEST).write_text(derived_digest(connection, folder))


def _by(derivation: Derivation) -> str:
    return "" if derivation.subject.by == OWN_ID else f"{sql_name(derivation.subject.by)}, "


def read_input(
    connection: duckdb.DuckDBPyConnection, planned: PlannedInput, tables: Sequence[InputTable], library: Path
) -> None:
    """Create the table `input_<name>` with the columns that are needed, typed; empty if nothing is published.

    Besides them it holds the key of the row, and the place in `tables` of the table that it comes from.
    """
    parts = [f"SELECT {_typed(planned, None, 0)} WHERE false"]
    registered = []
    for number, table in enumerate(tables):
        if table.input != planned.input.name:
            continue
        name = f"delta_{planned.input.name}_{number}"
        delta = DeltaTable(str(library / table.path), version=table.delta_version)
        connection.register(name, delta.to_pyarrow_dataset())
        registered.append(name)
        parts.append(f"SELECT {_typed(planned, table, number)} FROM {name}")
    connection.execute(f"CREATE OR REPLACE TABLE {input_name(planned)} AS {' UNION ALL '.join(parts)}")
    for name in registered:
        connection.unregister(name)


def _typed(planned: PlannedInput, table: InputTable | None, number: int) -> str:
    columns = []
    for name, kind in planned.columns.items():
        column = None if table is None else (table.key if name == OWN_ID else table.columns.get(name))
        value = "NULL" if column is None else sql_name(column)
        columns.append(f"TRY_CAST({value} AS {SQL_TYPES[kind]}) AS {sql_name(name)}")
    row_key = "NULL" if table is None else sql_name(table.row_key)
    return (
        f"{', '.join(columns)}, CAST({row_key} AS VARCHAR) AS {sql_name(ROW_KEY)}, "
        f"{number}::INTEGER AS {sql_name(TABLE_NUMBER)}"
    )


def input_name(planned: PlannedInput) -> str:
    """Return the table that `read_input` makes, quoted."""
    return sql_name(f"input_{planned.input.name}")


def _collect(connection: duckdb.DuckDBPyConnection, definition: Definition, plan: Plan) -> None:
    """Create `members` (entity, member, and the subject's columns) and `rows_<name>` of every input."""
    first = plan.inputs[0]
    derivation = definition.derivation
    if derivation is None:
        raise AssertionError("only a derived library is derived")
    by = sql_name(derivation.subject.by)
    seed = sql_text(f"datong/derived/{definition.name}\x1f")
    entity = by if derivation.subject.by == OWN_ID else f"substr(sha256({seed} || CAST({by} AS VARCHAR)), 1, 32)"
    where = f"AND {plan.where.sql}" if plan.where else ""
    connection.execute(f"""
        CREATE OR REPLACE TABLE members AS
        SELECT {entity} AS "entity ", {sql_name(OWN_ID)} AS "member ", * FROM {input_name(first)}
        WHERE {by} IS NOT NULL {where}""")
    connection.execute(f"""CREATE OR REPLACE VIEW {_rows(first)} AS FROM members""")
    for planned in plan.inputs[1:]:
        to, column = sql_name(planned.input.to), sql_name(planned.input.column)
        connection.execute(f"""
            CREATE OR REPLACE TABLE {_rows(planned)} AS
            SELECT judged."entity ", given.* FROM {input_name(planned)} given
            JOIN (SELECT DISTINCT "entity ", {to} AS "to " FROM members) judged ON given.{column} = judged."to " """)


def _rows(planned: PlannedInput) -> str:
    return sql_name(f"rows_{planned.input.name}")


def _measure(connection: duckdb.DuckDBPyConnection, derivation: Derivation, plan: Plan) -> None:
    """Create `measured`: one row per entity with every measure and parameter."""
    by = sql_name(derivation.subject.by)
    parts: list[str] = []
    joins: list[str] = []
    for planned in plan.inputs:
        mine = [known for known in plan.measures if known.measure.input == planned.input.name]
        if not mine:
            continue
        name = sql_name(f"taken_{planned.input.name}")
        columns = ", ".join(f"{_taken(known)} AS {sql_name(known.measure.code)}" for known in mine)
        connection.execute(f"""
            CREATE OR REPLACE TABLE {name} AS
            SELECT "entity ", true AS {sql_name(f"has {planned.input.name}")}, {columns}
            FROM {_rows(planned)} GROUP BY "entity " """)
        joins.append(f'LEFT JOIN {name} USING ("entity ")')
        parts.extend(_or_none(known) for known in mine)
    limits = [
        f"CAST({known.value!r} AS {SQL_TYPES[Kind.NUMBER]}) AS {sql_name(known.code)}"
        for known in derivation.parameters
    ]
    query = f"""
        SELECT judged.*, {", ".join([*parts, *limits]) or "NULL AS nothing"}
        FROM (SELECT "entity ", any_value({by}) AS {sql_name("by ")} FROM members GROUP BY "entity ") judged
        {" ".join(joins)}"""
    for known in plan.measures:
        if known.compute is not None:
            query = f"SELECT *, {_cast(known.compute)} AS {sql_name(known.measure.code)} FROM ({query})"
    connection.execute(f"CREATE OR REPLACE TABLE measured AS {query}")


def _taken(known: PlannedMeasure) -> str:
    """Return the aggregate of one measure."""
    measure = known.measure
    kept = f" FILTER ({known.where.sql})" if known.where else ""
    of = _cast(known.of) if known.of else ""
    if measure.take == "count":
        return f"count(*){kept}"
    if measure.take == "distinct":
        return f"count(DISTINCT {of}){kept}"
    if measure.take == "sum":
        total = f"coalesce(sum({of}){kept}, 0)"
        if measure.missing == "skip":
            return total
        gaps = f"count(*) FILTER ({of} IS NULL{f' AND {known.where.sql}' if known.where else ''})"
        return f"CASE WHEN {gaps} = 0 THEN {total} END"
    if measure.take == "first":
        known_only = f" FILTER ({of} IS NOT NULL{f' AND {known.where.sql}' if known.where else ''})"
        return f"arg_min({of}, {sql_name(ROW_KEY)}){known_only}"
    aggregate = {"min": "min", "max": "max", "any": "bool_or", "all": "bool_and"}[measure.take or "min"]
    return f"{aggregate}({of}){kept}"


def _or_none(known: PlannedMeasure) -> str:
    """Return a taken measure of an entity that has no rows in the input: nothing counts as 0, nothing is false."""
    name = sql_name(known.measure.code)
    nothing = {"count": "0", "distinct": "0", "sum": "0", "any": "false"}.get(known.measure.take or "", "NULL")
    value = f"CASE WHEN {sql_name(f'has {known.measure.input}')} THEN {name} ELSE {nothing} END"
    return f"CAST({value} AS {SQL_TYPES[known.kind]}) AS {name}"


def _cast(known: Compiled) -> str:
    return f"TRY_CAST({known.sql} AS {SQL_TYPES[known.kind]})"


def _shown(sql: str, kind: Kind) -> str:
    """Return a value as the text in which it is shown and digested: numbers without trailing zeros."""
    if kind is not Kind.NUMBER:
        return f"CAST({sql} AS VARCHAR)"
    return f"rtrim(rtrim(CAST(CAST({sql} AS {SQL_TYPES[kind]}) AS VARCHAR), '0'), '.')"


def _judge(connection: duckdb.DuckDBPyConnection, derivation: Derivation, plan: Plan) -> None:
    """Create `findings` (one row per entity and rule) and `judged` (`measured` with the verdict and its reasons)."""
    findings = " UNION ALL ".join(_finding(place, known) for place, known in enumerate(plan.rules))
    connection.execute(f"CREATE OR REPLACE TABLE findings AS {findings}")
    deciding, other = (Verdict.NOT_MET, Verdict.MET) if derivation.combine == "all" else (Verdict.MET, Verdict.NOT_MET)
    connection.execute(f"""
        CREATE OR REPLACE TABLE judged AS
        WITH said AS (
            SELECT entity_id, CASE WHEN bool_or(verdict = '{deciding}') THEN '{deciding}'
                WHEN bool_or(verdict = '{Verdict.UNKNOWN}') THEN '{Verdict.UNKNOWN}' ELSE '{other}' END AS verdict,
                string_agg(reason_zh, '；' ORDER BY place) AS reasons_zh,
                string_agg(reason_en, '; ' ORDER BY place) AS reasons_en
            FROM findings GROUP BY entity_id
        )
        SELECT measured.* EXCLUDE ("by "), measured."by " AS {sql_name(derivation.subject.by)},
            measured."entity " AS entity_id, said.verdict, reasons_zh, reasons_en
        FROM measured JOIN said ON said.entity_id = measured."entity " """)


def _finding(place: int, known: PlannedRule) -> str:
    """Return the query for what one rule says of every entity, with its words in both languages."""
    rule = known.rule
    value, threshold = _cast(known.value), _cast(known.threshold)
    shown, held = _shown("value", known.value.kind), _shown("threshold", known.threshold.kind)
    unit = literal_sql(rule.unit)
    words = RELATIONS[rule.must]
    reasons = ", ".join(
        f"{literal_sql(title + colon)} || coalesce({shown} || {unit}, {literal_sql(unknown)}) || "
        f"{literal_sql(open_ + relation)} || coalesce({held} || {unit}, {literal_sql(unknown)}) || "
        f"{literal_sql(close)} || CASE verdict WHEN 'pass' THEN {literal_sql(passed)} "
        f"WHEN 'fail' THEN {literal_sql(failed)} ELSE {literal_sql(unsure)} END AS {name}"
        for name, title, colon, unknown, open_, relation, close, passed, failed, unsure in (
            ("reason_zh", rule.title.zh, "：", "未知", "（应", words.zh, "）", "符合", "不符合", "待核实"),
            ("reason_en", rule.title.en, ": ", "unknown", " (must be ", f"{words.en} ", ")", " ✓", " ✗", " ?"),
        )
    )
    return f"""
        SELECT entity_id, {place} AS place, {literal_sql(rule.code)} AS rule, {shown} AS value, {held} AS threshold,
            verdict, {reasons}
        FROM (SELECT *, CASE WHEN value IS NULL OR threshold IS NULL THEN '{rule.missing}'
                     WHEN value {_RELATIONS[rule.must]} threshold THEN 'pass' ELSE 'fail' END AS verdict
              FROM (SELECT "entity " AS entity_id, {value} AS value, {threshold} AS threshold FROM measured))"""


def derived_digest(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """Return the digest of what is published: every entity with its columns, and every finding.

    The findings hold title, value, threshold and verdict in words, so a rule that is told otherwise is another version.
    """
    digests = [
        connection.execute(f"""
            SELECT sha256(coalesce(string_agg(sha256(CAST(to_json(told) AS VARCHAR)), '' ORDER BY {order}), ''))
            FROM read_parquet({sql_text(str(folder / name))}) told""").fetchone()
        for name, order in ((ENTITIES, "entity_id"), (FINDINGS, "entity_id, place"), (MEMBERS, "entity_id, member"))
    ]
    return sha256_hex("".join(str(found[0]) for found in digests if found is not None).encode())
