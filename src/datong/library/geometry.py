"""Geometry as the library takes it in: WKT, WKB or GeoJSON text, degrees of CGCS2000 or WGS 84, judged and canonical.

The canonical form is the hexadecimal WKB of the normalised two-dimensional geometry (OGC 06-103r4), so that two sources
that draw the same shape say the same text. Longitude comes before latitude, as in GeoJSON (RFC 7946 §3.1.1) and in what
departments deliver, whatever the axis order of the EPSG register. CGCS2000 and WGS 84 differ by centimetres and count
as one; anything else (Beijing 1954, Xi'an 1980, projected metres) has no value here and says so.

GEOS reads nested collections by recursion and dies of deep ones, with the whole process: what could nest is refused by
its form before GEOS sees it (`_ADMITTED`, `flat_wkb`).
"""

import binascii
import re
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from datong.norms import QualityFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Geometries = NDArray[np.object_]

GEOMETRY_CHARS_MAX = 16_000_000
PARTS_MAX = 100_000
"""Parts and rings of one geometry in WKB."""
SRIDS = frozenset({4490, 4326})
CRS_NAMES = frozenset({"CGCS2000", "EPSG:4490", "4490", "WGS84", "WGS 84", "EPSG:4326", "4326", "CRS84", "OGC:CRS84"})
"""Names by which a source may state its reference system, in capitals."""
WORLD = (-180.0, -90.0, 180.0, 90.0)
CHINA = (73.0, 3.0, 136.0, 54.0)
"""West, south, east, north of the land and seas; what lies outside was swapped, projected or mistyped."""

_TYPES = frozenset({0, 1, 3, 4, 5, 6})
"""Point, line, polygon and their multiples, in GEOS's numbers."""
_NUMBERS = r"[-+0-9.eE,()\s]*"
_ADMITTED = {
    "wkt": rf"(?i)^\s*(?:SRID=\d{{1,9}};)?\s*(?:MULTI)?(?:POINT|LINESTRING|POLYGON)\s*(?:Z|M|ZM)?\s*\({_NUMBERS}\)\s*$",
    "wkb": r"^\s*(?:0[01])[0-9A-Fa-f]{8,}\s*$",
    "blob": r"^\\x0[01]",
    "geojson": r"^\s*\{",
}
_FORBIDDEN_JSON = re.compile(r"\\|Collection|geometries")
"""A geometry proper has none of these; a collection has, and an escape could hide it."""
_SRID = re.compile(r"\s*SRID=(?P<srid>\d{1,9});", re.IGNORECASE)
_JSON_CRS = re.compile(r'"crs"[^}]*EPSG:+(?P<srid>\d{1,9})"')
_BLOB_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_MULTI_WKB = frozenset({4, 5, 6})


def read_geometries(
    texts: pa.StringArray, *, crs: pa.StringArray | None = None
) -> "tuple[Geometries, list[str | None]]":
    """Return the geometry of each text (None where there is none) and its quality flag (None: nothing is wrong).

    `crs` may state each row's reference system by name. A geometry that is invalid but can be made valid without losing
    its dimension is returned repaired, with the flag `invalid_geometry`; one outside China keeps `out_of_range`.
    """
    count = len(texts)
    found: Geometries = np.full(count, None, dtype=object)
    srids = np.zeros(count, dtype=np.int64)
    flags: NDArray[np.object_] = np.full(count, QualityFlag.MALFORMED.value, dtype=object)
    missing = np.asarray(pc.is_null(texts))
    long = np.asarray([text is not None and len(text) > GEOMETRY_CHARS_MAX for text in texts.to_pylist()], dtype=bool)
    flags[missing] = QualityFlag.MISSING.value
    flags[long] = QualityFlag.TOO_LONG.value
    for form, pattern in _ADMITTED.items():
        shaped = np.asarray(pc.match_substring_regex(texts, pattern).fill_null(False))
        rows = np.flatnonzero(shaped & ~long)
        if len(rows):
            found[rows], srids[rows] = _READERS[form](
                [str(text) for text in texts.take(pa.array(rows, pa.int64())).to_pylist()]
            )
    flags[~shapely.is_missing(found)] = None
    _judge(found, flags)
    foreign = ~np.isin(srids, (0, *SRIDS)) | _stated_otherwise(crs, count)
    _drop(found, flags, foreign & ~missing, QualityFlag.UNKNOWN_CRS)
    return found, flags.tolist()


