"""The gateway: the one way out for single records, by query or by verification (查询、核验)."""

from fastapi import APIRouter
from pydantic import Field

from datong.kernel import ResourceId, Value
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX
from datong.sharing import GatewayAnswer, VerifyAnswer
from datong.web.authentication import Caller, Hub

router = APIRouter(prefix="/gateway/v1", tags=["gateway"])


class Query(Value):
    """Which record (`key`: one element and its value), which items of it, and what for."""

    key: dict[str, str] = Field(min_length=1, max_length=1)
    items: tuple[str, ...] = Field(max_length=GATEWAY_ITEMS_MAX)
    purpose: str = Field("", max_length=NAME_CHARS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)


class Verification(Value):
    """Which record, which claims about it, and what for."""

    key: dict[str, str] = Field(min_length=1, max_length=1)
    claims: dict[str, str] = Field(max_length=GATEWAY_ITEMS_MAX)
    purpose: str = Field("", max_length=NAME_CHARS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)


@router.post("/{resource_id}/query")
def query(resource_id: ResourceId, body: Query, caller: Caller, hub: Hub) -> GatewayAnswer:
    """Return the agreed items of the records that the key names, masked; every call leaves evidence.

    The policy decides inside the service, because the decision needs the agreement.
    """
    return hub.gateway.query(
        caller, resource_id, key=body.key, items=body.items, purpose=body.purpose, case_number=body.case_number
    )


@router.post("/{resource_id}/verify")
def verify(resource_id: ResourceId, body: Verification, caller: Caller, hub: Hub) -> VerifyAnswer:
    """Say of each claim whether it matches, and nothing else; every call leaves evidence."""
    return hub.gateway.verify(
        caller, resource_id, key=body.key, claims=body.claims, purpose=body.purpose, case_number=body.case_number
    )
