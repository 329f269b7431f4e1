"""Quotas: whoever uses up its calls is turned away until the window ends, in every process, and nothing is done."""

from datetime import timedelta

import pytest

from datong.kernel import Database, Overloaded
from datong.ledger import EntryKind
from datong.sharing.contract import contract_yaml
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_calls import Asked, GatewayAnswer
from datong.sharing.gateway_sweep import forget_gateway_state
from datong.sharing.gateway_told import Reply
from datong.sharing.quota_counts import take
from datong.sharing.quotas import CallQuota, QuotaState, allowances
from datong.sharing.subjects import subject_index_key
from datong.sharing.terms import PurposeDraft, RequestLine
from tests.unit.sharing.samples import EDUCATION, NOW, PURPOSE, RESOURCE, application, person
from tests.unit.sharing.world import POLICY, World

CITIZEN = "110101199003070011"


def gateway_of(world: World, application_quota: CallQuota | None = None, *, index_key: bytes | None = None) -> Gateway:
    """Return what another process would have: its own objects over the same control database."""
    return Gateway(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        catalogue=world.resources,
        agreements=world.agreements,
        policy=POLICY,
        records=world.records,
        index_key=index_key or subject_index_key(world.signer),
        mask_keys=world.mask_keys,
        callers=world.identity,
        application_quota=application_quota,
    )


def agree(world: World, calls: CallQuota | None) -> None:
    line = RequestLine(resource_id=RESOURCE, items=("姓名", "hh"), calls=calls)
    purpose = PurposeDraft.model_validate(PURPOSE.model_dump())
    (granted,) = world.requests.submit(consumer=EDUCATION, lines=[line], purpose=purpose, actor=person(EDUCATION))
    agreement = world.put_in_force(granted.agreement_id)
    assert agreement.calls == calls
    assert world.agreements.get(agreement.id).calls == calls, "it survives the control database"
    assert ("calls" in agreement.terms()) is (calls is not None), "both sides sign it"
    provider, consumer = (world.departments.get(code) for code in agreement.parties)
    assert ("perMinute" in contract_yaml(agreement, provider=provider, consumer=consumer)) is (calls is not None)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三", "household_id": "H1"},)


def asked(client: str = "app", **claims: str) -> Asked:
    caller = application(EDUCATION)
    caller = caller.model_copy(update={"actor": caller.actor.model_copy(update={"id": client})})
    names = tuple(claims) or ("姓名",)
    return Asked(caller, RESOURCE, {"citizen_id": CITIZEN}, names, "school-admission", "RX-1", claims or None)


def replies(gateway: Gateway, *calls: Asked) -> list[Reply]:
    found = gateway.answer_many(calls)
    return [one for one in found if isinstance(one, Reply)]


def test_the_calls_of_an_agreement_are_counted_over_all_its_applications_and_processes(world: World) -> None:
    agree(world, CallQuota(per_minute=3, per_day=5))
    here, there = gateway_of(world), gateway_of(world)
    first = replies(here, asked("one"), asked("two"))
    assert [one.quota for one in first] == [QuotaState(3, 2, 60, 60), QuotaState(3, 1, 60, 60)]
    third, fourth = replies(there, asked("one"), asked("one", hh="wrong"))
    assert isinstance(third.answer, GatewayAnswer)
    assert isinstance(fourth.answer, Overloaded)
    assert fourth.answer.code == "sharing.quota_reached"
    assert fourth.answer.context["retry_after_seconds"] == 60
    assert world.ledger.entries(kind=EntryKind.ACCESS).total == 3, "nothing was done for the fourth"
    with pytest.raises(Overloaded):
        there.verify(
            application(EDUCATION),
            RESOURCE,
            key={"citizen_id": CITIZEN},
            claims={"hh": "H1"},
            purpose="school-admission",
            case_number="RX-1",
        )
    world.clock.advance(NOW + timedelta(seconds=61) - world.clock.now())
    after = replies(here, *[asked("one") for _ in range(3)])
    # The fourth and fifth of the day pass; those that were turned away before count nowhere.
    assert [isinstance(one.answer, GatewayAnswer) for one in after] == [True, True, False]
    assert after[2].quota is not None
    assert after[2].quota.window_seconds == 86_400
    world.clock.advance(NOW + timedelta(days=2) - world.clock.now())
    forget_gateway_state(world.database, world.clock.now())
    assert isinstance(replies(there, asked())[0].answer, GatewayAnswer)


def test_each_application_has_the_quota_that_the_hub_sets(world: World) -> None:
    agree(world, None)
    gateway = gateway_of(world, CallQuota(per_minute=1))
    told = replies(gateway, asked("one"), asked("two"), asked("one"))
    assert [isinstance(one.answer, GatewayAnswer) for one in told] == [True, True, False]
    assert replies(gateway_of(world), asked("one"))[0].quota is None, "without a quota nothing is counted"


def test_windows_are_the_clocks_minute_and_the_day_in_china(world: World) -> None:
    def left(database: Database, at_seconds: int) -> list[int]:
        at = NOW + timedelta(seconds=at_seconds)
        quota = CallQuota(per_minute=2, per_day=3)
        with database.transaction() as connection:
            (counted,) = take(connection, [allowances("application:x", quota, at)], at)
        assert counted.state is not None
        return [counted.passes, counted.state.remaining, counted.state.reset_seconds]

    assert left(world.database, 59) == [True, 1, 1]
    assert left(world.database, 60) == [True, 1, 50_340], "the day's quota is nearer"
    assert left(world.database, 120) == [True, 0, 50_280]  # NOW is ten o'clock in China.
    assert left(world.database, 180) == [False, 0, 50_220]
    assert left(world.database, 50_400) == [True, 1, 60]
