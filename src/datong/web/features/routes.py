"""The routes of OGC API – Features: what is open for everybody, the rest for whom the policy lets read entities."""

import json
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import Response

from datong.kernel import EntityId, Invalid
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.library import Feature, FeatureCollection, FeaturePage, FeatureQuery
from datong.sharing import Action, AgreedPage, Principal, SharedFeatures
from datong.web.authentication import Hub, Visitor
from datong.web.features import documents
from datong.web.features.parameters import Crs, read_crs, read_items, read_parameters
from datong.web.open import PUBLIC_HEADERS, public_answer, reading
from datong.web.problems import problem_of, problem_response
from datong.web.routing import machine_routes
from datong.web.services import Services

router = machine_routes(tag="ogc features")
PURPOSE, CASE_NUMBER = "datong-purpose", "datong-case-number"
"""The headers in which a read under agreements states its purpose and case; some clients drop query strings."""
Parameters = ParamSpec("Parameters")


def strict(handler: Callable[Parameters, Response]) -> Callable[Parameters, Response]:
    """Make a handler answer 400 to parameters that it cannot use, as the standard wants (requirements 8 and 9)."""

    @wraps(handler)
    def answer(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Response:
        try:
            return handler(*args, **kwargs)
        except Invalid as error:
            request = kwargs["request"]
            if not isinstance(request, Request):
                raise
            problem = problem_of(error).model_copy(update={"status": 400})
            return problem_response(request, problem, PUBLIC_HEADERS)

    return answer


@reading(router, "/ogc", in_schema=False)
@reading(router, "/ogc/", media_types=[documents.JSON])
@strict
def ogc_landing(request: Request, hub: Hub) -> Response:
    """Return the landing page of OGC API – Features."""
    read_parameters(request.query_params.multi_items(), ())
    return _json(request, documents.landing(_root(hub)))


@reading(router, "/ogc/conformance", media_types=[documents.JSON])
@strict
def ogc_conformance(request: Request) -> Response:
    """Return the conformance classes that the interface implements."""
    read_parameters(request.query_params.multi_items(), ())
    return _json(request, {"conformsTo": list(documents.CONFORMANCE)})


@reading(router, "/ogc/api", media_types=[documents.OPENAPI])
@strict
def ogc_api(request: Request, hub: Hub, visitor: Visitor) -> Response:
    """Return the interface's own OpenAPI 3.0 definition."""
    read_parameters(request.query_params.multi_items(), ())
    body = json.dumps(documents.openapi(_root(hub), _visible(hub, visitor)), ensure_ascii=False).encode()
    return public_answer(request, body, media_type=documents.OPENAPI)


@reading(router, "/ogc/collections", media_types=[documents.JSON])
@strict
def ogc_collections(request: Request, hub: Hub, visitor: Visitor) -> Response:
    """Return the feature collections that the caller may read."""
    read_parameters(request.query_params.multi_items(), ())
    found = _visible(hub, visitor)
    return _json(request, documents.collections(_root(hub), found), private=not all(one.open for one in found))


@reading(router, "/ogc/collections/{collection_id}", media_types=[documents.JSON])
@strict
def ogc_collection(request: Request, hub: Hub, visitor: Visitor, collection_id: str) -> Response:
    """Return the description of one collection."""
    read_parameters(request.query_params.multi_items(), ())
    layer = _shared(hub, visitor, collection_id)
    found = _readable(hub, visitor, collection_id) if layer is None else layer
    return _json(request, documents.collection(_root(hub), found), private=layer is not None)


@reading(router, "/ogc/collections/{collection_id}/items", media_types=[documents.GEOJSON])
@strict
def ogc_items(request: Request, hub: Hub, visitor: Visitor, collection_id: str) -> Response:
    """Return a page of features: by `bbox`, `datetime`, values of elements; `limit`, and `after` through its links."""
    layer = _shared(hub, visitor, collection_id)
    if layer is not None and visitor is not None:
        return _shared_items(request, hub, visitor, layer)
    collection = _readable(hub, visitor, collection_id)
    asked = read_items(request.query_params.multi_items(), filters=collection.filters)
    found = hub.library.spatial.page(collection.name, asked.query)
    given = {name: value for name, value in request.query_params.multi_items() if name != "after"}
    body = documents.page(_root(hub), collection, found, given, crs=asked.crs)
    return public_answer(request, body, media_type=documents.GEOJSON, headers=_crs_header(asked.crs))


@reading(router, "/ogc/collections/{collection_id}/items/{feature_id}", media_types=[documents.GEOJSON])
@strict
def ogc_item(request: Request, hub: Hub, visitor: Visitor, collection_id: str, feature_id: str) -> Response:
    """Return one feature."""
    given = read_parameters(request.query_params.multi_items(), ("crs",))
    crs = read_crs(given.get("crs", Crs.CRS84), "crs")
    layer = _shared(hub, visitor, collection_id)
    if layer is not None and visitor is not None:
        return _shared_item(request, hub, visitor, layer, EntityId(feature_id), crs)
    collection = _readable(hub, visitor, collection_id)
    feature = hub.library.spatial.feature(collection.name, EntityId(feature_id))
    body = documents.item(_root(hub), collection, feature, crs=crs)
    return public_answer(request, body, media_type=documents.GEOJSON, headers=_crs_header(crs))


def _shared_items(request: Request, hub: Services, caller: Principal, layer: FeatureCollection) -> Response:
    asked = read_items(request.query_params.multi_items(), filters=layer.filters)
    purpose, case_number = _stated(request, PURPOSE), _stated(request, CASE_NUMBER)
    found = _agreed(hub).page(caller, layer.name, asked.query, purpose=purpose, case_number=case_number)
    given = {name: value for name, value in request.query_params.multi_items() if name != "after"}
    page = FeaturePage(features=_plain(found), matched=found.matched, after=found.after)
    body = documents.page(_root(hub), layer, page, given, crs=asked.crs)
    return Response(body, media_type=documents.GEOJSON, headers=_private(found) | _crs_header(asked.crs))


def _shared_item(
    request: Request, hub: Services, caller: Principal, layer: FeatureCollection, entity_id: EntityId, crs: Crs
) -> Response:
    purpose, case_number = _stated(request, PURPOSE), _stated(request, CASE_NUMBER)
    found = _agreed(hub).page(
        caller, layer.name, FeatureQuery(limit=1), purpose=purpose, case_number=case_number, entity_id=entity_id
    )
    if not found.features:
        raise hub.library.spatial.unknown_feature(layer.name, entity_id)
    body = documents.item(_root(hub), layer, _plain(found)[0], crs=crs)
    return Response(body, media_type=documents.GEOJSON, headers=_private(found) | _crs_header(crs))


def _agreed(hub: Services) -> SharedFeatures:
    return SharedFeatures(library=hub.library, gateway=hub.gateway)


def _shared(hub: Services, visitor: Visitor, name: str) -> FeatureCollection | None:
    """Return the layer as agreements let the caller see it; None where it is open, or read by policy, or by nobody."""
    if visitor is None or hub.library.spatial.collection(name).open:
        return None
    if hub.policy.authorise(visitor, Action.LIBRARY_READ_ENTITY).allowed:
        return None
    return next((found for found in _agreed(hub).collections(visitor) if found.name == name), None)


def _stated(request: Request, header: str) -> str:
    """Return what a header states; outside of ASCII it is percent-encoded UTF-8."""
    return unquote(request.headers.get(header, "")).strip()[:TEXT_CHARS_MAX]


def _plain(page: AgreedPage) -> tuple[Feature, ...]:
    return tuple(
        Feature(one.entity_id, None, json.dumps(one.properties, ensure_ascii=False), one.wkb) for one in page.features
    )


def _private(page: AgreedPage) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Datong-Access": ", ".join(page.accesses)}


def _visible(hub: Services, visitor: Visitor) -> tuple[FeatureCollection, ...]:
    """Return the collections that the caller may read: what is open, the others by policy or as agreements go."""
    may_read = visitor is not None and hub.policy.authorise(visitor, Action.LIBRARY_READ_ENTITY).allowed
    found = [one for one in hub.library.spatial.collections() if one.open or may_read]
    if visitor is not None and not may_read:
        found += _agreed(hub).collections(visitor)
    return tuple(sorted(found, key=lambda one: one.name))


def _readable(hub: Services, visitor: Visitor, name: str) -> FeatureCollection:
    """Return a collection that the caller may read; to a visitor what is not open does not exist.

    Raises:
        NotFound: there is none with that name, or it is not open and nobody said who asks.
        Refused: the policy does not let the caller read entities.
    """
    found = hub.library.spatial.collection(name)
    if found.open:
        return found
    if visitor is None:
        raise hub.library.spatial.unknown(name)
    hub.policy.require(visitor, Action.LIBRARY_READ_ENTITY)
    return found


def _root(hub: Services) -> str:
    return f"{hub.settings.base_url}/ogc"


def _json(request: Request, document: documents.Document, *, private: bool = False) -> Response:
    if private:
        body = json.dumps(document, ensure_ascii=False).encode()
        return Response(body, media_type=documents.JSON, headers={"Cache-Control": "no-store"})
    return public_answer(request, json.dumps(document, ensure_ascii=False).encode(), media_type=documents.JSON)


def _crs_header(crs: Crs) -> dict[str, str]:
    return {"Content-Crs": f"<{crs}>"}
