"""The values of runs: every run of a task is one row of its history, from the request to the last receipt."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.exchange.run_span import RunSpan
from datong.exchange.table_values import Cursor
from datong.kernel import Actor, EntryId, TaskId, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX


class RunReason(StrEnum):
    """Why a run was requested."""

    PERSON = "person"
    SCHEDULE = "schedule"
    CHANGE = "change"
    REPLAY = "replay"
    BACKFILL = "backfill"

    @property
    def label(self) -> Text:
        """The reason's name."""
        return _REASONS[self]


class RunState(StrEnum):
    """Where a run stands: `delivered` means that the hub has all of it and the consumer not yet."""

    WAITING = "waiting"
    RUNNING = "running"
    DELIVERED = "delivered"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]

    @property
    def is_producing(self) -> bool:
        """Whether the producer still has to do with it."""
        return self in (RunState.WAITING, RunState.RUNNING)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens in it."""
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


class TransferEnd(StrEnum):
    """At which end of a transfer something happened."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


_REASONS = {
    RunReason.PERSON: Text(zh="人工", en="Person"),
    RunReason.SCHEDULE: Text(zh="计划", en="Schedule"),
    RunReason.CHANGE: Text(zh="数据有变化", en="Source changed"),
    RunReason.REPLAY: Text(zh="重放", en="Replay"),
    RunReason.BACKFILL: Text(zh="回补", en="Backfill"),
}
_STATES = {
    RunState.WAITING: Text(zh="等待", en="Waiting"),
    RunState.RUNNING: Text(zh="传输中", en="Running"),
    RunState.DELIVERED: Text(zh="已送达，待应用", en="Delivered, to be applied"),
    RunState.DONE: Text(zh="完成", en="Done"),
    RunState.FAILED: Text(zh="失败", en="Failed"),
    RunState.CANCELLED: Text(zh="已取消", en="Cancelled"),
}


class Failure(Value):
    """What a node says went wrong with its part of a run; no value of anybody's row is in it."""

    end: TransferEnd
    code: str = Field(max_length=100)
    what: Text
    remedy: Text
    transient: bool

    def cut(self) -> "Failure":
        """Return it with texts of bounded length."""
        what = Text(zh=self.what.zh[:TEXT_CHARS_MAX], en=self.what.en[:TEXT_CHARS_MAX])
        remedy = Text(zh=self.remedy.zh[:TEXT_CHARS_MAX], en=self.remedy.en[:TEXT_CHARS_MAX])
        return self.model_copy(update={"what": what, "remedy": remedy})


class NotedFailure(Failure):
    """A failure and when the hub was told."""

    at: datetime


class RunAgain(Value):
    """From where a task's rows are moved again, and up to where: batches by their sequence, an instant, or a cursor.

    Without a start it begins with the first row; without an end it goes on to the newest. `since` begins with the first
    batch produced at that moment or later.
    """

    from_sequence: int | None = Field(None, ge=1)
    since: datetime | None = None
    after: Cursor | None = None
    until_sequence: int | None = Field(None, ge=1)
    until: Cursor | None = None


class Run(Value):
    """One run of a task. `failures_in_row` counts since the last batch that got through."""

    task_id: TaskId
    run: int
    lineage_id: str
    reason: RunReason
    state: RunState
    requested_by: Actor
    requested_at: datetime
    due_at: datetime | None = None
    missed: int = 0
    not_before: datetime | None = None
    started_at: datetime | None = None
    delivered_at: datetime | None = None
    finished_at: datetime | None = None
    failures: int = 0
    failures_in_row: int = 0
    first_sequence: int | None = None
    last_sequence: int | None = None
    batches: int = 0
    rows: int = 0
    payload_bytes: int = 0
    rows_applied: int = 0
    rows_rejected: int = 0
    expected_rows: int | None = None
    error: NotedFailure | None = None
    span: RunSpan | None = None
    entry_id: EntryId | None = None

    @property
    def attempts(self) -> int:
        """How often the producer set about it."""
        under_way = self.started_at is not None and self.state is not RunState.FAILED
        return max(self.failures + (1 if under_way else 0), self.failures)


class SourceReport(Value):
    """What a node says about the source of one task: the newest moment in it, and what lies in its spool."""

    task_id: TaskId
    newest: datetime | None = None
    spool_batches: int = Field(0, ge=0)
    spool_bytes: int = Field(0, ge=0)
