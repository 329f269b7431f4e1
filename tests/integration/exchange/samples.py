"""Rows that have bitten someone before, and the batches made of them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa

from datong.exchange import (
    GENESIS_DIGEST,
    Column,
    Manifest,
    TransferMode,
    arrow_schema,
    content_digest,
    schema_fingerprint,
)
from datong.kernel import AgreementId, BatchId, DepartmentCode, ResourceId, TaskId

COLUMNS = (
    Column(name="id", type="int64"),
    Column(name="flag", type="boolean"),
    Column(name="big", type="uint64"),
    Column(name="amount", type="decimal(38,10)"),
    Column(name="ratio", type="float64"),
    Column(name="single", type="float32"),
    Column(name="name", type="string"),
    Column(name="photo", type="binary"),
    Column(name="born", type="date"),
    Column(name="at_time", type="time"),
    Column(name="local_time", type="timestamp"),
    Column(name="instant", type="timestamp_utc"),
)
ROWS: tuple[dict[str, object], ...] = (
    {
        "id": -(2**63),
        "flag": True,
        "big": 2**64 - 1,
        "amount": Decimal("9999999999999999999999999999.9999999999"),
        "ratio": 0.1,
        "single": 16777216.0,
        "name": "𠮷田 😀 '%s' \\ \"",
        "photo": bytes(range(256)),
        "born": date(1900, 2, 28),
        "at_time": time(23, 59, 59, 999999),
        "local_time": datetime.fromisoformat("2026-03-29T02:30:00.123456"),
        "instant": datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=UTC),
    },
    {
        "id": 0,
        "flag": False,
        "big": 0,
        "amount": Decimal("-0.0000000001"),
        "ratio": 1.7976931348623157e308,
        "single": 1.17549435e-38,
        "name": "",
        "photo": b"",
        "born": date(9999, 12, 31),
        "at_time": time(0),
        "local_time": datetime.fromisoformat("1000-01-01T00:00:00"),
        "instant": datetime(1970, 1, 1, tzinfo=UTC),
    },
    {"id": 2**63 - 1} | dict.fromkeys([column.name for column in COLUMNS[1:]]),
)


def record_batch(rows: Iterable[dict[str, object]], columns: tuple[Column, ...] = COLUMNS) -> pa.RecordBatch:
    """Return `rows` as one batch; what a row leaves out is NULL."""
    return pa.RecordBatch.from_pylist(list(rows), schema=arrow_schema(columns))


def manifest_of(
    batch: pa.RecordBatch,
    columns: tuple[Column, ...] = COLUMNS,
    *,
    sequence: int = 1,
    run: int = 1,
    part: int = 1,
    last: bool = True,
    mode: TransferMode = TransferMode.SNAPSHOT,
    previous: str = GENESIS_DIGEST,
    task: str = "task-1",
) -> Manifest:
    """Return a manifest that fits `batch`."""
    content = content_digest([batch], columns)
    return Manifest(
        batch_id=BatchId(f"{task}-{sequence}"),
        task_id=TaskId(task),
        agreement_id=AgreementId("agreement"),
        sequence=sequence,
        previous_digest=previous,
        resource_id=ResourceId("resource"),
        resource_version=1,
        schema_fingerprint=schema_fingerprint(columns),
        columns=columns,
        cursor_from=None,
        cursor_to=None,
        rows=batch.num_rows,
        content_digest=content.sum,
        payload_digest="0" * 64,
        payload_bytes=0,
        produced_at=datetime(2026, 1, 5, tzinfo=UTC),
        department=DepartmentCode("police"),
        mode=mode,
        run=run,
        part=part,
        last=last,
    )


def reader_of(batch: pa.RecordBatch) -> pa.RecordBatchReader:
    """Return a reader over one batch."""
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])
