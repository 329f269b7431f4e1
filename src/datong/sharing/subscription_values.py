"""Subscriptions and their deliveries as values and as rows, and the entry that each act on a subscription leaves."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, update

from datong.kernel import (
    AccessId,
    Actor,
    Conflict,
    DepartmentCode,
    EntryId,
    JsonValue,
    NotFound,
    ResourceId,
    Text,
    Value,
)
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.evidence import instant, text_digest
from datong.sharing.webhooks import OVERLAP_SECONDS, secret_of

_CONTENT = {"purpose", "url", "generation", "renewed_at", "ended_because", "tried"}


class SubscriptionState(StrEnum):
    """Whether a subscription is told of new versions; what was published while it paused is told when it goes on."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _SUBSCRIPTION_STATES[self]


class DeliveryState(StrEnum):
    """Where a delivery stands: `dead` after the last attempt, or when nothing may be told any more."""

    DUE = "due"
    DELIVERED = "delivered"
    DEAD = "dead"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _DELIVERY_STATES[self]


_SUBSCRIPTION_STATES = {
    SubscriptionState.ACTIVE: Text(zh="在用", en="in use"),
    SubscriptionState.PAUSED: Text(zh="已暂停", en="paused"),
    SubscriptionState.ENDED: Text(zh="已结束", en="ended"),
}
_DELIVERY_STATES = {
    DeliveryState.DUE: Text(zh="待送达", en="to be sent"),
    DeliveryState.DELIVERED: Text(zh="已送达", en="delivered"),
    DeliveryState.DEAD: Text(zh="未送达", en="dead"),
}


class TriedCall(Value):
    """A message sent to try an address: when, what it answered (None: nobody did, `detail` says why), how fast."""

    at: datetime
    status: int | None
    milliseconds: int
    detail: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the address took it."""
        return self.status is not None and 200 <= self.status < 300


class WebhookSubscription(Value):
    """Where an application wants to be told of a resource's new versions, and for which service item it uses it."""

    id: str
    client_id: str
    department: DepartmentCode
    resource_id: ResourceId
    purpose: str
    url: str
    state: SubscriptionState
    version: int
    created_at: datetime
    generation: int = 1
    renewed_at: datetime | None = None
    ended_because: str = ""
    tried: TriedCall | None = None
    """The newest test call."""


class WebhookSecret(Value):
    """A subscription with the secret that its messages are signed with."""

    subscription: WebhookSubscription
    secret: str


class WebhookDelivery(Value):
    """What became of telling a subscription of a version; `status` is the last HTTP status, `access_id` its record."""

    id: str
    subscription_id: str
    version: int
    state: DeliveryState
    attempts: int
    due_at: datetime
    status: int | None
    detail: str
    access_id: AccessId | None
    entry_id: EntryId | None
    settled_at: datetime | None


def row_of(one: WebhookSubscription) -> dict[str, object]:
    """Return a subscription as a row of its table."""
    return {
        "id": one.id,
        "client_id": one.client_id,
        "department": one.department,
        "resource_id": one.resource_id,
        "state": one.state.value,
        "version": one.version,
        "created_at": one.created_at,
        "content": one.model_dump(mode="json", include=_CONTENT),
    }


def subscription_of(row: tables.Row) -> WebhookSubscription:
    """Return the subscription of a row."""
    columns = {key: row[key] for key in row if key != "content"}
    return WebhookSubscription.model_validate({**columns, **row["content"]})


def delivery_of(row: tables.Row) -> WebhookDelivery:
    """Return the delivery of a row."""
    return WebhookDelivery.model_validate({key: row[key] for key in row if key != "content_sha256"})


def keep(connection: Connection, one: WebhookSubscription) -> None:
    """Write what may change of a subscription but the version it has come to."""
    values = {name: value for name, value in row_of(one).items() if name in ("state", "content")}
    table = tables.subscription
    connection.execute(update(table).where(table.c.id == one.id).values(values))


def secrets_of(secret: bytes, one: WebhookSubscription, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign now: the newest, and for a day the one before; `secret` is the hub's own."""
    generations = [one.generation]
    if one.renewed_at is not None and now < one.renewed_at + timedelta(seconds=OVERLAP_SECONDS):
        generations.append(one.generation - 1)
    return tuple(secret_of(secret, one.id, generation) for generation in generations)


def record_act(
    ledger: Ledger,
    connection: Connection,
    one: WebhookSubscription,
    step: str,
    actor: Actor,
    more: Mapping[str, JsonValue] | None = None,
) -> None:
    """Put an act on a subscription on record; its address by its digest only."""
    ledger.append(
        connection,
        kind=EntryKind.SUBSCRIPTION,
        subject=one.id,
        actor=actor,
        facts={
            "subscription_id": one.id,
            "application_id": one.client_id,
            "consumer": one.department,
            "resource_id": one.resource_id,
            "service_item": one.purpose,
            "step": step,
            "url_sha256": text_digest(one.url),
            "created_at": instant(one.created_at),
            **(more or {}),
        },
    )


def subscription_unknown() -> NotFound:
    """Return the error of a subscription that is none, or not the caller's."""
    return NotFound(
        "sharing.subscription_unknown",
        what=Text(zh="本应用没有这个订阅。", en="This application has no such subscription."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )


def subscription_ended() -> Conflict:
    """Return the error of an act on a subscription that has ended."""
    return Conflict(
        "sharing.subscription_ended",
        what=Text(zh="该订阅已结束。", en="The subscription has ended."),
        remedy=Text(zh="如仍需要，请重新订阅。", en="Subscribe again if you need it."),
    )
