"""Time in the simulated year: working time, and outages that keep somebody from acting. No rule's code is in it."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from random import Random
from typing import NamedTuple

from datong.governance import Party
from datong.kernel import CHINA, DepartmentCode, WorkingCalendar

CALENDAR = WorkingCalendar()
DAY = timedelta(days=1)


class Absence(NamedTuple):
    """A time in which somebody was away: a department's node or line, or (department None) the hub."""

    since: datetime
    until: datetime
    cause: str
    department: DepartmentCode | None


@cache
def works(day: date) -> bool:
    """Whether a day is a working day."""
    return CALENDAR.is_working_day(day)


def midnight(day: date) -> datetime:
    """Return the beginning of a day in China."""
    return datetime.combine(day, time(0), tzinfo=CHINA)


def after(start: datetime, working_days: float) -> datetime:
    """Return the moment so much working time (24 hours of each working day) after `start`."""
    left = DAY * working_days
    at = start
    while True:
        end = midnight(at.date() + DAY)
        if works(at.date()):
            if at + left < end:
                return at + left
            left -= end - at
        at = end


def between(start: datetime, end: datetime) -> float:
    """Return the working days from `start` to `end`, 0 if it is earlier."""
    total, at = timedelta(0), start
    while at < end:
        stop = min(end, midnight(at.date() + DAY))
        total += stop - at if works(at.date()) else timedelta(0)
        at = stop
    return total / DAY


class Delays(dict[Party, float]):
    """Working days by which each party held something up, in the simulation's own account."""

    def add(self, party: Party, working_days: float) -> None:
        """Charge a party."""
        self[party] = self.get(party, 0.0) + working_days

    @property
    def culprit(self) -> Party:
        """Who held it up for longest."""
        return max(self, key=lambda party: self[party])


class Absences:
    """Every outage of the year, and what becomes of an act that falls into one."""

    def __init__(self, absences: Sequence[Absence], dice: Random) -> None:
        self.all = sorted(absences)
        self._dice = dice
        self._of: dict[DepartmentCode | None, list[Absence]] = {}
        for one in self.all:
            self._of.setdefault(one.department, []).append(one)

    def act(
        self, at: datetime, department: DepartmentCode | None, who: Party, delays: Delays, *, machine: bool
    ) -> datetime:
        """Return when an act that somebody wants to do at `at` gets done; the wait is charged to who was away.

        People are kept from acting by the hub's absence only, machines also by that of their node or line.
        """
        while (hindrance := self._at(at, department if machine else None)) is not None:
            again = hindrance.until + timedelta(minutes=self._dice.uniform(2, 40))
            party = {"platform": Party.PLATFORM, "network": Party.NETWORK, "node": who}[hindrance.cause]
            delays.add(party, between(at, again))
            at = again
        return at

    def _at(self, at: datetime, department: DepartmentCode | None) -> Absence | None:
        for key in (None, department):
            found = self._of.get(key, [])
            place = bisect_right(found, at, key=lambda one: one.since)
            for one in found[max(0, place - 3) : place]:
                if one.since <= at < one.until:
                    return one
            if department is None:
                return None
        return None
