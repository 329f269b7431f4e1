"""Who each route is for, told from what it depends on, and the list of those that are for everybody."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount

from datong.sharing import DELTA_SHARING_PATH
from datong.web.authentication import current_principal
from datong.web.metrics import admit_watchers

PUBLIC = frozenset(
    {
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/log/checkpoint",
        "/log/keys",
        "/log/tile/{path:path}",
        "/log/quorum",
        "/log/rederive.py",
        "/log/verify.py",
        "/static",
        "/sign-in",
        "/sign-in/passkey",
        "/sign-in/second",
        "/sign-in/with/{provider_id}",
        "/sign-in/with/{provider_id}/back",
        "/signed-out",
        "/help",
        "/help/{address:path}",
        "/open",
        "/open/suggestions",
        "/open/verify",
        "/open/{resource_id}",
        "/open/{resource_id}.json",
        "/open/{resource_id}.ttl",
        "/open/{resource_id}.jsonld",
        "/open/{resource_id}.rdf",
        "/open/feed.atom",
        "/open/demand",
        "/open/demand/feed.atom",
        "/open/demand/{wish_id}",
        "/api/v1/wishes",
        "/api/v1/wishes/{wish_id}",
        "/open/agreements",
        "/open/applications",
        "/api/v1/showcase",
        "/api/v1/agreement-papers/{code}",
        "/sitemap.xml",
        "/sitemap/{number}.xml",
        "/robots.txt",
        "/catalog",
        "/catalog.ttl",
        "/catalog.jsonld",
        "/catalog.rdf",
        "/api/3/action/{action}",
        "/api/action/{action}",
        "/ogc",
        "/ogc/",
        "/ogc/api",
        "/ogc/conformance",
        "/ogc/collections",
        "/ogc/collections/{collection_id}",
        "/ogc/collections/{collection_id}/items",
        "/ogc/collections/{collection_id}/items/{feature_id}",
    }
)
"""Every path that answers GET without credentials. A new route is for people with credentials, or stands here."""
SIGNED = frozenset({DELTA_SHARING_PATH + "/files/{release}/{file}"})
"""Paths whose address itself is the credential."""
GUARDS = frozenset({current_principal, admit_watchers})


def readable(app: FastAPI) -> Iterator[tuple[str, bool]]:
    """Yield (path, whether anybody may read it) for every route that answers GET.

    Those of Delta Sharing look at credentials themselves, so that their refusals have that protocol's form.
    """
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, Mount):
            yield route.path, True
        elif "GET" in (context.methods or ()) and context.path is not None:
            guarded = isinstance(route, APIRoute) and _guarded(route.dependant)
            yield context.path, not (guarded or context.path.startswith(DELTA_SHARING_PATH))


def _guarded(dependant: Dependant) -> bool:
    if dependant.call in GUARDS or getattr(dependant.call, "__name__", "") == "_signed_in":
        return True
    return any(_guarded(inner) for inner in dependant.dependencies)
