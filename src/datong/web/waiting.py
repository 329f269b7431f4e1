"""Requests that wait for a change: woken at once by this process, and by looking again for what another one did."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from datong.web.draining import Draining

LOOK_INTERVAL_SECONDS = 0.25
"""Another process of the hub rings no bell here."""
UNCHANGED_SECONDS_MAX = 1.0
"""How long nobody looks while nobody commits: what a clock alone brings about, a next attempt, waits so long."""
Seen = TypeVar("Seen")


class Bell:
    """Wakes the requests of this process that wait; whoever changed what they may wait for rings it.

    `mark` returns something else after each commit of anybody to the control database, or None if that is not known.
    """

    def __init__(self, mark: Callable[[], int | None] = lambda: None) -> None:
        self.mark = mark
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Wake everybody who listens; may be called in any thread."""
        with self._lock:
            listeners = list(self._listeners)
        for loop, event in listeners:
            # A loop may end between the two lines, when the hub stops; then nobody waits there any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set as soon as the bell rings within the block."""
        listener = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners.discard(listener)


async def await_change(
    request: Request,
    bell: Bell,
    wait_seconds: float,
    look: Callable[[], tuple[Seen, bool]],
    interval_seconds: float = LOOK_INTERVAL_SECONDS,
) -> Seen:
    """Return what `look` sees once it says that this is enough, or after `wait_seconds`.

    `look` runs in a thread, and no thread waits: between two looks, which are at most `interval_seconds` apart, or
    `UNCHANGED_SECONDS_MAX` while the bell's mark stays the same, the request sleeps in the event loop. A process that
    goes out of service answers at once what it sees.
    """
    draining: Draining = request.app.state.draining
    deadline = time.monotonic() + wait_seconds
    while True:
        with bell.listening() as rung:
            mark = bell.mark()
            looked = time.monotonic()
            seen, enough = await run_in_threadpool(look)
            while True:
                left = deadline - time.monotonic()
                if enough or left <= 0 or draining.begun or await request.is_disconnected():
                    return seen
                with anyio.move_on_after(min(interval_seconds, left)):
                    await rung.wait()
                stale = time.monotonic() - looked >= UNCHANGED_SECONDS_MAX
                if rung.is_set() or stale or mark is None or bell.mark() != mark:
                    break
