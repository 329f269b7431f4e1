"""Rows of the catalogue's tables as values, and the statements that read them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.faults import resource_not_found, serials_used_up
from datong.catalogue.holdings import drop_holdings, put_holdings
from datong.catalogue.lifecycle import Standing
from datong.catalogue.open_records import IDS_AT_ONCE, LISTING_TITLE_CHARS, put_open, take_open
from datong.catalogue.opening import public_part
from datong.catalogue.search_feed import record_changes
from datong.catalogue.tables import code_counter, listing, resource, version
from datong.catalogue.values import (
    Binding,
    Resource,
    ResourceContent,
    ResourceState,
    ResourceVersion,
)
from datong.kernel import DepartmentCode, ResourceId, sha256_hex

_RESOURCE_COLUMNS = (
    resource.c.id,
    resource.c.code,
    resource.c.department,
    resource.c.state,
    resource.c.version,
    resource.c.published_version,
    resource.c.created_at,
    resource.c.updated_at,
    resource.c.due_at,
)
_STAMPS = (
    select(resource.c.id, resource.c.published_version, listing.c.published_at)
    .join(listing, listing.c.resource_id == resource.c.id)
    .where(resource.c.id.in_(bindparam("of_ids", expanding=True)))
)


def select_working() -> Select[Any]:
    """Resources with their working version."""
    return select(*_RESOURCE_COLUMNS, version.c.content, version.c.published_at).join(
        version, and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.version)
    )


def select_published() -> Select[Any]:
    """Visible resources with their published version."""
    return (
        select(
            *_RESOURCE_COLUMNS,
            version.c.content,
            version.c.published_at,
            version.c.updated_at.label("version_updated_at"),
        )
        .join(version, and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.published_version))
        .join(listing, listing.c.resource_id == resource.c.id)
    )


def published_stamps(connection: Connection, ids: Sequence[ResourceId]) -> dict[ResourceId, object]:
    """Return of each visible resource which version everybody sees, since when."""
    rows = connection.execute(_STAMPS, {"of_ids": list(ids)}).all()
    return {row.id: (row.published_version, row.published_at) for row in rows}


def working_from(row: Mapping[str, Any]) -> Resource:
    """The working version in a row of `select_working`."""
    return Resource(
        id=ResourceId(row["id"]),
        code=row["code"],
        department=DepartmentCode(row["department"]),
        state=ResourceState(row["state"]),
        version=row["version"],
        published_version=row["published_version"],
        content=ResourceContent.model_validate(row["content"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        published_at=row["published_at"],
        due_at=row["due_at"],
    )


def published_from(row: Mapping[str, Any], *, open_only: bool = False) -> Resource:
    """The published version in a row of `select_published`; for the public only what is open of it."""
    content = ResourceContent.model_validate(row["content"])
    if open_only:
        content = public_part(content)
    return Resource(
        id=ResourceId(row["id"]),
        code=None if open_only else row["code"],
        department=DepartmentCode(row["department"]),
        state=ResourceState.PUBLISHED,
        version=row["published_version"],
        published_version=row["published_version"],
        content=content,
        created_at=row["created_at"],
        updated_at=row["version_updated_at"],
        published_at=row["published_at"],
    )


def version_from(row: Mapping[str, Any]) -> ResourceVersion:
    """A row of `catalogue_version`."""
    return ResourceVersion.model_validate({key: value for key, value in row.items() if key != "resource_id"})


def locked(connection: Connection, resource_id: ResourceId) -> Resource:
    """Return the working version and hold the resource until the transaction ends, or raise NotFound.

    The lock is taken first and the version read after it: PostgreSQL would show a joined row as it was before the wait.
    """
    connection.execute(select(resource.c.id).where(resource.c.id == resource_id).with_for_update())
    row = connection.execute(select_working().where(resource.c.id == resource_id)).mappings().first()
    if row is None:
        raise resource_not_found(resource_id)
    return working_from(dict(row))


def standing_of(found: Resource) -> Standing:
    """Where a working version stands in its life."""
    return Standing(
        state=found.state,
        version=found.version,
        published_version=found.published_version,
        frozen=found.published_at is not None,
        due_at=found.due_at,
    )


def binding_key(binding: Binding | None, resource_id: str) -> str:
    """Return what makes a draft the draft of one table; a resource without a source is one of its own."""
    if binding is None:
        return resource_id
    parts = "\x1f".join((binding.node_id, binding.source, binding.table))
    return sha256_hex(parts.encode())


def content_digest(content: ResourceContent) -> str:
    """Return the SHA-256 of what a content declares, as JSON.

    The signature and the origin are left out, so that what the head signed and what was published have one digest.
    """
    declared = content.model_dump_json(exclude={"sign_off", "origin"})
    return hashlib.sha256(declared.encode()).hexdigest()


def declared(content: ResourceContent) -> ResourceContent:
    """Return what a content declares, without the signature and the origin, which nobody declares."""
    return content.model_copy(update={"sign_off": None, "origin": None})


def rewritten(content: ResourceContent, before: ResourceContent) -> ResourceContent:
    """Return `content` as an edit leaves it: the origin stays, and a signature under the very content it was set to."""
    unchanged = declared(content) == declared(before)
    return content.model_copy(update={"sign_off": before.sign_off if unchanged else None, "origin": before.origin})


def next_code(connection: Connection, classification: str, serial_digits: int) -> str:
    """Return the next 信息资源代码 under `classification`.

    The counter's row is locked until the transaction ends and rolls back with it: no number is skipped or given twice.

    Raises:
        Conflict: the numbers are used up.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(code_counter)
        .values(classification=classification, last=1)
        .on_conflict_do_update(index_elements=["classification"], set_={"last": code_counter.c.last + 1})
        .returning(code_counter.c.last)
    )
    serial = connection.execute(statement).scalar_one()
    if serial >= 10**serial_digits:
        raise serials_used_up(classification, serial_digits)
    return f"{classification}/{serial:0{serial_digits}d}"


def show(connection: Connection, shown: Sequence[Resource]) -> None:
    """Put the published versions of resources before everybody: list, what is open of them, and the search's log."""
    ids = [found.id for found in shown]
    _remove_listings(connection, ids)
    connection.execute(
        listing.insert(),
        [
            {
                "resource_id": found.id,
                "department": found.department,
                "title": found.content.title.zh[:LISTING_TITLE_CHARS],
                "share_type": found.content.share_type.value,
                "format": found.content.format.value,
                "update_cycle": found.content.update_cycle.value,
                "theme": found.content.theme,
                "open": found.content.open,
                "item_count": len(found.content.items),
                "published_at": found.published_at,
            }
            for found in shown
        ],
    )
    record_changes(connection, ids)
    drop_holdings(connection, ids)
    put_holdings(connection, shown)
    put_open(connection, shown)


def hide(connection: Connection, resource_id: ResourceId) -> None:
    """Take a resource out of the list, the search and what is open."""
    if _remove_listings(connection, [resource_id]):
        record_changes(connection, [resource_id])
        take_open(connection, [resource_id])
        drop_holdings(connection, [resource_id])


def _remove_listings(connection: Connection, ids: Sequence[str]) -> int:
    """Return how many were there."""
    removed = 0
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = listing.c.resource_id.in_(ids[start : start + IDS_AT_ONCE])
        removed += connection.execute(listing.delete().where(some)).rowcount
    return removed
