"""Indicators: each a ratio of counted observations, per department and period, with the acts behind every number.

What an indicator is called, its group, target and weight are data of the norm pack. Which observations it counts is
the table `FORMULAS`, by the indicator's key. An indicator without evidence in a period has no value and no weight:
nobody is ranked by what was not measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from datong.governance.guards import GUARDS, Effect, Part, Suspicion
from datong.governance.observations import Measure, Observation
from datong.governance.periods import Period
from datong.kernel import DepartmentCode, EntryId, Text, Value
from datong.norms import IndicatorDefinition, IndicatorGroup

EVIDENCE_SHOWN_MAX = 50
"""Acts named beside a number; the drill-down pages through all of them."""
SUSPICIONS_SHOWN_MAX = 100
SCORE_MAX = 100


class Formula(Value):
    """`counted` out of `base`: both are measures, summed over a department and a period.

    An indicator whose unit is a ratio is the quotient, or one minus it for a `complement`; one whose unit is a count
    is `counted` itself, provided that there is any `base`. With a `percentile` it is that one of the single
    observations of `counted`, by nearest rank; they are the base as well.
    """

    counted: Measure
    base: Measure
    complement: bool = False
    percentile: int | None = None


FORMULAS: Mapping[str, Formula] = {
    "catalogue_rate": Formula(counted=Measure.RESOURCE_PUBLISHED, base=Measure.RESOURCE_DRAFTED),
    "binding_rate": Formula(counted=Measure.RESOURCE_BOUND, base=Measure.RESOURCE_PUBLISHED),
    "mapped_item_rate": Formula(counted=Measure.ITEM_MAPPED, base=Measure.ITEM_DECLARED),
    "standard_item_rate": Formula(counted=Measure.ITEM_STANDARD, base=Measure.ITEM_DECLARED),
    "conditional_share": Formula(counted=Measure.RESOURCE_RESTRICTED, base=Measure.RESOURCE_PUBLISHED),
    "unshared_without_basis": Formula(counted=Measure.RESOURCE_WITHHELD_BASELESS, base=Measure.RESOURCE_PUBLISHED),
    "review_on_time_rate": Formula(counted=Measure.REVIEW_IN_TIME, base=Measure.REVIEW_DUE),
    "refresh_on_time_rate": Formula(counted=Measure.TRANSFER_IN_TIME, base=Measure.TRANSFER_DUE),
    "reply_on_time_rate": Formula(counted=Measure.REPLY_IN_TIME, base=Measure.REPLY_DUE),
    "provide_on_time_rate": Formula(counted=Measure.PROVISION_IN_TIME, base=Measure.PROVISION_DUE),
    "correction_on_time_rate": Formula(counted=Measure.CORRECTION_IN_TIME, base=Measure.CORRECTION_DUE),
    "row_acceptance_rate": Formula(counted=Measure.ROWS_ACCEPTED, base=Measure.ROWS_SENT),
    "reconciliation_rate": Formula(counted=Measure.RECONCILED_EQUAL, base=Measure.RECONCILED),
    "demand_satisfaction_rate": Formula(counted=Measure.REQUEST_SATISFIED, base=Measure.REQUEST_VALID),
    "staff_trained_rate": Formula(counted=Measure.STAFF_CERTIFIED, base=Measure.STAFF_ASSIGNED),
    "satisfaction_rate": Formula(counted=Measure.ASPECT_SATISFIED, base=Measure.ASPECT_RATED),
    "zero_use_share": Formula(counted=Measure.RESOURCE_USED, base=Measure.RESOURCE_PUBLISHED, complement=True),
    "breach_count": Formula(counted=Measure.CALL_REFUSED, base=Measure.CALL_MADE),
    "quality_fix_rate": Formula(counted=Measure.FAULT_FIXED, base=Measure.FAULT_FOUND),
    "service_availability": Formula(counted=Measure.SERVICE_AVAILABLE, base=Measure.SERVICE_PROMISED),
    "latency_p95": Formula(counted=Measure.CALL_MILLISECONDS, base=Measure.CALL_MILLISECONDS, percentile=95),
    "call_success_rate": Formula(counted=Measure.CALL_SUCCEEDED, base=Measure.CALL_TRIED),
}
"""What each indicator counts. One that the pack declares and that is not here has no evidence on this platform yet."""

_PERCENTILES = frozenset(formula.counted for formula in FORMULAS.values() if formula.percentile is not None)
FORMULAS_VERSION = "3"
"""Changes whenever what indicators count changes; a publication states it, but for those of the first version."""
ADDED: Mapping[str, frozenset[str]] = {
    "2": frozenset({"quality_fix_rate", "service_availability", "latency_p95"}),
    "3": frozenset({"call_success_rate"}),
}
"""The indicators that each version of the formulas began to count."""


def formulas_of(version: str | None) -> Mapping[str, Formula]:
    """Return what was counted by a version of the formulas; None: the first, which stated none."""
    later = [keys for added, keys in ADDED.items() if int(added) > int(version or 1)]
    return {key: one for key, one in FORMULAS.items() if not any(key in keys for keys in later)}


class Discount(Value):
    """What a guard took out of a number, about `subject`: so much of what is counted, and of what it is out of."""

    guard: str
    subject: str
    counted: int
    base: int


class IndicatorValue(Value):
    """One number: `counted` ÷ `base`, its score out of 100, and acts behind it (the newest, at most 50).

    `value` and `score` are None when the period holds no evidence. `counted` and `base` are what is left after
    `discounts`.
    """

    key: str
    counted: int
    base: int
    value: float | None
    score: float | None
    evidence: tuple[EntryId, ...]
    discounts: tuple[Discount, ...] = ()


class DepartmentPerformance(Value):
    """A department's line in the league table; `points` are the hundredths charged to it by findings.

    `suspicions` are what guards against gaming found that changed a number of the period, or is only shown.
    """

    department: DepartmentCode
    name: Text
    rank: int | None
    score: float | None
    groups: dict[IndicatorGroup, float | None]
    points: int
    values: tuple[IndicatorValue, ...]
    suspicions: tuple[Suspicion, ...] = ()


class Performance(Value):
    """All departments in one period, best first; departments without any evidence come last and have no rank."""

    period: Period
    definitions: tuple[IndicatorDefinition, ...]
    departments: tuple[DepartmentPerformance, ...]


def assess(
    definitions: Sequence[IndicatorDefinition],
    observations: Iterable[Observation],
    departments: Mapping[DepartmentCode, Text],
    charges: Mapping[DepartmentCode, int],
    *,
    period: Period,
    suspicions: Iterable[Suspicion] = (),
    formulas: Mapping[str, Formula] = FORMULAS,
) -> Performance:
    """Return the league table of `departments`; pure, and independent of the order of `observations`.

    What guards found (`suspicions`) is taken out of the numbers. `formulas` say what each indicator counts, by its key.
    """
    by_department: dict[DepartmentCode, list[Observation]] = {code: [] for code in departments}
    for seen in distinct(observations):
        if seen.department in by_department:
            by_department[seen.department].append(seen)
    suspected: dict[DepartmentCode, list[Suspicion]] = {}
    for one in suspicions:
        suspected.setdefault(one.department, []).append(one)
    lines = [
        _line(
            definitions,
            formulas,
            code,
            departments[code],
            by_department[code],
            suspected.get(code, ()),
        )
        for code in departments
    ]
    return charged(Performance(period=period, definitions=tuple(definitions), departments=tuple(lines)), charges)


def charged(table: Performance, charges: Mapping[DepartmentCode, int]) -> Performance:
    """Return a table with each department's points, in the order and with the ranks that follow."""
    lines = [
        line.model_copy(update={"points": charges.get(line.department, 0), "rank": None}) for line in table.departments
    ]
    lines.sort(key=lambda line: (line.score is None, -(line.score or 0), line.points, line.department))
    return table.model_copy(update={"departments": tuple(_ranked(lines))})


