"""PostgreSQL's logical replication messages (`pgoutput`, protocol version 1) as record batches of changes.

Source: PostgreSQL documentation, "Logical Replication Message Formats". A batch of messages is joined into one buffer
and taken apart column by column with array operations: no loop runs over rows or cells. Values arrive as PostgreSQL
prints them, and are parsed as the exchange's types without loss, or refused.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from datong.adapters.conversion import not_lossless
from datong.exchange import DELETED_COLUMN, Column, arrow_schema, arrow_type
from datong.kernel import Conflict, Corrupt, Text

Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
TEXT, NULL, UNCHANGED = ord("t"), ord("n"), ord("u")
OLD_KEY, OLD_ROW, NEW_ROW = ord("K"), ord("O"), ord("N")
INSERT, UPDATE, DELETE = ord("I"), ord("U"), ord("D")
_TUPLE_AT = 6
"""A data message is its kind, the relation's id (4 bytes), the tuple's tag, the tuple."""
_NO_DIGIT = 255
_HEX = np.full(256, _NO_DIGIT, np.uint8)
_HEX[[*b"0123456789abcdef"]] = range(16)


class RelationColumn(NamedTuple):
    """A column as a relation message names it."""

    name: str
    type_id: int
    type_modifier: int


class Relation(NamedTuple):
    """What a relation message says of a table."""

    id: int
    schema: str
    table: str
    columns: tuple[RelationColumn, ...]


def relation_of(message: bytes) -> Relation:
    """Return what a relation message (`R`) says.

    Raises:
        Corrupt: `adapters.change_unreadable`.
    """
    try:
        (relation_id,) = struct.unpack_from(">I", message, 1)
        schema, at = _text(message, 5)
        table, at = _text(message, at)
        (count,) = struct.unpack_from(">H", message, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            name, after = _text(message, at + 1)
            type_id, modifier = struct.unpack_from(">Ii", message, after)
            columns.append(RelationColumn(name, type_id, modifier))
            at = after + 8
    except (struct.error, ValueError) as error:
        raise unreadable_change() from error
    return Relation(relation_id, schema, table, tuple(columns))


def relation_id_of(message: bytes) -> int:
    """Return the relation that a data message is about.

    Raises:
        Corrupt: `adapters.change_unreadable`.
    """
    if len(message) <= _TUPLE_AT:
        raise unreadable_change()
    return int.from_bytes(message[1:5])


def commit_end(message: bytes) -> int:
    """Return the position after the transaction that a commit message (`C`) ends.

    Raises:
        Corrupt: `adapters.change_unreadable`.
    """
    try:
        return int(struct.unpack_from(">Q", message, 10)[0])
    except struct.error as error:
        raise unreadable_change() from error


def truncated(message: bytes) -> tuple[int, ...]:
    """Return the relations that a truncate message (`T`) empties.

    Raises:
        Corrupt: `adapters.change_unreadable`.
    """
    try:
        (count,) = struct.unpack_from(">I", message, 1)
        return struct.unpack_from(f">{min(count, len(message))}I", message, 6)
    except struct.error as error:
        raise unreadable_change() from error


class _Cells(NamedTuple):
    """The values of one column for many rows: kinds (`t`, `n`, `u`), and where in the buffer the texts lie."""

    kinds: Bytes
    starts: Numbers
    lengths: Numbers

    def take(self, rows: Numbers) -> "_Cells":
        return _Cells(self.kinds[rows], self.starts[rows], self.lengths[rows])


class ChangeDecoder:
    """Decodes the data messages of one relation to batches of `columns`, behind the column that marks deletes."""

    def __init__(self, relation: Relation, columns: tuple[Column, ...], key_columns: tuple[str, ...]) -> None:
        places = {column.name: place for place, column in enumerate(relation.columns)}
        self._table = relation.table
        self._width = len(relation.columns)
        self._columns = columns
        self._places = [places[column.name] for column in columns]
        self._keys = [places[name] for name in key_columns]
        self._schema = arrow_schema((DELETED_COLUMN, *columns))

    def decode(self, messages: Sequence[bytes]) -> pa.RecordBatch:
        """Return the changes of `messages` in their order; an update of a key is a delete and an insert.

        Raises:
            Corrupt: `adapters.change_unreadable`.
            Conflict: `adapters.replica_identity`. Invalid: `adapters.value_not_lossless`.
        """
        buffer = np.frombuffer(b"".join(messages), np.uint8)
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        ends = np.cumsum(sizes)
        starts = ends - sizes
        if sizes.size and sizes.min() <= _TUPLE_AT:
            raise unreadable_change()
        kinds, tags = buffer[starts], buffer[starts + 5]
        deletes = kinds == DELETE
        with_old = (tags == OLD_KEY) | (tags == OLD_ROW)
        if not (np.isin(kinds, (INSERT, UPDATE, DELETE)).all() and (with_old | (tags == NEW_ROW)).all()):
            raise unreadable_change()
        if (deletes & ~with_old).any() or ((kinds == INSERT) & with_old).any():
            raise unreadable_change()
        old_rows = np.flatnonzero(with_old)
        old, old_ends = self._tuples(buffer, starts[old_rows] + _TUPLE_AT)
        begins = starts + _TUPLE_AT
        begins[old_rows] = old_ends + 1
        new_rows = np.flatnonzero(~deletes)
        new, new_ends = self._tuples(buffer, begins[new_rows])
        after_tag = buffer[np.minimum(begins[new_rows] - 1, buffer.size - 1)] if buffer.size else buffer
        whole = (old_ends[deletes[old_rows]] == ends[deletes]).all() and (new_ends == ends[new_rows]).all()
        if not whole or not (after_tag == NEW_ROW).all():
            raise unreadable_change()
        return self._batch(buffer, deletes, tags, (old_rows, old), (new_rows, new))

    def _tuples(self, buffer: Bytes, begins: Numbers) -> tuple[list[_Cells], Numbers]:
        """Return the columns of the tuples that begin at `begins`, and where each ends."""
        last = max(buffer.size - 1, 0)

        def byte(at: Numbers) -> Numbers:
            return buffer[np.minimum(at, last)].astype(np.int64) if buffer.size else at

        width = byte(begins) << 8 | byte(begins + 1)
        if not (width == self._width).all():
            raise unreadable_change()
        at = begins + 2
        cells = []
        for _ in range(self._width):
            kinds = byte(at)
            texts = kinds == TEXT
            if not (texts | (kinds == NULL) | (kinds == UNCHANGED)).all():
                raise unreadable_change()
            size = byte(at + 1) << 24 | byte(at + 2) << 16 | byte(at + 3) << 8 | byte(at + 4)
            lengths = np.where(texts, size, 0)
            cells.append(_Cells(kinds.astype(np.uint8), at + 5, lengths))
            at = at + 1 + np.where(texts, 4 + lengths, 0)
        if at.size and at.max() > buffer.size:
            raise unreadable_change()
        return cells, at

    def _batch(
        self,
        buffer: Bytes,
        deletes: npt.NDArray[np.bool_],
        tags: Bytes,
        old: tuple[Numbers, list[_Cells]],
        new: tuple[Numbers, list[_Cells]],
    ) -> pa.RecordBatch:
        """Put old and new tuples together to changes."""
        old_rows, old_cells = old
        new_rows, new_cells = new
        count = deletes.size
        old_place = np.full(count, -1, np.int64)
        old_place[old_rows] = np.arange(old_rows.size)
        before = old_place[new_rows]
        """For every new tuple the old one of the same message, or -1."""
        filled = [self._filled(*pair, before, tags[new_rows]) for pair in zip(new_cells, old_cells, strict=True)]
        moved = self._moved_keys(buffer, filled, old_cells, before)
        gone = np.concatenate([old_place[np.flatnonzero(deletes)], before[moved]])
        """The old tuples whose keys are deleted: rows that went, and keys that rows left."""
        place = np.concatenate([np.flatnonzero(deletes) * 2 + 1, new_rows[moved] * 2, new_rows * 2 + 1])
        order = np.argsort(place, kind="stable")
        flags = np.concatenate([np.ones(gone.size, np.bool_), np.zeros(new_rows.size, np.bool_)])[order]
        arrays: list[pa.Array[pa.Scalar[pa.DataType]]] = [pa.array(flags)]
        for column, at in zip(self._columns, self._places, strict=True):
            left = old_cells[at].take(gone)
            if at not in self._keys:
                left = left._replace(kinds=np.full(gone.size, NULL, np.uint8))
            cells = _joined(left, filled[at]).take(order)
            if (cells.kinds == UNCHANGED).any():
                raise _not_identified(self._table, column.name)
            arrays.append(parsed(self._table, column, _texts(buffer, cells)))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _filled(self, new: _Cells, old: _Cells, before: Numbers, tags: Bytes) -> _Cells:
        """Return the new values, those that are stored elsewhere and did not change taken from the old row."""
        missing = np.flatnonzero((new.kinds == UNCHANGED) & (tags == OLD_ROW) & (before >= 0))
        if not missing.size:
            return new
        kinds, starts, lengths = new.kinds.copy(), new.starts.copy(), new.lengths.copy()
        known = old.take(before[missing])
        kinds[missing], starts[missing], lengths[missing] = known.kinds, known.starts, known.lengths
        return _Cells(kinds, starts, lengths)

    def _moved_keys(self, buffer: Bytes, new: list[_Cells], old: list[_Cells], before: Numbers) -> Numbers:
        """Return which new tuples have another key than their old one."""
        updated = np.flatnonzero(before >= 0)
        differs = np.zeros(updated.size, np.bool_)
        for at in self._keys:
            now, then = _texts(buffer, new[at].take(updated)), _texts(buffer, old[at].take(before[updated]))
            differs |= np.asarray(pc.not_equal(now, then).fill_null(False))
        return updated[differs]


def _joined(first: _Cells, second: _Cells) -> _Cells:
    return _Cells(
        np.concatenate([first.kinds, second.kinds]),
        np.concatenate([first.starts, second.starts]),
        np.concatenate([first.lengths, second.lengths]),
    )


def parsed(table: str, column: Column, texts: pa.StringArray) -> "pa.Array[pa.Scalar[pa.DataType]]":
    """Return values as PostgreSQL prints them (ISO dates, zone UTC) in the column's type.

    Raises:
        Invalid: `adapters.value_not_lossless`.
    """
    try:
        if column.type == "string":
            # A cast to text, which a snapshot reads, drops the padding of character(n); printing keeps it.
            padded = column.source_type.startswith("character(")
            return pc.utf8_rtrim(texts, characters=" ") if padded else texts
        if column.type == "boolean":
            return pc.equal(texts, pa.scalar("t"))
        if column.type == "binary":
            return _unhexed(texts)
        if column.type == "time":
            # Texts are no times to Arrow, but moments of some day are.
            moments = pc.replace_substring_regex(texts, "^", "1970-01-01 ")
            return moments.cast(pa.timestamp("us")).cast(arrow_type(column.type))
        return texts.cast(arrow_type(column.type))
    except pa.ArrowException as error:
        reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
        raise not_lossless(table, column.name, reason) from error


def unreadable_change() -> Corrupt:
    """Return the error of a message that is not what PostgreSQL's protocol says."""
    return Corrupt(
        "adapters.change_unreadable",
        what=Text(zh="数据库的变更消息无法解读。", en="A change message of the database cannot be read."),
        remedy=Text(
            zh="请核对数据库版本（10 及以上）与输出插件 pgoutput。",
            en="Check the database's version (10 or later) and that the output plugin is pgoutput.",
        ),
    )


