"""Rows of what is open: written in the transaction that publishes or hides, read by the open catalogue."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, select

from datong.catalogue.opening import OpenResource, open_terms, public_part
from datong.catalogue.tables import open_edition, open_listing, open_term
from datong.catalogue.values import Resource, ResourceContent
from datong.kernel import DepartmentCode, ResourceId

LISTING_TITLE_CHARS = 400
IDS_AT_ONCE = 500


def put_open(connection: Connection, shown: Sequence[Resource]) -> None:
    """Bring the public part of published resources before everybody.

    An open resource whose public part did not change keeps its rows untouched: a change inside shows nowhere. One that
    is not open any more is taken away.
    """
    closed = [found.id for found in shown if not found.content.open]
    take_open(connection, closed)
    opened = [found for found in shown if found.content.open]
    for start in range(0, len(opened), IDS_AT_ONCE):
        _put(connection, opened[start : start + IDS_AT_ONCE])


def _put(connection: Connection, opened: Sequence[Resource]) -> None:
    ids = [found.id for found in opened]
    newest = _newest_editions(connection, ids)
    listed = set(
        connection.execute(select(open_listing.c.resource_id).where(open_listing.c.resource_id.in_(ids))).scalars()
    )
    editions: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    terms: list[dict[str, object]] = []
    for found in opened:
        part = public_part(found.content)
        edition, known, first = newest.get(found.id, (0, None, found.updated_at))
        if known == part and found.id in listed:
            continue
        if known != part:
            edition += 1
            editions.append(
                {
                    "resource_id": found.id,
                    "edition": edition,
                    "department": found.department,
                    "content": part.model_dump(mode="json"),
                    "opened_at": found.updated_at,
                }
            )
        rows.append(
            {
                "resource_id": found.id,
                "edition": edition,
                "department": found.department,
                "title": part.title.zh[:LISTING_TITLE_CHARS],
                "theme": part.theme,
                "licence": part.licence,
                "first_opened_at": first,
                "changed_at": found.updated_at,
            }
        )
        terms.extend(
            {"resource_id": found.id, "field": field.value, "value": value}
            for field, value in sorted(open_terms(found.id, part))
        )
    take_open(connection, [str(row["resource_id"]) for row in rows if row["resource_id"] in listed])
    for table, values in ((open_edition, editions), (open_listing, rows), (open_term, terms)):
        if values:
            connection.execute(table.insert(), values)


def take_open(connection: Connection, ids: Sequence[str]) -> None:
    """Take resources out of what is open now; the editions that the public once saw stay for a later opening."""
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        for table in (open_listing, open_term):
            connection.execute(delete(table).where(table.c.resource_id.in_(some)))


def _newest_editions(
    connection: Connection, ids: Sequence[str]
) -> dict[str, tuple[int, ResourceContent | None, datetime]]:
    """Return number and content of the newest edition, and when the first was opened, by resource."""
    bounds = (
        select(
            open_edition.c.resource_id,
            func.max(open_edition.c.edition).label("edition"),
            func.min(open_edition.c.edition).label("first"),
        )
        .where(open_edition.c.resource_id.in_(ids))
        .group_by(open_edition.c.resource_id)
        .subquery()
    )
    first = open_edition.alias("first_edition")
    statement = (
        select(bounds.c.resource_id, bounds.c.edition, open_edition.c.content, first.c.opened_at)
        .join(
            open_edition,
            and_(open_edition.c.resource_id == bounds.c.resource_id, open_edition.c.edition == bounds.c.edition),
        )
        .join(first, and_(first.c.resource_id == bounds.c.resource_id, first.c.edition == bounds.c.first))
    )
    return {
        key: (edition, ResourceContent.model_validate(content), opened_at)
        for key, edition, content, opened_at in connection.execute(statement)
    }


def select_open() -> Select[Any]:
    """Resources that are open now, with their current edition."""
    return select(
        open_listing.c.resource_id,
        open_listing.c.department,
        open_listing.c.edition,
        open_edition.c.content,
        open_listing.c.first_opened_at,
        open_listing.c.changed_at,
    ).join(
        open_edition,
        and_(
            open_edition.c.resource_id == open_listing.c.resource_id, open_edition.c.edition == open_listing.c.edition
        ),
    )


def open_from(row: Mapping[str, Any]) -> OpenResource:
    """A row of `select_open`."""
    return OpenResource(
        id=ResourceId(row["resource_id"]),
        department=DepartmentCode(row["department"]),
        edition=row["edition"],
        content=ResourceContent.model_validate(row["content"]),
        first_opened_at=row["first_opened_at"],
        changed_at=row["changed_at"],
    )
