"""The decoder of PostgreSQL's change messages: what was encoded comes out; anything else is our own error."""

import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.adapters.pgoutput import (
    ChangeDecoder,
    Relation,
    RelationColumn,
    commit_end,
    relation_id_of,
    relation_of,
    truncated,
)
from datong.adapters.postgresql_capture import position_number, position_text
from datong.adapters.postgresql_copy import page_ranges
from datong.exchange import DELETED_COLUMN, Column
from datong.kernel import Conflict, Corrupt, DatongError, Invalid

NARROW = (Column(name="id", type="int64"), Column(name="name", type="string"))
RELATION = Relation(7, "public", "people", (RelationColumn("id", 20, -1), RelationColumn("name", 25, -1)))
Cell = str | None | bool
"""A text, NULL, or False for a large value that did not change."""


def tuple_of(cells: tuple[Cell, ...]) -> bytes:
    parts = [struct.pack(">H", len(cells))]
    for cell in cells:
        if isinstance(cell, str):
            data = cell.encode()
            parts.append(b"t" + struct.pack(">I", len(data)) + data)
        else:
            parts.append(b"n" if cell is None else b"u")
    return b"".join(parts)


def insert(*cells: Cell) -> bytes:
    return b"I" + struct.pack(">I", 7) + b"N" + tuple_of(cells)


def update(new: tuple[Cell, ...], old: tuple[Cell, ...] | None = None, tag: bytes = b"O") -> bytes:
    before = b"" if old is None else tag + tuple_of(old)
    return b"U" + struct.pack(">I", 7) + before + b"N" + tuple_of(new)


def delete(*cells: Cell, tag: bytes = b"O") -> bytes:
    return b"D" + struct.pack(">I", 7) + tag + tuple_of(cells)


def decode(*messages: bytes) -> list[tuple[object, ...]]:
    batch = ChangeDecoder(RELATION, NARROW, ("id",)).decode(messages)
    return [tuple(row.values()) for row in batch.to_pylist()]


def test_changes_come_out_in_order_and_a_moved_key_is_a_delete_before_its_insert() -> None:
    assert decode(
        insert("1", "一"),
        update(("1", "二")),
        update(("2", "二"), ("1", None), tag=b"K"),
        update(("2", "三"), ("2", "二")),
        delete("2", None, tag=b"K"),
    ) == [
        (False, 1, "一"),
        (False, 1, "二"),
        (True, 1, None),
        (False, 2, "二"),
        (False, 2, "三"),
        (True, 2, None),
    ]


def test_a_delete_tells_keys_only_and_a_large_value_comes_from_the_old_row() -> None:
    assert decode(delete("5", "gone")) == [(True, 5, None)]
    assert decode(update(("5", False), ("5", "large")), insert("6", None)) == [(False, 5, "large"), (False, 6, None)]
    with pytest.raises(Conflict) as caught:
        decode(update(("5", False)))
    assert caught.value.code == "adapters.replica_identity"


def test_no_message_is_no_row() -> None:
    assert decode() == []


def test_every_type_is_parsed_as_postgresql_prints_it() -> None:
    kinds: dict[str, tuple[str, object]] = {
        "boolean": ("t", True),
        "int64": ("-9223372036854775808", -(2**63)),
        "float32": ("0.1", 0.10000000149011612),
        "float64": ("-Infinity", float("-inf")),
        "decimal(38,10)": ("-0.0000000001", Decimal("-0.0000000001")),
        "string": ("", ""),
        "binary": ("\\x00ff10", b"\x00\xff\x10"),
        "date": ("2000-02-29", date(2000, 2, 29)),
        "time": ("23:59:59.999999", time(23, 59, 59, 999999)),
        "timestamp": ("2026-03-29 02:30:00.1", datetime.fromisoformat("2026-03-29T02:30:00.1")),
        "timestamp_utc": ("2026-03-29 02:30:00+00", datetime(2026, 3, 29, 2, 30, tzinfo=UTC)),
    }
    columns = tuple(Column(name=f"c{n}", type=kind) for n, kind in enumerate(kinds))
    relation = Relation(7, "public", "t", tuple(RelationColumn(column.name, 0, 0) for column in columns))
    decoder = ChangeDecoder(relation, columns, ("c0",))
    texts = tuple(text for text, _ in kinds.values())
    nulls: tuple[Cell, ...] = (None,) * len(columns)
    rows = decoder.decode([insert(*texts), insert(*nulls), insert(*texts)]).to_pylist()
    assert list(rows[0].values())[1:] == [value for _, value in kinds.values()]
    assert list(rows[1].values())[1:] == [None] * len(columns)
    assert rows[2] == rows[0]


