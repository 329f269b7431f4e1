"""What a backup is, in writing: its manifest, and the hub's signature over it.

The manifest names every file and table with its SHA-256 and the objects it consists of, the checkpoint of the log that
the tables belong to, and what was left out. `MANIFEST` and `SIGNATURE` lie in a folder of the backup's own; a backup
without both does not exist.
"""

import re
from datetime import datetime
from typing import Self

from pydantic import Field, ValidationError, field_validator

from datong.kernel import Base64Bytes, Corrupt, Invalid, Text, Value
from datong.ledger import Signer, verify_signature

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
PURPOSE = b"datong backup manifest v1\n"
"""Goes before the manifest's bytes when they are signed, so that no other signature of the key fits."""
NAME_FORMAT = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
_DIGEST = r"^[0-9a-f]{64}$"


class StoredContent(Value):
    """Bytes in the backup folder: their SHA-256, how many there are, and the objects that hold them, in order."""

    sha256: str = Field(pattern=_DIGEST)
    bytes: int
    parts: tuple[str, ...]


class StoredFile(Value):
    """A file of the hub's folder; `path` is relative to it. `changed_ns` (of its last change) only finds files that the
    next backup need not read again."""

    path: str
    content: StoredContent
    changed_ns: int = 0

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        """A path leads nowhere but below the folder."""
        parts = value.split("/")
        if value.startswith("/") or "\\" in value or "\0" in value or not all(parts) or {".", ".."} & set(parts):
            raise ValueError("the path of a file leads out of its folder")
        return value


class StoredTable(Value):
    """A table: `digest` is the SHA-256 of its rows in the order of their keys, as `tables` writes them.

    `content` is what it is restored from, None where the database file is.
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    digest: str = Field(pattern=_DIGEST)
    content: StoredContent | None = None


class SealedKey(Value):
    """A private key's file, enciphered by AES-256-GCM under a key that scrypt derives from a passphrase."""

    path: str
    salt: Base64Bytes
    nonce: Base64Bytes
    ciphertext: Base64Bytes


class LeftOut(Value):
    """Something of the hub that is not in the backup, and why."""

    name: str
    why: Text


class Manifest(Value):
    """One backup: everything that was the hub's at the moment `taken_at`."""

    format: int = Field(1, ge=1, le=1)
    name: str
    taken_at: datetime
    software: str
    engine: str
    schema_revision: str
    origin: str
    log_key: str
    size: int
    database: StoredContent | None
    tables: tuple[StoredTable, ...]
    sequences: dict[str, int]
    files: tuple[StoredFile, ...]
    evidence: tuple[StoredFile, ...]
    keys: tuple[SealedKey, ...]
    left_out: tuple[LeftOut, ...]

    def contents(self) -> list[StoredContent]:
        """Return everything that the backup needs from its folder."""
        held = [table.content for table in self.tables if table.content is not None]
        held += [file.content for file in (*self.files, *self.evidence)]
        return [*held, self.database] if self.database is not None else held

    @property
    def stored_bytes(self) -> int:
        """Bytes that a restore writes."""
        return sum(content.bytes for content in self.contents())

    def encode(self) -> bytes:
        """Return the bytes that are signed."""
        return self.model_dump_json().encode()

    @classmethod
    def parse(cls, data: bytes, *, name: str) -> Self:
        """Read a manifest.

        Raises:
            Corrupt: it is none, or of a backup of another name.
        """
        try:
            found = cls.model_validate_json(data)
        except ValidationError as error:
            raise damaged(f"{name}/{MANIFEST}") from error
        if found.name != name:
            raise damaged(f"{name}/{MANIFEST}")
        return found


def sign_manifest(data: bytes, signer: Signer) -> bytes:
    """Return the signature of a manifest's bytes."""
    return signer.sign(PURPOSE + data)


def verify_manifest(data: bytes, signature: bytes, key: bytes) -> None:
    """Check the signature of a manifest's bytes.

    Raises:
        Corrupt: the key did not sign them.
    """
    verify_signature(key, PURPOSE + data, signature)


def checked_name(name: str) -> str:
    """Return the name of a backup.

    Raises:
        Invalid: no backup has such a name.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            "app.backup_name",
            what=Text(zh=f"“{name[:60]}”不是备份的名称。", en=f"“{name[:60]}” is no name of a backup."),
            remedy=Text(zh="请用 datong hub backups 列出备份。", en="List them by datong hub backups."),
            field="backup",
        )
    return name


def damaged(file: str) -> Corrupt:
    """Return the error that a file of the backup is missing or not what was backed up."""
    return Corrupt(
        "app.backup_damaged",
        what=Text(
            zh=f"备份中的 {file} 缺失或与备份时不同。",
            en=f"{file} of the backup is missing, or not what was backed up.",
        ),
        remedy=Text(
            zh="请改用另一份备份，或从备份的副本恢复该文件；什么都没有写入。",
            en="Use another backup, or bring the file back from a copy of the backup; nothing was written.",
        ),
        context={"file": file},
    )
