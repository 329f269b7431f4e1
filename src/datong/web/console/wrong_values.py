"""Whom a wrong value reached: pages of a report, of a contested cell, and of a service item."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from datong.governance import PARTY_NAMES, RULES
from datong.governance.tracing import Told
from datong.kernel import CorrectionId, EntityId, NotFound, ResourceId, Text
from datong.kernel.limits import NAME_CHARS_MAX
from datong.web.api.wrong_values import (
    WrongValueView,
    list_wrong_values_of_item,
    read_uses_of_cell,
    read_wrong_value,
)
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.library import in_words
from datong.web.routing import unlisted_routes

router = unlisted_routes()

Name = Annotated[str, Query(max_length=NAME_CHARS_MAX)]
TONES = {Told.WRONG: "bad", Told.LIVE: "warn", Told.UNKNOWN: "warn"}
HOUR_SECONDS, DAY_HOURS, HOURS_SHOWN_MAX = 3600, 24, 48


@router.get("/corrections/{correction_id}/uses")
def show_uses_of_correction(desk: SignedIn, correction_id: CorrectionId) -> Response:
    """Show whom the reported value reached."""
    return _page(desk, read_wrong_value(correction_id, desk.caller, desk.services))


@router.get("/library/{name}/entities/{entity_id}/uses")
def show_uses_of_cell(desk: SignedIn, name: str, entity_id: EntityId, element: Name, resource: Name = "") -> Response:
    """Show whom a cell of an entity reached, reported or not."""
    source = ResourceId(resource) if resource else None
    view = read_uses_of_cell(name, entity_id, element, desk.caller, desk.services, source)
    return _page(desk, view, back=f"/library/{name}/entities/{entity_id}")


@router.get("/service-items/{item_id}/wrong-values")
def show_wrong_values_of_item(desk: SignedIn, item_id: str) -> Response:
    """Show the reported values that answers for a service item held."""
    return desk.page(
        "service_items/wrong_values.html",
        item=desk.services.service_items.get(item_id),
        views=list_wrong_values_of_item(item_id, desk.caller, desk.services),
        title_of=lambda view: _title(desk, view.resource_id),
        in_words=lambda element, value: in_words(desk, element, value),
    )


def _page(desk: Desk, view: WrongValueView, *, back: str = "") -> Response:
    return desk.page(
        "corrections/uses.html",
        view=view,
        back=back or f"/corrections/{view.correction_id}",
        title=_title(desk, view.resource_id),
        tones=TONES,
        rules=RULES,
        parties=PARTY_NAMES,
        age=lambda seconds: desk.speech.say(age_text(seconds)),
        in_words=lambda element, value: in_words(desk, element, value),
    )


def age_text(seconds: int | None) -> Text:
    """Return how old something was: hours, and from two days on days."""
    if seconds is None:
        return Text(zh="—", en="—")
    hours = seconds // HOUR_SECONDS
    if hours < HOURS_SHOWN_MAX:
        return Text(zh=f"{hours} 小时", en=f"{hours} hour{'' if hours == 1 else 's'}")
    return Text(zh=f"{hours // DAY_HOURS} 天", en=f"{hours // DAY_HOURS} days")


def _title(desk: Desk, resource_id: ResourceId) -> str:
    try:
        return desk.speech.say(desk.resource_title(resource_id))
    except NotFound:
        return resource_id
