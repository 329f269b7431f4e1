"""How routes are declared, and how a request finds its own among 700 of them.

Every router of the hub is made here and holds whole paths, so that none is included in another: FastAPI looks through
every handler a second time for an included router, and matches each request once more at every level.
"""

from enum import Enum

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from datong.web.described import ERRORS

API_PATH = "/api/v1"


def _operation_id(route: APIRoute) -> str:
    """Name an operation after its handler, which is unique and stable."""
    return f"{route.tags[0] if route.tags else 'hub'}.{route.name}".replace(" ", "_")


def machine_routes(prefix: str = "", *, tag: str, route_class: type[APIRoute] = APIRoute) -> APIRouter:
    """Return a router for machines: it stands in the OpenAPI document, with the shape of its errors."""
    tags: list[str | Enum] = [tag]
    return APIRouter(
        prefix=prefix,
        tags=tags,
        route_class=route_class,
        generate_unique_id_function=_operation_id,
        responses=ERRORS,
    )


def api_routes(prefix: str = "", *, tag: str) -> APIRouter:
    """Return a router of the hub's own API, below `API_PATH`."""
    return machine_routes(API_PATH + prefix, tag=tag)


def unlisted_routes(prefix: str = "") -> APIRouter:
    """Return a router for the console's pages, and for what another document than OpenAPI describes."""
    return APIRouter(prefix=prefix, include_in_schema=False)


class RouteIndex:
    """Hands a request only to those routes whose path begins as its own does, in the order of their declaration.

    It knows the routes that the router had when it was made.

    Routes are asked one after the other, and a question costs a microsecond. What stands before a path's first
    parameter is looked up instead: of the routes with an equal beginning there are 60 at most.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._beginnings = [(_beginning(route), route) for route in router.routes]
        self._known = {beginning for beginning, _ in self._beginnings}
        self._longest = max(map(len, self._known), default=0)
        self._parts: dict[tuple[str, ...], ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the routes that may be meant; everything else by the router itself."""
        if scope["type"] != "http":
            await self._router.app(scope, receive, send)
            return
        scope["router"] = self._router
        await self._part(scope["path"])(scope, receive, send)

    def _part(self, path: str) -> ASGIApp:
        """Return the router of the longest beginning of `path` that any route has."""
        segments = tuple(path.strip("/").split("/", self._longest)[: self._longest])
        while segments not in self._known and segments:
            segments = segments[:-1]
        if segments not in self._parts:
            routes = [route for beginning, route in self._beginnings if beginning == segments[: len(beginning)]]
            self._parts[segments] = APIRouter(routes=routes)
        return self._parts[segments]


def _beginning(route: BaseRoute) -> tuple[str, ...]:
    """Return the segments of a route's path that come before the first one with a parameter."""
    if not isinstance(route, Route | Mount):
        return ()
    segments: list[str] = []
    for segment in route.path.strip("/").split("/"):
        if "{" in segment or not segment:
            break
        segments.append(segment)
    return tuple(segments)
