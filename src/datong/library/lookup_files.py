"""What stands in a lookup file: golden records by entity, and a source's records by their keys.

A file is written whole from relations of DuckDB, or amended: the relations then hold what changed, and the file lies
over the former version's (see `lookup_layers`). Rows have numbers; those that stay keep theirs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from datong.library.conform import ConformedSource
from datong.library.engine import sql_name, sql_text
from datong.library.fuse import entity_slices
from datong.library.layers import table_sql
from datong.library.lookup_writing import LookupWriter

ENTITY_ID = "entity_id"
KEY_ROWS_MAX = 10_000_000
"""Keys that are put in order at once: more, with what they are joined to, did not fit into 2 GB."""
_CELL = (
    "element",
    "position::VARCHAR",
    "value",
    "raw",
    "flag",
    "source::VARCHAR",
    "row_key",
    "batch_id",
    "observed_at",
    "rule",
)


class FormerRows(NamedTuple):
    """The former version's lookup file at `path` with its number of `rows`; the relation `touched` lists, by the name
    `own` of their key, the rows that may be others now, and the relation `before` holds what it said of them."""

    path: Path
    rows: int
    own: str
    touched: str
    before: str


def write_golden_lookup(
    connection: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    meta: Mapping[str, Any],
    cells: Path,
    links: Path,
    successions: Path,
    path: Path,
) -> int:
    """Write the lookup file of the golden records, found by the elements `keys`; return their number."""
    said = table_sql(cells)
    connection.execute(f"""
        CREATE OR REPLACE TABLE golden_rows AS
        SELECT row_number() OVER (ORDER BY entity_id) AS id, entity_id
        FROM (SELECT DISTINCT entity_id FROM {said})""")
    with LookupWriter(path, meta) as writer:
        count = sum(
            writer.fill("row", connection, _payloads_sql(said, "entity_id BETWEEN ? AND ?"), bounds)
            for bounds in entity_slices(connection, cells)
        )
        for some in _key_slices(keys, count):
            writer.fill("key", connection, _golden_keys_sql(said, some, "golden_rows"))
        _fill_members(writer, connection, table_sql(links), successions)
    connection.execute("DROP TABLE golden_rows")
    return count


def amend_golden_lookup(
    connection: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    meta: Mapping[str, Any],
    former: FormerRows,
    cells: str,
    links: str,
    successions: Path,
    path: Path,
) -> int:
    """Write the lookup file of the golden records where the relations `cells` and `links` hold those of the touched
    entities; return the number of rows."""
    with LookupWriter(path, meta, former=former.path) as writer:
        count = _number(writer, connection, former, "golden_rows")
        there = "(SELECT id, entity_id FROM golden_rows WHERE was_there)"
        writer.remove_rows(
            connection, f"SELECT id FROM {there}", _golden_keys_sql(former.before, _found_by(keys), there)
        )
        writer.remove_members(connection, "SELECT entity_id FROM golden_rows")
        writer.clear("succession")
        count += writer.fill("row", connection, _payloads_sql(cells, "true"))
        here = f"(SELECT id, entity_id FROM golden_rows SEMI JOIN {cells} USING (entity_id))"
        writer.fill("key", connection, _golden_keys_sql(cells, _found_by(keys), here))
        _fill_members(writer, connection, links, successions)
    connection.execute("DROP TABLE golden_rows")
    return count


def write_record_lookup(
    connection: duckdb.DuckDBPyConnection,
    source: ConformedSource,
    keys: Sequence[str],
    meta: Mapping[str, Any],
    records: str,
    path: Path,
) -> int:
    """Write the lookup file of a source's `records`, which have numbers as `id`; return how many they are."""
    with LookupWriter(path, meta) as writer:
        count = writer.fill("row", connection, _records_sql(source, records))
        writer.fill("key", connection, _record_keys_sql(keys, records))
    return count


def amend_record_lookup(
    connection: duckdb.DuckDBPyConnection,
    source: ConformedSource,
    keys: Sequence[str],
    meta: Mapping[str, Any],
    former: FormerRows,
    records: str,
    path: Path,
) -> int:
    """Write the lookup file of a source's records, `records` being the touched ones; return the number of rows."""
    numbered = f"record_rows_{source.number}"
    with LookupWriter(path, meta, former=former.path) as writer:
        count = _number(writer, connection, former, numbered)
        there = f"(SELECT b.*, n.id FROM {former.before} b JOIN {numbered} n USING ({former.own}) WHERE n.was_there)"
        numbers = f"SELECT id FROM {numbered} WHERE was_there"
        writer.remove_rows(connection, numbers, _record_keys_sql(keys, there))
        here = f"(SELECT r.*, n.id FROM {records} r JOIN {numbered} n USING ({former.own}))"
        count += writer.fill("row", connection, _records_sql(source, here))
        writer.fill("key", connection, _record_keys_sql(keys, here))
    connection.execute(f"DROP TABLE {numbered}")
    return count


