"""When a task runs: schedule, time window, retry. Values and pure rules; the clock's reading is given."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import Field

from datong.exchange.cron import due_times
from datong.kernel import CHINA, Invalid, Text, Value

if TYPE_CHECKING:
    from datong.kernel import WorkingCalendar

WINDOW_SEARCH_DAYS_MAX = 400
"""How far ahead the next opening of a window is looked for: beyond the longest holiday, and over a whole year."""
MISSED_COUNTED_MAX = 10_000
"""Due times that went by while nothing ran are counted up to this many."""
PREVIEW_MAX = 20
PRIORITY_MAX = 9
PRIORITY_DEFAULT = 5
AGING_SECONDS = 300.0
"""A run that waits gains one step of priority in this time, so that it comes to its turn whatever arrives meanwhile."""
TERMINAL_FAILURES_MAX = 2
"""What only a person can mend is tried once more, since a fork is healed by cutting anew; then the run has failed."""


class Misfire(StrEnum):
    """What becomes of due times that went by while the hub was down, the task paused, or a run under way."""

    ONCE = "once"
    SKIP = "skip"

    @property
    def label(self) -> Text:
        """The rule's name."""
        return _MISFIRES[self]


class Days(StrEnum):
    """On which days a window opens, by the statutory calendar."""

    ALL = "all"
    WORKING = "working"
    FREE = "free"

    @property
    def label(self) -> Text:
        """The days' name."""
        return _DAYS[self]

    def contain(self, day: date, calendar: "WorkingCalendar") -> bool:
        """Whether `day` is one of them."""
        return self is Days.ALL or calendar.is_working_day(day) is (self is Days.WORKING)


_MISFIRES = {
    Misfire.ONCE: Text(zh="补运行一次", en="Run once for all of them"),
    Misfire.SKIP: Text(zh="跳过", en="Skip them"),
}
_DAYS = {
    Days.ALL: Text(zh="每天", en="every day"),
    Days.WORKING: Text(zh="工作日", en="working days"),
    Days.FREE: Text(zh="休息日", en="days off"),
}


class Schedule(Value):
    """When a task is run by itself: by a cron expression (China time), when its source changes, or both.

    `grace_seconds` is how late a due time may be served under `Misfire.SKIP`; `on_change_seconds` how often the
    producing node looks whether the source changed.
    """

    cron: str = Field("", max_length=200)
    on_change_seconds: int | None = Field(None, ge=1, le=86_400)
    misfire: Misfire = Misfire.ONCE
    grace_seconds: int = Field(300, ge=1, le=86_400)


