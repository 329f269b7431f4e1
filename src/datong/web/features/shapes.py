"""Shapes as GeoJSON geometries (RFC 7946): outer rings counter-clockwise, a whole page at once."""

from collections.abc import Sequence
from importlib import import_module


def geojson_shapes(shapes: Sequence[bytes | None], *, latitude_first: bool) -> list[str]:
    """Return each WKB as the text of a GeoJSON geometry, `null` for None."""
    if not any(shapes):
        return ["null"] * len(shapes)
    # Shapely and NumPy take a fifth of a second to import: only a hub that is asked for shapes pays for it.
    shapely, numpy = import_module("shapely"), import_module("numpy")
    column = numpy.empty(len(shapes), dtype=object)
    column[:] = list(shapes)
    read = shapely.orient_polygons(shapely.from_wkb(column))
    if latitude_first:
        read = shapely.transform(read, lambda places: places[:, ::-1])
    return [text or "null" for text in shapely.to_geojson(read).tolist()]
