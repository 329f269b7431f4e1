"""Silent edits of consents, objections, orders to tell later and applications: fsck names each."""

from pathlib import Path

import pytest

from datong.kernel import Actor, ActorKind
from datong.ledger import FsckReport
from datong.sharing.applications import NewRegistration
from datong.sharing.citizens import HoldGround, HoldOrder
from datong.sharing.rights_state import RIGHTS_AREAS
from tests.new_control import new_control
from tests.silent_edits import DIFFERS, GONE, Edit, edited, fsck_at, laid_to_rest, undocumented_edits
from tests.unit.sharing.samples import BUREAU, EDUCATION, RESOURCE, application, person
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
SELF = Actor(kind=ActorKind.CITIZEN, id="citizen-1")
NEW = NewRegistration(
    name="入学一件事", purpose="入学资格核验", scenes=("小学入学",), contacts=("张三",), showcase=True
)

EDITS = (
    Edit("give consent in somebody's name", "UPDATE sharing_consent SET state = 'given'", DIFFERS, "sharing.consent"),
    Edit(
        "let a consent run longer",
        "UPDATE sharing_consent SET valid_until = '2036-01-01 00:00:00'",
        DIFFERS,
        "sharing.consent",
    ),
    Edit(
        "give a consent to another department",
        "UPDATE sharing_consent SET consumer = 'somebody'",
        DIFFERS,
        "sharing.consent",
    ),
    Edit(
        "dismiss an objection without an answer",
        "UPDATE sharing_use_objection SET state = 'dismissed'",
        DIFFERS,
        "sharing.objection",
    ),
    Edit(
        "change what a citizen objected",
        "UPDATE sharing_use_objection SET content = json_set(content, '$.statement', '别的')",
        DIFFERS,
        "sharing.objection",
    ),
    Edit("let an objection vanish", "DELETE FROM sharing_use_objection", GONE, "sharing.objection"),
    Edit(
        "keep a use secret for longer",
        "UPDATE sharing_disclosure_hold SET content = json_set(content, '$.delay_days', 365)",
        DIFFERS,
        "sharing.disclosure",
    ),
    Edit(
        "end an order to tell later without an act",
        "UPDATE sharing_disclosure_hold SET ended_at = '2026-01-01 00:00:00'",
        DIFFERS,
        "sharing.disclosure",
    ),
    Edit(
        "approve an application without a review",
        "UPDATE sharing_registration SET state = 'approved'",
        DIFFERS,
        "sharing.registration",
    ),
    Edit(
        "change what an application is for",
        "UPDATE sharing_registration SET content = json_set(content, '$.purpose', '任何用途')",
        DIFFERS,
        "sharing.registration",
    ),
    Edit(
        "let a program act for another department",
        "UPDATE sharing_application SET department = 'somebody'",
        DIFFERS,
        "sharing.application",
    ),
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """A world in which each of these things happened, and its database as it lay on disk."""
    folder = tmp_path_factory.mktemp("lived")
    database = new_control(folder)
    world = World(database)
    row = {"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"}
    world.records.rows[RESOURCE] = (row,)
    (granted,) = world.submit(["xm", "gmsfhm", "hh"])
    agreement = world.put_in_force(granted.agreement_id)
    answer = world.gateway.query(
        application(EDUCATION),
        RESOURCE,
        key={"citizen_id": CITIZEN},
        items=("hh",),
        purpose="school-admission",
        case_number="A-1",
    )
    world.objections.make(answer.access_id, CITIZEN, "我没有申请入学", actor=SELF)
    order = HoldOrder(agreement_id=agreement.id, ground=HoldGround.INVESTIGATION, reason="立案侦查", delay_days=5)
    world.holds.order(order, person(BUREAU))
    (other,) = world.submit(["xm", "gmsfhm", "hh"], consent=True)
    consented = world.put_in_force(other.agreement_id)
    world.consents.ask(consented.id, CITIZEN, actor=person(EDUCATION))
    world.registrations.register(NEW, EDUCATION, person(EDUCATION))
    return world, laid_to_rest(folder / "control.sqlite", folder / "resting.sqlite")


def _check(world: World, path: Path) -> FsckReport:
    return fsck_at(path, RIGHTS_AREAS, clock=world.clock, signer=world.signer, origin=world.ledger.origin)


def test_what_nobody_touched_has_no_fault(lived: tuple[World, Path]) -> None:
    report = _check(*lived)
    assert report.faults == ()
    assert all(report.compared[edit.area] for edit in EDITS)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.aim)
def test_a_silent_edit_is_found(lived: tuple[World, Path], tmp_path: Path, edit: Edit) -> None:
    world, resting = lived
    report = _check(world, edited(resting, tmp_path, edit))
    assert (edit.code, edit.area) in {(fault.code, fault.area) for fault in report.faults}


def test_the_list_is_in_the_documentation() -> None:
    assert undocumented_edits(EDITS) == []
