from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import CHINA, WorkingCalendar

DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2035, 12, 31))


def test_national_day_holiday_and_its_make_up_day() -> None:
    calendar = WorkingCalendar()
    assert not calendar.is_working_day(date(2026, 10, 1))
    assert calendar.is_working_day(date(2026, 9, 20)), "a Sunday worked to make up for the holiday"
    assert calendar.add_working_days(date(2026, 9, 30), 1) == date(2026, 10, 8)


def test_override_wins_over_the_statutory_calendar() -> None:
    calendar = WorkingCalendar({date(2026, 11, 24): False})
    assert not calendar.is_working_day(date(2026, 11, 24))
    assert WorkingCalendar().is_working_day(date(2026, 11, 24))


def test_a_year_without_a_notice_is_provisional_and_counts_weekdays() -> None:
    calendar = WorkingCalendar()
    assert calendar.is_provisional(date(2033, 3, 1))
    assert not calendar.is_provisional(date(2026, 3, 1))
    assert not calendar.is_working_day(date(2033, 3, 5))
    assert not WorkingCalendar({date(2033, 3, 1): True}).is_provisional(date(2033, 3, 1))


def test_a_deadline_ends_at_midnight_in_china() -> None:
    received = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # 23:00 on the 24th in China
    deadline = WorkingCalendar().deadline(received, 1)
    assert deadline == datetime(2026, 11, 26, 0, 0, tzinfo=CHINA)
    assert WorkingCalendar().working_days_left(received, deadline) == 1
    assert WorkingCalendar().working_days_left(deadline + timedelta(days=1), deadline) < 0


def test_negative_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        WorkingCalendar().add_working_days(date(2026, 1, 1), -1)


@given(start=DAYS, days=st.integers(min_value=0, max_value=40))
def test_counting_back_gives_what_was_added(start: date, days: int) -> None:
    calendar = WorkingCalendar()
    end = calendar.add_working_days(start, days)
    assert calendar.working_days_between(start, end) == days
    assert days == 0 or calendar.is_working_day(end)


@given(start=DAYS, end=DAYS)
def test_working_days_between_is_antisymmetric(start: date, end: date) -> None:
    calendar = WorkingCalendar()
    assert calendar.working_days_between(start, end) == -calendar.working_days_between(end, start)