def canonical_texts(geometries: "Geometries") -> pa.StringArray:
    """Return the canonical text of each geometry, null for None."""
    plain = shapely.normalize(shapely.force_2d(geometries))
    texts: list[str | None] = shapely.to_wkb(plain, hex=True, byte_order=1, include_srid=False).tolist()
    return pa.array(texts, pa.string())


def from_canonical(texts: pa.StringArray) -> "Geometries":
    """Return the geometries of canonical texts, None for null."""
    read: Geometries = shapely.from_wkb(np.asarray(texts.to_pylist(), dtype=object))
    return read


def coordinate_flags(longitudes: "pa.Array[Any]", latitudes: "pa.Array[Any]") -> "NDArray[np.bool_]":
    """Return which pairs of clean coordinates do not lie in China; a missing one is not judged."""
    x = pc.cast(longitudes, pa.float64()).to_numpy(zero_copy_only=False)
    y = pc.cast(latitudes, pa.float64()).to_numpy(zero_copy_only=False)
    west, south, east, north = CHINA
    with np.errstate(invalid="ignore"):
        outside: NDArray[np.bool_] = (x < west) | (x > east) | (y < south) | (y > north)
    return outside


def flat_wkb(wkb: bytes) -> bool:
    """Return whether `wkb` is one simple geometry, or a multiple of simple ones, and nothing nests deeper.

    It reads the headers of parts only, never a coordinate.
    """
    try:
        kind, dimensions, position = _header(wkb, 0)
        if kind not in _MULTI_WKB:
            return 1 <= kind <= 3
        (parts,) = struct.unpack_from(_order(wkb, 0) + "I", wkb, position)
        position += 4
        if parts > PARTS_MAX:
            return False
        for _ in range(parts):
            part, dimensions, start = _header(wkb, position)
            if part != kind - 3:
                return False
            position = _end_of_simple(wkb, part, dimensions, _order(wkb, position), start)
    except (struct.error, ValueError):
        return False
    return True


def _order(wkb: bytes, position: int) -> str:
    return "<" if wkb[position : position + 1] == b"\x01" else ">"


