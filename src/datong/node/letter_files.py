"""Dead letters in spreadsheets (xlsx or CSV): written for a department's people, read back with what they changed."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import python_calamine
import xlsxwriter

from datong.catalogue import check_archive
from datong.exchange import Correction, DeadLetter
from datong.kernel import BatchId, Invalid, Text
from datong.kernel.formulas import defused, restored

FACTS = ("_batch", "_row", "_reason")
"""The columns before the row's own."""
NULL = "\\N"
"""How a cell says NULL; an empty cell is an empty text."""
FILE_BYTES_MAX = 64 * 1024 * 1024


def write_letters(path: Path, letters: Sequence[DeadLetter]) -> None:
    """Write dead letters of one task to `path`, an xlsx file or, by its suffix, CSV in UTF-8."""
    names = list(dict.fromkeys(name for letter in letters for name in letter.content))
    lines = [[*FACTS, *names]]
    for letter in letters:
        values = [letter.content.get(name) for name in names]
        texts = [NULL if value is None else value for value in values]
        lines.append([letter.batch_id, str(letter.row), letter.reason, *texts])
    if path.suffix.lower() == ".csv":
        # Excel takes a CSV file for UTF-8 only with the mark.
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([defused(text) for text in line] for line in lines)
        return
    with xlsxwriter.Workbook(path, {"strings_to_urls": False}) as book:
        # The mark of a quoted text: else a cell that somebody only looks into becomes the formula that it looks like.
        quoted = book.add_format({"quote_prefix": True})
        sheet = book.add_worksheet("dead letters")
        for number, line in enumerate(lines):
            for column, text in enumerate(line):
                sheet.write_string(number, column, text, quoted if defused(text) != text else None)


def read_corrections(path: Path, letters: Sequence[DeadLetter]) -> tuple[tuple[Correction, ...], dict[str, int]]:
    """Return what a file changes about `letters`, and on which line each letter stands, by its id.

    Raises:
        Invalid: `node.letters_file`: it is no such file, or a line names no letter.
    """
    known = {letter.id: letter for letter in letters}
    lines = iter(_lines(path))
    header = next(lines, [])
    if tuple(header[: len(FACTS)]) != FACTS:
        raise _unfit(path, Text(zh="第一行应为导出文件的表头", en="the first line is not that of an exported file"))
    names = header[len(FACTS) :]
    corrections, places = [], {}
    for number, line in enumerate(lines, start=2):
        if not any(line):
            continue
        letter = known.get(f"{line[0]}:{line[1].removesuffix('.0')}") if len(line) > 1 else None
        if letter is None:
            raise _unfit(path, Text(zh=f"第 {number} 行不是待处理的死信", en=f"line {number} is no open dead letter"))
        texts = dict(zip(names, line[len(FACTS) :], strict=False))
        changes = {
            name: None if text == NULL else text
            for name, text in texts.items()
            if text != (NULL if letter.content.get(name) is None else letter.content.get(name))
        }
        if changes:
            corrections.append(Correction(batch_id=BatchId(letter.batch_id), row=letter.row, changes=changes))
            places[letter.id] = number
    return tuple(corrections), places


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise _unfit(path, Text(zh="无法读取", en="it cannot be read")) from error
    if len(body) > FILE_BYTES_MAX:
        raise _unfit(path, Text(zh="文件过大", en="it is too large"))
    try:
        if path.suffix.lower() == ".csv":
            for line in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True):
                yield [restored(text) for text in line]
            return
        check_archive(body)
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(body))
        for row in book.get_sheet_by_index(0).to_python(skip_empty_area=False):
            yield [_text(value) for value in row]
    except (UnicodeDecodeError, csv.Error, python_calamine.CalamineError, ValueError, OSError) as error:
        raise _unfit(path, Text(zh="不是可读的 xlsx 或 UTF-8 CSV", en="it is no readable xlsx or UTF-8 CSV")) from error


def _text(value: object) -> str:
    """Return a cell as text; a whole number typed into a spreadsheet has no decimals."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _unfit(path: Path, why: Text) -> Invalid:
    return Invalid(
        "node.letters_file",
        what=Text(
            zh=f"文件 {path.name} 不能导入：{why.zh}。", en=f"The file {path.name} cannot be imported: {why.en}."
        ),
        remedy=Text(
            zh="请重新导出后在其中修改单元格；表头、批次与行号不要改动。",
            en="Export again and change cells there; leave the header, the batches and the row numbers as they are.",
        ),
        field="/file",
    )
