"""The binary form of COPY, read back field by field: NULLs, empty texts, decimals of every size, slices."""

import struct
from decimal import Context, Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.adapters.postgresql_binary import encoded, in_copy_order
from datong.exchange import Column, arrow_schema

EXACT = Context(prec=60)
COLUMNS = (
    Column(name="id", type="int64"),
    Column(name="code", type="string"),
    Column(name="name", type="string"),
    Column(name="yes", type="boolean"),
    Column(name="share", type="decimal(5,5)"),
    Column(name="wide", type="decimal(38,7)"),
    Column(name="raw", type="binary"),
    Column(name="big", type="uint64"),
)


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    top = 10**digits - 1
    return st.integers(-top, top).map(lambda number: Decimal(number).scaleb(-scale, EXACT))


ROW = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "code": st.sampled_from(["A1", "B2", "汉"]),
        "name": st.none() | st.text(max_size=3),
        "yes": st.none() | st.booleans(),
        "share": st.none() | decimals(5, 5),
        "wide": st.none() | decimals(38, 7) | decimals(9, 7),
        "raw": st.none() | st.binary(max_size=3),
        "big": st.none() | st.integers(0, 2**64 - 1),
    }
)


def fields_of(octets: bytes) -> list[list[bytes | None]]:
    rows, place = [], 0
    while place < len(octets):
        (count,) = struct.unpack_from(">h", octets, place)
        place += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", octets, place)
            place += 4
            row.append(None if length < 0 else octets[place : place + length])
            place += max(length, 0)
        rows.append(row)
    return rows


def numeric(field: bytes) -> Decimal:
    count, weight, sign, scale = struct.unpack_from(">hhHh", field)
    digits = struct.unpack_from(f">{count}h", field, 8)
    assert all(0 <= digit < 10_000 for digit in digits)
    whole = sum(digit * 10_000 ** (count - 1 - place) for place, digit in enumerate(digits))
    exact = EXACT.quantize(Decimal(whole).scaleb(4 * (weight - count + 1), EXACT), Decimal(1).scaleb(-scale))
    return EXACT.minus(exact) if sign == 0x4000 else exact


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=9), st.integers(0, 3))
def test_every_field_says_what_its_value_is(rows: list[dict[str, object]], skipped: int) -> None:
    table = pa.Table.from_pylist(rows, schema=arrow_schema(COLUMNS)).slice(skipped)
    ordered = in_copy_order(COLUMNS)
    found = fields_of(b"".join(encoded(table, ordered)))
    assert len(found) == table.num_rows
    for row, fields in zip(rows[skipped:], found, strict=True):
        for column, field in zip(ordered, fields, strict=True):
            value = row[column.name]
            if value is None or field is None:
                assert value is field
            elif column.type == "int64":
                assert struct.unpack(">q", field) == (value,)
            elif column.type == "boolean":
                assert field == (b"\1" if value else b"\0")
            elif column.type in {"string", "binary"}:
                assert field == (value.encode() if isinstance(value, str) else value)
            else:
                assert numeric(field) == value


def test_no_rows_are_no_bytes() -> None:
    assert list(encoded(arrow_schema(COLUMNS).empty_table(), COLUMNS)) == []
