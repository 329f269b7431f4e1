"""The values of 校核: the cell that is disputed, what somebody says of it, and the report with its acts."""

from datetime import datetime

from pydantic import Field

from datong.kernel import (
    Actor,
    ActorKind,
    BatchId,
    CorrectionId,
    DepartmentCode,
    EntityId,
    EntryId,
    ResourceId,
    Value,
)
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.library.correction_rules import CorrectionAction, CorrectionState

BELIEVED_CHARS_MAX = 1000


class DisputedCell(Value):
    """One cell of one source record, as the library served it when it was reported."""

    library: str
    entity_id: EntityId | None
    resource_id: ResourceId
    provider: DepartmentCode
    row_key: str
    element: str
    value: str | None
    batch_id: BatchId


class Claim(Value):
    """What somebody says of a cell: what they believe to be right (None: only that it is wrong), and how they know."""

    believed: str | None = Field(None, max_length=BELIEVED_CHARS_MAX)
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class CorrectionContent(Value):
    """The personal part of a report: for its parties only, never in the ledger. `seen` is what the source says now."""

    entity_id: EntityId | None
    row_key: str
    disputed: str | None
    believed: str | None
    seen: str | None = None


class CorrectionSight(Value):
    """Where the platform saw the correction: the batch that brought it, and the version it is served in.

    `golden`: whether the golden record of the entity says so, too; another source may have the higher authority.
    `as_believed`: whether it is what the reporter said.
    """

    batch_id: BatchId
    arrived_at: datetime
    version: int
    golden: bool
    as_believed: bool


class CorrectionAct(Value):
    """One act about a report; the statement is empty where the reader may not see it."""

    number: int
    action: CorrectionAction
    state_before: CorrectionState | None
    state_after: CorrectionState
    actor: Actor
    at: datetime
    statement: str
    entry_id: EntryId


class Correction(Value):
    """A report that a cell is wrong (校核). `consumer` is the reporter's department, None for a citizen.

    `batch_id` brought the value that is disputed. `content` is None where the reader may not see the values, and for
    everybody since `disposed_at`.
    """

    id: CorrectionId
    state: CorrectionState
    library: str
    resource_id: ResourceId
    provider: DepartmentCode
    consumer: DepartmentCode | None
    reporter: str
    reporter_kind: ActorKind
    element: str
    batch_id: BatchId
    disputes: int
    reported_at: datetime
    due_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    disposed_at: datetime | None = None
    sight: CorrectionSight | None = None
    content: CorrectionContent | None = None
    acts: tuple[CorrectionAct, ...] = ()

    def is_late(self, now: datetime) -> bool:
        """Whether the source department's deadline passed while it still owes something."""
        return self.state.is_waiting and now >= self.due_at

    @property
    def cell(self) -> DisputedCell | None:
        """The cell that is disputed; None where the values are not shown."""
        if self.content is None:
            return None
        return DisputedCell(
            library=self.library,
            entity_id=self.content.entity_id,
            resource_id=self.resource_id,
            provider=self.provider,
            row_key=self.content.row_key,
            element=self.element,
            value=self.content.disputed,
            batch_id=self.batch_id,
        )

    def without_values(self) -> "Correction":
        """Return the report for those who may know of it but not see the values."""
        acts = tuple(act.model_copy(update={"statement": ""}) for act in self.acts)
        return self.model_copy(update={"content": None, "acts": acts})
