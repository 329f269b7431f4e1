"""The rows of a replay or a backfill: an ordered stream that ends with the last row not after a cursor."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from datong.exchange.table_values import Cursor
from datong.kernel import Invalid, Text


def rows_until(batches: Iterable[pa.RecordBatch], order: tuple[str, ...], until: Cursor) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches`, which come in the order of `order`, up to the last one not after `until`.

    Nothing is asked of `batches` beyond the one in which the end lies.

    Raises:
        Invalid: `exchange.cursor_unreadable`: the cursor does not fit the columns.
    """
    for batch in batches:
        beyond = _after(batch, order, until)
        rows = batch.num_rows if not pc.any(beyond).as_py() else int(pc.index(beyond, True).as_py())
        if rows:
            yield batch.slice(0, rows)
        if rows < batch.num_rows:
            return


def _after(batch: pa.RecordBatch, order: tuple[str, ...], until: Cursor) -> pa.BooleanArray:
    """Return for each row whether it comes after `until`, column by column as the order says."""
    if len(order) != len(until.values):
        raise _unreadable(until)
    after = pa.array([False] * batch.num_rows)
    same = pa.array([True] * batch.num_rows)
    for name, text in zip(order, until.values, strict=True):
        column = batch.column(name)
        try:
            binary = pa.types.is_binary(column.type)
            value = pa.scalar(bytes.fromhex(text) if binary else text).cast(column.type)
        except (ValueError, pa.ArrowNotImplementedError) as error:
            raise _unreadable(until) from error
        after = pc.or_(after, pc.and_(same, pc.greater(column, value)))
        same = pc.and_(same, pc.equal(column, value))
    return after


def _unreadable(until: Cursor) -> Invalid:
    return Invalid(
        "exchange.cursor_unreadable",
        what=Text(
            zh="截止游标与任务的游标列、主键列不符。", en="The end does not fit the task's cursor and key columns."
        ),
        remedy=Text(
            zh="请用批次序号指定截止位置，或逐列给出其值。",
            en="Name the end by a batch's sequence, or give a value for each of these columns.",
        ),
        context={"values": len(until.values)},
    )
