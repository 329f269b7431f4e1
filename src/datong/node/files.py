"""Sending and receiving files through the hub, in an order that no kill can break; calling again goes on.

Sending: what is announced is written down first, under `files/outgoing`, so that the same file goes on under the same
id. A sealed file is sealed into that folder before it is announced. Receiving: content gathers in `files/incoming`, is
checked against the signed manifest, gets its name by one rename, and is acknowledged last.
"""

import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.hashes import SM3, Hash
from pydantic import ValidationError

from datong.exchange import (
    ContentKey,
    FileId,
    FileManifest,
    FileReceipt,
    FileRecord,
    FileState,
    SealedHead,
    SealedReader,
    SealedWriter,
    SignedFile,
    digest_file,
    file_context,
    signed_file,
    signed_file_receipt,
    verify,
)
from datong.kernel import AgreementId, Clock, Conflict, Corrupt, DepartmentCode, NodeId, NotFound, Text, Value, new_id
from datong.kernel.files import flush, replace_file
from datong.ledger import Signer
from datong.node.hub_client import HubClient
from datong.node.keyring import Keyring
from datong.node.steps import Passed, Step, unobserved

CHUNK_BYTES = 16 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024
HEAD_LENGTH_BYTES = 4
HEAD_BYTES_MAX = 4096
NAMES_TRIED_MAX = 10_000

Progressed = Callable[[str, int, int], None]
"""Told what is being done (a word), how many bytes are done, and of how many."""


def unwatched(stage: str, done: int, total: int) -> None:
    """Watch nothing."""


class FileDigests(Value):
    """What a file's content is: size, SHA-256 and SM3 (GB/T 32905)."""

    bytes: int
    sha256: str
    sm3: str


class Outgoing(Value):
    """A file that is being sent: which one, as it was when it was read, and what was announced."""

    path: Path
    bytes: int
    modified_ns: int
    signed: SignedFile