@pytest.mark.parametrize("kind", ["int64", "binary", "date", "timestamp_utc", "decimal(5,2)"])
def test_a_value_that_does_not_fit_is_refused_by_name(kind: str) -> None:
    columns = (Column(name="id", type=kind),)
    decoder = ChangeDecoder(Relation(7, "public", "t", (RelationColumn("id", 0, 0),)), columns, ("id",))
    with pytest.raises(Invalid) as caught:
        decoder.decode([insert("infinity")])
    assert caught.value.code == "adapters.value_not_lossless"


def test_padding_is_dropped_as_a_snapshot_drops_it() -> None:
    columns = (Column(name="id", type="string", source_type="character(4)"),)
    decoder = ChangeDecoder(Relation(7, "public", "t", (RelationColumn("id", 0, 0),)), columns, ("id",))
    assert decoder.decode([insert("ab  ")]).column(1).to_pylist() == ["ab"]


texts = st.text(max_size=6)
cells = st.tuples(st.integers(-(2**63), 2**63 - 1).map(str), st.none() | texts)


@given(st.lists(st.tuples(st.sampled_from("IUD"), cells, cells), max_size=12))
@settings(deadline=None)
def test_what_was_encoded_comes_out(changes: list[tuple[str, tuple[str, str | None], tuple[str, str | None]]]) -> None:
    messages: list[bytes] = []
    expected: list[tuple[object, ...]] = []
    for kind, old, new in changes:
        if kind == "D":
            messages.append(delete(*old))
            expected.append((True, int(old[0]), None))
            continue
        messages.append(insert(*new) if kind == "I" else update(new, old))
        if kind == "U" and int(old[0]) != int(new[0]):
            expected.append((True, int(old[0]), None))
        expected.append((False, int(new[0]), new[1]))
    assert decode(*messages) == expected


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_malformed_messages_give_our_own_error(noise: list[bytes], data: st.DataObject) -> None:
    message = update(("1", "二"), ("2", None))
    cut = data.draw(st.integers(0, len(message) - 1))
    flipped = bytearray(message)
    flipped[cut] ^= data.draw(st.integers(1, 255))
    for broken in (noise, [message[:cut]], [bytes(flipped)], [insert("1", "a"), message[:cut]], [message + b"x"]):
        try:
            decode(*broken)
        except DatongError:
            continue
    for parse in (relation_of, relation_id_of, commit_end, truncated):
        try:
            parse(noise[0])
        except Corrupt:
            continue


@given(st.integers(0, 2**64 - 1))
def test_positions_keep_their_value(number: int) -> None:
    assert position_number(position_text(number)) == number
    assert position_number(position_text(number) + "+17") == number


def test_a_relation_message_names_columns_and_types() -> None:
    message = b"R" + struct.pack(">I", 7) + b"public\0people\0d" + struct.pack(">H", 2)
    message += b"\x01id\0" + struct.pack(">Ii", 20, -1) + b"\x00name\0" + struct.pack(">Ii", 25, -1)
    assert relation_of(message) == RELATION
    assert DELETED_COLUMN.name not in {column.name for column in RELATION.columns}


@given(st.integers(0, 3_000_000), st.integers(1, 4))
def test_ranges_of_pages_cover_every_page_once_and_what_comes_after(pages: int, readers: int) -> None:
    ranges = page_ranges(pages, readers)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == -1
    assert all(before[1] == after[0] for before, after in zip(ranges, ranges[1:], strict=False))
