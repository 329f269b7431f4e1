"""Rows of a Delta table that stay, written into new files: whoever changes one row in a hundred copies the others.

A Parquet file cannot lose a row, and deletion vectors are not for every reader. So files are written anew, but columns
of few values stay as the numbers of a dictionary on the way, which halves the work of taking every text apart, and what
hardly gets smaller is not compressed again, which took a third of what was left.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

DICTIONARY_BYTES_MAX = 8
"""Bytes per value of a column chunk up to which its values repeat so often that a dictionary pays."""
PACKED_SHARE_MAX = 0.4
"""Bytes of a column chunk when compressed over those when not, up to which it is compressed again."""
GROUP_ROWS_MIN = 60_000
"""Rows from which what is left of a row group is written as one; smaller remains are put together first."""


class CarriedFile(NamedTuple):
    """A new file, how many rows it has, and its size."""

    path: Path
    rows: int
    bytes: int


class Carrying:
    """Rows of `files` on their way into new files in `folder`, named after `name`.

    Those whose `key` is not among the `doubtful` go ahead; the others wait in memory until it is known which of them
    are gone.
    """

    def __init__(
        self,
        files: Sequence[str],
        folder: Path,
        name: str,
        *,
        key: str,
        doubtful: "pa.ChunkedArray[Any]",
        file_bytes_max: int,
        group_rows_min: int = GROUP_ROWS_MIN,
    ) -> None:
        self._files, self._folder, self._name = files, folder, name
        self._key, self._doubtful = key, doubtful
        self._file_bytes_max, self._group_rows_min = file_bytes_max, group_rows_min
        self._packed = _packing(files)
        self._written: list[CarriedFile] = []
        self._writer: pq.ParquetWriter | None = None
        self._path, self._rows, self._schema = folder, 0, pa.schema([])
        self._waiting: list[pa.Table] = []
        self._held: list[pa.Table] = []

    def go_ahead(self, *, hold: bool) -> None:
        """Write the rows that are not doubtful, a row group after the other, low in memory; `hold` the others, unless
        all of them are known to be gone."""
        try:
            for group in _groups(self._files):
                stays = pa.chunked_array([_stays(part, self._doubtful) for part in group.column(self._key).chunks])
                if hold:
                    self._held.append(_plain(group.filter(pc.invert(stays))))
                self._gather(group.filter(stays))
        except BaseException:
            self._close()
            raise

    def finish(self, gone: "pa.ChunkedArray[Any]") -> list[CarriedFile]:
        """Write the doubtful rows whose key is not among the `gone`, who all are doubtful; return the new files."""
        try:
            for held in self._held:
                self._gather(held.filter(_stays(held.column(self._key), gone)))
            self._held = []
            if self._waiting:
                self._write(pa.concat_tables(self._waiting))
        finally:
            self._close()
        return self._written

    def give_up(self) -> None:
        """Remove what has been written: the table stays as it is."""
        self._close()
        for file in self._written:
            file.path.unlink()

    def _gather(self, part: pa.Table) -> None:
        """Write `part`; small ones are put together, so that files of many small changes do not fall to pieces."""
        if part.num_rows >= self._group_rows_min:
            self._write(part)
        elif part.num_rows:
            self._waiting.append(_plain(part))
        if sum(known.num_rows for known in self._waiting) >= self._group_rows_min:
            self._write(pa.concat_tables(self._waiting))
            self._waiting = []

    def _write(self, part: pa.Table) -> None:
        if self._writer is None:
            name = f"{self._name}-{len(self._written)}.parquet"
            self._path, self._rows, self._schema = self._folder / name, 0, part.schema
            coded = [field.name for field in part.schema if pa.types.is_dictionary(field.type)]
            # Bounds of any column but the key prune nothing in such files, and cost a comparison per value.
            options: dict[str, Any] = {"use_dictionary": coded, "write_statistics": [self._key], "store_schema": False}
            options["compression"] = {name: "snappy" if name in self._packed else "none" for name in part.schema.names}
            self._writer = pq.ParquetWriter(self._path, part.schema, **options)
        self._writer.write_table(part.cast(self._schema), row_group_size=max(1, part.num_rows))
        self._rows += part.num_rows
        if self._path.stat().st_size >= self._file_bytes_max:
            self._close()

    def _close(self) -> None:
        """End the file that is being written, if any."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._written.append(CarriedFile(self._path, self._rows, self._path.stat().st_size))


def _groups(files: Sequence[str]) -> Iterator[pa.Table]:
    """Yield every row group; columns of few values as dictionaries."""
    for file in files:
        with pq.ParquetFile(file) as known:
            coded = _repeating(known.metadata)
        with pq.ParquetFile(file, read_dictionary=coded) as source:
            for number in range(source.num_row_groups):
                yield source.read_row_group(number)


def _stays(values: Any, gone: "pa.ChunkedArray[Any]") -> Any:
    """Return which of `values` are not among `gone`; of a dictionary each is looked for once."""
    if not pa.types.is_dictionary(values.type):
        return pc.invert(pc.is_in(values, value_set=gone))
    return pc.invert(pc.is_in(values.dictionary, value_set=gone)).take(values.indices)


def _repeating(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of texts that repeat themselves, by what the first row group says of them."""
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    columns = (group.column(number) for number in range(metadata.num_columns))
    return [
        column.path_in_schema
        for column in columns
        if column.physical_type == "BYTE_ARRAY"
        and column.total_uncompressed_size <= DICTIONARY_BYTES_MAX * max(1, column.num_values)
    ]


def _packing(files: Sequence[str]) -> set[str]:
    """Return the columns whose compression is worth its time, by what the first row group of the first file says."""
    for file in files:
        with pq.ParquetFile(file) as known:
            if known.metadata.num_row_groups:
                group = known.metadata.row_group(0)
                columns = (group.column(number) for number in range(known.metadata.num_columns))
                return {
                    column.path_in_schema
                    for column in columns
                    if column.total_compressed_size <= PACKED_SHARE_MAX * column.total_uncompressed_size
                }
    return set()


def _plain(table: pa.Table) -> pa.Table:
    """Return `table` with every dictionary as the values that it stands for."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
