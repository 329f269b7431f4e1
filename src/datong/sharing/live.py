"""Live service interfaces: calls wait in the control database for the node that answers them from its own tables.

The process that has the caller on the line inserts the call, the node's long poll takes it wherever it arrives, and the
answer comes back the same way (ADR 0081). Calls are short-lived rows, sealed both ways:
they are deleted when answered or given up.
"""

import base64
import binascii
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue import Resource
from datong.kernel import (
    Actor,
    Clock,
    Corrupt,
    Database,
    Invalid,
    NodeId,
    NotFound,
    Overloaded,
    ResourceId,
    Text,
    TimedOut,
    Unavailable,
    new_id,
)
from datong.ledger import EntryKind, Ledger, verify_signature
from datong.sharing import tables
from datong.sharing.breaker import Breaker, admit, after, retry_after
from datong.sharing.live_sealing import LiveKey, sealed_call
from datong.sharing.live_values import (
    ROWS_MAX,
    LiveAnswer,
    LiveCall,
    LiveService,
    LiveTerms,
    SealedLiveAnswer,
    SealedLiveCall,
    SignedLiveAnswer,
)
from datong.sharing.ports import DepartmentBook, PublishedResources
from datong.sharing.relay.values import HigherHub

PRESENT_FOR = timedelta(seconds=45)
"""A node that has not asked for calls for so long counts as offline: its long poll lasts at most 30 seconds."""
NOTED_EVERY = timedelta(seconds=5)
LOOK_SECONDS = 0.02
RELAY_TERMS = LiveTerms(timeout_milliseconds=20_000, calls_at_once_max=32, rows_max=ROWS_MAX)
"""How what came over a link is answered: every hub on the way takes its time."""
TAKEN_AT_ONCE_MAX = 32
_SERVICE = tables.live_service
_OFFERED = select(_SERVICE.c.resource_id).where(_SERVICE.c.resource_id.in_(bindparam("of_ids", expanding=True)))
WAITING, TAKEN, ANSWERED = "waiting", "taken", "answered"
MakeCall = Callable[[LiveService, str, bytes], LiveCall]
"""Makes the call for a service, with the id and the key for the answer given."""


