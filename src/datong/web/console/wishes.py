"""The demand wall for everybody, one's own wishes, and the desk where the authority and departments answer them."""

from datetime import date
from typing import Annotated

from fastapi import Form, Query
from fastapi.responses import Response
from pydantic import ValidationError

from datong.kernel import DatongError, DepartmentCode, ResourceId, Text
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.sharing.wishes import (
    OF_THE_AUTHORITY,
    OF_THE_DEPARTMENT,
    ON_THE_WALL,
    SUPPORTED,
    TRANSITIONS,
    AskerKind,
    Wish,
    WishAct,
    WishAction,
    WishDraft,
    WishedCycle,
    WishOrder,
    WishState,
)
from datong.web.api.wishes import (
    act_on_wish,
    file_wish,
    leave_wish,
    list_own_wishes,
    readable_wish,
    support_wish,
    wish_target,
    wishes_in_scope,
    withdraw_wish,
)
from datong.web.console.desk import PAGE_ROWS, Anyone, Desk, Offset, SignedIn
from datong.web.console.problem import form_incomplete
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

Words = Annotated[str, Form(max_length=TEXT_CHARS_MAX)]
Name = Annotated[str, Form(max_length=NAME_CHARS_MAX)]
Asked = Annotated[str, Query(max_length=NAME_CHARS_MAX)]
WAITING = frozenset({WishState.RECEIVED, WishState.ADMITTED, WishState.ASSIGNED, WishState.PLANNED})
SHOWN = {
    "all": (Text(zh="全部", en="All"), ON_THE_WALL),
    "open": (
        Text(zh="等待答复", en="Awaiting an answer"),
        frozenset({WishState.ADMITTED, WishState.ASSIGNED}),
    ),
    "planned": (Text(zh="计划开放", en="Planned"), frozenset({WishState.PLANNED})),
    "met": (Text(zh="已满足", en="Met"), frozenset({WishState.THERE, WishState.PUBLISHED})),
    "declined": (Text(zh="不予开放", en="Declined"), frozenset({WishState.DECLINED})),
}
"""How the wall can be narrowed."""
OFFERED = (
    WishAction.ASSIGN,
    WishAction.ADMIT,
    WishAction.PUBLISH,
    WishAction.PLAN,
    WishAction.POINT,
    WishAction.HAND_BACK,
    WishAction.REJECT,
    WishAction.DECLINE,
)
"""Acts in the order in which they are offered: what helps first."""
DESK_SHOWN = {
    "waiting": (Text(zh="待办", en="Waiting"), WAITING),
    "all": (Text(zh="全部", en="All"), frozenset(WishState)),
}


@router.get("/open/demand")
def show_wall(desk: Anyone, offset: Offset, words: Asked = "", show: str = "all", sort: str = "") -> Response:
    """Show everybody what was asked for and what came of it."""
    shown = show if show in SHOWN else "all"
    order = WishOrder.SUPPORT if sort == WishOrder.SUPPORT else WishOrder.NEWEST
    page = desk.services.wishes.find(states=SHOWN[shown][1], words=words, order=order, offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "wishes/wall.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        words=words,
        show=shown,
        shown=SHOWN,
        sort=order,
        joined=_joined(desk, page.rows),
        may_wish=_may_wish(desk),
    )


@router.get("/open/demand/new")
def new_wish(desk: SignedIn) -> Response:
    """Show the form of a wish."""
    return _form(desk, {}, None)


@router.post("/open/demand/new")
def make_wish(
    desk: SignedIn,
    title: Name = "",
    purpose: Words = "",
    fields: Words = "",
    file_format: Annotated[str, Form(alias="format", max_length=NAME_CHARS_MAX)] = "",
    cycle: Name = WishedCycle.YEARLY,
    asker: Name = AskerKind.PERSON,
) -> Response:
    """File a wish, or show what is wrong with it."""
    given = {"title": title, "purpose": purpose, "format": file_format, "cycle": cycle, "asker": asker}
    try:
        draft = WishDraft.model_validate({**given, "fields": tuple(fields.splitlines())})
        wish = file_wish(draft, desk.caller, desk.services)
    except ValidationError:
        return _form(desk, {**given, "fields": fields}, problem_of(form_incomplete()))
    except DatongError as error:
        return _form(desk, {**given, "fields": fields}, problem_of(error))
    return desk.go(f"/open/demand/{wish.id}", done="wish")


@router.get("/open/demand/{wish_id}")
def show_wish(desk: Anyone, wish_id: str) -> Response:
    """Show one wish with its history; one that is not on the wall to its owner."""
    wish = readable_wish(desk.services, desk.principal, wish_id)
    account = None if desk.principal is None else desk.principal.actor.id
    own = account is not None and desk.services.wishes.is_own(wish.id, account)
    return desk.page(
        "wishes/wish.html",
        wish=wish,
        own=own,
        joined=_joined(desk, (wish,)),
        may_wish=_may_wish(desk),
        may_withdraw=own and (wish.state, WishAction.WITHDRAW) in TRANSITIONS,
        may_join=wish.state in SUPPORTED and not own,
        resource=_resource(desk, wish),
    )


