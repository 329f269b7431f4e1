"""Where things stand in a spreadsheet: columns found by their headings, and the letters that name them."""

from collections.abc import Mapping, Sequence


def columns_found(headings: Sequence[object], columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the place (from 0) of each field whose column has a heading, in any of its spellings, in lower case."""
    told = [str(cell).strip().casefold() for cell in headings]
    return {
        field: told.index(heading) for field, spellings in columns.items() for heading in spellings if heading in told
    }


def column_letters(column: int) -> str:
    """Return the letters by which spreadsheets name a column, counted from 0."""
    letters, rest = "", column + 1
    while rest:
        rest, place = divmod(rest - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters
