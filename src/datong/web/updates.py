"""Live updates: browsers are told that something changed, by topic, and fetch the part of their page again themselves.

Nothing but the names of topics goes through a stream, so whoever listens learns no more than their own page shows them.
One look a second at the end of the log serves all listeners of a process; with several hub processes each looks for
itself, so that an act on one is told by all.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

import anyio
import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError

from datong.kernel import DatongError, Overloaded, Text
from datong.ledger import EntryKind, NewestEntries
from datong.web.draining import Draining
from datong.web.services import Services

STREAMS_MAX = 400
"""Streams that one process serves at once."""
STREAMS_OF_ACCOUNT_MAX = 8
"""Of these, for one account; browsers keep one for each window in sight."""
STREAM_SECONDS_MAX = 300.0
"""A stream ends after so long; the browser connects again, and its session is looked at again."""
LOOK_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 15.0
RETRY_MILLISECONDS_MIN, RETRY_MILLISECONDS_MAX = 1000, 4000
"""When a process goes out of service its browsers come back spread over this time, to another one."""


class Topic(StrEnum):
    """What a part of a page is about."""

    DASHBOARD = "dashboard"
    TRANSFERS = "transfers"
    OPERATIONS = "operations"
    NOTICES = "notices"
    FILES = "files"
    EVIDENCE = "evidence"


PAUSE_SECONDS: Mapping[Topic, float] = {
    Topic.DASHBOARD: 10.0,
    Topic.TRANSFERS: 2.0,
    Topic.OPERATIONS: 5.0,
    Topic.NOTICES: 2.0,
    Topic.FILES: 2.0,
    Topic.EVIDENCE: 5.0,
}
"""A browser is told of a topic once within so long, however much happens."""
BEAT_SECONDS: Mapping[Topic, float] = {
    Topic.DASHBOARD: 60.0,
    Topic.TRANSFERS: 15.0,
    Topic.OPERATIONS: 15.0,
    Topic.FILES: 15.0,
}
"""What goes on without leaving entries (speed, silence, days that pass) is told so often."""
_MOVING = frozenset(
    {
        EntryKind.TASK,
        EntryKind.BATCH,
        EntryKind.RECEIPT,
        EntryKind.DEAD_LETTERS,
        EntryKind.RECONCILIATION,
        EntryKind.AGREEMENT,
    }
)
_RUNNING = frozenset(
    {
        *_MOVING,
        EntryKind.DATASET,
        EntryKind.HARVEST,
        EntryKind.LIVE,
        EntryKind.FAILURE,
        EntryKind.OUTAGE,
        EntryKind.SUBSCRIPTION,
        EntryKind.NOTIFICATION,
        EntryKind.INCIDENT,
        EntryKind.DEPARTMENT_KEY,
    }
)
Look = Callable[[], tuple[Collection[EntryKind], bool]]
"""Returns the kinds of entries that are new since the look before, and whether people were told of something."""


def topics_of(kinds: Iterable[EntryKind], *, told: bool) -> frozenset[Topic]:
    """Return what changed when entries of these kinds are new, and people were `told` of something."""
    found = frozenset(kinds)
    return frozenset(
        topic
        for topic, changed in (
            (Topic.DASHBOARD, bool(found)),
            (Topic.TRANSFERS, not _MOVING.isdisjoint(found)),
            (Topic.OPERATIONS, not _RUNNING.isdisjoint(found)),
            (Topic.NOTICES, told),
            (Topic.FILES, EntryKind.FILE in found),
            (Topic.EVIDENCE, bool(found)),
        )
        if changed
    )


def look_at(services: Services) -> Look:
    """Return the look of one process at its control database: two rows and the end of the log, and nothing at all while
    nobody commits to an embedded one."""
    newest = NewestEntries(services.database)
    position: int | None = None
    mark: int | None = None

    def look() -> tuple[Collection[EntryKind], bool]:
        nonlocal position, mark
        before, mark = mark, services.database.change_mark()
        if mark is not None and mark == before:
            return (), False
        known, position = position, services.inbox.position()
        return newest.look(), known is not None and known != position

    return look


class Updates:
    """The streams of one process, and the one look that serves them; lives in one event loop."""

    def __init__(self, look: Look, draining: Draining) -> None:
        self._look, self._draining = look, draining
        self._numbers: Counter[Topic] = Counter()
        self._changed = asyncio.Event()
        self._accounts: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._accounts.total()

    async def stream(self, account: str, topics: Collection[Topic]) -> AsyncIterator[str]:
        """Yield the text of a stream of server-sent events (`update`, with a topic) until it has lasted long enough."""
        with self._joined(account):
            loop = asyncio.get_running_loop()
            began = spoken = loop.time()
            seen, last = dict(self._numbers), dict.fromkeys(topics, began)
            yield f"retry: {random.randint(RETRY_MILLISECONDS_MIN, RETRY_MILLISECONDS_MAX)}\n\n"  # noqa: S311
            while loop.time() - began < STREAM_SECONDS_MAX and not self._draining.begun:
                changed = self._changed
                now = loop.time()
                for topic in sorted(topics):
                    since = now - last[topic]
                    fresh = self._numbers[topic] != seen.get(topic, 0) and since >= PAUSE_SECONDS[topic]
                    if fresh or since >= BEAT_SECONDS.get(topic, STREAM_SECONDS_MAX):
                        yield f"event: update\ndata: {topic.value}\n\n"
                        seen[topic], last[topic], spoken = self._numbers[topic], now, now
                if now - spoken > KEEP_ALIVE_SECONDS:
                    yield ": \n\n"
                    spoken = now
                with anyio.move_on_after(LOOK_SECONDS):
                    await changed.wait()

    def tell(self, topics: Collection[Topic]) -> None:
        """Tell every listener of these topics that they changed."""
        if topics:
            self._numbers.update(topics)
            self._changed.set()
            self._changed = asyncio.Event()

    def require_room(self, account: str) -> None:
        """Let another stream of an account begin.

        Raises:
            Overloaded: as many are open as may be, of this account or of all.
        """
        if self.streams >= STREAMS_MAX or self._accounts[account] >= STREAMS_OF_ACCOUNT_MAX:
            raise Overloaded(
                "web.updates_full",
                what=Text(zh="实时更新的连接已达上限。", en="As many live updates are open as may be."),
                remedy=Text(zh="页面会改为定时刷新。", en="The page refreshes by the clock instead."),
            )

    @contextmanager
    def _joined(self, account: str) -> Iterator[None]:
        self._accounts[account] += 1
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._go_on_looking())
        try:
            yield
        finally:
            self._accounts[account] -= 1
            if not self._accounts[account]:
                del self._accounts[account]
            if not self._accounts and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _go_on_looking(self) -> None:
        while not self._draining.begun:
            try:
                kinds, told = await anyio.to_thread.run_sync(self._look)
            except (DatongError, SQLAlchemyError):
                # The database does not answer: the pages say so themselves; what is missed now, a beat brings.
                kinds, told = frozenset(), False
            self.tell(topics_of(kinds, told=told))
            await asyncio.sleep(LOOK_SECONDS)
