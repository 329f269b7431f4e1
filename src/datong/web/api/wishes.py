"""The demand wall: what people and firms wish to be opened, who answers, and what came of it."""

from collections.abc import Collection
from typing import Annotated

from fastapi import Query

from datong.kernel import DepartmentCode, Page, Text, Unauthenticated
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, Principal, Target
from datong.sharing.wishes import (
    OF_THE_AUTHORITY,
    ON_THE_WALL,
    Wish,
    WishAct,
    WishDraft,
    WishOrder,
    WishState,
)
from datong.web.api.consents import own_target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub, Visitor
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="demand wall")

States = Annotated[list[WishState] | None, Query(max_length=len(WishState))]
Words = Annotated[str, Query(max_length=NAME_CHARS_MAX)]


@router.get("/wishes")
def list_wishes(
    visitor: Visitor,
    hub: Hub,
    state: States = None,
    department: DepartmentCode | None = None,
    words: Words = "",
    order: WishOrder = WishOrder.NEWEST,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Wish]:
    """Return the wishes on the wall; in other states, too, for those who may read them."""
    states = ON_THE_WALL if state is None else frozenset(state)
    scope = wishes_in_scope(hub, visitor, states, department)
    return hub.wishes.find(states=states, department=scope, words=words, order=order, offset=offset, limit=limit)


@router.get("/wishes/{wish_id}")
def read_wish(wish_id: str, visitor: Visitor, hub: Hub) -> Wish:
    """Return one wish with its history; one that is not on the wall only to those who may read it."""
    return readable_wish(hub, visitor, wish_id)


@router.get("/me/wishes")
def list_own_wishes(caller: Caller, hub: Hub) -> tuple[Wish, ...]:
    """Return the caller's wishes, newest first."""
    hub.policy.require(caller, Action.WISH_OWN, own_target(caller.actor.id))
    return hub.wishes.of_account(caller.actor.id)


@router.post("/wishes", status_code=201)
def file_wish(body: WishDraft, caller: Caller, hub: Hub) -> Wish:
    """File a wish; the authority reads it before it stands on the wall."""
    hub.policy.require(caller, Action.WISH_OWN, own_target(caller.actor.id))
    return hub.wishes.make(body, caller.actor.id)


@router.post("/wishes/{wish_id}/withdrawal", status_code=201)
def withdraw_wish(wish_id: str, caller: Caller, hub: Hub) -> Wish:
    """Take back one's own wish, as long as nobody answered it."""
    hub.policy.require(caller, Action.WISH_OWN, own_target(caller.actor.id))
    return hub.wishes.withdraw(wish_id, caller.actor.id)


@router.put("/wishes/{wish_id}/support")
def support_wish(wish_id: str, caller: Caller, hub: Hub) -> Wish:
    """Join a wish; joining twice counts once."""
    hub.policy.require(caller, Action.WISH_OWN, own_target(caller.actor.id))
    return hub.wishes.support(wish_id, caller.actor.id, wanted=True)


@router.delete("/wishes/{wish_id}/support")
def leave_wish(wish_id: str, caller: Caller, hub: Hub) -> Wish:
    """Take one's support back."""
    hub.policy.require(caller, Action.WISH_OWN, own_target(caller.actor.id))
    return hub.wishes.support(wish_id, caller.actor.id, wanted=False)


@router.post("/wishes/{wish_id}/actions", status_code=201)
def act_on_wish(wish_id: str, body: WishAct, caller: Caller, hub: Hub) -> Wish:
    """Admit, assign, answer: in the name of the authority, or of the department that must answer."""
    wish = hub.wishes.get(wish_id)
    action = Action.WISH_ASSIGN if body.action in OF_THE_AUTHORITY else Action.WISH_ANSWER
    hub.policy.require(caller, action, wish_target(wish))
    return hub.wishes.act(wish_id, body, caller.actor)


def wish_target(wish: Wish) -> Target:
    """Return a wish as a target; the department that must answer answers for it."""
    return Target(id=wish.id, department=wish.department)


def wishes_in_scope(
    hub: Services, caller: Principal | None, states: Collection[WishState], wanted: DepartmentCode | None
) -> DepartmentCode | None:
    """Return the department to which a list in these states is narrowed; None: all of it may be seen.

    Raises:
        Unauthenticated, Refused: what is not on the wall is for the authority, auditors and the department concerned.
    """
    if ON_THE_WALL.issuperset(states):
        return wanted
    if caller is None:
        raise Unauthenticated(
            "web.wishes_not_public",
            what=Text(zh="尚未公示的需求不对外公开。", en="Wishes that were not admitted are not public."),
            remedy=Text(zh="请登录，或只查询已公示的状态。", en="Sign in, or ask for states on the wall only."),
        )
    return department_in_scope(hub, caller, Action.WISH_READ, wanted)


def readable_wish(hub: Services, caller: Principal | None, wish_id: str) -> Wish:
    """Return a wish that the caller, or everybody, may read.

    Raises:
        NotFound: there is none, or it is not on the wall and the caller may not know of it.
    """
    wish = hub.wishes.get(wish_id)
    if wish.is_public or caller is None:
        return hub.wishes.on_the_wall(wish_id)
    if hub.policy.authorise(caller, Action.WISH_READ, wish_target(wish)).allowed:
        return wish
    return wish if hub.wishes.is_own(wish_id, caller.actor.id) else hub.wishes.on_the_wall(wish_id)
