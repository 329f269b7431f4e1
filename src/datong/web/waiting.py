"""Requests that wait for a change: woken at once by this process, and by looking again for what another one did."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from datong.web.draining import Draining

LOOK_INTERVAL_SECONDS = 0.25
"""Another process of the hub rings no bell here."""
UNCHANGED_SECONDS_MAX = 1.0
"""How long nobody looks while nobody commits: what a clock alone brings about, a next attempt, waits so long."""
Seen = TypeVar("Seen")
Key = TypeVar("Key", bound=Hashable)


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


class SharedLook(Generic[Key]):
    """One look for all requests of a process that wait for something alike, each by a key of its own.

    `look` returns those of some keys that a change may concern. It runs in a thread, one at a time for an event loop.
    """

    def __init__(self, look: Callable[[Collection[Key]], Collection[Key]]) -> None:
        self._look = look
        self._rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, _Rounds[Key]] = WeakKeyDictionary()

    async def concerns(self, key: Key) -> bool:
        """Return whether a look that begins after this call names `key`.

        Whoever asks while one is under way shares the next.
        """
        loop = asyncio.get_running_loop()
        rounds = self._rounds.setdefault(loop, _Rounds())
        rounds.keys.add(key)
        if rounds.next is None:
            rounds.next = loop.create_task(self._go(rounds))
            # Whoever waited for it may have gone.
            rounds.next.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return key in await asyncio.shield(rounds.next)

    async def _go(self, rounds: "_Rounds[Key]") -> Collection[Key]:
        async with rounds.alone:
            keys, rounds.keys, rounds.next = rounds.keys, set(), None
            return await run_in_threadpool(self._look, keys)


class _Rounds(Generic[Key]):
    """The looks of one event loop: who shares the next, and that it begins when the one before has ended."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()
        self.next: asyncio.Task[Collection[Key]] | None = None
        self.alone = asyncio.Lock()


async def await_change(
    request: Request,
    bell: Bell,
    wait_seconds: float,
    look: Callable[[], tuple[Seen, bool]],
    interval_seconds: float = LOOK_INTERVAL_SECONDS,
    concerned: Callable[[], Awaitable[bool]] | None = None,
) -> Seen:
    """Return what `look` sees once it says that this is enough, or after `wait_seconds`.

    `look` runs in a thread, and no thread waits: between two looks, which are at most `interval_seconds` apart, or
    `UNCHANGED_SECONDS_MAX` while the bell's mark stays the same, the request sleeps in the event loop. A process that
    goes out of service answers at once what it sees.

    With `concerned` (of a `SharedLook`) the request itself looks at the beginning, when that says so, and at the end.
    Those who share it ask at the same moments of the clock, so that one look serves them all.
    """
    draining: Draining = request.app.state.draining
    deadline = time.monotonic() + wait_seconds
    with bell.listening() as rung:
        while True:
            rung.clear()
            mark, looked = bell.mark(), time.monotonic()
            last = looked >= deadline
            seen, enough = await run_in_threadpool(look)
            while True:
                left = deadline - time.monotonic()
                over = enough or last or (left <= 0 and concerned is None)
                if over or draining.begun or await request.is_disconnected():
                    return seen
                if left <= 0:
                    break
                until_next = interval_seconds - (time.monotonic() % interval_seconds if concerned else 0)
                with anyio.move_on_after(min(until_next, left)):
                    await rung.wait()
                stale = time.monotonic() - looked >= UNCHANGED_SECONDS_MAX
                if not (rung.is_set() or stale or mark is None or bell.mark() != mark):
                    continue
                if concerned is None:
                    break
                rung.clear()
                mark, looked = bell.mark(), time.monotonic()
                if await concerned():
                    break
