"""Coordination cases: the list, one case with its stages, and the acts in it."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.governance import ACTION_NAMES, STAGE_NAMES, Case, CaseAct, CaseAction, CaseStage, Finding
from datong.governance.coordination import ASSIGNMENT_STATE_NAMES
from datong.kernel import ActorKind, CaseId, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.api.governance import CaseActRequest, act_in_case, read_case
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

STAGES = (CaseStage.NEGOTIATE, CaseStage.AUTHORITY, CaseStage.GOVERNMENT, CaseStage.CLOSED)

AUTOMATIC_ESCALATION = Text(
    zh="阶段期限已过，平台自动提请上一级。", en="The stage's deadline has passed; the platform escalates."
)


class CaseLine(Value):
    """A case in the list with the finding it grew out of."""

    case: Case
    finding: Finding


@router.get("/cases")
def list_cases(desk: SignedIn, offset: Offset, stage: str = "") -> Response:
    """List the cases that the caller may read."""
    chosen = CaseStage(stage) if stage in set(CaseStage) else None
    scope = department_in_scope(desk.services, desk.caller, Action.CASE_READ)
    page = desk.services.cases.find(stage=chosen, department=scope, offset=offset, limit=PAGE_ROWS)
    lines = [CaseLine(case=case, finding=desk.services.monitor.finding(case.finding_id).finding) for case in page.rows]
    return desk.page(
        "cases/list.html",
        page=page,
        lines=lines,
        offset=offset,
        step=PAGE_ROWS,
        stage=stage,
        stages=STAGES,
        stage_names=STAGE_NAMES,
    )


@router.get("/cases/{case_id}")
def show_case(desk: SignedIn, case_id: CaseId) -> Response:
    """Show one case."""
    case = read_case(case_id, desk.caller, desk.services)
    finding = desk.services.monitor.finding(case.finding_id).finding
    return desk.page(
        "cases/case.html",
        case=case,
        finding=finding,
        stages=[(stage, STAGE_NAMES[stage], _standing(case, stage)) for stage in STAGES],
        actions=[(action, ACTION_NAMES[action]) for action in _actions(desk, case)],
        action_names=ACTION_NAMES,
        meetings=desk.services.meetings.of_case(case_id),
        assignments=desk.services.assignments.find(case_id=case_id).rows,
        assignment_states=ASSIGNMENT_STATE_NAMES,
        stage_names=STAGE_NAMES,
        statement=lambda act: statement(desk, act, finding),
    )


def statement(desk: Desk, act: CaseAct, finding: Finding) -> str:
    """Return what was said in an act; the platform's own words are known in both languages."""
    if act.actor.kind is ActorKind.PLATFORM:
        return desk.speech.say(finding.summary if act.action is CaseAction.OPEN else AUTOMATIC_ESCALATION)
    return act.statement


@router.post("/cases/{case_id}/actions")
def act(
    desk: SignedIn,
    case_id: CaseId,
    action: Annotated[CaseAction, Form()],
    statement: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
) -> Response:
    """Make a statement, settle, escalate or decide."""
    act_in_case(case_id, CaseActRequest(action=action, statement=statement), desk.caller, desk.services)
    return desk.go(f"/cases/{case_id}", done="case")


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