def _number(writer: LookupWriter, connection: duckdb.DuckDBPyConnection, former: FormerRows, table: str) -> int:
    """Create `table`: the touched rows by key, with their numbers or new ones; return how many rows are not touched."""
    known = f"known_{table}"
    connection.register(known, writer.numbers(former.own, connection, f"SELECT {former.own} FROM {former.touched}"))
    connection.execute(f"""
        CREATE OR REPLACE TABLE {table} AS
        SELECT {former.own}, k.id IS NOT NULL AS was_there, coalesce(CAST(k.id AS BIGINT), {writer.last_number()} +
            row_number() OVER (PARTITION BY k.id IS NULL ORDER BY {former.own})) AS id
        FROM {former.touched} t LEFT JOIN {known} k ON CAST(k.value AS VARCHAR) = t.{former.own}""")
    connection.unregister(known)
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE was_there").fetchone()
    return former.rows - (found[0] if found else 0)


def _payloads_sql(cells: str, where: str) -> str:
    return f"""
        SELECT id, entity_id, NULL, '[' || array_to_string(list_transform(list_sort(list(
            {{'element': element, 'position': position, 'cell': CAST(to_json([{", ".join(_CELL)}]) AS VARCHAR)}}
        )), lambda known: known.cell), ',') || ']'
        FROM {cells} JOIN golden_rows USING (entity_id) WHERE {where} GROUP BY id, entity_id ORDER BY id"""


def _found_by(keys: Sequence[str]) -> list[str]:
    """Return by what golden records are found, in the order in which a lookup file has it."""
    return sorted({*keys, ENTITY_ID})


def _key_slices(keys: Sequence[str], rows: int) -> list[list[str]]:
    """Return `_found_by` in pieces, each of which can be put in order at once: few of many rows, all of few."""
    names = _found_by(keys)
    size = max(1, KEY_ROWS_MAX // max(1, rows))
    return [names[start : start + size] for start in range(0, len(names), size)]


def _golden_keys_sql(cells: str, names: Sequence[str], rows: str) -> str:
    parts = []
    if wanted := ", ".join(sql_text(element) for element in names if element != ENTITY_ID):
        parts.append(
            f"SELECT element, value, id FROM {cells} JOIN {rows} USING (entity_id) "
            f"WHERE position = 1 AND element IN ({wanted})"
        )
    if ENTITY_ID in names:
        parts.append(f"SELECT {sql_text(ENTITY_ID)} AS element, entity_id AS value, id FROM {rows}")
    return f"{' UNION ALL '.join(parts)} ORDER BY ALL"


def _fill_members(writer: LookupWriter, connection: duckdb.DuckDBPyConnection, links: str, successions: Path) -> None:
    writer.fill(
        "member",
        connection,
        f"SELECT entity_id, source, row_key, rule, weight, joined_to FROM {links} ORDER BY entity_id, source, row_key",
    )
    writer.fill("succession", connection, f"FROM read_parquet({sql_text(str(successions))}) ORDER BY ALL")


def _records_sql(source: ConformedSource, records: str) -> str:
    cells = ", ".join(
        f"[{sql_text(field)}, {clean}, CASE WHEN {raw} IS DISTINCT FROM {clean} THEN {raw} END, {flag}]"
        for field in source.fields
        for clean, raw, flag in [(sql_name(field), sql_name(f"{field}|raw"), sql_name(f"{field}|flag"))]
    )
    return f"""
        SELECT id, entity_id, row_key, CAST(to_json([[batch_id, observed_at], {cells}]) AS VARCHAR)
        FROM {records} ORDER BY id"""


def _record_keys_sql(keys: Sequence[str], records: str) -> str:
    parts = (
        f"SELECT {sql_text(key)} AS element, {sql_name(key)} AS value, id FROM {records} "
        f"WHERE {sql_name(key)} IS NOT NULL"
        for key in (*keys, "entity_id", "row_key")
    )
    return f"{' UNION ALL '.join(parts)} ORDER BY ALL"
