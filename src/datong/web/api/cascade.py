"""Higher and lower hubs: the links and their settings, for people; and the link itself, for the lower hub's machine."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from datong.federation import Joined, Peer, PeerId, PeerSettings, PeerState, SignedBatch, Standing
from datong.kernel import NodeId, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, Principal
from datong.sharing.relay import (
    WORK_PAGES_MAX,
    RelayedDecision,
    RelayedEnd,
    RelayedOrder,
    RelayedSignature,
    RelayedStanding,
    RelayedWork,
)
from datong.web.api.nodes import own_node
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/cascade", tag="cascade")

SERIAL_MAX = 2**62


class ExpectedSubordinate(Value):
    """A lower hub that may join, and the token with which it does, once; it is shown once."""

    peer: Peer
    token: str


class NewSuperior(Value):
    """A higher hub to join with the token that it issued; `own_name` is how people there see this hub."""

    settings: PeerSettings
    address: str = Field(pattern=r"^https?://[^\s<>\"]+$", max_length=2000)
    token: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    own_name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class PeerStateChange(Value):
    """The state that a link is to have; `ended` is for good and retires what it brought."""

    state: PeerState


class LinkRequest(Value):
    """What a lower hub says when it joins: the token, and its own name in signatures and paths."""

    token: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    hub: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class StepAnswer(Value):
    """Whether both hubs hold the same."""

    in_step: bool


@router.get("/peers")
def list_peers(caller: Caller, hub: Hub) -> tuple[Peer, ...]:
    """Return the higher and lower hubs, and how far each direction has come."""
    hub.policy.require(caller, Action.HARVEST_READ)
    return hub.peers.all()


@router.get("/peers/{peer_id}")
def read_peer(peer_id: PeerId, caller: Caller, hub: Hub) -> Peer:
    """Return one of them."""
    hub.policy.require(caller, Action.HARVEST_READ)
    return hub.peers.get(peer_id)


@router.post("/subordinates", status_code=201)
def expect_subordinate(body: PeerSettings, caller: Caller, hub: Hub) -> ExpectedSubordinate:
    """Register a lower hub and make the token with which it joins."""
    hub.policy.require(caller, Action.CASCADE_MANAGE)
    token = hub.identity.create_enrolment(department=body.department, actor=caller.actor)
    return ExpectedSubordinate(peer=hub.peers.expect_subordinate(body, token, caller.actor), token=token)


@router.post("/superiors", status_code=201)
def join_superior(body: NewSuperior, caller: Caller, hub: Hub) -> Peer:
    """Join a higher hub."""
    hub.policy.require(caller, Action.CASCADE_MANAGE)
    return hub.exchanges.join(
        body.settings, address=body.address, token=body.token, own_name=body.own_name, actor=caller.actor
    )


@router.put("/peers/{peer_id}")
def edit_peer(peer_id: PeerId, body: PeerSettings, caller: Caller, hub: Hub) -> Peer:
    """Change what a hub is shown and who answers for what it sends."""
    hub.policy.require(caller, Action.CASCADE_MANAGE)
    return hub.peers.edit(peer_id, body, caller.actor)


@router.post("/peers/{peer_id}/state")
def change_peer(peer_id: PeerId, body: PeerStateChange, caller: Caller, hub: Hub) -> Peer:
    """Pause, resume or end a link."""
    hub.policy.require(caller, Action.CASCADE_MANAGE)
    return hub.peers.set_state(peer_id, body.state, caller.actor)


@router.post("/peers/{peer_id}/exchange")
def exchange_now(peer_id: PeerId, caller: Caller, hub: Hub) -> Peer:
    """Exchange with a higher hub now, and compare both ends."""
    hub.policy.require(caller, Action.CASCADE_MANAGE)
    return hub.exchanges.exchange(peer_id)


@router.post("/link")
def join_link(body: LinkRequest, caller: Caller, hub: Hub) -> Joined:
    """Bind the calling node, a lower hub, to what was registered for its token."""
    hub.policy.require(caller, Action.CASCADE_EXCHANGE, own_node(caller))
    node_id = NodeId(caller.actor.id)
    key = hub.departments.key(hub.identity.node(node_id).key_id).public_key
    hub.peers.join(token=body.token, node_id=node_id, hub=body.hub, public_key=key, actor=caller.actor)
    return Joined(hub=hub.cascade.hub, public_key=hub.hub_key, node_id=node_id)


@router.get("/link/standing")
def link_standing(caller: Caller, hub: Hub) -> Standing:
    """Return how far the caller's entries have been applied here."""
    return hub.cascade.incoming_standing(own_peer(hub, caller).id)


@router.post("/link/standing")
def report_standing(body: Standing, caller: Caller, hub: Hub) -> StepAnswer:
    """Take note of how far the caller has applied what it was shown."""
    return StepAnswer(in_step=hub.cascade.acknowledge(own_peer(hub, caller).id, body))


@router.post("/link/batches")
def push_batch(body: SignedBatch, caller: Caller, hub: Hub) -> Standing:
    """Apply a batch of the caller's changes."""
    return hub.cascade.receive(own_peer(hub, caller).id, body, caller.actor)


@router.get("/link/batches")
def pull_batch(
    caller: Caller, hub: Hub, after: Annotated[int, Query(ge=0, le=SERIAL_MAX, description="Number applied last.")] = 0
) -> SignedBatch:
    """Return what the caller is shown after a number."""
    peer = own_peer(hub, caller)
    hub.cascade.look(peer.id)
    return hub.cascade.outgoing_batch(peer.id, after)


@router.post("/link/orders")
def order_request(body: RelayedOrder, caller: Caller, hub: Hub) -> RelayedStanding:
    """Make the request that a lower hub sends on, once, or say how it stands."""
    return hub.relay.desk.order(own_peer(hub, caller), body, caller.actor)


@router.get("/link/work")
def relayed_work(caller: Caller, hub: Hub, page: Annotated[int, Query(ge=0, le=WORK_PAGES_MAX)] = 0) -> RelayedWork:
    """Return the requests that a lower hub is to make and the agreements that it is to look after, a page at a time."""
    return hub.relay.desk.work(own_peer(hub, caller), page)


@router.post("/link/decisions", status_code=200)
def answer_order(body: RelayedDecision, caller: Caller, hub: Hub) -> None:
    """Answer a request as the lower hub that holds the data answered it."""
    hub.relay.desk.decide(own_peer(hub, caller), body, caller.actor)


@router.post("/link/signatures", status_code=200)
def sign_relayed(body: RelayedSignature, caller: Caller, hub: Hub) -> None:
    """Confirm an agreement and sign it with the lower hub's key."""
    key_id = hub.identity.node(NodeId(caller.actor.id)).key_id
    hub.relay.desk.sign(own_peer(hub, caller), body, caller.actor, key_id)


@router.post("/link/ends", status_code=200)
def end_relayed(body: RelayedEnd, caller: Caller, hub: Hub) -> None:
    """Withdraw a request, or end an agreement, that has ended at the lower hub."""
    hub.relay.desk.end(own_peer(hub, caller), body, caller.actor)


def own_peer(hub: Services, caller: Principal) -> Peer:
    """Return the lower hub that calls.

    Raises:
        Refused: the caller is no node. NotFound: it is no lower hub.
    """
    hub.policy.require(caller, Action.CASCADE_EXCHANGE, own_node(caller))
    return hub.peers.of_node(NodeId(caller.actor.id))
