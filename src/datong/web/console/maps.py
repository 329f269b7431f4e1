"""The map: a spatial library's features as SVG drawn by the hub, no tile and no script from anywhere else.

The drawing is complete without a script; `map.js` adds panning and zooming by changing the view box.
"""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from math import cos, radians
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from datong.kernel import NotFound, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.library import FEATURES_MAX, Feature, FeatureCollection, FeatureQuery
from datong.sharing import Action
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

WIDTH = 1000
HEIGHT_MAX = 900
MARGIN = 14
DETAIL = 2000
"""Corners closer than this part of the map's width fall together."""
LABELS_MAX = 60
LEVELS = ("1", "2", "3", "4", "5")
CLASSES = 5
NO_FIGURE = "none"
GEOMETRY_ELEMENT = "geometry"
SHAPES: Mapping[str, Text] = {
    "Point": Text(zh="点", en="Point"),
    "MultiPoint": Text(zh="多点", en="Points"),
    "LineString": Text(zh="线", en="Line"),
    "MultiLineString": Text(zh="多线", en="Lines"),
    "Polygon": Text(zh="面", en="Area"),
    "MultiPolygon": Text(zh="多面", en="Areas"),
}


class Place(Value):
    """One feature on the map: `path` is its SVG outline; a point has a `dot` instead."""

    code: str
    name: str
    path: str
    dot: tuple[float, float] | None
    label: tuple[float, float] | None
    figure: int | None
    shade: int


class Drawing(Value):
    """A map ready to be written into the page."""

    width: int
    height: int
    places: tuple[Place, ...]
    legend: tuple[tuple[int, int], ...]
    """The smallest and the largest figure of each shade."""


