"""However much happens, a person gets few messages, and nothing waits for ever."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from datong.governance.notifications import Choices, Pace, Rate, Waiting, due_at
from datong.governance.notifications.digests import DAY, GATHERED, HOUR, next_morning
from datong.kernel import CHINA, WorkingCalendar

CALENDAR = WorkingCalendar()
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=CHINA)
FRIDAY = datetime(2026, 11, 6, 17, 0, tzinfo=CHINA)


def due(pace: Pace, since: datetime, *, urgent: bool = False, hurried: bool = True) -> datetime | None:
    waiting = [Waiting(since=since, urgent=urgent)]
    return due_at(waiting, [], Choices(pace=pace, urgent_at_once=hurried), Rate(), CALENDAR)


def test_the_pace_decides_and_urgent_ones_go_ahead() -> None:
    assert due_at([], [], Choices(), Rate(), CALENDAR) is None
    assert due(Pace.AT_ONCE, MONDAY) == MONDAY + GATHERED
    assert due(Pace.HOURLY, MONDAY) == MONDAY + HOUR
    assert due(Pace.WORKING_DAY, FRIDAY) == datetime(2026, 11, 9, 8, 30, tzinfo=CHINA)
    assert due(Pace.WORKING_DAY, FRIDAY, urgent=True) == FRIDAY + GATHERED
    assert due(Pace.WORKING_DAY, FRIDAY, urgent=True, hurried=False) == datetime(2026, 11, 9, 8, 30, tzinfo=CHINA)
    assert next_morning(datetime(2026, 11, 9, 8, 30, tzinfo=CHINA), CALENDAR).day == 9


@given(
    minutes=st.lists(st.tuples(st.integers(0, 3 * 24 * 60), st.booleans()), min_size=1, max_size=120),
    pace=st.sampled_from(Pace),
    hourly=st.integers(1, 4),
    daily=st.integers(1, 8),
)
def test_never_a_flood_and_nobody_waits_for_ever(
    minutes: list[tuple[int, bool]], pace: Pace, hourly: int, daily: int
) -> None:
    """Events at any moments over three days, delivered by the rule: at most so many messages an hour and a day."""
    rate, choices = Rate(hourly_max=hourly, daily_max=daily), Choices(pace=pace)
    events = sorted((MONDAY + timedelta(minutes=minute), urgent) for minute, urgent in minutes)
    sent: list[datetime] = []
    carried = 0
    waiting: list[Waiting] = []
    while events or waiting:
        moment = due_at(waiting, sent, choices, rate, CALENDAR)
        if events and (moment is None or events[0][0] <= moment):
            since, urgent = events.pop(0)
            waiting.append(Waiting(since=since, urgent=urgent))
            continue
        assert moment is not None
        assert not sent or moment > sent[-1]
        sent.append(moment)
        carried += len(waiting)
        waiting = []
    assert carried == len(minutes)
    for first in sent:
        assert sum(first <= one < first + HOUR for one in sent) <= hourly
        assert sum(first <= one < first + DAY for one in sent) <= daily
    assert sent[-1] <= MONDAY + timedelta(days=3) + timedelta(days=4)
