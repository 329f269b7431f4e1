"""When what waits for a person leaves the console: one message for all of it, never more than so many.

A pure function of what waits, what was sent lately, and the person's pace. Whatever happens on the platform, a person
gets at most `hourly_max` messages in an hour and `daily_max` in 24; what comes meanwhile waits for the next message.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from datong.governance.notifications.preferences import Choices, Pace
from datong.kernel import CHINA, Value, WorkingCalendar

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MORNING = time(8, 30)
"""When the message of a working day is sent."""
GATHERED = timedelta(minutes=1)
"""Even what is sent at once waits so long for what happens together with it."""


class Waiting(Value):
    """A notice that waits."""

    since: datetime
    urgent: bool


class Rate(Value):
    """How many messages one person gets at most by one channel."""

    hourly_max: int = 4
    daily_max: int = 20


def due_at(
    waiting: Sequence[Waiting], sent: Sequence[datetime], choices: Choices, rate: Rate, calendar: WorkingCalendar
) -> datetime | None:
    """Return when the next message is to be made; None while nothing waits.

    `sent` are the times of messages of the last 24 hours at least, by this channel, in any order.
    """
    if not waiting:
        return None
    wanted = min(_wanted(one, choices, calendar) for one in waiting)
    return max(wanted, _allowed(sent, rate.hourly_max, HOUR), _allowed(sent, rate.daily_max, DAY))


def _wanted(one: Waiting, choices: Choices, calendar: WorkingCalendar) -> datetime:
    """Return when a notice would leave by the person's pace."""
    if choices.pace is Pace.AT_ONCE or (one.urgent and choices.urgent_at_once):
        return one.since + GATHERED
    if choices.pace is Pace.HOURLY:
        return one.since + HOUR
    return next_morning(one.since, calendar)


def next_morning(after: datetime, calendar: WorkingCalendar) -> datetime:
    """Return the first half past eight of a working day in China at or after `after`."""
    day = after.astimezone(CHINA).date()
    while not calendar.is_working_day(day) or datetime.combine(day, MORNING, tzinfo=CHINA) < after:
        day += timedelta(days=1)
    return datetime.combine(day, MORNING, tzinfo=CHINA)


def _allowed(sent: Sequence[datetime], most: int, span: timedelta) -> datetime:
    """Return the first moment at which fewer than `most` messages lie within `span` before."""
    newest = sorted(sent, reverse=True)
    return datetime.min.replace(tzinfo=CHINA) if len(newest) < most else newest[most - 1] + span
