"""Response time: which calls of a month took longer than agreed. Calls are many, so each month is added up once.

A record of a call says how many milliseconds the hub, or the node that it asked, took for it (docs: `ledger`).
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from datong.governance.duties import Duty, DutyKind, Span
from datong.governance.parties import Party
from datong.governance.periods import Period
from datong.governance.service_levels import EVIDENCE_MAX, Terms, measured
from datong.kernel import EntryId, Text
from datong.ledger import EntryKind, RecordedEntry

CALLS_MIN = 20
"""A month with fewer calls says nothing about a promise for 95 of 100."""
SLOW_PER_CENT_MAX = 5
MONTHS_JUDGED = 2
"""Months over before now whose calls are looked at: findings on earlier ones stand as they were made."""
COUNTED_AFTER = timedelta(minutes=10)
"""A month is added up so long after its end: calls of its last moment are on record by then."""
KINDS = frozenset({"query", "verify"})
_READ_AT_ONCE = timedelta(days=1)
_TO_ANSWER = Text(zh="接口应在约定时间内响应", en="the interface is to answer within the agreed time")

Entries = Callable[[Collection[EntryKind], datetime, datetime], Sequence[RecordedEntry]]
"""Return the entries of some kinds from a moment to before another, oldest first."""


class MonthOfCalls(NamedTuple):
    """The answered calls of a month under one agreement: how many, how many slow and when; the first slow ones."""

    level: int
    calls: int = 0
    slow: tuple[datetime, ...] = ()
    evidence: tuple[EntryId, ...] = ()


class ResponseTimes:
    """Adds up the calls of months that are over; keeps the sums of those that are judged."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._lock = threading.Lock()
        self._months: dict[str, dict[str, MonthOfCalls]] = {}

    def of(self, month: Period, levels: Mapping[str, int]) -> Mapping[str, MonthOfCalls]:
        """Return the calls of a month by agreement; `levels` are the agreed milliseconds by agreement."""
        with self._lock:
            known = self._months.get(month.name)
            if known is None or any(known[one].level != level for one, level in levels.items() if one in known):
                self._months = dict(list(self._months.items())[-MONTHS_JUDGED:])
                known = self._months[month.name] = self._added_up(month, levels)
            return known

    def _added_up(self, month: Period, levels: Mapping[str, int]) -> dict[str, MonthOfCalls]:
        calls = dict.fromkeys(levels, 0)
        slow: dict[str, list[datetime]] = {agreement: [] for agreement in levels}
        named: dict[str, list[EntryId]] = {agreement: [] for agreement in levels}
        begin = month.since
        while begin < month.until:
            end = min(begin + _READ_AT_ONCE, month.until)
            for entry in self._entries({EntryKind.ACCESS}, begin, end):
                took = entry.facts.get("milliseconds")
                if took is None or entry.facts["kind"] not in KINDS:
                    continue
                for agreement in entry.facts["agreement_ids"]:
                    if agreement not in levels:
                        continue
                    calls[agreement] += 1
                    if took > levels[agreement]:
                        slow[agreement].append(entry.at)
                        if len(named[agreement]) < EVIDENCE_MAX:
                            named[agreement].append(entry.entry_id)
            begin = end
        return {
            one: MonthOfCalls(level, calls[one], tuple(slow[one]), tuple(named[one])) for one, level in levels.items()
        }


def months_to_judge(until: datetime) -> list[Period]:
    """Return the months that were over before `until` and are judged then, oldest first."""
    month = Period.containing(until - COUNTED_AFTER)
    found: list[Period] = []
    for _ in range(MONTHS_JUDGED):
        month = Period.containing(month.since - timedelta(days=1))
        found.append(month)
    return found[::-1]


def response_duties(
    terms: Terms, month: Period, calls: MonthOfCalls, *, live: Sequence[tuple[datetime, datetime]]
) -> list[Duty]:
    """Return the duty of a month in which more than 5 of 100 calls took longer than agreed: one, or none.

    Slow answers of the provider's node (`live`: from when to when it answers) are the provider's, others the
    platform's.
    """
    slow = len(calls.slow)
    if calls.calls < CALLS_MIN or slow * 100 <= calls.calls * SLOW_PER_CENT_MAX:
        return []
    by_node = sum(any(since <= at < until for since, until in live) for at in calls.slow)
    since = max(terms.since, month.since)
    return [
        measured(
            DutyKind.RESPONSE,
            terms,
            subject=f"{terms.agreement}/{month.name}",
            at=month.until,
            span=Span(party=Party.PROVIDER, since=since, entry_id=terms.entry_id, why=_TO_ANSWER),
            evidence=[terms.entry_id, *calls.evidence],
            faults=slow,
            amount=calls.calls,
            weights={Party.PROVIDER: by_node, Party.PLATFORM: slow - by_node},
        )
    ]
