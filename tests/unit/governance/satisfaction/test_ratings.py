"""Ratings: a table that holds for every order of acts by anybody at any time, and what they add up to."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datong.governance import Period
from datong.governance.satisfaction import (
    ASPECT_NAMES,
    RATING_ACTION_NAMES,
    RATING_STATE_NAMES,
    Aspect,
    Opinion,
    Rating,
    RatingAction,
    RatingState,
)
from datong.governance.satisfaction.ratings import (
    TRANSITIONS,
    RatingSide,
    next_state,
    quarter_of,
    rating_id,
    side_of,
    summary_of,
)
from datong.kernel import CHINA, Actor, ActorKind, AgreementId, Conflict, DepartmentCode, Refused, ResourceId

PROVIDER, CONSUMER = DepartmentCode("114406000000000193"), DepartmentCode("12440600456000017N")
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=CHINA)
QUARTER = Period.parse("2026-Q4")
scores = st.dictionaries(st.sampled_from(Aspect), st.integers(1, 5), min_size=1)
states = st.sampled_from(RatingState)


def rating(state: RatingState = RatingState.GIVEN, points: dict[Aspect, int] | None = None) -> Rating:
    return Rating(
        id="r",
        agreement_id=AgreementId("a"),
        period=QUARTER.name,
        provider=PROVIDER,
        consumer=CONSUMER,
        resource_id=ResourceId("resource"),
        state=state,
        scores=points or {Aspect.FIT: 4},
        reasons={},
        revision=1,
        rated_at=NOW,
    )


def actor(department: str | None) -> Actor:
    return Actor(kind=ActorKind.PERSON, id="p", department=None if department is None else DepartmentCode(department))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(RatingAction),
            st.sampled_from([PROVIDER, CONSUMER, "other", None]),
            st.integers(0, 30).map(lambda days: timedelta(days=days)),
        )
    )
)
def test_only_who_received_rates_within_the_quarter_and_only_who_delivered_answers(
    acts: list[tuple[RatingAction, str | None, timedelta]],
) -> None:
    """Any acts by anybody, ever later: what is refused changes nothing; an answer always follows what it answers."""
    one: Rating | None = None
    now, done = NOW, list[tuple[RatingAction, RatingSide, datetime]]()
    for action, who, later in acts:
        now += later
        side = side_of(one or rating(), actor(who))
        try:
            after = next_state(one, action, side, now)
        except Conflict:
            unknown = (None if one is None else one.state, action) not in TRANSITIONS
            assert unknown or now >= QUARTER.until
            continue
        except Refused:
            assert TRANSITIONS[None if one is None else one.state, action][1] is not side
            continue
        done.append((action, side, now))
        one = rating() if one is None else one.model_copy(update={"state": after})
    assert all(side is not RatingSide.OUTSIDER for _, side, _ in done)
    assert all((side is RatingSide.PROVIDER) == (action is RatingAction.ANSWER) for action, side, _ in done)
    assert all(at < QUARTER.until for action, _, at in done[1:] if action is not RatingAction.ANSWER)
    if one is not None:
        assert done[0][0] is RatingAction.RATE
        assert [action for action, _, _ in done].count(RatingAction.RATE) == 1
        last = {RatingState.ANSWERED: {RatingAction.ANSWER}, RatingState.WITHDRAWN: {RatingAction.WITHDRAW}}
        assert done[-1][0] in last.get(one.state, {RatingAction.RATE, RatingAction.CHANGE})


@given(st.lists(st.tuples(scores, states), max_size=12))
def test_a_summary_counts_what_stands(given_ratings: list[tuple[dict[Aspect, int], RatingState]]) -> None:
    found = summary_of(PROVIDER, "2026-Q4", [rating(state, points) for points, state in given_ratings])
    standing = [points for points, state in given_ratings if state is not RatingState.WITHDRAWN]
    assert found.ratings == len(standing)
    assert sum(one.ratings for one in found.aspects) == sum(map(len, standing))
    assert sum(one.satisfied for one in found.aspects) == sum(rating(points=points).satisfied for points in standing)
    assert all(100 <= one.mean_centi <= 500 for one in found.aspects)


@given(st.integers(-50_000, 500_000))
def test_a_quarter_holds_its_moments_and_a_delivery_has_one_rating_in_it(hours: int) -> None:
    at = NOW + timedelta(hours=hours)
    quarter = quarter_of(at)
    assert quarter.since <= at < quarter.until
    assert rating_id(AgreementId("a"), quarter.name) == rating_id(AgreementId("a"), quarter_of(quarter.since).name)
    assert rating_id(AgreementId("a"), quarter.name) != rating_id(AgreementId("a"), quarter_of(quarter.until).name)


@pytest.mark.parametrize(
    "said",
    [
        {"scores": {}},
        {"scores": {"fit": 0}},
        {"scores": {"fit": 6}},
        {"scores": {"fit": 1}, "reasons": {"fit": "x" * 501}},
    ],
)
def test_an_opinion_has_points_from_one_to_five(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Opinion.model_validate(said)


def test_everything_has_a_name_and_no_text_stands_in_the_facts() -> None:
    assert ASPECT_NAMES.keys() == set(Aspect)
    assert RATING_STATE_NAMES.keys() == set(RatingState)
    assert RATING_ACTION_NAMES.keys() == set(RatingAction)
    told = rating().model_copy(update={"reasons": {Aspect.FIT: "缺少门牌号"}, "answer": "下月补齐"})
    assert "缺少门牌号" not in repr(told.facts())
    assert "下月补齐" not in repr(told.facts())
    assert told.facts()["reasons_sha256"] != rating().facts()["reasons_sha256"]
