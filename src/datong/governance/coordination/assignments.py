"""Assignments (交办事项): what a meeting or the handling of an incident lets a department do by when.

One table says which act is possible in which state, by whom, and where it leads. That one is overdue is no state: it
follows from the deadline and the time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import Actor, CaseId, Conflict, DepartmentCode, EntryId, JsonValue, Refused, Text, Value, sha256_hex

WORKING_DAYS_MAX = 250
WHAT_CHARS_MAX = 500
EVIDENCE_MAX = 20
"""Entries of the log that one report names."""


class Origin(StrEnum):
    """Where an assignment comes from."""

    MEETING = "meeting"
    INCIDENT = "incident"


class AssignmentState(StrEnum):
    """Where an assignment stands."""

    ASSIGNED = "assigned"
    ACKNOWLEDGED = "acknowledged"
    REPORTED = "reported"
    DONE = "done"
    CANCELLED = "cancelled"


class AssignmentAction(StrEnum):
    """What is done about an assignment."""

    ASSIGN = "assign"
    ACKNOWLEDGE = "acknowledge"
    REPORT = "report"
    ACCEPT = "accept"
    RETURN = "return"
    EXTEND = "extend"
    CANCEL = "cancel"


class AssignmentSide(StrEnum):
    """On which side somebody acts: the department that is to do it, or who gave it."""

    DEPARTMENT = "department"
    OVERSEER = "overseer"
    OUTSIDER = "outsider"


ASSIGNMENT_STATE_NAMES: Mapping[AssignmentState, Text] = {
    AssignmentState.ASSIGNED: Text(zh="已交办", en="assigned"),
    AssignmentState.ACKNOWLEDGED: Text(zh="已签收", en="acknowledged"),
    AssignmentState.REPORTED: Text(zh="待核验", en="reported as done"),
    AssignmentState.DONE: Text(zh="已办结", en="done"),
    AssignmentState.CANCELLED: Text(zh="已撤销", en="cancelled"),
}
ASSIGNMENT_ACTION_NAMES: Mapping[AssignmentAction, Text] = {
    AssignmentAction.ASSIGN: Text(zh="交办", en="assign"),
    AssignmentAction.ACKNOWLEDGE: Text(zh="签收", en="acknowledge"),
    AssignmentAction.REPORT: Text(zh="报告办理情况", en="report as done"),
    AssignmentAction.ACCEPT: Text(zh="核验通过", en="accept"),
    AssignmentAction.RETURN: Text(zh="退回重办", en="send back"),
    AssignmentAction.EXTEND: Text(zh="延期", en="extend"),
    AssignmentAction.CANCEL: Text(zh="撤销", en="cancel"),
}
TO_DO_STATES = frozenset({AssignmentState.ASSIGNED, AssignmentState.ACKNOWLEDGED})
OPEN_STATES = TO_DO_STATES | {AssignmentState.REPORTED}

_STATE, _ACT, _SIDE = AssignmentState, AssignmentAction, AssignmentSide
TRANSITIONS: Mapping[tuple[AssignmentState, AssignmentAction], tuple[AssignmentState, AssignmentSide]] = {
    (_STATE.ASSIGNED, _ACT.ACKNOWLEDGE): (_STATE.ACKNOWLEDGED, _SIDE.DEPARTMENT),
    (_STATE.ASSIGNED, _ACT.EXTEND): (_STATE.ASSIGNED, _SIDE.OVERSEER),
    (_STATE.ASSIGNED, _ACT.CANCEL): (_STATE.CANCELLED, _SIDE.OVERSEER),
    (_STATE.ACKNOWLEDGED, _ACT.REPORT): (_STATE.REPORTED, _SIDE.DEPARTMENT),
    (_STATE.ACKNOWLEDGED, _ACT.EXTEND): (_STATE.ACKNOWLEDGED, _SIDE.OVERSEER),
    (_STATE.ACKNOWLEDGED, _ACT.CANCEL): (_STATE.CANCELLED, _SIDE.OVERSEER),
    (_STATE.REPORTED, _ACT.ACCEPT): (_STATE.DONE, _SIDE.OVERSEER),
    (_STATE.REPORTED, _ACT.RETURN): (_STATE.ACKNOWLEDGED, _SIDE.OVERSEER),
    (_STATE.REPORTED, _ACT.CANCEL): (_STATE.CANCELLED, _SIDE.OVERSEER),
}
"""(state, action) → (next state, who). What is done is done when whoever gave it has looked at the evidence."""


class NewAssignment(Value):
    """What a department is to do within so many working days."""

    department: DepartmentCode
    what: str = Field(min_length=1, max_length=WHAT_CHARS_MAX)
    working_days: int = Field(ge=1, le=WORKING_DAYS_MAX)


class AssignmentAct(Value):
    """One act about an assignment; `evidence` names entries of the log that show the doing."""

    number: int
    action: AssignmentAction
    state_after: AssignmentState
    actor: Actor
    at: datetime
    statement: str
    evidence: tuple[EntryId, ...]
    entry_id: EntryId


class Assignment(Value):
    """An assignment. `acts` are filled in when one is read, oldest first."""

    id: str
    origin: Origin
    origin_id: str
    case_id: CaseId | None
    department: DepartmentCode
    authority: DepartmentCode
    what: str
    state: AssignmentState
    made_at: datetime
    due_at: datetime
    settled_at: datetime | None
    acts: tuple[AssignmentAct, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return self.state in OPEN_STATES

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been done: what is reported waits for its overseer, and is late for nobody."""
        return self.state in TO_DO_STATES and now >= self.due_at

    @property
    def actions(self) -> tuple[AssignmentAction, ...]:
        """The acts possible in this state, by whoever may."""
        return tuple(action for state, action in TRANSITIONS if state is self.state)

    def facts(self) -> dict[str, JsonValue]:
        """Return what the log states of it, in each of its entries."""
        return {
            "assignment": self.id,
            "state": self.state.value,
            "origin": self.origin.value,
            "origin_id": self.origin_id,
            "case": self.case_id,
            "department": self.department,
            "authority": self.authority,
            "due_at": self.due_at.astimezone(UTC).isoformat(),
            "what_sha256": sha256_hex(self.what.encode()),
        }


