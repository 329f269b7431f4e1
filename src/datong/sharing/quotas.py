"""How many calls a caller may make: per minute and per day, as its agreements say and as the hub sets for everybody.

A window is fixed: the minute of the clock, the day in China. `quota_counts` counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from datong.kernel import CHINA, Overloaded, Text, Value

CALLS_PER_MINUTE_MAX = 1_000_000
CALLS_PER_DAY_MAX = 1_000_000_000
DAY_SECONDS = 86_400
MINUTE_SECONDS = 60


class QuotaWindow(StrEnum):
    """The time over which calls are counted."""

    MINUTE = "minute"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """How long it lasts."""
        return MINUTE_SECONDS if self is QuotaWindow.MINUTE else DAY_SECONDS


class CallQuota(Value):
    """How many calls are allowed; None: as many as the hub can answer."""

    per_minute: int | None = Field(None, ge=1, le=CALLS_PER_MINUTE_MAX)
    per_day: int | None = Field(None, ge=1, le=CALLS_PER_DAY_MAX)

    def limits(self) -> Iterable[tuple[QuotaWindow, int]]:
        """Yield the windows that have a limit."""
        if self.per_minute is not None:
            yield QuotaWindow.MINUTE, self.per_minute
        if self.per_day is not None:
            yield QuotaWindow.DAY, self.per_day


class Allowance(NamedTuple):
    """One limit that a call counts against: whose (an application, an agreement), which window, and how many."""

    holder: str
    window: QuotaWindow
    started_at: datetime
    limit: int

    @property
    def counter(self) -> tuple[str, str, int]:
        """What is counted together."""
        return self.holder, self.window.value, int(self.started_at.timestamp())


class QuotaState(NamedTuple):
    """Where a caller stands after a call, for the limit that it is nearest to."""

    limit: int
    remaining: int
    window_seconds: int
    reset_seconds: int


class Counted(NamedTuple):
    """What became of one call: whether it passes, and where its caller stands; None: nothing is limited."""

    passes: bool
    state: QuotaState | None


NOT_COUNTED = Counted(True, None)


def allowances(holder: str, quota: CallQuota | None, at: datetime) -> tuple[Allowance, ...]:
    """Return what a call at `at` counts against under the quota of `holder`."""
    if quota is None:
        return ()
    return tuple(Allowance(holder, window, _started(window, at), limit) for window, limit in quota.limits())


def quota_reached(state: QuotaState | None) -> Overloaded:
    """Return the error of a call that comes after its caller's last one in a window."""
    facts: Mapping[str, object] = {}
    if state is not None:
        facts = {
            "retry_after_seconds": state.reset_seconds,
            "limit": state.limit,
            "window_seconds": state.window_seconds,
        }
    return Overloaded(
        "sharing.quota_reached",
        what=Text(
            zh="调用次数已达协议或平台规定的上限，本次调用未执行。",
            en="The calls that the agreement or the platform allows are used up; nothing was done.",
        ),
        remedy=Text(
            zh="请按 Retry-After 稍后重试；长期不足的，请变更协议。",
            en="Try again after the time in Retry-After; if it is never enough, amend the agreement.",
        ),
        context=facts,
    )


def _started(window: QuotaWindow, at: datetime) -> datetime:
    local = at.astimezone(CHINA)
    if window is QuotaWindow.MINUTE:
        return local.replace(second=0, microsecond=0)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def nearest(
    call: Sequence[Allowance], standing: Mapping[Allowance, int], now: datetime, *, passes: bool
) -> QuotaState | None:
    """Return the state of the limit that ends soonest for the caller; of a call that was turned away, the last to
    open again."""
    states = [
        QuotaState(
            one.limit,
            max(0, one.limit - standing[one]),
            one.window.seconds,
            max(1, int(one.window.seconds - (now - one.started_at).total_seconds())),
        )
        for one in call
        if passes or standing[one] >= one.limit
    ]
    if not states:
        return None
    if not passes:
        return max(states, key=lambda state: state.reset_seconds)
    return min(states, key=lambda state: state.remaining / state.limit)