@router.get("/library/{name}/map")
def show_map(
    desk: SignedIn,
    name: str,
    level: Annotated[str, Query(pattern=r"^[1-5]?$")] = "",
    figure: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Show the features of a library that have a shape, by level, shaded by a figure of another library."""
    desk.require(Action.LIBRARY_READ)
    spatial = desk.services.library.spatial
    collection = spatial.collection(name)
    levels = _levels(desk, collection)
    shown = level if level in levels else next((one for one, count in levels.items() if count > 1), "")
    query = FeatureQuery(equals={"division_level": shown} if shown else {}, box=collection.box, limit=FEATURES_MAX)
    features = spatial.page(name, query).features if collection.box is not None else ()
    offered = _figures(desk, name)
    chosen = figure if figure in offered or figure == NO_FIGURE else next(iter(offered), NO_FIGURE)
    counts = spatial.figures(chosen) if chosen in offered else {}
    return desk.page(
        "library/map.html",
        name=name,
        title=collection.title,
        levels=levels,
        shown=shown,
        offered=offered,
        chosen=chosen,
        drawing=draw(features, counts),
        may_read=desk.may(Action.LIBRARY_READ_ENTITY),
    )


def _levels(desk: Desk, collection: FeatureCollection) -> dict[str, int]:
    """Return how many shapes there are at each level; none for features without levels."""
    if "division_level" not in collection.filters or collection.box is None:
        return {}
    page = desk.services.library.spatial.page
    counted = {
        level: page(
            collection.name, FeatureQuery(equals={"division_level": level}, box=collection.box, limit=1)
        ).matched
        for level in LEVELS
    }
    return {level: count for level, count in counted.items() if count}


def _figures(desk: Desk, name: str) -> dict[str, Text]:
    """Return the libraries that say how many of their entities are in which division, with what they count."""
    library = desk.services.library
    found: dict[str, Text] = {}
    for definition in library.definitions():
        try:
            if definition.name != name and library.spatial.figures(definition.name):
                found[definition.name] = definition.entity
        except NotFound:
            continue
    return found


def draw(features: Sequence[Feature], counts: Mapping[str, int]) -> Drawing:
    """Return the drawing of `features`, shaded by `counts` of entities per division code."""
    drawn = [feature for feature in features if feature.wkb is not None]
    if not drawn:
        return Drawing(width=WIDTH, height=0, places=(), legend=())
    shapely, numpy = import_module("shapely"), import_module("numpy")
    column = numpy.empty(len(drawn), dtype=object)
    column[:] = [feature.wkb for feature in drawn]
    shapes = shapely.from_wkb(column)
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    narrow = cos(radians((south + north) / 2))
    across, up = max((east - west) * narrow, 1e-6), max(north - south, 1e-6)
    scale = min((WIDTH - 2 * MARGIN) / across, (HEIGHT_MAX - 2 * MARGIN) / up)
    left = (WIDTH - across * scale) / 2

    def placed(corners: Any) -> Any:
        x = left + (corners[:, 0] - west) * narrow * scale
        return numpy.column_stack([x, MARGIN + (north - corners[:, 1]) * scale])

    shapes = shapely.simplify(shapely.transform(shapes, placed), WIDTH / DETAIL)
    counted = [_figure(feature.entity_id, counts) for feature in drawn]
    # Sources may say the county only: then nobody is known to be in any street, which is not the same as nobody.
    figures = counted if any(counted) else [None] * len(drawn)
    legend = _classes([figure for figure in figures if figure is not None])
    labels = shapely.get_coordinates(shapely.point_on_surface(shapes)).tolist()
    names = [_name(feature) for feature in drawn]
    return Drawing(
        width=WIDTH,
        height=round(up * scale + 2 * MARGIN),
        places=tuple(
            _place(feature, name, shape, label if len(drawn) <= LABELS_MAX else None, figure, legend)
            for feature, name, shape, label, figure in zip(drawn, names, shapes, labels, figures, strict=True)
        ),
        legend=legend,
    )


def shape_in_words(desk: Desk, canonical: str | None) -> str:
    """Return what a canonical shape is and how many corners it has; empty when there is none."""
    if not canonical:
        return ""
    shapely = import_module("shapely")
    shape = shapely.from_wkb(canonical, on_invalid="ignore")
    if shape is None:
        return ""
    corners = int(shapely.get_num_coordinates(shape))
    kind = desk.speech.say(SHAPES.get(shape.geom_type, Text(zh=shape.geom_type, en=shape.geom_type)))
    return desk.speech.t("{kind}，{count} 个坐标点", "{kind}, {count} corner{count:s}", kind=kind, count=corners)


def _place(
    feature: Feature,
    name: str,
    shape: Any,
    label: Sequence[float] | None,
    figure: int | None,
    legend: Sequence[tuple[int, int]],
) -> Place:
    point = shape.geom_type == "Point"
    shades = [place for place, (least, most) in enumerate(legend) if figure is not None and least <= figure <= most]
    return Place(
        code=feature.entity_id,
        name=name,
        path="" if point else _path(shape),
        dot=(round(shape.x, 1), round(shape.y, 1)) if point else None,
        label=(round(label[0], 1), round(label[1], 1)) if label is not None else None,
        figure=figure,
        shade=shades[0] + 1 if shades else 0,
    )


def _name(feature: Feature) -> str:
    properties: dict[str, Any] = json.loads(feature.properties)
    return next((str(value) for key, value in properties.items() if key.endswith("_name") and value), feature.entity_id)


def _path(shape: Any) -> str:
    """Return a line or an area as the data of an SVG path: every part and ring of its own."""
    parts = getattr(shape, "geoms", [shape])
    rings = [
        ring for part in parts for ring in (([part.exterior, *part.interiors]) if hasattr(part, "exterior") else [part])
    ]
    return "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring.coords) + ("Z" if ring.is_ring else "") for ring in rings
    )


def _figure(code: str, counts: Mapping[str, int]) -> int:
    """Return how many entities are in a division or below it: codes begin with those of the divisions above."""
    stem = code[:2] if code.endswith("0000") else code[:4] if len(code) == 6 and code.endswith("00") else code
    return sum(count for division, count in counts.items() if division.startswith(stem))


def _classes(figures: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return at most CLASSES ranges that hold about equally many of the figures."""
    values = sorted(set(figures))
    if not values:
        return ()
    classes = min(CLASSES, len(values))
    edges = [round(len(values) * place / classes) for place in range(classes + 1)]
    return tuple((values[start], values[end - 1]) for start, end in pairwise(edges))