class FileSender:
    """Sends files in the name of one node."""

    def __init__(
        self,
        *,
        client: HubClient,
        folder: Path,
        signer: Signer,
        clock: Clock,
        department: DepartmentCode,
        node_id: NodeId,
        passed: Passed = unobserved,
    ) -> None:
        self._client, self._folder = client, folder / "outgoing"
        self._signer, self._clock = signer, clock
        self._department, self._node_id = department, node_id
        self._passed = passed

    def send(
        self, path: Path, agreement_id: AgreementId, *, seal: bool = False, progress: Progressed = unwatched
    ) -> FileRecord:
        """Send one file under an agreement, and return how the hub recorded it.

        Raises:
            NotFound: `node.no_such_file`. Conflict: `node.file_changed` when the file was changed while it was sent.
            Unavailable: the hub does not answer; calling again goes on where this stopped.
            Refused, TooLarge: the hub does not take it.
        """
        path = path.absolute()
        if not path.is_file():
            raise NotFound(
                "node.no_such_file",
                what=Text(zh=f"没有文件 {path}。", en=f"There is no file {path}."),
                remedy=Text(zh="请核对路径。", en="Check the path."),
            )
        outgoing = self._known(path, agreement_id, seal=seal) or self._prepare(path, agreement_id, seal, progress)
        self._passed(Step.BATCH_SPOOLED)
        manifest = outgoing.signed.manifest
        record = self._client.open_file(outgoing.signed)
        self._passed(Step.UPLOAD_OPENED)
        if record.state is FileState.UPLOADING:
            record = self._upload(outgoing, record, progress)
        self._passed(Step.BATCH_COMMITTED)
        self._forget(manifest.file_id)
        return record

    def _upload(self, outgoing: Outgoing, record: FileRecord, progress: Progressed) -> FileRecord:
        manifest = outgoing.signed.manifest
        source = outgoing.path if manifest.sealing is None else self._sealed(manifest.file_id)
        received, total = record.received_bytes, manifest.payload_bytes
        with source.open("rb") as file:
            while received < total:
                file.seek(received)
                data = file.read(CHUNK_BYTES)
                if not data:
                    raise self._changed(outgoing)
                received = self._client.put_file_chunk(manifest.file_id, received, data).received_bytes
                self._passed(Step.CHUNK_SENT)
                progress("upload", received, total)
        try:
            return self._client.commit_file(manifest.file_id)
        except Corrupt as error:
            raise self._changed(outgoing) from error

    def _known(self, path: Path, agreement_id: AgreementId, *, seal: bool) -> Outgoing | None:
        """Return what was announced before of this very file, if it was not changed since."""
        facts = path.stat()
        for note in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []:
            try:
                outgoing = Outgoing.model_validate_json(note.read_bytes())
            except ValidationError:
                continue
            manifest = outgoing.signed.manifest
            if (
                (outgoing.path, outgoing.bytes, outgoing.modified_ns) == (path, facts.st_size, facts.st_mtime_ns)
                and (manifest.agreement_id, manifest.sealing is not None) == (agreement_id, seal)
                and (not seal or self._sealed(manifest.file_id).exists())
            ):
                return outgoing
        return None

    def _prepare(self, path: Path, agreement_id: AgreementId, seal: bool, progress: Progressed) -> Outgoing:
        """Read the file, seal it if wished, sign what it is, and write that down."""
        facts = path.stat()
        with path.open("rb") as file:
            digests = content_digests(file, facts.st_size, progress)
        recipient = self._client.agreement(agreement_id).consumer
        file_id = FileId(new_id())
        manifest = FileManifest(
            file_id=file_id,
            agreement_id=agreement_id,
            sender=self._department,
            sender_node=self._node_id,
            recipient=recipient,
            name=path.name,
            sm3=digests.sm3,
            payload_digest=digests.sha256,
            payload_bytes=digests.bytes,
            sent_at=self._clock.now(),
        )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if seal:
            manifest = self._seal(path, manifest, digests, progress)
        outgoing = Outgoing(
            path=path,
            bytes=facts.st_size,
            modified_ns=facts.st_mtime_ns,
            signed=signed_file(manifest, self._signer),
        )
        replace_file(self._folder / f"{file_id}.json", outgoing.model_dump_json().encode())
        return outgoing

    def _seal(self, path: Path, manifest: FileManifest, digests: FileDigests, progress: Progressed) -> FileManifest:
        """Seal the file into the outgoing folder, and return its manifest without what shall not be seen."""
        recipients = [key for key in self._client.recipient_keys(manifest.recipient) if key.revoked_at is None]
        if not recipients:
            raise Conflict(
                "node.no_recipient_key",
                what=Text(
                    zh="收件部门的前置机还没有有效的收件密钥，无法加密。",
                    en="The recipient has no recipient key in force: there is nobody to seal to.",
                ),
                remedy=Text(zh="请收件部门启动其前置机。", en="The recipient must start its node."),
                context={"recipient": manifest.recipient},
            )
        key = ContentKey.generate(
            file_context(manifest.file_id, manifest.agreement_id, manifest.sender, manifest.recipient)
        )
        head = SealedHead(name=path.name, bytes=digests.bytes, sha256=digests.sha256, sm3=digests.sm3)
        head_bytes = head.model_dump_json().encode()
        target = self._sealed(manifest.file_id)
        with path.open("rb") as source, target.open("wb") as file:
            with SealedWriter(file, key) as sealed:
                sealed.write(len(head_bytes).to_bytes(HEAD_LENGTH_BYTES, "big"))
                sealed.write(head_bytes)
                for done, data in _blocks(source):
                    sealed.write(data)
                    progress("seal", done, digests.bytes)
            file.flush()
            os.fsync(file.fileno())
        digest, size = digest_file(target)
        return manifest.model_copy(
            update={
                "name": "",
                "sm3": "",
                "payload_digest": digest,
                "payload_bytes": size,
                "sealing": key.sealing(recipients),
            }
        )

    def _sealed(self, file_id: FileId) -> Path:
        return self._folder / f"{file_id}.sealed"

    def _forget(self, file_id: FileId) -> None:
        (self._folder / f"{file_id}.json").unlink(missing_ok=True)
        self._sealed(file_id).unlink(missing_ok=True)

    def _changed(self, outgoing: Outgoing) -> Conflict:
        self._forget(outgoing.signed.manifest.file_id)
        return Conflict(
            "node.file_changed",
            what=Text(
                zh=f"文件 {outgoing.path.name} 在发送期间被修改，平台收到的与签名的不一致。",
                en=f"The file {outgoing.path.name} was changed while it was sent: what arrived is not what was signed.",
            ),
            remedy=Text(zh="请在文件不再变化后重新发送。", en="Send it again once it no longer changes."),
        )


