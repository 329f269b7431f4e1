"""A plain call of the gateway, from the bytes of its body to those of its answer, as the routes would answer it."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from datong.kernel import ActorKind, DatongError, Overloaded, Unauthenticated, new_id
from datong.sharing import CallQueue, Identity, Reply
from datong.sharing.applications import CallMeter, CallOutcome
from datong.web.authentication import is_machine_token
from datong.web.draining import Draining
from datong.web.edge import Edge
from datong.web.gateway import Query, Taken, Verification, hot_routes, query_of, quota_headers, verification_of
from datong.web.metrics import HttpMetrics

_TARGET = re.compile(rb"/gateway/v1/([0-9A-Za-z_-]{1,64})/(query|verify)")
_BEARER = b"bearer "
_UNUSUAL = frozenset({b"idempotency-key", b"transfer-encoding", b"expect", b"upgrade"})
"""Headers of calls that are not plain."""
_STATUS = b"HTTP/1.1 200 OK\r\n"
_TYPE = b"\r\ncontent-type: application/json\r\n"
Headers = Sequence[tuple[bytes, bytes]]


class ShortCall(NamedTuple):
    """A call whose head has come and is plain."""

    resource_id: str
    verb: str
    token: str
    began: float


class ShortCalls:
    """Recognises plain calls, puts them into the queue and writes their answers."""

    def __init__(
        self,
        *,
        identity: Identity,
        meter: CallMeter,
        calls: CallQueue,
        edge: Edge,
        metrics: HttpMetrics,
        draining: Draining,
    ) -> None:
        self.admit, self.leave, self.draining = edge.admit, edge.leave, draining
        self._identity, self._meter = identity, meter
        self._calls, self._metrics = calls, metrics
        self._routes = {verb: route.path for verb, route in hot_routes().items()}
        self._always = b"".join(b"%b: %b\r\n" % header for header in edge.headers) + b"x-request-id: "

    def recognised(self, target: bytes, headers: Headers, body_bytes_max: int) -> ShortCall | None:
        """Return a call whose head is plain: a machine's token, a body of known length, nothing else to be heeded."""
        match = _TARGET.fullmatch(target)
        if match is None:
            return None
        authorization, length = b"", b""
        for name, value in headers:
            if name == b"authorization" and not authorization:
                authorization = value
            elif name == b"content-length":
                length = value
            elif name in _UNUSUAL:
                return None
        if not length.isdigit() or int(length) > body_bytes_max or authorization[:7].lower() != _BEARER:
            return None
        token = str(authorization[7:], "latin-1").strip()
        if not is_machine_token(token):
            return None
        return ShortCall(match[1].decode(), match[2].decode(), token, time.perf_counter())

    def begin(
        self, call: ShortCall, body: bytes, loop: asyncio.AbstractEventLoop, hand: Callable[[Taken], None]
    ) -> bool:
        """Put a call into the queue, or return False: then the application has to answer it."""
        try:
            principal = self._identity.read_token(call.token)
            if call.verb == "query":
                asked = query_of(principal, call.resource_id, Query.model_validate_json(body))
            else:
                asked = verification_of(principal, call.resource_id, Verification.model_validate_json(body))
            self._calls.put(asked, loop, lambda result: hand(Taken(principal, result)))
        except (ValidationError, Unauthenticated, Overloaded):
            return False
        return True

    def answer(self, call: ShortCall, taken: Taken, default_headers: Headers, *, keep_alive: bool) -> bytes | None:
        """Return the whole answer; None: the application has to write it, which then counts the call."""
        reply = taken.result
        if not isinstance(reply, Reply) or isinstance(reply.answer, DatongError):
            return None
        body: bytes = reply.answer.__pydantic_serializer__.to_json(reply.answer)
        own = b"" if keep_alive else b"connection: close\r\n"
        for name, value in default_headers:
            own += b"%b: %b\r\n" % (name, value)
        for said, stands in quota_headers(reply.quota).items():
            own += f"{said.lower()}: {stands}\r\n".encode()
        seconds = time.perf_counter() - call.began
        self._metrics.count("POST", self._routes[call.verb], 200, seconds)
        actor = taken.principal.actor
        if actor.kind is ActorKind.APPLICATION and self._meter.note(actor.id, CallOutcome.ANSWERED, 1000 * seconds):
            asyncio.get_running_loop().run_in_executor(None, self._meter.flush)
        head = (_STATUS, b"content-length: ", str(len(body)).encode(), _TYPE, own, self._always, new_id().encode())
        return b"".join((*head, b"\r\n\r\n", body))
