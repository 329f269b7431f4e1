"""What is out of the ordinary in a series: alarms that say what was seen, what was to be expected, and by how much.

Robust statistics throughout: a day is compared with the median of days of its kind (working days, other days), in
units of their spread (1.4826 × median absolute deviation, with a floor so that what never varied is not alarming by
itself). Counts are compared as square roots, volumes as logarithms, where their spread is even. Slow drifts, which a
moving median follows, are found by a CUSUM against an older stretch of the series. Nothing here does I/O.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from datong.governance.tallies import HOURS, Tally
from datong.kernel import Text, Value

HISTORY_DAYS = 120
"""How far back a day is compared; an older past is forgotten."""
HISTORY_MIN = 12
"""A series with fewer days of the same kind has no ordinary yet."""
SCORE_MIN = 5.0
"""Spreads from the median at which a day is alarming; for Gaussian days one in three million."""
VOLUME_SPREAD_MIN = 0.08
VOLUME_RATIO_MIN = 1.4
REJECTED_SPREAD_MIN = 0.01
REJECTED_ROWS_MIN = 10
CALLS_RATIO_MIN = 1.8
RARE_HOUR_SHARE = 0.005
UNUSUAL_CALLS_MIN = 10
NEWCOMER_CALLS_MIN = 25
KNOWN_DAYS_MIN = 20
MISSED_CALLS_MIN = 20
MISS_SHARE_MIN = 0.02
MISS_EXCESS_MIN = 0.2
BREADTH_MORE_MIN = 4
BREADTH_SCORE_MIN = 4.0
DRIFT_BASELINE, DRIFT_RECENT = 25, 25
DRIFT_SLACK, DRIFT_LIMIT = 1.0, 12.0
DRIFT_QUIET_DAYS = 45
"""A drift that was told is not told again for so long."""
Floats = npt.NDArray[np.float64]


class AlarmKind(StrEnum):
    """What of a series is out of the ordinary."""

    VOLUME = "volume"
    REJECTS = "rejects"
    DRIFT = "drift"
    CALLS = "calls"
    HOURS = "hours"
    NEWCOMER = "newcomer"
    BREADTH = "breadth"
    MISSES = "misses"


ALARM_NAMES: Mapping[AlarmKind, Text] = {
    AlarmKind.VOLUME: Text(zh="数据量异常", en="Unusual volume"),
    AlarmKind.REJECTS: Text(zh="拒收突增", en="Many rows rejected"),
    AlarmKind.DRIFT: Text(zh="数据量漂移", en="Volume drifts"),
    AlarmKind.CALLS: Text(zh="调用激增", en="Unusually many calls"),
    AlarmKind.HOURS: Text(zh="非常用时段调用", en="Calls at unusual hours"),
    AlarmKind.NEWCOMER: Text(zh="新调用方大量调用", en="Newcomer calls a lot"),
    AlarmKind.BREADTH: Text(zh="查询面过宽", en="Unusually broad queries"),
    AlarmKind.MISSES: Text(zh="疑似枚举查询", en="Looks like enumeration"),
}

_SAID: Mapping[AlarmKind, Text] = {
    AlarmKind.VOLUME: Text(
        zh="当日每次传输 {observed} 行，同类日中位数 {expected} 行，偏离 {score} 个离散单位。",
        en="A run sent {observed} rows; the median of such days is {expected}: {score} spreads away.",
    ),
    AlarmKind.REJECTS: Text(
        zh="当日每千行拒收 {observed} 行，以往中位数 {expected} 行，偏离 {score} 个离散单位。",
        en="{observed} rows in a thousand were rejected; the median is {expected}: {score} spreads away.",
    ),
    AlarmKind.DRIFT: Text(
        zh="近期中位数 {observed} 行，此前 {expected} 行，累积和 {score}（界限 12）。",
        en="The recent median is {observed} rows, before it {expected}: the cumulative sum is {score} (limit 12).",
    ),
    AlarmKind.CALLS: Text(
        zh="当日调用 {observed} 次，同类日中位数 {expected} 次，偏离 {score} 个离散单位。",
        en="{observed} calls; the median of such days is {expected}: {score} spreads away.",
    ),
    AlarmKind.HOURS: Text(
        zh="当日有 {observed} 次调用在平时几乎没有调用的时段，按以往应有 {expected} 次。",
        en="{observed} calls were made in hours in which there are hardly any; {expected} were to be expected.",
    ),
    AlarmKind.NEWCOMER: Text(
        zh="此前从未出现的调用方首日调用 {observed} 次，该资源每日调用中位数 {expected} 次。",
        en="A caller never seen before made {observed} calls on its first day; all others' median is {expected} a day.",
    ),
    AlarmKind.BREADTH: Text(
        zh="当日查询 {observed} 个资源，同类日中位数 {expected} 个，偏离 {score} 个离散单位。",
        en="{observed} resources were asked about; the median of such days is {expected}: {score} spreads away.",
    ),
    AlarmKind.MISSES: Text(
        zh="当日有 {observed} 次查询无此人，按以往应有 {expected} 次，偏离 {score} 个离散单位。",
        en="{observed} queries met nobody; {expected} were to be expected: {score} spreads away.",
    ),
}


class Alarm(Value):
    """Something out of the ordinary: what was seen and expected, in the kind's own unit, and the score in tenths."""

    kind: AlarmKind
    tally: Tally
    observed: int
    expected: int
    score_tenths: int

    @property
    def said(self) -> Text:
        """What was found, in words, with its figures."""
        figures = {"observed": self.observed, "expected": self.expected, "score": f"{self.score_tenths / 10:g}"}
        said = _SAID[self.kind]
        return Text(zh=said.zh.format(**figures), en=said.en.format(**figures))


