"""Who is calling: a person's session (cookie or bearer), or a machine's access token.

A request that changes something and is recognised by its cookie must come from the platform's own pages: browsers send
cookies wherever a form points, so the origin is checked. Bearer tokens are not sent by browsers on their own.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.types import Scope

from datong.kernel import Refused, Text, Unauthenticated
from datong.sharing import Principal
from datong.web.services import Services

SESSION_COOKIE = "datong_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_JWT_DOTS = 2


def services_of(request: Request) -> Services:
    """Return the services of the application that serves `request`."""
    services: Services = request.app.state.services
    return services


def header_of(scope: Scope, name: bytes) -> str | None:
    """Return a header of a request (its name in lower case), the first of that name; only that one is decoded."""
    for known, value in scope["headers"]:
        if known == name:
            return str(value, "latin-1")
    return None


def bearer_token(request: Request) -> str | None:
    """Return the token of an `Authorization: Bearer` header, if there is one."""
    scheme, _, token = (header_of(request.scope, b"authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def is_machine_token(token: str) -> bool:
    """Whether a bearer token has the form of a machine's access token, and not that of a session."""
    return token.count(".") == _JWT_DOTS


def session_token(request: Request) -> str | None:
    """Return the session token of the cookie or the bearer header, if there is one."""
    return bearer_token(request) or request.cookies.get(SESSION_COOKIE) or None


def principal_of(request: Request, services: Services) -> Principal | None:
    """Return who calls, or None when the request carries no credentials.

    Raises:
        Unauthenticated: it carries credentials that are unknown, expired or wrong.
        Refused: it is recognised by its cookie, changes something, and does not come from the platform's own pages.
    """
    bearer = bearer_token(request)
    if bearer is not None:
        if is_machine_token(bearer):
            return services.identity.verify_token(bearer)
        return services.identity.session(bearer)
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        return None
    require_same_origin(request)
    return services.identity.session(cookie)


def require_same_origin(request: Request) -> None:
    """Refuse an unsafe request that another site's page sent.

    Raises:
        Refused: the browser says that the request comes from another origin, or says nothing about where it comes from.
    """
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    fetch_site = request.headers.get("sec-fetch-site")
    if origin is not None:
        same = urlsplit(origin).netloc == request.headers.get("host")
    else:
        same = fetch_site in {"same-origin", "none"}
    if not same:
        raise Refused(
            "web.cross_origin",
            what=Text(
                zh="这次操作不是从平台自己的页面发出的，已拒绝。",
                en="The act was not sent from the platform's own pages and was refused.",
            ),
            remedy=Text(
                zh="请在平台页面上重新操作；程序请使用 Authorization: Bearer。",
                en="Repeat it on the platform's pages; programs use Authorization: Bearer.",
            ),
        )


def current_principal(request: Request) -> Principal:
    """Return who calls; for routes that need somebody.

    Raises:
        Unauthenticated: the request carries no credentials, or wrong ones.
        Refused: see `principal_of`.
    """
    principal = principal_of(request, services_of(request))
    if principal is None:
        raise Unauthenticated(
            "web.credentials_missing",
            what=Text(zh="请求没有携带身份凭据。", en="The request carries no credentials."),
            remedy=Text(zh="请先登录，或携带访问令牌。", en="Sign in first, or send an access token."),
        )
    return principal


def optional_principal(request: Request) -> Principal | None:
    """Return who calls, or None for a visitor."""
    return principal_of(request, services_of(request))


Hub = Annotated[Services, Depends(services_of)]
"""A handler's parameter: the services."""
Caller = Annotated[Principal, Depends(current_principal)]
"""A handler's parameter: who calls; the route answers 401 to nobody."""
Visitor = Annotated[Principal | None, Depends(optional_principal)]
"""A handler's parameter: who calls, if anybody."""
