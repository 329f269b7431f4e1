"""A batch of points against the divisions: a tree over the points, each boundary asks it once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

LEVELS = 5


def locate(
    shapes: Sequence[tuple[str, int | None, bytes]],
    parents: Mapping[str, tuple[int | None, str | None]],
    longitudes: "pa.Array[Any]",
    latitudes: "pa.Array[Any]",
) -> pa.Table:
    """Return division_code and level_1 … level_5 per point, see `SpatialLibrary.locate`.

    `shapes` are code, level and WKB of the drawn divisions, in the order of their codes; `parents` gives level and
    parent of every division.
    """
    x = pc.cast(longitudes, pa.float64()).to_numpy(zero_copy_only=False)
    y = pc.cast(latitudes, pa.float64()).to_numpy(zero_copy_only=False)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    tree = shapely.STRtree(shapely.points(x[known], y[known]))
    boundaries = shapely.from_wkb(np.asarray([wkb for *_, wkb in shapes], dtype=object))
    drawn, held = tree.query(boundaries, predicate="intersects")
    depth = np.asarray([level or 0 for _, level, _ in shapes], dtype=np.int64)
    # Of the boundaries around a point the deepest counts, of two at one depth the smaller code.
    order = np.lexsort((drawn, -depth[drawn], held))
    first = np.unique(held[order], return_index=True)[1]
    deepest = np.full(len(x), -1, dtype=np.int64)
    deepest[known[held[order][first]]] = drawn[order][first]
    chosen = pa.array(deepest, pa.int64(), mask=deepest < 0)
    return _with_parents([code for code, *_ in shapes], parents).take(chosen)


def _with_parents(codes: Sequence[str], parents: Mapping[str, tuple[int | None, str | None]]) -> pa.Table:
    """Return, for each of `codes`, the code itself and the codes of the divisions at each level."""
    levels: list[list[str | None]] = [[None] * len(codes) for _ in range(LEVELS)]
    for row, code in enumerate(codes):
        wanted: str | None = code
        for _ in range(LEVELS):
            if wanted is None:
                break
            level, parent = parents.get(wanted, (None, None))
            if level is not None and 1 <= level <= LEVELS:
                levels[level - 1][row] = wanted
            wanted = parent
    columns = {f"level_{place + 1}": pa.array(column, pa.string()) for place, column in enumerate(levels)}
    return pa.table({"division_code": pa.array(list(codes), pa.string()), **columns})
