"""Findings, coordination cases and indicators."""

from pydantic import Field

from datong.governance import (
    CITED_MAX,
    GUARDS,
    AlarmDecision,
    AlarmKind,
    AlarmRecord,
    AlarmState,
    Case,
    CaseAction,
    CaseOrigin,
    CaseStage,
    Contested,
    DutyKind,
    Finding,
    FindingRecord,
    Guard,
    MonitorReport,
    Performance,
    Publication,
    Ruling,
)
from datong.kernel import CaseId, DepartmentCode, EntryId, FindingId, Page, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="governance")


class CaseActRequest(Value):
    """An act in a case; every act is reasoned.

    `evidence` are ids of entries that it cites; `ruling` says what a decision makes of the case's finding.
    """

    action: CaseAction
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    evidence: tuple[EntryId, ...] = Field((), max_length=CITED_MAX)
    ruling: Ruling | None = None


class NewCase(Value):
    """What a case is to be about, and why; `evidence` are ids of entries."""

    origin: CaseOrigin
    origin_id: str = Field(min_length=1, max_length=200)
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    evidence: tuple[EntryId, ...] = Field((), max_length=CITED_MAX)


@router.post("/monitor/runs", status_code=201)
def run_monitor(caller: Caller, hub: Hub) -> MonitorReport:
    """Judge every duty as of now; running it again changes nothing."""
    hub.policy.require(caller, Action.MONITOR_RUN)
    return hub.monitor.run()


@router.get("/findings")
def list_findings(
    caller: Caller,
    hub: Hub,
    kind: DutyKind | None = None,
    department: DepartmentCode | None = None,
    settled: bool | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[FindingRecord]:
    """Return findings, newest first: all of them, or those that concern the caller's department."""
    scope = department_in_scope(hub, caller, Action.FINDING_READ, department)
    return hub.monitor.findings(kind=kind, department=scope, settled=settled, offset=offset, limit=limit)


@router.get("/findings/{finding_id}")
def read_finding(finding_id: FindingId, caller: Caller, hub: Hub) -> FindingRecord:
    """Return one finding with its shares, spans and evidence."""
    record = hub.monitor.finding(finding_id)
    hub.policy.require(caller, Action.FINDING_READ, finding_target(record.finding))
    return record


class AlarmDecisionRequest(Value):
    """What is made of an alarm, and why."""

    decision: AlarmDecision
    reason: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


@router.get("/alarms")
def list_alarms(
    caller: Caller,
    hub: Hub,
    kind: AlarmKind | None = None,
    state: AlarmState | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[AlarmRecord]:
    """Return what was out of the ordinary, newest day first: all, or what concerns the caller's department."""
    scope = department_in_scope(hub, caller, Action.FINDING_READ, department)
    return hub.alarms.find(kind=kind, state=state, department=scope, offset=offset, limit=limit)


@router.get("/alarms/{alarm_id}")
def read_alarm(alarm_id: str, caller: Caller, hub: Hub) -> AlarmRecord:
    """Return one alarm with its figures."""
    record = hub.alarms.get(alarm_id)
    hub.policy.require(caller, Action.FINDING_READ, alarm_target(record))
    return record


@router.post("/alarms/{alarm_id}/decisions", status_code=201)
def decide_alarm(alarm_id: str, body: AlarmDecisionRequest, caller: Caller, hub: Hub) -> AlarmRecord:
    """Acknowledge or dismiss an alarm."""
    hub.policy.require(caller, Action.MONITOR_RUN)
    return hub.alarms.decide(alarm_id, body.decision, actor=caller.actor, reason=body.reason)


@router.get("/cases")
def list_cases(
    caller: Caller,
    hub: Hub,
    stage: CaseStage | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Case]:
    """Return coordination cases, newest first."""
    scope = department_in_scope(hub, caller, Action.CASE_READ, department)
    return hub.cases.find(stage=stage, department=scope, offset=offset, limit=limit)


@router.get("/cases/{case_id}")
def read_case(case_id: CaseId, caller: Caller, hub: Hub) -> Case:
    """Return one case with its acts."""
    case = hub.cases.get(case_id)
    hub.policy.require(caller, Action.CASE_READ, _case_target(case))
    return case


@router.post("/cases", status_code=201)
def open_case(body: NewCase, caller: Caller, hub: Hub) -> Case:
    """Open a case about a refusal, a dispute, a data error, a source or an unmet need, or object to a finding.

    A finding that is objected to is judged again at once; what came of it is the platform's act in the case.
    """
    about = hub.case_desk.contested(body.origin, body.origin_id)
    hub.policy.require(caller, Action.CASE_ACT, contested_target(about))
    return hub.case_desk.open(
        body.origin, body.origin_id, actor=caller.actor, statement=body.statement, evidence=body.evidence
    )


@router.post("/cases/{case_id}/actions", status_code=201)
def act_in_case(case_id: CaseId, body: CaseActRequest, caller: Caller, hub: Hub) -> Case:
    """Make a statement, object to the finding, settle, escalate or decide."""
    hub.policy.require(caller, Action.CASE_ACT, _case_target(hub.cases.get(case_id)))
    return hub.case_desk.act(
        case_id,
        body.action,
        actor=caller.actor,
        statement=body.statement,
        evidence=body.evidence,
        ruling=body.ruling,
    )


@router.get("/indicators")
def read_indicators(caller: Caller, hub: Hub, period: str | None = None) -> Performance:
    """Return the league table of a period (2026-11, 2026-Q4, 2026); without one, of the present month."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.indicators.compute(period)


@router.get("/indicator-publications")
def list_publications(caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT) -> Page[Publication]:
    """Return the league tables that were published, newest first, each with the entry that is its evidence."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.publications.find(offset=offset, limit=limit)


@router.get("/indicator-publications/{period}")
def read_publication(period: str, caller: Caller, hub: Hub) -> Publication:
    """Return the league table of a month as it was published when the month was over."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.publications.published(period)


@router.get("/indicator-guards")
def list_guards(caller: Caller, hub: Hub) -> list[Guard]:
    """Return the guards against gaming; what they found stands in each department's line of the indicators."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return list(GUARDS.values())


@router.get("/indicators/{key}/evidence")
def read_indicator_evidence(
    key: str,
    department: DepartmentCode,
    caller: Caller,
    hub: Hub,
    period: str | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[EntryId]:
    """Return the ids of the acts behind one number, newest first."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.indicators.evidence(key, department, period=period, offset=offset, limit=limit)


def finding_target(finding: Finding) -> Target:
    """Return a finding as a target: its authority and both parties may read it."""
    return Target(id=finding.id, department=finding.authority, provider=finding.provider, consumer=finding.consumer)


def alarm_target(record: AlarmRecord) -> Target:
    """Return an alarm as a target: both parties may read it."""
    tally = record.alarm.tally
    return Target(id=record.id, provider=tally.provider, consumer=tally.consumer)


def contested_target(about: Contested) -> Target:
    """Return a matter as policies see it."""
    return Target(id=about.origin_id, department=about.provider, provider=about.provider, consumer=about.consumer)


def _case_target(case: Case) -> Target:
    return Target(id=case.id, department=case.provider, provider=case.provider, consumer=case.consumer)
