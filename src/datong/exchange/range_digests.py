"""Digesting ranges by reading the rows into DuckDB: the way of every source whose engine cannot do it by itself."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from datong.exchange.digest import canonical_expression
from datong.exchange.questions import RangeDigest, RowDigest
from datong.exchange.ranges import RangeQuery
from datong.exchange.short_queries import short_query
from datong.exchange.table_values import Column
from datong.exchange.types import arrow_schema

HALF = 1 << 64
_NEWER_TYPES = {
    "boolean": "BOOLEAN", "int64": "BIGINT", "uint64": "UBIGINT", "float32": "FLOAT", "float64": "DOUBLE",
    "string": "VARCHAR", "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP", "timestamp_utc": "TIMESTAMPTZ",
}  # fmt: skip


def range_digest(prefix: str, rows: int, upper: int, lower: int, newer: int) -> RangeDigest:
    """Return a range from the sums of its rows' two halves, which may be signed or larger than a half."""
    return RangeDigest(prefix=prefix, rows=rows, sum=f"{upper % HALF:016x}{lower % HALF:016x}", newer=newer)


def merged(digests: Iterable[RangeDigest]) -> tuple[RangeDigest, ...]:
    """Return one digest a prefix: what parts of a table digested in several ways add up to, by prefix."""
    sums: dict[str, tuple[int, int, int, int]] = {}
    for one in digests:
        rows, upper, lower, newer = sums.get(one.prefix, (0, 0, 0, 0))
        upper, lower = upper + int(one.sum[:16], 16), lower + int(one.sum[16:], 16)
        sums[one.prefix] = (rows + one.rows, upper, lower, newer + one.newer)
    return tuple(range_digest(prefix, *sums[prefix]) for prefix in sorted(sums))


class RangeReader:
    """Answers a `RangeQuery` from record batches that have the query's columns."""

    def __init__(self, query: RangeQuery) -> None:
        self._query = query
        self._schema = arrow_schema(query.columns)
        row = " || ".join(canonical_expression(column) for column in query.columns)
        key = " || ".join(canonical_expression(column) for column in query.keys)
        places = ", ".join(f"'{prefix}'" for prefix in query.prefixes)
        self._rows = (
            f"SELECT *, md5('{query.salt}' || {key}) AS _datong_place, {row} AS _datong_row, "
            f"{_newer(query)} AS _datong_newer FROM batch"
        )
        self._where = f"left(_datong_place, {query.prefix_digits}) IN ({places})" if query.prefix_digits else "true"

    def ranges(self, batches: Iterable[pa.RecordBatch]) -> tuple[RangeDigest, ...]:
        """Return the digest of every range that has a row."""
        digits = self._query.prefix_digits + self._query.digits
        statement = (
            f"SELECT left(_datong_place, {digits}), count(*) FILTER (NOT _datong_newer), "
            "coalesce(sum(md5_number_upper(_datong_row)) FILTER (NOT _datong_newer), 0), "
            "coalesce(sum(md5_number_lower(_datong_row)) FILTER (NOT _datong_newer), 0), "
            f"count(*) FILTER (_datong_newer) FROM ({self._rows}) WHERE {self._where} GROUP BY 1"
        )
        found = self._each(batches, statement)
        return merged(range_digest(str(prefix), *(int(str(n)) for n in sums)) for prefix, *sums in found)

    def rows(self, batches: Iterable[pa.RecordBatch]) -> tuple[RowDigest, ...]:
        """Return place and digest of every row of the query's ranges, by place."""
        statement = (
            f"SELECT _datong_place, md5('{self._query.salt}' || _datong_row), _datong_newer "
            f"FROM ({self._rows}) WHERE {self._where}"
        )
        found = self._each(batches, statement)
        return tuple(sorted((RowDigest(place=p, row=r, newer=n) for p, r, n in found), key=by_place))

    def chosen(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the query's ranges themselves."""
        names = ", ".join(_quoted(column.name) for column in self._query.columns)
        with short_query() as connection:
            for batch in batches:
                connection.register("batch", pa.Table.from_batches([batch], schema=self._schema))
                found = connection.execute(f"SELECT {names} FROM ({self._rows}) WHERE {self._where}").to_arrow_table()
                connection.unregister("batch")
                yield from found.cast(self._schema).to_batches()

    def _each(self, batches: Iterable[pa.RecordBatch], statement: str) -> Iterator[tuple[object, ...]]:
        with short_query() as connection:
            for batch in batches:
                connection.register("batch", pa.Table.from_batches([batch], schema=self._schema))
                yield from connection.execute(statement).fetchall()
                connection.unregister("batch")


def by_place(digest: RowDigest) -> tuple[str, str]:
    """Order rows by place, equal places by content."""
    return digest.place, digest.row


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _newer(query: RangeQuery) -> str:
    """Return the condition under which a row lies after the query's cursor; a row without a cursor does not."""
    if not query.bounds:
        return "false"
    names = ", ".join(_quoted(column.name) for column, _ in query.bounds)
    values = ", ".join(_literal(column, text) for column, text in query.bounds)
    return f"coalesce(({names}) > ({values}), false)"


def _literal(column: Column, text: str) -> str:
    quoted = "'" + text.replace("'", "''") + "'"
    if column.type == "binary":
        return f"unhex({quoted})"
    return f"CAST({quoted} AS {_NEWER_TYPES.get(column.type, column.type)})"
