"""Who holds which data element: one row for each mapped item of a visible resource, kept as resources are published."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, select

from datong.catalogue.source_tables import holding
from datong.catalogue.tables import listing
from datong.catalogue.values import Resource
from datong.kernel import Database, DepartmentCode, ResourceId, Value

IDS_AT_ONCE = 500


class Holding(Value):
    """One item of a visible resource that is a data element."""

    resource_id: ResourceId
    column: str
    element: str
    department: DepartmentCode
    is_key: bool
    title: str
    share_type: str
    update_cycle: str


class HeldElement(Value):
    """How widely one element is held."""

    element: str
    departments: int
    resources: int


def put_holdings(connection: Connection, shown: Iterable[Resource]) -> None:
    """Note what resources that become visible hold."""
    rows = [
        {
            "resource_id": found.id,
            "column_name": item.column,
            "element": item.element,
            "department": found.department,
            "is_key": item.key,
        }
        for found in shown
        for item in {item.column: item for item in found.content.items}.values()
        if item.element is not None
    ]
    if rows:
        connection.execute(holding.insert(), rows)


def drop_holdings(connection: Connection, ids: Sequence[str]) -> None:
    """Forget what resources held that are no longer visible."""
    for start in range(0, len(ids), IDS_AT_ONCE):
        connection.execute(holding.delete().where(holding.c.resource_id.in_(ids[start : start + IDS_AT_ONCE])))


def holdings_of(connection: Connection, elements: Iterable[str]) -> tuple[Holding, ...]:
    """Return who holds any of `elements`, in a stable order."""
    statement = (
        select(
            holding.c.resource_id,
            holding.c.column_name.label("column"),
            holding.c.element,
            holding.c.department,
            holding.c.is_key,
            listing.c.title,
            listing.c.share_type,
            listing.c.update_cycle,
        )
        .join(listing, listing.c.resource_id == holding.c.resource_id)
        .where(holding.c.element.in_(tuple(elements)))
        .order_by(holding.c.element, holding.c.department, holding.c.resource_id, holding.c.column_name)
    )
    return tuple(Holding.model_validate(dict(row)) for row in connection.execute(statement).mappings())


def held_elements(database: Database) -> tuple[HeldElement, ...]:
    """Return every element that somebody holds, the most widely held first."""
    departments = func.count(holding.c.department.distinct())
    resources = func.count(holding.c.resource_id.distinct())
    statement = (
        select(holding.c.element, departments, resources)
        .group_by(holding.c.element)
        .order_by(departments.desc(), resources.desc(), holding.c.element)
    )
    with database.snapshot() as connection:
        return tuple(
            HeldElement(element=element, departments=holders, resources=tables)
            for element, holders, tables in connection.execute(statement)
        )
