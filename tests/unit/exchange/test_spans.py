"""The end of a backfill: the rows up to a cursor, for every kind of key, against a plain reading."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import Cursor, cursor_at_end, rows_until
from datong.kernel import Invalid

START = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS: list["pa.Field[Any]"] = [
    pa.field("at", pa.timestamp("us", tz="UTC")),
    pa.field("amount", pa.decimal128(12, 2)),
    pa.field("name", pa.string()),
    pa.field("raw", pa.binary()),
]
SCHEMA = pa.schema(FIELDS)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3).map(lambda second: START + timedelta(seconds=second, microseconds=7)),
        st.integers(-3, 3).map(lambda cents: Decimal(cents) / 100),
        st.text(alphabet="aZ王𠮷", max_size=2),
        st.binary(max_size=2),
    ),
    min_size=1,
    max_size=12,
).map(lambda rows: sorted(rows, key=lambda row: (row[0], row[1], row[2].encode(), row[3])))


@given(ROWS, st.integers(0, 11), st.integers(1, 5))
def test_rows_come_up_to_the_cursor_and_no_further(
    rows: list[tuple[datetime, Decimal, str, bytes]], place: int, size: int
) -> None:
    names = tuple(SCHEMA.names)
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=SCHEMA)
    end = rows[place % len(rows)]
    until = cursor_at_end(table.slice(place % len(rows), 1).to_batches()[0], names)
    assert until is not None
    found = [row for batch in rows_until(table.to_batches(size), names, until) for row in batch.to_pylist()]
    key = (end[0], end[1], end[2].encode(), end[3])
    wanted = [row for row in rows if (row[0], row[1], row[2].encode(), row[3]) <= key]
    assert [tuple(row.values()) for row in found] == wanted


@pytest.mark.parametrize("values", [(), ("1", "2"), ("yesterday",), ("\x00",)])
def test_an_end_that_does_not_fit_is_refused_in_words(values: tuple[str, ...]) -> None:
    batch = pa.RecordBatch.from_pydict({"at": pa.array([START], pa.timestamp("us", tz="UTC"))})
    with pytest.raises(Invalid, match="cursor_unreadable"):
        list(rows_until([batch], ("at",), Cursor(values=values)))


@given(st.text(max_size=20))
def test_any_text_as_an_end_is_an_end_or_an_error_in_words(text: str) -> None:
    batch = pa.RecordBatch.from_pydict({"id": pa.array([1, 2], pa.int64())})
    rows = -1
    try:
        rows = sum(part.num_rows for part in rows_until([batch], ("id",), Cursor(values=(text,))))
    except Invalid as error:
        rows = 0 if error.what.zh else -1
    assert 0 <= rows <= 2
