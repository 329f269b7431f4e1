"""Turning a database's rows into record batches of the exchange's types: without loss, or refused with the reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Context, Decimal, InvalidOperation
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datong.exchange import ChangesLost, Column, ReadQuery, arrow_schema, arrow_type, decimal_parameters
from datong.kernel import Invalid, NotFound, Refused, Text

_EXACT = Context(prec=100)
"""Decimal arithmetic rounds to 28 digits unless told otherwise."""

Convert = Callable[[object], object]


def not_lossless(table: str, column: str, reason: Text) -> Invalid:
    """Return the error of a column whose values cannot travel unchanged."""
    return Invalid(
        "adapters.value_not_lossless",
        what=Text(
            zh=f"表 {table} 的列 {column} 含有无法无损交换的值：{reason.zh}",
            en=f"Column {column} of table {table} holds a value that cannot travel unchanged: {reason.en}",
        ),
        remedy=Text(
            zh="请修正该值，或在数据源中改用能表示它的列类型。",
            en="Correct the value, or give the column a type in the source that can hold it.",
        ),
        context={"table": table, "column": column},
    )


def no_table(table: str) -> NotFound:
    """Return the error of a table that the source does not have."""
    return NotFound(
        "adapters.table_not_found",
        what=Text(zh=f"数据源中没有表 {table}。", en=f"The source has no table {table}."),
        remedy=Text(zh="请核对表名。", en="Check the table's name."),
        context={"table": table},
    )


def changes_lost(why: Text) -> ChangesLost:
    """Return the error of a log that does not tell every change."""
    return ChangesLost(
        "adapters.changes_lost",
        what=Text(zh=f"变更无法接续：{why.zh}；任务将重新全量。", en=f"Changes do not connect: {why.en}."),
        remedy=Text(zh="无需操作，节点会自动重新全量。", en="Nothing is to be done: the node begins with a snapshot."),
    )


def unreadable(table: str, error: Exception) -> Refused:
    """Return the error of a table that its source does not let be read; the source's own words stay here."""
    words = str(error).strip().splitlines()
    said = words[0][:200] if words else type(error).__name__
    return Refused(
        "adapters.table_unreadable",
        what=Text(zh=f"表 {table} 无法读取：{said}", en=f"The table {table} cannot be read: {said}"),
        remedy=Text(
            zh="请检查节点账号的权限，以及视图或文件是否完好。",
            en="Check the rights of the node's account, and whether the view or file is sound.",
        ),
        context={"table": table},
    )


def readable(
    table: str, batches: Iterable[pa.RecordBatch], failures: tuple[type[Exception], ...]
) -> Iterator[pa.RecordBatch]:
    """Yield `batches`; one of the engine's own `failures` becomes an error of the platform.

    Raises:
        Refused: `adapters.table_unreadable`.
    """
    try:
        yield from batches
    except failures as error:
        raise unreadable(table, error) from error


def null_in_order(table: str, columns: Sequence[str]) -> Invalid:
    """Return the error of a table whose cursor or key columns hold NULL: such rows would silently be missed."""
    names = "、".join(columns)
    return Invalid(
        "adapters.null_in_order",
        what=Text(
            zh=f"表 {table} 的游标列或主键列（{names}）含有空值，这些行会被漏掉。",
            en=f"The cursor or key columns ({names}) of table {table} hold NULL; such rows would be missed.",
        ),
        remedy=Text(zh="请补齐这些值，或选择其他列。", en="Fill the values in, or choose other columns."),
        context={"table": table, "columns": list(columns)},
    )


