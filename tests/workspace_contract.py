"""What every table engine's workspace does: one suite over all of them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datong.library.engine import Workspace


def check_workspace(work: Workspace, folder: Path) -> None:
    """Go through everything that a step may ask of `work`; files are written into `folder`."""
    lent = pa.table({"name": pa.array(["王", "ß", None], pa.string()), "number": pa.array([3, 1, 2], pa.int64())})
    work.lend("lent", lent)
    work.create("made", "SELECT name, number FROM lent WHERE number < 3")
    work.drop("lent")
    work.create("made", "SELECT name, number * 10 AS number FROM made")
    work.append("made", "SELECT 'more' AS name, 5 AS number")
    work.append("fresh", "SELECT 1 AS a")
    assert work.rows("FROM fresh") == [(1,)]
    assert work.rows("SELECT name, number FROM made ORDER BY name") == [("more", 5), ("ß", 10), (None, 20)]

    streams = [pa.RecordBatchReader.from_batches(lent.schema, lent.to_batches()) for _ in range(2)]
    selected = "CAST(number AS VARCHAR) AS number, {} AS part"
    work.load("landed", ((stream, selected.format(part)) for part, stream in enumerate(streams)))
    assert work.rows("SELECT count(*), min(number), max(part) FROM landed") == [(6, "1", 1)]
    assert work.beside().rows("SELECT count(*) FROM landed") == [(6,)]

    path = folder / "written.parquet"
    work.write("SELECT name, number FROM made ORDER BY number DESC", path)
    table = pq.read_table(path)
    assert table.to_pydict() == {"name": [None, "ß", "more"], "number": [20, 10, 5]}
    assert [str(kind) for kind in table.schema.types] == ["string", "int64"]
    assert work.rows(f"SELECT count(*) FROM read_parquet('{path}')") == [(3,)]
    work.write("SELECT name FROM made WHERE false", folder / "empty.parquet")
    assert pq.read_table(folder / "empty.parquet").num_rows == 0
    work.drop("made", "fresh", "landed")
