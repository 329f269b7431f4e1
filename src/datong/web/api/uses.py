"""A citizen's own page: who used my record, for what, and the proof of it; `findUsage` for programs."""

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from datong.kernel import AccessId, Refused, Text
from datong.sharing import Action, Principal, Target, UsagePage, Use
from datong.web.api.scope import Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/me", tag="citizen")

USAGE_LIMIT_DEFAULT = 50
USES_SHOWN_MAX = 200
Moment = Annotated[AwareDatetime | None, Query()]


@router.get("/uses")
def list_uses(caller: Caller, hub: Hub) -> tuple[Use, ...]:
    """Return the uses of the caller's record that may be told now, newest first."""
    hub.policy.require(caller, Action.USES_READ, Target(id=caller.actor.id))
    return tuple(one.use for one in hub.own_uses.of(own_subject(caller))[:USES_SHOWN_MAX])


@router.get("/findUsage")
def find_usage(
    caller: Caller,
    hub: Hub,
    offset: Offset = 0,
    limit: Limit = USAGE_LIMIT_DEFAULT,
    since: Moment = None,
    until: Moment = None,
) -> UsagePage:
    """Return a page of uses of the caller's record, in the shape of the `findUsage` of Estonia's Data Tracker."""
    hub.policy.require(caller, Action.USES_READ, Target(id=caller.actor.id))
    return hub.own_uses.find_usage(own_subject(caller), offset=offset, limit=limit, since=since, until=until)


@router.get("/uses/{access_id}/proof")
def use_proof(access_id: AccessId, caller: Caller, hub: Hub) -> dict[str, object]:
    """Return a bundle that proves one use offline, with the openings of its commitments."""
    hub.policy.require(caller, Action.USES_READ, Target(id=caller.actor.id))
    return hub.own_uses.proof(access_id, own_subject(caller))


def own_subject(caller: Principal) -> str:
    """Return the citizen ID to which the caller's account is bound.

    Raises:
        Refused: it is bound to none.
    """
    if caller.subject_id is None:
        raise Refused(
            "web.no_subject",
            what=Text(zh="该账号没有关联公民身份号码。", en="This account is bound to no citizen ID."),
            remedy=Text(zh="请用本人的自然人账号登录。", en="Sign in with your own citizen account."),
        )
    return caller.subject_id
