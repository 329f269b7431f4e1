"""The values of fan-out: further consumers of one task's stream, each under its own agreement and at its own pace."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import AgreementId, DepartmentCode, NodeId, TaskId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX


class SubscriptionState(StrEnum):
    """How a further consumer stands."""

    WAITING = "waiting"
    ACTIVE = "active"
    LEFT = "left"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


_STATES = {
    SubscriptionState.WAITING: Text(zh="等待下一次全量", en="Waiting for the next whole copy"),
    SubscriptionState.ACTIVE: Text(zh="接收中", en="Receiving"),
    SubscriptionState.LEFT: Text(zh="已退出", en="Left"),
}


class SubscriptionDraft(Value):
    """What a further consumer says to join a task's stream: its agreement, and where its rows go."""

    agreement_id: AgreementId
    consumer: DepartmentCode
    consumer_node: NodeId
    target_table: str = Field("", max_length=NAME_CHARS_MAX)
    target_source: str = Field("", max_length=NAME_CHARS_MAX)


class Subscription(SubscriptionDraft):
    """A further consumer of a task; `first_sequence` is the batch with which its copy begins, None while it waits."""

    id: str
    task_id: TaskId
    state: SubscriptionState
    first_sequence: int | None = None
    receipted_sequence: int = 0
    rows_applied: int = 0
    rows_rejected: int = 0
    joined_at: datetime
    left_at: datetime | None = None
    last_applied_at: datetime | None = None
