"""Answering a `RangeQuery` in a database: by the engine's own statements where it can, by reading where it cannot."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa

from datong.exchange import (
    Column,
    ContentDigest,
    RangeDigest,
    RangeQuery,
    RangeReader,
    RowDigest,
    by_place,
    content_digest,
    merged,
    range_digest,
)
from datong.exchange.questions import ROWS_LISTED_MAX
from datong.kernel import Text, TooLarge

Select = Callable[[str], Iterable[Sequence[object]]]
"""Runs a statement and returns its rows."""
Read = Callable[[str], Iterable[pa.RecordBatch]]
"""Returns the rows that meet a condition, with the query's columns as the query's types."""


class Statements(Protocol):
    """The statements of one engine for one query."""

    unwritten: str

    def ranges(self) -> str:
        """Prefix, rows, sums of the upper and lower halves, newer rows, rows to be read."""
        ...

    def rows(self) -> str:
        """Place, digest, newer; place or digest NULL: to be read."""
        ...

    def chosen(self) -> str:
        """The condition of the query's rows."""
        ...


class Comparison:
    """One end's answers, all from one state of its database; without `statements` everything is read."""

    def __init__(self, query: RangeQuery, statements: Statements | None, select: Select, read: Read) -> None:
        self._query = query
        self._statements = statements
        self._select = select
        self._read = read

    def ranges(self) -> tuple[RangeDigest, ...]:
        """Return the digest of every range that has a row."""
        reader = RangeReader(self._query)
        if self._statements is None:
            return reader.ranges(self._read("true"))
        digests, to_read = [], 0
        for prefix, rows, upper, lower, newer, left in self._select(self._statements.ranges()):
            to_read += _int(left)
            if prefix is not None and (_int(rows) or _int(newer)):
                digests.append(range_digest(str(prefix), _int(rows), _int(upper), _int(lower), _int(newer)))
        if to_read:
            digests += reader.ranges(self._read(self._statements.unwritten))
        return merged(digests)

    def rows(self) -> tuple[RowDigest, ...]:
        """Return place and digest of every row of the query's ranges, by place.

        Raises:
            TooLarge: `adapters.too_many_rows`.
        """
        reader = RangeReader(self._query)
        if self._statements is None:
            return reader.rows(self._read("true"))
        found, to_read = [], False
        for place, row, newer in self._select(self._statements.rows()):
            if place is None or row is None:
                to_read = True
                continue
            found.append(RowDigest(place=str(place), row=str(row), newer=str(newer) in {"1", "True"}))
            if len(found) > ROWS_LISTED_MAX:
                raise _too_many(self._query.table)
        if to_read:
            found += reader.rows(self._read(self._statements.unwritten))
        return tuple(sorted(found, key=by_place))

    def chosen(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the query's ranges themselves."""
        condition = "true" if self._statements is None else self._statements.chosen()
        return RangeReader(self._query).chosen(self._read(condition))


def _int(value: object) -> int:
    return int(str(value))


def _too_many(table: str) -> TooLarge:
    return TooLarge(
        "adapters.too_many_rows",
        what=Text(
            zh=f"表 {table} 的待比对区间超过 {ROWS_LISTED_MAX} 行。",
            en=f"The ranges of table {table} that are to be listed hold over {ROWS_LISTED_MAX} rows.",
        ),
        remedy=Text(zh="请重新发起对账。", en="Reconcile again."),
    )


class ComparedByReading(ABC):
    """A database whose engine cannot digest as ours does, so whole tables are read: a `Comparing`."""

    @abstractmethod
    def _whole(self, table: str, columns: tuple[Column, ...]) -> pa.RecordBatchReader:
        """Return every row of a table as the types of `columns`, from one state of the database."""

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        return content_digest(self._whole(table, columns), columns)

    def ranges(self, query: RangeQuery) -> tuple[RangeDigest, ...]:
        """Return the digest of every range of the query that has a row."""
        return RangeReader(query).ranges(self._whole(query.table, query.columns))

    def listed(self, query: RangeQuery) -> tuple[RowDigest, ...]:
        """Return place and digest of every row of the query's ranges, by place."""
        return RangeReader(query).rows(self._whole(query.table, query.columns))

    def chosen(self, query: RangeQuery) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the query's ranges themselves."""
        return RangeReader(query).chosen(self._whole(query.table, query.columns))


class ComparedInside(ABC):
    """A database that answers `RangeQuery` by its own statements: a `Comparing`."""

    @abstractmethod
    def _comparison(self, query: RangeQuery) -> AbstractContextManager[Comparison]:
        """Return the answers to `query` from one state of the database."""

    def ranges(self, query: RangeQuery) -> tuple[RangeDigest, ...]:
        """Return the digest of every range of the query that has a row."""
        with self._comparison(query) as comparison:
            return comparison.ranges()

    def listed(self, query: RangeQuery) -> tuple[RowDigest, ...]:
        """Return place and digest of every row of the query's ranges, by place."""
        with self._comparison(query) as comparison:
            return comparison.rows()

    def chosen(self, query: RangeQuery) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the query's ranges themselves."""
        with self._comparison(query) as comparison:
            yield from comparison.chosen()
