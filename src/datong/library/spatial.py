"""The spatial library: features of a published version, and which divisions contain a point. Reading only.

Pages and single points are answered from the immutable lookup file by its R*Tree, a batch of points by a tree over the
points; no analytical engine is loaded. Shapely is loaded when somebody asks for the first time.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datong.kernel import EntityId, Invalid, NotFound, Text
from datong.library.definition import Definition, SpatialRule
from datong.library.division_names import DivisionNames
from datong.library.lookup import open_file
from datong.library.spatial_values import (
    Box,
    DivisionAt,
    Feature,
    FeatureCollection,
    FeaturePage,
    FeatureQuery,
)
from datong.library.values import Dataset

if TYPE_CHECKING:
    import pyarrow as pa
    from shapely.geometry.base import BaseGeometry

    from datong.library.published import Published

SHAPES_KEPT = 2048
"""Shapes that a process keeps parsed for single points."""
PARENTS_MAX = 8
GEOGRAPHY = "geography"
_FEATURE = "entity_id, observed_at, properties, wkb"


class SpatialLibrary:
    """The features of `published` libraries."""

    def __init__(self, published: "Published") -> None:
        self._published = published

    def collections(self) -> tuple[FeatureCollection, ...]:
        """Return every published library with features, by name."""
        spatial = [known for known in self._published.definitions() if known.spatial is not None]
        datasets = {dataset.name: dataset for dataset in self._published.datasets()}
        described = (
            _describe(known, datasets[known.name], known.spatial)
            for known in sorted(spatial, key=lambda known: known.name)
            if known.spatial is not None and known.name in datasets
        )
        return tuple(found for found in described if found is not None)

    def collection(self, name: str) -> FeatureCollection:
        """Return one collection, or raise NotFound."""
        definition, spatial = self._spatial(name)
        found = _describe(definition, self._published.dataset(name), spatial)
        if found is None:
            raise _unknown(name)
        return found

    def page(self, name: str, query: FeatureQuery) -> FeaturePage:
        """Return the features of the current version that `query` asks for.

        Raises:
            NotFound: there is no such collection.
            Invalid: it is not filtered by one of the elements.
        """
        collection = self.collection(name)
        unknown = sorted(set(query.equals) - set(collection.filters))
        if unknown:
            raise Invalid(
                "library.filter_unknown",
                what=Text(
                    zh=f"要素集 {name} 不支持按 {'、'.join(unknown)} 筛选。",
                    en=f"The collection {name} is not filtered by {', '.join(unknown)}.",
                ),
                remedy=Text(
                    zh=f"可用的筛选项：{'、'.join(collection.filters)}。",
                    en=f"Use one of: {', '.join(collection.filters)}.",
                ),
                field=unknown[0],
            )
        with open_file(self._published.dataset(name).lookup_path) as file:
            return _page(file, query)

    def feature(self, name: str, entity_id: EntityId) -> Feature:
        """Return one feature, or raise NotFound."""
        self._spatial(name)
        with open_file(self._published.dataset(name).lookup_path) as file:
            row = file.execute(
                f"SELECT {_FEATURE} FROM feature WHERE id IN "
                "(SELECT row FROM key WHERE element = 'entity_id' AND value = ?)",
                (entity_id,),
            ).fetchone()
        if row is None:
            raise self.unknown_feature(name, entity_id)
        return Feature(*row)

    def unknown_feature(self, name: str, entity_id: EntityId) -> NotFound:
        """Return the error that says there is no such feature."""
        return NotFound(
            "library.feature_unknown",
            what=Text(zh=f"要素集 {name} 中没有要素 {entity_id}。", en=f"{name} has no feature {entity_id}."),
            remedy=Text(zh="请从要素列表中选择。", en="Choose one from the collection's items."),
        )

    def divisions_at(self, longitude: float, latitude: float) -> tuple[DivisionAt, ...]:
        """Return the divisions that contain the point, from the top down; none where no boundary is known.

        A point on a common border belongs to the division with the smaller code.

        Raises:
            NotFound: the geography library has not been published.
        """
        _, spatial = self._spatial(GEOGRAPHY)
        path = self._published.dataset(GEOGRAPHY).lookup_path
        with open_file(path) as file:
            containing = list(_containing(file, path, longitude, latitude))
            if not containing:
                return ()
            _, deepest = min(containing, key=lambda pair: (-(pair[0] or 0), pair[1]))
            drawn = {code for _, code in containing}
            chain = list(_chain(file, spatial, deepest))
        return tuple(
            DivisionAt(code=code, name=name, level=level, drawn=code in drawn) for code, name, level in reversed(chain)
        )

    def locate(self, longitudes: "pa.Array[Any]", latitudes: "pa.Array[Any]") -> "pa.Table":
        """Return, for each point, the deepest division that contains it, and the division at each level above it.

        Columns: division_code, level_1 … level_5 (codes; null where there is none). Missing coordinates have none.
        """
        _, spatial = self._spatial(GEOGRAPHY)
        with open_file(self._published.dataset(GEOGRAPHY).lookup_path) as file:
            shapes = file.execute(
                "SELECT entity_id, level, wkb FROM feature WHERE wkb IS NOT NULL ORDER BY entity_id"
            ).fetchall()
            parents: dict[str, tuple[int | None, str | None]] = {
                code: (level, parent)
                for code, level, parent in file.execute(
                    "SELECT entity_id, level, json_extract(properties, ?) FROM feature", (f"$.{spatial.parent}",)
                )
            }
        located: pa.Table = import_module("datong.library.spatial_points").locate(
            shapes, parents, longitudes, latitudes
        )
        return located

    def figures(self, library: str) -> Mapping[str, int]:
        """Return how many entities of a published library say that they are in which division, by its code.

        Raises:
            NotFound: the library has not been published.
        """
        with open_file(self._published.dataset(library).lookup_path) as file:
            if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'figure'").fetchone() is None:
                return {}
            return dict(file.execute("SELECT division, entities FROM figure"))

    def parse_addresses(self, addresses: "pa.Array[Any]", *, home: str = "") -> "pa.Table":
        """Return what free addresses say, see `datong.library.addresses.parse_addresses`.

        The names are those of the published divisions, or of the norms' counties while there are none.
        """
        module = import_module("datong.library.addresses")
        names = module.gazetteer_of(self.division_names())
        parsed: pa.Table = module.parse_addresses(addresses, names, home=home)
        return parsed

    def division_names(self) -> DivisionNames:
        """Return the published divisions' names, or those of the norms' counties while there are none."""
        try:
            path, rule = self._published.dataset(GEOGRAPHY).lookup_path, self._spatial(GEOGRAPHY)[1]
        except NotFound:
            return self._published.known_divisions()
        return _division_names(path, rule.name)

    def unknown(self, name: str) -> NotFound:
        """Return the error that says there is no such collection; what somebody may not see does not exist either."""
        return _unknown(name)

    def _spatial(self, name: str) -> tuple[Definition, SpatialRule]:
        definition = next((known for known in self._published.definitions() if known.name == name), None)
        if definition is None or definition.spatial is None:
            raise _unknown(name)
        return definition, definition.spatial


def _unknown(name: str) -> NotFound:
    return NotFound(
        "library.collection_unknown",
        what=Text(zh=f"没有名为 {name} 的要素集。", en=f"There is no feature collection called {name}."),
        remedy=Text(zh="请从 /ogc/collections 中选择。", en="Choose one from /ogc/collections."),
        context={"collection": name},
    )


def _describe(definition: Definition, dataset: Dataset, spatial: SpatialRule) -> FeatureCollection | None:
    """Return the collection, or None if its version was published before features were."""
    with open_file(dataset.lookup_path) as file:
        if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'extent'").fetchone() is None:
            return None
        *box, shapes, features, first, last = file.execute(
            "SELECT west, south, east, north, shapes, features, first_observed, last_observed FROM extent"
        ).fetchone()
    west, south, east, north = box
    return FeatureCollection(
        name=dataset.name,
        title=dataset.title,
        open=dataset.open,
        version=dataset.version,
        crs=spatial.crs,
        published_at=dataset.published_at,
        features=features,
        shapes=shapes,
        box=Box(west=west, south=south, east=east, north=north) if shapes else None,
        first_observed=first,
        last_observed=last,
        filters=tuple(
            dict.fromkeys((*definition.key_elements, *((spatial.level,) if spatial.level is not None else ())))
        ),
    )


def _page(file: sqlite3.Connection, query: FeatureQuery) -> FeaturePage:
    wheres, values = conditions(file, query)
    matched = file.execute(f"SELECT count(*) FROM feature WHERE {wheres}", values).fetchone()[0]
    rows = file.execute(
        f"SELECT id, {_FEATURE} FROM feature WHERE id > :after AND {wheres} ORDER BY id LIMIT :limit",
        values | {"after": query.after, "limit": query.limit + 1},
    ).fetchall()
    more = len(rows) > query.limit
    page = rows[: query.limit]
    return FeaturePage(
        features=tuple(Feature(*row[1:]) for row in page), matched=matched, after=page[-1][0] if more else None
    )


def conditions(file: sqlite3.Connection, query: FeatureQuery) -> tuple[str, dict[str, Any]]:
    """Return the conditions of `query` in SQL, without its page, and their values."""
    wheres, values = ["1"], dict[str, Any]()
    level = next(iter(set(query.equals) - _key_elements(file)), None)
    for place, (element, value) in enumerate(query.equals.items()):
        values |= {f"value_{place}": value}
        if element == level:
            wheres.append(f"CAST(level AS TEXT) = :value_{place}")
            continue
        values |= {f"element_{place}": element}
        wheres.append(f"id IN (SELECT row FROM key WHERE element = :element_{place} AND value = :value_{place})")
    for name, sign, moment in (("since", ">=", query.since), ("until", "<=", query.until)):
        if moment is not None:
            # Features that were never dated match every time (OGC 17-069r4, requirement 26).
            wheres.append(f"(observed_at IS NULL OR observed_at {sign} :{name})")
            values[name] = _written(moment)
    if query.box is not None:
        values["inside"] = json.dumps(_ids_in(file, query.box))
        wheres.append("id IN (SELECT value FROM json_each(:inside))")
    return " AND ".join(wheres), values


def _key_elements(file: sqlite3.Connection) -> set[str]:
    """Return the elements that the file looks up, by hopping over its index from one to the next."""
    rows = file.execute(
        "WITH RECURSIVE known(element) AS (SELECT min(element) FROM key UNION ALL "
        "SELECT (SELECT min(element) FROM key WHERE element > known.element) FROM known "
        "WHERE known.element IS NOT NULL) SELECT element FROM known WHERE element IS NOT NULL"
    )
    return {element for (element,) in rows}


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ids_in(file: sqlite3.Connection, box: Box) -> list[int]:
    """Return the features whose shape meets `box`: of those whose bounds are not wholly inside, the shape decides."""
    found: set[int] = set()
    for west, south, east, north in box.parts():
        rows = file.execute(
            """SELECT feature.id, feature.west >= :west AND feature.east <= :east
                   AND feature.south >= :south AND feature.north <= :north,
                   feature.west <= :east AND feature.east >= :west
                   AND feature.south <= :north AND feature.north >= :south
               FROM place JOIN feature USING (id)
               WHERE place.west <= :east AND place.east >= :west AND place.south <= :north AND place.north >= :south""",
            {"west": west, "south": south, "east": east, "north": north},
        ).fetchall()
        found.update(number for number, inside, _ in rows if inside)
        unsure = [number for number, inside, near in rows if near and not inside and number not in found]
        found.update(_meeting(file, unsure, (west, south, east, north)))
    return sorted(found)


def _meeting(file: sqlite3.Connection, unsure: list[int], box: tuple[float, float, float, float]) -> Iterator[int]:
    if not unsure:
        return
    shapely = import_module("shapely")
    frame = shapely.box(*box)
    shapely.prepare(frame)
    for number, wkb in file.execute(
        "SELECT id, wkb FROM feature WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(unsure),)
    ):
        if shapely.intersects(frame, shapely.from_wkb(wkb)):
            yield number


def _containing(
    file: sqlite3.Connection, path: Path, longitude: float, latitude: float
) -> Iterator[tuple[int | None, str]]:
    """Yield level and code of every division whose own boundary contains the point or passes through it."""
    candidates = file.execute(
        """SELECT feature.id, feature.entity_id, feature.level FROM place JOIN feature USING (id)
           WHERE place.west <= :x AND place.east >= :x AND place.south <= :y AND place.north >= :y""",
        {"x": longitude, "y": latitude},
    ).fetchall()
    if not candidates:
        return
    shapely = import_module("shapely")
    for number, code, level in candidates:
        if shapely.intersects_xy(_shape(path, number), longitude, latitude):
            yield level, code


@lru_cache(maxsize=2)
def _division_names(path: Path, element: str) -> DivisionNames:
    """Return the names of every published division; a lookup file never changes."""
    with open_file(path) as file:
        return tuple(
            file.execute(
                "SELECT entity_id, json_extract(properties, ?), level FROM feature WHERE level IS NOT NULL "
                "ORDER BY entity_id",
                (f"$.{element}",),
            )
        )


@lru_cache(maxsize=SHAPES_KEPT)
def _shape(path: Path, number: int) -> "BaseGeometry":
    """Return a feature's shape, prepared; a lookup file never changes, so neither does its shape."""
    shapely = import_module("shapely")
    with open_file(path) as file:
        (wkb,) = file.execute("SELECT wkb FROM feature WHERE id = ?", (number,)).fetchone()
    shape: BaseGeometry = shapely.from_wkb(wkb)
    shapely.prepare(shape)
    return shape


def _chain(file: sqlite3.Connection, spatial: SpatialRule, code: str) -> Iterator[tuple[str, str, int | None]]:
    """Yield code, name and level of a division and of those above it."""
    wanted: str | None = code
    for _ in range(PARENTS_MAX):
        row = file.execute(
            "SELECT level, properties FROM feature WHERE id IN "
            "(SELECT row FROM key WHERE element = 'entity_id' AND value = ?)",
            (wanted,),
        ).fetchone()
        if wanted is None or row is None:
            return
        properties: Mapping[str, Any] = json.loads(row[1])
        yield wanted, str(properties.get(spatial.name) or ""), row[0]
        wanted = properties.get(spatial.parent) if spatial.parent is not None else None
