"""The working-day calendar of a hub: the statutory one, under the norm pack's days, under the holidays file's."""

from datetime import date
from pathlib import Path

import pytest

from datong.app.opening import open_calendar
from datong.kernel import Misconfigured
from datong.norms import parse_pack

A_MONDAY = date(2026, 11, 23)
A_SUNDAY = date(2026, 11, 22)
LOCAL = "calendar: {2026-11-23: false, 2026-11-22: true, 2040-01-02: false}"


def test_the_pack_overrides_the_statutory_calendar_and_the_file_overrides_the_pack(tmp_path: Path) -> None:
    pack = parse_pack(LOCAL)
    calendar = open_calendar(None, pack.calendar)
    assert not calendar.is_working_day(A_MONDAY)
    assert calendar.is_working_day(A_SUNDAY)
    assert open_calendar(None).is_working_day(A_MONDAY)
    file = tmp_path / "holidays.yaml"
    file.write_text("2026-11-23: true\n", encoding="utf-8")
    both = open_calendar(file, pack.calendar)
    assert both.is_working_day(A_MONDAY)
    assert both.is_working_day(A_SUNDAY)


def test_a_year_that_nobody_knows_is_provisional_but_for_the_days_of_the_pack() -> None:
    calendar = open_calendar(None, parse_pack(LOCAL).calendar)
    assert calendar.is_provisional(date(2040, 1, 3))
    assert calendar.is_working_day(date(2040, 1, 3))
    assert not calendar.is_provisional(date(2040, 1, 2))
    assert not calendar.is_working_day(date(2040, 1, 2))


@pytest.mark.parametrize("text", ["someday: true", "2026-11-23: maybe", "[1, 2"])
def test_a_bad_file_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "holidays.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured, match="holidays_file_invalid"):
        open_calendar(file, {})
