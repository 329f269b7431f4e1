"""Ratings: what a department that received data says of the delivery, and what the provider answers. Pure.

A delivery is what one agreement gave in one quarter. Its consumer rates it once, and may change or withdraw that until
the quarter is over; the provider may answer each version of it. One table says which act is possible when, by whom.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field, field_validator

from datong.governance.guards import SATISFIED_MIN
from datong.governance.periods import Period
from datong.kernel import (
    CHINA,
    Actor,
    AgreementId,
    Conflict,
    DepartmentCode,
    EntryId,
    JsonValue,
    Refused,
    ResourceId,
    Text,
    Value,
    canonical_json,
    sha256_hex,
)

RATINGS = uuid.UUID("5b1f2c6e-94c4-5f3b-8d0a-3c1f7e2a9b60")
"""The namespace of the identities of ratings (RFC 9562, version 5)."""
SCORE_MIN, SCORE_MAX = 1, 5
REASON_CHARS_MAX = 500
_QUARTER_MONTHS = 3


class Aspect(StrEnum):
    """What of a delivery is rated."""

    TIMELINESS = "timeliness"
    QUALITY = "quality"
    FIT = "fit"
    SUPPORT = "support"


class RatingState(StrEnum):
    """Where a rating stands."""

    GIVEN = "given"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"


class RatingAction(StrEnum):
    """What is done about a rating."""

    RATE = "rate"
    CHANGE = "change"
    WITHDRAW = "withdraw"
    ANSWER = "answer"


class RatingSide(StrEnum):
    """Who acts: who received, or who delivered."""

    CONSUMER = "consumer"
    PROVIDER = "provider"
    OUTSIDER = "outsider"


ASPECT_NAMES: Mapping[Aspect, Text] = {
    Aspect.TIMELINESS: Text(zh="及时", en="In time"),
    Aspect.QUALITY: Text(zh="数据质量", en="Quality of the data"),
    Aspect.FIT: Text(zh="满足需要", en="Meets the need"),
    Aspect.SUPPORT: Text(zh="沟通配合", en="Support"),
}
RATING_STATE_NAMES: Mapping[RatingState, Text] = {
    RatingState.GIVEN: Text(zh="待回应", en="not answered"),
    RatingState.ANSWERED: Text(zh="已回应", en="answered"),
    RatingState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}
RATING_ACTION_NAMES: Mapping[RatingAction, Text] = {
    RatingAction.RATE: Text(zh="评价", en="rate"),
    RatingAction.CHANGE: Text(zh="修改评价", en="change the rating"),
    RatingAction.WITHDRAW: Text(zh="撤回评价", en="withdraw the rating"),
    RatingAction.ANSWER: Text(zh="回应", en="answer"),
}
_STATE, _ACT, _SIDE = RatingState, RatingAction, RatingSide
TRANSITIONS: Mapping[tuple[RatingState | None, RatingAction], tuple[RatingState, RatingSide]] = {
    (None, _ACT.RATE): (_STATE.GIVEN, _SIDE.CONSUMER),
    (_STATE.GIVEN, _ACT.CHANGE): (_STATE.GIVEN, _SIDE.CONSUMER),
    (_STATE.ANSWERED, _ACT.CHANGE): (_STATE.GIVEN, _SIDE.CONSUMER),
    (_STATE.WITHDRAWN, _ACT.CHANGE): (_STATE.GIVEN, _SIDE.CONSUMER),
    (_STATE.GIVEN, _ACT.WITHDRAW): (_STATE.WITHDRAWN, _SIDE.CONSUMER),
    (_STATE.ANSWERED, _ACT.WITHDRAW): (_STATE.WITHDRAWN, _SIDE.CONSUMER),
    (_STATE.GIVEN, _ACT.ANSWER): (_STATE.ANSWERED, _SIDE.PROVIDER),
}
"""(state, action) → (next state, who). What the consumer does is bound to the quarter; an answer is not."""


class Opinion(Value):
    """What a consumer says: points from 1 to 5 for one aspect or more, and why, where it wants to say so."""

    scores: Mapping[Aspect, int] = Field(min_length=1)
    reasons: Mapping[Aspect, str] = {}

    @field_validator("scores")
    @classmethod
    def _in_range(cls, scores: Mapping[Aspect, int]) -> Mapping[Aspect, int]:
        if not all(SCORE_MIN <= points <= SCORE_MAX for points in scores.values()):
            raise ValueError(f"points are {SCORE_MIN} to {SCORE_MAX}")
        return scores

    @field_validator("reasons")
    @classmethod
    def _short(cls, reasons: Mapping[Aspect, str]) -> Mapping[Aspect, str]:
        said = {aspect: text.strip() for aspect, text in reasons.items() if text.strip()}
        if any(len(text) > REASON_CHARS_MAX for text in said.values()):
            raise ValueError(f"a reason has at most {REASON_CHARS_MAX} characters")
        return said


class RatingAct(Value):
    """One act about a rating; `scores` as they then stood, `statement` what was answered."""

    number: int
    action: RatingAction
    state_after: RatingState
    actor: Actor
    at: datetime
    scores: Mapping[Aspect, int]
    statement: str
    entry_id: EntryId


class Rating(Value):
    """A department's rating of what an agreement delivered in a quarter. `acts` are filled in when one is read."""

    id: str
    agreement_id: AgreementId
    period: str
    provider: DepartmentCode
    consumer: DepartmentCode
    resource_id: ResourceId
    state: RatingState
    scores: Mapping[Aspect, int]
    reasons: Mapping[Aspect, str]
    answer: str = ""
    revision: int
    rated_at: datetime
    answered_at: datetime | None = None
    acts: tuple[RatingAct, ...] = ()

    @property
    def changeable_until(self) -> datetime:
        """Until when the consumer may change it."""
        return Period.parse(self.period).until

    @property
    def satisfied(self) -> int:
        """How many aspects have 4 or 5 points."""
        return sum(points >= SATISFIED_MIN for points in self.scores.values())

    def facts(self) -> dict[str, JsonValue]:
        """Return what the log states of it, in each of its entries; texts by their digests."""
        said = {aspect.value: text for aspect, text in self.reasons.items()}
        return {
            "rating": self.id,
            "agreement": self.agreement_id,
            "period": self.period,
            "provider": self.provider,
            "consumer": self.consumer,
            "resource_id": self.resource_id,
            "state": self.state.value,
            "revision": self.revision,
            "scores": {aspect.value: points for aspect, points in self.scores.items()},
            "reasons_sha256": sha256_hex(canonical_json(said)) if said else None,
            "answer_sha256": sha256_hex(self.answer.encode()) if self.answer else None,
        }