def distinct(observations: Iterable[Observation]) -> list[Observation]:
    """Return the observations, newest first, with only the newest of those that count the same thing."""
    ordered = sorted(
        observations,
        key=lambda seen: (seen.at, seen.entry_id, seen.measure, seen.department, seen.count),
        reverse=True,
    )
    kept: list[Observation] = []
    things: set[tuple[Measure, DepartmentCode, str]] = set()
    for seen in ordered:
        if seen.key is not None:
            thing = (seen.measure, seen.department, seen.key)
            if thing in things:
                continue
            things.add(thing)
        kept.append(seen)
    return kept


def evidence_of(formula: Formula, observations: Iterable[Observation]) -> tuple[EntryId, ...]:
    """Return the acts behind an indicator, newest first, each once."""
    wanted = [seen for seen in observations if seen.measure in {formula.counted, formula.base}]
    wanted.sort(key=lambda seen: (seen.at, seen.entry_id), reverse=True)
    return tuple(dict.fromkeys(seen.entry_id for seen in wanted))


def score_of(definition: IndicatorDefinition, value: Fraction) -> Fraction:
    """Return the score, 0–100: a ratio scores itself or its complement, another unit in proportion to its target."""
    target = Fraction(definition.target or 0)
    if definition.unit == "ratio":
        part = value if definition.higher_is_better else 1 - value
    elif definition.higher_is_better:
        part = value / target if target else Fraction(1)
    else:
        part = Fraction(1) if value <= target else target / value
    return min(Fraction(1), max(Fraction(0), part)) * SCORE_MAX


