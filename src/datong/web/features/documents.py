"""The JSON documents of OGC API – Features; links are absolute: clients keep documents apart from requests."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from datong.kernel import Text, both
from datong.library import FEATURES_MAX, Feature, FeatureCollection, FeaturePage
from datong.web.features.parameters import LIMIT_DEFAULT, Crs
from datong.web.features.shapes import geojson_shapes

JSON = "application/json"
GEOJSON = "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)
TITLE = Text(zh="打通空间地理库", en="Datong spatial library")
GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
Document = dict[str, Any]


def link(href: str, rel: str, media_type: str, title: str) -> Document:
    """Return a link."""
    return {"href": href, "rel": rel, "type": media_type, "title": title}


def landing(root: str) -> Document:
    """Return the landing page of the interface at `root`."""
    return {
        "title": both(TITLE),
        "description": both(
            Text(
                zh="资源库中带有位置的公开数据，经纬度为 CGCS2000；与 WGS 84 的差别在厘米级。",
                en="Open data of the library that has a place; CGCS2000 degrees, centimetres from WGS 84.",
            )
        ),
        "links": [
            link(f"{root}/", "self", JSON, "This document"),
            link(f"{root}/api", "service-desc", OPENAPI, "OpenAPI definition"),
            link(f"{root}/conformance", "conformance", JSON, "Conformance classes"),
            link(f"{root}/collections", "data", JSON, "Collections"),
        ],
    }


def collections(root: str, found: Sequence[FeatureCollection]) -> Document:
    """Return the list of collections."""
    return {
        "links": [link(f"{root}/collections", "self", JSON, "This document")],
        "crs": list(Crs),
        "collections": [collection(root, one) for one in found],
    }


def collection(root: str, found: FeatureCollection) -> Document:
    """Return the description of one collection."""
    address = f"{root}/collections/{found.name}"
    extent: Document = {"temporal": {"interval": [[found.first_observed, found.last_observed]], "trs": GREGORIAN}}
    if found.box is not None:
        box = found.box
        extent["spatial"] = {"bbox": [[box.west, box.south, box.east, box.north]], "crs": Crs.CRS84}
    return {
        "id": found.name,
        "title": both(found.title),
        "description": both(
            Text(
                zh=f"第 {found.version} 版，{found.features} 个要素，其中 {found.shapes} 个有几何。",
                en=f"Version {found.version}: {found.features} features, {found.shapes} with a geometry.",
            )
        ),
        "itemType": "feature",
        "extent": extent,
        "crs": list(Crs),
        "storageCrs": Crs.CGCS2000 if found.crs == "EPSG:4490" else Crs.WGS84,
        "links": [
            link(address, "self", JSON, "This document"),
            link(f"{address}/items", "items", GEOJSON, both(found.title)),
        ],
    }


def page(root: str, found: FeatureCollection, features: FeaturePage, asked: Mapping[str, str], *, crs: Crs) -> bytes:
    """Return a page of features; `asked` are the parameters of the request, for the link to the next page."""
    address = f"{root}/collections/{found.name}/items"
    own = f"{address}?{urlencode(asked)}" if asked else address
    links = [link(own, "self", GEOJSON, "This document"), link(_of(root, found), "collection", JSON, "The collection")]
    if features.after is not None:
        links.append(
            link(f"{address}?{urlencode({**asked, 'after': str(features.after)})}", "next", GEOJSON, "Next page")
        )
    head: Document = {
        "type": "FeatureCollection",
        "timeStamp": _written(found.published_at),
        "numberMatched": features.matched,
        "numberReturned": len(features.features),
        "links": links,
    }
    shapes = geojson_shapes([feature.wkb for feature in features.features], latitude_first=crs.latitude_first)
    written = ",".join(_feature(feature, shape) for feature, shape in zip(features.features, shapes, strict=True))
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "features": [{written}]}}'.encode()


def item(root: str, found: FeatureCollection, feature: Feature, *, crs: Crs) -> bytes:
    """Return one feature with its links."""
    address = f"{root}/collections/{found.name}/items/{quote(feature.entity_id, safe='')}"
    links = [
        link(address, "self", GEOJSON, "This document"),
        link(_of(root, found), "collection", JSON, "The collection"),
    ]
    (shape,) = geojson_shapes([feature.wkb], latitude_first=crs.latitude_first)
    return f'{_feature(feature, shape)[:-1]}, "links": {json.dumps(links, ensure_ascii=False)}}}'.encode()


def _feature(feature: Feature, shape: str) -> str:
    """Return a feature; its properties are JSON already, as the library keeps them."""
    head = json.dumps(feature.entity_id, ensure_ascii=False)
    return f'{{"type": "Feature", "id": {head}, "geometry": {shape}, "properties": {feature.properties}}}'


def _of(root: str, found: FeatureCollection) -> str:
    return f"{root}/collections/{found.name}"


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def openapi(root: str, found: Sequence[FeatureCollection]) -> Document:
    """Return the OpenAPI 3.0 definition of what is served now: one path per collection, with its filters."""
    paths: Document = {
        "/": _operation("landing", "Landing page", JSON),
        "/conformance": _operation("conformance", "Conformance classes", JSON),
        "/collections": _operation("collections", "Collections", JSON),
    }
    for one in found:
        title = both(one.title)
        address = f"/collections/{one.name}"
        paths[address] = _operation(f"describe.{one.name}", title, JSON)
        paths[f"{address}/items"] = _operation(f"items.{one.name}", title, GEOJSON, _items_parameters(one.filters))
        identifier = {"name": "featureId", "in": "path", "required": True, "schema": {"type": "string"}}
        paths[f"{address}/items/{{featureId}}"] = _operation(
            f"item.{one.name}", title, GEOJSON, [identifier, _crs_parameter("crs")]
        )
    return {
        "openapi": "3.0.3",
        "info": {"title": both(TITLE), "version": "1.0.0"},
        "servers": [{"url": root}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(name: str, title: str, media_type: str, parameters: Sequence[Document] = ()) -> Document:
    answers = {
        "200": {"description": title, "content": {media_type: {"schema": {"type": "object"}}}},
        "default": {
            "description": "RFC 9457 problem details",
            "content": {"application/problem+json": {"schema": {"type": "object"}}},
        },
    }
    return {"get": {"operationId": name, "summary": title, "parameters": list(parameters), "responses": answers}}


def _items_parameters(filters: Sequence[str]) -> list[Document]:
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
    limit = {"type": "integer", "minimum": 1, "maximum": FEATURES_MAX, "default": LIMIT_DEFAULT}
    return [
        {"name": "bbox", "in": "query", "style": "form", "explode": False, "schema": numbers},
        _crs_parameter("bbox-crs"),
        _crs_parameter("crs"),
        {"name": "datetime", "in": "query", "schema": {"type": "string"}},
        {"name": "limit", "in": "query", "style": "form", "explode": False, "schema": limit},
        {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0}},
        *({"name": name, "in": "query", "schema": {"type": "string"}} for name in filters),
    ]


def _crs_parameter(name: str) -> Document:
    return {"name": name, "in": "query", "schema": {"type": "string", "format": "uri", "enum": list(Crs)}}
