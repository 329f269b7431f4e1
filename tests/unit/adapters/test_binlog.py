"""The decoder of binary log events: the keys that were encoded come out; anything else is our own error."""

import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters.binlog import (
    HEADER_BYTES,
    Key,
    KeyDecoder,
    KeyPart,
    Kind,
    LoggedTable,
    gtid_flags,
    header_of,
    is_intact,
    name_of,
    next_file,
    prepared_of,
    statement_of,
    table_id_of,
    table_of,
)
from datong.adapters.binlog_checks import Ask, check_server, failure
from datong.adapters.binlog_connection import LogPlace
from datong.adapters.binlog_stream import place_of, position_number, position_text
from datong.kernel import Corrupt, DatongError, Misconfigured

MARK = "65f0a1b2-1"
# BIGINT, VARCHAR(20), DECIMAL(20,7), DATETIME(5), BLOB, CHAR(100) of utf8mb4, BIT(13)
TYPES = bytes([8, 15, 246, 18, 252, 254, 16])
METADATA = bytes([80, 0, 20, 7, 5, 2, 0xEE, 0x90, 5, 1])
COLUMNS = (8, -1, 10, 8, -2, -2, 2)
PARTS = (KeyPart(place=1, text=True, unsigned=False), KeyPart(place=0, text=False, unsigned=True))
OTHERS = (b"\1" * 10, b"\2" * 8, struct.pack("<H", 3) + b"abc", struct.pack("<H", 1) + b"x", b"\3\4")
KEYS = st.tuples(st.text(max_size=60), st.integers(0, 2**64 - 1))


def event(kind: Kind, body: bytes) -> bytes:
    return struct.pack("<IBIIIH", 1, kind, 1, HEADER_BYTES + len(body), 500, 0) + body


def image(key: Key, nulls: Sequence[bool]) -> bytes:
    """Return a row of `COLUMNS`; `nulls` says which of the columns that are no keys are NULL."""
    name, number = str(key[0]).encode(), int(key[1])
    bits = sum(1 << place for place, null in enumerate(nulls, 2) if null)
    values = b"".join(value for value, null in zip(OTHERS, nulls, strict=True) if not null)
    return bytes([bits]) + struct.pack("<Q", number) + bytes([len(name)]) + name + values


def rows(kind: Kind, *images: bytes, deflated: bool = False) -> bytes:
    second = kind in {Kind.WRITE_ROWS, Kind.UPDATE_ROWS, Kind.DELETE_ROWS}
    head = (18).to_bytes(6, "little") + bytes(2) + (struct.pack("<H", 2) if second else b"") + bytes([len(COLUMNS)])
    head += b"\x7f" * (2 if kind in {Kind.UPDATE_ROWS, Kind.UPDATE_ROWS_V1} else 1)
    data = b"".join(images)
    return event(kind, head + (b"\x81\x10" + zlib.compress(data) if deflated else data))


def table_map() -> bytes:
    body = (18).to_bytes(6, "little") + bytes(2) + b"\x02db\x00" + b"\x06people\x00"
    body += bytes([len(TYPES)]) + TYPES + bytes([len(METADATA)]) + METADATA + b"\x7f"
    return event(Kind.TABLE_MAP, body)


def test_a_table_map_tells_the_sizes_of_values() -> None:
    assert name_of(table_map()) == ("db", "people")
    assert table_of(table_map()) == LoggedTable(18, COLUMNS)
    assert table_id_of(table_map()) == 18


@given(key=KEYS, other=KEYS, nulls=st.lists(st.booleans(), min_size=5, max_size=5))
def test_keys_come_out_of_every_kind_of_rows(key: Key, other: Key, nulls: list[bool]) -> None:
    if any(len(str(one[0]).encode()) > 80 for one in (key, other)):
        return
    decoder = KeyDecoder(table_of(table_map()), PARTS)
    for kind in (Kind.WRITE_ROWS_V1, Kind.DELETE_ROWS, Kind.UPDATE_ROWS_V1, Kind.UPDATE_ROWS):
        assert decoder.keys(rows(kind, image(key, nulls), image(other, nulls[::-1]))) == [key, other]
    packed = rows(Kind.WRITE_ROWS_COMPRESSED_V1, image(key, nulls), deflated=True)
    assert decoder.keys(packed) == [key]


def test_a_short_image_has_the_key_of_the_one_before() -> None:
    before = b"\x00" + struct.pack("<Q", 7) + b"\x01a"
    after = b"\x00" + OTHERS[4]
    body = (18).to_bytes(6, "little") + bytes(2) + bytes([len(COLUMNS)]) + b"\x03" + b"\x40" + before + after
    decoder = KeyDecoder(table_of(table_map()), PARTS)
    assert decoder.keys(event(Kind.UPDATE_ROWS_V1, body)) == [("a", 7), ("a", 7)]
    with pytest.raises(Corrupt):
        decoder.keys(event(Kind.WRITE_ROWS_V1, body[:9] + b"\x40" + after))


