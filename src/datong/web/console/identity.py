"""Signing in by an identity provider of others (OpenID Connect), and linking one's account to it.

The way there is a link and not a form: the policy for pages lets no form lead away from the hub, redirects included.
"""

from fastapi.responses import RedirectResponse, Response

from datong.kernel import DatongError, Refused, Text
from datong.sharing.oidc import CameBack
from datong.web.api.sessions import address_of, device_of
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.session import (
    ATTEMPT_COOKIE,
    Visitor,
    enter,
    forget_attempt,
    keep_attempt,
    own_path,
    sign_in_form,
)
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/sign-in/with/{provider_id}")
def go_to_provider(desk: Visitor, provider_id: str) -> Response:
    """Send the browser to an identity provider."""
    next_page = own_path(desk.request.query_params.get("next", ""), "")
    try:
        begun = desk.services.openid.begin(provider_id, next_page=next_page)
    except DatongError as error:
        return sign_in_form(desk, error, next_page=next_page)
    return _away(desk, begun.address, begun.cookie)


@router.get("/sign-in/with/{provider_id}/back")
def come_back(desk: Visitor, provider_id: str) -> Response:
    """Take what the browser brings from an identity provider: sign in, or link the account of who is signed in."""
    request, hub = desk.request, desk.services
    person = desk.principal.actor.id if desk.principal is not None else ""
    try:
        came = CameBack.read(request.query_params.multi_items())
        done = hub.openid.complete(
            provider_id,
            came,
            request.cookies.get(ATTEMPT_COOKIE),
            device=device_of(request),
            address=address_of(request),
            person=person,
        )
        if done.linked:
            return forget_attempt(desk.go("/account", done="identity_linked"))
        return enter(desk, done.person, done.by, done.next_page)
    except DatongError as error:
        return forget_attempt(sign_in_form(desk, error))


@router.get("/account/links/{provider_id}")
def begin_link(desk: SignedIn, provider_id: str) -> Response:
    """Send the browser to an identity provider, to link the caller's account to who signs in there.

    Raises:
        Refused: another site's page leads here. Others: see `OpenIdSignIn.begin`.
    """
    if desk.request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Refused(
            "web.cross_origin",
            what=Text(
                zh="这次操作不是从平台自己的页面发出的，已拒绝。",
                en="The act was not sent from the platform's own pages and was refused.",
            ),
            remedy=Text(zh="请在“我的账号”中重新操作。", en="Begin it under My account."),
        )
    begun = desk.services.openid.begin(provider_id, person=desk.caller.actor.id)
    return _away(desk, begun.address, begun.cookie)


@router.post("/account/links/{link_id}/end")
def cut_link(desk: SignedIn, link_id: str) -> Response:
    """Cut the link between the caller's account and a person at a provider."""
    desk.services.identity_links.unlink(desk.caller.actor.id, link_id, actor=desk.caller.actor)
    return desk.go("/account", done="identity_unlinked")


@router.get("/signed-out")
def signed_out(desk: Visitor) -> Response:
    """Tell somebody who is signed out here that the provider may still know them, and where to end that."""
    provider_id = desk.request.query_params.get("provider", "")
    known = [one for one in desk.services.openid.providers if one.id == provider_id]
    address = desk.services.openid.end_address(provider_id) if known else None
    if address is None or desk.principal is not None:
        return RedirectResponse("/sign-in", status_code=303)
    return desk.page("account/signed_out.html", provider=known[0], address=address)


def _away(desk: Desk, address: str, cookie: str) -> Response:
    return keep_attempt(desk, RedirectResponse(address, status_code=303), cookie)
