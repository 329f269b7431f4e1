"""The edge of the HTTP application: what holds for every request before and after any route, errors included.

Each request gets an id, a bounded body and a place among a bounded number of requests in flight; each answer gets the
security headers. Written as plain ASGI, around everything else, so that a 500 passes through it like any other
answer.
"""

import re
import time
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datong.kernel import Text, new_id
from datong.kernel.limits import REQUEST_BODY_BYTES_MAX, UPLOAD_CHUNK_BYTES_MAX
from datong.kernel.tracing import TRACE, trace_of
from datong.web.authentication import header_of
from datong.web.draining import Draining
from datong.web.metrics import HttpMetrics
from datong.web.problems import Problem, problem_response

REQUESTS_IN_FLIGHT_MAX = 1000
CHUNK_PATH = re.compile(r"/api/v1/(batches|files)/[^/]+/chunks/\d+")
HSTS_SECONDS = 31_536_000
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        # Attributes may say how something looks (charts are drawn so); a style sheet must be a file of the hub's.
        "default-src 'self'; img-src 'self' data:; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "script-src 'self'; script-src-attr 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OVERLOADED = Problem(
    status=503,
    code="web.overloaded",
    what=Text(zh="同时处理的请求已达上限。", en="The number of requests in flight is at its limit."),
    remedy=Text(zh="请按 Retry-After 稍后重试。", en="Try again after the time in Retry-After."),
)
TOO_LARGE = Problem(
    status=413,
    code="web.body_too_large",
    what=Text(zh="请求体超过上限。", en="The body of the request is over its limit."),
    remedy=Text(zh="请分批发送。", en="Send it in parts."),
)


PLAIN_HEADERS = frozenset({b"content-length", b"content-type"})
"""What a plain answer says of itself: nothing that the edge would say, too."""
CLOSES = (b"connection", b"close")
RawHeaders = list[tuple[bytes, bytes]]
"""Headers as ASGI has them, names in lower case."""


class Edge:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, metrics: HttpMetrics, secure: bool, draining: Draining) -> None:
        self._app = app
        self._draining = draining
        self._metrics = metrics
        headers = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
        if secure:
            headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP passes unchanged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        TRACE.set(trace_of(header_of(scope, b"traceparent")) or request_id.replace("-", ""))
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = self._completed(message["headers"], scope["path"], request_id)
                message["headers"] = [*headers, CLOSES] if self._draining.begun else headers
            await send(message)

        self._in_flight += 1
        try:
            await self._serve(scope, receive, send_with_headers)
        finally:
            self._in_flight -= 1
            self._metrics.observe(scope, status, time.perf_counter() - started)

    def admit(self) -> bool:
        """Take one more request in flight, unless there are too many; `leave` ends it."""
        if self._in_flight >= REQUESTS_IN_FLIGHT_MAX:
            return False
        self._in_flight += 1
        return True

    def leave(self) -> None:
        """Let a request go that `admit` took."""
        self._in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = body_bytes_max(scope["path"])
        declared = header_of(scope, b"content-length") or "0"
        if self._in_flight > REQUESTS_IN_FLIGHT_MAX:
            await problem_response(Request(scope), OVERLOADED)(scope, receive, send)
        elif declared.isdigit() and int(declared) > limit:
            await problem_response(Request(scope), TOO_LARGE)(scope, receive, send)
        else:
            await self._app(scope, bounded(receive, limit), send)

    def _completed(self, headers: RawHeaders, path: str, request_id: str) -> RawHeaders:
        """Return an answer's headers with those that every answer has, unless it says them itself."""
        request = (b"x-request-id", request_id.encode())
        static = path.startswith("/static/")
        if not static and len(headers) == len(PLAIN_HEADERS) and PLAIN_HEADERS.issuperset(name for name, _ in headers):
            return [*headers, *self.headers, request]
        said = {name.lower() for name, _ in headers}
        if static:
            said.add(b"cache-control")
        own = [header for header in self.headers if header[0] not in said]
        return [*headers, *own, request]


def body_bytes_max(path: str) -> int:
    """Return how long the body of a request to `path` may be."""
    return UPLOAD_CHUNK_BYTES_MAX if CHUNK_PATH.fullmatch(path) else REQUEST_BODY_BYTES_MAX


def bounded(receive: Receive, limit: int) -> Receive:
    """Return `receive` with a limit on the bytes of the body, for bodies that do not declare their length."""
    total = 0

    async def receive_bounded() -> Message:
        nonlocal total
        message = await receive()
        if message["type"] == "http.request":
            total += len(message.get("body", b""))
            if total > limit:
                raise HTTPException(413)
        return message

    return receive_bounded
