"""The values of live service interfaces: what a node is asked, and what it answers, while the caller waits."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import Base64Bytes, NodeId, ResourceId, Text, Value, canonical_json
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX
from datong.sharing.breaker import Breaker
from datong.sharing.masks import MaskKind
from datong.sharing.matching import Match
from datong.sharing.row_filters import RowCondition

ROWS_MAX = 100
CONDITIONS_ALL_MAX = 1_000
KEY_BYTES = 32
SEALED_BYTES_MAX = 4 * 1024 * 1024


class LiveTerms(Value):
    """How a resource is answered live: how long a call may take, how many at once, how many rows it may return."""

    timeout_milliseconds: int = Field(3000, ge=100, le=30_000)
    calls_at_once_max: int = Field(8, ge=1, le=64)
    rows_max: int = Field(20, ge=1, le=ROWS_MAX)


class LiveService(Value):
    """A resource whose calls its department's node answers from the database; nothing of it is copied."""

    resource_id: ResourceId
    node_id: NodeId
    terms: LiveTerms
    breaker: Breaker = Breaker()
    online: bool = False
    """Whether the node has asked for calls lately."""


class LiveKind(StrEnum):
    """What is asked."""

    QUERY = "query"
    VERIFY = "verify"


class LiveCall(Value):
    """One question to a node: only agreed columns, each with its mask; the key's value stays in this call."""

    id: str
    kind: LiveKind
    source: str = Field(max_length=NAME_CHARS_MAX)
    table: str = Field(max_length=NAME_CHARS_MAX)
    key_column: str = Field(max_length=NAME_CHARS_MAX)
    key_value: str = Field(max_length=NAME_CHARS_MAX)
    columns: Mapping[str, MaskKind] = Field({}, max_length=GATEWAY_ITEMS_MAX)
    """Query: the columns to return, masked as agreed."""
    mask_keys: Mapping[str, Base64Bytes] = Field({}, max_length=GATEWAY_ITEMS_MAX, repr=False)
    """The keys (32 bytes) of those columns whose masks are keyed."""
    claims: Mapping[str, str] = Field({}, max_length=GATEWAY_ITEMS_MAX)
    """Verify: by column, what the caller says; only match or no match leaves the node."""
    conditions: tuple[RowCondition, ...] = Field((), max_length=CONDITIONS_ALL_MAX)
    """The row filters of all agreements of the call: rows that do not meet every one do not leave the node."""
    subject_columns: tuple[str, ...] = ()
    """Columns with the numbers of the people concerned, whom the evidence must name by commitment."""
    rows_max: int = Field(ge=1, le=ROWS_MAX)
    timeout_milliseconds: int = Field(ge=1)
    deadline_at: datetime
    purpose: str = Field("", max_length=NAME_CHARS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)
    """What the call is for: told to a lower hub, which decides about the call itself; no node is told."""
    answer_key: Base64Bytes = Field(min_length=KEY_BYTES, max_length=KEY_BYTES)
    """To which the answer is sealed: a key of the process that asks, made for this call."""

    @property
    def timeout_seconds(self) -> float:
        """How long the caller waits."""
        return self.timeout_milliseconds / 1000


class LiveAnswer(Value):
    """A node's answer; a fault is a text that names no value."""

    call_id: str
    rows: tuple[dict[str, str | None], ...] = Field((), max_length=ROWS_MAX)
    results: Mapping[str, Match] = Field({}, max_length=GATEWAY_ITEMS_MAX)
    found: int = Field(0, ge=0)
    too_many: bool = False
    subjects: tuple[str, ...] = Field((), max_length=ROWS_MAX * 8)
    conditions: tuple[RowCondition, ...] = Field((), max_length=CONDITIONS_ALL_MAX)
    """The row filters that every row meets which is answered or was compared: the node signs for it."""
    fault: Text | None = None
    answered_at: datetime

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that the node signs."""
        return canonical_json(self.model_dump(mode="json") | {"v": 1, "type": "live-answer"})


class SignedLiveAnswer(Value):
    """An answer with the signature (base64) of the node's key."""

    answer: LiveAnswer
    key_id: str
    signature: str


class SealedLiveCall(Value):
    """A call as the control database holds it: sealed to the key of the node's process (raw X25519, hexadecimal)."""

    id: str
    node_key: str = Field(max_length=KEY_BYTES * 2)
    sealed: Base64Bytes = Field(max_length=SEALED_BYTES_MAX)


class SealedLiveAnswer(Value):
    """A signed answer as the control database holds it: sealed to the process that asked."""

    call_id: str
    sealed: Base64Bytes = Field(max_length=SEALED_BYTES_MAX)
