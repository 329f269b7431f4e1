"""Versions of a library: which exist, how long they are kept, holds, and an entity as it was known on a day."""

from datetime import date, datetime, time
from typing import Annotated

from fastapi import Query
from pydantic import Field

from datong.kernel import CHINA, EntityId, Invalid, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.library import (
    DeclaredRetention,
    HoldOrder,
    LibraryVersion,
    PastEntity,
    RetentionOrder,
    VersionHold,
)
from datong.sharing import Action
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/libraries/{name}", tag="versions")

LibraryName = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


class VersionsView(Value):
    """Every version of a library, newest first, with the rule that is in force and the holds."""

    retention: DeclaredRetention
    versions: tuple[LibraryVersion, ...]
    holds: tuple[VersionHold, ...]


class ReleaseOrder(Value):
    """Why a hold ends."""

    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


@router.get("/versions")
def list_versions(name: LibraryName, caller: Caller, hub: Hub) -> VersionsView:
    """Return every version that was ever published, what keeps it, and what became of it."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    versions = hub.library.versions
    return VersionsView(
        retention=versions.retention(name), versions=versions.versions(name), holds=versions.holds(name)
    )


@router.put("/retention")
def declare_retention(name: LibraryName, body: RetentionOrder, caller: Caller, hub: Hub) -> DeclaredRetention:
    """Declare how long superseded versions are kept; background work disposes of them afterwards."""
    hub.policy.require(caller, Action.LIBRARY_RETAIN)
    return hub.library.versions.declare(name, body, actor=caller.actor)


@router.post("/holds", status_code=201)
def hold_version(name: LibraryName, body: HoldOrder, caller: Caller, hub: Hub) -> VersionHold:
    """Keep a version beyond its retention."""
    hub.policy.require(caller, Action.LIBRARY_RETAIN)
    return hub.library.versions.hold(name, body, actor=caller.actor)


@router.post("/holds/{hold_id}/release", status_code=201)
def release_hold(name: LibraryName, hold_id: str, body: ReleaseOrder, caller: Caller, hub: Hub) -> VersionHold:
    """End a hold."""
    hub.policy.require(caller, Action.LIBRARY_RETAIN)
    return hub.library.versions.release(name, hold_id, body.statement, actor=caller.actor)


@router.get("/entities/{entity_id}/past")
def read_past(
    name: LibraryName,
    entity_id: EntityId,
    caller: Caller,
    hub: Hub,
    day: Annotated[date | None, Query(description="the last version of this day, Beijing time")] = None,
    version: Annotated[int | None, Query(ge=1)] = None,
) -> PastEntity:
    """Return an entity as the library knew it at the end of a day, or in a version."""
    hub.policy.require(caller, Action.LIBRARY_READ_ENTITY)
    if (day is None) == (version is None):
        raise Invalid(
            "library.past_unclear",
            what=Text(zh="日期和版本须恰好填写一项。", en="Say either a day or a version."),
            remedy=Text(zh="请填写其中一项。", en="Give one of them."),
            field="/day",
        )
    at = None if day is None else end_of_day(day)
    return hub.library.versions.past(name, entity_id, version=version, at=at)


def end_of_day(day: date) -> datetime:
    """Return the last moment of `day` in China."""
    return datetime.combine(day, time.max, CHINA)
