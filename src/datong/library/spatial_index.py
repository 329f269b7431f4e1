"""Golden → features: the spatial part of a library's lookup file, read without an analytical engine.

Beside the golden rows the file gets `feature` (one per entity, same id: properties as JSON, shape as WKB, its bounds,
level and when it was last observed) and `place`, an R*Tree over the bounds. SQLite's R*Tree keeps single precision,
rounded outwards: it proposes, the exact bounds and the shape decide.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import shapely

from datong.library.definition import Definition, SpatialRule
from datong.library.engine import sql_name, sql_text
from datong.library.layers import table_sql
from datong.library.publish import FETCH_ROWS, GEOMETRY, typed_sql
from datong.library.spatial_conform import LATITUDE, LONGITUDE
from datong.norms import NormPack

SPATIAL_ELEMENTS = frozenset({GEOMETRY, LONGITUDE, LATITUDE})
DIVISION = "division_code"
_SCHEMA = """
    CREATE TABLE feature (id INTEGER PRIMARY KEY, entity_id TEXT NOT NULL, observed_at TEXT, level INTEGER,
                          properties TEXT NOT NULL, wkb BLOB, west REAL, south REAL, east REAL, north REAL);
    CREATE VIRTUAL TABLE place USING rtree(id, west, east, south, north);
"""
_INDEXES = """
    CREATE INDEX feature_observed ON feature (observed_at);
    CREATE TABLE extent AS SELECT min(west) AS west, min(south) AS south, max(east) AS east, max(north) AS north,
        count(wkb) AS shapes, count(*) AS features,
        min(observed_at) AS first_observed, max(observed_at) AS last_observed FROM feature;
"""


def write_features(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    spatial: SpatialRule,
    pack: NormPack,
    cells: Path,
    path: Path,
) -> int:
    """Add the features to the finished lookup file at `path`; return how many of them have a shape."""
    reader = connection.execute(_features_sql(definition, spatial, pack, cells)).to_arrow_reader(FETCH_ROWS)
    shapes = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode=OFF")
        file.execute("PRAGMA synchronous=OFF")
        file.execute("BEGIN")
        for statement in _SCHEMA.split(";")[:-1]:
            file.execute(statement)
        for batch in reader:
            shapes += _write_batch(file, batch)
        file.execute("INSERT INTO place SELECT id, west, east, south, north FROM feature WHERE wkb IS NOT NULL")
        for statement in _INDEXES.split(";")[:-1]:
            file.execute(statement)
        file.execute("COMMIT")
    return shapes


def write_figures(connection: duckdb.DuckDBPyConnection, cells: Path, path: Path) -> None:
    """Add `figure` to the finished lookup file at `path`: how many entities say that they are in which division."""
    counted = connection.execute(f"""
        SELECT value, count(*) FROM {table_sql(cells)}
        WHERE element = '{DIVISION}' AND position = 1 AND flag IS NULL GROUP BY value ORDER BY value""").fetchall()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode=OFF")
        file.execute("DROP TABLE IF EXISTS figure")
        file.execute("CREATE TABLE figure (division TEXT PRIMARY KEY, entities INTEGER NOT NULL) WITHOUT ROWID")
        file.execute("BEGIN")
        file.executemany("INSERT INTO figure VALUES (?, ?)", counted)
        file.execute("COMMIT")


def _write_batch(file: sqlite3.Connection, batch: pa.RecordBatch) -> int:
    """Insert a batch of features and return how many have a shape: their own geometry, else the point they state."""
    shapes = shapely.from_wkb(np.asarray(batch.column("shape").to_pylist(), dtype=object))
    x = batch.column("x").to_numpy(zero_copy_only=False)
    y = batch.column("y").to_numpy(zero_copy_only=False)
    points = np.flatnonzero(shapely.is_missing(shapes) & ~np.isnan(x) & ~np.isnan(y))
    shapes[points] = shapely.points(x[points], y[points])
    facts = batch.select(["id", "entity_id", "observed_at", "level", "properties"]).to_pydict()
    file.executemany(
        "INSERT INTO feature (id, entity_id, observed_at, level, properties) VALUES (?, ?, ?, ?, ?)",
        zip(*facts.values(), strict=True),
    )
    placed = np.flatnonzero(~shapely.is_missing(shapes))
    file.executemany(
        "UPDATE feature SET wkb = ?, west = ?, south = ?, east = ?, north = ? WHERE id = ?",
        (
            (wkb, *box, facts["id"][row])
            for wkb, box, row in zip(
                shapely.to_wkb(shapes[placed], byte_order=1).tolist(),
                shapely.bounds(shapes[placed]).tolist(),
                placed.tolist(),
                strict=True,
            )
        ),
    )
    return len(placed)


def _features_sql(definition: Definition, spatial: SpatialRule, pack: NormPack, cells: Path) -> str:
    """Return the query for one row per golden entity, numbered as the golden rows of the lookup file are."""
    held = [rule.code for rule in definition.elements if pack.has_element(rule.code)]
    columns = ", ".join(
        f"{typed_sql(pack, code, f'max(value) FILTER (element = {sql_text(code)})')} AS {sql_name(code)}"
        for code in held
    )
    plain = ", ".join(f"{sql_name(code)} := {sql_name(code)}" for code in held if code not in SPATIAL_ELEMENTS)
    level = f"TRY_CAST({sql_name(spatial.level)} AS INTEGER)" if spatial.level else "NULL::INTEGER"
    shape = sql_name(GEOMETRY) if GEOMETRY in held else "NULL::BLOB"
    coordinates = {LONGITUDE, LATITUDE} <= set(held)
    x, y = (f"{code}::DOUBLE" if coordinates else "NULL::DOUBLE" for code in (LONGITUDE, LATITUDE))
    # Two forms occur: local time without a zone from a source's own column, else the moment of the batch.
    observed = """greatest(TRY_CAST(seen_locally AS TIMESTAMP) AT TIME ZONE 'Asia/Shanghai',
            TRY_CAST(seen_at AS TIMESTAMPTZ)) AT TIME ZONE 'UTC'"""
    return f"""
        WITH golden AS (
            SELECT entity_id, {columns}, max(observed_at) FILTER (length(observed_at) <= 19) AS seen_locally,
                max(observed_at) FILTER (length(observed_at) > 19) AS seen_at,
                bool_or(flag IS NOT NULL AND element IN ('{LONGITUDE}', '{LATITUDE}')) AS doubtful
            FROM {table_sql(cells)} WHERE position = 1 GROUP BY entity_id
        )
        SELECT row_number() OVER (ORDER BY entity_id) AS id, entity_id,
            strftime({observed}, '%Y-%m-%dT%H:%M:%SZ') AS observed_at, {level} AS level,
            CAST(to_json(struct_pack({plain})) AS VARCHAR) AS properties, {shape} AS shape,
            CASE WHEN NOT doubtful THEN {x} END AS x, CASE WHEN NOT doubtful THEN {y} END AS y
        FROM golden ORDER BY entity_id"""
