"""The values of 一数一源: designations of source departments, objections to them, and what was done about them."""

from datetime import datetime
from enum import StrEnum

from datong.catalogue.overlaps import ElementOverlaps
from datong.catalogue.source_rules import SourceCandidate
from datong.kernel import DepartmentCode, ResourceId, Text, Value


class SourceAction(StrEnum):
    """What is done about the source of an element."""

    DESIGNATE = "designate"
    REVISE = "revise"
    WITHDRAW = "withdraw"
    OBJECT = "object"
    UPHOLD = "uphold"
    DISMISS = "dismiss"

    @property
    def label(self) -> Text:
        """The act's name."""
        return _ACTIONS[self]


class ObjectionState(StrEnum):
    """Where an objection stands."""

    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _OBJECTIONS[self]


_ACTIONS = {
    SourceAction.DESIGNATE: Text(zh="认定数源部门", en="Designate the source"),
    SourceAction.REVISE: Text(zh="改定数源部门", en="Revise the source"),
    SourceAction.WITHDRAW: Text(zh="撤销认定", en="Withdraw the designation"),
    SourceAction.OBJECT: Text(zh="提出异议", en="Object"),
    SourceAction.UPHOLD: Text(zh="异议成立", en="Uphold the objection"),
    SourceAction.DISMISS: Text(zh="异议不成立", en="Dismiss the objection"),
}
_OBJECTIONS = {
    ObjectionState.OPEN: Text(zh="待答复", en="Open"),
    ObjectionState.UPHELD: Text(zh="成立", en="Upheld"),
    ObjectionState.DISMISSED: Text(zh="不成立", en="Dismissed"),
}


class Source(Value):
    """A designation; `scope` is empty when it holds for everybody. `ended_at` is set once another took its place."""

    id: str
    element: str
    scope: str
    department: DepartmentCode
    resource_id: ResourceId | None
    legal_basis: str
    reason: str
    designated_at: datetime
    ended_at: datetime | None = None


class SourceStep(Value):
    """One act about the source of an element, with its evidence."""

    source_id: str
    action: SourceAction
    objection_id: str | None
    actor_id: str
    actor_name: str
    actor_department: DepartmentCode | None
    reason: str
    at: datetime
    entry_id: str


class Objection(Value):
    """A department's objection to a designation, and the authority's answer."""

    id: str
    source_id: str
    department: DepartmentCode
    reason: str
    state: ObjectionState
    answer: str
    made_at: datetime
    answered_at: datetime | None


class SourceHint(Value):
    """An item that another department is the source of: it should be obtained from there."""

    column: str
    element: str
    source: Source


class HeldByMany(Value):
    """One element, who holds it, and who is its source."""

    element: str
    departments: tuple[DepartmentCode, ...]
    resources: int
    sources: tuple[Source, ...]
    objections: int


class ElementSource(Value):
    """Everything that is known about the source of one element."""

    overlaps: ElementOverlaps
    candidates: tuple[SourceCandidate, ...]
    sources: tuple[Source, ...]
    objections: tuple[Objection, ...]
    steps: tuple[SourceStep, ...]
