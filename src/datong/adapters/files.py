"""A folder of CSV, Excel and Parquet files as a source: every file (or sheet) is a table.

CSV values travel as the text that stands in the file: an unquoted empty field is NULL, a quoted one the empty text. The
encoding is UTF-8 where the bytes are valid UTF-8, else GB18030 (which holds GBK and GB2312). Parquet keeps its types.
"""

import codecs
import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from python_calamine import CalamineError, CalamineWorkbook

from datong.adapters.conversion import chosen_columns, no_table, not_lossless, null_in_order, rebatched, unreadable
from datong.exchange import (
    Column,
    ContentDigest,
    ReadQuery,
    TableKind,
    TableSchema,
    arrow_schema,
    arrow_type,
    content_digest,
)
from datong.kernel import DatongError, Text, TooLarge, Unavailable

FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
SNIFF_BYTES = 1 << 20
KEY_PROBE_ROWS_MAX = 1_000_000
SAMPLE_BLOCKS = 20
_DAMAGE = (pa.ArrowException, CalamineError, OSError)
_SUFFIXES = (".csv", ".xlsx", ".xls", ".parquet")
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


def encoding_of(path: Path) -> str:
    """Return `utf-8-sig` when the whole file is valid UTF-8, else `gb18030`."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(SNIFF_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "gb18030"
    return "utf-8-sig"


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


def read_table_file(path: Path) -> pa.Table:
    """Return one CSV, Excel (its first sheet) or Parquet file as a table; CSV and Excel as the text that stands there.

    Raises:
        Invalid: the file is of another kind, or not readable.
        TooLarge: it has over 2 GiB.
    """
    if path.suffix.lower() not in _SUFFIXES:
        kinds = ", ".join(_SUFFIXES)
        raise not_lossless(
            path.name, "*", Text(zh=f"只能读取 {kinds} 文件。", en=f"only files of the kinds {kinds} can be read.")
        )
    return _read_file(path, path.stem)


class FileFolder:
    """A folder of files, as Connector. Files are read whole: one read, one state of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"files:{self._folder.name}"

    def close(self) -> None:
        """Nothing stays open between calls."""

    def inspect(self) -> list[TableSchema]:
        """Return every table; the key proposed for CSV and Excel is the first column that is unique and never empty."""
        tables = []
        for table, path in sorted(self._tables()):
            status = path.stat()
            found = TableSchema(
                table=table,
                columns=(),
                kind=TableKind.FILE,
                bytes=status.st_size,
                changed_at=datetime.fromtimestamp(status.st_mtime, tz=UTC),
            )
            try:
                rows = self._load(table)
                columns = _columns(table, rows)
            except (DatongError, *_DAMAGE):
                # One damaged file hides no other: it is listed without columns, and whoever reads it is told why.
                tables.append(found)
                continue
            known = {"columns": columns, "key_columns": _key(rows), "rows": rows.num_rows}
            tables.append(found.model_copy(update=known))
        return tables

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return blocks from all over the file, as text."""
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)
        try:
            rows = self._load(schema.table).select([column.name for column in schema.columns])
        except _DAMAGE as error:
            raise unreadable(schema.table, error) from error
        blocks = min(SAMPLE_BLOCKS, rows_max)
        if rows.num_rows > rows_max:
            starts = [rows.num_rows * block // blocks for block in range(blocks)]
            rows = pa.concat_tables([rows.slice(start, rows_max // blocks) for start in starts])
        arrays = [_text_of(rows.column(column.name)) for column in schema.columns]
        table = pa.table(arrays, schema=arrow_schema(texts))
        return rebatched(table.to_batches(), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`, by its text in ISO 8601; without a zone it counts as UTC."""
        rows = self._load(table)
        found = pc.max(_text_of(rows.column(column))).as_py()
        try:
            moment = datetime.fromisoformat(str(found))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order."""
        rows = self._load(query.table)
        known = _columns(query.table, rows)
        columns = chosen_columns(query.table, known, query.columns)
        typed = _typed(query.table, rows, known)
        if query.order:
            order = chosen_columns(query.table, known, query.order)
            if any(typed.column(column.name).null_count for column in order):
                raise null_in_order(query.table, query.order)
            typed = typed.sort_by([(column.name, "ascending") for column in order])
            if query.after is not None:
                typed = typed.filter(_after(typed, order, query.after.values))
        chosen = typed.select([column.name for column in columns])
        return rebatched(chosen.to_batches(), arrow_schema(columns), query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        return self._load(table).num_rows

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        rows = self._load(table)
        chosen_columns(table, _columns(table, rows), [column.name for column in columns])
        typed = _typed(table, rows.select([column.name for column in columns]), columns)
        return content_digest(typed.to_batches(max_chunksize=100_000), columns)

    def _tables(self) -> Iterator[tuple[str, Path]]:
        """Yield table names and their files; a workbook's sheets are `file.sheet` unless there is only one."""
        if not self._folder.is_dir():
            raise Unavailable(
                "adapters.source_unavailable",
                what=Text(zh=f"文件夹 {self.name} 无法访问。", en=f"The folder {self.name} does not answer."),
                remedy=Text(zh="请检查路径及权限。", en="Check the path and its permissions."),
            )
        for path in sorted(self._folder.iterdir()):
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith((".", "~")):
                continue
            if path.suffix.lower() in {".xlsx", ".xls"}:
                try:
                    sheets = CalamineWorkbook.from_path(path).sheet_names
                except CalamineError:
                    # Listed all the same: whoever reads it is told that it is damaged.
                    sheets = [path.stem]
                for sheet in sheets:
                    yield (path.stem if len(sheets) == 1 else f"{path.stem}.{sheet}"), path
            else:
                yield path.stem, path

    def _load(self, table: str) -> pa.Table:
        path = next((path for name, path in self._tables() if name == table), None)
        if path is None:
            raise no_table(table)
        return _read_file(path, table)


