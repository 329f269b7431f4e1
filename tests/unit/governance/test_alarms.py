"""What is out of the ordinary is told with figures, once, and what is ordinary is not."""

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.governance import ALARM_NAMES, Alarm, AlarmKind, Tally
from datong.governance.alarms import HISTORY_MIN, alarms_of
from datong.governance.tallies import tallied
from datong.kernel import WorkingCalendar
from datong.ledger import EntryKind
from tests.unit.governance.samples import EDUCATION, MONDAY, POLICE, entry

CALENDAR = WorkingCalendar()
FIRST = date(2025, 9, 1)


def days(count: int, **figures: object) -> list[Tally]:
    """Return the tallies of so many working days; a figure may be a function of the day's number."""
    found: list[Tally] = []
    day = FIRST
    while len(found) < count:
        if CALENDAR.is_working_day(day):
            said = {name: value(len(found)) if callable(value) else value for name, value in figures.items()}
            found.append(Tally.model_validate({"series": "task:t", **said, "day": day}))
        day += timedelta(days=1)
    return found


def kinds(series: list[Tally], **given_: object) -> list[AlarmKind]:
    return [alarm.kind for alarm in alarms(series, **given_)]


def alarms(series: list[Tally], **given_: object) -> list[Alarm]:
    return alarms_of(series[-1], series[:-1], works=CALENDAR.is_working_day, **given_)  # type: ignore[arg-type]


def office(calls: int) -> tuple[int, ...]:
    return tuple(calls // 10 if 8 <= hour < 18 else 0 for hour in range(24))


def test_a_volume_far_from_its_median_is_told_with_both_figures() -> None:
    dice = Random(1)
    series = days(31, rows=lambda _number: round(1000 * dice.uniform(0.9, 1.1)), runs=1)
    assert kinds(series) == []
    series[-1] = series[-1].model_copy(update={"rows": 300})
    (alarm,) = alarms(series)
    assert (alarm.kind, alarm.observed) == (AlarmKind.VOLUME, 300)
    assert 950 < alarm.expected < 1050
    assert "300" in alarm.said.zh
    assert "300" in alarm.said.en
    series[-1] = series[-1].model_copy(update={"rows": 2000, "runs": 2})
    assert kinds(series) == []


def test_many_rejected_rows_are_told_and_a_careless_source_is_known() -> None:
    series = days(31, applied=950, rejected=lambda number: 200 if number == 30 else 5)
    assert kinds(series) == [AlarmKind.REJECTS]
    careless = days(31, applied=900, rejected=lambda number: 100 + number % 7)
    assert kinds(careless) == []


def test_a_slow_drift_is_told_once() -> None:
    series = days(90, rows=lambda number: round(10_000 * 0.98 ** max(0, number - 40)), runs=1)
    told = [number for number in range(20, 90) if AlarmKind.DRIFT in kinds(series[: number + 1])]
    assert len(told) >= 1
    assert 42 < told[0] < 65
    assert [b - a for a, b in zip(told, told[1:], strict=False) if b - a == 1] == []


def test_calls_hours_misses_and_newcomers() -> None:
    usual = days(40, series="line:a|r", calls=20, misses=1, hours=office(20))
    today = usual[-1]
    burst = today.model_copy(update={"calls": 90, "hours": office(90)})
    assert kinds([*usual[:-1], burst]) == [AlarmKind.CALLS]
    night = today.model_copy(update={"calls": 35, "hours": (15, *office(20)[1:])})
    assert kinds([*usual[:-1], night]) == [AlarmKind.HOURS]
    guesses = today.model_copy(update={"calls": 30, "misses": 25, "hours": office(30)})
    assert kinds([*usual[:-1], guesses]) == [AlarmKind.MISSES]
    newcomer = today.model_copy(update={"calls": 60})
    assert kinds([newcomer], others=[20] * 40, known=False) == [AlarmKind.NEWCOMER]
    assert kinds([newcomer], others=[20] * 40, known=True) == []
    assert kinds([newcomer], others=[20] * 5, known=False) == []


def test_broad_queries() -> None:
    usual = days(40, series="caller:a", calls=20, resources=2)
    assert kinds(usual) == []
    assert kinds([*usual[:-1], usual[-1].model_copy(update={"resources": 12})]) == [AlarmKind.BREADTH]


@pytest.mark.parametrize("kind", AlarmKind)
def test_every_alarm_explains_itself_in_both_languages(kind: AlarmKind) -> None:
    alarm = Alarm(kind=kind, tally=days(1)[0], observed=1234, expected=77, score_tenths=61)
    assert "{" not in alarm.said.zh + alarm.said.en
    assert "1234" in alarm.said.zh
    assert "1234" in alarm.said.en
    assert ALARM_NAMES[kind].en


@given(st.lists(st.integers(0, 10_000), max_size=60), st.integers(0, 10_000))
def test_no_alarm_without_a_history_and_never_twice_of_a_kind(history: list[int], seen: int) -> None:
    for series, figure in (("task:t", "rows"), ("line:a|r", "calls"), ("caller:a", "resources")):
        tallies = [one.model_copy(update={"series": series}) for one in days(len(history) + 1)]
        numbers = [*history, seen]
        tallies = [
            one.model_copy(update={figure: number, "runs": 1}) for one, number in zip(tallies, numbers, strict=True)
        ]
        found = kinds(tallies)
        assert len(found) == len(set(found))
        if len(history) < HISTORY_MIN:
            assert found == []


def test_a_days_entries_add_up_by_series() -> None:
    sides: dict[str, object] = {"provider": POLICE, "consumer": EDUCATION}
    batch = entry(EntryKind.BATCH, "t", MONDAY, {**sides, "resource": "r", "rows": 40, "last": True})
    receipt = entry(EntryKind.RECEIPT, "t", MONDAY, {**sides, "resource": "r", "rows_applied": 38, "rows_rejected": 2})
    calls = [
        entry(EntryKind.ACCESS, f"a{n}", MONDAY, {**sides, "resource_id": "r" if n else "s", "rows": n % 2})
        for n in range(4)
    ]
    found = {tally.series: tally for tally in tallied(MONDAY.date(), [batch, receipt, *calls])}
    task = found["task:t"]
    assert (task.rows, task.applied, task.rejected, task.resource_id) == (40, 38, 2, "r")
    line = found["line:somebody|r"]
    assert (line.calls, line.misses, line.hours[9], line.provider) == (3, 1, 3, POLICE)
    assert (found["caller:somebody"].resources, found["caller:somebody"].provider) == (2, None)
