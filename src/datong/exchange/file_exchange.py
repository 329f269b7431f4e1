"""The hub's side of file exchange: announced, uploaded in pieces, verified, fetched, acknowledged, disposed of.

Whatever changes a file's state changes it together with its ledger entry, in one transaction (STYLE 17). Uploads are
those of batches (`UploadSlot`): in order, resumable, idempotent.
"""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from datong.exchange import file_rules, file_store
from datong.exchange.disk_reserve import DiskReserve
from datong.exchange.file_facts import file_facts
from datong.exchange.file_values import FileId, FileRecord, FileState, SignedFile, SignedFileReceipt
from datong.exchange.payload import check_sealed_file, digest_file
from datong.exchange.protocols import DepartmentKeys, FileTerms, KeyRegister
from datong.exchange.signatures import verify
from datong.exchange.upload_slots import UploadSlot
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    AgreementId,
    Clock,
    Corrupt,
    Database,
    DepartmentCode,
    NodeId,
    Page,
    Value,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger

SWEEP_FILES_MAX = 100
"""Files that one sweep disposes of."""


class FilePolicy(Value):
    """How long and how much the hub keeps."""

    quota_bytes: int
    retention: timedelta
    expiry: timedelta


class FileExchange:
    """Files on their way from department to department."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        recipients: KeyRegister,
        terms: FileTerms,
        lake: Path,
        disk: DiskReserve,
        policy: FilePolicy,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._keys, self._recipients, self._terms = keys, recipients, terms
        self._files, self._parts = lake / "files", lake / "file-uploads"
        self._disk, self._policy = disk, policy

    # Sending

    def open(self, signed: SignedFile, *, node: NodeId) -> FileRecord:
        """Accept a file's manifest, or find it again; `received_bytes` says from which byte its content is awaited.

        Raises:
            Refused: wrong signer, parties, terms or recipient key. Corrupt: the signature is wrong.
            Conflict: `exchange.file_id_taken`. TooLarge: `exchange.file_quota`. StorageFull: `exchange.storage_full`.
        """
        manifest = signed.manifest
        with self._database.snapshot() as connection:
            row = file_store.file_row(connection, manifest.file_id)
        if row is not None:
            file_rules.check_same(file_store.signed_of(row), signed)
            return self._record(row)
        self._check(signed, node)
        self._disk.require(manifest.payload_bytes)
        with self._database.transaction() as connection:
            held = file_store.kept_bytes(connection, manifest.sender)
            file_rules.check_quota(manifest, held, self._policy.quota_bytes)
            file_store.insert_file(connection, signed, at=self._clock.now())
            return self._record(file_store.needed_row(connection, manifest.file_id))

    def put_chunk(self, file_id: FileId, offset: int, data: bytes, digest: str, *, node: NodeId) -> FileRecord:
        """Write one chunk of a file; a chunk that is there already is skipped.

        Raises:
            NotFound: no such file. Refused: `exchange.not_the_sender`. Conflict: `exchange.chunk_offset`,
                `exchange.file_state`. Corrupt: `exchange.chunk_digest`. TooLarge: chunk or file. StorageFull.
        """
        with self._database.snapshot() as connection:
            row = file_store.needed_row(connection, file_id)
        signed = file_store.signed_of(row)
        file_rules.check_sender(signed.manifest, node)
        record = self._record(row)
        if record.is_kept or record.state is FileState.RECEIVED:
            return record
        file_rules.check_state(record, FileState.UPLOADING)
        slot = self._slot(signed)
        if not slot.final.exists():
            self._disk.require(len(data))
            slot.write(offset, data, digest)
        return self._record(row)

    def commit(self, file_id: FileId, *, actor: Actor) -> FileRecord:
        """Verify a received file and record it with its ledger entry in one transaction. Idempotent.

        Content that does not verify is discarded, and the refusal is recorded as evidence.

        Raises:
            NotFound, Refused: as in `open`. Conflict: `exchange.file_state`. Corrupt: `exchange.payload_digest`,
                `exchange.payload_not_sealed`.
        """
        with self._database.snapshot() as connection:
            row = file_store.needed_row(connection, file_id)
        signed, record = file_store.signed_of(row), self._record(row)
        file_rules.check_sender(signed.manifest, NodeId(actor.id))
        if record.is_kept or record.state is FileState.RECEIVED:
            return record
        file_rules.check_state(record, FileState.UPLOADING)
        self._check(signed, NodeId(actor.id))
        self._verify_content(signed, actor)
        with self._database.transaction() as connection:
            record = self._record(file_store.needed_row(connection, file_id, lock=True))
            if record.is_kept:
                return record
            file_rules.check_state(record, FileState.UPLOADING)
            self._slot(signed).complete()
            now = self._clock.now()
            entry_id = self._append(connection, signed, "send", actor)
            file_store.set_file(
                connection,
                file_id,
                state=FileState.READY.value,
                committed_at=now,
                changed_at=now,
                entry_id=entry_id,
            )
            return self._record(file_store.needed_row(connection, file_id))

    def withdraw(self, file_id: FileId, *, actor: Actor) -> FileRecord:
        """Take a file back that its recipient has not acknowledged; its bytes are deleted.

        Raises:
            NotFound: no such file. Conflict: `exchange.file_state`.
        """
        return self._end(file_id, FileState.WITHDRAWN, (FileState.UPLOADING, FileState.READY), "withdraw", actor)

    # Receiving

    def content(self, file_id: FileId) -> Path:
        """Return the file that holds a committed file's content (sealed, if it is).

        Raises:
            NotFound: no such file. Conflict: `exchange.file_state` when it has not arrived, or is gone.
        """
        with self._database.snapshot() as connection:
            row = file_store.needed_row(connection, file_id)
        file_rules.check_kept(self._record(row))
        return self._slot(file_store.signed_of(row)).final

    def note_download(self, file_id: FileId, *, actor: Actor) -> None:
        """Record that a person fetched a file in the console or over the interface."""
        with self._database.transaction() as connection:
            signed = file_store.signed_of(file_store.needed_row(connection, file_id))
            self._append(connection, signed, "download", actor)

    def record_receipt(self, signed: SignedFileReceipt, *, actor: Actor) -> FileRecord:
        """Verify and record the recipient's receipt with its ledger entry; a second one changes nothing.

        Raises:
            NotFound: no such file. Corrupt: `exchange.receipt_mismatch` or a wrong signature.
            Refused: `exchange.wrong_recipient_signer`. Conflict: `exchange.file_state`.
        """
        receipt = signed.receipt
        key = self._keys.key(signed.key_id)
        with self._database.transaction() as connection:
            row = file_store.needed_row(connection, receipt.file_id, lock=True)
            sent, record = file_store.signed_of(row), self._record(row)
            file_rules.check_receipt(sent.manifest, receipt, key.department, revoked=key.revoked_at is not None)
            verify(signed.key_id, key.public_key, receipt.signing_bytes(), signed.signature)
            if record.state is FileState.RECEIVED:
                return record
            file_rules.check_state(record, FileState.READY)
            now = self._clock.now()
            entry_id = self._append(
                connection, sent, "receive", actor, key_id=signed.key_id, signature=signed.signature
            )
            file_store.set_file(
                connection,
                receipt.file_id,
                state=FileState.RECEIVED.value,
                receipt=signed.model_dump(mode="json"),
                receipt_entry_id=entry_id,
                received_at=receipt.received_at,
                changed_at=now,
            )
            return self._record(file_store.needed_row(connection, receipt.file_id))

    # Reading

    def record(self, file_id: FileId) -> FileRecord:
        """Return a file.

        Raises:
            NotFound: `exchange.file_not_found`.
        """
        with self._database.snapshot() as connection:
            return self._record(file_store.needed_row(connection, file_id))

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        recipient: DepartmentCode | None = None,
        agreement_id: AgreementId | None = None,
        state: FileState | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> Page[FileRecord]:
        """Return files, newest first; `department` is sender or recipient."""
        with self._database.snapshot() as connection:
            rows, total = file_store.files(
                connection,
                department=department,
                recipient=recipient,
                agreement_id=agreement_id,
                state=state,
                offset=offset,
                limit=min(limit, PAGE_ROWS_MAX),
            )
        return page_of(tuple(self._record(row) for row in rows), total=total, offset=offset)

    # Keeping

    def sweep(self) -> bool:
        """Dispose of what has been kept long enough, with evidence; return whether there may be more.

        A received file is kept for the retention, one that nobody fetches or finishes for the expiry. Bytes are deleted
        after the transaction that says so; those that a crash left behind are deleted by the next sweep.
        """
        now = self._clock.now()
        count = self._dispose_received(now - self._policy.retention)
        for state in (FileState.READY, FileState.UPLOADING):
            with self._database.snapshot() as connection:
                rows = file_store.due(connection, state, now - self._policy.expiry, limit=SWEEP_FILES_MAX)
            for row in rows:
                self._end(FileId(row["id"]), FileState.EXPIRED, (state,), "expire", PLATFORM_ACTOR)
            count += len(rows)
        self._delete_leftovers()
        return count >= SWEEP_FILES_MAX

    def _dispose_received(self, before: datetime) -> int:
        with self._database.snapshot() as connection:
            rows = file_store.due(connection, FileState.RECEIVED, before, limit=SWEEP_FILES_MAX)
        for row in rows:
            signed = file_store.signed_of(row)
            with self._database.transaction() as connection:
                current = file_store.needed_row(connection, FileId(row["id"]), lock=True)
                if current["disposed_at"] is None:
                    self._append(connection, signed, "dispose", PLATFORM_ACTOR)
                    file_store.set_file(connection, FileId(row["id"]), disposed_at=self._clock.now())
            self._slot(signed).discard()
        return len(rows)

    def _delete_leftovers(self) -> None:
        """Delete bytes of files that are disposed of or unknown, which only a crash can have left."""
        for folder in (self._files, self._parts):
            found = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
            for start in range(0, len(found), PAGE_ROWS_MAX):
                paths = {path.stem: path for path in found[start : start + PAGE_ROWS_MAX]}
                with self._database.snapshot() as connection:
                    gone = file_store.disposed_ids(connection, [FileId(name) for name in paths])
                for name in gone:
                    paths[name].unlink(missing_ok=True)

    # Inside

    def _end(
        self, file_id: FileId, state: FileState, admitted: tuple[FileState, ...], action: str, actor: Actor
    ) -> FileRecord:
        """Let a file end without a receipt, and delete its bytes."""
        with self._database.transaction() as connection:
            row = file_store.needed_row(connection, file_id, lock=True)
            signed, record = file_store.signed_of(row), self._record(row)
            if record.state is state:
                return record
            file_rules.check_state(record, *admitted)
            now = self._clock.now()
            self._append(connection, signed, action, actor)
            file_store.set_file(connection, file_id, state=state.value, changed_at=now, disposed_at=now)
            record = self._record(file_store.needed_row(connection, file_id))
        slot = self._slot(signed)
        slot.part.unlink(missing_ok=True)
        slot.final.unlink(missing_ok=True)
        return record.model_copy(update={"received_bytes": 0})

    def _check(self, signed: SignedFile, node: NodeId) -> None:
        """Check signer, signature, terms and recipient keys of a file."""
        manifest = signed.manifest
        file_rules.check_sender(manifest, node)
        key = self._keys.key(signed.key_id)
        file_rules.check_signer(manifest, signed.key_id, key.department, revoked=key.revoked_at is not None)
        verify(signed.key_id, key.public_key, manifest.signing_bytes(), signed.signature)
        recipient = self._terms.file_recipient(manifest.agreement_id, sender=manifest.sender, now=self._clock.now())
        file_rules.check_recipient(manifest, recipient)
        if manifest.sealing is not None:
            registered = self._recipients.of_department(manifest.recipient)
            file_rules.check_sealing(manifest, {one.key_id for one in registered if one.revoked_at is None})

    def _verify_content(self, signed: SignedFile, actor: Actor) -> None:
        """Check the arrived bytes; discard them and record the refusal when they are not what was signed."""
        manifest, slot = signed.manifest, self._slot(signed)
        try:
            digest, size = digest_file(slot.arrived) if slot.arrived.exists() else ("", 0)
            file_rules.check_content(manifest, digest, size)
            if manifest.sealing is not None:
                check_sealed_file(slot.arrived)
        except Corrupt as error:
            if slot.received() < manifest.payload_bytes:
                # Not yet complete: what is there may stay, and the sender goes on.
                raise
            with self._database.transaction() as connection:
                self._append(connection, signed, "refuse", actor, refused=error.code)
                slot.discard()
            raise

    def _append(self, connection: Connection, signed: SignedFile, action: str, actor: Actor, **more: str) -> str:
        return self._ledger.append(
            connection,
            kind=EntryKind.FILE,
            subject=signed.manifest.file_id,
            actor=actor,
            facts=file_facts(signed, action) | more,
        )

    def _record(self, row: RowMapping) -> FileRecord:
        signed = file_store.signed_of(row)
        whole = row["committed_at"] is not None
        received = signed.manifest.payload_bytes if whole else self._slot(signed).received()
        return file_store.record_of(row, received_bytes=received)

    def _slot(self, signed: SignedFile) -> UploadSlot:
        manifest = signed.manifest
        return UploadSlot(
            part=self._parts / f"{manifest.file_id}.part",
            final=self._files / manifest.sender / f"{manifest.file_id}.bin",
            size_bytes=manifest.payload_bytes,
        )