def _read_file(path: Path, table: str) -> pa.Table:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise TooLarge(
            "adapters.file_too_large",
            what=Text(
                zh=f"文件 {path.name} 超过 {FILE_BYTES_MAX} 字节。",
                en=f"The file {path.name} has over {FILE_BYTES_MAX} bytes.",
            ),
            remedy=Text(zh="请拆分文件或改用数据库。", en="Split the file, or use a database."),
        )
    if path.suffix.lower() == ".csv":
        return _read_csv(table, path)
    if path.suffix.lower() == ".parquet":
        return pyarrow.parquet.ParquetFile(path).read()
    return _read_sheet(path, table)


def _read_csv(table: str, path: Path) -> pa.Table:
    encoding = encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        try:
            header = next(csv.reader([file.readline()]), [])
        except (UnicodeDecodeError, pa.ArrowInvalid) as error:
            raise _bad_file(table) from error
    options = pyarrow.csv.ReadOptions(encoding="utf-8" if encoding == "utf-8-sig" else encoding)
    try:
        return pyarrow.csv.read_csv(
            path,
            read_options=options,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=_as_text(header),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise _bad_file(table) from error


def _as_text(header: list[str]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in header},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )


def _bad_file(table: str) -> Exception:
    reason = Text(zh="文件不是可读的 CSV（编码或列数不对）。", en="the file is not readable CSV (encoding or columns).")
    return not_lossless(table, "*", reason)


def _read_sheet(path: Path, table: str) -> pa.Table:
    """Return a sheet: the first row names the columns; every value is taken as its text."""
    workbook = CalamineWorkbook.from_path(path)
    named = table.removeprefix(f"{path.stem}.")
    sheet = named if named in workbook.sheet_names else workbook.sheet_names[0]
    rows = workbook.get_sheet_by_name(sheet).to_python()
    header = [str(value) for value in rows[0]] if rows else []
    arrays = [
        pa.array([_cell(row[number]) if number < len(row) else None for row in rows[1:]], pa.string())
        for number in range(len(header))
    ]
    return pa.table(arrays, names=header)


def _cell(value: object) -> str | None:
    """Return a cell's text; a whole number without the decimal point that spreadsheets add."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


def _columns(table: str, rows: pa.Table) -> tuple[Column, ...]:
    return tuple(
        Column(name=field.name, type=column_type(table, field), source_type=str(field.type)) for field in rows.schema
    )


def _typed(table: str, rows: pa.Table, columns: tuple[Column, ...]) -> pa.Table:
    arrays = []
    for column in columns:
        try:
            arrays.append(rows.column(column.name).cast(arrow_type(column.type)))
        except pa.ArrowInvalid as error:
            reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
            raise not_lossless(table, column.name, reason) from error
    return pa.table(arrays, schema=arrow_schema(columns))


def _key(rows: pa.Table) -> tuple[str, ...]:
    if not 0 < rows.num_rows <= KEY_PROBE_ROWS_MAX:
        return ()
    for name in rows.column_names:
        values = rows.column(name)
        whole = not pa.types.is_floating(values.type) and not values.null_count
        if whole and pc.count_distinct(values).as_py() == rows.num_rows:
            return (name,)
    return ()


def _text_of(values: "pa.ChunkedArray[pa.Scalar[pa.DataType]]") -> "pa.ChunkedArray[pa.Scalar[pa.DataType]]":
    """Return a column as text; binary values are only marked as present."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        marks = ["(binary)" if present else None for present in pc.is_valid(values).to_pylist()]
        return pa.chunked_array([pa.array(marks, pa.string())])
    return values.cast(pa.string())


def _after(rows: pa.Table, order: tuple[Column, ...], texts: tuple[str, ...]) -> "pa.BooleanArray":
    """Return which rows come after the cursor, in lexicographic order of the ordering columns."""
    result = pa.array([False] * rows.num_rows)
    equal = pa.array([True] * rows.num_rows)
    for column, text in zip(order, texts, strict=True):
        values = rows.column(column.name).combine_chunks()
        plain = bytes.fromhex(text) if column.type == "binary" else text.removesuffix("Z")
        bound = pa.scalar(plain).cast(values.type)
        result = pc.or_(result, pc.and_(equal, pc.greater(values, bound)))
        equal = pc.and_(equal, pc.equal(values, bound))
    return result
