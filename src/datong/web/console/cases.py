"""Coordination cases: the list, a new one, one case with its stages, and the acts in it."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.governance import (
    ACTION_NAMES,
    CITED_MAX,
    ORIGIN_NAMES,
    RULING_NAMES,
    STAGE_NAMES,
    Case,
    CaseAct,
    CaseAction,
    CaseOrigin,
    CaseStage,
    Finding,
    Ruling,
)
from datong.governance.coordination import ASSIGNMENT_STATE_NAMES
from datong.kernel import ActorKind, CaseId, EntryId, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.api.governance import (
    CaseActRequest,
    NewCase,
    act_in_case,
    contested_target,
    open_case,
    read_case,
)
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

STAGES = (CaseStage.NEGOTIATE, CaseStage.AUTHORITY, CaseStage.GOVERNMENT, CaseStage.CLOSED)

ADDRESSES = {
    CaseOrigin.FINDING: "/governance/findings/",
    CaseOrigin.REFUSAL: "/requests/",
    CaseOrigin.AGREEMENT: "/agreements/",
    CaseOrigin.CORRECTION: "/corrections/",
    CaseOrigin.WISH: "/wishes/",
}
"""Where what a case is about is shown; a contested source and a need of the search have no page of their own."""
Cited = Annotated[str, Form(max_length=1000)]
AUTOMATIC_ESCALATION = Text(
    zh="阶段期限已过，平台自动提请上一级。", en="The stage's deadline has passed; the platform escalates."
)


class CaseLine(Value):
    """A case in the list with what it is about."""

    case: Case
    title: Text


@router.get("/cases")
def list_cases(desk: SignedIn, offset: Offset, stage: str = "") -> Response:
    """List the cases that the caller may read."""
    if view := desk.opening_view():
        return desk.go(view)
    chosen = CaseStage(stage) if stage in set(CaseStage) else None
    scope = department_in_scope(desk.services, desk.caller, Action.CASE_READ)
    page = desk.services.cases.find(stage=chosen, department=scope, offset=offset, limit=PAGE_ROWS)
    lines = [CaseLine(case=case, title=desk.services.case_desk.title_of(case)) for case in page.rows]
    return desk.page(
        "cases/list.html",
        page=page,
        lines=lines,
        offset=offset,
        step=PAGE_ROWS,
        stage=stage,
        stages=STAGES,
        stage_names=STAGE_NAMES,
        origin_names=ORIGIN_NAMES,
    )


@router.get("/cases/new")
def show_new_case(desk: SignedIn, origin: CaseOrigin, about: str) -> Response:
    """Show the form to open a case about something, or to object to a finding."""
    contested = desk.services.case_desk.contested(origin, about)
    desk.require(Action.CASE_ACT, contested_target(contested))
    return desk.page(
        "cases/new.html",
        contested=contested,
        origin_names=ORIGIN_NAMES,
        address=_address(origin, about),
        statement_max=TEXT_CHARS_MAX,
        cited_max=CITED_MAX,
    )


@router.post("/cases")
def make_case(
    desk: SignedIn,
    origin: Annotated[CaseOrigin, Form()],
    about: Annotated[str, Form(min_length=1, max_length=200)],
    statement: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
    evidence: Cited = "",
) -> Response:
    """Open a case, or object to a finding."""
    body = NewCase(origin=origin, origin_id=about, statement=statement, evidence=_cited(evidence))
    case = open_case(body, desk.caller, desk.services)
    return desk.go(f"/cases/{case.id}", done="case_opened")


@router.get("/cases/{case_id}")
def show_case(desk: SignedIn, case_id: CaseId) -> Response:
    """Show one case."""
    case = read_case(case_id, desk.caller, desk.services)
    finding = None if case.finding_id is None else desk.services.monitor.finding(case.finding_id).finding
    return desk.page(
        "cases/case.html",
        case=case,
        finding=finding,
        title=desk.services.case_desk.title_of(case),
        origin_names=ORIGIN_NAMES,
        ruling_names=RULING_NAMES,
        address=_address(case.origin, case.origin_id),
        stages=[(stage, STAGE_NAMES[stage], _standing(case, stage)) for stage in STAGES],
        actions=[(action, ACTION_NAMES[action]) for action in _actions(desk, case)],
        action_names=ACTION_NAMES,
        meetings=desk.services.meetings.of_case(case_id),
        assignments=desk.services.assignments.find(case_id=case_id).rows,
        assignment_states=ASSIGNMENT_STATE_NAMES,
        stage_names=STAGE_NAMES,
        statement=lambda act: statement(desk, act, finding),
    )


def statement(desk: Desk, act: CaseAct, finding: Finding | None) -> str:
    """Return what was said in an act; the platform's own words are known in both languages."""
    if act.recheck is not None:
        return desk.speech.say(act.recheck.said)
    if act.actor.kind is ActorKind.PLATFORM:
        opened = act.action is CaseAction.OPEN and finding is not None
        return desk.speech.say(finding.summary if opened and finding else AUTOMATIC_ESCALATION)
    return act.statement


@router.post("/cases/{case_id}/actions")
def act(
    desk: SignedIn,
    case_id: CaseId,
    action: Annotated[CaseAction, Form()],
    statement: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
    evidence: Cited = "",
    ruling: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Make a statement, object to the finding, settle, escalate or decide."""
    ruled = Ruling(ruling) if action is CaseAction.DECIDE and ruling in set(Ruling) else None
    body = CaseActRequest(action=action, statement=statement, evidence=_cited(evidence), ruling=ruled)
    act_in_case(case_id, body, desk.caller, desk.services)
    return desk.go(f"/cases/{case_id}", done="case")


def _cited(typed: str) -> tuple[EntryId, ...]:
    """Return the ids of entries that were typed, separated by blanks or commas."""
    return tuple(EntryId(one) for one in typed.replace(",", " ").replace("，", " ").split()[:CITED_MAX])


def _address(origin: CaseOrigin, about: str) -> str:
    return f"{ADDRESSES[origin]}{about}" if origin in ADDRESSES else ""


def _actions(desk: Desk, case: Case) -> tuple[CaseAction, ...]:
    """Return the acts that the stage admits to the caller's side."""
    target = Target(id=case.id, department=case.provider, provider=case.provider, consumer=case.consumer)
    if not desk.may(Action.CASE_ACT, target):
        return ()
    return case.actions


def _standing(case: Case, stage: CaseStage) -> str:
    """Return how a stage stands in the case: done, now, or empty for what has not come."""
    if stage is case.stage:
        return "now"
    passed = {act.stage_before for act in case.acts} | {act.stage_after for act in case.acts}
    return "done" if stage in passed else ""
