"""The provenance manifest inside a downloaded file, and its check without the hub.

A manifest says what the file is: resource, version, agreements, masks, to whom, under which entry of the log, and the
digest of its content. The hub signs it, and the entry's proof is beside it. Parquet holds it in its key-value metadata;
a CSV file comes with it in a ZIP archive. The content of Parquet is digested as text, row by row, so that its check
depends on no compression; that of CSV as it is, byte by byte.
"""

import hashlib
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError

from datong.kernel import (
    AccessId,
    AgreementId,
    Corrupt,
    DepartmentCode,
    EntryId,
    ResourceId,
    Text,
    Value,
    canonical_json,
)
from datong.kernel.files import one_file
from datong.ledger import BundleReport, Signer, verify_bundle, verify_signature
from datong.norms import text_literal
from datong.sharing.mask_columns import quoted
from datong.sharing.masks import MaskKind

MANIFEST_TYPE = "datong.gateway.file/1"
METADATA_KEY = "datong.manifest"
CSV_NAME = "data.csv"
MANIFEST_NAME = "manifest.json"
MANIFEST_BYTES_MAX = 4_000_000
READ_BYTES = 1024 * 1024
ROWS_AT_ONCE = 10_000
UNREADABLE = (
    duckdb.Error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    LookupError,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
)
"""What the readers of the two forms raise at files that are damaged or made to harm."""
SIGNING_PREFIX = b"datong gateway file manifest v1\n"


class FileForm(StrEnum):
    """The form in which a file is downloaded."""

    PARQUET = "parquet"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        """What HTTP calls it; a CSV file comes in a ZIP archive with its manifest."""
        return "application/vnd.apache.parquet" if self is FileForm.PARQUET else "application/zip"

    @property
    def suffix(self) -> str:
        """How the name of the file ends."""
        return ".parquet" if self is FileForm.PARQUET else ".zip"


class FileManifest(Value):
    """What a file is. `masks` goes by published column; `terms_sha256` are the digests that the parties signed."""

    type: str = Field(MANIFEST_TYPE, pattern=f"^{MANIFEST_TYPE}$")
    form: FileForm
    resource_id: ResourceId
    title: Text
    version: int
    table_digest: str
    provider: DepartmentCode
    consumer: DepartmentCode
    client_id: str
    purpose: str
    agreement_ids: tuple[AgreementId, ...]
    terms_sha256: tuple[str, ...]
    masks: dict[str, MaskKind]
    rows: int
    content_sha256: str
    issued_at: datetime
    access_id: AccessId
    entry_id: EntryId
    issuer_key: str = Field(pattern="^[0-9a-f]{64}$")

    def signing_bytes(self) -> bytes:
        """Return the bytes that the hub signs."""
        return SIGNING_PREFIX + canonical_json(self.model_dump(mode="json"))


class SignedManifest(Value):
    """A manifest with the hub's signature (Ed25519, hexadecimal) and the proof of its entry, its place in the log."""

    manifest: FileManifest
    signature: str = Field(pattern="^[0-9a-f]{128}$")
    proof: dict[str, object]

    @classmethod
    def of(cls, manifest: FileManifest, signer: Signer, proof: Mapping[str, object]) -> "SignedManifest":
        """Return `manifest` signed."""
        return cls(manifest=manifest, signature=signer.sign(manifest.signing_bytes()).hex(), proof=dict(proof))


class FileReport(Value):
    """What a verified file is, and what its proof says."""

    manifest: FileManifest
    proof: BundleReport

    @property
    def key_given(self) -> bool:
        """Whether the hub's key came from the verifier, not from the file."""
        return self.proof.key_given

    @property
    def log_key(self) -> str:
        """The hub's key."""
        return self.proof.log_key


