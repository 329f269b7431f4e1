"""What the map draws: shapes in place, points as dots, shades by what is counted below a division."""

import json

import shapely

from datong.kernel import EntityId
from datong.library import Feature
from datong.web.console.maps import HEIGHT_MAX, MARGIN, WIDTH, draw

RING = shapely.box(115, 20, 116, 21).difference(shapely.box(115.4, 20.4, 115.6, 20.6))


def feature(code: str, shape: object | None) -> Feature:
    wkb = None if shape is None else shapely.to_wkb(shape)
    return Feature(EntityId(code), None, json.dumps({"division_name": f"名{code}"}), wkb)


def test_shapes_are_drawn_within_the_frame_with_their_holes() -> None:
    drawing = draw([feature("440604", RING), feature("440605", shapely.points(115.5, 20.5)), feature("x", None)], {})
    area, point = drawing.places
    assert area.path.count("M") == area.path.count("Z") == 2
    assert point.path == ""
    assert point.dot is not None
    assert 0 < drawing.height <= HEIGHT_MAX
    numbers = [float(text) for text in area.path.replace("M", " ").replace("L", " ").replace("Z", " ").split()]
    assert min(numbers) >= MARGIN - 0.1
    assert max(numbers) <= WIDTH
    assert (area.name, area.figure, area.shade) == ("名440604", None, 0)


def test_what_lies_below_a_division_is_counted_in_it() -> None:
    features = [feature(code, RING) for code in ("440600", "440604", "440605", "440604012")]
    drawing = draw(features, {"440604": 3, "440604012": 2, "440605": 1, "110101": 9})
    assert [place.figure for place in drawing.places] == [6, 5, 1, 2]
    assert drawing.legend == ((1, 1), (2, 2), (5, 5), (6, 6))
    assert [place.shade for place in drawing.places] == [4, 3, 1, 2]


def test_nothing_is_shaded_where_nothing_is_known() -> None:
    drawing = draw([feature("440604012", RING)], {"440604": 3})
    assert drawing.legend == ()
    assert drawing.places[0].figure is None
    assert draw([], {}).places == ()
