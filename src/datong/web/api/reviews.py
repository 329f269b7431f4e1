"""Clerical review of linkage: the queue of doubtful pairs, decisions about them, and the threshold tool."""

from typing import Annotated

from pydantic import Field

from datong.kernel import Page
from datong.kernel.limits import NAME_CHARS_MAX
from datong.library import (
    LearnedWeights,
    OperatingPoint,
    PairDecision,
    PairVerdict,
    ReviewPair,
    ReviewView,
    WeightsOrder,
)
from datong.sharing import Action
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/libraries/{name}", tag="review")

LibraryName = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


@router.get("/review")
def list_pairs(
    name: LibraryName,
    caller: Caller,
    hub: Hub,
    postponed: bool = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[ReviewPair]:
    """Return the pairs of the current version that wait for a decision, the most doubtful first."""
    hub.policy.require(caller, Action.LIBRARY_REVIEW)
    return hub.reviews.queue(name, postponed=postponed, offset=offset, limit=limit)


@router.get("/review/{version}/{number}")
def read_pair(name: LibraryName, version: int, number: int, caller: Caller, hub: Hub) -> ReviewView:
    """Return one pair with both records side by side, and what speaks for and against it."""
    hub.policy.require(caller, Action.LIBRARY_REVIEW)
    return hub.reviews.view(name, version, number)


@router.post("/review/{version}/{number}/decision", status_code=201)
def decide_pair(
    name: LibraryName, version: int, number: int, body: PairVerdict, caller: Caller, hub: Hub
) -> PairDecision:
    """Decide: the same, different, or later. The next build keeps to it."""
    hub.policy.require(caller, Action.LIBRARY_REVIEW)
    return hub.reviews.decide(name, version, number, body, actor=caller.actor)


@router.get("/decisions")
def list_decisions(
    name: LibraryName, caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT
) -> Page[PairDecision]:
    """Return the decisions about a library's pairs, newest first."""
    hub.policy.require(caller, Action.LIBRARY_REVIEW)
    return hub.reviews.decisions(name, offset=offset, limit=limit)


@router.post("/decisions/{decision_id}/withdraw", status_code=201)
def withdraw_decision(name: LibraryName, decision_id: str, caller: Caller, hub: Hub) -> PairDecision:
    """Withdraw a decision; no later build keeps to it."""
    hub.policy.require(caller, Action.LIBRARY_REVIEW)
    hub.library.definition(name)
    return hub.reviews.withdraw(decision_id, actor=caller.actor)


@router.get("/thresholds")
def read_thresholds(name: LibraryName, caller: Caller, hub: Hub) -> tuple[OperatingPoint, ...]:
    """Return, per threshold, how many compared pairs would join, and the model's estimate of precision and recall."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.operating_points(name)


@router.get("/weights")
def list_weights(name: LibraryName, caller: Caller, hub: Hub) -> tuple[LearnedWeights, ...]:
    """Return the weights that were learned from people's decisions, newest first."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.weights.all(name)


@router.post("/weights", status_code=201)
def train_weights(name: LibraryName, caller: Caller, hub: Hub) -> LearnedWeights:
    """Learn weights from the decisions in force and propose them; no build uses them before somebody says so."""
    hub.policy.require(caller, Action.LIBRARY_REVIEW)
    return hub.library.weights.train(name, actor=caller.actor)


@router.get("/weights/{number}")
def read_weights(name: LibraryName, number: int, caller: Caller, hub: Hub) -> LearnedWeights:
    """Return learned weights with their report: scores on the decisions before and after, and every level's change."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.weights.get(name, number)


@router.post("/weights/{number}/decision", status_code=201)
def decide_weights(name: LibraryName, number: int, body: WeightsOrder, caller: Caller, hub: Hub) -> LearnedWeights:
    """Put proposed weights in force, decline them, or end those in force."""
    hub.policy.require(caller, Action.LIBRARY_DEFINE)
    return hub.library.weights.decide(name, number, body, actor=caller.actor)
