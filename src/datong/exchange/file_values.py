"""The values of file exchange: what is sent, signed, received and acknowledged."""

from datetime import datetime
from enum import StrEnum
from typing import NewType

from pydantic import Field

from datong.exchange.sealing import Sealing, sealing_context
from datong.exchange.signed import Signed, utc_text
from datong.kernel import AgreementId, DepartmentCode, EntryId, NodeId, Text, Value, canonical_json, sha256_hex

FileId = NewType("FileId", str)
"""The id of a file in exchange, made by the sending node."""

FILE_BYTES_MAX = 4 * 1024**4
FILE_NAME_CHARS_MAX = 255
_HEX_256 = r"^[0-9a-f]{64}$"


class FileManifest(Value):
    """What a file is. `signing_bytes` is what the sending node signs.

    Of a sealed file, `name` and `sm3` are empty: they stand inside, before the content (`SealedHead`). `payload_digest`
    (SHA-256) and `payload_bytes` are of what travels: the file itself, or its sealed form.
    """

    file_id: FileId = Field(pattern=r"^[0-9a-f-]{36}$")
    agreement_id: AgreementId
    sender: DepartmentCode
    sender_node: NodeId
    recipient: DepartmentCode
    name: str = Field(max_length=FILE_NAME_CHARS_MAX)
    sm3: str = Field(pattern=r"^([0-9a-f]{64})?$")
    payload_digest: str = Field(pattern=_HEX_256)
    payload_bytes: int = Field(ge=0, le=FILE_BYTES_MAX)
    sent_at: datetime
    sealing: Sealing | None = None

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        facts = self.model_dump(mode="json", exclude={"sealing"} if self.sealing is None else None)
        return canonical_json(facts | {"sent_at": utc_text(self.sent_at), "v": 1, "type": "file"})

    @property
    def digest(self) -> str:
        """SHA-256 of the signing bytes: a receipt names it."""
        return sha256_hex(self.signing_bytes())

    @property
    def sealing_context(self) -> bytes:
        """What the sealed form of the file is bound to."""
        return file_context(self.file_id, self.agreement_id, self.sender, self.recipient)


def file_context(
    file_id: FileId, agreement_id: AgreementId, sender: DepartmentCode, recipient: DepartmentCode
) -> bytes:
    """Return what a sealed file is bound to: all that is known before it is sealed."""
    return sealing_context(
        "file", {"file": file_id, "agreement": agreement_id, "sender": sender, "recipient": recipient}
    )


class SealedHead(Value):
    """What stands inside a sealed file before its content: what everybody sees of a file that is not sealed."""

    name: str = Field(min_length=1, max_length=FILE_NAME_CHARS_MAX)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=_HEX_256)
    sm3: str = Field(pattern=_HEX_256)


class SignedFile(Signed):
    """A manifest with the signature (base64) of the key `key_id` of the sending department."""

    manifest: FileManifest


class FileReceipt(Value):
    """What the recipient's node states: it holds this file, whole and verified. `signing_bytes` is what it signs."""

    file_id: FileId
    manifest_digest: str = Field(pattern=_HEX_256)
    recipient: DepartmentCode
    recipient_node: NodeId
    received_at: datetime

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        facts = self.model_dump(mode="json") | {"received_at": utc_text(self.received_at)}
        return canonical_json(facts | {"v": 1, "type": "file-receipt"})


class SignedFileReceipt(Signed):
    """A receipt with the signature (base64) of the key `key_id` of the receiving department."""

    receipt: FileReceipt


class FileState(StrEnum):
    """How far a file is."""

    UPLOADING = "uploading"
    READY = "ready"
    RECEIVED = "received"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


_STATES = {
    FileState.UPLOADING: Text(zh="上传中", en="Uploading"),
    FileState.READY: Text(zh="待接收", en="Ready"),
    FileState.RECEIVED: Text(zh="已签收", en="Received"),
    FileState.WITHDRAWN: Text(zh="已撤回", en="Withdrawn"),
    FileState.EXPIRED: Text(zh="已过期", en="Expired"),
}


class FileRecord(Value):
    """A file in exchange as the hub knows it; `disposed_at` is when its bytes were deleted at the hub."""

    signed: SignedFile
    state: FileState
    received_bytes: int
    opened_at: datetime
    committed_at: datetime | None = None
    entry_id: EntryId | None = None
    receipt: SignedFileReceipt | None = None
    receipt_entry_id: EntryId | None = None
    received_at: datetime | None = None
    disposed_at: datetime | None = None

    @property
    def manifest(self) -> FileManifest:
        """The file's manifest."""
        return self.signed.manifest

    @property
    def is_kept(self) -> bool:
        """Whether the hub holds the whole file."""
        return self.committed_at is not None and self.disposed_at is None
