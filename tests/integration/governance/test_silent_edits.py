"""Silent edits of wishes, ratings, registers of staff, delegations and cases: fsck names each (docs/reliability.md)."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from datong.governance import (
    GOVERNANCE_AREAS,
    CaseAction,
    CaseDesk,
    CaseOrigin,
    Cases,
    Contested,
    GivenOrigins,
    LedgerEvidence,
    Monitor,
    RequestFlows,
    Ruling,
)
from datong.governance.satisfaction import SATISFACTION_AREAS, Opinion, Ratings
from datong.governance.staff import STAFF_AREAS, NewMember, StaffRegister, StaffRole, Training
from datong.kernel import DepartmentCode, JsonValue, Text
from datong.ledger import EntryKind, FsckReport
from datong.sharing.state_audit import SHARING_AREAS
from datong.sharing.wishes import WishAction
from tests.silent_edits import DIFFERS, GONE, Edit, edited, fsck_at, laid_to_rest, undocumented_edits
from tests.unit.sharing.samples import BUREAU, EDUCATION, POLICE, RESOURCE, person
from tests.unit.sharing.test_delegations import DECLINE, Office
from tests.unit.sharing.wishes.test_wishes import AUTHORITY, DRAFT, act, wishes_of

AREAS = (*SHARING_AREAS, *SATISFACTION_AREAS, *STAFF_AREAS, *GOVERNANCE_AREAS)

EDITS = (
    Edit("answer a wish without an act", "UPDATE sharing_wish SET state = 'declined'", DIFFERS, "sharing.wish"),
    Edit(
        "lay a wish at another department's door", "UPDATE sharing_wish SET department = 'x'", DIFFERS, "sharing.wish"
    ),
    Edit(
        "change what the public asked for",
        "UPDATE sharing_wish SET content = json_set(content, '$.draft.purpose', '别的')",
        DIFFERS,
        "sharing.wish",
    ),
    Edit("let a wish vanish", "DELETE FROM sharing_wish", GONE, "sharing.wish"),
    Edit(
        "give oneself better points",
        "UPDATE governance_rating SET scores = json_set(scores, '$.quality', 5)",
        DIFFERS,
        "governance.rating",
    ),
    Edit(
        "rewrite the reason of a rating",
        "UPDATE governance_rating SET reasons = json_set(reasons, '$.quality', '很好')",
        DIFFERS,
        "governance.rating",
    ),
    Edit("take a bad rating back", "UPDATE governance_rating SET state = 'withdrawn'", DIFFERS, "governance.rating"),
    Edit(
        "rewrite what was said first",
        "UPDATE governance_rating_act SET scores = '{\"quality\": 5}' WHERE number = 0",
        DIFFERS,
        "governance.rating_act",
    ),
    Edit(
        "certify somebody",
        "UPDATE governance_staff SET trainings = json_set(trainings, '$[0].certificate', 'C-9')",
        DIFFERS,
        "governance.staff",
    ),
    Edit(
        "let a certificate run longer",
        "UPDATE governance_staff SET trainings = json_set(trainings, '$[0].expires_on', '2036-01-01')",
        DIFFERS,
        "governance.staff",
    ),
    Edit("rename somebody in a register", "UPDATE governance_staff SET name = '王五'", DIFFERS, "governance.staff"),
    Edit("let staff vanish", "DELETE FROM governance_staff", DIFFERS, "governance.staff"),
    Edit(
        "let a substitute stay longer",
        "UPDATE sharing_delegation SET ends_at = '2036-01-01 00:00:00'",
        DIFFERS,
        "sharing.delegation",
    ),
    Edit(
        "put another substitute in",
        "UPDATE sharing_delegation SET substitute = delegator",
        DIFFERS,
        "sharing.delegation",
    ),
    Edit(
        "bring a substitution that was declined into force",
        "UPDATE sharing_delegation SET state = 'proposed'",
        DIFFERS,
        "sharing.delegation",
    ),
    Edit("let a substitution vanish", "DELETE FROM sharing_delegation", GONE, "sharing.delegation"),
    Edit(
        "set a finding aside without a decision",
        "UPDATE governance_case SET ruling = 'set_aside'",
        DIFFERS,
        "governance.case",
    ),
    Edit(
        "move a case to another department",
        "UPDATE governance_case SET provider = 'x' WHERE origin IS NOT NULL",
        DIFFERS,
        "governance.case",
    ),
    Edit(
        "have a case be about something else",
        "UPDATE governance_case SET origin_id = 'y' WHERE origin IS NOT NULL",
        DIFFERS,
        "governance.case",
    ),
    Edit(
        "withhold what an objection cited",
        "UPDATE governance_case_act SET evidence = '[]' WHERE action = 'object'",
        DIFFERS,
        "governance.case_act",
    ),
    Edit(
        "rewrite what judging again gave",
        "UPDATE governance_case_act SET recheck = json_set(recheck, '$.revision', 9) WHERE action = 'recheck'",
        DIFFERS,
        "governance.case_act",
    ),
    Edit(
        "let an objection to a finding vanish",
        "DELETE FROM governance_case_act WHERE action = 'object'",
        GONE,
        "governance.case_act",
    ),
)


class Lived(Office):
    """A world in which each of these things happened."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        declined = self.appointed(self.clerk, self.second)
        self.delegations.act(declined.id, DECLINE, self.second.principal.actor)
        wishes = wishes_of(self)
        wish = wishes.make(DRAFT, "asker")
        wishes.act(wish.id, act(WishAction.ADMIT), AUTHORITY)
        wishes.act(wish.id, act(WishAction.ASSIGN), AUTHORITY)
        staff = StaffRegister(database=self.database, clock=self.clock, ledger=self.ledger)
        training = Training(course="数据安全", hours=8, on=date(2026, 1, 5), certificate="C-1", expires_on=None)
        new = NewMember(name="张三", role=StaffRole.OFFICER, assigned_on=date(2026, 1, 5), trainings=(training,))
        staff.assign(EDUCATION, new, person(EDUCATION))
        self.rated()
        self.contested()

    def rated(self) -> None:
        """Rate an interface twice."""
        (granted,) = self.submit(["xm", "gmsfhm"])
        agreement = self.put_in_force(granted.agreement_id)
        flows = RequestFlows(database=self.database, clock=self.clock, calendar=self.calendar, ledger=self.ledger)
        self.clock.advance(timedelta(minutes=1))
        flows.catch_up()
        ratings = Ratings(database=self.database, clock=self.clock, ledger=self.ledger, agreements=self.agreements)
        for points in (2, 3):
            opinion = Opinion.model_validate({"scores": {"quality": points}, "reasons": {"quality": "有错"}})
            ratings.rate(agreement.id, opinion, person(EDUCATION))

    def contested(self) -> None:
        """Let a reply be late, the provider object, and the authority decide; and open a case about an agreement."""

        def authorities() -> frozenset[DepartmentCode]:
            return frozenset({BUREAU})

        facts: dict[str, JsonValue] = {
            "request_id": "late",
            "step": "submit",
            "state": "submitted",
            "consumer": EDUCATION,
            "provider": POLICE,
            "resource_id": RESOURCE,
            "due_at": self.calendar.deadline(self.clock.now(), 1).isoformat(),
        }
        with self.database.transaction() as connection:
            cited = self.ledger.append(
                connection, kind=EntryKind.REQUEST, subject="late", actor=person(EDUCATION), facts=facts
            )
        self.clock.advance(timedelta(days=9))
        cases = Cases(
            database=self.database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            authorities=authorities,
        )
        evidence = LedgerEvidence(
            ledger=self.ledger,
            calendar=self.calendar,
            authorities=authorities,
            title_of=lambda resource_id: Text(zh=resource_id, en=resource_id),
        )
        monitor = Monitor(
            database=self.database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            evidence=evidence,
            cases=cases,
        )
        (case,) = monitor.run().cases_opened
        about = Contested(
            origin=CaseOrigin.AGREEMENT,
            origin_id="a-1",
            title=Text(zh="协议", en="agreement"),
            provider=POLICE,
            consumer=EDUCATION,
        )
        desk = CaseDesk(cases=cases, monitor=monitor, origins=GivenOrigins(about))
        (finding,) = monitor.findings().rows
        police = person(POLICE)
        desk.open(CaseOrigin.FINDING, finding.finding.id, actor=police, statement="有误", evidence=(cited,))
        desk.act(case, CaseAction.ESCALATE, actor=police, statement="协商未果")
        desk.act(case, CaseAction.DECIDE, actor=person(BUREAU), statement="维持", ruling=Ruling.STANDS)
        desk.open(CaseOrigin.AGREEMENT, "a-1", actor=person(EDUCATION), statement="口径不一")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lived, Path]:
    """A world in which all of that happened, and its database as it lay on disk."""
    folder = tmp_path_factory.mktemp("lived")
    world = Lived(folder)
    return world, laid_to_rest(folder / "control.sqlite", folder / "resting.sqlite")


def check(world: Lived, path: Path) -> FsckReport:
    return fsck_at(path, AREAS, clock=world.clock, signer=world.signer, origin=world.ledger.origin)


def test_what_nobody_touched_has_no_fault(lived: tuple[Lived, Path]) -> None:
    report = check(*lived)
    looked_at = {edit.area for edit in EDITS}
    assert [fault for fault in report.faults if fault.area in looked_at] == []
    assert all(report.compared[area] for area in looked_at)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.aim)
def test_a_silent_edit_is_found(lived: tuple[Lived, Path], tmp_path: Path, edit: Edit) -> None:
    world, resting = lived
    report = check(world, edited(resting, tmp_path, edit))
    assert (edit.code, edit.area) in {(fault.code, fault.area) for fault in report.faults}


def test_the_list_is_in_the_documentation() -> None:
    assert undocumented_edits(EDITS) == []
