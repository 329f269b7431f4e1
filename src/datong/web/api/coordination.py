"""Joint meetings, assignments and the joint handling of incidents."""

from pydantic import Field

from datong.governance import Case
from datong.governance.coordination import (
    Assignment,
    AssignmentAction,
    AssignmentState,
    DecisionOfItem,
    Incident,
    IncidentState,
    Meeting,
    MeetingAction,
    MeetingState,
    NewAssignment,
    NewIncident,
    NewMeeting,
)
from datong.kernel import CaseId, DepartmentCode, EntryId, Page, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="coordination")


class Answer(Value):
    """Whether a department comes, and who."""

    coming: bool
    names: str = Field("", max_length=200)


class Held(Value):
    """Who was there, and what was said."""

    present: frozenset[DepartmentCode] = Field(min_length=1, max_length=100)
    minutes: str = Field(min_length=1, max_length=20_000)


class AssignmentActRequest(Value):
    """What is done about an assignment; `evidence` are ids of entries, `working_days` are needed to extend."""

    action: AssignmentAction
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    evidence: tuple[EntryId, ...] = Field((), max_length=20)
    working_days: int | None = Field(None, ge=1, le=250)


class Note(Value):
    """What is said."""

    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class Tasks(Value):
    """Further tasks."""

    tasks: tuple[NewAssignment, ...] = Field(min_length=1, max_length=50)


@router.get("/meetings/suggested-agenda")
def suggest_agenda(caller: Caller, hub: Hub) -> list[Case]:
    """Return the open cases in the order in which a meeting ought to treat them."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return list(hub.meetings.suggest())


@router.get("/meetings")
def list_meetings(
    caller: Caller,
    hub: Hub,
    state: MeetingState | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Meeting]:
    """Return joint meetings, the newest first: all, or those to which the caller's department is invited."""
    scope = department_in_scope(hub, caller, Action.COORDINATION_READ, department)
    return hub.meetings.find(state=state, department=scope, offset=offset, limit=limit)


@router.post("/meetings", status_code=201)
def call_meeting(body: NewMeeting, caller: Caller, hub: Hub) -> Meeting:
    """Call a meeting over open cases and other topics; the parties of the cases are invited."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.meetings.call(body, caller.actor)


@router.get("/meetings/{meeting_id}")
def read_meeting(meeting_id: str, caller: Caller, hub: Hub) -> Meeting:
    """Return one meeting with agenda, attendance, minutes, decisions and acts."""
    meeting = hub.meetings.get(meeting_id)
    concerned = {meeting.authority, *meeting.departments}
    hub.policy.require(caller, Action.COORDINATION_READ, target_of(meeting_id, concerned, caller))
    return meeting


@router.post("/meetings/{meeting_id}/answer")
def answer_invitation(meeting_id: str, body: Answer, caller: Caller, hub: Hub) -> Meeting:
    """Say whether the caller's department comes."""
    _may_act(meeting_id, caller, hub)
    return hub.meetings.answer(meeting_id, actor=caller.actor, coming=body.coming, names=body.names)


@router.post("/meetings/{meeting_id}/minutes")
def hold_meeting(meeting_id: str, body: Held, caller: Caller, hub: Hub) -> Meeting:
    """Write down who was there and what was said."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.meetings.hold(meeting_id, actor=caller.actor, present=body.present, minutes=body.minutes)


@router.post("/meetings/{meeting_id}/items/{number}/decision")
def decide_item(meeting_id: str, number: int, body: DecisionOfItem, caller: Caller, hub: Hub) -> Meeting:
    """Decide about an item: in its case, and by giving departments something to do."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.meetings.decide(meeting_id, number, body, actor=caller.actor)


@router.post("/meetings/{meeting_id}/closing")
def close_meeting(meeting_id: str, caller: Caller, hub: Hub) -> Meeting:
    """Close a meeting whose items are all decided."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.meetings.finish(meeting_id, MeetingAction.CLOSE, actor=caller.actor)


@router.post("/meetings/{meeting_id}/cancellation")
def cancel_meeting(meeting_id: str, caller: Caller, hub: Hub) -> Meeting:
    """Cancel a meeting that was not held."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.meetings.finish(meeting_id, MeetingAction.CANCEL, actor=caller.actor)


