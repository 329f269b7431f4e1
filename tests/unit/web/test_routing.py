"""Routes are found by the beginning of their path, and answer as if they were asked one after the other."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.types import Message, Scope

from datong.web.described import ERRORS
from datong.web.routing import API_PATH, RouteIndex, api_routes, machine_routes, unlisted_routes

THREAD = ThreadPoolExecutor(1)
"""A browser's tests may have left a loop running in this one."""
PATHS = ("/", "/a", "/a/{x}", "/a/b", "/a/b/{x}", "/a/{x}/c", "/{x}/c", "/b/{x:path}", "/a/b/c/d", "/b/")


def _router() -> APIRouter:
    """Return a router whose routes overlap in every way; each answers which of them it is."""
    router = APIRouter()
    for number, path in enumerate(PATHS):

        async def tell(request: Request, number: int = number) -> Response:
            return JSONResponse([number, request.method, dict(request.path_params)])

        router.add_route(path, tell, methods=["GET"] if number % 2 else ["POST"])
    router.routes.append(Mount("/m", app=JSONResponse("mounted"), name="m"))
    return router


async def _answer(router: APIRouter, path: str, method: str) -> tuple[object, ...]:
    """Return status and body, or the error that the application would answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "server": ("hub", 80),
        "scheme": "http",
        "app": object(),
    }
    try:
        await router(scope, receive, send)
    except HTTPException as error:
        return (error.status_code, error.detail)
    return (sent[0]["status"], dict(sent[0]["headers"]).get(b"location"), sent[1]["body"])


async def _both(routers: Sequence[APIRouter], path: str, method: str) -> list[tuple[object, ...]]:
    return [await _answer(router, path, method) for router in routers]


def _answers(routers: Sequence[APIRouter], path: str, method: str) -> list[tuple[object, ...]]:
    return asyncio.run(_both(routers, path, method))


@given(
    path=st.lists(st.sampled_from(["a", "b", "c", "d", "m", "", "é"]), max_size=5).map(
        lambda parts: "/" + "/".join(parts)
    ),
    method=st.sampled_from(["GET", "POST", "HEAD", "DELETE"]),
)
def test_an_index_changes_no_answer(path: str, method: str) -> None:
    """Which route serves, its parameters, 404, 405 and redirects for a slash stay as they are."""
    plain, indexed = _router(), _router()
    indexed.middleware_stack = RouteIndex(indexed)
    indexed_answer, plain_answer = THREAD.submit(_answers, (indexed, plain), path, method).result()
    assert indexed_answer == plain_answer


def test_routers_hold_whole_paths() -> None:
    """A route knows its whole path, its operation's name and the shape of its errors without being included."""
    router = api_routes("/things", tag="some things")

    @router.get("/{thing}")
    def read_thing(thing: str) -> str:
        return thing

    (route,) = router.routes
    assert isinstance(route, APIRoute)
    assert route.path == f"{API_PATH}/things/{{thing}}"
    assert route.unique_id == "some_things.read_thing"
    assert set(ERRORS) <= set(route.responses)
    assert machine_routes("/x", tag="t").prefix == "/x"
    assert not unlisted_routes().include_in_schema
