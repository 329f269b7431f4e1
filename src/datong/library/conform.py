"""Landing → conformed: the current row of every key, each value standardised by the norms, raw and flag kept.

A conformed source is a Parquet file with one row per key: `row_key`, `batch_id`, `sequence`, `first_sequence`,
`observed_at` and, per field *f*, the columns *f* (clean), *f*`|raw` and *f*`|flag`; an address has its parts beside
(`address_conform`). A field is named by its data element; columns without an element, or with one that an earlier
column has, are named `column:<name>`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from datong.exchange import DELETED_COLUMN, guarded_reader
from datong.kernel import Corrupt, Invalid, Text, Value
from datong.kernel.files import file_digest
from datong.library.address_conform import (
    ADDRESS_ELEMENTS,
    ADDRESS_PARTS,
    create_divided,
    divided_before_sql,
    divided_rows_sql,
    landed_part,
    part_column,
)
from datong.library.addresses import Gazetteer
from datong.library.definition import Definition, SourceRole
from datong.library.engine import Workspace, sql_name, sql_text
from datong.library.layers import table_sql
from datong.library.values import LandedBatch, LandedSource, LandingMode
from datong.norms import JudgedColumn, NormPack, flagged_sql

KEY_SEPARATOR = "\x1f"
OBSERVED_ELEMENT = "updated_at"


class ConformedSource(Value):
    """A source inside a build: `number` orders the sources the same way in every installation."""

    number: int
    source: LandedSource
    role: SourceRole
    fields: Mapping[str, str]
    """Field → source column."""

    @property
    def file(self) -> str:
        """The name of its Parquet file in the step's folder."""
        return f"source_{self.number:03d}.parquet"

    @property
    def gone_file(self) -> str:
        """The name of the file of its deleted records' keys, if there are any, with the batch each first came in."""
        return f"source_{self.number:03d}.gone.parquet"

    def sql(self, folder: Path) -> str:
        """Return its records in the step's folder as something to select from."""
        return table_sql(folder / self.file)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The fields that are addresses."""
        return tuple(element for element in ADDRESS_ELEMENTS if element in self.fields)

    def has(self, element: str) -> bool:
        """Return whether the source holds `element`."""
        return element in self.fields


def take_part(definition: Definition, sources: tuple[LandedSource, ...], pack: NormPack) -> tuple[ConformedSource, ...]:
    """Return the sources that play a role in the library, in an order that depends on their content only."""
    ranks = {role.key: rank for rank, role in enumerate(definition.roles)}
    playing = [(role, source) for source in sources if source.batches and (role := definition.role_of(source))]
    playing.sort(key=lambda pair: (ranks[pair[0].key], pair[1].department, pair[1].title.zh, pair[1].resource_id))
    return tuple(
        ConformedSource(number=number, source=source, role=role, fields=_fields(source, pack))
        for number, (role, source) in enumerate(playing)
    )


def _fields(source: LandedSource, pack: NormPack) -> dict[str, str]:
    fields: dict[str, str] = {}
    for column, element in source.columns.items():
        known = element is not None and element not in fields and pack.has_element(element)
        fields[element if known and element else f"column:{column}"] = column
    return fields


def current_batches(source: LandedSource) -> tuple[LandedBatch, ...]:
    """Return the batches that make the current state: those since the start of the latest complete copy, in order."""
    batches = sorted(source.batches, key=lambda batch: batch.sequence)
    latest = max((batch.snapshot for batch in batches if batch.mode is LandingMode.SNAPSHOT), default=None)
    if latest is None:
        return tuple(batches)
    start = min(batch.sequence for batch in batches if batch.mode is LandingMode.SNAPSHOT and batch.snapshot == latest)
    return tuple(batch for batch in batches if batch.sequence >= start)


def conform_source(
    work: Workspace, conformed: ConformedSource, pack: NormPack, folder: Path, gazetteer: Gazetteer | None = None
) -> dict[str, int]:
    """Write the conformed file of one source; return how many rows are current, superseded and without a key.

    Addresses are read by the names in `gazetteer`, if it is given: they have their parts beside.

    Raises:
        Invalid: the source names no key.
        Corrupt: a batch is no Arrow stream, or has not the source's columns.
    """
    source = conformed.source
    if not source.key_columns:
        raise Invalid(
            "library.source_without_key",
            what=Text(
                zh=f"资源“{source.title.zh}”没有声明主键。", en=f"The resource “{source.title.en}” declares no key."
            ),
            remedy=Text(zh="请在目录的绑定中指定主键列。", en="Name its key columns in the catalogue's binding."),
            context={"resource": source.resource_id},
        )
    landed = load_batches(work, conformed, current_batches(source))
    counts, deletes = _count(work, source, landed)
    rows = divide(work, conformed, landed, gazetteer, folder)
    current = current_sql(source, rows, unique=counts["superseded"] == 0 and not deletes)
    work.write(conform_sql(conformed, pack, current, divided=rows != landed), folder / conformed.file)
    if deletes:
        gone = f"SELECT row_key, first_sequence FROM ({keys_sql(source, landed)}) WHERE deleted ORDER BY row_key"
        work.write(gone, folder / conformed.gone_file)
    work.drop(landed)
    return counts


def divide(
    work: Workspace,
    conformed: ConformedSource,
    landed: str,
    gazetteer: Gazetteer | None,
    folder: Path,
    before: str | None = None,
) -> str:
    """Return the rows of `landed` as something to select from, with the parts of their addresses if there are any.

    Addresses in the conformed rows of `before` have been read by the same gazetteer.
    """
    if gazetteer is None or not conformed.addresses:
        return landed
    columns = [conformed.fields[field] for field in conformed.addresses]
    divided = create_divided(
        work,
        landed,
        columns,
        gazetteer,
        department=conformed.source.department,
        folder=folder,
        known=None if before is None else divided_before_sql(before, conformed.addresses),
    )
    return divided_rows_sql(landed, columns, divided)


def load_batches(work: Workspace, conformed: ConformedSource, batches: tuple[LandedBatch, ...]) -> str:
    """Create a table of the rows of `batches` as they landed, each with its batch and position; return its name."""
    source, landed = conformed.source, f"landed_{conformed.number}"
    work.load(landed, ((_batch_reader(batch, source), _landed_sql(batch, source)) for batch in batches))
    return landed


def _landed_sql(batch: LandedBatch, source: LandedSource) -> str:
    """Return the select list under which a batch is read: every value as a text, and where it comes from."""
    produced = batch.produced_at.isoformat() if batch.produced_at else ""
    raws = ", ".join(f"CAST({sql_name(column)} AS VARCHAR) AS {sql_name(column)}" for column in source.columns)
    return (
        f"{raws}, {sql_text(batch.batch_id)} AS __batch, {batch.sequence} AS __sequence, "
        f"{sql_text(produced)} AS __produced, __deleted, __position"
    )


def _batch_reader(batch: LandedBatch, source: LandedSource) -> pa.RecordBatchReader:
    """Return the rows of `batch` as a stream with their position added, so that their order is data."""
    wanted = list(source.columns)
    _check_payload(batch, source)
    try:
        stream = guarded_reader(pa.memory_map(str(batch.path)))
    except (OSError, Corrupt) as error:
        raise _corrupt(batch, source) from error
    missing = [column for column in wanted if stream.schema.get_field_index(column) < 0]
    if missing:
        raise _corrupt(batch, source, missing)
    fields = [stream.schema.field(column) for column in wanted]
    schema = pa.schema([*fields, pa.field("__deleted", pa.bool_()), pa.field("__position", pa.int64())])
    changes = stream.schema.get_field_index(DELETED_COLUMN.name) >= 0

    def rows() -> Iterator[pa.RecordBatch]:
        start = 0
        for part in stream:
            columns = [part.column(column) for column in wanted]
            deleted = part.column(DELETED_COLUMN.name) if changes else pa.repeat(pa.scalar(False), part.num_rows)
            numbers = pa.array(range(start, start + part.num_rows), pa.int64())
            yield pa.record_batch([*columns, deleted, numbers], schema=schema)
            start += part.num_rows

    return pa.RecordBatchReader.from_batches(schema, rows())


def _check_payload(batch: LandedBatch, source: LandedSource) -> None:
    """Raise Corrupt if the batch's file is not the one that the exchange recorded."""
    if not batch.payload_digest:
        return
    try:
        found = file_digest(batch.path)
    except OSError as error:
        raise _corrupt(batch, source) from error
    if found != batch.payload_digest:
        raise Corrupt(
            "library.batch_changed",
            what=Text(
                zh=f"“{source.title.zh}”的批次 {batch.batch_id} 与交换系统记录的摘要不符，文件已被改动。",
                en=f"Batch {batch.batch_id} of “{source.title.en}” changed after the exchange recorded it.",
            ),
            remedy=Text(zh="请查明改动原因并重新传输该批次。", en="Find out who changed it, and transfer it again."),
            context={"batch": batch.batch_id, "resource": source.resource_id},
        )


