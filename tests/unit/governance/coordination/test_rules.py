"""State machines of assignments and meetings: tables that hold for every order of acts, by anybody."""

from datetime import datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.governance import Case, CaseStage
from datong.governance.coordination import (
    ASSIGNMENT_ACTION_NAMES,
    ASSIGNMENT_STATE_NAMES,
    INCIDENT_ACTION_NAMES,
    INCIDENT_STATE_NAMES,
    MEETING_STATE_NAMES,
    OUTCOME_NAMES,
    SEVERITY_NAMES,
    Assignment,
    AssignmentAction,
    AssignmentState,
    IncidentAction,
    IncidentState,
    Meeting,
    MeetingAction,
    MeetingItem,
    MeetingParty,
    MeetingState,
    Origin,
    Outcome,
    Severity,
    agenda_of,
    outcomes_of,
)
from datong.governance.coordination.assignments import TRANSITIONS, AssignmentSide, next_state, side_in
from datong.governance.coordination.meetings import next_meeting_state
from datong.governance.notifications import certificates_ending, reminders_of
from datong.kernel import (
    CHINA,
    Actor,
    ActorKind,
    CaseId,
    Conflict,
    DepartmentCode,
    FindingId,
    Refused,
    WorkingCalendar,
)

DEPARTMENT, AUTHORITY = DepartmentCode("114406000000000193"), DepartmentCode("11440600MB2D00001X")
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=CHINA)


def assignment(state: AssignmentState = AssignmentState.ASSIGNED, department: str = DEPARTMENT) -> Assignment:
    return Assignment(
        id="a",
        origin=Origin.MEETING,
        origin_id="m",
        case_id=None,
        department=DepartmentCode(department),
        authority=AUTHORITY,
        what="补齐接口文档",
        state=state,
        made_at=NOW,
        due_at=NOW + timedelta(days=3),
        settled_at=None,
    )


def actor(department: str | None) -> Actor:
    code = None if department is None else DepartmentCode(department)
    return Actor(kind=ActorKind.PERSON, id="p", department=code)


@given(st.lists(st.tuples(st.sampled_from(AssignmentAction), st.sampled_from([DEPARTMENT, AUTHORITY, "other"]))))
def test_an_assignment_is_done_only_when_its_overseer_accepted_what_the_department_reported(
    acts: list[tuple[AssignmentAction, str]],
) -> None:
    """Any acts by anybody: what is refused changes nothing; done follows from report and accept, and is final."""
    one = assignment()
    done: list[tuple[AssignmentAction, AssignmentSide]] = []
    for action, who in acts:
        side = side_in(one, actor(who))
        try:
            after = next_state(one, action, side)
        except Conflict:
            assert (one.state, action) not in TRANSITIONS
            continue
        except Refused:
            assert TRANSITIONS[one.state, action][1] is not side
            continue
        assert one.is_open
        done.append((action, side))
        one = one.model_copy(update={"state": after})
    if one.state is AssignmentState.DONE:
        assert done[-1] == (AssignmentAction.ACCEPT, AssignmentSide.OVERSEER)
        assert (AssignmentAction.ACKNOWLEDGE, AssignmentSide.DEPARTMENT) in done
        before = [act for act in done[:-1] if act[0] is not AssignmentAction.EXTEND]
        assert before[-1] == (AssignmentAction.REPORT, AssignmentSide.DEPARTMENT)
    assert all(side is not AssignmentSide.OUTSIDER for _, side in done)


def test_an_authority_may_carry_out_what_it_gave_itself() -> None:
    own = assignment(department=AUTHORITY)
    for action in (AssignmentAction.ACKNOWLEDGE, AssignmentAction.REPORT, AssignmentAction.ACCEPT):
        own = own.model_copy(update={"state": next_state(own, action, side_in(own, actor(AUTHORITY)))})
    assert own.state is AssignmentState.DONE
    assert not assignment().is_overdue(NOW)
    assert assignment().is_overdue(NOW + timedelta(days=4))
    assert not assignment(AssignmentState.REPORTED).is_overdue(NOW + timedelta(days=4))
    assert side_in(assignment(), actor(None)) is AssignmentSide.OUTSIDER


