"""One file as a table: which reader a name asks for, and the exchange's types of what it finds."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from datong.adapters import file_sheets
from datong.adapters.conversion import not_lossless, parsed_texts
from datong.adapters.file_csv import SNIFF_BYTES, encoding_of, read_csv
from datong.adapters.file_errors import NOWHERE, damaged, record
from datong.adapters.file_parquet import read_parquet
from datong.adapters.json_records import JsonRecords
from datong.exchange import Column, arrow_schema, arrow_type
from datong.kernel import Text, TooLarge, Value

FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
CSV_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
SOURCE_TYPE = b"datong.source_type"
_SIMPLE: dict[pa.DataType, str] = {
    pa.bool_(): "boolean",
    pa.int8(): "int64",
    pa.int16(): "int64",
    pa.int32(): "int64",
    pa.int64(): "int64",
    pa.uint8(): "int64",
    pa.uint16(): "int64",
    pa.uint32(): "int64",
    pa.uint64(): "uint64",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.binary(): "binary",
    pa.large_binary(): "binary",
    pa.date32(): "date",
}


class FileOptions(Value):
    """How a file is written, where its name and content do not say so themselves."""

    separator: str = ""
    encoding: str = ""
    header_row: int = 1
    sheet: str = ""
    columns: Mapping[str, str] = Field(default_factory=dict)
    json_text: tuple[str, ...] | None = None
    """The columns that travel as JSON text; None: those whose values are nested or of several kinds."""


def column_type(table: str, field: "pa.Field[pa.DataType]") -> str:
    """Return the exchange's type of a Parquet column.

    Raises:
        Invalid: `adapters.value_not_lossless` for nested types and nanoseconds.
    """
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    name = _SIMPLE.get(kind)
    if name is not None:
        return name
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind) and kind.unit != "ns":
        return "timestamp" if kind.tz is None else "timestamp_utc"
    if pa.types.is_time(kind) and kind.unit != "ns":
        return "time"
    reason = Text(zh=f"交换不支持类型 {kind}。", en=f"the exchange has no counterpart of the type {kind}.")
    raise not_lossless(table, field.name, reason)


def read_file(path: Path, options: FileOptions | None = None) -> pa.Table:
    """Return one file as a table, in whatever types its format has.

    Raises:
        Invalid: `adapters.file_damaged` with the line or cell. TooLarge: it has over 2 GiB.
    """
    chosen = options or FileOptions()
    _check_size(path)
    suffix = path.suffix.lower()
    if suffix in CSV_SUFFIXES:
        return read_csv(path, separator=chosen.separator, encoding=chosen.encoding)
    if suffix in file_sheets.SUFFIXES:
        return file_sheets.read_sheet(path, chosen.sheet, header_row=chosen.header_row)
    if suffix in JSON_SUFFIXES:
        return _read_json(path, chosen, lines=suffix != ".json")
    return read_parquet(path)


def columns_of(table: str, rows: pa.Table, declared: Mapping[str, str]) -> tuple[Column, ...]:
    """Return the columns of a table as read; declared types win over the format's own.

    Raises:
        Invalid: `adapters.value_not_lossless`.
    """
    return tuple(
        Column(
            name=field.name,
            type=declared.get(field.name) or column_type(table, field),
            source_type=(field.metadata or {}).get(SOURCE_TYPE, str(field.type).encode()).decode(),
        )
        for field in rows.schema
    )


def typed(file: str, rows: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    """Return the rows with these columns and their types.

    Raises:
        Invalid: `adapters.file_damaged`, with the record.
    """
    arrays = []
    for column in columns:
        values = rows.column(column.name)
        kind = arrow_type(column.type)
        try:
            arrays.append(_cast(values, kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = Text(
                zh=f"列 {column.name} 的值不符合类型 {column.type}。",
                en=f"the value of the column {column.name} does not fit the type {column.type}.",
            )
            raise damaged(file, record(_first_unfit(values, kind) + 1), reason) from error
    return pa.table(arrays, schema=arrow_schema(columns))


def _cast(values: "pa.ChunkedArray[pa.Scalar[pa.DataType]]", kind: pa.DataType) -> Any:
    return parsed_texts(values, kind) if pa.types.is_string(values.type) else values.cast(kind)


def _first_unfit(values: "pa.ChunkedArray[pa.Scalar[pa.DataType]]", kind: pa.DataType) -> int:
    """Return the number, from 0, of the first value that cannot be cast, by halving."""
    first, end = 0, len(values)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            _cast(values.slice(first, middle - first), kind)
            first = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            end = middle
    return first


def _check_size(path: Path) -> None:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise TooLarge(
            "adapters.file_too_large",
            what=Text(
                zh=f"文件 {path.name} 超过 {FILE_BYTES_MAX} 字节。",
                en=f"The file {path.name} has over {FILE_BYTES_MAX} bytes.",
            ),
            remedy=Text(zh="请拆分文件或改用数据库。", en="Split the file, or use a database."),
        )


def _read_json(path: Path, options: FileOptions, *, lines: bool) -> pa.Table:
    with _in_utf8(path, options.encoding) as readable, JsonRecords(path.name) as records:
        records.load_file(readable, lines=lines)
        columns = records.columns(options.columns, {}, json_text=options.json_text)
        rows = records.table(columns, {})
        fields = [
            field.with_metadata({SOURCE_TYPE: column.source_type.encode()})
            for field, column in zip(rows.schema, columns, strict=True)
        ]
        return rows.cast(pa.schema(fields))


@contextmanager
def _in_utf8(path: Path, encoding: str) -> Iterator[Path]:
    """Yield the file itself, or a copy in UTF-8 without a mark."""
    encoding = encoding or encoding_of(path)
    with path.open("rb") as file:
        marked = file.read(3) == b"\xef\xbb\xbf"
    if encoding in {"utf-8", "utf-8-sig"} and not marked:
        yield path
        return
    descriptor, name = tempfile.mkstemp(suffix=path.suffix)
    copy = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as target:
            try:
                with path.open(encoding=encoding, newline="") as source:
                    while chunk := source.read(SNIFF_BYTES):
                        target.write(chunk)
            except (UnicodeError, LookupError) as error:
                reason = Text(zh=f"不是 {encoding} 编码的文本。", en=f"it is no text in {encoding}.")
                raise damaged(path.name, NOWHERE, reason) from error
        yield copy
    finally:
        copy.unlink(missing_ok=True)
