"""Cases opened by people: objections are judged again, a ruling changes what is charged and nothing else."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from datong.governance import (
    GOVERNANCE_AREAS,
    CaseAction,
    CaseDesk,
    CaseOrigin,
    CaseStage,
    Contested,
    GivenOrigins,
    Publications,
    Ruling,
    rederive_indicators,
)
from datong.kernel import (
    CHINA,
    Conflict,
    Database,
    DepartmentCode,
    EntryId,
    Invalid,
    JsonValue,
    NotFound,
    Refused,
    Text,
    WorkingCalendar,
)
from datong.ledger import EntryKind, exported_entries, standalone_rederiver, standalone_verifier
from datong.norms import load_pack
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, PROVIDER, World, officer, overdue

REFUSED = Contested(
    origin=CaseOrigin.REFUSAL,
    origin_id="request-9",
    title=Text(zh="户籍", en="residents"),
    provider=PROVIDER,
    consumer=CONSUMER,
)
STRANGER = DepartmentCode("11440600MB2C00048K")
NEED = REFUSED.model_copy(update={"origin": CaseOrigin.DEMAND, "origin_id": "学位", "consumer": None})


@pytest.fixture
def world(control_database: Database) -> World:
    """A world on each database."""
    return World(control_database)


def desk_of(world: World) -> CaseDesk:
    return CaseDesk(cases=world.cases, monitor=world.monitor, origins=GivenOrigins(REFUSED, NEED))


def test_an_objection_is_judged_again_and_a_ruling_changes_what_is_charged(world: World, tmp_path: Path) -> None:
    for code in (PROVIDER, CONSUMER, BUREAU):
        facts: dict[str, JsonValue] = {
            "action": "register_department",
            "department": code,
            "is_authority": code == BUREAU,
        }
        world.record(EntryKind.DEPARTMENT_KEY, code, facts, BUREAU)
    desk, finding = desk_of(world), overdue(world)
    about = world.monitor.finding(finding).finding
    beside = world.ledger.entries(kind=EntryKind.DEPARTMENT_KEY, limit=1).rows[0].entry_id
    cited = (about.evidence[0], beside)
    with pytest.raises(NotFound):
        desk.open(CaseOrigin.FINDING, finding, actor=officer(PROVIDER), statement="x", evidence=(EntryId("none"),))
    with pytest.raises(Invalid):
        desk.open(CaseOrigin.FINDING, finding, actor=officer(PROVIDER), statement="x", evidence=cited * 11)
    case = desk.open(CaseOrigin.FINDING, finding, actor=officer(PROVIDER), statement="系统停机", evidence=cited)
    assert [act.action for act in case.acts] == [CaseAction.OPEN, CaseAction.OBJECT, CaseAction.RECHECK]
    again = case.acts[-1].recheck
    assert again is not None
    assert (again.unchanged, again.considered, again.beside) == (True, cited[:1], cited[1:])
    assert "规则已用到 1 条" in again.said.zh
    # A day later the delay has grown: judging again says so, and the same evidence gives the same once more.
    world.clock.advance(timedelta(days=1))
    for unchanged in (False, True):
        grown = desk.act(case.id, CaseAction.OBJECT, actor=officer(CONSUMER), statement="仍未答复").acts[-1].recheck
        assert grown is not None
        assert (grown.revision, grown.unchanged, grown.judged) == (2, unchanged, True)

    november = (datetime(2026, 11, 1, tzinfo=CHINA), datetime(2026, 12, 1, tzinfo=CHINA))
    charged = world.monitor.charges(since=november[0], until=november[1])
    assert charged[PROVIDER] > 0
    with pytest.raises(Invalid, match="governance.nothing_to_rule_about"):
        world.cases.act(case.id, CaseAction.STATE, actor=officer(PROVIDER), statement="x", ruling=Ruling.SET_ASIDE)
    desk.act(case.id, CaseAction.ESCALATE, actor=officer(PROVIDER), statement="协商未果")
    decided = desk.act(case.id, CaseAction.DECIDE, actor=officer(BUREAU), statement="停机属实", ruling=Ruling.SET_ASIDE)
    assert (decided.stage, decided.ruling) == (CaseStage.CLOSED, Ruling.SET_ASIDE)
    assert world.monitor.charges(since=november[0], until=november[1]) == {}
    assert world.monitor.finding(finding).finding.points == charged[PROVIDER] + charged.get(CONSUMER, 0)
    assert world.ledger.fsck(GOVERNANCE_AREAS).faults == ()
    nobody_is_charged_again(world, tmp_path)


def nobody_is_charged_again(world: World, folder: Path) -> None:
    """Both programs derive November's table from the log alone, without the points that were set aside."""
    publications = Publications(
        database=world.database, clock=world.clock, ledger=world.ledger, indicators=world.indicators
    )
    world.clock.advance(datetime(2026, 12, 1, 0, 11, tzinfo=CHINA) - world.clock.now())
    assert publications.publish_due() == ("2026-11",)
    while world.ledger.integrate():
        pass
    world.ledger.export(folder / "export")
    recorded = list(exported_entries(folder / "export"))
    lines = rederive_indicators(recorded, "2026-11", pack=load_pack(None), calendar=WorkingCalendar())
    assert [line.differing for line in lines] == [()] * 4
    assert all(line.recorded.get("points", 0) == 0 for line in lines)
    entries = standalone_rederiver.read_entries(folder / "export", world.ledger.size(), standalone_verifier.tile_name)
    for line, said in standalone_rederiver.rederive_period(entries, "2026-11", standalone_rederiver.Calendar({})):
        assert line.facts == said


def test_departments_open_cases_about_other_things(world: World) -> None:
    desk = desk_of(world)
    with pytest.raises(Refused, match="governance.not_your_matter"):
        desk.open(CaseOrigin.REFUSAL, "request-9", actor=officer(STRANGER), statement="x")
    with pytest.raises(NotFound):
        desk.open(CaseOrigin.REFUSAL, "request-8", actor=officer(CONSUMER), statement="x")
    with pytest.raises(Invalid):
        desk.open(CaseOrigin.REFUSAL, "request-9", actor=officer(CONSUMER), statement=" ")
    case = desk.open(CaseOrigin.REFUSAL, "request-9", actor=officer(CONSUMER), statement="拒绝没有依据")
    assert (case.stage, case.origin_id, case.finding_id) == (CaseStage.NEGOTIATE, "request-9", None)
    assert desk.title_of(case) == REFUSED.title
    assert CaseAction.OBJECT not in case.actions
    with pytest.raises(Conflict, match="governance.case_exists"):
        desk.open(CaseOrigin.REFUSAL, "request-9", actor=officer(CONSUMER), statement="再来")
    with pytest.raises(Conflict, match="governance.action_not_at_stage"):
        desk.act(case.id, CaseAction.OBJECT, actor=officer(CONSUMER), statement="x")
    # Nobody to negotiate with: the authority begins, and a stage that passes its deadline escalates by itself.
    need = desk.open(CaseOrigin.DEMAND, "学位", actor=officer(BUREAU), statement="多部门检索不到")
    assert need.stage is CaseStage.AUTHORITY
    world.clock.advance(timedelta(days=30))
    assert set(world.monitor.run().cases_escalated) == {case.id, need.id}
    assert world.ledger.fsck(GOVERNANCE_AREAS).faults == ()
