"""People's sessions: sign in, who am I, sign out."""

from datetime import datetime

from fastapi import Request, Response
from pydantic import Field

from datong.kernel import Actor, Language, PersonId, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Account, ActingFor, OpenSession, Principal, Role
from datong.sharing.oidc import IdentityLink
from datong.sharing.passkeys import Passkey
from datong.web.authentication import SESSION_COOKIE, Caller, Hub, bearer_token, require_same_origin, session_token
from datong.web.routing import api_routes

router = api_routes(tag="session")

SECONDS_PER_HOUR = 3600


class SignIn(Value):
    """A person's name and password."""

    username: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    password: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class NewPassword(Value):
    """The present password and the one to be."""

    old: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    new: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class PasskeyName(Value):
    """What a passkey is to be called."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class SignedIn(Value):
    """The session's token, also set as a cookie, and whose it is."""

    token: str
    expires_at: datetime
    person: Account


@router.post("/session", status_code=201)
def sign_in(body: SignIn, request: Request, response: Response, hub: Hub) -> SignedIn:
    """Open a session."""
    if request.headers.get("origin") is not None:
        require_same_origin(request)
    session = hub.identity.authenticate(
        body.username, body.password, device=device_of(request), address=address_of(request)
    )
    set_session_cookie(response, session.token, hours=hub.settings.session_hours, secure=hub.settings.only_https)
    return SignedIn(token=session.token, expires_at=session.expires_at, person=session.account)


class Me(Value):
    """Who the platform takes the caller for."""

    actor: Actor
    roles: frozenset[Role]
    language: Language | None
    acting_for: ActingFor | None
    """For whom the caller acts as a substitute; `roles` are then that person's."""


@router.get("/session")
def who_am_i(caller: Caller) -> Me:
    """Return who the platform takes the caller for."""
    return me(caller)


def me(caller: Principal) -> Me:
    """Return what the platform tells a caller about themselves."""
    return Me(actor=caller.actor, roles=caller.roles, language=caller.language, acting_for=caller.acting_for)


@router.post("/session/password")
def change_password(body: NewPassword, caller: Caller, request: Request, response: Response, hub: Hub) -> SignedIn:
    """Choose another password; every other session ends, and this one goes on under a new token."""
    person = PersonId(caller.actor.id)
    session = hub.identity.change_password(
        person, body.old, body.new, token=session_token(request) or "", device=device_of(request)
    )
    set_session_cookie(response, session.token, hours=hub.settings.session_hours, secure=hub.settings.only_https)
    return SignedIn(token=session.token, expires_at=session.expires_at, person=session.account)


@router.get("/sessions")
def list_sessions(caller: Caller, request: Request, hub: Hub) -> tuple[OpenSession, ...]:
    """Return where the caller is signed in, newest first."""
    return hub.identity.sessions(caller.actor.id, token=session_token(request))


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(session_id: str, caller: Caller, hub: Hub) -> None:
    """End one of the caller's sessions, wherever it is open."""
    hub.identity.revoke_session(caller.actor.id, session_id)


@router.get("/session/links")
def list_links(caller: Caller, hub: Hub) -> tuple[IdentityLink, ...]:
    """Return the people at identity providers that the caller's account is linked to."""
    return hub.identity_links.of(caller.actor.id)


@router.delete("/session/links/{link_id}", status_code=204)
def cut_link(link_id: str, caller: Caller, hub: Hub) -> None:
    """Cut the link between the caller's account and a person at an identity provider."""
    hub.identity_links.unlink(caller.actor.id, link_id, actor=caller.actor)


@router.get("/session/passkeys")
def list_passkeys(caller: Caller, hub: Hub) -> tuple[Passkey, ...]:
    """Return the caller's passkeys, oldest first; they are added in the console, by the browser."""
    return hub.passkeys.of(caller.actor.id)


@router.put("/session/passkeys/{passkey_id}")
def rename_passkey(passkey_id: str, body: PasskeyName, caller: Caller, hub: Hub) -> Passkey:
    """Give one of the caller's passkeys another name."""
    return hub.passkeys.rename(caller.actor.id, passkey_id, body.name, actor=caller.actor)


@router.delete("/session/passkeys/{passkey_id}", status_code=204)
def remove_passkey(passkey_id: str, caller: Caller, hub: Hub) -> None:
    """Remove one of the caller's passkeys, which ends the sessions that began by one."""
    hub.passkeys.remove(caller.actor.id, passkey_id, actor=caller.actor)


@router.delete("/session", status_code=204)
def sign_out(request: Request, response: Response, hub: Hub) -> None:
    """End the session that the request carries."""
    if bearer_token(request) is None:
        require_same_origin(request)
    token = session_token(request)
    if token is not None:
        hub.identity.end_session(token)
    response.delete_cookie(SESSION_COOKIE, path="/")


def device_of(request: Request) -> str:
    """Return what the browser or program says it is."""
    return request.headers.get("user-agent", "")


def address_of(request: Request) -> str:
    """Return the IP address that a request comes from, as the proxy in front tells it."""
    return request.client.host if request.client is not None else ""


def set_session_cookie(response: Response, token: str, *, hours: int, secure: bool) -> None:
    """Set the session's cookie: unreadable for scripts, and not sent from other sites' forms."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=hours * SECONDS_PER_HOUR,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
