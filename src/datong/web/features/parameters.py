"""The query parameters of OGC API – Features: read strictly, because an unknown or malformed one is an error there."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from datong.kernel import Invalid, Text
from datong.library import FEATURES_MAX, Box, FeatureQuery

LIMIT_DEFAULT = 100
VALUE_CHARS_MAX = 400
ROW_MAX = 2**53
FORMATS = frozenset({"json", "geojson"})
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<time>[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2}))?", re.ASCII
)
_OPEN_ENDS = frozenset({"", ".."})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_DIGITS = re.compile(r"\d{1,18}", re.ASCII)


class Crs(StrEnum):
    """The coordinate systems of answers; those of EPSG put the latitude first."""

    CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"
    CGCS2000 = "http://www.opengis.net/def/crs/EPSG/0/4490"

    @property
    def latitude_first(self) -> bool:
        """Whether coordinates come as latitude, longitude."""
        return self is not Crs.CRS84


class ItemsRequest(NamedTuple):
    """What a client wants of a collection's items."""

    query: FeatureQuery
    crs: Crs


def read_parameters(
    given: Iterable[tuple[str, str]], allowed: Iterable[str], *, filters: Iterable[str] = ()
) -> Mapping[str, str]:
    """Return the parameters by name.

    Raises:
        Invalid: one is unknown here, stands twice or is too long, or `f` names a format that there is not.
    """
    found: dict[str, str] = {}
    known = {*allowed, *filters, "f"}
    for name, value in given:
        if name not in known:
            raise _unusable(
                name[:VALUE_CHARS_MAX],
                Text(
                    zh=f"没有这个参数；可用：{'、'.join(sorted(known))}", en=f"unknown; use {', '.join(sorted(known))}"
                ),
            )
        if name in found:
            raise _unusable(name, Text(zh="出现了两次", en="stands twice"))
        if len(value) > VALUE_CHARS_MAX:
            raise _unusable(
                name, Text(zh=f"不得超过 {VALUE_CHARS_MAX} 个字符", en=f"over {VALUE_CHARS_MAX} characters")
            )
        found[name] = value
    if found.get("f", "json") not in FORMATS:
        raise _unusable("f", Text(zh="只提供 json", en="only json is offered"))
    return found


ITEMS_PARAMETERS = ("limit", "bbox", "bbox-crs", "datetime", "crs", "after")


def read_items(given: Iterable[tuple[str, str]], *, filters: Sequence[str]) -> ItemsRequest:
    """Return what the parameters ask of a collection that is filtered by `filters`.

    Raises:
        Invalid: see `read_parameters`; or a value is not what its parameter takes.
    """
    found = read_parameters(given, ITEMS_PARAMETERS, filters=filters)
    since, until = read_datetime(found["datetime"]) if "datetime" in found else (None, None)
    box_crs = read_crs(found.get("bbox-crs", Crs.CRS84), "bbox-crs")
    return ItemsRequest(
        query=FeatureQuery(
            box=read_box(found["bbox"], box_crs) if "bbox" in found else None,
            since=since,
            until=until,
            equals={name: found[name] for name in filters if name in found},
            after=_whole(found.get("after", "0"), "after", least=0, most=ROW_MAX),
            limit=min(_whole(found.get("limit", str(LIMIT_DEFAULT)), "limit", least=1, most=ROW_MAX), FEATURES_MAX),
        ),
        crs=read_crs(found.get("crs", Crs.CRS84), "crs"),
    )


def read_crs(text: str, name: str) -> Crs:
    """Return the coordinate system of a URI, or raise Invalid."""
    if text not in set(Crs):
        raise _unusable(name, Text(zh=f"坐标系应为 {'、'.join(Crs)} 之一", en=f"must be one of {', '.join(Crs)}"))
    return Crs(text)


def read_box(text: str, crs: Crs) -> Box:
    """Return the rectangle of `bbox`: four numbers, or six with heights, which are left out of account.

    Raises:
        Invalid: it is no such list, or no rectangle on Earth.
    """
    parts = text.split(",")
    numbers = [float(part) for part in parts if _NUMBER.fullmatch(part.strip())]
    if len(numbers) != len(parts) or len(parts) not in (4, 6) or not all(map(math.isfinite, numbers)):
        raise _unusable("bbox", Text(zh="应为 4 个或 6 个数字，用逗号分隔", en="must be 4 or 6 numbers and commas"))
    half = len(numbers) // 2
    first, second = numbers[:2], numbers[half : half + 2]
    if crs.latitude_first:
        first, second = first[::-1], second[::-1]
    (west, south), (east, north) = first, second
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise _unusable(
            "bbox",
            Text(zh="应依次为西、南、东、北（度），南不大于北", en="must be west, south, east, north in degrees"),
        )
    return Box(west=west, south=south, east=east, north=north)


def read_datetime(text: str) -> tuple[datetime | None, datetime | None]:
    """Return beginning and end of an instant, a day or an interval (RFC 3339; `..` or nothing leaves an end open).

    Raises:
        Invalid: it is none of these, or the interval ends before it begins.
    """
    parts = text.split("/")
    if len(parts) == 1:
        return _moment(parts[0])
    if len(parts) != 2 or set(parts) <= _OPEN_ENDS:
        raise _unusable_datetime()
    since = None if parts[0] in _OPEN_ENDS else _moment(parts[0])[0]
    until = None if parts[1] in _OPEN_ENDS else _moment(parts[1])[1]
    if since is not None and until is not None and until < since:
        raise _unusable_datetime()
    return since, until


def _moment(text: str) -> tuple[datetime, datetime]:
    """Return the first and the last second of what `text` names, in UTC."""
    matched = _MOMENT.fullmatch(text)
    if matched is None:
        raise _unusable_datetime()
    try:
        read = datetime.fromisoformat(text.upper())
        moment = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        return moment, moment if matched["time"] else moment + timedelta(days=1, seconds=-1)
    except (ValueError, OverflowError) as error:
        raise _unusable_datetime() from error


def _whole(text: str, name: str, *, least: int, most: int) -> int:
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise _unusable(name, Text(zh=f"应为不小于 {least} 的整数", en=f"must be a whole number from {least}"))
    return int(text)


def _unusable_datetime() -> Invalid:
    return _unusable(
        "datetime",
        Text(zh="应为 RFC 3339 的时刻或区间（a/b、../b、a/..）", en="must be an RFC 3339 instant or interval"),
    )


def _unusable(name: str, why: Text) -> Invalid:
    return Invalid(
        "ogc.parameter_invalid",
        what=Text(zh=f"参数 {name}：{why.zh}。", en=f"Parameter {name}: {why.en}."),
        remedy=Text(zh="参数说明见 /ogc/api。", en="See /ogc/api for the parameters."),
        field=name,
    )