def discounts_of(
    key: str, formula: Formula, observations: Sequence[Observation], suspicions: Iterable[Suspicion]
) -> tuple[Discount, ...]:
    """Return what guards take out of an indicator of a department; nothing of what was not counted anyway."""
    amounts = {(seen.measure, seen.key): seen.count for seen in observations if seen.key is not None}
    found = []
    for one in suspicions:
        counted = base = 0
        for thing in one.taken:
            if thing.indicator == key:
                counted += amounts.get((formula.counted, thing.key), 0)
                base += amounts.get((formula.base, thing.key), 0) if thing.part is Part.BOTH else 0
        if counted or base:
            found.append(Discount(guard=one.guard, subject=one.subject, counted=counted, base=base))
    return tuple(found)


def _line(
    definitions: Sequence[IndicatorDefinition],
    formulas: Mapping[str, Formula],
    code: DepartmentCode,
    name: Text,
    observations: Sequence[Observation],
    suspicions: Sequence[Suspicion],
) -> DepartmentPerformance:
    sums: dict[Measure, int] = {}
    single: dict[Measure, list[int]] = {}
    for seen in observations:
        sums[seen.measure] = sums.get(seen.measure, 0) + seen.count
        if seen.measure in _PERCENTILES:
            single.setdefault(seen.measure, []).extend([seen.count] * seen.times)
    values: list[IndicatorValue] = []
    scored: list[tuple[IndicatorDefinition, Fraction]] = []
    for definition in definitions:
        formula = formulas.get(definition.key)
        if formula is None:
            values.append(IndicatorValue(key=definition.key, counted=0, base=0, value=None, score=None, evidence=()))
            continue
        discounts = discounts_of(definition.key, formula, observations, suspicions)
        counted = sums.get(formula.counted, 0) - sum(one.counted for one in discounts)
        base = sums.get(formula.base, 0) - sum(one.base for one in discounts)
        if formula.percentile is not None:
            each = sorted(single.get(formula.counted, ()))
            counted, base = _nearest_rank(each, formula.percentile), len(each)
        value = _value(definition, formula, counted, base)
        score = None if value is None else score_of(definition, value)
        if score is not None:
            scored.append((definition, score))
        values.append(
            IndicatorValue(
                key=definition.key,
                counted=counted,
                base=base,
                value=None if value is None else float(value),
                score=None if score is None else float(score),
                evidence=evidence_of(formula, observations)[:EVIDENCE_SHOWN_MAX],
                discounts=discounts,
            )
        )
    effective = {(one.guard, one.subject) for value in values for one in value.discounts}
    return DepartmentPerformance(
        department=code,
        name=name,
        rank=None,
        score=_weighted(scored),
        groups={
            group: _weighted([(definition, score) for definition, score in scored if definition.group is group])
            for group in IndicatorGroup
        },
        points=0,
        values=tuple(values),
        suspicions=tuple(
            one
            for one in suspicions
            if (one.guard, one.subject) in effective or GUARDS[one.guard].effect is Effect.FLAG
        )[:SUSPICIONS_SHOWN_MAX],
    )


def _nearest_rank(ordered: Sequence[int], percentile: int) -> int:
    """Return a percentile of numbers in order: the smallest that so many of a hundred do not exceed; 0 of none."""
    return ordered[-(-len(ordered) * percentile // 100) - 1] if ordered else 0


def _value(definition: IndicatorDefinition, formula: Formula, counted: int, base: int) -> Fraction | None:
    if not base:
        return None
    if definition.unit != "ratio":
        return Fraction(counted)
    part = min(Fraction(1), Fraction(counted, base))
    return 1 - part if formula.complement else part


def _weighted(scored: Sequence[tuple[IndicatorDefinition, Fraction]]) -> float | None:
    weight = sum(definition.weight for definition, _ in scored)
    if not weight:
        return None
    return round(float(sum((score * definition.weight for definition, score in scored), Fraction(0)) / weight), 2)


def _ranked(lines: Sequence[DepartmentPerformance]) -> Iterable[DepartmentPerformance]:
    """Give equal standing equal rank: 1, 2, 2, 4."""
    rank, previous = 0, None
    for place, line in enumerate(lines, start=1):
        if line.score is None:
            yield line
            continue
        standing = (line.score, line.points)
        rank = rank if standing == previous else place
        previous = standing
        yield line.model_copy(update={"rank": rank})
