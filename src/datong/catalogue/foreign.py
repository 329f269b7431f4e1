"""Entries that live elsewhere: harvested from another catalogue, or received from another hub. Read-only here.

They have a life of their own beside `lifecycle`: received, changed, withdrawn, received again. Each step is a new
version or a mark on one, with its evidence, in the caller's transaction; nobody here edits, reviews or signs them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select

from datong.catalogue.records import content_digest, hide, show
from datong.catalogue.tables import open_edition, resource, step, version
from datong.catalogue.values import Resource, ResourceContent, ResourceState
from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    DepartmentCode,
    JsonValue,
    ResourceId,
    Text,
    Value,
    canonical_json,
    new_id,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger

FOREIGN_BATCH_MAX = 500
"""Entries that one call may treat: a transaction stays short, and a statement's parameters few."""


class ForeignStep(StrEnum):
    """The steps in the life of an entry that lives elsewhere."""

    RECEIVE = "receive"
    UPDATE = "update"
    WITHDRAW = "withdraw"

    @property
    def label(self) -> Text:
        """The step's name."""
        return _STEPS[self]


_STEPS = {
    ForeignStep.RECEIVE: Text(zh="收录", en="Received"),
    ForeignStep.UPDATE: Text(zh="随来源更新", en="Updated from its origin"),
    ForeignStep.WITHDRAW: Text(zh="随来源注销", en="Withdrawn with its origin"),
}


class ForeignEntry(Value):
    """An entry as it is to stand; `resource_id` names the resource it already is, None makes one."""

    resource_id: ResourceId | None
    department: DepartmentCode
    content: ResourceContent


class ForeignEntries:
    """Writes entries that live elsewhere, many at a time, each with its version, step and evidence."""

    def __init__(self, *, clock: Clock, ledger: Ledger) -> None:
        self._clock, self._ledger = clock, ledger

    def receive(
        self,
        connection: Connection,
        entries: Sequence[ForeignEntry],
        *,
        actor: Actor,
        facts: Mapping[str, JsonValue],
    ) -> list[ResourceId]:
        """Publish entries in their new version and return their ids, in the same order.

        `facts` is what every entry's evidence says besides: which harvest, which hub.

        Raises:
            Conflict: an id is that of this platform's own resource.
        """
        _require_batch(entries)
        if not entries:
            return []
        now = self._clock.now()
        known = _known(connection, [entry.resource_id for entry in entries if entry.resource_id is not None])
        made = [entry.resource_id or ResourceId(new_id()) for entry in entries]
        numbers = [known[key].version + 1 if key in known else 1 for key in made]
        _insert_new(
            connection, [(key, entry) for key, entry in zip(made, entries, strict=True) if key not in known], now
        )
        _supersede(connection, [known[key] for key in made if key in known], now)
        connection.execute(
            version.insert(),
            [
                {
                    "resource_id": key,
                    "version": number,
                    "state": ResourceState.PUBLISHED.value,
                    "content": entry.content.model_dump(mode="json"),
                    "created_at": now,
                    "updated_at": now,
                    "published_at": now,
                }
                for key, number, entry in zip(made, numbers, entries, strict=True)
            ],
        )
        published = [
            Resource(
                id=key,
                code=None,
                department=entry.department,
                state=ResourceState.PUBLISHED,
                version=number,
                published_version=number,
                content=entry.content,
                created_at=now,
                updated_at=now,
                published_at=now,
            )
            for key, number, entry in zip(made, numbers, entries, strict=True)
        ]
        _advance(connection, [_Standing.of(found) for found in published], now)
        show(connection, published)
        self._record(connection, published, known, actor, facts)
        return made

    def own_among(
        self, connection: Connection, wanted: Collection[tuple[DepartmentCode, str]]
    ) -> frozenset[tuple[DepartmentCode, str]]:
        """Return which departments and Chinese titles are those of resources that were opened here by their own.

        Earlier editions count: a copy elsewhere may be older than the resource.
        """
        if not wanted:
            return frozenset()
        title = open_edition.c.content["title"]["zh"].as_string()
        statement = (
            select(open_edition.c.department, title)
            .join(resource, resource.c.id == open_edition.c.resource_id)
            .where(
                # Only what is catalogued here has a code: foreign entries keep theirs in their origin.
                resource.c.code.is_not(None),
                open_edition.c.department.in_({department for department, _ in wanted}),
                title.in_({text for _, text in wanted}),
            )
            .distinct()
        )
        found = {(DepartmentCode(department), text) for department, text in connection.execute(statement)}
        return frozenset(found & set(wanted))

    def withdraw(
        self,
        connection: Connection,
        resource_ids: Sequence[ResourceId],
        *,
        actor: Actor,
        reason: Text,
        facts: Mapping[str, JsonValue],
    ) -> None:
        """Retire entries: their versions stay, they are shown no more.

        Raises:
            Conflict: an id is that of this platform's own resource.
        """
        _require_batch(resource_ids)
        now = self._clock.now()
        known = [entry for entry in _known(connection, resource_ids).values() if entry.state != ResourceState.RETIRED]
        if not known:
            return
        retired = [entry.model_copy(update={"state": ResourceState.RETIRED.value}) for entry in known]
        _supersede(connection, known, now, state=ResourceState.RETIRED)
        _advance(connection, retired, now)
        for entry in retired:
            hide(connection, entry.id)
        action = ForeignStep.WITHDRAW.value
        ids = self._ledger.append_many(
            connection,
            kind=EntryKind.FOREIGN,
            actor=actor,
            entries=[
                (entry.id, {**facts, "action": action, "department": entry.department, "version": entry.version})
                for entry in retired
            ],
        )
        _insert_steps(
            connection,
            [(entry, action, ResourceState(before.state)) for entry, before in zip(retired, known, strict=True)],
            ids,
            actor,
            reason.zh,
            now,
        )

    def _record(
        self,
        connection: Connection,
        published: Sequence[Resource],
        known: Mapping[ResourceId, "_Standing"],
        actor: Actor,
        facts: Mapping[str, JsonValue],
    ) -> None:
        actions = [
            ForeignStep.UPDATE.value
            if found.id in known and known[found.id].state == ResourceState.PUBLISHED
            else ForeignStep.RECEIVE.value
            for found in published
        ]
        ids = self._ledger.append_many(
            connection,
            kind=EntryKind.FOREIGN,
            actor=actor,
            entries=[
                (
                    found.id,
                    {
                        **facts,
                        "action": action,
                        "department": found.department,
                        "version": found.version,
                        "open": found.content.open,
                        "items": len(found.content.items),
                        "content_digest": content_digest(found.content),
                        "remote_id": found.content.origin.remote_id if found.content.origin else None,
                    },
                )
                for found, action in zip(published, actions, strict=True)
            ],
        )
        steps = [
            (_Standing.of(found), action, ResourceState(known[found.id].state) if found.id in known else None)
            for found, action in zip(published, actions, strict=True)
        ]
        _insert_steps(connection, steps, ids, actor, "", self._clock.now())


