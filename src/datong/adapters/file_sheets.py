"""Excel workbooks: every sheet a table, every value the text of its cell; what a cell cannot say clearly is refused."""

import html
import re
import zipfile
import zlib
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from datong.adapters.file_csv import check_header
from datong.adapters.file_errors import NOWHERE, cell, damaged
from datong.catalogue import SheetLimits, check_workbook
from datong.kernel import Invalid, Text

SUFFIXES = frozenset({".xlsx", ".xls"})
LIMITS = SheetLimits(unpacked_bytes=2 * 1024**3, members=10_000, rows=1_048_576, columns=16_384, cells=40_000_000)
"""What a department's own files may be: a million rows of forty columns."""
_SHEET = re.compile(rb'<sheet [^>]*name="([^"]*)"[^>]*r:id="([^"]*)"')
_RELATION = re.compile(rb"<Relationship [^>]*>")
_ATTRIBUTE = re.compile(rb'(\w+)="([^"]*)"')
_CELL_ERROR = re.compile(rb'<c r="([A-Z]+\d+)"(?: s="\d+")? t="e"')


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets; a damaged workbook counts as one sheet, and its reader is told why."""
    try:
        _check_size(path)
        return [str(name) for name in CalamineWorkbook.from_path(path).sheet_names]
    except (CalamineError, OSError, Invalid):
        return [path.stem]


def read_sheet(path: Path, sheet: str, *, header_row: int = 1) -> pa.Table:
    """Return a sheet as a table of texts; its row `header_row` (from 1) names the columns.

    Raises:
        Invalid: `adapters.file_damaged`, with the cell.
    """
    _check_size(path)
    try:
        workbook = CalamineWorkbook.from_path(path)
        named = sheet if sheet in workbook.sheet_names else workbook.sheet_names[0]
        found = workbook.get_sheet_by_name(named)
        rows = found.to_python(skip_empty_area=False)
    except (CalamineError, OSError, IndexError) as error:
        reason = Text(zh="不是完好的 Excel 工作簿。", en="it is no sound Excel workbook.")
        raise damaged(path.name, NOWHERE, reason) from error
    top = header_row - 1
    _check_merged(path, found, top)
    _check_errors(path, named)
    header = _names(rows[top]) if len(rows) > top else []
    if not header:
        raise damaged(path.name, cell(top, 0), Text(zh="没有表头。", en="there is no header."))
    for column, name in enumerate(header):
        if not name and any(column < len(row) and row[column] != "" for row in rows[top + 1 :]):
            raise damaged(path.name, cell(top, column), Text(zh="列没有名称。", en="the column has no name."))
    kept = [column for column, name in enumerate(header) if name]
    check_header(path.name, [header[column] for column in kept], cell(top, 0))
    body = [row for row in rows[top + 1 :] if any(value != "" for value in row)]
    arrays = [
        pa.array([cell_text(row[column]) if column < len(row) else None for row in body], pa.string())
        for column in kept
    ]
    return pa.table(arrays, names=[header[column] for column in kept])


def _check_size(path: Path) -> None:
    """Let a workbook pass that fits into memory: its reader allocates every cell up to the last row and column.

    Raises:
        Invalid: `adapters.file_damaged`.
    """
    if path.suffix.lower() == ".xlsx":
        facts = path.stat()
        _check_unpacked(path, facts.st_ino, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _check_unpacked(path: Path, *_state: int) -> None:
    """Look through a workbook once, as long as it is the same file."""
    try:
        with path.open("rb") as file:
            check_workbook(file, LIMITS)
    except Invalid as error:
        reason = Text(
            zh=f"不是能读取的 xlsx，或超过上限（解压后 2 GiB，每表 {LIMITS.cells:,} 个单元格）。",
            en=f"it is no readable xlsx, or over the limits (2 GiB unpacked, {LIMITS.cells:,} cells a sheet).",
        )
        raise damaged(path.name, NOWHERE, reason) from error


def cell_text(value: object) -> str | None:
    """Return a cell's text; a whole number without the decimal point that spreadsheets add, dates in ISO 8601."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


def _names(row: Sequence[object]) -> list[str]:
    names = [(cell_text(value) or "").strip() for value in row]
    while names and not names[-1]:
        names.pop()
    return names


def _check_merged(path: Path, sheet: CalamineSheet, top: int) -> None:
    """Refuse merged cells in the header: which column a name belongs to would be a guess.

    Raises:
        Invalid: `adapters.file_damaged`.
    """
    for (first, left), (last, _) in sheet.merged_cell_ranges or []:
        if first <= top <= last:
            reason = Text(
                zh="表头是合并单元格；请取消合并，或用 header_row 指明表头所在行。",
                en="the header is a merged cell; unmerge it, or name the header's row by header_row.",
            )
            raise damaged(path.name, cell(first, left), reason)


def _check_errors(path: Path, sheet: str) -> None:
    """Refuse a sheet with a cell in error (#DIV/0!), which readers take for an empty one.

    Raises:
        Invalid: `adapters.file_damaged`.
    """
    if path.suffix.lower() != ".xlsx":
        return
    try:
        with zipfile.ZipFile(path) as archive:
            places = _sheet_files(archive)
            content = archive.read(places[sheet]) if sheet in places else b""
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, ValueError) as error:
        reason = Text(zh="不是完好的 Excel 工作簿。", en="it is no sound Excel workbook.")
        raise damaged(path.name, NOWHERE, reason) from error
    found = _CELL_ERROR.search(content)
    if found is not None:
        name = found[1].decode("ascii")
        place = Text(zh=f"单元格 {name}", en=f"cell {name}")
        raise damaged(path.name, place, Text(zh="是错误值（如 #DIV/0!）。", en="it holds an error such as #DIV/0!."))


def _sheet_files(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the file of each sheet inside the workbook."""
    targets = {}
    for relation in _RELATION.findall(archive.read("xl/_rels/workbook.xml.rels")):
        parts = dict(_ATTRIBUTE.findall(relation))
        targets[parts.get(b"Id", b"")] = parts.get(b"Target", b"").decode("utf-8")
    return {
        html.unescape(name.decode("utf-8")): (target if target.startswith("xl/") else f"xl/{target}")
        for name, reference in _SHEET.findall(archive.read("xl/workbook.xml"))
        if (target := targets.get(reference, "").lstrip("/"))
    }
