"""A folder of CSV, Excel, Parquet and JSON files as a source.

A file in the folder itself (or a sheet of it) is a table. A subfolder, or a pattern that `datong.yaml` declares, is a
*watched* table: new files add rows to it (`adapters.watched_table`).
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datong.adapters.conversion import (
    chosen_columns,
    no_table,
    not_lossless,
    null_in_order,
    rebatched,
    rows_after,
    texts_of_column,
)
from datong.adapters.file_arrivals import Arrivals
from datong.adapters.file_formats import FileOptions, columns_of, read_file, typed
from datong.adapters.folder_tables import SINGLE_SUFFIXES, FolderTable, SingleTable, single_tables, watched_tables
from datong.adapters.watched_table import ORDER, WatchedTable
from datong.exchange import Column, ContentDigest, ReadQuery, TableKind, TableSchema, arrow_schema, content_digest
from datong.kernel import DatongError, NotFound, Text, Unavailable

KEY_PROBE_ROWS_MAX = 1_000_000
SAMPLE_BLOCKS = 20
DIGEST_ROWS = 100_000
STATE = ".datong"
REGISTER = "arrivals.sqlite"


def read_table_file(path: Path) -> pa.Table:
    """Return one file (of a workbook its first sheet) as a table; CSV and Excel as the text that stands there.

    Raises:
        Invalid: the file is of another kind, or not readable.
        TooLarge: it has over 2 GiB.
    """
    if path.suffix.lower() not in SINGLE_SUFFIXES:
        kinds = ", ".join(sorted(SINGLE_SUFFIXES))
        raise not_lossless(
            path.name, "*", Text(zh=f"只能读取 {kinds} 文件。", en=f"only files of the kinds {kinds} can be read.")
        )
    return read_file(path)


class FileFolder:
    """A folder of files, as Connector. A file is read whole: one read, one state of it."""

    def __init__(
        self, folder: Path, *, state: Path | None = None, now_seconds: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._now_seconds = now_seconds
        self._arrivals = Arrivals((state or folder / STATE) / REGISTER, now_seconds)

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"files:{self._folder.name}"

    def close(self) -> None:
        """Nothing stays open between calls."""

    def inspect(self) -> list[TableSchema]:
        """Return every table; the key proposed for a single file is the first column that is unique and never empty."""
        watched = self._watched()
        found = [_single_schema(single) for single in single_tables(self._folder, watched)]
        found += [self._watched_schema(table) for table in watched]
        return sorted(found, key=lambda schema: schema.table)

    def schema(self, table: str) -> TableSchema | None:
        """Return one table; other files are not opened."""
        try:
            place = self._place(table)
        except NotFound:
            return None
        return _single_schema(place) if isinstance(place, SingleTable) else self._watched_schema(place)

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return blocks from all over the table, as text."""
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)
        rows = self._whole(schema.table).select([column.name for column in schema.columns])
        blocks = min(SAMPLE_BLOCKS, rows_max)
        if rows.num_rows > rows_max:
            starts = [rows.num_rows * block // blocks for block in range(blocks)]
            rows = pa.concat_tables([rows.slice(start, rows_max // blocks) for start in starts])
        arrays = [texts_of_column(rows.column(column.name)) for column in schema.columns]
        table = pa.table(arrays, schema=arrow_schema(texts))
        return rebatched(table.to_batches(), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`, by its text in ISO 8601; without a zone it counts as UTC."""
        found = pc.max(texts_of_column(self._whole(table).column(column))).as_py()
        try:
            moment = datetime.fromisoformat(str(found))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order.

        A watched table in its own order (arrival, row) or in none streams file by file; whatever else is sorted whole.
        """
        place = self._place(query.table)
        if isinstance(place, FolderTable) and query.order in {(), ORDER}:
            watched = self._opened(place)
            columns = chosen_columns(query.table, watched.columns(), query.columns)
            names = [column.name for column in columns]
            batches = (batch.select(names) for batch in watched.batches(query.after))
            return rebatched(batches, arrow_schema(columns), query.batch_rows)
        rows = self._rows(place)
        known = _columns(rows)
        columns = chosen_columns(query.table, known, query.columns)
        if query.order:
            order = chosen_columns(query.table, known, query.order)
            if any(rows.column(column.name).null_count for column in order):
                raise null_in_order(query.table, query.order)
            rows = rows.sort_by([(column.name, "ascending") for column in order])
            if query.after is not None:
                rows = rows.filter(rows_after(rows, order, query.after.values))
        chosen = rows.select([column.name for column in columns])
        return rebatched(chosen.to_batches(), arrow_schema(columns), query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        return self._whole(table).num_rows

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        rows = self._whole(table)
        chosen_columns(table, _columns(rows), [column.name for column in columns])
        return content_digest(typed(table, rows, columns).to_batches(max_chunksize=DIGEST_ROWS), columns)

    # Inside

    def _watched(self) -> list[FolderTable]:
        if not self._folder.is_dir():
            raise Unavailable(
                "adapters.source_unavailable",
                what=Text(zh=f"文件夹 {self.name} 无法访问。", en=f"The folder {self.name} does not answer."),
                remedy=Text(zh="请检查路径及权限。", en="Check the path and its permissions."),
            )
        return watched_tables(self._folder)

    def _opened(self, table: FolderTable) -> WatchedTable:
        watched = WatchedTable(self._folder, table, self._arrivals)
        watched.look(self._now_seconds())
        return watched

    def _watched_schema(self, table: FolderTable) -> TableSchema:
        try:
            return self._opened(table).schema()
        except DatongError as error:
            return TableSchema(table=table.table, columns=(), kind=TableKind.FILE, problems=(error.what,))

    def _place(self, table: str) -> SingleTable | FolderTable:
        watched = self._watched()
        places: Iterator[SingleTable | FolderTable] = iter([*watched, *single_tables(self._folder, watched)])
        found = next((place for place in places if place.table == table), None)
        if found is None:
            raise no_table(table)
        return found

    def _whole(self, table: str) -> pa.Table:
        return self._rows(self._place(table))

    def _rows(self, place: SingleTable | FolderTable) -> pa.Table:
        """Return all rows of a table, with the exchange's types."""
        if isinstance(place, SingleTable):
            rows = read_file(place.path, FileOptions(sheet=place.sheet))
            return typed(place.path.name, rows, columns_of(place.table, rows, {}))
        watched = self._opened(place)
        return pa.Table.from_batches(watched.batches(), schema=arrow_schema(watched.columns()))


def _single_schema(single: SingleTable) -> TableSchema:
    status = single.path.stat()
    found = TableSchema(
        table=single.table,
        columns=(),
        kind=TableKind.FILE,
        bytes=status.st_size,
        changed_at=datetime.fromtimestamp(status.st_mtime, tz=UTC),
    )
    try:
        rows = read_file(single.path, FileOptions(sheet=single.sheet))
        columns = columns_of(single.table, rows, {})
    except DatongError as error:
        # One damaged file hides no other: it is listed without columns, and with the reason.
        return found.model_copy(update={"problems": (error.what,)})
    return found.model_copy(update={"columns": columns, "key_columns": _key(rows), "rows": rows.num_rows})


def _columns(rows: pa.Table) -> tuple[Column, ...]:
    return columns_of("", rows, {})


def _key(rows: pa.Table) -> tuple[str, ...]:
    if not 0 < rows.num_rows <= KEY_PROBE_ROWS_MAX:
        return ()
    for name in rows.column_names:
        values = rows.column(name)
        whole = not pa.types.is_floating(values.type) and not values.null_count
        if whole and pc.count_distinct(values).as_py() == rows.num_rows:
            return (name,)
    return ()
