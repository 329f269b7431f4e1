"""The queue before the gateway: calls that arrive while others are on their way are answered together.

One batch is on its way at a time: a thread answers it (one transaction for all) and hands the answers back. Nobody
waits for a batch to fill: a lone call is a batch of one. While one batch is being made durable, the next one gathers,
so that batches grow with the load. Calls that a department's node answers wait in threads of their own.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from sqlalchemy.exc import InterfaceError, OperationalError

from datong.kernel import DatongError, Overloaded, Text
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_calls import Answer, Asked
from datong.sharing.gateway_told import AtNode, Reply

BATCH_CALLS_MAX = 128
"""Calls that are answered together; their evidence is one transaction."""
LINGER_SECONDS = 0.001
"""So long at most a batch waits for as many calls as the one before it had: callers who were answered together call
again together, and the first of them would make a batch of its own."""
CALLS_WAITING_MAX = 2000
"""Calls that wait in one process; more are turned away."""


class _Waiting(NamedTuple):
    """A call whose caller waits on an event loop; `alone` once a batch with it has failed."""

    asked: Asked
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Reply]"
    alone: bool = False


Result = Reply | BaseException


class CallQueue:
    """Answers the calls of one process; its threads start with the first call."""

    def __init__(self, gateway: Gateway, *, node_calls_max: int) -> None:
        self._gateway = gateway
        self._waiting: deque[_Waiting] = deque()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._enough = threading.Condition(lock)
        self._expected = 1
        self._busy = False
        self._closed = False
        self._batches = ThreadPoolExecutor(1, thread_name_prefix="gateway")
        self._nodes = ThreadPoolExecutor(node_calls_max, thread_name_prefix="gateway-node")

    async def answer(self, asked: Asked) -> Answer:
        """Answer a call once its evidence is durable.

        Raises:
            DatongError: as in `Gateway.answer`.
            Overloaded: `sharing.gateway_busy`.
        """
        reply = await self.reply(asked)
        if isinstance(reply.answer, DatongError):
            raise reply.answer
        return reply.answer

    async def reply(self, asked: Asked) -> Reply:
        """Do as `answer` does; an error of the call itself is returned, with where the quota stands.

        Raises:
            Overloaded: `sharing.gateway_busy`.
        """
        (future,) = self._take([asked])
        return await future

    async def reply_all(self, calls: Sequence[Asked]) -> list[Reply]:
        """Answer calls that came as one, each by itself; they are taken together, or turned away together.

        Raises:
            Overloaded: `sharing.gateway_busy`.
        """
        futures = self._take(calls)
        try:
            return [await future for future in futures]
        finally:
            # Where one broke, the errors of the others are nobody's; their records stay.
            for future in futures:
                future.cancel()

    def _take(self, calls: Sequence[Asked]) -> "list[asyncio.Future[Reply]]":
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Reply]] = [loop.create_future() for _ in calls]
        with self._changed:
            if len(self._waiting) + len(calls) > CALLS_WAITING_MAX or self._closed:
                raise _busy()
            self._waiting.extend(_Waiting(asked, loop, future) for asked, future in zip(calls, futures, strict=True))
            self._begin_batch()
            if len(self._waiting) >= self._expected:
                self._enough.notify()
        return futures

    def close(self) -> None:
        """Answer what waits, and stop."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._busy)
        self._batches.shutdown()
        self._nodes.shutdown()

    def _begin_batch(self) -> None:
        """Have what waits answered, unless a batch is on its way; the caller holds the lock."""
        if self._busy or not self._waiting:
            return
        self._busy = True
        batch: list[_Waiting] = []
        self._batches.submit(self._answer_batch, batch).add_done_callback(partial(self._end_batch, batch))

    def _answer_batch(self, batch: list[_Waiting]) -> list[Reply | AtNode]:
        """Put what waits into `batch`, and answer it."""
        with self._changed:
            self._enough.wait_for(lambda: len(self._waiting) >= self._expected or self._closed, LINGER_SECONDS)
            batch.append(self._waiting.popleft())
            while self._waiting and len(batch) < BATCH_CALLS_MAX and not (batch[0].alone or self._waiting[0].alone):
                batch.append(self._waiting.popleft())
            self._expected = min(len(batch) + len(self._waiting), BATCH_CALLS_MAX)
        return self._gateway.answer_many([one.asked for one in batch])

    def _end_batch(self, batch: list[_Waiting], ended: "Future[list[Reply | AtNode]]") -> None:
        error = ended.exception()
        again: list[_Waiting] = []
        if error is None:
            done: list[tuple[_Waiting, Result]] = []
            for one, result in zip(batch, ended.result(), strict=True):
                if isinstance(result, AtNode):
                    self._nodes.submit(self._gateway.reply, one.asked).add_done_callback(partial(_end_at_node, one))
                else:
                    done.append((one, result))
            _hand_back(done)
        elif len(batch) == 1 or isinstance(error, OperationalError | InterfaceError):
            # A control database that does not answer would not answer one call after the other either.
            _hand_back([(one, error) for one in batch])
        else:
            # A call that breaks does not break those beside it: nothing was committed, so each is tried by itself.
            again = [one._replace(alone=True) for one in batch]
        with self._changed:
            self._busy = False
            self._waiting.extendleft(reversed(again))
            self._begin_batch()
            self._changed.notify_all()


def _end_at_node(one: _Waiting, ended: "Future[Reply]") -> None:
    error = ended.exception()
    _hand_back([(one, ended.result() if error is None else error)])


def _hand_back(done: Sequence[tuple[_Waiting, Result]]) -> None:
    """Give each caller its answer, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Reply], Result]]] = {}
    for one, result in done:
        by_loop.setdefault(one.loop, []).append((one.future, result))
    for loop, results in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, results)


def _settle(results: Sequence[tuple["asyncio.Future[Reply]", Result]]) -> None:
    for future, result in results:
        if future.done():
            continue  # The caller has hung up; the record of the call stays.
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def _busy() -> Overloaded:
    return Overloaded(
        "sharing.gateway_busy",
        what=Text(zh="网关正在处理的调用已达上限。", en="The gateway has as many calls waiting as it takes."),
        remedy=Text(zh="请按 Retry-After 稍后重试。", en="Try again after the time in Retry-After."),
    )