def _not_identified(table: str, column: str) -> Conflict:
    return Conflict(
        "adapters.replica_identity",
        what=Text(
            zh=f"表 {table} 的列 {column} 有值未随变更给出（大字段未改动），无法无损捕获。",
            en=f"Values of column {column} of table {table} did not come with the change (large, and not changed).",
        ),
        remedy=Text(
            zh=f"请执行 ALTER TABLE {table} REPLICA IDENTITY FULL，任务随后自动重新全量。",
            en=f"Run ALTER TABLE {table} REPLICA IDENTITY FULL; the task then begins anew with a snapshot.",
        ),
        context={"table": table, "column": column},
    )


def _text(message: bytes, at: int) -> tuple[str, int]:
    """Return the NUL-terminated text at `at`, and where the next field begins."""
    end = message.index(b"\0", at)
    return message[at:end].decode(), end + 1


def _texts(buffer: Bytes, cells: _Cells) -> "pa.StringArray":
    """Return cells as an array of text."""
    null = cells.kinds != TEXT
    lengths = np.where(null, 0, cells.lengths)
    offsets = np.zeros(lengths.size + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    where = np.repeat(cells.starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    bitmap = np.packbits(~null, bitorder="little")
    array = pa.StringArray.from_buffers(
        lengths.size,
        pa.py_buffer(offsets.tobytes()),
        pa.py_buffer(buffer[where].tobytes()),
        pa.py_buffer(bitmap.tobytes()),
    )
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise unreadable_change() from error
    return array


def _unhexed(texts: pa.StringArray) -> "pa.Array[pa.Scalar[pa.DataType]]":
    """Return the blobs that texts such as `\\x0a0b` stand for."""
    data, offsets = _contents(pc.utf8_slice_codeunits(texts, 2))
    values = _HEX[data]
    if (values == _NO_DIGIT).any() or (offsets % 2).any():
        raise pa.ArrowInvalid("not hexadecimal")
    blobs = values[0::2] << 4 | values[1::2]
    valid = np.packbits(np.asarray(pc.is_valid(texts)), bitorder="little")
    parts = (valid, (offsets // 2).astype(np.int32), blobs)
    buffers: list[pa.Buffer | None] = [pa.py_buffer(part.tobytes()) for part in parts]
    return pa.BinaryArray.from_buffers(pa.binary(), len(texts), buffers)


def _contents(texts: pa.StringArray) -> tuple[Bytes, Numbers]:
    """Return an array's bytes and offsets, both from 0."""
    _, offset_buffer, data_buffer = texts.buffers()
    stored = b"" if offset_buffer is None else offset_buffer.to_pybytes()
    offsets = np.frombuffer(stored, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.frombuffer(b"" if data_buffer is None else data_buffer.to_pybytes(), np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]
