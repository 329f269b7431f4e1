"""Background work of a hub: sweeps that read the state, do what is due, and may run in any process, any time; of
several processes on one database, each does the sweeps whose leases it holds.

A sweep that fails is tried again at its next turn; the failure is logged and counted, and nothing is lost, since what
was due is still due.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError

from datong.app.leases import EveryTurn, Turns
from datong.kernel import DatongError, new_id
from datong.kernel.tracing import TRACE

RETRIED = (DatongError, SQLAlchemyError, OSError, ValueError, LookupError)
"""What a sweep may fail with and go on; the last two are what unexpected data raises, told with where it happened."""
LOGGER = logging.getLogger("datong.worker")
FAILED_SWEEPS = Counter("datong_sweep_failures_total", "Sweeps that failed and will be tried again.", ["sweep"])
SWEEP_SECONDS = Histogram(
    "datong_sweep_seconds",
    "Seconds that a turn of a sweep took.",
    ["sweep"],
    buckets=(0.01, 0.1, 1.0, 10.0, 60.0, 600.0),
)
WORK_METRICS = (FAILED_SWEEPS, SWEEP_SECONDS)
"""What a process that does background work publishes of it."""
STOP_SECONDS_MAX = 10.0
"""How long the turns that are running are waited for, all together."""
TURN_SECONDS = 1.0
"""How soon work is begun once it is this process's turn."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One kind of periodic work: `run` returns whether there may be more to do at once.

    `everywhere`: every process does it, because what is to be done is its own, or is claimed piece by piece; other work
    is done by the process whose turn it is.
    """

    name: str
    interval_seconds: float
    run: Callable[[], bool]
    everywhere: bool = False


class Worker:
    """Runs each sweep in a thread of its own until it is stopped; `turns` says which are this process's."""

    def __init__(self, sweeps: Sequence[Sweep], turns: Turns | None = None) -> None:
        self._turns = turns or EveryTurn()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(sweep,), name=f"sweep-{sweep.name}", daemon=True)
            for sweep in sweeps
        ]

    def start(self) -> None:
        """Start every sweep."""
        self._turns.begin()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask every sweep to end and wait for the turns that are running, with a bound."""
        self._stopping.set()
        until = time.monotonic() + STOP_SECONDS_MAX
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._turns.end()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until `stop` is called or `seconds` have passed; return whether it was called."""
        return self._stopping.wait(seconds)

    def _repeat(self, sweep: Sweep) -> None:
        while not self._stopping.is_set():
            more = False
            if not (sweep.everywhere or self._turns.holds(sweep.name)):
                self._stopping.wait(min(sweep.interval_seconds, TURN_SECONDS))
                continue
            TRACE.set(new_id().replace("-", ""))
            try:
                with SWEEP_SECONDS.labels(sweep=sweep.name).time():
                    more = sweep.run()
            except RETRIED as error:
                FAILED_SWEEPS.labels(sweep=sweep.name).inc()
                unexpected = isinstance(error, ValueError | LookupError)
                LOGGER.warning("sweep %s failed and will be tried again: %s", sweep.name, error, exc_info=unexpected)
            if not more:
                self._stopping.wait(sweep.interval_seconds)
