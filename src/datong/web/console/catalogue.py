"""The catalogue: a resource's page, and the acts of its life."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.catalogue import (
    ChangeImpact,
    ContentDifference,
    Resource,
    ResourceAction,
    ResourceState,
    UseKind,
    assess,
)
from datong.kernel import ResourceId
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Agreement, AgreementState, Target
from datong.web.api.resources import (
    ResourceStepRequest,
    act_on_resource,
    difference_for,
    visible_resource,
)
from datong.web.console.catalogue_review import decisions_for
from datong.web.console.catalogue_work import possible_actions
from datong.web.console.desk import PAGE_ROWS, Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/catalogue/{resource_id}")
def show_resource(desk: SignedIn, resource_id: ResourceId) -> Response:
    """Show a resource: its metadata, items, versions, agreements, and what can be done with it."""
    desk.require(Action.RESOURCE_READ)
    resource = visible_resource(desk.services, desk.caller, resource_id)
    target = Target.of_department(resource.department, name=resource.id)
    inside = desk.may(Action.RESOURCE_READ_UNPUBLISHED, target)
    desk.services.catalogue.discovery.record_use(resource.id, UseKind.VIEW, desk.caller.department, resource.department)
    agreements = desk.services.agreements.find(resource_id=resource_id, state=AgreementState.ACTIVE, limit=PAGE_ROWS)
    return desk.page(
        "catalogue/resource.html",
        resource=resource,
        quality=assess(resource.content, desk.services.pack),
        content=resource.content,
        element_names=_element_names(desk, resource),
        classification=desk.services.pack.classification(resource.content.classification),
        data_category=next(
            (one.name for one in desk.services.pack.data_categories if one.key == resource.content.data_category), None
        ),
        theme=next((theme for theme in desk.services.pack.themes if theme.key == resource.content.theme), None),
        inside=inside,
        versions=desk.services.catalogue.history(resource_id) if inside else (),
        actions=possible_actions(desk, resource),
        may_review=bool(decisions_for(desk, resource)),
        may_request=resource.published_version is not None
        and resource.department != desk.caller.department
        and desk.may(Action.REQUEST_SUBMIT, Target(id="new", consumer=desk.caller.department)),
        agreements=agreements,
        may_edit=resource.state in (ResourceState.DRAFT, ResourceState.RETURNED)
        and desk.may(Action.RESOURCE_EDIT, target),
        breaking=_breaking_for(desk, resource, agreements.rows),
        hints=desk.services.sources.hints(
            resource.department, [(item.column, item.element) for item in resource.content.items]
        ),
        sourced=[
            source
            for source in desk.services.sources.active(
                item.element for item in resource.content.items if item.element is not None
            )
            if source.department == resource.department and source.resource_id in (None, resource.id)
        ],
    )


@router.get("/catalogue/{resource_id}/changes")
def show_changes(desk: SignedIn, resource_id: ResourceId, older: int, newer: int) -> Response:
    """Show what differs between two versions, the breaking changes first."""
    found = difference_for(desk.services, desk.caller, resource_id, older, newer)
    resource = visible_resource(desk.services, desk.caller, resource_id)
    return desk.page("catalogue/changes.html", resource=resource, difference=found, impacts=tuple(ChangeImpact))


@router.post("/catalogue/{resource_id}/actions")
def act(
    desk: SignedIn,
    resource_id: ResourceId,
    action: Annotated[ResourceAction, Form()],
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    position: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Move a resource along its life."""
    step = ResourceStepRequest(action=action, reason=reason, position=position.strip())
    act_on_resource(resource_id, step, desk.caller, desk.services)
    return desk.go(f"/catalogue/{resource_id}", done="resource")


def _breaking_for(desk: Desk, resource: Resource, agreements: Sequence[Agreement]) -> ContentDifference | None:
    """Return what breaks the agreement of the caller's department since the version it names, if anything does."""
    own = [agreement for agreement in agreements if agreement.consumer == desk.caller.department]
    published = resource.published_version
    if not own or published is None:
        return None
    agreed = min(agreement.resource_version for agreement in own)
    if agreed == published:
        return None
    found = desk.services.catalogue.compare(resource.id, agreed, published)
    return found if found.breaking else None


def _element_names(desk: Desk, resource: Resource) -> dict[str, str]:
    """Return the names of the data elements that the resource's items are mapped to."""
    pack = desk.services.pack
    codes = {item.element for item in resource.content.items if item.element and pack.has_element(item.element)}
    return {code: desk.speech.say(pack.element(code).name) for code in codes}
