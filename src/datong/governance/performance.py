"""The indicators' service: computes a period's league table from the evidence, and leads from a number to its acts."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from datong.governance.indicators import FORMULAS, Performance, assess, distinct, evidence_of
from datong.governance.monitor import Monitor
from datong.governance.observations import EvidenceSource
from datong.governance.periods import Period
from datong.kernel import Clock, DepartmentCode, EntryId, Page, Text, page_of
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.norms import NormPack


class Indicators:
    """Computes indicators; `departments` returns every department's code and name."""

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

    def compute(self, period: str | None = None) -> Performance:
        """Return the league table of `period` (2026-11, 2026-Q4, 2026); without one, of the present month.

        Raises:
            Invalid: `period` is not a period.
        """
        span = self._span(period)
        until = self._known(span)
        return assess(
            self._pack.indicators,
            self._evidence.observations(since=span.since, until=until),
            self._departments(),
            self._monitor.charges(since=span.since, until=span.until),
            period=span,
            suspicions=self._evidence.suspicions(since=span.since, until=until),
        )

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

    def _known(self, span: Period) -> datetime:
        """Return up to when a period is known: of the present one no duty is counted before it is due."""
        return max(span.since, min(span.until, self._clock.now() + timedelta(microseconds=1)))

    def _span(self, period: str | None) -> Period:
        return Period.parse(period) if period else Period.containing(self._clock.now())
