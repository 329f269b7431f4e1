"""Requests for data: submit a bundle, reply, extend, withdraw."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from datong.kernel import DepartmentCode, Page, RequestId, ResourceId, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import (
    Action,
    MaskKind,
    Prefill,
    PurposeDraft,
    Request,
    RequestAction,
    RequestLine,
    RequestState,
    Target,
)
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope, own_department
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/requests", tag="requests")

LINES_MAX = 200
MASKS_MAX = 1000


class Demand(Value):
    """What is asked for, and what for; one request grows out of each resource and share type."""

    lines: tuple[RequestLine, ...] = Field(max_length=LINES_MAX)
    purpose: PurposeDraft


class Submitted(Value):
    """The requests that a demand became."""

    requests: tuple[Request, ...]


class RequestActRequest(Value):
    """An act on a request; a refusal and an extension need their reason."""

    action: RequestAction
    reason: str = Field("", max_length=TEXT_CHARS_MAX)
    masks: dict[str, MaskKind] = Field({}, max_length=MASKS_MAX)
    """With an approval: by column, masks that show less than the items' grades allow."""


NEEDED = {
    RequestAction.APPROVE: Action.REQUEST_DECIDE,
    RequestAction.REFUSE: Action.REQUEST_DECIDE,
    RequestAction.EXTEND: Action.REQUEST_DECIDE,
    RequestAction.CONSENT_EXTENSION: Action.REQUEST_CONSENT_EXTENSION,
    RequestAction.DENY_EXTENSION: Action.REQUEST_CONSENT_EXTENSION,
    RequestAction.WITHDRAW: Action.REQUEST_WITHDRAW,
}
"""The permission that each act needs."""


@router.post("", status_code=201)
def submit_requests(body: Demand, caller: Caller, hub: Hub) -> Submitted:
    """Submit a demand; what is missing is listed completely and at once (Art. 21)."""
    hub.policy.require(caller, Action.REQUEST_SUBMIT, Target(id="new", consumer=caller.department))
    return Submitted(
        requests=hub.requests.submit(
            consumer=own_department(caller), lines=body.lines, purpose=body.purpose, actor=caller.actor
        )
    )


@router.get("/prefill")
def prefill_request(
    caller: Caller,
    hub: Hub,
    resource: Annotated[list[ResourceId] | None, Query(max_length=LINES_MAX)] = None,
    service_item: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
) -> Prefill:
    """Return what a new request may say, and from where: the service item, earlier requests, the catalogue."""
    hub.policy.require(caller, Action.REQUEST_SUBMIT, Target(id="new", consumer=caller.department))
    registered = hub.service_items.with_code(service_item) if service_item else None
    return hub.requests.prefill(
        own_department(caller), resource or (), service_item=service_item, registered=registered
    )


@router.get("")
def list_requests(
    caller: Caller,
    hub: Hub,
    state: RequestState | None = None,
    overdue: bool = False,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Request]:
    """Return requests, newest first: all of them, or those that concern the caller's department."""
    scope = department_in_scope(hub, caller, Action.REQUEST_READ, department)
    return hub.requests.find(department=scope, state=state, overdue=overdue, offset=offset, limit=limit)


@router.get("/{request_id}")
def read_request(request_id: RequestId, caller: Caller, hub: Hub) -> Request:
    """Return one request."""
    request = hub.requests.get(request_id)
    hub.policy.require(caller, Action.REQUEST_READ, Target.of_request(request))
    return request


@router.put("/{request_id}/purpose")
def amend_request(request_id: RequestId, body: PurposeDraft, caller: Caller, hub: Hub) -> Request:
    """Change the purpose of a request that awaits its reply; the deadline of the reply begins anew."""
    request = hub.requests.get(request_id)
    hub.policy.require(caller, Action.REQUEST_WITHDRAW, Target.of_request(request))
    return hub.requests.amend(request_id, body, caller.actor)


@router.post("/{request_id}/actions")
def act_on_request(request_id: RequestId, body: RequestActRequest, caller: Caller, hub: Hub) -> Request:
    """Approve, refuse, ask for an extension, decide about one, or withdraw."""
    request = hub.requests.get(request_id)
    hub.policy.require(caller, NEEDED[body.action], Target.of_request(request))
    return hub.requests.act(request_id, body.action, caller.actor, body.reason, body.masks)
