"""The simulator: who could see a column, and why a caller may or may not; nothing is read or recorded."""

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from datong.kernel import ResourceId
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, CallVerdict, ColumnView, Principal, SimulatedCall, Target
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/simulations", tag="simulations")


@router.get("/column")
def simulate_column(
    caller: Caller,
    hub: Hub,
    resource_id: ResourceId,
    column: Annotated[str, Query(max_length=NAME_CHARS_MAX)],
    at: AwareDatetime | None = None,
) -> ColumnView:
    """Return who could see a column of a resource at a time (by default now), under which agreement, how masked."""
    require_simulation(hub, caller, resource_id)
    return hub.simulator.column(resource_id, column, at=at)


@router.post("/access")
def simulate_access(body: SimulatedCall, caller: Caller, hub: Hub) -> CallVerdict:
    """Return whether a call would be let through, and why."""
    require_simulation(hub, caller, body.resource_id)
    return hub.simulator.ask(body)


def require_simulation(hub: Services, caller: Principal, resource_id: ResourceId) -> None:
    """Let those simulate who oversee, and a department's officer what the department provides.

    Raises:
        NotFound: no such resource is published. Refused: it belongs to another department.
    """
    resource = hub.catalogue.published(resource_id)
    hub.policy.require(caller, Action.ACCESS_SIMULATE, Target.of_department(resource.department))
