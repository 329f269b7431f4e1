"""Transfers under way beside each other and beside the rounds: a long one keeps no other one from beginning."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

TRANSFERS_AT_ONCE_MAX = 4
OF_ONE_KIND_MAX = 3
"""However much there is to produce, something can be applied meanwhile, and the other way round."""

_LOG = logging.getLogger(__name__)


class Transfer(NamedTuple):
    """One thing to do for a task; of two with the same `key` (kind and task) one is under way at a time."""

    key: tuple[str, str]
    name: str
    job: Callable[[], list[str]]
    """Does it; returns the failures."""


class Transfers:
    """Runs transfers in threads, at most `TRANSFERS_AT_ONCE_MAX` at a time.

    What the hub offers may be under way already. An offer that was asked for before a transfer ended may still name
    it: `offered` is told what was under way when the hub was asked.
    """

    def __init__(self, unforeseen: Callable[[str, Exception], list[str]]) -> None:
        self._unforeseen = unforeseen
        self._running: dict[tuple[str, str], tuple[str, Future[list[str]]]] = {}
        self._pool = ThreadPoolExecutor(max_workers=TRANSFERS_AT_ONCE_MAX, thread_name_prefix="transfer")

    @property
    def under_way(self) -> frozenset[tuple[str, str]]:
        """The keys of what was begun and whose outcome was not collected."""
        return frozenset(self._running)

    def begin(self, offered: Sequence[Transfer], under_way: frozenset[tuple[str, str]], *, every: bool) -> None:
        """Begin what is offered and was not `under_way` when it was asked for, in order, while there is room.

        What finds no room is offered again, in the order of the day; `every`: it waits in line.
        """
        for transfer in offered:
            if transfer.key in under_way or transfer.key in self._running:
                continue
            if not every and not self._room_for(transfer.key[0]):
                continue
            self._running[transfer.key] = (transfer.name, self._pool.submit(transfer.job))

    def rest(self, seconds: float | None) -> None:
        """Wait until one transfer has ended, or so long; None: until all of them have."""
        futures = [future for _, future in self._running.values()]
        wait(futures, timeout=seconds, return_when="ALL_COMPLETED" if seconds is None else FIRST_COMPLETED)

    def collected(self) -> Iterator[str]:
        """Yield the failures of what has ended meanwhile, and forget it.

        A failure that nobody foresaw leaves the other transfers and the node alone too.
        """
        for key, (name, future) in list(self._running.items()):
            if not future.done():
                continue
            del self._running[key]
            error = future.exception()
            if isinstance(error, Exception):
                _LOG.error("%s", name, exc_info=error)
                yield from self._unforeseen(name, error)
            else:
                yield from future.result()

    def _room_for(self, kind: str) -> bool:
        same = sum(1 for running, _ in self._running if running == kind)
        return len(self._running) < TRANSFERS_AT_ONCE_MAX and same < OF_ONE_KIND_MAX

    def close(self) -> None:
        """Wait for what is under way, and begin nothing that is in line."""
        self._pool.shutdown(cancel_futures=True)
