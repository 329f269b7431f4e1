"""Substitutes: who stands in for me, for whom I stand in, and, for the head, who is away in the department."""

from datetime import date
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import CHINA, DatongError, Invalid, PersonId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, Delegation, DelegationAction, Target
from datong.web.api.delegations import own_delegations
from datong.web.authentication import session_token
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

SHOWN = 50
Short = Annotated[str, Form(max_length=64)]


class Line(Value):
    """A delegation, whether it is in force or over, and what the caller can do with it."""

    delegation: Delegation
    in_force: bool
    over: bool
    actions: tuple[DelegationAction, ...]


@router.get("/account/substitutes")
def show_substitutes(desk: SignedIn) -> Response:
    """Show the caller's delegations, and those of the department to its head."""
    return _page(desk, None)


@router.post("/account/substitutes")
def appoint(
    desk: SignedIn,
    substitute: Short = "",
    first_day: Short = "",
    last_day: Short = "",
    delegator: Short = "",
    reason: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Appoint a substitute."""
    own_delegations(desk.caller, desk.services)
    try:
        made = desk.services.delegations.appoint(
            substitute=PersonId(substitute),
            first_day=_day(first_day, "first_day"),
            last_day=_day(last_day, "last_day"),
            delegator=PersonId(delegator) if delegator else None,
            reason=reason,
            actor=desk.caller.actor,
        )
    except DatongError as error:
        return _page(desk, error)
    own = made.delegator == desk.caller.actor.id
    return desk.go("/account/substitutes", done="substitute_proposed" if own else "substitute_appointed")


@router.post("/account/substitutes/{delegation_id}/{action}")
def act(desk: SignedIn, delegation_id: str, action: DelegationAction) -> Response:
    """Accept, decline or withdraw."""
    own_delegations(desk.caller, desk.services)
    try:
        desk.services.delegations.act(delegation_id, action, desk.caller.actor)
    except DatongError as error:
        return _page(desk, error)
    return desk.go("/account/substitutes", done=f"substitute_{action.value}")


@router.post("/account/acting")
def act_for(desk: SignedIn, delegation_id: Short = "") -> Response:
    """Act for somebody from now on, or in one's own name again, and begin at the workbench."""
    own_delegations(desk.caller, desk.services)
    try:
        desk.services.delegations.act_for(session_token(desk.request) or "", desk.caller, delegation_id or None)
    except DatongError as error:
        return _page(desk, error)
    return desk.go("/")


def _page(desk: Desk, wrong: DatongError | None) -> Response:
    caller, delegations = desk.caller, desk.services.delegations
    person = own_delegations(caller, desk.services)
    found = None if wrong is None else problem_of(wrong)
    department = caller.department
    heads = (
        department is not None
        and caller.acting_for is None
        and desk.may(Action.DELEGATION_READ, Target.of_department(department))
    )
    own = delegations.find(person=person, limit=SHOWN).rows
    others = delegations.find(department=department, limit=SHOWN).rows if heads else ()
    colleagues = () if department is None else delegations.colleagues(department)
    return desk.page(
        "account/substitutes.html",
        status=200 if found is None else found.status,
        found=found,
        given=_lines(desk, [one for one in own if one.delegator == person]),
        received=_lines(desk, [one for one in own if one.substitute == person]),
        others=_lines(desk, [one for one in others if person not in (one.delegator, one.substitute)]),
        heads=heads,
        colleagues=[one for one in colleagues if one.id != person],
        today=desk.now.astimezone(CHINA).date().isoformat(),
    )


def _lines(desk: Desk, found: list[Delegation]) -> list[Line]:
    return [
        Line(
            delegation=one,
            in_force=one.in_force(desk.now),
            over=one.is_over(desk.now),
            actions=desk.services.delegations.possible(one, desk.caller.actor),
        )
        for one in found
    ]


def _day(value: str, field: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise Invalid(
            "web.day_invalid",
            what=Text(zh="日期不正确。", en="That is no day."),
            remedy=Text(zh="请按 2026-12-01 的格式填写。", en="Write it as 2026-12-01."),
            field=f"/{field}",
        ) from error
