"""The demand wall: what can be done with a wish in which order, its bounds, its evidence, and who learns what."""

import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import datong.ledger
from datong.governance.duties import Duty
from datong.governance.timelines import wish_duties
from datong.kernel import (
    CHINA,
    Conflict,
    DepartmentCode,
    Invalid,
    NotFound,
    ResourceId,
    Text,
    WorkingCalendar,
)
from datong.ledger import EntryKind
from datong.sharing.wishes import (
    LINKED,
    ON_THE_WALL,
    SUPPORTED,
    TRANSITIONS,
    Wish,
    WishAct,
    WishAction,
    WishDraft,
    Wishes,
    WishOrder,
    WishState,
)
from datong.sharing.wishes.rules import REASONED, follow
from datong.sharing.wishes.wishes import ASKER_ACTOR, WISHES_A_DAY_MAX
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, RESOURCE, person
from tests.unit.sharing.world import World

DRAFT = WishDraft(title="各小学学位余量", purpose="给孩子选学校", fields=("学校", "余量"))
AUTHORITY, OFFICER = person(BUREAU), person(EDUCATION)
CALENDAR = WorkingCalendar()
NO_ACT = frozenset({WishState.THERE, WishState.PUBLISHED, WishState.REJECTED, WishState.WITHDRAWN})


def wishes_of(world: World) -> Wishes:
    def known(found: frozenset[str], key: str) -> None:
        if key not in found:
            raise NotFound("x", what=Text(zh="无", en="none"), remedy=Text(zh="", en=""))

    return Wishes(
        database=world.database,
        clock=world.clock,
        calendar=world.calendar,
        ledger=world.ledger,
        open_resource=lambda resource: known(frozenset({RESOURCE}), resource),
        department=lambda code: known(frozenset({EDUCATION, POLICE, BUREAU}), code),
        assign_working_days=5,
        answer_working_days=20,
    )


def act(action: WishAction, **parts: object) -> WishAct:
    """Return an act with every part that it needs."""
    whole: dict[str, object] = {"action": action}
    if action in REASONED:
        whole["words"] = "理由"
    if action is WishAction.ASSIGN:
        whole["department"] = EDUCATION
    if action in LINKED:
        whole["resource_id"] = RESOURCE
    if action is WishAction.PLAN:
        whole["planned_for"] = NOW.date() + timedelta(days=30)
    return WishAct.model_validate(whole | parts)


@given(st.lists(st.sampled_from(WishAction), max_size=12))
def test_every_life_follows_the_table_and_always_says_who_is_to_act(acts: list[WishAction]) -> None:
    wish = Wish(
        id="w", draft=DRAFT, state=WishState.RECEIVED, made_at=NOW, changed_at=NOW,
        due_at=CALENDAR.deadline(NOW, 5),
    )  # fmt: skip
    for number, action in enumerate(acts):
        now = NOW + timedelta(hours=number)
        after = TRANSITIONS.get((wish.state, action))
        if after is None:
            with pytest.raises(Conflict):
                follow(wish, act(action), now=now, calendar=CALENDAR, assign=5, answer=20)
            continue
        before, wish = wish, follow(wish, act(action), now=now, calendar=CALENDAR, assign=5, answer=20)
        assert wish.state is after
        assert len(wish.steps) == len(before.steps) + 1
        assert wish.steps[:-1] == before.steps
        waits = wish.state not in NO_ACT | {WishState.DECLINED}
        assert (wish.due_at is not None) == waits
        assert (wish.department is not None) == (
            wish.state in {WishState.ASSIGNED, WishState.PLANNED} or before.department is not None
            and action is not WishAction.HAND_BACK
        )  # fmt: skip
        assert (wish.resource_id is not None) == (wish.state in {WishState.THERE, WishState.PUBLISHED})
    assert SUPPORTED < ON_THE_WALL
    assert all(state not in NO_ACT for state, _ in TRANSITIONS)


@pytest.mark.parametrize(
    ("state", "given_act", "code"),
    [
        (WishState.ASSIGNED, WishAct(action=WishAction.DECLINE, words=" "), "sharing.wish_words"),
        (WishState.RECEIVED, WishAct(action=WishAction.ASSIGN), "sharing.wish_department"),
        (WishState.ASSIGNED, WishAct(action=WishAction.POINT), "sharing.wish_resource_id"),
        (
            WishState.ASSIGNED,
            act(WishAction.PLAN, planned_for=NOW.astimezone(CHINA).date()),
            "sharing.wish_planned_for",
        ),
        (
            WishState.ASSIGNED,
            act(WishAction.PLAN, planned_for=NOW.date() + timedelta(days=367)),
            "sharing.wish_planned_for",
        ),
    ],
)
def test_an_act_without_its_parts_is_refused(state: WishState, given_act: WishAct, code: str) -> None:
    wish = Wish(id="w", draft=DRAFT, state=state, made_at=NOW, changed_at=NOW, due_at=NOW, department=EDUCATION)
    with pytest.raises(Invalid) as caught:
        follow(wish, given_act, now=NOW, calendar=CALENDAR, assign=5, answer=20)
    assert caught.value.code == code


