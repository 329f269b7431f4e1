"""How many entries of each kind a day brought: what a chart asks of the log, without reading an entry."""

import threading
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta

from sqlalchemy import Integer, case, func, literal, select

from datong.kernel import CHINA, Clock, Database
from datong.ledger.entries import EntryKind
from datong.ledger.tables import ENTRIES

COMMITTED_WITHIN = timedelta(minutes=10)
"""An entry is on record at most so long after the time it bears."""
KEPT_MAX = 20_000
"""Counts of a kind on a day that are kept in memory."""


class DayCounts:
    """Counts entries by kind and by day in China; a day that is over changes no more and is counted once in a process.

    The database counts from the index of kinds and times alone.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[EntryKind, date], int] = {}

    def of(self, kinds: Collection[EntryKind], days: Sequence[date]) -> dict[tuple[EntryKind, date], int]:
        """Return the number of entries of each of `kinds` on each of `days`, 0 included."""
        wanted = [(kind, day) for kind in kinds for day in days]
        over = self._clock.now() - COMMITTED_WITHIN
        with self._lock:
            found = {one: self._kept[one] for one in wanted if one in self._kept}
        missing = sorted({day for kind, day in wanted if (kind, day) not in found})
        if missing:
            counted = self._count(kinds, missing)
            found |= {one: counted.get(one, 0) for one in wanted if one not in found}
            settled = {one: number for one, number in found.items() if _end(one[1]) <= over}
            with self._lock:
                if len(self._kept) > KEPT_MAX:
                    self._kept = {}
                self._kept |= settled
        return found

    def _count(self, kinds: Collection[EntryKind], days: Sequence[date]) -> dict[tuple[EntryKind, date], int]:
        """Count from the first of `days`, which are in order, to the last; those between come along."""
        ends = [_end(days[0] + timedelta(days=number)) for number in range((days[-1] - days[0]).days + 1)]
        begin = _end(days[0]) - timedelta(days=1)
        place = case(
            *((ENTRIES.c.at < end, literal(number, Integer)) for number, end in enumerate(ends)), else_=len(ends)
        ).label("place")
        query = (
            select(ENTRIES.c.kind, place, func.count())
            .where(ENTRIES.c.kind.in_([kind.value for kind in kinds]), ENTRIES.c.at >= begin, ENTRIES.c.at < ends[-1])
            .group_by(ENTRIES.c.kind, place)
        )
        with self._database.snapshot() as connection:
            rows = connection.execute(query).all()
        return {(EntryKind(kind), days[0] + timedelta(days=number)): count for kind, number, count in rows}


def _end(day: date) -> datetime:
    """Return when a day in China is over."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=CHINA)
