"""How the alarms of the simulated year compare with what was put into it."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from benchmarks.year_city import City
from datong.governance import Alarm, AlarmKind

DRIFT_TOLD_LATE_DAYS = 14
"""A drift goes on showing for a while after its last step."""


class AlarmFigures(NamedTuple):
    """By kind: alarms raised, those that are true, what was put in, and what of it was found."""

    raised: Counter[str]
    true: Counter[str]
    injected: Counter[str]
    found: Counter[str]

    def figures(self, series_days: int) -> dict[str, float]:
        """Return precision and recall in all and by kind, and false alarms per thousand days of a series."""
        raised, true = self.raised.total(), self.true.total()
        injected, found = self.injected.total(), self.found.total()
        figures = {
            "precision": round(true / max(1, raised), 4),
            "recall": round(found / max(1, injected), 4),
            "raised": float(raised),
            "injected": float(injected),
            "false_per_1000_series_days": round(1000 * (raised - true) / max(1, series_days), 3),
        }
        for kind in AlarmKind:
            if self.raised[kind]:
                figures[f"precision_{kind}"] = round(self.true[kind] / self.raised[kind], 4)
            if self.injected[kind]:
                figures[f"recall_{kind}"] = round(self.found[kind] / self.injected[kind], 4)
        return figures


def compared_alarms(city: City, alarms: Sequence[Alarm]) -> AlarmFigures:
    """Compare alarms with the odd days of a city.

    An alarm is true if anything was put into its series on its day: 200 guesses are many calls as well. What was put in
    is found if an alarm of its own kind tells of it; a drift, if one does while it lasts.
    """
    odd: dict[tuple[str, str], set[str]] = {}
    drifts: dict[str, list[date]] = {}
    for (series, day, kind), _ in city.oddities.items():
        if kind == "drift":
            drifts.setdefault(series, []).append(date.fromisoformat(day))
        odd.setdefault((series, day), set()).add(kind)
    raised = Counter(alarm.kind.value for alarm in alarms)
    true: Counter[str] = Counter()
    told: set[tuple[str, str, str]] = set()
    for alarm in alarms:
        series = alarm.tally.series.partition(":")[2]
        caller = series.partition("|")[0]
        names = {series, f"{caller}|*"}
        if alarm.tally.series.startswith("caller:"):
            names |= {name for name, day in odd if day == str(alarm.tally.day) and name.startswith(f"{caller}|")}
        days = drifts.get(series, [])
        drifting = bool(days) and min(days) <= alarm.tally.day <= max(days) + timedelta(days=DRIFT_TOLD_LATE_DAYS)
        if drifting or any((name, str(alarm.tally.day)) in odd for name in names):
            true[alarm.kind.value] += 1
        told |= {(name, str(alarm.tally.day), alarm.kind.value) for name in names}
        if drifting and alarm.kind is AlarmKind.DRIFT:
            told.add((series, "", "drift"))
    wanted = [(series, day, kind) for series, day, kind in city.oddities if kind != "drift"]
    wanted += [(series, "", "drift") for series in drifts]
    injected = Counter(kind for _, _, kind in wanted)
    found = Counter(one[2] for one in wanted if one in told)
    return AlarmFigures(raised, true, injected, found)
