"""Versions of a library: what exists, how long it is kept, what was disposed of; and an entity on an earlier day."""

from datetime import date
from typing import Annotated

from fastapi import Form, Query
from fastapi.responses import Response

from datong.kernel import CHINA, EntityId
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.library import RETENTION_DAYS_MAX, VERSIONS_MIN_MAX, HoldOrder, RetentionOrder
from datong.sharing import Action
from datong.web.api.versions import (
    ReleaseOrder,
    declare_retention,
    hold_version,
    list_versions,
    read_past,
    release_hold,
)
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.library import in_words, verdict_titles
from datong.web.routing import unlisted_routes

router = unlisted_routes("/library/{name}")

Statement = Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)]


@router.get("/versions")
def versions(desk: SignedIn, name: str) -> Response:
    """Show every version with what keeps it, the rule, and to those who may the forms to change that."""
    view = list_versions(name, desk.caller, desk.services)
    return desk.page(
        "library/versions.html",
        name=name,
        library_title=_library_title(desk, name),
        view=view,
        held={hold.version: hold for hold in view.holds},
        may_retain=desk.may(Action.LIBRARY_RETAIN),
        days_max=RETENTION_DAYS_MAX,
        versions_max=VERSIONS_MIN_MAX,
        statement_max=TEXT_CHARS_MAX,
    )


@router.post("/retention")
def declare(
    desk: SignedIn,
    name: str,
    days: Annotated[int, Form(ge=0, le=RETENTION_DAYS_MAX)],
    versions_min: Annotated[int, Form(ge=1, le=VERSIONS_MIN_MAX)],
    statement: Statement,
) -> Response:
    """Declare how long versions are kept."""
    order = RetentionOrder(days=days, versions_min=versions_min, statement=statement)
    declare_retention(name, order, desk.caller, desk.services)
    return desk.go(f"/library/{name}/versions", done="retention")


@router.post("/holds")
def hold(desk: SignedIn, name: str, version: Annotated[int, Form(ge=1)], statement: Statement) -> Response:
    """Keep a version."""
    hold_version(name, HoldOrder(version=version, statement=statement), desk.caller, desk.services)
    return desk.go(f"/library/{name}/versions", done="retention")


@router.post("/holds/{hold_id}/release")
def release(desk: SignedIn, name: str, hold_id: str, statement: Statement) -> Response:
    """End a hold."""
    release_hold(name, hold_id, ReleaseOrder(statement=statement), desk.caller, desk.services)
    return desk.go(f"/library/{name}/versions", done="retention")


@router.get("/entities/{entity_id}/past")
def past(
    desk: SignedIn,
    name: str,
    entity_id: EntityId,
    day: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Show an entity as the library knew it on a day, or in a version."""
    when = _day(desk, day) if version is None else None
    found = read_past(name, entity_id, desk.caller, desk.services, day=when, version=version)
    definition = desk.services.library.definition(name)
    measures = {one.code: one.title for one in (definition.derivation.measures if definition.derivation else ())}
    return desk.page(
        "library/past.html",
        name=name,
        library_title=_library_title(desk, name),
        found=found,
        day=when,
        verdicts=verdict_titles(desk, definition),
        measures=[(title, found.measures[code]) for code, title in measures.items() if code in found.measures],
        in_words=lambda element, value: in_words(desk, element, value),
    )


def _day(desk: Desk, text: str) -> date:
    """Return the day that the form says; today if it says none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return desk.now.astimezone(CHINA).date()


def _library_title(desk: Desk, name: str) -> str:
    return desk.speech.say(desk.services.library.definition(name).title)
