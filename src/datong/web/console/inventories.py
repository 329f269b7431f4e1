"""摸清家底: what departments' systems hold, how much of it is catalogued, what to check, and what has changed since."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from datong.catalogue import Inventory, TableRole
from datong.kernel import DepartmentCode, ResourceId, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.api.inventories import propose_revision, readable_inventory
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

DRIFTS_SHOWN = 50


class DepartmentInventory(Value):
    """The inventories of one department's sources, and their sums."""

    department: DepartmentCode
    sources: tuple[Inventory, ...]

    @property
    def tables(self) -> int:
        """All tables found."""
        return sum(one.counts.tables for one in self.sources)

    @property
    def to_catalogue(self) -> int:
        """Tables to be catalogued."""
        return sum(one.counts.to_catalogue for one in self.sources)

    @property
    def drafted(self) -> int:
        """Tables that have a draft or more."""
        return sum(one.counts.drafted for one in self.sources)

    @property
    def published(self) -> int:
        """Tables whose resource is published."""
        return sum(one.published for one in self.sources)

    @property
    def coverage(self) -> float | None:
        """目录编制率: published out of to be catalogued."""
        return min(1.0, self.published / self.to_catalogue) if self.to_catalogue else None

    @property
    def mapped(self) -> float | None:
        """The share of columns with a data element."""
        columns = sum(one.counts.catalogue_columns for one in self.sources)
        return sum(one.counts.mapped for one in self.sources) / columns if columns else None


@router.get("/inventories")
def list_inventories(desk: SignedIn, department: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "") -> Response:
    """Show the departments' inventories, and the sources that have departed from their entries."""
    wanted = DepartmentCode(department) if department else None
    scope = department_in_scope(desk.services, desk.caller, Action.RESOURCE_READ_UNPUBLISHED, wanted)
    found = desk.services.inventories.find(scope)
    drifts = desk.services.inventories.drifts(department=scope, limit=DRIFTS_SHOWN)
    return desk.page(
        "inventories/list.html",
        lines=by_department(found),
        drifts=drifts,
        may_revise={drift.resource_id: _may_edit(desk, drift.resource_id, drift.department) for drift in drifts.rows},
        department=department,
    )


@router.get("/inventories/{inventory_id}")
def show_inventory(desk: SignedIn, inventory_id: str, offset: Offset, role: str = "", check: str = "") -> Response:
    """Show one source: its tables, what was left out and why, and the columns to check."""
    inventory = readable_inventory(inventory_id, desk.caller, desk.services)
    chosen = TableRole(role) if role in set(TableRole) else None
    tables = desk.services.inventories.tables(
        inventory_id, role=chosen, to_check=bool(check), offset=offset, limit=PAGE_ROWS
    )
    return desk.page(
        "inventories/source.html",
        inventory=inventory,
        tables=tables,
        role=role,
        roles=tuple(TableRole),
        check=check,
        offset=offset,
        step=PAGE_ROWS,
    )


@router.post("/inventories/drifts/{resource_id}/revision")
def revise(desk: SignedIn, resource_id: ResourceId) -> Response:
    """Draft a new version from the structure found, and open it."""
    made = propose_revision(resource_id, desk.caller, desk.services)
    return desk.go(f"/catalogue/{made.id}", done="revised")


def by_department(found: Sequence[Inventory]) -> tuple[DepartmentInventory, ...]:
    """Return inventories by department, in the order in which departments first come."""
    sources: dict[DepartmentCode, list[Inventory]] = {}
    for inventory in found:
        sources.setdefault(inventory.department, []).append(inventory)
    return tuple(DepartmentInventory(department=code, sources=tuple(members)) for code, members in sources.items())


def _may_edit(desk: Desk, resource_id: ResourceId, department: DepartmentCode) -> bool:
    return desk.may(Action.RESOURCE_EDIT, Target.of_department(department, name=resource_id))
