"""The sharing system on each control database, with the catalogue's real register of departments."""

import threading

import pytest

from datong.catalogue import Departments
from datong.kernel import PLATFORM_ACTOR, Database, DatongError, Refused
from datong.ledger import Ed25519Signer, EntryKind, verify_bundle
from datong.sharing import AgreementState, DepartmentBook, Match, RequestAction, RequestState, Role
from datong.sharing.guessing import WRONG_PER_SUBJECT_DAY_MAX
from tests.unit.sharing.samples import BUREAU, DEPARTMENTS, EDUCATION, POLICE, RESOURCE, application, person
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
CALLER = application(EDUCATION)


@pytest.fixture
def world(control_database: Database) -> World:
    return World(control_database, registered_departments)


def registered_departments(world: World) -> DepartmentBook:
    departments = Departments(database=world.database, clock=world.clock, ledger=world.ledger)
    for department in DEPARTMENTS:
        departments.register(department, PLATFORM_ACTOR)
    return departments


def test_from_a_request_to_an_answer_and_its_proof(world: World) -> None:
    granted, waiting = world.submit(["姓名", "公民身份号码", "hjdz"])
    world.put_in_force(granted.agreement_id)
    approved = world.requests.act(waiting.id, RequestAction.APPROVE, person(POLICE))
    assert world.put_in_force(approved.agreement_id).state is AgreementState.ACTIVE
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三", "address": "某路1号"},)
    answer = world.gateway.query(
        CALLER,
        RESOURCE,
        key={"citizen_id": CITIZEN},
        items=["姓名", "address"],
        purpose="school-admission",
        case_number="RX-1",
    )
    assert answer.rows == ({"姓名": "张*", "address": "***"},)
    (use,) = world.usage.uses_of(CITIZEN)
    assert use.at == answer.at
    world.ledger.integrate()
    verify_bundle(world.usage.proof(use.access_id, citizen_id=CITIZEN))


def test_the_hub_signs_for_the_authority_with_its_registered_key(world: World) -> None:
    (granted,) = world.submit(["姓名"], consumer=BUREAU)
    assert world.put_in_force(granted.agreement_id).state is AgreementState.ACTIVE
    assert world.departments.key(world.signer.key_id).department == BUREAU


def test_people_and_nodes(world: World) -> None:
    world.identity.create_account(
        username="wang",
        password="correct horse",
        name="王芳",
        roles=frozenset({Role.BUSINESS}),
        department=EDUCATION,
        actor=PLATFORM_ACTOR,
    )
    session = world.identity.authenticate("wang", "correct horse")
    assert world.identity.session(session.token).department == EDUCATION
    key = Ed25519Signer.generate()
    token = world.identity.create_enrolment(department=POLICE, actor=PLATFORM_ACTOR)
    node = world.identity.redeem_enrolment(token=token, public_key=key.public_key, name="前置机")
    assert world.departments.key(key.key_id).node_id == node.id


def test_many_officers_at_once_decide_once(world: World) -> None:
    (waiting,) = world.submit(["hjdz"])
    start = threading.Barrier(6)
    outcomes: list[str] = []

    def decide(action: RequestAction) -> None:
        start.wait()
        try:
            outcomes.append(world.requests.act(waiting.id, action, person(POLICE), "理由").state.value)
        except DatongError as error:
            outcomes.append(error.code)

    threads = [
        threading.Thread(target=decide, args=(action,)) for action in [RequestAction.APPROVE, RequestAction.REFUSE] * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decided = world.requests.get(waiting.id)
    assert outcomes.count(decided.state.value) == 1
    assert decided.state in {RequestState.GRANTED, RequestState.REFUSED}
    assert len(world.ledger.entries(kind=EntryKind.DECISION).rows) == 1
    assert (world.agreements.of_request(waiting.id) is not None) == (decided.state is RequestState.GRANTED)


def test_parallel_guesses_do_not_get_past_the_limit(world: World) -> None:
    (granted,) = world.submit(["hh"])
    world.put_in_force(granted.agreement_id)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "household_id": "H1"},)
    answers: list[Match] = []

    def guess(number: int) -> None:
        try:
            answer = world.gateway.verify(
                CALLER,
                RESOURCE,
                key={"citizen_id": CITIZEN},
                claims={"hh": f"guess {number}"},
                purpose="school-admission",
                case_number="RX-1",
            )
        except Refused:
            return
        answers.append(answer.results["hh"])

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(WRONG_PER_SUBJECT_DAY_MAX + 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [Match.NO_MATCH] * WRONG_PER_SUBJECT_DAY_MAX
    assert world.ledger.entries(kind=EntryKind.REFUSAL).total == 5
