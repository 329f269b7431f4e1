"""What both ends of a task state of their tables, and what comes of it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.exchange.questions import DIFFERENCES_MAX, HEX_32, Answer, Findings, Repair
from datong.exchange.sealing import Sealing
from datong.exchange.signed import Signed, utc_text
from datong.exchange.table_values import ContentDigest
from datong.kernel import Base64Bytes, DepartmentCode, EntryId, TaskId, Text, Value, canonical_json


class ReconcileEnd(StrEnum):
    """Which end of a task counts and digests its table."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


SEALED_CURSOR_BYTES_MAX = 64 * 1024


class EndDigest(Value):
    """One end's answer in a round of a reconciliation. `signing_bytes` is what the node signs.

    `digest` is the count and sum of what `answer` holds: in the first round that of the whole table.
    """

    reconciliation_id: str
    task_id: TaskId
    end: ReconcileEnd
    department: DepartmentCode
    digest: ContentDigest
    rejected: int = Field(0, ge=0)
    """Rows of this task that lie in the dead-letter table (consumer's end only)."""
    at: datetime
    round: int = Field(1, ge=1)
    answer: Answer | None = None
    """None: a node of an earlier version, which knows whole tables only."""
    sealing: Sealing | None = None
    """Of a sealed task, in the producer's first answer: the secret under which both ends digest, for both of them."""
    sealed_as_of: Base64Bytes | None = Field(None, max_length=SEALED_CURSOR_BYTES_MAX)
    """The cursor up to which is compared, encrypted under that secret."""

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed; what an earlier version did not know is left out at its default.

        So digests that were signed before still verify.
        """
        unknown = {"answer"} if self.answer is None else set()
        unknown |= {"round"} if self.round == 1 else set()
        unknown |= {name for name in ("sealing", "sealed_as_of") if getattr(self, name) is None}
        facts = self.model_dump(mode="json", exclude=unknown) | {"at": utc_text(self.at), "v": 1, "type": "end-digest"}
        return canonical_json(facts)


class SignedEndDigest(Signed):
    """One end's digest with the signature (base64) of its department's key."""

    end_digest: EndDigest


NO_SALT = "0" * 32
"""Stands where the hub knows no salt: that of a sealed task follows from the secret in its opening."""


class RepairOrder(Value):
    """What both nodes do in a repair: send the rows at some places again, delete those at others. Kept until done."""

    reconciliation_id: str
    salt: str = Field(pattern=HEX_32)
    send: tuple[str, ...] = Field((), max_length=DIFFERENCES_MAX)
    delete: tuple[str, ...] = Field((), max_length=DIFFERENCES_MAX)
    opening: SignedEndDigest | None = None
    """Of a sealed task: the producer's first answer, in which the secret is from which both nodes get the salt."""


class ReconciliationState(StrEnum):
    """How a reconciliation stands."""

    WAITING = "waiting"
    EQUAL = "equal"
    DIFFERENT = "different"
    REPAIRING = "repairing"
    REPAIRED = "repaired"
    ABANDONED = "abandoned"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _RECONCILIATIONS[self]


_RECONCILIATIONS = {
    ReconciliationState.WAITING: Text(zh="等待双方上报", en="Waiting for both ends"),
    ReconciliationState.EQUAL: Text(zh="一致", en="Equal"),
    ReconciliationState.DIFFERENT: Text(zh="不一致", en="Different"),
    ReconciliationState.REPAIRING: Text(zh="修复中", en="Being repaired"),
    ReconciliationState.REPAIRED: Text(zh="已修复", en="Repaired"),
    ReconciliationState.ABANDONED: Text(zh="未得到双方应答，已放弃", en="Given up without answers"),
}


class Reconciliation(Value):
    """Both ends' signed counts and digests of one task, and what they say.

    `producer` and `consumer` are the answers of the first round; `round` is the one that is asked now, or was last.
    """

    id: str
    task_id: TaskId
    state: ReconciliationState
    requested_at: datetime
    finished_at: datetime | None = None
    producer: SignedEndDigest | None = None
    consumer: SignedEndDigest | None = None
    entry_id: EntryId | None = None
    findings: Findings | None = None
    round: int = 1
    repair: Repair | None = None


def total_of(answer: Answer) -> ContentDigest:
    """Return the count and sum of everything an answer holds."""
    sums = [one.sum for one in answer.ranges] + [one.row for one in answer.rows]
    upper, lower = (sum(int(text[half], 16) for text in sums) % (1 << 64) for half in (slice(16), slice(16, 32)))
    rows = sum(one.rows for one in answer.ranges) + len(answer.rows)
    return ContentDigest(rows=rows, sum=f"{upper:016x}{lower:016x}")
