"""Indicators, scores and ranks."""

from datetime import datetime, timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.governance import Measure, Observation, Performance, Period
from datong.governance.indicators import FORMULAS, assess, evidence_of, score_of
from datong.kernel import CHINA, DepartmentCode, EntryId, Invalid, Text
from datong.norms import IndicatorDefinition, IndicatorGroup, load_pack
from tests.unit.governance.samples import EDUCATION, MONDAY, POLICE

NOVEMBER = Period.parse("2026-11")
NAMES = {POLICE: Text(zh="公安局", en="Police"), EDUCATION: Text(zh="教育局", en="Education")}


def definition(key: str, *, weight: int = 10, unit: str = "ratio", higher: bool = True) -> IndicatorDefinition:
    """Return an indicator of the group of timeliness."""
    return IndicatorDefinition(
        key=key,
        name=Text(zh=key, en=key),
        group=IndicatorGroup.TIMELINESS,
        formula=Text(zh="式", en="formula"),
        unit=unit,
        higher_is_better=higher,
        target=0 if unit == "count" else None,
        weight=weight,
    )


REPLY = definition("reply_on_time_rate")


def seen(
    measure: Measure, department: DepartmentCode = POLICE, *, number: int = 0, count: int = 1, key: str | None = None
) -> Observation:
    """Return one observation."""
    return Observation(
        measure=measure,
        department=department,
        at=MONDAY + timedelta(minutes=number),
        entry_id=EntryId(f"entry-{number}"),
        count=count,
        key=key,
    )


def table(*observations: Observation, definitions: tuple[IndicatorDefinition, ...] = (REPLY,)) -> Performance:
    """Return the league table."""
    return assess(definitions, observations, NAMES, {}, period=NOVEMBER)


def test_a_ratio_counts_its_acts_and_names_them() -> None:
    """Two of three replies in time; the newest act first; the other department has no evidence and no rank."""
    performance = table(
        seen(Measure.REPLY_DUE, number=1),
        seen(Measure.REPLY_DUE, number=2),
        seen(Measure.REPLY_DUE, number=3),
        seen(Measure.REPLY_IN_TIME, number=1),
        seen(Measure.REPLY_IN_TIME, number=3),
    )
    police, education = performance.departments
    (value,) = police.values
    assert (value.counted, value.base) == (2, 3)
    assert value.value == pytest.approx(2 / 3)
    assert value.evidence == ("entry-3", "entry-2", "entry-1")
    assert (police.rank, police.score) == (1, 66.67)
    assert police.groups[IndicatorGroup.TIMELINESS] == 66.67
    assert (education.department, education.rank, education.score) == (EDUCATION, None, None)
    assert education.values[0].value is None


def test_the_same_thing_counts_once() -> None:
    """A resource that was published twice is one published resource."""
    (value,) = (
        table(
            seen(Measure.RESOURCE_DRAFTED, number=1, key="a"),
            seen(Measure.RESOURCE_DRAFTED, number=2, key="b"),
            seen(Measure.RESOURCE_PUBLISHED, number=3, key="a"),
            seen(Measure.RESOURCE_PUBLISHED, number=4, key="a"),
            definitions=(definition("catalogue_rate"),),
        )
        .departments[0]
        .values
    )
    assert (value.counted, value.base) == (1, 2)


def test_complements_and_counts() -> None:
    """The share of what was never used is one minus the used; a count scores nothing beyond its target."""
    performance = table(
        seen(Measure.RESOURCE_PUBLISHED, number=1, key="a"),
        seen(Measure.RESOURCE_PUBLISHED, number=2, key="b"),
        seen(Measure.RESOURCE_USED, number=3, key="a"),
        seen(Measure.CALL_MADE, number=4),
        seen(Measure.CALL_REFUSED, number=4),
        definitions=(
            definition("zero_use_share", higher=False),
            definition("breach_count", unit="count", higher=False),
            definition("no_such_key"),
        ),
    )
    unused, breaches, unknown = performance.departments[0].values
    assert (unused.value, unused.score) == (0.5, 50.0)
    assert (breaches.value, breaches.score) == (1.0, 0.0)
    assert (unknown.value, unknown.score) == (None, None)