class FileReceiver:
    """Receives files in the name of one node."""

    def __init__(
        self,
        *,
        client: HubClient,
        folder: Path,
        signer: Signer,
        keyring: Keyring,
        clock: Clock,
        department: DepartmentCode,
        node_id: NodeId,
        passed: Passed = unobserved,
    ) -> None:
        self._client, self._folder = client, folder / "incoming"
        self._signer, self._keyring, self._clock = signer, keyring, clock
        self._department, self._node_id = department, node_id
        self._passed = passed

    def waiting(self) -> tuple[FileRecord, ...]:
        """Return the files that were sent to this department and not acknowledged."""
        return self._client.files(FileState.READY, self._department)

    def receive(self, file_id: FileId, target: Path, *, progress: Progressed = unwatched) -> Path:
        """Fetch one file into the folder `target`, check it, acknowledge it, and return where it lies.

        A file of the same name and other content stays as it is: the new one gets a number.

        Raises:
            Corrupt: it is not what its sender signed. Refused: it is sealed to others, or for another department.
            Unavailable: the hub does not answer; calling again goes on where this stopped.
        """
        record = self._client.file(file_id)
        manifest = record.manifest
        self._check_signature(record.signed)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        final = self._landed(file_id, manifest)
        if final is None:
            part = self._fetch(manifest, progress)
            self._passed(Step.PAYLOAD_FETCHED)
            final = self._land(manifest, part, target, progress)
            self._passed(Step.BATCH_APPLIED)
        receipt = FileReceipt(
            file_id=file_id,
            manifest_digest=manifest.digest,
            recipient=self._department,
            recipient_node=self._node_id,
            received_at=self._now(),
        )
        self._client.send_file_receipt(signed_file_receipt(receipt, self._signer))
        self._passed(Step.RECEIPT_SENT)
        for path in (self._part(file_id), self._opened(file_id), self._note(file_id)):
            path.unlink(missing_ok=True)
        return final

    def _check_signature(self, signed: SignedFile) -> None:
        keys = self._client.department_keys(signed.manifest.sender)
        if signed.key_id not in keys:
            raise _not_as_signed()
        verify(signed.key_id, keys[signed.key_id], signed.manifest.signing_bytes(), signed.signature)

    def _fetch(self, manifest: FileManifest, progress: Progressed) -> Path:
        """Fetch what is missing of a file's content, and check the whole."""
        part, total = self._part(manifest.file_id), manifest.payload_bytes
        with part.open("ab") as file:
            present = file.tell()
            while present < total:
                data = self._client.file_part(manifest.file_id, present, min(present + CHUNK_BYTES, total))
                if not data:
                    raise _not_as_signed()
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                present += len(data)
                self._passed(Step.CHUNK_SENT)
                progress("download", present, total)
        if digest_file(part) != (manifest.payload_digest, total):
            # What is there cannot be gone on with: the next attempt begins anew.
            part.unlink()
            raise _not_as_signed()
        return part

    def _land(self, manifest: FileManifest, part: Path, target: Path, progress: Progressed) -> Path:
        """Open the file if it is sealed, check its content, and give it its name in `target`."""
        if manifest.sealing is None:
            content, name = part, manifest.name
            with content.open("rb") as file:
                digests = content_digests(file, manifest.payload_bytes, progress)
            stated = FileDigests(bytes=manifest.payload_bytes, sha256=manifest.payload_digest, sm3=manifest.sm3)
        else:
            content = self._opened(manifest.file_id)
            key = self._keyring.key_of(manifest.sealing, manifest.sealing_context)
            head, digests = _open_sealed(part, content, key, progress)
            name, stated = head.name, FileDigests(bytes=head.bytes, sha256=head.sha256, sm3=head.sm3)
        if digests != stated:
            raise _not_as_signed()
        target.mkdir(parents=True, exist_ok=True)
        final = _free_place(target, safe_name(name, manifest.file_id))
        landing = target / f".{manifest.file_id}.landing"
        _copy_or_move(content, landing)
        replace_file(self._note(manifest.file_id), str(final.absolute()).encode())
        landing.replace(final)
        flush(target)
        return final

    def _landed(self, file_id: FileId, manifest: FileManifest) -> Path | None:
        """Return where the file lies already, when a kill came before its receipt."""
        note = self._note(file_id)
        if not note.exists():
            return None
        final = Path(note.read_text(encoding="utf-8"))
        landing = final.parent / f".{file_id}.landing"
        if landing.exists():
            landing.replace(final)
            flush(final.parent)
        if not final.exists() or (manifest.sealing is None and digest_file(final)[0] != manifest.payload_digest):
            return None
        return final

    def _now(self) -> datetime:
        return self._clock.now()

    def _part(self, file_id: FileId) -> Path:
        return self._folder / f"{file_id}.part"

    def _opened(self, file_id: FileId) -> Path:
        return self._folder / f"{file_id}.opened"

    def _note(self, file_id: FileId) -> Path:
        return self._folder / f"{file_id}.landed"


def content_digests(file: BinaryIO, total: int, progress: Progressed = unwatched) -> FileDigests:
    """Read a file to its end and return what it is."""
    sha256, sm3, done = hashlib.sha256(), Hash(SM3()), 0
    for done, data in _blocks(file):
        sha256.update(data)
        sm3.update(data)
        progress("digest", done, total)
    return FileDigests(bytes=done, sha256=sha256.hexdigest(), sm3=sm3.finalize().hex())


def safe_name(name: str, file_id: str) -> str:
    """Return a name that stays in its folder whatever the sender wrote, and hides nothing."""
    kept = "".join("_" if character in '/\\:*?"<>|' or not character.isprintable() else character for character in name)
    kept = kept.strip().lstrip(".").rstrip(". ")
    return kept.encode()[:200].decode(errors="ignore") or file_id


def _open_sealed(sealed: Path, target: Path, key: ContentKey, progress: Progressed) -> tuple[SealedHead, FileDigests]:
    """Open a sealed file into `target`; return what stands before its content, and what the content is."""
    sha256, sm3, done = hashlib.sha256(), Hash(SM3()), 0
    with (
        sealed.open("rb") as file,
        io.BufferedReader(SealedReader(file, key), READ_BYTES) as opened,
        target.open("wb") as content,
    ):
        head = _read_head(opened)
        for done, data in _blocks(opened):
            content.write(data)
            sha256.update(data)
            sm3.update(data)
            progress("open", done, head.bytes)
        content.flush()
        os.fsync(content.fileno())
    return head, FileDigests(bytes=done, sha256=sha256.hexdigest(), sm3=sm3.finalize().hex())


def _read_head(opened: BinaryIO) -> SealedHead:
    length = int.from_bytes(opened.read(HEAD_LENGTH_BYTES), "big")
    if length > HEAD_BYTES_MAX:
        raise _not_as_signed()
    try:
        return SealedHead.model_validate_json(opened.read(length))
    except ValidationError as error:
        raise _not_as_signed() from error


def _blocks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks of a file, each with the number of bytes read so far."""
    done = 0
    while data := file.read(READ_BYTES):
        done += len(data)
        yield done, data


def _free_place(folder: Path, name: str) -> Path:
    """Return a path in `folder` where nothing lies: `name`, or `name (2)` and so on before its suffix."""
    first = folder / name
    for number in range(1, NAMES_TRIED_MAX):
        place = first if number == 1 else first.with_name(f"{first.stem} ({number}){first.suffix}")
        if not place.exists():
            return place
    return first.with_name(f"{first.stem} ({secrets.token_hex(8)}){first.suffix}")


def _copy_or_move(source: Path, target: Path) -> None:
    """Bring a file next to its place: by a rename, or by a copy when that is on another disk."""
    try:
        source.replace(target)
    except OSError:
        with source.open("rb") as read, target.open("wb") as written:
            for _, data in _blocks(read):
                written.write(data)
            written.flush()
            os.fsync(written.fileno())


def _not_as_signed() -> Corrupt:
    return Corrupt(
        "node.file_not_as_signed",
        what=Text(zh="取得的文件与发送方签名的清单不符。", en="The fetched file is not what its sender signed."),
        remedy=Text(
            zh="文件未交付；请重新接收，仍不符时请核查存证。",
            en="It was not handed over; receive it again, and look at the evidence if it stays so.",
        ),
    )
