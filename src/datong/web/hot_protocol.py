"""Calls of the gateway without ASGI: what a web server does for any request costs more than a call does.

A connection's parser (uvicorn's `HttpToolsProtocol`) says what came. A request that is plainly a call of the gateway
(`ShortCalls`) is kept here until its body is there, and then put into the queue; its answer is written in one piece.
All else goes the usual way through the application, and so does a call that turns out not to be plain, be it when its
body has come (malformed, unknown caller, too many) or when its reply has (an error): body or reply go with it.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datong.web.gateway import REPLIED, Taken
from datong.web.short_calls import ShortCall, ShortCalls


class _BodyCame(asyncio.Event):
    """Set with each piece of a body, with its end, and when the connection is lost; `told` hears of it."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self.told: Callable[[], None] | None = told

    def set(self) -> None:
        """Tell."""
        super().set()
        if self.told is not None:
            self.told()


class HotProtocol(HttpToolsProtocol):
    """A connection on which calls of the gateway are answered at once."""

    def on_headers_complete(self) -> None:
        """Keep a plain call until its body has come; let the server begin with any other request."""
        calls: ShortCalls | None = getattr(self.config.app, "short_calls", None)
        call = None if calls is None else self._plain_call(calls)
        if calls is None or call is None:
            super().on_headers_complete()
            return
        path = self.url.decode("ascii")
        self.scope["method"], self.scope["path"] = "POST", path
        self.scope["raw_path"], self.scope["query_string"] = self.url, b""
        short = _ShortCall(self, calls, call)
        came = _BodyCame(short.body_came)
        self.cycle = short.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=came,
            expect_100_continue=False,
            keep_alive=self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        short.came = came

    def _plain_call(self, calls: ShortCalls) -> ShortCall | None:
        if self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        if self.pipeline or not (self.cycle is None or self.cycle.response_complete):
            return None
        if self.limit_concurrency is not None or self.root_path:
            return None
        call = calls.recognised(self.url, self.headers, HIGH_WATER_LIMIT)
        return call if call is not None and calls.admit() else None

    def begin_usual(self, cycle: RequestResponseCycle) -> None:
        """Let the application answer a request."""
        self._start_asgi_task(cycle, self.app)


class _ShortCall:
    """A call on its way, and the request that it came with."""

    cycle: RequestResponseCycle
    came: _BodyCame

    def __init__(self, protocol: HotProtocol, calls: ShortCalls, call: ShortCall) -> None:
        self._protocol, self._calls, self._call = protocol, calls, call

    def body_came(self) -> None:
        """Put the call into the queue once its body is there."""
        if self.cycle.more_body and not self.cycle.disconnected:
            return
        self.came.told = None
        if self.cycle.disconnected:
            self._calls.leave()
        elif not self._calls.begin(self._call, bytes(self.cycle.body), self._protocol.loop, self._end):
            self._calls.leave()
            self._protocol.begin_usual(self.cycle)

    def _end(self, taken: Taken) -> None:
        """Write the answer. Who does not read what came before has the application wait for it."""
        cycle, protocol = self.cycle, self._protocol
        keep_alive = cycle.keep_alive and not self._calls.draining.begun
        self._calls.leave()
        content = None
        if not protocol.flow.write_paused:
            content = self._calls.answer(self._call, taken, cycle.default_headers, keep_alive=keep_alive)
        if content is None:
            cycle.scope["state"][REPLIED] = taken
            protocol.begin_usual(cycle)
            return
        cycle.response_started = cycle.response_complete = True
        if not cycle.disconnected:
            cycle.transport.write(content)
            if not keep_alive:
                cycle.transport.close()
        cycle.on_response = _nothing
        protocol.on_response_complete()


def _nothing() -> None:
    """Let go of the connection."""
