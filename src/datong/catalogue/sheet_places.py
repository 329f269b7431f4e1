"""Where things stand in a spreadsheet: columns found by their headings, and the letters that name them."""

from collections.abc import Mapping, Sequence

from datong.kernel import Text


def columns_found(headings: Sequence[object], columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the place (from 0) of each field whose column has a heading, in any of its spellings, in lower case."""
    told = [str(cell).strip().casefold() for cell in headings]
    return {
        field: told.index(heading) for field, spellings in columns.items() for heading in spellings if heading in told
    }


def goes_on_after(rows: Sequence[Sequence[object]], most: int) -> bool:
    """Say whether anything stands behind the heading and `most` rows."""
    return any(str(cell).strip() for row in rows[most + 1 :] for cell in row)


def too_many_rows(most: int) -> Text:
    """Say that no more than `most` rows go at once, and what to do."""
    return Text(zh=f"一次最多 {most} 行，请分批导入。", en=f"At most {most} rows go at once: import it in parts.")


def column_letters(column: int) -> str:
    """Return the letters by which spreadsheets name a column, counted from 0."""
    letters, rest = "", column + 1
    while rest:
        rest, place = divmod(rest - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters
