"""The higher hub's side of requests that go on over a link: everything that a lower hub may have done here.

A lower hub acts as the department that answers here for it (`PeerSettings.department`), signs with its own key, and
touches only requests that came over its link, or concern entries that did.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from datong.federation import Cascade, Peer, Peers, PeerState
from datong.kernel import (
    Actor,
    Conflict,
    DepartmentCode,
    JsonValue,
    NotFound,
    Page,
    Refused,
    RequestId,
    ResourceId,
    Text,
)
from datong.kernel.limits import PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.sharing.agreement_rules import ENDED
from datong.sharing.agreements import Agreements
from datong.sharing.live import LiveServices
from datong.sharing.masks import MaskKind, stricter_than
from datong.sharing.ports import PublishedResources
from datong.sharing.relay.values import (
    WORK_MAX,
    RelayedDecision,
    RelayedEnd,
    RelayedOrder,
    RelayedSignature,
    RelayedStanding,
    RelayedWork,
    bundle_of,
    reference_of,
    relayed_id,
    standing_of,
)
from datong.sharing.request_rules import RequestAction
from datong.sharing.requests import Named, Requests
from datong.sharing.terms import Agreement, AgreementState, Request, RequestLine, RequestState

Row = TypeVar("Row")
ALIVE = tuple(state for state in AgreementState if state not in ENDED)


class RelayDesk:
    """Makes, answers and signs for lower hubs. Every method may be called again after an answer that was lost."""

    def __init__(
        self,
        *,
        requests: Requests,
        agreements: Agreements,
        catalogue: PublishedResources,
        cascade: Cascade,
        peers: Peers,
        live: LiveServices,
    ) -> None:
        self._requests, self._agreements, self._catalogue = requests, agreements, catalogue
        self._cascade, self._peers, self._live = cascade, peers, live

    def order(self, peer: Peer, order: RelayedOrder, actor: Actor) -> RelayedStanding:
        """Make the request that a lower hub sends on, or say how it stands.

        Raises:
            NotFound: it is not shown the resource. Invalid: the request is incomplete here.
        """
        _require_active(peer)
        known = _known(self._requests, relayed_id(peer, order.reference))
        if known is not None:
            return standing_of(order.reference, known, self._agreements.of_request(known.id))
        if not self._cascade.shows(peer.id, order.resource_id):
            raise NotFound(
                "sharing.relayed_not_shown",
                what=Text(zh="该资源未向下级平台公布。", en="The lower hub is not shown this resource."),
                remedy=Text(zh="请核对级联范围。", en="Check the scope of the link."),
            )
        request = take_over(self._requests, self._peers, peer, order, actor)
        return standing_of(order.reference, request, self._agreements.of_request(request.id))

    def work(self, peer: Peer, page: int = 0) -> RelayedWork:
        """Return a page (from 0, `WORK_MAX` of each kind) of what a lower hub has to do: answer, sign, look after."""
        _require_active(peer)
        department = peer.settings.department
        waiting = open_requests(self._requests, provider=department)
        orders = [order for request in waiting if (order := self._order_of(peer, request)) is not None]
        given: list[RelayedStanding] = []
        asked = [
            standing_of(reference, request, None)
            for request in open_requests(self._requests, consumer=department)
            if (reference := reference_of(peer, request)) is not None
        ]
        for agreement in tuple(alive(self._agreements, department=department)):
            request = self._requests.get(agreement.request_id)
            if agreement.provider == department:
                if comes_from(self._catalogue, peer, agreement.resource_id) is not None:
                    given.append(standing_of(request.id, request, agreement))
            elif (reference := reference_of(peer, request)) is not None:
                asked.append(standing_of(reference, request, agreement))
        part = slice(page * WORK_MAX, (page + 1) * WORK_MAX)
        return RelayedWork(
            orders=tuple(orders[part]),
            given=tuple(given[part]),
            asked=tuple(asked[part]),
            more=max(len(orders), len(given), len(asked)) > part.stop,
        )

    def decide(self, peer: Peer, decision: RelayedDecision, actor: Actor) -> None:
        """Answer a request about an entry of the lower hub's, as that hub answered it.

        Raises:
            NotFound, Refused: there is no such request, or it is none of the lower hub's.
        """
        _require_active(peer)
        request = self._requests.get(RequestId(decision.reference))
        if (
            request.provider != peer.settings.department
            or comes_from(self._catalogue, peer, request.resource_id) is None
        ):
            raise _not_theirs()
        settle(self._requests, request, decision, actor)

    def sign(self, peer: Peer, signed: RelayedSignature, actor: Actor, key_id: str) -> None:
        """Confirm and sign an agreement for the department of a lower hub.

        Raises:
            NotFound, Refused, Corrupt, Conflict: see `Agreements.confirm` and `Agreements.sign`.
        """
        _require_active(peer)
        agreement = self._mine(peer, self._agreements.get(signed.agreement_id))
        department = peer.settings.department
        if any(done.department == department for done in agreement.signatures):
            return
        if agreement.provider == department:
            self._live.relay(agreement.resource_id, peer.node_id, actor=actor)
        confirmed = self._agreements.confirm(agreement.id, department, actor)
        if confirmed.state is AgreementState.CONFIRMED:
            self._agreements.sign(agreement.id, key_id=key_id, signature=signed.signature, actor=actor)

    def end(self, peer: Peer, end: RelayedEnd, actor: Actor) -> None:
        """Give up, or end, what came over a link.

        Raises:
            NotFound, Refused: there is no such request, or it is none of the lower hub's.
        """
        _require_active(peer)
        request = self._requests.get(end.request_id)
        agreement = self._agreements.of_request(request.id)
        if agreement is not None:
            finish(self._agreements, self._mine(peer, agreement), actor, end.reason)
        elif request.consumer == peer.settings.department and reference_of(peer, request) is not None:
            if request.state is RequestState.SUBMITTED:
                self._requests.act(request.id, RequestAction.WITHDRAW, actor, end.reason)
        else:
            raise _not_theirs()

    def _mine(self, peer: Peer, agreement: Agreement) -> Agreement:
        request = self._requests.get(agreement.request_id)
        department = peer.settings.department
        asked = agreement.consumer == department and reference_of(peer, request) is not None
        if not asked and (
            agreement.provider != department or comes_from(self._catalogue, peer, agreement.resource_id) is None
        ):
            raise _not_theirs()
        return agreement

    def _order_of(self, peer: Peer, request: Request) -> RelayedOrder | None:
        remote_id = comes_from(self._catalogue, peer, request.resource_id)
        if remote_id is None:
            return None
        return order_of(request, remote_id, f"{self._cascade.hub} {request.consumer}")


def alive(
    agreements: Agreements, *, department: DepartmentCode | None = None, provider: DepartmentCode | None = None
) -> Iterator[Agreement]:
    """Yield the agreements of a party that have not ended."""
    for state in ALIVE:
        find = partial(agreements.find, department=department, provider=provider, state=state, limit=PAGE_ROWS_MAX)
        yield from pages(find)


def comes_from(catalogue: PublishedResources, peer: Peer, resource_id: ResourceId) -> ResourceId | None:
    """Return what a resource is called at the other end of a link; None if it did not come over it."""
    try:
        origin = catalogue.published(resource_id).content.origin
    except NotFound:
        return None
    return ResourceId(origin.remote_id) if origin is not None and origin.path and origin.source_id == peer.id else None


def order_of(request: Request, remote_id: ResourceId, asking: str) -> RelayedOrder:
    """Return a request as the next hub is to make it; its scope says for whom (`asking`: a hub and a department)."""
    purpose, said = request.purpose, f"（{asking}）"
    scope = purpose.scope[: TEXT_CHARS_MAX - len(said)] + said
    return RelayedOrder(
        reference=request.id,
        resource_id=remote_id,
        items=request.columns,
        rows=request.row_filter,
        calls=request.calls,
        purpose=purpose.model_copy(update={"scope": scope}),
    )


def take_over(requests: Requests, peers: Peers, peer: Peer, order: RelayedOrder, actor: Actor) -> Request:
    """Make the request that came over a link, once, with the link's evidence in the same transaction.

    Raises:
        Invalid: `sharing.request_incomplete`.
    """
    request_id = relayed_id(peer, order.reference)
    known = _known(requests, request_id)
    if known is not None:
        return known

    def also(connection: Connection, made: Sequence[Request]) -> None:
        facts: dict[str, JsonValue] = {
            "action": "request",
            "hub": peer.hub,
            "reference": order.reference,
            "request_id": made[0].id,
            "resource_id": order.resource_id,
        }
        peers.record(connection, peer.id, actor, facts)

    line = RequestLine(resource_id=order.resource_id, items=order.items, rows=order.rows, calls=order.calls)
    named = Named(bundle_of(peer, order.reference), request_id, also)
    try:
        requests.submit(
            consumer=peer.settings.department, lines=[line], purpose=order.purpose, actor=actor, named=named
        )
    except IntegrityError:
        # Another process made it at the same moment, or its items are now of two kinds of sharing.
        if _known(requests, request_id) is None:
            raise Refused(
                "sharing.relayed_mixed",
                what=Text(
                    zh="所申请的信息项在提供方属于不同的共享类型。", en="The items are shared in different ways there."
                ),
                remedy=Text(zh="请分开申请。", en="Ask for them separately."),
            ) from None
    return requests.get(request_id)


def settle(requests: Requests, request: Request, decision: RelayedDecision, actor: Actor) -> None:
    """Answer a request as the other hub answered it; one that was answered stays as it is."""
    if request.state is not RequestState.SUBMITTED:
        return
    if not decision.granted:
        requests.act(request.id, RequestAction.REFUSE, actor, decision.reason)
        return
    requests.act(request.id, RequestAction.APPROVE, actor, masks=narrower(request, decision.masks))


def narrower(request: Request, masks: Mapping[str, MaskKind]) -> dict[str, MaskKind]:
    """Return those of the masks that show less than the request's own."""
    own = {item.column: item.mask for item in request.items}
    return {column: kind for column, kind in masks.items() if column in own and kind in stricter_than(own[column])}


def finish(agreements: Agreements, agreement: Agreement, actor: Actor, reason: str) -> None:
    """End an agreement in the name of the party that the actor acts for; an ended one stays as it is."""
    if agreement.state in ENDED:
        return
    if actor.department == agreement.consumer:
        agreements.withdraw(agreement.id, actor, reason)
    else:
        agreements.terminate(agreement.id, actor, reason)


def _known(requests: Requests, request_id: RequestId) -> Request | None:
    try:
        return requests.get(request_id)
    except NotFound:
        return None


def open_requests(
    requests: Requests, *, provider: DepartmentCode | None = None, consumer: DepartmentCode | None = None
) -> Iterator[Request]:
    """Yield the requests of a party that await their reply."""
    state = RequestState.SUBMITTED
    return pages(partial(requests.find, provider=provider, consumer=consumer, state=state, limit=PAGE_ROWS_MAX))


def pages(find: Callable[..., Page[Row]]) -> Iterator[Row]:
    """Yield every row of a list that `find` gives page by page, from `offset` on."""
    offset = 0
    while True:
        found = find(offset=offset)
        yield from found.rows
        offset += len(found.rows)
        if not found.rows or offset >= found.total:
            return


def _require_active(peer: Peer) -> None:
    if peer.state is not PeerState.ACTIVE:
        raise Conflict(
            "federation.link_inactive",
            what=Text(zh=f"级联{peer.state.label.zh}。", en=f"The link is: {peer.state.label.en}."),
            remedy=Text(zh="请先恢复级联。", en="Resume the link first."),
        )


def _not_theirs() -> Refused:
    return Refused(
        "sharing.relayed_not_theirs",
        what=Text(zh="该申请或协议不经由此级联。", en="The request or agreement did not come over this link."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )
