"""Meetings, assignments and incidents over a real ledger: decisions move cases, duties are followed."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from datong.governance import GOVERNANCE_AREAS, CaseAction, CaseStage, Ruling
from datong.governance.coordination import (
    COORDINATION_AREAS,
    Assignment,
    AssignmentAction,
    Assignments,
    AssignmentState,
    DecisionOfItem,
    Incidents,
    IncidentState,
    MeetingAction,
    Meetings,
    MeetingState,
    NewAssignment,
    NewIncident,
    NewMeeting,
    Outcome,
    Severity,
)
from datong.governance.coordination.tables import ASSIGNMENT, MEETING_ITEM
from datong.governance.notifications import Topic
from datong.kernel import CaseId, Conflict, Database, DepartmentCode, EntryId, Invalid, NotFound, Refused
from datong.ledger import EntryKind
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, DAY, PROVIDER, officer
from tests.integration.governance.test_notifications import OFFICER, OTHER, Told

TAX = DepartmentCode("11440600MB2C00048K")


class Coordinated(Told):
    """A world with a case that was escalated to the authority."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.assignments = Assignments(database=database, clock=self.clock, calendar=self.calendar, ledger=self.ledger)

        def registered() -> frozenset[DepartmentCode]:
            return frozenset({PROVIDER, CONSUMER, BUREAU})

        self.meetings = Meetings(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            cases=self.cases,
            assignments=self.assignments,
            departments=registered,
        )
        self.incidents = Incidents(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            assignments=self.assignments,
            departments=registered,
        )

    def case(self, number: int) -> CaseId:
        """Return a case of an overdue reply, at the stage of the authority."""
        self.request("submit", "submitted", number=number)
        self.clock.advance(timedelta(days=40))
        (case_id,) = self.monitor.run().cases_opened
        self.cases.act(case_id, CaseAction.ESCALATE, actor=officer(CONSUMER), statement="协商未果")
        return case_id

    def act(
        self,
        one: Assignment | str,
        action: AssignmentAction,
        who: DepartmentCode,
        *,
        evidence: tuple[EntryId, ...] = (),
        working_days: int | None = None,
    ) -> Assignment:
        """Do something about an assignment."""
        name = one if isinstance(one, str) else one.id
        actor, said = officer(who), "情况属实"
        return self.assignments.act(
            name, action, actor=actor, statement=said, evidence=evidence, working_days=working_days
        )


@pytest.fixture
def world(control_database: Database) -> Coordinated:
    """A world with meetings."""
    return Coordinated(control_database)


