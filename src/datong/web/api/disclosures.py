"""Orders by which uses are told to the people concerned later, with their legal grounds."""

from datong.kernel import Page
from datong.sharing import Action, DisclosureHold, HoldOrder
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/disclosure-holds", tag="citizen")


@router.get("")
def list_holds(caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT) -> Page[DisclosureHold]:
    """Return the orders, newest first."""
    hub.policy.require(caller, Action.DISCLOSURE_READ)
    return hub.disclosure_holds.find(offset=offset, limit=limit)


@router.post("", status_code=201)
def order_hold(body: HoldOrder, caller: Caller, hub: Hub) -> DisclosureHold:
    """Order that uses under an agreement, or for one case, are told later."""
    hub.policy.require(caller, Action.DISCLOSURE_HOLD)
    return hub.disclosure_holds.order(body, caller.actor)


@router.post("/{hold_id}/end", status_code=201)
def end_hold(hold_id: str, caller: Caller, hub: Hub) -> DisclosureHold:
    """End an order early: what it held back is told from now on."""
    hub.policy.require(caller, Action.DISCLOSURE_HOLD)
    return hub.disclosure_holds.end(hold_id, caller.actor)
