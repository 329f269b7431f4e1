"""Work that runs ahead of whoever uses it: an iterator in a thread of its own, a bounded number of items in advance."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")
STOP_CHECK_SECONDS = 0.2


class _End:
    """What follows the last item, or an error."""


class _Ahead(Generic[Item]):
    """One iterator and the thread that runs it."""

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._items = items
        self._waiting: queue.Queue[Item | _End] = queue.Queue(depth)
        self._left = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
        self._done = self._thread.submit(self._run)

    def __iter__(self) -> Iterator[Item]:
        while True:
            item = self._waiting.get()
            if isinstance(item, _End):
                # Whatever went wrong in the thread goes wrong here.
                self._done.result()
                return
            yield item

    def leave(self) -> None:
        """Let the thread end at its next item, and wait for that."""
        self._left.set()
        self._thread.shutdown()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        finally:
            # A generator cleans up here, in the thread that ran it, and not when it happens to be collected.
            if isinstance(self._items, Generator):
                self._items.close()
            self._put(_End())

    def _put(self, item: Item | _End) -> bool:
        while not self._left.is_set():
            try:
                self._waiting.put(item, timeout=STOP_CHECK_SECONDS)
            except queue.Full:
                continue
            return True
        return False


@contextmanager
def ahead(items: Iterable[Item], depth: int) -> Iterator[Iterator[Item]]:
    """Yield the items of `items`, which runs in a thread and is at most `depth` items ahead (and makes one more).

    What `items` raises is raised where the item would have come. When the block ends, however it ends, the thread has
    ended too, and a generator has been closed in it.
    """
    running = _Ahead(items, depth)
    try:
        yield iter(running)
    finally:
        running.leave()
