"""When tasks run: cron in China time against a plain reading of the five fields, windows, misfires, retries."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import Days, Misfire, Retry, Schedule, Window
from datong.exchange.cron import due_times
from datong.exchange.scheduling import check_schedule, due_now, next_due, preview, urgency
from datong.kernel import CHINA, DatongError, Invalid, WorkingCalendar

CALENDAR = WorkingCalendar()
MONDAY = datetime(2026, 11, 23, 12, 0, 30, tzinfo=CHINA)
MOMENTS = st.integers(0, 10 * 365 * 24 * 3600).map(
    lambda second: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)


@st.composite
def numbers(draw: st.DrawFn, low: int, high: int) -> tuple[str, set[int]]:
    """A cron field and the numbers that it means."""
    kind = draw(st.sampled_from(["*", "step", "list", "range"]))
    if kind == "*":
        return "*", set(range(low, high + 1))
    if kind == "step":
        step = draw(st.integers(1, high - low + 1))
        return f"*/{step}", set(range(low, high + 1, step))
    if kind == "list":
        chosen = draw(st.sets(st.integers(low, high), min_size=1, max_size=4))
        return ",".join(map(str, sorted(chosen))), chosen
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    return f"{first}-{last}", set(range(first, last + 1))


@given(numbers(0, 59), numbers(0, 23), numbers(1, 31), numbers(1, 12), numbers(0, 6), MOMENTS)
def test_due_times_are_those_of_a_plain_reading_in_china_time(
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    day: tuple[str, set[int]],
    month: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    after: datetime,
) -> None:
    expression = " ".join(field for field, _ in (minute, hour, day, month, weekday))

    def is_due(moment: datetime) -> bool:
        of_month, of_week = moment.day in day[1], moment.isoweekday() % 7 in weekday[1]
        starred = day[0].startswith("*") or weekday[0].startswith("*")
        days = of_month and of_week if starred else of_month or of_week
        return moment.minute in minute[1] and moment.hour in hour[1] and moment.month in month[1] and days

    try:
        found = list(islice(due_times(expression, after), 3))
    except Invalid:
        longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
        assert all(min(day[1]) > longest.get(one, 31) for one in month[1])
        return
    assert found == sorted(set(found))
    assert all(moment > after and is_due(moment.astimezone(CHINA)) for moment in found)
    start = after.astimezone(CHINA).replace(second=0, microsecond=0)
    between = (start + timedelta(minutes=n) for n in range(1, 60 * 24))
    first = next((moment for moment in between if is_due(moment)), None)
    assert first is None or found[0] == first


@given(st.one_of(st.text(max_size=60), st.text(alphabet="0123456789*/,-#LW? JANMON@", max_size=40)))
def test_any_text_is_due_or_an_error_in_words(expression: str) -> None:
    refused = ""
    found: list[datetime] = []
    try:
        found = list(islice(due_times(expression, MONDAY), 2))
    except DatongError as error:
        refused = f"{error.code} {error.field}"
    assert refused in {"", "exchange.cron_invalid /schedule/cron", "exchange.cron_never /schedule/cron"}
    assert all(moment > MONDAY for moment in found)
    assert bool(found) == (not refused)


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "60 * * * *", "* 24 * * *", "a b c d e", "²  * * * *", "@daily", "0 0 30 2 *"]
)
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    with pytest.raises(Invalid, match="cron_invalid"):
        due_times(expression, MONDAY)


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(Invalid, match="cron_never"):
        check_schedule(Schedule(cron="* * */20 * 1L"), None, MONDAY, CALENDAR)
    with pytest.raises(Invalid, match="schedule_empty"):
        check_schedule(Schedule(), None, MONDAY, CALENDAR)


def test_the_preview_shows_the_next_times() -> None:
    shown = preview(Schedule(cron="0 2 * * *"), MONDAY, 3)
    assert [moment.astimezone(CHINA).isoformat() for moment in shown] == [
        f"2026-11-{day}T02:00:00+08:00" for day in (24, 25, 26)
    ]
    assert next_due(None, MONDAY) is None
    assert next_due(Schedule(on_change_seconds=5), MONDAY) is None


def test_many_missed_due_times_are_served_by_one_run_in_the_name_of_the_newest() -> None:
    schedule = Schedule(cron="0 * * * *")
    due_at = datetime(2026, 11, 23, 13, tzinfo=CHINA)
    due = due_now(schedule, due_at, due_at + timedelta(hours=5, minutes=10))
    assert due.at == due_at + timedelta(hours=5)
    assert due.missed == 5
    assert due.next_at == due_at + timedelta(hours=6)
    early = due_now(schedule, due_at, due_at - timedelta(seconds=1))
    assert (early.at, early.next_at) == (None, due_at)


def test_the_skip_rule_serves_only_within_its_grace() -> None:
    schedule = Schedule(cron="0 2 * * *", misfire=Misfire.SKIP, grace_seconds=600)
    due_at = datetime(2026, 11, 24, 2, tzinfo=CHINA)
    assert due_now(schedule, due_at, due_at + timedelta(minutes=9)).at == due_at
    late = due_now(schedule, due_at, due_at + timedelta(minutes=11))
    assert (late.at, late.missed, late.next_at) == (None, 1, due_at + timedelta(days=1))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = Window(start="22:00", end="06:00", days=Days.WORKING)
    friday = datetime(2026, 11, 27, 23, tzinfo=CHINA)
    assert window.opens_at(friday, CALENDAR) == friday
    saturday = datetime(2026, 11, 28, 5, 59, tzinfo=CHINA)
    assert window.opens_at(saturday, CALENDAR) == saturday
    assert window.closes_at(saturday, CALENDAR) == datetime(2026, 11, 28, 6, tzinfo=CHINA)
    later = window.opens_at(saturday + timedelta(minutes=1), CALENDAR)
    assert later == datetime(2026, 11, 30, 22, tzinfo=CHINA)


def test_windows_follow_the_statutory_calendar() -> None:
    # 1 October 2026 begins a holiday of several days; the national norm pack or a file may say otherwise.
    calendar = WorkingCalendar({date(2026, 10, day): False for day in range(1, 8)} | {date(2026, 10, 10): True})
    window = Window(start="01:00", end="05:00", days=Days.WORKING)
    eve = datetime(2026, 9, 30, 6, tzinfo=CHINA)
    assert window.opens_at(eve, calendar) == datetime(2026, 10, 8, 1, tzinfo=CHINA)
    free = window.model_copy(update={"days": Days.FREE})
    assert free.opens_at(eve, calendar) == datetime(2026, 10, 1, 1, tzinfo=CHINA)


def test_openings_that_join_are_one_and_a_whole_day_never_closes() -> None:
    now = MONDAY
    assert Window().closes_at(now, CALENDAR) is None
    working = Window(days=Days.WORKING)
    assert working.closes_at(now, CALENDAR) == datetime(2026, 11, 28, tzinfo=CHINA)


@given(st.integers(0, 24 * 60 - 1), st.integers(0, 24 * 60 - 1), st.sampled_from(list(Days)), MOMENTS)
def test_a_window_is_open_exactly_between_opening_and_closing(start: int, end: int, days: Days, now: datetime) -> None:
    window = Window(start=f"{start // 60:02d}:{start % 60:02d}", end=f"{end // 60:02d}:{end % 60:02d}", days=days)
    opens = window.opens_at(now, CALENDAR)
    assert opens is not None
    assert opens >= now
    local = opens.astimezone(CHINA)
    length = timedelta(minutes=(end - start) % (24 * 60) or 24 * 60)
    inside = any(
        opening <= opens < opening + length and days.contain(opening.date(), CALENDAR)
        for back in (0, 1)
        for opening in [
            datetime(local.year, local.month, local.day, start // 60, start % 60, tzinfo=CHINA) - timedelta(days=back)
        ]
    )
    assert inside
    closes = window.closes_at(opens, CALENDAR)
    assert closes is None or closes > opens
    assert closes is None or window.opens_at(closes, CALENDAR) != closes


@given(st.integers(1, 200), st.floats(0, 0.999), st.integers(1, 3600), st.integers(1, 86_400))
def test_delays_are_bounded_and_never_shrink(failures: int, chance: float, first: int, most: int) -> None:
    retry = Retry(delay_seconds=first, delay_seconds_max=most)
    longest = max(first, most)
    assert 0.75 * min(first, longest) <= retry.delay(failures, chance) <= longest
    assert retry.delay(failures, 0) <= retry.delay(failures + 1, 0)


def test_what_only_a_person_can_mend_is_tried_once_more() -> None:
    retry = Retry(attempts_max=5)
    assert [retry.gives_up(n, transient=True) for n in (1, 4, 5)] == [False, False, True]
    assert [retry.gives_up(n, transient=False) for n in (1, 2)] == [False, True]
    assert Retry(attempts_max=1).gives_up(1, transient=False)


def test_nobody_starves() -> None:
    waited = 300.0 * 9
    assert urgency(0, waited) >= urgency(9, 0)
