"""Ratings: what we received and how it was, and what was said of what we deliver."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.governance.satisfaction import (
    ASPECT_NAMES,
    RATING_ACTION_NAMES,
    RATING_STATE_NAMES,
    REASON_CHARS_MAX,
    SCORE_MAX,
    SCORE_MIN,
    Aspect,
    Opinion,
    RatingState,
)
from datong.kernel import AgreementId, Invalid, Text
from datong.sharing import Action, Target
from datong.web.api import ratings as api
from datong.web.api.scope import department_in_scope, readable_agreement
from datong.web.console.desk import PAGE_ROWS, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

POINTS = {
    1: Text(zh="很不满意", en="very poor"),
    2: Text(zh="不满意", en="poor"),
    3: Text(zh="一般", en="fair"),
    4: Text(zh="满意", en="good"),
    5: Text(zh="很满意", en="very good"),
}
WORDS: Mapping[str, object] = {
    "aspects": ASPECT_NAMES,
    "states": RATING_STATE_NAMES,
    "points": POINTS,
    "scores": range(SCORE_MIN, SCORE_MAX + 1),
}
"""What the pages call things."""


@router.get("/ratings")
def list_ratings(desk: SignedIn, offset: Offset, show: str = "") -> Response:
    """Show what waits for being rated, what was said of us, what we said; the authority sees everybody's."""
    party = department_in_scope(desk.services, desk.caller, Action.RATING_READ)
    own = desk.caller.department
    waiting = api.to_rate(desk.caller, desk.services)
    shown = show or ("all" if party is None else "given" if waiting else "received")
    page = desk.services.ratings.find(
        party=party,
        provider=own if shown == "received" else None,
        consumer=own if shown == "given" else None,
        offset=offset,
        limit=PAGE_ROWS,
    )
    return desk.page(
        "ratings/list.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=shown,
        overseer=party is None,
        waiting=waiting,
        summary=None if own is None else desk.services.ratings.summary(own),
        resource_title=desk.resource_title,
        words=WORDS,
    )


@router.get("/ratings/{rating_id}")
def show_rating(desk: SignedIn, rating_id: str) -> Response:
    """Show one rating with its course; its sides can change or answer it."""
    found = api.read_rating(rating_id, desk.caller, desk.services)
    target = api.target_of(found)
    changes = desk.may(Action.RATING_GIVE, target) and desk.now < found.changeable_until
    return desk.page(
        "ratings/rating.html",
        one=found,
        title=desk.resource_title(found.resource_id),
        changes=changes,
        withdraws=changes and found.state is not RatingState.WITHDRAWN,
        answers=found.state is RatingState.GIVEN and desk.may(Action.RATING_ANSWER, target),
        action_names=RATING_ACTION_NAMES,
        words=WORDS,
    )


@router.get("/agreements/{agreement_id}/rating")
def ask_rating(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Show the form in which a delivery is rated."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    desk.require(Action.RATING_GIVE, Target.of_agreement(agreement))
    given = desk.services.ratings.of_delivery(agreement_id)
    return desk.page(
        "ratings/rate.html",
        agreement=agreement,
        given=given,
        open=desk.services.ratings.may_be_rated(agreement),
        reason_max=REASON_CHARS_MAX,
        words=WORDS,
    )


@router.post("/agreements/{agreement_id}/rating")
def rate_delivery(
    desk: SignedIn,
    agreement_id: AgreementId,
    timeliness: Annotated[str, Form(max_length=1)] = "",
    quality: Annotated[str, Form(max_length=1)] = "",
    fit: Annotated[str, Form(max_length=1)] = "",
    support: Annotated[str, Form(max_length=1)] = "",
    reason_timeliness: Annotated[str, Form(max_length=REASON_CHARS_MAX)] = "",
    reason_quality: Annotated[str, Form(max_length=REASON_CHARS_MAX)] = "",
    reason_fit: Annotated[str, Form(max_length=REASON_CHARS_MAX)] = "",
    reason_support: Annotated[str, Form(max_length=REASON_CHARS_MAX)] = "",
) -> Response:
    """Rate a delivery, or change its rating."""
    said = {
        Aspect.TIMELINESS: (timeliness, reason_timeliness),
        Aspect.QUALITY: (quality, reason_quality),
        Aspect.FIT: (fit, reason_fit),
        Aspect.SUPPORT: (support, reason_support),
    }
    scores = {aspect: int(points) for aspect, (points, _) in said.items() if points in {"1", "2", "3", "4", "5"}}
    if not scores:
        raise Invalid(
            "web.form_unusable",
            what=Text(zh="至少评价一项。", en="Rate one aspect at least."),
            remedy=Text(zh="请选择分值后再提交。", en="Choose points and send it again."),
            field="/scores",
        )
    opinion = Opinion(scores=scores, reasons={aspect: reason for aspect, (_, reason) in said.items()})
    found = api.rate_delivery(agreement_id, opinion, desk.caller, desk.services)
    return desk.go(f"/ratings/{found.id}", done="rating")


@router.post("/ratings/{rating_id}/answer")
def answer_rating(
    desk: SignedIn, rating_id: str, answer: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    """Answer a rating."""
    api.answer_rating(rating_id, api.RatingAnswer(answer=answer), desk.caller, desk.services)
    return desk.go(f"/ratings/{rating_id}", done="rating")


@router.post("/ratings/{rating_id}/withdrawal")
def withdraw_rating(desk: SignedIn, rating_id: str) -> Response:
    """Take a rating back."""
    api.withdraw_rating(rating_id, desk.caller, desk.services)
    return desk.go(f"/ratings/{rating_id}", done="rating")
