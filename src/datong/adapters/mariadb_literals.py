"""Writing to MariaDB and MySQL fast in plain Python: INSERT statements of megabytes, whose text Arrow makes by columns.

Nothing depends on the server's settings (`LOAD DATA LOCAL` is off in many, and turns faults into warnings), and a value
that the server refuses is an error, as in any INSERT.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datong.exchange import Column
from datong.kernel import Misconfigured, Text

STATEMENT_BYTES = 1 << 20
"""So long is a statement, unless a single row is longer."""
CELL_BYTES = 64
"""More than the literal of any number or time takes."""
_DIGITS = np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)
_QUOTED = frozenset({"date", "time", "timestamp", "timestamp_utc"})
_TEXT = pa.large_string()
# The stubs of Arrow's functions know fewer types than the functions.
_join: Callable[..., Any] = pc.binary_join_element_wise
_length: Callable[..., Any] = pc.binary_length
_count: Callable[..., Any] = pc.count_substring


def insert_statements(into: str, table: pa.Table, columns: tuple[Column, ...], number: str) -> Iterator[bytes]:
    """Yield the statements that insert every row of `table` (the columns, then the whole number `number`)."""
    head = f"INSERT INTO {into} VALUES ".encode()
    for batch in table.combine_chunks().to_batches():
        literals = [literal(batch.column(column.name), column) for column in columns]
        literals.append(batch.column(number).cast(_TEXT))
        joined = _join(*literals, pa.scalar(",", _TEXT))
        rows = _join(pa.scalar("(", _TEXT), joined, pa.scalar("),", _TEXT), pa.scalar("", _TEXT))
        yield from (head + piece for piece in _pieces(rows))


def literal(values: Any, column: Column) -> Any:
    """Return each value as SQL; NULL as the word."""
    if column.type == "string":
        escaped = pc.replace_substring(pc.replace_substring(values.cast(_TEXT), "\\", "\\\\"), "'", "''")
        texts = _between("'", escaped, "'")
    elif column.type == "binary":
        texts = _between("x'", hexadecimal(values), "'")
    elif column.type == "boolean":
        texts = values.cast(pa.int8()).cast(_TEXT)
    elif column.type == "float32":
        texts = values.cast(pa.float64()).cast(_TEXT)
    else:
        if column.type == "timestamp_utc":
            values = values.cast(pa.timestamp("us"))
        texts = values.cast(pa.string()).cast(_TEXT)
        if column.type in _QUOTED:
            texts = _between("'", texts, "'")
    return texts.fill_null("NULL")


def row_too_long(needed_bytes: int) -> Misconfigured:
    """Return the error of a row that no statement may hold."""
    return Misconfigured(
        "adapters.row_too_long",
        what=Text(
            zh=f"有一行需要 {needed_bytes} 字节的语句，超过目标服务器的 max_allowed_packet。",
            en=f"A row needs a statement of {needed_bytes} bytes, over the target server's max_allowed_packet.",
        ),
        remedy=Text(zh="请调大该服务器的 max_allowed_packet。", en="Raise max_allowed_packet of that server."),
    )


def literal_bytes_max(batch: pa.RecordBatch) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return how many bytes each row takes in a statement at most: every character escaped."""
    total = np.full(batch.num_rows, CELL_BYTES * (batch.num_columns + 1), dtype=np.int64)
    for values in batch.columns:
        if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
            total += 2 * _numbers(_length(values))
    return total


def literal_bytes(batch: pa.RecordBatch) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return how many bytes each row takes in a statement, other cells than texts and blobs rounded up."""
    total = literal_bytes_max(batch)
    for values in batch.columns:
        if pa.types.is_string(values.type):
            escaped = _numbers(_count(values, "'")) + _numbers(_count(values, "\\"))
            total += escaped - _numbers(_length(values))
    return total


def _numbers(values: Any) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def hexadecimal(values: Any) -> Any:
    """Return binary values as upper-case hexadecimal texts."""
    plain = values.cast(pa.large_binary())
    buffers: list[Any] = plain.buffers()
    _, offsets, data = buffers
    if offsets is None or data is None or not len(plain):
        return plain.cast(_TEXT)
    places = np.frombuffer(offsets, dtype=np.int64)[plain.offset : plain.offset + len(plain) + 1]
    content = np.frombuffer(data, dtype=np.uint8)[places[0] : places[-1]]
    digits = np.empty(content.size * 2, dtype=np.uint8)
    digits[0::2] = _DIGITS[content >> 4]
    digits[1::2] = _DIGITS[content & 15]
    doubled = (places - places[0]) * 2
    made = [None, pa.py_buffer(doubled.data), pa.py_buffer(digits.data)]
    return pc.if_else(plain.is_valid(), pa.Array.from_buffers(_TEXT, len(plain), made), None)


def _between(before: str, values: Any, after: str) -> Any:
    return _join(pa.scalar(before, _TEXT), values, pa.scalar(after, _TEXT), pa.scalar("", _TEXT))


def _pieces(rows: Any) -> Iterator[bytes]:
    """Yield the rows' texts, each of which ends with a comma, in pieces without the last comma."""
    _, offsets, data = rows.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[rows.offset : rows.offset + len(rows) + 1]
    text = memoryview(data)
    first = 0
    while first < len(rows):
        end = int(np.searchsorted(places, places[first] + STATEMENT_BYTES, side="right")) - 1
        end = max(end, first + 1)
        yield bytes(text[int(places[first]) : int(places[end]) - 1])
        first = end
