"""Subscriptions for the people who answer for an application: how they stand, and what can be done about them.

Applications subscribe by themselves (`subscriptions`). When their address fails, people pause them, try the address and
send once more what was given up; each of these acts is on record, as are those of the application.
"""

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, update

from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    DatongError,
    DepartmentCode,
    JsonValue,
    Overloaded,
    Page,
    Text,
    Value,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.sharing import tables
from datong.sharing.subscription_values import (
    DeliveryState,
    SubscriptionState,
    TriedCall,
    WebhookDelivery,
    WebhookSubscription,
    delivery_of,
    keep,
    record_act,
    secrets_of,
    subscription_ended,
    subscription_of,
    subscription_unknown,
)
from datong.sharing.webhooks import WebhookSender, signed_headers

TEST_TYPE = "datong.test"
TEST_PAUSE_SECONDS = 10
"""One subscription is tried at most so often: a test call must not become a load on somebody's address."""
SENT_AGAIN_MAX = 1000
"""Dead deliveries that one act sends again, the newest versions."""
_SUBSCRIPTION, _DELIVERY = tables.subscription, tables.delivery


class SubscriptionStanding(Value):
    """A subscription, how many of its deliveries are in which state, and when the newest one was settled."""

    subscription: WebhookSubscription
    due: int = 0
    delivered: int = 0
    dead: int = 0
    settled_at: datetime | None = None


