"""What the spatial library says: collections of features, a page of them, and where a point lies."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pydantic import Field

from datong.kernel import EntityId, Text, Value

FEATURES_MAX = 1000
"""Features on one page."""


class Box(Value):
    """A rectangle in degrees; `west` beyond `east` crosses the antimeridian (RFC 7946 §5.2)."""

    west: float = Field(ge=-180, le=180)
    south: float = Field(ge=-90, le=90)
    east: float = Field(ge=-180, le=180)
    north: float = Field(ge=-90, le=90)

    def parts(self) -> tuple[tuple[float, float, float, float], ...]:
        """Return one rectangle, or two where the box crosses the antimeridian."""
        if self.west <= self.east:
            return ((self.west, self.south, self.east, self.north),)
        return ((self.west, self.south, 180.0, self.north), (-180.0, self.south, self.east, self.north))


class FeatureQuery(Value):
    """Which features are wanted: in `box`, observed between `since` and `until`, with these values; behind `after`."""

    box: Box | None = None
    since: datetime | None = None
    until: datetime | None = None
    equals: Mapping[str, str] = Field(default_factory=dict)
    after: int = Field(0, ge=0)
    limit: int = Field(100, ge=1, le=FEATURES_MAX)


class Feature(NamedTuple):
    """An entity with its place: properties as a JSON object, the shape as WKB (longitude, latitude)."""

    entity_id: EntityId
    observed_at: str | None
    properties: str
    wkb: bytes | None


class FeaturePage(NamedTuple):
    """Features in the order of their ids; `after` continues behind them (None: there are no more)."""

    features: tuple[Feature, ...]
    matched: int
    after: int | None


class FeatureCollection(Value):
    """A published library whose entities have a place."""

    name: str
    title: Text
    open: bool
    version: int
    crs: str
    published_at: datetime
    features: int
    shapes: int
    """How many of the features have a shape."""
    box: Box | None
    first_observed: str | None
    last_observed: str | None
    filters: tuple[str, ...]
    """The elements by whose value features can be asked for."""


class DivisionAt(Value):
    """A division that contains a point: by its own boundary, or because a division below it does (`drawn` false)."""

    code: str
    name: str
    level: int | None
    drawn: bool
