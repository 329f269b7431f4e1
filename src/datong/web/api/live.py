"""Live service interfaces: which resources are answered by their node, and the node's way to take and answer calls."""

import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Query, Request

from datong.kernel import NodeId, NotFound, ResourceId, Text, Value
from datong.kernel.limits import POLL_WAIT_SECONDS_MAX
from datong.sharing import Action, LiveService, LiveTerms, SealedLiveAnswer, SealedLiveCall
from datong.web.api.nodes import own_node
from datong.web.api.scope import concerning
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.waiting import await_change

router = api_routes(tag="live")

LOOK_SECONDS = 0.1
"""A call that came to another process of the hub rings no bell here."""
SERVES_SECONDS = 3.0
"""How long it is remembered whether a node has a live service at all."""


class LiveOffer(Value):
    """How the resource is to be answered live; null: no longer."""

    terms: LiveTerms | None


class Remembered:
    """An answer that is asked for anew only every few seconds."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._until = 0.0
        self._known = False

    def __call__(self) -> bool:
        """Return the answer."""
        if time.monotonic() >= self._until:
            self._known = self._ask()
            self._until = time.monotonic() + SERVES_SECONDS
        return self._known


class Awaited(Value):
    """Whether somebody still waited for the answer."""

    awaited: bool


@router.get("/live-services")
def list_live_services(caller: Caller, hub: Hub) -> tuple[LiveService, ...]:
    """Return every live service with its present health."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    return hub.live.all()


@router.get("/resources/{resource_id}/live")
def read_live_service(resource_id: ResourceId, caller: Caller, hub: Hub) -> LiveService:
    """Return a resource's live service with its present health."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    found = hub.live.of(resource_id)
    if found is None:
        raise NotFound(
            "sharing.live_not_offered",
            what=Text(zh="该资源不提供实时接口。", en="The resource is not answered live."),
            remedy=Text(zh="请由提供部门开通。", en="The provider has to offer it."),
        )
    return found


@router.put("/resources/{resource_id}/live")
def offer_live_service(resource_id: ResourceId, body: LiveOffer, caller: Caller, hub: Hub) -> LiveService | None:
    """Have the resource's calls answered by the provider's node from its own tables, or no longer."""
    resource = hub.catalogue.published(resource_id)
    hub.policy.require(caller, Action.LIVE_OFFER, concerning(resource.department))
    return hub.live.offer(resource_id, body.terms, actor=caller.actor)


@router.get("/nodes/me/calls")
async def take_calls(
    request: Request,
    caller: Caller,
    hub: Hub,
    key: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$", description="X25519 key to which calls are sealed, hex.")],
    wait: Annotated[float, Query(ge=0, le=POLL_WAIT_SECONDS_MAX, description="Seconds to wait for calls.")] = 0,
) -> tuple[SealedLiveCall, ...]:
    """Return the calls that wait for the node as soon as there are some, or none after `wait` seconds."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    node = NodeId(caller.actor.id)
    serves = Remembered(lambda: hub.live.serves(node))

    def look() -> tuple[tuple[SealedLiveCall, ...], bool]:
        calls = hub.live.take(node, bytes.fromhex(key)) if serves() else ()
        return calls, bool(calls)

    return await await_change(request, hub.call_bell, wait, look, LOOK_SECONDS)


@router.post("/nodes/me/calls/{call_id}/answer")
def answer_call(call_id: str, body: SealedLiveAnswer, caller: Caller, hub: Hub) -> Awaited:
    """Hand in the signed answer to a call, sealed for the process that asked."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    awaited = call_id == body.call_id and hub.live.answer(NodeId(caller.actor.id), body)
    return Awaited(awaited=awaited)