class AspectSummary(Value):
    """What ratings say of one aspect: how many, how many of them satisfied, and the mean in hundredths of a point."""

    aspect: Aspect
    ratings: int
    satisfied: int
    mean_centi: int


class RatingSummary(Value):
    """What the standing ratings of a department's deliveries in a quarter add up to."""

    provider: DepartmentCode
    period: str
    ratings: int
    answered: int
    aspects: tuple[AspectSummary, ...]


def quarter_of(moment: datetime) -> Period:
    """Return the quarter (China time) that holds `moment`."""
    local = moment.astimezone(CHINA)
    return Period.parse(f"{local.year}-Q{(local.month - 1) // _QUARTER_MONTHS + 1}")


def rating_id(agreement_id: AgreementId, period: str) -> str:
    """Return the id of the only rating that there is of what an agreement delivered in a quarter."""
    return str(uuid.uuid5(RATINGS, f"{agreement_id}/{period}"))


def side_of(rating: Rating, actor: Actor) -> RatingSide:
    """Return on which side of a delivery somebody stands."""
    sides = {rating.provider: RatingSide.PROVIDER, rating.consumer: RatingSide.CONSUMER}
    return RatingSide.OUTSIDER if actor.department is None else sides.get(actor.department, RatingSide.OUTSIDER)


def next_state(rating: Rating | None, action: RatingAction, side: RatingSide, now: datetime) -> RatingState:
    """Return the state that `action` by `side` leads to; `rating` is None before there is one.

    Raises:
        Conflict: the state does not admit the action, or the quarter in which it could be changed is over.
        Refused: it does, but not by this side.
    """
    act = RATING_ACTION_NAMES[action]
    step = TRANSITIONS.get((None if rating is None else rating.state, action))
    if step is None:
        state = Text(zh="尚未评价", en="not rated") if rating is None else RATING_STATE_NAMES[rating.state]
        raise Conflict(
            "governance.rating_not_admitted",
            what=Text(
                zh=f"该评价“{state.zh}”，不能“{act.zh}”。", en=f"It is {state.en}, which does not admit to {act.en}."
            ),
            remedy=Text(zh="请按当前状态可用的操作办理。", en="Use one of the acts that the state admits."),
            field="/action",
        )
    after, wanted = step
    if side is not wanted:
        raise Refused(
            "governance.rating_not_yours",
            what=Text(zh=f"您不在可以“{act.zh}”的一方。", en=f"You are not on the side that may {act.en}."),
            remedy=Text(zh="由接收数据的部门评价，由提供部门回应。", en="Who received rates; who delivered answers."),
            context={"side": side.value},
        )
    if rating is not None and wanted is RatingSide.CONSUMER and now >= rating.changeable_until:
        raise Conflict(
            "governance.rating_closed",
            what=Text(zh=f"{rating.period} 已结束，评价不能再改。", en=f"{rating.period} is over: its rating stands."),
            remedy=Text(zh="请评价本季度的服务。", en="Rate what is delivered in the present quarter."),
        )
    return after


def summary_of(provider: DepartmentCode, period: str, ratings: Iterable[Rating]) -> RatingSummary:
    """Return what the ratings of a department's deliveries add up to; those withdrawn do not count."""
    standing = [one for one in ratings if one.state is not RatingState.WITHDRAWN]
    aspects = []
    for aspect in Aspect:
        points = [one.scores[aspect] for one in standing if aspect in one.scores]
        if points:
            aspects.append(
                AspectSummary(
                    aspect=aspect,
                    ratings=len(points),
                    satisfied=sum(one >= SATISFIED_MIN for one in points),
                    mean_centi=round(100 * sum(points) / len(points)),
                )
            )
    answered = sum(one.state is RatingState.ANSWERED for one in standing)
    return RatingSummary(
        provider=provider, period=period, ratings=len(standing), answered=answered, aspects=tuple(aspects)
    )
