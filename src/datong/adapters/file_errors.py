"""What is said of a file that cannot be read: which file, which line or cell, why, what to do; never its content."""

from datong.catalogue import column_letters
from datong.kernel import Invalid, Text


def damaged(file: str, place: Text, reason: Text) -> Invalid:
    """Return the error of a file that is not what it should be at `place` ("line 3", "cell B1", or empty)."""
    at = Text(zh=f" {place.zh}" if place.zh else "", en=f", {place.en}" if place.en else "")
    return Invalid(
        "adapters.file_damaged",
        what=Text(
            zh=f"文件 {file}{at.zh}：{reason.zh}",
            en=f"The file {file}{at.en}: {reason.en}",
        ),
        remedy=Text(
            zh="请修正文件后重新放入；其余文件不受影响。",
            en="Correct the file and put it there again; the others go on.",
        ),
        context={"file": file, "place": place.en},
    )


def line(number: int) -> Text:
    """Return the name of a line, counted from 1."""
    return Text(zh=f"第 {number} 行", en=f"line {number}")


def record(number: int) -> Text:
    """Return the name of a record, counted from 1."""
    return Text(zh=f"第 {number} 条记录", en=f"record {number}")


def cell(row: int, column: int) -> Text:
    """Return a spreadsheet cell's name from its row and column, both counted from 0."""
    letters = column_letters(column)
    return Text(zh=f"单元格 {letters}{row + 1}", en=f"cell {letters}{row + 1}")


NOWHERE = Text(zh="", en="")