class LiveServices:
    """The live services of a hub."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        catalogue: PublishedResources,
        departments: DepartmentBook,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._catalogue = catalogue
        self._departments = departments
        self._sleep = sleep
        self._ring: Callable[[], None] = lambda: None
        self.higher: Callable[[str], HigherHub | None] = lambda _: None
        """The higher hub at the other end of a link, asked itself; who is lower asks for its calls as nodes do."""

    def listen(self, ring: Callable[[], None]) -> None:
        """Have `ring` called whenever a call begins, so that a poll that waits in this process takes it at once."""
        self._ring = ring

    def offer(self, resource_id: ResourceId, terms: LiveTerms | None, *, actor: Actor) -> LiveService | None:
        """Have a resource answered live by the node of its binding, or (None) no longer.

        Raises:
            NotFound: it is not published. Invalid: `sharing.live_unbound` without a bound table.
        """
        resource = self._catalogue.published(resource_id)
        binding = resource.content.binding
        if binding is None:
            raise Invalid(
                "sharing.live_unbound",
                what=Text(zh="该资源没有挂接到节点的表。", en="The resource is not bound to a table at a node."),
                remedy=Text(zh="请在目录中补充挂接信息。", en="Say in the catalogue where its data is."),
                field="/content/binding",
            )
        table = tables.live_service
        with self._database.transaction() as connection:
            known = self._of(connection, resource_id)
            breaker = Breaker() if known is None else known.breaker
            connection.execute(delete(table).where(table.c.resource_id == resource_id))
            if terms is not None:
                connection.execute(
                    insert(table).values(
                        resource_id=resource_id,
                        node_id=binding.node_id,
                        terms=terms.model_dump(mode="json"),
                        breaker=breaker.model_dump(mode="json"),
                    )
                )
            self._record(connection, resource, binding.node_id, terms, actor)
        return self.of(resource_id)

    def relay(self, resource_id: ResourceId, node_id: str, *, actor: Actor) -> None:
        """Have a resource that came over a link answered by the hub it came from, which polls as `node_id`, or, being
        a higher one, is asked (`RelayedCalls`); again changes nothing."""
        if self.of(resource_id) is not None:
            return
        resource, terms = self._catalogue.published(resource_id), RELAY_TERMS
        dialect = sqlite if self._database.is_sqlite else postgresql
        with self._database.transaction() as connection:
            made = connection.execute(
                dialect.insert(tables.live_service)
                .values(
                    resource_id=resource_id,
                    node_id=node_id,
                    terms=terms.model_dump(mode="json"),
                    breaker=Breaker().model_dump(mode="json"),
                )
                .on_conflict_do_nothing()
            )
            if made.rowcount:
                self._record(connection, resource, NodeId(node_id), terms, actor)

    def of(self, resource_id: ResourceId) -> LiveService | None:
        """Return the resource's live service with its present health, or None."""
        with self._database.snapshot() as connection:
            return self._of(connection, resource_id)

    def offered(self, ids: Sequence[ResourceId]) -> dict[ResourceId, bool]:
        """Return which of some resources are answered live."""
        with self._database.reading() as connection:
            found = set(connection.scalars(_OFFERED, {"of_ids": list(ids)}))
        return {resource_id: resource_id in found for resource_id in ids}

    def all(self) -> tuple[LiveService, ...]:
        """Return every live service, by resource."""
        table = tables.live_service
        with self._database.snapshot() as connection:
            rows = connection.execute(select(table).order_by(table.c.resource_id)).mappings().all()
            return tuple(self._service(connection, row) for row in rows)

    def ask(self, resource_id: ResourceId, make_call: MakeCall) -> LiveAnswer:
        """Have the node answer a call, and wait for it.

        Raises:
            Unavailable: `sharing.live_offline`, `sharing.live_circuit_open`, `sharing.live_failed`.
            Overloaded: `sharing.live_busy`. TimedOut: `sharing.live_timeout`.
            Corrupt: `sharing.live_bad_signature`.
        """
        key = LiveKey()
        call = self._begin(resource_id, lambda service, call_id: make_call(service, call_id, key.public_key))
        self._ring()
        sealed = self._await(call)
        succeeded = False
        try:
            if sealed is None:
                raise _timeout(call)
            signed = key.open_answer(sealed)
            self._verify(resource_id, signed)
            if signed.answer.fault is not None:
                raise _failed(signed.answer.fault)
            succeeded = True
            return signed.answer
        finally:
            self._end(resource_id, call.id, succeeded=succeeded)

    def serves(self, node_id: NodeId) -> bool:
        """Whether any resource is answered live by this node."""
        table = tables.live_service
        with self._database.snapshot() as connection:
            query = select(table.c.resource_id).where(table.c.node_id == node_id).limit(1)
            return connection.execute(query).scalar() is not None

    def take(self, node_id: NodeId, node_key: bytes) -> tuple[SealedLiveCall, ...]:
        """Return the calls that wait for a node, which are its own from now on; and note that it is there, and to which
        key calls are sealed for its process.
        """
        now = self._clock.now()
        table = tables.live_call
        waiting = (table.c.node_id == node_id, table.c.state == WAITING, table.c.deadline_at > now)
        with self._database.snapshot() as connection:
            noted = connection.execute(
                select(tables.live_presence.c.polled_at).where(
                    tables.live_presence.c.node_id == node_id, tables.live_presence.c.node_key == node_key.hex()
                )
            ).scalar()
            any_waits = connection.execute(select(table.c.id).where(*waiting).limit(1)).scalar() is not None
        if not any_waits and noted is not None and now - noted < NOTED_EVERY:
            return ()
        with self._database.transaction() as connection:
            presence = tables.live_presence
            dialect = sqlite if self._database.is_sqlite else postgresql
            said = {"polled_at": now, "node_key": node_key.hex()}
            connection.execute(
                # A node that lost an answer asks another process while the first still waits for it.
                dialect.insert(presence)
                .values(node_id=node_id, **said)
                .on_conflict_do_update(index_elements=["node_id"], set_=said)
            )
            query = select(table).where(*waiting).order_by(table.c.id).limit(TAKEN_AT_ONCE_MAX).with_for_update()
            found = [SealedLiveCall.model_validate(row["request"]) for row in connection.execute(query).mappings()]
            # What was sealed for an earlier process of the node is sealed anew by whoever waits for it.
            calls = tuple(one for one in found if one.node_key == node_key.hex())
            connection.execute(update(table).where(table.c.id.in_([one.id for one in calls])).values(state=TAKEN))
        return calls

    def answer(self, node_id: NodeId, sealed: SealedLiveAnswer) -> bool:
        """Hand in a node's answer; return whether anybody still waits for it."""
        table = tables.live_call
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(table)
                .where(table.c.id == sealed.call_id, table.c.node_id == node_id, table.c.state == TAKEN)
                .values(state=ANSWERED, answer=sealed.model_dump(mode="json"))
            )
        return changed.rowcount == 1

    def sweep(self) -> bool:
        """Delete the calls whose hub process ended before it could; return False."""
        table = tables.live_call
        old = self._clock.now() - PRESENT_FOR
        with self._database.transaction() as connection:
            connection.execute(delete(table).where(table.c.deadline_at < old))
        return False

    def _record(
        self, connection: Connection, resource: Resource, node_id: NodeId, terms: LiveTerms | None, actor: Actor
    ) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.LIVE,
            subject=resource.id,
            actor=actor,
            facts={
                "resource_id": resource.id,
                "provider": resource.department,
                "node": node_id,
                "offered": terms is not None,
                "terms": None if terms is None else terms.model_dump(mode="json"),
            },
        )

    def _begin(self, resource_id: ResourceId, make_call: Callable[[LiveService, str], LiveCall]) -> LiveCall:
        now = self._clock.now()
        service_table, call_table = tables.live_service, tables.live_call
        with self._database.transaction() as connection:
            query = select(service_table).where(service_table.c.resource_id == resource_id).with_for_update()
            row = connection.execute(query).mappings().one()
            service = self._service(connection, row)
            node_key = self._node_key(connection, service.node_id)
            if not service.online or node_key is None:
                raise _offline()
            admitted = admit(service.breaker, now)
            if admitted is None:
                raise _circuit_open(service.breaker, retry_after(service.breaker, now))
            running = connection.execute(
                select(func.count())
                .select_from(call_table)
                .where(call_table.c.resource_id == resource_id, call_table.c.deadline_at > now)
            ).scalar_one()
            if running >= service.terms.calls_at_once_max:
                raise _busy(service.terms.calls_at_once_max)
            call = make_call(service, new_id())
            connection.execute(
                insert(call_table).values(
                    id=call.id,
                    resource_id=resource_id,
                    node_id=service.node_id,
                    state=WAITING,
                    request=sealed_call(call, node_key).model_dump(mode="json"),
                    deadline_at=call.deadline_at,
                )
            )
            if admitted != service.breaker:
                self._set_breaker(connection, resource_id, admitted)
        return call

    def _await(self, call: LiveCall) -> SealedLiveAnswer | None:
        """Look for the answer until the call's time is over; seal the call anew when its node began another process."""
        table, presence = tables.live_call, tables.live_presence
        joined = table.join(presence, presence.c.node_id == table.c.node_id)
        query = select(table.c.answer, table.c.state, table.c.request, presence.c.node_key).select_from(joined)
        until = time.monotonic() + call.timeout_seconds
        while True:
            with self._database.snapshot() as connection:
                row = connection.execute(query.where(table.c.id == call.id)).mappings().one_or_none()
            if row is not None and row["answer"] is not None:
                return SealedLiveAnswer.model_validate(row["answer"])
            if row is not None and row["state"] == WAITING and row["request"]["node_key"] != row["node_key"]:
                self._seal_again(call, bytes.fromhex(row["node_key"]))
            if time.monotonic() >= until:
                return None
            self._sleep(LOOK_SECONDS)

    def _seal_again(self, call: LiveCall, node_key: bytes) -> None:
        table = tables.live_call
        with self._database.transaction() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == call.id, table.c.state == WAITING)
                .values(request=sealed_call(call, node_key).model_dump(mode="json"))
            )

    def _end(self, resource_id: ResourceId, call_id: str, *, succeeded: bool) -> None:
        """Forget a call, and let the breaker know how it ended."""
        table = tables.live_service
        with self._database.transaction() as connection:
            connection.execute(delete(tables.live_call).where(tables.live_call.c.id == call_id))
            query = select(table.c.breaker).where(table.c.resource_id == resource_id).with_for_update()
            stored = connection.execute(query).scalar()
            if stored is None:
                return
            before = Breaker.model_validate(stored)
            now_known = after(before, self._clock.now(), succeeded=succeeded)
            if now_known != before:
                self._set_breaker(connection, resource_id, now_known)

    def _verify(self, resource_id: ResourceId, signed: SignedLiveAnswer) -> None:
        """Check that the answer is signed by a key in force of the resource's department."""
        provider = self._catalogue.published(resource_id).department
        try:
            key = self._departments.key(signed.key_id)
            verify_signature(
                key.public_key, signed.answer.signing_bytes(), base64.b64decode(signed.signature, validate=True)
            )
            genuine = key.department == provider and key.revoked_at is None
        except (Corrupt, NotFound, binascii.Error, ValueError):
            genuine = False
        if not genuine:
            raise Corrupt(
                "sharing.live_bad_signature",
                what=Text(zh="节点应答的签名不正确。", en="The signature of the node's answer is wrong."),
                remedy=Text(zh="请联系平台运维。", en="Tell the operators."),
            )

    def _of(self, connection: Connection, resource_id: ResourceId) -> LiveService | None:
        table = tables.live_service
        row = connection.execute(select(table).where(table.c.resource_id == resource_id)).mappings().one_or_none()
        return None if row is None else self._service(connection, row)

    def _service(self, connection: Connection, row: RowMapping) -> LiveService:
        presence = tables.live_presence
        polled_at = connection.execute(
            select(presence.c.polled_at).where(presence.c.node_id == row["node_id"])
        ).scalar()
        return LiveService(
            resource_id=row["resource_id"],
            node_id=row["node_id"],
            terms=LiveTerms.model_validate(row["terms"]),
            breaker=Breaker.model_validate(row["breaker"]),
            online=polled_at is not None and self._clock.now() - polled_at < PRESENT_FOR,
        )

    @staticmethod
    def _node_key(connection: Connection, node_id: NodeId) -> bytes | None:
        """Return the key to which calls are sealed for a node; None: it has not asked for calls since it has one."""
        presence = tables.live_presence
        found = connection.execute(select(presence.c.node_key).where(presence.c.node_id == node_id)).scalar()
        return None if found is None else bytes.fromhex(found)

    @staticmethod
    def _set_breaker(connection: Connection, resource_id: ResourceId, breaker: Breaker) -> None:
        table = tables.live_service
        connection.execute(
            update(table).where(table.c.resource_id == resource_id).values(breaker=breaker.model_dump(mode="json"))
        )


