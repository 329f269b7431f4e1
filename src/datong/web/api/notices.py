"""What the caller is told of, and how."""

from pydantic import Field

from datong.governance.notifications import Choices, Message, MessageState, Notice, Preferences, Topic
from datong.kernel import Page, Value
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/notices", tag="notices")
MARKED_MAX = 100


class Unread(Value):
    """How many notices the caller has not read."""

    unread: int


class NoticeMarks(Value):
    """Which notices are to be marked, and how."""

    notice_ids: tuple[str, ...] = Field(min_length=1, max_length=MARKED_MAX)
    read: bool = True


class Marked(Value):
    """How many notices were not marked so before."""

    marked: int


class NoticeSettings(Value):
    """What the caller has set; `webhook_secret` verifies webhooks (Standard Webhooks), empty without one."""

    preferences: Preferences
    email_possible: bool
    webhook_secret: str


class Confirmation(Value):
    """The code that was sent to an address of e-mail."""

    code: str = Field(min_length=1, max_length=20)


@router.get("")
def list_notices(
    caller: Caller,
    hub: Hub,
    unread: bool = False,
    topic: Topic | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Notice]:
    """Return the caller's own notices, newest first."""
    person = own_inbox(caller, hub)
    return hub.inbox.find(person, unread=unread, topic=topic, offset=offset, limit=limit)


@router.get("/unread")
def count_unread(caller: Caller, hub: Hub) -> Unread:
    """Return how many of the caller's notices are unread."""
    return Unread(unread=hub.inbox.unread(own_inbox(caller, hub)))


@router.post("/read")
def read_all_notices(caller: Caller, hub: Hub) -> Unread:
    """Mark every notice of the caller as read; return how many were not."""
    return Unread(unread=hub.inbox.read_all(own_inbox(caller, hub)))


@router.post("/marks")
def mark_notices(body: NoticeMarks, caller: Caller, hub: Hub) -> Marked:
    """Mark some of the caller's notices as read, or as unread again; those of others are left alone."""
    return Marked(marked=hub.inbox.mark(own_inbox(caller, hub), body.notice_ids, read=body.read))


@router.get("/settings")
def read_notice_settings(caller: Caller, hub: Hub) -> NoticeSettings:
    """Return how the caller is told."""
    person = own_inbox(caller, hub)
    preferences = hub.sending.preferences(person)
    return NoticeSettings(
        preferences=preferences,
        email_possible=hub.sending.mails,
        webhook_secret=hub.sending.webhook_secret(person) if preferences.webhook else "",
    )


@router.put("/settings")
def choose_notice_settings(body: Choices, caller: Caller, hub: Hub) -> NoticeSettings:
    """Set how the caller is told; a new address of e-mail is used once its code was entered."""
    hub.sending.choose(own_inbox(caller, hub), body)
    return read_notice_settings(caller, hub)


@router.post("/settings/confirmation")
def confirm_address(body: Confirmation, caller: Caller, hub: Hub) -> NoticeSettings:
    """Confirm the caller's address of e-mail."""
    hub.sending.confirm(own_inbox(caller, hub), body.code)
    return read_notice_settings(caller, hub)


@router.get("/messages")
def list_messages(
    caller: Caller, hub: Hub, state: MessageState | None = None, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT
) -> Page[Message]:
    """Return what left the platform, to whom and with what success, newest first: of everybody, or the caller's own."""
    if hub.policy.authorise(caller, Action.MESSAGE_READ).allowed:
        return hub.sending.find(state=state, offset=offset, limit=limit)
    return hub.sending.find(person=own_inbox(caller, hub), state=state, offset=offset, limit=limit)


@router.post("/{notice_id}/read")
def read_notice(notice_id: str, caller: Caller, hub: Hub) -> Notice:
    """Mark a notice as read."""
    return hub.inbox.read(own_inbox(caller, hub), notice_id)


def own_inbox(caller: Principal, hub: Services) -> str:
    """Return whose inbox the caller may open: the own one.

    Raises:
        Refused: the caller is no member of staff.
    """
    hub.policy.require(caller, Action.NOTICE_OWN, Target(id=caller.actor.id, person=caller.actor.id))
    return caller.actor.id
