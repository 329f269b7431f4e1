"""A few rows of a large table without reading all of it: an uncompressed twin beside the Parquet file.

To find a hundredth of the rows in a Parquet file, all of its pages have to be taken apart. Their keys are a few columns
only; so the rows are found by these, and taken by their place out of `<name>.arrow`, the same rows in the same order as
an Arrow file that is mapped into memory. A table without a twin (see `layers` for what a table is) is read as a whole.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datong.library.engine import EmbeddedWorkspace, Workspace, parquet_sql, sql_text
from datong.library.layers import changed_file, replaced_file, table_sql, twin_file


def write_twin(path: Path) -> None:
    """Write the twin of the Parquet file at `path`."""
    with (
        pq.ParquetFile(path) as known,
        pa.OSFile(str(twin_file(path)), "wb") as file,
        pa.ipc.new_file(file, known.schema_arrow) as writer,
    ):
        for group in range(known.num_row_groups):
            for batch in known.read_row_group(group).combine_chunks().to_batches():
                writer.write_batch(batch)


def create_few(
    work: Workspace, name: str, path: Path, keys: Sequence[str], wanted: str, *, columns: str = "kept.*"
) -> None:
    """Create the table `name`: the `columns` of those rows, called `kept`, of the table at `path` whose `keys` are in
    the relation `wanted`."""
    listed = ", ".join(keys)
    if not isinstance(work, EmbeddedWorkspace) or not twin_file(path).exists():
        work.create(name, f"SELECT {columns} FROM {table_sql(path)} kept SEMI JOIN {wanted} w USING ({listed})")
        return
    base = f"read_parquet({sql_text(str(path))}, file_row_number = true)"
    found = f"SELECT file_row_number AS place FROM {base} SEMI JOIN {wanted} w USING ({listed})"
    if changed_file(path).exists():
        same = " AND ".join(f"gone.{key} = base.{key}" for key in keys_of(path))
        found = (
            f"SELECT file_row_number AS place FROM (FROM {base} base WHERE NOT EXISTS "
            f"(SELECT 1 FROM {parquet_sql(replaced_file(path))} gone WHERE {same})) "
            f"SEMI JOIN {wanted} w USING ({listed})"
        )
    places = work.connection.execute(f"{found} ORDER BY place").fetchnumpy()["place"]
    lent = f"few_{name}"
    work.lend(lent, take_rows(path, np.asarray(places, np.int64)))
    work.create(name, f"SELECT {columns} FROM {lent} kept")
    work.drop(lent)
    if changed_file(path).exists():
        changed = parquet_sql(changed_file(path))
        work.append(name, f"SELECT {columns} FROM {changed} kept SEMI JOIN {wanted} w USING ({listed})")


def keys_of(path: Path) -> list[str]:
    """Return the columns by which rows of the table at `path`, which has changed ones, are replaced."""
    return list(pq.read_schema(replaced_file(path)).names)


def take_rows(path: Path, places: npt.NDArray[np.int64]) -> pa.Table:
    """Return the rows at the `places`, which rise, out of the twin of the Parquet file at `path`."""
    with pa.memory_map(str(twin_file(path))) as file:
        source = pa.ipc.open_file(file)
        taken, begins = [], 0
        for number in range(source.num_record_batches):
            batch = source.get_batch(number)
            first, last = np.searchsorted(places, (begins, begins + batch.num_rows))
            if first < last:
                taken.append(batch.take(places[first:last] - begins))
            begins += batch.num_rows
        return pa.Table.from_batches(taken, source.schema)
