"""What a served city has on its demand wall, so that its pages have something to show."""

from datetime import timedelta
from functools import cache

from datong.demo.cast import EDUCATION
from datong.demo.records import Source
from datong.sharing.wishes import AskerKind, WishAct, WishAction, WishDraft, WishState
from tests.integration.console.conftest import ServedCity

FIELDS = ("线路", "站点", "时间")
TITLES = {
    WishState.RECEIVED: "公共厕所的位置和开放时间",
    WishState.ADMITTED: "公交车到站时间",
    WishState.ASSIGNED: "各小学的学位余量",
    WishState.PLANNED: "校车线路和站点",
    WishState.THERE: "街道和社区的划分",
    WishState.DECLINED: "各班学生的成绩分布",
}


def wished(console: ServedCity) -> dict[str, str]:
    """Return a wish in each of some states, by the state; the same at every call."""
    return _made(console)


@cache
def _made(console: ServedCity) -> dict[str, str]:
    city, hub = console.city, console.city.hub
    bureau, officer = city.people["authority"].actor, city.people["education.officer"].actor
    citizen = city.people["citizen"].actor.id
    opened = city.resources[Source.DIVISIONS].id
    soon = hub.clock.now().date() + timedelta(days=60)
    assign = WishAct(action=WishAction.ASSIGN, department=EDUCATION.code)
    lives: dict[WishState, tuple[WishAct, ...]] = {
        WishState.RECEIVED: (),
        WishState.ADMITTED: (WishAct(action=WishAction.ADMIT),),
        WishState.ASSIGNED: (assign,),
        WishState.PLANNED: (assign, WishAct(action=WishAction.PLAN, planned_for=soon, words="新学期开学时一并开放。")),
        WishState.THERE: (assign, WishAct(action=WishAction.POINT, resource_id=opened)),
        WishState.DECLINED: (assign, WishAct(action=WishAction.DECLINE, words="班级人数少，会暴露个别学生的成绩。")),
    }
    made: dict[str, str] = {}
    for state, acts in lives.items():
        draft = WishDraft(
            title=TITLES[state],
            purpose="做一个方便家长和居民使用的应用。",
            fields=FIELDS,
            asker=AskerKind.FIRM,
        )
        account = citizen if state in {WishState.RECEIVED, WishState.ASSIGNED} else f"account-{state}"
        wish = hub.wishes.make(draft, account)
        for act in acts:
            mine = act.action in {WishAction.ADMIT, WishAction.ASSIGN}
            hub.wishes.act(wish.id, act, bureau if mine else officer)
        made[state.value] = wish.id
    for supporter in ("account-1", "account-2"):
        hub.wishes.support(made["assigned"], supporter, wanted=True)
    return made