def _header(wkb: bytes, position: int) -> tuple[int, int, int]:
    """Return kind, dimensions and the position behind the header at `position` (ISO and EWKB numbers)."""
    (number,) = struct.unpack_from(_order(wkb, position) + "I", wkb, position + 1)
    plain = number & 0x0FFFFFFF
    dimensions = 2 + bool(number & 0x80000000) + bool(number & 0x40000000) + (0, 1, 1, 2)[min(plain // 1000, 3)]
    return plain % 1000, dimensions, position + (9 if number & 0x20000000 else 5)


def _end_of_simple(wkb: bytes, kind: int, dimensions: int, order: str, position: int) -> int:
    """Return the position behind a point, line or polygon whose content begins at `position`.

    Raises:
        ValueError: it has too many rings.
        struct.error: it ends too early.
    """
    width = 8 * dimensions
    if kind == 1:
        return position + width
    (count,) = struct.unpack_from(order + "I", wkb, position)
    position += 4
    if kind == 2:
        return position + int(count) * width
    if count > PARTS_MAX:
        raise ValueError("rings")
    for _ in range(count):
        (points,) = struct.unpack_from(order + "I", wkb, position)
        position += 4 + int(points) * width
    return position


def _read_wkt(texts: list[str]) -> "tuple[Geometries, NDArray[np.int64]]":
    found = [_SRID.match(text) for text in texts]
    bare = [text[match.end() :] if match else text for text, match in zip(texts, found, strict=True)]
    return _parsed(shapely.from_wkt, bare), _numbers(found)


def _read_geojson(texts: list[str]) -> "tuple[Geometries, NDArray[np.int64]]":
    proper = [None if _FORBIDDEN_JSON.search(text) else text for text in texts]
    return _parsed(shapely.from_geojson, proper), _numbers([_JSON_CRS.search(text) for text in texts])


def _read_wkb(texts: list[str]) -> "tuple[Geometries, NDArray[np.int64]]":
    return _from_bytes([_unhexed(text.strip()) for text in texts])


def _read_blob(texts: list[str]) -> "tuple[Geometries, NDArray[np.int64]]":
    """Read binary WKB in the form in which DuckDB writes a BLOB as text: printable letters, else `\\xNN`."""
    return _from_bytes(
        [
            _BLOB_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text.encode("latin-1", "replace"))
            for text in texts
        ]
    )


def _from_bytes(values: list[bytes | None]) -> "tuple[Geometries, NDArray[np.int64]]":
    read = _parsed(shapely.from_wkb, [value if value is not None and flat_wkb(value) else None for value in values])
    return read, np.maximum(shapely.get_srid(read), 0)


def _parsed(parse: Callable[..., Any], values: Sequence[str | bytes | None]) -> "Geometries":
    """Return the geometries of all values at once, None for what is malformed."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    with np.errstate(all="ignore"):
        read: Geometries = parse(column, on_invalid="ignore")
    return read


def _numbers(found: "list[re.Match[str] | None]") -> "NDArray[np.int64]":
    return np.asarray([int(match["srid"]) if match else 0 for match in found], dtype=np.int64)


def _unhexed(text: str) -> bytes | None:
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        return None


_READERS = {"wkt": _read_wkt, "wkb": _read_wkb, "blob": _read_blob, "geojson": _read_geojson}


def _stated_otherwise(crs: pa.StringArray | None, count: int) -> "NDArray[np.bool_]":
    if crs is None:
        return np.zeros(count, dtype=bool)
    known = pc.is_in(pc.utf8_upper(pc.utf8_trim_whitespace(crs)), value_set=pa.array(sorted(CRS_NAMES)))
    return np.asarray(pc.and_(pc.is_valid(crs), pc.invert(known)))


def _judge(found: "Geometries", flags: "NDArray[np.object_]") -> None:
    """Set the flags of what was read, and drop what has no value."""
    kinds = shapely.get_type_id(found)
    unusable = (kinds >= 0) & (~np.isin(kinds, list(_TYPES)) | shapely.is_empty(found))
    _drop(found, flags, unusable, QualityFlag.MALFORMED)
    bounds = shapely.bounds(found)
    present = shapely.get_type_id(found) >= 0
    _drop(found, flags, present & ~_inside(bounds, WORLD), QualityFlag.OUT_OF_RANGE)
    flags[present & _inside(bounds, WORLD) & ~_inside(bounds, CHINA)] = QualityFlag.OUT_OF_RANGE.value
    invalid = np.flatnonzero((shapely.get_type_id(found) >= 0) & ~shapely.is_valid(found))
    if len(invalid):
        flags[invalid] = QualityFlag.INVALID_GEOMETRY.value
        repaired = shapely.make_valid(found[invalid], method="structure", keep_collapsed=False)
        same = shapely.get_dimensions(repaired) == shapely.get_dimensions(found[invalid])
        usable = same & np.isin(shapely.get_type_id(repaired), list(_TYPES)) & ~shapely.is_empty(repaired)
        found[invalid] = np.where(usable, repaired, None)


def _inside(bounds: "NDArray[np.float64]", box: tuple[float, float, float, float]) -> "NDArray[np.bool_]":
    west, south, east, north = box
    inside: NDArray[np.bool_] = (
        (bounds[:, 0] >= west) & (bounds[:, 1] >= south) & (bounds[:, 2] <= east) & (bounds[:, 3] <= north)
    )
    return inside


def _drop(found: "Geometries", flags: "NDArray[np.object_]", rows: "NDArray[np.bool_]", flag: QualityFlag) -> None:
    found[rows] = None
    flags[rows] = flag.value
