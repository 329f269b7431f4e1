"""Who holds which data element: one row for each mapped item of a visible resource, kept as resources are published.

What a department holds of an element is summed as well, in the same transaction, under the lock of the log of changes.
An element such as a citizen's number is held by a good part of a catalogue of millions: who only asks who holds it,
reads as many rows as departments.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Select, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.search_feed import lock_changes
from datong.catalogue.source_tables import holder, holding
from datong.catalogue.tables import listing
from datong.catalogue.values import Resource
from datong.kernel import Database, DepartmentCode, Page, ResourceId, Value, page_of

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


class Holder(Value):
    """What one department holds of an element under one share type (`ShareType`): how much, and the first of it."""

    element: str
    department: DepartmentCode
    share_type: str
    resources: int
    resource_id: ResourceId


def put_holdings(connection: Connection, shown: Iterable[Resource]) -> None:
    """Note what resources that become visible hold."""
    rows = [
        {
            "resource_id": found.id,
            "column_name": item.column,
            "element": item.element,
            "department": found.department,
            "is_key": item.key,
            "share_type": found.content.share_type.value,
        }
        for found in shown
        for item in {item.column: item for item in found.content.items}.values()
        if item.element is not None
    ]
    if rows:
        connection.execute(holding.insert(), rows)
        ids = list(dict.fromkeys(str(row["resource_id"]) for row in rows))
        for start in range(0, len(ids), IDS_AT_ONCE):
            _count(connection, ids[start : start + IDS_AT_ONCE], 1)


def drop_holdings(connection: Connection, ids: Sequence[str]) -> None:
    """Forget what resources held that are no longer visible."""
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        _count(connection, some, -1)
        connection.execute(holding.delete().where(holding.c.resource_id.in_(some)))
    connection.execute(holder.delete().where(holder.c.columns <= 0))


def holders_of(connection: Connection, elements: Iterable[str]) -> tuple[Holder, ...]:
    """Return which departments hold any of `elements`, one for each share type, in a stable order."""
    first = (
        select(func.min(holding.c.resource_id))
        .where(
            holding.c.element == holder.c.element,
            holding.c.department == holder.c.department,
            holding.c.share_type == holder.c.share_type,
        )
        .scalar_subquery()
    )
    statement = (
        select(
            holder.c.element, holder.c.department, holder.c.share_type, holder.c.resources, first.label("resource_id")
        )
        .where(holder.c.element.in_(tuple(elements)))
        .order_by(holder.c.element, holder.c.department, holder.c.share_type)
    )
    return tuple(Holder.model_validate(dict(row)) for row in connection.execute(statement).mappings())


def holdings_of(database: Database, element: str, *, offset: int, limit: int) -> Page[Holding]:
    """Return the items of visible resources that are `element`: by department, then what is shared most freely."""
    statement = (
        select(
            holding.c.resource_id,
            holding.c.column_name.label("column"),
            holding.c.element,
            holding.c.department,
            holding.c.is_key,
            holding.c.share_type,
            listing.c.title,
            listing.c.update_cycle,
        )
        .join(listing, listing.c.resource_id == holding.c.resource_id)
        .where(holding.c.element == element)
        .order_by(holding.c.department, holding.c.share_type, holding.c.resource_id, holding.c.column_name)
        .offset(offset)
        .limit(limit)
    )
    with database.snapshot() as connection:
        total = connection.execute(select(func.sum(holder.c.columns)).where(holder.c.element == element)).scalar_one()
        rows = connection.execute(statement).mappings()
        return page_of(tuple(Holding.model_validate(dict(row)) for row in rows), total=total or 0, offset=offset)


def recount(database: Database) -> bool:
    """Sum anew if the sums are not right, as after a process of an older version published; nothing more waits."""
    with database.snapshot() as connection:
        said = sorted(tuple(row) for row in connection.execute(select(holder)))
        unshared = select(holding.c.resource_id).where(holding.c.share_type.is_(None)).limit(1)
        known = connection.execute(unshared).first() is None
        if known and said == sorted(tuple(row) for row in connection.execute(_sums(1))):
            return False
    shared = select(listing.c.share_type).where(listing.c.resource_id == holding.c.resource_id).scalar_subquery()
    with database.transaction() as connection:
        lock_changes(connection)
        connection.execute(update(holding).where(holding.c.share_type.is_(None)).values(share_type=shared))
        connection.execute(delete(holder))
        connection.execute(insert(holder).from_select(list(holder.c), _sums(1)))
    return False


def _count(connection: Connection, ids: Sequence[str], sign: int) -> None:
    upsert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    some = _sums(sign).where(holding.c.resource_id.in_(ids))
    added = upsert(holder).from_select(list(holder.c), some)
    connection.execute(
        added.on_conflict_do_update(
            index_elements=["element", "department", "share_type"],
            set_={
                "resources": holder.c.resources + added.excluded.resources,
                "columns": holder.c.columns + added.excluded.columns,
            },
        )
    )


def _sums(sign: int) -> Select[tuple[str, str, str, int, int]]:
    return (
        select(
            holding.c.element,
            holding.c.department,
            holding.c.share_type,
            func.count(holding.c.resource_id.distinct()) * literal(sign),
            func.count() * literal(sign),
        )
        .where(holding.c.share_type.is_not(None))
        .group_by(holding.c.element, holding.c.department, holding.c.share_type)
    )