def _corrupt(batch: LandedBatch, source: LandedSource, missing: list[str] | None = None) -> Corrupt:
    why = (
        Text(zh=f"缺少列 {missing}", en=f"lacks the columns {missing}")
        if missing
        else Text(zh="无法读取", en="cannot be read")
    )
    return Corrupt(
        "library.batch_unreadable",
        what=Text(
            zh=f"“{source.title.zh}”的批次 {batch.batch_id} {why.zh}。",
            en=f"Batch {batch.batch_id} of “{source.title.en}” {why.en}.",
        ),
        remedy=Text(zh="请核对该批次并重新传输。", en="Check the batch and transfer it again."),
        context={"batch": batch.batch_id, "resource": source.resource_id},
    )


def key_sql(source: LandedSource) -> str:
    """Return the SQL of a row's key, NULL where a part of it is missing."""
    return " || chr(31) || ".join(sql_name(column) for column in source.key_columns)


def _count(work: Workspace, source: LandedSource, landed: str) -> tuple[dict[str, int], int]:
    """Return how many rows of `landed` are current, superseded and without a key, and how many say that one is gone."""
    key = key_sql(source)
    [row] = work.rows(
        f"SELECT count(*), count({key}), count(DISTINCT {key}), count(*) FILTER (__deleted) FROM {landed}"
    )
    received, keyed, known, deletes = (int(count) for count in row)
    current = known
    if deletes:
        [gone] = work.rows(
            f"SELECT count(*) FROM (SELECT __deleted FROM {landed} WHERE {key} IS NOT NULL QUALIFY row_number() OVER "
            f"(PARTITION BY {key} ORDER BY __sequence DESC, __position DESC) = 1) WHERE __deleted"
        )
        current -= int(gone[0])
    return {"rows": current, "superseded": keyed - current, "without_key": received - keyed}, deletes


