"""What the hub answers, as the errors that they were at the hub; and the one call that needs no key: enrolment."""

import base64

import httpx
from pydantic import TypeAdapter

from datong.kernel import (
    Conflict,
    Corrupt,
    DatongError,
    Invalid,
    NotFound,
    Refused,
    Text,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

TIMEOUT_SECONDS = 60.0
HUB_UNAVAILABLE = "node.hub_unavailable"
"""Code of the error that the hub does not answer."""
_CLASSES: dict[int, type[DatongError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Refused,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
}
_CORRUPT_CODES = ("exchange.payload", "exchange.content_digest", "exchange.chunk_digest", "exchange.bad_signature")


def enrol(hub_url: str, token: str, name: str, public_key: bytes) -> dict[str, str]:
    """Redeem an enrolment token and return the hub's answer.

    Raises:
        Unavailable: the hub does not answer. Refused, Invalid, NotFound …: what the hub says.
    """
    body = {"enrolment_token": token, "name": name, "public_key": base64.b64encode(public_key).decode()}
    try:
        response = httpx.post(
            f"{hub_url.rstrip('/')}/api/v1/nodes", json=body, timeout=TIMEOUT_SECONDS, trust_env=False
        )
    except httpx.TransportError as error:
        raise hub_unavailable(hub_url) from error
    if not response.is_success:
        raise error_of(response)
    return TypeAdapter(dict[str, str]).validate_json(response.content)


def error_of(response: httpx.Response) -> DatongError:
    """Return the hub's answer (RFC 9457) as the error that it was at the hub."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    code = str(problem.get("code", "node.hub_error"))
    detail = str(problem.get("detail", f"HTTP {response.status_code}"))
    what = Text(zh=str(problem.get("detail_zh", detail)), en=str(problem.get("detail_en", detail)))
    remedy = str(problem.get("remedy", ""))
    advice = Text(zh=str(problem.get("remedy_zh", remedy)), en=str(problem.get("remedy_en", remedy)))
    context = problem.get("context")
    kind = _CLASSES.get(response.status_code, Unavailable if response.status_code >= 500 else Refused)
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        kind = Unavailable
    if code.startswith(_CORRUPT_CODES) and kind is not TooLarge:
        kind = Corrupt
    return kind(code, what=what, remedy=advice, context=context if isinstance(context, dict) else None)


def hub_unavailable(hub_url: str) -> Unavailable:
    """Return the error of a hub that does not answer."""
    return Unavailable(
        HUB_UNAVAILABLE,
        what=Text(zh=f"平台 {hub_url} 没有应答。", en=f"The hub {hub_url} does not answer."),
        remedy=Text(zh="节点会自动重试；请检查网络。", en="The node tries again by itself; check the network."),
    )
