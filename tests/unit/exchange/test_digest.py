"""Content digests: independent of order and packing, sensitive to every value, count and column border."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.exchange import (
    Column,
    arrow_schema,
    arrow_type,
    combined,
    content_digest,
    decimal_parameters,
    schema_fingerprint,
)
from datong.kernel import Invalid

PAIR = (Column(name="a", type="string"), Column(name="b", type="string"))
ROWS = st.lists(st.tuples(st.none() | st.text(max_size=4), st.none() | st.text(max_size=4)), max_size=8)


def digest_of(rows: list[tuple[str | None, str | None]], pieces: int = 1) -> str:
    batches = [
        pa.RecordBatch.from_pylist([{"a": a, "b": b} for a, b in rows[start::pieces]], schema=arrow_schema(PAIR))
        for start in range(pieces)
    ]
    result = content_digest(batches, PAIR)
    assert result.rows == len(rows)
    return result.sum


def test_the_digest_is_what_its_definition_says() -> None:
    columns = tuple(
        Column(name=kind, type=kind)
        for kind in ("boolean", "int64", "decimal(9,2)", "float64", "date", "timestamp_utc", "binary", "string")
    )
    moment = datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)
    values = (True, -12, Decimal("-0.10"), 0.5, date(1970, 1, 11), moment, b"\x00\xff")
    texts = ("true", "-12", "-0.10", "0.5", "10", "1000005", "00ff")
    upper = lower = 0
    rows: list[tuple[object, ...]] = []
    for long in ("", "n;", "é" * 99, "é" * 100, "x" * 199, "x" * 200, "汉" * 5000):
        rows += [(*values, long), (*[None] * len(values), long)]
        for row in ([*texts, long], [*[None] * len(texts), long]):
            parts = ["n;" if text is None else f"{len(text.encode())}:{text}" for text in row]
            md5 = hashlib.md5("".join(parts).encode(), usedforsecurity=False).digest()
            upper += int.from_bytes(md5[:8], "little")
            lower += int.from_bytes(md5[8:], "little")
    batch = pa.RecordBatch.from_pylist(
        [dict(zip([column.name for column in columns], row, strict=True)) for row in rows], schema=arrow_schema(columns)
    )
    result = content_digest([batch], columns)
    assert (result.rows, result.sum) == (len(rows), f"{upper % 2**64:016x}{lower % 2**64:016x}")
    assert combined([content_digest([batch.slice(0, 5)], columns), content_digest([batch.slice(5)], columns)]) == result


def test_what_goes_wrong_while_rows_come_is_raised_as_it_is() -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pylist([{"a": "x", "b": "y"}], schema=arrow_schema(PAIR))
        raise KeyError("the source")

    with pytest.raises(KeyError, match="the source"):
        content_digest(failing(), PAIR)


def test_no_more_than_a_few_batches_are_held() -> None:
    """DuckDB's usual way to read a stream is sixteen batches ahead of what it has digested."""
    columns = (Column(name="id", type="int64"), Column(name="name", type="string"))
    batch_bytes, before, held = 16_384 * 24, pa.total_allocated_bytes(), list[int]()

    def made() -> Iterator[pa.RecordBatch]:
        for _ in range(32):
            held.append((pa.total_allocated_bytes() - before) // batch_bytes)
            names = pa.array(["壹贰叁肆"] * 16_384)
            yield pa.record_batch([pa.array(range(16_384), pa.int64()), names], schema=arrow_schema(columns))

    assert content_digest(made(), columns).rows == 32 * 16_384
    assert max(held) <= 6


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_order_and_packing_do_not_matter(rows: list[tuple[str | None, str | None]]) -> None:
    shuffled = sorted(rows, key=repr)
    assert digest_of(rows) == digest_of(shuffled) == digest_of(shuffled, pieces=3)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS)
def test_different_rows_have_different_digests(
    first: list[tuple[str | None, str | None]], second: list[tuple[str | None, str | None]]
) -> None:
    same = sorted(first, key=repr) == sorted(second, key=repr)
    assert ((len(first), digest_of(first)) == (len(second), digest_of(second))) == same


def test_null_empty_and_borders_differ() -> None:
    variants = [("", None), (None, ""), ("", ""), ("n;", None), ("1:a", ""), ("", "1:a"), ("a", "b"), ("ab", "")]
    assert len({digest_of([variant]) for variant in variants}) == len(variants)


def test_a_repeated_row_counts_twice() -> None:
    assert digest_of([("a", "b")]) != digest_of([("a", "b"), ("a", "b")])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("boolean", [True, False]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [0, 2**64 - 1]),
        ("float64", [0.1, 0.1 + 2**-55 * 4]),
        ("decimal(38,18)", [Decimal("1.000000000000000001"), Decimal("1.000000000000000002")]),
        ("binary", [b"\x00", b"\x00\x00"]),
        ("date", [date(1, 1, 1), date(9999, 12, 31)]),
        ("time", [time(0), time(0, 0, 0, 1)]),
        ("timestamp_utc", [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)]),
    ],
)
def test_every_type_tells_neighbours_apart(kind: str, values: list[object]) -> None:
    columns = (Column(name="v", type=kind),)
    digests = {
        content_digest([pa.RecordBatch.from_pylist([{"v": value}], schema=arrow_schema(columns))], columns).sum
        for value in [*values, None]
    }
    assert len(digests) == 3


def test_minus_zero_is_zero() -> None:
    columns = (Column(name="v", type="float64"),)
    first, second = (
        content_digest([pa.RecordBatch.from_pylist([{"v": value}], schema=arrow_schema(columns))], columns)
        for value in (0.0, -0.0)
    )
    assert first == second


@pytest.mark.parametrize("name", ["decimal(39,0)", "decimal(2,3)", "int128", "", "decimal(0,0)"])
def test_unknown_types_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="exchange.type_unknown"):
        arrow_type(name)


def test_decimal_parameters() -> None:
    assert decimal_parameters("decimal(18,2)") == (18, 2)
    assert decimal_parameters("int64") is None


def test_fingerprint_ignores_comments_but_not_types() -> None:
    commented = tuple(column.model_copy(update={"comment": "姓名", "source_type": "TEXT"}) for column in PAIR)
    assert schema_fingerprint(commented) == schema_fingerprint(PAIR)
    assert schema_fingerprint(PAIR[::-1]) != schema_fingerprint(PAIR)