def test_a_meeting_decides_a_case_and_its_duties_are_followed(world: Coordinated) -> None:
    case_id = world.case(1)
    bureau = officer(BUREAU)
    assert [case.id for case in world.meetings.suggest()] == [case_id]
    new = NewMeeting(
        title="第一次联席会议",
        held_at=world.clock.now() + DAY,
        place="一号会议室",
        cases=(case_id,),
        topics=("下季度共享计划",),
    )
    for wrong in (
        {"cases": (), "topics": ()},
        {"held_at": world.clock.now() - DAY},
        {"departments": (TAX,)},
        {"cases": (), "departments": ()},
    ):
        with pytest.raises(Invalid):
            world.meetings.call(new.model_copy(update=wrong), bureau)
    meeting = world.meetings.call(new, bureau)
    assert set(meeting.departments) == {PROVIDER, CONSUMER}
    assert world.meetings.answer(meeting.id, actor=officer(PROVIDER), coming=True, names="张三").parties[0].coming
    with pytest.raises(Refused):
        world.meetings.answer(meeting.id, actor=officer(TAX), coming=True, names="")
    do = DecisionOfItem(
        outcome=Outcome.CLOSE_CASE,
        statement="提供部门应于五个工作日内提供。",
        ruling=Ruling.SET_ASIDE,
        assignments=(NewAssignment(department=PROVIDER, what="提供数据并报告", working_days=5),),
    )
    with pytest.raises(Conflict):
        world.meetings.decide(meeting.id, 1, do, actor=bureau)
    with pytest.raises(Refused):
        world.meetings.hold(meeting.id, actor=officer(PROVIDER), present=frozenset({PROVIDER}), minutes="纪要")
    with pytest.raises(Invalid):
        world.meetings.hold(meeting.id, actor=bureau, present=frozenset({BUREAU}), minutes="纪要")
    held = world.meetings.hold(meeting.id, actor=bureau, present=frozenset({PROVIDER}), minutes="各方发言……")
    assert [party.present for party in held.parties if party.department == CONSUMER] == [False]
    with pytest.raises(Conflict):
        world.meetings.finish(meeting.id, MeetingAction.CLOSE, actor=bureau)
    with pytest.raises(Conflict):
        world.meetings.decide(meeting.id, 2, do, actor=bureau)
    with pytest.raises(NotFound):
        world.meetings.decide(meeting.id, 3, do, actor=bureau)
    with pytest.raises(Invalid):
        world.meetings.decide(meeting.id, 2, DecisionOfItem(outcome=Outcome.INSTRUCT, statement="请办理"), actor=bureau)
    put_off = DecisionOfItem(outcome=Outcome.ADJOURN, statement="下次再议", ruling=Ruling.STANDS)
    with pytest.raises(Invalid, match=r"governance\.nothing_to_rule_about"):
        world.meetings.decide(meeting.id, 1, put_off, actor=bureau)
    decided = world.meetings.decide(meeting.id, 1, do, actor=bureau)
    with pytest.raises(Conflict):
        world.meetings.decide(meeting.id, 1, do, actor=bureau)
    case = world.cases.get(case_id)
    assert (case.stage, case.outcome) == (CaseStage.CLOSED, "提供部门应于五个工作日内提供。")
    assert (case.ruling, world.cases.set_aside()) == (Ruling.SET_ASIDE, frozenset({case.finding_id}))
    world.meetings.decide(meeting.id, 2, DecisionOfItem(outcome=Outcome.ADJOURN, statement="下次再议"), actor=bureau)
    assert world.meetings.finish(meeting.id, MeetingAction.CLOSE, actor=bureau).state is MeetingState.CLOSED
    assert [one.id for one in world.meetings.of_case(case_id)] == [meeting.id]
    assert world.meetings.find(department=CONSUMER, state=MeetingState.CLOSED).total == 1
    assert world.meetings.find(department=TAX).total == 0

    # The department is told, acknowledges late, reports with evidence; the authority sends it back once.
    (given,) = decided.items[0].assignments
    world.follow()
    assert any(one.topic is Topic.MEETING for one in world.inbox.find(OTHER).rows)
    assert any(one.address == f"/assignments/{given}" for one in world.inbox.find(OFFICER).rows)
    assert world.assignments.find(department=PROVIDER, open_only=True).total == 1
    world.clock.advance(timedelta(days=9))
    assert [one.id for one in world.assignments.find(overdue=True).rows] == [given]
    assert [one.id for one in world.assignments.due_before(world.clock.now())] == [given]
    with pytest.raises(Conflict):
        world.act(given, AssignmentAction.REPORT, PROVIDER)
    with pytest.raises(Refused):
        world.act(given, AssignmentAction.ACKNOWLEDGE, CONSUMER)
    world.act(given, AssignmentAction.ACKNOWLEDGE, PROVIDER)
    with pytest.raises(Invalid):
        world.act(given, AssignmentAction.EXTEND, BUREAU)
    assert not world.act(given, AssignmentAction.EXTEND, BUREAU, working_days=3).is_overdue(world.clock.now())
    with pytest.raises(NotFound):
        world.act(given, AssignmentAction.REPORT, PROVIDER, evidence=(EntryId("none"),))
    entry = world.ledger.entries(kind=EntryKind.CASE).rows[0].entry_id
    world.act(given, AssignmentAction.REPORT, PROVIDER, evidence=(entry,))
    world.act(given, AssignmentAction.RETURN, BUREAU)
    reported = world.act(given, AssignmentAction.REPORT, PROVIDER, evidence=(entry,))
    assert (reported.state, reported.acts[-1].evidence) == (AssignmentState.REPORTED, (entry,))
    assert world.act(given, AssignmentAction.ACCEPT, BUREAU).state is AssignmentState.DONE
    assert world.assignments.find(case_id=case_id, state=AssignmentState.DONE).total == 1
    _sealed(world)
    page = (Path(__file__).parents[3] / "docs/reliability.md").read_text(encoding="utf-8")
    for aim, edit, area in (
        ("rewrite what a meeting decided", update(MEETING_ITEM).values(statement="五十个工作日内提供。"), "meeting"),
        ("rewrite what a department was assigned", update(ASSIGNMENT).values(what="什么也不做"), "assignment"),
    ):
        before = world.ledger.fsck(COORDINATION_AREAS).faults
        with world.database.transaction() as connection:
            connection.execute(edit)
        (fault,) = set(world.ledger.fsck(COORDINATION_AREAS).faults) - set(before)
        assert (fault.code, fault.area) == ("ledger.state_differs", f"governance.{area}")
        assert f"| {aim} | fsck | `{fault.code}` |" in page


