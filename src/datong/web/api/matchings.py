"""Private matching (隐私求交): proposing and approving for officers, signatures and sealed parts for nodes."""

from typing import Annotated

from fastapi import Header, Path, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from datong.kernel import Invalid, NodeId, Page, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import (
    Action,
    Matching,
    MatchingAction,
    MatchingDraft,
    MatchingPart,
    MatchingReport,
    MatchingStep,
    NodeWord,
    Principal,
    Target,
)
from datong.web.api.nodes import own_node
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, own_department
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/matchings", tag="matchings")
MatchingId = Annotated[str, Path(max_length=NAME_CHARS_MAX)]
BINARY = "application/octet-stream"


class MatchingActRequest(Value):
    """Approve or refuse what another department proposes, or withdraw what the own one proposed."""

    action: MatchingAction


@router.get("")
def list_matchings(caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT) -> Page[Matching]:
    """Return the matchings of the caller's department, newest first; for the authority and auditors, all."""
    if hub.policy.authorise(caller, Action.MATCHING_READ).allowed:
        return hub.matchings.find(None, offset=offset, limit=limit)
    department = own_department(caller)
    hub.policy.require(caller, Action.MATCHING_READ, Target(id=department, provider=department, consumer=department))
    return hub.matchings.find(department, offset=offset, limit=limit)


@router.post("", status_code=201)
def propose_matching(body: MatchingDraft, caller: Caller, hub: Hub) -> Matching:
    """Propose a matching to another department; its data officer then approves or refuses it."""
    hub.policy.require(caller, Action.MATCHING_DECIDE, Target.of_department(own_department(caller)))
    return hub.matchings.propose(body, caller.actor)


@router.get("/work")
def take_matching_work(caller: Caller, hub: Hub) -> tuple[Matching, ...]:
    """Return the approved matchings in which the calling node takes part."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    return hub.matchings.work(NodeId(caller.actor.id), own_department(caller))


@router.get("/{matching_id}")
def read_matching(matching_id: MatchingId, caller: Caller, hub: Hub) -> Matching:
    """Return a matching to its parties, the authority and auditors."""
    return readable_matching(hub, caller, matching_id)


@router.post("/{matching_id}/actions")
def act_on_matching(matching_id: MatchingId, body: MatchingActRequest, caller: Caller, hub: Hub) -> Matching:
    """Approve, refuse or withdraw."""
    readable_matching(hub, caller, matching_id)
    hub.policy.require(caller, Action.MATCHING_DECIDE, Target.of_department(own_department(caller)))
    return hub.matchings.act(matching_id, body.action, caller.actor)


@router.post("/{matching_id}/signatures", status_code=201)
def sign_matching(matching_id: MatchingId, body: NodeWord, caller: Caller, hub: Hub) -> Matching:
    """Take the calling node's signature of the terms, with its key for this matching."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    return hub.matchings.sign(matching_id, body, caller.actor)


@router.put(
    "/{matching_id}/parts",
    openapi_extra={"requestBody": {"required": True, "content": {BINARY: {}}}},
)
async def hand_in_part(
    matching_id: MatchingId,
    request: Request,
    caller: Caller,
    hub: Hub,
    datong_matching_part: Annotated[str, Header(max_length=2_000, description="The part's signed head, JSON.")],
) -> Matching:
    """Keep a sealed part for the other node."""
    sealed = await request.body()

    def keep() -> Matching:
        hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
        try:
            part = MatchingPart.model_validate_json(datong_matching_part)
        except ValidationError as error:
            raise other_matching() from error
        if part.matching_id != matching_id:
            raise other_matching()
        return hub.matchings.hand_in(part, sealed, caller.actor)

    return await run_in_threadpool(keep)


@router.get("/{matching_id}/parts/{step}/{number}", response_class=Response, responses=told_in(BINARY))
def fetch_part(
    matching_id: MatchingId, step: MatchingStep, number: Annotated[int, Path(ge=0, le=99)], caller: Caller, hub: Hub
) -> Response:
    """Return a sealed part that the other node handed in."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    return Response(hub.matchings.part(matching_id, step, number, caller.actor), media_type=BINARY)


@router.post("/{matching_id}/reports", status_code=201)
def report_matching(matching_id: MatchingId, body: MatchingReport, caller: Caller, hub: Hub) -> Matching:
    """Take the calling node's word on how the matching ended: sizes only."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    if body.matching_id != matching_id:
        raise other_matching()
    return hub.matchings.report(body, caller.actor)


def readable_matching(hub: Services, caller: Principal, matching_id: str) -> Matching:
    """Return a matching that the caller may know of.

    Raises:
        NotFound: there is none. Refused: it concerns other departments.
    """
    found = hub.matchings.get(matching_id)
    proposer, other = found.terms.departments
    hub.policy.require(caller, Action.MATCHING_READ, Target(id=matching_id, provider=other, consumer=proposer))
    return found


def other_matching() -> Invalid:
    """Return the error of a head or report that is malformed or of another matching."""
    return Invalid(
        "web.matching_part_malformed",
        what=Text(zh="求交数据的抬头不合规，或属于另一次求交。", en="The head is malformed, or of another matching."),
        remedy=Text(zh="请升级前置机后重试。", en="Use a current node."),
    )
