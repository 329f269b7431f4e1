"""A citizen's view: uses told now and later, in pages, and objections with their answers."""

from datetime import timedelta

import pytest

from datong.kernel import AccessId, Actor, ActorKind, Conflict, Invalid, NotFound
from datong.ledger import EntryKind
from datong.sharing.citizens import HoldGround, HoldOrder, ObjectionAction, ObjectionState
from datong.sharing.citizens.objection_rules import OUTCOMES, follow
from datong.sharing.terms import Agreement
from tests.unit.sharing.samples import BUREAU, EDUCATION, POLICE, RESOURCE, application, person
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
OTHER = "110101200002290042"
SELF = Actor(kind=ActorKind.CITIZEN, id="citizen-1")
AUTHORITY = person(BUREAU)


@pytest.fixture
def agreement(world: World) -> Agreement:
    (granted,) = world.submit(["xm", "gmsfhm", "hh"])
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"},)
    return world.put_in_force(granted.agreement_id)


def use(world: World, number: str) -> AccessId:
    answer = world.gateway.query(
        application(EDUCATION),
        RESOURCE,
        key={"citizen_id": CITIZEN},
        items=("hh",),
        purpose="school-admission",
        case_number=number,
    )
    return answer.access_id


def shown(world: World) -> list[str]:
    return [one.use.case_number for one in world.own_uses.of(CITIZEN)]


def test_a_use_is_told_when_its_time_has_come_with_the_ground(world: World, agreement: Agreement) -> None:
    order = HoldOrder(agreement_id=agreement.id, ground=HoldGround.INVESTIGATION, reason="立案侦查", delay_days=5)
    world.holds.order(order, AUTHORITY)
    held = use(world, "A-1")
    assert shown(world) == []
    assert world.own_uses.find_usage(CITIZEN).total == 0
    with pytest.raises(NotFound):
        world.own_uses.proof(held, CITIZEN)
    with pytest.raises(NotFound):
        world.objections.make(held, CITIZEN, "不知情", actor=SELF)
    world.clock.advance(timedelta(days=5))
    (line,) = world.own_uses.find_usage(CITIZEN).usages
    assert line.told_at == line.logtime + timedelta(days=5)
    assert line.told_later_because is not None
    assert "第十八条" in line.told_later_because.zh


def test_an_order_may_be_about_one_case_until_a_day_and_end_early(world: World, agreement: Agreement) -> None:
    until = world.clock.now() + timedelta(days=30)
    order = HoldOrder(
        agreement_id=agreement.id, case_number="A-1", ground=HoldGround.SECRECY, reason="保密", until=until
    )
    hold = world.holds.order(order, AUTHORITY)
    use(world, "A-1")
    use(world, "A-2")
    assert shown(world) == ["A-2"]
    world.clock.advance(timedelta(days=1))
    world.holds.end(hold.id, AUTHORITY)
    assert sorted(shown(world)) == ["A-1", "A-2"]
    with pytest.raises(Conflict):
        world.holds.end(hold.id, AUTHORITY)
    assert world.holds.find().rows[0].ended_at == world.clock.now()
    entries = world.ledger.entries(kind=EntryKind.DISCLOSURE).rows
    assert sorted(entry.facts["step"] for entry in entries) == ["end", "order"]
    assert all(word not in repr(entries) for word in ("A-1", "保密"))


def test_an_agreement_may_say_itself_that_people_are_told_later(world: World) -> None:
    (granted,) = world.submit(["xm", "gmsfhm", "hh"], told_after_days=7)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"},)
    agreement = world.put_in_force(granted.agreement_id)
    terms = agreement.terms()["purpose"]
    assert isinstance(terms, dict)
    assert terms["told_after_days"] == 7
    use(world, "A-1")
    assert shown(world) == []
    world.clock.advance(timedelta(days=7))
    (one,) = world.own_uses.of(CITIZEN)
    assert (one.told_at, one.ground) == (world.clock.now(), HoldGround.AGREED)


