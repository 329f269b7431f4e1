"""Substitutes while somebody is away: appointing, answering, withdrawing, and acting for somebody."""

from datetime import date

from fastapi import Request
from pydantic import Field

from datong.kernel import DepartmentCode, Page, PersonId, Refused, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, Colleague, Delegation, DelegationAction, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope, own_department
from datong.web.api.sessions import Me, me
from datong.web.authentication import Caller, Hub, session_token
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="delegations")


class NewDelegation(Value):
    """A substitute for some days, both inclusive, in China time; `delegator` is named by the head who appoints."""

    substitute: PersonId = Field(min_length=1, max_length=64)
    first_day: date
    last_day: date
    delegator: PersonId | None = Field(None, min_length=1, max_length=64)
    reason: str = Field("", max_length=NAME_CHARS_MAX)


class DelegationStep(Value):
    """What is done with a delegation."""

    action: DelegationAction


class ActAs(Value):
    """The delegation by which the session acts from now on; null: in one's own name."""

    delegation_id: str | None = Field(max_length=64)


@router.get("/delegations")
def list_delegations(caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT) -> Page[Delegation]:
    """Return the delegations that the caller gave or was given, those that begin last first."""
    return hub.delegations.find(person=own_delegations(caller, hub), offset=offset, limit=limit)


@router.post("/delegations", status_code=201)
def appoint_substitute(body: NewDelegation, caller: Caller, hub: Hub) -> Delegation:
    """Appoint a substitute: one's own, who has to accept; or, as head of the department, somebody else's at once."""
    own_delegations(caller, hub)
    return hub.delegations.appoint(
        substitute=body.substitute,
        first_day=body.first_day,
        last_day=body.last_day,
        delegator=body.delegator,
        reason=body.reason,
        actor=caller.actor,
    )


@router.get("/delegations/all")
def list_all_delegations(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Delegation]:
    """Return the delegations of a department or of all, for its head and for those who oversee."""
    scope = department_in_scope(hub, caller, Action.DELEGATION_READ, department)
    return hub.delegations.find(department=scope, offset=offset, limit=limit)


@router.get("/delegations/colleagues")
def list_colleagues(caller: Caller, hub: Hub) -> tuple[Colleague, ...]:
    """Return the people of the caller's department."""
    own_delegations(caller, hub)
    return hub.delegations.colleagues(own_department(caller))


@router.post("/delegations/{delegation_id}/actions")
def act_on_delegation(delegation_id: str, body: DelegationStep, caller: Caller, hub: Hub) -> Delegation:
    """Accept or decline as the substitute; withdraw as one of the two or as the head: it ends at once."""
    own_delegations(caller, hub)
    return hub.delegations.act(delegation_id, body.action, caller.actor)


@router.put("/session/acting")
def act_for(body: ActAs, caller: Caller, request: Request, hub: Hub) -> Me:
    """Act by a delegation in this session from now on, with that person's roles; or in one's own name again."""
    own_delegations(caller, hub)
    token = session_token(request)
    if token is None:
        raise Refused(
            "web.no_session",
            what=Text(zh="只有登录会话可以代他人办理。", en="Only a person's session acts for somebody."),
            remedy=Text(zh="请先登录。", en="Sign in first."),
        )
    hub.delegations.act_for(token, caller, body.delegation_id)
    return me(hub.identity.session(token))


def own_delegations(caller: Principal, hub: Services) -> PersonId:
    """Return the caller's account if it may have delegations.

    Raises:
        Refused: machines and citizens have none.
    """
    person = PersonId(caller.actor.id)
    hub.policy.require(caller, Action.DELEGATION_OWN, Target(person=person))
    return person
