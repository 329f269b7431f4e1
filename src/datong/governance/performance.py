"""The indicators' service: computes a period's league table from the evidence, and leads from a number to its acts."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from datong.governance.indicators import FORMULAS, Performance, assess, charged, distinct, evidence_of
from datong.governance.monitor import Monitor
from datong.governance.observations import EvidenceSource
from datong.governance.periods import Period
from datong.kernel import Clock, DepartmentCode, EntryId, Page, Text, page_of
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import COMMITTED_WITHIN
from datong.norms import NormPack

SETTLED_MAX = 36
"""Periods whose tables are remembered."""
COSTLY_SECONDS = 1.0
"""The table of a period that is not over is counted anew for each look unless that takes more processor time."""
KEPT_FACTOR = 20
"""A costly one is kept for so many times what it took, and answered for twice as long while it is counted anew."""
ASKED_SECONDS = 1800.0
"""How long after somebody looked the present month is kept up."""


class KeptTable(NamedTuple):
    """A table of a period that is not over; `made` and `seconds` are of the monotonic clock and the processor."""

    departments: Mapping[DepartmentCode, Text]
    table: Performance
    made: float
    seconds: float

    @property
    def is_costly(self) -> bool:
        """Whether it is worth keeping."""
        return self.seconds > COSTLY_SECONDS

    def serves(self, departments: Mapping[DepartmentCode, Text], factor: int) -> bool:
        """Whether it was costly, and is not older than `factor` times what it took."""
        age = time.monotonic() - self.made
        return self.is_costly and age < factor * self.seconds and self.departments == departments


class Indicators:
    """Computes indicators; `departments` returns every department's code and name.

    What a period that is over counts changes no more, and is counted once in a process; what findings charge is added
    each time. A process counts one thing at a time, since counting reads every act of a period into memory.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        pack: NormPack,
        evidence: EvidenceSource,
        monitor: Monitor,
        departments: Callable[[], Mapping[DepartmentCode, Text]],
    ) -> None:
        self._clock = clock
        self._pack = pack
        self._evidence = evidence
        self._monitor = monitor
        self._departments = departments
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._kept: dict[str, KeptTable] = {}
        self._settled: dict[str, tuple[Mapping[DepartmentCode, Text], Performance]] = {}
        self._asked: float | None = None

    def compute(self, period: str | None = None) -> Performance:
        """Return the league table of `period` (2026-11, 2026-Q4, 2026); without one, of the present month.

        Raises:
            Invalid: `period` is not a period.
        """
        span = self._span(period)
        self._asked = time.monotonic()
        table = self._table(span, KEPT_FACTOR * 2)
        return charged(table, self._monitor.charges(since=span.since, until=span.until))

    def keep_up(self) -> bool:
        """Count the present month anew before its kept table is too old to be shown; return False: that is all.

        Without this somebody would wait for it. Where nobody has looked for a while, nothing is counted: a process that
        answers calls only spends nothing on it.
        """
        if self._asked is None or time.monotonic() - self._asked > ASKED_SECONDS:
            return False
        span = self._span(None)
        with self._lock:
            kept = self._kept.get(span.name)
        if kept is not None and kept.is_costly:
            self._table(span, KEPT_FACTOR)
        return False

    def _table(self, span: Period, factor: int) -> Performance:
        """Return the table of a period without points, one that is kept if it is not too old."""
        departments = self._departments()
        known = self._known_table(span, departments, factor)
        if known is not None:
            return known
        with self._counting:
            # Whoever waited for the same table has it now.
            known = self._known_table(span, departments, factor)
            return self._counted(span, departments) if known is None else known

    def _known_table(self, span: Period, departments: Mapping[DepartmentCode, Text], factor: int) -> Performance | None:
        with self._lock:
            settled, kept = self._settled.get(span.name), self._kept.get(span.name)
        if settled is not None and settled[0] == departments and self._is_over(span):
            return settled[1]
        if kept is not None and self._clock.now() < span.until and kept.serves(departments, factor):
            return kept.table
        return None

    def _counted(self, span: Period, departments: Mapping[DepartmentCode, Text]) -> Performance:
        began, until = time.thread_time(), self._known(span)
        table = assess(
            self._pack.indicators,
            self._evidence.sums(since=span.since, until=until),
            departments,
            {},
            period=span,
            suspicions=self._evidence.suspicions(since=span.since, until=until),
        )
        if self._is_over(span):
            self._remember(span, departments, table)
        else:
            with self._lock:
                self._kept[span.name] = KeptTable(departments, table, time.monotonic(), time.thread_time() - began)
                while len(self._kept) > SETTLED_MAX:
                    del self._kept[next(iter(self._kept))]
        return table

    def evidence(
        self,
        key: str,
        department: DepartmentCode,
        *,
        period: str | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[EntryId]:
        """Return the acts behind one number, newest first.

        Raises:
            NotFound: there is no indicator `key`.
            Invalid: `period` is not a period.
        """
        span = self._span(period)
        formula = FORMULAS.get(self._pack.indicator(key).key)
        with self._counting:
            seen = self._evidence.observations(since=span.since, until=self._known(span))
        mine = [observation for observation in distinct(seen) if observation.department == department]
        entries = evidence_of(formula, mine) if formula is not None else ()
        rows = entries[offset : offset + min(limit, PAGE_ROWS_MAX)]
        return page_of(rows, total=len(entries), offset=offset)

    def _is_over(self, span: Period) -> bool:
        """Whether every entry of a period is on record."""
        return span.until <= self._clock.now() - COMMITTED_WITHIN

    def _remember(self, span: Period, departments: Mapping[DepartmentCode, Text], table: Performance) -> None:
        with self._lock:
            self._settled[span.name] = (departments, table)
            while len(self._settled) > SETTLED_MAX:
                del self._settled[next(iter(self._settled))]

    def _known(self, span: Period) -> datetime:
        """Return up to when a period is known: of the present one no duty is counted before it is due."""
        return max(span.since, min(span.until, self._clock.now() + timedelta(microseconds=1)))

    def _span(self, period: str | None) -> Period:
        return Period.parse(period) if period else Period.containing(self._clock.now())