def _offline() -> Unavailable:
    return Unavailable(
        "sharing.live_offline",
        what=Text(zh="提供部门的前置机不在线。", en="The provider's node is offline."),
        remedy=Text(zh="请稍后再试，或联系提供部门。", en="Try again later, or ask the provider."),
    )


def _circuit_open(breaker: Breaker, seconds: int) -> Unavailable:
    return Unavailable(
        "sharing.live_circuit_open",
        what=Text(
            zh=f"该接口连续 {breaker.failures} 次失败，已暂停调用。",
            en=f"The interface failed {breaker.failures} times in a row; calls are held back.",
        ),
        remedy=Text(zh=f"请在 {seconds} 秒后重试。", en=f"Try again in {seconds} seconds."),
        context={"retry_after_seconds": seconds},
    )


def _busy(most: int) -> Overloaded:
    return Overloaded(
        "sharing.live_busy",
        what=Text(zh=f"该接口同时最多 {most} 个调用。", en=f"The interface takes {most} calls at once."),
        remedy=Text(zh="请按 Retry-After 稍后重试。", en="Try again after the time in Retry-After."),
    )


def _timeout(call: LiveCall) -> TimedOut:
    return TimedOut(
        "sharing.live_timeout",
        what=Text(
            zh=f"节点未在 {call.timeout_seconds:g} 秒内应答。",
            en=f"The node did not answer within {call.timeout_seconds:g} seconds.",
        ),
        remedy=Text(zh="请稍后重试；持续出现请联系提供部门。", en="Try again later; if it lasts, ask the provider."),
    )


def _failed(fault: Text) -> Unavailable:
    return Unavailable(
        "sharing.live_failed",
        what=Text(zh=f"节点无法应答：{fault.zh}", en=f"The node could not answer: {fault.en}"),
        remedy=Text(zh="请联系提供部门。", en="Ask the provider."),
    )
