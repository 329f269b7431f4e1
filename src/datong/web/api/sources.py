"""One source per datum: who holds an element, how far the copies overlap and agree, and who is its source."""

from pydantic import Field

from datong.catalogue import ElementSource, HeldByMany, Objection, Source, SourceHint
from datong.kernel import DepartmentCode, ResourceId, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action
from datong.web.api.resources import visible_resource
from datong.web.api.scope import concerning, own_department
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="sources")


class NewSource(Value):
    """A designation; without a scope it holds for everybody."""

    department: DepartmentCode
    scope: str = Field("", max_length=NAME_CHARS_MAX)
    resource_id: ResourceId | None = None
    legal_basis: str = Field(max_length=TEXT_CHARS_MAX)
    reason: str = Field(max_length=TEXT_CHARS_MAX)


class SourceReason(Value):
    """Why a designation is withdrawn, or objected to."""

    reason: str = Field(max_length=TEXT_CHARS_MAX)


class ObjectionAnswer(Value):
    """The authority's answer to an objection."""

    uphold: bool
    answer: str = Field(max_length=TEXT_CHARS_MAX)


@router.get("/sources")
def list_sources(caller: Caller, hub: Hub) -> tuple[HeldByMany, ...]:
    """Return every element with its holders and sources; those held by most departments first."""
    hub.policy.require(caller, Action.SOURCE_READ)
    return hub.sources.overview()


@router.get("/sources/{element}")
def read_source(element: str, caller: Caller, hub: Hub) -> ElementSource:
    """Return holders, overlaps, ranked candidates, designations, objections and history of one element."""
    hub.policy.require(caller, Action.SOURCE_READ)
    return hub.sources.of_element(element)


@router.post("/sources/{element}/designations", status_code=201)
def designate_source(element: str, body: NewSource, caller: Caller, hub: Hub) -> Source:
    """Designate the source department of an element; an earlier one of the same scope ends."""
    hub.policy.require(caller, Action.SOURCE_DESIGNATE)
    return hub.sources.designate(element=element, actor=caller.actor, **body.model_dump())


@router.post("/source-designations/{source_id}/withdrawal", status_code=201)
def withdraw_source(source_id: str, body: SourceReason, caller: Caller, hub: Hub) -> Source:
    """End a designation without another in its place."""
    hub.policy.require(caller, Action.SOURCE_DESIGNATE)
    return hub.sources.withdraw(source_id, caller.actor, body.reason)


@router.post("/source-designations/{source_id}/objections", status_code=201)
def object_to_source(source_id: str, body: SourceReason, caller: Caller, hub: Hub) -> Objection:
    """Object to a designation in the name of the caller's department."""
    hub.policy.require(caller, Action.SOURCE_OBJECT, concerning(own_department(caller)))
    return hub.sources.object(source_id, caller.actor, body.reason)


@router.post("/source-objections/{objection_id}/answer", status_code=201)
def answer_objection(objection_id: str, body: ObjectionAnswer, caller: Caller, hub: Hub) -> Objection:
    """Uphold or dismiss an objection."""
    hub.policy.require(caller, Action.SOURCE_DESIGNATE)
    return hub.sources.answer(objection_id, caller.actor, uphold=body.uphold, answer=body.answer)


@router.get("/resources/{resource_id}/source-hints")
def list_source_hints(resource_id: ResourceId, caller: Caller, hub: Hub) -> tuple[SourceHint, ...]:
    """Return which items of a resource should be obtained from another department, their source."""
    hub.policy.require(caller, Action.SOURCE_READ)
    found = visible_resource(hub, caller, resource_id)
    return hub.sources.hints(found.department, [(item.column, item.element) for item in found.content.items])
