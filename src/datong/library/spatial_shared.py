"""Features for somebody who may see the cells of some sources only: which entities, and which of their cells.

An entity is a feature for them if its place comes from a source and element they may use; a filter holds only where the
value it compares does. What another source says of the same entity stays out, also out of counts and rectangles.
"""

import json
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from datong.kernel import EntityId, Invalid, ResourceId, Text
from datong.library.lookup import LookupFile, open_file
from datong.library.published import Published
from datong.library.spatial import conditions
from datong.library.spatial_values import FeatureQuery
from datong.library.values import Cell

GEOMETRY, LONGITUDE, LATITUDE = "geometry", "longitude", "latitude"
PLACE_ELEMENTS = frozenset({GEOMETRY, LONGITUDE, LATITUDE})
LAYERS_KEPT = 64
"""Sets of features that a process keeps worked out: one per version, agreement's cells and filtered elements."""

UsableCells = Mapping[ResourceId, frozenset[str]]
"""The elements of each source that may be used."""


class SharedFeature(NamedTuple):
    """An entity with its place, its properties as the library types them, and the cells that may be used."""

    entity_id: EntityId
    wkb: bytes
    properties: Mapping[str, object]
    cells: Mapping[str, Cell]


class SharedPage(NamedTuple):
    """Features in the order of their ids; `after` continues behind them (None: there are no more)."""

    features: tuple[SharedFeature, ...]
    matched: int
    after: int | None


def shared_page(
    published: Published, library: str, query: FeatureQuery, usable: UsableCells, *, entity_id: EntityId | None = None
) -> SharedPage:
    """Return the features of the current version that `query` asks for, as far as `usable` goes.

    Raises:
        NotFound: there is no such collection.
        Invalid: it is asked for times (when an entity was last seen is more than one source's word), or by an element
            that may not be used.
    """
    collection = published.spatial.collection(library)
    said = {element for elements in usable.values() for element in elements}
    refused = sorted(set(query.equals) - (said & set(collection.filters)))
    if refused or query.since is not None or query.until is not None:
        name = refused[0] if refused else "datetime"
        raise Invalid(
            "library.filter_not_shared",
            what=Text(zh=f"按协议使用时不能按 {name} 筛选。", en=f"What is shared is not filtered by {name}."),
            remedy=Text(zh="请去掉该条件。", en="Leave it out."),
            field=name,
        )
    path = published.dataset(library).lookup_path
    pairs = frozenset((source, element) for source, elements in usable.items() for element in elements)
    ids = _usable_ids(path, pairs, frozenset(query.equals))
    with open_file(path) as file:
        wheres, values = conditions(file, query)
        values |= {"usable": json.dumps(ids), "entity": entity_id}
        wheres += " AND id IN (SELECT value FROM json_each(:usable)) AND (:entity IS NULL OR entity_id = :entity)"
        matched = file.execute(f"SELECT count(*) FROM feature WHERE {wheres}", values).fetchone()[0]
        rows = file.execute(
            "SELECT feature.id, feature.entity_id, wkb, properties, payload FROM feature JOIN row USING (id) "
            f"WHERE feature.id > :after AND feature.id IN (SELECT id FROM feature WHERE {wheres}) "
            "ORDER BY feature.id LIMIT :limit",
            values | {"after": query.after, "limit": query.limit + 1},
        ).fetchall()
        lookup = LookupFile(file, path)
        page = rows[: query.limit]
        features = tuple(_feature(lookup, row[1:], usable) for row in page)
    return SharedPage(features=features, matched=matched, after=page[-1][0] if len(rows) > query.limit else None)


def shared_count(published: Published, library: str, usable: UsableCells) -> int:
    """Return how many features there are for somebody who may use these cells."""
    pairs = frozenset((source, element) for source, elements in usable.items() for element in elements)
    return len(_usable_ids(published.dataset(library).lookup_path, pairs, frozenset()))


def sources_of(published: Published, library: str) -> tuple[ResourceId, ...]:
    """Return the resources that the current version of a library was made of."""
    path = published.dataset(library).lookup_path
    with open_file(path) as file:
        return tuple(source.resource_id for source in LookupFile(file, path).sources)


def _feature(lookup: LookupFile, row: tuple[str, bytes, str, str], usable: UsableCells) -> SharedFeature:
    entity_id, wkb, properties, payload = row
    cells = {
        element: cell
        for element, cell in lookup.golden_row(payload).items()
        if element in usable.get(cell.resource_id, frozenset())
    }
    typed: dict[str, object] = json.loads(properties)
    return SharedFeature(
        entity_id=EntityId(entity_id),
        wkb=wkb,
        properties={element: typed[element] for element in cells if element in typed},
        cells=cells,
    )


@lru_cache(maxsize=LAYERS_KEPT)
def _usable_ids(path: Path, usable: frozenset[tuple[ResourceId, str]], filters: frozenset[str]) -> tuple[int, ...]:
    """Return the features whose place, and every value that is filtered by, comes from a usable cell; kept by file."""
    with open_file(path) as file:
        numbers = {source.resource_id: number for number, source in enumerate(LookupFile(file, path).sources)}
        allowed = [f"{element}|{numbers[source]}" for source, element in usable if source in numbers]
        return tuple(_scan(file, allowed, sorted(filters)))


def _scan(file: sqlite3.Connection, allowed: list[str], filters: list[str]) -> list[int]:
    needed = "".join(f" AND sum(element = :filter_{place} AND usable) > 0" for place in range(len(filters)))
    rows = file.execute(
        f"""
        WITH said AS (
            SELECT row.id AS id, cell.value ->> 0 AS element,
                (cell.value ->> 0) || '|' || (cell.value ->> 5) IN (SELECT value FROM json_each(:allowed)) AS usable
            FROM row, json_each(row.payload) cell
            WHERE CAST(cell.value ->> 1 AS INTEGER) = 1 AND cell.value ->> 2 IS NOT NULL
        )
        SELECT id FROM said GROUP BY id HAVING (
            sum(element = '{GEOMETRY}' AND usable) > 0
            OR (sum(element = '{GEOMETRY}') = 0 AND sum(element = '{LONGITUDE}' AND usable) > 0
                AND sum(element = '{LATITUDE}' AND usable) > 0)
        ){needed}
        INTERSECT SELECT id FROM feature WHERE wkb IS NOT NULL ORDER BY id""",
        {"allowed": json.dumps(allowed)} | {f"filter_{place}": element for place, element in enumerate(filters)},
    )
    return [number for (number,) in rows]