class Window(Value):
    """The time of day (China time) in which a task may move rows; an end before the start lies on the next day.

    Equal ends mean the whole day. An opening over midnight belongs to the day on which it begins.
    """

    start: str = Field("00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field("00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    days: Days = Days.ALL

    def opening(self, day: date) -> tuple[datetime, datetime]:
        """Return when the window opens and closes that belongs to `day`, whether or not it does on that day."""
        opens = datetime.combine(day, time.fromisoformat(self.start), tzinfo=CHINA)
        closes = datetime.combine(day, time.fromisoformat(self.end), tzinfo=CHINA)
        return opens, closes if closes > opens else closes + timedelta(days=1)

    def openings(self, now: datetime, calendar: "WorkingCalendar") -> list[tuple[datetime, datetime]]:
        """Return the openings that have not ended at `now`, in order, as far ahead as is looked."""
        today = now.astimezone(CHINA).date()
        days = (today + timedelta(days=n) for n in range(-1, WINDOW_SEARCH_DAYS_MAX))
        found = (self.opening(day) for day in days if self.days.contain(day, calendar))
        return [(opens, closes) for opens, closes in found if closes > now]

    def opens_at(self, now: datetime, calendar: "WorkingCalendar") -> datetime | None:
        """Return `now` when it is open, else when it opens next; None when it does not within a year."""
        first = next(iter(self.openings(now, calendar)), None)
        return None if first is None else max(first[0].astimezone(UTC), now)

    def closes_at(self, now: datetime, calendar: "WorkingCalendar") -> datetime | None:
        """Return when it closes that is open at `now`, openings that join taken as one; None when it never does."""
        openings = self.openings(now, calendar)
        end = openings[0][1] if openings else now
        for opens, closes in openings[1:]:
            if opens > end:
                return end.astimezone(UTC)
            end = closes
        return None if openings else end


class Retry(Value):
    """How often and how patiently a failing run is tried again."""

    attempts_max: int = Field(100, ge=1, le=1000)
    delay_seconds: int = Field(2, ge=1, le=3600)
    delay_seconds_max: int = Field(60, ge=1, le=86_400)

    def delay(self, failures: int, chance: float) -> float:
        """Return the seconds to wait after failure number `failures`: doubling, bounded, up to a quarter less.

        `chance` in [0, 1) spreads out the tasks that failed at the same moment.
        """
        doubled = self.delay_seconds * 2.0 ** min(failures - 1, 40)
        return min(doubled, max(self.delay_seconds_max, self.delay_seconds)) * (1 - 0.25 * chance)

    def gives_up(self, failures: int, *, transient: bool) -> bool:
        """Whether a run that failed `failures` times in a row has failed for good."""
        return failures >= (self.attempts_max if transient else min(self.attempts_max, TERMINAL_FAILURES_MAX))


class Due(Value):
    """What a schedule says at one moment: the due time to serve now (if any), how many it missed, and the next one."""

    at: datetime | None
    missed: int
    next_at: datetime | None


def check_schedule(
    schedule: Schedule | None, window: Window | None, now: datetime, calendar: "WorkingCalendar"
) -> None:
    """Check that a schedule and a window ever come true.

    Raises:
        Invalid: `exchange.cron_invalid`, `exchange.cron_never`, `exchange.schedule_empty`, `exchange.window_never`.
    """
    if schedule is not None:
        if not schedule.cron and schedule.on_change_seconds is None:
            raise Invalid(
                "exchange.schedule_empty",
                what=Text(
                    zh="计划既没有 cron 表达式，也没有“有变化时”。",
                    en="The schedule has neither a cron expression nor on_change.",
                ),
                remedy=Text(zh="请填写其一，或删去计划。", en="Give one of them, or leave the schedule out."),
                field="/schedule",
            )
        if schedule.cron:
            next(due_times(schedule.cron, now))
    if window is not None and window.opens_at(now, calendar) is None:
        raise Invalid(
            "exchange.window_never",
            what=Text(zh="时间窗口从不开放。", en="The window never opens."),
            remedy=Text(zh="请修改窗口的日期条件。", en="Change the days of the window."),
            field="/window",
        )


def next_due(schedule: Schedule | None, after: datetime) -> datetime | None:
    """Return the first due time after `after`; None without a cron expression."""
    if schedule is None or not schedule.cron:
        return None
    return next(due_times(schedule.cron, after))


def preview(schedule: Schedule, after: datetime, count: int) -> tuple[datetime, ...]:
    """Return the next due times, at most `PREVIEW_MAX`."""
    if not schedule.cron:
        return ()
    return tuple(islice(due_times(schedule.cron, after), min(count, PREVIEW_MAX)))


def due_now(schedule: Schedule, due_at: datetime, now: datetime) -> Due:
    """Return what to do at `now` about a task whose next due time is `due_at`.

    All due times up to now are served by one run, in the name of the newest of them. Under `Misfire.SKIP` it is only
    started within the grace after that time.
    """
    if due_at > now:
        return Due(at=None, missed=0, next_at=due_at)
    newest, passed = due_at, 0
    for moment in due_times(schedule.cron, due_at):
        if moment > now:
            break
        newest, passed = moment, passed + 1
        if passed >= MISSED_COUNTED_MAX:
            break
    late = now - newest > timedelta(seconds=schedule.grace_seconds)
    if schedule.misfire is Misfire.SKIP and late:
        return Due(at=None, missed=passed + 1, next_at=next_due(schedule, now))
    return Due(at=newest, missed=passed, next_at=next_due(schedule, now))


def urgency(priority: int, waited_seconds: float) -> float:
    """Return how urgent a waiting run is: its priority, and what its waiting adds."""
    return priority + max(waited_seconds, 0.0) / AGING_SECONDS