def test_a_wish_is_filed_within_bounds_and_names_nobody(world: World) -> None:
    wishes = wishes_of(world)
    for purpose in ("请打电话 138-0013-8000", "我的身份证 110101199003070011", "银行卡 6222 0212 3456 789"):
        with pytest.raises(Invalid):
            wishes.make(DRAFT.model_copy(update={"purpose": purpose}), "a")
    with pytest.raises(ValidationError):
        WishDraft(title="   学  ", purpose="给孩子选学校")
    first = wishes.make(DRAFT, "a")
    with pytest.raises(Conflict) as same:
        wishes.make(DRAFT, "a")
    assert same.value.code == "sharing.wish_made"
    for number in range(WISHES_A_DAY_MAX - 1):
        wishes.make(DRAFT.model_copy(update={"title": f"第 {number} 项需求"}), "a")
    with pytest.raises(Conflict) as many:
        wishes.make(DRAFT.model_copy(update={"title": "再来一项"}), "a")
    assert many.value.code == "sharing.wish_limit"
    # Another account is not held back, and nobody sees any of them yet.
    wishes.make(DRAFT, "b")
    assert wishes.find().total == 0
    assert [one.id for one in wishes.of_account("b")] != [first.id]
    assert wishes.is_own(first.id, "a")
    assert not wishes.is_own(first.id, "b")
    with pytest.raises(NotFound):
        wishes.on_the_wall(first.id)
    said = repr(world.ledger.entries(kind=EntryKind.WISH, limit=50).rows)
    assert all(word not in said for word in (DRAFT.title, DRAFT.purpose, "account"))
    assert {entry.actor.id for entry in world.ledger.entries(kind=EntryKind.WISH).rows} == {ASKER_ACTOR.id}


def test_an_account_joins_once_and_may_leave(world: World) -> None:
    wishes = wishes_of(world)
    wish = wishes.make(DRAFT, "a")
    with pytest.raises(NotFound):
        wishes.support(wish.id, "b", wanted=True)
    wishes.act(wish.id, act(WishAction.ADMIT), AUTHORITY)
    with pytest.raises(Conflict) as own:
        wishes.support(wish.id, "a", wanted=True)
    assert own.value.code == "sharing.wish_support_own"
    assert [wishes.support(wish.id, one, wanted=True).supporters for one in ("b", "b", "c")] == [1, 1, 2]
    assert wishes.joined_by("b", [wish.id]) == {wish.id}
    assert [wishes.support(wish.id, "b", wanted=False).supporters for _ in range(2)] == [1, 1]
    # An act of a department keeps the count, and what is met cannot be joined any more.
    wishes.act(wish.id, act(WishAction.ASSIGN), AUTHORITY)
    assert wishes.act(wish.id, act(WishAction.POINT), OFFICER).supporters == 1
    with pytest.raises(Conflict) as met:
        wishes.support(wish.id, "d", wanted=True)
    assert met.value.code == "sharing.wish_met"
    assert wishes.find(words="学位", order=WishOrder.SUPPORT).rows[0].supporters == 1
    assert wishes.find(words="%").total == 0
    assert wishes.counts() == {WishState.THERE: 1}


def test_what_does_not_exist_is_refused_and_only_the_owner_withdraws(world: World) -> None:
    wishes = wishes_of(world)
    wish = wishes.make(DRAFT, "a")
    with pytest.raises(Invalid):
        wishes.act(wish.id, act(WishAction.ASSIGN, department=DepartmentCode("nobody")), AUTHORITY)
    wishes.act(wish.id, act(WishAction.ASSIGN), AUTHORITY)
    with pytest.raises(Invalid):
        wishes.act(wish.id, act(WishAction.POINT, resource_id=ResourceId("hidden")), OFFICER)
    with pytest.raises(Conflict):
        wishes.act(wish.id, WishAct(action=WishAction.WITHDRAW), AUTHORITY)
    with pytest.raises(NotFound):
        wishes.withdraw(wish.id, "b")
    assert wishes.withdraw(wish.id, "a").state is WishState.WITHDRAWN
    with pytest.raises(Conflict):
        wishes.withdraw(wish.id, "a")
    assert duties(world) == []


def duties(world: World) -> list[Duty]:
    return wish_duties(world.ledger.entries(kind=EntryKind.WISH, limit=200).rows)


def test_each_assignment_and_each_promise_is_a_duty_and_the_second_opinion_agrees(world: World) -> None:
    wishes = wishes_of(world)
    wish = wishes.make(DRAFT, "a")
    wishes.act(wish.id, act(WishAction.ASSIGN, department=POLICE), AUTHORITY)
    world.clock.advance(timedelta(days=1))
    wishes.act(wish.id, act(WishAction.HAND_BACK), person(POLICE))
    wishes.act(wish.id, act(WishAction.ASSIGN), AUTHORITY)
    world.clock.advance(timedelta(days=1))
    promised = world.clock.now().date() + timedelta(days=10)
    wishes.act(wish.id, act(WishAction.PLAN, planned_for=promised), OFFICER)
    found = duties(world)
    assert [(one.provider, one.done_at is None) for one in found] == [
        (POLICE, False), (EDUCATION, False), (EDUCATION, True),
    ]  # fmt: skip
    # A promise is kept if the data is there by the end of its day.
    assert found[-1].due_at.astimezone(CHINA).date() == promised + timedelta(days=1)
    world.clock.advance(timedelta(days=12))
    wishes.act(wish.id, act(WishAction.PUBLISH), OFFICER)
    last = duties(world)[-1]
    assert last.done_at is not None
    assert last.done_at > last.due_at

    source = Path(datong.ledger.__file__).with_name("standalone_rederiver.py")
    other = runpy.run_path(str(source))
    acts = [
        other["Entry"](place, one.kind.value, one.subject, one.at, one.actor.department, one.facts)
        for place, one in enumerate(reversed(world.ledger.entries(kind=EntryKind.WISH, limit=200).rows))
    ]
    again = [(one.subject, one.facts["provider"], one.due, one.done) for one in other["wishes"](acts)]
    assert again == [(one.subject, one.provider, one.due_at, one.done_at) for one in duties(world)]