class SubscriptionDesk:
    """Reads all subscriptions, and lets people act on them; `secret` is the hub's own, of which theirs are made."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, sender: WebhookSender, secret: bytes
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._sender = sender
        self._secret = secret

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        client_id: str | None = None,
        state: SubscriptionState | None = None,
        dead: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[SubscriptionStanding]:
        """Return subscriptions, newest first; with `dead`, those that have dead deliveries and have not ended."""
        table, wanted = _SUBSCRIPTION, []
        if department is not None:
            wanted.append(table.c.department == department)
        if client_id is not None:
            wanted.append(table.c.client_id == client_id)
        if state is not None:
            wanted.append(table.c.state == state.value)
        if dead:
            failing = select(_DELIVERY.c.subscription_id).where(_DELIVERY.c.state == DeliveryState.DEAD.value)
            wanted += [table.c.id.in_(failing), table.c.state != SubscriptionState.ENDED.value]
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0
            newest = select(table).where(*wanted).order_by(table.c.created_at.desc(), table.c.id.desc())
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings().all()
            found = _standings(connection, [subscription_of(row) for row in rows])
        return page_of(tuple(found), total=total, offset=offset)

    def get(self, subscription_id: str) -> SubscriptionStanding:
        """Return one subscription.

        Raises:
            NotFound: there is none with that id.
        """
        with self._database.snapshot() as connection:
            return _standings(connection, [_one(connection, subscription_id)])[0]

    def deliveries(
        self, subscription_id: str, *, state: DeliveryState | None = None, offset: int = 0, limit: int = 50
    ) -> Page[WebhookDelivery]:
        """Return what became of telling a subscription, newest version first."""
        wanted = [_DELIVERY.c.subscription_id == subscription_id]
        if state is not None:
            wanted.append(_DELIVERY.c.state == state.value)
        newest = select(_DELIVERY).where(*wanted).order_by(_DELIVERY.c.version.desc(), _DELIVERY.c.id.desc())
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(_DELIVERY).where(*wanted)) or 0
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(delivery_of(row) for row in rows), total=total, offset=offset)

    def pause(self, subscription_id: str, actor: Actor) -> WebhookSubscription:
        """Send nothing until the subscription goes on.

        Raises:
            NotFound: there is none. Conflict: it is not in use.
        """
        return self._move(subscription_id, SubscriptionState.ACTIVE, SubscriptionState.PAUSED, "pause", actor)

    def resume(self, subscription_id: str, actor: Actor) -> WebhookSubscription:
        """Go on: what is due, and what was published meanwhile, is told.

        Raises:
            NotFound: there is none. Conflict: it is not paused.
        """
        return self._move(subscription_id, SubscriptionState.PAUSED, SubscriptionState.ACTIVE, "resume", actor)

    def end(self, subscription_id: str, actor: Actor) -> WebhookSubscription:
        """End a subscription for good; what is due is not sent any more.

        Raises:
            NotFound: there is none. Conflict: it has ended.
        """
        return self._move(subscription_id, None, SubscriptionState.ENDED, "end", actor)

    def send_again(self, subscription_id: str, actor: Actor) -> int:
        """Make the dead deliveries due once more, under the ids that they had; return how many.

        What may be told is decided anew when each is sent.

        Raises:
            NotFound: there is none. Conflict: it has ended, or nothing is dead.
        """
        with self._database.transaction() as connection:
            one = _living(connection, subscription_id)
            dead = (_DELIVERY.c.subscription_id == one.id, _DELIVERY.c.state == DeliveryState.DEAD.value)
            newest = select(_DELIVERY.c.id).where(*dead).order_by(_DELIVERY.c.version.desc()).limit(SENT_AGAIN_MAX)
            again = update(_DELIVERY).where(_DELIVERY.c.id.in_(newest), *dead)
            count = connection.execute(
                again.values(state=DeliveryState.DUE.value, attempts=0, due_at=self._clock.now(), settled_at=None)
            ).rowcount
            if not count:
                raise Conflict(
                    "sharing.nothing_dead",
                    what=Text(zh="没有未送达的消息。", en="No delivery of it is dead."),
                    remedy=Text(zh="无需重发。", en="There is nothing to send again."),
                )
            self._record(connection, one, "send_again", actor, {"deliveries": count})
        return count

    def test(self, subscription_id: str, actor: Actor) -> TriedCall:
        """Send a signed message without any data to the address, and keep what it answered.

        Raises:
            NotFound: there is none. Conflict: it has ended. Overloaded: it was tried a moment ago.
        """
        # 1. Take the turn, so that two people who press at once send one message.
        now = self._clock.now()
        with self._database.transaction() as connection:
            one = _living(connection, subscription_id)
            if one.tried is not None and now - one.tried.at < timedelta(seconds=TEST_PAUSE_SECONDS):
                raise _too_often()
            keep(connection, one.model_copy(update={"tried": TriedCall(at=now, status=None, milliseconds=0)}))
        # 2. Send it: no transaction is open while somebody else's server is waited for.
        said = {"type": TEST_TYPE, "timestamp": now.isoformat(), "data": {"subscription_id": one.id}}
        body = json.dumps(said).encode()
        headers = signed_headers(secrets_of(self._secret, one, now), f"msg_{new_id()}", now, body)
        began, status, detail = time.monotonic(), None, ""
        try:
            status = self._sender.post(one.url, headers, body)
        except DatongError as error:
            detail = error.code
        tried = TriedCall(at=now, status=status, milliseconds=int((time.monotonic() - began) * 1000), detail=detail)
        # 3. Keep what it answered, with its evidence.
        with self._database.transaction() as connection:
            one = _one(connection, subscription_id, lock=True).model_copy(update={"tried": tried})
            keep(connection, one)
            self._record(connection, one, "test", actor, {"status": status or 0, "outcome": detail or "answered"})
        return tried

    def dead(self, department: DepartmentCode | None = None) -> int:
        """Return how many subscriptions have dead deliveries and have not ended."""
        return self.find(department=department, dead=True, limit=1).total

    def due(self) -> int:
        """Return how many deliveries are to be sent."""
        query = select(func.count()).select_from(_DELIVERY).where(_DELIVERY.c.state == DeliveryState.DUE.value)
        with self._database.snapshot() as connection:
            return connection.scalar(query) or 0

    def _move(
        self,
        subscription_id: str,
        before: SubscriptionState | None,
        after: SubscriptionState,
        step: str,
        actor: Actor,
    ) -> WebhookSubscription:
        with self._database.transaction() as connection:
            one = _living(connection, subscription_id)
            if before is not None and one.state is not before:
                raise Conflict(
                    "sharing.subscription_state",
                    what=Text(zh=f"该订阅现在是“{one.state.label.zh}”。", en=f"It is {one.state.label.en} now."),
                    remedy=Text(zh="请刷新后再办理。", en="Look at it again."),
                )
            moved = one.model_copy(update={"state": after})
            keep(connection, moved)
            self._record(connection, moved, step, actor)
        return moved

    def _record(
        self,
        connection: Connection,
        one: WebhookSubscription,
        step: str,
        actor: Actor,
        more: Mapping[str, JsonValue] | None = None,
    ) -> None:
        record_act(self._ledger, connection, one, step, actor, more)


def _one(connection: Connection, subscription_id: str, *, lock: bool = False) -> WebhookSubscription:
    query = select(_SUBSCRIPTION).where(_SUBSCRIPTION.c.id == subscription_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise subscription_unknown()
    return subscription_of(row)


def _living(connection: Connection, subscription_id: str) -> WebhookSubscription:
    one = _one(connection, subscription_id, lock=True)
    if one.state is SubscriptionState.ENDED:
        raise subscription_ended()
    return one


def _standings(connection: Connection, found: list[WebhookSubscription]) -> list[SubscriptionStanding]:
    table = _DELIVERY
    query = (
        select(table.c.subscription_id, table.c.state, func.count(), func.max(table.c.settled_at))
        .where(table.c.subscription_id.in_([one.id for one in found]))
        .group_by(table.c.subscription_id, table.c.state)
    )
    counts: dict[str, dict[str, object]] = {one.id: {} for one in found}
    for subscription_id, state, count, settled_at in connection.execute(query):
        known = counts[subscription_id]
        known[state] = count
        newest = known.get("settled_at")
        if settled_at is not None and (newest is None or settled_at > newest):
            known["settled_at"] = settled_at
    return [SubscriptionStanding.model_validate({"subscription": one, **counts[one.id]}) for one in found]


def _too_often() -> Overloaded:
    return Overloaded(
        "sharing.tried_often",
        what=Text(zh="刚刚试过这个地址。", en="The address was tried a moment ago."),
        remedy=Text(zh=f"请 {TEST_PAUSE_SECONDS} 秒后再试。", en=f"Try again in {TEST_PAUSE_SECONDS} seconds."),
        context={"retry_after_seconds": TEST_PAUSE_SECONDS},
    )
