"""Statistics with differential privacy: budgets, questions, and what was answered."""

from typing import Annotated

from pydantic import Field

from datong.kernel import Page
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, Answer, Budget, BudgetOrder, Question
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/statistics", tag="statistics")

DatasetName = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


@router.post("", status_code=201)
def ask_statistic(body: Question, caller: Caller, hub: Hub) -> Answer:
    """Answer a question with noise; its cost is taken from the table's budget."""
    hub.policy.require(caller, Action.STATISTIC_ASK)
    return hub.statistics.ask(body, caller.actor)


@router.get("/{dataset}")
def list_statistics(
    dataset: DatasetName, caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT
) -> Page[Answer]:
    """Return what was answered about a table, newest first."""
    hub.policy.require(caller, Action.STATISTIC_READ)
    return hub.statistics.answers(dataset, offset=offset, limit=limit)


@router.get("/{dataset}/budget")
def read_budget(dataset: DatasetName, caller: Caller, hub: Hub) -> Budget:
    """Return what the answers about a table may cost in all, and have cost."""
    hub.policy.require(caller, Action.STATISTIC_READ)
    return hub.statistics.budget(dataset)


@router.put("/{dataset}/budget")
def grant_budget(dataset: DatasetName, body: BudgetOrder, caller: Caller, hub: Hub) -> Budget:
    """Set what the answers about a table may cost in all."""
    hub.policy.require(caller, Action.STATISTIC_GRANT)
    return hub.statistics.grant(dataset, body, caller.actor)
