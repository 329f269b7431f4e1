"""Content digests: what a set of rows *is*, whatever the order, the engine and the packing.

A row's canonical text is, per column in the given order, `n;` for NULL, else the byte length of the value's text, a
colon, and the text. The digest is the row count and the sum of the rows' MD5 (two 64-bit halves, each modulo 2⁶⁴).
A sum finds errors, not tampering: it is signed inside a manifest, whose payload has a SHA-256 of its own.
"""

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from datong.exchange.types import arrow_schema
from datong.exchange.values import Column, ContentDigest

_MODULUS = 1 << 64


def canonical_expression(column: Column) -> str:
    """Return the DuckDB expression of one column's part of a row's canonical text."""
    name = '"' + column.name.replace('"', '""') + '"'
    if column.type == "binary":
        text = f"lower(hex({name}))"
    elif column.type in {"timestamp", "timestamp_utc"}:
        text = f"epoch_us({name})::VARCHAR"
    elif column.type == "date":
        text = f"date_diff('day', DATE '1970-01-01', {name})::VARCHAR"
    elif column.type in {"float32", "float64"}:
        # Minus zero equals zero in every database, and some of them drop its sign.
        text = f"(CASE WHEN {name} = 0 THEN 0 ELSE {name} END)::VARCHAR"
    else:
        text = f"{name}::VARCHAR"
    return f"CASE WHEN {name} IS NULL THEN 'n;' ELSE strlen({text})::VARCHAR || ':' || {text} END"


class DigestSum:
    """Adds up the content digest of record batches of one schema."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._schema = arrow_schema(columns)
        row = " || ".join(canonical_expression(column) for column in columns)
        self._query = (
            f"SELECT count(*), sum(md5_number_upper(r)), sum(md5_number_lower(r)) FROM (SELECT {row} AS r FROM batch)"
        )
        self._connection = duckdb.connect(config={"threads": 1})
        self._rows = self._upper = self._lower = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the rows of `batch`, whose columns are those of this digest."""
        self._connection.register("batch", pa.Table.from_batches([batch], schema=self._schema))
        try:
            row = self._connection.execute(self._query).fetchone()
        finally:
            self._connection.unregister("batch")
        if row is not None and row[0]:
            self._rows += int(row[0])
            self._upper = (self._upper + int(row[1])) % _MODULUS
            self._lower = (self._lower + int(row[2])) % _MODULUS

    def result(self) -> ContentDigest:
        """Return the digest of everything added so far."""
        return ContentDigest(rows=self._rows, sum=f"{self._upper:016x}{self._lower:016x}")

    def close(self) -> None:
        """Free the engine."""
        self._connection.close()


def content_digest(batches: Iterable[pa.RecordBatch], columns: tuple[Column, ...]) -> ContentDigest:
    """Return the content digest of all rows of `batches` (a `RecordBatchReader` will do)."""
    total = DigestSum(columns)
    try:
        for batch in batches:
            total.add(batch)
        return total.result()
    finally:
        total.close()
