"""Saved views on the pages of lists: keep the present filters, rename, share, begin with one, delete."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.kernel import Invalid, Text
from datong.sharing.views import VIEWED_PAGES, ViewDraft
from datong.web.api.views import ViewChange, change_view, drop_view, own_views, save_view
from datong.web.console.desk import SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes("/views")

Name = Annotated[str, Form(max_length=200)]


@router.get("")
def list_views(desk: SignedIn) -> Response:
    """List the caller's views, and those that colleagues share."""
    found = desk.services.views.of(own_views(desk.caller, desk.services), desk.caller.department)
    return desk.page("views/list.html", own=[one for one in found if one.own], views=found, pages=VIEWED_PAGES)


@router.post("")
def save(
    desk: SignedIn,
    page: Name,
    query: Annotated[str, Form(max_length=4000)] = "",
    name: Name = "",
    shared: Annotated[bool, Form()] = False,
    opens: Annotated[bool, Form()] = False,
) -> Response:
    """Keep the filters of a list under a name."""
    try:
        draft = ViewDraft(page=page, name=name, query=query, shared=shared, opens=opens)
    except ValidationError as error:
        raise _unreadable() from error
    return desk.go(save_view(draft, desk.caller, desk.services).address, done="view_saved")


@router.post("/{view_id}")
def change(
    desk: SignedIn,
    view_id: str,
    name: Name = "",
    shared: Annotated[bool, Form()] = False,
    opens: Annotated[bool, Form()] = False,
) -> Response:
    """Rename a view, share it, or begin the list with it."""
    try:
        body = ViewChange(name=" ".join(name.split()), shared=shared, opens=opens)
    except ValidationError as error:
        raise _unreadable() from error
    change_view(view_id, body, desk.caller, desk.services)
    return desk.go("/views", done="view_saved")


@router.post("/{view_id}/delete")
def drop(desk: SignedIn, view_id: str) -> Response:
    """Delete a view."""
    drop_view(view_id, desk.caller, desk.services)
    return desk.go("/views", done="view_dropped")


def _unreadable() -> Invalid:
    return Invalid(
        "web.view_invalid",
        what=Text(zh="视图要有 1 至 60 字的名称。", en="A view has a name of 1 to 60 characters."),
        remedy=Text(zh="请填写名称后重试。", en="Give it a name and try again."),
        field="/name",
    )
