"""Benefit: what sharing spared people and departments, counted from the evidence and priced by stated factors.

Documents, sheets and trips stand in the entries of cases that were handled with obtained data (`sharing.service_case`);
the newest entry of a case counts. Fields that a department obtains instead of asking for them stand in those of its
service items. Uses of resources are added up from the daily tallies. Hours and money are these counts times factors.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import select

from datong.governance.ledger_evidence import BEGINNING
from datong.governance.periods import Period
from datong.governance.tables import TALLY
from datong.governance.tallies import Tally
from datong.kernel import CHINA, Clock, Database, DepartmentCode, ResourceId, Value
from datong.ledger import EntryKind, Ledger, RecordedEntry

RESOURCES_SHOWN_MAX = 200
_READ_AT_ONCE = timedelta(days=31)


class BenefitFactors(Value):
    """What a spared thing is worth: hours and yuan. Settings of the hub, for they are conventions and no facts."""

    hours_per_trip: float
    hours_per_document: float
    yuan_per_hour: float
    yuan_per_sheet: float


class Saved(Value):
    """What was spared: counts of cases and things, whole hours and yuan by the factors.

    `collections_avoided` are values a year that need not be collected again: shared fields times the item's cases.
    """

    cases: int = 0
    documents: int = 0
    sheets: int = 0
    trips: int = 0
    fields_shared: int = 0
    collections_avoided: int = 0
    hours: int = 0
    yuan: int = 0


class DepartmentBenefit(Saved):
    """What one department spared those whom it serves."""

    department: DepartmentCode


class ResourceUse(Value):
    """How much one resource was used: answered calls, rows delivered, and departments that did either."""

    resource_id: ResourceId
    provider: DepartmentCode | None
    consumers: int
    calls: int
    rows: int


class Benefit(Value):
    """The benefit of a period: in all, by department and by resource, the greatest first."""

    period: Period
    factors: BenefitFactors
    total: Saved
    departments: tuple[DepartmentBenefit, ...]
    resources: tuple[ResourceUse, ...]
    resources_total: int


class Benefits:
    """Counts benefit; `factors` are the hub's settings."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, factors: BenefitFactors) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._factors = factors

    def compute(self, period: str | None = None) -> Benefit:
        """Return the benefit of `period` (2026-11, 2026-Q4, 2026); without one, of the present month.

        Raises:
            Invalid: `period` is not a period.
        """
        span = Period.parse(period) if period else Period.containing(self._clock.now())
        cases: dict[str, RecordedEntry] = {}
        begin = span.since
        while begin < span.until:
            end = min(begin + _READ_AT_ONCE, span.until)
            for entry in self._ledger.entries_between(kinds={EntryKind.SERVICE_CASE}, since=begin, until=end):
                cases[entry.subject] = entry
            begin = end
        items = self._ledger.entries_between(kinds={EntryKind.SERVICE_ITEM}, since=BEGINNING, until=span.until)
        departments = saved_by_department(cases.values(), items, self._factors)
        uses = uses_of(self._tallies(span))
        return Benefit(
            period=span,
            factors=self._factors,
            total=_sum(departments),
            departments=tuple(departments),
            resources=tuple(uses[:RESOURCES_SHOWN_MAX]),
            resources_total=len(uses),
        )

    def _tallies(self, span: Period) -> list[Tally]:
        since, until = span.since.astimezone(CHINA).date(), span.until.astimezone(CHINA).date()
        query = select(TALLY.c.content).where(
            TALLY.c.day >= str(since), TALLY.c.day < str(until), TALLY.c.series.like("%:%")
        )
        with self._database.snapshot() as connection:
            return [Tally.model_validate(content) for content in connection.scalars(query)]


def saved_by_department(
    cases: Iterable[RecordedEntry], items: Iterable[RecordedEntry], factors: BenefitFactors
) -> list[DepartmentBenefit]:
    """Return what each department spared: by the newest entries of cases, and all entries of items, oldest first."""
    sums: dict[DepartmentCode, dict[str, int]] = {}

    def add(department: str, **counts: int) -> None:
        own = sums.setdefault(DepartmentCode(department), {})
        for name, count in counts.items():
            own[name] = own.get(name, 0) + count

    for entry in cases:
        facts = entry.facts
        add(facts["department"], cases=1, documents=facts["documents"], sheets=facts["sheets"], trips=facts["trips"])
    for department, annual_cases, shared in _shared_fields(items):
        add(department, fields_shared=shared, collections_avoided=shared * annual_cases)
    found = [DepartmentBenefit(department=code, **_priced(counts, factors)) for code, counts in sums.items()]
    return sorted(found, key=lambda one: (-one.yuan, -one.collections_avoided, one.department))


def uses_of(tallies: Iterable[Tally]) -> list[ResourceUse]:
    """Return how much each resource was used by other departments, the most used first."""
    calls: dict[ResourceId, int] = {}
    rows: dict[ResourceId, int] = {}
    consumers: dict[ResourceId, set[str]] = {}
    providers: dict[ResourceId, DepartmentCode | None] = {}
    for tally in tallies:
        resource = tally.resource_id
        if resource is None or tally.consumer in (None, tally.provider):
            continue
        providers[resource] = tally.provider
        calls[resource] = calls.get(resource, 0) + tally.calls
        rows[resource] = rows.get(resource, 0) + tally.applied
        if tally.consumer is not None and tally.calls + tally.applied:
            consumers.setdefault(resource, set()).add(tally.consumer)
    found = [
        ResourceUse(
            resource_id=resource,
            provider=provider,
            consumers=len(consumers.get(resource, ())),
            calls=calls[resource],
            rows=rows[resource],
        )
        for resource, provider in providers.items()
    ]
    return sorted(found, key=lambda one: (-one.consumers, -one.calls, -one.rows, one.resource_id))


def _shared_fields(items: Iterable[RecordedEntry]) -> list[tuple[str, int, int]]:
    """Return department, cases a year and number of fields obtained instead of asked for, of each service item."""
    shared: dict[str, set[str]] = {}
    newest: dict[str, RecordedEntry] = {}
    for entry in items:
        newest[entry.subject] = entry
        fields = shared.setdefault(entry.subject, set())
        match entry.facts["action"]:
            case "share":
                fields.update(entry.facts["elements"])
            case "ask":
                fields.difference_update(entry.facts["elements"])
            case "retire":
                fields.clear()
    return [
        (newest[item].facts["department"], newest[item].facts["annual_cases"], len(fields))
        for item, fields in shared.items()
        if fields
    ]


def _priced(counts: dict[str, int], factors: BenefitFactors) -> dict[str, int]:
    spared = counts.get("trips", 0) * factors.hours_per_trip + counts.get("documents", 0) * factors.hours_per_document
    return {
        **counts,
        "hours": round(spared),
        "yuan": round(spared * factors.yuan_per_hour + counts.get("sheets", 0) * factors.yuan_per_sheet),
    }


def _sum(departments: Sequence[DepartmentBenefit]) -> Saved:
    return Saved.model_validate({name: sum(getattr(one, name) for one in departments) for name in Saved.model_fields})
