"""Open releases: what was released; a form that checks a table, finds the least coarse levels, and releases it."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from datong.kernel import DatongError, Invalid, Text, Value
from datong.library import Dataset
from datong.sharing import Action, AnonymityReport, AnonymityRule, Generaliser, QuasiColumn, ReleasePlan
from datong.web.api.releases import check_release, download_release, make_release, suggest_release
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

OUT, SENSITIVE = "", "sensitive"
LEVEL_MAX = max(kind.highest for kind in Generaliser)
USUAL: Mapping[str, Generaliser] = {
    "birth_date": Generaliser.AGE,
    "division_code": Generaliser.DIVISION,
    "sex": Generaliser.CATEGORY,
}
"""What most releases make of a column of these elements."""


class Act(StrEnum):
    """What the form is sent for."""

    CHECK = "check"
    SUGGEST = "suggest"
    RELEASE = "release"


class Choice(Value):
    """One column in the form: left out, sensitive, or made coarser in some way to some level."""

    column: str
    title: Text
    role: str
    level: int = 0


@router.get("/releases")
def list_releases(desk: SignedIn, offset: Offset) -> Response:
    """List what was released, and the tables of which something could be."""
    desk.require(Action.RELEASE_READ)
    return desk.page(
        "releases/list.html",
        page=desk.services.open_releases.releases(offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        tables=desk.services.open_releases.releasable() if desk.may(Action.RELEASE_CHECK) else (),
    )


@router.get("/releases/new")
def new_release(desk: SignedIn, dataset: str) -> Response:
    """Show the form for a table, with the usual choices."""
    desk.require(Action.RELEASE_CHECK)
    found = desk.services.library.dataset(dataset)
    choices = [
        Choice(column=column.name, title=column.title, role=USUAL.get(column.element or "", OUT))
        for column in desk.services.open_releases.columns(found)
    ]
    return _form(desk, found, choices, AnonymityRule())


@router.post("/releases/new")
async def work_on_release(desk: SignedIn, dataset: str) -> Response:
    """Check the choices, find the levels of least loss, or release."""
    desk.require(Action.RELEASE_CHECK)
    given = {name: str(value) for name, value in (await desk.request.form()).items()}
    found = desk.services.library.dataset(dataset)
    choices = [
        Choice(
            column=column.name,
            title=column.title,
            role=given.get(f"role:{column.name}", OUT),
            level=_level(given.get(f"level:{column.name}", "")),
        )
        for column in desk.services.open_releases.columns(found)
    ]
    rule = AnonymityRule()
    try:
        rule = AnonymityRule.model_validate({name: given[name] for name in AnonymityRule.model_fields if name in given})
        plan = plan_of(dataset, choices, rule)
    except ValidationError:
        wrong = Invalid(
            "web.release_plan",
            what=Text(
                zh="至少选择一列准标识，各列级别和规则须在范围内。",
                en="Choose at least one quasi-identifier; levels and rule must be within their ranges.",
            ),
            remedy=Text(zh="请对照各栏提示修改。", en="Keep to what stands beside each field."),
        )
        return _form(desk, found, choices, rule, problem=problem_of(wrong))
    try:
        if given.get("act") == Act.RELEASE:
            made = make_release(plan, desk.caller, desk.services)
            return desk.go(f"/releases/{made.id}", done="released")
        if given.get("act") == Act.SUGGEST:
            told = suggest_release(plan, desk.caller, desk.services)
            levels = {one.column: one.level for one in told.plan.quasi}
            choices = [one.model_copy(update={"level": levels.get(one.column, one.level)}) for one in choices]
            return _form(desk, found, choices, rule, report=told.report)
        return _form(desk, found, choices, rule, report=check_release(plan, desk.caller, desk.services))
    except DatongError as error:
        return _form(desk, found, choices, rule, problem=problem_of(error))


@router.get("/releases/{release_id}")
def show_release(desk: SignedIn, release_id: str) -> Response:
    """Show one release: columns and levels, what the rule found, digests, files."""
    desk.require(Action.RELEASE_READ)
    return desk.page("releases/release.html", release=desk.services.open_releases.get(release_id))


@router.get("/releases/{release_id}/{name}")
def download(desk: SignedIn, release_id: str, name: Literal["data.parquet", "data.csv"], request: Request) -> Response:
    """Return a file of a release."""
    return download_release(release_id, name, request, desk.caller, desk.services)


def plan_of(dataset: str, choices: list[Choice], rule: AnonymityRule) -> ReleasePlan:
    """Return what was chosen as a plan; a level above the highest counts as the highest."""
    kinds = {kind.value: kind for kind in Generaliser}
    return ReleasePlan(
        dataset=dataset,
        quasi=tuple(
            QuasiColumn(column=one.column, kind=kinds[one.role], level=min(one.level, kinds[one.role].highest))
            for one in choices
            if one.role in kinds
        ),
        sensitive=tuple(one.column for one in choices if one.role == SENSITIVE),
        rule=rule,
    )


def _level(text: str) -> int:
    return min(int(text), LEVEL_MAX) if text.isascii() and text.isdecimal() else 0


def _form(
    desk: Desk,
    dataset: Dataset,
    choices: list[Choice],
    rule: AnonymityRule,
    *,
    report: AnonymityReport | None = None,
    problem: Problem | None = None,
) -> Response:
    return desk.page(
        "releases/new.html",
        status=HTTPStatus.OK if problem is None else problem.status,
        dataset=dataset,
        choices=choices,
        kinds=tuple(Generaliser),
        rule=rule,
        report=report,
        found=problem,
        level_max=LEVEL_MAX,
        may_release=desk.may(Action.RELEASE_MAKE),
    )
