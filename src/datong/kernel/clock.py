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


def minute(at: datetime) -> str:
    """Return a moment to the minute, in China's time."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether this clock runs on simulated time."""
        ...

    def leapt_to(self) -> datetime | None:
        """Return the moment to which simulated time leapt last: nobody lived through what it passed over."""
        ...


class SystemClock:
    """The machine's clock."""

    simulated = False

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def leapt_to(self) -> None:
        """Return nothing: a day lasts a day."""


class OffsetClock:
    """The machine's clock plus the whole or fractional seconds in a file that may change at any time.

    A missing file means an offset of zero.
    """

    simulated = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """Return the machine's time plus the offset, in UTC."""
        return datetime.now(UTC) + self._offset()

    def leapt_to(self) -> datetime | None:
        """Return the moment at which the file was written last, in the time that it gives; None without a file."""
        try:
            written = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        return written + self._offset()

    def _offset(self) -> timedelta:
        try:
            return timedelta(seconds=float(self._path.read_text().strip() or "0"))
        except FileNotFoundError:
            return timedelta()


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

    def leapt_to(self) -> None:
        """Return nothing: a test that moves the clock means that the time passes."""
