"""Parquet files, read piece by piece: a file of some kilobytes may say the same long text a billion times."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datong.adapters.conversion import not_lossless
from datong.adapters.file_errors import NOWHERE, damaged
from datong.kernel import Text, TooLarge

PIECE_ROWS = 65_536
MEMORY_SHARE = 2
"""A table may take this part of the machine's memory."""
LEAST_BYTES = 256 * 1024 * 1024
_length: Any = pc.binary_length
_total: Any = pc.sum


def read_parquet(path: Path, bytes_max: int | None = None) -> pa.Table:
    """Return the rows of a Parquet file, in the types of the file; at most `bytes_max`, half the memory by default.

    Texts are read as a dictionary first, so that what they need in memory is known before they take it.

    Raises:
        Invalid: `adapters.file_damaged`, `adapters.value_not_lossless` for nested values. TooLarge:
            `adapters.file_unpacks_too_large`.
    """
    limit = memory_bytes() // MEMORY_SHARE if bytes_max is None else bytes_max
    try:
        with pq.ParquetFile(path, memory_map=True) as plain:
            schema = plain.schema_arrow
        texts = [field.name for field in schema if _is_text(field.type)]
        for field in schema:
            if pa.types.is_nested(field.type) or pa.types.is_fixed_size_binary(field.type):
                raise not_lossless(
                    path.stem,
                    field.name,
                    Text(zh=f"交换不支持类型 {field.type}。", en=f"the exchange has no counterpart of {field.type}."),
                )
        pieces, total = [], 0
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            for piece in file.iter_batches(PIECE_ROWS):
                total += sum(_expanded(column) for column in piece.columns)
                if total > limit:
                    raise _too_large(path)
                pieces.append(_plain(piece, schema))
        return pa.Table.from_batches(pieces, schema)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise damaged(path.name, NOWHERE, Text(zh="不是完好的 Parquet。", en="it is no sound Parquet file.")) from error


def memory_bytes() -> int:
    """Return how much memory the machine has."""
    return max(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), LEAST_BYTES)


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)
    ) or pa.types.is_large_binary(kind)


def _expanded(column: Any) -> int:
    """Return how many bytes a column takes once it is no dictionary any more."""
    if not isinstance(column, pa.DictionaryArray) or not _is_text(column.type.value_type):
        return int(column.nbytes)
    lengths = _length(column.dictionary).take(column.indices)
    return int(_total(lengths.cast(pa.int64())).as_py() or 0) + 8 * len(column)


def _plain(piece: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column.dictionary_decode()
        if isinstance(column, pa.DictionaryArray) and not pa.types.is_dictionary(field.type)
        else column
        for column, field in zip(piece.columns, schema, strict=True)
    ]
    return pa.record_batch(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _too_large(path: Path) -> TooLarge:
    return TooLarge(
        "adapters.file_unpacks_too_large",
        what=Text(
            zh=f"文件 {path.name} 解开后超过本机内存的一半。",
            en=f"The file {path.name} takes over half of this machine's memory once it is unpacked.",
        ),
        remedy=Text(zh="请拆分文件或改用数据库。", en="Split the file, or use a database."),
    )