def test_a_meeting_escalates_instructs_and_can_be_cancelled(world: Coordinated) -> None:
    case_id = world.case(1)
    bureau = officer(BUREAU)
    new = NewMeeting(title="联席会议", held_at=world.clock.now() + DAY, place="线上", cases=(case_id,))
    cancelled = world.meetings.call(new, bureau)
    assert world.meetings.finish(cancelled.id, MeetingAction.CANCEL, actor=bureau).state is MeetingState.CANCELLED
    meeting = world.meetings.call(new, bureau)
    world.meetings.hold(meeting.id, actor=bureau, present=frozenset({CONSUMER}), minutes="纪要")
    unknown = (NewAssignment(department=TAX, what="办理", working_days=1),)
    with pytest.raises(NotFound):
        world.meetings.decide(
            meeting.id, 1, DecisionOfItem(outcome=Outcome.INSTRUCT, statement="办", assignments=unknown), actor=bureau
        )
    decision = DecisionOfItem(outcome=Outcome.ESCALATE_CASE, statement="提请市政府决定")
    world.meetings.decide(meeting.id, 1, decision, actor=bureau)
    assert world.cases.get(case_id).stage is CaseStage.GOVERNMENT
    _sealed(world)


def test_an_incident_is_closed_when_every_department_has_done_its_part(world: Coordinated) -> None:
    bureau = officer(BUREAU)
    new = NewIncident(
        title="疑似数据泄露",
        description="监测到异常遍历查询",
        severity=Severity.MAJOR,
        tasks=(
            NewAssignment(department=PROVIDER, what="停用接口", working_days=1),
            NewAssignment(department=CONSUMER, what="排查调用账号", working_days=2),
        ),
    )
    wrong = (NewAssignment(department=TAX, what="办理", working_days=1),)
    with pytest.raises(NotFound):
        world.incidents.open(new.model_copy(update={"tasks": wrong}), bureau)
    incident = world.incidents.open(new, bureau)
    assert incident.departments == tuple(sorted((PROVIDER, CONSUMER)))
    world.follow()
    assert [one.urgent for one in world.inbox.find(OTHER, topic=Topic.INCIDENT).rows] == [True]
    world.incidents.note(incident.id, actor=officer(PROVIDER), statement="接口已停用")
    with pytest.raises(Refused):
        world.incidents.note(incident.id, actor=officer(TAX), statement="旁观")
    with pytest.raises(Refused):
        world.incidents.close(incident.id, actor=officer(PROVIDER), outcome="完")
    world.incidents.assign(incident.id, (NewAssignment(department=BUREAU, what="通报", working_days=3),), actor=bureau)
    tasks = world.assignments.find(origin_id=incident.id).rows
    with pytest.raises(Conflict):
        world.incidents.close(incident.id, actor=bureau, outcome="已处置")
    for task in tasks[:-1]:
        world.act(task, AssignmentAction.ACKNOWLEDGE, task.department)
        world.act(task, AssignmentAction.REPORT, task.department)
        world.act(task, AssignmentAction.ACCEPT, BUREAU)
    world.act(tasks[-1], AssignmentAction.CANCEL, BUREAU)
    closed = world.incidents.close(incident.id, actor=bureau, outcome="已处置")
    assert (closed.state, [act.action.value for act in closed.acts]) == (
        IncidentState.CLOSED,
        ["open", "note", "assign", "close"],
    )
    with pytest.raises(Conflict):
        world.incidents.note(incident.id, actor=bureau, statement="再报")
    assert world.incidents.find(department=PROVIDER, state=IncidentState.CLOSED).total == 1
    assert world.incidents.find(department=TAX).total == 0
    _sealed(world)


def _sealed(world: Coordinated) -> None:
    """The database says what the log says."""
    while world.ledger.integrate():
        pass
    assert world.ledger.fsck((*COORDINATION_AREAS, *GOVERNANCE_AREAS)).faults == ()
