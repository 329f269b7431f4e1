"""Inventories (摸清家底) of departments' sources, and drifts of sources from their published entries."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from datong.catalogue import (
    TABLES_PER_REQUEST_MAX,
    Drift,
    Fault,
    FoundTable,
    Inventory,
    InventoryStart,
    ListedTable,
    Resource,
    TableRole,
)
from datong.kernel import DepartmentCode, NodeId, Page, ResourceId, Value
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope, own_department
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="inventories")


class NewTables(Value):
    """Tables of an inventory, as the node found them: structure, ratios and counts, no value."""

    tables: tuple[FoundTable, ...] = Field(max_length=TABLES_PER_REQUEST_MAX)


class InventoryEnd(Value):
    """The end of an inventory; `fault` says why the source could not be read at all."""

    fault: Fault | None = None


@router.post("/inventories", status_code=201)
def start_inventory(body: InventoryStart, caller: Caller, hub: Hub) -> Inventory:
    """Begin an inventory of one source of the calling node."""
    department = own_department(caller)
    hub.policy.require(caller, Action.INVENTORY_RECORD, _of_node(caller, department, NodeId(caller.actor.id)))
    return hub.inventories.start(department, body, caller.actor)


@router.post("/inventories/{inventory_id}/tables", status_code=204)
def add_tables(inventory_id: str, body: NewTables, caller: Caller, hub: Hub) -> None:
    """Report tables of an unfinished inventory; a table reported again replaces what was reported before."""
    _own(inventory_id, caller, hub)
    hub.inventories.add(inventory_id, body.tables)


@router.post("/inventories/{inventory_id}/finish")
def finish_inventory(inventory_id: str, body: InventoryEnd, caller: Caller, hub: Hub) -> Inventory:
    """End an inventory: it is counted, put on record, and compared with the catalogue."""
    _own(inventory_id, caller, hub)
    return hub.inventories.finish(inventory_id, caller.actor, body.fault)


@router.get("/inventories")
def list_inventories(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> tuple[Inventory, ...]:
    """Return the newest inventory of every source: of all departments, or of the caller's own."""
    return hub.inventories.find(department_in_scope(hub, caller, Action.RESOURCE_READ_UNPUBLISHED, department))


@router.get("/inventories/{inventory_id}")
def read_inventory(inventory_id: str, caller: Caller, hub: Hub) -> Inventory:
    """Return one inventory."""
    return readable_inventory(inventory_id, caller, hub)


@router.get("/inventories/{inventory_id}/tables")
def list_tables(
    inventory_id: str,
    caller: Caller,
    hub: Hub,
    role: TableRole | None = None,
    to_check: Annotated[bool, Query(description="Only tables with columns that a person should check.")] = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[ListedTable]:
    """Return the tables of an inventory with their columns and proposed elements."""
    readable_inventory(inventory_id, caller, hub)
    return hub.inventories.tables(inventory_id, role=role, to_check=to_check, offset=offset, limit=limit)


@router.get("/drifts")
def list_drifts(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    include_closed: bool = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Drift]:
    """Return the sources that depart from their published entries, by deadline."""
    scope = department_in_scope(hub, caller, Action.RESOURCE_READ_UNPUBLISHED, department)
    return hub.inventories.drifts(department=scope, include_closed=include_closed, offset=offset, limit=limit)


@router.post("/drifts/{resource_id}/revision", status_code=201)
def propose_revision(resource_id: ResourceId, caller: Caller, hub: Hub) -> Resource:
    """Draft a new version of the resource from the structure found; it is submitted like any other."""
    resource = hub.catalogue.get(resource_id)
    hub.policy.require(caller, Action.RESOURCE_EDIT, Target.of_department(resource.department, name=resource.id))
    return hub.inventories.propose_revision(resource_id, caller.actor)


def readable_inventory(inventory_id: str, caller: Principal, hub: Services) -> Inventory:
    """Return an inventory that `caller` may read.

    Raises:
        NotFound: there is none. Refused: it is another department's.
    """
    found = hub.inventories.get(inventory_id)
    target = Target.of_department(found.department, name=found.id)
    hub.policy.require(caller, Action.RESOURCE_READ_UNPUBLISHED, target)
    return found


def _own(inventory_id: str, caller: Principal, hub: Services) -> None:
    found = hub.inventories.get(inventory_id)
    hub.policy.require(caller, Action.INVENTORY_RECORD, _of_node(caller, found.department, found.node_id))


def _of_node(caller: Principal, department: DepartmentCode, node_id: NodeId) -> Target:
    return Target(id=caller.actor.id, department=department, node=node_id)
