"""The rules of substitutes: what no sequence of acts can bring about."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import CHINA, Conflict, DepartmentCode, Invalid, PersonId, Refused
from datong.sharing.delegation_rules import (
    DAYS_MAX,
    TRANSITIONS,
    Delegation,
    DelegationAction,
    DelegationParty,
    DelegationState,
    Holder,
    after,
    possible,
    require_fit,
    require_free,
    span_of,
)
from datong.sharing.principals import Role
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE

LI, WANG, ZHAO = PersonId("li"), PersonId("wang"), PersonId("zhao")
BEGINS, ENDS = span_of(date(2026, 11, 25), date(2026, 11, 27), NOW)
PARTIES = st.frozensets(st.sampled_from(DelegationParty))
ACTS = st.tuples(st.sampled_from(DelegationAction), PARTIES, st.integers(0, 5 * 24))


def delegation(
    state: DelegationState = DelegationState.PROPOSED, *, delegator: PersonId = LI, substitute: PersonId = WANG
) -> Delegation:
    return Delegation(
        id="d",
        delegator=delegator,
        delegator_name="李",
        substitute=substitute,
        substitute_name="王",
        department=EDUCATION,
        begins_at=BEGINS,
        ends_at=ENDS,
        reason="",
        state=state,
        proposed_by=delegator,
        proposed_at=NOW,
        changed_at=NOW,
    )


def holder(
    person: PersonId,
    *roles: Role,
    department: DepartmentCode | None = EDUCATION,
    disabled: bool = False,
) -> Holder:
    return Holder(id=person, name=person, department=department, roles=frozenset(roles), disabled=disabled)


@given(st.lists(ACTS, max_size=8))
def test_nobody_acts_for_another_without_acceptance_outside_the_days_or_after_the_end(
    acts: list[tuple[DelegationAction, frozenset[DelegationParty], int]],
) -> None:
    now, present, accepted, ended = NOW, delegation(), False, False
    for action, parties, hours in acts:
        now += timedelta(hours=hours)
        offered = possible(present, parties=parties, now=now)
        try:
            present = after(present, action, parties=parties, now=now)
        except (Conflict, Refused):
            assert action not in offered
            continue
        assert action in offered
        assert not ended
        if action is DelegationAction.ACCEPT:
            assert DelegationParty.SUBSTITUTE in parties
            accepted = True
        ended = ended or action in (DelegationAction.DECLINE, DelegationAction.WITHDRAW)
        assert present.in_force(now) == (accepted and not ended and BEGINS <= now < ENDS)
    for later in (now, BEGINS, ENDS - timedelta(microseconds=1), ENDS):
        if present.in_force(later):
            assert accepted
            assert not ended
            assert BEGINS <= later < ENDS
    assert not present.in_force(ENDS)


def test_every_state_but_the_last_ones_can_be_withdrawn_by_the_one_who_is_away() -> None:
    left = {state for state, _ in TRANSITIONS}
    for state in left:
        target, who = TRANSITIONS[state, DelegationAction.WITHDRAW]
        assert target is DelegationState.WITHDRAWN
        assert {DelegationParty.DELEGATOR, DelegationParty.HEAD} <= who
    assert set(DelegationState) - left == {DelegationState.DECLINED, DelegationState.WITHDRAWN}


@given(st.integers(-3, 400), st.integers(-3, 120))
def test_a_span_is_of_whole_days_in_china_to_come(ahead: int, length: int) -> None:
    first = NOW.astimezone(CHINA).date() + timedelta(days=ahead)
    last = first + timedelta(days=length)
    fits = 0 <= ahead <= 366 and 0 <= length < DAYS_MAX
    try:
        begins, ends = span_of(first, last, NOW)
    except Invalid:
        assert not fits
        return
    assert fits
    assert begins == datetime(first.year, first.month, first.day, tzinfo=CHINA)
    assert ends - begins == timedelta(days=length + 1)
    made = delegation().model_copy(update={"begins_at": begins, "ends_at": ends})
    assert (made.first_day, made.last_day) == (first, last)


@pytest.mark.parametrize(
    ("away", "instead", "by", "error"),
    [
        (holder(LI, Role.DATA_OFFICER), holder(LI, Role.DATA_OFFICER), LI, Invalid),
        (holder(LI, Role.DATA_OFFICER), holder(WANG, Role.BUSINESS, department=POLICE), LI, Invalid),
        (holder(LI, Role.OPERATOR, department=None), holder(WANG, Role.BUSINESS, department=None), LI, Invalid),
        (holder(LI, Role.DATA_OFFICER), holder(WANG, Role.BUSINESS, disabled=True), LI, Invalid),
        (holder(LI, Role.DATA_OFFICER, disabled=True), holder(WANG, Role.BUSINESS), ZHAO, Invalid),
        (holder(LI, Role.CITIZEN), holder(WANG, Role.BUSINESS), LI, Invalid),
        (holder(LI, Role.AUDITOR), holder(WANG, Role.DATA_OFFICER), LI, Invalid),
        (holder(LI, Role.DATA_OFFICER), holder(WANG, Role.AUDITOR), LI, Invalid),
        (holder(LI, Role.DATA_OFFICER), holder(WANG, Role.DEPARTMENT_HEAD), WANG, Refused),
    ],
)
def test_who_may_not_stand_in(away: Holder, instead: Holder, by: PersonId, error: type[Exception]) -> None:
    with pytest.raises(error):
        require_fit(away, instead, by=by)
    require_fit(holder(LI, Role.AUDITOR), holder(WANG, Role.AUDITOR, Role.BUSINESS), by=LI)


def test_nobody_has_two_substitutes_at_once_nor_one_who_is_away() -> None:
    def free(other: Delegation, *, begins: datetime = BEGINS, ends: datetime = ENDS) -> None:
        require_free([other], delegator=LI, substitute=WANG, begins_at=begins, ends_at=ends)

    with pytest.raises(Conflict) as caught:
        free(delegation(substitute=ZHAO))
    assert caught.value.code == "sharing.delegation_overlaps"
    with pytest.raises(Conflict) as caught:
        free(delegation(delegator=WANG, substitute=ZHAO))
    assert caught.value.code == "sharing.substitute_away"
    free(delegation(delegator=ZHAO))
    free(delegation(substitute=ZHAO), begins=ENDS, ends=ENDS + timedelta(days=1))
    free(delegation(substitute=ZHAO), begins=BEGINS - timedelta(days=2), ends=BEGINS)