def test_reminders_name_who_is_late_to_both() -> None:
    calendar = WorkingCalendar()
    assert reminders_of([assignment()], now=NOW - timedelta(days=20), calendar=calendar) == ()
    (near,) = reminders_of([assignment()], now=NOW + timedelta(days=1), calendar=calendar)
    (late,) = reminders_of([assignment()], now=NOW + timedelta(days=4), calendar=calendar)
    assert [one.department for one in near.audiences] == [DEPARTMENT]
    assert [one.department for one in late.audiences] == [DEPARTMENT, AUTHORITY]
    assert (near.urgent, late.urgent, near.key == late.key) == (False, True, False)


def meeting(state: MeetingState, *outcomes: Outcome | None) -> Meeting:
    items = tuple(
        MeetingItem(number=number, case_id=None, topic="x", outcome=outcome) for number, outcome in enumerate(outcomes)
    )
    return Meeting(
        id="m",
        title="联席会议",
        state=state,
        authority=AUTHORITY,
        held_at=NOW,
        place="一号会议室",
        called_at=NOW,
        minutes="",
        closed_at=None,
        parties=(MeetingParty(department=DEPARTMENT),),
        items=items,
    )


@given(st.lists(st.sampled_from(MeetingAction)))
def test_a_meeting_is_closed_only_after_it_was_held_and_all_was_decided(acts: list[MeetingAction]) -> None:
    one, held = meeting(MeetingState.CALLED, None, None), False
    for action in acts:
        try:
            state = next_meeting_state(one, action)
        except Conflict:
            continue
        held = held or action is MeetingAction.HOLD
        items = list(one.items)
        if action is MeetingAction.DECIDE and one.undecided:
            items[one.undecided[0]] = items[one.undecided[0]].model_copy(update={"outcome": Outcome.ADJOURN})
        one = one.model_copy(update={"state": state, "items": tuple(items)})
    if one.state is MeetingState.CLOSED:
        assert held
        assert one.undecided == ()
    if one.state is MeetingState.CANCELLED:
        assert not held


def test_what_can_be_decided_depends_on_the_stage() -> None:
    assert outcomes_of(None) == (Outcome.INSTRUCT, Outcome.ADJOURN)
    assert outcomes_of(CaseStage.NEGOTIATE) == (Outcome.INSTRUCT, Outcome.ADJOURN)
    assert set(outcomes_of(CaseStage.AUTHORITY)) == set(Outcome)
    assert Outcome.ESCALATE_CASE not in outcomes_of(CaseStage.GOVERNMENT)
    assert outcomes_of(CaseStage.CLOSED) == (Outcome.ADJOURN,)


def test_an_agenda_treats_the_highest_stage_the_late_and_the_oldest_first() -> None:
    def case(name: str, stage: CaseStage, *, opened: int, due: int) -> Case:
        return Case(
            id=CaseId(name),
            finding_id=FindingId("f"),
            stage=stage,
            provider=DEPARTMENT,
            consumer=None,
            opened_at=NOW - timedelta(days=opened),
            stage_due_at=NOW + timedelta(days=due),
            closed_at=None,
            version=0,
            outcome=None,
        )

    cases = [
        case("young", CaseStage.AUTHORITY, opened=1, due=5),
        case("old", CaseStage.AUTHORITY, opened=9, due=5),
        case("late", CaseStage.AUTHORITY, opened=2, due=-1),
        case("government", CaseStage.GOVERNMENT, opened=1, due=5),
        case("closed", CaseStage.CLOSED, opened=1, due=5),
    ]
    assert [one.id for one in agenda_of(cases, NOW)] == ["government", "late", "old", "young"]


@pytest.mark.parametrize(
    ("names", "members"),
    [
        (ASSIGNMENT_STATE_NAMES, AssignmentState),
        (ASSIGNMENT_ACTION_NAMES, AssignmentAction),
        (MEETING_STATE_NAMES, MeetingState),
        (OUTCOME_NAMES, Outcome),
        (SEVERITY_NAMES, Severity),
        (INCIDENT_STATE_NAMES, IncidentState),
        (INCIDENT_ACTION_NAMES, IncidentAction),
    ],
)
def test_everything_has_a_name(names: dict[object, object], members: type[StrEnum]) -> None:
    assert set(names) == set(members)


def test_ending_certificates_are_told_by_day_and_number() -> None:
    (matter,) = certificates_ending([(DEPARTMENT, NOW.date(), 3)])
    assert (matter.key, matter.once) == (f"certificates:{DEPARTMENT}:2026-11-02", True)
    assert "3 " in matter.what.zh
    assert matter.audiences[0].department == DEPARTMENT
