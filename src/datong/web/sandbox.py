"""The sandbox: the gateway's calls over synthetic records, for applications with a sandbox key."""

from datong.kernel import ResourceId
from datong.sharing import Action, Principal, Target
from datong.sharing.applications import SandboxAnswer
from datong.web.authentication import Caller, Hub
from datong.web.gateway import Query, Verification
from datong.web.routing import machine_routes
from datong.web.services import Services

router = machine_routes("/sandbox/v1", tag="sandbox")


@router.post("/{resource_id}/query")
def query_sandbox(resource_id: ResourceId, body: Query, caller: Caller, hub: Hub) -> SandboxAnswer:
    """Answer as the gateway's query would, from synthetic records."""
    return hub.sandbox.answer(
        _client(hub, caller),
        resource_id,
        key=body.key,
        names=body.items,
        purpose=body.purpose,
        case_number=body.case_number,
    )


@router.post("/{resource_id}/verify")
def verify_in_sandbox(resource_id: ResourceId, body: Verification, caller: Caller, hub: Hub) -> SandboxAnswer:
    """Answer as the gateway's verification would, from synthetic records."""
    return hub.sandbox.answer(
        _client(hub, caller),
        resource_id,
        key=body.key,
        names=tuple(body.claims),
        purpose=body.purpose,
        case_number=body.case_number,
        claims=body.claims,
    )


def _client(hub: Services, caller: Principal) -> str:
    hub.policy.require(caller, Action.SANDBOX_CALL, Target(id=caller.actor.id, department=caller.department))
    return caller.actor.id
