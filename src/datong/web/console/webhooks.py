"""Subscriptions of applications: which are told of what, what did not arrive, and the clicks that mend it."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import DatongError, NotFound, Text, Value
from datong.sharing import Action, DeliveryState, SubscriptionStanding, SubscriptionState
from datong.web.api.scope import department_in_scope
from datong.web.api.webhooks import WebhookAct, WebhookAction, act_on_webhook, readable_webhook, webhook_target
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

TONES = {"active": "good", "paused": "warn", "due": "info", "delivered": "good", "dead": "bad"}
DONE = {
    WebhookAction.PAUSE: "webhook_paused",
    WebhookAction.RESUME: "webhook_resumed",
    WebhookAction.TEST: "webhook_tried",
    WebhookAction.SEND_AGAIN: "webhook_again",
    WebhookAction.END: "webhook_ended",
}


class WebhookLine(Value):
    """A subscription in the list, with what people call its application and its resource."""

    standing: SubscriptionStanding
    application: str
    resource: Text
    host: str
    registered: bool
    """Whether the application has a page of its own."""


@router.get("/webhooks")
def list_webhooks(desk: SignedIn, offset: Offset, show: str = "") -> Response:
    """List the subscriptions that the caller may read: all, those that fail, or those that are paused."""
    scope = department_in_scope(desk.services, desk.caller, Action.APPLICATION_READ)
    state = SubscriptionState(show) if show in set(SubscriptionState) else None
    found = desk.services.webhook_desk.find(
        department=scope, state=state, dead=show == "dead", offset=offset, limit=PAGE_ROWS
    )
    return desk.page(
        "webhooks/list.html",
        page=found,
        lines=[_line(desk, one) for one in found.rows],
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        states=tuple(SubscriptionState),
        dead=desk.services.webhook_desk.dead(scope),
        tones=TONES,
    )


@router.get("/webhooks/{subscription_id}")
def show_webhook(desk: SignedIn, offset: Offset, subscription_id: str, state: str = "") -> Response:
    """Show one subscription with its deliveries."""
    return _page(desk, subscription_id, offset, state)


@router.post("/webhooks/{subscription_id}/actions")
def act(desk: SignedIn, subscription_id: str, action: Annotated[WebhookAction, Form()]) -> Response:
    """Pause, go on, try the address, send again what is dead, or end."""
    try:
        act_on_webhook(subscription_id, WebhookAct(action=action), desk.caller, desk.services)
    except NotFound:
        raise
    except DatongError as error:
        return _page(desk, subscription_id, 0, "", error)
    return desk.go(f"/webhooks/{subscription_id}", done=DONE[action])


def _line(desk: Desk, standing: SubscriptionStanding) -> WebhookLine:
    one = standing.subscription
    return WebhookLine(
        standing=standing,
        application=desk.services.identity.application(one.client_id).name,
        resource=desk.resource_title(one.resource_id),
        host=urlsplit(one.url).hostname or "",
        registered=desk.services.registrations.is_registered(one.client_id),
    )


def _page(desk: Desk, subscription_id: str, offset: int, state: str, wrong: DatongError | None = None) -> Response:
    standing = readable_webhook(desk.services, desk.caller, subscription_id)
    chosen = DeliveryState(state) if state in set(DeliveryState) else None
    found = None if wrong is None else problem_of(wrong)
    return desk.page(
        "webhooks/webhook.html",
        status=200 if found is None else found.status,
        found=found,
        line=_line(desk, standing),
        standing=standing,
        one=standing.subscription,
        page=desk.services.webhook_desk.deliveries(subscription_id, state=chosen, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        state=state,
        states=tuple(DeliveryState),
        may_act=standing.subscription.state is not SubscriptionState.ENDED
        and desk.may(Action.APPLICATION_CREATE, webhook_target(standing)),
        entries=desk.services.ledger.newest(subject=subscription_id, limit=8),
        tones=TONES,
    )
