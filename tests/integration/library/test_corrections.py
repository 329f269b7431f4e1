"""Corrections over a real control database and a small library: acts, evidence, what is seen, what a kill leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datong.governance import DutyKind, LedgerEvidence, judge
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    Conflict,
    Database,
    EntityId,
    FixedClock,
    Invalid,
    NotFound,
    Text,
    WorkingCalendar,
)
from datong.ledger import Ed25519Signer, EntryKind, Ledger, MemoryTileStore, verify_bundle
from datong.library import (
    Claim,
    Correction,
    CorrectionAction,
    Corrections,
    CorrectionSide,
    CorrectionState,
    DisputedCell,
    FixedLanding,
    Library,
)
from datong.norms import load_pack
from tests.library_sources import department, landed, with_increment

COLUMNS = {
    "code": "division_code",
    "name": "division_name",
    "level": "division_level",
    "parent": "parent_division_code",
    "changed": "updated_at",
}
ROWS = (
    ("440000", "广东省", "1", None, "2026-01-01"),
    ("440600", "佛山市", "2", "440000", "2026-01-01"),
    ("440604", "禅成区", "3", "440600", "2026-01-01"),
)
RIGHT = ("440604", "禅城区", "3", "440600", "2026-02-01")
OFFICER = Actor(kind=ActorKind.PERSON, id="officer", department=department(0), name="officer")
CLERK = Actor(kind=ActorKind.PERSON, id="clerk", department=department(7), name="clerk")
REPORTER, SOURCE = frozenset({CorrectionSide.REPORTER}), frozenset({CorrectionSide.SOURCE})
STATEMENT = "与民政局公布的名称不一致"


class Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


class MortalClock(FixedClock):
    """A clock that kills whoever asks it once too often; `left` None is for ever."""

    left: int | None = None

    def now(self) -> datetime:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        return super().now()


class Hub:
    """A library of three divisions, one of them misspelt, and the corrections about it."""

    def __init__(self, database: Database, folder: Path, *, built: bool = False) -> None:
        self.folder = folder
        self.clock = MortalClock(datetime(2026, 3, 2, 1, 0, tzinfo=UTC))
        self.ledger = Ledger(
            database=database,
            clock=self.clock,
            signer=Ed25519Signer.generate(),
            origin="test.local/log",
            tiles=MemoryTileStore(),
        )
        self.source = landed(folder, "divisions", COLUMNS, ROWS)
        self.landing = FixedLanding((self.source,))
        self.library = Library(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            pack=load_pack(None),
            lake=folder / "lake",
            landing=self.landing,
        )
        self.corrections = Corrections(
            database=database,
            clock=self.clock,
            calendar=WorkingCalendar(),
            ledger=self.ledger,
            library=self.library,
            limit_working_days=10,
            arrived_at=lambda _: None,
        )
        if not built:
            self.build()

    def build(self) -> None:
        self.library.run_build(self.library.request_build("geography", actor=PLATFORM_ACTOR).id)

    def correct(self, *rows: tuple[object, ...]) -> None:
        """Let the source department change its own table, send the change, and build the library again."""
        self.source = with_increment(self.source, self.folder, rows)
        self.landing.landed = (self.source,)
        self.build()

    def cell(self) -> DisputedCell:
        return self.corrections.cells.cell_of_entity("geography", EntityId("440604"), "division_name")

    def report(self, believed: str | None = "禅城区") -> Correction:
        claim = Claim(believed=believed, statement=STATEMENT)
        return self.corrections.report(self.cell(), claim, actor=CLERK, consumer=CLERK.department)

    def duties(self) -> list[tuple[DutyKind, bool, bool]]:
        evidence = LedgerEvidence(
            ledger=self.ledger,
            calendar=WorkingCalendar(),
            authorities=frozenset,
            title_of=lambda _: Text(zh="区划", en="divisions"),
        )
        now = self.clock.now() + timedelta(seconds=1)
        calendar = WorkingCalendar()
        return [
            (duty.kind, duty.done_at is not None, judge(duty, now=now, calendar=calendar) is not None)
            for duty in evidence.duties(until=now)
        ]


@pytest.fixture
def hub(database: Database, tmp_path: Path) -> Hub:
    return Hub(database, tmp_path)


def test_from_report_to_closed_with_evidence_that_holds_no_value(hub: Hub) -> None:
    made = hub.report()
    assert (made.state, made.provider, made.consumer) == (CorrectionState.REPORTED, department(0), CLERK.department)
    assert made.due_at == WorkingCalendar().deadline(hub.clock.now(), 10)
    with pytest.raises(Conflict, match=r"library\.correction_reported"):
        hub.report()
    with pytest.raises(Invalid, match=r"library\.correction_same_value"):
        hub.report("禅成区")
    with pytest.raises(NotFound, match=r"library\.correction_no_cell"):
        hub.corrections.cells.cell_of_entity("geography", EntityId("440604"), "no_such_element")

    accepted = hub.corrections.act(made.id, CorrectionAction.ACCEPT, actor=OFFICER, sides=SOURCE)
    assert accepted.state is CorrectionState.ACCEPTED
    hub.build()
    hub.corrections.follow()
    assert hub.corrections.get(made.id).state is CorrectionState.ACCEPTED, "a version without a change settles nothing"

    hub.correct(RIGHT)
    assert not hub.corrections.follow()
    closed = hub.corrections.get(made.id)
    assert closed.state is CorrectionState.CLOSED
    assert [act.action.value for act in closed.acts] == ["report", "accept", "see", "close"]
    assert closed.sight is not None
    assert (closed.sight.golden, closed.sight.as_believed, closed.sight.version) == (True, True, 3)
    assert closed.sight.batch_id == "divisions-2"
    assert closed.content is not None
    assert closed.content.seen == "禅城区"
    assert hub.corrections.find(department=department(0), waiting=True).total == 0
    assert hub.corrections.find(reporter="clerk").rows[0].id == made.id

    entries = hub.ledger.entries(kind=EntryKind.CORRECTION, limit=50).rows
    leaves = str([entry.facts for entry in entries])
    assert not any(value in leaves for value in ("禅", STATEMENT, "440604"))
    while hub.ledger.integrate():
        pass
    bundle = hub.corrections.proof(made.id, 2)
    verified = verify_bundle(bundle)
    assert set(bundle["disclosures"]) == {f"{n}_commitment" for n in ("record", "disputed", "believed", "seen")}
    assert verified.entry.facts["to_state"] == "corrected"
    assert hub.duties() == [(DutyKind.CORRECTION, True, False)]


def test_another_value_waits_for_the_reporter_who_may_send_it_back(hub: Hub) -> None:
    made = hub.report()
    hub.correct(("440604", "禅市区", "3", "440600", "2026-02-01"))
    hub.corrections.follow()
    corrected = hub.corrections.get(made.id)
    assert corrected.state is CorrectionState.CORRECTED
    assert corrected.sight is not None
    assert not corrected.sight.as_believed
    with pytest.raises(Invalid, match=r"library\.correction_statement"):
        hub.corrections.act(made.id, CorrectionAction.DISPUTE, actor=CLERK, sides=REPORTER)
    again = hub.corrections.act(made.id, CorrectionAction.DISPUTE, actor=CLERK, sides=REPORTER, statement="仍然有误")
    assert (again.state, again.disputes, again.sight) == (CorrectionState.REPORTED, 1, None)
    rejected = hub.corrections.act(made.id, CorrectionAction.REJECT, actor=OFFICER, sides=SOURCE, statement="无误")
    assert rejected.state is CorrectionState.REJECTED
    hub.corrections.act(made.id, CorrectionAction.CLOSE, actor=CLERK, sides=REPORTER)
    assert hub.duties() == [(DutyKind.CORRECTION, True, False)] * 2


def test_an_answer_that_never_comes_is_a_breach_and_a_withdrawn_report_is_none(hub: Hub) -> None:
    made = hub.report(None)
    hub.clock.advance(timedelta(days=30))
    assert hub.corrections.get(made.id).is_late(hub.clock.now())
    assert hub.duties() == [(DutyKind.CORRECTION, False, True)]
    hub.corrections.act(made.id, CorrectionAction.WITHDRAW, actor=CLERK, sides=REPORTER)
    assert hub.duties() == [], "a withdrawn report obliges nobody"


def test_killed_anywhere_a_look_is_whole_or_never_was(hub: Hub) -> None:
    made = hub.report()
    hub.correct(RIGHT)
    kills = 0
    while True:
        hub.clock.left = kills
        try:
            hub.corrections.follow()
        except Killed:
            kills += 1
            hub.clock.left = None
            assert hub.corrections.get(made.id).state is CorrectionState.REPORTED
            assert len(hub.ledger.entries(kind=EntryKind.CORRECTION).rows) == 1
            continue
        break
    hub.clock.left = None
    assert kills >= 3
    hub.corrections.follow()
    closed = hub.corrections.get(made.id)
    assert [act.action.value for act in closed.acts] == ["report", "see", "close"]
    assert len(hub.ledger.entries(kind=EntryKind.CORRECTION).rows) == 3
