"""What the hub answers, as the errors that they were at the hub; and the one call that needs no key: enrolment."""

import base64
import time
from collections.abc import Callable

import httpx
from pydantic import TypeAdapter

from datong.kernel import DatongError, Text, Unavailable, answered_error, error_class
from datong.kernel.tls import tls_context

TIMEOUT_SECONDS = 60.0
CONNECT_PAUSE_SECONDS = 0.2
HUB_UNAVAILABLE = "node.hub_unavailable"
"""Code of the error that the hub does not answer."""
_CORRUPT_CODES = ("exchange.payload", "exchange.content_digest", "exchange.chunk_digest", "exchange.bad_signature")


def enrol(
    hub_url: str,
    token: str,
    name: str,
    public_key: bytes,
    *,
    wait_seconds: float = 0.0,
    tell: Callable[[Text], None] = lambda _: None,
) -> dict[str, str]:
    """Redeem an enrolment token and return the hub's answer; a hub that is being started is waited for.

    Raises:
        Unavailable: the hub does not answer. Refused, Invalid, NotFound …: what the hub says.
    """
    until, told = time.monotonic() + wait_seconds, False
    while True:
        try:
            return _redeem(hub_url, token, name, public_key)
        except Unavailable as error:
            # Nothing was sent yet: a token that may have been redeemed is not offered again.
            if not isinstance(error.__cause__, httpx.ConnectError) or time.monotonic() >= until:
                raise
        if not told:
            tell(Text(zh=f"等待平台 {hub_url} 启动……", en=f"Waiting for the hub {hub_url} to start …"))
            told = True
        time.sleep(CONNECT_PAUSE_SECONDS)


def _redeem(hub_url: str, token: str, name: str, public_key: bytes) -> dict[str, str]:
    body = {"enrolment_token": token, "name": name, "public_key": base64.b64encode(public_key).decode()}
    try:
        response = httpx.post(
            f"{hub_url.rstrip('/')}/api/v1/nodes",
            json=body,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            verify=tls_context(hub_url),
        )
    except httpx.TransportError as error:
        raise hub_unavailable(hub_url) from error
    if not response.is_success:
        raise error_of(response)
    return TypeAdapter(dict[str, str]).validate_json(response.content)


def error_of(response: httpx.Response) -> DatongError:
    """Return the hub's answer as the error that it was at the hub."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    error = answered_error(response.status_code, answer, corrupt_codes=_CORRUPT_CODES)
    if error is not None:
        return error
    said = f"HTTP {response.status_code}"
    return error_class(response.status_code)(
        "node.hub_error",
        what=Text(zh=f"平台的应答不可读：{said}。", en=f"The hub's answer is not readable: {said}."),
        remedy=Text(zh="请核对平台地址，以及中间的代理。", en="Check the hub's address, and any proxy before it."),
    )


def hub_unavailable(hub_url: str) -> Unavailable:
    """Return the error of a hub that does not answer."""
    return Unavailable(
        HUB_UNAVAILABLE,
        what=Text(zh=f"平台 {hub_url} 没有应答。", en=f"The hub {hub_url} does not answer."),
        remedy=Text(zh="节点会自动重试；请检查网络。", en="The node tries again by itself; check the network."),
    )
