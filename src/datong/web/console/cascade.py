"""Higher and lower hubs: the links, whether both ends hold the same, and the forms with which hubs join."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.federation import PeerId, PeerSettings, PeerState, Scope
from datong.kernel import DatongError, Invalid, Text
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action
from datong.web.api.cascade import (
    NewSuperior,
    PeerStateChange,
    change_peer,
    exchange_now,
    expect_subordinate,
    join_superior,
)
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

FormText = Annotated[str, Form(max_length=2000)]


@router.get("/cascade")
def list_peers(desk: SignedIn) -> Response:
    """Show every link."""
    desk.require(Action.HARVEST_READ)
    return _page(desk, token="", error=None)


@router.post("/cascade/subordinates")
def add_subordinate(
    desk: SignedIn, name: FormText, department: FormText, scope: FormText, region: FormText = ""
) -> Response:
    """Register a lower hub and show its token, once."""
    try:
        made = expect_subordinate(_settings(name, department, scope, region), desk.caller, desk.services)
    except DatongError as error:
        return _page(desk, token="", error=error)
    return _page(desk, token=made.token, error=None)


@router.post("/cascade/superiors")
def add_superior(
    desk: SignedIn,
    address: FormText,
    token: FormText,
    name: FormText,
    own_name: FormText,
    department: FormText,
    scope: FormText,
    region: FormText = "",
) -> Response:
    """Join a higher hub."""
    settings = _settings(name, department, scope, region)
    try:
        body = NewSuperior(settings=settings, address=address, token=token, own_name=own_name)
    except ValidationError as error:
        return _page(desk, token="", error=_wrong(error))
    try:
        join_superior(body, desk.caller, desk.services)
    except DatongError as error:
        return _page(desk, token="", error=error)
    return desk.go("/cascade", done="cascade")


@router.post("/cascade/{peer_id}/state")
def change_state(desk: SignedIn, peer_id: PeerId, state: Annotated[PeerState, Form()]) -> Response:
    """Pause, resume or end a link."""
    change_peer(peer_id, PeerStateChange(state=state), desk.caller, desk.services)
    return desk.go("/cascade", done="cascade")


@router.post("/cascade/{peer_id}/exchange")
def exchange(desk: SignedIn, peer_id: PeerId) -> Response:
    """Exchange now."""
    try:
        exchange_now(peer_id, desk.caller, desk.services)
    except DatongError as error:
        return _page(desk, token="", error=error)
    return desk.go("/cascade", done="exchanged")


def _page(desk: Desk, *, token: str, error: DatongError | None) -> Response:
    found = problem_of(error) if error is not None else None
    return desk.page(
        "cascade/list.html",
        status=found.status if found else 200,
        found=found,
        peers=desk.services.peers.all(),
        token=token,
        scopes=tuple(Scope),
        chars_max=NAME_CHARS_MAX,
        may_manage=desk.may(Action.CASCADE_MANAGE),
        hub=desk.services.cascade.hub,
        base_url=desk.services.settings.base_url,
    )


def _settings(name: str, department: str, scope: str, region: str) -> PeerSettings:
    try:
        return PeerSettings.model_validate(
            {"name": name.strip(), "department": department, "scope": scope, "region": region.strip()}
        )
    except ValidationError as error:
        raise _wrong(error) from error


def _wrong(error: ValidationError) -> Invalid:
    field = "/" + "/".join(str(part) for part in error.errors()[0]["loc"])
    return Invalid(
        "web.cascade_form",
        what=Text(zh=f"{field} 的内容不合要求。", en=f"{field} does not hold what it should."),
        remedy=Text(zh="区划代码为六位；地址以 http 开头。", en="A region has six digits, an address http."),
        field=field,
    )
