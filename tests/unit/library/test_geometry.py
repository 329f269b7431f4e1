"""Geometry from texts: every form reads the same, what is wrong is said, and nothing brings the process down."""

import json

import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from datong.library.geometry import canonical_texts, flat_wkb, from_canonical, read_geometries

SQUARE = shapely.box(113.0, 23.0, 113.2, 23.2)
MANY = shapely.multipolygons([SQUARE, shapely.box(114, 23, 114.1, 23.1)])
DEEP = 60_000
"""Levels at which GEOS itself overflows the stack and takes the process with it."""


def read(*texts: str | None, crs: tuple[str | None, ...] | None = None) -> list[tuple[str | None, str | None]]:
    """Return shape (WKT) and flag of each text."""
    stated = None if crs is None else pa.array(crs, pa.string())
    found, flags = read_geometries(pa.array(texts, pa.string()), crs=stated)
    return list(zip([None if shape is None else shape.wkt for shape in found], flags, strict=True))


@pytest.mark.parametrize(
    "shape", [shapely.points(113.1, 23.05), shapely.linestrings([(113, 23), (114, 24)]), SQUARE, MANY]
)
def test_every_form_of_a_shape_becomes_one_canonical_text(shape: BaseGeometry) -> None:
    escaped = "".join(f"\\x{byte:02X}" for byte in shapely.to_wkb(shape))
    forms = [
        shape.wkt,
        f" srid=4490; {shape.wkt.lower()} ",
        shape.wkb_hex,
        shapely.to_wkb(shapely.set_srid(shape, 4326), hex=True, include_srid=True, byte_order=0).lower(),
        shapely.to_wkb(shapely.force_3d(shape), hex=True, flavor="iso"),
        shapely.to_wkb(shapely.force_3d(shape), hex=True, flavor="extended"),
        shapely.to_geojson(shape),
        escaped,
    ]
    found, flags = read_geometries(pa.array(forms, pa.string()))
    assert flags == [None] * len(forms)
    texts = canonical_texts(found)
    assert len(set(texts.to_pylist())) == 1
    assert shapely.equals(from_canonical(texts), shape).all()


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (None, "missing"),
        ("", "malformed"),
        ("示例市", "malformed"),
        ("POINT EMPTY", "malformed"),
        ("POINT(113 23", "malformed"),
        ("POLYGON((113 23, 114 24, 114 23))", "malformed"),
        ("CIRCULARSTRING(113 23, 114 24, 114 23)", "malformed"),
        ("GEOMETRYCOLLECTION(POINT(113 23))", "malformed"),
        ("0102000000FFFFFFFF00", "malformed"),
        ("010", "malformed"),
        ('{"type": "Point"}', "malformed"),
        ('{"type":"\\u0047eometryCollection","geometries":[]}', "malformed"),
        ("POINT(23 113)", "out_of_range"),
        ("POINT(1e999 23)", "out_of_range"),
        ("SRID=4214;POINT(113 23)", "unknown_crs"),
        ("SRID=3857;POINT(113 23)", "unknown_crs"),
        (shapely.to_wkb(shapely.set_srid(SQUARE, 2000), hex=True, include_srid=True), "unknown_crs"),
        (
            '{"type":"Point","coordinates":[113,23],"crs":{"properties":{"name":"urn:ogc:def:crs:EPSG::4214"}}}',
            "unknown_crs",
        ),
    ],
)
def test_what_has_no_value_says_why(text: str | None, flag: str) -> None:
    assert read(text) == [(None, flag)]


def test_a_doubtful_shape_keeps_its_value() -> None:
    (bowtie, abroad) = read("POLYGON((113 23,113.2 23.2,113.2 23,113 23.2,113 23))", "POINT(2.35 48.85)")
    assert bowtie[1] == "invalid_geometry"
    assert shapely.is_valid(shapely.from_wkt(bowtie[0]))
    assert abroad == ("POINT (2.35 48.85)", "out_of_range")


def test_a_system_stated_beside_the_shape_counts() -> None:
    rows = read(*["POINT(113 23)"] * 4, crs=("CGCS2000", " wgs84", None, "西安80"))
    assert [flag for _, flag in rows] == [None, None, None, "unknown_crs"]


@pytest.mark.parametrize(
    "text",
    [
        "GEOMETRYCOLLECTION(" * DEEP + ")" * DEEP,
        "MULTIPOLYGON" + "(" * DEEP + ")" * DEEP,
        "010700000001000000" * DEEP,
        "010600000001000000" * DEEP,
        "01EE03000001000000" * DEEP,
        "0106000000020000000103000000000000000106000000" + "01000000" + "010600000001000000" * DEEP,
        '{"type":"GeometryCollection","geometries":[' * DEEP,
        '{"type":"Polygon","coordinates":' + "[" * DEEP,
        '{"type":"Feature","geometry":' * DEEP + "null" + "}" * DEEP,
    ],
    ids=lambda text: text[:24],
)
def test_nothing_nests_until_the_stack_is_gone(text: str) -> None:
    assert read(text) == [(None, "malformed")]


JSON = st.recursive(
    st.none() | st.floats() | st.text(max_size=5) | st.sampled_from(["Point", "Polygon", "Feature"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "coordinates", "geometry", "crs", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
NEAR_WKT = st.from_regex(
    r"(SRID=\d{1,10};)?(MULTI)?(POINT|POLYGON|LINESTRING) ?[ZM]{0,2} ?\([-0-9eE., ()]{0,40}\)", fullmatch=True
)
NEAR_WKB = st.builds(
    lambda order, kind, tail: (order + kind.to_bytes(4, "little") + tail).hex(),
    st.sampled_from([b"\x00", b"\x01"]),
    st.integers(0, 2**32 - 1) | st.integers(0, 20) | st.integers(1000, 3010),
    st.binary(max_size=60),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=40) | JSON.map(json.dumps) | NEAR_WKT | NEAR_WKB, min_size=1, max_size=5))
def test_any_text_has_a_shape_or_a_reason(texts: list[str]) -> None:
    found, flags = read_geometries(pa.array(texts, pa.string()))
    missing = shapely.is_missing(found)
    assert all(flag is not None for flag, none in zip(flags, missing, strict=True) if none)
    assert shapely.is_valid(found[~missing]).all()
    again, _ = read_geometries(canonical_texts(found))
    assert canonical_texts(again).to_pylist() == canonical_texts(found).to_pylist()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_headers_of_any_bytes_are_read(wkb: bytes) -> None:
    assert flat_wkb(wkb) in (True, False)
