"""A watched table: the rows of every file that arrived, in the order of arrival, each file exactly once.

A row's place is (`_file_arrival`, `_file_row`): the number that the register gave the file's version, and the row's
number in it. A task that orders by both has them as its confirmed cursor, so what was confirmed is never read again and
what arrives later always lies behind it. A damaged file is put on record with its reason and left out; the others go
on.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from datong.adapters.file_arrivals import Arrival, Arrivals
from datong.adapters.file_errors import NOWHERE, damaged
from datong.adapters.file_formats import JSON_SUFFIXES, FileOptions, columns_of, read_file, typed
from datong.adapters.folder_tables import FolderTable, files_of, is_ready
from datong.adapters.json_records import JSON_TEXT
from datong.exchange import Column, Cursor, TableKind, TableSchema, arrow_schema
from datong.kernel import DatongError, Text
from datong.kernel.files import file_digest

ARRIVAL, FILE, ROW = "_file_arrival", "_file_name", "_file_row"
ORDER = (ARRIVAL, ROW)
PROBLEMS_MAX = 20
_OWN = (
    Column(name=ARRIVAL, type="int64", nullable=False, comment="文件到达序号"),
    Column(name=FILE, type="string", nullable=False, comment="文件名"),
    Column(name=ROW, type="int64", nullable=False, comment="文件中的行号"),
)


class WatchedTable:
    """One watched table of a folder."""

    def __init__(self, folder: Path, table: FolderTable, arrivals: Arrivals) -> None:
        self._folder = folder
        self._table = table
        self._arrivals = arrivals
        self._options = FileOptions(
            separator=table.separator,
            encoding=table.encoding,
            header_row=table.header_row,
            sheet=table.sheet,
            columns=table.columns,
        )

    def look(self, now_seconds: float) -> None:
        """Register the files that are complete."""
        ready = [
            (name, path)
            for name, path in files_of(self._folder, self._table)
            if is_ready(path, self._table, now_seconds)
        ]
        self._arrivals.register(self._table.table, ready)

    def schema(self) -> TableSchema:
        """Return the table's schema; its columns are those of the first readable file, for good."""
        columns = self.columns()
        arrived = self._arrivals.arrived(self._table.table)
        sound = [one for one in arrived if one.refused is None]
        problems = [one.refused for one in arrived if one.refused is not None][-PROBLEMS_MAX:]
        if not arrived:
            problems.append(Text(zh="还没有完整到达的文件。", en="No complete file has arrived yet."))
        counts = [one.rows for one in sound if one.rows is not None]
        return TableSchema(
            table=self._table.table,
            columns=columns,
            key_columns=ORDER if columns else (),
            comment=self._table.comment,
            rows=sum(counts) if len(counts) == len(sound) else None,
            kind=TableKind.FILE,
            problems=tuple(problems),
        )

    def columns(self) -> tuple[Column, ...]:
        """Return the columns, the place of a row first; none before the first readable file."""
        pinned = self._arrivals.pinned(self._table.table)
        if pinned is None:
            for arrival in self._arrivals.arrived(self._table.table):
                if arrival.refused is None and self._rows(arrival, None) is not None:
                    break
            pinned = self._arrivals.pinned(self._table.table)
        return () if pinned is None else _OWN + pinned

    def batches(self, after: Cursor | None = None) -> Iterator[pa.RecordBatch]:
        """Yield every row behind `after` (the texts of `_file_arrival` and `_file_row`), in order.

        Raises:
            Conflict: `adapters.arrivals_lost`.
        """
        number, row = (0, 0) if after is None else (int(after.values[0]), int(after.values[1]))
        if after is not None:
            self._arrivals.require(self._table.table, number)
        columns = self.columns()
        for arrival in self._arrivals.arrived(self._table.table):
            if arrival.refused is not None or arrival.number < number:
                continue
            rows = self._rows(arrival, columns[len(_OWN) :])
            if rows is None:
                continue
            placed = _placed(arrival, rows, columns)
            yield from placed.slice(row if arrival.number == number else 0).to_batches()

    def _rows(self, arrival: Arrival, pinned: tuple[Column, ...] | None) -> pa.Table | None:
        """Return a file's rows in the table's columns; None, and the reason on record, when it cannot be read."""
        path = self._folder / arrival.file
        place = self._table.table
        if not _is_version(path, arrival.sha256):
            if arrival.rows is None:
                reason = Text(
                    zh=f"文件 {arrival.file} 在读取前被改动或移走。",
                    en=f"The file {arrival.file} was changed or moved away before it was read.",
                )
                self._arrivals.refuse(place, arrival.number, reason)
            return None
        options = self._options
        if pinned is not None:
            as_text = tuple(column.name for column in pinned if column.source_type == JSON_TEXT)
            options = options.model_copy(update={"json_text": as_text})
        try:
            read = read_file(path, options)
            if pinned is None:
                pinned = columns_of(path.name, read, self._options.columns)
                _check_own(arrival.file, pinned)
            rows = typed(arrival.file, _matched(arrival.file, read, pinned), pinned)
        except DatongError as error:
            self._arrivals.refuse(place, arrival.number, error.what)
            return None
        if arrival.rows is None:
            self._arrivals.read(place, arrival.number, rows.num_rows, pinned)
        return rows


def _is_version(path: Path, sha256: str) -> bool:
    try:
        return file_digest(path) == sha256
    except OSError:
        return False


def _check_own(file: str, columns: tuple[Column, ...]) -> None:
    taken = {column.name for column in columns} & {column.name for column in _OWN}
    if taken:
        name = min(taken)
        reason = Text(zh=f"列名 {name} 由平台使用。", en=f"the platform itself uses the column name {name}.")
        raise damaged(file, NOWHERE, reason)


def _matched(file: str, rows: pa.Table, pinned: tuple[Column, ...]) -> pa.Table:
    """Return the rows with the pinned columns; JSON may leave names out, which are NULL then.

    Raises:
        Invalid: `adapters.file_damaged`: other columns than the table's.
    """
    wanted = [column.name for column in pinned]
    extra = [name for name in rows.column_names if name not in wanted]
    missing = [name for name in wanted if name not in rows.column_names]
    if Path(file).suffix.lower() in JSON_SUFFIXES:
        for name in missing:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.string()))
        missing = []
    if extra or missing:
        more, less = ", ".join(extra) or "-", ", ".join(missing) or "-"
        reason = Text(
            zh=f"列与该表不同：多出 {more}，缺少 {less}。",
            en=f"its columns are not the table's: extra {more}, missing {less}.",
        )
        raise damaged(file, NOWHERE, reason)
    return rows


def _placed(arrival: Arrival, rows: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    """Return a file's rows with the place of each."""
    count = rows.num_rows
    arrays = [
        pa.repeat(pa.scalar(arrival.number, pa.int64()), count),
        pa.repeat(pa.scalar(arrival.file, pa.string()), count),
        pa.array(range(1, count + 1), pa.int64()),
        *rows.columns,
    ]
    return pa.table(arrays, schema=arrow_schema(columns))
