"""What departments say of the data they received, and what its providers answer."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from datong.governance.satisfaction import Opinion, Rating, RatingSummary
from datong.kernel import AgreementId, DepartmentCode, Page, ResourceId, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Agreement, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope, own_department, readable_agreement
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="satisfaction")
Quarter = Annotated[str | None, Query(pattern=r"^20\d{2}-Q[1-4]$", description="A quarter, such as 2026-Q4.")]


class RatingAnswer(Value):
    """What a provider answers."""

    answer: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class ToRate(Value):
    """A delivery that waits for being rated: under which agreement, what, by whom."""

    agreement_id: AgreementId
    provider: DepartmentCode
    resource_id: ResourceId
    title: Text


@router.get("/ratings")
def list_ratings(
    caller: Caller,
    hub: Hub,
    provider: DepartmentCode | None = None,
    consumer: DepartmentCode | None = None,
    agreement_id: AgreementId | None = None,
    period: Quarter = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Rating]:
    """Return ratings, newest first: all of them, or those that the caller's department gave or got."""
    party = department_in_scope(hub, caller, Action.RATING_READ)
    return hub.ratings.find(
        party=party,
        provider=provider,
        consumer=consumer,
        agreement_id=agreement_id,
        period=period,
        offset=offset,
        limit=limit,
    )


@router.get("/ratings/waiting")
def list_deliveries_to_rate(caller: Caller, hub: Hub) -> list[ToRate]:
    """Return what the caller's department received and has not rated in this quarter."""
    return [
        ToRate(
            agreement_id=one.id,
            provider=one.provider,
            resource_id=one.resource_id,
            title=one.resource_title,
        )
        for one in to_rate(caller, hub)
    ]


@router.get("/ratings/summary")
def summarise_ratings(
    caller: Caller, hub: Hub, provider: DepartmentCode | None = None, period: Quarter = None
) -> RatingSummary:
    """Return what the ratings of a department's deliveries add up to in a quarter: of the caller's own, or of one."""
    department = provider or own_department(caller)
    hub.policy.require(caller, Action.RATING_READ, Target.of_department(department))
    return hub.ratings.summary(department, period)


@router.get("/ratings/{rating_id}")
def read_rating(rating_id: str, caller: Caller, hub: Hub) -> Rating:
    """Return one rating with its acts."""
    found = hub.ratings.get(rating_id)
    hub.policy.require(caller, Action.RATING_READ, target_of(found))
    return found


@router.put("/agreements/{agreement_id}/rating")
def rate_delivery(agreement_id: AgreementId, body: Opinion, caller: Caller, hub: Hub) -> Rating:
    """Rate what an agreement delivers in this quarter, or change what was said of it."""
    agreement = readable_agreement(hub, caller, agreement_id)
    hub.policy.require(caller, Action.RATING_GIVE, Target.of_agreement(agreement))
    return hub.ratings.rate(agreement_id, body, caller.actor)


@router.post("/ratings/{rating_id}/answer")
def answer_rating(rating_id: str, body: RatingAnswer, caller: Caller, hub: Hub) -> Rating:
    """Answer a rating in the provider's name."""
    found = read_rating(rating_id, caller, hub)
    hub.policy.require(caller, Action.RATING_ANSWER, target_of(found))
    return hub.ratings.answer(rating_id, body.answer, caller.actor)


@router.post("/ratings/{rating_id}/withdrawal")
def withdraw_rating(rating_id: str, caller: Caller, hub: Hub) -> Rating:
    """Take a rating back; it counts no more."""
    found = read_rating(rating_id, caller, hub)
    hub.policy.require(caller, Action.RATING_GIVE, target_of(found))
    return hub.ratings.withdraw(rating_id, caller.actor)


def target_of(rating: Rating) -> Target:
    """Return a rating as policies see it."""
    return Target(id=rating.id, provider=rating.provider, consumer=rating.consumer)


def to_rate(caller: Principal, hub: Services, *, limit: int = LIMIT_DEFAULT) -> tuple[Agreement, ...]:
    """Return the agreements whose deliveries the caller may rate now; nothing for those who may rate none."""
    department = caller.department
    wanted = Target() if department is None else Target(id="new", consumer=department)
    if department is None or not hub.policy.authorise(caller, Action.RATING_GIVE, wanted).allowed:
        return ()
    return hub.ratings.to_rate(department, limit=limit)
