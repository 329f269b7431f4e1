"""Published rows → Delta Lake: DuckDB writes the files, one commit makes them the table's next version.

The files are named by the build, and a commit carries its mark: a build that was killed writes its files once more, or
finds that it has committed and writes nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from datong.kernel import Value
from datong.library.engine import sql_name, sql_text

BUILD_MARK = "datong.build"
FILE_BYTES_MAX = 256 * 1024 * 1024
"""Size from which a table's next file is begun."""


class KeptRows(Value):
    """The rows of a former version that still hold: all but those whose `keys` are in the relation `replaced`."""

    version: int
    keys: tuple[str, ...]
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
    connection: duckdb.DuckDBPyConnection, query: str, path: Path, build_id: str, kept: KeptRows | None = None
) -> int:
    """Write the query's rows, and those `kept` of a former version, as the next version of the Delta table at `path`.

    Returns:
        The version; that of an earlier attempt of the same build, if it got as far.
    """
    written = version_of_build(path, build_id)
    if written is not None:
        return written
    path.mkdir(parents=True, exist_ok=True)
    schema = Schema.from_arrow(connection.execute(f"SELECT * FROM ({query}) LIMIT 0").to_arrow_table().schema)
    wanted = query if kept is None else f"{_kept_sql(path, kept)} UNION ALL BY NAME ({query})"
    files = connection.execute(f"""
        COPY ({wanted}) TO {sql_text(str(path))} (FORMAT parquet, FILE_SIZE_BYTES {FILE_BYTES_MAX},
            FILENAME_PATTERN {sql_text(f"part-{build_id}-{{i}}")}, RETURN_STATS, OVERWRITE_OR_IGNORE)""").fetchall()
    _commit(path, schema, [_added(Path(name), rows, size) for name, rows, size, *_ in files], build_id)
    return int(DeltaTable(str(path)).version())


def _kept_sql(path: Path, kept: KeptRows) -> str:
    files = ", ".join(sql_text(uri) for uri in sorted(DeltaTable(str(path), version=kept.version).file_uris()))
    same = " AND ".join(f"gone.{sql_name(key)} = former.{sql_name(key)}" for key in kept.keys)
    return (
        f"SELECT * FROM read_parquet([{files}]) former "
        f"WHERE NOT EXISTS (SELECT 1 FROM {kept.replaced} gone WHERE {same})"
    )


def _commit(path: Path, schema: Schema, files: Sequence[AddAction], build_id: str) -> None:
    marked = CommitProperties(custom_metadata={BUILD_MARK: build_id})
    # Old versions end by the library's retention, with evidence; never because a log file is thirty days old.
    hooks = PostCommitHookProperties(cleanup_expired_logs=False)
    if DeltaTable.is_deltatable(str(path)):
        DeltaTable(str(path)).create_write_transaction(
            list(files), "overwrite", schema, commit_properties=marked, post_commithook_properties=hooks
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
