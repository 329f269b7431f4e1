"""What the index is made of, read from the control database, and the log of what changed in it.

Every change to what everybody sees appends one row to `catalogue_search_change` in its own transaction. Rows are
numbered one transaction after the other, so that a reader who has seen number n has seen everything before it. A row
without a resource says that everything may have changed, as after a bulk load.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, Select, Text, and_, cast, func, insert, literal, select

from datong.catalogue.open_records import IDS_AT_ONCE
from datong.catalogue.search_segment import SearchDocument
from datong.catalogue.tables import (
    department,
    listing,
    open_edition,
    open_listing,
    resource,
    search_change,
    use,
    version,
)
from datong.catalogue.use import use_level
from datong.kernel import new_id

READ_ROWS = 20_000
CHANGES_MAX = 20_000
"""After more changes than this, the index is built anew instead."""
EVERYTHING = ""
_LOCK = 0x5EA7C4


class Change(NamedTuple):
    """One row of the log; the token tells this database's change number 7 from that of a restored copy."""

    sequence: int
    token: str
    resource_id: str


def lock_changes(connection: Connection) -> None:
    """Wait until no other transaction changes what is visible; it stays so until this one ends."""
    if connection.dialect.name == "postgresql":
        # SQLite writes one transaction at a time anyway.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def record_changes(connection: Connection, resource_ids: Sequence[str]) -> None:
    """Append to the log of changes; every index takes the resources up, or out, before its next search."""
    lock_changes(connection)
    last = connection.execute(select(func.coalesce(func.max(search_change.c.sequence), 0))).scalar_one()
    rows = [
        {"sequence": number, "token": new_id(), "resource_id": resource_id}
        for number, resource_id in enumerate(resource_ids, start=last + 1)
    ]
    if rows:
        connection.execute(insert(search_change), rows)


def changes_since(connection: Connection, sequence: int) -> list[Change]:
    """Return the rows of the log from number `sequence` on, that one included."""
    statement = (
        select(search_change.c.sequence, search_change.c.token, search_change.c.resource_id)
        .where(search_change.c.sequence >= sequence)
        .order_by(search_change.c.sequence)
        .limit(CHANGES_MAX + 1)
    )
    return [Change(*row) for row in connection.execute(statement)]


def newest_change(connection: Connection) -> Change:
    """Return the last row of the log; number 0 before there is any."""
    statement = (
        select(search_change.c.sequence, search_change.c.token, search_change.c.resource_id)
        .order_by(search_change.c.sequence.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    return Change(*row) if row else Change(0, "", EVERYTHING)


def read_all(connection: Connection, *, public: bool) -> Iterator[list[SearchDocument]]:
    """Yield every visible resource, or the public part of every open one, some thousands at once, by their ids."""
    names = _department_names(connection)
    statement, key = _statement(public=public)
    levels = {} if public else _levels(connection, None)
    last = ""
    while True:
        rows = connection.execute(statement.where(key > last).order_by(key).limit(READ_ROWS)).mappings().all()
        if not rows:
            return
        last = rows[-1]["resource_id"]
        yield [_document(row, names, levels) for row in rows]


def read_some(connection: Connection, resource_ids: Sequence[str], *, public: bool) -> list[SearchDocument]:
    """Return those of `resource_ids` that are visible, or the public part of those that are open."""
    names = _department_names(connection)
    statement, key = _statement(public=public)
    found: list[SearchDocument] = []
    for start in range(0, len(resource_ids), IDS_AT_ONCE):
        part = resource_ids[start : start + IDS_AT_ONCE]
        # How much departments use an open resource is theirs to know: the public's ranking does without it.
        levels = {} if public else _levels(connection, part)
        rows = connection.execute(statement.where(key.in_(part))).mappings()
        found.extend(_document(row, names, levels) for row in rows)
    return found


def _statement(*, public: bool) -> tuple[Select[Any], ColumnElement[str]]:
    """Return what reads documents, and the column of their ids. The public's come from what is open, nothing else."""
    if public:
        edition = and_(
            open_edition.c.resource_id == open_listing.c.resource_id, open_edition.c.edition == open_listing.c.edition
        )
        statement = select(
            open_listing.c.resource_id,
            open_listing.c.department,
            open_listing.c.changed_at.label("at"),
            literal("").label("code"),
            cast(open_edition.c.content, Text).label("content"),
        ).join(open_edition, edition)
        return statement, open_listing.c.resource_id
    published = and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.published_version)
    statement = (
        select(
            listing.c.resource_id,
            listing.c.department,
            listing.c.published_at.label("at"),
            resource.c.code,
            cast(version.c.content, Text).label("content"),
        )
        .join(resource, resource.c.id == listing.c.resource_id)
        .join(version, published)
    )
    return statement, listing.c.resource_id


def _department_names(connection: Connection) -> dict[str, str]:
    columns = (department.c.name_zh, department.c.short_name_zh, department.c.name_en, department.c.short_name_en)
    rows = connection.execute(select(department.c.code, *columns))
    return {code: " ".join(dict.fromkeys(names)) for code, *names in rows}


def _levels(connection: Connection, resource_ids: Sequence[str] | None) -> dict[str, int]:
    """Return how much each resource is used, those never used left out."""
    statement = select(use.c.resource_id, use.c.kind, func.count()).group_by(use.c.resource_id, use.c.kind)
    if resource_ids is not None:
        statement = statement.where(use.c.resource_id.in_(resource_ids))
    counts: dict[str, dict[str, int]] = {}
    for resource_id, kind, number in connection.execute(statement):
        counts.setdefault(resource_id, {})[kind] = number
    return {resource_id: use_level(by_kind) for resource_id, by_kind in counts.items()}


def _document(row: Mapping[Any, Any], names: dict[str, str], levels: dict[str, int]) -> SearchDocument:
    content = from_json(row["content"])
    items = content.get("items") or []
    title, summary = content["title"], content.get("summary") or {}
    rest = (
        summary.get("zh", ""),
        summary.get("en", ""),
        *(content.get("keywords") or ()),
        names.get(row["department"], ""),
        row["code"] or "",
    )
    return SearchDocument(
        resource_id=row["resource_id"],
        title=title["zh"],
        fields=(
            f"{title['zh']} {title.get('en', '')}",
            " ".join(f"{item['name']['zh']} {item['name'].get('en', '')}" for item in items),
            " ".join(rest),
        ),
        facets=(
            row["department"],
            str(content.get("share_type", "")),
            str(content.get("theme", "")),
            str(content.get("format", "")),
            str(content.get("update_cycle", "")),
            max((str(item.get("grade", "")) for item in items), default="L1"),
            "1" if content.get("open") else "0",
        ),
        published_microseconds=int(row["at"].timestamp() * 1_000_000),
        use_level=levels.get(row["resource_id"], 0),
    )
