"""The monitor, the casework and the indicators over a real ledger, on each control database."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete

from datong.governance import (
    CaseAction,
    Cases,
    CaseStage,
    DutyKind,
    Indicators,
    LedgerEvidence,
    Monitor,
    Party,
)
from datong.governance.tables import OPEN_DUTY
from datong.kernel import (
    CHINA,
    Actor,
    ActorKind,
    CaseId,
    Conflict,
    Database,
    DepartmentCode,
    FindingId,
    FixedClock,
    Invalid,
    JsonValue,
    NotFound,
    Refused,
    ResourceId,
    Text,
    WorkingCalendar,
)
from datong.ledger import Ed25519Signer, EntryKind, Ledger, MemoryTileStore
from datong.norms import load_pack

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=CHINA)
PROVIDER = DepartmentCode("114406000000000193")
CONSUMER = DepartmentCode("12440600456000017N")
BUREAU = DepartmentCode("11440600MB2D00001X")
NAMES = {code: Text(zh=code, en=code) for code in (PROVIDER, CONSUMER, BUREAU)}
DAY = timedelta(days=1)


def officer(department: DepartmentCode) -> Actor:
    """Return an officer of a department."""
    return Actor(kind=ActorKind.PERSON, id=f"officer-{department}", department=department, name="经办人")


class World:
    """Governance over a ledger, with a clock that a test moves."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FixedClock(MONDAY)
        self.calendar = WorkingCalendar()
        self.ledger = Ledger(
            database=database,
            clock=self.clock,
            signer=Ed25519Signer.generate(),
            origin="test.datong/log",
            tiles=MemoryTileStore(),
        )
        evidence = LedgerEvidence(
            ledger=self.ledger, calendar=self.calendar, authorities=self.authorities, title_of=self.title_of
        )
        self.cases = Cases(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            authorities=self.authorities,
        )
        self.monitor = Monitor(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            evidence=evidence,
            cases=self.cases,
        )
        self.indicators = Indicators(
            clock=self.clock,
            pack=load_pack(None),
            evidence=evidence,
            monitor=self.monitor,
            departments=lambda: NAMES,
        )

    def authorities(self) -> frozenset[DepartmentCode]:
        """Return the only authority."""
        return frozenset({BUREAU})

    def title_of(self, resource_id: ResourceId) -> Text:
        """Return a title."""
        return Text(zh=f"资源 {resource_id}", en=f"resource {resource_id}")

    def record(self, kind: EntryKind, subject: str, facts: Mapping[str, JsonValue], department: DepartmentCode) -> None:
        """Append one entry, as another package would in its own transaction."""
        with self.database.transaction() as connection:
            self.ledger.append(connection, kind=kind, subject=subject, actor=officer(department), facts=facts)

    def request(self, step: str, state: str, *, number: int = 1) -> None:
        """Record one step of a request that is due in ten working days."""
        facts: dict[str, JsonValue] = {
            "request_id": f"request-{number}",
            "step": step,
            "state": state,
            "consumer": CONSUMER,
            "provider": PROVIDER,
            "resource_id": "resource-1",
            "due_at": self.calendar.deadline(MONDAY, 10).isoformat(),
        }
        kind = EntryKind.REQUEST if step == "submit" else EntryKind.DECISION
        self.record(kind, f"request-{number}", facts, CONSUMER if step == "submit" else PROVIDER)
        self.clock.advance(timedelta(seconds=1))


@pytest.fixture
def world(control_database: Database) -> World:
    """A world on each database."""
    return World(control_database)


def overdue(world: World) -> FindingId:
    """Let a reply pass its deadline by two working days and return the finding."""
    world.request("submit", "submitted")
    world.clock.advance(16 * DAY)
    (finding,) = world.monitor.run().opened
    return finding


def test_what_is_due_soon_is_known_until_it_is_done_or_late(world: World) -> None:
    """The monitor's runs keep the open duties by their deadline; a lost row comes back with the next."""
    for number in (1, 2):
        world.request("submit", "submitted", number=number)
    due = world.calendar.deadline(MONDAY, 10)

    def open_requests(*, until: datetime = due) -> list[str]:
        return [duty.subject for duty in world.monitor.due_soon(since=world.clock.now(), until=until)]

    assert open_requests() == []
    world.monitor.run()
    assert open_requests() == ["request-1", "request-2"]
    assert open_requests(until=due - DAY) == []
    assert world.monitor.due_soon(since=due, until=due + DAY) == ()
    with world.database.transaction() as connection:
        connection.execute(delete(OPEN_DUTY).where(OPEN_DUTY.c.subject == "request-2"))
    world.monitor.run()
    assert open_requests() == ["request-1", "request-2"]
    world.clock.advance(DAY)
    world.request("approve", "granted", number=2)
    world.monitor.run()
    assert open_requests() == ["request-1"]
    world.clock.advance(16 * DAY)
    world.monitor.run()
    assert world.monitor.due_soon(since=MONDAY, until=due) == ()


def test_nothing_is_found_while_everything_is_in_time(world: World) -> None:
    """An answered request leaves neither a finding nor a case."""
    world.request("submit", "submitted")
    assert world.monitor.run().opened == ()
    world.clock.advance(DAY)
    world.request("approve", "granted")
    world.clock.advance(30 * DAY)
    report = world.monitor.run()
    assert (report.duties, report.opened, report.cases_opened) == (1, (), ())


