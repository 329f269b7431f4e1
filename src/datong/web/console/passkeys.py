"""Passkeys in the console: signing in by one, alone or as the second step, adding, renaming and removing them."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import DatongError, PersonId
from datong.sharing.passkeys import Ceremony
from datong.web.api.sessions import address_of, device_of
from datong.web.authentication import require_same_origin
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.session import (
    ATTEMPT_COOKIE,
    Visitor,
    forget_attempt,
    keep_attempt,
    own_path,
    sign_in_form,
    signed_in,
)
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

CREDENTIAL_CHARS_MAX = 20_000
Credential = Annotated[str, Form(max_length=CREDENTIAL_CHARS_MAX)]
Name = Annotated[str, Form(max_length=200)]


@router.get("/sign-in/passkey")
def ask_passkey(desk: Visitor) -> Response:
    """Ask for a passkey and nothing else."""
    next_page = own_path(desk.request.query_params.get("next", ""), "")
    try:
        return _asked(desk, desk.services.passkeys.begin_alone(next_page), second=False)
    except DatongError as error:
        return sign_in_form(desk, error, next_page=next_page)


@router.get("/sign-in/second")
def ask_second(desk: Visitor) -> Response:
    """Ask somebody whom another way recognised for a passkey, or to make the first one."""
    try:
        ceremony = desk.services.passkeys.begin_second(desk.request.cookies.get(ATTEMPT_COOKIE))
    except DatongError as error:
        return sign_in_form(desk, error)
    return _asked(desk, ceremony, second=True)


@router.post("/sign-in/passkey")
def sign_in_by_passkey(desk: Visitor, credential: Credential = "", name: Name = "") -> Response:
    """Take the browser's answer and sign in."""
    request = desk.request
    require_same_origin(request)
    try:
        session, next_page = desk.services.passkeys.sign_in(
            request.cookies.get(ATTEMPT_COOKIE),
            credential,
            device=device_of(request),
            address=address_of(request),
            name=name,
        )
    except DatongError as error:
        return forget_attempt(sign_in_form(desk, error))
    return forget_attempt(signed_in(desk, session, next_page))


@router.get("/account/passkeys/new")
def ask_new(desk: SignedIn) -> Response:
    """Ask for a new passkey of the caller."""
    ceremony = desk.services.passkeys.begin_adding(PersonId(desk.caller.actor.id))
    response = desk.page("account/passkey.html", ceremony=ceremony, found=None)
    return keep_attempt(desk, response, ceremony.cookie)


@router.post("/account/passkeys")
def add_passkey(desk: SignedIn, credential: Credential = "", name: Name = "") -> Response:
    """Keep the passkey that the browser made."""
    hub, actor = desk.services, desk.caller.actor
    person, cookie = PersonId(actor.id), desk.request.cookies.get(ATTEMPT_COOKIE)
    try:
        hub.passkeys.add(person, cookie, credential, name, actor=actor)
    except DatongError as error:
        found, ceremony = problem_of(error), hub.passkeys.begin_adding(person)
        response: Response = desk.page("account/passkey.html", status=found.status, ceremony=ceremony, found=found)
        return keep_attempt(desk, response, ceremony.cookie)
    return forget_attempt(desk.go("/account", done="passkey_added"))


@router.post("/account/passkeys/{passkey_id}/name")
def rename_passkey(desk: SignedIn, passkey_id: str, name: Name = "") -> Response:
    """Give one of the caller's passkeys another name."""
    desk.services.passkeys.rename(desk.caller.actor.id, passkey_id, name, actor=desk.caller.actor)
    return desk.go("/account", done="passkey_renamed")


@router.post("/account/passkeys/{passkey_id}/end")
def remove_passkey(desk: SignedIn, passkey_id: str) -> Response:
    """Remove one of the caller's passkeys."""
    desk.services.passkeys.remove(desk.caller.actor.id, passkey_id, actor=desk.caller.actor)
    return desk.go("/account", done="passkey_removed")


def _asked(desk: Desk, ceremony: Ceremony, *, second: bool) -> Response:
    page = desk.page("account/sign_in_passkey.html", ceremony=ceremony, second=second)
    return keep_attempt(desk, page, ceremony.cookie)
