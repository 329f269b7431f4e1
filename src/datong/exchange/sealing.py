"""What a sealed payload says of itself: the scheme, the chunk size, and its content key wrapped for each recipient.

The payload is encrypted under a content key that exists for this one payload. That key is wrapped for each recipient by
HPKE (RFC 9180, X25519-HKDF-SHA256 with AES-256-GCM). Both are bound to the facts of the manifest in `sealing_context`,
so that neither opens in another place. The hub reads these values and can open nothing; `sealed_streams` can.
"""

from typing import Literal

from pydantic import Field

from datong.kernel import (
    AgreementId,
    Base64Bytes,
    BatchId,
    DepartmentCode,
    JsonValue,
    TaskId,
    Value,
    canonical_json,
)

CHUNK_BYTES_DEFAULT = 1024 * 1024
CHUNK_BYTES_MIN = 1024
CHUNK_BYTES_MAX = 16 * 1024 * 1024
RECIPIENT_KEYS_MAX = 256
"""Keys for which one payload is sealed at most: several consumers, each with a few keys in force."""
WRAPPED_KEY_BYTES = 32 + 32 + 16
"""HPKE's encapsulated key, the content key, and the tag."""


class WrappedKey(Value):
    """The content key of one payload, sealed by HPKE to the recipient key `key_id`."""

    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    wrapped: Base64Bytes = Field(min_length=WRAPPED_KEY_BYTES, max_length=WRAPPED_KEY_BYTES)


class Sealing(Value):
    """How a payload is sealed, and for whom."""

    scheme: Literal["datong-sealed-1"] = "datong-sealed-1"
    chunk_bytes: int = Field(CHUNK_BYTES_DEFAULT, ge=CHUNK_BYTES_MIN, le=CHUNK_BYTES_MAX)
    keys: tuple[WrappedKey, ...] = Field(min_length=1, max_length=RECIPIENT_KEYS_MAX)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The recipient keys that open it."""
        return tuple(key.key_id for key in self.keys)


def sealing_context(kind: str, facts: dict[str, JsonValue]) -> bytes:
    """Return the bytes that a sealed payload is bound to: what it is, and every fact that is known before it is cut."""
    return canonical_json({"v": 1, "type": "sealing", "kind": kind, **facts})


def batch_context(
    *,
    batch_id: BatchId,
    task_id: TaskId,
    agreement_id: AgreementId,
    department: DepartmentCode,
    sequence: int,
    previous_digest: str,
    run: int,
    part: int,
    schema_fingerprint: str,
) -> bytes:
    """Return what a batch's sealed payload is bound to."""
    return sealing_context(
        "batch",
        {
            "batch": batch_id,
            "task": task_id,
            "agreement": agreement_id,
            "department": department,
            "sequence": sequence,
            "previous_digest": previous_digest,
            "run": run,
            "part": part,
            "schema_fingerprint": schema_fingerprint,
        },
    )
