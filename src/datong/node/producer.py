"""The providing side: read from the confirmed cursor, cut, sign, spool, upload, in an order that no kill can break."""

import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from datong.exchange import (
    Column,
    Confirmed,
    Connector,
    ContentKey,
    Cursor,
    Manifest,
    ProduceWork,
    SignedManifest,
    Task,
    TransferMode,
    arrow_schema,
    batch_context,
    cursor_at_end,
    schema_fingerprint,
    signed_manifest,
    write_payload,
)
from datong.kernel import BatchId, Clock, Conflict, Corrupt, Misconfigured, Refused, Text, new_id
from datong.ledger import Signer
from datong.node.hub_client import CHUNK_BYTES, HubClient
from datong.node.keyring import Keyring
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


class Producer:
    """Produces the runs of tasks."""

    def __init__(
        self,
        *,
        client: HubClient,
        spool: Spool,
        signer: Signer,
        clock: Clock,
        open_source: Callable[[str], Connector],
        keyring: Keyring | None = None,
        sleep: Callable[[float], None] = time.sleep,
        passed: Passed = unobserved,
    ) -> None:
        self._client = client
        self._spool = spool
        self._signer = signer
        self._clock = clock
        self._open_source = open_source
        self._keyring = keyring
        self._sleep = sleep
        self._passed = passed

    def produce(self, work: ProduceWork) -> None:
        """Move everything of the run that the hub does not have yet, and finish the run.

        Raises:
            Unavailable: hub or source do not answer; calling again goes on where this stopped.
            Refused, Conflict, Corrupt: the hub did not accept a batch; its spooled batches are dropped and will be cut
                anew from the confirmed cursor.
        """
        pace = Pace(work.task.rate_limit_rows_per_second, self._sleep)
        try:
            confirmed, complete = self._send_pending(work, pace)
            if not complete:
                self._send_new(work, confirmed, pace)
        except (Refused, Conflict, Corrupt):
            for batch in self._spool.pending(work.task.id):
                self._spool.remove(batch)
            raise
        self._client.finish_run(work.task.id, work.run)
        self._passed(Step.RUN_FINISHED)

    def _send_pending(self, work: ProduceWork, pace: Pace) -> tuple[Confirmed, bool]:
        """Upload what was cut before a restart; return the end of the chain and whether the run is complete."""
        confirmed = work.confirmed
        pending = self._spool.pending(work.task.id)
        fresh = [batch for batch in pending if batch.signed.manifest.sequence > confirmed.sequence]
        for batch in pending:
            if batch not in fresh:
                self._spool.remove(batch)
        follows = bool(fresh) and _follows(fresh[0].signed.manifest, confirmed, work)
        whole = bool(work.task.order) or any(batch.signed.manifest.last for batch in fresh)
        if not (follows and whole):
            # Cut for another state of the chain, or only a part of a copy that cannot be resumed in the middle.
            for batch in fresh:
                self._spool.remove(batch)
            return confirmed, False
        for batch in fresh:
            confirmed = self._send(batch, pace)
        return confirmed, confirmed.run_ended

    def _send_new(self, work: ProduceWork, confirmed: Confirmed, pace: Pace) -> None:
        """Cut the rest of the run and upload it; without an order, only once everything is cut."""
        resumable = bool(work.task.order)
        waiting: list[SpooledBatch] = []
        for batch in self._cut(work, confirmed):
            if resumable:
                self._send(batch, pace)
            else:
                waiting.append(batch)
        for batch in waiting:
            self._send(batch, pace)

    def _cut(self, work: ProduceWork, confirmed: Confirmed) -> Iterator[SpooledBatch]:
        """Yield the run's next batches, each signed and spooled; the last one says so."""
        task = work.task
        source = self._open_source(task.source)
        try:
            columns = _columns(source, task)
            reader = source.read(task.query(self._opened_cursor(task, confirmed.cursor)))
            for rows, last in _with_last(reader):
                if rows is None:
                    nothing = task.mode is TransferMode.INCREMENT and confirmed.part == 0
                    if nothing:
                        return
                batch = self._spool_one(work, confirmed, columns, rows, last=last)
                confirmed = _after(batch.signed.manifest)
                yield batch
        finally:
            source.close()

    def _spool_one(
        self,
        work: ProduceWork,
        confirmed: Confirmed,
        columns: tuple[Column, ...],
        rows: pa.RecordBatch | None,
        *,
        last: bool,
    ) -> SpooledBatch:
        task = work.task
        batch_id = BatchId(new_id())
        path = self._spool.path(batch_id)
        fingerprint = schema_fingerprint(columns)
        key = self._content_key(work, confirmed, batch_id, fingerprint)
        facts = write_payload(path, [] if rows is None else [rows], columns, key)
        self._passed(Step.PAYLOAD_WRITTEN)
        cursor = None if rows is None else self._sealed_cursor(task, cursor_at_end(rows, task.order))
        manifest = Manifest(
            batch_id=batch_id,
            task_id=task.id,
            agreement_id=task.agreement_id,
            sequence=confirmed.sequence + 1,
            previous_digest=confirmed.digest,
            resource_id=task.resource_id,
            resource_version=task.resource_version,
            schema_fingerprint=fingerprint,
            columns=columns,
            cursor_from=confirmed.cursor,
            cursor_to=cursor or confirmed.cursor,
            rows=facts.content.rows,
            content_digest=facts.content.sum if key is None else key.commitment(facts.content),
            payload_digest=facts.digest,
            payload_bytes=facts.bytes,
            produced_at=self._clock.now(),
            department=task.provider,
            mode=task.mode,
            run=work.run,
            part=confirmed.part + 1,
            last=last,
            sealing=None if key is None else key.sealing(work.recipients),
        )
        signed = signed_manifest(manifest, self._signer)
        self._spool.add(signed)
        self._passed(Step.BATCH_SPOOLED)
        return SpooledBatch(signed=signed, path=path)

    def _content_key(
        self, work: ProduceWork, confirmed: Confirmed, batch_id: BatchId, fingerprint: str
    ) -> ContentKey | None:
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
            run=work.run,
            part=confirmed.part + 1,
            schema_fingerprint=fingerprint,
        )
        return ContentKey.generate(context)

    def _sealed_cursor(self, task: Task, cursor: Cursor | None) -> Cursor | None:
        """Return what the hub may see of a cursor: of a sealed task nothing."""
        if cursor is None or not task.sealed:
            return cursor
        return self._secrets().sealed_cursor(task.id, cursor)

    def _opened_cursor(self, task: Task, cursor: Cursor | None) -> Cursor | None:
        if cursor is None or not task.sealed:
            return cursor
        return self._secrets().opened_cursor(task.id, cursor)

    def _secrets(self) -> Keyring:
        if self._keyring is None:
            raise Misconfigured(
                "node.keyring_missing",
                what=Text(zh="本节点没有密钥文件。", en="This node has no keyring."),
                remedy=Text(zh="请重新启动节点。", en="Start the node again."),
            )
        return self._keyring

    def _send(self, batch: SpooledBatch, pace: Pace) -> Confirmed:
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
        return _after(manifest)

    def _upload(self, batch: SpooledBatch, received: int) -> None:
        manifest = batch.signed.manifest
        with batch.path.open("rb") as file:
            while received < manifest.payload_bytes:
                file.seek(received)
                data = file.read(CHUNK_BYTES)
                received = self._client.put_chunk(manifest.batch_id, received, data).received_bytes
                self._passed(Step.CHUNK_SENT)


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


