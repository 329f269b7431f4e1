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


def carry(
    files: Sequence[str],
    folder: Path,
    name: str,
    *,
    key: str,
    gone: "pa.ChunkedArray[Any]",
    file_bytes_max: int,
    group_rows_min: int = GROUP_ROWS_MIN,
) -> list[CarriedFile]:
    """Write the rows of `files` whose `key` is not among `gone` into new files in `folder`, named after `name`."""
    written: list[CarriedFile] = []
    writer: pq.ParquetWriter | None = None
    path, rows, schema = folder, 0, pa.schema([])
    packed = _packing(files)
    try:
        for part in _gathered(_kept(files, key, gone), group_rows_min):
            if writer is None:
                path, rows, schema = folder / f"{name}-{len(written)}.parquet", 0, part.schema
                coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
                # Bounds of any column but the key prune nothing in such files, and cost a comparison per value.
                options: dict[str, Any] = {"use_dictionary": coded, "write_statistics": [key], "store_schema": False}
                options["compression"] = {name: "snappy" if name in packed else "none" for name in schema.names}
                writer = pq.ParquetWriter(path, schema, **options)
            writer.write_table(part.cast(schema), row_group_size=max(1, part.num_rows))
            rows += part.num_rows
            if path.stat().st_size >= file_bytes_max:
                writer.close()
                writer = None
                written.append(CarriedFile(path, rows, path.stat().st_size))
    finally:
        if writer is not None:
            writer.close()
            written.append(CarriedFile(path, rows, path.stat().st_size))
    return written


def _kept(files: Sequence[str], key: str, gone: "pa.ChunkedArray[Any]") -> Iterator[pa.Table]:
    """Yield what is left of every row group, low in memory; columns of few values as dictionaries."""
    for file in files:
        with pq.ParquetFile(file) as known:
            coded = _repeating(known.metadata)
        with pq.ParquetFile(file, read_dictionary=coded) as source:
            for number in range(source.num_row_groups):
                group = source.read_row_group(number)
                yield group.filter(pa.chunked_array([_stays(part, gone) for part in group.column(key).chunks]))


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


def _gathered(parts: Iterator[pa.Table], group_rows_min: int) -> Iterator[pa.Table]:
    """Yield `parts`, small ones put together, so that files of many small changes do not fall to pieces."""
    waiting: list[pa.Table] = []
    for part in parts:
        if part.num_rows >= group_rows_min:
            yield part
        elif part.num_rows:
            waiting.append(_plain(part))
        if sum(known.num_rows for known in waiting) >= group_rows_min:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _plain(table: pa.Table) -> pa.Table:
    """Return `table` with every dictionary as the values that it stands for."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
