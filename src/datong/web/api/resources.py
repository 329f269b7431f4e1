"""The catalogue: resources, their versions and their way through review, and the search."""

from fastapi import Response
from pydantic import Field

from datong.catalogue import (
    ContentDifference,
    FieldComment,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceState,
    ResourceStep,
    ResourceVersion,
    content_digest,
)
from datong.kernel import DatongError, DepartmentCode, Page, ResourceId, Text, Value
from datong.kernel.limits import FIELD_COMMENTS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="catalogue")

OWN_ACTIONS = frozenset(
    {
        ResourceAction.SUBMIT,
        ResourceAction.WITHDRAW,
        ResourceAction.REVISE,
        ResourceAction.DISCARD,
        ResourceAction.DROP,
    }
)
"""What the providing department's officer does with a resource; its head signs, and the rest is the authority's."""
BULK_RESOURCES_MAX = 200


class NewResource(Value):
    """A draft; `department` is the caller's own unless an operator says otherwise."""

    content: ResourceContent
    department: DepartmentCode | None = None


class ResourceEdit(Value):
    """New content for a draft, and the version it was made from.

    `expected_digest` is the `ETag` of the answer that the edit was made from: given, nobody's work is overwritten.
    """

    content: ResourceContent
    expected_version: int
    expected_digest: str = Field("", max_length=64)


class ResourceStepRequest(Value):
    """An action of the resource's life, with the reason where one is needed.

    `comments` say what is wrong in which field of a returned entry; `position` is that of the head who signs;
    `expected_digest` is the `ETag` of the answer that was looked at: given, nothing unseen is decided upon.
    """

    action: ResourceAction
    reason: str = Field("", max_length=TEXT_CHARS_MAX)
    comments: tuple[FieldComment, ...] = Field((), max_length=FIELD_COMMENTS_MAX)
    position: str = Field("", max_length=NAME_CHARS_MAX)
    expected_digest: str = Field("", max_length=64)


class BulkStepRequest(Value):
    """One action for several resources; each is its own transaction, and one that fails stops none of the others."""

    resource_ids: tuple[ResourceId, ...] = Field(min_length=1, max_length=BULK_RESOURCES_MAX)
    action: ResourceAction
    reason: str = Field("", max_length=TEXT_CHARS_MAX)
    position: str = Field("", max_length=NAME_CHARS_MAX)


class BulkOutcome(Value):
    """What became of one resource: its new state, or the code, cause and remedy of what stood in the way."""

    resource_id: ResourceId
    done: bool
    state: ResourceState | None = None
    code: str = ""
    what: Text | None = None
    remedy: Text | None = None


@router.post("/resources", status_code=201)
def draft_resource(body: NewResource, caller: Caller, hub: Hub) -> Resource:
    """Draft a resource; the draft of the same table is updated instead of doubled."""
    department = body.department or caller.department or DepartmentCode("")
    hub.policy.require(caller, Action.RESOURCE_DRAFT, Target.of_department(department))
    return hub.catalogue.draft(department, body.content, caller.actor)


@router.get("/resources")
def list_resources(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    state: ResourceState | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Resource]:
    """Return resources: every state of those the caller may review, the published ones of others."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    scope = department or DepartmentCode("")
    if not hub.policy.authorise(caller, Action.RESOURCE_READ_UNPUBLISHED, Target.of_department(scope)).allowed:
        state = ResourceState.PUBLISHED
    return hub.catalogue.find(department=department, state=state, offset=offset, limit=limit)


@router.get("/resources/{resource_id}")
def read_resource(resource_id: ResourceId, caller: Caller, hub: Hub, response: Response) -> Resource:
    """Return the working version to its own side and the authority, the published one to everybody else."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    resource = visible_resource(hub, caller, resource_id)
    response.headers["ETag"] = f'"{content_digest(resource.content)}"'
    return resource


@router.put("/resources/{resource_id}")
def edit_resource(
    resource_id: ResourceId, body: ResourceEdit, caller: Caller, hub: Hub, response: Response
) -> Resource:
    """Replace the content of a draft."""
    resource = hub.catalogue.get(resource_id)
    hub.policy.require(caller, Action.RESOURCE_EDIT, Target.of_department(resource.department, name=resource.id))
    edited = hub.catalogue.edit(
        resource_id, body.content, caller.actor, body.expected_version, expected_digest=body.expected_digest
    )
    response.headers["ETag"] = f'"{content_digest(edited.content)}"'
    return edited


@router.post("/resources/{resource_id}/actions")
def act_on_resource(resource_id: ResourceId, body: ResourceStepRequest, caller: Caller, hub: Hub) -> Resource:
    """Move a resource along its life: sign_off, submit, approve, return, publish, unpublish, revise, retire …"""
    resource = hub.catalogue.get(resource_id)
    hub.policy.require(caller, permission_for(body.action), Target.of_department(resource.department, name=resource.id))
    return hub.catalogue.act(
        resource_id,
        body.action,
        caller.actor,
        body.reason,
        comments=body.comments,
        position=body.position,
        expected_digest=body.expected_digest,
    )