def verify_file(path: Path, *, log_key: bytes | None = None) -> FileReport:
    """Check a downloaded file offline: its content, the hub's signature, its entry in the log.

    Raises:
        Corrupt: something in it is wrong; the text says what.
    """
    form = FileForm.CSV if zipfile.is_zipfile(path) else FileForm.PARQUET
    signed = _parsed(_embedded(path, form))
    manifest = signed.manifest
    # 1. The hub signed the manifest; its key is that of the log.
    key = bytes.fromhex(manifest.issuer_key)
    if log_key is not None and log_key != key:
        raise _wrong("key", Text(zh="签发公钥与所给的公钥不同", en="the issuer's key is not the key that was given"))
    try:
        verify_signature(key, manifest.signing_bytes(), bytes.fromhex(signed.signature))
    except Corrupt as error:
        raise _wrong("signature", Text(zh="清单签名不成立", en="the manifest's signature is wrong")) from error
    # 2. The content is what was handed out.
    if manifest.form is not form or _content_digest(path, form) != manifest.content_sha256:
        raise _wrong("content", Text(zh="内容与清单的摘要不符", en="the content is not what the manifest says"))
    # 3. The entry that records it is in the log, and is about this content.
    proof = verify_bundle(signed.proof, log_key=key)
    facts = proof.entry.facts
    if (facts.get("content_sha256"), facts.get("access_id")) != (manifest.content_sha256, manifest.access_id):
        raise _wrong("entry", Text(zh="日志条目记载的不是这个文件", en="the entry in the log is about another file"))
    return FileReport(manifest=manifest, proof=proof.model_copy(update={"key_given": log_key is not None}))


def rows_digest(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[str, int]:
    """Return the SHA-256 of the rows of a relation in their order, as text under their names and types; their number.

    The first line is a JSON list of names and types, each further one a row's values as a JSON list of texts.
    """
    described = [[str(row[0]), str(row[1])] for row in connection.execute(f"DESCRIBE FROM {relation}").fetchall()]
    digest = hashlib.sha256(json.dumps(described, ensure_ascii=False).encode() + b"\n")
    texts = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name, _ in described)
    reader = connection.execute(f"SELECT CAST(to_json([{texts}]) AS VARCHAR) || chr(10) AS line FROM {relation}")
    rows = 0
    for batch in reader.to_arrow_reader(ROWS_AT_ONCE):
        lines = batch.column(0).cast(pa.string())
        rows += len(lines)
        whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
        joined: Any = pc.binary_join(whole, "")
        digest.update(joined[0].as_buffer())
    return digest.hexdigest(), rows


def _content_digest(path: Path, form: FileForm) -> str:
    try:
        if form is FileForm.PARQUET:
            with duckdb.connect(":memory:") as connection:
                connection.execute("SET GLOBAL TimeZone = 'UTC'")
                return rows_digest(connection, f"read_parquet({text_literal(one_file(path))})")[0]
        digest = hashlib.sha256()
        for piece in _member(path):
            digest.update(piece)
        return digest.hexdigest()
    except UNREADABLE as error:
        raise _unreadable(path) from error


def _member(path: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive, archive.open(CSV_NAME) as member:
        while piece := member.read(READ_BYTES):
            yield piece


def _embedded(path: Path, form: FileForm) -> bytes:
    """Return the manifest in a file, not verified yet."""
    try:
        if form is FileForm.CSV:
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(MANIFEST_NAME).file_size > MANIFEST_BYTES_MAX:
                    raise _unreadable(path)
                return archive.read(MANIFEST_NAME)
        with duckdb.connect(":memory:") as connection:
            query = "SELECT value FROM parquet_kv_metadata(?) WHERE key = CAST(? AS BLOB)"
            row = connection.execute(query, [one_file(path), METADATA_KEY]).fetchone()
    except UNREADABLE as error:
        raise _unreadable(path) from error
    if row is None or len(row[0]) > MANIFEST_BYTES_MAX:
        raise _unreadable(path)
    return bytes(row[0])


def _parsed(data: bytes) -> SignedManifest:
    try:
        return SignedManifest.model_validate_json(data)
    except (ValidationError, RecursionError) as error:
        raise _wrong("form", Text(zh="清单格式不对", en="the manifest has not the form of one")) from error


def _wrong(part: str, why: Text) -> Corrupt:
    return Corrupt(
        "sharing.file_manifest_wrong",
        what=Text(zh=f"文件未通过核验：{why.zh}。", en=f"The file does not verify: {why.en}."),
        remedy=Text(zh="不要采信这个文件，请重新下载。", en="Do not rely on this file; download it again."),
        context={"part": part},
    )


def _unreadable(path: Path) -> Corrupt:
    return Corrupt(
        "sharing.file_unreadable",
        what=Text(zh=f"{path.name} 不是带来源清单的文件。", en=f"{path.name} is no file with a provenance manifest."),
        remedy=Text(zh="请从网关重新下载。", en="Download it from the gateway again."),
    )
