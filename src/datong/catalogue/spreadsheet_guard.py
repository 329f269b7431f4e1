"""What stands between a stranger's xlsx file and the reader: sizes, before anything is unpacked into memory.

A small archive can unpack to gigabytes, and one cell in the last row and column makes a reader allocate the whole grid.
"""

import io
import zipfile
import zlib
from functools import lru_cache
from typing import IO, NamedTuple
from xml.parsers import expat

from datong.kernel import Invalid, Text

FILE_BYTES_MAX = 8 * 1024 * 1024
UNPACKED_BYTES_MAX = 256 * 1024 * 1024
MEMBERS_MAX = 200
ROWS_MAX = 200_000
COLUMNS_MAX = 200
COLUMN_LETTERS_MAX, ROW_DIGITS_MAX = 3, 7
BEYOND = 10**9
"""Further than any sheet goes."""
CHUNK_BYTES = 1024 * 1024


class SheetLimits(NamedTuple):
    """How large a workbook may be: unpacked, its files, and each sheet's last row, last column and their product.

    `cells` is what a reader allocates for a sheet, however few of them are filled.
    """

    unpacked_bytes: int = UNPACKED_BYTES_MAX
    members: int = MEMBERS_MAX
    rows: int = ROWS_MAX
    columns: int = COLUMNS_MAX
    cells: int = ROWS_MAX * COLUMNS_MAX


SMALL = SheetLimits()
"""What people upload."""


def check_archive(body: bytes) -> None:
    """Let an xlsx file pass whose real contents are within the limits.

    Raises:
        Invalid: it is no archive, unpacks to more than the limit, or places a cell beyond the largest sheet.
    """
    if len(body) > FILE_BYTES_MAX:
        raise _too_large(f"{len(body)} bytes")
    check_workbook(io.BytesIO(body), SMALL)


def check_workbook(file: IO[bytes], limits: SheetLimits) -> None:
    """Let an xlsx file pass whose real contents are within `limits`.

    Raises:
        Invalid: it is no archive, unpacks to more than the limit, or places a cell beyond the largest sheet.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > limits.members:
                raise _too_large(f"{len(members)} members")
            left = limits.unpacked_bytes
            for member in members:
                left = _check_member(archive, member, left, limits)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        UnicodeError,
        ValueError,
        expat.ExpatError,
    ) as error:
        raise not_a_spreadsheet(str(error)) from error


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int, limits: SheetLimits) -> int:
    """Unpack one member a piece at a time, without keeping it, and return how many bytes may still come."""
    is_sheet = member.filename.lower().startswith("xl/worksheets/") and member.filename.lower().endswith(".xml")
    parser = _sheet_parser(limits) if is_sheet else None
    with archive.open(member) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise _too_large(f"unpacks to more than {limits.unpacked_bytes} bytes")
            if parser is not None:
                parser.Parse(chunk, False)
    if parser is not None:
        parser.Parse(b"", True)
    return left


def _sheet_parser(limits: SheetLimits) -> expat.XMLParserType:
    last_row = last_column = 1

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal last_row, last_column
        kind = name.rpartition(":")[2]
        if kind in ("row", "c") and "r" in attributes:
            row, column = _place(attributes["r"])
            last_row, last_column = max(last_row, row), max(last_column, column)
            if last_row > limits.rows or last_column > limits.columns or last_row * last_column > limits.cells:
                raise _too_large(f"cell {attributes['r'][:20]}")

    def doctype(*_: object) -> None:
        raise not_a_spreadsheet("a document type is declared")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    return parser


def _place(reference: str) -> tuple[int, int]:
    """Return row and column of a reference, 1 for what it leaves out; beyond every sheet for what names none."""
    letters = reference.rstrip("0123456789")
    digits = reference[len(letters) :]
    column = _column_number(letters) if len(letters) <= COLUMN_LETTERS_MAX else BEYOND
    return (int(digits or "1") if len(digits) <= ROW_DIGITS_MAX else BEYOND), max(column, 1)


@lru_cache(maxsize=1024)
def _column_number(letters: str) -> int:
    """Return the column that the letters name, beyond the last one for what names none."""
    column = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z":
            return BEYOND
        column = column * 26 + ord(letter) - ord("A") + 1
    return column


def _too_large(why: str) -> Invalid:
    return Invalid(
        "catalogue.spreadsheet_too_large",
        what=Text(
            zh=f"表格超过上限（文件 8 MiB，{ROWS_MAX} 行，{COLUMNS_MAX} 列）。",
            en=f"The file is over the limits (8 MiB, {ROWS_MAX} rows, {COLUMNS_MAX} columns).",
        ),
        remedy=Text(
            zh="请删去无关的内容和格式，或分成几个文件导入。",
            en="Remove what does not belong, or import several files.",
        ),
        field="/file",
        context={"why": why},
    )


def not_a_spreadsheet(why: str) -> Invalid:
    """The file is no readable xlsx file."""
    return Invalid(
        "catalogue.not_a_spreadsheet",
        what=Text(zh="这不是能读取的 xlsx 表格。", en="This is no readable xlsx file."),
        remedy=Text(
            zh="请用表格软件另存为 xlsx 后重试。", en="Save it as xlsx with a spreadsheet program and try again."
        ),
        field="/file",
        context={"why": why[:200]},
    )