def test_equal_standing_is_equal_rank_and_points_decide_before_names() -> None:
    """Two departments with one score share a rank, unless findings charged one of them."""
    both = [seen(measure, code) for code in NAMES for measure in (Measure.REPLY_DUE, Measure.REPLY_IN_TIME)]
    assert [line.rank for line in assess((REPLY,), both, NAMES, {}, period=NOVEMBER).departments] == [1, 1]
    charged = assess((REPLY,), both, NAMES, {POLICE: 100}, period=NOVEMBER).departments
    assert [(line.department, line.rank) for line in charged] == [(EDUCATION, 1), (POLICE, 2)]


@given(st.lists(st.tuples(st.sampled_from(Measure), st.sampled_from(list(NAMES)), st.integers(0, 5)), max_size=40))
def test_the_order_of_observations_does_not_matter(facts: list[tuple[Measure, DepartmentCode, int]]) -> None:
    """Shuffled observations give the same table; scores stay between 0 and 100."""
    definitions = tuple(definition(key) for key in FORMULAS)
    observations = [
        seen(measure, code, number=place, count=count, key=f"{count}" if count % 2 else None)
        for place, (measure, code, count) in enumerate(facts)
    ]
    shuffled = list(observations)
    Random(3).shuffle(shuffled)
    performance = table(*observations, definitions=definitions)
    assert table(*shuffled, definitions=definitions) == performance
    assert all(line.score is None or 0 <= line.score <= 100 for line in performance.departments)


def test_scores_of_units() -> None:
    """A latency scores full marks up to its target and falls in proportion beyond it."""
    latency = definition("latency_p95", unit="milliseconds", higher=False).model_copy(update={"target": 500})
    assert score_of(latency, Fraction(400)) == 100
    assert score_of(latency, Fraction(1000)) == 50
    cases = definition("cases", unit="count").model_copy(update={"target": 10})
    assert score_of(cases, Fraction(5)) == 50
    assert score_of(definition("any", unit="hours"), Fraction(1)) == 100


def test_evidence_is_named_once() -> None:
    """An act that counts twice is one act."""
    both = [seen(Measure.REPLY_DUE, number=1), seen(Measure.REPLY_IN_TIME, number=1), seen(Measure.ROWS_SENT, number=2)]
    assert evidence_of(FORMULAS["reply_on_time_rate"], both) == ("entry-1",)


def test_the_national_pack_declares_indicators_that_have_evidence() -> None:
    """The pack and the table of formulas speak of the same keys."""
    declared = {indicator.key for indicator in load_pack(None).indicators}
    assert {
        "catalogue_rate",
        "binding_rate",
        "reply_on_time_rate",
        "provide_on_time_rate",
    } <= declared & FORMULAS.keys()


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("2026-11", (2026, 11), (2026, 12)),
        ("2026-12", (2026, 12), (2027, 1)),
        ("2026-Q4", (2026, 10), (2027, 1)),
        ("2026", (2026, 1), (2027, 1)),
    ],
)
def test_periods(name: str, since: tuple[int, int], until: tuple[int, int]) -> None:
    """Months, quarters and years of China time."""
    period = Period.parse(name)
    assert period.since == datetime(*since, 1, tzinfo=CHINA)
    assert period.until == datetime(*until, 1, tzinfo=CHINA)


@pytest.mark.parametrize("name", ["", "2026-13", "2026-Q5", "26", "2026-1", "２０２６"])
def test_what_is_no_period_is_refused(name: str) -> None:
    """Anything else is answered with how to write it."""
    with pytest.raises(Invalid):
        Period.parse(name)


def test_the_present_month() -> None:
    """A moment belongs to its month in China, not in UTC."""
    assert Period.containing(datetime(2026, 12, 1, 0, 30, tzinfo=CHINA)).name == "2026-12"
