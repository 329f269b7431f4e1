"""Content digests: what a set of rows *is*, whatever the order, the engine and the packing.

A row's canonical text is, per column in the given order, `n;` for NULL, else the byte length of the value's text, a
colon, and the text. The digest is the row count and the sum of the rows' MD5 (two 64-bit halves, each modulo 2⁶⁴).
A sum finds errors, not tampering: it is signed inside a manifest, whose payload has a SHA-256 of its own.

The text is what costs, so it is made as cheaply as the engine allows: one query over a whole stream (planning takes
milliseconds), one concatenation a row, one MD5 a row, and length prefixes looked up instead of formatted.
"""

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from datong.exchange.short_queries import short_query
from datong.exchange.table_values import Column, ContentDigest
from datong.exchange.types import arrow_schema

_MODULUS = 1 << 64
_HALF = f"{_MODULUS - 1}::UHUGEINT"
_SHORT_TEXT_BYTES_MAX = 47
"""No number, date or time has a longer text: a decimal of 38 digits has 41 bytes."""
_LOOKED_UP_BYTES_MAX = 199
"""Longer lists of prefixes cost more than formatting the length does."""


def _prefixes(bytes_max: int) -> str:
    return "[" + ",".join(f"'{length}:'" for length in range(bytes_max + 1)) + "]"


_SHORT_PREFIXES = _prefixes(_SHORT_TEXT_BYTES_MAX)
_LONG_PREFIXES = _prefixes(_LOOKED_UP_BYTES_MAX)


def text_expression(column: Column) -> str:
    """Return the DuckDB expression of a column's canonical text; NULL stays NULL."""
    name = '"' + column.name.replace('"', '""') + '"'
    if column.type == "string":
        return name
    if column.type == "binary":
        return f"lower(hex({name}))"
    if column.type in {"timestamp", "timestamp_utc"}:
        return f"epoch_us({name})::VARCHAR"
    if column.type == "date":
        return f"date_diff('day', DATE '1970-01-01', {name})::VARCHAR"
    if column.type in {"float32", "float64"}:
        # Minus zero equals zero in every database, and some of them drop its sign.
        return f"(CASE WHEN {name} = 0 THEN 0 ELSE {name} END)::VARCHAR"
    return f"{name}::VARCHAR"


def canonical_expression(column: Column) -> str:
    """Return the DuckDB expression of one column's part of a row's canonical text."""
    name = '"' + column.name.replace('"', '""') + '"'
    text = text_expression(column)
    return f"CASE WHEN {name} IS NULL THEN 'n;' ELSE strlen({text})::VARCHAR || ':' || {text} END"


def digest_query(columns: tuple[Column, ...], relation: str) -> str:
    """Return the DuckDB query of count and both sums (upper half first) over the rows of `relation`."""
    texts, pieces = [], []
    for number, column in enumerate(columns):
        text = f"_datong_text_{number}"
        texts.append(f"{text_expression(column)} AS {text}")
        pieces += [_prefix_expression(column, text), text]
    # concat() passes over NULL, and a NULL value has its `n;` from the prefix.
    row = f"SELECT md5_number(concat({', '.join(pieces)})) AS m FROM (SELECT {', '.join(texts)} FROM {relation})"
    # DuckDB reads the sixteen bytes as a little-endian number: its low half is the MD5's first half.
    return f"SELECT count(*), sum((m & {_HALF})::UBIGINT), sum((m >> 64)::UBIGINT) FROM ({row})"


def _prefix_expression(column: Column, text: str) -> str:
    if column.type not in {"string", "binary"}:
        return f"coalesce({_SHORT_PREFIXES}[strlen({text}) + 1], 'n;')"
    looked_up = f"WHEN strlen({text}) <= {_LOOKED_UP_BYTES_MAX} THEN {_LONG_PREFIXES}[strlen({text}) + 1]"
    return f"CASE WHEN {text} IS NULL THEN 'n;' {looked_up} ELSE strlen({text})::VARCHAR || ':' END"


def combined(digests: Iterable[ContentDigest]) -> ContentDigest:
    """Return the digest of the union of what `digests` stand for: counts and sums are additive."""
    rows = upper = lower = 0
    for digest in digests:
        rows += digest.rows
        upper = (upper + int(digest.sum[:16], 16)) % _MODULUS
        lower = (lower + int(digest.sum[16:], 16)) % _MODULUS
    return ContentDigest(rows=rows, sum=f"{upper:016x}{lower:016x}")


def content_digest(batches: Iterable[pa.RecordBatch], columns: tuple[Column, ...]) -> ContentDigest:
    """Return the content digest of all rows of `batches` (a `RecordBatchReader` will do); each is asked for once."""
    failures: list[BaseException] = []

    def checked() -> Iterable[pa.RecordBatch]:
        try:
            yield from batches
        except BaseException as error:
            # DuckDB would wrap it into an error of its own.
            failures.append(error)
            raise

    stream = pa.RecordBatchReader.from_batches(arrow_schema(columns), checked())
    with short_query() as connection:
        # A reader itself would be read sixteen batches ahead, by pyarrow's scanner, and all of them held.
        connection.register("batches", stream.__arrow_c_stream__())
        try:
            row = connection.execute(digest_query(columns, "batches")).fetchone()
        except duckdb.Error:
            if failures:
                raise failures[0] from None
            raise
    if row is None or not row[0]:
        return ContentDigest(rows=0, sum="0" * 32)
    return ContentDigest(rows=int(row[0]), sum=f"{int(row[1]) % _MODULUS:016x}{int(row[2]) % _MODULUS:016x}")
