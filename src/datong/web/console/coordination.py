"""Joint meetings, the follow-up list, and the joint handling of incidents."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.governance import RULING_NAMES, STAGE_NAMES, Case, Ruling
from datong.governance.coordination import (
    ASSIGNMENT_ACTION_NAMES,
    ASSIGNMENT_STATE_NAMES,
    INCIDENT_ACTION_NAMES,
    INCIDENT_STATE_NAMES,
    MEETING_STATE_NAMES,
    OUTCOME_NAMES,
    SEVERITY_NAMES,
    AssignmentAction,
    AssignmentState,
    DecisionOfItem,
    Meeting,
    MeetingAction,
    MeetingItem,
    NewAssignment,
    NewIncident,
    NewMeeting,
    Outcome,
    Severity,
    outcomes_of,
)
from datong.kernel import CHINA, CaseId, DepartmentCode, EntryId, Invalid, Text
from datong.sharing import Action, Target
from datong.web.api import coordination as api
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

ROWS_OF_TASKS = 3
"""Assignments that one form asks for."""
Texts = Annotated[list[str] | None, Form()]


@router.get("/meetings")
def list_meetings(desk: SignedIn, offset: Offset) -> Response:
    """List the meetings that concern the caller; the authority can call one over open cases."""
    scope = department_in_scope(desk.services, desk.caller, Action.COORDINATION_READ)
    leads = desk.may(Action.COORDINATION_LEAD)
    return desk.page(
        "meetings/list.html",
        page=desk.services.meetings.find(department=scope, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        state_names=MEETING_STATE_NAMES,
        leads=leads,
        suggested=desk.services.meetings.suggest() if leads else (),
        case_title=lambda case: _case_title(desk, case),
        stage_names=STAGE_NAMES,
        choices=list(desk.departments.values()),
    )


@router.post("/meetings")
def call_meeting(
    desk: SignedIn,
    title: Annotated[str, Form(max_length=200)],
    held_at: Annotated[str, Form(max_length=40)],
    place: Annotated[str, Form(max_length=200)],
    cases: Texts = None,
    topics: Annotated[str, Form(max_length=10_000)] = "",
    departments: Texts = None,
) -> Response:
    """Call a meeting; each line of `topics` is an item of its own, times are China's."""
    new = NewMeeting(
        title=title,
        held_at=_moment(held_at),
        place=place,
        cases=tuple(CaseId(case) for case in cases or ()),
        topics=tuple(line.strip() for line in topics.splitlines() if line.strip()),
        departments=tuple(DepartmentCode(code) for code in departments or ()),
    )
    meeting = api.call_meeting(new, desk.caller, desk.services)
    return desk.go(f"/meetings/{meeting.id}", done="meeting")


@router.get("/meetings/{meeting_id}")
def show_meeting(desk: SignedIn, meeting_id: str) -> Response:
    """Show one meeting."""
    meeting = api.read_meeting(meeting_id, desk.caller, desk.services)
    own = desk.caller.department
    return desk.page(
        "meetings/meeting.html",
        meeting=meeting,
        state_names=MEETING_STATE_NAMES,
        outcome_names=OUTCOME_NAMES,
        assignment_states=ASSIGNMENT_STATE_NAMES,
        assignments={one.id: one for one in desk.services.assignments.find(origin_id=meeting_id, limit=500).rows},
        leads=own == meeting.authority and desk.may(Action.COORDINATION_LEAD),
        invited=own in meeting.departments and desk.may(Action.COORDINATION_ACT, Target(department=own)),
        item_title=lambda item: _item_title(desk, item),
        outcomes=lambda item: _outcomes(desk, meeting, item),
        about_finding=lambda item: item.case_id is not None and desk.services.cases.get(item.case_id).finding_id,
        ruling_names=RULING_NAMES,
        rows=range(ROWS_OF_TASKS),
        choices=list(desk.departments.values()),
        action_names=_MEETING_ACTS,
    )


