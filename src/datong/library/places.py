"""Where the rows with given keys lie in a large file: the hashes of the keys in their order, each with its row's place.

To find the rows of a few keys, all keys of a table would have to be read. Here a key's hash is sought in numbers that
rise, in a file that is mapped into memory, so few of its pages are read. Keys may share a hash, so what is found must
be looked at once more. The hash is DuckDB's, which holds within one version; no build starts from that of another one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datong.library.engine import EmbeddedWorkspace, parquet_sql
from datong.library.layers import places_file

HASHES, PLACES = "hash", "place"


def hash_sql(keys: Sequence[str]) -> str:
    """Return the SQL of the hash of `keys`, the same one whatever kind of number a key is; NULL if one is NULL."""
    there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
    return f"CASE WHEN {there} THEN hash({', '.join(f'CAST({key} AS VARCHAR)' for key in keys)}) END"


def write_places(work: EmbeddedWorkspace, path: Path, keys: Sequence[str]) -> None:
    """Write where the rows of the Parquet file at `path` lie by their `keys`; rows that lack one are left out."""
    found = work.connection.execute(f"SELECT {hash_sql(keys)} AS hash FROM {parquet_sql(path)}").to_arrow_table()
    column = found.column(HASHES).combine_chunks()
    places = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    hashes = column.drop_null().to_numpy()
    order = np.argsort(hashes)
    table = pa.table({HASHES: hashes[order], PLACES: places[order].astype(np.uint32)})
    with pa.OSFile(str(places_file(path, keys)), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def find_places(path: Path, keys: Sequence[str], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the places, rising, of the rows of the Parquet file at `path` whose `keys` have one of the `hashes`.

    A row whose keys merely share a hash with others may be among them.
    """
    with pa.memory_map(str(places_file(path, keys))) as file:
        source = pa.ipc.open_file(file)
        if not source.num_record_batches:
            return np.empty(0, np.int64)
        batch = source.get_batch(0)
        known, places = (batch.column(name).to_numpy() for name in (HASHES, PLACES))
        # In their order, each is found near the one before: few pages are read, and most of them once.
        hashes = np.sort(hashes)
        first, last = (np.searchsorted(known, hashes, side=side) for side in ("left", "right"))
        counts = last - first
        ends = np.cumsum(counts)
        spread = np.repeat(first - (ends - counts), counts) + np.arange(int(ends[-1]) if len(ends) else 0)
        return np.unique(places[spread].astype(np.int64))
