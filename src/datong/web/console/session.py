"""Signing in and out, and the language of the pages."""

from typing import Annotated

from fastapi import Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from datong.kernel import DatongError, Language, PersonId, Refused, Unauthenticated
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Role, Session, SignedInBy
from datong.web.api.sessions import address_of, device_of, set_session_cookie
from datong.web.authentication import SESSION_COOKIE, Hub, optional_principal, require_same_origin, services_of
from datong.web.console.desk import Anyone, Desk
from datong.web.problems import LANGUAGE_COOKIE, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

ATTEMPT_COOKIE = "datong_attempt"
ATTEMPT_SECONDS = 600
LANGUAGE_SECONDS = 365 * 24 * 3600


@router.get("/sign-in")
def sign_in_page(desk: Anyone, next_page: str = "") -> Response:
    """Show the sign-in form."""
    target = desk.request.query_params.get("next", next_page)
    return sign_in_form(desk, None, next_page=own_path(target, ""))


def sign_in_form(desk: Desk, error: DatongError | None, *, username: str = "", next_page: str = "") -> Response:
    """Return the page with the ways to sign in, and what went wrong before, if anything did."""
    found = None if error is None else problem_of(error)
    return desk.page(
        "sign_in.html",
        status=200 if found is None else found.status,
        found=found,
        username=username,
        next_page=next_page,
        providers=desk.services.openid.providers,
        passkeys=desk.services.passkeys.alone,
    )


@router.post("/sign-in")
def sign_in(
    desk: Anyone,
    hub: Hub,
    username: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    password: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    next_page: Annotated[str, Form(alias="next")] = "",
) -> Response:
    """Open a session and go on to the page that was asked for; a citizen's first page is their own."""
    require_same_origin(desk.request)
    by = SignedInBy(device=device_of(desk.request), address=address_of(desk.request))
    try:
        return enter(desk, hub.identity.check_password(username, password).id, by, own_path(next_page, ""))
    except DatongError as error:
        return sign_in_form(desk, error, username=username, next_page=own_path(next_page, ""))


def enter(desk: Desk, person: PersonId, by: SignedInBy, next_page: str) -> Response:
    """Let somebody in who was recognised, or ask for a passkey besides, where a role wants that.

    Raises:
        Unauthenticated, Refused: see `People.open_session`.
    """
    hub = desk.services
    try:
        return forget_attempt(signed_in(desk, hub.identity.open_session(person, by), next_page))
    except Refused:
        cookie = hub.passkeys.second_step(person, by, next_page)
        if cookie is None:
            raise
        return keep_attempt(desk, desk.go("/sign-in/second"), cookie)


def signed_in(desk: Desk, session: Session, next_page: str) -> Response:
    """Give the browser a session and send it on; a citizen's first page is their own."""
    home = "/me" if session.account.roles == {Role.CITIZEN} else "/"
    response = desk.go(own_path(next_page, home))
    settings = desk.services.settings
    set_session_cookie(response, session.token, hours=settings.session_hours, secure=settings.only_https)
    return response


def keep_attempt(desk: Desk, response: Response, cookie: str) -> Response:
    """Have the browser keep an attempt to sign in while it is on its way."""
    response.set_cookie(
        ATTEMPT_COOKIE,
        cookie,
        max_age=ATTEMPT_SECONDS,
        path="/",
        secure=desk.services.settings.only_https,
        httponly=True,
        samesite="lax",
    )
    return response


def forget_attempt(response: Response) -> Response:
    """Have the browser forget an attempt that came to its end."""
    response.delete_cookie(ATTEMPT_COOKIE, path="/")
    return response


def _visitor(request: Request) -> Desk:
    try:
        principal = optional_principal(request)
    except Unauthenticated:
        principal = None
    return Desk(request, services_of(request), principal)


Visitor = Annotated[Desk, Depends(_visitor)]
"""A handler's parameter: the desk of somebody who may be on the way in; a session that is over makes a visitor."""


@router.post("/sign-out")
def sign_out(request: Request, hub: Hub) -> Response:
    """End the session of the cookie; who came by an identity provider is told how to sign out there, too."""
    require_same_origin(request)
    token = request.cookies.get(SESSION_COOKIE)
    by = hub.identity.began_by(token) if token else None
    if token:
        hub.identity.end_session(token)
    after = f"/signed-out?provider={by.provider}" if by is not None and by.provider else "/sign-in"
    response = RedirectResponse(after, status_code=303)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


@router.post("/language")
def choose_language(
    request: Request, language: Annotated[Language, Form()], back: Annotated[str, Form()] = "/"
) -> Response:
    """Keep the chosen language in a cookie and go back to the page."""
    require_same_origin(request)
    response = RedirectResponse(own_path(back, "/"), status_code=303)
    response.set_cookie(LANGUAGE_COOKIE, language.value, max_age=LANGUAGE_SECONDS, path="/", samesite="lax")
    return response


def own_path(address: str, otherwise: str) -> str:
    """Return `address` if it is a path on this host, else `otherwise`: a form must not send people elsewhere."""
    safe = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if safe else otherwise
