"""Golden and conformed → published: Delta Lake tables, and one immutable SQLite lookup file per dataset and version.

Nothing here is visible until the control database's current version moves: a Delta table gets a new version that nobody
was told about, a lookup file a new name.
"""

import json
from pathlib import Path
from typing import Any

from datong.kernel import Text, Value
from datong.library.address_conform import ADDRESS_PARTS, part_column
from datong.library.conform import ConformedSource
from datong.library.definition import Definition
from datong.library.engine import sql_name, sql_text
from datong.library.layers import table_sql
from datong.library.values import DatasetColumn, published_column
from datong.norms import DataType, NormPack

FETCH_ROWS = 10_000
GEOMETRY = "geometry"
"""The element whose canonical text is hexadecimal WKB; its published column is the binary WKB."""


class PublishedTable(Value):
    """What a build is about to publish under one name."""

    name: str
    resource_number: int | None
    title: Text
    columns: tuple[DatasetColumn, ...]
    key_elements: tuple[str, ...]
    rows: int
    digest: str
    delta_version: int
    lookup_file: str


def golden_table_sql(definition: Definition, pack: NormPack, cells: str) -> str:
    """Return the query for the golden records in the relation `cells` as a wide, typed table."""
    columns = ", ".join(
        f"{typed_sql(pack, rule.code, f'max(value) FILTER (element = {sql_text(rule.code)})')} AS {sql_name(rule.code)}"
        for rule in definition.elements
        if pack.has_element(rule.code)
    )
    return f"SELECT entity_id, {columns} FROM {cells} WHERE position = 1 GROUP BY entity_id ORDER BY entity_id"


def lineage_table_sql(sources: tuple[ConformedSource, ...], cells: str) -> str:
    """Return the query for the lineage of every golden cell and of what other sources say, in the order of `cells`:
    that of entity, element and position already, and sorting forty million again would spill to disk."""
    return f"""
        SELECT entity_id, element, position, value, raw, flag, rule, department, resource_id, row_key, batch_id,
            observed_at
        FROM {cells} JOIN ({_sources_sql(sources)}) USING (source)"""


def record_table_sql(source: ConformedSource, pack: NormPack, records: str) -> str:
    """Return the query for a source's `records` (see `records_sql`) with clean, typed values, flags, and entity;
    the parts of an address stand in columns of their own."""
    columns = ", ".join(
        f"{typed_sql(pack, field, sql_name(field))} AS {sql_name(published_column(column))}"
        for field, column in source.fields.items()
    )
    flags = ", ".join(
        f"{sql_name(published_column(column))} := {sql_name(f'{field}|flag')}"
        for field, column in source.fields.items()
    )
    for field in source.addresses:
        name = published_column(source.fields[field])
        columns += "".join(
            f", {sql_name(part_column(field, part))} AS {sql_name(f'_{name}_{part}')}" for part in ADDRESS_PARTS
        )
    return f"""
        SELECT {columns}, entity_id AS _entity_id, row_key AS _row_key, batch_id AS _batch_id,
            observed_at AS _observed_at, CAST(to_json(struct_pack({flags})) AS VARCHAR) AS _flags
        FROM {records} ORDER BY row_key"""


def records_sql(source: ConformedSource, conformed: Path, links: Path) -> str:
    """Return the query for a source's conformed records with their `entity_id`."""
    return (
        f"SELECT * FROM {source.sql(conformed)} r LEFT JOIN "
        f"(SELECT row_key, entity_id FROM {table_sql(links)} WHERE source = {source.number}) l USING (row_key)"
    )


def _sources_sql(sources: tuple[ConformedSource, ...]) -> str:
    values = ", ".join(
        f"({source.number}, {sql_text(source.source.department)}, {sql_text(source.source.resource_id)})"
        for source in sources
    )
    return f"SELECT * FROM (VALUES {values}) AS known(source, department, resource_id)"


def typed_sql(pack: NormPack, field: str, expression: str) -> str:
    """Return `expression`, a canonical text, as the column type of its data element; text for what has none."""
    if not pack.has_element(field):
        return expression
    element = pack.element(field)
    if element.code == GEOMETRY:
        return f"unhex({expression})"
    types = {
        DataType.DATE: "DATE",
        DataType.DATETIME: "TIMESTAMP",
        DataType.INTEGER: "BIGINT",
        DataType.NUMERIC: f"DECIMAL(24, {element.decimals})",
        DataType.CURRENCY: f"DECIMAL(24, {element.decimals})",
        DataType.DOUBLE: "DOUBLE",
        DataType.FLOAT: "DOUBLE",
    }
    if element.codes or element.data_type not in types:
        return expression
    cast = f"TRY_CAST({expression} AS {types[element.data_type]})"
    return f"({cast} AT TIME ZONE 'Asia/Shanghai')" if element.data_type is DataType.DATETIME else cast


def record_digests_sql(source: ConformedSource, records: str) -> str:
    """Return the query for the digest of each of a source's `records`: key, entity and clean values, not the batch."""
    parts = " || ".join(
        f"coalesce(length({name}) || ':' || {name}, '-')"
        for name in ("row_key", "entity_id", *(sql_name(field) for field in source.fields))
    )
    return f"SELECT row_key, sha256({parts}) AS digest FROM {records}"


def source_keys(source: ConformedSource) -> tuple[str, ...]:
    """Return the fields by which a source's records are looked up: its key, and identifiers of people and things."""
    sought = (
        "citizen_id",
        "person_name",
        "household_id",
        "phone",
        "real_estate_unit",
        "student_id",
        "record_id",
        "uscc",
        "organisation_name",
        "registration_number",
        "certificate_id",
        "certificate_number",
    )
    own = [field for field, column in source.fields.items() if column in source.source.key_columns]
    return tuple(dict.fromkeys([*own, *(element for element in sought if source.has(element))]))


def dataset_columns(source: ConformedSource, pack: NormPack) -> tuple[DatasetColumn, ...]:
    """Return the published columns of a source."""
    return tuple(
        DatasetColumn(
            name=published_column(column),
            element=field if pack.has_element(field) else None,
            title=pack.element(field).name if pack.has_element(field) else Text(zh=column, en=column),
        )
        for field, column in source.fields.items()
    )


def read_json(path: Path) -> Any:
    """Return the JSON document at `path`."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON that is the same for the same value."""
    path.write_text(json.dumps(value, ensure_ascii=False, sort_keys=True), encoding="utf-8")
