"""Satisfaction: what departments say of the data they received, and what its providers answer."""

from datong.governance.satisfaction.rating_book import Ratings
from datong.governance.satisfaction.ratings import (
    ASPECT_NAMES,
    RATING_ACTION_NAMES,
    RATING_STATE_NAMES,
    REASON_CHARS_MAX,
    SCORE_MAX,
    SCORE_MIN,
    Aspect,
    AspectSummary,
    Opinion,
    Rating,
    RatingAct,
    RatingAction,
    RatingState,
    RatingSummary,
)
from datong.governance.satisfaction.state_audit import SATISFACTION_AREAS

__all__ = [
    "ASPECT_NAMES",
    "RATING_ACTION_NAMES",
    "RATING_STATE_NAMES",
    "REASON_CHARS_MAX",
    "SATISFACTION_AREAS",
    "SCORE_MAX",
    "SCORE_MIN",
    "Aspect",
    "AspectSummary",
    "Opinion",
    "Rating",
    "RatingAct",
    "RatingAction",
    "RatingState",
    "RatingSummary",
    "Ratings",
]
