"""The indicators' service: computes a period's league table from the evidence, and leads from a number to its acts."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

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


class Indicators:
    """Computes indicators; `departments` returns every department's code and name.

    What a period that is over counts changes no more, and is counted once in a process; what findings charge is added
    each time.
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
        self._settled: dict[str, tuple[Mapping[DepartmentCode, Text], Performance]] = {}

    def compute(self, period: str | None = None) -> Performance:
        """Return the league table of `period` (2026-11, 2026-Q4, 2026); without one, of the present month.

        Raises:
            Invalid: `period` is not a period.
        """
        span, departments = self._span(period), self._departments()
        with self._lock:
            known = self._settled.get(span.name)
        if known is not None and known[0] == departments and self._is_over(span):
            table = known[1]
        else:
            until = self._known(span)
            table = assess(
                self._pack.indicators,
                self._evidence.observations(since=span.since, until=until),
                departments,
                {},
                period=span,
                suspicions=self._evidence.suspicions(since=span.since, until=until),
            )
            if self._is_over(span):
                self._remember(span, departments, table)
        return charged(table, self._monitor.charges(since=span.since, until=span.until))

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
