"""Departments' nodes: enrol, take work, report that they live."""

from functools import partial
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from datong.catalogue import RecipientKey, RotationProof
from datong.exchange import NodeWork, SourceReport
from datong.kernel import DepartmentCode, NodeId, NotFound, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, POLL_WAIT_SECONDS_MAX
from datong.sharing import Action, Node, Principal, Target
from datong.web.api.base64_bytes import Base64Bytes
from datong.web.api.scope import concerning
from datong.web.authentication import Caller, Hub
from datong.web.node_work import WaitingNode, work_of
from datong.web.routing import api_routes
from datong.web.waiting import SharedLook, await_change

router = api_routes(tag="nodes")

STATUS_CHARS_MAX = 2000
REPORTS_MAX = 1000
NUMBER_MAX = 2**31 - 1


class NewEnrolment(Value):
    """The department that may enrol one node."""

    department: DepartmentCode


class EnrolmentToken(Value):
    """A token that enrols one node, once; it is shown once."""

    token: str


class NewNode(Value):
    """A node with its own public key: 32 raw bytes of Ed25519, base64."""

    enrolment_token: str = Field(max_length=NAME_CHARS_MAX)
    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    public_key: Base64Bytes


class EnrolledNode(Value):
    """What a node needs to know of its hub: `log_key` signs checkpoints, `hub_public_key` the hub's own acts."""

    node_id: NodeId
    department: DepartmentCode
    log_origin: str
    log_key: Base64Bytes
    hub_public_key: Base64Bytes


class Heartbeat(Value):
    """What a node says of itself."""

    status: str = Field("", max_length=STATUS_CHARS_MAX)
    running_seconds: int = Field(0, ge=0, le=NUMBER_MAX)
    """For how long its process has been running."""
    unanswered: int = Field(0, ge=0, le=NUMBER_MAX)
    """How often it called the hub in vain since it last reached it."""
    sources: tuple[SourceReport, ...] = Field((), max_length=REPORTS_MAX)
    """What it knows about the sources of its tasks, and what of them lies in its spool."""


class NextKey(Value):
    """A node's next signing key (raw Ed25519), with the present and the next key's signatures of the rotation."""

    public_key: Base64Bytes = Field(min_length=32, max_length=32)
    by_old: Base64Bytes = Field(min_length=64, max_length=64)
    by_new: Base64Bytes = Field(min_length=64, max_length=64)


@router.post("/enrolments", status_code=201)
def create_enrolment(body: NewEnrolment, caller: Caller, hub: Hub) -> EnrolmentToken:
    """Make a token with which one node of the department can enrol."""
    hub.policy.require(caller, Action.ENROLMENT_CREATE, concerning(body.department))
    return EnrolmentToken(token=hub.identity.create_enrolment(department=body.department, actor=caller.actor))


@router.post("/nodes", status_code=201)
def enrol_node(body: NewNode, hub: Hub) -> EnrolledNode:
    """Enrol a node; the enrolment token is the permission. The same token with the same key gives the same answer."""
    node = hub.identity.redeem_enrolment(token=body.enrolment_token, public_key=body.public_key, name=body.name)
    return EnrolledNode(
        node_id=node.id,
        department=node.department,
        log_origin=hub.settings.log_origin,
        log_key=hub.hub_key,
        hub_public_key=hub.hub_key,
    )


@router.get("/nodes")
def list_nodes(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> tuple[Node, ...]:
    """Return the enrolled nodes and when they were last seen."""
    hub.policy.require(caller, Action.DEPARTMENT_READ)
    return hub.identity.nodes(department)


@router.post("/nodes/me/signing-keys")
def replace_signing_key(body: NextKey, caller: Caller, hub: Hub) -> Node:
    """Take the key with which the calling node signs from now on; its present key vouches for it, and stays valid."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    proof = RotationProof(body.by_old, body.by_new)
    return hub.identity.replace_node_key(NodeId(caller.actor.id), body.public_key, proof, caller.actor)


@router.get("/nodes/me/work")
async def take_work(
    request: Request,
    caller: Caller,
    hub: Hub,
    wait: Annotated[float, Query(ge=0, le=POLL_WAIT_SECONDS_MAX, description="Seconds to wait for work.")] = 0,
) -> NodeWork:
    """Return the node's work as soon as there is some, or nothing after `wait` seconds.

    Agreements that wait for the department's signature end the wait too: `GET agreements?to_sign=true` names them.
    """
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    mine = WaitingNode(node=NodeId(caller.actor.id), department=caller.department)
    shared: SharedLook[WaitingNode] = request.app.state.node_look
    concerned = partial(shared.concerns, mine)
    return await await_change(request, hub.bell, wait, partial(work_of, hub, mine), concerned=concerned)


@router.post("/nodes/me/heartbeat", status_code=204)
def beat(body: Heartbeat, caller: Caller, hub: Hub) -> None:
    """Record that the node is alive, and what it reports about the sources of its tasks."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    hub.identity.heartbeat(
        NodeId(caller.actor.id), body.status, running_seconds=body.running_seconds, unanswered=body.unanswered
    )
    hub.exchange.observation.note(NodeId(caller.actor.id), body.sources)


class NewRecipientKey(Value):
    """A node's X25519 key (32 raw bytes), signed by the node's registered Ed25519 key."""

    public_key: Base64Bytes
    signature: Base64Bytes


class RecipientKeyRevocation(Value):
    """Why a recipient key is revoked; the log holds the reason's digest."""

    reason: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


@router.post("/nodes/me/recipient-keys", status_code=201)
def register_recipient_key(body: NewRecipientKey, caller: Caller, hub: Hub) -> RecipientKey:
    """Register a key to which payloads may be sealed for the calling node; several may be in force."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    return hub.recipient_keys.register(caller.actor, body.public_key, body.signature)


@router.post("/nodes/me/recipient-keys/{key_id}/revocation", status_code=201)
def revoke_own_recipient_key(key_id: str, body: RecipientKeyRevocation, caller: Caller, hub: Hub) -> RecipientKey:
    """Revoke one of the calling node's recipient keys."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    found = hub.recipient_keys.key(key_id)
    if found.node_id != caller.actor.id:
        raise NotFound(
            "web.key_of_other_node",
            what=Text(zh=f"本节点没有收件密钥 {key_id}。", en=f"This node has no recipient key {key_id}."),
            remedy=Text(zh="请核对密钥编号。", en="Check the key's id."),
        )
    return hub.recipient_keys.revoke(key_id, caller.actor, body.reason)


def own_node(caller: Principal) -> Target:
    """Return the calling node as a target."""
    return Target(id=caller.actor.id, department=caller.department, node=NodeId(caller.actor.id))