@router.get("/assignments")
def list_assignments(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    state: AssignmentState | None = None,
    open_only: bool = False,
    overdue: bool = False,
    origin_id: str | None = None,
    case_id: CaseId | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Assignment]:
    """Return what departments have to do, the first to be done first: the follow-up list."""
    scope = department_in_scope(hub, caller, Action.COORDINATION_READ, department)
    return hub.assignments.find(
        department=scope,
        state=state,
        open_only=open_only,
        overdue=overdue,
        origin_id=origin_id,
        case_id=case_id,
        offset=offset,
        limit=limit,
    )


@router.get("/assignments/{assignment_id}")
def read_assignment(assignment_id: str, caller: Caller, hub: Hub) -> Assignment:
    """Return one assignment with its acts."""
    found = hub.assignments.get(assignment_id)
    hub.policy.require(caller, Action.COORDINATION_READ, Target.of_department(found.department, name=found.id))
    return found


@router.post("/assignments/{assignment_id}/actions", status_code=201)
def act_on_assignment(assignment_id: str, body: AssignmentActRequest, caller: Caller, hub: Hub) -> Assignment:
    """Acknowledge, report, accept, send back, extend or cancel."""
    department = hub.assignments.get(assignment_id).department
    hub.policy.require(caller, Action.COORDINATION_ACT, Target.of_department(department, name=assignment_id))
    return hub.assignments.act(
        assignment_id,
        body.action,
        actor=caller.actor,
        statement=body.statement,
        evidence=body.evidence,
        working_days=body.working_days,
    )


@router.get("/incidents")
def list_incidents(
    caller: Caller,
    hub: Hub,
    state: IncidentState | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Incident]:
    """Return incidents, newest first: all, or those that the caller's department handles."""
    scope = department_in_scope(hub, caller, Action.COORDINATION_READ, department)
    return hub.incidents.find(state=state, department=scope, offset=offset, limit=limit)


@router.post("/incidents", status_code=201)
def open_incident(body: NewIncident, caller: Caller, hub: Hub) -> Incident:
    """Open an incident with the first tasks of the departments that handle it."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.incidents.open(body, caller.actor)


@router.get("/incidents/{incident_id}")
def read_incident(incident_id: str, caller: Caller, hub: Hub) -> Incident:
    """Return one incident with its timeline."""
    incident = hub.incidents.get(incident_id)
    concerned = {incident.authority, *incident.departments}
    hub.policy.require(caller, Action.COORDINATION_READ, target_of(incident_id, concerned, caller))
    return incident


@router.post("/incidents/{incident_id}/tasks", status_code=201)
def assign_tasks(incident_id: str, body: Tasks, caller: Caller, hub: Hub) -> Incident:
    """Give further tasks; departments that had none join in."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.incidents.assign(incident_id, body.tasks, actor=caller.actor)


@router.post("/incidents/{incident_id}/notes", status_code=201)
def note_on_incident(incident_id: str, body: Note, caller: Caller, hub: Hub) -> Incident:
    """Write on the common timeline."""
    _may_act(incident_id, caller, hub)
    return hub.incidents.note(incident_id, actor=caller.actor, statement=body.statement)


@router.post("/incidents/{incident_id}/closing")
def close_incident(incident_id: str, body: Note, caller: Caller, hub: Hub) -> Incident:
    """Close an incident whose tasks are all done."""
    hub.policy.require(caller, Action.COORDINATION_LEAD)
    return hub.incidents.close(incident_id, actor=caller.actor, outcome=body.statement)


def target_of(name: str, departments: set[DepartmentCode], caller: Principal) -> Target:
    """Return a thing of several departments as a target: the caller's own if it is one of them."""
    own = caller.department
    return Target(id=name, department=own) if own in departments else Target(id=name)


def _may_act(name: str, caller: Principal, hub: Services) -> None:
    """Let the officer or head of a department pass; whether it is invited, or has a part, the rules say."""
    hub.policy.require(caller, Action.COORDINATION_ACT, Target(id=name, department=caller.department))
