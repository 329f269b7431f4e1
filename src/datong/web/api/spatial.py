"""Places: the divisions that contain a point, and what a free address says."""

from typing import Annotated

import pyarrow as pa
from fastapi import Query
from pydantic import Field

from datong.kernel import Value
from datong.library import DivisionAt
from datong.sharing import Action
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="library")

POINTS_MAX = 10_000
"""Points in one request; a batch of a library's own size goes through `SpatialLibrary.locate`."""
ADDRESS_CHARS_MAX = 400
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]


class Points(Value):
    """Points as [longitude, latitude], degrees of CGCS2000 or WGS 84."""

    points: tuple[tuple[Longitude, Latitude], ...] = Field(max_length=POINTS_MAX)


class LocatedPoints(Value):
    """The code of the deepest division that contains each point, null where none does; in the order of the points."""

    division_codes: tuple[str | None, ...]


class Addresses(Value):
    """Free addresses; `home` is the beginning of the division codes of the place where they were written."""

    addresses: tuple[Annotated[str, Field(max_length=ADDRESS_CHARS_MAX)], ...] = Field(max_length=POINTS_MAX)
    home: str = Field("", pattern=r"^\d{0,6}$")


class ParsedAddress(Value):
    """What one address says; `alternatives` are other divisions that explain as much of it."""

    division_code: str | None
    level: int | None
    road: str | None
    number: str | None
    building: str | None
    unit: str | None
    room: str | None
    rest: str | None
    confidence: float
    alternatives: tuple[str, ...]


@router.get("/divisions/at")
def divisions_at(
    caller: Caller,
    hub: Hub,
    longitude: Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False)],
    latitude: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False)],
) -> tuple[DivisionAt, ...]:
    """Return the divisions that contain a point, from the top down; none where no boundary is known."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    return hub.library.spatial.divisions_at(longitude, latitude)


@router.post("/divisions/at")
def locate_points(body: Points, caller: Caller, hub: Hub) -> LocatedPoints:
    """Return the deepest division around each of many points."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    longitudes = pa.array([longitude for longitude, _ in body.points], pa.float64())
    latitudes = pa.array([latitude for _, latitude in body.points], pa.float64())
    found = hub.library.spatial.locate(longitudes, latitudes).column("division_code")
    return LocatedPoints(division_codes=tuple(found.to_pylist()))


@router.post("/addresses/parse")
def parse_addresses(body: Addresses, caller: Caller, hub: Hub) -> tuple[ParsedAddress, ...]:
    """Return what free addresses say: division, road, number and the rest, with confidence; nothing is kept."""
    hub.policy.require(caller, Action.LIBRARY_READ)
    parsed = hub.library.spatial.parse_addresses(pa.array(body.addresses, pa.string()), home=body.home)
    return tuple(ParsedAddress.model_validate(row) for row in parsed.to_pylist())
