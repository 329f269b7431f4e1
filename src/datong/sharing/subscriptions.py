"""Subscriptions: applications are told by webhook that a resource they have an agreement about has a new version.

A delivery is a row: made once per subscription and version, in the transaction that moves the subscription on; claimed
by one worker for a time, so that a worker that is killed leaves it to the next one; settled when the subscriber has
answered. Its id is the message's id and stays the same over all attempts: whoever gets a message twice can tell.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from datong.kernel import (
    AccessId,
    Actor,
    ActorKind,
    Clock,
    Conflict,
    Database,
    DatongError,
    EntryId,
    NotFound,
    Refused,
    ResourceId,
    Text,
    new_id,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.sharing import tables
from datong.sharing.events import ResourceEvents
from datong.sharing.machines import Machines
from datong.sharing.principals import Principal
from datong.sharing.subscription_values import (
    DeliveryState,
    SubscriptionState,
    WebhookDelivery,
    WebhookSecret,
    WebhookSubscription,
    delivery_of,
    keep,
    record_act,
    row_of,
    secrets_of,
    subscription_ended,
    subscription_of,
    subscription_unknown,
)
from datong.sharing.webhooks import GONE, WebhookSender, next_attempt, secret_of, signed_headers

SUBSCRIPTIONS_MAX = 100
"""Active subscriptions of one application."""
LEASE_SECONDS = 60
"""How long a worker has a delivery to itself; one attempt takes less."""
DELIVERIES_AT_ONCE = 20
SUBSCRIPTIONS_AT_ONCE = 500
_ENDED_BY_SUBSCRIBER = "the subscriber answered 410"


class _Claimed(NamedTuple):
    delivery: WebhookDelivery
    content_sha256: str
    subscription: WebhookSubscription

    @property
    def recorded(self) -> tuple[AccessId, EntryId, str] | None:
        """The record of an earlier attempt."""
        one = self.delivery
        if one.access_id is None or one.entry_id is None:
            return None
        return one.access_id, one.entry_id, self.content_sha256


class Subscriptions:
    """The subscriptions of all applications; `secret` is the hub's own, of which theirs are made."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        machines: Machines,
        events: ResourceEvents,
        sender: WebhookSender,
        secret: bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._machines = machines
        self._events = events
        self._sender = sender
        self._secret = secret

    def create(self, caller: Principal, resource_id: ResourceId, *, purpose: str, url: str) -> WebhookSecret:
        """Subscribe the calling application, from the version after the newest one on.

        Raises:
            Refused: the caller is no application, may not read the resource in bulk, or the address is forbidden.
            NotFound: no agreement is about the resource, or no version of it was published yet.
            Invalid: the address is none. Conflict: the application has as many subscriptions as it may.
        """
        if caller.actor.kind is not ActorKind.APPLICATION or caller.department is None:
            raise _applications_only()
        version = self._events.newest(caller, resource_id, purpose)
        self._sender.check(url)
        now = self._clock.now()
        made = WebhookSubscription(
            id=new_id(),
            client_id=caller.actor.id,
            department=caller.department,
            resource_id=resource_id,
            purpose=purpose,
            url=url,
            state=SubscriptionState.ACTIVE,
            version=version,
            created_at=now,
        )
        with self._database.transaction() as connection:
            table = tables.subscription
            active = select(table.c.id).where(
                table.c.client_id == caller.actor.id, table.c.state != SubscriptionState.ENDED.value
            )
            if len(connection.execute(active.limit(SUBSCRIPTIONS_MAX)).all()) >= SUBSCRIPTIONS_MAX:
                raise _too_many()
            connection.execute(insert(table).values(row_of(made)))
            record_act(self._ledger, connection, made, "create", caller.actor)
        return WebhookSecret(subscription=made, secret=secret_of(self._secret, made.id, made.generation))

    def of(self, caller: Principal, resource_id: ResourceId | None = None) -> tuple[WebhookSubscription, ...]:
        """Return the calling application's subscriptions, newest first, those that ended included."""
        table = tables.subscription
        query = select(table).where(table.c.client_id == caller.actor.id)
        if resource_id is not None:
            query = query.where(table.c.resource_id == resource_id)
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(PAGE_ROWS_MAX)
        with self._database.snapshot() as connection:
            return tuple(subscription_of(row) for row in connection.execute(query).mappings())

    def get(self, caller: Principal, subscription_id: str) -> WebhookSubscription:
        """Return one of the calling application's subscriptions.

        Raises:
            NotFound: it has none with that id.
        """
        with self._database.snapshot() as connection:
            return self._own(connection, caller, subscription_id)

    def end(self, caller: Principal, subscription_id: str) -> WebhookSubscription:
        """End a subscription; what is due is not sent any more.

        Raises:
            NotFound: there is none. Conflict: it has ended.
        """
        with self._database.transaction() as connection:
            one = self._active(connection, caller, subscription_id)
            return self._ended(connection, one, "", caller.actor)

    def renew_secret(self, caller: Principal, subscription_id: str) -> WebhookSecret:
        """Make a new secret; the one before signs as well for a day.

        Raises:
            NotFound: there is none. Conflict: it has ended.
        """
        with self._database.transaction() as connection:
            one = self._active(connection, caller, subscription_id)
            change = {"generation": one.generation + 1, "renewed_at": self._clock.now()}
            renewed = one.model_copy(update=change)
            keep(connection, renewed)
            record_act(self._ledger, connection, renewed, "renew_secret", caller.actor)
        return WebhookSecret(subscription=renewed, secret=secret_of(self._secret, renewed.id, renewed.generation))

    def deliveries(
        self, caller: Principal, subscription_id: str, state: DeliveryState | None = None
    ) -> tuple[WebhookDelivery, ...]:
        """Return what became of telling a subscription, newest version first.

        Raises:
            NotFound: there is none with that id.
        """
        table = tables.delivery
        query = select(table).where(table.c.subscription_id == subscription_id)
        if state is not None:
            query = query.where(table.c.state == state.value)
        query = query.order_by(table.c.version.desc(), table.c.id.desc()).limit(PAGE_ROWS_MAX)
        with self._database.snapshot() as connection:
            self._own(connection, caller, subscription_id)
            return tuple(delivery_of(row) for row in connection.execute(query).mappings())

    def replay(self, caller: Principal, subscription_id: str, *, after: int) -> int:
        """Tell of the kept versions after `after` once more, those that were dead included; return how many.

        Raises:
            NotFound: there is none. Conflict: it has ended. Refused: nothing may be told now.
        """
        one = self.get(caller, subscription_id)
        versions = self._events.versions_after(caller, one.resource_id, one.purpose, after)
        told = [version for version in versions if version <= one.version]
        with self._database.transaction() as connection:
            one = self._active(connection, caller, subscription_id)
            self._make(connection, one, told)
            record_act(self._ledger, connection, one, "replay", caller.actor, {"after": after, "deliveries": len(told)})
        return len(told)

    def follow(self) -> bool:
        """Make the deliveries of versions that were published since; return False, since all that was due is made."""
        table = tables.subscription
        query = select(table).where(table.c.state == SubscriptionState.ACTIVE.value).order_by(table.c.id)
        with self._database.snapshot() as connection:
            active = [subscription_of(row) for row in connection.execute(query.limit(SUBSCRIPTIONS_AT_ONCE)).mappings()]
        for one in active:
            try:
                versions = self._events.published_after(one.resource_id, one.version)
            except NotFound:
                continue  # The resource is retired: nothing new comes of it.
            if versions:
                with self._database.transaction() as connection:
                    moved = connection.execute(
                        update(table)
                        .where(table.c.id == one.id, table.c.version == one.version, table.c.state == one.state.value)
                        .values(version=versions[-1])
                    ).rowcount
                    if moved:
                        self._make(connection, one, versions)
        return False

    def deliver(self) -> bool:
        """Send what is due; return whether there may be more at once."""
        claimed = self._claim()
        for one in claimed:
            self._send(one)
        return len(claimed) == DELIVERIES_AT_ONCE

    def waiting(self) -> int:
        """Return how many deliveries are not made yet."""
        query = select(func.count()).select_from(tables.delivery)
        with self._database.snapshot() as connection:
            return connection.scalar(query.where(tables.delivery.c.state == DeliveryState.DUE.value)) or 0

    def _claim(self) -> list[_Claimed]:
        """Take due deliveries for a time; what another worker takes at the same moment is its own."""
        now, table = self._clock.now(), tables.delivery
        paused = select(tables.subscription.c.id).where(tables.subscription.c.state == SubscriptionState.PAUSED.value)
        due = (
            table.c.state == DeliveryState.DUE.value,
            table.c.due_at <= now,
            table.c.subscription_id.not_in(paused),
        )
        query = select(table).where(*due).order_by(table.c.due_at, table.c.id).limit(DELIVERIES_AT_ONCE)
        found: list[_Claimed] = []
        with self._database.transaction() as connection:
            for row in connection.execute(query).mappings().all():
                until = now + timedelta(seconds=LEASE_SECONDS)
                taken = update(table).where(table.c.id == row["id"], *due).values(due_at=until)
                if connection.execute(taken).rowcount:
                    subscription = connection.execute(
                        select(tables.subscription).where(tables.subscription.c.id == row["subscription_id"])
                    ).mappings()
                    found.append(_Claimed(delivery_of(row), row["content_sha256"], subscription_of(subscription.one())))
        return found

    def _send(self, claimed: _Claimed) -> None:
        one, delivery = claimed.subscription, claimed.delivery
        if one.state is SubscriptionState.ENDED:
            self._settle(delivery, DeliveryState.DEAD, None, "the subscription has ended")
            return
        try:
            caller = self._principal(one)
            event, digest = self._events.event(caller, one.resource_id, one.purpose, delivery.version, claimed.recorded)
            self._note(delivery, event.access_id, event.entry_id, digest)
            now = self._clock.now()
            body = event.model_dump_json().encode()
            status = self._sender.post(
                one.url, signed_headers(secrets_of(self._secret, one, now), delivery.id, now, body), body
            )
        except DatongError as error:
            if error.transient:
                self._again(delivery, None, error.code)
            else:
                # Nothing may be told, or nothing is left to be told: another attempt would say the same.
                self._settle(delivery, DeliveryState.DEAD, None, error.code)
            return
        if 200 <= status < 300:
            self._settle(delivery, DeliveryState.DELIVERED, status, "")
        elif status == GONE:
            self._settle(delivery, DeliveryState.DEAD, status, _ENDED_BY_SUBSCRIBER)
            with self._database.transaction() as connection:
                self._ended(connection, one, _ENDED_BY_SUBSCRIBER, caller.actor)
        else:
            self._again(delivery, status, "")

    def _principal(self, one: WebhookSubscription) -> Principal:
        """Return the subscriber, if its application was not revoked and is not blocked."""
        application = self._machines.application(one.client_id)
        if not application.in_force:
            raise _applications_only()
        return Principal(
            actor=Actor(
                kind=ActorKind.APPLICATION, id=one.client_id, department=application.department, name=application.name
            )
        )

    def _make(self, connection: Connection, one: WebhookSubscription, versions: Sequence[int]) -> None:
        now = self._clock.now()
        for version in versions:
            connection.execute(
                insert(tables.delivery).values(
                    id=f"msg_{new_id()}",
                    subscription_id=one.id,
                    version=version,
                    state=DeliveryState.DUE.value,
                    attempts=0,
                    due_at=now,
                    detail="",
                    content_sha256="",
                )
            )

    def _note(self, delivery: WebhookDelivery, access_id: AccessId, entry_id: EntryId, digest: str) -> None:
        """Keep the record of what is about to be told, so that further attempts need none of their own."""
        self._change(delivery.id, access_id=access_id, entry_id=entry_id, content_sha256=digest)

    def _settle(self, delivery: WebhookDelivery, state: DeliveryState, status: int | None, detail: str) -> None:
        attempts = delivery.attempts + 1
        now = self._clock.now()
        self._change(delivery.id, state=state.value, attempts=attempts, status=status, detail=detail, settled_at=now)

    def _again(self, delivery: WebhookDelivery, status: int | None, detail: str) -> None:
        """Try a delivery again after a pause; after the last attempt it is dead."""
        attempts = delivery.attempts + 1
        due_at = next_attempt(attempts, self._clock.now())
        if due_at is None:
            self._settle(delivery, DeliveryState.DEAD, status, detail)
        else:
            self._change(delivery.id, attempts=attempts, due_at=due_at, status=status, detail=detail)

    def _change(self, delivery_id: str, **values: object) -> None:
        table = tables.delivery
        with self._database.transaction() as connection:
            connection.execute(update(table).where(table.c.id == delivery_id).values(**values))

    def _own(self, connection: Connection, caller: Principal, subscription_id: str) -> WebhookSubscription:
        table = tables.subscription
        query = select(table).where(table.c.id == subscription_id, table.c.client_id == caller.actor.id)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise subscription_unknown()
        return subscription_of(row)

    def _active(self, connection: Connection, caller: Principal, subscription_id: str) -> WebhookSubscription:
        one = self._own(connection, caller, subscription_id)
        if one.state is SubscriptionState.ENDED:
            raise subscription_ended()
        return one

    def _ended(
        self, connection: Connection, one: WebhookSubscription, because: str, actor: Actor
    ) -> WebhookSubscription:
        ended = one.model_copy(update={"state": SubscriptionState.ENDED, "ended_because": because})
        keep(connection, ended)
        record_act(self._ledger, connection, ended, "end", actor)
        return ended


def _applications_only() -> Refused:
    return Refused(
        "sharing.applications_only",
        what=Text(zh="只有在用的应用可以订阅。", en="Only applications that are not revoked can subscribe."),
        remedy=Text(zh="请使用应用的访问令牌。", en="Use the access token of an application."),
    )


def _too_many() -> Conflict:
    return Conflict(
        "sharing.subscriptions_full",
        what=Text(
            zh=f"一个应用最多 {SUBSCRIPTIONS_MAX} 个订阅。", en=f"An application has at most {SUBSCRIPTIONS_MAX}."
        ),
        remedy=Text(zh="请先结束不用的订阅。", en="End those that are not used first."),
    )