def side_in(assignment: Assignment, actor: Actor) -> AssignmentSide:
    """Return on which side somebody stands; an authority that has given itself something oversees it."""
    if actor.department == assignment.authority:
        is_own = assignment.department == assignment.authority
        own = {AssignmentState.ASSIGNED, AssignmentState.ACKNOWLEDGED}
        return AssignmentSide.DEPARTMENT if is_own and assignment.state in own else AssignmentSide.OVERSEER
    return AssignmentSide.DEPARTMENT if actor.department == assignment.department else AssignmentSide.OUTSIDER


def next_state(assignment: Assignment, action: AssignmentAction, side: AssignmentSide) -> AssignmentState:
    """Return the state that `action` by `side` leads to.

    Raises:
        Conflict: the state does not admit the action.
        Refused: it does, but not by this side.
    """
    state, act = ASSIGNMENT_STATE_NAMES[assignment.state], ASSIGNMENT_ACTION_NAMES[action]
    step = TRANSITIONS.get((assignment.state, action))
    if step is None:
        raise Conflict(
            "governance.assignment_not_admitted",
            what=Text(
                zh=f"该事项“{state.zh}”，不能“{act.zh}”。",
                en=f"The assignment is {state.en}, which does not admit to {act.en}.",
            ),
            remedy=Text(zh="请按当前状态可用的操作办理。", en="Use one of the acts that the state admits."),
            field="/action",
            context={"state": assignment.state.value, "actions": [action.value for action in assignment.actions]},
        )
    after, wanted = step
    own = assignment.department == assignment.authority and side is not AssignmentSide.OUTSIDER
    if side is not wanted and not own:
        raise Refused(
            "governance.assignment_not_yours",
            what=Text(zh=f"您不在可以“{act.zh}”的一方。", en=f"You are not on the side that may {act.en}."),
            remedy=Text(
                zh="签收和报告由承办部门办理，其余由交办的主管部门办理。",
                en="The department acknowledges and reports; the authority that gave it does the rest.",
            ),
            context={"side": side.value},
        )
    return after
