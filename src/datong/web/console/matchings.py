"""Private matching (隐私求交): what was matched with whom, a proposal, and approving or refusing one."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.catalogue import ResourceState
from datong.kernel import DatongError, DepartmentCode, Invalid, Text
from datong.kernel.limits import NAME_CHARS_MAX, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.sharing import (
    COMMON_MIN_LEAST,
    MATCHED_ELEMENTS,
    SIZE_MAX,
    SIZE_MIN_LEAST,
    Action,
    MatchingAction,
    MatchingDraft,
    MatchingState,
    Reveal,
    Target,
)
from datong.web.api.matchings import (
    MatchingActRequest,
    act_on_matching,
    list_matchings,
    propose_matching,
    readable_matching,
)
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()
SEPARATOR = "|"
"""Between a resource's id and a column in the form: neither has one."""
TONES = {
    MatchingState.PROPOSED: "warn",
    MatchingState.APPROVED: "info",
    MatchingState.DONE: "good",
    MatchingState.FAILED: "bad",
}


@router.get("/matchings")
def show_matchings(desk: SignedIn, offset: Offset) -> Response:
    """Show the matchings of the caller's department, and the form of a proposal."""
    return _page(desk, offset=offset)


@router.post("/matchings")
async def propose(desk: SignedIn) -> Response:
    """Propose what the form says."""
    given = {name: str(value).strip() for name, value in (await desk.request.form()).items()}
    try:
        draft = draft_of(given)
    except ValidationError:
        wrong = Invalid(
            "web.matching",
            what=Text(
                zh="请选择双方的列，写明目的和依据，并按范围填写下限。",
                en="Choose both columns, and fill in every field.",
            ),
            remedy=Text(zh="请对照各栏提示修改。", en="Keep to what stands beside each field."),
        )
        return _page(desk, problem_of(wrong), given)
    try:
        made = propose_matching(draft, desk.caller, desk.services)
    except DatongError as error:
        return _page(desk, problem_of(error), given)
    return desk.go(f"/matchings/{made.terms.id}", done="matching")


@router.get("/matchings/{matching_id}")
def show_matching(desk: SignedIn, matching_id: str) -> Response:
    """Show one matching: its terms, what each side has done, and what came of it."""
    found = readable_matching(desk.services, desk.caller, matching_id)
    own = desk.caller.department
    proposer, other = found.terms.departments
    decides = own is not None and desk.may(Action.MATCHING_DECIDE, Target.of_department(own))
    actions: list[MatchingAction] = []
    if decides and found.state is MatchingState.PROPOSED and own == other:
        actions = [MatchingAction.APPROVE, MatchingAction.REFUSE]
    elif decides and found.state.open and own == proposer:
        actions = [MatchingAction.WITHDRAW]
    return desk.page(
        "matchings/matching.html",
        found=found,
        sides=(("proposer", found.terms.proposer), ("other", found.terms.other)),
        tones=TONES,
        actions=actions,
        title_of=desk.resource_title,
    )


@router.post("/matchings/{matching_id}/actions")
def act(desk: SignedIn, matching_id: str, action: Annotated[MatchingAction, Form()]) -> Response:
    """Approve, refuse or withdraw."""
    act_on_matching(matching_id, MatchingActRequest(action=action), desk.caller, desk.services)
    return desk.go(f"/matchings/{matching_id}", done="matching")


def draft_of(given: dict[str, str]) -> MatchingDraft:
    """Return the proposal that a form makes; ValidationError if it is none."""
    own_resource, _, own_column = given.get("own", "").partition(SEPARATOR)
    other_resource, _, other_column = given.get("other", "").partition(SEPARATOR)
    fields: dict[str, object] = {
        name: given[name] for name in ("purpose", "legal_basis", "reveal", "size_min", "common_min") if given.get(name)
    }
    chosen = {"own_resource": own_resource, "own_column": own_column}
    return MatchingDraft.model_validate(
        {**fields, **chosen, "other_resource": other_resource, "other_column": other_column}
    )


def _page(
    desk: Desk, found: Problem | None = None, given: dict[str, str] | None = None, *, offset: int = 0
) -> Response:
    own = desk.caller.department
    page = list_matchings(desk.caller, desk.services, offset=offset, limit=PAGE_ROWS)
    proposes = own is not None and desk.may(Action.MATCHING_DECIDE, Target.of_department(own))
    columns = _columns(desk) if proposes else []
    return desk.page(
        "matchings/list.html",
        status=HTTPStatus.OK if found is None else found.status,
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        found=found,
        given=given or {},
        proposes=proposes,
        own=[one for one in columns if one[0] == own],
        others=[one for one in columns if one[0] != own],
        reveals=tuple(Reveal),
        tones=TONES,
        title_of=desk.resource_title,
        size_least=SIZE_MIN_LEAST,
        common_least=COMMON_MIN_LEAST,
        size_max=SIZE_MAX,
        words_max=TEXT_CHARS_MAX,
        name_max=NAME_CHARS_MAX,
    )


def _columns(desk: Desk) -> list[tuple[DepartmentCode, str, str]]:
    """Return the columns that sets may be made of: department, value of the form, and what it is called."""
    say = desk.speech.say
    found = desk.services.catalogue.find(state=ResourceState.PUBLISHED, limit=PAGE_ROWS_MAX).rows
    return [
        (one.department, f"{one.id}{SEPARATOR}{item.column}", f"{say(one.content.title)} · {say(item.name)}")
        for one in found
        if one.content.binding is not None
        for item in one.content.items
        if item.element in MATCHED_ELEMENTS
    ]
