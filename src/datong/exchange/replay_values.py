"""Replays at the consumer's end: what the hub still stores is applied once more, over what the target holds."""

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from datong.exchange.run_values import Failure
from datong.exchange.signed import Signed, utc_text
from datong.exchange.table_values import ContentDigest
from datong.exchange.values import Task
from datong.kernel import PLAIN_ID, DepartmentCode, EntryId, NodeId, TaskId, Text, Value, canonical_json

SEQUENCE_MAX = 2**53 - 1


class ReplayState(StrEnum):
    """How far a replay is."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _LABELS[self]


_LABELS = {
    ReplayState.WAITING: Text(zh="等待执行", en="Waiting"),
    ReplayState.DONE: Text(zh="已完成", en="Done"),
    ReplayState.FAILED: Text(zh="失败", en="Failed"),
    ReplayState.CANCELLED: Text(zh="已取消", en="Cancelled"),
}


class ReplayDraft(Value):
    """From which batch on a consumer applies again; `consumer`: a further consumer, None: the task's own."""

    from_sequence: int = Field(ge=1, le=SEQUENCE_MAX)
    consumer: DepartmentCode | None = None


class ReplayReport(Value):
    """What a consumer's node did: how many batches it applied again, and what its table then is."""

    replay_id: str
    task_id: TaskId
    department: DepartmentCode
    from_sequence: int = Field(ge=1)
    to_sequence: int = Field(ge=0)
    batches: int = Field(ge=0)
    table_digest: ContentDigest | None
    """None of a sealed task, of whose table the hub shall learn nothing."""
    at: AwareDatetime

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        facts = self.model_dump(mode="json") | {"at": utc_text(self.at), "v": 1, "type": "replay-report"}
        return canonical_json(facts)


class SignedReplayReport(Signed):
    """A report with the signature (base64) of the key `key_id` of the consuming department."""

    report: ReplayReport


class Replay(Value):
    """An order to apply the batches from `from_sequence` on once more; `to_sequence` was the newest with a receipt."""

    id: str = Field(pattern=PLAIN_ID)
    task_id: TaskId
    consumer: DepartmentCode
    consumer_node: NodeId
    from_sequence: int
    to_sequence: int
    state: ReplayState
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None = None
    signed: SignedReplayReport | None = None
    failure: Failure | None = None
    entry_id: EntryId | None = None
    """The evidence of how it ended, before that of its order."""


class ReplayWork(Value):
    """A replay that a node shall carry out; `receipted` and `first` as in `ConsumeWork`."""

    replay: Replay
    task: Task
    receipted: int
    first: int = 1