def chosen_columns(table: str, columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns called `names`, in that order.

    Raises:
        NotFound: `adapters.column_not_found`.
    """
    by_name = {column.name: column for column in columns}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise NotFound(
            "adapters.column_not_found",
            what=Text(
                zh=f"表 {table} 没有列 {'、'.join(missing)}。", en=f"Table {table} has no column {', '.join(missing)}."
            ),
            remedy=Text(zh="请核对列名或更新资源版本。", en="Check the names, or revise the resource."),
            context={"table": table, "columns": missing},
        )
    return tuple(by_name[name] for name in names)


def order_columns(columns: Sequence[Column], query: ReadQuery) -> tuple[Column, ...]:
    """Return the ordering columns of `query`."""
    return chosen_columns(query.table, columns, query.order)


def reader_of_rows(
    table: str,
    rows: Iterable[Sequence[object]],
    columns: tuple[Column, ...],
    batch_rows: int,
    convert: dict[str, Convert] | None = None,
) -> pa.RecordBatchReader:
    """Return a reader over Python rows, in batches of `batch_rows`; `convert` maps a column's name to its conversion.

    Raises (while reading):
        Invalid: `adapters.value_not_lossless`.
    """
    schema = arrow_schema(columns)
    converters = convert or {}

    def batches() -> Iterator[pa.RecordBatch]:
        iterator = iter(rows)
        while chunk := list(islice(iterator, batch_rows)):
            arrays = []
            for number, column in enumerate(columns):
                values = [row[number] for row in chunk]
                arrays.append(array_of(table, column, values, converters.get(column.name)))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def array_of(
    table: str, column: Column, values: list[object], convert: Convert | None
) -> "pa.Array[pa.Scalar[pa.DataType]]":
    """Return `values` as an array of the column's type.

    Raises:
        Invalid: `adapters.value_not_lossless`.
    """
    try:
        if convert is not None:
            values = [None if value is None else convert(value) for value in values]
        return pa.array(values, arrow_type(column.type))
    except (pa.ArrowException, TypeError, ValueError, KeyError, OverflowError, InvalidOperation) as error:
        # The error's own text may quote the value; the reason names the type only.
        reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
        raise not_lossless(table, column.name, reason) from error


def decimal_of(name: str) -> Convert:
    """Return the exact conversion to the decimal type called `name`; a value with more digits is an error."""
    parameters = decimal_parameters(name)
    if parameters is None:
        raise ValueError(f"{name} is not a decimal type")
    quantum = Decimal(1).scaleb(-parameters[1])

    def convert(value: object) -> Decimal:
        exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))
        scaled = exact.quantize(quantum, context=_EXACT)
        if scaled != exact:
            raise ValueError("more decimal places than the column declares")
        return scaled

    return convert


def rebatched(reader: Iterable[pa.RecordBatch], schema: pa.Schema, batch_rows: int) -> pa.RecordBatchReader:
    """Return the rows of `reader` in batches of exactly `batch_rows` rows, the last one smaller."""

    def batches() -> Iterator[pa.RecordBatch]:
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in reader:
            piece = batch
            while rows + piece.num_rows >= batch_rows:
                need = batch_rows - rows
                yield _joined([*waiting, piece.slice(0, need)], schema)
                piece = piece.slice(need)
                waiting, rows = [], 0
            if piece.num_rows:
                waiting.append(piece)
                rows += piece.num_rows
        if waiting:
            yield _joined(waiting, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def sliced(reader: Iterable[pa.RecordBatch], schema: pa.Schema, rows_max: int) -> pa.RecordBatchReader:
    """Return the rows of `reader` in batches of at most `rows_max` rows; nothing is copied."""
    pieces = (batch.slice(first, rows_max) for batch in reader for first in range(0, batch.num_rows, rows_max))
    return pa.RecordBatchReader.from_batches(schema, pieces)


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches, schema=schema).combine_chunks()
    return table.to_batches(max_chunksize=max(1, table.num_rows))[0]


def texts_of(batch: pa.RecordBatch, row: int) -> dict[str, str | None]:
    """Return one row for a dead letter: each value's text, blobs in hexadecimal."""
    result: dict[str, str | None] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        value = column[row].as_py()
        result[name] = None if value is None else value.hex() if isinstance(value, bytes) else str(value)
    return result


def last_of_each_key(table: pa.Table, key_columns: Sequence[str], number: str) -> pa.Table:
    """Return the rows with the highest `number` of each key."""
    newest = table.group_by(list(key_columns)).aggregate([(number, "max")]).column(f"{number}_max")
    return table.filter(pc.is_in(table.column(number), value_set=newest.combine_chunks()))


_DAYS = (-719_162, 2_932_896)
_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The first and last moments of the years 1 and 9999, counted from 1970-01-01."""


def far_times(batch: pa.RecordBatch) -> dict[int, str]:
    """Return the rows with a date or time outside the years 1 to 9999, which most databases and ISO 8601 cannot say."""
    result: dict[int, str] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_date(column.type):
            low, high = _DAYS
            counts = column.cast(pa.int32()).cast(pa.int64())
        elif pa.types.is_timestamp(column.type):
            low, high = _MICROSECONDS
            counts = column.cast(pa.int64())
        else:
            continue
        bounds = pc.min_max(counts)
        if bounds["min"].as_py() is None or (bounds["min"].as_py() >= low and bounds["max"].as_py() <= high):
            continue
        outside = pc.or_(pc.less(counts, pa.scalar(low)), pc.greater(counts, pa.scalar(high)))
        for row in rows_where(outside):
            result[row] = f"列 {name} 的日期超出 1–9999 年 / column {name}: a date outside the years 1 to 9999"
    return result


def rows_where(condition: "pa.BooleanArray | pa.Array[pa.Scalar[pa.DataType]]") -> list[int]:
    """Return the numbers of the rows for which `condition` is true (NULL is not)."""
    # NULL in an array of Booleans becomes None, which is as little true as False.
    return [int(number) for number in np.flatnonzero(condition.to_numpy(zero_copy_only=False))]


def may_hold_nul(column: "pa.Array[pa.Scalar[pa.DataType]]") -> bool:
    """Whether the bytes under a text column hold a NUL at all: far cheaper than to look at value after value."""
    text = column.buffers()[2]
    # Bytes of values outside a slice are looked at too: then the answer is true too often, never too seldom.
    return text is not None and text.size > 0 and int(np.frombuffer(memoryview(text), np.uint8).min()) == 0


def float_rows(batch: pa.RecordBatch, *, infinite: bool) -> dict[int, str]:
    """Return the rows with a floating-point NaN, or an infinity if `infinite`, for databases that know none."""
    result: dict[int, str] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_floating(column.type):
            bad = pc.invert(pc.is_finite(column)) if infinite else pc.is_nan(column)
            for row in rows_where(bad):
                result[row] = f"列 {name} 不是有限数 / column {name}: not a finite number"
    return result


def texts_of_column(values: "pa.ChunkedArray[pa.Scalar[pa.DataType]]") -> "pa.ChunkedArray[pa.Scalar[pa.DataType]]":
    """Return a column as text; binary values are only marked as present."""
    if pa.types.is_binary(values.type):
        mark = pa.scalar("(binary)", pa.string())
        return pa.chunked_array([pc.if_else(pc.is_valid(chunk), mark, None) for chunk in values.chunks], pa.string())
    return values.cast(pa.string())


def rows_after(rows: pa.Table, order: tuple[Column, ...], texts: tuple[str, ...]) -> "pa.BooleanArray":
    """Return which rows come after the cursor, in lexicographic order of the ordering columns."""
    result = pa.array([False] * rows.num_rows)
    equal = pa.array([True] * rows.num_rows)
    for column, text in zip(order, texts, strict=True):
        values = rows.column(column.name).combine_chunks()
        plain = bytes.fromhex(text) if column.type == "binary" else text
        bound = pa.scalar(plain).cast(values.type)
        result = pc.or_(result, pc.and_(equal, pc.greater(values, bound)))
        equal = pc.and_(equal, pc.equal(values, bound))
    return result


def parsed_texts(texts: Any, kind: pa.DataType) -> Any:
    """Return texts (an array, chunked or not) as values of another type; times of day take a day along, since Arrow
    parses none alone.

    Raises:
        pa.ArrowInvalid: a text is none of the type.
    """
    if pa.types.is_time(kind):
        join: Callable[..., Any] = pc.binary_join_element_wise
        return join("1970-01-01", texts, " ").cast(pa.timestamp("us")).cast(kind)
    return texts.cast(kind)


def typed_batch(table: str, batch: pa.RecordBatch, columns: tuple[Column, ...], schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch as the exchange's types.

    Raises:
        Invalid: `adapters.value_not_lossless`.
    """
    arrays = []
    for column, values, field in zip(columns, batch.columns, schema, strict=True):
        try:
            arrays.append(values if values.type.equals(field.type) else values.cast(field.type))
        except pa.ArrowInvalid as error:
            reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
            raise not_lossless(table, column.name, reason) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
