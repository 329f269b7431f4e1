"""CSV files: any of the usual separators, UTF-8, UTF-16 (with a mark) or GB18030, line breaks inside quotes.

Values travel as the text that stands in the file: an unquoted empty field is NULL, a quoted one the empty text. A file
that ends inside a quote, or has text behind a closing quote, is refused: lenient readers lose a part of it silently.
"""

import codecs
import csv
from collections import deque
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from datong.adapters.file_errors import NOWHERE, damaged, line
from datong.kernel import Invalid, Text

SNIFF_BYTES = 1 << 20
BLOCK_BYTES = 1 << 23
FIELD_CHARS_MAX = 1 << 27
"""The standard library's reader, which finds the faulty line, refuses fields of over 128 Ki characters otherwise."""
SEPARATORS = (",", "\t", ";", "|")


def encoding_of(path: Path) -> str:
    """Return `utf-8-sig` when the whole file is valid UTF-8, `utf-16` when it begins with its mark, else `gb18030`."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            while chunk := file.read(SNIFF_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "gb18030"
    return "utf-8-sig"


def read_csv(path: Path, *, separator: str = "", encoding: str = "") -> pa.Table:
    """Return a CSV file as a table of texts; separator and encoding are found out where they are not given.

    Raises:
        Invalid: `adapters.file_damaged`, with the line.
    """
    encoding = encoding or encoding_of(path)
    try:
        header, separator = _header(path, encoding, separator)
        _check_quotes(path, encoding, separator)
        return _parsed(path, encoding, separator, header)
    except (UnicodeError, LookupError) as error:
        reason = Text(zh=f"不是 {encoding} 编码的文本。", en=f"it is no text in {encoding}.")
        raise damaged(path.name, NOWHERE, reason) from error


def separator_of(first: str) -> str:
    """Return the separator that cuts the first record into the most fields."""
    return max(SEPARATORS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))


def _header(path: Path, encoding: str, separator: str) -> tuple[list[str], str]:
    with path.open(encoding=encoding, newline="") as file:
        separator = separator or separator_of(file.readline(SNIFF_BYTES))
        file.seek(0)
        try:
            header = next(csv.reader(file, delimiter=separator), [])
        except csv.Error as error:
            raise damaged(path.name, line(1), Text(zh="表头无法读取。", en="the header cannot be read.")) from error
    check_header(path.name, header, line(1))
    return header, separator


def check_header(file: str, names: list[str], place: Text) -> None:
    """Check that every column has a name of its own.

    Raises:
        Invalid: `adapters.file_damaged`.
    """
    if not names:
        raise damaged(file, place, Text(zh="没有表头。", en="there is no header."))
    if "" in names:
        number = names.index("") + 1
        raise damaged(
            file, place, Text(zh=f"表头第 {number} 列没有名称。", en=f"column {number} of the header has no name.")
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise damaged(
            file, place, Text(zh=f"表头中列 {twice} 重复。", en=f"the header names the column {twice} twice.")
        )


def _check_quotes(path: Path, encoding: str, separator: str) -> None:
    """Refuse what a lenient reader would read otherwise than it was written; only files with quotes need the look.

    Raises:
        Invalid: `adapters.file_damaged`.
    """
    if not _has_quotes(path):
        return
    csv.field_size_limit(FIELD_CHARS_MAX)
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            # Runs through the records without a step of Python for each.
            deque(reader, maxlen=0)
        except csv.Error as error:
            reason = Text(
                zh="引号没有成对，文件可能被截断。", en="a quote is not closed or not alone; the file may be cut off."
            )
            raise damaged(path.name, line(reader.line_num), reason) from error


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        while chunk := file.read(SNIFF_BYTES):
            if b'"' in chunk:
                return True
    return False


def _parsed(path: Path, encoding: str, separator: str, header: list[str]) -> pa.Table:
    arrow_encoding = "utf-8" if encoding == "utf-8-sig" else encoding
    block = min(max(BLOCK_BYTES, 1), max(path.stat().st_size, 1))
    while True:
        try:
            table = pyarrow.csv.read_csv(
                path,
                read_options=pyarrow.csv.ReadOptions(encoding=arrow_encoding, block_size=block),
                parse_options=pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=_as_text(header),
            )
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and block < path.stat().st_size:
                # A record is longer than a block.
                block = min(block * 8, path.stat().st_size + 1)
                continue
            raise _faulty_line(path, encoding, separator, len(header)) from error
        return table


def _as_text(header: list[str]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in header},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )


def _faulty_line(path: Path, encoding: str, separator: str, fields: int) -> Invalid:
    """Return the error of the first record with another number of fields than the header."""
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=separator)
        for found in reader:
            if found and len(found) != fields:
                reason = Text(
                    zh=f"有 {len(found)} 列，表头有 {fields} 列。",
                    en=f"it has {len(found)} fields, the header {fields}.",
                )
                return damaged(path.name, line(reader.line_num), reason)
    return damaged(path.name, NOWHERE, Text(zh="不是可读的 CSV。", en="it is no readable CSV."))
