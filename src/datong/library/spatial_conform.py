"""Geometry and coordinates of a conformed source, judged after the norms have cleaned the texts.

SQL cannot judge a shape: this step reads the conformed file's spatial columns only, judges them by whole columns, and
writes the file again with canonical geometries and flags. The raw values stay as they came.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datong.library.conform import ConformedSource
from datong.library.geometry import canonical_texts, coordinate_flags, read_geometries
from datong.library.publish import GEOMETRY
from datong.norms import QualityFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGITUDE, LATITUDE = "longitude", "latitude"
CRS = "coordinate_system"


def conform_geometry(conformed: ConformedSource, folder: Path) -> None:
    """Judge the geometry and the coordinates in the conformed file of one source; a source without any is left alone.

    Afterwards `geometry` holds the canonical text or NULL, and the flags say what is wrong with a place.
    """
    if not conformed.has(GEOMETRY) and not (conformed.has(LONGITUDE) and conformed.has(LATITUDE)):
        return
    path = folder / conformed.file
    table = pq.read_table(path)
    if conformed.has(GEOMETRY):
        table = _judge_geometry(table, crs=CRS if conformed.has(CRS) else None)
    if conformed.has(LONGITUDE) and conformed.has(LATITUDE):
        table = _judge_coordinates(table)
    scratch = path.with_suffix(".part")
    pq.write_table(table, scratch, compression="snappy")
    scratch.replace(path)


def _judge_geometry(table: pa.Table, *, crs: str | None) -> pa.Table:
    rows = np.flatnonzero(np.asarray(pc.is_valid(_column(table, GEOMETRY))))
    taken = table.take(pa.array(rows, pa.int64()))
    found, flags = read_geometries(
        _column(taken, f"{GEOMETRY}|raw"), crs=_column(taken, crs) if crs is not None else None
    )
    table = _with(table, GEOMETRY, _spread(canonical_texts(found).to_pylist(), rows, len(table)))
    missing = np.full(len(table), QualityFlag.MISSING.value, dtype=object)
    missing[rows] = flags
    return _with(table, f"{GEOMETRY}|flag", pa.array(missing.tolist(), pa.string()))


def _spread(values: list[str | None], rows: "NDArray[np.int64]", count: int) -> "pa.Array[Any]":
    """Return a column of `count` with the values in their rows, null elsewhere."""
    column: NDArray[np.object_] = np.full(count, None, dtype=object)
    column[rows] = values
    return pa.array(column.tolist(), pa.string())


def _judge_coordinates(table: pa.Table) -> pa.Table:
    outside = coordinate_flags(_column(table, LONGITUDE), _column(table, LATITUDE))
    if not bool(np.any(outside)):
        return table
    for element in (LONGITUDE, LATITUDE):
        flags = pc.if_else(pa.array(outside), QualityFlag.OUT_OF_RANGE.value, _column(table, f"{element}|flag"))
        table = _with(table, f"{element}|flag", flags)
    return table


def _column(table: pa.Table, name: str) -> pa.StringArray:
    return cast("pa.StringArray", pc.cast(table.column(name), pa.string()).combine_chunks())


def _with(table: pa.Table, name: str, values: "pa.Array[Any]") -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
