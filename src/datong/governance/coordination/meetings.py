"""Joint meetings (联席会议): called by the authority over open cases, held, minuted, decided item by item, closed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from datong.governance.coordination.assignments import NewAssignment
from datong.governance.stages import TRANSITIONS as CASE_TRANSITIONS
from datong.governance.stages import Case, CaseAction, CaseSide, CaseStage, Ruling
from datong.kernel import (
    Actor,
    CaseId,
    Conflict,
    DepartmentCode,
    EntryId,
    JsonValue,
    Text,
    Value,
    canonical_json,
    sha256_hex,
)

ITEMS_MAX = 50
PARTIES_MAX = 100
TITLE_CHARS_MAX = 200
MINUTES_CHARS_MAX = 20_000


class MeetingState(StrEnum):
    """Where a meeting stands."""

    CALLED = "called"
    HELD = "held"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class MeetingAction(StrEnum):
    """What is done with a meeting."""

    CALL = "call"
    ANSWER = "answer"
    HOLD = "hold"
    DECIDE = "decide"
    CLOSE = "close"
    CANCEL = "cancel"


class Outcome(StrEnum):
    """What became of an item: its case closed, escalated, left where it is with something to do, or put off."""

    CLOSE_CASE = "close_case"
    ESCALATE_CASE = "escalate_case"
    INSTRUCT = "instruct"
    ADJOURN = "adjourn"


MEETING_STATE_NAMES: Mapping[MeetingState, Text] = {
    MeetingState.CALLED: Text(zh="已召集", en="called"),
    MeetingState.HELD: Text(zh="已召开", en="held"),
    MeetingState.CLOSED: Text(zh="已结束", en="closed"),
    MeetingState.CANCELLED: Text(zh="已取消", en="cancelled"),
}
OUTCOME_NAMES: Mapping[Outcome, Text] = {
    Outcome.CLOSE_CASE: Text(zh="决定并办结", en="decide and close the case"),
    Outcome.ESCALATE_CASE: Text(zh="提请上一级", en="escalate the case"),
    Outcome.INSTRUCT: Text(zh="交办", en="instruct"),
    Outcome.ADJOURN: Text(zh="下次再议", en="put off"),
}
CASE_ACTS: Mapping[Outcome, CaseAction] = {
    Outcome.CLOSE_CASE: CaseAction.DECIDE,
    Outcome.ESCALATE_CASE: CaseAction.ESCALATE,
    Outcome.INSTRUCT: CaseAction.STATE,
}
"""The act in a case that an outcome is; what is put off leaves it alone."""

TRANSITIONS: Mapping[tuple[MeetingState, MeetingAction], MeetingState] = {
    (MeetingState.CALLED, MeetingAction.ANSWER): MeetingState.CALLED,
    (MeetingState.CALLED, MeetingAction.HOLD): MeetingState.HELD,
    (MeetingState.CALLED, MeetingAction.CANCEL): MeetingState.CANCELLED,
    (MeetingState.HELD, MeetingAction.DECIDE): MeetingState.HELD,
    (MeetingState.HELD, MeetingAction.CLOSE): MeetingState.CLOSED,
}


class NewMeeting(Value):
    """A meeting to be called: over these cases, whose parties are invited, and other topics and departments."""

    title: str = Field(min_length=1, max_length=TITLE_CHARS_MAX)
    held_at: datetime
    place: str = Field(min_length=1, max_length=TITLE_CHARS_MAX)
    cases: tuple[CaseId, ...] = Field((), max_length=ITEMS_MAX)
    topics: tuple[str, ...] = Field((), max_length=ITEMS_MAX)
    departments: tuple[DepartmentCode, ...] = Field((), max_length=PARTIES_MAX)


class DecisionOfItem(Value):
    """What a meeting decides about an item; the statement enters the case as its reason.

    `ruling`, where the case is closed by the decision: whether the finding that it is about stands.
    """

    outcome: Outcome
    ruling: Ruling | None = None
    statement: str = Field(min_length=1, max_length=4000)
    assignments: tuple[NewAssignment, ...] = Field((), max_length=20)


class MeetingParty(Value):
    """A department at a meeting. `coming` is its answer, `present` what the minutes say; None: not said yet."""

    department: DepartmentCode
    coming: bool | None = None
    names: str = ""
    present: bool | None = None


class MeetingItem(Value):
    """One item of the agenda, and what was decided about it."""

    number: int
    case_id: CaseId | None
    topic: str
    outcome: Outcome | None = None
    statement: str = ""
    assignments: tuple[str, ...] = ()


class MeetingAct(Value):
    """One act about a meeting, with its evidence."""

    number: int
    action: MeetingAction
    state_after: MeetingState
    actor: Actor
    at: datetime
    item: int | None
    entry_id: EntryId


class Meeting(Value):
    """A joint meeting. `acts` are filled in when one is read, oldest first."""

    id: str
    title: str
    state: MeetingState
    authority: DepartmentCode
    held_at: datetime
    place: str
    called_at: datetime
    minutes: str
    closed_at: datetime | None
    parties: tuple[MeetingParty, ...]
    items: tuple[MeetingItem, ...]
    acts: tuple[MeetingAct, ...] = ()

    @property
    def departments(self) -> tuple[DepartmentCode, ...]:
        """The departments that were invited."""
        return tuple(party.department for party in self.parties)

    @property
    def undecided(self) -> tuple[int, ...]:
        """The items about which nothing was decided."""
        return tuple(item.number for item in self.items if item.outcome is None)

    def facts(self) -> dict[str, JsonValue]:
        """Return what the log states of it, in each of its entries: every text of agenda and minutes by its digest."""
        agenda = [item.model_dump(mode="json") for item in self.items]
        attendance = [party.model_dump(mode="json") for party in self.parties]
        return {
            "meeting": self.id,
            "state": self.state.value,
            "authority": self.authority,
            "departments": list(self.departments),
            "held_at": self.held_at.astimezone(UTC).isoformat(),
            "cases": [item.case_id for item in self.items if item.case_id is not None],
            "items": len(self.items),
            "undecided": len(self.undecided),
            "called_sha256": sha256_hex(canonical_json([self.title, self.place])),
            "agenda_sha256": sha256_hex(canonical_json(agenda)),
            "attendance_sha256": sha256_hex(canonical_json(attendance)),
            "minutes_sha256": sha256_hex(self.minutes.encode()) if self.minutes else None,
        }


def next_meeting_state(meeting: Meeting, action: MeetingAction) -> MeetingState:
    """Return the state that `action` leads to.

    Raises:
        Conflict: the state does not admit it, or items are left undecided where the meeting is to be closed.
    """
    after = TRANSITIONS.get((meeting.state, action))
    if after is None:
        name = MEETING_STATE_NAMES[meeting.state]
        raise Conflict(
            "governance.meeting_not_admitted",
            what=Text(
                zh=f"会议{name.zh}，不能办理这一步。", en=f"The meeting is {name.en}; this cannot be done any more."
            ),
            remedy=Text(zh="请刷新后查看会议状态。", en="Reload to see where the meeting stands."),
            context={"state": meeting.state.value, "action": action.value},
        )
    if action is MeetingAction.CLOSE and meeting.undecided:
        numbers = "、".join(map(str, meeting.undecided))
        raise Conflict(
            "governance.items_undecided",
            what=Text(
                zh=f"议题 {numbers} 尚未议决。",
                en=f"Nothing was decided about items {', '.join(map(str, meeting.undecided))}.",
            ),
            remedy=Text(zh="请逐项议决，或决定下次再议。", en="Decide about each, if only to put it off."),
            context={"undecided": list(meeting.undecided)},
        )
    return after


def outcomes_of(stage: CaseStage | None) -> tuple[Outcome, ...]:
    """Return what a meeting may decide about an item whose case is at `stage`; None: an item without a case."""
    if stage is None:
        return (Outcome.INSTRUCT, Outcome.ADJOURN)
    if stage is CaseStage.CLOSED:
        return (Outcome.ADJOURN,)
    return tuple(outcome for outcome in Outcome if outcome not in CASE_ACTS or _admitted(stage, CASE_ACTS[outcome]))


def _admitted(stage: CaseStage, act: CaseAction) -> bool:
    """Whether a stage admits an act of the authority, which decides at a meeting."""
    step = CASE_TRANSITIONS.get((stage, act))
    return step is not None and CaseSide.AUTHORITY in step[1]


_URGENCY = {CaseStage.GOVERNMENT: 0, CaseStage.AUTHORITY: 1, CaseStage.NEGOTIATE: 2}


def agenda_of(cases: Sequence[Case], now: datetime) -> tuple[Case, ...]:
    """Return open cases in the order in which a meeting ought to treat them: by stage, overdue, age."""
    treated = [case for case in cases if case.stage in _URGENCY]

    def rank(case: Case) -> tuple[int, bool, datetime, str]:
        in_time = case.stage_due_at is None or now < case.stage_due_at
        return _URGENCY[case.stage], in_time, case.opened_at, case.id

    return tuple(sorted(treated, key=rank))
