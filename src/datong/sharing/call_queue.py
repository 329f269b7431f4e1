"""The queue before the gateway: calls that arrive while others are on their way are answered together.

One batch is on its way at a time: a thread answers it (one transaction for all) and hands the answers back. A lone
call is a batch of one. While one batch is being made durable, the next one gathers, so that batches grow with the load.
Calls that a department's node answers wait in threads of their own.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from sqlalchemy.exc import InterfaceError, OperationalError

from datong.kernel import DatongError, Overloaded, Text
from datong.sharing.failure_causes import cause_of
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
LOGGER = logging.getLogger("datong.gateway")
Result = Reply | BaseException
Hand = Callable[[Result], None]
"""Takes what becomes of a call, in the event loop of who asked."""


class _Waiting(NamedTuple):
    """A call whose caller waits on an event loop; `alone` once a batch with it has failed."""

    asked: Asked
    loop: asyncio.AbstractEventLoop
    hand: Hand
    alone: bool = False


class CallQueue:
    """Answers the calls of one process; its threads start with the first call."""

    def __init__(self, gateway: Gateway, *, node_calls_max: int) -> None:
        self._gateway = gateway
        self._waiting: deque[_Waiting] = deque()
        lock = threading.Lock()
        self._some = threading.Condition(lock)
        self._enough = threading.Condition(lock)
        self._lock = lock
        self._expected = 1
        self._idle = False
        self._closed = False
        self._thread: threading.Thread | None = None
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
        (future,) = self._futures([asked])
        return await future

    async def reply_all(self, calls: Sequence[Asked]) -> list[Reply]:
        """Answer calls that came as one, each by itself; they are taken together, or turned away together.

        Raises:
            Overloaded: `sharing.gateway_busy`.
        """
        futures = self._futures(calls)
        try:
            return [await future for future in futures]
        finally:
            # Where one broke, the errors of the others are nobody's; their records stay.
            for future in futures:
                future.cancel()

    def put(self, asked: Asked, loop: asyncio.AbstractEventLoop, hand: Hand) -> None:
        """Take a call, and have `loop` give `hand` what `reply` would return or raise.

        Raises:
            Overloaded: `sharing.gateway_busy`.
        """
        self._take([_Waiting(asked, loop, hand)])

    def _futures(self, calls: Sequence[Asked]) -> "list[asyncio.Future[Reply]]":
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Reply]] = [loop.create_future() for _ in calls]
        self._take(
            [_Waiting(asked, loop, partial(_settle, future)) for asked, future in zip(calls, futures, strict=True)]
        )
        return futures

    def _take(self, calls: Sequence[_Waiting]) -> None:
        with self._lock:
            if len(self._waiting) + len(calls) > CALLS_WAITING_MAX or self._closed:
                self._note_failed(calls, _busy())
                raise _busy()
            self._waiting.extend(calls)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
                self._thread.start()
            elif self._idle:
                self._idle = False
                self._some.notify()
            elif len(self._waiting) >= self._expected:
                self._enough.notify()

    def close(self) -> None:
        """Answer what waits, and stop."""
        with self._lock:
            self._closed = True
            self._some.notify()
            self._enough.notify()
        if self._thread is not None:
            self._thread.join()
        self._nodes.shutdown()

    def _run(self) -> None:
        """Answer one batch after the other."""
        while batch := self._next_batch():
            try:
                results = self._gateway.answer_many([one.asked for one in batch])
            except (OperationalError, InterfaceError) as error:
                # A control database that does not answer would not answer one call after the other either.
                self._note_failed(batch, error)
                _hand_back([(one, error) for one in batch])
            except Exception as error:
                LOGGER.warning("a batch of %d calls of the gateway broke", len(batch), exc_info=True)
                self._end_broken(batch, error)
            else:
                self._end(batch, results)

    def _next_batch(self) -> list[_Waiting]:
        """Return the calls that are answered together next, once there are some; none when the queue is closed."""
        with self._lock:
            while not self._waiting:
                if self._closed:
                    return []
                self._idle = True
                self._some.wait()
            self._idle = False
            if len(self._waiting) < self._expected:
                self._enough.wait_for(lambda: len(self._waiting) >= self._expected or self._closed, LINGER_SECONDS)
            batch = [self._waiting.popleft()]
            while self._waiting and len(batch) < BATCH_CALLS_MAX and not (batch[0].alone or self._waiting[0].alone):
                batch.append(self._waiting.popleft())
            self._expected = min(len(batch) + len(self._waiting), BATCH_CALLS_MAX)
        return batch

    def _end(self, batch: Sequence[_Waiting], results: Sequence[Reply | AtNode]) -> None:
        done: list[tuple[_Waiting, Result]] = []
        for one, result in zip(batch, results, strict=True):
            if isinstance(result, AtNode):
                self._nodes.submit(self._gateway.reply, one.asked).add_done_callback(partial(self._end_at_node, one))
            else:
                done.append((one, result))
        _hand_back(done)

    def _end_broken(self, batch: Sequence[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            self._note_failed(batch, error)
            _hand_back([(batch[0], error)])
            return
        # A call that breaks does not break those beside it: nothing was committed, so each is tried by itself.
        with self._lock:
            self._waiting.extendleft(one._replace(alone=True) for one in reversed(batch))

    def _end_at_node(self, one: _Waiting, ended: "Future[Reply]") -> None:
        error = ended.exception()
        if error is not None:
            self._note_failed([one], error)
        _hand_back([(one, ended.result() if error is None else error)])

    def _note_failed(self, calls: Sequence[_Waiting], error: BaseException) -> None:
        """Count calls that the gateway did not carry out; they are written down later, by whoever can."""
        cause = cause_of(error)
        if cause is not None:
            self._gateway.failures.note((one.asked, cause) for one in calls)


def _hand_back(done: Sequence[tuple[_Waiting, Result]]) -> None:
    """Give each caller its answer, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Hand, Result]]] = {}
    for one, result in done:
        by_loop.setdefault(one.loop, []).append((one.hand, result))
    for loop, results in by_loop.items():
        # A loop that is closed has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_hand_all, results)


def _hand_all(results: Sequence[tuple[Hand, Result]]) -> None:
    loop = asyncio.get_running_loop()
    for hand, result in results:
        # One by one, so that one that breaks does not break those after it.
        loop.call_soon(hand, result)


def _settle(future: "asyncio.Future[Reply]", result: Result) -> None:
    if future.done():
        return  # The caller has hung up; the record of the call stays.
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