IsWorkingDay = Callable[[date], bool]


def alarms_of(
    today: Tally, before: Sequence[Tally], *, works: IsWorkingDay, others: Sequence[int] = (), known: bool = True
) -> list[Alarm]:
    """Return the alarms of a series on a day; `before` are its earlier days, in order, at most `HISTORY_DAYS` back.

    Of a line `others` are the calls by day of everybody about the resource, and `known` says whether its caller was
    ever seen before the day.
    """
    if today.series.startswith("task:"):
        found = [_volume(today, before, works), _rejects(today, before), _drift(today, before)]
    elif today.series.startswith("line:"):
        found = [_calls(today, before, works), _hours(today, before), _misses(today, before)]
        found.append(None if known else _newcomer(today, others))
    else:
        found = [_breadth(today, before, works)]
    return [alarm for alarm in found if alarm is not None]


def robust(values: Floats, spread_min: float) -> tuple[float, float]:
    """Return the median and the spread (1.4826 × median absolute deviation, at least `spread_min`)."""
    median = float(np.median(values))
    return median, max(1.4826 * float(np.median(np.abs(values - median))), spread_min)


def _volume(today: Tally, before: Sequence[Tally], works: IsWorkingDay) -> Alarm | None:
    kind = works(today.day)
    past = np.log1p([tally.volume for tally in before if tally.rows and works(tally.day) == kind])
    if len(past) < HISTORY_MIN or not today.rows:
        return None
    median, spread = robust(past, VOLUME_SPREAD_MIN)
    away = float(np.log1p(today.volume)) - median
    if abs(away) / spread < SCORE_MIN or abs(away) < np.log(VOLUME_RATIO_MIN):
        return None
    return _alarm(AlarmKind.VOLUME, today, today.volume, np.expm1(median), abs(away) / spread)


def _rejects(today: Tally, before: Sequence[Tally]) -> Alarm | None:
    past = np.array([_share(tally.rejected, tally.applied + tally.rejected) for tally in before])
    share = _share(today.rejected, today.applied + today.rejected)
    if len(past) < HISTORY_MIN or today.rejected < REJECTED_ROWS_MIN:
        return None
    median, spread = robust(past, REJECTED_SPREAD_MIN)
    if (share - median) / spread < SCORE_MIN:
        return None
    return _alarm(AlarmKind.REJECTS, today, 1000 * share, 1000 * median, (share - median) / spread)


def _drift(today: Tally, before: Sequence[Tally]) -> Alarm | None:
    """Return the alarm of the day on which a CUSUM over the recent days first passes its limit."""
    volumes = np.log1p([tally.volume for tally in [*before, today] if tally.rows])
    if len(volumes) < DRIFT_BASELINE + DRIFT_RECENT or not today.rows:
        return None
    window = volumes[-DRIFT_BASELINE - DRIFT_RECENT :]
    median, spread = robust(window[:DRIFT_BASELINE], VOLUME_SPREAD_MIN)
    # A single odd day counts for no more than four spreads: it is the volume's alarm.
    away = np.clip((window[DRIFT_BASELINE:] - median) / spread, -4, 4)
    up = down = highest = 0.0
    for score in away:
        highest = max(up, down)
        up, down = max(0.0, up + score - DRIFT_SLACK), max(0.0, down - score - DRIFT_SLACK)
    if max(up, down) <= DRIFT_LIMIT or highest > DRIFT_LIMIT:
        return None
    recent = np.expm1(float(np.median(window[-HISTORY_MIN:])))
    return _alarm(AlarmKind.DRIFT, today, recent, np.expm1(median), max(up, down))


