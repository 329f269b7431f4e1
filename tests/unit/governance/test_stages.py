"""The stages of a case: one table, and every way to miss it."""

from itertools import product

import pytest

from datong.governance import ACTION_NAMES, STAGE_NAMES, Case, CaseAction, CaseSide, CaseStage, StageLimits
from datong.governance.stages import TRANSITIONS, next_stage, side_of
from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, CaseId, Conflict, DepartmentCode, FindingId, Refused
from datong.norms import load_pack
from tests.unit.governance.samples import BUREAU, EDUCATION, MONDAY, POLICE

AUTHORITIES = frozenset({BUREAU})


def case(stage: CaseStage, *, provider: DepartmentCode = POLICE) -> Case:
    """Return a case at `stage`."""
    return Case(
        id=CaseId("case-1"),
        finding_id=FindingId("finding-1"),
        stage=stage,
        provider=provider,
        consumer=EDUCATION,
        opened_at=MONDAY,
        stage_due_at=None,
        closed_at=None,
        version=0,
        outcome=None,
    )


def person(department: DepartmentCode | None) -> Actor:
    """Return somebody of a department."""
    return Actor(kind=ActorKind.PERSON, id="somebody", department=department)


@pytest.mark.parametrize(("stage", "action", "side"), list(product(CaseStage, CaseAction, CaseSide)))
def test_every_combination_follows_the_table(stage: CaseStage, action: CaseAction, side: CaseSide) -> None:
    """An act outside the table is a conflict, one by the wrong side is refused, any other leads as the table says."""
    if (stage, action) not in TRANSITIONS:
        with pytest.raises(Conflict):
            next_stage(case(stage), action, side)
        return
    after, sides = TRANSITIONS[stage, action]
    if side in sides:
        assert next_stage(case(stage), action, side) is after
    else:
        with pytest.raises(Refused):
            next_stage(case(stage), action, side)


def test_a_closed_case_admits_nothing() -> None:
    """Closed is final."""
    assert case(CaseStage.CLOSED).actions == ()
    assert CaseAction.SETTLE in case(CaseStage.NEGOTIATE).actions


def test_sides_follow_from_departments() -> None:
    """An authority that is itself a party negotiates as one, and only afterwards speaks as the authority."""
    mine = case(CaseStage.NEGOTIATE, provider=BUREAU)
    assert side_of(mine, person(BUREAU), authorities=AUTHORITIES) is CaseSide.PARTY
    later = case(CaseStage.AUTHORITY, provider=BUREAU)
    assert side_of(later, person(BUREAU), authorities=AUTHORITIES) is CaseSide.AUTHORITY
    assert side_of(mine, person(EDUCATION), authorities=AUTHORITIES) is CaseSide.PARTY
    assert side_of(mine, person(POLICE), authorities=AUTHORITIES) is CaseSide.OUTSIDER
    assert side_of(mine, person(None), authorities=AUTHORITIES) is CaseSide.OUTSIDER
    assert side_of(mine, PLATFORM_ACTOR, authorities=AUTHORITIES) is CaseSide.PLATFORM


def test_everything_has_a_name_and_a_limit() -> None:
    """People read stages and acts; a closed case has no deadline."""
    assert set(STAGE_NAMES) == set(CaseStage)
    assert set(ACTION_NAMES) == set(CaseAction)
    assert StageLimits.of_pack(load_pack(None)) == StageLimits()
    limits = StageLimits(negotiate=3, authority=None)
    assert [limits.of(stage) for stage in CaseStage] == [3, None, 20, None]
