"""Record batches in the form of PostgreSQL's binary COPY, column by column: no call per field, let alone per row.

The form (PostgreSQL manual, "COPY", section "Binary Format"): a row is its count of fields, then per field the length
of its bytes, -1 for NULL, and the bytes, all in network order. Columns whose values have one length make up the fields
of one NumPy record, so that a whole row of them is a piece of fixed length; so do texts that all have one length in
this batch, as identifiers and codes do. What is left are texts and columns with NULL; Arrow joins the pieces of rows.

A numeric travels as digits to base 10,000, here with leading and trailing zeros, which the server strips.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datong.exchange import Column, decimal_parameters

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
ROWS_MAX = 16_384
"""Rows that are encoded at once: some megabytes, so that they are still in the processor's cache when they are sent."""
_DAYS_TO_2000 = 10_957
_MICROSECONDS_TO_2000 = 946_684_800_000_000
_BASE, _BASE_DIGITS = 10_000, 4
_NEGATIVE = 0x4000
_TEXTS = {"string", "binary"}

Numbers = npt.NDArray[Any]


class _Field(NamedTuple):
    """A part of a row that has the same length in every row: NumPy's type, and one value or a value a row."""

    kind: str
    values: Numbers | int


def in_copy_order(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns as COPY shall name them: texts last, so that all before them is one piece."""
    return tuple(sorted(columns, key=lambda column: column.type in _TEXTS))


def encoded(table: pa.Table, columns: Sequence[Column]) -> Iterator[memoryview]:
    """Yield the rows of `table` as fields of `columns`, in that order, without `HEADER` and `TRAILER`."""
    ordered = table.select([column.name for column in columns])
    for batch in ordered.to_batches(max_chunksize=ROWS_MAX):
        if batch.num_rows:
            yield _encoded(batch, columns)


def _encoded(batch: pa.RecordBatch, columns: Sequence[Column]) -> memoryview:
    rows = _Rows(batch.num_rows)
    rows.fixed(_Field(">i2", len(columns)))
    for column, values in zip(columns, batch.columns, strict=True):
        if column.type in _TEXTS:
            rows.text(values)
        elif values.null_count:
            rows.nullable(_fields(column, values), np.asarray(values.is_valid()))
        else:
            rows.fixed(*_fields(column, values))
    return rows.joined()


class _Rows:
    """The pieces of a batch's rows, from left to right."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._open: list[_Field] = []
        self._pieces: list[pa.Array[pa.Scalar[pa.DataType]]] = []

    def fixed(self, *fields: _Field) -> None:
        """Add fields that have one length."""
        self._open += fields

    def nullable(self, fields: Sequence[_Field], valid: Numbers) -> None:
        """Add fields of one length, of which a NULL leaves only the length, -1."""
        self._close()
        whole = _record(fields, self._count)
        octets = whole.view(np.uint8).reshape(self._count, whole.dtype.itemsize)
        octets[~valid, :4] = 0xFF
        kept = np.repeat(valid[:, None], octets.shape[1], axis=1)
        kept[:, :4] = True
        lengths = np.where(valid, octets.shape[1], 4)
        self._pieces.append(_binary(_offsets(lengths), octets[kept]))

    def text(self, values: "pa.Array[pa.Scalar[pa.DataType]]") -> None:
        """Add a text or a blob."""
        valid = np.asarray(values.is_valid()) if values.null_count else None
        if valid is not None:
            fill: Any = pc.fill_null
            values = fill(values, pa.scalar(b"" if pa.types.is_binary(values.type) else "", values.type))
        _, places, data = values.buffers()
        offsets = _numbers(places, np.int32)[values.offset : values.offset + self._count + 1]
        lengths = np.diff(offsets)
        if valid is not None:
            lengths = np.where(valid, lengths, -1)
        self.fixed(_Field(">i4", lengths))
        length = int(lengths[0])
        if length > 0 and (lengths == length).all():
            begin = int(offsets[0])
            octets = _numbers(data, np.uint8)[begin : begin + length * self._count]
            self.fixed(_Field(f"V{length}", octets.view(f"V{length}")))
        elif int(offsets[-1]) > int(offsets[0]):
            self._close()
            self._pieces.append(values.view(pa.binary()))

    def joined(self) -> memoryview:
        """Return all rows."""
        self._close()
        if len(self._pieces) == 1:
            rows = self._pieces[0]
        else:
            join: Any = pc.binary_join_element_wise
            rows = join(*self._pieces, pa.scalar(b"", pa.binary()))
        _, offsets, data = rows.buffers()
        end = int(_numbers(offsets, np.int32)[self._count])
        return memoryview(data or b"")[:end]

    def _close(self) -> None:
        if self._open:
            whole = _record(self._open, self._count)
            lengths = np.arange(self._count + 1, dtype=np.int32) * np.int32(whole.dtype.itemsize)
            self._pieces.append(_binary(lengths, whole))
            self._open = []


def _record(fields: Sequence[_Field], count: int) -> Numbers:
    kind = np.dtype([(f"f{number}", field.kind) for number, field in enumerate(fields)])
    whole = np.empty(count, kind)
    for number, field in enumerate(fields):
        whole[f"f{number}"] = field.values
    return whole


def _offsets(lengths: Numbers) -> Numbers:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _binary(offsets: Numbers, octets: Numbers) -> "pa.Array[pa.Scalar[pa.DataType]]":
    buffers = [None, *(pa.py_buffer(part.view(np.uint8).data) for part in (offsets, octets))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _numbers(buffer: pa.Buffer | None, kind: type[np.generic]) -> Numbers:
    # An array of nothing may have no buffer.
    return np.frombuffer(memoryview(buffer or b""), kind)


def _fields(column: Column, values: "pa.Array[pa.Scalar[pa.DataType]]") -> list[_Field]:
    """Return length and value of a column of one length; what a NULL holds does not matter."""
    match column.type:
        case "boolean":
            return [_Field(">i4", 1), _Field("u1", np.asarray(values.cast(pa.uint8()).fill_null(0)))]
        case "int64":
            return [_Field(">i4", 8), _Field(">i8", _plain(values, np.int64))]
        case "float32":
            return [_Field(">i4", 4), _Field(">f4", _plain(values, np.float32))]
        case "float64":
            return [_Field(">i4", 8), _Field(">f8", _plain(values, np.float64))]
        case "date":
            return [_Field(">i4", 4), _Field(">i4", _plain(values, np.int32) - np.int32(_DAYS_TO_2000))]
        case "time":
            return [_Field(">i4", 8), _Field(">i8", _plain(values, np.int64))]
        case "timestamp" | "timestamp_utc":
            return [_Field(">i4", 8), _Field(">i8", _plain(values, np.int64) - np.int64(_MICROSECONDS_TO_2000))]
        case "uint64":
            return _numeric(_groups(_plain(values, np.uint64), 0), np.zeros(len(values), np.bool_), 0)
    parameters = decimal_parameters(column.type)
    if parameters is None:
        raise ValueError(f"{column.type} has no binary form here")
    scale = parameters[1]
    limbs = _plain(values, np.int64, 2)
    low, high = limbs[0::2], limbs[1::2]
    small = bool((high == low >> 63).all())
    groups = _groups(np.abs(low).view(np.uint64), scale) if small else _groups_of_texts(values, scale)
    return _numeric(groups, high < 0, scale)


def _plain(values: "pa.Array[pa.Scalar[pa.DataType]]", kind: type[np.generic], width: int = 1) -> Numbers:
    """Return the numbers under an array, `width` a value; what stands where a value is NULL is anything."""
    first, end = values.offset * width, (values.offset + len(values)) * width
    return _numbers(values.buffers()[1], kind)[first:end]


def _numeric(groups: Sequence[Numbers], negative: Numbers, scale: int) -> list[_Field]:
    """Return the fields of a numeric: how many digits, the first one's weight, sign, scale, and the digits."""
    weight = len(groups) - _fraction_groups(scale) - 1
    head: list[Numbers | int] = [len(groups), weight, np.where(negative, _NEGATIVE, 0), scale]
    fields = [_Field(">i4", 2 * (len(head) + len(groups)))]
    return fields + [_Field(">i2", values) for values in (*head, *groups)]


def _fraction_groups(scale: int) -> int:
    return -(-scale // _BASE_DIGITS)


def _groups(magnitudes: Numbers, scale: int) -> list[Numbers]:
    """Return the digits to base 10,000 of 64-bit numbers that have `scale` decimals behind their point."""
    groups: list[Numbers] = []
    rest = magnitudes
    for number in range(_fraction_groups(scale)):
        # The last digits behind the point may be fewer than four.
        missing = _BASE_DIGITS * _fraction_groups(scale) - scale if number == 0 else 0
        rest, digits = _divided(rest, 10 ** (_BASE_DIGITS - missing))
        groups.append(digits * np.int16(10**missing))
    while not groups or (rest.size and int(rest.max())):
        rest, digits = _divided(rest, _BASE)
        groups.append(digits)
    return groups[::-1]


def _divided(numbers: Numbers, divisor: int) -> tuple[Numbers, Numbers]:
    quotients = numbers // np.uint64(divisor)
    return quotients, (numbers - quotients * np.uint64(divisor)).astype(np.int16)


def _groups_of_texts(values: "pa.Array[pa.Scalar[pa.DataType]]", scale: int) -> list[Numbers]:
    """Return the same of decimals of up to 38 digits, by way of their texts."""
    # As integers: a small decimal's text would have an exponent.
    integers = pa.Array.from_buffers(pa.decimal128(38, 0), len(values), values.buffers(), offset=values.offset)
    trim: Any = pc.utf8_ltrim
    join: Any = pc.binary_join_element_wise
    texts = trim(integers.cast(pa.string()).fill_null("0"), "-")
    missing = _BASE_DIGITS * _fraction_groups(scale) - scale
    texts = join(texts, "0" * missing, "")
    longest = max(int(pc.max(pc.binary_length(texts)).as_py()), _BASE_DIGITS * _fraction_groups(scale), 1)
    width = -(-longest // _BASE_DIGITS) * _BASE_DIGITS
    padded = pc.utf8_lpad(texts, width, "0")
    octets = _numbers(padded.buffers()[2], np.uint8)[: width * len(values)].reshape(len(values), -1, _BASE_DIGITS)
    digits = (octets - np.uint8(48)).astype(np.int16) @ np.array([1000, 100, 10, 1], np.int16)
    return [np.ascontiguousarray(digits[:, place]) for place in range(digits.shape[1])]
