"""Statistics with differential privacy: the tables and their budgets, a question, and what was answered."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.kernel import DatongError, Invalid, Text
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import MILLI, Action, BudgetOrder, Question, StatisticKind
from datong.web.api.statistics import ask_statistic, grant_budget
from datong.web.console.desk import PAGE_ROWS, Desk, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/statistics")
def show_statistics(desk: SignedIn, dataset: str = "") -> Response:
    """Show a table's budget, the form and the answers so far; without a table, the first there is."""
    return _page(desk, dataset)


@router.post("/statistics")
async def ask(desk: SignedIn) -> Response:
    """Ask a question; its answer then stands first in the list."""
    given = {name: str(value).strip() for name, value in (await desk.request.form()).items()}
    dataset = given.get("dataset", "")
    try:
        question = question_of(given)
    except ValidationError:
        wrong = Invalid(
            "web.question",
            what=Text(
                zh="合计须有上下限，分布须列出类别，各数须在范围内。",
                en="A sum needs bounds, a histogram its categories; numbers must be within their ranges.",
            ),
            remedy=Text(zh="请对照各栏提示修改。", en="Keep to what stands beside each field."),
        )
        return _page(desk, dataset, problem_of(wrong), given)
    try:
        ask_statistic(question, desk.caller, desk.services)
    except DatongError as error:
        return _page(desk, dataset, problem_of(error), given)
    return desk.go(f"/statistics?dataset={question.dataset}", done="answered")


@router.post("/statistics/budget")
def grant(
    desk: SignedIn,
    dataset: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    granted_milli: Annotated[int, Form(ge=0)],
    statement: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
) -> Response:
    """Set a table's budget."""
    try:
        order = BudgetOrder(granted_milli=granted_milli, statement=statement)
        grant_budget(dataset, order, desk.caller, desk.services)
    except ValidationError:
        wrong = Invalid(
            "web.budget",
            what=Text(zh="预算超出范围。", en="The budget is out of its range."),
            remedy=Text(zh="请填写 0 到 10000。", en="Give 0 to 10000."),
        )
        return _page(desk, dataset, problem_of(wrong))
    except DatongError as error:
        return _page(desk, dataset, problem_of(error))
    return desk.go(f"/statistics?dataset={dataset}", done="budget")


def question_of(given: dict[str, str]) -> Question:
    """Return the question that a form asks; ValidationError if it is none."""
    fields: dict[str, object] = {
        name: given[name]
        for name in ("dataset", "kind", "column", "lower", "upper", "epsilon_milli")
        if given.get(name)
    }
    lines = [line.strip() for line in given.get("categories", "").splitlines()]
    fields["categories"] = [line for line in lines if line]
    if given.get("where_column"):
        fields["where"] = [{"column": given["where_column"], "value": given.get("where_value", "")}]
    return Question.model_validate(fields)


def _page(desk: Desk, dataset: str, problem: Problem | None = None, given: dict[str, str] | None = None) -> Response:
    desk.require(Action.STATISTIC_READ)
    tables = desk.services.statistics.tables()
    chosen = next((one for one in tables if one.name == dataset), tables[0] if tables else None)
    return desk.page(
        "releases/statistics.html",
        status=HTTPStatus.OK if problem is None else problem.status,
        tables=tables,
        chosen=chosen,
        budget=desk.services.statistics.budget(chosen.name) if chosen else None,
        answers=desk.services.statistics.answers(chosen.name, limit=PAGE_ROWS).rows if chosen else (),
        kinds=tuple(StatisticKind),
        given=given or {},
        found=problem,
        milli=MILLI,
        may_ask=desk.may(Action.STATISTIC_ASK),
        may_grant=desk.may(Action.STATISTIC_GRANT),
        statement_max=TEXT_CHARS_MAX,
    )