def _with_last(reader: pa.RecordBatchReader) -> Iterator[tuple[pa.RecordBatch | None, bool]]:
    """Yield each batch and whether it is the last; a single None when there is no row at all."""
    previous: pa.RecordBatch | None = None
    for batch in reader:
        if previous is not None:
            yield previous, False
        previous = batch
    yield previous, True


def _columns(source: Connector, task: Task) -> tuple[Column, ...]:
    """Return the task's columns as the source declares them now; comments stay at home.

    Raises:
        Conflict: `node.source_changed`.
    """
    schema = next((schema for schema in source.inspect() if schema.table == task.table), None)
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


def _follows(manifest: Manifest, confirmed: Confirmed, work: ProduceWork) -> bool:
    """Whether a spooled batch continues the hub's chain in the run that is wanted."""
    return (
        manifest.sequence == confirmed.sequence + 1
        and manifest.previous_digest == confirmed.digest
        and (manifest.run, manifest.part) == (work.run, confirmed.part + 1)
        and manifest.cursor_from == confirmed.cursor
    )


def _after(manifest: Manifest) -> Confirmed:
    return Confirmed(
        sequence=manifest.sequence,
        digest=manifest.digest,
        run=manifest.run,
        part=manifest.part,
        run_ended=manifest.last,
        cursor=manifest.cursor_to,
        schema_fingerprint=manifest.schema_fingerprint,
    )


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
