"""Cron expressions of five fields (minute, hour, day of month, month, day of week), read in China time.

`cronsim` evaluates them as Debian's cron does: when both days are restricted, either makes a day due.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from datong.kernel import CHINA, Invalid, Text

_FIELD = re.compile(r"[0-9A-Za-z*/,#-]{1,80}")
_FIELDS = 5
NUMBER_DIGITS_MAX = 4


def due_times(expression: str, after: datetime) -> Iterator[datetime]:
    """Return the moments (UTC) after `after` at which `expression` is due, without end.

    Raises:
        Invalid: `exchange.cron_invalid`: it is no cron expression. `exchange.cron_never`: it is never due.
    """
    fields = expression.split()
    too_long = re.search(rf"\d{{{NUMBER_DIGITS_MAX + 1}}}", expression) is not None
    if len(fields) != _FIELDS or too_long or not all(_FIELD.fullmatch(field) for field in fields):
        raise _invalid(expression)
    try:
        moments = CronSim(" ".join(fields), after.astimezone(CHINA))
    except (CronSimError, ValueError) as error:
        raise _invalid(expression) from error
    first = next(moments, None)
    if first is None:
        raise Invalid(
            "exchange.cron_never",
            what=Text(
                zh=f"“{expression}”在五十年内从不到期。", en=f"“{expression}” is not due within the next fifty years."
            ),
            remedy=Text(zh="请核对日与月，例如 2 月没有 30 日。", en="Check day and month: February has no 30th."),
            field="/schedule/cron",
        )
    return _rest(first, moments)


def _rest(first: datetime, moments: Iterator[datetime]) -> Iterator[datetime]:
    yield first.astimezone(UTC)
    for moment in moments:
        yield moment.astimezone(UTC)


def _invalid(expression: str) -> Invalid:
    return Invalid(
        "exchange.cron_invalid",
        what=Text(
            zh=f"“{expression[:80]}”不是能到期的 cron 表达式。",
            en=f"“{expression[:80]}” is no cron expression that is ever due.",
        ),
        remedy=Text(
            zh="请写五个字段：分 时 日 月 周，如每天 2 点为“0 2 * * *”，时区为北京时间。",
            en='Write five fields: minute, hour, day, month, weekday, such as "0 2 * * *" for 2 o\'clock every day, '
            "in China time.",
        ),
        field="/schedule/cron",
    )
