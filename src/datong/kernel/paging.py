"""Pages of long lists."""

from typing import Generic, TypeVar

from datong.kernel.values import Value

Row = TypeVar("Row")


class Page(Value, Generic[Row]):
    """Some rows of a list, how many there are in all, and where the next page starts (None at the end)."""

    rows: tuple[Row, ...]
    total: int
    next_offset: int | None = None


def page_of(rows: tuple[Row, ...], *, total: int, offset: int) -> Page[Row]:
    """Return the page that starts at `offset` and holds `rows`."""
    end = offset + len(rows)
    return Page(rows=rows, total=total, next_offset=end if end < total and rows else None)
