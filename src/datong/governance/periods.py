"""Periods of evaluation in China time: a month (2026-11), a quarter (2026-Q4) or a year (2026)."""

import re
from datetime import datetime
from typing import Self

from datong.kernel import CHINA, Invalid, Text, Value

_FORM = re.compile(r"(?P<year>20\d{2})(-(?P<month>0[1-9]|1[0-2])|-Q(?P<quarter>[1-4]))?")
_MONTHS = 12


class Period(Value):
    """The time from `since` to before `until`."""

    name: str
    since: datetime
    until: datetime

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the period called `name`.

        Raises:
            Invalid: it is none of the three forms.
        """
        match = _FORM.fullmatch(name)
        if match is None:
            raise Invalid(
                "governance.period_invalid",
                what=Text(zh=f"看不懂统计期“{name}”。", en=f"“{name}” is not a period."),
                remedy=Text(
                    zh="请写成 2026-11（月）、2026-Q4（季）或 2026（年）。",
                    en="Write 2026-11 (month), 2026-Q4 (quarter) or 2026 (year).",
                ),
                field="/period",
            )
        year = int(match["year"])
        if match["month"]:
            first, count = int(match["month"]), 1
        elif match["quarter"]:
            first, count = int(match["quarter"]) * 3 - 2, 3
        else:
            first, count = 1, _MONTHS
        return cls(name=name, since=_month(year, first), until=_month(year, first + count))

    @classmethod
    def containing(cls, moment: datetime) -> Self:
        """Return the month that holds `moment`."""
        return cls.parse(moment.astimezone(CHINA).strftime("%Y-%m"))


def _month(year: int, month: int) -> datetime:
    return datetime(year + (month - 1) // _MONTHS, (month - 1) % _MONTHS + 1, 1, tzinfo=CHINA)