@router.post("/open/demand/{wish_id}/support")
def join(desk: SignedIn, wish_id: str, wanted: Annotated[bool, Form()] = True) -> Response:
    """Join a wish, or leave it."""
    (support_wish if wanted else leave_wish)(wish_id, desk.caller, desk.services)
    return desk.go(f"/open/demand/{wish_id}", done="wish_joined" if wanted else "wish_left")


@router.post("/open/demand/{wish_id}/withdrawal")
def withdraw(desk: SignedIn, wish_id: str) -> Response:
    """Take back one's own wish."""
    withdraw_wish(wish_id, desk.caller, desk.services)
    return desk.go("/me/wishes", done="wish_withdrawn")


@router.get("/me/wishes")
def my_wishes(desk: SignedIn) -> Response:
    """Show the caller's own wishes, those that nobody else sees included."""
    return desk.page("wishes/mine.html", wishes=list_own_wishes(desk.caller, desk.services))


@router.get("/wishes")
def list_wishes(desk: SignedIn, offset: Offset, show: str = "waiting") -> Response:
    """List the wishes that the caller's side has to do with, the most urgent first."""
    if view := desk.opening_view():
        return desk.go(view)
    shown = show if show in DESK_SHOWN else "waiting"
    states = DESK_SHOWN[shown][1]
    scope = wishes_in_scope(desk.services, desk.caller, states, None)
    page = desk.services.wishes.find(
        states=states, department=scope, order=WishOrder.DUE, offset=offset, limit=PAGE_ROWS
    )
    counts = desk.services.wishes.counts() if scope is None else {}
    return desk.page(
        "wishes/list.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=shown,
        shown=DESK_SHOWN,
        scope=scope,
        counts={state: counts[state] for state in WishState if state in counts},
    )


@router.get("/wishes/{wish_id}")
def show_at_desk(desk: SignedIn, wish_id: str) -> Response:
    """Show one wish with what the caller can do about it."""
    return _at_desk(desk, wish_id, {}, None)


@router.post("/wishes/{wish_id}/actions")
def act(
    desk: SignedIn,
    wish_id: str,
    action: Annotated[WishAction, Form()],
    words: Words = "",
    department: Name = "",
    resource_id: Name = "",
    planned_for: Name = "",
) -> Response:
    """Admit, assign or answer a wish, or show what is wrong."""
    given = {"words": words, "department": department, "resource_id": resource_id, "planned_for": planned_for}
    try:
        body = WishAct(
            action=action,
            words=words,
            department=DepartmentCode(department) if department else None,
            resource_id=ResourceId(_id_in(resource_id)) if resource_id else None,
            planned_for=date.fromisoformat(planned_for) if planned_for else None,
        )
        act_on_wish(wish_id, body, desk.caller, desk.services)
    except ValueError:
        return _at_desk(desk, wish_id, given, problem_of(form_incomplete()))
    except DatongError as error:
        return _at_desk(desk, wish_id, given, problem_of(error))
    return desk.go(f"/wishes/{wish_id}", done="wish_acted")


def _at_desk(desk: Desk, wish_id: str, given: dict[str, str], found: Problem | None) -> Response:
    wish = desk.services.wishes.get(wish_id)
    desk.require(Action.WISH_READ, wish_target(wish))
    allowed = {
        *(OF_THE_AUTHORITY if desk.may(Action.WISH_ASSIGN, wish_target(wish)) else ()),
        *(OF_THE_DEPARTMENT if desk.may(Action.WISH_ANSWER, wish_target(wish)) else ()),
    }
    return desk.page(
        "wishes/desk.html",
        status=200 if found is None else found.status,
        wish=wish,
        found=found,
        given=given,
        actions=[one for one in OFFERED if one in allowed and (wish.state, one) in TRANSITIONS],
        all_departments=tuple(desk.departments.values()),
        resource=_resource(desk, wish),
        open_here=desk.services.open_catalogue.find(text=wish.draft.title, limit=5).rows,
    )


def _form(desk: Desk, given: dict[str, str], found: Problem | None) -> Response:
    person = desk.caller.actor.id
    desk.require(Action.WISH_OWN, Target(id=person, person=person))
    return desk.page(
        "wishes/new.html",
        status=200 if found is None else found.status,
        found=found,
        given=given,
        cycles=tuple(WishedCycle),
        askers=tuple(AskerKind),
    )


def _may_wish(desk: Desk) -> bool:
    person = None if desk.principal is None else desk.principal.actor.id
    return person is not None and desk.may(Action.WISH_OWN, Target(id=person, person=person))


def _joined(desk: Desk, wishes: tuple[Wish, ...] | list[Wish]) -> frozenset[str]:
    if desk.principal is None or not wishes:
        return frozenset()
    return desk.services.wishes.joined_by(desk.principal.actor.id, [wish.id for wish in wishes])


def _resource(desk: Desk, wish: Wish) -> Text | None:
    """Return the title of the open resource in which the data is, while it is open."""
    if wish.resource_id is None:
        return None
    try:
        return desk.services.open_catalogue.get(wish.resource_id).content.title
    except DatongError:
        return None


def _id_in(given: str) -> str:
    """Return the id of a resource out of its address, or the id itself."""
    return given.strip().rstrip("/").rpartition("/")[2]