@router.post("/resources/actions")
def act_on_resources(body: BulkStepRequest, caller: Caller, hub: Hub) -> tuple[BulkOutcome, ...]:
    """Do one action to several resources, each in its own transaction, and say of each what came of it."""
    step = ResourceStepRequest(action=body.action, reason=body.reason, position=body.position)
    return tuple(_outcome(resource_id, step, caller, hub) for resource_id in dict.fromkeys(body.resource_ids))


@router.post("/resources/actions/preview")
def preview_actions_on_resources(body: BulkStepRequest, caller: Caller, hub: Hub) -> tuple[BulkOutcome, ...]:
    """Say of each resource whether the action is possible now, and to which state it leads; nothing is done."""
    step = ResourceStepRequest(action=body.action, reason=body.reason, position=body.position)
    return tuple(_foreseen(resource_id, step, caller, hub) for resource_id in dict.fromkeys(body.resource_ids))


def _foreseen(resource_id: ResourceId, step: ResourceStepRequest, caller: Principal, hub: Services) -> BulkOutcome:
    try:
        target = Target.of_department(hub.catalogue.get(resource_id).department, name=resource_id)
        hub.policy.require(caller, permission_for(step.action), target)
        state = hub.catalogue.foresee(resource_id, step.action, caller.actor, step.reason)
    except DatongError as error:
        return BulkOutcome(resource_id=resource_id, done=False, code=error.code, what=error.what, remedy=error.remedy)
    return BulkOutcome(resource_id=resource_id, done=True, state=state)


def _outcome(resource_id: ResourceId, step: ResourceStepRequest, caller: Principal, hub: Services) -> BulkOutcome:
    try:
        moved = act_on_resource(resource_id, step, caller, hub)
    except DatongError as error:
        return BulkOutcome(resource_id=resource_id, done=False, code=error.code, what=error.what, remedy=error.remedy)
    return BulkOutcome(resource_id=resource_id, done=True, state=moved.state)


@router.get("/resources/{resource_id}/versions")
def list_resource_versions(resource_id: ResourceId, caller: Caller, hub: Hub) -> tuple[ResourceVersion, ...]:
    """Return every version, newest first."""
    resource = hub.catalogue.get(resource_id)
    hub.policy.require(
        caller, Action.RESOURCE_READ_UNPUBLISHED, Target.of_department(resource.department, name=resource.id)
    )
    return hub.catalogue.history(resource_id)


@router.get("/resources/{resource_id}/versions/{older}/diff/{newer}")
def compare_resource_versions(
    resource_id: ResourceId, older: int, newer: int, caller: Caller, hub: Hub
) -> ContentDifference:
    """Return what differs between two versions, and whether it breaks what consumers rely on.

    Others than the resource's own side compare only versions that were published, of a resource that is.
    """
    return difference_for(hub, caller, resource_id, older, newer)


@router.get("/resources/{resource_id}/steps")
def list_resource_steps(resource_id: ResourceId, caller: Caller, hub: Hub) -> tuple[ResourceStep, ...]:
    """Return every act in the resource's life, with its reason, comments and ledger entry, oldest first."""
    resource = hub.catalogue.get(resource_id)
    hub.policy.require(
        caller, Action.RESOURCE_READ_UNPUBLISHED, Target.of_department(resource.department, name=resource.id)
    )
    return hub.catalogue.steps(resource_id)


def difference_for(
    hub: Services, caller: Principal, resource_id: ResourceId, older: int, newer: int
) -> ContentDifference:
    """Return what differs between two versions, as far as `caller` may see them.

    Raises:
        NotFound: a version does not exist, or is not for the caller to see.
    """
    hub.policy.require(caller, Action.RESOURCE_READ)
    resource = hub.catalogue.get(resource_id)
    target = Target.of_department(resource.department, name=resource.id)
    if not hub.policy.authorise(caller, Action.RESOURCE_READ_UNPUBLISHED, target).allowed:
        hub.catalogue.published(resource_id)
        for number in (older, newer):
            hub.catalogue.published_once(resource_id, number)
    return hub.catalogue.compare(resource_id, older, newer)


def permission_for(action: ResourceAction) -> Action:
    """Return the permission that an act on a resource needs."""
    if action is ResourceAction.SIGN_OFF:
        return Action.RESOURCE_SIGN_OFF
    return Action.RESOURCE_EDIT if action in OWN_ACTIONS else Action.RESOURCE_REVIEW


def visible_resource(hub: Services, caller: Principal, resource_id: ResourceId) -> Resource:
    """Return the version of a resource that `caller` may see.

    Raises:
        NotFound: there is none.
    """
    resource = hub.catalogue.get(resource_id)
    target = Target.of_department(resource.department, name=resource.id)
    if hub.policy.authorise(caller, Action.RESOURCE_READ_UNPUBLISHED, target).allowed:
        return resource
    return hub.catalogue.published(resource_id)