def _calls(today: Tally, before: Sequence[Tally], works: IsWorkingDay) -> Alarm | None:
    past = _by_day(today, before, works, lambda tally: tally.calls)
    return _counted(AlarmKind.CALLS, today, today.calls, past, at_least=lambda usual: usual * CALLS_RATIO_MIN)


def _breadth(today: Tally, before: Sequence[Tally], works: IsWorkingDay) -> Alarm | None:
    past = _by_day(today, before, works, lambda tally: tally.resources)
    return _counted(AlarmKind.BREADTH, today, today.resources, past, at_least=lambda usual: usual + BREADTH_MORE_MIN)


def _counted(
    kind: AlarmKind, today: Tally, seen: int, past: Floats, *, at_least: Callable[[float], float]
) -> Alarm | None:
    """Compare a count with the counts of earlier days; twice a Poisson count's root has a spread of one."""
    if len(past) < HISTORY_MIN:
        return None
    floor = 1.0 if kind is AlarmKind.CALLS else 0.25
    median, spread = robust(2 * np.sqrt(past), floor)
    score = (2 * seen**0.5 - median) / spread
    usual = (median / 2) ** 2
    enough = SCORE_MIN if kind is AlarmKind.CALLS else BREADTH_SCORE_MIN
    if score < enough or seen < at_least(usual) or seen < UNUSUAL_CALLS_MIN * (kind is AlarmKind.CALLS):
        return None
    return _alarm(kind, today, seen, usual, score)


def _hours(today: Tally, before: Sequence[Tally]) -> Alarm | None:
    past = np.sum([tally.hours for tally in before if tally.hours] or [(0,) * HOURS], axis=0)
    total = int(past.sum())
    if total < UNUSUAL_CALLS_MIN / RARE_HOUR_SHARE / 10 or len(before) < HISTORY_MIN:
        return None
    rare = past < total * RARE_HOUR_SHARE
    unusual = int(np.array(today.hours)[rare].sum())
    expected = float(past[rare].sum()) / total * today.calls
    if unusual < UNUSUAL_CALLS_MIN or unusual < 3 * expected:
        return None
    return _alarm(AlarmKind.HOURS, today, unusual, expected, (unusual - expected) / max(expected, 1.0) ** 0.5)


def _misses(today: Tally, before: Sequence[Tally]) -> Alarm | None:
    calls = sum(tally.calls for tally in before)
    if today.calls < MISSED_CALLS_MIN or len(before) < HISTORY_MIN:
        return None
    share = max(MISS_SHARE_MIN, _share(sum(tally.misses for tally in before), calls))
    expected = today.calls * share
    score = (today.misses - expected) / max(expected * (1 - share), 1.0) ** 0.5
    if score < SCORE_MIN or today.misses < expected + MISS_EXCESS_MIN * today.calls:
        return None
    return _alarm(AlarmKind.MISSES, today, today.misses, expected, score)


def _newcomer(today: Tally, others: Sequence[int]) -> Alarm | None:
    if len(others) < KNOWN_DAYS_MIN or today.calls < NEWCOMER_CALLS_MIN:
        return None
    usual = float(np.median(others))
    return _alarm(AlarmKind.NEWCOMER, today, today.calls, usual, today.calls / max(usual, 1.0))


def _by_day(today: Tally, before: Sequence[Tally], works: IsWorkingDay, count: Callable[[Tally], int]) -> Floats:
    """Return the counts of the earlier days of today's kind, 0 for those without any evidence."""
    if not before:
        return np.array([])
    counts = {tally.day: count(tally) for tally in before}
    kind, day, found = works(today.day), before[0].day, []
    while day < today.day:
        if works(day) == kind:
            found.append(counts.get(day, 0))
        day += timedelta(days=1)
    return np.array(found, dtype=np.float64)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _alarm(kind: AlarmKind, tally: Tally, observed: float, expected: float, score: float) -> Alarm:
    return Alarm(
        kind=kind,
        tally=tally,
        observed=round(observed),
        expected=round(expected),
        score_tenths=round(min(score, 1000.0) * 10),
    )
