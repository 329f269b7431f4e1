"""Batches on their way out: cut, signed, spooled, uploaded, confirmed, in an order that no kill can break."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from datong.exchange import (
    Column,
    Confirmed,
    Connector,
    ContentKey,
    Cursor,
    Manifest,
    ProduceWork,
    RepairOrder,
    SignedManifest,
    Task,
    TransferMode,
    arrow_schema,
    batch_context,
    confirmed_after,
    schema_fingerprint,
    signed_manifest,
    write_payload,
)
from datong.kernel import BatchId, Clock, Conflict, Corrupt, Misconfigured, Text, Value, new_id
from datong.ledger import Signer
from datong.node.hub_client import CHUNK_BYTES, HubClient
from datong.node.keyring import Keyring
from datong.node.sealed_reconciling import opened_order
from datong.node.spool import Spool, SpooledBatch
from datong.node.steps import Passed, Step, unobserved


class Pace:
    """Keeps the rows of one task under a rate, averaged since its start."""

    def __init__(self, rows_per_second: int | None, sleep: Callable[[float], None]) -> None:
        self._rate = rows_per_second
        self._sleep = sleep
        self._start = time.monotonic()
        self._rows = 0

    def passed(self, rows: int) -> None:
        """Count rows that went out; wait until the rate allows more."""
        self._rows += rows
        if self._rate is not None:
            ahead = self._rows / self._rate - (time.monotonic() - self._start)
            if ahead > 0:
                self._sleep(ahead)


class Cut(Value):
    """What a batch is to be, beside its rows: its place in its run, and how far the source has been read with it."""

    run: int
    mode: TransferMode
    columns: tuple[Column, ...]
    cursor_to: Cursor | None = None
    last: bool = False
    repair: str | None = None


class Outbox:
    """Signs, spools and uploads the batches of one node."""

    def __init__(
        self,
        *,
        client: HubClient,
        spool: Spool,
        signer: Signer,
        clock: Clock,
        keyring: Keyring | None = None,
        passed: Passed = unobserved,
    ) -> None:
        self._client = client
        self._spool = spool
        self._keyring = keyring
        self._signer = signer
        self._clock = clock
        self._passed = passed

    def pending(self, task: Task, confirmed: Confirmed) -> tuple[SpooledBatch, ...]:
        """Return the task's spooled batches that the hub does not have; forget those that it has."""
        pending = self._spool.pending(task.id)
        fresh = tuple(batch for batch in pending if batch.signed.manifest.sequence > confirmed.sequence)
        self.drop([batch for batch in pending if batch not in fresh])
        return fresh

    def drop(self, batches: Sequence[SpooledBatch]) -> None:
        """Forget batches that will never be wanted."""
        for batch in batches:
            self._spool.remove(batch)

    def drop_all(self, task: Task) -> None:
        """Forget everything that is spooled for a task."""
        self.drop(self._spool.pending(task.id))

    def add(
        self,
        work: ProduceWork,
        confirmed: Confirmed,
        cut: Cut,
        rows: Iterable[pa.RecordBatch],
        *,
        end: Callable[[], tuple[Cursor | None, bool]] | None = None,
        signed_now: Callable[[Manifest], None] | None = None,
    ) -> SpooledBatch:
        """Cut the batch after `confirmed` from `rows`, sign and spool it.

        `end` says the cursor after it and whether it is the last, when its rows have been gone through and not before.
        `signed_now` is called with the manifest before it is in the spool, for what must be durable no later than it.
        """
        task = work.task
        batch_id = BatchId(new_id())
        path = self._spool.path(batch_id)
        part = confirmed.part + 1 if cut.run == confirmed.run and not confirmed.run_ended else 1
        key = _content_key(work, confirmed, cut, batch_id, part)
        facts = write_payload(path, rows, cut.columns, key)
        self._passed(Step.PAYLOAD_WRITTEN)
        cursor_to, last = (cut.cursor_to, cut.last) if end is None else end()
        manifest = Manifest(
            batch_id=batch_id,
            task_id=task.id,
            agreement_id=task.agreement_id,
            sequence=confirmed.sequence + 1,
            previous_digest=confirmed.digest,
            resource_id=task.resource_id,
            resource_version=task.resource_version,
            schema_fingerprint=schema_fingerprint(cut.columns),
            columns=cut.columns,
            cursor_from=confirmed.cursor,
            cursor_to=self._sealed_cursor(task, cursor_to) or confirmed.cursor,
            rows=facts.content.rows,
            content_digest=facts.content.sum if key is None else key.commitment(facts.content),
            payload_digest=facts.digest,
            payload_bytes=facts.bytes,
            produced_at=self._clock.now(),
            department=task.provider,
            mode=cut.mode,
            run=cut.run,
            part=part,
            last=last,
            sealing=None if key is None else key.sealing(work.recipients),
            repair=cut.repair,
        )
        signed = signed_manifest(manifest, self._signer)
        if signed_now is not None:
            signed_now(manifest)
        self._spool.add(signed)
        self._passed(Step.BATCH_SPOOLED)
        return SpooledBatch(signed=signed, path=path)

    def send(self, batch: SpooledBatch, pace: Pace) -> Confirmed:
        """Upload one batch from where the hub has it, have it committed, and drop it from the spool."""
        manifest = batch.signed.manifest
        state = self._client.open_upload(batch.signed)
        self._passed(Step.UPLOAD_OPENED)
        if not state.committed:
            self._upload(batch, state.received_bytes)
            record = self._client.commit(manifest.batch_id)
            _check_answer(record.signed, batch.signed)
        self._passed(Step.BATCH_COMMITTED)
        self._spool.remove(batch)
        self._passed(Step.BATCH_UNSPOOLED)
        pace.passed(manifest.rows)
        return confirmed_after(manifest)

    def is_past(self, moment: datetime | None) -> bool:
        """Whether a moment has come, such as the end of a task's time window; None never comes."""
        return moment is not None and self._clock.now() >= moment

    def finish_run(self, task: Task, run: int) -> None:
        """Tell the hub that a run is complete."""
        self._client.finish_run(task.id, run)
        self._passed(Step.RUN_FINISHED)

    def opened_order(self, task: Task, order: RepairOrder) -> RepairOrder:
        """Return the order of a repair with the salt of its places."""
        return opened_order(self._client, self._keyring, task, order)

    def opened_cursor(self, task: Task, cursor: Cursor | None) -> Cursor | None:
        """Return the cursor that this node sealed, or the one that it did not need to seal."""
        if cursor is None or not task.sealed:
            return cursor
        return self._secrets().opened_cursor(task.id, cursor)

    def _sealed_cursor(self, task: Task, cursor: Cursor | None) -> Cursor | None:
        """Return what the hub may see of a cursor: of a sealed task nothing."""
        if cursor is None or not task.sealed:
            return cursor
        return self._secrets().sealed_cursor(task.id, cursor)

    def _secrets(self) -> Keyring:
        if self._keyring is None:
            raise Misconfigured(
                "node.keyring_missing",
                what=Text(zh="本节点没有密钥文件。", en="This node has no keyring."),
                remedy=Text(zh="请重新启动节点。", en="Start the node again."),
            )
        return self._keyring

    def _upload(self, batch: SpooledBatch, received: int) -> None:
        manifest = batch.signed.manifest
        with batch.path.open("rb") as file:
            while received < manifest.payload_bytes:
                file.seek(received)
                data = file.read(CHUNK_BYTES)
                received = self._client.put_chunk(manifest.batch_id, received, data).received_bytes
                self._passed(Step.CHUNK_SENT)


