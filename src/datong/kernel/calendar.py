"""China's statutory working-day calendar, in which every time limit of the platform is counted.

Days are counted from the day after receipt (NORMS §2). Holidays and make-up working days come from
`chinesecalendar`; an override table wins over it, and is the only source for the years it does not know. A year
that neither knows falls back to Monday–Friday, and `is_provisional` says so.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

import chinese_calendar
from chinese_calendar.constants import holidays as known_holidays

from datong.kernel.clock import CHINA

_KNOWN_YEARS = frozenset(day.year for day in known_holidays)


class WorkingCalendar:
    """Answers which days are working days; `overrides` maps a date to whether it is one."""

    def __init__(self, overrides: Mapping[date, bool] | None = None) -> None:
        self._overrides = dict(overrides or {})
        self._known: dict[date, bool] = {}

    def is_provisional(self, day: date) -> bool:
        """Whether the State Council's holiday notice for `day`'s year is unknown here."""
        return day not in self._overrides and day.year not in _KNOWN_YEARS

    def is_working_day(self, day: date) -> bool:
        """Whether `day` is a working day in China."""
        known = self._known.get(day)
        if known is None:
            known = self._known[day] = self._looked_up(day)
        return known

    def _looked_up(self, day: date) -> bool:
        if day in self._overrides:
            return self._overrides[day]
        if day.year in _KNOWN_YEARS:
            return bool(chinese_calendar.is_workday(day))
        return day.weekday() < 5

    def add_working_days(self, start: date, days: int) -> date:
        """Return the `days`-th working day after `start` (`start` itself does not count)."""
        if days < 0:
            raise ValueError("days must not be negative")
        day = start
        while days > 0:
            day += timedelta(days=1)
            if self.is_working_day(day):
                days -= 1
        return day

    def working_days_between(self, start: date, end: date) -> int:
        """Return the number of working days after `start` up to and including `end`; negative if `end` is earlier."""
        if end < start:
            return -self.working_days_between(end, start)
        count = 0
        day = start
        while day < end:
            day += timedelta(days=1)
            count += self.is_working_day(day)
        return count

    def deadline(self, received_at: datetime, days: int) -> datetime:
        """Return the end (24:00 China time) of the `days`-th working day after `received_at`."""
        day = self.add_working_days(received_at.astimezone(CHINA).date(), days)
        return datetime.combine(day + timedelta(days=1), time(0), tzinfo=CHINA)

    def working_days_left(self, now: datetime, due_at: datetime) -> int:
        """Return the working days from `now` until a deadline made by `deadline`; negative when it has passed."""
        last_day = (due_at.astimezone(CHINA) - timedelta(microseconds=1)).date()
        return self.working_days_between(now.astimezone(CHINA).date(), last_day)
