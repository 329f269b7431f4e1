"""What nodes and hub say to each other so that the nodes share a secret (`sketch_keys`), and what is signed of it."""

import hashlib
import hmac
from datetime import datetime

from pydantic import Field

from datong.kernel import Base64Bytes, DepartmentCode, NodeId, Value, new_id

SEALED_BYTES_MAX = 512
SIGNATURE_BYTES = 64


class Recipient(Value):
    """A node that a secret can be sealed to; keys are raw bytes, base64 in JSON."""

    node_id: NodeId
    department: DepartmentCode
    public_key: Base64Bytes
    signature: Base64Bytes
    key_id: str
    signing_key: Base64Bytes


class Envelope(Value):
    """A secret sealed to one node, signed by the node that sealed it."""

    node_id: NodeId
    sealed: Base64Bytes = Field(max_length=SEALED_BYTES_MAX)
    signature: Base64Bytes = Field(max_length=SIGNATURE_BYTES)


class ReceivedEnvelope(Envelope):
    """An envelope as its addressee gets it, with the key that proves who sealed it."""

    sealed_by: NodeId
    signing_key: Base64Bytes


class SketchEpoch(Value):
    """One period in which sketches can be compared; `commitment` is to the secret."""

    id: str
    commitment: str
    made_by: NodeId
    made_at: datetime
    ended_at: datetime | None = None


class SketchKeyWork(Value):
    """What one node must do so that all nodes share the secret."""

    registered: bool
    epoch: SketchEpoch | None
    envelope: ReceivedEnvelope | None
    waiting: tuple[Recipient, ...]


def commitment_to(epoch: str, secret: bytes) -> str:
    """Return what binds to a secret of 256 random bits without telling it."""
    return hmac.new(secret, f"datong sketch commitment 1\x1f{epoch}".encode(), hashlib.sha256).hexdigest()


def sealing_key_message(node_id: str, public_key: bytes) -> bytes:
    """Return what a node signs to vouch for its sealing key."""
    return b"datong sealing key 1\x1f" + node_id.encode() + b"\x1f" + public_key


def envelope_message(epoch: str, commitment: str, node_id: str, sealed: bytes) -> bytes:
    """Return what a node signs to vouch for an envelope."""
    head = "\x1f".join(("datong sketch envelope 1", epoch, commitment, node_id)).encode()
    return head + b"\x1f" + hashlib.sha256(sealed).digest()


def new_epoch_name(now: datetime) -> str:
    """Return the name of an epoch that begins now."""
    return f"{now:%Y}-{new_id()}"
