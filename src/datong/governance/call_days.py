"""Calls added up by day: what a table counts of them, and what guards look at, without keeping each call.

What is older than some minutes changes no more and is read once in a process, as long as its day is among the newest.
What is left out are acts behind a number beyond those that are shown beside it; the drill-down reads all of them.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import NamedTuple

from datong.governance.counting import observations_of_entry
from datong.governance.interfaces import LiveInterface, observations_of_time
from datong.governance.observations import Measure, Observation
from datong.kernel import CHINA, DepartmentCode
from datong.ledger import COMMITTED_WITHIN, EntryKind, RecordedEntry

CALLS = frozenset({EntryKind.ACCESS, EntryKind.REFUSAL})
SINGLE_MAX = 50
"""Acts of a measure and department that stay single, the newest of a day: so many are shown beside a number."""
DAYS_KEPT_MAX = 40
SEEN_MAX = 100_000
"""Observations that are in memory at once."""
_TIMED = frozenset({Measure.CALL_MILLISECONDS})
_DAY = timedelta(days=1)

Read = Callable[[datetime, datetime], Iterable[RecordedEntry]]
"""Returns the calls, answered and refused, from a moment to before another, oldest first."""


class DayOfCalls(NamedTuple):
    """What the calls of a day count for, and one call for each thing that guards tell apart."""

    observations: tuple[Observation, ...]
    calls: tuple[RecordedEntry, ...]


class CallDays:
    """Adds up calls day by day; keeps the newest days, each up to the moment before which nothing more comes."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._kept: dict[datetime, tuple[DayOfCalls, datetime]] = {}
        self._latest: tuple[datetime, datetime, DayOfCalls] | None = None

    def of(self, interfaces: Mapping[str, LiveInterface], *, since: datetime, until: datetime) -> Iterator[DayOfCalls]:
        """Yield the days from `since` to before `until`, parts of days too; `interfaces` are known up to `until`."""
        settled = until - COMMITTED_WITHIN
        begin = since
        while begin < until:
            midnight = datetime.combine(begin.astimezone(CHINA).date(), time.min, tzinfo=CHINA)
            end = min(midnight + _DAY, until)
            if begin == midnight:
                with self._lock:
                    known, read_to = self._kept.get(midnight, (DayOfCalls((), ()), midnight))
                upto = min(end, settled)
                if read_to < upto:
                    known = added_up(self._read(read_to, upto), interfaces, known)
                    read_to = upto
                    self._keep(midnight, known, upto)
                if read_to <= end:
                    yield known if read_to == end else self._unsettled(read_to, end, interfaces, known)
                    begin = end
                    continue
            yield added_up(self._read(begin, end), interfaces)
            begin = end

    def _unsettled(
        self, since: datetime, until: datetime, interfaces: Mapping[str, LiveInterface], before: DayOfCalls
    ) -> DayOfCalls:
        """Return a day up to now. What is not settled yet is read at each look, once for its numbers and its guards."""
        with self._lock:
            latest = self._latest
        if latest is None or latest[:2] != (since, until):
            latest = since, until, added_up(self._read(since, until), interfaces, before)
            with self._lock:
                self._latest = latest
        return latest[2]

    def _keep(self, midnight: datetime, day: DayOfCalls, upto: datetime) -> None:
        with self._lock:
            self._kept[midnight] = day, upto
            for old in sorted(self._kept)[:-DAYS_KEPT_MAX]:
                del self._kept[old]


def added_up(
    calls: Iterable[RecordedEntry], interfaces: Mapping[str, LiveInterface], before: DayOfCalls | None = None
) -> DayOfCalls:
    """Return what calls count for, added to what the day's calls before them did, and one of those that are alike."""
    seen = [] if before is None else list(before.observations)
    alike = {} if before is None else {_told_apart(call): call for call in before.calls}
    for call in calls:
        seen += observations_of_entry(call)
        if call.kind is EntryKind.ACCESS:
            seen += observations_of_time(call, interfaces)
            alike.setdefault(_told_apart(call), call)
        if len(seen) > SEEN_MAX:
            seen = list(folded(seen))
    return DayOfCalls(tuple(folded(seen)), tuple(alike.values()))


def _told_apart(call: RecordedEntry) -> tuple[object, ...]:
    """Return what guards tell calls apart by."""
    facts = call.facts
    return facts.get("resource_id"), facts.get("provider"), facts.get("consumer"), facts.get("rows") != 0


def folded(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Yield observations that count alike: of each thing the newest, of acts the newest, and the rest added up."""
    things: dict[tuple[Measure, DepartmentCode, str], Observation] = {}
    acts: dict[tuple[Measure, DepartmentCode], list[Observation]] = defaultdict(list)
    for one in observations:
        if one.key is None:
            acts[one.measure, one.department].append(one)
            continue
        thing = (one.measure, one.department, one.key)
        if thing not in things or _order(things[thing]) < _order(one):
            things[thing] = one
    yield from things.values()
    for own in acts.values():
        own.sort(key=_order, reverse=True)
        yield from own[:SINGLE_MAX]
        rest = own[SINGLE_MAX:]
        if not rest:
            continue
        if rest[0].measure in _TIMED:
            times = Counter[int]()
            for one in rest:
                times[one.count] += one.times
            for count, number in times.items():
                yield rest[0].model_copy(update={"count": count, "times": number})
        else:
            yield rest[0].model_copy(update={"count": sum(one.count for one in rest)})


def _order(one: Observation) -> tuple[datetime, str, int]:
    return one.at, one.entry_id, one.count
