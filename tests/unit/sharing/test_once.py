"""Idempotency-Key: one answer and one record for a call, however often it comes; nothing of it in plain sight."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from datong.kernel import DatongError, Invalid, Refused
from datong.ledger import EntryKind
from datong.sharing import tables
from datong.sharing.gateway_calls import Asked, GatewayAnswer, Once, VerifyAnswer
from datong.sharing.gateway_sweep import forget_gateway_state
from datong.sharing.gateway_told import Reply
from datong.sharing.guessing import WRONG_PER_SUBJECT_DAY_MAX
from datong.sharing.once import KEPT_HOURS
from datong.sharing.principals import Principal
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.test_quotas import gateway_of
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
CALLER = application(EDUCATION)


@pytest.fixture
def shared(world: World) -> World:
    (granted,) = world.submit(["姓名", "公民身份号码", "hh"])
    world.put_in_force(granted.agreement_id)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三", "household_id": "H1"},)
    return world


def asked(key: str, digest: str = "d", who: Principal = CALLER, part: int = 0, **claims: str) -> Asked:
    names = tuple(claims) or ("姓名",)
    once = Once(key, digest, part)
    return Asked(who, RESOURCE, {"citizen_id": CITIZEN}, names, "school-admission", "RX-1", claims or None, once=once)


def told(world: World, *calls: Asked) -> list[Reply]:
    return [one for one in world.gateway.answer_many(calls) if isinstance(one, Reply)]


def test_the_same_call_gets_the_same_answer_and_one_record_in_any_process(shared: World) -> None:
    first, second = told(shared, asked("k"), asked("k"))
    (third,) = told(shared, asked("k"))
    fourth = gateway_of(shared).reply(asked("k"))
    assert isinstance(first.answer, GatewayAnswer)
    assert first.answer == second.answer == third.answer == fourth.answer
    assert [one.again for one in (first, second, third, fourth)] == [False, True, True, True]
    assert shared.ledger.entries(kind=EntryKind.ACCESS).total == 1
    others = told(shared, asked("k2"), asked("k", hh="H1"), asked("k", part=1))
    assert len({str(one.answer) for one in others}) == 3, "another key, act or part is another call"
    assert shared.ledger.entries(kind=EntryKind.ACCESS).total == 4


def test_a_key_that_comes_with_another_call_is_refused(shared: World) -> None:
    told(shared, asked("k"))
    for replies in (told(shared, asked("k", "other")), told(shared, asked("n"), asked("n", "other"))[1:]):
        assert isinstance(replies[0].answer, Invalid)
        assert replies[0].answer.code == "sharing.idempotency_key_reused"
    # A further part of a call that says something else is refused as well, though nothing was kept for that part.
    (further,) = told(shared, asked("k", "other", part=7))
    assert isinstance(further.answer, Invalid)
    # Keys are their callers' own: somebody else's call is carried out, and refused for what it is.
    (others,) = told(shared, asked("k", "other", application(SOCIAL)))
    assert isinstance(others.answer, Refused)


def test_a_repeated_claim_counts_once_against_guessing_and_refusals_are_repeated_too(shared: World) -> None:
    for _ in range(WRONG_PER_SUBJECT_DAY_MAX + 3):
        (reply,) = told(shared, asked("wrong", hh="H9"))
        assert isinstance(reply.answer, VerifyAnswer)
    for number in range(WRONG_PER_SUBJECT_DAY_MAX):
        told(shared, asked(f"wrong{number}", hh="H9"))
    limits = [told(shared, asked("late", hh="H9"))[0].answer for _ in range(2)]
    assert all(isinstance(one, Refused) and one.code == "sharing.guess_limit" for one in limits)
    one, two = (answer.context["access_id"] for answer in limits if isinstance(answer, DatongError))
    assert one == two
    assert shared.ledger.entries(kind=EntryKind.REFUSAL).total == 2


def test_an_answer_is_repeated_only_while_the_agreement_is_in_force_and_for_a_day(shared: World) -> None:
    (first,) = told(shared, asked("k"))
    shared.clock.advance(NOW + timedelta(hours=KEPT_HOURS, seconds=1) - shared.clock.now())
    (anew,) = told(shared, asked("k"))
    assert not anew.again
    assert anew.answer != first.answer
    (agreement,) = shared.agreements.find(consumer=EDUCATION).rows
    shared.agreements.suspend(agreement.id, person(POLICE), "超范围使用")
    refused = gateway_of(shared).reply(asked("k")).answer
    assert isinstance(refused, Refused)
    assert refused.context["policies"] == ["data.suspended"]
    shared.clock.advance(NOW + timedelta(days=3) - shared.clock.now())
    forget_gateway_state(shared.database, shared.clock.now())
    with shared.database.snapshot() as connection:
        assert connection.execute(select(tables.once)).all() == []


def test_a_call_that_did_nothing_is_tried_again(shared: World) -> None:
    wrong = asked("k")._replace(names=("nothing",))
    (invalid,) = told(shared, wrong)
    assert isinstance(invalid.answer, Invalid)
    (answered,) = told(shared, asked("k"))
    assert isinstance(answered.answer, GatewayAnswer)


def test_the_control_database_alone_does_not_tell_what_was_answered(shared: World) -> None:
    told(shared, asked("k-17"))
    with shared.database.snapshot() as connection:
        (row,) = connection.execute(select(tables.once)).all()
    for plain in (CITIZEN, "张", "k-17", CALLER.actor.id):
        assert plain.encode() not in bytes(row.sealed)
        assert plain not in row.slot


def test_the_same_call_in_two_processes_at_once_is_carried_out_once(shared: World) -> None:
    replies: list[Reply] = []
    gate = threading.Barrier(4)

    def call() -> None:
        gateway = gateway_of(shared)
        gate.wait()
        replies.append(gateway.reply(asked("at-once")))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one.answer == replies[0].answer for one in replies)
    assert sum(not one.again for one in replies) == 1
    assert shared.ledger.entries(kind=EntryKind.ACCESS).total == 1
