"""A few rows of a large table without reading all of it: an uncompressed twin beside the Parquet file.

To find a hundredth of the rows in a Parquet file, all of its pages have to be taken apart. So beside it lies
`<name>.arrow`, the same rows in the same order as an Arrow file that is mapped into memory, and for the keys that rows
are sought by, where they lie (see `places`). A table without these (see `layers` for what a table is) is read as a
whole.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datong.library.engine import EmbeddedWorkspace, Workspace, parquet_sql, sql_name
from datong.library.layers import changed_file, places_file, replaced_file, table_sql, twin_file
from datong.library.places import HASHES, find_places, hash_sql, write_places


def write_twin(work: Workspace, path: Path, *sought: Sequence[str]) -> None:
    """Write the twin of the Parquet file at `path`, and where its rows lie by each of the keys that are `sought`.

    An engine of many machines has no use for them; nothing is written there.
    """
    if not isinstance(work, EmbeddedWorkspace):
        return
    for keys in sought:
        write_places(work, path, keys)
    with (
        pq.ParquetFile(path) as known,
        pa.OSFile(str(twin_file(path)), "wb") as file,
        pa.ipc.new_file(file, known.schema_arrow) as writer,
    ):
        for group in range(known.num_row_groups):
            for batch in known.read_row_group(group).combine_chunks().to_batches():
                writer.write_batch(batch)


def create_few(
    work: Workspace, name: str, path: Path, keys: Sequence[str], wanted: str, *, columns: Sequence[str] = ()
) -> None:
    """Create the table `name`: the `columns` (all if none are given) of those rows of the table at `path` whose `keys`
    are in the relation `wanted`."""
    create_any(work, name, path, [(keys, wanted)], columns=columns, where=wanted_sql([(keys, wanted)]))


def create_any(
    work: Workspace,
    name: str,
    path: Path,
    ways: Sequence[tuple[Sequence[str], str]],
    *,
    columns: Sequence[str] = (),
    where: str = "true",
) -> None:
    """Create the table `name` as `create_few` does: of the rows that are wanted in one of several `ways`, each the keys
    and the relation in which they are, and of which, called `kept`, `where` is true; it may read all columns only if
    all are wanted.

    Rows whose keys merely share a hash with others may be among them, unless `where` leaves them out.
    """
    shown = ", ".join(f"kept.{sql_name(column)}" for column in columns) or "kept.*"
    if not isinstance(work, EmbeddedWorkspace) or not all(places_file(path, keys).exists() for keys, _ in ways):
        rows = table_sql(path)
        work.create(name, f"SELECT {shown} FROM {rows} kept WHERE ({wanted_sql(ways)}) AND ({where})")
        return
    gone, own = "", []
    if changed_file(path).exists():
        own = pq.read_schema(replaced_file(path)).names
        same = " AND ".join(f"gone.{key} = kept.{key}" for key in own)
        gone = f" AND NOT EXISTS (SELECT 1 FROM {parquet_sql(replaced_file(path))} gone WHERE {same})"
    taken, read = f"few_{name}", [*columns, *own, *(key for keys, _ in ways for key in keys)] if columns else []
    work.lend(taken, take_rows(path, _places(work, path, ways), list(dict.fromkeys(read))))
    work.create(name, f"SELECT {shown} FROM {taken} kept WHERE ({where}){gone}")
    work.drop(taken)
    if gone:
        rows = parquet_sql(changed_file(path))
        work.append(name, f"SELECT {shown} FROM {rows} kept WHERE ({wanted_sql(ways)}) AND ({where})")


def wanted_sql(ways: Sequence[tuple[Sequence[str], str]]) -> str:
    """Return the condition that a row called `kept` is wanted in one of the `ways`."""
    met = (
        f"EXISTS (SELECT 1 FROM {wanted} w WHERE {' AND '.join(f'w.{key} = kept.{key}' for key in keys)})"
        for keys, wanted in ways
    )
    return " OR ".join(met) or "false"


def _places(work: EmbeddedWorkspace, path: Path, ways: Sequence[tuple[Sequence[str], str]]) -> npt.NDArray[np.int64]:
    """Return the places, rising, of the base's rows at `path` that may be wanted in one of the `ways`."""
    found = [np.empty(0, np.int64)]
    for keys, wanted in ways:
        hashes = work.connection.execute(f"SELECT DISTINCT {hash_sql(keys)} AS {HASHES} FROM {wanted} w")
        sought = hashes.to_arrow_table().column(HASHES).drop_null().to_numpy()
        found.append(find_places(path, keys, sought))
    return np.unique(np.concatenate(found))


def take_rows(path: Path, places: npt.NDArray[np.int64], columns: Sequence[str] = ()) -> pa.Table:
    """Return the rows at the `places`, which rise, out of the twin of the Parquet file at `path`: their `columns`, all
    if none are given."""
    options = pa.ipc.IpcReadOptions()
    with pa.memory_map(str(twin_file(path))) as file:
        if columns:
            schema = pa.ipc.open_file(file).schema
            options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in columns])
        source = pa.ipc.open_file(file, options=options)
        taken, begins = [], 0
        for number in range(source.num_record_batches):
            batch = source.get_batch(number)
            first, last = np.searchsorted(places, (begins, begins + batch.num_rows))
            if first < last:
                taken.append(batch.take(places[first:last] - begins))
            begins += batch.num_rows
        found = pa.Table.from_batches(taken, source.schema)
        return found.select(columns) if columns else found