def test_an_overdue_reply_becomes_a_finding_and_a_case_once(world: World) -> None:
    """The second run changes nothing; the finding names its evidence, and the ledger names the finding."""
    finding_id = overdue(world)
    record = world.monitor.finding(finding_id)
    finding = record.finding
    assert (finding.kind, finding.delay_working_days, finding.subject) == (DutyKind.REPLY, 2, "request-1")
    assert [(share.party, share.share) for share in finding.parties] == [(Party.PROVIDER, 1.0)]
    assert [world.ledger.entry(entry).kind for entry in finding.evidence] == [EntryKind.REQUEST]
    assert world.ledger.entry(record.entry_id).facts["shares"] == {"provider": 10_000}
    again = world.monitor.run()
    assert (again.opened, again.revised, again.cases_opened, again.cases_escalated) == ((), (), (), ())
    assert world.monitor.findings().total == world.cases.find().total == 1
    case = world.cases.of_finding(finding_id)
    assert case is not None
    assert case.stage is CaseStage.NEGOTIATE


def test_a_growing_delay_revises_the_finding_and_a_late_reply_settles_it(world: World) -> None:
    """Each revision is evidence; a settled finding changes no more."""
    finding_id = overdue(world)
    before = world.monitor.finding(finding_id)
    world.clock.advance(DAY)
    assert world.monitor.run().revised == (finding_id,)
    world.request("refuse", "refused")
    assert world.monitor.run().revised == (finding_id,)
    settled = world.monitor.finding(finding_id)
    assert (before.revision, settled.revision) == (1, 3)
    assert settled.finding.points > before.finding.points
    assert settled.finding.settled
    world.clock.advance(30 * DAY)
    assert world.monitor.run().revised == ()
    assert world.ledger.entries(kind=EntryKind.FINDING).total == 3


def test_findings_are_found_by_what_they_are(world: World) -> None:
    """By kind, party and state, in pages."""
    overdue(world)
    world.request("submit", "submitted", number=2)
    world.monitor.run()
    assert world.monitor.findings(department=CONSUMER, kind=DutyKind.REPLY, settled=False).total == 2
    assert world.monitor.findings(department=BUREAU).total == 0
    assert world.monitor.findings(settled=True).total == 0
    page = world.monitor.findings(limit=1)
    assert (len(page.rows), page.next_offset) == (1, 1)
    with pytest.raises(NotFound):
        world.monitor.finding(FindingId("00000000-0000-0000-0000-000000000000"))


def test_a_case_goes_through_its_stages_by_the_right_sides(world: World) -> None:
    """Negotiate, escalate, decide; every act is evidence."""
    case = world.cases.of_finding(overdue(world))
    assert case is not None
    world.cases.act(case.id, CaseAction.STATE, actor=officer(PROVIDER), statement="系统升级，正在补办")
    with pytest.raises(Refused):
        world.cases.act(case.id, CaseAction.SETTLE, actor=officer(BUREAU), statement="结案")
    with pytest.raises(Conflict):
        world.cases.act(case.id, CaseAction.DECIDE, actor=officer(BUREAU), statement="结案")
    with pytest.raises(Invalid):
        world.cases.act(case.id, CaseAction.STATE, actor=officer(PROVIDER), statement="  ")
    escalated = world.cases.act(case.id, CaseAction.ESCALATE, actor=officer(CONSUMER), statement="协商不成")
    assert escalated.stage is CaseStage.AUTHORITY
    closed = world.cases.act(case.id, CaseAction.DECIDE, actor=officer(BUREAU), statement="三日内提供")
    assert (closed.stage, closed.outcome, closed.stage_due_at) == (CaseStage.CLOSED, "三日内提供", None)
    assert [act.action for act in closed.acts] == ["open", "state", "escalate", "decide"]
    assert [world.ledger.entry(act.entry_id).kind for act in closed.acts] == [EntryKind.CASE] * 4
    assert world.cases.find(stage=CaseStage.CLOSED, department=PROVIDER).total == 1
    with pytest.raises(NotFound):
        world.cases.get(CaseId("none"))


def test_a_stage_that_passes_its_deadline_is_escalated_by_the_platform(world: World) -> None:
    """Twice; the government's stage has nowhere to go."""
    case = world.cases.of_finding(overdue(world))
    assert case is not None
    stages = []
    for _ in range(4):
        world.clock.advance(30 * DAY)
        world.monitor.run()
        stages.append(world.cases.get(case.id).stage)
    assert stages == [CaseStage.AUTHORITY, CaseStage.GOVERNMENT, CaseStage.GOVERNMENT, CaseStage.GOVERNMENT]
    assert world.cases.get(case.id).acts[-1].actor.kind is ActorKind.PLATFORM


def test_indicators_rank_by_the_evidence_and_lead_back_to_it(world: World) -> None:
    """The late provider's ratio, its points, and the acts behind both."""
    overdue(world)
    world.request("submit", "submitted", number=2)
    world.request("approve", "granted", number=2)
    world.monitor.run()
    performance = world.indicators.compute()
    assert performance.period.name == "2026-11"
    line = next(line for line in performance.departments if line.department == PROVIDER)
    replies = next(value for value in line.values if value.key == "reply_on_time_rate")
    assert (replies.counted, replies.base, line.rank) == (0, 2, 1)
    assert line.points > 0
    page = world.indicators.evidence("reply_on_time_rate", PROVIDER)
    assert page.rows == replies.evidence
    assert world.ledger.entry(page.rows[0]).subject == "request-2"
    assert world.indicators.evidence("staff_trained_rate", PROVIDER).total == 0
    assert all(line.rank is None for line in world.indicators.compute("2026-10").departments)
