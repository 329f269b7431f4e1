"""A repair at both nodes: the producer reads the named rows again, the consumer adds deletes that only it can name."""

from collections.abc import Iterable

import pyarrow as pa

from datong.exchange import (
    DELETED_COLUMN,
    Column,
    Comparing,
    Connector,
    Manifest,
    RangeQuery,
    RangeReader,
    ReadQuery,
    RepairOrder,
    Target,
    Task,
    arrow_schema,
    data_columns,
)
from datong.node.reconciler import as_moved, not_comparable, renamed


def rows_to_send(source: Connector, task: Task, columns: tuple[Column, ...], order: RepairOrder) -> pa.RecordBatch:
    """Return the rows at the ordered places as the source has them now, marked as not deleted."""
    query = _query(task, columns, order, (*order.send, *order.delete))
    if isinstance(source, Comparing):
        found = pa.Table.from_batches(source.chosen(query), schema=arrow_schema(columns))
    else:
        reader = source.read(ReadQuery(table=task.table, columns=tuple(column.name for column in columns)))
        chosen = RangeReader(query).chosen(as_moved(reader, columns))
        found = pa.Table.from_batches(chosen, schema=arrow_schema(columns))
    return _marked(found, columns, deleted=False)


def with_deletes(
    reader: pa.RecordBatchReader, manifest: Manifest, task: Task, order: RepairOrder, target: Target
) -> pa.RecordBatchReader:
    """Return a repair's rows and the deletes of what is still at the ordered places here but not at the source.

    A repair names at most `DIFFERENCES_MAX` rows, so they are held in memory.

    Raises:
        Conflict: `node.not_comparable` when the target cannot find rows by place.
    """
    if not isinstance(target, Comparing):
        raise not_comparable()
    columns = data_columns(manifest.columns)
    sent = reader.read_all()
    everything = _query(task, columns, order, ("",))
    present = {row.place for row in RangeReader(everything).rows(sent.drop_columns([DELETED_COLUMN.name]).to_batches())}
    gone = tuple(place for place in order.delete if place not in present)
    if not gone:
        return sent.to_reader()
    asked = renamed(_query(task, columns, order, gone), task.target_plan, task.compared_table)
    found = pa.Table.from_batches(target.chosen(asked), schema=arrow_schema(asked.columns))
    deletes = _marked(found.rename_columns([column.name for column in columns]), columns, deleted=True)
    return pa.concat_tables([sent, pa.Table.from_batches([deletes])]).to_reader()


def _query(task: Task, columns: tuple[Column, ...], order: RepairOrder, prefixes: tuple[str, ...]) -> RangeQuery:
    return RangeQuery(
        table=task.table, columns=columns, key_columns=task.key_columns, salt=order.salt, prefixes=prefixes
    )


def _marked(found: pa.Table, columns: Iterable[Column], *, deleted: bool) -> pa.RecordBatch:
    schema = arrow_schema((DELETED_COLUMN, *columns))
    marks = pa.array([deleted] * found.num_rows, pa.bool_())
    table = found.add_column(0, schema.field(0), marks).cast(schema).combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)
