"""Answers of the public machine interfaces: validators, content negotiation, readable from any site."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from datong.web.described import Answers, public

PUBLIC_HEADERS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-cache",
}
"""Everybody's program may read this, on any site; caches ask each time whether it still holds, so hiding hides."""
_QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*$")
ACCEPT_CHARS_MAX = 1000
Handler = Callable[..., Response]


def reading(
    router: APIRouter,
    path: str,
    *,
    media_types: Sequence[str] = (),
    response_model: type | None = None,
    in_schema: bool = True,
    also: Answers | None = None,
) -> Callable[[Handler], Handler]:
    """Register a handler for GET, and for HEAD, with which harvesters ask how long an answer would be.

    `media_types` are those of the answer (of a model: JSON), `also` are answers of other statuses.
    """

    def register(handler: Handler) -> Handler:
        router.add_api_route(
            path,
            handler,
            methods=["GET"],
            response_model=response_model,
            response_class=Response if response_model is None else JSONResponse,
            responses={**public(*media_types), **(also or {})},
            include_in_schema=in_schema,
        )
        router.add_api_route(path, handler, methods=["HEAD"], response_model=None, include_in_schema=False)
        return handler

    return register


def public_answer(
    request: Request,
    body: bytes,
    *,
    media_type: str,
    modified: datetime | None = None,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Return `body`, or 304 when the client has it already.

    Only the entity tag is compared: a catalogue that lost a resource can have an older newest change than before, so a
    time proves nothing.
    """
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    sent = {**PUBLIC_HEADERS, "ETag": tag, **(headers or {})}
    if modified is not None:
        sent["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    if status == 200 and _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=sent)
    return Response(body, status_code=status, media_type=media_type, headers=sent)


def _matches(header: str, tag: str) -> bool:
    asked = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in asked or tag in asked


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """Return which of the media types `offered` the header `Accept` prefers (RFC 9110 §12.5.1); None: no one.

    Without a header the first is meant. Of equally wanted ones the first offered wins.
    """
    wanted = _wanted(accept[:ACCEPT_CHARS_MAX])
    if not wanted:
        return offered[0]
    best, best_quality = None, 0.0
    for media_type in offered:
        kind = media_type.partition("/")[0]
        quality = next((wanted[pattern] for pattern in (media_type, f"{kind}/*", "*/*") if pattern in wanted), 0.0)
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def _wanted(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in accept.lower().split(","):
        quality = _QUALITY.search(part)
        media_type = part.partition(";")[0].strip()
        if "/" in media_type:
            found[media_type] = min(1.0, float(quality[1])) if quality else 1.0
    return found
