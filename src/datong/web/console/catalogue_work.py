"""The cataloguing work list: what is on its way, and one act for several resources."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Form, Query
from fastapi.responses import Response

from datong.catalogue import Resource, ResourceAction, ResourceState
from datong.kernel import DepartmentCode, Invalid, NotFound, Page, ResourceId, Text
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.api.resources import (
    BulkStepRequest,
    act_on_resources,
    permission_for,
    preview_actions_on_resources,
    visible_resource,
)
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()
BULK_ACTIONS = (
    ResourceAction.SIGN_OFF,
    ResourceAction.SUBMIT,
    ResourceAction.APPROVE,
    ResourceAction.PUBLISH,
    ResourceAction.RETURN,
)


def possible_actions(desk: Desk, resource: Resource) -> Sequence[tuple[ResourceAction, bool]]:
    """Return the acts that the state admits and the policy grants to the caller, and whether each needs a reason."""
    target = Target.of_department(resource.department, name=resource.id)
    return [
        (transition.action, transition.needs_reason)
        for transition in desk.services.catalogue.possible(resource)
        if desk.may(permission_for(transition.action), target)
    ]


@router.get("/catalogue/work")
def work_list(
    desk: SignedIn, offset: Offset, state: str = "", department: str = "", ticked: Annotated[str, Query()] = ""
) -> Response:
    """List resources that are on their way; `ticked=all` marks every one of the page, also without JavaScript."""
    if view := desk.opening_view():
        return desk.go(view)
    desk.require(Action.RESOURCE_READ)
    own = desk.caller.department
    everything = desk.may(Action.RESOURCE_READ_UNPUBLISHED)
    scope = (DepartmentCode(department) if department else None) if everything else own
    chosen = ResourceState(state) if state in set(ResourceState) else None
    page: Page[Resource] = Page(rows=(), total=0)
    if everything or own is not None:
        page = desk.services.catalogue.find(department=scope, state=chosen, offset=offset, limit=PAGE_ROWS)
    possible = {resource.id: [action for action, _ in possible_actions(desk, resource)] for resource in page.rows}
    bulk = [action for action in BULK_ACTIONS if any(action in actions for actions in possible.values())]
    return desk.page(
        "catalogue/work.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        state=state,
        states=tuple(ResourceState),
        department=department,
        everything=everything,
        may_draft=own is not None and desk.may(Action.RESOURCE_DRAFT, Target.of_department(own)),
        bulk=bulk,
        ticked=ticked == "all",
        reviewed={
            resource_id
            for resource_id, actions in possible.items()
            if ResourceAction.APPROVE in actions or ResourceAction.PUBLISH in actions
        },
    )


@router.post("/catalogue/work")
def act_on_several(
    desk: SignedIn,
    action: Annotated[ResourceAction, Form()],
    resources: Annotated[list[str] | None, Form(max_length=PAGE_ROWS)] = None,
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    position: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    step: Annotated[Literal["preview", "apply"], Form()] = "apply",
) -> Response:
    """Do one act to each ticked resource, or only look, and show what came, or would come, of each.

    Raises:
        Invalid: none is ticked.
    """
    desk.require(Action.RESOURCE_READ)
    if not resources:
        raise Invalid(
            "catalogue.none_ticked",
            what=Text(zh="没有勾选资源。", en="No resource is ticked."),
            remedy=Text(zh="请返回列表，勾选要办理的资源。", en="Go back to the list and tick what to act on."),
            field="/resources",
        )
    request = BulkStepRequest(
        resource_ids=tuple(ResourceId(one) for one in resources),
        action=action,
        reason=reason,
        position=position.strip(),
    )
    applied = step == "apply"
    carry_out = act_on_resources if applied else preview_actions_on_resources
    outcomes = carry_out(request, desk.caller, desk.services)
    titles = {one.resource_id: _title(desk, one.resource_id) for one in outcomes}
    return desk.page(
        "catalogue/acted.html",
        action=action,
        applied=applied,
        outcomes=outcomes,
        titles=titles,
        reason=reason,
        position=position,
    )


def _title(desk: Desk, resource_id: ResourceId) -> Text:
    """Return the title of a resource that the caller may see; of others only the number that was sent."""
    try:
        return visible_resource(desk.services, desk.caller, resource_id).content.title
    except NotFound:
        return Text(zh=resource_id, en=resource_id)