class _Standing(Value):
    """What of a kept entry a step needs to know."""

    id: ResourceId
    department: DepartmentCode
    state: str
    version: int

    @classmethod
    def of(cls, found: Resource) -> "_Standing":
        """Return the standing of a resource."""
        return cls(id=found.id, department=found.department, state=found.state.value, version=found.version)


def foreign_digest(content: ResourceContent) -> str:
    """Return what tells two versions of a foreign entry apart: everything but when its origin touched it last."""
    values = content.model_dump(mode="json")
    origin = values.get("origin")
    if isinstance(origin, dict):
        origin["modified_at"] = None
    return sha256_hex(canonical_json(values))


def _require_batch(entries: Sequence[object]) -> None:
    if len(entries) > FOREIGN_BATCH_MAX:
        raise ValueError(f"at most {FOREIGN_BATCH_MAX} entries at once")


def _known(connection: Connection, ids: Sequence[ResourceId]) -> dict[ResourceId, _Standing]:
    """Return how the resources stand, holding them until the transaction ends."""
    rows = connection.execute(
        select(resource.c.id, resource.c.department, resource.c.state, resource.c.version, resource.c.code)
        .where(resource.c.id.in_(ids))
        .order_by(resource.c.id)
        .with_for_update()
    ).all()
    if any(row.code is not None for row in rows):
        raise Conflict(
            "catalogue.not_foreign",
            what=Text(zh="这是本平台自己的信息资源，不能由来源改写。", en="This resource is this platform's own."),
            remedy=Text(zh="请检查来源的对应关系。", en="Check what the source's entries are mapped to."),
        )
    return {
        ResourceId(row.id): _Standing(
            id=ResourceId(row.id), department=DepartmentCode(row.department), state=row.state, version=row.version
        )
        for row in rows
    }


def _insert_new(connection: Connection, entries: Sequence[tuple[ResourceId, ForeignEntry]], now: datetime) -> None:
    if not entries:
        return
    connection.execute(
        resource.insert(),
        [
            {
                "id": key,
                "department": entry.department,
                "binding_key": key,
                "state": ResourceState.PUBLISHED.value,
                "version": 1,
                "published_version": 1,
                "visible": True,
                "created_at": now,
                "updated_at": now,
            }
            for key, entry in entries
        ],
    )


def _supersede(
    connection: Connection, entries: Sequence[_Standing], now: datetime, state: ResourceState | None = None
) -> None:
    if not entries:
        return
    values: dict[str, object] = {"superseded_at": now} | ({"state": state.value} if state else {})
    connection.execute(
        version.update()
        .where(version.c.resource_id == bindparam("of_id"), version.c.version == bindparam("of_version"))
        .values(**values),
        [{"of_id": entry.id, "of_version": entry.version} for entry in entries],
    )


def _advance(connection: Connection, entries: Sequence[_Standing], now: datetime) -> None:
    connection.execute(
        resource.update()
        .where(resource.c.id == bindparam("of_id"))
        .values(
            department=bindparam("of_department"),
            state=bindparam("of_state"),
            version=bindparam("of_version"),
            published_version=bindparam("of_version"),
            visible=bindparam("of_visible"),
            updated_at=now,
        ),
        [
            {
                "of_id": entry.id,
                "of_department": entry.department,
                "of_state": entry.state,
                "of_version": entry.version,
                "of_visible": entry.state == ResourceState.PUBLISHED,
            }
            for entry in entries
        ],
    )


def _insert_steps(
    connection: Connection,
    steps: Sequence[tuple[_Standing, str, ResourceState | None]],
    entry_ids: Sequence[str],
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    connection.execute(
        step.insert(),
        [
            {
                "id": new_id(),
                "resource_id": entry.id,
                "version": entry.version,
                "action": action,
                "from_state": before.value if before else None,
                "to_state": entry.state,
                "actor_id": actor.id,
                "actor_name": actor.name,
                "actor_department": actor.department,
                "reason": reason,
                "at": now,
                "due_at": None,
                "entry_id": entry_id,
            }
            for (entry, action, before), entry_id in zip(steps, entry_ids, strict=True)
        ],
    )