@given(data=st.binary(max_size=80), cut=st.integers(0, 120), at=st.integers(0, 120), byte=st.integers(0, 255))
def test_damaged_events_are_our_own_error(data: bytes, cut: int, at: int, byte: int) -> None:
    decoder = KeyDecoder(table_of(table_map()), PARTS)
    whole = rows(Kind.UPDATE_ROWS, image(("甲", 1), [False] * 5), image(("乙", 2), [True] * 5))
    query = event(Kind.QUERY_COMPRESSED, bytes(8) + b"\x02" + bytes(4) + b"db\x00\x81\x04" + zlib.compress(b"DROP"))
    for base in (whole, table_map(), query, event(Kind.XA_PREPARE, bytes(13)), event(Kind.WRITE_ROWS, data)):
        changed = base[:at] + bytes([byte]) + base[at + 1 :]
        for damaged in (base[:cut], changed, event(Kind.QUERY, data), event(Kind.EXECUTE_LOAD, data)):
            readers = (header_of, name_of, table_of, statement_of, gtid_flags, prepared_of, next_file, decoder.keys)
            for read in readers:
                with suppress(Corrupt):
                    read(damaged)


def test_statements_and_prepared_transactions_are_read() -> None:
    head = bytes(8) + b"\x02" + bytes(2) + struct.pack("<H", 3) + b"\x00\x00\x00" + b"db\x00"
    assert statement_of(event(Kind.QUERY, head + b"DROP TABLE x")) == ("db", b"DROP TABLE x")
    packed = head + b"\x81\x0c" + zlib.compress(b"DROP TABLE x")
    assert statement_of(event(Kind.QUERY_COMPRESSED, packed)) == ("db", b"DROP TABLE x")
    prepared = struct.pack("<BIII", 0, 3, 4, 1) + b"testb"
    assert prepared_of(event(Kind.XA_PREPARE, prepared)) == "x'74657374',x'62',3"
    assert prepared_of(event(Kind.XA_PREPARE, b"\x01" + prepared[1:])) is None


def test_a_checksum_is_the_last_four_bytes() -> None:
    whole = table_map()
    assert is_intact(whole + zlib.crc32(whole).to_bytes(4, "little"))
    assert not is_intact(whole + b"abcd")


def test_positions_sort_by_file_and_place() -> None:
    texts = [
        position_text(LogPlace(file, place, MARK), "9c")
        for file, place in (("log.000009", 900), ("log.000010", 4), ("log.999999", 5), ("log.1000000", 4))
    ]
    assert sorted(texts, key=position_number) == texts
    assert place_of(texts[0]) == (LogPlace("log.000009", 900, MARK), "9c")
    with pytest.raises(DatongError) as caught:
        place_of("0/16B3748+3")
    assert caught.value.code == "adapters.changes_lost"


def answers(running: str = "0", only: str = "", never: str = "", **variables: str) -> Ask:
    """Return a server's answers to what is asked before a capture begins."""
    found = {"log_bin": "ON", "binlog_format": "ROW", "log_slave_updates": "OFF"} | variables

    def ask(statement: str, _values: Sequence[object]) -> list[tuple[object, ...]]:
        if "VARIABLES" in statement:
            return list(found.items())
        if "Slaves_running" in statement:
            return [("Slaves_running", running)]
        return [("binlog.000001", 4, only, never)]

    return ask


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (answers(log_bin="OFF"), "log_bin = ON"),
        (answers(binlog_format="MIXED"), "binlog_format = ROW"),
        (answers(binlog_transaction_compression="ON"), "binlog_transaction_compression = OFF"),
        (answers(running="1"), "log_slave_updates = ON"),
        (answers(wsrep_on="ON"), "log_slave_updates = ON"),
        (answers(only="a,b"), "binlog_do_db"),
        (answers(never="a,civil"), "binlog_ignore_db"),
    ],
)
def test_a_server_that_does_not_log_all_is_refused_with_the_remedy(ask: Ask, said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        check_server(ask, "civil")
    assert caught.value.code == "adapters.binlog"
    assert said in caught.value.remedy.en
    assert said in caught.value.remedy.zh


def test_a_server_that_logs_all_is_taken() -> None:
    check_server(answers(), "civil")
    check_server(answers(running="1", log_slave_updates="ON", only="civil,a", never="b"), "civil")


def test_errors_of_the_server_say_whether_to_ask_again() -> None:
    codes = {1236: "adapters.changes_lost", 1227: "adapters.replication_role", 2013: "adapters.source_unavailable"}
    for number, code in codes.items():
        assert failure(pymysql.OperationalError(number, "said"), "source").code == code
    same = "A slave with the same server_uuid/server_id as this slave has connected to the master"
    assert failure(pymysql.OperationalError(1236, same), "source").code == "adapters.source_unavailable"
