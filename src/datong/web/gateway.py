"""The gateway: the one way out for single records, by query or by verification (查询、核验).

Its routes are declared like all others, and so described in the OpenAPI document, but run on a short path (`HotRoute`):
a call is parsed, put into the queue of the process, and its answer written, without a thread of its own.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Annotated, get_type_hints

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError

from datong.kernel import ResourceId, Value
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX
from datong.sharing import Asked, CallQueue, GatewayAnswer, Principal, VerifyAnswer
from datong.web.authentication import bearer_token, current_principal, is_machine_token, services_of


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


class Proof(Value):
    """Who calls; `proved`: their credentials were looked up, not only verified. The gateway looks up the others."""

    principal: Principal
    proved: bool


async def caller_of(request: Request) -> Proof:
    """Return who calls. A machine's token is verified here, a session looked up in a thread.

    Raises:
        Unauthenticated, Refused: see `current_principal`.
    """
    bearer = bearer_token(request)
    if bearer is not None and is_machine_token(bearer):
        principal = services_of(request).identity.read_token(bearer)
        return Proof.model_construct(principal=principal, proved=False)
    return Proof(principal=await anyio.to_thread.run_sync(current_principal, request), proved=True)


def calls_of(request: Request) -> CallQueue:
    """Return the queue of this process."""
    calls: CallQueue = request.app.state.calls
    return calls


class HotRoute(APIRoute):
    """A route whose handler takes `resource_id`, a `body`, the caller's `proof` and the `calls`, and returns a value.

    What FastAPI does for any signature (a thread, the dependencies, the answer checked and copied) costs more than a
    call of the gateway does.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Return the handler of a request."""
        endpoint = self.endpoint
        model: type[BaseModel] = get_type_hints(inspect.unwrap(endpoint))["body"]

        async def handle(request: Request) -> Response:
            raw = await request.body()
            proof = await caller_of(request)
            try:
                body = model.model_validate_json(raw)
            except ValidationError as error:
                details = error.errors(include_url=False, include_context=False)
                raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in details]) from error
            answer: BaseModel = await endpoint(
                resource_id=request.path_params["resource_id"], body=body, proof=proof, calls=calls_of(request)
            )
            return Response(answer.model_dump_json(), media_type="application/json")

        return handle


Caller = Annotated[Proof, Depends(caller_of)]
Calls = Annotated[CallQueue, Depends(calls_of)]
router = APIRouter(prefix="/gateway/v1", tags=["gateway"], route_class=HotRoute)


@router.post("/{resource_id}/query")
async def query(resource_id: ResourceId, body: Query, proof: Caller, calls: Calls) -> GatewayAnswer:
    """Return the agreed items of the records that the key names, masked; every call leaves evidence.

    The policy decides inside the service, because the decision needs the agreement.
    """
    asked = Asked(
        proof.principal, resource_id, body.key, body.items, body.purpose, body.case_number, proved=proof.proved
    )
    return GatewayAnswer.model_validate(await calls.answer(asked))


@router.post("/{resource_id}/verify")
async def verify(resource_id: ResourceId, body: Verification, proof: Caller, calls: Calls) -> VerifyAnswer:
    """Say of each claim whether it matches, and nothing else; every call leaves evidence."""
    asked = Asked(
        proof.principal,
        resource_id,
        body.key,
        tuple(body.claims),
        body.purpose,
        body.case_number,
        body.claims,
        proved=proof.proved,
    )
    return VerifyAnswer.model_validate(await calls.answer(asked))
