"""The gateway: the one way out for single records, by query or by verification (查询、核验).

Its routes are declared like all others, and so described in the OpenAPI document, but run on a short path (`HotRoute`,
`HotCalls`): a call is parsed, put into the queue of the process, and its answer written, without a thread of its own.
"""

import inspect
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Annotated, NamedTuple, get_type_hints

import anyio.to_thread
from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from datong.kernel import (
    ActorKind,
    DatongError,
    Invalid,
    JsonValue,
    ResourceId,
    Text,
    Unauthenticated,
    Value,
    canonical_json,
    sha256_hex,
)
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX
from datong.sharing import (
    Asked,
    CallQueue,
    GatewayAnswer,
    Once,
    Principal,
    QuotaState,
    Reply,
    SignedCalls,
    SignedHeaders,
    SigningSecret,
    VerifyAnswer,
    once_of,
)
from datong.sharing.applications import CallOutcome
from datong.web.authentication import (
    Caller,
    bearer_token,
    current_principal,
    header_of,
    is_machine_token,
    services_of,
)
from datong.web.problems import (
    INTERNAL,
    ProblemDocument,
    expected_problem,
    language_of,
    problem_document,
    problem_of,
    problem_response,
)
from datong.web.routing import machine_routes

SUBJECTS_MAX = 100
"""Records that one call may verify."""
IDEMPOTENCY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
CALLER = "datong.caller"
"""Where a request keeps who calls."""
REPLIED = "datong.replied"
"""Where the state of a request keeps what became of its call, if that is known already."""
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_PATH = re.compile(r"/gateway/v1/([^/]+)/(query|verify|verify/batch)")


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


class Subject(Value):
    """One record of a call about several; its own case number, if it is not that of the call."""

    key: dict[str, str] = Field(min_length=1, max_length=1)
    claims: dict[str, str] = Field(max_length=GATEWAY_ITEMS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)


class BatchVerification(Value):
    """Claims about several records, each judged, limited and recorded by itself."""

    subjects: tuple[Subject, ...] = Field(min_length=1, max_length=SUBJECTS_MAX)
    purpose: str = Field("", max_length=NAME_CHARS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)


class SubjectResult(Value):
    """What became of one record: the answer, or the problem that this one met."""

    answer: VerifyAnswer | None = None
    problem: ProblemDocument | None = None


class BatchVerifyAnswer(Value):
    """What became of each record, in the order in which they were asked about."""

    results: tuple[SubjectResult, ...]


class Proof(Value):
    """Who calls; `proved`: their credentials were looked up, not only verified. The gateway looks up the others.

    `signed` are the headers of a call in the national platform's style.
    """

    principal: Principal
    proved: bool
    signed: SignedHeaders | None = None


async def caller_of(request: Request) -> Proof:
    """Return who calls. A machine's token or signature is verified here, a session looked up in a thread.

    Raises:
        Unauthenticated, Refused: see `current_principal`, `SignedCalls.verify`.
    """
    bearer = bearer_token(request)
    if bearer is not None and is_machine_token(bearer):
        principal = services_of(request).identity.read_token(bearer)
        return Proof.model_construct(principal=principal, proved=False, signed=None)
    signed = None if bearer is not None else SignedHeaders.of(request.headers)
    if signed is not None:
        signers: SignedCalls = services_of(request).signed_calls
        signers.verify(signed, ResourceId(request.path_params["resource_id"]))
        known = signers.known(signed)
        if known is None:
            known = await anyio.to_thread.run_sync(signers.principal_of, signed)
        return Proof.model_construct(principal=known, proved=False, signed=signed)
    return Proof(principal=await anyio.to_thread.run_sync(current_principal, request), proved=True)


def calls_of(request: Request) -> CallQueue:
    """Return the queue of this process."""
    calls: CallQueue = request.app.state.calls
    return calls


class HotRoute(APIRoute):
    """A route whose handler takes `resource_id`, a `body`, the caller's `proof`, the `calls`, the `request` and the
    Idempotency-Key, and returns an answer.

    What FastAPI does for any signature (a thread, the dependencies, the answer checked and copied) costs more than a
    call of the gateway does.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Return the handler of a request."""
        endpoint = self.endpoint
        model: type[BaseModel] = get_type_hints(inspect.unwrap(endpoint))["body"]

        async def handle(request: Request) -> Response:
            raw = await _body_of(request)
            proof = await caller_of(request)
            request.scope[CALLER] = proof.principal.actor
            try:
                body = model.model_validate_json(raw)
            except ValidationError as error:
                details = error.errors(include_url=False, include_context=False)
                raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in details]) from error
            response: Response = await endpoint(
                resource_id=request.path_params["resource_id"],
                body=body,
                proof=proof,
                calls=calls_of(request),
                request=request,
                idempotency_key=header_of(request.scope, b"idempotency-key"),
            )
            return response

        return handle


class Taken(NamedTuple):
    """What became of a call that was put into the queue: a reply or an error, and who called."""

    principal: Principal
    result: Reply | BaseException


