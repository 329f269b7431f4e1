"""The annual report's figures, gathered from the services that compute them; `annual_report` sets them as PDF."""

from collections.abc import Callable
from importlib import import_module

from datong.governance.benefit import Benefits
from datong.governance.duties import DutyKind
from datong.governance.monitor import Monitor
from datong.governance.performance import Indicators
from datong.governance.periods import Period
from datong.governance.publications import Publications
from datong.governance.request_flows import RequestFlows
from datong.kernel import Clock, DatongError, DepartmentCode, ResourceId, Text
from datong.kernel.limits import PAGE_ROWS_MAX


class AnnualReports:
    """Makes annual reports; `title_of` returns what a resource is called."""

    def __init__(
        self,
        *,
        clock: Clock,
        indicators: Indicators,
        publications: Publications,
        monitor: Monitor,
        flows: RequestFlows,
        benefits: Benefits,
        title_of: Callable[[ResourceId], Text],
    ) -> None:
        self._clock = clock
        self._indicators = indicators
        self._publications = publications
        self._monitor = monitor
        self._flows = flows
        self._benefits = benefits
        self._title_of = title_of

    def pdf(self, year: str) -> bytes:
        """Return the report on a year (such as 2026): of the present one, what is known so far.

        Raises:
            Invalid: it is no year.
        """
        span = Period.parse(year)
        # Setting a PDF loads a large library; who asks for none does not wait for it.
        paper = import_module("datong.governance.annual_report")
        benefit = self._benefits.compute(span.name)
        figures = paper.AnnualFigures(
            year=int(span.name[:4]),
            made_at=self._clock.now(),
            performance=self._indicators.compute(span.name),
            months=self._months(span),
            findings=self._findings(span),
            ways=self._flows.map(period=span.name),
            benefit=benefit,
            titles={use.resource_id: self._title(use.resource_id) for use in benefit.resources},
        )
        made: bytes = paper.annual_report_pdf(figures)
        return made

    def _months(self, span: Period) -> dict[int, dict[DepartmentCode, float | None]]:
        """Return the published scores of the year's months."""
        published = self._publications.find(limit=PAGE_ROWS_MAX).rows
        return {
            int(one.period[-2:]): {line.department: line.score for line in one.performance.departments}
            for one in published
            if one.period[:4] == span.name[:4]
        }

    def _findings(self, span: Period) -> dict[DutyKind, tuple[int, int]]:
        """Return how many findings of the year there are of each kind, and the points that they charge."""
        found: dict[DutyKind, tuple[int, int]] = {}
        for finding in self._monitor.due_between(since=span.since, until=span.until):
            count, points = found.get(finding.kind, (0, 0))
            found[finding.kind] = (count + 1, points + finding.points)
        return found

    def _title(self, resource_id: ResourceId) -> Text:
        try:
            return self._title_of(resource_id)
        except DatongError:
            # What was deleted from a catalogue was used all the same; it goes by its id.
            return Text(zh=resource_id, en=resource_id)
