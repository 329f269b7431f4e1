"""One's own account: where one is signed in, ending that, and another password."""

import re
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import DatongError, Invalid, PersonId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, OpenSession, Target
from datong.web.api.sessions import device_of, set_session_cookie
from datong.web.authentication import session_token
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

Password = Annotated[str, Form(max_length=NAME_CHARS_MAX)]
BROWSERS = (
    (re.compile(r"Edg/"), "Edge"),
    (re.compile(r"MicroMessenger"), "WeChat"),
    (re.compile(r"Firefox/"), "Firefox"),
    (re.compile(r"Chrom(e|ium)/"), "Chrome"),
    (re.compile(r"Safari/"), "Safari"),
    (re.compile(r"^(curl|python|httpx)", re.IGNORECASE), "curl / Python"),
)
SYSTEMS = (
    (re.compile(r"HarmonyOS|OpenHarmony"), "HarmonyOS"),
    (re.compile(r"Android"), "Android"),
    (re.compile(r"iPhone|iPad"), "iOS"),
    (re.compile(r"Windows"), "Windows"),
    (re.compile(r"Mac OS X"), "macOS"),
    (re.compile(r"Linux|X11"), "Linux"),
)


class SessionLine(Value):
    """An open session and its device in words, empty where the browser said nothing that is known."""

    session: OpenSession
    device: str


@router.get("/account")
def show_account(desk: SignedIn) -> Response:
    """Show where the caller is signed in."""
    return _page(desk, None)


@router.post("/account/sessions/end")
def end_others(desk: SignedIn) -> Response:
    """Sign the caller out everywhere else."""
    desk.services.identity.end_other_sessions(desk.caller.actor.id, session_token(desk.request) or "")
    return desk.go("/account", done="sessions_ended")


@router.post("/account/sessions/{session_id}/end")
def end_one(desk: SignedIn, session_id: str) -> Response:
    """Sign the caller out in one place."""
    try:
        desk.services.identity.revoke_session(desk.caller.actor.id, session_id)
    except DatongError as error:
        return _page(desk, error)
    return desk.go("/account", done="session_ended")


@router.post("/account/password")
def change_password(desk: SignedIn, old: Password = "", new: Password = "", again: Password = "") -> Response:
    """Change the caller's password, which signs out everywhere else."""
    hub = desk.services
    try:
        if new != again:
            raise _unequal()
        person = PersonId(desk.caller.actor.id)
        session = hub.identity.change_password(
            person, old, new, token=session_token(desk.request) or "", device=device_of(desk.request)
        )
    except DatongError as error:
        return _page(desk, error)
    response = desk.go("/account", done="password")
    set_session_cookie(response, session.token, hours=hub.settings.session_hours, secure=hub.settings.only_https)
    return response


def in_words(device: str) -> str:
    """Return browser and system of what a browser says it is, as far as they are known."""
    names = (next((name for known, name in table if known.search(device)), "") for table in (BROWSERS, SYSTEMS))
    return " · ".join(name for name in names if name)


def _page(desk: Desk, wrong: DatongError | None) -> Response:
    found = None if wrong is None else problem_of(wrong)
    hub = desk.services
    sessions = hub.identity.sessions(desk.caller.actor.id, token=session_token(desk.request))
    links, providers = hub.identity_links.of(desk.caller.actor.id), hub.openid.providers
    return desk.page(
        "account/account.html",
        status=200 if found is None else found.status,
        found=found,
        may_delegate=desk.caller.department is not None
        and desk.may(Action.DELEGATION_OWN, Target(person=desk.caller.actor.id)),
        links=links,
        passkeys=hub.passkeys.of(desk.caller.actor.id),
        may_add_passkey=hub.passkeys.available,
        provider_names={one.id: one.name for one in providers},
        unlinked=[one for one in providers if one.issuer not in {link.issuer for link in links}],
        lines=[SessionLine(session=one, device=in_words(one.device)) for one in sessions],
    )


def _unequal() -> Invalid:
    return Invalid(
        "web.passwords_differ",
        what=Text(zh="两次输入的新密码不一致。", en="The new password was typed in two ways."),
        remedy=Text(zh="请重新输入。", en="Type it again."),
        field="/again",
    )