@router.post("/meetings/{meeting_id}/answer")
def answer_invitation(
    desk: SignedIn,
    meeting_id: str,
    coming: Annotated[bool, Form()],
    names: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Say whether the department comes."""
    api.answer_invitation(meeting_id, api.Answer(coming=coming, names=names), desk.caller, desk.services)
    return desk.go(f"/meetings/{meeting_id}", done="meeting")


@router.post("/meetings/{meeting_id}/minutes")
def hold_meeting(
    desk: SignedIn, meeting_id: str, minutes: Annotated[str, Form(max_length=20_000)], present: Texts = None
) -> Response:
    """Write down who was there and what was said."""
    desk.require(Action.COORDINATION_LEAD)
    there = frozenset(DepartmentCode(code) for code in present or ())
    desk.services.meetings.hold(meeting_id, actor=desk.caller.actor, present=there, minutes=minutes)
    return desk.go(f"/meetings/{meeting_id}", done="meeting")


@router.post("/meetings/{meeting_id}/items/{number}/decision")
def decide_item(
    desk: SignedIn,
    meeting_id: str,
    number: int,
    outcome: Annotated[Outcome, Form()],
    statement: Annotated[str, Form(min_length=1, max_length=4000)],
    ruling: Annotated[str, Form(max_length=20)] = "",
    department: Texts = None,
    what: Texts = None,
    working_days: Texts = None,
) -> Response:
    """Decide about an item; a ruling counts where the case is decided."""
    given = _tasks(department, what, working_days)
    ruled = Ruling(ruling) if outcome is Outcome.CLOSE_CASE and ruling in set(Ruling) else None
    decision = DecisionOfItem(outcome=outcome, statement=statement, ruling=ruled, assignments=given)
    api.decide_item(meeting_id, number, decision, desk.caller, desk.services)
    return desk.go(f"/meetings/{meeting_id}", done="meeting")


@router.post("/meetings/{meeting_id}/closing")
def close_meeting(desk: SignedIn, meeting_id: str) -> Response:
    """Close a meeting."""
    api.close_meeting(meeting_id, desk.caller, desk.services)
    return desk.go(f"/meetings/{meeting_id}", done="meeting")


@router.post("/meetings/{meeting_id}/cancellation")
def cancel_meeting(desk: SignedIn, meeting_id: str) -> Response:
    """Cancel a meeting."""
    api.cancel_meeting(meeting_id, desk.caller, desk.services)
    return desk.go(f"/meetings/{meeting_id}", done="meeting")


@router.get("/assignments")
def list_assignments(desk: SignedIn, offset: Offset, show: str = "open") -> Response:
    """Show the follow-up list: what is open, overdue, or done."""
    scope = department_in_scope(desk.services, desk.caller, Action.COORDINATION_READ)
    page = desk.services.assignments.find(
        department=scope,
        state=AssignmentState.DONE if show == "done" else None,
        open_only=show == "open",
        overdue=show == "overdue",
        offset=offset,
        limit=PAGE_ROWS,
    )
    return desk.page(
        "meetings/assignments.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        state_names=ASSIGNMENT_STATE_NAMES,
    )


@router.get("/assignments/{assignment_id}")
def show_assignment(desk: SignedIn, assignment_id: str) -> Response:
    """Show one assignment."""
    found = api.read_assignment(assignment_id, desk.caller, desk.services)
    may = desk.may(Action.COORDINATION_ACT, Target.of_department(found.department, name=found.id))
    return desk.page(
        "meetings/assignment.html",
        one=found,
        actions=[(action, ASSIGNMENT_ACTION_NAMES[action]) for action in found.actions] if may else (),
        action_names=ASSIGNMENT_ACTION_NAMES,
        state_names=ASSIGNMENT_STATE_NAMES,
    )


@router.post("/assignments/{assignment_id}/actions")
def act_on_assignment(
    desk: SignedIn,
    assignment_id: str,
    action: Annotated[AssignmentAction, Form()],
    statement: Annotated[str, Form(min_length=1, max_length=4000)],
    evidence: Annotated[str, Form(max_length=1000)] = "",
    working_days: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """Acknowledge, report, accept, send back, extend or cancel."""
    body = api.AssignmentActRequest(
        action=action,
        statement=statement,
        evidence=tuple(EntryId(one) for one in evidence.replace(",", " ").split()[:20]),
        working_days=_number(working_days) if working_days.strip() else None,
    )
    api.act_on_assignment(assignment_id, body, desk.caller, desk.services)
    return desk.go(f"/assignments/{assignment_id}", done="assignment")


@router.get("/incidents")
def list_incidents(desk: SignedIn, offset: Offset) -> Response:
    """List the incidents that concern the caller; the authority can open one."""
    scope = department_in_scope(desk.services, desk.caller, Action.COORDINATION_READ)
    return desk.page(
        "meetings/incidents.html",
        page=desk.services.incidents.find(department=scope, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        leads=desk.may(Action.COORDINATION_LEAD),
        severities=SEVERITY_NAMES,
        state_names=INCIDENT_STATE_NAMES,
        rows=range(ROWS_OF_TASKS),
        choices=list(desk.departments.values()),
    )


@router.post("/incidents")
def open_incident(
    desk: SignedIn,
    title: Annotated[str, Form(min_length=1, max_length=200)],
    description: Annotated[str, Form(min_length=1, max_length=4000)],
    severity: Annotated[Severity, Form()],
    department: Texts = None,
    what: Texts = None,
    working_days: Texts = None,
) -> Response:
    """Open an incident with the first tasks."""
    tasks = _some(_tasks(department, what, working_days))
    new = NewIncident(title=title, description=description, severity=severity, tasks=tasks)
    incident = api.open_incident(new, desk.caller, desk.services)
    return desk.go(f"/incidents/{incident.id}", done="incident")


@router.get("/incidents/{incident_id}")
def show_incident(desk: SignedIn, incident_id: str) -> Response:
    """Show one incident with its tasks and its timeline."""
    incident = api.read_incident(incident_id, desk.caller, desk.services)
    own = desk.caller.department
    return desk.page(
        "meetings/incident.html",
        incident=incident,
        tasks=desk.services.assignments.find(origin_id=incident_id, limit=500).rows,
        leads=own == incident.authority and desk.may(Action.COORDINATION_LEAD),
        takes_part=own in {incident.authority, *incident.departments}
        and desk.may(Action.COORDINATION_ACT, Target(department=own)),
        severities=SEVERITY_NAMES,
        state_names=INCIDENT_STATE_NAMES,
        action_names=INCIDENT_ACTION_NAMES,
        assignment_states=ASSIGNMENT_STATE_NAMES,
        rows=range(ROWS_OF_TASKS),
        choices=list(desk.departments.values()),
    )


@router.post("/incidents/{incident_id}/tasks")
def assign_tasks(
    desk: SignedIn,
    incident_id: str,
    department: Texts = None,
    what: Texts = None,
    working_days: Texts = None,
) -> Response:
    """Give further tasks."""
    body = api.Tasks(tasks=_some(_tasks(department, what, working_days)))
    api.assign_tasks(incident_id, body, desk.caller, desk.services)
    return desk.go(f"/incidents/{incident_id}", done="incident")


@router.post("/incidents/{incident_id}/notes")
def note_on_incident(
    desk: SignedIn, incident_id: str, statement: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    """Write on the common timeline."""
    api.note_on_incident(incident_id, api.Note(statement=statement), desk.caller, desk.services)
    return desk.go(f"/incidents/{incident_id}", done="incident")


@router.post("/incidents/{incident_id}/closing")
def close_incident(
    desk: SignedIn, incident_id: str, statement: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    """Close an incident."""
    api.close_incident(incident_id, api.Note(statement=statement), desk.caller, desk.services)
    return desk.go(f"/incidents/{incident_id}", done="incident")


_MEETING_ACTS = {
    MeetingAction.CALL: Text(zh="召集", en="called"),
    MeetingAction.ANSWER: Text(zh="答复", en="answered"),
    MeetingAction.HOLD: Text(zh="召开并记录纪要", en="held, with minutes"),
    MeetingAction.DECIDE: Text(zh="议决", en="decided"),
    MeetingAction.CLOSE: Text(zh="结束", en="closed"),
    MeetingAction.CANCEL: Text(zh="取消", en="cancelled"),
}


def _outcomes(desk: Desk, meeting: Meeting, item: MeetingItem) -> list[tuple[Outcome, Text]]:
    """Return what can be decided now about an item; nothing when it was, or the meeting is over."""
    if item.outcome is not None or meeting.closed_at is not None or not meeting.minutes:
        return []
    stage = None if item.case_id is None else desk.services.cases.get(item.case_id).stage
    return [(outcome, OUTCOME_NAMES[outcome]) for outcome in outcomes_of(stage)]


def _item_title(desk: Desk, item: MeetingItem) -> str:
    return item.topic if item.case_id is None else _case_title(desk, desk.services.cases.get(item.case_id))


def _case_title(desk: Desk, case: Case) -> str:
    return desk.speech.say(desk.services.case_desk.title_of(case))


def _tasks(
    departments: Sequence[str] | None, whats: Sequence[str] | None, days: Sequence[str] | None
) -> tuple[NewAssignment, ...]:
    """Return the assignments of a form's rows; rows that say nothing are left out."""
    rows = zip(departments or (), whats or (), days or (), strict=False)
    return tuple(
        NewAssignment(department=DepartmentCode(code), what=what.strip()[:500], working_days=_number(number))
        for code, what, number in rows
        if what.strip()
    )


def _some(tasks: tuple[NewAssignment, ...]) -> tuple[NewAssignment, ...]:
    if not tasks:
        raise _unusable(Text(zh="至少需要一项任务", en="at least one task is needed"), "/what")
    return tasks


def _number(text: str) -> int:
    if not text.strip().isdecimal() or not 1 <= int(text) <= 250:
        raise _unusable(Text(zh="工作日数须为 1 到 250", en="working days are 1 to 250"), "/working_days")
    return int(text)


def _moment(text: str) -> datetime:
    """Return a time that a form gives, in China's time."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=CHINA)
    except ValueError as error:
        raise _unusable(Text(zh="时间不可用", en="this is no time"), "/held_at") from error


def _unusable(what: Text, field: str) -> Invalid:
    return Invalid(
        "web.form_unusable",
        what=Text(zh=f"{what.zh}。", en=f"{what.en}."),
        remedy=Text(zh="请修改后再提交。", en="Mend it and send it again."),
        field=field,
    )
