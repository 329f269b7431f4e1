"""The inbox: what concerns the caller, and how it is sent."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Query
from fastapi.responses import Response

from datong.governance.notifications import PACE_NAMES, TOPIC_NAMES, Choices, Pace, Topic
from datong.kernel import Language
from datong.web.api.notices import (
    Confirmation,
    NoticeMarks,
    confirm_address,
    mark_notices,
    own_inbox,
    read_all_notices,
    read_notice_settings,
)
from datong.web.console.desk import PAGE_ROWS, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes("/notices")


@router.get("")
def list_notices(
    desk: SignedIn,
    offset: Offset,
    show: str = "",
    topic: str = "",
    marked: Annotated[list[str] | None, Query(max_length=PAGE_ROWS)] = None,
) -> Response:
    """List the caller's notices; `marked` are those that were marked just now, which can be taken back."""
    if view := desk.opening_view():
        return desk.go(view)
    person = own_inbox(desk.caller, desk.services)
    chosen = Topic(topic) if topic in set(Topic) else None
    page = desk.services.inbox.find(person, unread=show == "unread", topic=chosen, offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "notices/list.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        topic=topic,
        topics=TOPIC_NAMES,
        marked=marked or (),
    )


@router.post("/read")
def read_all(desk: SignedIn) -> Response:
    """Mark every notice as read."""
    read_all_notices(desk.caller, desk.services)
    return desk.go("/notices", done="notices_read")


@router.post("/marks")
def mark(
    desk: SignedIn,
    notices: Annotated[list[str] | None, Form(max_length=PAGE_ROWS)] = None,
    read: Annotated[bool, Form()] = True,
) -> Response:
    """Mark the ticked notices as read, or take that back."""
    if not notices:
        return desk.go("/notices", done="none_ticked")
    mark_notices(NoticeMarks(notice_ids=tuple(notices), read=read), desk.caller, desk.services)
    if not read:
        return desk.go("/notices", done="notices_unread")
    return desk.go("/notices?" + urlencode({"marked": notices}, doseq=True), done="notices_marked")


@router.get("/settings")
def show_settings(desk: SignedIn) -> Response:
    """Show how the caller is told."""
    return desk.page(
        "notices/settings.html",
        settings=read_notice_settings(desk.caller, desk.services),
        topics=TOPIC_NAMES,
        paces=PACE_NAMES,
    )


@router.post("/settings")
def choose_settings(
    desk: SignedIn,
    language: Annotated[Language, Form()],
    pace: Annotated[Pace, Form()],
    email: Annotated[str, Form(max_length=254)] = "",
    webhook: Annotated[str, Form(max_length=2000)] = "",
    urgent_at_once: Annotated[bool, Form()] = False,
    told: Annotated[list[Topic] | None, Form()] = None,
) -> Response:
    """Set how the caller is told; the form names the topics that are wanted."""
    choices = Choices(
        language=language,
        pace=pace,
        email=email,
        webhook=webhook.strip(),
        urgent_at_once=urgent_at_once,
        muted=frozenset(Topic) - frozenset(told or ()),
    )
    desk.services.sending.choose(own_inbox(desk.caller, desk.services), choices)
    return desk.go("/notices/settings", done="notice_settings")


@router.post("/settings/confirmation")
def confirm(desk: SignedIn, code: Annotated[str, Form(min_length=1, max_length=20)]) -> Response:
    """Confirm an address with the code that was sent there."""
    confirm_address(Confirmation(code=code), desk.caller, desk.services)
    return desk.go("/notices/settings", done="notice_address")


@router.post("/{notice_id}/open")
def open_notice(desk: SignedIn, notice_id: str) -> Response:
    """Mark a notice as read and go where it is about."""
    notice = desk.services.inbox.read(own_inbox(desk.caller, desk.services), notice_id)
    return desk.go(notice.address)
