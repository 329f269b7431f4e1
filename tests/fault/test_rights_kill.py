"""A hub is killed at each commit of people's rights, cases and applications: the state and its evidence, or neither."""

import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import event, select

from datong.kernel import Actor, ActorKind, Database
from datong.ledger import EntryKind
from datong.sharing import tables
from datong.sharing.applications import ApplicationAction, ApplicationParty, KeyKind, NewRegistration
from datong.sharing.citizens import HoldGround, HoldOrder, ObjectionAction
from datong.sharing.consent import ConsentAction
from datong.sharing.terms import Agreement
from tests.new_control import new_control
from tests.unit.sharing.items.test_cases import CITIZEN, CLERK, cases
from tests.unit.sharing.samples import BUREAU, EDUCATION, RESOURCE, application, person
from tests.unit.sharing.world import World

KILLED = 9
SELF = Actor(kind=ActorKind.CITIZEN, id="citizen-1")
NEW = NewRegistration(name="入学一件事", purpose="核验", scenes=("入学",), contacts=("张三",))
AUTHORITY = frozenset({ApplicationParty.AUTHORITY})
Act = Callable[[], object]


class Scene:
    """A world with an agreement that depends on consent, and one of everything that can be acted upon."""

    def __init__(self, world: World) -> None:
        self.world = world
        (granted,) = world.submit(["xm", "gmsfhm", "hh"], consent=True)
        self.agreement: Agreement = world.put_in_force(granted.agreement_id)
        world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"},)
        asked = world.consents.ask(self.agreement.id, CITIZEN, actor=person(EDUCATION))
        self.consent = world.consents.act(asked.id, ConsentAction.GIVE, CITIZEN, actor=SELF)
        answer = world.gateway.query(
            application(EDUCATION),
            RESOURCE,
            key={"citizen_id": CITIZEN},
            items=("hh",),
            purpose="school-admission",
            case_number="A-1",
        )
        self.access = answer.access_id
        self.application = world.registrations.register(NEW, EDUCATION, person(EDUCATION)).client_id

    def acts(self) -> dict[str, tuple[EntryKind, Act]]:
        """Return every act by name, in an order in which each can be done after the one before."""
        world, officer, authority = self.world, person(EDUCATION), person(BUREAU)
        book = world.registrations
        order = HoldOrder(
            agreement_id=self.agreement.id, case_number="x", ground=HoldGround.SECRECY, reason="x", delay_days=1
        )
        return {
            "case": (
                EntryKind.SERVICE_CASE,
                lambda: cases(world).handle(CLERK, "item-1", applicant=CITIZEN, case_number="RX-1"),
            ),
            "withdraw": (
                EntryKind.CONSENT,
                lambda: world.consents.act(self.consent.id, ConsentAction.WITHDRAW, CITIZEN, actor=SELF),
            ),
            "ask": (EntryKind.CONSENT, lambda: world.consents.ask(self.agreement.id, CITIZEN, actor=officer)),
            "order": (EntryKind.DISCLOSURE, lambda: world.holds.order(order, authority)),
            "end": (EntryKind.DISCLOSURE, lambda: world.holds.end(world.holds.find().rows[0].id, authority)),
            "object": (EntryKind.OBJECTION, lambda: world.objections.make(self.access, CITIZEN, "x", actor=SELF)),
            "answer": (
                EntryKind.OBJECTION,
                lambda: world.objections.answer(
                    world.objections.find().rows[0].id, ObjectionAction.DISMISS, "x", actor=officer
                ),
            ),
            "register": (EntryKind.APPLICATION, lambda: book.register(NEW, EDUCATION, officer)),
            "approve": (
                EntryKind.APPLICATION,
                lambda: book.act(self.application, ApplicationAction.APPROVE, parties=AUTHORITY, actor=authority),
            ),
            "bind": (EntryKind.APPLICATION, lambda: book.bind(self.application, [self.agreement.id], officer)),
            "issue": (EntryKind.APPLICATION, lambda: book.issue_key(self.application, KeyKind.LIVE, officer)),
            "revoke": (
                EntryKind.APPLICATION,
                lambda: book.revoke_key(self.application, book.keys(self.application)[0].id, officer),
            ),
        }


STATE = (
    tables.service_case,
    tables.consent,
    tables.disclosure_hold,
    tables.use_objection,
    tables.registration,
    tables.application,
    tables.application_binding,
    tables.application_key,
)


def state_of(database: Database) -> str:
    """Return everything that the acts change, as text."""
    with database.snapshot() as connection:
        return repr([sorted(map(repr, connection.execute(select(table)))) for table in STATE])


def entries_of(world: World, kind: EntryKind) -> int:
    """Return how many entries of a kind there are."""
    return world.ledger.entries(kind=kind).total


def killed_at_its_commit(world: World, act: Act, kind: EntryKind) -> int:
    """Do an act in a copy of this process that ends just before the commit of its evidence; return its status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            world.database.engine.dispose(close=False)
            written: list[str] = []

            def see(_connection: object, _cursor: object, _statement: str, parameters: object, *_: object) -> None:
                if kind.value in repr(parameters):
                    written.append(kind.value)

            def end(_connection: object) -> None:
                if written:
                    os._exit(KILLED)

            event.listen(world.database.engine, "before_cursor_execute", see)
            event.listen(world.database.engine, "commit", end)
            act()
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


def test_a_kill_at_any_commit_leaves_neither_state_nor_evidence(tmp_path: Path) -> None:
    database = new_control(tmp_path)
    scene = Scene(World(database))
    for name, (kind, act) in scene.acts().items():
        before, told = state_of(database), entries_of(scene.world, kind)
        assert killed_at_its_commit(scene.world, act, kind) == KILLED, name
        assert (state_of(database), entries_of(scene.world, kind)) == (before, told), name
        act()
        assert state_of(database) != before, name
        assert entries_of(scene.world, kind) == told + 1, name
    database.close()
