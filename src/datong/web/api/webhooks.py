"""Applications' subscriptions for the people who answer for them: how they stand, pausing, trying, sending again."""

from enum import StrEnum

from datong.kernel import DepartmentCode, Page, Value
from datong.sharing import (
    Action,
    DeliveryState,
    Principal,
    SubscriptionStanding,
    SubscriptionState,
    Target,
    WebhookDelivery,
)
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/webhooks", tag="applications")


class WebhookAction(StrEnum):
    """What people can do about a subscription."""

    PAUSE = "pause"
    RESUME = "resume"
    TEST = "test"
    SEND_AGAIN = "send_again"
    END = "end"


class WebhookAct(Value):
    """An act on a subscription."""

    action: WebhookAction


@router.get("")
def list_webhooks(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    client_id: str | None = None,
    state: SubscriptionState | None = None,
    dead: bool = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[SubscriptionStanding]:
    """Return subscriptions, newest first: all of them, or those of the caller's department; `dead`: that fail."""
    scope = department_in_scope(hub, caller, Action.APPLICATION_READ, department)
    return hub.webhook_desk.find(
        department=scope, client_id=client_id, state=state, dead=dead, offset=offset, limit=limit
    )


@router.get("/{subscription_id}")
def read_webhook_standing(subscription_id: str, caller: Caller, hub: Hub) -> SubscriptionStanding:
    """Return one subscription and how its deliveries stand."""
    return readable_webhook(hub, caller, subscription_id)


@router.get("/{subscription_id}/deliveries")
def list_webhook_deliveries(
    subscription_id: str,
    caller: Caller,
    hub: Hub,
    state: DeliveryState | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[WebhookDelivery]:
    """Return what became of telling a subscription, newest version first."""
    readable_webhook(hub, caller, subscription_id)
    return hub.webhook_desk.deliveries(subscription_id, state=state, offset=offset, limit=limit)


@router.post("/{subscription_id}/actions")
def act_on_webhook(subscription_id: str, body: WebhookAct, caller: Caller, hub: Hub) -> SubscriptionStanding:
    """Pause, go on, try the address, send again what is dead, or end."""
    desk = hub.webhook_desk
    hub.policy.require(caller, Action.APPLICATION_CREATE, webhook_target(desk.get(subscription_id)))
    acts = {
        WebhookAction.PAUSE: desk.pause,
        WebhookAction.RESUME: desk.resume,
        WebhookAction.TEST: desk.test,
        WebhookAction.SEND_AGAIN: desk.send_again,
        WebhookAction.END: desk.end,
    }
    acts[body.action](subscription_id, caller.actor)
    return desk.get(subscription_id)


def readable_webhook(hub: Services, caller: Principal, subscription_id: str) -> SubscriptionStanding:
    """Return a subscription that `caller` may read.

    Raises:
        NotFound: there is none. Refused: it is another department's.
    """
    standing = hub.webhook_desk.get(subscription_id)
    hub.policy.require(caller, Action.APPLICATION_READ, webhook_target(standing))
    return standing


def webhook_target(standing: SubscriptionStanding) -> Target:
    """Return a subscription as a target: its application's department answers for it."""
    one = standing.subscription
    return Target.of_department(one.department, name=one.client_id)