def is_hot(scope: Scope) -> bool:
    """Whether a request is a call that `HotCalls` serves."""
    return scope["type"] == "http" and scope["method"] == "POST" and _PATH.fullmatch(scope["path"]) is not None


async def _body_of(request: Request) -> bytes:
    """Return a request's body; most come in one message, which needs none of Starlette's stream."""
    message = await request.receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return bytes(message.get("body", b""))
    pieces = [message]
    while pieces[-1]["type"] == "http.request" and pieces[-1].get("more_body", False):
        pieces.append(await request.receive())
    if pieces[-1]["type"] == "http.disconnect":
        raise ClientDisconnect
    return b"".join(piece.get("body", b"") for piece in pieces)


class HotCalls:
    """ASGI in front of the application's layers: serves the calls of the gateway itself.

    The way of every other request through middleware and patterns costs more processor time than a call does.
    """

    def __init__(self, app: ASGIApp, *, application: FastAPI, routes: Mapping[str, HotRoute]) -> None:
        self._app = app
        self._application = application
        self._routes = {verb: (route, route.get_route_handler()) for verb, route in routes.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but a call of the gateway passes unchanged."""
        match = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if match is None:
            await self._app(scope, receive, send)
            return
        route, handle = self._routes[match[2]]
        scope["app"] = self._application
        scope["path_params"] = {"resource_id": match[1]}
        scope["route"] = route
        request, began = Request(scope, receive), time.perf_counter()
        taken = scope.get("state", {}).get(REPLIED)
        try:
            response = await handle(request) if taken is None else _replied(request, taken)
        except Exception as error:
            problem = expected_problem(request, error)
            await _answer(problem_response(request, problem or INTERNAL), request, began, send)
            if problem is None:
                raise  # The server writes it into its log.
        else:
            await _answer(response, request, began, send)


async def _answer(response: Response, request: Request, began: float, send: Send) -> None:
    await response(request.scope, request.receive, send)
    await _note(request, response.status_code, 1000 * (time.perf_counter() - began))


class JsonAnswer(Response):
    """An answer whose body and headers are ready; Starlette's own makes and looks at each header again."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self.status_code = 200
        self.body = body
        self.background = None
        self.raw_headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        if headers:
            self.raw_headers += [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


SignedBy = Annotated[Proof, Depends(caller_of)]
Calls = Annotated[CallQueue, Depends(calls_of)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_HEADER,
        description="A key of the caller's own for this call (1 to 200 printable ASCII characters): the same call "
        "with the same key gets the same answer and one record, for 24 hours.",
        min_length=1,
        max_length=200,
    ),
]
_HEADERS = {
    "RateLimit-Limit": {"schema": {"type": "integer"}, "description": "Calls that the nearest quota allows."},
    "RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "Calls that are left of it."},
    "RateLimit-Reset": {"schema": {"type": "integer"}, "description": "Seconds until it begins anew."},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": "Its calls, and its window in seconds."},
    REPLAYED_HEADER: {"schema": {"type": "string"}, "description": "`true`: the answer was given before."},
}
_RESPONSES: dict[int | str, dict[str, object]] = {200: {"headers": _HEADERS}}
router = machine_routes("/gateway/v1", tag="gateway", route_class=HotRoute)
secrets_router = machine_routes("/gateway/v1", tag="gateway")


@router.post("/{resource_id}/query", response_model=GatewayAnswer, responses=_RESPONSES)
async def query(
    resource_id: ResourceId,
    body: Query,
    proof: SignedBy,
    calls: Calls,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return the agreed items of the records that the key names, masked; every call leaves evidence.

    The policy decides inside the service, because the decision needs the agreement.
    """
    asked = query_of(proof.principal, resource_id, body, proved=proof.proved, once=_once(proof, body, idempotency_key))
    return _response(request, await calls.reply(asked))


@router.post("/{resource_id}/verify", response_model=VerifyAnswer, responses=_RESPONSES)
async def verify(
    resource_id: ResourceId,
    body: Verification,
    proof: SignedBy,
    calls: Calls,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Say of each claim whether it matches, and nothing else; every call leaves evidence."""
    once = _once(proof, body, idempotency_key)
    asked = verification_of(proof.principal, resource_id, body, proved=proof.proved, once=once)
    return _response(request, await calls.reply(asked))


@router.post("/{resource_id}/verify/batch", response_model=BatchVerifyAnswer, responses=_RESPONSES)
async def verify_batch(
    resource_id: ResourceId,
    body: BatchVerification,
    proof: SignedBy,
    calls: Calls,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Verify claims about up to 100 records; each is decided, limited and recorded as a call of its own.

    A refusal or a limit that one record meets is that record's result; the others are answered.
    """
    once = _once(proof, body, idempotency_key)
    asked = [
        Asked(
            proof.principal,
            resource_id,
            one.key,
            tuple(one.claims),
            body.purpose,
            one.case_number or body.case_number,
            one.claims,
            proved=proof.proved,
            once=once and once._replace(part=part),
        )
        for part, one in enumerate(body.subjects)
    ]
    replies = await calls.reply_all(asked)
    for reply in replies:
        # What concerns the whole call is the answer to the whole call.
        if isinstance(reply.answer, Unauthenticated) or _is_reused_key(reply):
            return _response(request, reply)
    answer = BatchVerifyAnswer(results=tuple(_result(request, reply) for reply in replies))
    last = next((reply.quota for reply in reversed(replies) if reply.quota is not None), None)
    again = all(reply.again for reply in replies)
    return JsonAnswer(answer.model_dump_json().encode(), _headers(last, again=again))


@secrets_router.post("/gjgxjhpt/secret")
def signing_secret(request: Request, caller: Caller) -> SigningSecret:
    """Return the secret with which the calling application signs calls in the national platform's style.

    It is refreshed by asking again; the one before is accepted until it expires.
    """
    return services_of(request).signed_calls.secret_of(caller)


async def _note(request: Request, status: int, milliseconds: float) -> None:
    """Count an application's call; now and then one call writes down what was counted."""
    actor = request.scope.get(CALLER)
    if actor is None or actor.kind is not ActorKind.APPLICATION:
        return
    outcome = (
        CallOutcome.FAILED
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR
        else CallOutcome.REFUSED
        if status >= HTTPStatus.BAD_REQUEST
        else CallOutcome.ANSWERED
    )
    meter = services_of(request).call_meter
    if meter.note(actor.id, outcome, milliseconds):
        await anyio.to_thread.run_sync(meter.flush)


def hot_routes() -> dict[str, HotRoute]:
    """Return the routes that `HotCalls` serves, by what stands after the resource in their path."""
    found = (route for route in router.routes if isinstance(route, HotRoute))
    return {route.path.split("{resource_id}/", 1)[1]: route for route in found}


def query_of(
    principal: Principal, resource_id: str, body: Query, *, proved: bool = False, once: Once | None = None
) -> Asked:
    """Return a query as it came."""
    names, case = body.items, body.case_number
    return Asked(principal, ResourceId(resource_id), body.key, names, body.purpose, case, None, proved, once)


def verification_of(
    principal: Principal, resource_id: str, body: Verification, *, proved: bool = False, once: Once | None = None
) -> Asked:
    """Return a verification as it came."""
    names, case = tuple(body.claims), body.case_number
    return Asked(principal, ResourceId(resource_id), body.key, names, body.purpose, case, body.claims, proved, once)


def _once(proof: Proof, body: BaseModel, key: str | None) -> Once | None:
    if key is None and proof.signed is None:
        return None
    document: JsonValue = body.model_dump(mode="json")
    digest = sha256_hex(canonical_json(document))
    if proof.signed is not None:
        return once_of(proof.signed, digest, key)
    if key is None or not _KEY.fullmatch(key):
        raise Invalid(
            "web.idempotency_key_invalid",
            what=Text(
                zh="Idempotency-Key 须为 1 至 200 个可见 ASCII 字符。",
                en="An Idempotency-Key has 1 to 200 visible ASCII characters.",
            ),
            remedy=Text(zh="例如使用 UUID。", en="Use a UUID, for example."),
            field=IDEMPOTENCY_HEADER,
        )
    return Once(key, digest)


def _replied(request: Request, taken: Taken) -> Response:
    """Return the answer of a call whose reply came before its request did (`ShortCalls`)."""
    request.scope[CALLER] = taken.principal.actor
    if isinstance(taken.result, BaseException):
        raise taken.result
    return _response(request, taken.result)


def _response(request: Request, reply: Reply) -> Response:
    headers = _headers(reply.quota, again=reply.again)
    if isinstance(reply.answer, DatongError):
        return problem_response(request, problem_of(reply.answer), headers)
    return JsonAnswer(reply.answer.__pydantic_serializer__.to_json(reply.answer), headers)


def _headers(quota: QuotaState | None, *, again: bool) -> dict[str, str]:
    return quota_headers(quota) | ({REPLAYED_HEADER: "true"} if again else {})


def quota_headers(quota: QuotaState | None) -> dict[str, str]:
    """Return what an answer says of where the nearest quota stands."""
    if quota is None:
        return {}
    return {
        "RateLimit-Limit": str(quota.limit),
        "RateLimit-Remaining": str(quota.remaining),
        "RateLimit-Reset": str(quota.reset_seconds),
        "RateLimit-Policy": f"{quota.limit};w={quota.window_seconds}",
    }


def _result(request: Request, reply: Reply) -> SubjectResult:
    if isinstance(reply.answer, VerifyAnswer):
        return SubjectResult.model_construct(answer=reply.answer, problem=None)
    if not isinstance(reply.answer, DatongError):
        raise TypeError("a verification is answered with results")
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    document = problem_document(
        problem_of(reply.answer), language_of(request), instance=request.url.path, request_id=request_id
    )
    return SubjectResult(problem=document)


def _is_reused_key(reply: Reply) -> bool:
    return isinstance(reply.answer, DatongError) and reply.answer.code == "sharing.idempotency_key_reused"
