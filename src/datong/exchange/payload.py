"""Payloads of batches: one Arrow IPC stream, zstd-compressed, in one file that is complete or absent."""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from datong.exchange.digest import content_digest
from datong.exchange.payload_guard import even_pieces, guarded_reader, payload_unreadable
from datong.exchange.sealed_streams import MAGIC, ContentKey, SealedReader, SealedWriter
from datong.exchange.table_values import Column, ContentDigest, Cursor
from datong.exchange.types import arrow_schema
from datong.kernel import Corrupt, Text, Value
from datong.kernel.files import flush

READ_BYTES = 1 << 20


class PayloadFacts(Value):
    """What a payload file holds: SHA-256 and size of the file, count and content digest of its rows."""

    digest: str
    bytes: int
    content: ContentDigest


def cursor_text(scalar: "pa.Scalar[pa.DataType]") -> str:
    """Return the canonical text of a cursor value: ISO 8601 for times, hexadecimal for blobs, digits for numbers."""
    if pa.types.is_timestamp(scalar.type):
        text = str(scalar.cast(pa.timestamp("us")).cast(pa.string()).as_py())
        return text + "Z" if scalar.type.tz is not None else text
    if pa.types.is_binary(scalar.type):
        return bytes(scalar.as_py()).hex()
    return str(scalar.cast(pa.string()).as_py())


def cursor_at_end(batch: pa.RecordBatch, order: tuple[str, ...]) -> Cursor | None:
    """Return the cursor after the last row of `batch`, or None when there is no order or no row."""
    if not order or not batch.num_rows:
        return None
    last = batch.num_rows - 1
    return Cursor(values=tuple(cursor_text(batch.column(name)[last]) for name in order))


def write_payload(
    path: Path, batches: Iterable[pa.RecordBatch], columns: tuple[Column, ...], key: ContentKey | None = None
) -> PayloadFacts:
    """Write `batches` to `path` (by way of a temporary name, fsync, rename) and return what was written.

    With `key` they are sealed while they are written: what lies at `path` never was in the clear.
    """
    temporary = path.with_name(path.name + ".tmp")
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    try:
        with temporary.open("wb") as file:
            with (
                _sealing_sink(file, key) as sink,
                pa.ipc.new_stream(sink, arrow_schema(columns), options=options) as writer,
            ):
                content = content_digest(_written(batches, writer), columns)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        # A disk that is full must not stay so because of what did not fit; nor need what a source broke off lie about.
        temporary.unlink(missing_ok=True)
        raise
    digest, size = digest_file(temporary)
    temporary.replace(path)
    flush(path.parent)
    return PayloadFacts(digest=digest, bytes=size, content=content)


def _written(batches: Iterable[pa.RecordBatch], writer: pa.RecordBatchStreamWriter) -> Iterator[pa.RecordBatch]:
    """Write each batch, then pass it on, so that the rows are gone through once."""
    for batch in batches:
        for piece in even_pieces(batch):
            writer.write_batch(piece)
        yield batch


@contextmanager
def read_payload(
    path: Path, columns: tuple[Column, ...], key: ContentKey | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Yield a reader over the payload at `path`; with `key` it is opened while it is read, never on disk.

    Raises:
        Corrupt: `exchange.payload_schema`; `exchange.payload_unreadable` and `exchange.payload_bomb` (also while
            reading); see `SealedReader` (also while reading).
    """
    with _opening_source(path, key) as source, guarded_reader(source) as reader:
        if not reader.schema.equals(arrow_schema(columns)):
            raise Corrupt(
                "exchange.payload_schema",
                what=Text(
                    zh="批次数据的列与清单不一致。", en="The columns of the payload are not those of the manifest."
                ),
                remedy=Text(zh="请提供方重新生成该批次。", en="The producer must cut the batch again."),
            )
        yield reader


def digest_payload(path: Path, columns: tuple[Column, ...], key: ContentKey | None = None) -> ContentDigest:
    """Return the content digest of the payload at `path`, opened with `key` if it is sealed.

    Raises:
        Corrupt: it cannot be read as the manifest says.
    """
    with read_payload(path, columns, key) as reader:
        try:
            return content_digest(reader, columns)
        except (pa.ArrowException, OSError) as error:
            raise payload_unreadable(file=path.name) from error


def count_payload(path: Path, columns: tuple[Column, ...]) -> int:
    """Return how many rows the payload at `path` holds; only its first column is unpacked.

    Raises:
        Corrupt: it cannot be read as the manifest says.
    """
    with read_payload(path, columns):
        """Its columns are those."""
    with _opening_source(path, None) as source, guarded_reader(source, fields=(0,)) as reader:
        return sum(batch.num_rows for batch in reader)


def check_sealed_file(path: Path) -> None:
    """Check that the payload at `path` is sealed, as far as somebody without a key can see.

    Raises:
        Corrupt: `exchange.payload_not_sealed`.
    """
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head != MAGIC:
        raise Corrupt(
            "exchange.payload_not_sealed",
            what=Text(
                zh="批次声明已加密，数据却是明文。", en="The batch says that it is sealed, and its payload is not."
            ),
            remedy=Text(
                zh="数据已删除；请提供方重新生成该批次。",
                en="The payload was deleted; the producer must cut the batch again.",
            ),
        )


def digest_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size in bytes of the file at `path`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


@contextmanager
def _sealing_sink(file: io.BufferedWriter, key: ContentKey | None) -> Iterator[io.IOBase]:
    """Yield what to write content into, so that `file` gets it sealed under `key`, or as it is."""
    if key is None:
        yield file
        return
    with SealedWriter(file, key) as sealed:
        yield sealed


@contextmanager
def _opening_source(path: Path, key: ContentKey | None) -> Iterator[pa.NativeFile]:
    """Yield what to read the content of the file at `path` from."""
    # Not mapped: what was read of a map counts as the process's own memory as long as the map is there.
    with (
        path.open("rb") as file,
        file if key is None else io.BufferedReader(SealedReader(file, key), READ_BYTES) as opened,
        pa.PythonFile(opened, mode="r") as source,
    ):
        yield source
