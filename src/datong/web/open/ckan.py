"""The CKAN Action API v3 (read only) over the open catalogue, for ckanapi and the harvesters of other portals.

Answers at `/api/3/action/{name}` and, as old clients ask, at `/api/action/{name}`, to GET and POST alike. An error has
CKAN's shape and status (`error.__type`), so that clients raise their own exceptions.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from datong.kernel import DatongError, Invalid, Language, NotFound
from datong.web.authentication import Hub
from datong.web.described import ERRORS, Answers, public, told_in
from datong.web.open.answers import public_answer
from datong.web.open.ckan_actions import ACTIONS, Call, not_found
from datong.web.open.ckan_parameters import Parameters, parameters_of
from datong.web.problems import language_of
from datong.web.routing import machine_routes
from datong.web.services import Services

router = machine_routes(tag="open catalogue")

JSON = "application/json; charset=utf-8"
_ANSWERS: Answers = {
    **public(JSON),
    "4XX": {
        "description": "An error in CKAN's shape; of what is wrong before that, problem details.",
        "content": {**told_in(JSON)[200]["content"], **ERRORS["4XX"]["content"]},
    },
}
SEARCH_CODES = frozenset({"ckan.query_unreadable", "ckan.sort_unknown"})


@router.get("/api/3/action/{action}", response_class=Response, responses=_ANSWERS)
async def read_action(action: str, request: Request, hub: Hub) -> Response:
    """Answer a reading action of the CKAN API, with parameters in the query."""
    return await answer(action, request, hub)


@router.post("/api/3/action/{action}", response_class=Response, responses=_ANSWERS)
async def call_action(action: str, request: Request, hub: Hub) -> Response:
    """Answer a reading action of the CKAN API, with parameters as JSON or as a form."""
    return await answer(action, request, hub)


@router.get("/api/action/{action}", include_in_schema=False)
async def read_action_unversioned(action: str, request: Request, hub: Hub) -> Response:
    """As `/api/3/action`: ckanapi asks without a version."""
    return await answer(action, request, hub)


@router.post("/api/action/{action}", include_in_schema=False)
async def call_action_unversioned(action: str, request: Request, hub: Hub) -> Response:
    """As `/api/3/action`: ckanapi asks without a version."""
    return await answer(action, request, hub)


async def answer(action: str, request: Request, hub: Services) -> Response:
    """Run an action in a thread and return its result, or its error in CKAN's shape."""
    try:
        parameters = await parameters_of(request)
        found = await run_in_threadpool(_result, action, parameters, hub)
    except (Invalid, NotFound) as error:
        status, described = _error(error, language_of(request))
        return _document(request, hub, action, {"success": False, "error": described}, status)
    return _document(request, hub, action, {"success": True, "result": found}, 200)


def _result(action: str, parameters: Parameters, hub: Services) -> object:
    found = ACTIONS.get(action)
    if found is None:
        raise not_found("action", action)
    call = Call(
        catalogue=hub.open_catalogue,
        pack=hub.pack,
        base_url=hub.settings.base_url,
        parameters=parameters,
        now=hub.clock.now(),
    )
    return found(call)


def _document(request: Request, hub: Services, action: str, said: Mapping[str, object], status: int) -> Response:
    help_address = f"{hub.settings.base_url}/api/3/action/help_show?name={quote(action)}"
    body = json.dumps({"help": help_address, **said}, ensure_ascii=False).encode()
    return public_answer(request, body, media_type=JSON, status=status)


def _error(error: DatongError, language: Language) -> tuple[int, dict[str, object]]:
    """Return the status and the error object that CKAN gives for the same."""
    message = f"{error.what.render(language)} {error.remedy.render(language)}"
    if isinstance(error, NotFound):
        return 404, {"__type": "Not Found Error", "message": message, "code": error.code}
    if error.code in SEARCH_CODES:
        return 400, {"__type": "Search Query Error", "message": message, "code": error.code}
    field = (error.field or "/").removeprefix("/") or "body"
    return 409, {"__type": "Validation Error", "message": message, "code": error.code, field: [message]}
