"""Published rows → Delta Lake: DuckDB writes the files, one commit makes them the table's next version.

The files are named by the build, and a commit carries its mark: a build that was killed writes its files once more, or
finds that it has committed and writes nothing.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from datong.kernel import Value
from datong.library.delta_carrying import CarriedFile, Carrying
from datong.library.engine import sql_name, sql_text

BUILD_MARK = "datong.build"
FILE_BYTES_MAX = 256 * 1024 * 1024
"""Size from which a table's next file is begun."""
DICTIONARY_VALUES_MAX = 50_000
"""Different values of a row group up to which a column is a dictionary: those of lineage's keys are some 30,000, and
what is a dictionary is carried over in half the time."""


class KeptRows(Value):
    """The rows of a former version that still hold: all but those whose `key` is in the relation `replaced`, which are
    the query's rows now, or no more."""

    version: int
    key: str
    replaced: str


def version_of_build(path: Path, build_id: str) -> int | None:
    """Return the version of the Delta table at `path` that a build wrote, None if it wrote none."""
    if not DeltaTable.is_deltatable(str(path)):
        return None
    table = DeltaTable(str(path))
    for number, commit in enumerate(table.history()):
        if commit.get(BUILD_MARK) == build_id:
            return table.version() - number
    return None


def write_delta(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: Path,
    build_id: str,
    kept: KeptRows | None = None,
    carried: Callable[[Path], list[CarriedFile] | None] = lambda _table: None,
) -> int:
    """Write the query's rows, and those `kept` of a former version, as the next version of the Delta table at `path`.

    `carried` gives the files of the rows that are kept, if they have been carried over already.

    Returns:
        The version; that of an earlier attempt of the same build, if it got as far.
    """
    written = version_of_build(path, build_id)
    if written is not None:
        return written
    path.mkdir(parents=True, exist_ok=True)
    schema = Schema.from_arrow(connection.execute(f"SELECT * FROM ({query}) LIMIT 0").to_arrow_table().schema)
    stayed: list[CarriedFile] = []
    if kept is not None:
        gone = connection.execute(f"SELECT DISTINCT {sql_name(kept.key)} FROM {kept.replaced} gone").to_arrow_table()
        if not len(gone) and kept.version == DeltaTable(str(path)).version():
            _commit(path, schema, (), build_id, mode="append")
            return kept.version + 1
        ahead = carried(path)
        if ahead is None:
            carrying = carrying_of(path, kept.version, build_id, kept.key, gone.column(0))
            carrying.go_ahead(hold=False)
            ahead = carrying.finish(gone.column(0))
        stayed = ahead
    files = connection.execute(f"""
        COPY ({query}) TO {sql_text(str(path))} (FORMAT parquet, FILE_SIZE_BYTES {FILE_BYTES_MAX},
            DICTIONARY_SIZE_LIMIT {DICTIONARY_VALUES_MAX},
            FILENAME_PATTERN {sql_text(f"part-{build_id}-{{i}}")}, RETURN_STATS, OVERWRITE_OR_IGNORE)""").fetchall()
    added = [_added(Path(name), rows, size) for name, rows, size, *_ in files]
    _commit(path, schema, [*(_added(*file) for file in stayed), *added], build_id, mode="overwrite")
    return int(DeltaTable(str(path)).version())


def carrying_of(path: Path, version: int, build_id: str, key: str, doubtful: "pa.ChunkedArray[Any]") -> Carrying:
    """Return what carries the rows of a version of the Delta table at `path` into files of a build, which no version
    has yet: all at once but those whose `key` is among the `doubtful`."""
    return Carrying(
        sorted(DeltaTable(str(path), version=version).file_uris()),
        path,
        f"part-{build_id}-kept",
        key=key,
        doubtful=doubtful,
        file_bytes_max=FILE_BYTES_MAX,
    )


def _commit(
    path: Path, schema: Schema, files: Sequence[AddAction], build_id: str, *, mode: Literal["append", "overwrite"]
) -> None:
    marked = CommitProperties(custom_metadata={BUILD_MARK: build_id})
    # Old versions end by the library's retention, with evidence; never because a log file is thirty days old.
    hooks = PostCommitHookProperties(cleanup_expired_logs=False)
    if DeltaTable.is_deltatable(str(path)):
        DeltaTable(str(path)).create_write_transaction(
            list(files), mode, schema, commit_properties=marked, post_commithook_properties=hooks
        )
        return
    create_table_with_add_actions(
        str(path), schema, list(files), commit_properties=marked, post_commithook_properties=hooks
    )


def _added(path: Path, rows: int, size: int) -> AddAction:
    """Return the log's entry of a file: its number of rows and no value of any column.

    All columns have bounds in the log or none: readers take a bound that is missing for one that nothing meets.
    """
    return AddAction(path.name, size, {}, int(path.stat().st_mtime * 1000), True, json.dumps({"numRecords": rows}))
