"""Which resources changed since a moment, in a stable order, with what everybody sees of each now."""

from datetime import datetime

from sqlalchemy import Connection, and_, or_, select

from datong.catalogue.records import published_from, select_published
from datong.catalogue.tables import resource
from datong.catalogue.values import Resource
from datong.kernel import ResourceId, Value


class ChangedResource(Value):
    """A resource that changed, and its published version; None: nobody sees it now."""

    id: ResourceId
    updated_at: datetime
    published: Resource | None


def changed_resources(
    connection: Connection, *, since: datetime | None, after: ChangedResource | None, limit: int
) -> list[ChangedResource]:
    """Return up to `limit` resources changed at `since` or later, oldest change first, that follow `after`."""
    statement = select(resource.c.id, resource.c.updated_at)
    if after is not None:
        same = and_(resource.c.updated_at == after.updated_at, resource.c.id > after.id)
        statement = statement.where(or_(resource.c.updated_at > after.updated_at, same))
    elif since is not None:
        statement = statement.where(resource.c.updated_at >= since)
    changed = connection.execute(statement.order_by(resource.c.updated_at, resource.c.id).limit(limit)).all()
    rows = connection.execute(select_published().where(resource.c.id.in_([row.id for row in changed]))).mappings()
    published = {row["id"]: published_from(dict(row)) for row in rows}
    return [
        ChangedResource(id=ResourceId(row.id), updated_at=row.updated_at, published=published.get(row.id))
        for row in changed
    ]


def published_among(connection: Connection, ids: list[ResourceId]) -> dict[ResourceId, Resource]:
    """Return the published versions of those resources that everybody sees."""
    rows = connection.execute(select_published().where(resource.c.id.in_(ids))).mappings()
    return {ResourceId(row["id"]): published_from(dict(row)) for row in rows}