def test_an_order_has_one_end_within_a_year(world: World, agreement: Agreement) -> None:
    base = {"agreement_id": agreement.id, "ground": "secrecy", "reason": "x"}
    with pytest.raises(ValueError, match="ground of its own"):
        HoldOrder.model_validate({**base, "delay_days": 1, "ground": "agreed"})
    for ends in ({}, {"delay_days": 1, "until": world.clock.now()}, {"delay_days": 366}, {"delay_days": 0}):
        with pytest.raises(ValueError, match="validation error"):
            HoldOrder.model_validate({**base, **ends})
    for days in (0, 366):
        until = world.clock.now() + timedelta(days=days)
        with pytest.raises(Invalid):
            world.holds.order(HoldOrder.model_validate({**base, "until": until}), AUTHORITY)
    with pytest.raises(NotFound):
        world.holds.get("nothing")


def test_find_usage_pages_and_bounds(world: World, agreement: Agreement) -> None:
    for day in range(3):
        use(world, f"A-{day}")
        world.clock.advance(timedelta(days=1))
    first = world.own_uses.find_usage(CITIZEN, limit=2)
    rest = world.own_uses.find_usage(CITIZEN, offset=2, limit=2)
    assert [line.case_number for line in (*first.usages, *rest.usages)] == ["A-2", "A-1", "A-0"]
    assert (first.total, first.limit, rest.offset) == (3, 2, 2)
    (line,) = rest.usages
    assert (line.receiver, line.sender, line.agreements) == (EDUCATION, POLICE, (agreement.id,))
    assert (line.purpose, line.service_item, line.action) == ("小学入学资格核验", "school-admission", "query")
    since, until = line.logtime + timedelta(hours=1), line.logtime + timedelta(days=1, hours=1)
    assert [one.case_number for one in world.own_uses.find_usage(CITIZEN, since=since, until=until).usages] == ["A-1"]
    assert world.own_uses.find_usage(OTHER).total == 0


@pytest.mark.usefixtures("agreement")
def test_an_objection_is_made_answered_and_on_record(world: World) -> None:
    access = world.own_uses.get(use(world, "A-1"), CITIZEN).access_id
    made = world.objections.make(access, CITIZEN, "我没有申请入学", actor=SELF)
    assert (made.consumer, made.case_number, made.due_at > made.made_at) == (EDUCATION, "A-1", True)
    with pytest.raises(Conflict):
        world.objections.make(access, CITIZEN, "再次", actor=SELF)
    with pytest.raises(NotFound):
        world.objections.make(access, OTHER, "不是我的", actor=SELF)
    assert world.objections.find(consumer=EDUCATION, waiting=True).total == 1
    with pytest.raises(Conflict):
        world.objections.answer(made.id, ObjectionAction.WITHDRAW, "x", actor=person(EDUCATION))
    with pytest.raises(Invalid):
        world.objections.answer(made.id, ObjectionAction.DISMISS, " ", actor=person(EDUCATION))
    world.objections.answer(made.id, ObjectionAction.UPHOLD, "误录，已删除", actor=person(EDUCATION))
    (answered,) = world.objections.of_subject(CITIZEN)
    assert (answered.state, answered.answer) == (ObjectionState.UPHELD, "误录，已删除")
    with pytest.raises(Conflict):
        world.objections.withdraw(made.id, CITIZEN, actor=SELF)
    entries = world.ledger.entries(kind=EntryKind.OBJECTION).rows
    assert sorted(entry.facts["step"] for entry in entries) == ["make", "uphold"]
    assert all(word not in repr(entries) for word in (CITIZEN, "入学", "误录"))


@pytest.mark.usefixtures("agreement")
def test_only_the_citizen_takes_an_objection_back(world: World) -> None:
    access = world.own_uses.get(use(world, "A-1"), CITIZEN).access_id
    made = world.objections.make(access, CITIZEN, "我没有申请入学", actor=SELF)
    with pytest.raises(NotFound):
        world.objections.withdraw(made.id, OTHER, actor=SELF)
    ended = world.objections.withdraw(made.id, CITIZEN, actor=SELF)
    assert ended.state is ObjectionState.WITHDRAWN
    for action in OUTCOMES:
        with pytest.raises(Conflict):
            follow(ended, action, "x", world.clock.now())
