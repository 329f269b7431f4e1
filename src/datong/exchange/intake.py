"""The intake of batches: announced, uploaded in pieces, verified, and recorded together with their evidence."""

from collections.abc import Callable

from sqlalchemy import Connection, delete, func, insert, select

from datong.catalogue import RecipientKey
from datong.exchange import chain, store
from datong.exchange.disk_reserve import DiskReserve
from datong.exchange.facts import batch_facts, refusal_facts
from datong.exchange.payload import check_sealed_file, count_payload, digest_file, digest_payload
from datong.exchange.protocols import DepartmentKeys
from datong.exchange.refusals import check_producer, no_batch, not_the_producer
from datong.exchange.runs import Runs
from datong.exchange.signatures import verify
from datong.exchange.subscriptions import Subscriptions
from datong.exchange.tables import UPLOADS
from datong.exchange.uploads import UploadFiles
from datong.exchange.values import BatchRecord, Manifest, SignedManifest, Task, UploadState
from datong.kernel import Actor, BatchId, Clock, Conflict, Corrupt, Database, NodeId, Text, TooLarge
from datong.kernel.limits import BATCH_BYTES_MAX
from datong.ledger import EntryKind, Ledger

OPEN_UPLOADS_PER_TASK_MAX = 16


class Intake:
    """Takes batches in, while the agreement of at least one of a task's consumers covers it.

    `check_repair` raises when a batch repairs what nobody approved.
    `recipients_of` returns the keys in force to which a task may be sealed.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        files: UploadFiles,
        runs: Runs,
        check_schema: Callable[[Connection, Task, Manifest], None],
        disk: DiskReserve,
        subscriptions: Subscriptions,
        check_repair: Callable[[Manifest], None],
        recipients_of: Callable[[Task], tuple[RecipientKey, ...]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys
        self._files = files
        self._runs = runs
        self._check_schema = check_schema
        self._disk = disk
        self._subscriptions = subscriptions
        self._check_repair = check_repair
        self._recipients_of = recipients_of

    def open_upload(self, signed: SignedManifest, *, node: NodeId) -> UploadState:
        """Accept a batch's manifest, or find it again; see `Exchange.open_upload`."""
        manifest = signed.manifest
        known = self._known(signed, node)
        if known is not None:
            return known
        if manifest.payload_bytes > BATCH_BYTES_MAX:
            raise TooLarge(
                "exchange.payload_too_large",
                what=Text(zh=f"批次超过 {BATCH_BYTES_MAX} 字节。", en=f"The batch has over {BATCH_BYTES_MAX} bytes."),
                remedy=Text(zh="请减小任务的批次行数。", en="Lower the task's rows per batch."),
            )
        self._disk.require(manifest.payload_bytes)
        with self._database.transaction() as connection:
            row = store.task_row(connection, manifest.task_id, lock=True)
            task = store.task_of(row)
            if node != task.producer_node:
                raise not_the_producer()
            self._check_batch(task, signed)
            chain.check_chain(store.confirmed_of(row), manifest, may_begin_anew=task.mode.carries_deletes)
            self._check_schema(connection, task, manifest)
            waiting = select(func.count()).select_from(UPLOADS).where(UPLOADS.c.task_id == task.id)
            if connection.execute(waiting).scalar_one() >= OPEN_UPLOADS_PER_TASK_MAX:
                connection.execute(delete(UPLOADS).where(UPLOADS.c.task_id == task.id))
            connection.execute(
                insert(UPLOADS).values(
                    batch_id=manifest.batch_id,
                    task_id=task.id,
                    node_id=node,
                    signed=signed.model_dump(mode="json"),
                    opened_at=self._clock.now(),
                )
            )
            self._runs.announced(connection, manifest)
        return self._state(signed)

    def upload(self, batch_id: BatchId) -> UploadState:
        """Return how far a batch has come.

        Raises:
            NotFound: `exchange.batch_not_found`.
        """
        with self._database.snapshot() as connection:
            record = store.batch(connection, batch_id)
            if record is not None:
                return self._committed_state(record.signed)
            found = store.upload(connection, batch_id)
        if found is None:
            raise no_batch(batch_id)
        return self._state(found[0])

    def put_chunk(self, batch_id: BatchId, offset: int, data: bytes, digest: str, *, node: NodeId) -> UploadState:
        """Write one chunk of a payload; a chunk that is there already is skipped.

        Raises:
            NotFound: no such upload. Refused: `exchange.not_the_producer`.
            Conflict: `exchange.chunk_offset`. Corrupt: `exchange.chunk_digest`. TooLarge: chunk or payload.
        """
        with self._database.snapshot() as connection:
            record = store.batch(connection, batch_id)
            if record is not None:
                return self._committed_state(record.signed)
            found = store.upload(connection, batch_id)
        if found is None:
            raise no_batch(batch_id)
        signed, owner = found
        if node != owner:
            raise not_the_producer()
        if self._files.final(signed.manifest).exists():
            return self._state(signed)
        self._disk.require(len(data))
        received = self._files.write(signed.manifest, offset, data, digest)
        return UploadState(batch_id=batch_id, received_bytes=received, committed=False)

    def commit(self, batch_id: BatchId, *, actor: Actor) -> BatchRecord:
        """Verify a received batch and record it with its ledger entry in one transaction. Idempotent.

        A payload that does not verify is discarded, and the refusal is recorded as evidence.

        Raises:
            NotFound: no such upload. Refused, Conflict: as in `open_upload`.
            Corrupt: `exchange.payload_digest`, `exchange.content_digest`, `exchange.payload_unreadable`.
        """
        with self._database.snapshot() as connection:
            known = store.batch(connection, batch_id)
            if known is not None:
                return known
            found = store.upload(connection, batch_id)
            if found is None:
                raise no_batch(batch_id)
            signed, owner = found
            task = store.task_of(store.task_row(connection, signed.manifest.task_id))
        check_producer(owner, actor)
        manifest = signed.manifest
        self._check_batch(task, signed)
        self._verify_payload(task, signed, actor)
        with self._database.transaction() as connection:
            row = store.task_row(connection, manifest.task_id, lock=True)
            known = store.batch(connection, batch_id)
            if known is not None:
                return known
            task = store.task_of(row)
            chain.check_task(task, manifest)
            chain.check_chain(store.confirmed_of(row), manifest, may_begin_anew=task.mode.carries_deletes)
            self._files.complete(manifest)
            now = self._clock.now()
            entry_id = self._ledger.append(
                connection, kind=EntryKind.BATCH, subject=manifest.task_id, actor=actor, facts=batch_facts(task, signed)
            )
            record = BatchRecord(signed=signed, committed_at=now, entry_id=entry_id)
            store.insert_batch(connection, record)
            connection.execute(delete(UPLOADS).where(UPLOADS.c.batch_id == batch_id))
            fields = row
            store.set_task(
                connection,
                task.id,
                confirmed=chain.confirmed_after(manifest).model_dump(mode="json"),
                batches=manifest.sequence,
                rows=fields["rows"] + manifest.rows,
                payload_bytes=fields["payload_bytes"] + manifest.payload_bytes,
                last_committed_at=now,
                **self._subscriptions.committed(connection, task, row, manifest),
            )
            self._runs.committed(connection, task, manifest, actor=actor)
        return record

    def manifest(self, batch_id: BatchId) -> Manifest:
        """Return the manifest of an announced or committed batch.

        Raises:
            NotFound: `exchange.batch_not_found`.
        """
        with self._database.snapshot() as connection:
            record = store.batch(connection, batch_id)
            found = store.upload(connection, batch_id)
        if record is not None:
            return record.manifest
        if found is None:
            raise no_batch(batch_id)
        return found[0].manifest

    def _known(self, signed: SignedManifest, node: NodeId) -> UploadState | None:
        """Return the state of a batch that was announced before.

        Raises:
            Conflict: `exchange.batch_id_taken` when the manifest is another one.
        """
        batch_id = signed.manifest.batch_id
        with self._database.snapshot() as connection:
            record = store.batch(connection, batch_id)
            found = store.upload(connection, batch_id)
        known = record.signed if record is not None else found[0] if found is not None else None
        if known is None:
            return None
        if known != signed:
            raise Conflict(
                "exchange.batch_id_taken",
                what=Text(zh=f"批次编号 {batch_id} 已被占用。", en=f"The batch id {batch_id} is taken."),
                remedy=Text(zh="请使用新的批次编号。", en="Use a new batch id."),
            )
        if found is not None and found[1] != node:
            raise not_the_producer()
        return self._committed_state(signed) if record is not None else self._state(signed)

    def _state(self, signed: SignedManifest) -> UploadState:
        received = self._files.received(signed.manifest)
        return UploadState(batch_id=signed.manifest.batch_id, received_bytes=received, committed=False)

    def _committed_state(self, signed: SignedManifest) -> UploadState:
        manifest = signed.manifest
        return UploadState(batch_id=manifest.batch_id, received_bytes=manifest.payload_bytes, committed=True)

    def _check_batch(self, task: Task, signed: SignedManifest) -> None:
        """Check signer, signature, task and terms of a batch."""
        key = self._keys.key(signed.key_id)
        chain.check_signer(task, signed, key.department, revoked=key.revoked_at is not None)
        verify(signed.key_id, key.public_key, signed.manifest.signing_bytes(), signed.signature)
        chain.check_task(task, signed.manifest)
        self._check_repair(signed.manifest)
        chain.check_sealing(task, signed.manifest, {key.key_id for key in self._recipients_of(task)})
        self._subscriptions.check_any_terms(task)

    def _verify_payload(self, task: Task, signed: SignedManifest, actor: Actor) -> None:
        """Check the arrived bytes; discard them and record the refusal when they are not what was signed."""
        manifest = signed.manifest
        path = self._files.arrived(manifest)
        try:
            digest, size = digest_file(path) if path.exists() else ("", 0)
            chain.check_payload(manifest, payload_digest=digest, payload_bytes=size)
            if manifest.sealing is not None:
                check_sealed_file(path)
            elif chain.hub_checks_content(manifest):
                chain.check_content(manifest, digest_payload(path, manifest.columns))
            else:
                chain.check_rows(manifest, count_payload(path, manifest.columns))
        except Corrupt as error:
            with self._database.transaction() as connection:
                if store.batch(connection, manifest.batch_id) is not None:
                    return
                self._ledger.append(
                    connection,
                    kind=EntryKind.REFUSAL,
                    subject=manifest.task_id,
                    actor=actor,
                    facts=refusal_facts(task, signed, error.code),
                )
                connection.execute(delete(UPLOADS).where(UPLOADS.c.batch_id == manifest.batch_id))
                self._files.discard(manifest)
            raise