def _content_key(work: ProduceWork, confirmed: Confirmed, cut: Cut, batch_id: BatchId, part: int) -> ContentKey | None:
    """Return a fresh key for one batch of a sealed task, bound to all that is known before the batch is cut."""
    task = work.task
    if not task.sealed:
        return None
    if not work.recipients:
        raise _nobody_to_seal_to(task)
    context = batch_context(
        batch_id=batch_id,
        task_id=task.id,
        agreement_id=task.agreement_id,
        department=task.provider,
        sequence=confirmed.sequence + 1,
        previous_digest=confirmed.digest,
        run=cut.run,
        part=part,
        schema_fingerprint=schema_fingerprint(cut.columns),
    )
    return ContentKey.generate(context)


def _nobody_to_seal_to(task: Task) -> Conflict:
    return Conflict(
        "node.no_recipient_key",
        what=Text(
            zh="消费方的前置机还没有有效的收件密钥，无法加密。",
            en="The consumer's node has no recipient key in force: there is nobody to seal to.",
        ),
        remedy=Text(
            zh="请消费方启动其前置机（会自动登记密钥），随后任务自动继续。",
            en="The consumer must start its node, which registers a key by itself; then the task goes on.",
        ),
        context={"consumer": task.consumer},
    )


def source_columns(source: Connector, task: Task) -> tuple[Column, ...]:
    """Return the task's columns as the source declares them now; comments stay at home.

    Raises:
        Conflict: `node.source_changed`.
    """
    schema = source.schema(task.table)
    found = [None if schema is None else schema.column(pair.column) for pair in task.columns]
    missing = [pair.column for pair, column in zip(task.columns, found, strict=True) if column is None]
    if missing:
        raise Conflict(
            "node.source_changed",
            what=Text(
                zh=f"数据源的表 {task.table} 缺少列 {'、'.join(missing)}。",
                en=f"The source's table {task.table} lacks the columns {', '.join(missing)}.",
            ),
            remedy=Text(zh="请修订资源目录与任务。", en="Revise the resource and the task."),
        )
    columns = tuple(column.model_copy(update={"comment": ""}) for column in found if column is not None)
    arrow_schema(columns)
    return columns


def with_last(reader: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch | None, bool]]:
    """Yield each batch and whether it is the last; a single None when there is no row at all."""
    previous: pa.RecordBatch | None = None
    for batch in reader:
        if previous is not None:
            yield previous, False
        previous = batch
    yield previous, True


def _check_answer(answered: SignedManifest, sent: SignedManifest) -> None:
    """Check that the hub recorded what this node signed.

    Raises:
        Corrupt: `node.hub_recorded_otherwise`.
    """
    if answered.manifest.digest != sent.manifest.digest:
        raise Corrupt(
            "node.hub_recorded_otherwise",
            what=Text(
                zh="平台记录的批次与本节点签名的不同。", en="The hub recorded another batch than this node signed."
            ),
            remedy=Text(zh="请联系平台运维并核查日志。", en="Call the operator, and check the log."),
        )
