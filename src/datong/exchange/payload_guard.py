"""What stands between a stranger's Arrow stream and the reader: sizes before anything is unpacked, places after it.

Arrow trusts a stream. A buffer says itself how long it is once unpacked, and is given so much memory; the places of
texts are followed wherever they point. So a few kilobytes could take all memory, or make a hub read its own memory out
as somebody's name. The message headers are FlatBuffers, of which only these few fields are looked at
(https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc).
"""

import io
import struct
from collections.abc import Iterator
from typing import Self

import pyarrow as pa
from typing_extensions import Buffer

from datong.kernel import Corrupt, Text

MESSAGE_BYTES_MAX = 512 * 1024 * 1024
"""What one record batch may need in memory; producers cut them at an eighth of it (`even_pieces`)."""
PAYLOAD_UNPACKED_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""What all record batches of a payload may need together; producers end a payload after some tens of megabytes."""
PIECE_BYTES = MESSAGE_BYTES_MAX // 8
FEED_BYTES = 1 << 16
_UNREADABLE = (pa.ArrowException, OSError, MemoryError)
"""How Arrow fails over a stream; for a message that says it is longer than any memory, by a lack of memory."""
_MESSAGE_HEADER, _BATCH_BUFFERS, _BATCH_COMPRESSION = 2, 2, 3
_LENGTH_BYTES = 8
_NOT_COMPRESSED = -1
_UINT16, _INT32, _UINT32, _INT64, _BUFFER = (struct.Struct(code) for code in ("<H", "<i", "<I", "<q", "<qq"))


def guarded_reader(source: pa.NativeFile, fields: tuple[int, ...] | None = None) -> pa.RecordBatchReader:
    """Return a reader of the Arrow stream in `source` that gives out what fits into memory and lies within it.

    Each message is judged before Arrow unpacks it, each batch before it is handed on; the stream is gone through once.
    Of `fields` only, by their number, the columns are unpacked.

    Raises, also while it is read:
        Corrupt: `exchange.payload_bomb`; `exchange.payload_unreadable`: it is no such stream, a batch cannot be
            unpacked, or points outside its own memory.
    """
    judged = io.BufferedReader(_JudgedStream(source), FEED_BYTES)
    # Unpacking in more threads is no faster beside the digest or the database, and holds more at a time.
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=None if fields is None else list(fields))
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(judged, mode="r"), options=options)
    except _UNREADABLE as error:
        raise payload_unreadable(why=str(error)[:200]) from error
    return pa.RecordBatchReader.from_batches(reader.schema, _SoundBatches(reader))


def judged_messages(source: pa.NativeFile) -> Iterator[pa.ipc.Message]:
    """Yield the messages of an Arrow stream, none unpacked, as long as all so far fit into memory.

    Raises:
        Corrupt: `exchange.payload_bomb`, or `exchange.payload_unreadable` when it is no such stream.
    """
    total = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(source):
            if message.type == "record batch":
                metadata, body = message.metadata, message.body
                if metadata is None or body is None:
                    raise payload_unreadable(why="a message without its header or body")
                size = unpacked_bytes(memoryview(metadata), memoryview(body))
                total += size
                if size > MESSAGE_BYTES_MAX or total > PAYLOAD_UNPACKED_BYTES_MAX:
                    raise _bomb()
            elif message.type != "schema":
                raise payload_unreadable(why=f"a {message.type} message")
            yield message
    except (*_UNREADABLE, struct.error, ValueError, IndexError) as error:
        raise payload_unreadable(why=str(error)[:200]) from error


def unpacked_bytes(metadata: memoryview, body: memoryview) -> int:
    """Return how much memory the buffers of a record batch need, by what its header and they themselves say.

    Raises:
        ValueError, struct.error: the header is malformed.
    """
    message = _Table.root(metadata)
    batch = message.table(_MESSAGE_HEADER)
    compressed = batch.field(_BATCH_COMPRESSION) is not None
    total = 0
    for offset, length in batch.buffers(_BATCH_BUFFERS):
        if offset < 0 or length < 0 or offset + length > len(body):
            raise ValueError("a buffer lies outside its message")
        stated = _INT64.unpack_from(body, offset)[0] if compressed and length >= _LENGTH_BYTES else _NOT_COMPRESSED
        if stated < _NOT_COMPRESSED:
            raise ValueError("a buffer has a negative length")
        total += length if stated == _NOT_COMPRESSED else stated
    return total


def even_pieces(batch: pa.RecordBatch, piece_bytes: int = PIECE_BYTES) -> Iterator[pa.RecordBatch]:
    """Yield a batch in pieces of about `piece_bytes`, so that whoever reads it needs no more at a time."""
    count = min(-(-batch.nbytes // piece_bytes), batch.num_rows)
    if count <= 1:
        yield batch
        return
    rows = -(-batch.num_rows // count)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


class _JudgedStream(io.RawIOBase):
    """The bytes of the judged messages of a stream, for Arrow to read from."""

    def __init__(self, source: pa.NativeFile) -> None:
        super().__init__()
        self._messages = judged_messages(source)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`, of one message at most; 0 at the end."""
        if not self._left:
            message = next(self._messages, None)
            self._left = memoryview(b"" if message is None else message.serialize()).cast("B")
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _SoundBatches:
    """The batches of a reader, each looked through before it is handed on; none is held while the next is made."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = self._reader.read_next_batch()
            batch.validate(full=True)
        except _UNREADABLE as error:
            raise payload_unreadable(why=str(error)[:200]) from error
        return batch


class _Table:
    """A FlatBuffers table: where it lies, and where its fields do."""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - _INT32.unpack_from(data, at)[0]
        if not 0 <= self._fields < len(data):
            raise ValueError("a table without fields")
        self._size = _UINT16.unpack_from(data, self._fields)[0]

    @classmethod
    def root(cls, data: memoryview) -> "_Table":
        return cls(data, _UINT32.unpack_from(data, 0)[0])

    def field(self, number: int) -> int | None:
        """Return where a field lies, None when it is absent."""
        place = 4 + 2 * number
        if place + 2 > self._size:
            return None
        offset = _UINT16.unpack_from(self._data, self._fields + place)[0]
        return self._at + offset if offset else None

    def _followed(self, number: int) -> int:
        at = self.field(number)
        if at is None:
            raise ValueError("a field is missing")
        return int(at + _UINT32.unpack_from(self._data, at)[0])

    def table(self, number: int) -> "_Table":
        """Return the table that a field points to."""
        return _Table(self._data, self._followed(number))

    def buffers(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield offset and length of each buffer in a list of them."""
        at = self._followed(number)
        for place in range(_UINT32.unpack_from(self._data, at)[0]):
            yield _BUFFER.unpack_from(self._data, at + 4 + place * _BUFFER.size)


def _bomb() -> Corrupt:
    mib = MESSAGE_BYTES_MAX // 1024**2
    return Corrupt(
        "exchange.payload_bomb",
        what=Text(
            zh=f"批次数据解开后超过上限（每段 {mib} MiB），未予解压。",
            en=f"The payload needs more memory than is allowed ({mib} MiB a piece); it was not unpacked.",
        ),
        remedy=Text(zh="请减小任务的批次行数后重新生成。", en="Lower the task's rows per batch and cut it again."),
    )


def payload_unreadable(**context: str) -> Corrupt:
    """Return the error of a payload that cannot be read; `context` says which, or why."""
    return Corrupt(
        "exchange.payload_unreadable",
        what=Text(zh="批次数据不是可读的 Arrow 流。", en="The payload is not a readable Arrow stream."),
        remedy=Text(zh="请提供方重新生成该批次。", en="The producer must cut the batch again."),
        context=context,
    )
