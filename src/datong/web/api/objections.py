"""Objections of citizens to uses of their data, and the answers."""

from pydantic import Field

from datong.kernel import AccessId, DepartmentCode, Page, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Objection, ObjectionAction, Target
from datong.web.api.consents import own_target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.api.uses import own_subject
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="citizen")


class NewObjection(Value):
    """Why the citizen objects to a use."""

    access_id: AccessId
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class ObjectionAnswer(Value):
    """Whether an objection is upheld, and the reasons."""

    action: ObjectionAction
    answer: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


@router.get("/me/objections")
def list_own_objections(caller: Caller, hub: Hub) -> tuple[Objection, ...]:
    """Return the caller's objections with their answers."""
    hub.policy.require(caller, Action.OBJECTION_OWN, own_target(caller.actor.id))
    return hub.objections.of_subject(own_subject(caller))


@router.post("/me/objections", status_code=201)
def object_to_use(body: NewObjection, caller: Caller, hub: Hub) -> Objection:
    """Object to one use of the caller's own data; the department answers in time, with reasons."""
    hub.policy.require(caller, Action.OBJECTION_OWN, own_target(caller.actor.id))
    return hub.objections.make(body.access_id, own_subject(caller), body.statement, actor=caller.actor)


@router.post("/me/objections/{objection_id}/withdrawal", status_code=201)
def withdraw_objection(objection_id: str, caller: Caller, hub: Hub) -> Objection:
    """Take back one's own objection."""
    hub.policy.require(caller, Action.OBJECTION_OWN, own_target(caller.actor.id))
    return hub.objections.withdraw(objection_id, own_subject(caller), actor=caller.actor)


@router.get("/objections")
def list_objections(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    waiting: bool = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Objection]:
    """Return objections to what departments did: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.OBJECTION_READ, department)
    return hub.objections.find(consumer=scope, waiting=waiting, offset=offset, limit=limit)


@router.post("/objections/{objection_id}/answer")
def answer_objection(objection_id: str, body: ObjectionAnswer, caller: Caller, hub: Hub) -> Objection:
    """Uphold or dismiss an objection, with the reasons."""
    objection = hub.objections.get(objection_id)
    hub.policy.require(caller, Action.OBJECTION_ANSWER, Target(id=objection.id, department=objection.consumer))
    return hub.objections.answer(objection_id, body.action, body.answer, actor=caller.actor)
