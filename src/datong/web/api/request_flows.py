"""The ways of requests: steps, variants, waiting times, and the requests behind an edge of the map."""

from datong.governance import FlowMap, FlowRequest, FlowStep
from datong.kernel import DepartmentCode, Page
from datong.sharing import Action
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/request-flow", tag="governance")


@router.get("")
def read_flow(caller: Caller, hub: Hub, period: str | None = None, department: DepartmentCode | None = None) -> FlowMap:
    """Return how requests of a period (2026-11, 2026-Q4, 2026; without one: of all times) went, step by step."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.request_flows.map(period=period, department=department)


@router.get("/requests")
def list_flow_requests(
    before: FlowStep,
    step: FlowStep,
    caller: Caller,
    hub: Hub,
    period: str | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[FlowRequest]:
    """Return the requests that went from one step straight to another, slowest first: all, or the caller's own."""
    scope = department_in_scope(hub, caller, Action.REQUEST_READ, department)
    return hub.request_flows.requests(before, step, period=period, department=scope, offset=offset, limit=limit)