def keys_sql(source: LandedSource, landed: str) -> str:
    """Return the query for every key in `landed`: where it first came, and whether its record was `deleted` last."""
    return (
        "SELECT row_key, first_sequence, __deleted AS deleted FROM (SELECT row_key, __deleted, "
        "min(__sequence) OVER (PARTITION BY row_key) AS first_sequence, "
        "row_number() OVER (PARTITION BY row_key ORDER BY __sequence DESC, __position DESC) AS recency "
        f"FROM (SELECT *, {key_sql(source)} AS row_key FROM {landed}) keyed WHERE row_key IS NOT NULL) ranked "
        "WHERE recency = 1"
    )


def conform_sql(conformed: ConformedSource, pack: NormPack, current: str, *, divided: bool = False) -> str:
    """Return the query from the rows of the query `current` to conformed rows; their addresses are `divided` or not."""
    named = [(field, column) for field, column in conformed.fields.items() if pack.has_element(field)]
    others = [(field, column) for field, column in conformed.fields.items() if not pack.has_element(field)]
    head = ("row_key", "__batch", "__sequence", "first_sequence", "__produced")
    kept = [(name, name) for name in head]
    kept += [(f"CAST({sql_name(column)} AS VARCHAR)", f"kept_{place}") for place, (_, column) in enumerate(others)]
    parts = {
        part_column(field, part): landed_part(place, part)
        for place, field in enumerate(conformed.addresses if divided else ())
        for part in ADDRESS_PARTS
    }
    kept += [(name, name) for name in parts.values()]
    places = {field: place for place, (field, _) in enumerate(named)}
    shown = []
    for place, (field, _) in enumerate(others):
        raw = f"kept_{place}"
        shown.append((field, (raw, f"nullif(trim({raw}), '')", "NULL::VARCHAR")))
    shown += [(field, (f"raw_{i}", f"clean_{i}", f"flag_{i}")) for field, i in places.items()]
    found = dict(shown)
    columns = ", ".join(
        f"{expression} AS {sql_name(field + suffix)}"
        for field in conformed.fields
        for expression, suffix in zip(found[field], ("|raw", "", "|flag"), strict=True)
    )
    columns += "".join(f", {name} AS {sql_name(column)}" for column, name in parts.items())
    observed = f"clean_{places[OBSERVED_ELEMENT]}" if OBSERVED_ELEMENT in places else "NULL::VARCHAR"
    judged = [JudgedColumn(column=column, element=pack.element(field)) for field, column in named]
    return (
        f"SELECT row_key, __batch AS batch_id, __sequence AS sequence, first_sequence, {columns}, "
        f"coalesce({observed}, nullif(__produced, '')) AS observed_at "
        f"FROM ({flagged_sql(f'({current})', judged, kept=kept)})"
    )


def current_sql(source: LandedSource, landed: str, *, unique: bool) -> str:
    """Return the query for the rows of `landed` that are current, each with its key and the batch it first came in,
    in the order of their keys.

    Where every key is `unique`, nothing was superseded and no row has to be looked for.
    """
    keyed = f"SELECT *, {key_sql(source)} AS row_key FROM {landed}"
    if unique:
        return f"SELECT *, __sequence AS first_sequence FROM ({keyed}) WHERE row_key IS NOT NULL ORDER BY row_key"
    return f"""
        WITH keyed AS ({keyed}), ranked AS (
            SELECT *, min(__sequence) OVER (PARTITION BY row_key) AS first_sequence,
                   row_number() OVER (PARTITION BY row_key ORDER BY __sequence DESC, __position DESC) AS recency
            FROM keyed WHERE row_key IS NOT NULL
        )
        SELECT * EXCLUDE (recency) FROM ranked WHERE recency = 1 AND NOT __deleted ORDER BY row_key"""
