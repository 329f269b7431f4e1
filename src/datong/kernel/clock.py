"""Time: one source of "now" for every process, always aware, always UTC inside.

A demonstration or a drill may run on *simulated* time: a file holds an offset in seconds that every process of
the installation adds to the system clock. Such an installation says so on every page and in `/healthz`.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")
"""The civil time zone in which working days and time limits are counted."""


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether this clock runs on simulated time."""
        ...


class SystemClock:
    """The machine's clock."""

    simulated = False

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)


class OffsetClock:
    """The machine's clock plus the whole or fractional seconds in a file that may change at any time.

    A missing file means an offset of zero.
    """

    simulated = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """Return the machine's time plus the offset, in UTC."""
        try:
            seconds = float(self._path.read_text().strip() or "0")
        except FileNotFoundError:
            seconds = 0.0
        return datetime.now(UTC) + timedelta(seconds=seconds)


class FixedClock:
    """A clock that a test sets and advances by hand."""

    simulated = True

    def __init__(self, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._now = now

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move the clock ahead."""
        self._now += by
